//! TensorFlow's messages: those and the fields that are read, by their field numbers.
//!
//! Numbers are those of `graph.proto`, `function.proto`, `meta_graph.proto`, `attr_value.proto` and
//! `tensor.proto` of TensorFlow 2.21. Nodes, functions and attributes stay bytes until they are looked at, and
//! payloads of tensors are slices of the mapped file.

use bytes::Bytes;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(super) struct SavedModel {
    /// A [`MetaGraph`] each.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) meta_graphs: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaGraph {
    #[prost(message, optional, tag = "1")]
    pub(super) info: Option<MetaInfo>,
    #[prost(message, optional, tag = "2")]
    pub(super) graph: Option<GraphDef>,
    #[prost(message, repeated, tag = "5")]
    pub(super) signatures: Vec<SignatureEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct MetaInfo {
    #[prost(string, repeated, tag = "4")]
    pub(super) tags: Vec<String>,
    #[prost(string, tag = "5")]
    pub(super) tensorflow_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct SignatureEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<Signature>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Signature {
    #[prost(message, repeated, tag = "1")]
    pub(super) inputs: Vec<PortEntry>,
    #[prost(message, repeated, tag = "2")]
    pub(super) outputs: Vec<PortEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PortEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(message, optional, tag = "2")]
    pub(super) value: Option<PortInfo>,
}

/// `TensorInfo` of a signature: a tensor of the graph, or those that a sparse or composite one is made of.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PortInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(int32, tag = "2")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "3")]
    pub(super) shape: Option<Shape>,
    #[prost(message, optional, tag = "4")]
    pub(super) sparse: Option<Sparse>,
    #[prost(message, optional, tag = "5")]
    pub(super) composite: Option<Composite>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Sparse {
    #[prost(string, tag = "1")]
    pub(super) values: String,
    #[prost(string, tag = "2")]
    pub(super) indices: String,
    #[prost(string, tag = "3")]
    pub(super) dense_shape: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Composite {
    #[prost(message, repeated, tag = "2")]
    pub(super) components: Vec<PortInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GraphDef {
    /// A [`NodeDef`] each.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) nodes: Vec<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub(super) library: Option<Library>,
    #[prost(message, optional, tag = "4")]
    pub(super) versions: Option<Versions>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Versions {
    #[prost(int32, tag = "1")]
    pub(super) producer: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Library {
    /// A [`FunctionDef`] each.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) functions: Vec<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct FunctionDef {
    #[prost(message, optional, tag = "1")]
    pub(super) signature: Option<OpDef>,
    /// A [`NodeDef`] each.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(super) nodes: Vec<Bytes>,
    #[prost(message, repeated, tag = "4")]
    pub(super) returns: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Pair {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct OpDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) inputs: Vec<ArgDef>,
    #[prost(message, repeated, tag = "3")]
    pub(super) outputs: Vec<ArgDef>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ArgDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct NodeDef {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) inputs: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(super) attrs: Vec<AttrEntry>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttrEntry {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    /// An [`AttrValue`].
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AttrValue {
    #[prost(message, optional, tag = "1")]
    pub(super) list: Option<ListValue>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) s: Option<Bytes>,
    #[prost(int64, optional, tag = "3")]
    pub(super) i: Option<i64>,
    #[prost(float, optional, tag = "4")]
    pub(super) f: Option<f32>,
    #[prost(bool, optional, tag = "5")]
    pub(super) b: Option<bool>,
    #[prost(int32, optional, tag = "6")]
    pub(super) kind: Option<i32>,
    #[prost(message, optional, tag = "7")]
    pub(super) shape: Option<Shape>,
    #[prost(message, optional, tag = "8")]
    pub(super) tensor: Option<Tensor>,
    #[prost(message, optional, tag = "10")]
    pub(super) func: Option<Func>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListValue {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) s: Vec<Bytes>,
    #[prost(int64, repeated, tag = "3")]
    pub(super) i: Vec<i64>,
    #[prost(float, repeated, tag = "4")]
    pub(super) f: Vec<f32>,
    #[prost(int32, repeated, tag = "6")]
    pub(super) kinds: Vec<i32>,
    #[prost(message, repeated, tag = "7")]
    pub(super) shapes: Vec<Shape>,
    #[prost(message, repeated, tag = "9")]
    pub(super) funcs: Vec<Func>,
}

/// A function by its name; attributes of functions are not looked at.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Func {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "2")]
    pub(super) dims: Vec<Size>,
    #[prost(bool, tag = "3")]
    pub(super) unknown_rank: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Size {
    #[prost(int64, tag = "1")]
    pub(super) size: i64,
}

/// Numbers of variable or fixed length in its lists are packed, so that each list is bytes.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Tensor {
    #[prost(int32, tag = "1")]
    pub(super) dtype: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) content: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub(super) floats: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub(super) doubles: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "7")]
    pub(super) ints: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "10")]
    pub(super) longs: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "11")]
    pub(super) bools: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "13")]
    pub(super) halves: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "16")]
    pub(super) unsigned: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "17")]
    pub(super) unsigned_longs: Vec<Bytes>,
}
