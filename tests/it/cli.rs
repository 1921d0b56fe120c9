//! The command with right and wrong arguments.

use crate::run::steadily;
use crate::run::{Run, rooflens};
use crate::wire;
use serde_json::Value;
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

pub(crate) fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn files_that_are_not_models() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(format!("{}/{RESNET}", crate::run::ROOT)).unwrap();
    let cases: [(&str, &[u8], &str); 5] = [
        ("empty.onnx", b"", "is empty"),
        ("photo.onnx", b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG image"),
        ("short.onnx", &whole[..whole.len() / 2], "is cut short"),
        ("noise.onnx", b"\x08\x09\xfe\0\x91", "is not a valid ONNX model"),
        ("README.md", "# Was w\u{e4}re wenn\n".as_bytes(), "is a text, not a model"),
    ];
    for (name, bytes, message) in cases {
        refused(&rooflens(&["analyze", &file(folder.path(), name, bytes)]), message);
    }
    refused(&rooflens(&["analyze", folder.path().to_str().unwrap()]), "is a directory");
    refused(&rooflens(&["analyze", "no/such/model.onnx"]), "cannot be read");
}

#[test]
fn graphs_that_contradict_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let relu = |from: &str, to: &str| wire::node("Relu", &[from], &[to]);
    let add = |a: &str, b: &str, to: &str| wire::node("Add", &[a, b], &[to]);
    let (x, y) = (wire::value("x", &["2", "3"]), wire::value("y", &["2", "3"]));
    let cycle = wire::model(
        &[add("x", "b", "a"), relu("a", "b")],
        std::slice::from_ref(&x),
        &[wire::value("b", &[])],
    );
    let sized = |size: &str| {
        wire::model(&[relu("x", "y")], &[wire::value("x", &["1", size])], std::slice::from_ref(&y))
    };
    let dangling = wire::model(
        &[add("x", "nowhere", "y")],
        std::slice::from_ref(&x),
        std::slice::from_ref(&y),
    );
    let twice = wire::model(&[relu("x", "y"), relu("x", "y")], &[x], std::slice::from_ref(&y));
    for (name, bytes, message) in [
        ("cycle.onnx", cycle, "nodes wait for each other: `Add_a`, `Relu_b`"),
        ("huge.onnx", sized("4611686018427387904"), "4611686018427387904"),
        ("negative.onnx", sized("-5"), "-5"),
        ("dangling.onnx", dangling, "value `nowhere`: is read, and nothing makes it"),
        ("twice.onnx", twice, "`y`"),
    ] {
        refused(&rooflens(&["analyze", &file(folder.path(), name, &bytes)]), message);
    }
}

#[test]
fn unknown_operators_lower_the_coverage() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = [wire::node("Relu", &["x"], &["h"]), wire::node("Frobnicate", &["h"], &["y"])];
    let (x, y) = (wire::value("x", &["batch", "3"]), wire::value("y", &["batch", "3"]));
    let path = file(folder.path(), "odd.onnx", &wire::model(&nodes, &[x], &[y]));
    let run = rooflens(&["analyze", &path, "--batch", "4"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("coverage          50.0 % (1 of 2 nodes)"), "{}", run.stdout);
    assert!(run.stdout.contains("unknown: Frobnicate × 1: not in the totals"), "{}", run.stdout);
    assert_eq!(rooflens(&["analyze", &path, "--strict"]).code, 1);
    let report = json(&["analyze", &path, "--batch", "4", "--format", "json"]);
    assert_eq!(report["coverage"]["unknown"]["Frobnicate"], 1);
    assert_eq!(report["ops"][1]["status"], "unknown");
    assert_eq!(report["totals"]["flops"], 12);
    // What the file says of the output stands in for what cannot be inferred.
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([4, 3]));
}

#[test]
fn what_follows_from_a_failure_is_counted_and_not_listed() {
    let args = ["analyze", RESNET, "--shape", "input=1x4x224x224", "--by", "total"];
    let run = rooflens(&args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("MACs              not known\n"), "{}", run.stdout);
    let remarks: Vec<&str> = run.stdout.lines().filter(|l| l.starts_with("incomplete: ")).collect();
    assert_eq!(
        remarks,
        [
            "incomplete: `/conv1/Conv`: Conv: input has 4 channels, weights expect 3",
            "incomplete: `graph`: 174 more nodes lack what these would give them"
        ]
    );
    assert_eq!(rooflens(&[args.as_slice(), &["--strict"]].concat()).code, 1);
}

#[test]
fn devices_that_are_not_known() {
    refused(&rooflens(&["analyze", RESNET, "--on", "h10"]), "did you mean `nvidia-h100");
    refused(&rooflens(&["hw", "show", "v10"]), "did you mean `nvidia-v100");
    refused(&rooflens(&["hw", "show", "zzzzzzzzzzzz"]), "no device is called `zzzzzzzzzzzz`");
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

/// The report of a run that ends well, which follows its schema.
#[track_caller]
fn json(args: &[&str]) -> Value {
    let run = rooflens(args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report = serde_json::from_str(&run.stdout).unwrap();
    follows("analysis", &report);
    report
}

#[track_caller]
pub(crate) fn follows(schema: &str, report: &Value) {
    let path = format!("{}/schemas/{schema}.schema.json", crate::run::ROOT);
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(report).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn json_is_exact() {
    let report = json(&["analyze", RESNET, "--batch", "2", "--format", "json", "--on", "v100"]);
    assert_eq!(report["bounds"][0]["bound"], "compute");
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
    let report = json(&args);
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
fn every_shipped_model_follows_the_schema() {
    for name in ["mobilenet_v2", "inception_v3", "vit_b_16", "bert_base", "gpt2"] {
        json(&["analyze", &format!("models/{name}.onnx"), "--format", "json"]);
    }
}

/// The main job, start to end, and again beside the first report.
#[test]
fn assess_measures_and_never_overwrites() {
    steadily(|| {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("report");
        let args = ["assess", "--seconds", "0.4", "-o", out.to_str().unwrap()];
        let run = rooflens(&args);
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        for words in ["bound by", "single stream", "all cores", "assumed    batch = 1"] {
            assert!(run.stdout.contains(words), "`{words}` is not in: {}", run.stdout);
        }
        let stdout = &run.stdout;
        let text = std::fs::read_to_string(out.join("report.json")).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        follows("assessment", &report);
        assert_eq!(report["analysis"]["totals"]["macs"], 300_774_272);
        for run in report["measured"].as_array().unwrap() {
            assert!(run["count"].as_u64().unwrap() > 0, "{run}");
            assert_eq!(run["errors"], 0, "{run}");
            let verdict = run["verdict"]["verdict"].as_str().unwrap();
            assert!(stdout.contains(verdict) && verdict != "CLIENT-LIMITED", "{run}");
            let p50 = &run["percentiles"][0];
            let [low, p50, high] =
                ["low_seconds", "seconds", "high_seconds"].map(|of| p50[of].as_f64().unwrap());
            assert!(low <= p50 && p50 <= high, "{run}");
            // All workers at once, each one inference after the other.
            let (rate, mean) = (&run["throughput_per_second"], &run["mean_seconds"]);
            let in_flight = rate.as_f64().unwrap() * mean.as_f64().unwrap();
            assert!(in_flight <= 1.001 * run["workers"].as_f64().unwrap(), "{run}");
            // A bound that a measurement beats is no bound.
            assert!(run["gap"]["total"].as_f64().unwrap() >= 1.0, "{run}");
        }
        let svg = std::fs::read_to_string(out.join("roofline.svg")).unwrap();
        assert!(svg.contains("single stream") && svg.contains("ridge"), "{svg}");
        let png = std::fs::read(out.join("roofline.png")).unwrap();
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
        let again = rooflens(&args);
        assert!(again.stdout.contains("report-2/"), "{}", again.stdout);
        assert_eq!(std::fs::read_to_string(out.join("report.json")).unwrap(), text);

        let drawn = folder.path().join("drawn.svg");
        let (report, drawn) = (out.join("report.json"), drawn.to_str().unwrap());
        let report = report.to_str().unwrap();
        assert_eq!(rooflens(&["plot", report, "-o", drawn]).code, 0);
        assert!(std::fs::read_to_string(drawn).unwrap().contains("all cores"));
        refused(&rooflens(&["plot", report, "-o", drawn]), "already exists");
        let both = ["plot", report, "--on", "t4", "--on", "v100", "-o", drawn, "--force"];
        assert_eq!(rooflens(&both).code, 0);
        refused(
            &rooflens(&["plot", report, "--on", "t4", "--dtype", "f8", "-o", "no.svg"]),
            "no known f8 roof",
        );
    });
}

#[test]
fn plot_needs_a_report_and_a_roof() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("analysis.json");
    let path = path.to_str().unwrap();
    assert_eq!(rooflens(&["analyze", RESNET, "--format", "json", "-o", path]).code, 0);
    refused(&rooflens(&["plot", path, "-o", "no.svg"]), "alone has no roof");
    refused(&rooflens(&["plot", RESNET, "--on", "t4", "-o", "no.svg"]), "cannot be read");
    let other = file(folder.path(), "other.json", b"{\"a\": 1}");
    refused(&rooflens(&["plot", &other, "--on", "t4", "-o", "no.svg"]), "is not a report");
}

#[test]
fn operators_and_completions_are_listed() {
    assert!(rooflens(&["ops", "conv"]).stdout.contains("ConvTranspose"));
    assert!(rooflens(&["completions", "bash"]).stdout.contains("rooflens"));
}
