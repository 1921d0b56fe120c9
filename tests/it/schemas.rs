//! Every command that prints JSON follows a schema of `schemas/`.

use crate::cli::follows;
use crate::run::{rooflens, rooflens_with, steadily};
use serde_json::Value;

/// The JSON of a run, which ends with this code and follows this schema.
#[track_caller]
fn printed(schema: &str, code: i32, args: &[&str]) -> Value {
    let run = rooflens(&[args, &["--format", "json"]].concat());
    assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
    let value = serde_json::from_str(&run.stdout).unwrap();
    follows(schema, &value);
    value
}

#[test]
fn operators_and_devices() {
    let operators = printed("operators", 0, &["ops"]);
    assert!(operators.as_array().unwrap().len() > 250);
    assert!(printed("devices", 0, &["hw", "list"]).as_array().unwrap().len() >= 76);
    printed("devices", 0, &["hw", "compare", "t4", "orin"]);
    let device = rooflens(&["hw", "show", "h100", "--format", "json"]);
    follows("devices", &Value::Array(vec![serde_json::from_str(&device.stdout).unwrap()]));
    printed("hw_check", 0, &["hw", "check", "--all"]);
    printed("host", 0, &["hw", "detect"]);
}

#[test]
fn limits_and_differences() {
    let resnet = "models/resnet50.onnx";
    let limits = ["check", resnet, "--max-flops", "1G", "--max-params", "26M"];
    let breach = printed("check", 1, &[&limits[..], &["--min-coverage", "100"]].concat());
    let of = |name: &str| {
        breach["checks"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone()
    };
    assert_eq!((&breach["ok"], &of("FLOPs")["ok"]), (&false.into(), &false.into()));
    assert_eq!((&of("parameters")["ok"], &of("coverage")["found"]), (&true.into(), &100.0.into()));
    // What was taken for granted is part of the answer.
    let bert = ["check", "models/bert_base.onnx", "--max-params", "1G"];
    assert!(!printed("check", 0, &bert)["assumed"].as_array().unwrap().is_empty());

    let diff = ["diff", "models/bert_base.onnx", "models/gpt2.onnx"];
    let diff = printed("diff", 0, &diff);
    assert!(diff["totals"].as_array().unwrap().iter().any(|r| r["name"] == "fused traffic"));
    assert!(!diff["remarks"].as_array().unwrap().is_empty());
}

#[test]
fn a_measured_machine() {
    steadily(|| {
        let config = tempfile::tempdir().unwrap();
        let args = ["hw", "measure", "--save", "--anyway", "--repeats", "3", "--format", "json"];
        let run = rooflens_with(&[("XDG_CONFIG_HOME", config.path())], &args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        follows("survey", &serde_json::from_str(&run.stdout).unwrap());
        let shown = ["hw", "compare", "host", "host-one-thread", "--format", "json"];
        let shown = rooflens_with(&[("XDG_CONFIG_HOME", config.path())], &shown);
        follows("devices", &serde_json::from_str(&shown.stdout).unwrap());
    });
}
