//! Layers: a row for each class, with the function that writes it in ONNX's vocabulary.

mod activation;
mod attention;
mod conv;
mod dense;
mod image;
mod merge;
mod model;
mod norm;
mod operations;
mod pool;
mod recurrent;
mod reshape;
mod sound;
mod wrap;

use activation::activate;
use activation::{named_if_known, rectify};
use conv::{Window, convolve, convolve_depthwise, deconvolve};
use dense::einsum;
use image::resized;
pub(super) use model::{chain, functional};
pub(super) use operations::{dtype, rows as operations};
use reshape::mode;

use super::super::LoadError;
use super::inputs::Inputs;
use super::json::Layer;
use super::members;
use super::site::{Site, T};
use crate::ir::{DType, ValueId};
use serde_json::Value;
use std::collections::HashMap;

/// What a layer's function returns: its outputs.
type Written = Result<Vec<T>, LoadError>;

/// Writes a layer.
type Write = for<'j> fn(&mut Site<'_, '_, 'j>, &Layer<'j>, &Inputs<'j>, &Context) -> Written;

/// What else is known where a layer is called.
pub(super) struct Context {
    /// How many of its outputs are read.
    pub(super) outputs: usize,
    /// The shape of its first input, where the file states it.
    pub(super) sizes: Option<Vec<Option<i64>>>,
}

/// A class of layers that is understood.
pub(super) struct Row {
    /// Its name.
    pub(super) class: &'static str,
    /// What it becomes, for people.
    pub(super) becomes: &'static str,
    write: Write,
}

const fn row(class: &'static str, becomes: &'static str, write: Write) -> Row {
    Row { class, becomes, write }
}

/// All families.
const FAMILIES: &[&[Row]] = &[
    activation::ROWS,
    attention::ROWS,
    conv::ROWS,
    dense::ROWS,
    image::ROWS,
    merge::ROWS,
    norm::ROWS,
    pool::ROWS,
    recurrent::ROWS,
    reshape::ROWS,
    sound::ROWS,
    wrap::ROWS,
];

/// The rows of all classes.
pub(super) fn rows() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().copied().flatten()
}

fn find(class: &str) -> Option<&'static Row> {
    rows().find(|row| row.class == class)
}

/// The types that a layer computes in and stores its variables in.
fn policy(layer: &Layer<'_>) -> Option<(DType, DType)> {
    let dtype = layer.get("dtype")?;
    let name = match dtype {
        Value::String(name) => name.as_str(),
        policy => policy.get("config")?.get("name")?.as_str()?,
    };
    // A quantised policy names the one that it comes from.
    let name = name.split_once("_from_").map_or(name, |(_, from)| from);
    Some(match name {
        "mixed_float16" => (DType::F16, DType::F32),
        "mixed_bfloat16" => (DType::BF16, DType::F32),
        name => {
            let dtype = operations::dtype(name)?;
            (dtype, dtype)
        }
    })
}

/// Writes a layer where it is called.
pub(super) fn call<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let name = layer.name.clone();
    within(site, layer, name, inputs, context)
}

/// Writes a layer that is part of another.
fn call_inner<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let name = format!("{}/{}", site.name, layer.name);
    within(site, layer, name, inputs, context)
}

fn within<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    name: String,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let outer = (site.compute, site.keep);
    if let Some((compute, keep)) = policy(layer) {
        (site.compute, site.keep) = (compute, keep);
    }
    let outer_name = std::mem::replace(&mut site.name, name);
    let counted = std::mem::take(&mut site.counted);
    let written = write(site, layer, inputs, context);
    (site.compute, site.keep) = outer;
    site.name = outer_name;
    site.counted = counted;
    written
}

fn write<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    if layer.is_operation() || is_bare_operation(layer) {
        return operations::modern(site, layer, inputs, context);
    }
    let graph = layer.config.contains_key("layers") && layer.config.contains_key("output_layers");
    if members::is_model(layer.class) || graph {
        return model::nested(site, layer, inputs);
    }
    match layer.class {
        "TFOpLambda" | "SlicingOpLambda" | "ClassMethod" | "InstanceMethod"
        | "InstanceProperty" => {
            return operations::lambda(site, layer, inputs, context);
        }
        "TensorFlowOpLayer" => return operations::node(site, layer, inputs, context),
        _ => {}
    }
    let Some(row) = find(layer.class) else { return unknown(site, layer, inputs, context) };
    let mut cast: HashMap<ValueId, T> = HashMap::new();
    for t in inputs.tensors() {
        let same = site.autocast(*t)?;
        cast.insert(t.id, same);
    }
    let inputs = inputs.with(&|t: &T| cast.get(&t.id).copied());
    match inputs {
        Some(inputs) => (row.write)(site, layer, &inputs, context),
        None => Err(layer.error("is called with a tensor that is not there")),
    }
}

/// Whether this is a call of `keras.ops` in a file that does not say where classes are from: layers, and they alone,
/// say whether they are trained and what type they compute in.
fn is_bare_operation(layer: &Layer<'_>) -> bool {
    let says = |key: &str| layer.config.contains_key(key);
    let is_row = || operations::rows().any(|row| row.name == layer.class);
    let is_layer = says("trainable") || says("dtype") && find(layer.class).is_some();
    layer.module.is_empty() && !is_layer && is_row()
}

/// A layer whose class no row tells about: a node with its name, and with the weights that the file has for it.
fn unknown<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let weights = site.stored(layer)?;
    let mut all: Vec<ValueId> = inputs.tensors().iter().map(|t| t.id).collect();
    all.extend(weights);
    let outputs = site.unknown(layer.class, &all, context.outputs)?;
    Ok(outputs.into_iter().map(|id| T { id, rank: None, dtype: Some(site.compute) }).collect())
}

/// The tensor that a layer is called with.
fn input(layer: &Layer<'_>, inputs: &Inputs<'_>) -> Result<T, LoadError> {
    inputs.first().ok_or_else(|| layer.error("is called with no tensor"))
}

/// How many spatial axes a class works on, from the end of its name.
fn spatial(layer: &Layer<'_>) -> usize {
    let digit = layer.class.chars().rev().find(char::is_ascii_digit);
    digit.and_then(|c| c.to_digit(10)).map_or(2, |n| usize::try_from(n).unwrap_or(2))
}

/// A number of axes or elements as files and attributes have it.
fn at(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What is between the batch and the channels, or behind both.
fn spatial_axes(layer: &Layer<'_>, n: usize) -> Vec<i64> {
    let first = if layer.channels_first() { 2 } else { 1 };
    (0..at(n)).map(|axis| axis + first).collect()
}

/// The shape of a layer's first input, where the file states it.
fn sizes(layer: &Layer<'_>, context: &Context) -> Option<Vec<Option<i64>>> {
    let built = || {
        let built = layer.object.get("build_config")?;
        super::json::shape(built.get("input_shape")?)
    };
    context.sizes.clone().or_else(built)
}
