//! Any bytes as an HTTP/1.1 answer: an answer within its limit or one failure.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::http(data));
