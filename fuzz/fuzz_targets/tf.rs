//! Any bytes as a TensorFlow file: a model that is analysed, or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::analysis::analyze;
use rooflens::dim::Bindings;
use rooflens::formats::load_bytes;

fuzz_target!(|data: &[u8]| {
    if let Ok(model) = load_bytes(&bytes::Bytes::copy_from_slice(data)) {
        let _ = analyze(&model, &Bindings::new());
    }
});
