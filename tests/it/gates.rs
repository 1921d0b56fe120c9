//! What is not known is said: null, an empty cell or a dash, never a zero; and `check` refuses it.

use crate::cli::follows;
use crate::run::{Run, rooflens};
use crate::wire::{self, Message};
use serde_json::Value;
use std::path::Path;

/// A stored f32 tensor of these sizes.
pub(crate) fn weight(name: &str, sizes: &[i64]) -> Message {
    let tensor = sizes.iter().fold(Message::default(), |t, size| t.int(1, *size));
    let count: i64 = sizes.iter().product();
    let bytes = vec![0u8; usize::try_from(4 * count).unwrap()];
    tensor.int(2, 1).bytes(8, name).bytes(9, bytes)
}

/// A model file of a graph with stored tensors.
pub(crate) fn weighted(
    nodes: &[Message],
    weights: &[Message],
    inputs: &[Message],
    outputs: &[Message],
) -> Vec<u8> {
    let graph = wire::graph(nodes, inputs, outputs);
    let graph = weights.iter().fold(graph, |g, w| g.message(5, w));
    let opset = Message::default().bytes(1, "").int(2, 17);
    Message::default().int(1, 8).message(7, &graph).message(8, &opset).0
}

/// Relu of 12 numbers, then an operator that nobody knows, with all the weights there are.
fn partial(folder: &Path) -> String {
    let nodes = [wire::node("Relu", &["x"], &["h"]), wire::node("Frobnicate", &["h", "w"], &["y"])];
    let (x, y) = (wire::value("x", &["4", "3"]), wire::value("y", &["4", "3"]));
    let path = folder.join("partial.onnx");
    std::fs::write(&path, weighted(&nodes, &[weight("w", &[5, 5])], &[x], &[y])).unwrap();
    path.to_str().unwrap().to_owned()
}

fn json(args: &[&str]) -> Value {
    let run = rooflens(&[args, &["--format", "json"]].concat());
    let value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {}", run.stderr));
    follows(if args[0] == "check" { "check" } else { "analysis" }, &value);
    value
}

#[test]
fn a_number_that_is_not_known_is_no_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = partial(folder.path());
    let report = json(&["analyze", &path]);
    let unknown = &report["ops"][1];
    for field in ["macs", "flops", "int_ops", "bytes_read", "bytes_written", "intensity"] {
        assert_eq!(unknown[field], Value::Null, "{field}");
    }
    assert_eq!(report["groups"][1]["flops"], Value::Null);
    // One operation per element of the Relu; of products nothing is known.
    assert_eq!(report["totals"]["flops"], 12);
    assert_eq!(report["totals"]["macs"], Value::Null);
    assert_eq!(report["formulas"]["macs"], Value::Null);
    assert_eq!(report["formulas"]["flops"], "12");
    // Half of the nodes, and none of the weights.
    assert_eq!(report["coverage"]["percent"], 50.0);
    assert_eq!(report["coverage"]["weights_percent"], 0.0);

    let table = rooflens(&["analyze", &path]).stdout;
    for line in [
        "Frobnicate      1     –      –        –      –               –",
        "MACs              not known",
        "FLOPs             at least 12\n",
        "coverage          50.0 % (1 of 2 nodes); 0.0 % of the weight bytes",
    ] {
        assert!(table.contains(line), "`{line}` is not in: {table}");
    }
    let csv = rooflens(&["analyze", &path, "--format", "csv"]).stdout;
    assert!(csv.contains("\nFrobnicate_y,Frobnicate,unknown,,,,,,,unknown,0,1\n"), "{csv}");
}

/// Where every node is known, a total of zero is one.
#[test]
fn a_known_zero_stays_zero() {
    let report = json(&["analyze", "models/resnet50.onnx"]);
    assert_eq!(report["totals"]["int_ops"], 0);
    assert_eq!(report["coverage"]["weights_percent"], 100.0);
}

/// A weight that reaches a node of unknown cost through a node that constants alone decide.
#[test]
fn weights_behind_folded_nodes_are_held_too() {
    let folder = tempfile::tempdir().unwrap();
    let nodes = [
        wire::node("Identity", &["w"], &["same"]),
        wire::node("Frobnicate", &["x", "same"], &["h"]),
        wire::node("Add", &["h", "b"], &["y"]),
    ];
    let (x, y) = (wire::value("x", &["4"]), wire::value("y", &["4"]));
    let h = wire::value("h", &["4"]);
    let path = folder.path().join("m.onnx");
    let weights = [weight("w", &[12]), weight("b", &[4])];
    std::fs::write(&path, weighted(&nodes, &weights, &[x], &[y, h])).unwrap();
    let report = json(&["analyze", path.to_str().unwrap()]);
    assert_eq!(report["coverage"]["weights_percent"], 25.0, "{}", report["coverage"]);
}

#[track_caller]
fn ends(args: &[&str], code: i32) -> Run {
    let run = rooflens(args);
    assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

#[test]
fn a_check_refuses_what_it_cannot_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = partial(folder.path());
    let check = ["check", &path, "--max-macs", "10"];
    let run = ends(&check, 1);
    assert!(
        run.stdout.contains("BREACH  MACs                  not known of 10.0\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stdout.contains("BREACH  coverage                 50.0 % of 100 %"),
        "{}",
        run.stdout
    );
    ends(&[&check[..], &["--allow-unknown"]].concat(), 0);
    ends(&["check", &path, "--max-flops", "1G"], 1);
    ends(&["check", &path, "--max-flops", "1G", "--allow-unknown"], 0);
    ends(&["check", &path, "--max-flops", "11", "--allow-unknown"], 1);
    // Half of the nodes are known, but not the one with the weights.
    ends(&["check", &path, "--max-flops", "1G", "--min-coverage", "50"], 1);
    ends(&["check", &path, "--min-coverage", "0"], 0);
    let checked = json(&check);
    assert_eq!(checked["checks"][0]["found"], Value::Null);
    assert_eq!(checked["ok"], false);
}

/// What an unknown node leaves unknown is said with the node, though that itself may be unknown.
#[test]
fn a_strict_check_names_the_unknown_nodes_behind_an_unknown_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let nodes = [wire::node("Frobnicate", &["x"], &["h"]), wire::node("Relu", &["h"], &["y"])];
    let (x, y) = (wire::value("x", &["4", "3"]), wire::value("y", &["4", "3"]));
    std::fs::write(&path, wire::model(&nodes, &[x], &[y])).unwrap();
    let path = path.to_str().unwrap();
    let run = ends(&["check", path, "--max-flops", "1G", "--allow-unknown", "--strict"], 1);
    for said in ["nodes is unknown: Frobnicate × 1", "the size of 1 activation is unknown"] {
        assert!(run.stdout.contains(said), "{said}: {}", run.stdout);
    }
}

/// An input without a shape is held and read by nobody: the nodes are all known, what is held is not.
#[test]
fn a_size_that_is_not_known_adds_no_zero_to_the_peak() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let beside = Message::default().bytes(1, "beside");
    let (x, y) = (wire::value("x", &["4", "3"]), wire::value("y", &["4", "3"]));
    std::fs::write(&path, wire::model(&[wire::node("Relu", &["x"], &["y"])], &[x, beside], &[y]))
        .unwrap();
    let path = path.to_str().unwrap();
    let report = json(&["analyze", path]);
    assert_eq!(report["coverage"]["percent"], 100.0);
    assert_eq!(report["memory"]["activations_of_unknown_size"], 1);
    assert_eq!(report["totals"]["peak_activation_bytes"], 96);
    let said = report["diagnostics"].to_string();
    assert!(said.contains("the size of 1 activation is unknown"), "{said}");
    let table = rooflens(&["analyze", path]).stdout;
    assert!(table.contains("peak activations  at least 96 B"), "{table}");
    let strict = rooflens(&["analyze", path, "--strict"]);
    assert_eq!(strict.code, 1);
    assert!(
        strict.stderr.contains("peak activations: the size of 1 activation"),
        "{}",
        strict.stderr
    );
    // What is known may be above the limit; else nothing is.
    for limit in ["--max-peak", "--max-memory"] {
        for (most, found) in [("1kB", Value::Null), ("90", 96.0.into())] {
            let check = json(&["check", path, limit, most]);
            assert_eq!(
                (&check["ok"], &check["checks"][0]["found"]),
                (&false.into(), &found),
                "{most}"
            );
        }
        assert_eq!(json(&["check", path, limit, "1kB", "--allow-unknown"])["ok"], true);
    }
    let on = ["check", path, "--on", "t4", "--min-coverage", "50"];
    assert_eq!(json(&on)["ok"], false);
}

/// A cache of an undefined element type, handed on: as many bytes as nobody knows.
#[test]
fn a_cache_of_unknown_size_is_not_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    let shape = ["1", "2", "9", "8"];
    let inputs = [wire::typed("past", 0, &shape), wire::value("x", &["4"])];
    let outputs = [wire::typed("present", 0, &shape), wire::value("y", &["4"])];
    let nodes =
        [wire::node("Identity", &["past"], &["present"]), wire::node("Relu", &["x"], &["y"])];
    std::fs::write(&path, wire::model(&nodes, &inputs, &outputs)).unwrap();
    let path = path.to_str().unwrap();
    let report = json(&["analyze", path]);
    assert_eq!(report["memory"]["kv_cache_bytes"], Value::Null);
    assert_eq!(report["memory"]["caches_of_unknown_size"], 1);
    let table = rooflens(&["analyze", path]).stdout;
    assert!(table.contains("KV cache          not known"), "{table}");
}

/// A device file without the size of its memory: the model cannot be held against it, and the answer says so.
#[test]
fn a_memory_that_is_not_known_is_not_passed_over() {
    let resnet = "models/resnet50.onnx";
    let alone = rooflens(&["check", resnet, "--on", "rpi4-bcm2711"]);
    assert_eq!(alone.code, 2);
    assert!(alone.stderr.contains("the memory of `rpi4-bcm2711` is not known"), "{}", alone.stderr);
    let time = json(&["check", resnet, "--on", "rpi4-bcm2711", "--max-latency", "9s"]);
    let assumed = time["assumed"].to_string();
    assert!(assumed.contains("fits into the memory of rpi4-bcm2711"), "{assumed}");
}

/// At sizes that the operator's definition rules out, a node is not counted (ONNX: `STFT`, `DepthToSpace`,
/// `SpaceToDepth`); at others it is.
#[test]
fn sizes_that_an_operator_cannot_take_are_not_counted() {
    let int = |name: &str, n: i64| Message::default().bytes(1, name).int(20, 2).int(3, n);
    let constant = |name: &str, n: i64| {
        let tensor = Message::default().int(2, 7).bytes(9, n.to_le_bytes());
        let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &tensor);
        wire::node("Constant", &[], &[name]).message(5, &attribute)
    };
    let spectrum = [
        constant("step", 4),
        constant("frame", 16),
        wire::node("STFT", &["x", "step", "", "frame"], &["y"]),
    ];
    let blocks = |op: &str| [wire::node(op, &["x"], &["y"]).message(5, &int("blocksize", 2))];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    for (nodes, x, good, bad) in [
        (&spectrum[..], &["1", "n", "1"][..], "16", "8"),
        (&blocks("DepthToSpace"), &["1", "n", "3", "3"], "8", "10"),
        (&blocks("SpaceToDepth"), &["1", "3", "n", "4"], "6", "7"),
    ] {
        let y = Message::default().bytes(1, "y");
        std::fs::write(&path, wire::model(nodes, &[wire::value("x", x)], &[y])).unwrap();
        let at = |n: &str| {
            let report = json(&["analyze", path.to_str().unwrap(), "--dim", &format!("n={n}")]);
            report["coverage"]["percent"].as_f64().unwrap()
        };
        assert!(at(good) > 99.0 && at(bad) < 99.0, "{x:?}: {} and {}", at(good), at(bad));
    }
}
