//! Formulas against numbers: the symbolic totals evaluated at a binding against an analysis made
//! with that binding from the start.

use crate::run::ROOT;
use crate::wire::{Message, model, node, value};
use rooflens::analysis::analyze;
use rooflens::dim::Bindings;
use std::path::Path;

#[test]
fn symbolic_totals_equal_numeric_analysis() {
    for name in ["mobilenet_v2", "efficientnet_b0", "vit_b_16", "bert_base", "gpt2"] {
        let path = format!("{ROOT}/models/{name}.onnx");
        let model = rooflens::formats::load(Path::new(&path)).unwrap();
        let symbolic = analyze(&model, &Bindings::new());
        for (batch, seq) in [(1, 1), (1, 128), (3, 17), (8, 500)] {
            let at: Bindings = [("batch".into(), batch), ("seq".into(), seq)].into();
            let numeric = analyze(&model, &at);
            let value = |dim: &rooflens::dim::Dim| dim.eval(&at).unwrap();
            assert_eq!(value(&symbolic.totals.macs), value(&numeric.totals.macs), "{name} {at:?}");
            for (what, s, n) in [
                ("flops", &symbolic.totals.flops, &numeric.totals.flops),
                ("written", &symbolic.totals.bytes_written, &numeric.totals.bytes_written),
                ("read", &symbolic.totals.bytes_read, &numeric.totals.bytes_read),
            ] {
                assert_eq!(value(s), value(n), "{name} {what} at {at:?}");
            }
            let (cold, least) =
                (value(&symbolic.totals.bytes()), value(&symbolic.compulsory_bytes));
            let fused = value(&symbolic.fused_bytes);
            let ordered = cold >= fused && fused >= least && least > 0;
            assert!(ordered, "{name} at {at:?}: {cold}, {fused} and {least}");
        }
    }
}

/// As many data-dependent sizes as a detector of a thousand classes has: no formula holds
/// them all, and the numbers are there nevertheless, each a bound as where it does.
#[test]
fn numbers_stay_where_formulas_grow_too_long() {
    let axis = Message::default().bytes(1, "axis").int(3, 1).int(20, 2);
    let totals = |count: usize| {
        let mut nodes = Vec::new();
        for i in 0..count {
            nodes.push(node("NonZero", &["x"], &[&format!("z{i}")]));
        }
        let names: Vec<String> = (0..count).map(|i| format!("z{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        nodes.push(node("Concat", &names, &["y"]).message(5, &axis));
        let bytes = model(&nodes, &[value("x", &["N", "100"])], &[value("y", &["2", "found"])]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("many.onnx");
        std::fs::write(&path, bytes).unwrap();
        let model = rooflens::formats::load(&path).unwrap();
        let at = [("N".into(), 3)].into();
        let report = rooflens::report::ModelReport::new(&model, "many.onnx", &at).unwrap();
        assert!(report.is_complete() && report.ops.iter().all(|op| op.status.name() == "bound"));
        // A sum that no formula holds is a size of its own.
        assert!((count..=count + 1).contains(&report.assumptions.len()));
        (report.totals, report.formulas.bytes.unwrap())
    };
    let ((few, short), (many, long)) = (totals(300), totals(900));
    assert!(short.contains("nonzero.300") && long.contains("more than 512 terms"), "{long}");
    assert_eq!(many.bytes_written, few.bytes_written.map(|n| 3 * n));
    assert_eq!(many.bytes_written, Some(2 * 900 * 2 * 300 * 8));
    assert_eq!(many.int_ops, few.int_ops.map(|n| 3 * n));
    assert_eq!(many.bound_ops, 3 * few.bound_ops);
}
