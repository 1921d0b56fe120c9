//! Any bytes, as a file of `PyTorch` whose inputs have two axes: a model whose weights settle, or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::formats::{Given, Wanted, load_bytes_for};

fuzz_target!(|data: &[u8]| {
    let file = bytes::Bytes::copy_from_slice(data);
    let given = Given { first: 4, ranks: &[2; 4], ..Given::default() };
    match load_bytes_for(&file, &Wanted { given, ..Wanted::default() }) {
        Ok(mut model) => rooflens::analysis::settle(&mut model),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
