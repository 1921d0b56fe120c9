//! Costs of operators against other ways to the same result, and cases on which counters trip.

use crate::run::rooflens;
use crate::wire::{Message, model, node, value};
use serde_json::Value;

/// Operators that sum products, as the counts that were observed at run time have them.
pub(crate) const PRODUCTS: [&str; 14] = [
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "Einsum",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "MatMulInteger",
    "QLinearConv",
    "QLinearMatMul",
    "com.microsoft.FusedMatMul",
    "com.microsoft.MatMulNBits",
    "com.microsoft.QGemm",
];

/// The analysis of a model made here.
pub(crate) fn analyzed(bytes: &[u8], extra: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.onnx");
    std::fs::write(&path, bytes).unwrap();
    let args = [&["analyze", path.to_str().unwrap(), "--format", "json"], extra].concat();
    let run = rooflens(&args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    serde_json::from_str(&run.stdout).unwrap()
}

pub(crate) fn total(report: &Value, what: &str) -> u64 {
    report["totals"][what].as_u64().unwrap()
}

/// Integers as an attribute.
pub(crate) fn ints(name: &str, values: &[i64]) -> Message {
    let attribute = Message::default().bytes(1, name).int(20, 7);
    values.iter().fold(attribute, |a, v| a.int(8, *v))
}

pub(crate) fn int(name: &str, value: i64) -> Message {
    Message::default().bytes(1, name).int(20, 2).int(3, value)
}

pub(crate) fn text(name: &str, value: &str) -> Message {
    Message::default().bytes(1, name).int(20, 3).bytes(4, value)
}

pub(crate) fn with(node: Message, attributes: &[Message]) -> Message {
    attributes.iter().fold(node, |n, a| n.message(5, a))
}

/// A convolution is a product of the unfolded input and the weights, a group at a time.
#[test]
fn convolution_is_a_matrix_product() {
    for (n, cin, cout, k, size, stride, pad, groups) in
        [(2, 6, 8, 3, 11, 2, 1, 1), (1, 8, 8, 3, 7, 1, 1, 8), (3, 12, 6, 5, 9, 3, 0, 3)]
    {
        let out = (size + 2 * pad - k) / stride + 1;
        let s = |v: i64| v.to_string();
        let shape = |dims: &[i64]| -> Vec<String> { dims.iter().map(|d| s(*d)).collect() };
        let value = |name: &str, dims: &[i64]| {
            let dims = shape(dims);
            value(name, &dims.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let attributes = [
            ints("kernel_shape", &[k, k]),
            ints("strides", &[stride, stride]),
            ints("pads", &[pad; 4]),
            int("group", groups),
        ];
        let conv = with(node("Conv", &["x", "w"], &["y"]), &attributes);
        let inputs = [value("x", &[n, cin, size, size]), value("w", &[cout, cin / groups, k, k])];
        let conv = analyzed(&model(&[conv], &inputs, &[value("y", &[])]), &[]);
        assert_eq!(conv["outputs"][0]["shape"], serde_json::json!([n, cout, out, out]));
        let rows = n * out * out;
        let taps = cin / groups * k * k;
        let inputs =
            [value("a", &[groups, rows, taps]), value("b", &[groups, taps, cout / groups])];
        let product = node("MatMul", &["a", "b"], &["y"]);
        let product = analyzed(&model(&[product], &inputs, &[value("y", &[])]), &[]);
        assert_eq!(total(&conv, "macs"), total(&product, "macs"));
    }
}

/// Taps that meet the input, counted one by one.
#[test]
fn taps_on_padding_are_told_apart() {
    for (size, k, stride, pad, dilation) in
        [(7i64, 3i64, 1i64, 1i64, 1i64), (8, 5, 2, 2, 1), (9, 3, 2, 3, 2), (5, 7, 3, 3, 1)]
    {
        let out = (size + 2 * pad - (k - 1) * dilation - 1) / stride + 1;
        let inside = |at: &i64| (0..size).contains(at);
        let taps = (0..out).flat_map(|o| (0..k).map(move |t| o * stride - pad + t * dilation));
        let met = taps.filter(inside).count();
        let attributes = [
            ints("kernel_shape", &[k, k]),
            ints("strides", &[stride; 2]),
            ints("pads", &[pad; 4]),
            ints("dilations", &[dilation; 2]),
        ];
        let conv = with(node("Conv", &["x", "w"], &["y"]), &attributes);
        let (size, k) = (size.to_string(), k.to_string());
        let inputs = [value("x", &["2", "3", &size, &size]), value("w", &["4", "3", &k, &k])];
        let report = analyzed(&model(&[conv], &inputs, &[value("y", &[])]), &[]);
        let met = u64::try_from(met).unwrap();
        assert_eq!(total(&report, "effective_macs"), 2 * 4 * 3 * met * met);
        assert!(total(&report, "effective_macs") < total(&report, "macs"));
    }
}

/// A transposed convolution is a convolution over an input with zeros put between, of which only the
/// taps on real numbers count: every input element meets every tap of its group once.
#[test]
fn transposed_convolution_meets_every_tap_once() {
    let (n, cin, per_group, groups, k, stride, size) = (2u64, 6u64, 4u64, 2u64, 3u64, 2u64, 5u64);
    let mut met = 0;
    for _output_channel in 0..per_group {
        for place in 0..size * size {
            let (row, column) = (place / size * stride, place % size * stride);
            // Each tap of this input element lands in the output that is not yet cropped.
            let extent = (size - 1) * stride + k;
            met += (0..k * k).filter(|t| row + t / k < extent && column + t % k < extent).count();
        }
    }
    let expected = n * cin * u64::try_from(met).unwrap();
    let attributes = [ints("strides", &[2, 2]), int("group", 2), ints("pads", &[1; 4])];
    let deconv = with(node("ConvTranspose", &["x", "w"], &["y"]), &attributes);
    let inputs = [value("x", &["2", "6", "5", "5"]), value("w", &["6", "4", "3", "3"])];
    let report = analyzed(&model(&[deconv], &inputs, &[value("y", &[])]), &[]);
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([2, per_group * groups, 9, 9]));
    assert_eq!(total(&report, "macs"), expected);
}

/// An LSTM is two products a step and direction.
#[test]
fn lstm_is_its_steps() {
    let inputs = [
        value("x", &["7", "3", "10"]),
        value("w", &["2", "80", "10"]),
        value("r", &["2", "80", "20"]),
    ];
    let attributes = [int("hidden_size", 20), text("direction", "bidirectional")];
    let lstm = with(node("LSTM", &["x", "w", "r"], &["y"]), &attributes);
    let whole = analyzed(&model(&[lstm], &inputs, &[value("y", &[])]), &[]);
    assert_eq!(whole["outputs"][0]["shape"], serde_json::json!([7, 2, 3, 20]));
    let mut nodes = Vec::new();
    for step in 0..14 {
        nodes.push(node("MatMul", &["xt", "wt"], &[&format!("a{step}")]));
        nodes.push(node("MatMul", &["ht", "rt"], &[&format!("b{step}")]));
    }
    let inputs = [
        value("xt", &["3", "10"]),
        value("wt", &["10", "80"]),
        value("ht", &["3", "20"]),
        value("rt", &["20", "80"]),
    ];
    let steps = analyzed(&model(&nodes, &inputs, &[value("a0", &[])]), &[]);
    assert_eq!(total(&whole, "macs"), total(&steps, "macs"));
}

/// onnx-tool has no Einsum with an ellipsis; torchinfo and fvcore miss it.
#[test]
fn einsum_is_a_batched_product() {
    let inputs = [value("a", &["b", "h", "s", "64"]), value("c", &["b", "h", "t", "64"])];
    let einsum = with(node("Einsum", &["a", "c"], &["y"]), &[text("equation", "bhid,bhjd->bhij")]);
    let report = analyzed(&model(&[einsum], &inputs, &[value("y", &[])]), &[]);
    assert_eq!(report["formulas"]["macs"], "64·b·h·s·t");
}

/// A look-up reads its rows, not its table.
#[test]
fn gather_reads_its_rows() {
    let inputs = [value("table", &["50000", "768"]), value("ids", &["4", "128"])];
    let gather = node("Gather", &["table", "ids"], &["y"]);
    let report = analyzed(&model(&[gather], &inputs, &[value("y", &[])]), &[]);
    // The ids are declared as floats here: four bytes each.
    assert_eq!(total(&report, "bytes_read"), 4 * (4 * 128 * 768 + 4 * 128));
    assert_eq!(total(&report, "flops"), 0);
}

/// Pooling over three axes compares all but one of its taps.
#[test]
fn pooling_in_three_axes() {
    let attributes = [ints("kernel_shape", &[2, 3, 3]), ints("strides", &[2, 2, 2])];
    let pool = with(node("MaxPool", &["x"], &["y"]), &attributes);
    let input = value("x", &["1", "4", "8", "9", "9"]);
    let report = analyzed(&model(&[pool], &[input], &[value("y", &[])]), &[]);
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([1, 4, 4, 4, 4]));
    assert_eq!(total(&report, "comparisons"), 4 * 4 * 4 * 4 * (18 - 1));
}

/// A decoder whose batch, prompt and cache are open has short closed forms, and its phases follow.
#[test]
fn a_decoder_has_closed_forms() {
    let run =
        rooflens(&["analyze", "tests/models/decoder.onnx", "--format", "json", "--dim", "past=64"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    // Two layers: q, o 256×256, k, v 256×64, gate, up, down 256×688; head 256×1000; scores and mix
    // 2·8·32 a pair of positions and layer.
    let linear = 2 * (2 * 256 * 256 + 2 * 256 * 64 + 3 * 256 * 688) + 256 * 1000;
    let scores = 2 * 2 * 8 * 32;
    assert_eq!(
        report["formulas"]["macs"],
        format!("batch·seq·({scores}·past + {scores}·seq + {linear})")
    );
    let phases = report["phases"].as_array().unwrap();
    assert_eq!((&phases[0]["name"], &phases[1]["name"]), (&"prefill".into(), &"decode".into()));
    assert!(!phases[0]["flops_formula"].as_str().unwrap().contains("past"));
    assert!(!phases[1]["flops_formula"].as_str().unwrap().contains("seq"));
    // A step reads the whole cache, two layers of keys and values, eight heads sharing two: 32 wide.
    let kept = 2 * 2 * 2 * 32 * 4 * (64 + 1);
    assert_eq!(report["memory"]["kv_cache_bytes"], kept);
}

/// As if cast: the arithmetic stays, the bytes shrink with the types.
#[test]
fn types_change_bytes_and_not_work() {
    let report = |extra: &[&str]| -> Value {
        let args = [&["analyze", "models/vgg16.onnx", "--format", "json"], extra].concat();
        serde_json::from_str(&rooflens(&args).stdout).unwrap()
    };
    let whole = report(&[]);
    for (dtype, weights, all) in [("f16", 2, 2), ("int8", 4, 4), ("w4a16", 8, 2)] {
        let cast = report(&["--dtype", dtype]);
        assert_eq!(total(&cast, "macs"), total(&whole, "macs"));
        assert_eq!(total(&cast, "weight_bytes") * weights, total(&whole, "weight_bytes"));
        assert_eq!(total(&cast, "bytes_written") * all, total(&whole, "bytes_written"));
        assert_eq!(total(&cast, "params"), total(&whole, "params"));
    }
    assert_eq!(total(&report(&["--dtype", "int8"]), "flops"), 0);
    assert_eq!(rooflens(&["analyze", "models/vgg16.onnx", "--dtype", "f15"]).code, 2);
}

/// Limits pass or fail, and say by how much.
#[test]
fn check_and_diff() {
    let good =
        rooflens(&["check", "models/resnet50.onnx", "--max-flops", "9G", "--min-coverage", "100"]);
    assert_eq!(
        (good.code, good.stdout.lines().next()),
        (0, Some("ok      FLOPs                    8.22 G of 9.00 G"))
    );
    let bad =
        rooflens(&["check", "models/resnet50.onnx", "--max-params", "25M", "--max-peak", "1GB"]);
    assert_eq!(bad.code, 1);
    assert!(bad.stdout.starts_with("BREACH  parameters"), "{}", bad.stdout);
    assert_eq!(rooflens(&["check", "models/resnet50.onnx"]).code, 2);
    assert_eq!(rooflens(&["check", "models/resnet50.onnx", "--max-flops", "lots"]).code, 2);
    let refused = |args: &[&str], hint: &str| {
        let run = rooflens(args);
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains(hint), "{}", run.stderr);
    };
    let resnet = "models/resnet50.onnx";
    let peak = |most| rooflens(&["check", resnet, "--max-peak", most]).code;
    assert_eq!([peak("9.2MiB"), peak("9.1MiB"), peak("9.64MB")], [0, 1, 0]);
    refused(&["check", resnet, "--max-flops", "8GiB"], "for example 5G");
    refused(&["check", resnet, "--min-coverage", "101"], "from 0 to 100");
    refused(&["diff", resnet, "models/vgg16.onnx", "--dim", "bacth=3"], "did you mean `batch`?");
    let fixed = "tests/models/maxvit_t.onnx";
    refused(&["diff", fixed, fixed, "--batch", "3"], "omit --batch");
    let diff = rooflens(&["diff", resnet, "models/bert_base.onnx", "--dim", "seq=128"]);
    assert!(diff.stdout.contains("assumed: batch = 1"), "{}", diff.stdout);
    refused(&["ops", "conw"], "did you mean `Conv`?");
    let diff = rooflens(&[
        "diff",
        "tests/models/resnet18.onnx",
        "tests/models/resnet18_qdq.onnx",
        "--format",
        "json",
    ]);
    let diff: Value = serde_json::from_str(&diff.stdout).unwrap();
    let row = |name: &str| {
        diff["totals"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone()
    };
    assert_eq!(row("MACs")["ratio"], 1.0);
    assert!(row("integer ops")["b"].as_u64().unwrap() > 3_000_000_000);
    // Folded batch normalisation leaves biases behind, in place of scales and shifts.
    let ratio = row("parameters")["ratio"].as_f64().unwrap();
    assert!((0.999..1.001).contains(&ratio), "{ratio}");
}
