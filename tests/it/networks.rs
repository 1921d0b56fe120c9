//! Detectors, segmentation, eight-bit exports and decoders against onnxruntime's shapes and torch's counts:
//! `tests/networks/networks.py` exports them and writes the truth beside each.

use crate::oracles::{PRODUCTS, total};
use crate::run::{ROOT, rooflens};
use serde_json::Value;
use std::path::PathBuf;

fn networks() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(format!("{ROOT}/tests/networks")).unwrap();
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "onnx"));
    paths.sort();
    paths
}

fn analyzed(path: &str, given: &Value) -> Value {
    let given: Vec<&str> = given.as_array().unwrap().iter().map(|g| g.as_str().unwrap()).collect();
    let run = rooflens(&[&["analyze", path, "--format", "json"], given.as_slice()].concat());
    assert_eq!(run.code, 0, "{path} {given:?}: {}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

/// The nodes that sum products, those of bodies included.
fn products(report: &Value) -> Vec<&Value> {
    let ops = report["ops"].as_array().unwrap();
    ops.iter().filter(|op| PRODUCTS.contains(&op["op_type"].as_str().unwrap())).collect()
}

/// The same where data-dependent sizes are given: numbers of boxes, by the rows that products really had.
fn settled(path: &str, given: &Value, truth: &Value) -> Value {
    let report = analyzed(path, given);
    let seen = truth["products"].as_array().unwrap();
    let mut given = given.as_array().unwrap().clone();
    for (op, row) in
        products(&report).into_iter().zip(seen).filter(|(op, _)| op["status"] == "bound")
    {
        let rows = op["outputs"][0]["symbolic"].as_str().unwrap();
        let mut names = rows.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.'));
        let name = names.find(|n| n.contains('.')).unwrap();
        given.push(format!("--dim={name}={}", row[2]).into());
    }
    analyzed(path, &given.into())
}

/// MACs of each product in the order of the nodes, and what they add up to; the shapes of the outputs.
fn compare(name: &str, report: &Value, truth: &Value) {
    let (ours, seen) = (products(report), truth["products"].as_array().unwrap());
    assert_eq!(ours.len(), seen.len(), "{name}: nodes that sum products");
    for (i, (ours, seen)) in ours.iter().zip(seen).enumerate() {
        assert_eq!(ours["macs"], seen[1], "{name}: product {i}, {}", seen[0]);
    }
    let sum: u64 = seen.iter().map(|row| row[1].as_u64().unwrap()).sum();
    assert_eq!(total(report, "macs"), sum, "{name}");
    let outputs = report["outputs"].as_array().unwrap().iter();
    for (ours, seen) in outputs.zip(truth["outputs"].as_array().unwrap()) {
        let open = ours["shape"].as_array().is_none_or(|s| s.contains(&Value::Null));
        assert!(open || ours["shape"] == *seen, "{name}: {ours}, not {seen}");
    }
}

#[test]
fn networks_count_as_torch_and_onnxruntime_count() {
    let paths = networks();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let name = path.file_stem().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(path.with_extension("json")).unwrap();
        let truth: Value = serde_json::from_str(&text).unwrap();
        let file = path.to_str().unwrap();
        for at in truth["at"].as_array().unwrap() {
            let report = settled(file, &at["shapes"], at);
            compare(&name, &report, at);
            assert_eq!(report["totals"]["params"], truth["params"], "{name}: parameters");
            assert_eq!(
                report["memory"]["kv_cache_bytes"], at["cache"],
                "{name}: bytes of the cache"
            );
            let whole = report["coverage"]["percent"] == 100.0;
            assert_eq!(truth["complete"], whole, "{name}: {}", report["diagnostics"]);
            if at["dims"].is_array() {
                let same = settled(file, &at["dims"], at);
                for part in ["totals", "memory"] {
                    assert_eq!(same[part], report[part], "{name} by --dim: {part}");
                }
                compare(&name, &same, at);
            }
        }
    }
}
