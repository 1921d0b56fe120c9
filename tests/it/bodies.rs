//! Nodes inside branches, loops, scans and functions: what they hold and move, and their rows. Numbers
//! are computed by hand beside each model.

use crate::oracles::{analyzed, int, total, with};
use crate::run::rooflens;
use crate::wire::{Message, graph, model, node, typed, value};
use serde_json::{Value, json};

const BOOL: i64 = 9;

/// A float tensor of zeros.
fn zeros(name: &str, sizes: &[i64]) -> Message {
    let count: i64 = sizes.iter().product();
    let tensor = sizes.iter().fold(Message::default(), |t, n| t.int(1, *n));
    tensor.int(2, 1).bytes(8, name).bytes(9, vec![0; usize::try_from(4 * count).unwrap()])
}

fn number(name: &str, value: i64) -> Message {
    Message::default().int(2, 7).bytes(8, name).bytes(9, value.to_le_bytes())
}

fn truth(name: &str) -> Message {
    Message::default().int(2, BOOL).bytes(8, name).bytes(9, [1])
}

fn body(name: &str, nodes: &[Message], inputs: &[Message], outputs: &[&str]) -> Message {
    let outputs: Vec<Message> =
        outputs.iter().map(|name| Message::default().bytes(1, name)).collect();
    Message::default().bytes(1, name).int(20, 5).message(6, &graph(nodes, inputs, &outputs))
}

/// A model with stored tensors.
fn stored(nodes: &[Message], inputs: &[Message], outputs: &[&str], weights: &[Message]) -> Vec<u8> {
    let outputs: Vec<Message> = outputs.iter().map(|name| value(name, &[])).collect();
    let whole = weights.iter().fold(graph(nodes, inputs, &outputs), |g, w| g.message(5, w));
    let opset = Message::default().bytes(1, "").int(2, 17);
    Message::default().int(1, 8).message(7, &whole).message(8, &opset).0
}

/// Five rounds of a product with a weight of the graph around, each giving a row.
fn looped() -> Vec<u8> {
    let nodes = [
        node("Identity", &["go"], &["again"]),
        node("MatMul", &["h", "w"], &["next"]),
        node("Relu", &["next"], &["row"]),
    ];
    let inputs = [typed("i", 7, &[]), typed("c", BOOL, &[]), value("h", &["1", "100"])];
    let rounds = body("body", &nodes, &inputs, &["again", "next", "row"]);
    let nodes = [with(node("Loop", &["rounds", "go", "x"], &["last", "rows"]), &[rounds])];
    let weights = [number("rounds", 5), truth("go"), zeros("w", &[100, 100])];
    stored(&nodes, &[value("x", &["1", "100"])], &["last", "rows"], &weights)
}

fn bytes(report: &Value) -> u64 {
    total(report, "bytes_read") + total(report, "bytes_written")
}

/// The rows of a body are parts of the row around them: their time counts once.
#[test]
fn the_time_of_a_body_counts_once() {
    let report = analyzed(&looped(), &["--on", "v100"]);
    let bound = &report["bounds"][0];
    let unfused = bound["runs"].as_array().unwrap().iter().find(|r| r["name"] == "unfused");
    let seconds = |value: &Value| value.as_f64().unwrap();
    let (sum, whole) =
        (seconds(&unfused.unwrap()["seconds"]), seconds(&bound["node_by_node_seconds"]));
    assert!((sum / whole - 1.0).abs() < 1e-9, "{sum} and {whole}");
}

#[test]
fn rounds_of_a_loop_count_where_they_are() {
    let report = analyzed(&looped(), &[]);
    // A round: the product reads 400 and 40,000 bytes and writes 400, Relu reads and writes 400.
    assert_eq!(bytes(&report), 5 * (40_800 + 800));
    // As one kernel, which gives both of its values out.
    assert_eq!(total(&report, "fused_bytes"), 5 * (40_400 + 800));
    // The state stays on the chip: x and the weights are read once; the last state and five rows written.
    assert_eq!(total(&report, "compulsory_bytes"), 400 + 40_000 + 400 + 5 * 400);
    // x and the five rows outside; inside, two values of 400 bytes at a time.
    assert_eq!(total(&report, "peak_activation_bytes"), 400 + 2000 + 800);
    assert_eq!(report["memory"]["best_order_bytes"], 3200);
}

#[test]
fn nodes_of_bodies_have_rows() {
    let report = analyzed(&looped(), &[]);
    let ops = report["ops"].as_array().unwrap();
    let names: Vec<_> = ops.iter().map(|op| op["op_type"].as_str().unwrap()).collect();
    assert_eq!(names, ["Loop", "Identity", "MatMul", "Relu"]);
    assert!(ops[0].get("depth").is_none() && ops[0].get("parent").is_none());
    let product = &ops[2];
    assert_eq!(
        [&product["depth"], &product["parent"], &product["body"], &product["times"]],
        [&json!(1), &json!(0), &json!("body"), &json!(5)]
    );
    assert_eq!(product["macs"], 50_000, "all rounds");
    assert_eq!(ops[0]["macs"], 50_000, "and once more in the row of the loop");
    assert_eq!(total(&report, "macs"), 50_000, "but not in the total");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("loop.onnx");
    std::fs::write(&path, looped()).unwrap();
    let run = |format: &str| {
        rooflens(&["analyze", path.to_str().unwrap(), "--by", "op", "--format", format]).stdout
    };
    let table = run("table");
    let lines: Vec<&str> = table.lines().filter(|l| l.contains("MatMul")).collect();
    assert!(lines.len() == 1 && lines[0].starts_with("\u{a0}\u{a0}MatMul"), "{table}");
    let csv = run("csv");
    assert!(csv.lines().next().unwrap().ends_with(",depth,times"), "{csv}");
    assert!(csv.lines().any(|l| l.starts_with("MatMul") && l.ends_with(",1,5")), "{csv}");
    assert!(run("markdown").contains("| \u{a0}\u{a0}MatMul"));
}

/// An outer product and its Relu, 40,000 bytes each, inside a branch inside a branch.
#[test]
fn what_a_branch_holds_is_alive_with_what_is_around_it() {
    let product = [
        node("Transpose", &["x"], &["t"]),
        node("MatMul", &["t", "x"], &["a"]),
        node("Relu", &["a"], &["b"]),
        with(node("ReduceSum", &["b"], &["s"]), &[int("keepdims", 0)]),
    ];
    let sum = |output: &str| [with(node("ReduceSum", &["x"], &[output]), &[int("keepdims", 0)])];
    let inner =
        [body("then_branch", &product, &[], &["s"]), body("else_branch", &sum("n"), &[], &["n"])];
    let nested = [with(node("If", &["g"], &["m"]), &inner)];
    let outer =
        [body("then_branch", &nested, &[], &["m"]), body("else_branch", &sum("o"), &[], &["o"])];
    let nodes = [
        with(node("If", &["f"], &["y"]), &outer),
        // Alive beside the branch: 4,000 bytes.
        node("Relu", &["other"], &["z"]),
    ];
    let inputs = [
        value("x", &["1", "100"]),
        typed("f", BOOL, &[]),
        typed("g", BOOL, &[]),
        value("other", &["1000"]),
    ];
    let file = model(&nodes, &inputs, &[value("y", &[]), value("z", &[])]);
    let taken = analyzed(&file, &["--value", "f=true", "--value", "g=true"]);
    // Both squares and the other input; x and the flags are not needed any more.
    assert_eq!(total(&taken, "peak_activation_bytes"), 80_000 + 4000);
    // Which branch is taken is not known: the larger counts.
    let open = analyzed(&file, &[]);
    assert_eq!(total(&open, "peak_activation_bytes"), 84_000);
    let other = analyzed(&file, &["--value", "f=false"]);
    assert!(total(&other, "peak_activation_bytes") < 9000);
    let deepest = |report: &Value| {
        let depth = |op: &Value| op["depth"].as_u64().unwrap_or(0);
        report["ops"].as_array().unwrap().iter().map(depth).max()
    };
    assert_eq!((deepest(&taken), deepest(&other)), (Some(2), Some(1)));
}

/// A weight that only branches read is moved once; of branches that may be taken, the larger.
#[test]
fn branches_read_the_weights_of_the_graph_around() {
    let product = |name: &str, weight: &str| {
        body(name, &[node("MatMul", &["x", weight], &["inner"])], &[], &["inner"])
    };
    let both = [product("then_branch", "narrow"), product("else_branch", "wide")];
    let nodes = [with(node("If", &["flag"], &["y"]), &both)];
    let inputs = [value("x", &["2", "16"]), typed("flag", BOOL, &[])];
    let weights = [zeros("narrow", &[16, 4]), zeros("wide", &[16, 64])];
    let file = stored(&nodes, &inputs, &["y"], &weights);
    // x, the weights and the result.
    for (flag, columns) in [("flag=true", 4), ("flag=false", 64)] {
        let report = analyzed(&file, &["--value", flag]);
        assert_eq!(total(&report, "compulsory_bytes"), 128 + 64 * columns + 8 * columns, "{flag}");
    }
    let open = analyzed(&file, &[]);
    assert_eq!(total(&open, "compulsory_bytes"), 128 + 64 * 64 + 8 * 64);
    // Whatever is taken, x is read, and no fewer weights and results than the narrow branch has.
    let sure = total(&open, "compulsory_bytes") - total(&open, "bound_bytes");
    assert!((128 + 32..=128 + 64 * 4 + 32).contains(&sure), "{sure}");
}

/// Rows that are scanned are read each in its turn.
#[test]
fn a_scan_reads_and_writes_every_row() {
    let nodes = [node("Add", &["h", "row"], &["next"]), node("Relu", &["next"], &["out"])];
    let inputs = [value("h", &["10"]), value("row", &["10"])];
    let rows = body("body", &nodes, &inputs, &["next", "out"]);
    let scan =
        with(node("Scan", &["start", "x"], &["last", "all"]), &[rows, int("num_scan_inputs", 1)]);
    let inputs = [value("start", &["10"]), value("x", &["n", "10"])];
    let file = model(&[scan], &inputs, &[value("last", &[]), value("all", &[])]);
    let report = analyzed(&file, &["--dim", "n=7"]);
    assert_eq!(total(&report, "compulsory_bytes"), 40 + 7 * 40 + 40 + 7 * 40);
    // Unfused, Add reads two rows and writes one, Relu reads and writes one, seven times.
    assert_eq!(bytes(&report), 7 * 5 * 40);
    // Outside: the start, seven rows in, seven out; inside: the state, and what is made of it.
    assert_eq!(total(&report, "peak_activation_bytes"), 40 + 280 + 280 + 80);
}

/// IR version 10: functions of one name that differ in their overload are functions of their own.
#[test]
fn overloads_of_functions_are_functions_of_their_own() {
    let function = |overload: &str, nodes: &[Message]| {
        let function = Message::default().bytes(1, "Layer").bytes(4, "x").bytes(5, "y");
        let function = nodes.iter().fold(function, |f, n| f.message(7, n));
        let opset = Message::default().bytes(1, "").int(2, 17);
        function.message(9, &opset).bytes(10, "mine").bytes(13, overload)
    };
    let call = |overload: &str, from: &str, to: &str| {
        node("Layer", &[from], &[to]).bytes(7, "mine").bytes(8, overload)
    };
    let square = [node("MatMul", &["x", "x"], &["y"])];
    let twice = [node("MatMul", &["x", "x"], &["t"]), node("MatMul", &["t", "x"], &["y"])];
    let nodes = [call("once", "x", "h"), call("twice", "h", "y")];
    let whole = graph(&nodes, &[value("x", &["4", "4"])], &[value("y", &[])]);
    let opset = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let file = Message::default().int(1, 10).message(7, &whole);
    let file = file.message(8, &opset("", 17)).message(8, &opset("mine", 1));
    let file = file.message(25, &function("once", &square)).message(25, &function("twice", &twice));
    let report = analyzed(&file.0, &[]);
    assert_eq!(total(&report, "macs"), 3 * 64, "one product, then two");
    assert_eq!(report["coverage"]["percent"], 100.0);
}
