//! Layers that give a blob another shape, and those that make one larger.

use super::decode::Layer;
use super::net::{Blob, Net, Row, row};
use super::product::{axis, flat};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::checked::checked_dim;
use crate::formats::draft::Op;
use crate::ir::{DType, TensorInfo, ValueId, Weight};

pub(super) const ROWS: &[Row] = &[
    row("Flatten", "Reshape", flatten),
    row("Interp", "Resize", interp),
    row("Parameter", "a stored tensor", parameter),
    row("Permute", "Transpose", permute),
    row("Reshape", "Reshape", reshape),
    row("ResizeBilinear", "Resize", interp),
    row("ShuffleChannel", "Reshape, Transpose, Reshape", shuffle),
    row("Tile", "Tile", tile),
    row("Upsample", "Resize", upsample),
];

fn flatten(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("flatten_param");
    let x = net.bottom(layer, 0)?;
    let from = axis(param.int("axis").unwrap_or(1), x);
    let to = axis(param.int("end_axis").unwrap_or(-1), x);
    let rank = x.rank.unwrap_or(4);
    if to + 1 >= rank {
        let y = flat(net, layer, x, from)?;
        net.top(layer, 0, y, Some(from + 1));
        return Ok(());
    }
    let mut shape = vec![0; from];
    shape.push(-1);
    let y = with_rest(net, layer, x, &shape, (to + 1, rank))?;
    net.top(layer, 0, y, Some(from + rank - to));
    Ok(())
}

/// `x` in the shape `first`, followed by its own sizes in a range of axes.
fn with_rest(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    x: Blob,
    first: &[i64],
    (from, to): (usize, usize),
) -> Result<ValueId, LoadError> {
    let axes: Vec<i64> = (from..to).filter_map(|a| i64::try_from(a).ok()).collect();
    let (axes, first) = (net.draft.ints(&axes)?, net.draft.ints(first)?);
    let shape = net.step(layer, "shape", Op::onnx("Shape"), &[Some(x.id)])?;
    let op = Op::onnx("Gather").with("axis", 0_i64);
    let rest = net.step(layer, "rest", op, &[Some(shape), Some(axes)])?;
    let op = Op::onnx("Concat").with("axis", 0_i64);
    let whole = net.step(layer, "whole", op, &[Some(first), Some(rest)])?;
    net.step(layer, "", Op::onnx("Reshape"), &[Some(x.id), Some(whole)])
}

/// Zero copies a size, −1 is what is left.
fn reshape(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("reshape_param");
    let x = net.bottom(layer, 0)?;
    let dims: Vec<i64> =
        param.message("shape").map(|s| s.ints("dim").collect()).unwrap_or_default();
    let from = axis(param.int("axis").unwrap_or(0), x);
    let mut shape = vec![0; from];
    shape.extend(&dims);
    let rank = x.rank.unwrap_or(4);
    let replaced = match param.int("num_axes").unwrap_or(-1) {
        n if n < 0 => rank.saturating_sub(from),
        n => usize::try_from(n).unwrap_or(0),
    };
    let behind = from + replaced;
    let y = if behind < rank {
        with_rest(net, layer, x, &shape, (behind, rank))?
    } else {
        let shape = net.draft.ints(&shape)?;
        net.step(layer, "", Op::onnx("Reshape"), &[Some(x.id), Some(shape)])?
    };
    net.top(layer, 0, y, Some(from + dims.len() + rank.saturating_sub(behind)));
    Ok(())
}

fn permute(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let mut order: Vec<i64> = layer.param("permute_param").ints("order").collect();
    let rank = i64::try_from(x.rank.unwrap_or(4)).unwrap_or(4);
    let rest: Vec<i64> = (0..rank).filter(|a| !order.contains(a)).collect();
    order.extend(rest);
    let y = net.step(layer, "", Op::onnx("Transpose").with("perm", order), &[Some(x.id)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn tile(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("tile_param");
    let x = net.bottom(layer, 0)?;
    let at = axis(param.int("axis").unwrap_or(1), x);
    let tiles = param.int("tiles").unwrap_or(1);
    let repeats: Vec<i64> =
        (0..x.rank.unwrap_or(4)).map(|i| if i == at { tiles } else { 1 }).collect();
    let repeats = net.draft.ints(&repeats)?;
    let y = net.step(layer, "", Op::onnx("Tile"), &[Some(x.id), Some(repeats)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// A tensor that is learned and read by nobody's input.
fn parameter(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("parameter_param");
    let dims: Vec<i64> =
        param.message("shape").map(|s| s.ints("dim").collect()).unwrap_or_default();
    let mut shape: Vec<Dim> = Vec::new();
    for (axis, size) in dims.iter().enumerate() {
        shape.push(checked_dim(&layer.name, axis, *size)?);
    }
    let info = TensorInfo::new(Some(DType::F32), shape);
    let weight = Weight::of(&info);
    let id = net.draft.stored(&layer.name, info, weight)?;
    net.top(layer, 0, id, Some(dims.len()));
    Ok(())
}

/// Channels in groups, dealt out like cards.
fn shuffle(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let group = layer.param("shuffle_channel_param").int("group").unwrap_or(1);
    let shape = net.step(layer, "size", Op::onnx("Shape"), &[Some(x.id)])?;
    let parts = with_rest(net, layer, x, &[0, group, -1], (2, 4))?;
    let op = Op::onnx("Transpose").with("perm", vec![0, 2, 1, 3, 4]);
    let dealt = net.step(layer, "deal", op, &[Some(parts)])?;
    let y = net.step(layer, "back", Op::onnx("Reshape"), &[Some(dealt), Some(shape)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn upsample(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("upsample_param");
    let x = net.bottom(layer, 0)?;
    if let (Some(h), Some(w)) = (param.int("upsample_h"), param.int("upsample_w")) {
        return sized(net, layer, x, &[h, w], "nearest");
    }
    let scale = param.float("scale").unwrap_or(2.0);
    let scales = net.draft.floats(&[1.0, 1.0, scale, scale])?;
    let op = Op::onnx("Resize").with("mode", "nearest");
    let y = net.step(layer, "", op, &[Some(x.id), None, Some(scales)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// An image of these sides.
fn sized(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    x: Blob,
    sides: &[i64],
    mode: &str,
) -> Result<(), LoadError> {
    let sizes = net.draft.ints(sides)?;
    resized(net, layer, x, sizes, mode)
}

fn resized(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    x: Blob,
    sizes: ValueId,
    mode: &str,
) -> Result<(), LoadError> {
    let op = Op::onnx("Resize").with("mode", mode).with("axes", vec![2, 3]);
    let y = net.step(layer, "", op, &[Some(x.id), None, None, Some(sizes)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// Of the `DeepLab` and `PSPNet` forks: by sides, or by a factor that shrinks or widens the spaces between pixels.
fn interp(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let name = if layer.kind == "Interp" { "interp_param" } else { "resize_param" };
    let param = layer.param(name);
    let x = net.bottom(layer, 0)?;
    if let (Some(h), Some(w)) = (param.int("height"), param.int("width")) {
        return sized(net, layer, x, &[h, w], "linear");
    }
    if layer.bottoms.len() > 1 {
        let like = net.bottom(layer, 1)?;
        let shape = net.step(layer, "shape", Op::onnx("Shape"), &[Some(like.id)])?;
        let axes = net.draft.ints(&[2, 3])?;
        let op = Op::onnx("Gather").with("axis", 0_i64);
        let sizes = net.step(layer, "sizes", op, &[Some(shape), Some(axes)])?;
        return resized(net, layer, x, sizes, "linear");
    }
    let shape = net.step(layer, "shape", Op::onnx("Shape"), &[Some(x.id)])?;
    let axes = net.draft.ints(&[2, 3])?;
    let op = Op::onnx("Gather").with("axis", 0_i64);
    let mut sizes = net.step(layer, "sides", op, &[Some(shape), Some(axes)])?;
    let pads = param.int("pad_beg").unwrap_or(0) + param.int("pad_end").unwrap_or(0);
    let mut by = |net: &mut Net<'_, '_>, op: &str, n: i64| -> Result<(), LoadError> {
        let number = net.draft.int(n)?;
        sizes = net.step(layer, "side", Op::onnx(op), &[Some(sizes), Some(number)])?;
        Ok(())
    };
    by(net, "Add", pads - 1)?;
    if let Some(shrink) = param.int("shrink_factor") {
        by(net, "Div", shrink.max(1))?;
    }
    by(net, "Add", 1)?;
    if let Some(zoom) = param.int("zoom_factor") {
        // The sides, and as many more between each two as the factor has above one.
        by(net, "Mul", zoom)?;
        by(net, "Sub", zoom - 1)?;
    }
    resized(net, layer, x, sizes, "linear")
}
