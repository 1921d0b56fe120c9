//! Any bytes as a file of JSON Lines: its records from the last to the first, or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::data_set(data));
