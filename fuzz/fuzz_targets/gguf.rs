//! Any bytes behind the mark of GGUF files: a model or one error, in bounded memory and time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::analysis::analyze;

fuzz_target!(|data: &[u8]| {
    let file: bytes::Bytes = [b"GGUF", data].concat().into();
    match rooflens::formats::load_bytes(&file) {
        Ok(model) => drop(analyze(&model, &rooflens::dim::Bindings::new())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
