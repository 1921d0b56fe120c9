//! Which stored numbers are learned parameters, in the spellings of exporters and quantisers. Right values are
//! counted by hand from the sizes in each test; those of whole exports against torch are in the notes of the tests.

use crate::oracles::{analyzed, int, ints, text, total, with};
use crate::wire::{Message, graph, node, typed};
use serde_json::Value;

fn dtype(name: &str) -> i64 {
    let all = ["", "f32", "u8", "i8", "u16", "i16", "i32", "i64", "text", "bool", "f16"];
    all.iter().position(|n| *n == name).and_then(|n| i64::try_from(n).ok()).unwrap()
}

/// A node from `Op inputs… -> outputs…`, where `domain:Op` names another operator set and `_` an absent input.
fn parsed(line: &str) -> Message {
    let (left, right) = line.split_once(" -> ").unwrap();
    let mut words = left.split_whitespace();
    let op = words.next().unwrap();
    let (domain, op) = op.split_once(':').unwrap_or(("", op));
    let inputs: Vec<&str> = words.map(|w| if w == "_" { "" } else { w }).collect();
    let outputs: Vec<&str> = right.split_whitespace().collect();
    let domain = if domain == "ms" { "com.microsoft" } else { domain };
    node(op, &inputs, &outputs).bytes(7, domain)
}

/// `name type sizes…`
fn tensor(line: &str) -> Message {
    let mut words = line.split_whitespace();
    let (name, kind) = (words.next().unwrap(), words.next().unwrap());
    let sizes = words.map(|w| w.parse().unwrap());
    let tensor = sizes.fold(Message::default(), |t, n| t.int(1, n));
    tensor.int(2, dtype(kind)).bytes(8, name)
}

fn declared(line: &str) -> Message {
    let words: Vec<&str> = line.split_whitespace().collect();
    typed(words[0], dtype(words[1]), &words[2..])
}

fn file(graph: &Message) -> Vec<u8> {
    let opset = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let file = Message::default().int(1, 8).message(7, graph).message(8, &opset("", 17));
    file.message(8, &opset("com.microsoft", 1)).message(8, &opset("ai.onnx.ml", 3)).0
}

/// The analysis of nodes over inputs and stored tensors, whose output is `y`.
fn model(nodes: &[Message], inputs: &[&str], stored: &[&str]) -> Value {
    let inputs: Vec<Message> = inputs.iter().map(|line| declared(line)).collect();
    let graph = graph(nodes, &inputs, &[Message::default().bytes(1, "y")]);
    let graph = stored.iter().fold(graph, |g, line| g.message(5, &tensor(line)));
    analyzed(&file(&graph), &[])
}

/// Checks learned numbers, and scales with zero points.
#[track_caller]
fn holds(nodes: &[&str], inputs: &[&str], stored: &[&str], params: u64, scales: u64) {
    let nodes: Vec<Message> = nodes.iter().map(|line| parsed(line)).collect();
    counts(&model(&nodes, inputs, stored), params, scales);
}

#[track_caller]
fn counts(report: &Value, params: u64, scales: u64) {
    let found = (total(report, "params"), total(report, "quantization_params"));
    assert_eq!(found, (params, scales), "{}", report["diagnostics"]);
}

#[test]
fn an_embedding_of_bytes_is_learned() {
    // As onnxruntime's dynamic quantiser writes it: rows are picked, then scaled.
    holds(
        &["Gather w ids -> rows", "DequantizeLinear rows s z -> y"],
        &["ids i64 1 8"],
        &["w u8 100 16", "s f32", "z u8"],
        1600,
        2,
    );
}

#[test]
fn weights_behind_fake_quantisation_are_learned() {
    // As quantisation-aware training exports: float weights, quantised and back.
    holds(
        &[
            "QuantizeLinear x xs xz -> xq",
            "DequantizeLinear xq xs xz -> xd",
            "QuantizeLinear w ws wz -> wq",
            "DequantizeLinear wq ws wz -> wd",
            "Conv xd wd b -> y",
        ],
        &["x f32 1 3 8 8"],
        &["w f32 16 3 3 3", "b f32 16", "ws f32 16", "wz i8 16", "xs f32", "xz u8"],
        432 + 16,
        32 + 2,
    );
}

#[test]
fn biases_quantised_to_32_bits_are_learned() {
    holds(
        &["DequantizeLinear w ws wz -> wd", "DequantizeLinear b bs bz -> bd", "Conv x wd bd -> y"],
        &["x f32 1 3 8 8"],
        &["w i8 16 3 3 3", "ws f32 16", "wz i8 16", "b i32 16", "bs f32 16", "bz i32 16"],
        448,
        64,
    );
    holds(
        &["QLinearConv x xs xz w ws wz ys yz b -> y"],
        &["x u8 1 3 8 8"],
        &["xs f32", "xz u8", "w i8 16 3 3 3", "ws f32", "wz i8", "ys f32", "yz u8", "b i32 16"],
        448,
        6,
    );
}

#[test]
fn scales_of_integer_products_are_no_parameters() {
    // As onnxruntime's dynamic quantiser writes a linear layer, a scale to each column.
    holds(
        &[
            "DynamicQuantizeLinear x -> xq xs xz",
            "MatMulInteger xq w xz wz -> n",
            "Mul xs ws -> s",
            "Cast n -> f",
            "Mul f s -> m",
            "Add m b -> y",
        ],
        &["x f32 2 64"],
        &["w i8 64 32", "ws f32 32", "wz i8 32", "b f32 32"],
        64 * 32 + 32,
        64,
    );
}

#[test]
fn weights_scaled_by_plain_operators_are_learned() {
    // Bytes, cast, scaled and shifted, by one number or by one for each column.
    for (sizes, scales) in [("1", 2), ("32", 64)] {
        let stored = ["w u8 64 32".to_owned(), format!("s f32 {sizes}"), format!("o f32 {sizes}")];
        let stored: Vec<&str> = stored.iter().map(String::as_str).collect();
        let nodes = ["Cast w -> f", "Mul f s -> m", "Add m o -> d", "MatMul x d -> y"].map(parsed);
        let mut nodes = nodes.to_vec();
        nodes[0] = with(nodes[0].clone(), &[int("to", 1)]);
        counts(&model(&nodes, &["x f32 2 64"], &stored), 2048, scales);
    }
}

#[test]
fn packed_weights_count_what_they_hold() {
    let sizes = [int("K", 128), int("N", 64), int("bits", 4), int("block_size", 32)];
    let product = with(parsed("ms:MatMulNBits x w s z -> y"), &sizes);
    let stored = ["w u8 64 4 16", "s f32 256", "z u8 128"];
    counts(&model(&[product], &["x f32 5 128"], &stored), 64 * 128, 384);
    let bits = [int("bits", 4), int("block_size", 32)];
    let rows = with(parsed("ms:GatherBlockQuantized w ids s -> y"), &bits);
    let stored = ["w u8 1000 32", "s f32 1000 2"];
    counts(&model(&[rows], &["ids i64 1 8"], &stored), 64_000, 2000);
    // Four experts of 32 × 64 and 64 × 32, two numbers to a byte.
    let bits = [int("k", 2), int("expert_weight_bits", 4)];
    let experts = with(parsed("ms:QMoE x r a as _ b bs _ -> y"), &bits);
    let stored = ["a u8 4 64 16", "as f32 4 64", "b u8 4 32 32", "bs f32 4 32"];
    let report = model(&[experts], &["x f32 6 32", "r f32 6 4"], &stored);
    counts(&report, 2 * 4 * 32 * 64, 4 * 96);
    // Two nibbles taken out of each byte by plain operators.
    let nodes = [
        parsed("BitwiseAnd w low -> a"),
        with(parsed("BitShift w four -> b"), &[text("direction", "RIGHT")]),
        with(parsed("Concat a b -> c"), &[int("axis", 0)]),
        with(parsed("Cast c -> f"), &[int("to", 1)]),
        parsed("Mul f s -> d"),
        parsed("MatMul x d -> y"),
    ];
    let stored = ["w u8 32 32", "low u8", "four u8", "s f32 1"];
    counts(&model(&nodes, &["x f32 2 64"], &stored), 64 * 32, 1);
}

#[test]
fn blocks_of_quantised_transformers_are_learned() {
    let heads = [int("num_heads", 4)];
    let attention = with(parsed("ms:QAttention x w b xs ws _ xz wz -> y"), &heads);
    let stored = ["w i8 64 192", "b f32 192", "xs f32", "ws f32", "xz u8", "wz i8"];
    counts(&model(&[attention], &["x u8 1 8 64"], &stored), 64 * 192 + 192, 4);
    let hidden = [int("hidden_size", 16)];
    let lstm = with(parsed("ms:DynamicQuantizeLSTM x w r b _ _ _ _ ws wz rs rz -> y"), &hidden);
    let stored = [
        "w i8 1 8 64",
        "r i8 1 16 64",
        "b f32 1 128",
        "ws f32 1",
        "wz i8 1",
        "rs f32 1",
        "rz i8 1",
    ];
    counts(&model(&[lstm], &["x f32 5 1 8"], &stored), 64 * 24 + 128, 4);
}

#[test]
fn masks_and_tables_of_angles_are_not_learned() {
    // Attention over windows: a bias for each head is learned, a mask for each window is not.
    let score = |mask: &str| {
        let nodes = ["MatMul q k -> s", "Add s bias -> a", "Add a mask -> b", "Softmax b -> y"];
        let stored = ["bias f32 1 3 49 49", mask];
        holds(&nodes, &["q f32 64 3 49 32", "k f32 64 3 32 49"], &stored, 3 * 49 * 49, 0);
    };
    score("mask f32 64 1 49 49");
    score("mask f32 49 49");
    // Frequencies of rotary positions go into sines and cosines, and nowhere else.
    holds(
        &[
            "MatMul p f -> t",
            "Concat t t -> u",
            "Sin u -> s",
            "Cos u -> c",
            "Mul s c -> m",
            "MatMul m w -> y",
        ],
        &["p f32 1 8 1"],
        &["f f32 1 1 16", "w f32 32 4"],
        128,
        0,
    );
    // A network whose activation is the sine has learned weights all the same.
    holds(&["MatMul x w -> t", "Sin t -> y"], &["x f32 8 2"], &["w f32 2 64"], 128, 0);
}

#[test]
fn numbers_that_scale_scores_are_not_learned() {
    // The root of a head's size, as one exporter multiplies queries by it and another the scores.
    let inputs = ["q f32 1 3 8 16", "k f32 1 3 16 8"];
    holds(&["Mul q s -> a", "MatMul a k -> b", "Softmax b -> y"], &inputs, &["s f32 1"], 0, 0);
    holds(&["MatMul q k -> a", "Mul a s -> b", "Softmax b -> y"], &inputs, &["s f32 1"], 0, 0);
    // One for each head is learned.
    holds(&["MatMul q k -> a", "Mul a s -> b", "Softmax b -> y"], &inputs, &["s f32 3 1 1"], 3, 0);
}

#[test]
fn integer_forms_have_learned_ports() {
    let one = |line: &str, inputs: &[&str], stored: &[&str], params, scales| {
        holds(&[line], inputs, stored, params, scales);
    };
    let image = ["x u8 1 3 8 8"];
    one("ConvInteger x w xz wz -> y", &image, &["w u8 4 3 3 3", "xz u8", "wz u8"], 108, 2);
    let rows = ["x u8 2 8", "f f32 2 8"];
    let matrix = ["w i8 8 4", "as f32", "az u8", "ws f32", "wz i8", "b f32 4", "c i32 4"];
    one("MatMulInteger x w az wz -> y", &rows, &matrix, 32, 2);
    one("ms:MatMulIntegerToFloat x w as ws az wz b -> y", &rows, &matrix, 36, 4);
    one("ms:DynamicQuantizeMatMul f w ws wz b -> y", &rows, &matrix, 36, 2);
    one("ms:QGemm x as az w ws wz c -> y", &rows, &matrix, 36, 4);
    // Learned numbers of a sum, and one of plain arithmetic, though what follows is learned.
    holds(
        &[
            "ms:QLinearMul x as az half ws wz as az -> h",
            "ms:QLinearAdd h as az p ws wz as az -> y",
        ],
        &["x u8 2 8"],
        &["half u8", "p u8 8", "as f32", "az u8", "ws f32", "wz u8"],
        8,
        4,
    );
    let sizes = [int("K", 64), int("N", 32), int("block_size", 16), int("quant_type", 1)];
    let product = with(parsed("ms:MatMulBnb4 x w s -> y"), &sizes);
    counts(&model(&[product], &["x f32 2 64"], &["w u8 1024", "s f32 128"]), 2048, 128);
    let tables = ["w u8 50 8", "p u8 16 8", "g u8 8", "b u8 8"];
    let (scales, zeros) = ("ws ps _ gs bs", "wz pz _ gz bz");
    let node = format!("ms:QEmbedLayerNormalization ids _ w p _ g b _ {scales} {zeros} -> y n");
    let mut stored = tables.to_vec();
    stored.extend(["ws f32", "ps f32", "gs f32", "bs f32", "wz u8", "pz u8", "gz u8", "bz u8"]);
    // Without segments and a mask.
    holds(&[&node], &["ids i32 1 8"], &stored, 50 * 8 + 16 * 8 + 16, 8);
}

#[test]
fn single_numbers_are_learned_where_an_operator_says_so() {
    // A slope; a temperature, which is stored as its logarithm; and a number of plain arithmetic.
    holds(&["PRelu x a -> y"], &["x f32 8"], &["a f32"], 1, 0);
    holds(&["Exp a -> t", "Mul x t -> y"], &["x f32 8"], &["a f32"], 1, 0);
    holds(&["Mul x half -> y"], &["x f32 8"], &["half f32"], 0, 0);
}

#[test]
fn weights_are_followed_through_whatever_moves_them() {
    holds(
        &[
            "Concat a b -> w",
            "Transpose w -> t",
            "Unsqueeze t axes -> u",
            "Squeeze u axes -> v",
            "MatMul x v -> y",
        ],
        &["x f32 2 8"],
        &["a f32 4 8", "b f32 6 8", "axes i64 1"],
        80,
        0,
    );
    // The magnitude and the direction of a normalised weight; the small number that guards the division is neither.
    holds(
        &[
            "Mul v v -> q",
            "ReduceSum q -> n",
            "Add n eps -> e",
            "Sqrt e -> r",
            "Div v r -> u",
            "Mul u g -> w",
            "MatMul x w -> y",
        ],
        &["x f32 2 8"],
        &["v f32 8 4", "g f32 1 4", "eps f32"],
        32 + 4,
        0,
    );
    // Running statistics and initial states are not learned.
    holds(
        &["BatchNormalization x s b m v -> n", "LSTM n w r b2 _ h c -> y"],
        &["x f32 5 2 8"],
        &[
            "s f32 2",
            "b f32 2",
            "m f32 2",
            "v f32 2",
            "w f32 1 64 8",
            "r f32 1 64 16",
            "b2 f32 1 128",
            "h f32 1 2 16",
            "c f32 1 2 16",
        ],
        4 + 64 * 24 + 128,
        0,
    );
}

/// Floats as an attribute.
fn floats(name: &str, values: &[f32]) -> Message {
    let attribute = Message::default().bytes(1, name).int(20, 6);
    values.iter().fold(attribute, |mut a, v| {
        a.0.push(7 << 3 | 5);
        a.0.extend_from_slice(&v.to_le_bytes());
        a
    })
}

#[test]
fn attributes_of_classical_models_are_learned() {
    let linear = [floats("coefficients", &[1.0; 4]), floats("intercepts", &[0.5])];
    let linear = with(parsed("ai.onnx.ml:LinearRegressor x -> y"), &linear);
    let report = model(&[linear], &["x f32 3 4"], &[]);
    counts(&report, 5, 0);
    assert_eq!(total(&report, "weight_bytes"), 20);
    // Three vectors of two features, a coefficient for each, and an offset.
    let vectors = [
        floats("support_vectors", &[1.0; 6]),
        floats("coefficients", &[1.0; 3]),
        floats("rho", &[0.1]),
        int("n_supports", 3),
    ];
    let vectors = with(parsed("ai.onnx.ml:SVMRegressor x -> y"), &vectors);
    counts(&model(&[vectors], &["x f32 3 2"], &[]), 10, 0);
    // One branch with its threshold, two leaves with a number each.
    let modes = ["BRANCH_LEQ", "LEAF", "LEAF"];
    let modes = modes
        .iter()
        .fold(Message::default().bytes(1, "nodes_modes").int(20, 8), |a, m| a.bytes(9, m));
    let tree = [
        floats("nodes_values", &[0.5, 0.0, 0.0]),
        ints("nodes_featureids", &[0, 0, 0]),
        modes,
        floats("target_weights", &[1.0, 2.0]),
        int("n_targets", 1),
        text("post_transform", "NONE"),
    ];
    let tree = with(parsed("ai.onnx.ml:TreeEnsembleRegressor x -> y"), &tree);
    let report = model(&[tree], &["x f32 3 2"], &[]);
    counts(&report, 3, 0);
    // Five floats, three integers of 8 bytes, and the names of the modes.
    assert_eq!(total(&report, "weight_bytes"), 20 + 24 + 18);
}

/// A sparse tensor of 8 × 4 with three elements that are not zero, at positions or at coordinates.
fn sparse(coordinates: bool) -> Message {
    let indices = if coordinates { tensor("i i64 3 2") } else { tensor("i i64 3") };
    let sizes = Message::default().message(1, &tensor("w f32 3")).message(2, &indices);
    sizes.int(3, 8).int(3, 4)
}

#[test]
fn sparse_tensors_are_read() {
    let inputs = [declared("x f32 1 8")];
    for coordinates in [false, true] {
        let whole =
            graph(&[parsed("MatMul x w -> y")], &inputs, &[Message::default().bytes(1, "y")]);
        let stored = analyzed(&file(&whole.message(15, &sparse(coordinates))), &[]);
        let attribute = Message::default().bytes(1, "sparse_value").int(20, 11);
        let attribute = attribute.message(22, &sparse(coordinates));
        let nodes = [with(parsed("Constant -> w"), &[attribute]), parsed("MatMul x w -> y")];
        let constant = graph(&nodes, &inputs, &[Message::default().bytes(1, "y")]);
        let constant = analyzed(&file(&constant), &[]);
        for report in [&stored, &constant] {
            // The product is dense.
            assert_eq!(total(report, "macs"), 32);
            assert_eq!(report["outputs"][0]["shape"], serde_json::json!([1, 4]));
            // What is stored: three numbers, and one or two indices of 8 bytes for each.
            counts(report, 3, 0);
            let indices = if coordinates { 48 } else { 24 };
            assert_eq!(total(report, "weight_bytes"), 12 + indices);
        }
    }
}

#[test]
fn blocks_of_channels_count_without_padding() {
    // 3 → 24 → 24 channels in blocks of 16, so that weights are stored for 32; a plain image comes in.
    let blocked = |line: &str| parsed(line).bytes(7, "com.microsoft.nchwc");
    let shape = [ints("kernel_shape", &[3, 3]), ints("pads", &[1, 1, 1, 1])];
    let relu = text("activation", "Relu");
    let nodes = [
        with(blocked("Conv x a ab -> p"), &[&shape[..], &[relu]].concat()),
        with(blocked("MaxPool p -> q"), &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        with(blocked("Conv q d db -> r"), &[&shape[..], &[int("group", 32)]].concat()),
        with(blocked("ReorderOutput r -> y"), &[int("channels", 24)]),
    ];
    let stored = ["a f32 32 3 3 3", "ab f32 32", "d f32 32 1 3 3", "db f32 32"];
    let report = model(&nodes, &["x f32 1 3 16 16"], &stored);
    assert_eq!(report["coverage"]["percent"], 100.0);
    assert_eq!(report["diagnostics"], serde_json::json!([]));
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([1, 24, 8, 8]));
    assert_eq!(total(&report, "macs"), 24 * 256 * 27 + 24 * 64 * 9);
    counts(&report, 24 * 27 + 24 + 24 * 9 + 24, 0);
    // What is stored is padded.
    assert_eq!(total(&report, "weight_bytes"), 4 * (32 * 27 + 32 + 32 * 9 + 32));
    // Without the way out, nothing says how many channels are padding, and the report says that.
    let report = model(
        &nodes[..1].iter().cloned().chain([parsed("Identity p -> y")]).collect::<Vec<_>>(),
        &["x f32 1 3 16 16"],
        &stored[..2],
    );
    assert_eq!(total(&report, "macs"), 32 * 256 * 27);
    assert!(report["diagnostics"][0]["message"].as_str().unwrap().contains("as stored"));
}

#[test]
fn channels_last_is_the_same_work() {
    let last = |line: &str| parsed(line).bytes(7, "com.ms.internal.nhwc");
    let shape = [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2])];
    let nodes = [
        with(last("Conv x w b -> c"), &shape),
        with(last("MaxPool c -> p"), &shape),
        last("GlobalAveragePool p -> y"),
    ];
    let report = model(&nodes, &["x f32 1 15 17 3"], &["w f32 8 3 3 3", "b f32 8"]);
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([1, 1, 1, 8]));
    assert_eq!(total(&report, "macs"), 8 * 7 * 8 * 27);
    counts(&report, 8 * 28, 0);
}

/// Cosines and sines that an exporter worked out, as `x·cos + turned(x)·sin` (`RoFormer`, arXiv:2104.09864, equation
/// 34) of transformers' Llama, which keeps them in buffers: no parameters, gathered by position or not. The same sum
/// of two learned gates is.
#[test]
fn tables_of_rotary_positions_are_not_learned() {
    let turn = |cos: &str, sin: &str| {
        let split = with(node("Split", &["q"], &["front", "back"]), &[int("axis", -1)]);
        let joined = with(node("Concat", &["minus", "front"], &["turned"]), &[int("axis", -1)]);
        let product = |a: &str, b: &str, y: &str| node("Mul", &[a, b], &[y]);
        let minus = node("Neg", &["back"], &["minus"]);
        let sum = node("Add", &["straight", "across"], &["y"]);
        let products = [product("q", cos, "straight"), product(sin, "turned", "across")];
        [split, minus, joined].into_iter().chain(products).chain([sum]).collect::<Vec<_>>()
    };
    let gathered = |table: &str, rows: &str, own: &str| {
        let axis = ints("axes", &[1]);
        let opened = with(node("Unsqueeze", &[rows], &[own]), &[axis]);
        [node("Gather", &[table, "at"], &[rows]), opened]
    };
    let mut nodes = [gathered("cos", "c", "c1"), gathered("sin", "s", "s1")].concat();
    nodes.extend(turn("c1", "s1"));
    let q = "q f32 1 4 s 8";
    let tables = ["cos f32 64 8", "sin f32 64 8", "axes1 i64 1"];
    let at_opset_11 = |nodes: &[Message], inputs: &[&str], stored: &[&str], length: &str| {
        let inputs: Vec<Message> = inputs.iter().map(|line| declared(line)).collect();
        let graph = graph(nodes, &inputs, &[Message::default().bytes(1, "y")]);
        let graph = stored.iter().fold(graph, |g, line| g.message(5, &tensor(line)));
        let opset = Message::default().bytes(1, "").int(2, 11);
        let file = Message::default().int(1, 8).message(7, &graph).message(8, &opset);
        analyzed(&file.0, &["--dim", length])
    };
    counts(&at_opset_11(&nodes, &[q, "at i64 1 s"], &tables, "s=16"), 0, 0);
    // One position, as in a step of a decoder.
    let step = at_opset_11(&nodes, &[q, "at i64 1 s"], &tables, "s=1");
    counts(&step, 0, 0);
    // As a simplifier leaves it at a fixed length.
    counts(
        &model(&turn("cos", "sin"), &["q f32 1 4 16 8"], &["cos f32 16 8", "sin f32 16 8"]),
        0,
        0,
    );
    // Gates of channels, and tables of rows that turn nothing.
    counts(&model(&turn("a", "b"), &["q f32 1 4 16 8"], &["a f32 8", "b f32 8"]), 16, 0);
    let apart = ["Mul q a -> p", "Mul r b -> o", "Add p o -> y"];
    let stored = ["a f32 16 8", "b f32 16 8"];
    holds(&apart, &["q f32 1 4 16 8", "r f32 1 4 16 8"], &stored, 256, 0);
}

/// The layouts of GPT-J, which repeats sines and cosines of one table for pairs of neighbours, and of a negated sine,
/// as torch 2.9 exports them, with rows taken by `GatherND` as its newer exporter does: transformers keeps these tables
/// in buffers, so that torch counts no parameters.
#[test]
fn rotary_tables_of_other_layouts_are_not_learned() {
    let integers =
        |name: &str, all: &[i64]| with(node("Constant", &[], &[name]), &[ints("value_ints", all)]);
    let pairs = |table: &str, to: &str| {
        let names = [format!("{to}_open"), format!("{to}_twice")];
        [
            node("Unsqueeze", &[table, "last"], &[&names[0]]),
            node("Expand", &[&names[0], "twice"], &[&names[1]]),
            node("Reshape", &[&names[1], "whole"], &[to]),
        ]
    };
    let mut nodes = vec![
        integers("last", &[3]),
        integers("twice", &[1, 1, 1, 2]),
        integers("whole", &[1, 16, 8]),
        parsed("GatherND table at -> rows"),
        with(node("Split", &["rows"], &["sines", "cosines"]), &[int("axis", -1)]),
        with(node("Split", &["q"], &["even", "odd"]), &[int("axis", -1)]),
        node("Neg", &["odd"], &["minus"]),
        with(node("Concat", &["minus", "even"], &["turned"]), &[int("axis", -1)]),
    ];
    nodes.extend(pairs("sines", "sin"));
    nodes.extend(pairs("cosines", "cos"));
    nodes.extend(["Mul q cos -> a", "Mul turned sin -> b", "Add a b -> y"].map(parsed));
    let inputs = ["q f32 1 16 8", "at i64 1 16 1"];
    counts(&model(&nodes, &inputs, &["table f32 64 8"]), 0, 0);
    let halves = [
        with(node("Split", &["q"], &["front", "back"]), &[int("axis", -1)]),
        parsed("Neg sin -> minus"),
        parsed("Mul front cos -> a"),
        parsed("Mul back minus -> b"),
        parsed("Add a b -> c"),
        parsed("Mul back cos -> d"),
        parsed("Mul front sin -> e"),
        parsed("Add d e -> f"),
        with(node("Concat", &["c", "f"], &["y"]), &[int("axis", -1)]),
    ];
    counts(&model(&halves, &["q f32 1 4 16 8"], &["cos f32 16 4", "sin f32 16 4"]), 0, 0);
}
