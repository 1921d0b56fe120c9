//! Any bytes as a gRPC answer: its message or one failure.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rooflens::probe::fuzz::grpc(data));
