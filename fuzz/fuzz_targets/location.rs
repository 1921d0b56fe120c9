//! Any bytes as the `Location` of a redirect: a URL, or one error.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::location(data));
