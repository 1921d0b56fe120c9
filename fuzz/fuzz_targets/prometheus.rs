//! Any two pages of Prometheus text: series within their limit, and what changed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::prometheus(data));
