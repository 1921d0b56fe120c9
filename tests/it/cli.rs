//! The command with right and wrong arguments.

use crate::run::{Run, rooflens};
use std::path::Path;

const RESNET: &str = "models/resnet50.onnx";

#[track_caller]
fn refused(run: &Run, message: &str) {
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    assert!(run.stderr.starts_with("error: "), "{}", run.stderr);
    assert!(run.stderr.contains(message), "`{message}` is not in: {}", run.stderr);
    assert!(run.stderr.contains("\n\nhint: "), "{}", run.stderr);
    assert!(run.stdout.is_empty(), "{}", run.stdout);
}

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn files_that_are_not_models() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(format!("{}/{RESNET}", crate::run::ROOT)).unwrap();
    let cases: [(&str, &[u8], &str); 4] = [
        ("empty.onnx", b"", "is empty"),
        ("photo.onnx", b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG image"),
        ("short.onnx", &whole[..whole.len() / 2], "is cut short"),
        ("noise.onnx", b"not a model at all", "is not a valid ONNX model"),
    ];
    for (name, bytes, message) in cases {
        refused(&rooflens(&["analyze", &file(folder.path(), name, bytes)]), message);
    }
    refused(&rooflens(&["analyze", folder.path().to_str().unwrap()]), "is a directory");
    refused(&rooflens(&["analyze", "no/such/model.onnx"]), "cannot be read");
}

#[test]
fn arguments_that_do_not_fit() {
    let cases: [(&[&str], &str); 6] = [
        (&["--dim", "bacth=8"], "did you mean `batch`?"),
        (&["--dim", "batch"], "is not SYMBOL=N"),
        (&["--dim", "batch=-3"], "is not SYMBOL=N"),
        (&["--shape", "inptu=1x3x8x8"], "did you mean `input`?"),
        (&["--shape", "input=1x3"], "has 4 axes"),
        (&["--shape", "input=1x3x4611686018427387904x8"], "beyond any real tensor"),
    ];
    for (extra, message) in cases {
        let args = [&["analyze", RESNET], extra].concat();
        refused(&rooflens(&args), message);
    }
}

#[test]
fn json_is_exact() {
    let run = rooflens(&["analyze", RESNET, "--batch", "2", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["schema"], "rooflens.analysis/1");
    assert_eq!(report["totals"]["macs"], 2 * 4_089_184_256_u64);
    assert_eq!(report["totals"]["params"], 25_557_032);
    assert_eq!(report["formulas"]["macs"], "4089184256·batch");
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([2, 1000]));
    let macs: u64 =
        report["ops"].as_array().unwrap().iter().map(|o| o["macs"].as_u64().unwrap()).sum();
    assert_eq!(report["totals"]["macs"], macs);
}

#[test]
fn shape_replaces_what_the_file_says() {
    let args = ["analyze", RESNET, "--shape", "input=1x3x448x448", "--format", "json"];
    let report: serde_json::Value = serde_json::from_str(&rooflens(&args).stdout).unwrap();
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([1, 1000]));
    // Convolutions grow fourfold with the image, the classifier does not.
    assert_eq!(report["totals"]["macs"], 4 * (4_089_184_256_u64 - 2_048_000) + 2_048_000);
}

#[test]
fn every_form_is_written() {
    for (form, start) in [("table", "models/"), ("csv", "name,op_type,"), ("markdown", "## ")] {
        let run = rooflens(&["analyze", RESNET, "--format", form]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert!(run.stdout.starts_with(start), "{}", run.stdout);
    }
}

#[test]
fn operators_and_completions_are_listed() {
    assert!(rooflens(&["ops", "conv"]).stdout.contains("ConvTranspose"));
    assert!(rooflens(&["completions", "bash"]).stdout.contains("rooflens"));
}
