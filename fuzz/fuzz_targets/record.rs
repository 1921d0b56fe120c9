//! Any bytes as a record of a data set: an input of a model, or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::record(data));
