//! Layers that put several blobs together, or one apart.

use super::decode::Layer;
use super::net::{Net, Row, row};
use super::product::axis;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::ValueId;

pub(super) const ROWS: &[Row] = &[
    row("Axpy", "Mul, Add", axpy),
    row("BatchReindex", "Gather", batch_reindex),
    row("CReLU", "Neg, Concat, Relu", crelu),
    row("Concat", "Concat", concat),
    row("Crop", "Shape, Slice", crop),
    row("Eltwise", "Add, Sub, Mul, Max", eltwise),
    row("Slice", "Split, Slice", slice),
    row("Split", "nothing", split),
];

/// Beyond any size of a tensor: to the end.
const END: i64 = 1 << 40;

fn all(net: &mut Net<'_, '_>, layer: &Layer) -> Result<Vec<Option<ValueId>>, LoadError> {
    (0..layer.bottoms.len()).map(|at| Ok(Some(net.bottom(layer, at)?.id))).collect()
}

fn concat(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("concat_param");
    let at = param.int("axis").or(param.int("concat_dim")).unwrap_or(1);
    let rank = net.bottom(layer, 0)?.rank;
    let inputs = all(net, layer)?;
    let y = net.step(layer, "", Op::onnx("Concat").with("axis", at), &inputs)?;
    net.top(layer, 0, y, rank);
    Ok(())
}

fn split(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    for at in 0..layer.tops.len() {
        net.top(layer, at, x.id, x.rank);
    }
    Ok(())
}

/// Equal parts, or parts that end at given points, the last at the end.
fn slice(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("slice_param");
    let x = net.bottom(layer, 0)?;
    let along = param.int("axis").or(param.int("slice_dim")).unwrap_or(1);
    let points: Vec<i64> = param.ints("slice_point").collect();
    let parts = layer.tops.len();
    if points.is_empty() {
        let count = i64::try_from(parts).unwrap_or(1);
        let op = Op::onnx("Split").with("axis", along).with("num_outputs", count);
        let made = net.draft.many(&layer.name, op, &[Some(x.id)], parts)?;
        for (at, y) in made.into_iter().enumerate() {
            net.top(layer, at, y, x.rank);
        }
        return Ok(());
    }
    let axes = net.draft.ints(&[along])?;
    let mut start = 0;
    for at in 0..parts {
        let end = points.get(at).copied().unwrap_or(END);
        let (from, to) = (net.draft.ints(&[start])?, net.draft.ints(&[end])?);
        let inputs = [Some(x.id), Some(from), Some(to), Some(axes)];
        let y = net.step(layer, &format!("part_{at}"), Op::onnx("Slice"), &inputs)?;
        net.top(layer, at, y, x.rank);
        start = end;
    }
    Ok(())
}

fn eltwise(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("eltwise_param");
    let rank = net.bottom(layer, 0)?.rank;
    let inputs = all(net, layer)?;
    let op = match param.text("operation").unwrap_or("SUM") {
        "PROD" | "0" => "Mul",
        "MAX" | "2" => "Max",
        _ => "Add",
    };
    let weights: Vec<f32> =
        param.texts("coeff").filter_map(crate::formats::prototext::float).collect();
    let mut sum: Option<ValueId> = None;
    for (at, input) in inputs.into_iter().flatten().enumerate() {
        let weight = weights.get(at).copied().filter(|_| op == "Add").unwrap_or(1.0);
        let subtract = (weight + 1.0).abs() < f32::EPSILON && sum.is_some();
        let mut next = input;
        if !subtract && (weight - 1.0).abs() > f32::EPSILON {
            let number = net.number(weight)?;
            next = net.step(layer, "weigh", Op::onnx("Mul"), &[Some(input), Some(number)])?;
        }
        let op = if subtract { "Sub" } else { op };
        sum = Some(match sum {
            None => next,
            Some(sum) => net.step(layer, "", Op::onnx(op), &[Some(sum), Some(next)])?,
        });
    }
    if let Some(y) = sum {
        net.top(layer, 0, y, rank);
    }
    Ok(())
}

/// The part of the first bottom that is as large as the second from `axis` on.
fn crop(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("crop_param");
    let (x, like) = (net.bottom(layer, 0)?, net.bottom(layer, 1)?);
    let from = axis(param.int("axis").unwrap_or(2), x);
    let rank = x.rank.unwrap_or(4);
    let given: Vec<i64> = param.ints("offset").collect();
    let axes: Vec<i64> = (from..rank).filter_map(|a| i64::try_from(a).ok()).collect();
    let offsets: Vec<i64> = (0..axes.len())
        .map(|i| given.get(i).or(given.first().filter(|_| given.len() == 1)).copied().unwrap_or(0))
        .collect();
    let shape = net.step(layer, "shape", Op::onnx("Shape"), &[Some(like.id)])?;
    let (axes, starts) = (net.draft.ints(&axes)?, net.draft.ints(&offsets)?);
    let sizes = Op::onnx("Gather").with("axis", 0_i64);
    let sizes = net.step(layer, "sizes", sizes, &[Some(shape), Some(axes)])?;
    let ends = net.step(layer, "ends", Op::onnx("Add"), &[Some(sizes), Some(starts)])?;
    let inputs = [Some(x.id), Some(starts), Some(ends), Some(axes)];
    let y = net.step(layer, "", Op::onnx("Slice"), &inputs)?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// `a·x + y`, of one `a` to a channel.
fn axpy(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let (mut a, x, y) = (net.bottom(layer, 0)?, net.bottom(layer, 1)?, net.bottom(layer, 2)?);
    if a.rank == Some(2) {
        let shape = net.draft.ints(&[0, 0, 1, 1])?;
        a.id = net.step(layer, "spread", Op::onnx("Reshape"), &[Some(a.id), Some(shape)])?;
    }
    let product = net.step(layer, "mul", Op::onnx("Mul"), &[Some(x.id), Some(a.id)])?;
    let sum = net.step(layer, "", Op::onnx("Add"), &[Some(product), Some(y.id)])?;
    net.top(layer, 0, sum, x.rank);
    Ok(())
}

fn crelu(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let negative = net.step(layer, "neg", Op::onnx("Neg"), &[Some(x.id)])?;
    let op = Op::onnx("Concat").with("axis", 1_i64);
    let both = net.step(layer, "both", op, &[Some(x.id), Some(negative)])?;
    let y = net.step(layer, "", Op::onnx("Relu"), &[Some(both)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn batch_reindex(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let (x, rows) = (net.bottom(layer, 0)?, net.bottom(layer, 1)?);
    let op = Op::onnx("Cast").with("to", i64::from(crate::ir::DType::I64.onnx()));
    let rows = net.step(layer, "rows", op, &[Some(rows.id)])?;
    let y = net.step(layer, "", Op::onnx("Gather"), &[Some(x.id), Some(rows)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}
