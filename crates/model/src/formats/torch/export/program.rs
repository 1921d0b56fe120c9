//! The JSON of an exported program, as far as it is needed.

use crate::dim::Dim;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};

/// A program.
#[derive(Deserialize)]
pub(super) struct Program {
    pub(super) graph_module: Module,
    #[serde(default)]
    pub(super) torch_version: String,
    #[serde(default)]
    schema_version: Json,
}

impl Program {
    /// `8.20`.
    pub(super) fn schema(&self) -> String {
        let part = |name: &str| self.schema_version.get(name).and_then(Json::as_i64);
        match (part("major"), part("minor")) {
            (Some(major), Some(minor)) => format!("{major}.{minor}"),
            _ => String::new(),
        }
    }
}

/// The graph with what its inputs and outputs are.
#[derive(Deserialize)]
pub(super) struct Module {
    pub(super) graph: Graph,
    pub(super) signature: Signature,
}

/// What inputs and outputs are, in their order.
#[derive(Deserialize)]
pub(super) struct Signature {
    pub(super) input_specs: Vec<Spec>,
    pub(super) output_specs: Vec<Spec>,
}

/// One of them: an object with one key, its kind.
#[derive(Deserialize)]
pub(super) struct Spec(HashMap<String, Json>);

impl Spec {
    /// The name of the tensor in the file, where it is one.
    pub(super) fn stored(&self) -> Option<&str> {
        let kinds = [
            ("parameter", "parameter_name"),
            ("buffer", "buffer_name"),
            ("tensor_constant", "tensor_constant_name"),
        ];
        kinds.iter().find_map(|(kind, name)| self.0.get(*kind)?.get(name)?.as_str())
    }

    /// Whether it is what the program returns.
    pub(super) fn is_user_output(&self) -> bool {
        self.0.contains_key("user_output") || self.0.contains_key("loss_output")
    }
}

/// A graph.
#[derive(Deserialize)]
pub(super) struct Graph {
    pub(super) inputs: Vec<Argument>,
    pub(super) outputs: Vec<Argument>,
    pub(super) nodes: Vec<Node>,
    #[serde(default)]
    pub(super) tensor_values: HashMap<String, Meta>,
}

/// A node.
#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) target: String,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Argument>,
}

/// An argument with its name.
#[derive(Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub(super) name: String,
    pub(super) arg: Argument,
}

/// What is known of a tensor.
#[derive(Deserialize)]
pub(super) struct Meta {
    pub(super) dtype: i64,
    pub(super) sizes: Vec<Size>,
}

/// A size.
#[derive(Deserialize)]
pub(super) enum Size {
    #[serde(rename = "as_int")]
    Int(i64),
    #[serde(rename = "as_expr")]
    Expression(Expression),
}

/// A size as a formula.
#[derive(Deserialize)]
pub(super) struct Expression {
    expr_str: String,
}

impl Size {
    /// As a formula of this tool.
    pub(super) fn dim(&self) -> Option<Dim> {
        match self {
            Self::Int(size) => (*size >= 0).then(|| Dim::from(*size)),
            Self::Expression(expression) => super::formula(&expression.expr_str),
        }
    }
}

/// A tensor by its name.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
}

/// A number with a fraction; what JSON has no number for is a text: `Infinity`, `-Infinity` or `NaN`.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(f64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Self(number)),
            Either::Text(text) => text.parse().map(Self).map_err(serde::de::Error::custom),
        }
    }
}

/// A number, or the name of one.
#[derive(Deserialize)]
pub(super) enum Symbolic {
    #[serde(rename = "as_name")]
    Name(String),
    #[serde(rename = "as_int")]
    Int(i64),
    #[serde(rename = "as_float")]
    Float(Number),
    #[serde(rename = "as_bool")]
    Bool(bool),
}

/// A tensor, or none.
#[derive(Deserialize)]
pub(super) enum Optional {
    #[serde(rename = "as_tensor")]
    Tensor(Named),
    #[serde(rename = "as_none")]
    None(IgnoredAny),
}

/// A graph as an argument.
#[derive(Deserialize)]
pub(super) struct Body {
    pub(super) graph: Graph,
}

/// An argument: an object with one key, its kind.
#[derive(Deserialize)]
pub(super) enum Argument {
    #[serde(rename = "as_none")]
    None(IgnoredAny),
    #[serde(rename = "as_tensor")]
    Tensor(Named),
    #[serde(rename = "as_tensors")]
    Tensors(Vec<Named>),
    #[serde(rename = "as_int")]
    Int(i64),
    #[serde(rename = "as_ints")]
    Ints(Vec<i64>),
    #[serde(rename = "as_float")]
    Float(Number),
    #[serde(rename = "as_floats")]
    Floats(Vec<Number>),
    #[serde(rename = "as_string")]
    Text(String),
    #[serde(rename = "as_strings")]
    Texts(IgnoredAny),
    #[serde(rename = "as_sym_int")]
    SymInt(Symbolic),
    #[serde(rename = "as_sym_ints")]
    SymInts(Vec<Symbolic>),
    #[serde(rename = "as_sym_float")]
    SymFloat(Symbolic),
    #[serde(rename = "as_sym_floats")]
    SymFloats(Vec<Symbolic>),
    #[serde(rename = "as_sym_bool")]
    SymBool(Symbolic),
    #[serde(rename = "as_sym_bools")]
    SymBools(Vec<Symbolic>),
    #[serde(rename = "as_scalar_type")]
    Type(i64),
    #[serde(rename = "as_memory_format")]
    MemoryFormat(IgnoredAny),
    #[serde(rename = "as_layout")]
    Layout(IgnoredAny),
    #[serde(rename = "as_device")]
    Device(IgnoredAny),
    #[serde(rename = "as_bool")]
    Bool(bool),
    #[serde(rename = "as_bools")]
    Bools(Vec<bool>),
    #[serde(rename = "as_graph")]
    Graph(Box<Body>),
    #[serde(rename = "as_optional_tensors")]
    OptionalTensors(Vec<Optional>),
    #[serde(rename = "as_optional_tensor")]
    OptionalTensor(Optional),
    #[serde(rename = "as_custom_obj")]
    Object(IgnoredAny),
    #[serde(rename = "as_operator")]
    Operator(IgnoredAny),
    #[serde(rename = "as_complex")]
    Complex(IgnoredAny),
    #[serde(rename = "as_nested_tensors")]
    Nested(IgnoredAny),
    #[serde(rename = "as_int_lists")]
    IntLists(Vec<Vec<i64>>),
    #[serde(rename = "as_string_to_argument")]
    Arguments(IgnoredAny),
}

impl Argument {
    /// The name of the value, where it has one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Tensor(named) | Self::OptionalTensor(Optional::Tensor(named)) => {
                Some(&named.name)
            }
            Self::SymInt(Symbolic::Name(name))
            | Self::SymFloat(Symbolic::Name(name))
            | Self::SymBool(Symbolic::Name(name)) => Some(name),
            _ => None,
        }
    }
}

/// Where weights lie.
#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) config: BTreeMap<String, Entry>,
}

/// One of them.
#[derive(Deserialize)]
pub(super) struct Entry {
    pub(super) path_name: String,
    #[serde(default)]
    pub(super) use_pickle: bool,
}
