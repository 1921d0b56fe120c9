//! MACs of every node against those computed from the shapes that onnxruntime saw at run time:
//! `tests/models/make.py` exports the networks and writes the counts down.

use crate::oracles::PRODUCTS;
use crate::run::ROOT;
use rooflens::analysis::analyze;
use rooflens::dim::{Bindings, Dim};
use rooflens::formats::load;
use rooflens::report::{BoundReport, ModelReport};
use rooflens::roofline::Roof;
use rooflens::units::{Bytes, BytesPerSecond, FlopsPerSecond};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The model's report at the shapes of the observation, and the observed counts in order.
fn observed(path: &Path) -> (ModelReport, Vec<(String, u64)>) {
    let text = std::fs::read_to_string(path.with_extension("tsv")).unwrap();
    let mut model = load(path).unwrap();
    let mut rows = Vec::new();
    let mut bindings = Bindings::new();
    for line in text.lines() {
        let mut cells = line.split('\t');
        let first = cells.next().unwrap();
        if first != "inputs" {
            rows.push((first.to_owned(), cells.next().unwrap().parse().unwrap()));
            continue;
        }
        for (name, shape) in cells.map(|cell| cell.split_once('=').unwrap()) {
            let id = model.graph.find_value(name).unwrap();
            let sizes: Vec<u64> =
                shape.split('x').filter(|s| !s.is_empty()).map(|s| s.parse().unwrap()).collect();
            let known = model.graph.value(id).info.shape.clone().unwrap();
            for (dim, size) in known.iter().zip(&sizes) {
                if let Some(symbol) = dim.as_symbol() {
                    bindings.insert(symbol.into(), i128::from(*size));
                }
            }
            let info = &mut model.graph.value_mut(id).info;
            info.shape = Some(sizes.into_iter().map(Dim::from).collect());
        }
    }
    let report = ModelReport::new(&model, &path.display().to_string(), &bindings).unwrap();
    // The same by formulas: sizes open first, bound afterwards.
    let open = analyze(&load(path).unwrap(), &Bindings::new());
    if let Ok(macs) = open.totals.macs.eval(&bindings) {
        assert_eq!(Some(macs), report.totals.macs.map(i128::from), "{}: formula", path.display());
    }
    (report, rows)
}

fn models() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(format!("{ROOT}/tests/models")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths
}

#[test]
fn macs_of_every_node_are_those_seen_at_run_time() {
    let paths = models();
    assert!(paths.len() >= 14, "{paths:?}");
    for path in paths {
        let (report, rows) = observed(&path);
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(report.is_complete(), "{name}: {:?} {:?}", report.coverage, report.diagnostics);
        let ours = report.ops.iter().filter(|op| PRODUCTS.contains(&op.op_type.as_str()));
        let ours: Vec<_> =
            ours.map(|op| (op.op_type.replace("com.microsoft.", ""), op.macs.unwrap())).collect();
        assert_eq!(ours.len(), rows.len(), "{name}: nodes that sum products");
        for (i, (ours, seen)) in ours.iter().zip(&rows).enumerate() {
            assert_eq!(ours, seen, "{name}: product {i}");
        }
        let t = &report.totals;
        let cold = t.bytes();
        let ordered = cold >= t.fused_bytes && t.fused_bytes >= t.compulsory_bytes;
        assert!(ordered, "{name}: {cold:?}, {t:?}");
    }
}

/// The same network by two exporters and in three number formats.
#[test]
fn exporters_and_formats_agree_on_macs() {
    let mut totals = BTreeMap::new();
    for name in ["resnet18", "resnet18_dynamo", "resnet18_fp16", "resnet18_qdq"] {
        let path = PathBuf::from(format!("{ROOT}/tests/models/{name}.onnx"));
        totals.insert(name, observed(&path).0.totals);
    }
    assert!(totals.values().all(|t| t.macs == totals["resnet18"].macs));
    let bytes = |name: &str| totals[name].compulsory_bytes.unwrap();
    assert!(bytes("resnet18_fp16") * 2 < bytes("resnet18") * 11 / 10);
    assert!(bytes("resnet18_qdq") * 3 < bytes("resnet18"));
    // Weights that the graph dequantises are no activations.
    let peak = |name: &str| totals[name].peak_activation_bytes;
    assert!(peak("resnet18_qdq") <= peak("resnet18"));
    let decoders = ["decoder", "decoder_int4"]
        .map(|name| observed(&PathBuf::from(format!("{ROOT}/tests/models/{name}.onnx"))).0.totals);
    assert_eq!(decoders[0].macs, decoders[1].macs);
    assert!(decoders[1].weight_bytes * 3 < decoders[0].weight_bytes);
}

/// Data-dependent work may all be spared: "at least" of a detector is its convolutions.
#[test]
fn a_bound_counts_nothing_that_data_may_spare() {
    let report = observed(&PathBuf::from(format!("{ROOT}/tests/models/ssdlite.onnx"))).0;
    let roof = Roof {
        device: "one".into(),
        dtype: "f32".into(),
        accumulate: None,
        unit: String::new(),
        boost_mhz: None,
        peak: FlopsPerSecond(1e9),
        bandwidth: BytesPerSecond(1e12),
        measured: false,
        cached: Bytes(0.0),
    };
    let least = BoundReport::new(&roof, &report).direct_seconds;
    let products = 2.0 * report.totals.effective_macs.unwrap() as f64 / 1e9;
    assert!((products..1.05 * products).contains(&least), "{least} and {products}");
    assert!(report.totals.operations().unwrap() as f64 / 1e9 > 10.0 * least);
    assert!(report.totals.bound_bytes > 0, "the chosen boxes are data-dependent bytes");
}

/// A detector of ninety classes keeps a formula that can be read, its largest integers left out.
#[test]
fn the_formula_of_a_detector_stays_short() {
    let model = load(&PathBuf::from(format!("{ROOT}/tests/models/ssdlite.onnx"))).unwrap();
    let flops = analyze(&model, &Bindings::new()).totals.flops.to_string();
    assert!(flops.starts_with("16·boxes.3469.26^2 + ") && flops.len() < 5_000, "{}", flops.len());
    assert!(!flops.contains(&i64::MAX.to_string()));
}
