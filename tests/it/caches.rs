//! Caches of decoders in the layouts that exporters write: what is kept, what a step must move, and the
//! phases. Numbers are computed by hand beside each model: a row of a cache is 2 heads × 8 f32 = 64 bytes.

use crate::oracles::{analyzed, int, total, with};
use crate::wire::{Message, graph, microsoft, model, node, typed, value};
use serde_json::Value;

const INT32: i64 = 6;
const INT64: i64 = 7;
const BOOL: i64 = 9;

fn kept(report: &Value) -> u64 {
    report["memory"]["kv_cache_bytes"].as_u64().unwrap()
}

/// A model of another operator set.
fn at_opset(version: i64, nodes: &[Message], inputs: &[Message], outputs: &[Message]) -> Vec<u8> {
    let opset = Message::default().bytes(1, "").int(2, version);
    let whole = graph(nodes, inputs, outputs);
    Message::default().int(1, 11).message(7, &whole).message(8, &opset).0
}

fn joined(inputs: &[&str], output: &str, axis: i64) -> Message {
    with(node("Concat", inputs, &[output]), &[int("axis", axis)])
}

/// One layer's keys: `k`, of the new tokens, behind `past`.
fn keys(dtype: i64) -> [Message; 2] {
    [typed("past", dtype, &["b", "2", "p", "8"]), value("k", &["b", "2", "s", "8"])]
}

const STEP: [&str; 6] = ["--dim", "b=1", "--dim", "s=1", "--dim", "p=9"];

#[test]
fn a_step_reads_its_cache_once_and_writes_what_is_new() {
    // As written: 9 rows and 1 read, 10 written. At least: the same read, 1 written.
    let nodes = [joined(&["past", "k"], "present", 2)];
    let report = analyzed(&model(&nodes, &keys(1), &[value("present", &[])]), &STEP);
    assert_eq!(kept(&report), 640);
    assert_eq!(total(&report, "bytes_read") + total(&report, "bytes_written"), 640 + 640);
    assert_eq!(total(&report, "fused_bytes"), 1280);
    assert_eq!(total(&report, "compulsory_bytes"), 576 + 64 + 64);
    // The past goes through a Concat of one input, as torch exports a DynamicCache: a copy, and no more.
    let nodes = [joined(&["past"], "copy", 2), joined(&["copy", "k"], "present", 2)];
    let report = analyzed(&model(&nodes, &keys(1), &[value("present", &[])]), &STEP);
    assert_eq!((kept(&report), total(&report, "compulsory_bytes")), (640, 704));
    // A cache of f16 is lengthened in f32: 2-byte elements are read of it and written to it.
    let nodes = [
        with(node("Cast", &["past"], &["wide"]), &[int("to", 1)]),
        joined(&["wide", "k"], "all", 2),
        with(node("Cast", &["all"], &["present"]), &[int("to", 10)]),
    ];
    let report = analyzed(&model(&nodes, &keys(10), &[typed("present", 10, &[])]), &STEP);
    assert_eq!((kept(&report), total(&report, "compulsory_bytes")), (320, 288 + 64 + 32));
}

/// Keys and values of a layer in one tensor, as early exports of GPT-2 have them.
#[test]
fn keys_and_values_in_one_tensor_are_a_cache() {
    let nodes = [
        node("Split", &["past_0"], &["old_k", "old_v"]),
        joined(&["old_k", "k"], "all_k", 3),
        joined(&["old_v", "v"], "all_v", -2),
        joined(&["all_k", "all_v"], "present_0", 0),
    ];
    let new = ["1", "b", "2", "s", "8"];
    let inputs = [value("past_0", &["2", "b", "2", "p", "8"]), value("k", &new), value("v", &new)];
    let report = analyzed(&model(&nodes, &inputs, &[value("present_0", &[])]), &STEP);
    assert_eq!(kept(&report), 2 * 640);
    assert_eq!(total(&report, "compulsory_bytes"), 2 * (576 + 64 + 64));
    assert_eq!(report["phases"][0]["symbol"], "p");
    assert_eq!(report["phases"][1]["symbol"], "s");
}

/// Positions of a cache of fixed length are overwritten: 16 rows.
#[test]
fn a_cache_of_fixed_length_is_updated_in_place() {
    let nodes = [
        node("TensorScatter", &["past", "k", "at"], &["present"]),
        node("ReduceSum", &["present"], &["y"]),
    ];
    let inputs = [
        value("past", &["b", "2", "16", "8"]),
        value("k", &["b", "2", "s", "8"]),
        typed("at", INT64, &["b"]),
    ];
    let outputs = [value("present", &[]), value("y", &[])];
    let file = at_opset(24, &nodes, &inputs, &outputs);
    let report = analyzed(&file, &["--dim", "b=1", "--dim", "s=1"]);
    assert_eq!(kept(&report), 1024);
    // The new row and its position are read, and written; the sum reads 15 old rows; 4 bytes of result.
    assert_eq!(total(&report, "compulsory_bytes"), 64 + 8 + 64 + 15 * 64 + 4);
    // The length of a step is a symbol: many tokens at first, one in each step.
    let phases = &report["phases"];
    assert_eq!((&phases[0]["name"], &phases[1]["name"]), (&"prefill".into(), &"decode".into()));
    assert_eq!((&phases[1]["symbol"], &phases[1]["value"]), (&"s".into(), &1.into()));
    // Rows by their indices.
    let nodes = [node("ScatterND", &["past", "at", "k"], &["present"])];
    let inputs = [
        value("past", &["16", "2", "8"]),
        typed("at", INT64, &["s", "1"]),
        value("k", &["s", "2", "8"]),
    ];
    let file = model(&nodes, &inputs, &[value("present", &[])]);
    let report = analyzed(&file, &["--dim", "s=1"]);
    assert_eq!((kept(&report), total(&report, "compulsory_bytes")), (1024, 64 + 8 + 64));
    assert_eq!(total(&report, "bytes_written"), 1024, "as written, the whole is copied");
}

#[test]
fn attention_appends_to_its_cache() {
    // 4 heads over 2 of keys and values: queries and results of 128 bytes, lengths of 4 each.
    let heads = [int("num_heads", 4), int("kv_num_heads", 2)];
    let names = ["q", "k", "v", "past_k", "past_v", "lengths", "longest"];
    let nodes = [with(microsoft("GroupQueryAttention", &names, &["y", "now_k", "now_v"]), &heads)];
    let cache = ["b", "2", "p", "8"];
    let inputs = [
        value("q", &["b", "s", "32"]),
        value("k", &["b", "s", "16"]),
        value("v", &["b", "s", "16"]),
        value("past_k", &cache),
        value("past_v", &cache),
        typed("lengths", INT32, &["b"]),
        typed("longest", INT32, &["1"]),
    ];
    let outputs = [value("y", &[]), value("now_k", &[]), value("now_v", &[])];
    let report = analyzed(&model(&nodes, &inputs, &outputs), &STEP);
    assert_eq!(kept(&report), 2 * 640);
    assert_eq!(total(&report, "compulsory_bytes"), 128 + 2 * 64 + 2 * 576 + 8 + 128 + 2 * 64);
    let phases = report["phases"].as_array().unwrap();
    assert_eq!(phases.len(), 2, "{phases:?}");
    // A buffer of 16 rows that past and present share: the new rows alone are written.
    let names = ["q", "k", "v", "", "", "past_k", "past_v"];
    let attributes = [int("num_heads", 2), int("past_present_share_buffer", 1)];
    let shared = microsoft("DecoderMaskedMultiHeadAttention", &names, &["y", "now_k", "now_v"]);
    let one = ["1", "1", "16"];
    let buffer = ["1", "2", "16", "8"];
    let inputs = [
        value("q", &one),
        value("k", &one),
        value("v", &one),
        value("past_k", &buffer),
        value("past_v", &buffer),
    ];
    let report = analyzed(&model(&[with(shared, &attributes)], &inputs, &outputs), &[]);
    assert_eq!(kept(&report), 2 * 1024);
    assert_eq!(total(&report, "compulsory_bytes"), 3 * 64 + 2 * 1024 + 64 + 2 * 64);
}

/// A merged decoder: one branch lengthens the cache, the other begins it.
fn merged() -> Vec<u8> {
    let branch = |name: &str, nodes: &[Message], outputs: [&str; 2]| {
        let outputs = outputs.map(|name| value(name, &[]));
        Message::default().bytes(1, name).int(20, 5).message(6, &graph(nodes, &[], &outputs))
    };
    let longer = [
        joined(&["past.0.decoder.key", "k"], "longer", 2),
        node("Identity", &["past.0.encoder.key"], &["same"]),
    ];
    let begun = [node("Identity", &["k"], &["begun"]), node("Relu", &["encoded"], &["projected"])];
    let branches = [
        branch("then_branch", &longer, ["longer", "same"]),
        branch("else_branch", &begun, ["begun", "projected"]),
    ];
    let outputs = ["present.0.decoder.key", "present.0.encoder.key"];
    let inputs = [
        typed("use_cache_branch", BOOL, &["1"]),
        value("k", &["b", "2", "s", "8"]),
        value("encoded", &["b", "2", "e", "8"]),
        value("past.0.decoder.key", &["b", "2", "p", "8"]),
        value("past.0.encoder.key", &["b", "2", "e", "8"]),
        value("past.0.encoder.value", &["b", "2", "e", "8"]),
    ];
    let nodes = [with(node("If", &["use_cache_branch"], &outputs), &branches)];
    model(&nodes, &inputs, &outputs.map(|name| value(name, &[])))
}

#[test]
fn caches_of_merged_decoders_are_found_in_their_branches() {
    let args = |flag| [&STEP[..], &["--dim", "e=20", "--value", flag]].concat();
    let report = analyzed(&merged(), &args("use_cache_branch=true"));
    // 10 rows of the decoder, and 20 of the encoder, which are handed on; values of the encoder are kept
    // by the caller though nothing gives them back.
    assert_eq!(kept(&report), 640 + 2 * 1280);
    assert_eq!(total(&report, "compulsory_bytes"), 576 + 64 + 64);
    assert_eq!(report["phases"][1]["symbol"], "s");
    // Nothing is kept yet: the new row is read and handed on, the encoder's rows are made.
    let report = analyzed(&merged(), &args("use_cache_branch=false"));
    assert_eq!(kept(&report), 64 + 2 * 1280);
    assert_eq!(total(&report, "compulsory_bytes"), 2 * 1280);
}

/// Fed by embeddings, with a mask whose length has a symbol of its own: that of past and new together.
#[test]
fn a_mask_is_as_long_as_past_and_new() {
    let nodes = [
        joined(&["past", "k"], "present", 2),
        node("Relu", &["inputs_embeds"], &["y"]),
        with(node("Cast", &["attention_mask"], &["m"]), &[int("to", 1)]),
    ];
    let mask = typed("attention_mask", INT64, &["b", "t"]);
    let embeds = value("inputs_embeds", &["b", "s", "4"]);
    let [past, k] = keys(1);
    let outputs = ["present", "y", "m"].map(|name| value(name, &[]));
    for inputs in [[mask.clone(), embeds.clone(), past.clone(), k.clone()], [embeds, mask, past, k]]
    {
        let file = model(&nodes, &inputs, &outputs);
        let report = analyzed(&file, &STEP);
        assert_eq!(report["bindings"]["t"], 10);
        let phases = &report["phases"];
        assert_eq!((&phases[0]["symbol"], &phases[1]["symbol"]), (&"p".into(), &"s".into()));
        // Embeddings and their result, 16 bytes a token; the mask and its result, 12 a position; rows of
        // the cache: past read, new read and written.
        assert_eq!(phases[0]["compulsory_bytes"], 2 * 16 + 12 + 2 * 64);
        assert_eq!(phases[1]["compulsory_bytes"], 2 * 16 + 10 * 12 + 9 * 64 + 2 * 64);
        let formula = phases[1]["compulsory_bytes_formula"].as_str().unwrap();
        assert!(!formula.contains('t'), "{formula}");
        // A length that is given stays.
        let given = analyzed(&file, &[&STEP[..], &["--dim", "t=12"]].concat());
        assert_eq!(given["bindings"]["t"], 12);
    }
}

/// A decoder with a product over the positions that a mask keeps: at most as many as are past, which are 128 where
/// nobody says how many; no run has to do it.
#[test]
fn a_phase_counts_data_dependent_work_at_its_own_sizes() {
    let nodes = [
        joined(&["past", "k"], "present", 2),
        node("NonZero", &["mask"], &["found"]),
        with(node("Cast", &["found"], &["float"]), &[int("to", 1)]),
        node("Transpose", &["float"], &["rows"]),
        node("MatMul", &["rows", "w"], &["y"]),
    ];
    let mut inputs = keys(1).to_vec();
    inputs.extend([value("mask", &["p"]), value("w", &["1", "4"])]);
    let report = analyzed(&model(&nodes, &inputs, &[value("present", &[]), value("y", &[])]), &[]);
    let decode = &report["phases"][1];
    assert_eq!((&decode["name"], &decode["assumed"]["p"]), (&"decode".into(), &128.into()));
    // 4 MACs for each of 128 positions at most, and none at least; a step reads 128 rows of 64 bytes and the new one.
    let count = |what: &str| decode[what].as_u64().unwrap();
    assert!(count("flops") >= 2 * 4 * 128, "{decode}");
    assert_eq!(count("lower_bound_operations"), 0);
    let least = count("lower_bound_bytes");
    assert!(least >= 64 * 128 + 2 * 64 && least <= count("compulsory_bytes"), "{decode}");
}
