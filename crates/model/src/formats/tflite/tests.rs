//! Networks that are written here, field by field, and files that are broken.

mod hostile;
mod write;

use crate::analysis::{Analysis, analyze};
use crate::dim::Bindings;
use crate::formats::zip::tests::base64;
use crate::formats::{LoadError, Wanted, load_bytes, load_bytes_for};
use crate::ir::Model;
use write::{BOOL, F32, Field, Fields, I8, I32, Net, RESOURCE, byte, float, int, ints, text};

fn load(net: &Net) -> Result<Model, LoadError> {
    load_bytes_for(&net.file().into(), &Wanted::default())
}

/// The analysis of a network, all of which is understood.
fn counted(net: &Net) -> Analysis {
    let model = load(net).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
    assert!(analysis.diagnostics.is_empty(), "{:?}", analysis.diagnostics);
    analysis
}

fn macs(net: &Net) -> String {
    counted(net).totals.macs.to_string()
}

/// A convolution with an activation, pooled, and a product, on numbers of this type.
fn small(kind: u8, weights: u8, batch: i32) -> Net {
    let mut net = Net::new();
    let bias = if kind == I8 { I32 } else { kind };
    let x = net.input("x", kind, &[batch, 9, 9, 3]);
    let w = net.weight("filter", weights, &[8, 3, 3, 3]);
    let b = net.weight("bias", bias, &[8]);
    let y = net.tensor("y", kind, &[1, 5, 5, 8]);
    let same_with_stride_2 = vec![(0, byte(0)), (1, int(2)), (2, int(2)), (3, byte(1))];
    net.op("CONV_2D", &[x, w, b], &[y], same_with_stride_2);
    let each = net.weight("each", weights, &[1, 3, 3, 8]);
    let z = net.tensor("z", kind, &[1, 3, 3, 8]);
    let valid = vec![(0, byte(1)), (1, int(1)), (2, int(1)), (3, int(1))];
    net.op("DEPTHWISE_CONV_2D", &[y, each, b], &[z], valid);
    let axes = net.list("axes", &[1, 2]);
    let p = net.tensor("p", kind, &[1, 8]);
    net.op("MEAN", &[z, axes], &[p], Fields::new());
    let w = net.weight("product", weights, &[10, 8]);
    let q = net.tensor("scores", kind, &[1, 10]);
    net.op("FULLY_CONNECTED", &[p, w, -1], &[q], Fields::new());
    net.outputs(&[q]);
    net
}

/// Products of the network above, by hand: 5·5·8 places of 3·3·3 taps, 3·3·8 of 3·3, and 10 of 8.
const SMALL: i128 = 25 * 8 * 27 + 9 * 8 * 9 + 80;

#[test]
fn products_are_those_of_the_operators() {
    for (kind, weights) in [(F32, F32), (I8, I8), (F32, I8)] {
        let analysis = counted(&small(kind, weights, 1));
        assert_eq!(analysis.totals.macs.as_const(), Some(SMALL));
        assert_eq!(analysis.params.as_const(), Some(8 * 27 + 8 + 72 + 80));
    }
}

#[test]
fn work_on_integers_is_integer_work() {
    let floats = counted(&small(F32, F32, 1)).totals;
    let integers = counted(&small(I8, I8, 1)).totals;
    assert!(integers.flops.is_zero() && floats.int_ops.is_zero());
    assert_eq!(integers.int_ops, floats.flops);
    let hybrid = counted(&small(F32, I8, 1)).totals;
    assert_eq!(hybrid.int_ops.as_const(), Some(2 * SMALL));
    // Two operations for each number that goes into a product.
    let quantised = 2 * (243 + 200 + 8);
    assert_eq!(hybrid.flops.as_const(), floats.flops.as_const().map(|n| n - 2 * SMALL + quantised));
}

#[test]
fn an_activation_within_a_kernel_moves_nothing() {
    let analysis = counted(&small(F32, F32, 1));
    let model = load(&small(F32, F32, 1)).unwrap();
    let at = |op: &str| model.graph.nodes.iter().position(|n| &*n.op_type == op).unwrap();
    let cost = &analysis.nodes[at("FusedActivation")].cost;
    assert!(cost.bytes().is_zero());
    assert_eq!(cost.comparisons.as_const(), Some(200));
    // The image and the first result are the most that is held at once: one place for each.
    assert_eq!(analysis.plan(&model, &Bindings::new()).peak, 4 * (243 + 200));
}

#[test]
fn an_open_batch_is_a_symbol() {
    let net = small(F32, F32, -1);
    let analysis = analyze(&load(&net).unwrap(), &Bindings::new());
    assert_eq!(analysis.totals.macs.to_string(), format!("{SMALL}·batch"));
}

#[test]
fn a_signature_gives_its_names() {
    let mut net = small(F32, F32, 1);
    let map = |name: &str, tensor| vec![(0, text(name)), (1, int(tensor))];
    net.signatures = vec![vec![
        (0, Field::Tables(vec![map("image", 0)])),
        (1, Field::Tables(vec![map("classes", 9)])),
        (2, text("serving_default")),
        (4, int(0)),
    ]];
    let file = net.file().into();
    let wanted = |name| Wanted { signature: Some(name), ..Wanted::default() };
    let model = load_bytes_for(&file, &wanted("serving_default")).unwrap();
    assert_eq!(model.graph.value(model.graph.inputs[0]).name, "image");
    assert_eq!(model.graph.value(model.graph.outputs[0]).name, "classes");
    let error = load_bytes_for(&file, &wanted("other")).unwrap_err();
    assert!(error.hint().unwrap().contains("`serving_default`"), "{error}");
}

#[test]
fn transposed_convolutions_take_the_shape_that_is_given() {
    let mut net = Net::new();
    let shape = net.list("shape", &[1, 7, 9, 4]);
    let w = net.weight("w", F32, &[4, 3, 3, 2]);
    let x = net.input("x", F32, &[1, 4, 5, 2]);
    let y = net.tensor("y", F32, &[1, 7, 9, 4]);
    net.op("TRANSPOSE_CONV", &[shape, w, x], &[y], vec![(1, int(2)), (2, int(2))]);
    net.outputs(&[y]);
    assert_eq!(macs(&net), (4 * 5 * 2 * 4 * 9).to_string());
}

/// A product in a loop of five rounds.
fn counting() -> Net {
    let mut net = Net::new();
    let zero = net.number("zero", 0);
    let x = net.input("x", F32, &[1, 6]);
    let i = net.tensor("i", I32, &[]);
    let y = net.tensor("y", F32, &[1, 6]);
    net.op("WHILE", &[zero, x], &[i, y], vec![(0, int(1)), (1, int(2))]);
    net.outputs(&[y]);
    assert_eq!(net.graph(), 1);
    let i = net.input("i", I32, &[]);
    let state = net.input("state", F32, &[1, 6]);
    let most = net.number("most", 5);
    let go = net.tensor("go", BOOL, &[]);
    net.op("LESS", &[i, most], &[go], Fields::new());
    net.outputs(&[go]);
    let _ = state;
    assert_eq!(net.graph(), 2);
    let i = net.input("i", I32, &[]);
    let state = net.input("state", F32, &[1, 6]);
    let one = net.number("one", 1);
    let next = net.tensor("next", I32, &[]);
    net.op("ADD", &[i, one], &[next], Fields::new());
    let w = net.weight("w", F32, &[6, 6]);
    let made = net.tensor("made", F32, &[1, 6]);
    net.op("FULLY_CONNECTED", &[state, w, -1], &[made], Fields::new());
    net.outputs(&[next, made]);
    net
}

#[test]
fn a_loop_runs_as_often_as_its_condition_holds() {
    let net = counting();
    assert_eq!(macs(&net), (5 * 36).to_string());
    assert_eq!(counted(&net).params.as_const(), Some(36));
}

#[test]
fn variables_are_neither_inputs_nor_weights() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[1, 2, 4]);
    let handle = net.tensor("handle", RESOURCE, &[]);
    let named = vec![(0, text("")), (1, text("ring"))];
    net.op("CALL_ONCE", &[], &[], vec![(0, int(1))]);
    net.op("VAR_HANDLE", &[], &[handle], named.clone());
    let held = net.tensor("held", F32, &[1, 3, 4]);
    net.op("READ_VARIABLE", &[handle], &[held], Fields::new());
    let all = net.tensor("all", F32, &[1, 5, 4]);
    net.op("CONCATENATION", &[held, x], &[all], vec![(0, int(1))]);
    let (from, to) = (net.list("from", &[0, 2, 0]), net.list("to", &[0, 5, 0]));
    let ones = net.list("ones", &[1, 1, 1]);
    let kept = net.tensor("kept", F32, &[1, 3, 4]);
    let masks = vec![(0, int(5)), (1, int(5))];
    net.op("STRIDED_SLICE", &[all, from, to, ones], &[kept], masks);
    net.op("ASSIGN_VARIABLE", &[handle, kept], &[], Fields::new());
    net.outputs(&[all]);
    net.graph();
    let handle = net.tensor("handle", RESOURCE, &[]);
    net.op("VAR_HANDLE", &[], &[handle], named);
    let zeros = net.weight("zeros", F32, &[1, 3, 4]);
    net.op("ASSIGN_VARIABLE", &[handle, zeros], &[], Fields::new());
    let model = load(&net).unwrap();
    assert_eq!((model.graph.inputs.len(), model.graph.outputs.len()), (1, 1));
    let analysis = counted(&net);
    assert!(analysis.params.is_zero());
    // 48 bytes of state are read and copied, joined with 32, and 48 cut out and put back.
    let moved = 2 * 48 + 2 * 80 + 2 * 48 + 2 * 48;
    assert_eq!(analysis.totals.bytes().as_const(), Some(moved));
}

#[test]
fn recurrences_count_their_gates() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[2, 7, 5]);
    let mut inputs = vec![x];
    for i in 0..8 {
        let shape = if i < 4 { [6, 5] } else { [6, 6] };
        inputs.push(net.weight(&format!("w{i}"), F32, &shape));
    }
    inputs.extend([-1; 3]);
    for i in 0..4 {
        inputs.push(net.weight(&format!("b{i}"), F32, &[6]));
    }
    inputs.extend([-1; 2]);
    for state in ["output", "cell"] {
        inputs.push(net.tensor_with(state, F32, &[2, 6], vec![(5, byte(1))]));
    }
    let y = net.tensor("y", F32, &[2, 7, 6]);
    net.op("UNIDIRECTIONAL_SEQUENCE_LSTM", &inputs, &[y], vec![(0, byte(4))]);
    let w = net.weight("features", F32, &[8, 6]);
    let last = net.tensor("last", F32, &[2, 6]);
    let (from, to) = (net.list("from", &[0, -1, 0]), net.list("to", &[0, 0, 0]));
    let ones = net.list("ones", &[1, 1, 1]);
    let picked = vec![(0, int(5)), (1, int(5)), (4, int(2))];
    net.op("STRIDED_SLICE", &[y, from, to, ones], &[last], picked);
    let time = net.weight("time", F32, &[8, 3]);
    let z = net.tensor("z", F32, &[2, 4]);
    net.op("SVDF", &[last, w, time, -1, -1], &[z], vec![(0, int(2)), (1, byte(1))]);
    net.outputs(&[z]);
    let lstm = 2 * 7 * 4 * 6 * (5 + 6);
    let svdf = 2 * 8 * (6 + 3);
    assert_eq!(macs(&net), (lstm + svdf).to_string());
    let params = 4 * 6 * (5 + 6) + 4 * 6 + 8 * (6 + 3);
    assert_eq!(counted(&net).params.as_const(), Some(params));
}

#[test]
fn a_slice_by_masks_has_the_axes_that_they_leave() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[4, 5, 6, 7]);
    let i = net.input("i", I32, &[]);
    // x[i, ..., new, 1:4]
    let (zero, one) = (net.number("zero", 0), net.number("one", 1));
    let from = net.tensor("from", I32, &[4]);
    net.op("PACK", &[i, zero, zero, one], &[from], vec![(0, int(4)), (1, int(0))]);
    let to = net.list("to", &[0, 0, 0, 4]);
    let ones = net.list("ones", &[1, 1, 1, 1]);
    let y = net.tensor("y", F32, &[5, 6, 1, 3]);
    let masks = vec![(2, int(2)), (3, int(4)), (4, int(1))];
    net.op("STRIDED_SLICE", &[x, from, to, ones], &[y], masks);
    net.outputs(&[y]);
    let model = load(&net).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    let y = &analysis.values[model.graph.outputs[0].index()];
    assert_eq!(y.to_string(), "f32[5,6,1,3]", "{:?}", analysis.diagnostics);
}

#[test]
fn a_sparse_tensor_has_the_numbers_that_it_stores() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[1, 8]);
    let list = |n: usize| Field::Table(vec![(0, ints(&vec![0; n]))]);
    let dense = vec![(0, byte(0)), (1, int(4))];
    let rows = vec![(0, byte(1)), (2, byte(1)), (3, list(5)), (4, byte(1)), (5, list(6))];
    let sparsity = vec![(2, Field::Tables(vec![dense, rows]))];
    let w = net.stored("w", F32, &[4, 8], vec![0; 24]);
    net.set_field(w, 6, Field::Table(sparsity));
    let whole = net.tensor("whole", F32, &[4, 8]);
    net.op("DENSIFY", &[w], &[whole], Fields::new());
    let y = net.tensor("y", F32, &[1, 4]);
    net.op("FULLY_CONNECTED", &[x, whole, -1], &[y], Fields::new());
    net.outputs(&[y]);
    let analysis = counted(&net);
    assert_eq!(analysis.totals.macs.as_const(), Some(32));
    assert_eq!(analysis.params.as_const(), Some(6));
    assert_eq!(analysis.weight_bytes.as_const(), Some(24 + 4 * 11));
}

#[test]
fn operators_of_their_own_are_known_by_name_or_lower_coverage() {
    let mut net = Net::new();
    let x = net.input("x", F32, &[1, 4, 4, 3]);
    let (w, b) = (net.weight("w", F32, &[2, 2, 2, 3]), net.weight("b", F32, &[2]));
    let y = net.tensor("y", F32, &[1, 8, 8, 2]);
    let options: Vec<u8> = [1_i32, 2, 2].iter().flat_map(|n| n.to_le_bytes()).collect();
    net.custom("Convolution2DTransposeBias", &[x, w, b], &[y], &options);
    net.outputs(&[y]);
    assert_eq!(macs(&net), (4 * 4 * 3 * 2 * 4).to_string());
    let z = net.tensor("z", F32, &[1, 3]);
    net.custom("edgetpu-custom-op", &[y], &[z], &[]);
    net.outputs(&[z]);
    let model = load(&net).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    assert!(!analysis.coverage.is_full());
    assert_eq!(analysis.values[model.graph.outputs[0].index()].to_string(), "f32[1,3]");
}

#[test]
fn halves_and_early_codes_are_read() {
    const F16: u8 = 1;
    let mut net = Net::new();
    let x = net.input("x", F32, &[3, 4]);
    let w = net.stored("w", F16, &[5, 4], vec![0; 40]);
    let floats = net.tensor("floats", F32, &[5, 4]);
    net.op("DEQUANTIZE", &[w], &[floats], Fields::new());
    let y = net.tensor("y", F32, &[3, 5]);
    net.op("FULLY_CONNECTED", &[x, floats, -1], &[y], Fields::new());
    let z = net.tensor("z", F32, &[3, 5]);
    net.op("LEAKY_RELU", &[y], &[z], vec![(0, float(0.1))]);
    net.outputs(&[z]);
    let analysis = counted(&net);
    assert_eq!(analysis.totals.macs.as_const(), Some(60));
    assert_eq!(analysis.params.as_const(), Some(20));
    assert_eq!(analysis.weight_bytes.as_const(), Some(40));
}

/// `tests/fixtures/tflite_models.py` made these, and has the shapes from the interpreter of `TFLite` 2.3.
#[test]
fn outputs_are_those_of_the_interpreter() {
    let cases = include_str!("../../../../../tests/fixtures/tflite.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(cases).unwrap();
    assert_eq!(cases.len(), 236);
    for (i, case) in cases.iter().enumerate() {
        let model = load_bytes(&base64(case["file"].as_str().unwrap()).into()).unwrap();
        let analysis = analyze(&model, &Bindings::new());
        assert!(analysis.coverage.is_full(), "{i} {case}: {:?}", analysis.diagnostics);
        let outputs = model.graph.outputs.iter().map(|id| &analysis.values[id.index()]);
        let due = case["outputs"].as_array().unwrap().iter().map(|output| {
            let list: Vec<String> =
                output.as_array().unwrap().iter().map(ToString::to_string).collect();
            format!("{}[{}]", list[0].trim_matches('"'), list[1..].join(","))
        });
        let outputs: Vec<String> = outputs.map(ToString::to_string).collect();
        assert_eq!(outputs, due.collect::<Vec<_>>(), "{i} {}", case["operator"]);
    }
}

/// `cargo test -p rooflens-model --lib seeds -- --ignored` writes them again.
#[test]
#[ignore = "writes the seeds of a fuzz target"]
fn seeds() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/tflite");
    std::fs::create_dir_all(folder).unwrap();
    let seeds =
        [("float", small(F32, F32, -1)), ("hybrid", small(F32, I8, 1)), ("loop", counting())];
    for (name, net) in seeds {
        std::fs::write(format!("{folder}/{name}"), net.file()).unwrap();
    }
}
