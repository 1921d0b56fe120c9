//! Contents for weights that a file only names, in a copy of it that holds them.
//!
//! The copy is made on the wire: whatever is not a weight stays byte for byte as it is, known to this reader
//! or not.

use crate::formats::wire::{fields, put};
use crate::ir::DType;
use prost::Message;
use std::collections::HashMap;

/// Fields of onnx.proto3 that are looked at here.
const GRAPH: u64 = 7;
const NODE: u64 = 1;
const ATTRIBUTE: u64 = 5;
const ATTRIBUTE_TENSOR: u64 = 5;
const INITIALIZER: u64 = 5;
const RAW_DATA: u64 = 9;
const EXTERNAL_DATA: u64 = 13;
const DATA_LOCATION: u64 = 14;
/// The operator whose attribute is a tensor.
const CONSTANT: &str = "Constant";
/// `TensorProto.DataType`.
const FLOAT: i32 = 1;

/// What is looked at of a model: payloads are stepped over.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Tensor>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(message, optional, tag = "5")]
    tensor: Option<Tensor>,
}

impl Node {
    /// The constants in it that lie in another file.
    fn missing(&self) -> impl Iterator<Item = &Tensor> {
        let constant = self.op_type == CONSTANT;
        let held = self.attribute.iter().filter(move |_| constant);
        held.filter_map(|a| a.tensor.as_ref()).filter(|t| is_missing(t))
    }
}

#[derive(Clone, PartialEq, Message)]
struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    /// 0 in this file, 1 in another.
    #[prost(int32, tag = "14")]
    data_location: i32,
}

/// The weights of a model's own graph that lie in another file: initializers, and tensors of Constant nodes.
pub struct Unfilled<'a> {
    file: &'a [u8],
    graph: Graph,
    /// Number of tensors.
    pub tensors: usize,
    /// Their size in bytes; `u64::MAX` where it is more.
    pub bytes: u64,
}

impl<'a> Unfilled<'a> {
    /// Looks at a file; `None` where it holds all its weights, or is no model.
    pub fn of(file: &'a [u8]) -> Option<Self> {
        super::census::check(file).ok()?;
        let graph = Model::decode(file).ok()?.graph?;
        let constants = graph.node.iter().flat_map(Node::missing);
        let missing = graph.initializer.iter().filter(|t| is_missing(t)).chain(constants);
        let (tensors, bytes) =
            missing.map(size).fold((0, 0u64), |(n, sum), size| (n + 1, sum.saturating_add(size)));
        (tensors > 0).then_some(Self { file, graph, tensors, bytes })
    }

    /// The file with contents in place of names. Each `f32` weight is `number()`, uniform in −1 to 1, scaled so that
    /// activations neither overflow nor sink into denormals, which are slow; parameters of batch
    /// normalization change nothing, and other types are zero. `None` where the file is broken.
    pub fn fill(&self, number: &mut dyn FnMut() -> f32) -> Option<Vec<u8>> {
        let mut neutral = HashMap::new();
        for node in self.graph.node.iter().filter(|n| n.op_type == "BatchNormalization") {
            neutral.extend(node.input.iter().skip(1).zip([1.0f32, 0.0, 0.0, 1.0]));
        }
        let mut tensors = self.graph.initializer.iter();
        let mut nodes = self.graph.node.iter();
        let mut out = Vec::new();
        for field in fields(self.file) {
            let field = field?;
            if field.number != GRAPH {
                out.extend_from_slice(field.whole);
                continue;
            }
            let mut graph = Vec::new();
            for field in fields(field.contents?) {
                let field = field?;
                let tensor = (field.number == INITIALIZER).then(|| tensors.next()).flatten();
                let node = (field.number == NODE).then(|| nodes.next()).flatten();
                if let Some(tensor) = tensor.filter(|t| is_missing(t)) {
                    let own = neutral.get(&tensor.name).copied();
                    let data = contents(tensor, own, number)?;
                    put(INITIALIZER, &filled(field.contents?, &data)?, &mut graph);
                } else if let Some(node) = node.filter(|n| n.missing().next().is_some()) {
                    let own = node.output.first().and_then(|name| neutral.get(name)).copied();
                    put(NODE, &constant(field.contents?, node, own, number)?, &mut graph);
                } else {
                    graph.extend_from_slice(field.whole);
                }
            }
            put(GRAPH, &graph, &mut out);
        }
        Some(out)
    }
}

/// A Constant node's message with contents in its tensors that lie in another file.
fn constant(
    message: &[u8],
    node: &Node,
    own: Option<f32>,
    number: &mut dyn FnMut() -> f32,
) -> Option<Vec<u8>> {
    let mut attributes = node.attribute.iter();
    let mut out = Vec::new();
    for field in fields(message) {
        let field = field?;
        let attribute = (field.number == ATTRIBUTE).then(|| attributes.next()).flatten();
        let Some(tensor) = attribute.and_then(|a| a.tensor.as_ref()).filter(|t| is_missing(t))
        else {
            out.extend_from_slice(field.whole);
            continue;
        };
        let data = contents(tensor, own, number)?;
        let mut attribute = Vec::new();
        for field in fields(field.contents?) {
            let field = field?;
            if field.number == ATTRIBUTE_TENSOR {
                put(ATTRIBUTE_TENSOR, &filled(field.contents?, &data)?, &mut attribute);
            } else {
                attribute.extend_from_slice(field.whole);
            }
        }
        put(ATTRIBUTE, &attribute, &mut out);
    }
    Some(out)
}

fn is_missing(tensor: &Tensor) -> bool {
    tensor.data_location == 1
}

fn size(tensor: &Tensor) -> u64 {
    let bits = DType::from_onnx(tensor.data_type).map_or(32, DType::bits);
    let count = tensor.dims.iter().try_fold(1u64, |n, d| n.checked_mul(u64::try_from(*d).ok()?));
    count.and_then(|n| n.checked_mul(bits.into())).map_or(u64::MAX, |bits| bits.div_ceil(8))
}

/// Little-endian numbers of a tensor; all of them `own`, where it has one value.
fn contents(tensor: &Tensor, own: Option<f32>, number: &mut dyn FnMut() -> f32) -> Option<Vec<u8>> {
    let bytes = usize::try_from(size(tensor)).ok()?;
    if tensor.data_type != FLOAT {
        return Some(vec![0; bytes]);
    }
    let count = bytes / size_of::<f32>();
    let rows = tensor.dims.first().and_then(|d| usize::try_from(*d).ok()).unwrap_or(1).max(1);
    let scale = 1.7 / ((count / rows).max(1) as f32).sqrt();
    let mut data = Vec::with_capacity(bytes);
    for _ in 0..count {
        let value = own.unwrap_or_else(|| number() * scale);
        data.extend_from_slice(&value.to_le_bytes());
    }
    Some(data)
}

/// A tensor's message with its contents in place of where they lie.
fn filled(tensor: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(tensor.len() + data.len() + 16);
    for field in fields(tensor) {
        let field = field?;
        if ![RAW_DATA, EXTERNAL_DATA, DATA_LOCATION].contains(&field.number) {
            out.extend_from_slice(field.whole);
        }
    }
    put(RAW_DATA, data, &mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::messages::{ModelProto, TensorProto};
    use super::*;
    use crate::formats::Sketch;

    fn sketch() -> Vec<u8> {
        let mut sketch = Sketch::new(&[1, 4]);
        let weight = sketch.weight(&[4, 8]);
        let scale = sketch.weight(&[8]);
        let product = sketch.node("MatMul", &["x", &weight], &[]);
        let output = sketch.node("BatchNormalization", &[&product, &scale], &[]);
        sketch.finish(&output)
    }

    #[test]
    fn weights_are_filled_and_all_else_stays() {
        let mut file = sketch();
        // A field that the reader does not know: `metadata_props`.
        put(14, b"\x0a\x01k\x12\x01v", &mut file);
        let unfilled = Unfilled::of(&file).unwrap();
        assert_eq!((unfilled.tensors, unfilled.bytes), (2, 4 * (32 + 8)));
        let full = unfilled.fill(&mut || 0.5).unwrap();
        assert!(full.ends_with(b"k\x12\x01v"));
        assert!(Unfilled::of(&full).is_none());
        let model = ModelProto::decode(full.as_slice()).unwrap();
        let graph = model.graph.unwrap();
        let tensor = |at: usize| TensorProto::decode(graph.initializer[at].clone()).unwrap();
        let (weight, scale) = (tensor(0), tensor(1));
        assert_eq!(weight.raw_data.len(), 128);
        assert_eq!(weight.raw_data[..4], (0.5f32 * 1.7 / 8f32.sqrt()).to_le_bytes());
        assert_eq!(scale.raw_data[..4], 1f32.to_le_bytes());
        assert!(weight.external_data.is_empty() && weight.name == "w0");
        assert_eq!((graph.node.len(), graph.output.len()), (2, 1));
    }

    #[test]
    fn weights_are_as_large_as_their_types() {
        // I4, f8e4m3fn, f16, f32, c128.
        for (data_type, bytes) in [(22, 2), (17, 3), (10, 6), (1, 12), (15, 48)] {
            let tensor = Tensor { dims: vec![3], data_type, ..Tensor::default() };
            assert_eq!(size(&tensor), bytes, "{data_type}");
        }
    }

    #[test]
    fn a_broken_file_is_none() {
        let file = sketch();
        for end in 0..file.len() {
            if let Some(unfilled) = Unfilled::of(&file[..end]) {
                let _ = unfilled.fill(&mut || 0.0);
            }
        }
    }
}
