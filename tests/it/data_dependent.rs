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
