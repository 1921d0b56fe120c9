//! The graph: nodes with ordered, optional, multi-output ports, and values that know who makes
//! them and who uses them.

use super::{DType, TensorInfo};
use crate::dim::Dim;
use hashbrown::{DefaultHashBuilder, HashTable};
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

/// The operator set of what ONNX cannot say, such as images with channels last.
pub const OWN_DOMAIN: &str = "rooflens";

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the graph's vector.
            pub fn index(self) -> usize {
                usize::try_from(self.0).unwrap_or(usize::MAX)
            }

            pub(crate) fn from_index(index: usize) -> Self {
                Self(u32::try_from(index).unwrap_or(u32::MAX))
            }
        }
    };
}

id!(/** A node of one graph. */ NodeId);
id!(/** A value of one graph. */ ValueId);

/// A stored tensor: where its bytes lie is the reader's business, how many there are is ours.
#[derive(Clone, Debug)]
pub struct Weight {
    /// Bytes of the packed contents.
    pub bytes: Dim,
    /// Type of the stored elements; the graph may be counted as if it computed in another.
    pub dtype: Option<DType>,
    /// Whether the file holds floating-point numbers, whatever they are counted as.
    pub float: bool,
    /// Whether the contents lie in another file.
    pub external: bool,
    /// Of a sparse tensor, what is stored of it.
    pub sparse: Option<Sparse>,
    /// How many different numbers there are, where the reader found that they repeat a smaller table.
    pub distinct: Option<Dim>,
}

/// What is stored of a sparse tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// Elements that are stored, all others being zero.
    pub elements: Dim,
    /// Bytes of the indices that say where they belong.
    pub index_bytes: Dim,
}

impl Weight {
    /// Of a tensor that is stored in the file itself.
    pub fn of(info: &TensorInfo) -> Self {
        Self {
            bytes: info.bytes().unwrap_or_default(),
            dtype: info.dtype,
            float: info.dtype.is_some_and(DType::is_float),
            external: false,
            sparse: None,
            distinct: None,
        }
    }
}

/// A tensor that flows along an edge.
#[derive(Clone, Debug)]
pub struct Value {
    /// Name in the file; may be empty for values made by inlining.
    pub name: String,
    /// What the file says of it. A hint for values that a node makes; binding for inputs.
    pub info: TensorInfo,
    /// The node that makes it, where one does.
    pub producer: Option<NodeId>,
    /// The nodes that read it, once per port.
    pub consumers: Vec<NodeId>,
    /// Present when its contents are stored with the model.
    pub weight: Option<Box<Weight>>,
}

/// One operator of the graph.
#[derive(Clone, Debug)]
pub struct Node {
    /// Name in the file, or one made from the operator and its position.
    pub name: String,
    /// Operator name in its domain.
    pub op_type: Arc<str>,
    /// Operator set; empty means `ai.onnx`.
    pub domain: Arc<str>,
    /// Version of the operator set.
    pub opset: i64,
    /// Input ports in order; an absent optional input keeps its place.
    pub inputs: Vec<Option<ValueId>>,
    /// Output ports in order.
    pub outputs: Vec<Option<ValueId>>,
    /// Attributes by name, sub-graphs among them.
    pub attrs: Attrs,
}

impl Node {
    /// The operator's name with its domain, where that is not `ai.onnx`.
    pub fn qualified_op(&self) -> String {
        if self.domain.is_empty() {
            self.op_type.to_string()
        } else {
            format!("{}.{}", self.domain, self.op_type)
        }
    }

    /// The body that an attribute holds.
    pub fn subgraph(&self, name: &str) -> Option<&Graph> {
        self.attrs.graph(name).ok().flatten()
    }

    /// The bodies this node runs, by attribute name.
    pub fn subgraphs(&self) -> impl Iterator<Item = (&str, &Graph)> {
        self.attrs.iter().filter_map(|(name, attr)| match attr {
            Attr::Graph(graph) => Some((name, &**graph)),
            _ => None,
        })
    }
}

/// One attribute value.
#[derive(Clone, Debug)]
pub enum Attr {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// Text, or bytes shown as text.
    Str(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// Texts.
    Strs(Vec<String>),
    /// A constant; its contents are present only where small.
    Tensor(TensorInfo),
    /// The body of If, Loop, Scan.
    Graph(Box<Graph>),
    /// A kind that no operator's cost depends on.
    Other,
}

macro_rules! from {
    ($($from:ty => $variant:ident, |$v:ident| $make:expr;)*) => {
        $(impl From<$from> for Attr {
            fn from($v: $from) -> Self {
                Self::$variant($make)
            }
        })*
    };
}

from! {
    i64 => Int, |n| n;
    f32 => Float, |x| x;
    bool => Int, |flag| i64::from(flag);
    &str => Str, |text| text.to_owned();
    String => Str, |text| text;
    Vec<i64> => Ints, |list| list;
    Vec<f32> => Floats, |list| list;
    Vec<String> => Strs, |list| list;
    TensorInfo => Tensor, |tensor| tensor;
    Graph => Graph, |graph| Box::new(graph);
}

/// The attributes of a node, sorted by name, each name once.
#[derive(Clone, Debug, Default)]
pub struct Attrs(pub(super) Box<[(Arc<str>, Attr)]>);

/// A computation: nodes, values, and which values come in and go out.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Name in the file.
    pub name: String,
    /// All nodes, in file order.
    pub nodes: Vec<Node>,
    /// All values.
    pub values: Vec<Value>,
    /// Values the caller provides.
    pub inputs: Vec<ValueId>,
    /// Values the caller receives.
    pub outputs: Vec<ValueId>,
    /// Values read from the graph around this one, by name there.
    pub captures: BTreeMap<String, ValueId>,
    /// Values by the hash of their name.
    by_name: HashTable<ValueId>,
    hasher: DefaultHashBuilder,
}

/// Why nodes and values do not make a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// A value has two producers.
    #[error("value `{value}` is produced twice, the second time by node `{node}`")]
    ProducedTwice {
        /// The value.
        value: String,
        /// The second producer.
        node: String,
    },
    /// More nodes or values than ids.
    #[error("graph has more than 2^31 values")]
    TooLarge,
}

impl Graph {
    /// An empty graph of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// An empty graph with room for as many nodes, each making a value, and stored values.
    pub fn with_room(name: impl Into<String>, nodes: usize, stored: usize) -> Self {
        let values = nodes.saturating_add(stored);
        Self {
            nodes: Vec::with_capacity(nodes),
            values: Vec::with_capacity(values),
            by_name: HashTable::with_capacity(values),
            ..Self::named(name)
        }
    }

    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The value with this id.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The value of this name.
    pub fn find_value(&self, name: &str) -> Option<ValueId> {
        let same = |id: &ValueId| self.value(*id).name == name;
        self.by_name.find(self.hasher.hash_one(name), same).copied()
    }

    /// All node ids, in file order.
    pub fn node_ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId::from_index)
    }

    /// All value ids.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len()).map(ValueId::from_index)
    }

    /// The value of this name, made if it is not there yet.
    pub fn intern(&mut self, name: &str) -> ValueId {
        if let Some(id) = self.find_value(name) {
            return id;
        }
        let id = ValueId::from_index(self.values.len());
        self.values.push(Value {
            name: name.to_owned(),
            info: TensorInfo::default(),
            producer: None,
            consumers: Vec::new(),
            weight: None,
        });
        let (values, hasher) = (&self.values, &self.hasher);
        let hash = |id: &ValueId| hasher.hash_one(&*values[id.index()].name);
        self.by_name.insert_unique(hasher.hash_one(name), id, hash);
        id
    }

    /// Takes nodes out; what they made stays, made by nobody. Ids of the nodes behind them change.
    pub fn remove(&mut self, gone: &std::collections::HashSet<NodeId>) {
        if gone.is_empty() {
            return;
        }
        let mut at = 0;
        self.nodes.retain(|_| {
            at += 1;
            !gone.contains(&NodeId::from_index(at - 1))
        });
        for value in &mut self.values {
            value.producer = None;
            value.consumers.clear();
        }
        for (at, node) in self.nodes.iter().enumerate() {
            let id = NodeId::from_index(at);
            for input in node.inputs.iter().flatten() {
                self.values[input.index()].consumers.push(id);
            }
            for output in node.outputs.iter().flatten() {
                self.values[output.index()].producer = Some(id);
            }
        }
    }

    /// Gives a value another name, which no value has.
    pub fn rename(&mut self, id: ValueId, name: &str) {
        let old = self.hasher.hash_one(&*self.values[id.index()].name);
        if let Ok(entry) = self.by_name.find_entry(old, |other| *other == id) {
            entry.remove();
        }
        name.clone_into(&mut self.values[id.index()].name);
        let (values, hasher) = (&self.values, &self.hasher);
        let hash = |id: &ValueId| hasher.hash_one(&*values[id.index()].name);
        self.by_name.insert_unique(hasher.hash_one(name), id, hash);
    }

    /// Changes what the file says of a value.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.index()]
    }

    /// Adds a node and links its ports.
    pub fn push(&mut self, node: Node) -> Result<NodeId, GraphError> {
        if self.values.len() >= 1 << 31 || self.nodes.len() >= 1 << 31 {
            return Err(GraphError::TooLarge);
        }
        let id = NodeId::from_index(self.nodes.len());
        for input in node.inputs.iter().flatten() {
            self.values[input.index()].consumers.push(id);
        }
        for output in node.outputs.iter().flatten() {
            let value = &mut self.values[output.index()];
            if value.producer.is_some() {
                return Err(GraphError::ProducedTwice {
                    value: value.name.clone(),
                    node: node.name,
                });
            }
            value.producer = Some(id);
        }
        self.nodes.push(node);
        Ok(id)
    }
}

/// A model as a reader delivers it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The top-level graph.
    pub graph: Graph,
    /// Format and version, for people: `ONNX IR 8`.
    pub format: String,
    /// The exporter, where the file names it.
    pub producer: String,
    /// Operator sets the model asks for, by domain.
    pub opsets: BTreeMap<String, i64>,
    /// Bytes of the model file itself.
    pub file_bytes: u64,
    /// Whether the file is of another format than ONNX, so that the graph is a translation of it.
    pub translated: bool,
    /// Whether running statistics of normalisations are parameters, as Keras, TensorFlow and Caffe count them.
    pub statistics: bool,
    /// Open sizes that have a value in the file, which holds where none is given.
    pub stated: BTreeMap<Arc<str>, u64>,
    /// What the reader could not settle.
    pub diagnostics: Vec<super::Diagnostic>,
    /// What became of the tensors of files that hold no graph.
    pub tensors: Option<Box<super::TensorAccount>>,
}

/// The element type of a value, with the reader's word for it when nothing better is known.
impl Value {
    /// Declared element type.
    pub fn dtype(&self) -> Option<DType> {
        self.info.dtype
    }
}
