//! Any model: an analysis whose traffics are in order, symbolically and with every symbol bound.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rooflens::analysis::analyze;
use rooflens::dim::Bindings;
use rooflens::report::ModelReport;

fuzz_target!(|data: &[u8]| {
    let file = bytes::Bytes::copy_from_slice(data);
    let Ok(model) = rooflens::formats::load_bytes(&file) else { return };
    let analysis = analyze(&model, &Bindings::new());
    assert!(analysis.coverage.known <= analysis.coverage.nodes);
    if let Ok(report) = ModelReport::new(&model, "fuzz", &Bindings::new()) {
        // Models that cannot run at these sizes have no numbers to speak of.
        if report.diagnostics.iter().any(|d| d.severity == rooflens::ir::Severity::Conflict) {
            return;
        }
        let t = &report.totals;
        let cold = t.bytes();
        // A node that is not known may have moved nothing that is known.
        let known = report.is_complete();
        assert!(!known || cold >= t.fused_bytes && t.fused_bytes >= t.compulsory_bytes, "{t:?}");
    }
});
