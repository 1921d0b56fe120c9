//! Any text as a device file: a device whose ceilings are finite, or one error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::hwdb::{Catalogue, Device};
use rooflens::roofline::Roof;
use std::sync::LazyLock;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::default);

fuzz_target!(|text: &str| {
    let Ok(device) = toml::from_str::<Device>(text) else { return };
    let _ = (device.checks(), device.disagreements(), device.problems());
    let _ = CATALOGUE.problems(&device);
    for dtype in device.types() {
        if let Ok(roof) = Roof::of(&device, dtype.name()) {
            assert!(!roof.ridge().get().is_nan());
        }
    }
});
