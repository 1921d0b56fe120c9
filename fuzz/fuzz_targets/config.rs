//! Any bytes as the configuration of a language model: a model or one error, in bounded memory and time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::analysis::analyze;

fuzz_target!(|data: &[u8]| {
    let file = bytes::Bytes::copy_from_slice(data);
    match rooflens::formats::load_bytes(&file) {
        Ok(model) => drop(analyze(&model, &rooflens::dim::Bindings::new())),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
