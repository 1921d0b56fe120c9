//! Formulas against numbers: the symbolic totals evaluated at a binding equal an analysis made
//! with that binding from the start.

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
            for (what, s, n) in [
                ("macs", &symbolic.totals.macs, &numeric.totals.macs),
                ("flops", &symbolic.totals.flops, &numeric.totals.flops),
                ("written", &symbolic.totals.bytes_written, &numeric.totals.bytes_written),
                ("read", &symbolic.totals.bytes_read, &numeric.totals.bytes_read),
            ] {
                assert_eq!(s.eval(&at).unwrap(), n.as_const().unwrap(), "{name} {what} at {at:?}");
            }
            assert_eq!(
                symbolic.peak_activation_bytes(&at).unwrap(),
                numeric.peak_activation_bytes(&at).unwrap(),
                "{name} peak at {at:?}"
            );
        }
    }
}
