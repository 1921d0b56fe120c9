//! Kernels follow what is computed: each list here is one computation in several spellings, and all move
//! the same bytes in as many kernels.

use crate::oracles::{analyzed, int, ints, text, total, with};
use crate::wire::{Message, graph, node, value};

/// A model from lines such as `y = Op a b ; perm=0,2,1,3`; `ms.Op` is onnxruntime's. Names in capitals
/// are weights: `W64x32` has these sizes, `C` alone is one number.
fn net(opset: i64, inputs: &[(&str, &str)], lines: &str, outputs: &[&str]) -> Vec<u8> {
    let mut weights: Vec<String> = Vec::new();
    let mut nodes = Vec::new();
    for line in lines.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (made, rest) = line.split_once(" = ").unwrap();
        let (call, attributes) = rest.split_once(';').unwrap_or((rest, ""));
        let mut words = call.split_whitespace();
        let op = words.next().unwrap();
        let read: Vec<&str> = words.map(|w| if w == "_" { "" } else { w }).collect();
        let stored = |w: &&&str| w.starts_with(|c: char| c.is_ascii_uppercase());
        weights.extend(read.iter().filter(stored).map(|w| (*w).to_owned()));
        let made: Vec<&str> = made.split(' ').collect();
        let (op, domain) = match op.strip_prefix("ms.") {
            Some(op) => (op, "com.microsoft"),
            None => (op, ""),
        };
        let attributes: Vec<Message> = attributes
            .split_whitespace()
            .map(|a| {
                let (name, value) = a.split_once('=').unwrap();
                let numbers: Vec<i64> = value.split(',').filter_map(|n| n.parse().ok()).collect();
                let list = ["perm", "axes", "kernel_shape", "pads", "strides", "split"];
                match &numbers[..] {
                    [] => text(name, value),
                    [one] if !list.contains(&name) => int(name, *one),
                    many => ints(name, many),
                }
            })
            .collect();
        nodes.push(with(node(op, &read, &made), &attributes).bytes(7, domain));
    }
    weights.sort();
    weights.dedup();
    let sizes = |list: &str| -> Vec<String> { list.split('x').map(str::to_owned).collect() };
    let inputs: Vec<Message> = inputs
        .iter()
        .map(|(name, list)| {
            let list = sizes(list);
            value(name, &list.iter().map(String::as_str).collect::<Vec<_>>())
        })
        .collect();
    let results: Vec<Message> = outputs.iter().map(|o| Message::default().bytes(1, o)).collect();
    let mut body = graph(&nodes, &inputs, &results);
    for name in weights {
        // `I0x0x4x16` is a shape that holds these numbers.
        let (kind, rest) = name.split_at(1);
        let list: Vec<i64> = sizes(rest.trim_start_matches(|c: char| c.is_alphabetic()))
            .iter()
            .filter_map(|n| n.parse().ok())
            .collect();
        let tensor = if kind == "I" {
            let raw: Vec<u8> = list.iter().flat_map(|n| n.to_le_bytes()).collect();
            Message::default().int(1, i64::try_from(list.len()).unwrap()).int(2, 7).bytes(9, raw)
        } else {
            let count: i64 = list.iter().product();
            let head = list.iter().fold(Message::default(), |m, n| m.int(1, *n));
            head.int(2, 1).bytes(9, vec![0; 4 * usize::try_from(count).unwrap()])
        };
        body = body.message(5, &tensor.bytes(8, &name));
    }
    let set = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let file = Message::default().int(1, 8).message(7, &body);
    file.message(8, &set("", opset)).message(8, &set("com.microsoft", 1)).0
}

/// Whether all spellings have as many kernels, that move the same within 2 %.
fn same(what: &str, opset: i64, inputs: &[(&str, &str)], outputs: &[&str], spellings: &[String]) {
    let of = |lines: &String| {
        let report = analyzed(&net(opset, inputs, lines, outputs), &[]);
        assert_eq!(
            report["coverage"]["percent"], 100.0,
            "{what}: {lines} {}",
            report["diagnostics"]
        );
        let kernels = report["groups"].as_array().unwrap();
        let moves = |g: &&serde_json::Value| g["bytes_read"] != 0 || g["bytes_written"] != 0;
        (
            total(&report, "fused_bytes"),
            kernels.iter().filter(moves).count(),
            report["groups"].clone(),
        )
    };
    let first = of(&spellings[0]);
    for other in &spellings[1..] {
        let found = of(other);
        let ratio = found.0 as f64 / first.0 as f64;
        let alike = (ratio - 1.0).abs() < 0.02 && found.1 == first.1;
        assert!(
            alike,
            "{what}: {} and {} bytes, {} and {} kernels\n{}\n{}\n{other}\n{}",
            first.0, found.0, first.1, found.1, spellings[0], first.2, found.2
        );
    }
}

const NORM: &str = "m = ReduceMean h ; axes=-1
    d = Sub h m
    q = Pow d C
    v = ReduceMean q ; axes=-1
    e = Add v C
    s = Sqrt e
    n = Div d s
    g = Mul n G64
    y = Add g B64";

#[test]
fn a_norm_in_every_spelling() {
    let product = "p = MatMul x W64x64\nb = Add p B64\nh = Add b r\n";
    let after = "\nz = MatMul y W64x64";
    let norms = [
        NORM.to_owned(),
        NORM.replace("q = Pow d C", "q = Mul d d"),
        NORM.replace("n = Div d s", "i = Reciprocal s\nn = Mul d i"),
        "y = LayerNormalization h G64 B64 ; axis=-1".to_owned(),
    ];
    // After it; before it, where the sum is used again.
    for results in [&["z"][..], &["z", "h"][..]] {
        let mut all: Vec<String> = norms.iter().map(|n| format!("{product}{n}{after}")).collect();
        all.push(
            format!(
                "p = MatMul x W64x64\ny _ _ h = ms.SkipLayerNormalization p r G64 B64 B64{after}"
            )
            .replace("y _ _ h", "y u1 u2 h"),
        );
        all.push(format!("p = MatMul x W64x64\nb = Add p B64\ny u1 u2 h = ms.SkipLayerNormalization r b G64 B64{after}"));
        same("layer norm", 17, &[("x", "8x128x64"), ("r", "8x128x64")], results, &all);
    }
    let rms = |middle: &str| {
        format!(
            "{product}q = Pow h C\nv = ReduceMean q ; axes=-1\ne = Add v C\n{middle}\ny = Mul G64 n{after}"
        )
    };
    let all = [
        rms("s = Sqrt e\nn = Div h s"),
        rms("s = Sqrt e\ni = Reciprocal s\nn = Mul h i"),
        rms("s = Sqrt e\ni = Div C s\nn = Mul h i"),
        rms("i = Pow e C\nn = Mul h i"),
        format!("{product}y = SimplifiedLayerNormalization h G64 ; axis=-1{after}"),
        format!(
            "p = MatMul x W64x64\nb = Add p B64\ny u1 u2 h = ms.SkipSimplifiedLayerNormalization b r G64{after}"
        ),
    ];
    same("RMS norm", 17, &[("x", "8x128x64"), ("r", "8x128x64")], &["z", "h"], &all);
}

#[test]
fn an_activation_in_every_spelling() {
    let on = |lines: &str| {
        format!("p = MatMul x W64x256\na = Add p B256\n{lines}\nz = MatMul y W256x64")
    };
    let all = [
        on("d = Div a C\ne = Erf d\no = Add e C\nm = Mul a o\ny = Mul m C"),
        on("h = Mul a C\nd = Mul a C\ne = Erf d\no = Add e C\ny = Mul h o"),
        on(
            "c = Pow a C\nk = Mul c C\ns = Add a k\nt = Mul s C\nu = Tanh t\no = Add u C\nm = Mul a o\ny = Mul m C",
        ),
        on("s = Mul a C\ng = Sigmoid s\ny = Mul a g"),
        on("g = Sigmoid a\ny = Mul a g"),
        on("s = Add a C\nr = Clip s C C\nd = Div r C\ny = Mul a d"),
        on("g = HardSigmoid a\ny = Mul a g"),
        on("y = HardSwish a"),
        on("y = ms.Gelu a"),
        on("y = ms.QuickGelu a"),
        "p = MatMul x W64x256\ny = ms.BiasGelu p B256\nz = MatMul y W256x64".to_owned(),
        "p = MatMul x W64x256\ny = ms.FastGelu p B256\nz = MatMul y W256x64".to_owned(),
    ];
    same("activation", 17, &[("x", "8x128x64")], &["z"], &all);
}

#[test]
fn a_gate_in_every_spelling() {
    let all = [
        "g = MatMul x W64x256\ns = Sigmoid g\na = Mul g s\nu = MatMul x W2_64x256\ny = Mul a u\nz = MatMul y W256x64",
        "u = MatMul x W2_64x256\ng = MatMul x W64x256\ns = Sigmoid g\na = Mul g s\ny = Mul u a\nz = MatMul y W256x64",
        "b = MatMul x W64x512\ng u = Split b ; axis=-1\ns = Sigmoid g\na = Mul g s\ny = Mul a u\nz = MatMul y W256x64",
    ];
    let all = all.map(|text| text.replace("W2_", "V"));
    same("gate", 17, &[("x", "8x128x64")], &["z"], &all);
}

/// Queries, keys and values of 4 heads of 16, from one tensor.
fn projected(name: &str, turn: &str) -> String {
    format!(
        "{name}p = MatMul x W{name}64x64
        {name}b = Add {name}p B{name}64
        {name}r = Reshape {name}b I0x0x4x16
        {name}t = Transpose {name}r ; perm={turn}\n"
    )
}

#[test]
fn attention_in_every_spelling() {
    let x = [("x", "8x128x64"), ("mask", "8x1x1x128")];
    let heads = |k: &str| {
        ["0,2,1,3", k, "0,2,1,3"]
            .iter()
            .zip(["q", "k", "v"])
            .map(|(t, n)| projected(n, t))
            .collect::<String>()
    };
    let (whole, turned) = (heads("0,2,3,1"), heads("0,2,1,3"));
    let out = "c = Transpose o ; perm=0,2,1,3\nr = Reshape c I0x0x64\ny = MatMul r Wo64x64\nz = Add y Bo64\n";
    let packed = "p = MatMul x W64x192\nb = Add p B192\nqf kf vf = Split b ; axis=-1\n";
    let head = |n: &str, turn: &str| {
        format!("{n}r = Reshape {n}f I0x0x4x16\n{n}t = Transpose {n}r ; perm={turn}\n")
    };
    let from_one =
        [packed.to_owned(), head("q", "0,2,1,3"), head("k", "0,2,3,1"), head("v", "0,2,1,3")]
            .concat();
    let all = [
        // torch's older exporter.
        format!("{whole}s = MatMul qt kt\nd = Div s C\na = Add d mask\nw = Softmax a ; axis=-1\no = MatMul w vt\n{out}"),
        // Scaled before; a mask that chooses; a softmax made safe.
        format!("{turned}kk = Transpose kt ; perm=0,1,3,2\nqs = Mul qt C\nks = Mul kk C\ns = MatMul qs ks\na = Add s mask\nw = Softmax a ; axis=-1\nn = IsNaN w\nf = Where n C w\no = MatMul f vt\n{out}"),
        // Softmax in pieces.
        format!("{whole}s = MatMul qt kt\nd = Mul s C\na = Add d mask\nt = ReduceMax a ; axes=-1\nu = Sub a t\ne = Exp u\nl = ReduceSum e I3 ; keepdims=1\nw = Div e l\no = MatMul w vt\n{out}"),
        // One product for all three.
        format!("{from_one}s = MatMul qt kt\nd = Div s C\na = Add d mask\nw = Softmax a ; axis=-1\no = MatMul w vt\n{out}"),
        // TensorFlow's.
        ["q", "k", "v"].map(|n| format!("{n}p = MatMul x W{n}64x64\n{n}b = Add {n}p B{n}64\n{n}t = Reshape {n}b I0x0x4x16\n")).concat()
            + "s = Einsum qt kt ; equation=bqhd,bkhd->bhqk\nd = Mul s C\na = Add d mask\nw = Softmax a ; axis=-1\no = Einsum w vt ; equation=bhqk,bkhd->bqhd\nr = Reshape o I0x0x64\ny = MatMul r Wo64x64\nz = Add y Bo64\n",
        // onnxruntime's.
        ["q", "k", "v"].map(|n| format!("{n}p = MatMul x W{n}64x64\n{n}b = Add {n}p B{n}64\n")).concat()
            + "r = ms.MultiHeadAttention qb kb vb _ _ mask ; num_heads=4\ny = MatMul r Wo64x64\nz = Add y Bo64\n",
    ];
    same("attention", 17, &x, &["z"], &all);
    let op = format!("{turned}o = Attention qt kt vt mask\n{out}");
    let first = all[0].clone();
    same("the operator", 23, &x, &["z"], &[first.clone(), op]);
    let packed =
        "r = ms.Attention x W64x192 B192 ; num_heads=4\ny = MatMul r Wo64x64\nz = Add y Bo64\n"
            .to_owned();
    let bytes =
        |lines: &String| total(&analyzed(&net(17, &x, lines, &["z"]), &[]), "fused_bytes") as f64;
    let ratio = bytes(&packed) / bytes(&first);
    assert!((ratio - 1.0).abs() < 0.02, "projection and attention in one node: {ratio}");
}

#[test]
fn a_convolution_in_every_spelling() {
    let x = [("x", "2x16x32x32"), ("r", "2x16x32x32")];
    let conv = "kernel_shape=3,3 pads=1,1,1,1";
    let all = [
        format!(
            "c = Conv x W16x16x3x3 B16 ; {conv}\na = Add c r\ny = Relu a\nz = Conv y V16x16x1x1"
        ),
        format!(
            "c = Conv x W16x16x3x3 ; {conv}\nn = BatchNormalization c G16 B16 M16 S16\na = Add r n\ny = Relu a\nz = Conv y V16x16x1x1"
        ),
        format!(
            "c = Conv x W16x16x3x3 ; {conv}\nm = Mul c G16x1x1\nn = Add m B16x1x1\na = Add n r\ny = Clip a C C\nz = Conv y V16x16x1x1"
        ),
        format!(
            "y = ms.FusedConv x W16x16x3x3 B16 r ; {conv} activation=Relu\nz = Conv y V16x16x1x1"
        ),
        "p = Pad x I0x0x1x1x0x0x1x1\nc = Conv p W16x16x3x3 B16 ; kernel_shape=3,3\na = Add c r\ny = Relu a\nz = Conv y V16x16x1x1".to_owned(),
    ];
    same("convolution", 17, &x, &["z"], &all);
}

#[test]
fn embeddings_in_every_spelling() {
    let ids = [("ids", "8x128")];
    let sum = "i = Cast ids ; to=7\nw = Gather W1000x64 i\na = Add w P128x64\nh = Add a T64\n";
    let norm = format!("{sum}{NORM}\nz = MatMul y W64x64");
    let one = format!("{sum}y = LayerNormalization h G64 B64 ; axis=-1\nz = MatMul y W64x64");
    same("embeddings", 17, &ids, &["z"], &[norm, one]);
}

/// The order of nodes in the file is no matter.
#[test]
fn whichever_branch_comes_first() {
    let (a, b) =
        ("a = Conv x W16x16x1x1\nb = Relu a\nc = Conv b V16x16x1x1\n", "d = Conv x U16x16x1x1\n");
    let end = "s = Add c d\ny = Relu s\n";
    let all = [[a, b, end].concat(), [b, a, end].concat()];
    same("branches", 17, &[("x", "2x16x32x32")], &["y"], &all);
}
