//! Any bytes as a trace: arrivals in order or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::trace(data));
