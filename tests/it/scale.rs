//! Models of any size, written here: a decoder as torch's exporter spells it, chains of many nodes, and
//! weights that are holes in a file.

use super::wire::{Message, graph, node, typed};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

const F16: i64 = 10;
const I64: i64 = 7;

/// A stored tensor of zeros: a hole in the model's own file, or in the one beside it.
struct Weight {
    name: String,
    sizes: Vec<i64>,
}

impl Weight {
    fn bytes(&self) -> u64 {
        2 * self.sizes.iter().product::<i64>().cast_unsigned()
    }

    fn head(&self) -> Message {
        let head = self.sizes.iter().fold(Message::default(), |m, size| m.int(1, *size));
        head.int(2, F16).bytes(8, &self.name)
    }
}

/// Nodes and weights of a graph being written.
#[derive(Default)]
struct Made {
    nodes: Vec<Message>,
    weights: Vec<Weight>,
}

impl Made {
    fn node(&mut self, op: &str, inputs: &[&str], attributes: &[Message]) -> String {
        let output = format!("v{}", self.nodes.len());
        let made = attributes.iter().fold(node(op, inputs, &[&output]), |n, a| n.message(5, a));
        self.nodes.push(made);
        output
    }

    fn numbers(&mut self, numbers: &[i64]) -> String {
        let attribute = Message::default().bytes(1, "value_ints").int(20, 7);
        let attribute = numbers.iter().fold(attribute, |a, n| a.int(8, *n));
        self.node("Constant", &[], &[attribute])
    }

    fn scalar(&mut self, number: f32) -> String {
        let raw = number.to_le_bytes();
        let tensor = Message::default().int(2, 1).bytes(9, raw);
        let attribute = Message::default().bytes(1, "value").int(20, 4).message(5, &tensor);
        self.node("Constant", &[], &[attribute])
    }

    fn cast(&mut self, x: &str, to: i64) -> String {
        self.node("Cast", &[x], &[Message::default().bytes(1, "to").int(20, 2).int(3, to)])
    }

    fn weight(&mut self, sizes: &[i64]) -> String {
        let name = format!("w{}", self.weights.len());
        self.weights.push(Weight { name: name.clone(), sizes: sizes.to_vec() });
        name
    }

    fn linear(&mut self, x: &str, from: i64, to: i64) -> String {
        let w = self.weight(&[from, to]);
        self.node("MatMul", &[x, &w], &[])
    }

    /// Computed in 32 bits, as models of 16 bits do.
    fn norm(&mut self, x: &str, width: i64) -> String {
        let wide = self.cast(x, 1);
        let (two, epsilon) = (self.scalar(2.0), self.scalar(1e-6));
        let square = self.node("Pow", &[&wide, &two], &[]);
        let axes = self.numbers(&[-1]);
        let mean = self.node("ReduceMean", &[&square, &axes], &[]);
        let mean = self.node("Add", &[&mean, &epsilon], &[]);
        let root = self.node("Sqrt", &[&mean], &[]);
        let scale = self.node("Reciprocal", &[&root], &[]);
        let wide = self.node("Mul", &[&wide, &scale], &[]);
        let narrow = self.cast(&wide, F16);
        let gain = self.weight(&[width]);
        self.node("Mul", &[&narrow, &gain], &[])
    }

    /// Size of one axis, as a vector of one number.
    fn size(&mut self, x: &str, axis: i64) -> String {
        let int = |name: &str, value| Message::default().bytes(1, name).int(20, 2).int(3, value);
        self.node("Shape", &[x], &[int("start", axis), int("end", axis + 1)])
    }

    /// `[B, S, heads·d]` → `[B, heads, S, d]`, through sizes looked up in the graph.
    fn split(&mut self, x: &str, heads: i64, d: i64) -> String {
        let (batch, length) = (self.size(x, 0), self.size(x, 1));
        let rest = self.numbers(&[heads, d]);
        let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
        let shape = self.node("Concat", &[&batch, &length, &rest], &[axis]);
        let x = self.node("Reshape", &[x, &shape], &[]);
        self.turn(&x, &[0, 2, 1, 3])
    }

    fn turn(&mut self, x: &str, axes: &[i64]) -> String {
        let perm = Message::default().bytes(1, "perm").int(20, 7);
        self.node("Transpose", &[x], &[axes.iter().fold(perm, |m, axis| m.int(8, *axis))])
    }

    fn slice(&mut self, x: &str, from: i64, to: i64) -> String {
        let (start, end) = (self.numbers(&[from]), self.numbers(&[to]));
        let (axis, step) = (self.numbers(&[3]), self.numbers(&[1]));
        self.node("Slice", &[x, &start, &end, &axis, &step], &[])
    }

    fn rotate(&mut self, x: &str, d: i64, cos: &str, sin: &str) -> String {
        let (low, high) = (self.slice(x, 0, d / 2), self.slice(x, d / 2, i64::MAX));
        let high = self.node("Neg", &[&high], &[]);
        let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, -1);
        let turned = self.node("Concat", &[&high, &low], &[axis]);
        let (a, b) = (self.node("Mul", &[x, cos], &[]), self.node("Mul", &[&turned, sin], &[]));
        self.node("Add", &[&a, &b], &[])
    }

    /// Every key head for the query heads that share it.
    fn repeat(&mut self, x: &str, heads: i64, times: i64, d: i64) -> String {
        let at = self.numbers(&[2]);
        let wide = self.node("Unsqueeze", &[x, &at], &[]);
        let (batch, length) = (self.size(x, 0), self.size(x, 2));
        let axis = || Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
        let (middle, last) = (self.numbers(&[heads, times]), self.numbers(&[d]));
        let shape = self.node("Concat", &[&batch, &middle, &length, &last], &[axis()]);
        let wide = self.node("Expand", &[&wide, &shape], &[]);
        let all = self.numbers(&[heads * times]);
        let shape = self.node("Concat", &[&batch, &all, &length, &last], &[axis()]);
        self.node("Reshape", &[&wide, &shape], &[])
    }

    fn layer(
        &mut self,
        x: &str,
        [width, heads, kv, inner]: [i64; 4],
        cos: &str,
        sin: &str,
    ) -> String {
        let d = width / heads;
        let h = self.norm(x, width);
        let q = self.linear(&h, width, width);
        let (k, v) = (self.linear(&h, width, kv * d), self.linear(&h, width, kv * d));
        let (q, k, v) = (self.split(&q, heads, d), self.split(&k, kv, d), self.split(&v, kv, d));
        let (q, k) = (self.rotate(&q, d, cos, sin), self.rotate(&k, d, cos, sin));
        let (k, v) = (self.repeat(&k, kv, heads / kv, d), self.repeat(&v, kv, heads / kv, d));
        let k = self.turn(&k, &[0, 1, 3, 2]);
        let scale = self.scalar(0.125);
        let scale = self.cast(&scale, F16);
        let q = self.node("Mul", &[&q, &scale], &[]);
        let scores = self.node("MatMul", &[&q, &k], &[]);
        let scores = self.cast(&scores, 1);
        let weights = self.node("Softmax", &[&scores], &[]);
        let weights = self.cast(&weights, F16);
        let mixed = self.node("MatMul", &[&weights, &v], &[]);
        let mixed = self.turn(&mixed, &[0, 2, 1, 3]);
        let (batch, length) = (self.size(&mixed, 0), self.size(&mixed, 1));
        let all = self.numbers(&[width]);
        let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
        let shape = self.node("Concat", &[&batch, &length, &all], &[axis]);
        let mixed = self.node("Reshape", &[&mixed, &shape], &[]);
        let mixed = self.linear(&mixed, width, width);
        let x = self.node("Add", &[x, &mixed], &[]);
        let h = self.norm(&x, width);
        let (gate, up) = (self.linear(&h, width, inner), self.linear(&h, width, inner));
        let open = self.node("Sigmoid", &[&gate], &[]);
        let gate = self.node("Mul", &[&gate, &open], &[]);
        let h = self.node("Mul", &[&gate, &up], &[]);
        let h = self.linear(&h, inner, width);
        self.node("Add", &[&x, &h], &[])
    }

    /// Writes the model; weights go into `beside`, a file next to it, or into the model itself.
    fn write(self, path: &Path, inputs: &[Message], output: &str, beside: Option<&str>) {
        let mut body = graph(&self.nodes, inputs, &[Message::default().bytes(1, output)]);
        let opset = Message::default().bytes(1, "").int(2, 18);
        let file = Message::default().int(1, 9).message(8, &opset);
        let mut out = std::fs::File::create(path).unwrap();
        if let Some(beside) = beside {
            let mut offset = 0;
            for weight in &self.weights {
                let entry =
                    |key: &str, value: &str| Message::default().bytes(1, key).bytes(2, value);
                let tensor = weight
                    .head()
                    .message(13, &entry("location", beside))
                    .message(13, &entry("offset", &offset.to_string()))
                    .message(13, &entry("length", &weight.bytes().to_string()))
                    .int(14, 1);
                body = body.message(5, &tensor);
                offset += weight.bytes();
            }
            out.write_all(&file.message(7, &body).0).unwrap();
            let data = std::fs::File::create(path.with_file_name(beside)).unwrap();
            return data.set_len(offset).unwrap();
        }
        let heads: Vec<(Message, u64)> = self
            .weights
            .iter()
            .map(|w| (w.head().open(9, w.bytes()), w.bytes()))
            .map(|(head, hole)| {
                let whole = head.0.len() as u64 + hole;
                (
                    Message(
                        Message::default().open(5, whole).0.into_iter().chain(head.0).collect(),
                    ),
                    hole,
                )
            })
            .collect();
        let whole = heads.iter().map(|(head, hole)| head.0.len() as u64 + hole).sum::<u64>();
        let mut end = file.0.len() as u64;
        let front = file.open(7, body.0.len() as u64 + whole).0;
        end += (front.len() as u64 - end) + body.0.len() as u64 + whole;
        out.write_all(&front).unwrap();
        out.write_all(&body.0).unwrap();
        for (head, hole) in heads {
            out.write_all(&head.0).unwrap();
            out.seek(SeekFrom::Current(hole.cast_signed())).unwrap();
        }
        out.set_len(end).unwrap();
    }
}

/// Ids, and the cosines and sines of half as many angles as a head is wide.
fn ids(d: &str) -> Vec<Message> {
    let table = |name: &str| typed(name, F16, &["seq", d]);
    vec![typed("ids", I64, &["batch", "seq"]), table("cos"), table("sin")]
}

/// A decoder of 32 layers and 1.2 billion parameters in 16 bits, 2.4 GB beside the model.
pub(crate) fn decoder(path: &Path) {
    let mut made = Made::default();
    let (width, vocabulary) = (1536, 64_000);
    let table = made.weight(&[vocabulary, width]);
    let mut x = made.node("Gather", &[&table, "ids"], &[]);
    for _ in 0..32 {
        x = made.layer(&x, [width, 24, 8, 6144], "cos", "sin");
    }
    let x = made.norm(&x, width);
    let head = made.turn(&table, &[1, 0]);
    let logits = made.node("MatMul", &[&x, &head], &[]);
    made.write(path, &ids("64"), &logits, Some("decoder.data"));
}

/// Layers of the same kind, small and many, until there are this many nodes.
pub(crate) fn many(path: &Path, nodes: usize) {
    let mut made = Made::default();
    let table = made.weight(&[1000, 32]);
    let mut x = made.node("Gather", &[&table, "ids"], &[]);
    while made.nodes.len() < nodes {
        x = made.layer(&x, [32, 4, 2, 64], "cos", "sin");
    }
    made.write(path, &ids("8"), &x, None);
}

/// Eight products in weights of 64 MB inside the file, then enough small nodes for a long report.
pub(crate) fn heavy(path: &Path) {
    let mut made = Made::default();
    let mut x = "x".to_owned();
    for _ in 0..8 {
        x = made.linear(&x, 5792, 5792);
    }
    for _ in 0..400 {
        x = made.node("Relu", &[&x], &[]);
    }
    made.write(path, &[typed("x", F16, &["batch", "seq", "5792"])], &x, None);
}
