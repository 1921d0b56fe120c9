//! Layers that move data, and those that do nothing at inference.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::{Layer, integers};
use super::super::site::{Site, T};
use super::{Context, Row, Written, input, row, spatial};
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("ActivityRegularization", "nothing", nothing),
    row("AlphaDropout", "nothing", nothing),
    row("Cropping1D", "Slice", crop),
    row("Cropping2D", "Slice", crop),
    row("Cropping3D", "Slice", crop),
    row("Dropout", "nothing", nothing),
    row("Flatten", "Flatten", flatten),
    row("GaussianDropout", "nothing", nothing),
    row("GaussianNoise", "nothing", nothing),
    row("Identity", "nothing", nothing),
    row("Masking", "NotEqual, Mul", masking),
    row("Permute", "Transpose", permute),
    row("RepeatVector", "Expand", repeat),
    row("Reshape", "Reshape", reshape),
    row("SpatialDropout1D", "nothing", nothing),
    row("SpatialDropout2D", "nothing", nothing),
    row("SpatialDropout3D", "nothing", nothing),
    row("StochasticDepth", "nothing", nothing),
    row("UpSampling1D", "Resize", upsample),
    row("UpSampling2D", "Resize", upsample),
    row("UpSampling3D", "Resize", upsample),
    row("ZeroPadding1D", "Pad", pad),
    row("ZeroPadding2D", "Pad", pad),
    row("ZeroPadding3D", "Pad", pad),
];

pub(super) fn nothing<'j>(
    _: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    // Some take what they are called with as a list.
    let list = inputs.list();
    if list.is_empty() { Err(layer.error("is called with no tensor")) } else { Ok(list) }
}

fn flatten<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let id = site.one("", Op::onnx("Flatten").with("axis", 1_i64), &[Some(x.id)])?;
    Ok(vec![x.ranked(Some(2)).like(id)])
}

/// All axes but the batch.
fn reshape<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let target = layer.ints("target_shape")?;
    if target.contains(&0) {
        return Err(layer.error("has a size of 0"));
    }
    let open = target.iter().filter(|size| **size < 0).count();
    if open > 1 {
        return Err(layer.error("leaves more than one size open"));
    }
    let shape: Vec<i64> = [0].into_iter().chain(target).collect();
    Ok(vec![site.reshape("", x, &shape)?])
}

fn permute<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let order: Vec<i64> = [0].into_iter().chain(layer.ints("dims")?).collect();
    Ok(vec![site.transpose("", x, &order)?])
}

/// `[batch, features]` → `[batch, n, features]`.
fn repeat<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = layer.size("n")?;
    let row = site.axes("row", "Unsqueeze", x, &[1])?;
    let shape = site.draft.ints(&[1, n, 1])?;
    let id = site.one("", Op::onnx("Expand"), &[Some(row.id), Some(shape)])?;
    Ok(vec![row.like(id)])
}

/// Values are zeroed at steps that equal a number throughout.
fn masking<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let number = site.number(layer.float_or("mask_value", 0.0), x)?;
    let same = site.binary("same", "Equal", x, number)?.typed(crate::ir::DType::Bool);
    let differs = site.map("differs", "Not", same)?;
    let kept = site.cast(differs, x.dtype.unwrap_or(site.compute))?;
    let any = site.reduce("any", "ReduceMax", kept, &[-1], true)?;
    Ok(vec![site.binary("", "Mul", x, any)?])
}

/// A number, a pair, or pairs: how much before and behind each of so many axes.
fn pairs(layer: &Layer<'_>, key: &str, n: usize) -> Result<Vec<(i64, i64)>, LoadError> {
    let wrong = || layer.error(format!("`{key}` does not say how much for each of {n} axes"));
    let Some(value) = layer.get(key) else { return Ok(vec![(1, 1); n]) };
    let list = match value {
        Value::Array(list) => list.as_slice(),
        one => {
            let size = super::super::json::integer(one).ok_or_else(wrong)?;
            return positive(vec![(size, size); n]).ok_or_else(wrong);
        }
    };
    let flat: Option<Vec<i64>> = integers(value);
    let found = match (flat, n) {
        (Some(list), 1) if list.len() == 2 => vec![(list[0], list[1])],
        (Some(list), _) if list.len() == n => list.iter().map(|size| (*size, *size)).collect(),
        _ => {
            let each = |value: &Value| match integers(value)?[..] {
                [one] => Some((one, one)),
                [before, behind] => Some((before, behind)),
                _ => None,
            };
            list.iter().map(each).collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
    };
    positive(found).filter(|list| list.len() == n).ok_or_else(wrong)
}

fn positive(list: Vec<(i64, i64)>) -> Option<Vec<(i64, i64)>> {
    list.iter().all(|(before, behind)| *before >= 0 && *behind >= 0).then_some(list)
}

fn pad<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = spatial(layer);
    let pairs = pairs(layer, "padding", n)?;
    let axes = super::spatial_axes(layer, n);
    Ok(vec![padded(site, "", x.ranked(Some(n + 2)), &axes, &pairs)?])
}

/// Zeros before and behind axes.
pub(in super::super) fn padded(
    site: &mut Site<'_, '_, '_>,
    suffix: &str,
    x: T,
    axes: &[i64],
    pairs: &[(i64, i64)],
) -> Result<T, LoadError> {
    let pads: Vec<i64> = pairs.iter().map(|p| p.0).chain(pairs.iter().map(|p| p.1)).collect();
    let (pads, axes) = (site.draft.ints(&pads)?, site.draft.ints(axes)?);
    let id = site.one(suffix, Op::onnx("Pad"), &[Some(x.id), Some(pads), None, Some(axes)])?;
    Ok(x.like(id))
}

fn crop<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = spatial(layer);
    let pairs = pairs(layer, "cropping", n)?;
    let end = |behind: i64| if behind == 0 { i64::MAX } else { -behind };
    let axes = super::spatial_axes(layer, n).into_iter().zip(pairs);
    let bounds: Vec<_> =
        axes.map(|(axis, (before, behind))| (axis, before, end(behind), 1)).collect();
    Ok(vec![site.slice("", x.ranked(Some(n + 2)), &bounds)?])
}

fn upsample<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let n = spatial(layer);
    let sizes = match (layer.get("size"), layer.get("length")) {
        (None, Some(_)) => layer.sizes("length", n, 2)?,
        _ => layer.sizes("size", n, 2)?,
    };
    let axes = super::spatial_axes(layer, n);
    let mode = mode(layer.text("interpolation", "nearest"));
    #[allow(clippy::cast_precision_loss)]
    let scales: Vec<f32> = sizes.iter().map(|size| *size as f32).collect();
    let scales = site.draft.floats(&scales)?;
    let op = Op::onnx("Resize").with("axes", axes).with("mode", mode);
    let id = site.one("", op, &[Some(x.id), None, Some(scales)])?;
    Ok(vec![x.ranked(Some(n + 2)).like(id)])
}

/// ONNX's mode of interpolation.
pub(in super::super) fn mode(keras: &str) -> &'static str {
    match keras.to_lowercase().as_str() {
        "nearest" | "area" => "nearest",
        "bicubic" | "lanczos3" | "lanczos5" | "mitchellcubic" | "gaussian" => "cubic",
        _ => "linear",
    }
}

/// Two axes as one, from the first on.
pub(super) fn folded(site: &mut Site<'_, '_, '_>, x: T) -> Result<T, LoadError> {
    let rest = site.sizes_of(x, 2, None)?;
    let all = site.draft.ints(&[-1])?;
    let shape = site.joined(&[all, rest])?;
    let id = site.one("fold", Op::onnx("Reshape"), &[Some(x.id), Some(shape)])?;
    Ok(x.ranked(x.rank.and_then(|rank| rank.checked_sub(1))).like(id))
}

/// The inverse: the first axis as the first two of another tensor.
pub(super) fn unfolded(site: &mut Site<'_, '_, '_>, y: T, like: T) -> Result<T, LoadError> {
    let before = site.sizes_of(like, 0, Some(2))?;
    let rest = site.sizes_of(y, 1, None)?;
    let shape = site.joined(&[before, rest])?;
    let id = site.one("unfold", Op::onnx("Reshape"), &[Some(y.id), Some(shape)])?;
    Ok(y.ranked(y.rank.map(|rank| rank + 1)).like(id))
}
