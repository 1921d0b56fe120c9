//! The reader of Keras: archives and HDF5 files of Keras 2 and 3, and architectures as JSON.
//!
//! A file holds a configuration: layers with their settings, and which takes the outputs of which. Weights are
//! needed for nothing: their shapes follow from the settings and from the shapes of the inputs. Code is never run
//! or decoded.

mod inputs;
mod json;
mod layers;
mod members;
mod shared;
mod site;
mod source;
mod stored;
#[cfg(test)]
mod tests;

use super::checked::{checked_dim, checked_rank};
use super::draft::Draft;
use super::limits::Limits;
use super::{LoadError, LoadErrorKind, Place, Wanted};
use crate::dim::Dim;
use crate::ir::{DType, Diagnostic, Model, Severity, TensorInfo, ValueId};
use inputs::{Inputs, references};
use json::Layer;
use serde_json::Value;
use site::{Site, State, T};
use source::{EXPORT, Source, refused};
use std::collections::{BTreeMap, HashMap};

/// The format's name.
pub(super) const NAME: &str = "Keras";

/// Whether a place holds a file of Keras.
pub(super) fn sniff(place: &Place) -> bool {
    place.bytes().is_some_and(|bytes| source::sniff(bytes))
}

/// The classes of layers and the operations that are understood, with what they become.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    let mut all: Vec<(&str, &str)> = layers::rows().map(|row| (row.class, row.becomes)).collect();
    all.extend(
        layers::operations()
            .filter(|row| !row.name.starts_with("Tf"))
            .map(|row| (row.name, row.becomes)),
    );
    all.sort_unstable();
    all.dedup_by_key(|(name, _)| *name);
    all
}

/// Reads a model.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let Some(file) = place.bytes() else { return Err(LoadErrorKind::Directory.into()) };
    let source = Source::open(file)?;
    let root = root(&source)?;
    let mut limits = Limits::of(file.len());
    let mut state = State::new(&root, source.stored.as_ref(), major(&source))?;
    let mut draft = Draft::new(&root.name, &mut limits);
    let outputs = write(&mut draft, &mut state, &root, wanted)?;
    let outputs: Vec<(ValueId, &str)> =
        outputs.iter().map(|(name, t)| (t.id, name.as_str())).collect();
    let graph = draft.finish(&outputs)?;
    let mut diagnostics = limits.diagnostics;
    if let Some(why) = source.unread {
        let message = format!("the stored weights do not confirm the configuration: {why}");
        let place = "weights".to_owned();
        diagnostics.push(Diagnostic { severity: Severity::Assumption, place, message, hint: None });
    }
    let version = source.version.unwrap_or_default();
    Ok(Model {
        graph,
        format: format!("{NAME} {version} ({})", source.kind).replace("  ", " "),
        producer: String::new(),
        opsets: BTreeMap::from([(String::new(), super::draft::OPSET)]),
        diagnostics,
        ..Model::default()
    })
}

/// The main version of Keras, from what the file says or from how it is written.
fn major(source: &Source) -> u32 {
    let stated =
        source.version.as_deref().and_then(|version| version.split('.').next()?.parse().ok());
    let modern = || source.config.get("module").is_some();
    stated.unwrap_or(if modern() { 3 } else { 2 })
}

/// The model, if it is one whose graph is in the file.
fn root(source: &Source) -> Result<Layer<'_>, LoadError> {
    let what = "a JSON text that is no Keras model";
    let instead = "give what `model.to_json()` returns";
    if source.config.get("class_name").and_then(Value::as_str).is_none() {
        return Err(refused(what, instead));
    }
    let root = Layer::of(&source.config)?;
    if major(source) < 2 || is_first(&root) {
        let version = source.version.as_deref().unwrap_or("1");
        let what =
            format!("a model of Keras {version}, whose layers have other names and settings");
        return Err(refused(what, "load it in Keras 2 and save it again"));
    }
    let graph = root.config.contains_key("layers") && root.config.contains_key("output_layers");
    if graph
        || members::is_chain(&root)
        || root.class == "Functional"
        || root.class == "Model" && root.config.contains_key("layers")
    {
        return Ok(root);
    }
    let class = rooflens_ground::text::shown(root.class);
    let what = format!(
        "a Keras model of the class `{class}`, whose graph is Python code that the file does not hold"
    );
    Err(refused(what, EXPORT))
}

/// Settings of layers in Keras 1.
const OLD: &[&str] = &[
    "nb_filter",
    "nb_row",
    "border_mode",
    "subsample",
    "output_dim_1",
    "inner_activation",
    "dim_ordering",
];

/// Whether layers are written as Keras 1 has them.
fn is_first(model: &Layer<'_>) -> bool {
    let Ok(members) = members::members(model) else { return false };
    members.iter().any(|layer| {
        let class = layer.get("class_name").and_then(Value::as_str).unwrap_or_default();
        let config = layer.get("config").and_then(Value::as_object);
        class == "Merge"
            || config.is_some_and(|config| OLD.iter().any(|key| config.contains_key(*key)))
    })
}

/// Writes the model, and returns its outputs.
fn write<'j>(
    draft: &mut Draft<'_>,
    state: &mut State<'j>,
    root: &Layer<'j>,
    wanted: &Wanted<'_>,
) -> Result<Vec<(String, T)>, LoadError> {
    let mut site = Site {
        draft,
        state,
        name: root.name.clone(),
        counted: HashMap::new(),
        compute: DType::F32,
        keep: DType::F32,
    };
    if members::is_chain(root) {
        let x = chain_input(&mut site, root, wanted)?;
        let outputs = layers::chain(&mut site, root, &Inputs::one(x))?;
        let many = outputs.len() > 1;
        let last = members::members(root)?.last().and_then(|value| Layer::of(value).ok());
        let name = last.map_or_else(|| root.name.clone(), |layer| layer.name);
        let numbered =
            |(i, t): (usize, T)| (if many { format!("{name}:{i}") } else { name.clone() }, t);
        return Ok(outputs.into_iter().enumerate().map(numbered).collect());
    }
    let mut found = Vec::new();
    root.config.get("input_layers").into_iter().for_each(|value| references(value, &mut found));
    let members = members::members(root)?;
    let mut given = Vec::new();
    for (at, (_, tensor)) in found.iter().enumerate() {
        let named = |value: &&&'j Value| {
            let own = value.get("name").or_else(|| value.get("config")?.get("name"));
            own.and_then(Value::as_str) == Some(tensor.layer.as_str())
        };
        let value = members.iter().find(named);
        let value = value
            .ok_or_else(|| root.error(format!("has no layer `{}`, its input", tensor.layer)))?;
        let layer = Layer::of(value)?;
        given.push(declare(&mut site, &layer.name, &layer, shape_of(&layer), at, wanted)?);
    }
    layers::functional(&mut site, root, &|at, _, _| given.get(at).copied())
}

/// The shape that an input layer states, its batch among it.
fn shape_of(layer: &Layer<'_>) -> Option<Vec<Option<i64>>> {
    ["batch_shape", "batch_input_shape"]
        .into_iter()
        .find_map(|key| json::shape(layer.get(key)?))
        .or_else(|| {
            let inner =
                ["shape", "input_shape"].into_iter().find_map(|key| json::shape(layer.get(key)?));
            let inner = inner.or_else(|| {
                // A chain of indices or of vectors, as early versions write their inputs.
                let length = layer.get("input_length").map(json::integer);
                let width = layer.int("input_dim").ok().flatten().map(Some);
                match (layer.class, length) {
                    ("Embedding", Some(length)) => Some(vec![length]),
                    ("Dense", _) => width.map(|width| vec![width]),
                    _ => None,
                }
            })?;
            Some([None].into_iter().chain(inner).collect())
        })
}

/// The input of a chain: its first layer, or what that layer says of its input.
fn chain_input<'j>(
    site: &mut Site<'_, '_, 'j>,
    root: &Layer<'j>,
    wanted: &Wanted<'_>,
) -> Result<T, LoadError> {
    let mut first = root.clone();
    let mut depth = 0;
    let stated = |layer: &Layer<'j>| {
        let built = layer.get("build_input_shape").and_then(json::shape);
        let built =
            built.or_else(|| json::shape(layer.object.get("build_config")?.get("input_shape")?));
        shape_of(layer).or(built)
    };
    let mut shape = None;
    // Models and wrappers at the start say it in their first layer.
    while depth < super::limits::MAX_DEPTH {
        let inner = members::members(&first).ok().and_then(|list| list.first().copied());
        let inner = inner.or_else(|| first.get("layer"));
        let Some(inner) = inner else { break };
        first = Layer::of(inner)?;
        depth += 1;
        shape = shape.or_else(|| shape_of(&first));
        if shape.is_some() {
            break;
        }
    }
    let outermost = members::members(root)?.first().map(|value| Layer::of(value)).transpose()?;
    let outermost = outermost.ok_or_else(|| root.error("has no layers"))?;
    let shape = shape.or_else(|| stated(root)).or_else(|| stated(&outermost));
    let name = match outermost.class {
        "InputLayer" => outermost.name.clone(),
        _ => format!("{}_input", outermost.name),
    };
    declare(site, &name, &first, shape, 0, wanted)
}

/// Makes an input of the graph.
fn declare(
    site: &mut Site<'_, '_, '_>,
    name: &str,
    layer: &Layer<'_>,
    shape: Option<Vec<Option<i64>>>,
    at: usize,
    wanted: &Wanted<'_>,
) -> Result<T, LoadError> {
    let named = match layer.get("dtype") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(policy) => policy.get("config").and_then(|c| c.get("name")).and_then(Value::as_str),
        None => None,
    };
    let dtype = named.and_then(layers::dtype).unwrap_or(DType::F32);
    // Indices are whole numbers, whatever the layer that looks them up computes in.
    let dtype = if layer.class == "Embedding" { DType::I32 } else { dtype };
    for key in ["sparse", "ragged"] {
        if layer.flag(key, false) {
            site.name.clone_from(&layer.name);
            site.note(
                Severity::Assumption,
                format!("the {key} input is counted as a dense one"),
                None,
            );
        }
    }
    let info = match &shape {
        Some(shape) => {
            checked_rank(name, shape.len())?;
            let size = |(axis, size): (usize, &Option<i64>)| match (size, axis) {
                (Some(size), _) => checked_dim(name, axis, *size),
                (None, 0) => Ok(Dim::symbol("batch")),
                (None, axis) => Ok(Dim::symbol(&format!("{name}.{axis}"))),
            };
            TensorInfo::new(
                Some(dtype),
                shape.iter().enumerate().map(size).collect::<Result<Vec<Dim>, LoadError>>()?,
            )
        }
        None if wanted.given.holds(name, at) => {
            TensorInfo { dtype: Some(dtype), ..TensorInfo::default() }
        }
        None => {
            let place = format!("input `{}`", rooflens_ground::text::shown(name));
            return Err(LoadErrorKind::Shapeless { place }.into());
        }
    };
    let id = site.draft.input(name, info)?;
    Ok(T { id, rank: shape.map(|shape| shape.len()), dtype: Some(dtype) })
}
