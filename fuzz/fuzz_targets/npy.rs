//! Any bytes as a `.npy` file: a tensor or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::npy_file(data));
