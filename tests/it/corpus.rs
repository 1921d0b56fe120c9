//! The shipped models against `models/manifest.toml`, whose numbers other tools made.

use crate::run::ROOT;
use rooflens::dim::Bindings;
use rooflens::report::ModelReport;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Manifest {
    model: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    nodes: usize,
    params: u64,
    published_num_params: Option<u64>,
    macs: u64,
    macs_by_op: BTreeMap<String, u64>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    shape: Vec<u64>,
}

fn bindings() -> Bindings {
    [("batch".into(), 1), ("seq".into(), 128)].into()
}

#[test]
fn counts_equal_their_sources() {
    let text = std::fs::read_to_string(format!("{ROOT}/models/manifest.toml")).unwrap();
    let manifest: Manifest = toml::from_str(&text).unwrap();
    assert_eq!(manifest.model.len(), 8);
    for entry in manifest.model {
        let path = format!("{ROOT}/models/{}", entry.file);
        let model = rooflens::formats::load(Path::new(&path)).unwrap();
        let report = ModelReport::new(&model, &entry.file, &bindings()).unwrap();
        let name = &entry.name;
        assert_eq!(report.ops.len(), entry.nodes, "{name}: nodes");
        assert_eq!(report.totals.params, entry.params, "{name}: params");
        // The published count of Inception includes a classifier that only training uses.
        if let Some(published) = entry.published_num_params.filter(|_| name != "inception_v3") {
            assert_eq!(report.totals.params, published, "{name}: published params");
        }
        assert_eq!(report.totals.macs, Some(entry.macs), "{name}: macs");
        for (op, macs) in &entry.macs_by_op {
            let ours = report.ops.iter().filter(|o| o.op_type == *op);
            let ours: u64 = ours.filter_map(|o| o.macs).sum();
            assert_eq!(ours, *macs, "{name}: macs of {op}");
        }
        assert!(report.is_complete(), "{name}: {:?}", report.coverage.unknown);
        for (ours, theirs) in report.outputs.iter().zip(&entry.outputs) {
            let shape: Vec<u64> = ours.shape.clone().unwrap().into_iter().flatten().collect();
            assert_eq!((&ours.name, &shape), (&theirs.name, &theirs.shape), "{name}: outputs");
        }
        assert!(report.totals.weight_bytes >= 4 * entry.params, "{name}: weight bytes");
    }
}
