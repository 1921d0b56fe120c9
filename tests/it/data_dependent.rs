//! Sizes that must equal a data-dependent one: what follows is a bound that holds, or unknown, never a number for a
//! size of 1 that nobody gave. Right numbers are worked out by hand beside each model.

use crate::oracles::{analyzed, total};
use crate::wire::{Message, model, node, typed, value};
use serde_json::Value;

const I64: i64 = 7;

fn constant(name: &str, number: i64) -> Message {
    let tensor = Message::default().int(1, 1).int(2, I64).bytes(9, number.to_le_bytes());
    let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &tensor);
    node("Constant", &[], &[name]).message(5, &attribute)
}

/// `Reshape(x, [n, -1]) · w` for n non-zero numbers of a mask.
fn rows_of_mask(mask: &str, elements: &str, w: [&str; 2]) -> Vec<u8> {
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let nodes = [
        node("NonZero", &["mask"], &["found"]),
        node("Shape", &["found"], &["shape"]),
        constant("one", 1),
        node("Gather", &["shape", "one"], &["n"]).message(5, &axis),
        constant("rest", -1),
        node("Concat", &["n", "rest"], &["target"]).message(5, &axis),
        node("Reshape", &["x", "target"], &["rows"]),
        node("MatMul", &["rows", "w"], &["y"]),
    ];
    let inputs = [value("mask", &[mask]), value("x", &[elements]), value("w", &w)];
    model(&nodes, &inputs, &[Message::default().bytes(1, "y")])
}

fn status(report: &Value, op: &str) -> String {
    let ops = report["ops"].as_array().unwrap();
    ops.iter().find(|o| o["op_type"] == op).unwrap()["status"].as_str().unwrap().to_owned()
}

/// n rows of K numbers are all 128 of `x`: 128 · 4 MACs whatever n is. K is not 1, and nobody said so.
#[test]
fn a_size_that_equals_a_data_dependent_one_is_data_dependent() {
    let report = analyzed(&rows_of_mask("32", "128", ["K", "4"]), &[]);
    assert!(total(&report, "macs") >= 512, "{}", report["totals"]);
    assert_eq!(
        (status(&report, "MatMul").as_str(), total(&report, "bound_ops") > 0),
        ("bound", true)
    );
    let assumed = report["assumptions"].as_array().unwrap();
    assert!(assumed.iter().all(|a| a["data_dependent"] == true), "{assumed:?}");
    // Two of four sizes are given, and all are known: 32 · 4 · 4.
    let given = analyzed(&rows_of_mask("32", "128", ["K", "4"]), &["--dim", "K=4"]);
    assert_eq!(total(&given, "macs"), 512);
}

/// At most 4 rows of at least 32 numbers do not meet a matrix of 8 rows, nor 32 one of a single row.
#[test]
fn a_size_that_no_data_make_is_a_contradiction() {
    for (mask, w, extra) in [("4", ["8", "4"], &[][..]), ("32", ["K", "4"], &["--dim", "K=1"][..])]
    {
        let report = analyzed(&rows_of_mask(mask, "128", w), extra);
        assert_eq!(
            (status(&report, "MatMul").as_str(), &report["totals"]["macs"]),
            ("unknown", &Value::Null)
        );
        let said = report["diagnostics"].to_string();
        assert!(said.contains("must be equal, which no data make them"), "{said}");
    }
}

/// A size that is one side of an equality and no symbol alone has no limit of its own.
#[test]
fn a_formula_that_equals_a_data_dependent_size_stays_open() {
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let nodes = [
        node("NonZero", &["mask"], &["found"]),
        node("Concat", &["w", "w"], &["twice"]).message(5, &axis),
        node("Cast", &["found"], &["float"])
            .message(5, &Message::default().bytes(1, "to").int(20, 2).int(3, 1)),
        node("MatMul", &["float", "twice"], &["y"]),
    ];
    let inputs = [typed("mask", 9, &["32"]), value("w", &["K", "4"])];
    let file = model(&nodes, &inputs, &[Message::default().bytes(1, "y")]);
    let open = analyzed(&file, &[]);
    assert_eq!(
        (status(&open, "MatMul").as_str(), &open["totals"]["macs"]),
        ("unknown", &Value::Null)
    );
    let given = analyzed(&file, &["--dim", "K=8"]);
    assert_eq!((total(&given, "macs"), &given["coverage"]["percent"]), (16 * 4, &100.0.into()));
}

/// Rows of `x` that a mask keeps: 0 to 2 of them.
fn kept_rows() -> [Message; 1] {
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    [node("Compress", &["x", "mask"], &["kept"]).message(5, &axis)]
}

/// Where data keep one row of two, onnxruntime takes its axis away: [6], not [1, 6], and the sum with [2, 1, 6]
/// is of another rank. An axis of the caller's is as the caller gives it.
#[test]
fn an_axis_that_data_may_make_one_is_neither_kept_nor_squeezed() {
    let nodes =
        [&kept_rows()[..], &[node("Squeeze", &["kept"], &["s"]), node("Exp", &["s"], &["y"])]];
    let inputs = [value("x", &["2", "6"]), typed("mask", 9, &["2"])];
    let file = model(&nodes.concat(), &inputs, &[Message::default().bytes(1, "y")]);
    let open = analyzed(&file, &[]);
    assert_eq!(
        (status(&open, "Squeeze"), status(&open, "Exp")),
        ("unknown".into(), "unknown".into())
    );
    let said = open["diagnostics"].to_string();
    assert!(said.contains("axis 0 of kept.1") && said.contains("--dim kept.1=N"), "{said}");
    for (rows, shape) in [("1", serde_json::json!([6])), ("2", serde_json::json!([2, 6]))] {
        let given = analyzed(&file, &["--dim", &format!("kept.1={rows}")]);
        let ops = given["ops"].as_array().unwrap();
        assert_eq!(ops.last().unwrap()["outputs"][0]["shape"], shape);
    }
    let nodes = [node("Squeeze", &["x"], &["s"]), node("Exp", &["s"], &["y"])];
    let file = model(&nodes, &[value("x", &["b", "6"])], &[Message::default().bytes(1, "y")]);
    assert_eq!(analyzed(&file, &[])["coverage"]["percent"], 100.0);
}

/// Two rows cannot become 40.
#[test]
fn a_given_size_that_no_data_make_is_a_contradiction() {
    let nodes = [&kept_rows()[..], &[node("Exp", &["kept"], &["y"])]].concat();
    let inputs = [value("x", &["2", "6"]), typed("mask", 9, &["2"])];
    let file = model(&nodes, &inputs, &[Message::default().bytes(1, "y")]);
    let within = analyzed(&file, &["--dim", "kept.1=2"]);
    assert_eq!(within["coverage"]["percent"], 100.0);
    let beyond = analyzed(&file, &["--dim", "kept.1=40"]);
    let said = beyond["diagnostics"].to_string();
    assert_eq!(status(&beyond, "Compress"), "unknown");
    assert!(said.contains("kept.1 is 40; data make it 0 to 2"), "{said}");
}

/// onnxruntime refuses the 100 best of 50, and takes the 50 best of 50.
#[test]
fn more_than_all_are_not_the_best() {
    let nodes = [constant("k", 100), node("TopK", &["x", "k"], &["y", "places"])];
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let nodes = [nodes[0].clone(), nodes[1].clone().message(5, &axis)];
    let file = model(&nodes, &[value("x", &["N", "4"])], &[Message::default().bytes(1, "y")]);
    let of = |n: &str| status(&analyzed(&file, &["--dim", &format!("N={n}")]), "TopK");
    assert_eq!((of("50"), of("100")), ("unknown".into(), "bound".into()));
}

/// A size that the file names `kept.1` is another than the one that is made at the first node: of it nothing is
/// known, whichever comes first.
#[test]
fn sizes_that_are_made_have_no_name_of_the_file() {
    for made_first in [true, false] {
        let mut nodes = [kept_rows()[0].clone(), node("Foo", &["x"], &["q"]).bytes(7, "my")];
        if !made_first {
            nodes.reverse();
        }
        let name = if made_first { "kept.1" } else { "kept.2" };
        let rest = [node("Exp", &["kept"], &["y"]), node("Exp", &["q"], &["z"])];
        let nodes = [&nodes[..], &rest].concat();
        let inputs = [value("x", &["2", "6"]), typed("mask", 9, &["2"])];
        let outputs =
            [Message::default().bytes(1, "y"), value("z", &[]), value("q", &[name, "300"])];
        let report = analyzed(&model(&nodes, &inputs, &outputs), &[]);
        let ops = report["ops"].as_array().unwrap();
        let of = |output: &str| ops.iter().find(|o| o["outputs"][0]["name"] == output).unwrap();
        assert_eq!(of("y")["status"], "bound", "{report:#}");
        assert_eq!(of("z")["status"], "unknown", "{report:#}");
    }
}

/// Hundreds of sums too long for a formula, of thousands of data-dependent sizes: a debug build takes half a minute, and
/// many where each sum looks at all limits.
#[test]
fn many_sizes_are_not_looked_at_for_each_sum() {
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let mut nodes = Vec::new();
    let names: Vec<String> = (0..3000).map(|i| format!("k{i}")).collect();
    for name in &names {
        nodes.push(node("Compress", &["x", "mask"], &[name]).message(5, &axis));
    }
    for (i, parts) in (0..300).map(|i| (i, &names[i % 1000..i % 1000 + 1200])) {
        let parts: Vec<&str> = parts.iter().step_by(2).map(String::as_str).collect();
        nodes.push(node("Concat", &parts, &[&format!("c{i}")]).message(5, &axis));
    }
    let inputs = [value("x", &["2", "6"]), typed("mask", 9, &["2"])];
    let start = std::time::Instant::now();
    let report = analyzed(&model(&nodes, &inputs, &[Message::default().bytes(1, "c0")]), &[]);
    assert_eq!(report["ops"].as_array().unwrap()[3000]["outputs"][0]["shape"][0], 1200);
    assert!(start.elapsed().as_secs() < 180, "{:?}", start.elapsed());
}
