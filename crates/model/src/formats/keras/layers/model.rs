//! Models: which layer takes the outputs of which, for models of all kinds and models inside models.

use super::super::super::LoadError;
use super::super::super::checked::MAX_DIM;
use super::super::super::error::invalid;
use super::super::inputs::{Arg, Call, Inputs, Ref, calls, references, stated};
use super::super::json::{Layer, shape};
use super::super::members::{is_chain, members, snake};
use super::super::site::{Home, Site, T};
use super::{Context, call as call_layer};
use crate::dim::Dim;
use crate::ir::TensorInfo;
use std::collections::{BTreeSet, HashMap};

/// Where the layers of a container are stored, one after the other.
struct Places<'a> {
    home: &'a Home,
    taken: HashMap<String, usize>,
}

impl<'a> Places<'a> {
    fn new(home: &'a Home) -> Self {
        Self { home, taken: HashMap::new() }
    }

    /// Where the next layer's weights are: the path goes by classes, numbered, and not by names.
    fn next(&mut self, layer: &Layer<'_>) -> Home {
        if layer.is_operation() {
            return Home::default();
        }
        let stem = snake(layer.class);
        let count = self.taken.entry(stem.clone()).or_insert(0);
        let numbered = if *count == 0 { stem } else { format!("{stem}_{count}") };
        *count += 1;
        let at_top = self.home.path.is_empty();
        let container = if at_top { String::new() } else { format!("{}/", self.home.path) };
        let mut home = self.home.clone();
        home.path = format!("{container}layers/{numbered}");
        if at_top {
            home.top.clone_from(&layer.name);
        } else {
            home.within.push(layer.name.clone());
        }
        home
    }
}

/// A graph of layers.
struct Net<'j> {
    layers: Vec<Layer<'j>>,
    /// The calls of each layer.
    calls: Vec<Vec<Call<'j, Ref>>>,
    /// The number of the first call of each layer: a model that was made with its inputs has an own call before.
    first: Vec<usize>,
    /// How many outputs of each layer are read.
    read: Vec<usize>,
    by_name: HashMap<String, usize>,
    /// Shapes that the file states.
    stated: HashMap<Ref, Vec<Option<i64>>>,
    inputs: Vec<(Option<&'j str>, Ref)>,
    outputs: Vec<(Option<&'j str>, Ref)>,
}

impl<'j> Net<'j> {
    fn read(site: &mut Site<'_, '_, 'j>, model: &Layer<'j>) -> Result<Self, LoadError> {
        let home = site.state.home(&model.key).cloned().unwrap_or_default();
        let mut places = Places::new(&home);
        let mut net = Self {
            layers: Vec::new(),
            calls: Vec::new(),
            first: Vec::new(),
            read: Vec::new(),
            by_name: HashMap::new(),
            stated: HashMap::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
        };
        for value in members(model)? {
            let mut layer = Layer::of(value)?;
            let home = places.next(&layer);
            site.state.identify(&mut layer, home);
            if net.by_name.insert(layer.name.clone(), net.layers.len()).is_some() {
                return Err(model.error(format!("has two layers with the name `{}`", layer.name)));
            }
            if let Some(nodes) = layer.object.get("inbound_nodes") {
                stated(nodes, &mut |tensor, shape| {
                    net.stated.entry(tensor).or_insert(shape);
                });
            }
            net.calls.push(calls(&layer));
            net.layers.push(layer);
        }
        let list = |key: &str| {
            let mut found = Vec::new();
            model.config.get(key).into_iter().for_each(|value| references(value, &mut found));
            found
        };
        (net.inputs, net.outputs) = (list("input_layers"), list("output_layers"));
        if net.outputs.is_empty() {
            return Err(model.error("names no output"));
        }
        net.number();
        Ok(net)
    }

    /// Finds the number of each layer's first call: where one is named that lies behind the last, they begin
    /// with 1. And how many of its outputs are read.
    fn number(&mut self) {
        let mut most = vec![0; self.layers.len()];
        let mut read = vec![1; self.layers.len()];
        let all = self.calls.iter().flatten().flat_map(Call::tensors);
        for tensor in all.chain(self.outputs.iter().map(|(_, tensor)| tensor)) {
            if let Some(at) = self.by_name.get(&tensor.layer) {
                most[*at] = most[*at].max(tensor.call);
                read[*at] = read[*at].max(tensor.output.saturating_add(1));
            }
        }
        let calls = self.calls.iter().map(Vec::len);
        let behind = calls.zip(&most).map(|(calls, most)| usize::from(calls > 0 && *most >= calls));
        self.first = behind.collect();
        self.read = read;
    }

    /// The layer and the number of the call that makes a tensor.
    fn place(&self, tensor: &Ref) -> Result<(usize, usize), LoadError> {
        let missing = || {
            let message = "is read, and the model has no such layer or call";
            invalid(format!("output {} of layer `{}`", tensor.output, tensor.layer), message)
        };
        let at = *self.by_name.get(&tensor.layer).ok_or_else(missing)?;
        let calls = self.calls[at].len();
        if calls == 0 {
            return Ok((at, 0));
        }
        let call = tensor.call.checked_sub(self.first[at]).filter(|call| *call < calls);
        // A layer that is called once has no other call that could be meant.
        let call = if calls == 1 { Some(0) } else { call };
        Ok((at, call.ok_or_else(missing)?))
    }
}

/// The tensors that calls have made so far.
type Made = HashMap<(usize, usize), Vec<T>>;

/// The tensor of an input, by its place, its layer and the name that the model has for it.
type Given<'g> = dyn Fn(usize, &str, Option<&str>) -> Option<T> + 'g;

/// Writes a graph of layers whose inputs are `given`, and returns its outputs with their names.
pub(in super::super) fn functional<'j>(
    site: &mut Site<'_, '_, 'j>,
    model: &Layer<'j>,
    given: &Given<'_>,
) -> Result<Vec<(String, T)>, LoadError> {
    let net = Net::read(site, model)?;
    let mut made = Made::new();
    for (at, (key, tensor)) in net.inputs.iter().enumerate() {
        let place = net.place(tensor)?;
        let x = given(at, &tensor.layer, *key);
        let x = x.ok_or_else(|| {
            model.error(format!("is called without its input `{}`", tensor.layer))
        })?;
        made.insert(place, vec![x]);
    }
    evaluate(site, &net, &mut made)?;
    let mut outputs = Vec::new();
    for (key, tensor) in &net.outputs {
        let name = key.unwrap_or(&tensor.layer).to_owned();
        outputs.push((name, found(&net, &made, tensor)?));
    }
    Ok(outputs)
}

/// The tensor of a call that has been made.
fn found(net: &Net<'_>, made: &Made, tensor: &Ref) -> Result<T, LoadError> {
    let place = net.place(tensor)?;
    let output = made.get(&place).and_then(|list| list.get(tensor.output));
    output.copied().ok_or_else(|| {
        let message = format!("has no output {} that another layer could read", tensor.output);
        invalid(format!("layer `{}`", tensor.layer), message)
    })
}

/// Writes all calls that outputs need, each after those whose outputs it takes.
fn evaluate<'j>(
    site: &mut Site<'_, '_, 'j>,
    net: &Net<'j>,
    made: &mut Made,
) -> Result<(), LoadError> {
    let mut wanted = Vec::new();
    for (_, tensor) in &net.outputs {
        wanted.push(net.place(tensor)?);
    }
    let mut before: HashMap<(usize, usize), usize> = HashMap::new();
    let mut after: HashMap<(usize, usize), Vec<(usize, usize)>> = HashMap::new();
    let mut ready = BTreeSet::new();
    while let Some(place) = wanted.pop() {
        if made.contains_key(&place) || before.contains_key(&place) {
            continue;
        }
        let mut needs = BTreeSet::new();
        if let Some(call) = net.calls[place.0].get(place.1) {
            for tensor in call.tensors() {
                needs.insert(net.place(tensor)?);
            }
        }
        needs.retain(|need| !made.contains_key(need));
        before.insert(place, needs.len());
        if needs.is_empty() {
            ready.insert(place);
        }
        for need in needs {
            after.entry(need).or_default().push(place);
            wanted.push(need);
        }
    }
    let mut left = before.len();
    while let Some(place) = ready.pop_first() {
        let outputs = call(site, net, made, place)?;
        made.insert(place, outputs);
        left -= 1;
        for next in after.remove(&place).unwrap_or_default() {
            if let Some(count) = before.get_mut(&next) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(next);
                }
            }
        }
    }
    if left > 0 {
        return Err(invalid("model", format!("{left} calls of layers wait for each other")));
    }
    Ok(())
}

/// Writes one call of a layer.
fn call<'j>(
    site: &mut Site<'_, '_, 'j>,
    net: &Net<'j>,
    made: &Made,
    (at, number): (usize, usize),
) -> Result<Vec<T>, LoadError> {
    let layer = &net.layers[at];
    let Some(call) = net.calls[at].get(number) else {
        return Err(layer.error("is an input of no model"));
    };
    let inputs = call.with(&|tensor: &Ref| found(net, made, tensor).ok());
    let Some(inputs) = inputs else {
        for tensor in call.tensors() {
            found(net, made, tensor)?;
        }
        return Err(layer.error("is called with a tensor that is not there"));
    };
    let stated = |output: usize| {
        let name = layer.name.clone();
        let tensor = Ref { layer: name, call: number + net.first[at], output };
        net.stated.get(&tensor)
    };
    let sizes = call.tensors().first().and_then(|tensor| net.stated.get(*tensor)).cloned();
    let context = Context { outputs: net.read[at], sizes };
    let unknown = site.state.unknown;
    let outputs = call_layer(site, layer, &inputs, &context)?;
    if site.state.unknown > unknown {
        for (output, t) in outputs.iter().enumerate() {
            if let Some(shape) = stated(output) {
                hint(site, *t, shape);
            }
        }
    }
    let ranked = outputs.into_iter().enumerate().map(|(output, t)| {
        let rank = t.rank.or_else(|| stated(output).map(Vec::len));
        t.ranked(rank)
    });
    Ok(ranked.collect())
}

/// States a shape for a tensor that no row tells about. What is left open on the first axis is the batch.
pub(in super::super) fn hint(site: &mut Site<'_, '_, '_>, t: T, shape: &[Option<i64>]) {
    let mut dims = Vec::new();
    for (axis, size) in shape.iter().enumerate() {
        match (size, axis) {
            (Some(size), _) if *size <= MAX_DIM => dims.push(Dim::from(*size)),
            (None, 0) => dims.push(Dim::symbol("batch")),
            _ => return,
        }
    }
    let dtype = t.dtype.or(Some(site.compute));
    site.draft.hint(t.id, TensorInfo::new(dtype, dims));
}

/// Writes a chain of layers that begins with `x`.
pub(in super::super) fn chain<'j>(
    site: &mut Site<'_, '_, 'j>,
    model: &Layer<'j>,
    x: &Inputs<'j>,
) -> Result<Vec<T>, LoadError> {
    let home = site.state.home(&model.key).cloned().unwrap_or_default();
    let mut places = Places::new(&home);
    let mut inputs = x.clone();
    let mut outputs = x.list();
    for value in members(model)? {
        let mut layer = Layer::of(value)?;
        let home = places.next(&layer);
        site.state.identify(&mut layer, home);
        if layer.class == "InputLayer" {
            continue;
        }
        let built = layer.object.get("build_config").and_then(|b| b.get("input_shape"));
        let context = Context { outputs: 1, sizes: built.and_then(shape) };
        outputs = call_layer(site, &layer, &inputs, &context)?;
        let list = outputs.iter().map(|t| Arg::Tensor(*t)).collect();
        inputs = match outputs[..] {
            [one] => Inputs::one(one),
            _ => Inputs::of(vec![Arg::List(list)]),
        };
    }
    Ok(outputs)
}

/// Writes a model that another calls.
pub(in super::super) fn nested<'j>(
    site: &mut Site<'_, '_, 'j>,
    model: &Layer<'j>,
    inputs: &Inputs<'j>,
) -> Result<Vec<T>, LoadError> {
    let label = site.name.clone();
    site.inside(&label, |site| {
        if is_chain(model) {
            return chain(site, model, inputs);
        }
        let all = inputs.list();
        let named = match inputs.args.first() {
            Some(Arg::Named(list)) => list.as_slice(),
            _ => &[],
        };
        let outputs = functional(site, model, &|at, layer, key| {
            let by_name = named.iter().find(|(name, _)| *name == layer || Some(*name) == key);
            match by_name {
                Some((_, Arg::Tensor(t))) => Some(*t),
                _ => all.get(at).copied(),
            }
        })?;
        Ok(outputs.into_iter().map(|(_, t)| t).collect())
    })
}
