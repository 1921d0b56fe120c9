//! `rooflens assess` on models that runtimes refuse: counts, ceilings and the chart are kept, and why is said.

use crate::cli::file;
use crate::cli::follows;
use crate::oracles::int;
use crate::run::{ROOT, Run, rooflens, rooflens_with};
use crate::wire::{Message, graph, model, node, typed, value};
use serde_json::Value;
use std::path::Path;

/// The report of an assessment that ends with this code.
#[track_caller]
fn assessed(code: i32, args: &[&str], library: Option<&Path>) -> (Run, Value) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report");
    let args = [&["assess", "--seconds", "0.2", "-o", out.to_str().unwrap()], args].concat();
    let none = Path::new("/no-such-library");
    let run = rooflens_with(&[("ORT_DYLIB_PATH", library.unwrap_or(none))], &args);
    assert_eq!(run.code, code, "{}{}", run.stdout, run.stderr);
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    follows("assessment", &report);
    let svg = std::fs::read_to_string(out.join("roofline.svg")).unwrap();
    assert!(svg.contains("DRAM"), "{svg}");
    assert!(std::fs::read(out.join("roofline.png")).unwrap().starts_with(b"\x89PNG"));
    (run, report)
}

/// A model that nothing ran: what is counted and measured is there, and what is not is said.
#[track_caller]
fn refused(args: &[&str]) -> (Run, Value) {
    let (run, report) = assessed(1, args, None);
    assert!(report["machine"]["peak_flops_all_threads"].as_f64().unwrap() > 0.0);
    assert!(report["analysis"]["coverage"]["nodes"].as_u64().unwrap() > 0);
    assert_eq!(report["measured"], Value::Array(Vec::new()));
    assert_eq!(report["runtime"], Value::Null);
    for words in ["not measured: ", "costs and ceilings hold", "rooflens probe"] {
        assert!(run.stdout.contains(words), "`{words}` is not in {}", run.stdout);
    }
    assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
    (run, report)
}

/// onnxruntime's library: `ORT_DYLIB_PATH`, or that of the Python environment; the test is skipped without one.
fn library() -> Option<std::path::PathBuf> {
    rooflens::runtime::ort::find_library(None).ok()
}

#[test]
fn a_detector_that_tract_refuses_keeps_its_counts() {
    let (run, report) = refused(&["tests/models/ssdlite.onnx"]);
    let refusals = report["refusals"].as_array().unwrap();
    assert_eq!(
        (&refusals[0]["runtime"], &refusals[0]["kind"]),
        (&"tract".into(), &"shapes".into())
    );
    assert_eq!((&refusals[0]["node"], &refusals[0]["operator"]), (&"If_4414".into(), &"If".into()));
    assert_eq!((&refusals[1]["runtime"], &refusals[1]["kind"]), (&"ort".into(), &"runtime".into()));
    let words = "tract cannot settle the shapes at node `If_4414` (If)";
    assert!(run.stdout.contains(words), "{}", run.stdout);
}

#[test]
fn an_operator_that_nobody_has_is_named_with_its_node() {
    let folder = tempfile::tempdir().unwrap();
    let own = node("Frobnicate", &["x"], &["y"]).bytes(3, "the_node").bytes(7, "com.example");
    let bytes = model(&[own], &[value("x", &["4"])], &[value("y", &["4"])]);
    let path = file(folder.path(), "own.onnx", &bytes);
    let (_, report) = refused(&[&path]);
    let first = &report["refusals"][0];
    assert_eq!((&first["kind"], &first["operator"]), (&"operator".into(), &"Frobnicate".into()));
    assert_eq!(first["node"], "the_node");
    if let Some(library) = library() {
        let (_, report) = assessed(1, &[&path], Some(&library));
        let second = &report["refusals"][1];
        assert_eq!((&second["kind"], &second["runtime"]), (&"operator".into(), &"ort".into()));
        assert!(second["reason"].as_str().unwrap().contains("Frobnicate"), "{second}");
    }
}

/// Weights in a Constant node that names another file are random, as those of the graph are.
#[test]
fn constants_in_another_file_are_generated() {
    let folder = tempfile::tempdir().unwrap();
    let place = Message::default().bytes(1, "location").bytes(2, "absent.bin");
    let tensor = Message::default().int(1, 8).int(1, 4).int(2, 1).bytes(8, "w");
    let tensor = tensor.message(13, &place).int(14, 1);
    let held = Message::default().bytes(1, "value").message(5, &tensor).int(20, 4);
    let constant = node("Constant", &[], &["w"]).message(5, &held);
    let nodes = [constant, node("MatMul", &["x", "w"], &["y"])];
    let bytes = model(&nodes, &[value("x", &["2", "8"])], &[value("y", &["2", "4"])]);
    let path = file(folder.path(), "constant.onnx", &bytes);
    let (_, report) = assessed(0, &[&path, "--runtime", "tract"], None);
    assert_eq!(report["weights"], "random: the file lacks 1 tensors (128 B)");
    assert_eq!(report["analysis"]["totals"]["macs"], 64);
}

/// Texts are fed to onnxruntime; a value that is given reaches the runtime: one row is gathered of four.
#[test]
fn values_that_are_given_are_fed() {
    let folder = tempfile::tempdir().unwrap();
    let gather = node("Gather", &["x", "at"], &["y"]).message(5, &int("axis", 0));
    let inputs = [value("x", &["4"]), typed("at", 7, &["1"])];
    let bytes = model(&[gather], &inputs, &[value("y", &["1"])]);
    let path = file(folder.path(), "gather.onnx", &bytes);
    assessed(0, &[&path, "--runtime", "tract", "--value", "at=3"], None);
    // The fifth of four: the runtime sees what was given, and says so.
    let (_, report) = refused(&[&path, "--runtime", "tract", "--value", "at=5"]);
    assert!(report["refusals"][0]["message"].is_string(), "{report}");
}

#[test]
fn the_next_runtime_runs_what_one_refuses() {
    let Some(library) = library() else { return };
    let half = "tests/models/resnet18_fp16.onnx";
    let (run, report) = assessed(0, &[half, "--batch", "2"], Some(&library));
    assert!(report["runtime"].as_str().unwrap().starts_with("onnxruntime "), "{report}");
    assert_eq!(report["refusals"][0]["runtime"], "tract");
    assert_eq!(report["refusals"][0]["node"], "/fc/Gemm");
    assert_eq!((&report["not_measured"], &report["advice"]), (&Value::Null, &Value::Null));
    assert_eq!(report["analysis"]["bindings"]["batch"], 2);
    assert!(run.stdout.contains("tract refuses node `/fc/Gemm` (Gemm)"), "{}", run.stdout);
    let texts = graph(
        &[node("Identity", &["x"], &["y"])],
        &[typed("x", 8, &["3"])],
        &[typed("y", 8, &["3"])],
    );
    let folder = tempfile::tempdir().unwrap();
    let set = Message::default().bytes(1, "").int(2, 18);
    let bytes = Message::default().int(1, 8).message(7, &texts).message(8, &set).0;
    let path = file(folder.path(), "texts.onnx", &bytes);
    let (_, report) = assessed(0, &[&path, "--runtime", "ort"], Some(&library));
    assert!(report["measured"][0]["count"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn language_models_and_caches_keep_their_counts() {
    let merged = "tests/networks/llama_merged.onnx";
    let given = ["--dim", "past=4", "--dim", "seq=1", "--value", "use_cache_branch=true"];
    let (_, report) = refused(&[&[merged][..], &given].concat());
    assert_eq!(report["analysis"]["bindings"]["past"], 4);
    assert_eq!(report["refusals"][0]["kind"], "shapes");
    let folder = tempfile::tempdir().unwrap();
    let config = r#"{"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64,
        "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2,
        "vocab_size": 100, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "hidden_act": "silu",
        "torch_dtype": "float32"}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    // tract 0.23 panics on its translation.
    let (run, report) = refused(&[folder.path().to_str().unwrap()]);
    assert_eq!(report["refusals"][0]["kind"], "panic");
    assert!(report["analysis"]["totals"]["params"].as_u64().unwrap() > 6400, "{report}");
    assert!(run.stdout.contains("not measured"), "{}", run.stdout);
}

#[test]
fn flags_are_those_of_analyze() {
    let help = rooflens(&["assess", "--help"]).stdout;
    for flag in
        ["--dim", "--batch", "--shape", "--value", "--signature", "--output-node", "--runtime"]
    {
        assert!(help.contains(flag), "{flag} is not in {help}");
    }
    let unknown =
        rooflens(&["assess", &format!("{ROOT}/models/resnet50.onnx"), "--dim", "batsh=2"]);
    assert!(
        unknown.code == 2 && unknown.stderr.contains("did you mean `batch`?"),
        "{}",
        unknown.stderr
    );
}
