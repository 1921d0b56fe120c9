//! Any bytes behind the mark of TFLite: a model that is analysed, or one error, in bounded memory and time.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut file = data.to_vec();
    if file.len() < 8 {
        return;
    }
    file[4..8].copy_from_slice(b"TFL3");
    match rooflens::formats::load_bytes(&file.into()) {
        Ok(model) => {
            rooflens::analysis::analyze(&model, &rooflens::dim::Bindings::new());
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
