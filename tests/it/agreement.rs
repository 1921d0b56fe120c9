//! `--dim`, `--shape` and formulas are one truth: the same sizes give the same answer, sizes that
//! contradict each other give none, and a formula that does not hold at them is said not to.

use crate::oracles::{analyzed, int, ints, text, total, with};
use crate::wire::{Message, model, node, typed, value};
use serde_json::{Value, json};

/// A constant of this element type (1 is f32, 7 is i64), from its little-endian bytes.
fn constant(name: &str, dtype: i64, dims: &[i64], raw: &[u8]) -> Message {
    let tensor = dims.iter().fold(Message::default(), |t, n| t.int(1, *n));
    let tensor = tensor.int(2, dtype).bytes(9, raw);
    let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &tensor);
    with(node("Constant", &[], &[name]), &[attribute])
}

fn float(name: &str, x: f32) -> Message {
    constant(name, 1, &[], &x.to_le_bytes())
}

fn whole(name: &str, list: &[i64]) -> Message {
    let raw: Vec<u8> = list.iter().flat_map(|i| i.to_le_bytes()).collect();
    constant(name, 7, &[list.len().try_into().unwrap()], &raw)
}

fn cast(from: &str, to: &str, dtype: i64) -> Message {
    with(node("Cast", &[from], &[to]), &[int("to", dtype)])
}

/// The report at `--dim` and at `--shape` of the same sizes, which agree.
#[track_caller]
fn both(bytes: &[u8], dims: &[&str], shape: &str) -> Value {
    let dims: Vec<&str> = dims.iter().flat_map(|d| ["--dim", d]).collect();
    let (mut by_dim, mut by_shape) = (analyzed(bytes, &dims), analyzed(bytes, &["--shape", shape]));
    for part in ["totals", "coverage"] {
        assert_eq!(by_dim[part], by_shape[part], "{part}");
    }
    for part in ["ops", "outputs"] {
        for report in [&mut by_dim, &mut by_shape] {
            strip(&mut report[part]);
        }
        assert_eq!(by_dim[part], by_shape[part], "{part}");
    }
    by_dim
}

/// Without how shapes read in symbols, which the fixed ones do not have.
fn strip(part: &mut Value) {
    match part {
        Value::Array(list) => list.iter_mut().for_each(strip),
        Value::Object(map) => {
            map.remove("symbolic");
            map.values_mut().for_each(strip);
        }
        _ => {}
    }
}

fn incomplete(report: &Value) -> String {
    assert!(report["coverage"]["percent"].as_f64().unwrap() < 100.0, "{}", report["coverage"]);
    let list = report["diagnostics"].as_array().unwrap();
    let found = list.iter().filter(|d| d["severity"] == "incomplete");
    found.map(|d| d["message"].as_str().unwrap()).collect::<Vec<_>>().join("; ")
}

/// numpy 2: `np.squeeze(np.zeros((1, 4, 8)))[1:3] @ np.zeros((8, 5))` is 2×5, 2·8·5 = 80 MACs; of two
/// it keeps three axes.
#[test]
fn squeeze_drops_what_is_one() {
    let nodes = [
        node("Squeeze", &["x"], &["s"]),
        whole("a", &[1]),
        whole("b", &[3]),
        whole("axis", &[0]),
        node("Slice", &["s", "a", "b", "axis"], &["t"]),
        node("MatMul", &["t", "w"], &["y"]),
    ];
    let bytes = model(
        &nodes,
        &[value("x", &["batch", "4", "8"]), value("w", &["8", "5"])],
        &[value("y", &[])],
    );
    let one = both(&bytes, &["batch=1"], "x=1x4x8");
    assert_eq!((total(&one, "macs"), &one["outputs"][0]["shape"]), (80, &json!([2, 5])));
    // The formula is that of a batch: it says so.
    assert!(one["formulas"]["elsewhere"].to_string().contains("macs"));
    let two = both(&bytes, &["batch=3"], "x=3x4x8");
    assert_eq!(
        (total(&two, "macs"), &two["outputs"][0]["shape"]),
        (2 * 4 * 8 * 5, &json!([2, 4, 5]))
    );
    assert_eq!(two["formulas"]["elsewhere"], json!([]));
}

/// Windows that would start in the padding at the end fall away, as `PyTorch` and onnxruntime 1.32 have it:
/// 12 by steps of two with a window of one are 6 places, not ⌈11/2⌉ + 1 = 7. The formula knows.
#[test]
fn pools_round_up_alike_open_or_not() {
    for (kernel, stride, pads, sizes) in [
        (1, 2, [0, 0], [12, 13]),
        (3, 2, [1, 1], [7, 8]),
        (2, 3, [0, 1], [9, 11]),
        (5, 2, [2, 0], [6, 9]),
        // A window longer than the input, by less than a stride: one place, as in onnxruntime 1.32.
        (3, 2, [0, 0], [2, 3]),
    ] {
        let pool = [
            ints("kernel_shape", &[kernel]),
            ints("strides", &[stride]),
            ints("pads", &pads),
            int("ceil_mode", 1),
        ];
        let nodes = [with(node("MaxPool", &["x"], &["y"]), &pool)];
        let bytes = model(&nodes, &[value("x", &["1", "2", "n"])], &[value("y", &[])]);
        for size in sizes {
            let report = both(&bytes, &[&format!("n={size}")], &format!("x=1x2x{size}"));
            let padded = size + pads[0] + pads[1] - kernel;
            let mut count = (padded + stride - 1) / stride + 1;
            count -= i64::from((count - 1) * stride >= size + pads[0]);
            assert_eq!(report["outputs"][0]["shape"], json!([1, 2, count]), "{kernel} {size}");
            assert_eq!(report["formulas"]["elsewhere"], json!([]), "{kernel} {size}");
        }
    }
}

/// 5·n·⌈log2 n⌉ by Cooley and Tukey, half of it for real input: 2·5·1024·10/2.
#[test]
fn transforms_have_formulas() {
    let nodes = [with(node("DFT", &["x"], &["y"]), &[int("axis", 1)])];
    let bytes = model(&nodes, &[value("x", &["2", "n", "1"])], &[value("y", &[])]);
    let report = both(&bytes, &["n=1024"], "x=2x1024x1");
    assert_eq!(total(&report, "flops"), 51_200);
    assert!(report["formulas"]["flops"].as_str().unwrap().contains("ceil_log2(n)"));
    assert_eq!(report["formulas"]["elsewhere"], json!([]));
}

/// Taps on padding: a window of three over four places meets 2 + 3 + 3 + 2 elements, 10 in all.
#[test]
fn padding_is_known_at_given_sizes() {
    let conv = with(node("Conv", &["x", "w"], &["y"]), &[ints("pads", &[1, 1])]);
    let inputs = [value("x", &["1", "1", "n"]), value("w", &["1", "1", "3"])];
    let bytes = model(&[conv], &inputs, &[value("y", &[])]);
    let report = both(&bytes, &["n=4"], "x=1x1x4");
    assert_eq!((total(&report, "macs"), total(&report, "effective_macs")), (12, 10));
}

/// onnxruntime 1.32 refuses both: 3 by 5 do not broadcast, nor 600 positions by 512 (BERT, GPT-2).
#[test]
fn contradictions_give_no_numbers() {
    let inputs = [value("x", &["a", "4"]), value("y", &["b", "4"])];
    let sum = model(&[node("Add", &["x", "y"], &["z"])], &inputs, &[value("z", &[])]);
    let report = analyzed(&sum, &["--dim", "a=3", "--dim", "b=5"]);
    assert!(incomplete(&report).contains("3 and 5 do not broadcast"), "{}", incomplete(&report));
    assert_eq!(analyzed(&sum, &["--dim", "a=3", "--dim", "b=1"])["coverage"]["percent"], 100.0);
    let product = node("MatMul", &["x", "y"], &["z"]);
    let inputs = [value("x", &["2", "a"]), value("y", &["b", "4"])];
    let product = model(&[product], &inputs, &[value("z", &[])]);
    let report = analyzed(&product, &["--dim", "a=3", "--dim", "b=5"]);
    assert!(incomplete(&report).contains('3'), "{}", incomplete(&report));
    let table = [
        whole("zero", &[0]),
        node("Shape", &["x"], &["s"]),
        whole("one", &[1]),
        whole("two", &[2]),
        node("Slice", &["s", "one", "two"], &["n"]),
        node("Slice", &["table", "zero", "n", "zero"], &["rows"]),
        node("Add", &["x", "rows"], &["z"]),
    ];
    let inputs = [value("x", &["1", "seq", "8"]), value("table", &["512", "8"])];
    let bytes = model(&table, &inputs, &[value("z", &[])]);
    assert_eq!(both(&bytes, &["seq=500"], "x=1x500x8")["coverage"]["percent"], 100.0);
    assert!(incomplete(&both(&bytes, &["seq=600"], "x=1x600x8")).contains("600 and 512"));
}

/// A window of seven does not fit into five; cutting eight from five leaves nothing, not minus three.
#[test]
fn sizes_below_zero_give_no_numbers() {
    let conv = node("Conv", &["x", "w"], &["y"]);
    let inputs = [value("x", &["1", "1", "n"]), value("w", &["1", "1", "7"])];
    let bytes = model(&[conv], &inputs, &[value("y", &[])]);
    assert!(incomplete(&both(&bytes, &["n=5"], "x=1x1x5")).contains("does not fit"));
    let nodes = [whole("pads", &[0, -8]), node("Pad", &["x", "pads"], &["y"])];
    let bytes = model(&nodes, &[value("x", &["n"])], &[value("y", &[])]);
    assert!(incomplete(&both(&bytes, &["n=5"], "x=5")).contains("-3"));
}

/// Nothing is kept yet: 2·3 rows of 8, by numpy; formulas that take the past as at least one say so or
/// hold.
#[test]
fn no_past_is_a_size() {
    let nodes = [
        with(node("Concat", &["past", "x"], &["all"]), &[int("axis", 1)]),
        node("MatMul", &["all", "w"], &["y"]),
    ];
    let inputs =
        [value("past", &["2", "past", "8"]), value("x", &["2", "3", "8"]), value("w", &["8", "4"])];
    let bytes = model(&nodes, &inputs, &[value("y", &[])]);
    let report = both(&bytes, &["past=0"], "past=2x0x8");
    assert_eq!(
        (total(&report, "macs"), &report["outputs"][0]["shape"]),
        (2 * 3 * 8 * 4, &json!([2, 3, 4]))
    );
}

/// The resize of torchvision's detectors: both sides by min(80 / shorter, 133 / longer), rounded down. By
/// numpy in f32, 48×64 becomes 80×106; a convolution by steps of 16 then has 5·6 places of 8 channels and
/// 3·16·16 taps.
#[test]
fn images_are_resized_by_arithmetic_on_their_sizes() {
    let mut nodes = vec![
        node("Shape", &["x"], &["s"]),
        whole("last", &[1]),
        whole("end", &[i64::MAX]),
        node("Slice", &["s", "last", "end"], &["hw"]),
        with(node("ReduceMin", &["hw"], &["short"]), &[int("keepdims", 0)]),
        with(node("ReduceMax", &["hw"], &["long"]), &[int("keepdims", 0)]),
        float("least", 80.0),
        float("most", 133.0),
        cast("short", "shortf", 1),
        cast("long", "longf", 1),
        node("Reciprocal", &["shortf"], &["r"]),
        node("Mul", &["r", "least"], &["up"]),
        node("Div", &["most", "longf"], &["cap"]),
        node("Min", &["up", "cap"], &["scale"]),
        cast("hw", "hwf", 1),
        node("Mul", &["hwf", "scale"], &["product"]),
        node("Floor", &["product"], &["floor"]),
        cast("floor", "sides", 7),
        whole("head", &[1, 3]),
        with(node("Concat", &["head", "sides"], &["sizes"]), &[int("axis", 0)]),
    ];
    nodes.extend([
        whole("zero", &[0]),
        node("Unsqueeze", &["x", "zero"], &["image"]),
        with(node("Resize", &["image", "", "", "sizes"], &["big"]), &[text("mode", "linear")]),
        with(node("Conv", &["big", "w"], &["y"]), &[ints("strides", &[16, 16])]),
    ]);
    let inputs = [value("x", &["3", "h", "w"]), value("w", &["8", "3", "16", "16"])];
    let bytes = model(&nodes, &inputs, &[value("y", &[])]);
    let report = both(&bytes, &["h=48", "w=64"], "x=3x48x64");
    assert_eq!(total(&report, "macs"), 30 * 8 * 3 * 16 * 16);
    assert_eq!(report["outputs"][0]["shape"], json!([1, 8, 5, 6]));
    assert_eq!(report["coverage"]["percent"], 100.0);
}

/// f32 decides where a size falls: numpy 2 gives `np.float32(41) * (1 / np.float32(41))` as 0.99999994,
/// and `np.floor` of it as 0. Halves stay formulas: ⌊h·0.5⌋ is ⌊h/2⌋.
#[test]
fn sizes_are_rounded_as_floats_are() {
    let nodes = [
        node("Shape", &["x"], &["s"]),
        cast("s", "f", 1),
        node("Reciprocal", &["f"], &["r"]),
        node("Mul", &["f", "r"], &["m"]),
        node("Floor", &["m"], &["n"]),
        cast("n", "i", 7),
        node("ConstantOfShape", &["i"], &["y"]),
        float("half", 0.5),
        node("Mul", &["f", "half"], &["h"]),
        node("Floor", &["h"], &["g"]),
        cast("g", "k", 7),
        node("ConstantOfShape", &["k"], &["z"]),
    ];
    let bytes = model(&nodes, &[value("x", &["n"])], &[value("y", &[]), value("z", &[])]);
    for (n, product) in [(40, 1), (41, 0), (42, 1)] {
        let report = both(&bytes, &[&format!("n={n}")], &format!("x={n}"));
        assert_eq!(report["outputs"][0]["shape"], json!([product]), "{n}");
        assert_eq!(report["outputs"][1]["shape"], json!([n / 2]));
    }
    let open = analyzed(&bytes, &[]);
    assert!(open["outputs"][1]["symbolic"].as_str().unwrap().contains("floor((n)/(2))"));
}

/// By numpy 2: of [3, 9, 4], `argmax` is 1, the two largest are [9, 4] at [1, 2], those above 3 lie at
/// [1, 2], and the running sums are [3, 12, 16].
#[test]
fn small_contents_are_followed_through_choices() {
    let nodes = [
        node("Shape", &["x"], &["s"]),
        with(node("ArgMax", &["s"], &["best"]), &[int("axis", 0)]),
        whole("two", &[2]),
        node("TopK", &["s", "two"], &["top", "where"]),
        whole("three", &[3]),
        node("Greater", &["s", "three"], &["above"]),
        node("NonZero", &["above"], &["places"]),
        whole("axis", &[0]),
        node("CumSum", &["s", "axis"], &["sums"]),
        with(node("Concat", &["best", "top", "where", "sums"], &["sizes"]), &[int("axis", 0)]),
        node("ConstantOfShape", &["sizes"], &["y"]),
        node("GatherND", &["s", "turned"], &["picked"]),
        with(node("Transpose", &["places"], &["turned"]), &[ints("perm", &[1, 0])]),
        node("ConstantOfShape", &["picked"], &["z"]),
    ];
    let bytes =
        model(&nodes, &[typed("x", 1, &["a", "b", "c"])], &[value("y", &[]), value("z", &[])]);
    let report = both(&bytes, &["a=3", "b=9", "c=4"], "x=3x9x4");
    assert_eq!(report["outputs"][0]["shape"], json!([1, 9, 4, 1, 2, 3, 12, 16]));
    assert_eq!(report["outputs"][1]["shape"], json!([9, 4]));
}

/// A backward slice that starts before the front starts at the first element: `x[-2::-2]` of one element
/// is that element, by the specification and onnxruntime 1.32; of seven they are 5, 3 and 1.
#[test]
fn backward_slices_start_inside() {
    let nodes = [
        whole("start", &[-2]),
        whole("end", &[-(1 << 62)]),
        whole("axis", &[0]),
        whole("step", &[-2]),
        node("Slice", &["x", "start", "end", "axis", "step"], &["y"]),
    ];
    let bytes = model(&nodes, &[value("x", &["n"])], &[value("y", &[])]);
    for (size, count) in [(0, 0), (1, 1), (2, 1), (7, 3)] {
        let report = both(&bytes, &[&format!("n={size}")], &format!("x={size}"));
        assert_eq!(report["outputs"][0]["shape"], json!([count]), "{size}");
    }
}

/// Sizes at which a runtime refuses the model give no numbers: an axis of three cannot be removed, and
/// blocks of two do not divide three.
#[test]
fn sizes_that_an_operator_refuses_are_not_counted() {
    let squeeze = [whole("axis", &[0]), node("Squeeze", &["x", "axis"], &["y"])];
    let bytes = model(&squeeze, &[value("x", &["n", "4"])], &[value("y", &[])]);
    assert_eq!(both(&bytes, &["n=1"], "x=1x4")["outputs"][0]["shape"], json!([4]));
    incomplete(&both(&bytes, &["n=3"], "x=3x4"));
    let blocks = [with(node("SpaceToDepth", &["x"], &["y"]), &[int("blocksize", 2)])];
    let bytes = model(&blocks, &[value("x", &["1", "2", "n", "4"])], &[value("y", &[])]);
    assert_eq!(both(&bytes, &["n=6"], "x=1x2x6x4")["outputs"][0]["shape"], json!([1, 8, 3, 2]));
    incomplete(&both(&bytes, &["n=3"], "x=1x2x3x4"));
}
