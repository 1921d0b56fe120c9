//! Any bytes as statistics of Triton, in JSON and as a message.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::triton_answers(data));
