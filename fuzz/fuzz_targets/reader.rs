//! Any bytes: a model or one error, in bounded memory and time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let file = bytes::Bytes::copy_from_slice(data);
    if let Err(error) = rooflens::formats::load_bytes(&file) {
        assert!(!error.to_string().is_empty());
    }
});
