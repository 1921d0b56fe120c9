//! Seeds and findings of the fuzzers, without a fuzzer.

use crate::run::{ROOT, rooflens};
use rooflens::analysis::analyze;
use rooflens::dim::{Bindings, Dim};

fn files(folder: &str) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(format!("{ROOT}/{folder}")).unwrap();
    let found: Vec<_> = entries.map(|e| std::fs::read(e.unwrap().path()).unwrap()).collect();
    assert!(!found.is_empty(), "{folder}");
    found
}

#[test]
fn seeds_and_findings_are_answered() {
    for bytes in files("fuzz/seeds/dim") {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Ok(dim) = text.trim().parse::<Dim>() {
            let _ = dim.eval(&Bindings::new());
        }
    }
    for bytes in ["fuzz/seeds/reader", "fuzz/seeds/shapes"].into_iter().flat_map(files) {
        for cut in [bytes.len(), bytes.len() / 2, bytes.len() / 3] {
            let file = bytes::Bytes::copy_from_slice(&bytes[..cut]);
            if let Ok(model) = rooflens::formats::load_bytes(&file) {
                let analysis = analyze(&model, &Bindings::new());
                assert!(analysis.coverage.known <= analysis.coverage.nodes);
            }
        }
    }
}

/// A network that pools more than its picture has, at sizes of one: said, not counted in silence.
#[test]
fn sizes_below_zero_are_told() {
    let run = |size: &str| {
        let (height, width) = (format!("height={size}"), format!("width={size}"));
        let model = "tests/regressions/negative_sizes.onnx";
        rooflens(&["analyze", model, "--by", "total", "--dim", &height, "--dim", &width])
    };
    let small = run("1").stdout;
    assert!(small.contains("window of 2 does not fit into 1"), "{small}");
    assert!(small.contains("unknown: MaxPool × 2: not in the totals"), "{small}");
    assert!(!run("64").stdout.contains("does not fit"), "{}", run("64").stdout);
}
