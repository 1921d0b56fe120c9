//! Calls of `keras.ops`, and of TensorFlow's functions in models of Keras 2: each is a node of the configuration.

mod arithmetic;
mod indexing;
mod movement;
mod names;
mod network;

use super::super::super::LoadError;
use super::super::inputs::{Arg, Call, Inputs};
use super::super::json::{Layer, integer, integers, truthy};
use super::super::site::{Site, T};
use super::{Context, at};
use crate::dim::Dim;
use crate::ir::{DType, Elem, TensorInfo};
use serde_json::Value;

/// What an operation returns, or nothing where it is not understood.
type Maybe = Result<Option<Vec<T>>, LoadError>;

/// Writes an operation.
type Write = for<'j> fn(&mut Site<'_, '_, 'j>, &Asked<'_, 'j>) -> Maybe;

/// An operation that is understood.
pub(in super::super) struct Row {
    /// The name of `keras.ops`.
    pub(in super::super) name: &'static str,
    /// What it becomes.
    pub(in super::super) becomes: &'static str,
    write: Write,
}

const fn row(name: &'static str, becomes: &'static str, write: Write) -> Row {
    Row { name, becomes, write }
}

// One result, as most rows have.
#[allow(clippy::unnecessary_wraps)]
fn one(t: T) -> Maybe {
    Ok(Some(vec![t]))
}

const FAMILIES: &[&[Row]] = &[arithmetic::ROWS, indexing::ROWS, movement::ROWS, network::ROWS];

/// The rows of all operations.
pub(in super::super) fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

/// A call of an operation.
pub(super) struct Asked<'a, 'j> {
    pub(super) layer: &'a Layer<'j>,
    pub(super) name: &'a str,
    inputs: &'a Inputs<'j>,
    outputs: usize,
    /// Whether it is a call of `keras.ops`, whose defaults are not TensorFlow's.
    modern: bool,
}

/// The type of elements of this name.
pub(in super::super) fn dtype(name: &str) -> Option<DType> {
    Some(match name.rsplit('.').next().unwrap_or(name) {
        "float16" | "half" => DType::F16,
        "bfloat16" => DType::BF16,
        "float32" | "float" => DType::F32,
        "float64" | "double" => DType::F64,
        "int8" => DType::I8,
        "int16" => DType::I16,
        "int32" => DType::I32,
        "int64" | "int" => DType::I64,
        "uint8" => DType::U8,
        "uint16" => DType::U16,
        "uint32" => DType::U32,
        "uint64" => DType::U64,
        "bool" => DType::Bool,
        "string" => DType::String,
        "complex64" => DType::C64,
        _ => return None,
    })
}

impl<'j> Asked<'_, 'j> {
    /// An argument: by one of its names in the call or the configuration, or by its position.
    fn arg(&self, at: usize, names: &[&str]) -> Option<Arg<'j, T>> {
        let named = names.iter().find_map(|name| self.inputs.named(name));
        let given = |arg: &Arg<'j, T>| !matches!(arg, Arg::Plain(Value::Null));
        if let Some(arg) = named.filter(|arg| given(arg)) {
            return Some(arg.clone());
        }
        let config = names.iter().find_map(|name| self.layer.get(name));
        if let Some(value) = config {
            return Some(Arg::Plain(value));
        }
        self.inputs.args.get(at).filter(|arg| given(arg)).cloned()
    }

    /// A plain value.
    fn plain(&self, at: usize, names: &[&str]) -> Option<&'j Value> {
        self.arg(at, names)?.plain()
    }

    fn int(&self, at: usize, names: &[&str]) -> Option<i64> {
        integer(self.plain(at, names)?)
    }

    fn ints(&self, at: usize, names: &[&str]) -> Option<Vec<i64>> {
        integers(self.plain(at, names)?)
    }

    fn float(&self, at: usize, names: &[&str]) -> Option<f64> {
        self.plain(at, names)?.as_f64()
    }

    fn flag(&self, at: usize, names: &[&str]) -> bool {
        self.plain(at, names).is_some_and(truthy)
    }

    fn text(&self, at: usize, names: &[&str]) -> Option<&'j str> {
        self.plain(at, names)?.as_str()
    }

    /// The tensors of an argument.
    fn list(
        &self,
        site: &mut Site<'_, '_, 'j>,
        at: usize,
        names: &[&str],
    ) -> Result<Vec<T>, LoadError> {
        let like = self.inputs.first();
        match self.arg(at, names) {
            Some(Arg::List(list)) => {
                let each = list.iter().map(|arg| tensor(site, arg, like));
                Ok(each.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
            }
            Some(arg) => Ok(tensor(site, &arg, like)?.into_iter().collect()),
            None => Ok(Vec::new()),
        }
    }

    /// A tensor; numbers in the configuration become one, of the type of the first tensor.
    fn tensor(
        &self,
        site: &mut Site<'_, '_, 'j>,
        at: usize,
        names: &[&str],
    ) -> Result<Option<T>, LoadError> {
        match self.arg(at, names) {
            Some(arg) => tensor(site, &arg, self.inputs.first()),
            None => Ok(None),
        }
    }

    /// The tensor that the operation is about.
    fn x(&self, site: &mut Site<'_, '_, 'j>) -> Result<Option<T>, LoadError> {
        self.tensor(site, 0, X)
    }
}

/// Names of the first argument.
const X: &[&str] = &[
    "x",
    "x1",
    "input",
    "inputs",
    "input_tensor",
    "tensor",
    "features",
    "logits",
    "a",
    "images",
    "value",
    "params",
];

/// An argument as a tensor.
fn tensor<'j>(
    site: &mut Site<'_, '_, 'j>,
    arg: &Arg<'j, T>,
    like: Option<T>,
) -> Result<Option<T>, LoadError> {
    match arg {
        Arg::Tensor(t) => Ok(Some(*t)),
        Arg::Plain(value) => constant(site, value, like),
        Arg::List(list) => match &list[..] {
            [Arg::Tensor(t)] => Ok(Some(*t)),
            _ => Ok(None),
        },
        Arg::Named(_) => Ok(None),
    }
}

/// Numbers of the configuration as a tensor.
fn constant(
    site: &mut Site<'_, '_, '_>,
    value: &Value,
    like: Option<T>,
) -> Result<Option<T>, LoadError> {
    let config = value.get("config");
    let typed = config.and_then(|c| c.get("dtype")).and_then(Value::as_str).and_then(dtype);
    let value = config.and_then(|c| c.get("value")).unwrap_or(value);
    let Some((sizes, first)) = sizes(value) else { return Ok(None) };
    let whole = first.as_i64().is_some() || first.is_boolean();
    let like = like.and_then(|t| t.dtype);
    let dtype = typed.unwrap_or(match (like, whole) {
        (Some(like), true) if like != DType::String && like != DType::Bool => like,
        (Some(like), false) if like.is_float() => like,
        (_, true) => DType::I64,
        (_, false) => DType::F32,
    });
    let kind = |id| T { id, rank: Some(sizes.len()), dtype: Some(dtype) };
    let number = first.as_f64().unwrap_or(f64::from(u8::from(truthy(first))));
    if sizes.is_empty() {
        return site.number(number, kind(crate::ir::ValueId(0))).map(Some);
    }
    if let (Some(list), 1, false) = (integers(value), sizes.len(), dtype.is_float()) {
        let elements = list.iter().map(|n| Elem::Int(Dim::from(*n))).collect();
        let info = TensorInfo::new(Some(dtype), vec![Dim::from(list.len())]).with_value(elements);
        return Ok(Some(kind(site.draft.small(info)?)));
    }
    site.filled(number, &sizes, kind(crate::ir::ValueId(0))).map(Some)
}

/// Sizes of nested lists, and the first number in them.
fn sizes(value: &Value) -> Option<(Vec<i64>, &Value)> {
    let mut sizes = Vec::new();
    let mut value = value;
    while let Value::Array(list) = value {
        sizes.push(i64::try_from(list.len()).ok()?);
        value = list.first()?;
    }
    (value.is_number() || value.is_boolean()).then_some((sizes, value))
}

/// Writes a call of `keras.ops`.
pub(super) fn modern<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Result<Vec<T>, LoadError> {
    write(site, (layer, layer.class, true), inputs, context)
}

/// Writes a call of a function of TensorFlow.
pub(super) fn lambda<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Result<Vec<T>, LoadError> {
    let function = layer.text("function", layer.text("method_name", layer.text("attr_name", "")));
    let name = names::of_tensorflow(function);
    write(site, (layer, name.unwrap_or(function), false), inputs, context)
}

/// Writes a node of TensorFlow, whose definition is a text.
pub(super) fn node<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Result<Vec<T>, LoadError> {
    let text = layer.text("node_def", "{}");
    let definition = super::super::json::parse(text.as_bytes()).unwrap_or(Value::Null);
    let op = definition.get("op").and_then(Value::as_str);
    let op = op
        .or_else(|| layer.get("node_def")?.get("op")?.as_str())
        .unwrap_or("TensorFlowOpLayer")
        .to_owned();
    let name = names::of_node(&op).unwrap_or(&op);
    let mut args: Vec<Arg<'j, T>> = inputs.list().into_iter().map(Arg::Tensor).collect();
    let constants = layer.get("constants").and_then(Value::as_object);
    let mut placed: Vec<(usize, &'j Value)> = constants
        .into_iter()
        .flatten()
        .filter_map(|(place, value)| Some((place.parse().ok()?, value)))
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    for (place, value) in placed {
        args.insert(place.min(args.len()), Arg::Plain(value));
    }
    write(site, (layer, name, false), &Call::of(args), context)
}

fn write<'j>(
    site: &mut Site<'_, '_, 'j>,
    (layer, name, modern): (&Layer<'j>, &str, bool),
    inputs: &Inputs<'j>,
    context: &Context,
) -> Result<Vec<T>, LoadError> {
    let asked = Asked { layer, name, inputs, outputs: context.outputs, modern };
    let written = match rows().find(|row| row.name == name) {
        Some(row) => (row.write)(site, &asked)?,
        None => None,
    };
    match written {
        Some(outputs) => Ok(outputs),
        None => {
            let all: Vec<_> = inputs.tensors().iter().map(|t| t.id).collect();
            let outputs = site.unknown(name, &all, context.outputs)?;
            let dtype = inputs.first().and_then(|t| t.dtype);
            Ok(outputs.into_iter().map(|id| T { id, rank: None, dtype }).collect())
        }
    }
}
