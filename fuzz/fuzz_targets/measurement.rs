//! Any bytes as a measurement: one that merges, or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::measurement(data));
