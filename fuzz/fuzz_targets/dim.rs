//! Any text: a formula that prints to one that reads the same, or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::dim::{Bindings, Dim};

fuzz_target!(|text: &str| {
    let Ok(dim) = text.parse::<Dim>() else { return };
    let printed = dim.to_string();
    if let Ok(again) = printed.parse::<Dim>() {
        assert_eq!(again, dim, "{printed}");
    }
    let mut names = std::collections::BTreeSet::new();
    dim.symbols(&mut names);
    let bindings: Bindings = names.into_iter().map(|n| (n, 3)).collect();
    let _ = dim.eval(&bindings);
    let _ = dim.bind(&bindings);
});
