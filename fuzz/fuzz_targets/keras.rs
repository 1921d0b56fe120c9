//! Any bytes, as a file of Keras: a model whose weights settle, or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let file = bytes::Bytes::copy_from_slice(data);
    match rooflens::formats::load_bytes(&file) {
        Ok(mut model) => rooflens::analysis::settle(&mut model),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
