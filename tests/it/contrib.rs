//! Operators of onnxruntime: the shapes its schemas and kernels state, and costs worked out here.

use crate::oracles::{analyzed, int, ints, text, total, with};
use crate::wire::{Message, graph, microsoft, model, node, typed, value};
use serde_json::{Value, json};

const F32: i64 = 1;
const U8: i64 = 2;
const I8: i64 = 3;
const I16: i64 = 5;
const I32: i64 = 6;

/// The analysis of one node. An input is `type sizes…` by name, `= numbers…` for a constant, or empty for
/// an absent one.
fn alone(op: &str, inputs: &[&str], outputs: usize, attributes: &[Message]) -> Value {
    let name = |i: usize, kind: &str| if kind.is_empty() { String::new() } else { format!("i{i}") };
    let names: Vec<String> = inputs.iter().enumerate().map(|(i, kind)| name(i, kind)).collect();
    let (mut declared, mut nodes) = (Vec::new(), Vec::new());
    for (name, kind) in names.iter().zip(inputs).filter(|(name, _)| !name.is_empty()) {
        let (dtype, rest) = kind.split_once(' ').unwrap_or((kind, ""));
        let sizes: Vec<&str> = rest.split_whitespace().collect();
        let dtype = match dtype {
            "=" => {
                let numbers: Vec<i64> = sizes.iter().map(|n| n.parse().unwrap()).collect();
                let constant = node("Constant", &[], &[name]);
                nodes.push(with(constant, &[ints("value_ints", &numbers)]));
                continue;
            }
            "u8" => U8,
            "i8" => I8,
            "i16" => I16,
            "i32" => I32,
            "text" => 8,
            "bool" => 9,
            _ => F32,
        };
        declared.push(typed(name, dtype, &sizes));
    }
    let made: Vec<String> = (0..outputs).map(|i| format!("o{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    nodes.push(with(microsoft(op, &names, &made), attributes));
    let results: Vec<Message> = made.iter().map(|name| Message::default().bytes(1, name)).collect();
    analyzed(&model(&nodes, &declared, &results), &[])
}

/// What is compared: output shapes, MACs, operations of floats and of integers.
#[track_caller]
fn holds(report: &Value, shapes: &Value, macs: u64, flops: u64, int_ops: u64) {
    assert_eq!(report["coverage"]["percent"], 100.0, "{}", report["diagnostics"]);
    let found: Vec<Value> =
        report["outputs"].as_array().unwrap().iter().map(|o| o["shape"].clone()).collect();
    assert_eq!(&Value::from(found), shapes);
    let counts = ["macs", "flops", "int_ops"].map(|what| total(report, what));
    assert_eq!(counts, [macs, flops, int_ops]);
}

#[test]
fn attention_over_packed_tokens() {
    let heads = [int("num_heads", 4)];
    // 10 tokens, 4 heads of 8, sequences of at most 6: scores 10·4·6.
    let (macs, scores) = (2 * 10 * 4 * 6 * 8, 10 * 4 * 6);
    let inputs = ["f 10 32", "f 32 96", "f 96", "i32 2 6", "i32 3"];
    let projected = 10 * 32 * 96;
    let report = alone("PackedAttention", &inputs, 1, &heads);
    let flops = 2 * (macs + projected) + 6 * scores + 10 * 96;
    holds(&report, &json!([[10, 32]]), macs + projected, flops, 0);
    let inputs = ["f 10 32", "f 10 32", "f 10 32", "", "i32 2 6", "i32 3"];
    let report = alone("PackedMultiHeadAttention", &inputs, 1, &heads);
    holds(&report, &json!([[10, 32]]), macs, 2 * macs + 6 * scores, 0);
    assert_eq!(report["ops"][0]["status"], "bound");
    let inputs = ["f 10 4 3 8", "", "", "f 96", "i32 2 6", "i32 3"];
    let report = alone("PackedMultiHeadAttention", &inputs, 1, &heads);
    holds(&report, &json!([[10, 32]]), macs, 2 * macs + 6 * scores + 10 * 96, 0);
}

#[test]
fn attention_over_caches() {
    let heads = [int("num_heads", 4), int("kv_num_heads", 2)];
    // One query each of two sequences over 9 keys and its own.
    let inputs = ["f 2 1 32", "f 2 1 32", "f 2 1 32", "", "", "f 2 4 9 8", "f 2 4 9 8"];
    let (macs, scores) = (2 * 2 * 4 * 10 * 8, 2 * 4 * 10);
    let report = alone("DecoderMaskedMultiHeadAttention", &inputs, 3, &heads[..1]);
    let cache = json!([2, 4, 10, 8]);
    holds(&report, &json!([[2, 1, 32], cache, cache]), macs, 2 * macs + 6 * scores, 0);
    let inputs = ["f 2 1 32", "f 32 96", "f 96", "", "f 2 2 4 9 8"];
    let report = alone("DecoderMaskedSelfAttention", &inputs, 2, &heads[..1]);
    let own = 2 * 32 * 96;
    let flops = 2 * (macs + own) + 6 * scores + 2 * 96;
    holds(&report, &json!([[2, 1, 32], [2, 2, 4, 10, 8]]), macs + own, flops, 0);

    // Seven tokens over blocks: 5 a sequence, of 16 keys.
    let pages = "f 20 16 2 8";
    let inputs = ["f 7 32", "f 7 16", "f 7 16", pages, pages, "i32 4", "i32 3", "i32 3 5"];
    let report = alone("PagedAttention", &inputs, 3, &heads);
    let (macs, scores) = (2 * 7 * 4 * 80 * 8, 7 * 4 * 80);
    let pages = json!([20, 16, 2, 8]);
    holds(&report, &json!([[7, 32], pages, pages]), macs, 2 * macs + 6 * scores, 0);
    // The output, and seven new rows of keys and values.
    assert_eq!(total(&report, "bytes_written"), 4 * (7 * 32 + 2 * 7 * 16));
    let cache = "f 2 2 64 8";
    let inputs = [
        "f 2 3 64", "", "", cache, cache, "i32 1 5", "i32 1 9", "i32 1", "i32 2", "f 64 4",
        "f 64 4",
    ];
    let attributes = [heads[0].clone(), heads[1].clone(), int("sparse_block_size", 16)];
    let report = alone("SparseAttention", &inputs, 3, &attributes);
    let (macs, scores) = (2 * 2 * 4 * 3 * 64 * 8, 2 * 4 * 3 * 64);
    let cache = json!([2, 2, 64, 8]);
    holds(&report, &json!([[2, 3, 32], cache, cache]), macs, 2 * macs + 6 * scores, 0);
}

#[test]
fn attention_of_other_forms() {
    let heads = int("num_heads", 4);
    // Windows of two to each side; no key is global where the data do not say so.
    let inputs = ["f 2 16 32", "f 32 96", "f 96", "f 2 16", "f 32 96", "f 96", "i32 2 16"];
    let report = alone("LongformerAttention", &inputs, 1, &[heads.clone(), int("window", 2)]);
    assert_eq!(report["outputs"][0]["shape"], json!([2, 16, 32]));
    // At most every token is global: a row of 5 and 16 keys, and 16 columns of 16.
    let pairs = 16 * (5 + 16) + 16 * 16;
    assert_eq!(total(&report, "macs"), 2 * 4 * pairs * 8 * 2 + 2 * 2 * 16 * 96 * 32);

    // Eight steps of a decoder by an encoder of twelve: `[S, B, D]`.
    let weights = ["f 32 32", "f 32 64", "f 96"];
    let of = |fixed: &'static str, used: &'static str| {
        let cache = "f 2 4 5 8";
        let inputs = [
            "f 3 2 32",
            "f 12 2 32",
            weights[0],
            weights[1],
            weights[2],
            "",
            cache,
            cache,
            fixed,
            used,
            used,
            "= 0",
        ];
        alone("DecoderAttention", &inputs, 3, std::slice::from_ref(&heads))
    };
    for (fixed, used, keys, projected) in
        [("= 0", "= 0", 3, 3), ("= 1", "= 0", 12, 12), ("= 0", "= 1", 8, 3), ("= 1", "= 1", 5, 0)]
    {
        let rows = 2 * (3 + 2 * projected) * 32;
        let (macs, scores) = (2 * 4 * 3 * keys * 16 + rows * 32, 2 * 4 * 3 * keys);
        let state = json!([2, 4, keys, 8]);
        let shapes = json!([[3, 2, 32], state, state]);
        holds(&of(fixed, used), &shapes, macs, 2 * macs + 6 * scores + rows, 0);
    }

    let inputs = ["f 2 7 32", "f 32", "f 1 4 7 7", "f 8 8", "f 8", "f 1 4 1 1"];
    let report = alone("GatedRelativePositionBias", &inputs, 1, std::slice::from_ref(&heads));
    assert_eq!(report["outputs"][0]["shape"], json!([2, 4, 7, 7]));
    assert_eq!(total(&report, "macs"), 2 * 4 * 7 * 8 * 8);
    let report =
        alone("RelativePositionBias", &["f 32 4", "= 6", "= 9"], 1, &[int("max_distance", 128)]);
    holds(&report, &json!([[1, 4, 6, 9]]), 0, 0, 0);
    let inputs = ["f 2 5 8", "f 2 4 5 8", "f 2 4 5 8", "f 2 1 5 8", "f 2 1 5 8"];
    let report = alone("GemmaRotaryEmbedding", &inputs, 2, &[]);
    let turned = 3 * (2 * 4 * 5 * 8 + 2 * 5 * 8) + 2 * 2 * 5 * 8;
    holds(&report, &json!([[2, 4, 5, 8], [2, 1, 5, 8]]), 0, turned, 0);

    // Integer projections and scores.
    let s = "f";
    let w = "i8 32 32";
    let inputs = ["i8 2 6 32", s, s, s, s, w, w, w, s, s, s, s, s, s, s, s, s];
    let report = alone("QOrderedAttention", &inputs, 1, std::slice::from_ref(&heads));
    let macs = 2 * 6 * 96 * 32 + 2 * 2 * 4 * 36 * 8;
    holds(&report, &json!([[2, 6, 32]]), macs, 0, 2 * macs + 2 * 6 * 96 + 6 * 2 * 4 * 36);
}

#[test]
fn states_over_tokens() {
    let rule = text("update_rule", "gated_delta");
    let inputs = ["f 9 2 8", "f 9 2 8", "f 9 4 16", "", "f 9 4", "f 9 4", "f 3 4 16 8"];
    let report = alone("GatedDeltaNet", &inputs, 2, std::slice::from_ref(&rule));
    let cells = 9 * 4 * 8 * 16;
    let macs = 3 * cells;
    let flops = 2 * macs + cells + 2 * 9 * 4 * 16 + 9 * 4;
    holds(&report, &json!([[9, 4, 16], [3, 4, 16, 8]]), macs, flops, 0);
    let attributes = [int("q_num_heads", 4), int("kv_num_heads", 4), text("update_rule", "linear")];
    let inputs = ["f 2 9 32", "f 2 9 32", "f 2 9 64"];
    let report = alone("LinearAttention", &inputs, 2, &attributes);
    let macs = 2 * 2 * 9 * 4 * 8 * 16;
    holds(&report, &json!([[2, 9, 64], [2, 4, 8, 16]]), macs, 2 * macs, 0);
    let s = "f 1";
    let inputs = ["f 7 3 10", "i8 1 10 80", "i8 1 20 80", "", "", "", "", "", s, "i8 1", s, "i8 1"];
    let report = alone("DynamicQuantizeLSTM", &inputs, 3, &[int("hidden_size", 20)]);
    assert_eq!(report["outputs"][0]["shape"], json!([7, 1, 3, 20]));
    assert_eq!(report["outputs"][2]["shape"], json!([1, 3, 20]));
    assert_eq!(total(&report, "macs"), 7 * 3 * 80 * (10 + 20));
    assert_eq!(total(&report, "flops"), 0);
}

#[test]
fn norms_of_other_forms() {
    let n = 2 * 8 * 8 * 32;
    let norm = [int("groups", 4), int("activation", 1)];
    let report = alone("GroupNorm", &["f 2 8 8 32", "f 32", "f 32"], 1, &norm);
    holds(&report, &json!([[2, 8, 8, 32]]), 0, (7 + 4 + 1) * n + 2 * 4, 0);
    let inputs = ["f 2 8 8 32", "f 32", "f 32", "f 2 8 8 32", "f 32"];
    let plain = [int("groups", 4), int("activation", 0)];
    let report = alone("SkipGroupNorm", &inputs, 2, &plain);
    holds(&report, &json!([[2, 8, 8, 32], [2, 8, 8, 32]]), 0, 9 * n + 2 * 4, 0);
    let report = alone("GatedRMSNorm", &["f 6 32", "f 32", "f 6 32"], 1, &[]);
    holds(&report, &json!([[6, 32]]), 0, 6 * 32 * (9 + 1) + 6, 0);
    let table = "u8 1000 32";
    let s = "f";
    let inputs = [
        "i32 2 7", "i32 2 7", table, table, table, "u8 32", "u8 32", "", s, s, s, s, s, "u8", "u8",
        "u8", "u8", "u8",
    ];
    let report = alone("QEmbedLayerNormalization", &inputs, 2, &[]);
    let n = 2 * 7 * 32;
    holds(&report, &json!([[2, 7, 32], [2]]), 0, n * (7 + 2 + 6) + 14 + 14, 0);
    // Three rows a token, ids, scales, shifts and zero points.
    assert!(total(&report, "bytes_read") < 3 * n + 2 * 14 * 4 + 200);
    let report = alone("QOrderedLayerNormalization", &["i8 6 32", s, "f 32", "f 32", s], 1, &[]);
    holds(&report, &json!([[6, 32]]), 0, 11 * 192 + 3 * 6, 0);
    let report = alone("QOrderedGelu", &["i8 6 32", s, s], 1, &[]);
    holds(&report, &json!([[6, 32]]), 0, 9 * 192, 0);
    let report = alone("QuantizeWithOrder", &["f 6 32", s], 1, &[]);
    holds(&report, &json!([[6, 32]]), 0, 3 * 192, 0);
    assert_eq!(report["outputs"][0]["dtype"], "i8");
    let report = alone("DequantizeWithOrder", &["i8 6 32", s], 1, &[int("to", 10)]);
    holds(&report, &json!([[6, 32]]), 0, 192, 0);
    assert_eq!(report["outputs"][0]["dtype"], "f16");
}

#[test]
fn products_in_packed_weights() {
    let (k, n) = (64, 96);
    let macs = 5 * k * n;
    let sizes = [int("K", 64), int("N", 96), int("bits", 4), int("block_size", 32)];
    let (packed, scales) = ("u8 96 2 16", "f 192");
    let inputs = ["f 1 5 64", "", "f 64", packed, scales, "", packed, scales];
    let report =
        alone("MatMulNBitsMlp", &inputs, 1, &[&sizes[..], &[text("activation", "silu")]].concat());
    let flops = 4 * macs + 4 * k * n + 6 * 5 * n + 4 * 5 * k + 5;
    holds(&report, &json!([[1, 5, 96]]), 2 * macs, flops, 0);
    let sizes = [int("K", 64), int("Nq", 96), int("Nkv", 32), int("block_size", 32)];
    let kv = ["u8 32 2 16", "f 64"];
    let inputs = ["f 1 5 64", "", "f 64", packed, scales, "", kv[0], kv[1], "", kv[0], kv[1]];
    let report = alone("MatMulNBitsQkv", &inputs, 3, &sizes);
    let (macs, all) = (5 * k * (96 + 64), 96 + 64);
    let flops = 2 * macs + 2 * k * all + 4 * 5 * k + 5;
    holds(&report, &json!([[1, 5, 96], [1, 5, 32], [1, 5, 32]]), macs, flops, 0);
    let macs = 5 * k * n;
    let report = alone("MatMulFpQ4", &["f 5 64", "u8 3456", "= 64 96"], 1, &[]);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs + 2 * k * n, 0);
    let report = alone("MatMulBlockQuantizedFp8Weight", &["f 5 64", "u8 96 64", "f 1 1"], 1, &[]);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs + k * n, 0);
    let inputs = ["f 5 64", "u8 96 32", "u8 96 4", "f 1"];
    let report = alone("MatMulBlockQuantizedFp4Weight", &inputs, 1, &[]);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs + k * n, 0);
    let report = alone("MatMulInteger16", &["i16 5 64", "i16 64 96"], 1, &[]);
    holds(&report, &json!([[5, 96]]), macs, 0, 2 * macs);
    let report = alone("QOrderedMatMul", &["i8 1 5 64", "f", "i8 64 96", "f", "f", "f 96"], 1, &[]);
    holds(&report, &json!([[1, 5, 96]]), macs, 0, 2 * macs + 3 * 5 * n);
    let report = alone("SparseToDenseMatMul", &["f 5 64", "f 64 96"], 1, &[]);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs, 0);
    let relu = [text("activation", "Relu"), int("transB", 1)];
    let report = alone("FusedMatMulActivation", &["f 5 64", "f 96 64"], 1, &relu);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs + 5 * n, 0);
    let report = alone("GemmFloat8", &["f 5 64", "f 64 96"], 1, &[int("dtype", 10)]);
    holds(&report, &json!([[5, 96]]), macs, 2 * macs, 0);
    assert_eq!(report["outputs"][0]["dtype"], "f16");
}

#[test]
fn windows_spectra_and_parts() {
    let pool = [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1; 4])];
    let report = alone("NhwcMaxPool", &["i8 2 9 11 6"], 1, &pool);
    holds(&report, &json!([[2, 5, 6, 6]]), 0, 0, 8 * 2 * 5 * 6 * 6);
    let crop = ["f 2 3 16 16", "f 5 4", "i32 5", "= 4 6"];
    let report = alone("CropAndResize", &crop, 1, &[]);
    holds(&report, &json!([[5, 3, 4, 6]]), 0, 7 * 5 * 3 * 4 * 6, 0);
    let report = alone("GridSample", &["f 2 3 8 8", "f 2 5 6 2"], 1, &[]);
    assert_eq!(report["outputs"][0]["shape"], json!([2, 3, 5, 6]));
    let ndim = int("signal_ndim", 1);
    let report = alone("Rfft", &["f 3 64"], 1, std::slice::from_ref(&ndim));
    holds(&report, &json!([[3, 33, 2]]), 0, 3 * 64 * 6 * 5 / 2, 0);
    let report = alone("Irfft", &["f 3 33 2"], 1, &[ndim]);
    holds(&report, &json!([[3, 64]]), 0, 3 * 64 * 6 * 5 / 2, 0);
    let report = alone("Trilu", &["f 3 4"], 1, &[]);
    holds(&report, &json!([[3, 4]]), 0, 0, 0);
    let report = alone("RemovePadding", &["f 2 7 32", "i32 2"], 4, &[]);
    assert_eq!(report["outputs"][1]["shape"], json!([2, 7]));
    assert_eq!(report["outputs"][2]["shape"], json!([3]));
    let report = alone("RestorePadding", &["f 9 32", "i32 2 7"], 1, &[]);
    holds(&report, &json!([[2, 7, 32]]), 0, 0, 0);
    // A stride of two, padded by one on each side.
    let inputs = ["f 2 6 5 5", "f 6 4 3 3", "= 1 1 1 1"];
    let strided = [ints("strides", &[2, 2])];
    let report = alone("ConvTransposeWithDynamicPads", &inputs, 1, &strided);
    let macs = 2 * 6 * 25 * 4 * 9;
    holds(&report, &json!([[2, 4, 9, 9]]), macs, 2 * macs, 0);
}

/// A decoder of one product, with a cache that it appends to.
fn decoder() -> Message {
    let nodes = [
        node("Gather", &["table", "input_ids"], &["h"]),
        node("MatMul", &["h", "w"], &["logits"]),
        node("Identity", &["past_0"], &["present_0"]),
    ];
    let inputs = [
        typed("input_ids", I32, &["rows", "seq"]),
        typed("position_ids", I32, &["rows", "seq"]),
        typed("attention_mask", I32, &["rows", "all"]),
        value("past_0", &["2", "rows", "4", "past", "8"]),
    ];
    let outputs = [value("logits", &[]), value("present_0", &[])];
    graph(&nodes, &inputs, &outputs)
}

/// Weights of the decoder lie in the graph around it.
fn generated(op: &str, inputs: &[&str], outputs: &[&str], extra: &[&str]) -> Value {
    let body = Message::default().bytes(1, "decoder").int(20, 5).message(6, &decoder());
    let search = with(microsoft(op, inputs, outputs), &[body, int("model_type", 0)]);
    let number =
        |name: &str, n: i64| with(node("Constant", &[], &[name]), &[ints("value_ints", &[n])]);
    let nodes = [number("beams", 3), number("kept", 2), number("least", 1), search];
    let given = [
        typed("ids", I32, &["2", "5"]),
        typed("most", I32, &["1"]),
        value("table", &["100", "16"]),
        value("w", &["16", "100"]),
    ];
    let results: Vec<Message> = outputs.iter().map(|o| Message::default().bytes(1, o)).collect();
    analyzed(&model(&nodes, &given, &results), extra)
}

#[test]
fn generation_is_its_decoder_step_by_step() {
    let beams = ["ids", "most", "least", "beams", "kept"];
    let report = generated("BeamSearch", &beams, &["sequences"], &["--dim", "steps.4=20"]);
    // Five tokens of six beams, then twenty steps of one token each.
    assert_eq!(total(&report, "macs"), 6 * (5 + 20) * 16 * 100);
    assert_eq!(report["outputs"][0]["shape"], json!([2, 2, 25]));
    assert_eq!(report["ops"][3]["status"], "bound");
    let report = generated("GreedySearch", &["ids", "most"], &["sequences"], &[]);
    assert_eq!(report["formulas"]["macs"], "3200·steps.4 + 16000");
    let outputs = ["sequences", "logits"];
    let report = generated("Sampling", &["ids", "most"], &outputs, &["--dim", "steps.4=7"]);
    assert_eq!(total(&report, "macs"), 2 * (5 + 7) * 16 * 100);
    assert_eq!(report["outputs"][1]["shape"], json!([2, 100]));
}

/// An encoder that halves the frames of a sound, as speech models do, and a decoder of one product whose
/// keys of cross-attention the encoder made. Weights lie in the graph around both.
fn speech(outputs: &[&str], pairs: &str, extra: &[&str]) -> Value {
    let body =
        |name: &str, body: &Message| Message::default().bytes(1, name).int(20, 5).message(6, body);
    let product = || node("MatMul", &["h", "w"], &["logits"]);
    let embed = |ids: &str| node("Gather", &["table", ids], &["h"]);
    let sound = ["rows", "80", "frames"];
    let halved = [ints("strides", &[2]), ints("pads", &[1, 1])];
    let nodes = [
        with(node("Conv", &["encoder_input_ids", "filter"], &["states"]), &halved),
        with(node("Reshape", &["states", "apart"], &["split"]), &[]),
        with(
            node("Transpose", &["split"], &["present_key_cross_0"]),
            &[ints("perm", &[0, 1, 3, 2])],
        ),
        embed("decoder_input_ids"),
        product(),
    ];
    let inputs =
        [value("encoder_input_ids", &sound), typed("decoder_input_ids", I32, &["rows", "s"])];
    let results = [value("logits", &[]), value("present_key_cross_0", &[])];
    let encoder = graph(&nodes, &inputs, &results);
    let crossed = ["rows", "2", "encoded", "8"];
    let nodes = [
        embed("input_ids"),
        product(),
        node("ReduceSum", &["past_key_cross_0"], &["sum"]),
        node("Identity", &["past_key_self_0"], &["present_key_self_0"]),
    ];
    let inputs = [
        typed("input_ids", I32, &["rows", "s"]),
        value("past_key_self_0", &["rows", "2", "past", "8"]),
        value("past_key_cross_0", &crossed),
    ];
    let results = ["logits", "present_key_self_0", "sum"].map(|name| value(name, &[]));
    let decoder = graph(&nodes, &inputs, &results);
    let mut inputs = vec!["sound", "most", "least", "beams", "kept", "", "", "", "", "", "start"];
    inputs.extend(["", pairs].iter().take(if pairs.is_empty() { 0 } else { 2 }));
    let search = microsoft("WhisperBeamSearch", &inputs, outputs);
    let search = with(search, &[body("encoder", &encoder), body("decoder", &decoder)]);
    let number =
        |name: &str, n: &[i64]| with(node("Constant", &[], &[name]), &[ints("value_ints", n)]);
    let nodes = [
        number("most", &[24]),
        number("beams", &[3]),
        number("kept", &[2]),
        number("least", &[1]),
        number("apart", &[0, 2, 8, -1]),
        search,
    ];
    let given = [
        value("sound", &["2", "80", "60"]),
        typed("start", I32, &["2", "4"]),
        typed("pairs", I32, &["5", "2"]),
        value("table", &["100", "16"]),
        value("w", &["16", "100"]),
        value("filter", &["16", "80", "3"]),
    ];
    let results: Vec<Message> = outputs.iter().map(|o| Message::default().bytes(1, o)).collect();
    analyzed(&model(&nodes, &given, &results), extra)
}

#[test]
fn speech_is_encoded_once_and_decoded_step_by_step() {
    let outputs = ["sequences", "kept_scores", "scores", "crossed", "silence"];
    let report = speech(&outputs, "", &[]);
    assert_eq!(report["coverage"]["percent"], 100.0, "{}", report["diagnostics"]);
    // Six beams: 60 frames become 30; four tokens to begin with, then at most twenty steps of one.
    let (encoder, product) = (6 * 30 * 16 * 80 * 3, 16 * 100);
    assert_eq!(total(&report, "macs"), encoder + 6 * (4 + 20) * product);
    assert_eq!(report["ops"][5]["status"], "bound");
    let shapes = json!([[2, 2, 24], [2, 2], [20, 2, 3, 100], [2, 2, 2, 24, 30], [2]]);
    let found = report["outputs"].as_array().unwrap().iter().map(|o| o["shape"].clone());
    assert_eq!(found.collect::<Value>(), shapes);
    // Every step sums the 30 keys of all heads and beams, and scores its logits: exp, maximum, difference,
    // sum, and the comparison.
    let sums = 20 * (6 * 2 * 30 * 8 - 1);
    assert_eq!(total(&report, "flops") - 2 * total(&report, "macs"), sums + 20 * 6 * 100 * 5);
    let report = speech(&outputs, "pairs", &["--dim", "steps.6=3"]);
    assert_eq!(total(&report, "macs"), encoder + 6 * (4 + 3) * product);
    assert_eq!(report["outputs"][3]["shape"], json!([2, 2, 5, 24, 30]));
}

/// As onnxruntime's kernel does it: one more axis, as long as the longest text has words.
#[test]
fn words_are_counted_when_the_model_runs() {
    for (shape, symbolic) in [("text 3", "string[3,words.1]"), ("text 2 4", "string[2,4,words.1]")]
    {
        let report = alone("Tokenizer", &[shape], 1, &[]);
        assert_eq!(report["coverage"]["percent"], 100.0, "{}", report["diagnostics"]);
        assert_eq!(report["outputs"][0]["symbolic"], symbolic);
        assert_eq!(report["ops"][0]["status"], "bound");
        assert_eq!(total(&report, "flops"), 0);
    }
    let report = alone("Tokenizer", &["text 3", "text 3"], 1, &[]);
    assert_eq!(report["coverage"]["unknown"]["com.microsoft.Tokenizer"], 1);
}

/// Nothing is known of it, and that is said.
#[test]
fn compiled_parts_are_unknown() {
    let report = alone("EPContext", &["f 1 3"], 1, &[]);
    assert_eq!(report["coverage"]["unknown"]["com.microsoft.EPContext"], 1);
    let text = report["diagnostics"].to_string();
    assert!(text.contains("compiled for one device"), "{text}");
}
