//! Any bytes as an interval log: intervals or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::log(data));
