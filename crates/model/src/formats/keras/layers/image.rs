//! Preprocessing: images, categories and texts.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, T};
use super::model::hint;
use super::reshape::{mode, nothing};
use super::{Context, Row, Written, input, row};
use crate::ir::{DType, ValueId};
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("AugMix", "nothing", nothing),
    row("CategoryEncoding", "OneHot and a reduction", category),
    row("CenterCrop", "CenterCropPad", crop),
    row("CutMix", "nothing", nothing),
    row("Discretization", "comparisons", discretise),
    row("HashedCrossing", "a node of unknown cost", text),
    row("Hashing", "a node of unknown cost", text),
    row("IntegerLookup", "a node of unknown cost", text),
    row("MixUp", "nothing", nothing),
    row("RandAugment", "nothing", nothing),
    row("RandomBrightness", "nothing", nothing),
    row("RandomColorDegeneration", "nothing", nothing),
    row("RandomColorJitter", "nothing", nothing),
    row("RandomContrast", "nothing", nothing),
    row("RandomCrop", "CenterCropPad", crop),
    row("RandomElasticTransform", "nothing", nothing),
    row("RandomErasing", "nothing", nothing),
    row("RandomFlip", "nothing", nothing),
    row("RandomGaussianBlur", "nothing", nothing),
    row("RandomGrayscale", "nothing", nothing),
    row("RandomHeight", "nothing", nothing),
    row("RandomHue", "nothing", nothing),
    row("RandomInvert", "nothing", nothing),
    row("RandomPerspective", "nothing", nothing),
    row("RandomPosterization", "nothing", nothing),
    row("RandomRotation", "nothing", nothing),
    row("RandomSaturation", "nothing", nothing),
    row("RandomSharpness", "nothing", nothing),
    row("RandomShear", "nothing", nothing),
    row("RandomTranslation", "nothing", nothing),
    row("RandomWidth", "nothing", nothing),
    row("RandomZoom", "nothing", nothing),
    row("Rescaling", "Mul, Add", rescale),
    row("Resizing", "Resize", resize),
    row("Solarization", "nothing", nothing),
    row("StringLookup", "a node of unknown cost", text),
    row("TextVectorization", "a node of unknown cost", text),
];

fn rescale<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let mut y = site.cast(x, site.compute)?;
    for (key, op, neutral) in [("scale", "Mul", 1.0), ("offset", "Add", 0.0)] {
        let factor = match layer.get(key) {
            Some(Value::Array(list)) => {
                let count = i64::try_from(list.len()).unwrap_or(1);
                site.filled(1.0, &[count], y)?
            }
            _ => {
                let number = layer.float_or(key, neutral);
                if number.to_bits() == f64::to_bits(neutral) {
                    continue;
                }
                site.number(number, y)?
            }
        };
        y = site.binary(key, op, y, factor)?;
    }
    Ok(vec![y])
}

/// Height and width among the axes, for images in batches or alone.
fn image_axes(layer: &Layer<'_>) -> Vec<i64> {
    if layer.channels_first() { vec![-2, -1] } else { vec![-3, -2] }
}

fn target(layer: &Layer<'_>) -> Result<[i64; 2], LoadError> {
    Ok([layer.size("height")?, layer.size("width")?])
}

fn resize<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let x = site.cast(x, site.compute)?;
    let axes = image_axes(layer);
    let how = mode(layer.text("interpolation", "bilinear"));
    Ok(vec![resized(site, x, &axes, &target(layer)?, how)?])
}

/// With other sizes along axes.
pub(in super::super) fn resized(
    site: &mut Site<'_, '_, '_>,
    x: T,
    axes: &[i64],
    sizes: &[i64],
    how: &str,
) -> Result<T, LoadError> {
    let sizes = site.draft.ints(sizes)?;
    let op = Op::onnx("Resize").with("axes", axes.to_vec()).with("mode", how);
    Ok(x.like(site.one("", op, &[Some(x.id), None, None, Some(sizes)])?))
}

fn crop<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let x = site.cast(x, site.compute)?;
    let sizes = site.draft.ints(&target(layer)?)?;
    let op = Op::onnx("CenterCropPad").with("axes", image_axes(layer));
    Ok(vec![x.like(site.one("", op, &[Some(x.id), Some(sizes)])?)])
}

/// One number for each token: whether it is there, or how often. `last` is the size of the last axis.
fn encoded(
    site: &mut Site<'_, '_, '_>,
    (x, last): (T, Option<i64>),
    tokens: i64,
    how: &str,
) -> Result<T, LoadError> {
    let indices = site.cast(x, DType::I64)?;
    let depth = site.draft.int(tokens)?;
    let values = site.draft.floats(&[0.0, 1.0])?;
    let hot =
        site.one("hot", Op::onnx("OneHot"), &[Some(indices.id), Some(depth), Some(values)])?;
    let hot = T { id: hot, rank: x.rank.map(|rank| rank + 1), dtype: Some(DType::F32) };
    // One number for each sample, or several that are taken together.
    let several = hot.rank.is_none_or(|rank| rank > 2);
    let y = match how {
        "count" if several => site.reduce("tokens", "ReduceSum", hot, &[-2], false)?,
        "one_hot" if last.is_some_and(|size| size != 1) => hot,
        _ if several => site.reduce("tokens", "ReduceMax", hot, &[-2], false)?,
        _ => hot,
    };
    site.cast(y, site.compute)
}

fn last_size(layer: &Layer<'_>, context: &Context) -> Option<i64> {
    super::sizes(layer, context)?.last().copied().flatten()
}

fn category<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let x = inputs.tensor(0, &["inputs"]).or_else(|| inputs.first());
    let x = x.ok_or_else(|| layer.error("is called with no tensor"))?;
    let tokens = match layer.int("num_tokens")? {
        Some(_) => layer.size("num_tokens")?,
        None => layer.size("max_tokens")?,
    };
    let last = last_size(layer, context);
    Ok(vec![encoded(site, (x, last), tokens, layer.text("output_mode", "multi_hot"))?])
}

/// How many bounds each number reaches.
fn discretise<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let bounds = ["bin_boundaries", "bins"].into_iter().find_map(|key| layer.get(key)?.as_array());
    let count = bounds.map(|list| i64::try_from(list.len()).unwrap_or(0));
    let count = match count.filter(|count| *count > 0) {
        Some(count) => count,
        None => (layer.int_or("num_bins", 1)? - 1).max(1),
    };
    let x = if x.dtype.is_some_and(DType::is_float) { x } else { site.cast(x, DType::F32)? };
    let each = site.axes("each", "Unsqueeze", x, &[-1])?;
    let bounds = site.filled(0.0, &[count], x)?;
    let above = site.binary("above", "GreaterOrEqual", each, bounds)?.typed(DType::Bool);
    let ones = site.cast(above, DType::I64)?;
    let index = site.reduce("", "ReduceSum", ones, &[-1], false)?;
    match layer.text("output_mode", "int") {
        "int" => Ok(vec![index]),
        how => {
            let last = last_size(layer, context);
            Ok(vec![encoded(site, (index, last), count.saturating_add(1), how)?])
        }
    }
}

/// Tables and texts: their size is data, they have no arithmetic that counts, and their cost is not known.
fn text<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let all: Vec<ValueId> = inputs.tensors().iter().map(|t| t.id).collect();
    let id = site.unknown(layer.class, &all, 1)?[0];
    let how = layer.text("output_mode", "int");
    let dtype = if how == "int" { DType::I64 } else { DType::F32 };
    let length = layer.int("output_sequence_length")?;
    let sizes = context.sizes.clone();
    let y = T { id, rank: x.rank, dtype: Some(dtype) };
    let shape = match (layer.class, how) {
        ("TextVectorization", "int") => length.map(|length| vec![None, Some(length)]),
        (_, "int") => sizes,
        _ => layer.int("max_tokens")?.map(|tokens| vec![None, Some(tokens)]),
    };
    let Some(shape) = shape else { return Ok(vec![y]) };
    let y = y.ranked(Some(shape.len()));
    hint(site, y, &shape);
    Ok(vec![y])
}
