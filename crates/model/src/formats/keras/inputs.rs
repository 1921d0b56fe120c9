//! What a layer is called with: tensors of other layers, and settings of the call.

use super::json::{self, Layer};
use super::site::T;
use serde_json::Value;

/// A tensor of a layer's call: the layer, which of its calls, which of its outputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ref {
    pub(super) layer: String,
    pub(super) call: usize,
    pub(super) output: usize,
}

/// An argument; `X` is a tensor: where it is from, or where it is in the graph.
#[derive(Clone, Debug)]
pub(super) enum Arg<'j, X> {
    Tensor(X),
    List(Vec<Arg<'j, X>>),
    Named(Vec<(&'j str, Arg<'j, X>)>),
    Plain(&'j Value),
}

impl<'j, X> Arg<'j, X> {
    /// All tensors in it, in order.
    pub(super) fn tensors<'a>(&'a self, found: &mut Vec<&'a X>) {
        match self {
            Self::Tensor(x) => found.push(x),
            Self::List(list) => list.iter().for_each(|arg| arg.tensors(found)),
            Self::Named(list) => list.iter().for_each(|(_, arg)| arg.tensors(found)),
            Self::Plain(_) => {}
        }
    }

    /// The same with other tensors; none if one has none.
    pub(super) fn with<Y>(&self, to: &impl Fn(&X) -> Option<Y>) -> Option<Arg<'j, Y>> {
        Some(match self {
            Self::Tensor(x) => Arg::Tensor(to(x)?),
            Self::List(list) => {
                Arg::List(list.iter().map(|arg| arg.with(to)).collect::<Option<_>>()?)
            }
            Self::Named(list) => {
                let each = list.iter().map(|(name, arg)| Some((*name, arg.with(to)?)));
                Arg::Named(each.collect::<Option<_>>()?)
            }
            Self::Plain(value) => Arg::Plain(value),
        })
    }

    /// The plain value, if it is one and not null.
    pub(super) fn plain(&self) -> Option<&'j Value> {
        match self {
            Self::Plain(value) if !value.is_null() => Some(value),
            _ => None,
        }
    }
}

/// What a layer is called with once.
#[derive(Clone, Debug)]
pub(super) struct Call<'j, X> {
    pub(super) args: Vec<Arg<'j, X>>,
    pub(super) named: Vec<(&'j str, Arg<'j, X>)>,
}

/// A call whose tensors are in the graph.
pub(super) type Inputs<'j> = Call<'j, T>;

impl<'j, X> Call<'j, X> {
    /// A call with these arguments.
    pub(super) fn of(args: Vec<Arg<'j, X>>) -> Self {
        Self { args, named: Vec::new() }
    }

    /// All its tensors.
    pub(super) fn tensors(&self) -> Vec<&X> {
        let mut found = Vec::new();
        self.args
            .iter()
            .chain(self.named.iter().map(|(_, arg)| arg))
            .for_each(|a| a.tensors(&mut found));
        found
    }

    /// The argument of this name.
    pub(super) fn named(&self, name: &str) -> Option<&Arg<'j, X>> {
        self.named.iter().find(|(key, _)| *key == name).map(|(_, arg)| arg)
    }

    /// The argument at a position, or by one of its names.
    pub(super) fn arg(&self, at: usize, names: &[&str]) -> Option<&Arg<'j, X>> {
        names.iter().find_map(|name| self.named(name)).or_else(|| self.args.get(at))
    }

    /// The call with other tensors.
    pub(super) fn with<Y>(&self, to: &impl Fn(&X) -> Option<Y>) -> Option<Call<'j, Y>> {
        let args = self.args.iter().map(|arg| arg.with(to)).collect::<Option<_>>()?;
        let named = self.named.iter().map(|(name, arg)| Some((*name, arg.with(to)?)));
        Some(Call { args, named: named.collect::<Option<_>>()? })
    }
}

impl Inputs<'_> {
    /// A call with one tensor.
    pub(super) fn one(x: T) -> Self {
        Self::of(vec![Arg::Tensor(x)])
    }

    /// The first tensor.
    pub(super) fn first(&self) -> Option<T> {
        self.tensors().first().map(|t| **t)
    }

    /// The tensors of the first argument; of all, if these are several.
    pub(super) fn list(&self) -> Vec<T> {
        self.tensors().into_iter().copied().collect()
    }

    /// A tensor by position among the arguments, or by name.
    pub(super) fn tensor(&self, at: usize, names: &[&str]) -> Option<T> {
        match self.arg(at, names)? {
            Arg::Tensor(t) => Some(*t),
            _ => None,
        }
    }

    /// A flag of the call.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.named(name).and_then(Arg::plain).is_some_and(json::truthy)
    }
}

/// An argument as Keras 3 writes it: tensors are objects, anywhere in it.
pub(super) fn modern(value: &Value) -> Arg<'_, Ref> {
    if let Some(tensor) = keras_tensor(value) {
        return Arg::Tensor(tensor);
    }
    match value {
        Value::Array(list) => {
            let list: Vec<Arg<'_, Ref>> = list.iter().map(modern).collect();
            collected(value, list)
        }
        Value::Object(map) if !map.contains_key("class_name") => {
            let each = map.iter().map(|(key, value)| (key.as_str(), modern(value)));
            let list: Vec<(&str, Arg<'_, Ref>)> = each.collect();
            let plain = list.iter().all(|(_, arg)| matches!(arg, Arg::Plain(_)));
            if plain { Arg::Plain(value) } else { Arg::Named(list) }
        }
        value => Arg::Plain(value),
    }
}

/// A list of arguments; without a tensor in it, it is a plain value.
fn collected<'j>(value: &'j Value, list: Vec<Arg<'j, Ref>>) -> Arg<'j, Ref> {
    let plain = list.iter().all(|arg| matches!(arg, Arg::Plain(_)));
    if plain && !list.is_empty() { Arg::Plain(value) } else { Arg::List(list) }
}

/// The tensor that an object of Keras 3 names.
fn keras_tensor(value: &Value) -> Option<Ref> {
    if value.get("class_name")?.as_str()? != "__keras_tensor__" {
        return None;
    }
    reference(value.get("config")?.get("keras_history")?)
}

/// The shape that the file states for a tensor, beside its name.
pub(super) fn stated(value: &Value, found: &mut impl FnMut(Ref, Vec<Option<i64>>)) {
    if let Some(tensor) = keras_tensor(value) {
        let shape = value.get("config").and_then(|c| c.get("shape")).and_then(json::shape);
        if let Some(shape) = shape {
            found(tensor, shape);
        }
        return;
    }
    match value {
        Value::Array(list) => list.iter().for_each(|value| stated(value, found)),
        Value::Object(map) => map.values().for_each(|value| stated(value, found)),
        _ => {}
    }
}

/// A layer has no more calls and outputs than this.
const MAX_OUTPUTS: usize = 1 << 24;

/// `[layer, call, output]`, with or without arguments after it.
pub(super) fn reference(value: &Value) -> Option<Ref> {
    let list = value.as_array()?;
    if !(3..=4).contains(&list.len()) {
        return None;
    }
    let number =
        |at: usize| usize::try_from(list.get(at)?.as_i64()?).ok().filter(|n| *n < MAX_OUTPUTS);
    Some(Ref { layer: list[0].as_str()?.to_owned(), call: number(1)?, output: number(2)? })
}

/// All tensors in a value that lists them in any way, in order, with their names where they have some.
pub(super) fn references<'j>(value: &'j Value, found: &mut Vec<(Option<&'j str>, Ref)>) {
    if let Some(tensor) = reference(value) {
        found.push((None, tensor));
        return;
    }
    match value {
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        Value::Object(map) => {
            for (name, value) in map {
                let from = found.len();
                references(value, found);
                found[from..].iter_mut().for_each(|(key, _)| *key = Some(name));
            }
        }
        _ => {}
    }
}

/// The calls of a layer.
pub(super) fn calls<'j>(layer: &Layer<'j>) -> Vec<Call<'j, Ref>> {
    let nodes = layer.object.get("inbound_nodes").and_then(Value::as_array);
    let nodes = nodes.map_or(&[][..], Vec::as_slice);
    // Keras 2 writes a layer that takes nothing as `[[]]`, and Keras 3 as an empty list.
    nodes.iter().map(call).collect()
}

fn call(node: &Value) -> Call<'_, Ref> {
    if let Some(args) = node.get("args").and_then(Value::as_array) {
        let named = node.get("kwargs").and_then(Value::as_object);
        let named = named.into_iter().flatten().map(|(name, value)| (name.as_str(), modern(value)));
        return Call { args: args.iter().map(modern).collect(), named: named.collect() };
    }
    let mut named = Vec::new();
    let first = classic(node, &mut named);
    Call::of(vec![first]).with_named(named)
}

impl<'j> Call<'j, Ref> {
    fn with_named(mut self, named: Vec<(&'j str, Arg<'j, Ref>)>) -> Self {
        self.named = named;
        self
    }
}

/// The tensors of a call as Keras 2 writes them; what follows them is put into `named`.
fn classic<'j>(value: &'j Value, named: &mut Vec<(&'j str, Arg<'j, Ref>)>) -> Arg<'j, Ref> {
    if let Some(list) = value.as_array() {
        let marked = list.first().and_then(Value::as_str) == Some("_CONSTANT_VALUE");
        if marked || reference(value).is_some() {
            if let Some(settings) = list.get(3).and_then(Value::as_object) {
                for (name, value) in settings {
                    if !named.iter().any(|(key, _)| key == name) {
                        named.push((name, setting(value)));
                    }
                }
            }
            let tensor = reference(value).filter(|_| !marked).map(Arg::Tensor);
            return tensor.unwrap_or_else(|| Arg::Plain(list.get(2).unwrap_or(value)));
        }
        let mut all: Vec<Arg<'_, Ref>> = list.iter().map(|value| classic(value, named)).collect();
        return match all.len() {
            1 => all.pop().unwrap_or(Arg::Plain(value)),
            _ => Arg::List(all),
        };
    }
    match value {
        Value::Object(map) => Arg::Named(
            map.iter().map(|(name, value)| (name.as_str(), classic(value, named))).collect(),
        ),
        value => Arg::Plain(value),
    }
}

/// A setting of a call in Keras 2: a list of a name and two numbers is a tensor.
fn setting(value: &Value) -> Arg<'_, Ref> {
    if let Some(tensor) = reference(value) {
        return Arg::Tensor(tensor);
    }
    match value {
        Value::Array(list) => collected(value, list.iter().map(setting).collect()),
        value => Arg::Plain(value),
    }
}
