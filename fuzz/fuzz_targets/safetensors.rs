//! Any bytes as the header of a safetensors file, with the length before it and data behind it: tensors or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (header, rest) = data.split_at(data.iter().rposition(|b| *b == b'}').map_or(0, |at| at + 1));
    let length = u64::try_from(header.len()).unwrap_or(0).to_le_bytes();
    let file: bytes::Bytes = [&length[..], header, rest].concat().into();
    if let Err(error) = rooflens::formats::load_bytes(&file) {
        assert!(!error.to_string().is_empty());
    }
});
