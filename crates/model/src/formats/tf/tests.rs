//! Small graphs in the text form. Expected numbers are worked out beside each.
#![allow(clippy::format_collect, reason = "texts of a few values")]

use super::text;
use crate::analysis::{Analysis, analyze};
use crate::dim::Bindings;
use crate::formats::zip::tests::{cases, latin};
use crate::formats::{LoadError, LoadErrorKind, Wanted, load_bytes_for};
use crate::ir::Model;

fn attr(key: &str, value: &str) -> String {
    format!("attr {{ key: '{key}' value {{ {value} }} }} ")
}

fn node(name: &str, op: &str, inputs: &[&str], attrs: &[(&str, &str)]) -> String {
    let inputs: String = inputs.iter().map(|i| format!("input: '{i}' ")).collect();
    let attrs: String = attrs.iter().map(|(key, value)| attr(key, value)).collect();
    format!("name: '{name}' op: '{op}' {inputs}{attrs}")
}

fn shape(sizes: &[i64]) -> String {
    let dims: String = sizes.iter().map(|n| format!("dim {{ size: {n} }} ")).collect();
    format!("{{ {dims} }}")
}

fn input(name: &str, sizes: &[i64]) -> String {
    let stated = format!("shape {}", shape(sizes));
    node(name, "Placeholder", &[], &[("dtype", "type: DT_FLOAT"), ("shape", &stated)])
}

fn weights(name: &str, sizes: &[i64]) -> String {
    let value = format!("tensor {{ dtype: DT_FLOAT tensor_shape {} }}", shape(sizes));
    node(name, "Const", &[], &[("dtype", "type: DT_FLOAT"), ("value", &value)])
}

fn numbers(name: &str, sizes: &[i64], list: &[i64]) -> String {
    let values: String = list.iter().map(|n| format!("int_val: {n} ")).collect();
    let value = format!("tensor {{ dtype: DT_INT32 tensor_shape {} {values} }}", shape(sizes));
    node(name, "Const", &[], &[("dtype", "type: DT_INT32"), ("value", &value)])
}

fn number(name: &str, n: i64) -> String {
    numbers(name, &[], &[n])
}

fn graph(nodes: &[String]) -> String {
    let nodes: String = nodes.iter().map(|n| format!("node {{ {n} }}\n")).collect();
    format!("{nodes}versions {{ producer: 1000 }}\n")
}

/// A function of these arguments and results, `name=value`.
fn function(name: &str, args: &[&str], nodes: &[String], returns: &[&str]) -> String {
    let args: String = args.iter().map(|a| format!("input_arg {{ name: '{a}' }} ")).collect();
    let pairs: Vec<(&str, &str)> = returns.iter().filter_map(|r| r.split_once('=')).collect();
    let outputs: String =
        pairs.iter().map(|(key, _)| format!("output_arg {{ name: '{key}' }} ")).collect();
    let nodes: String = nodes.iter().map(|n| format!("node_def {{ {n} }} ")).collect();
    let ret: String =
        pairs.iter().map(|(k, v)| format!("ret {{ key: '{k}' value: '{v}' }} ")).collect();
    format!("function {{ signature {{ name: '{name}' {args}{outputs} }} {nodes}{ret} }}\n")
}

fn with_library(graph: &str, functions: &[String]) -> String {
    format!("{graph}library {{ {} }}\n", functions.concat())
}

fn read(text: &str) -> Result<Model, LoadError> {
    load_bytes_for(&text.to_owned().into_bytes().into(), &Wanted::default())
}

fn analyzed(text: &str) -> Analysis {
    let model = read(text).unwrap();
    let bindings: Bindings = [("batch".into(), 1)].into_iter().collect();
    let analysis = analyze(&model, &bindings);
    assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
    analysis
}

fn macs(text: &str) -> String {
    analyzed(text).totals.macs.to_string()
}

const F32: (&str, &str) = ("T", "type: DT_FLOAT");
const ONES: &str = "list { i: [1, 1, 1, 1] }";

#[test]
fn convolutions_of_both_layouts_are_counted() {
    let window = [("strides", "list { i: [1, 2, 2, 1] }"), ("padding", "s: 'SAME'"), F32];
    let conv = |op| {
        graph(&[
            input("x", &[-1, 9, 9, 4]),
            weights("w", &[3, 3, 4, 6]),
            node("y", op, &["x", "w"], &window),
        ])
    };
    // 5·5 places, 9 taps: 4·6 products each, or one for each of 4·6 output channels.
    assert_eq!(macs(&conv("Conv2D")), "5400");
    assert_eq!(macs(&conv("DepthwiseConv2dNative")), "5400");
    let second = [
        ("strides", ONES),
        ("padding", "s: 'EXPLICIT'"),
        ("explicit_paddings", "list { i: [0, 0, 0, 0, 1, 0, 2, 1] }"),
        ("data_format", "s: 'NCHW'"),
    ];
    let first = graph(&[
        input("x", &[1, 4, 9, 9]),
        weights("w", &[3, 3, 4, 6]),
        node("y", "Conv2D", &["x", "w"], &second),
    ]);
    // (9 + 1 − 2)·(9 + 3 − 2) = 80 places.
    assert_eq!(macs(&first), "17280");
}

#[test]
fn convolutions_on_blocks_are_dilated_ones() {
    let plain = [("strides", ONES), ("padding", "s: 'VALID'"), F32];
    let text = graph(&[
        input("x", &[-1, 15, 15, 2]),
        weights("w", &[3, 3, 2, 3]),
        numbers("block", &[2], &[2, 2]),
        numbers("pads", &[2, 2], &[2, 3, 2, 3]),
        numbers("crops", &[2, 2], &[0, 1, 0, 1]),
        node("split", "SpaceToBatchND", &["x", "block", "pads"], &[F32]),
        node("conv", "Conv2D", &["split", "w"], &plain),
        node("y", "BatchToSpaceND", &["conv", "block", "crops"], &[F32]),
    ]);
    let analysis = analyzed(&text);
    // 15·15 places of 9·2·3 products; on padded blocks they would be 16·16.
    assert_eq!(analysis.totals.macs.to_string(), "12150");
    let output = analysis.values.iter().rev().find_map(|v| v.shape.clone()).unwrap_or_default();
    assert!(!output.is_empty());
}

#[test]
fn outputs_of_functions_are_found_by_their_names() {
    let halves = [("num_split", "i: 2"), F32];
    let body = [
        number("axis", 1),
        node("halves", "Split", &["axis:output:0", "a"], &halves),
        node("product", "MatMul", &["halves:output:1", "b"], &[F32]),
        node("dead", "MatMul", &["a", "a"], &[F32]),
    ];
    let f = function("f", &["a", "b"], &body, &["unread=dead:product:0", "read=product:product:0"]);
    let main = graph(&[
        input("x", &[-1, 8]),
        weights("w", &[4, 5]),
        node(
            "call",
            "StatefulPartitionedCall",
            &["x", "w"],
            &[("f", "func { name: 'f' }"), ("Tout", "list { type: [DT_FLOAT, DT_FLOAT] }")],
        ),
        node("y", "Identity", &["call:1"], &[F32]),
    ]);
    // The dead product, whose sizes do not fit, is not even looked at.
    assert_eq!(macs(&with_library(&main, &[f])), "20");
}

/// Seven rounds of a product, as a node with functions.
fn while_loop() -> String {
    let cond = function(
        "cond",
        &["i", "n", "s", "w"],
        &[node("less", "Less", &["i", "n"], &[("T", "type: DT_INT32")])],
        &["go=less:z:0"],
    );
    let body = [
        number("one", 1),
        node("next", "AddV2", &["i", "one:output:0"], &[("T", "type: DT_INT32")]),
        node("product", "MatMul", &["s", "w"], &[F32]),
    ];
    let body = function(
        "body",
        &["i", "n", "s", "w"],
        &body,
        &["a=next:z:0", "b=n", "c=product:product:0", "d=w"],
    );
    let calls = [
        ("cond", "func { name: 'cond' }"),
        ("body", "func { name: 'body' }"),
        ("T", "list { type: [DT_INT32, DT_INT32, DT_FLOAT, DT_FLOAT] }"),
    ];
    let main = graph(&[
        input("x", &[-1, 6]),
        weights("w", &[6, 6]),
        number("start", 0),
        number("limit", 7),
        node("loop", "While", &["start", "limit", "x", "w"], &calls),
        node("y", "Identity", &["loop:2"], &[F32]),
    ]);
    with_library(&main, &[cond, body])
}

#[test]
fn loops_with_functions_run_as_often_as_their_counter_says() {
    let analysis = analyzed(&while_loop());
    assert_eq!(analysis.totals.macs.to_string(), "252");
    assert_eq!(analysis.params.to_string(), "36");
}

/// The same loop of single nodes.
fn frame() -> String {
    let enter = |name: &str, of: &str, constant: bool| {
        let constant = format!("b: {constant}");
        node(name, "Enter", &[of], &[("frame_name", "s: 'loop'"), ("is_constant", &constant)])
    };
    graph(&[
        input("x", &[-1, 6]),
        weights("w", &[6, 6]),
        number("start", 0),
        number("limit", 7),
        enter("enter_i", "start", false),
        enter("enter_s", "x", false),
        enter("enter_w", "w", true),
        enter("enter_n", "limit", true),
        node("merge_i", "Merge", &["enter_i", "next_i"], &[]),
        node("merge_s", "Merge", &["enter_s", "next_s"], &[]),
        node("less", "Less", &["merge_i", "enter_n"], &[("T", "type: DT_INT32")]),
        node("go", "LoopCond", &["less"], &[]),
        node("switch_i", "Switch", &["merge_i", "go"], &[]),
        node("switch_s", "Switch", &["merge_s", "go"], &[]),
        number("one", 1),
        node("add", "AddV2", &["switch_i:1", "one"], &[("T", "type: DT_INT32")]),
        node("product", "MatMul", &["switch_s:1", "enter_w"], &[F32]),
        node("next_i", "NextIteration", &["add"], &[]),
        node("next_s", "NextIteration", &["product"], &[]),
        node("exit_i", "Exit", &["switch_i"], &[]),
        node("exit_s", "Exit", &["switch_s"], &[]),
        node("y", "Identity", &["exit_s"], &[F32]),
    ])
}

#[test]
fn loops_of_single_nodes_are_the_same() {
    let model = read(&frame()).unwrap();
    let names: Vec<&str> =
        model.graph.outputs.iter().map(|v| model.graph.value(*v).name.as_str()).collect();
    assert_eq!(names, ["y"]);
    let analysis = analyzed(&frame());
    assert_eq!(analysis.totals.macs.to_string(), "252");
    assert_eq!(analysis.params.to_string(), "36");
}

/// A product on one side of a predicate; `flag` makes it.
fn branches(flag: String) -> String {
    graph(&[
        input("x", &[-1, 6]),
        weights("w", &[6, 6]),
        flag,
        node("pred", "Identity", &["flag"], &[("T", "type: DT_BOOL")]),
        node("x_side", "Switch", &["x", "pred"], &[]),
        node("w_side", "Switch", &["w", "pred"], &[]),
        node("product", "MatMul", &["x_side:1", "w_side:1"], &[F32]),
        node("relu", "Relu", &["x_side"], &[F32]),
        node("merge", "Merge", &["relu", "product"], &[]),
        node("y", "Relu", &["merge"], &[F32]),
    ])
}

#[test]
fn merges_are_branches_unless_the_file_decides() {
    let constant = |yes| {
        let value = format!("tensor {{ dtype: DT_BOOL tensor_shape {{ }} bool_val: {yes} }}");
        node("flag", "Const", &[], &[("dtype", "type: DT_BOOL"), ("value", &value)])
    };
    assert_eq!(macs(&branches(constant(true))), "36");
    assert_eq!(macs(&branches(constant(false))), "0");
    let open = [("dtype", "type: DT_BOOL"), ("shape", "shape { }")];
    let open = branches(node("flag", "Placeholder", &[], &open));
    let model = read(&open).unwrap();
    assert!(model.graph.nodes.iter().any(|n| &*n.op_type == "If"));
    assert_eq!(macs(&open), "36");
}

/// A branch in the false side of another, whose own predicate the file decides, as dropout in a condition.
#[test]
fn decided_branches_lie_in_open_ones() {
    let no = "tensor { dtype: DT_BOOL tensor_shape { } bool_val: false }";
    let open = [("dtype", "type: DT_BOOL"), ("shape", "shape { }")];
    let text = graph(&[
        input("x", &[-1, 6]),
        weights("w", &[6, 6]),
        node("p", "Placeholder", &[], &open),
        node("no", "Const", &[], &[("dtype", "type: DT_BOOL"), ("value", no)]),
        node("q", "PlaceholderWithDefault", &["no"], &[("dtype", "type: DT_BOOL")]),
        node("x_p", "Switch", &["x", "p"], &[]),
        node("w_p", "Switch", &["w", "p"], &[]),
        node("q_p", "Switch", &["q", "p"], &[]),
        node("x_q", "Switch", &["x_p", "q_p"], &[]),
        node("w_q", "Switch", &["w_p", "q_p"], &[]),
        node("inner_yes", "MatMul", &["x_q:1", "w_q:1"], &[F32]),
        node("inner_no", "Identity", &["x_q"], &[F32]),
        node("inner", "Merge", &["inner_no", "inner_yes"], &[]),
        node("outer_yes", "MatMul", &["x_p:1", "w_p:1"], &[F32]),
        node("outer", "Merge", &["inner", "outer_yes"], &[]),
        node("y", "Relu", &["outer"], &[F32]),
    ]);
    // The outer branch may cost a product; the inner one never does.
    let model = read(&text).unwrap();
    let products =
        |graph: &crate::ir::Graph| graph.nodes.iter().filter(|n| &*n.op_type == "MatMul").count();
    let inside: usize = model
        .graph
        .nodes
        .iter()
        .flat_map(crate::ir::Node::subgraphs)
        .map(|(_, body)| products(body))
        .sum();
    assert_eq!((products(&model.graph), inside), (0, 1));
    assert_eq!(macs(&text), "36");
}

#[test]
fn lists_of_tensors_keep_what_is_set() {
    let list = [("element_dtype", "type: DT_FLOAT")];
    let text = graph(&[
        input("x", &[5, 2, 3]),
        numbers("shape", &[2], &[-1, 3]),
        number("count", 5),
        number("at", 4),
        node("from", "TensorListFromTensor", &["x", "shape"], &list),
        node("item", "TensorListGetItem", &["from", "at", "shape"], &list),
        node("made", "TensorListReserve", &["shape", "count"], &list),
        node("set", "TensorListSetItem", &["made", "at", "item"], &list),
        node("y", "TensorListStack", &["set", "shape", "count"], &list),
    ]);
    let model = read(&text).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    let y = &analysis.values[model.graph.outputs[0].index()];
    let sizes: Vec<String> = y.shape.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(sizes, ["5", "2", "3"]);
}

#[test]
fn masks_of_slices_add_and_remove_axes() {
    // x[..., newaxis, 1, ::2] of [2, 3, 4, 7]: the ellipsis stands for the first two axes.
    let masks = [
        ("ellipsis_mask", "i: 1"),
        ("new_axis_mask", "i: 2"),
        ("shrink_axis_mask", "i: 4"),
        ("begin_mask", "i: 8"),
        ("end_mask", "i: 8"),
    ];
    let text = graph(&[
        input("x", &[2, 3, 4, 7]),
        numbers("begin", &[4], &[0, 0, 1, 0]),
        numbers("end", &[4], &[0, 0, 2, 0]),
        numbers("step", &[4], &[1, 1, 1, 2]),
        node("y", "StridedSlice", &["x", "begin", "end", "step"], &masks),
    ]);
    let model = read(&text).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    let y = &analysis.values[model.graph.outputs[0].index()];
    let sizes: Vec<String> = y.shape.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(sizes, ["2", "3", "1", "4"]);
}

/// A `SavedModel` with a variable and these signatures, each of the same product.
fn saved(signatures: &[&str]) -> String {
    let stated = format!("shape {}", shape(&[6, 4]));
    let variable = |name: &str| {
        node(name, "VarHandleOp", &[], &[("dtype", "type: DT_FLOAT"), ("shape", &stated)])
    };
    let nodes = [
        input("x", &[-1, 6]),
        variable("kernel"),
        variable("slot"),
        node("read", "ReadVariableOp", &["kernel"], &[("dtype", "type: DT_FLOAT")]),
        node("y", "MatMul", &["x", "read"], &[F32]),
    ];
    let port = |key: &str, name: &str| {
        format!(
            "{key} {{ key: '{key}' value {{ name: '{name}:0' dtype: DT_FLOAT tensor_shape {{ dim {{ size: -1 }} dim {{ size: 6 }} }} }} }}"
        )
    };
    let signature = |name: &&str| {
        format!(
            "signature_def {{ key: '{name}' value {{ {} {} }} }}",
            port("inputs", "x"),
            port("outputs", "y")
        )
    };
    let signatures: String = signatures.iter().map(signature).collect();
    let graph = graph(&nodes);
    format!(
        "saved_model_schema_version: 1 meta_graphs {{ meta_info_def {{ tags: 'serve' tensorflow_version: '2.1' }} graph_def {{ {graph} }} {signatures} }}"
    )
}

#[test]
fn signatures_are_chosen_or_listed() {
    let one = read(&saved(&["predict", "__saved_model_init_op"])).unwrap();
    assert_eq!(one.producer, "TensorFlow 2.1");
    assert_eq!(one.format, "TensorFlow SavedModel, as text");
    let analysis = analyze(&one, &Bindings::new());
    assert_eq!(analysis.totals.macs.to_string(), "24·batch");
    // Of two variables the one that the signature reaches.
    assert_eq!(analysis.params.to_string(), "24");
    let error = read(&saved(&["a", "b"])).unwrap_err();
    assert!(error.hint().is_some_and(|h| h.contains("`a`, `b`")), "{:?}", error.hint());
    let wanted = Wanted { signature: Some("b"), ..Wanted::default() };
    let text = saved(&["a", "b"]).into_bytes().into();
    assert!(load_bytes_for(&text, &wanted).is_ok());
    let wanted = Wanted { signature: Some("c"), ..Wanted::default() };
    assert!(load_bytes_for(&text, &wanted).is_err());
}

#[test]
fn outputs_can_be_chosen() {
    let text = graph(&[
        input("x", &[-1, 6]),
        weights("w", &[6, 6]),
        node("inner", "MatMul", &["x", "w"], &[F32]),
        node("y", "MatMul", &["inner", "w"], &[F32]),
    ]);
    assert_eq!(macs(&text), "72");
    let outputs = ["inner".to_owned()];
    let wanted = Wanted { outputs: &outputs, ..Wanted::default() };
    let model = load_bytes_for(&text.clone().into_bytes().into(), &wanted).unwrap();
    assert_eq!(analyze(&model, &Bindings::new()).totals.macs.to_string(), "36·batch");
    let outputs = ["absent".to_owned()];
    let wanted = Wanted { outputs: &outputs, ..Wanted::default() };
    let error = load_bytes_for(&text.into_bytes().into(), &wanted).unwrap_err();
    assert!(error.hint().is_some_and(|h| h.contains("`y`")), "{:?}", error.hint());
}

#[test]
fn inputs_without_shape_are_asked_for() {
    let open = [("dtype", "type: DT_FLOAT"), ("shape", "shape { unknown_rank: true }")];
    let text = graph(&[node("x", "Placeholder", &[], &open), node("y", "Relu", &["x"], &[F32])]);
    let error = read(&text).unwrap_err();
    assert!(matches!(error.kind(), LoadErrorKind::Shapeless { .. }), "{error}");
    let given = crate::formats::Given { names: &["x"], first: 0, ranks: &[] };
    let wanted = Wanted { given, ..Wanted::default() };
    assert!(load_bytes_for(&text.into_bytes().into(), &wanted).is_ok());
}

#[test]
fn operators_without_a_row_lower_the_coverage() {
    let text = graph(&[input("x", &[2, 6]), node("y", "Mystery", &["x"], &[F32])]);
    let model = read(&text).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    assert!(!analysis.coverage.is_full());
    assert_eq!(model.graph.nodes[0].qualified_op(), "tf.Mystery");
}

#[test]
fn texts_and_tables_are_carried() {
    let words = [("dtype", "type: DT_STRING"), ("shape", "shape { dim { size: -1 } }")];
    let find = [("Tin", "type: DT_STRING"), ("Tout", "type: DT_INT64")];
    let value = "tensor { dtype: DT_INT64 tensor_shape { } int64_val: -1 }";
    let text = graph(&[
        node("words", "Placeholder", &[], &words),
        node("table", "HashTableV2", &[], &[("key_dtype", "type: DT_STRING")]),
        node("none", "Const", &[], &[("dtype", "type: DT_INT64"), ("value", value)]),
        node("lower", "StringLower", &["words"], &[]),
        node("ids", "LookupTableFindV2", &["table", "lower", "none"], &find),
        weights("vectors", &[50, 8]),
        number("axis", 0),
        node("rows", "GatherV2", &["vectors", "ids", "axis"], &[("Tparams", "type: DT_FLOAT")]),
        weights("w", &[8, 3]),
        node("y", "MatMul", &["rows", "w"], &[F32]),
    ]);
    let analysis = analyzed(&text);
    assert_eq!(analysis.totals.macs.to_string(), "24");
    assert_eq!(analysis.params.to_string(), "424");
}

#[test]
fn graphs_that_never_end_are_errors() {
    let call = |f: &str| [("f", format!("func {{ name: '{f}' }}"))];
    let attrs = call("f");
    let attrs: Vec<(&str, &str)> = attrs.iter().map(|(k, v)| (*k, v.as_str())).collect();
    let body = node("again", "PartitionedCall", &["a"], &attrs);
    let f = function("f", &["a"], &[body], &["r=again:output:0"]);
    let main = graph(&[input("x", &[2]), node("y", "PartitionedCall", &["x"], &attrs)]);
    let error = read(&with_library(&main, &[f])).unwrap_err();
    assert!(error.to_string().contains("deeper than 32"), "{error}");
    let cycle = graph(&[
        input("x", &[2]),
        node("a", "Add", &["x", "b"], &[]),
        node("b", "Relu", &["a"], &[]),
        node("y", "Relu", &["b"], &[]),
    ]);
    let error = read(&cycle).unwrap_err();
    assert!(error.to_string().contains("waits for itself"), "{error}");
    let absent = graph(&[input("x", &[2]), node("y", "Add", &["x", "nobody"], &[])]);
    assert!(read(&absent).is_err());
    let huge = graph(&[input("x", &[1 << 62]), node("y", "Relu", &["x"], &[])]);
    assert!(read(&huge).unwrap_err().to_string().contains("beyond any real tensor"));
}

/// Functions that call each other twice, thirty deep: a billion nodes, if they were expanded.
#[test]
fn functions_that_multiply_are_bounded() {
    let mut functions = Vec::new();
    for at in 0..30 {
        let next = format!("func {{ name: 'f{}' }}", at + 1);
        let call = |name: &str, of: &str| node(name, "PartitionedCall", &[of], &[("f", &next)]);
        let nodes = [call("p", "a"), call("q", "p:output:0")];
        functions.push(function(&format!("f{at}"), &["a"], &nodes, &["r=q:output:0"]));
    }
    let last = [node("relu", "Relu", &["a"], &[])];
    functions.push(function("f30", &["a"], &last, &["r=relu:activations:0"]));
    let main = graph(&[
        input("x", &[2]),
        node("y", "PartitionedCall", &["x"], &[("f", "func { name: 'f0' }")]),
    ]);
    let error = read(&with_library(&main, &functions)).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
}

/// Every file cut short, and files with changed bytes: an answer or an error, never a panic.
#[test]
fn broken_files_are_errors() {
    let sources = [
        (frame(), &text::GRAPH[..]),
        (while_loop(), &text::GRAPH[..]),
        (branches(input("flag", &[])), &text::GRAPH[..]),
        (saved(&["predict"]), &text::SAVED_MODEL[..]),
    ];
    let mut state = 1_u64;
    let mut next = move |most: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % most.max(1)
    };
    for (source, fields) in sources {
        let whole = text::binary(source.as_bytes(), fields).unwrap();
        assert!(super::kind(&whole).is_some());
        for length in (0..whole.len()).step_by(7) {
            let _ = super::file(&whole[..length].to_vec().into(), None, &Wanted::default());
        }
        for _ in 0..300 {
            let mut changed = whole.clone();
            for _ in 0..=next(4) {
                let at = next(changed.len());
                changed[at] = u8::try_from(next(256)).unwrap_or(0);
            }
            if let Ok(model) = super::file(&changed.into(), None, &Wanted::default()) {
                let _ = analyze(&model, &Bindings::new());
            }
        }
        for cut in (0..source.len()).step_by(97) {
            let _ =
                super::file(&source.as_bytes()[..cut].to_vec().into(), None, &Wanted::default());
        }
    }
}

/// Two kinds of files that begin alike: an ONNX model's first field is a number.
#[test]
fn other_formats_are_not_taken() {
    for file in
        [&b"\x08\x07\x12\x07pytorch"[..], b"\x0a\x07network", b"layer { }", b"{\"a\": 1}", b""]
    {
        assert_eq!(super::kind(file), None);
    }
}

/// `tests/fixtures/tf_models.py` made these, and has the shapes from `TensorFlow` 2.21 at run time.
#[test]
fn outputs_are_those_of_the_framework() {
    let cases = cases(include_bytes!("../../../../../tests/fixtures/tf.json.gz"));
    assert!(cases.len() > 300);
    for (i, case) in cases.iter().enumerate() {
        let graph = latin(case["graph"].as_str().unwrap());
        let model = load_bytes_for(&graph.into(), &Wanted::default()).unwrap();
        let analysis = analyze(&model, &Bindings::new());
        assert!(analysis.coverage.is_full(), "{i} {case}: {:?}", analysis.diagnostics);
        let outputs = model.graph.outputs.iter().map(|id| &analysis.values[id.index()]);
        let mut outputs: Vec<String> = outputs.map(ToString::to_string).collect();
        let due = case["outputs"].as_array().unwrap().iter();
        let mut due: Vec<&str> = due.map(|output| output.as_str().unwrap()).collect();
        outputs.sort_unstable();
        due.sort_unstable();
        assert_eq!(outputs, due, "{i} {}", case["name"]);
    }
}
