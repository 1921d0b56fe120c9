//! What exporters write that the standard does not ask for: weights in Constant nodes, sizes of −1,
//! flags that choose a branch, weights that only branches read.

use crate::oracles::{analyzed, total, with};
use crate::run::rooflens;
use crate::wire::{Message, graph, model, node, typed, value};
use serde_json::json;

/// A float tensor of zeros.
fn zeros(name: &str, sizes: &[i64]) -> Message {
    let count: i64 = sizes.iter().product();
    let tensor = sizes.iter().fold(Message::default(), |t, n| t.int(1, *n));
    tensor.int(2, 1).bytes(8, name).bytes(9, vec![0; usize::try_from(4 * count).unwrap()])
}

fn constant(name: &str, sizes: &[i64]) -> Message {
    let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &zeros("", sizes));
    with(node("Constant", &[], &[name]), &[attribute])
}

#[test]
fn weights_in_constants_count_where_products_read_them() {
    let (x, y) = ([value("x", &["1", "3", "8", "8"])], [value("y", &[])]);
    let conv = [
        constant("w", &[8, 3, 3, 3]),
        constant("b", &[8, 1, 1]),
        node("Conv", &["x", "w"], &["c"]),
        node("Add", &["c", "b"], &["y"]),
    ];
    let report = analyzed(&model(&conv, &x, &y), &[]);
    assert_eq!(total(&report, "params"), 8 * 27 + 8);
    assert_eq!(total(&report, "weight_bytes"), 4 * (8 * 27 + 8));
    // As if cast, the weights shrink like initialisers.
    let bytes = model(&conv, &x, &y);
    let cast = analyzed(&bytes, &["--dtype", "w8a32"]);
    assert_eq!((total(&cast, "params"), total(&cast, "weight_bytes")), (224, 224));
    // A file that keeps no weights so has numbers of arithmetic in its Constants.
    let arithmetic = [constant("b", &[3, 1, 1]), node("Add", &["x", "b"], &["y"])];
    let report = analyzed(&model(&arithmetic, &x, &y), &[]);
    assert_eq!((total(&report, "params"), total(&report, "weight_bytes")), (0, 0));
}

/// A model whose flag chooses between products with two weights of the graph around.
fn branches() -> Vec<u8> {
    let branch = |name: &str, weight: &str| {
        let product = node("MatMul", &["x", weight], &["inner"]);
        let body = graph(&[product], &[], &[value("inner", &[])]);
        Message::default().bytes(1, name).int(20, 5).message(6, &body)
    };
    let both = [branch("then_branch", "narrow"), branch("else_branch", "wide")];
    let nodes = [with(node("If", &["flag"], &["y"]), &both)];
    let inputs = [value("x", &["2", "16"]), typed("flag", 9, &[])];
    let whole = graph(&nodes, &inputs, &[value("y", &[])])
        .message(5, &zeros("narrow", &[16, 4]))
        .message(5, &zeros("wide", &[16, 64]));
    let opset = Message::default().bytes(1, "").int(2, 17);
    Message::default().int(1, 8).message(7, &whole).message(8, &opset).0
}

#[test]
fn a_value_chooses_the_branch() {
    let file = branches();
    let open = analyzed(&file, &[]);
    assert_eq!(total(&open, "macs"), 2 * 16 * 64, "the larger branch");
    assert_eq!(open["ops"][0]["status"], "bound");
    for (value, width) in [("flag=true", 4), ("flag=0", 64)] {
        let chosen = analyzed(&file, &["--value", value]);
        assert_eq!(total(&chosen, "macs"), 2 * 16 * width, "{value}");
        assert_eq!(chosen["ops"][0]["status"], "exact");
        assert_eq!(chosen["outputs"][0]["shape"], json!([2, width]));
        // The weights of the branch that runs have to be read.
        assert!(total(&chosen, "compulsory_bytes") >= 4 * 16 * width, "{}", chosen["totals"]);
    }
    // Both are stored and learned, though only bodies read them.
    assert_eq!(total(&open, "params"), 16 * 4 + 16 * 64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("branches.onnx");
    std::fs::write(&path, &file).unwrap();
    for (value, message) in [
        ("flag", "is not NAME=V"),
        ("flog=1", "did you mean `flag`?"),
        ("flag=maybe", "no number, true or false"),
        ("flag=1,0", "gives 2 values"),
    ] {
        let run = rooflens(&["analyze", path.to_str().unwrap(), "--value", value]);
        assert!(run.code == 2 && run.stderr.contains(message), "{value}: {}", run.stderr);
    }
    let table = rooflens(&["analyze", path.to_str().unwrap(), "--by", "total"]).stdout;
    assert!(table.contains("which branch is taken is not known"), "{table}");
}

#[test]
fn a_size_of_minus_one_needs_the_shape() {
    let nodes = [node("Relu", &["x"], &["h"]), node("Relu", &["h"], &["y"])];
    let bytes = model(&nodes, &[value("x", &["-1", "3"])], &[value("y", &["-1", "3"])]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("open.onnx");
    std::fs::write(&path, &bytes).unwrap();
    let run = rooflens(&["analyze", path.to_str().unwrap()]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("negative size -1") && run.stderr.contains("--shape"));
    let report = analyzed(&bytes, &["--shape", "x=5x3"]);
    assert_eq!(report["outputs"][0]["shape"], json!([5, 3]));
    assert_eq!(total(&report, "flops"), 2 * 15);
    let other = rooflens(&["analyze", path.to_str().unwrap(), "--shape", "z=5x3"]);
    assert_eq!(other.code, 2, "the shape of another input is no help");
}

/// A batch is the size called so on whichever axis it is, and sizes of one input are those of the others
/// that declare the same.
#[test]
fn symbols_have_one_size_in_all_inputs() {
    let analyzed = |model: &str, extra: &[&str]| -> serde_json::Value {
        let args = [&["analyze", model, "--format", "json"], extra].concat();
        let run = rooflens(&args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        serde_json::from_str(&run.stdout).unwrap()
    };
    let recurrent = "tests/models/recurrent.onnx";
    let four = analyzed(recurrent, &["--batch", "4", "--dim", "steps=7"]);
    assert_eq!(four["model"]["inputs"][0]["shape"], json!([7, 4, 40]));
    assert_eq!(four["model"]["batch_symbol"], "batch");
    let decoder = "tests/models/decoder.onnx";
    let ids = analyzed(decoder, &["--shape", "ids=2x5"]);
    let dims = analyzed(decoder, &["--dim", "batch=2", "--dim", "seq=5"]);
    let shapes = |report: &serde_json::Value| -> Vec<serde_json::Value> {
        report["model"]["inputs"].as_array().unwrap().iter().map(|i| i["shape"].clone()).collect()
    };
    assert_eq!(shapes(&ids), shapes(&dims));
    assert_eq!(ids["totals"], dims["totals"]);
    // Two that disagree: the others keep the symbol.
    let odd = analyzed(decoder, &["--shape", "ids=2x5", "--shape", "position=2x4"]);
    assert_eq!(odd["model"]["inputs"][2]["shape"][0], 2);
    assert_eq!(odd["model"]["inputs"][2]["symbolic"], "f32[2,1,seq,past + seq]");
}

/// A network whose sizes are open cannot run at one pixel; `--input` gives it some, and the costs of what was
/// sent are those of the same sizes.
#[test]
fn a_probe_in_process_takes_sizes() {
    crate::run::steadily(|| {
        let model = "tests/models/unet.onnx";
        let target = format!("tract:{model}");
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("m");
        let load =
            ["--load", "closed:1", "--seconds", "1", "--no-meters", "-o", out.to_str().unwrap()];
        let probe =
            |extra: &[&str]| rooflens(&[&["probe", &target], extra, load.as_slice()].concat());
        let small = probe(&[]);
        assert_eq!(small.code, 2, "{}", small.stdout);
        assert!(
            small.stderr.contains("height, width were set to their smallest values"),
            "{}",
            small.stderr
        );
        let rows = probe(&["--input", "input=2x3x32x48", "--batch", "3"]);
        assert!(rows.stderr.contains("--input has another batch"), "{}", rows.stderr);
        // Rows that are given are the batch, and one stands for as many as are asked for.
        let run = probe(&["--input", "input=2x3x32x48"]);
        assert!(run.stdout.contains(", batch 2\n"), "{}{}", run.stdout, run.stderr);
        std::fs::remove_dir_all(&out).unwrap();
        let given = ["--input", "input=1x3x32x48", "--batch", "2", "--model", model];
        let run = probe(&given);
        assert!(run.code < 2, "{}", run.stderr);
        let text = std::fs::read_to_string(out.join("measurement.json")).unwrap();
        let m: serde_json::Value = serde_json::from_str(&text).unwrap();
        let args = ["analyze", model, "--shape", "input=2x3x32x48", "--format", "json"];
        let report: serde_json::Value = serde_json::from_str(&rooflens(&args).stdout).unwrap();
        let operations = total(&report, "flops") + total(&report, "int_ops");
        assert_eq!(m["model"]["flops_per_request"].as_f64(), Some(operations as f64));
    });
}
