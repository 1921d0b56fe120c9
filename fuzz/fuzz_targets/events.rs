//! Any bytes as the streamed answer of a language model, in pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::events(data));
