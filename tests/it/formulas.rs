//! Formulas against numbers: the symbolic totals evaluated at a binding against an analysis made
//! with that binding from the start. MACs are equal. The rest may only be smaller, by a hair: with
//! sizes known, index vectors such as `arange(seq)` are constants and fold away.

use crate::run::ROOT;
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
                let (s, n) = (value(s), value(n));
                assert!(n <= s && (s - n) * 1000 <= s, "{name} {what} at {at:?}: {s} and {n}");
            }
            let (cold, least) =
                (value(&symbolic.totals.bytes()), value(&symbolic.compulsory_bytes));
            let fused = value(&symbolic.fused_bytes);
            let ordered = cold >= fused && fused >= least && least > 0;
            assert!(ordered, "{name} at {at:?}: {cold}, {fused} and {least}");
        }
    }
}
