//! Layers that map elements, and those that normalise.

use super::decode::Layer;
use super::net::{Blob, Net, Row, row};
use super::product::{axis, flat};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::ValueId;

pub(super) const ROWS: &[Row] = &[
    row("AbsVal", "Abs", |net, layer| map(net, layer, Op::onnx("Abs"))),
    row("ArgMax", "ArgMax, TopK", arg_max),
    row("BN", "BatchNormalization", batch_norm_with_scale),
    row("BNLL", "Softplus", |net, layer| map(net, layer, Op::onnx("Softplus"))),
    row("BatchNorm", "rooflens.BatchNormalization", batch_norm),
    row("Bias", "Add", bias),
    row("Clip", "Clip", |net, layer| {
        let param = layer.param("clip_param");
        clip(net, layer, param.float("min").unwrap_or(0.0), param.float("max").unwrap_or(1.0))
    }),
    row("Dropout", "nothing", same),
    row("ELU", "Elu", |net, layer| {
        let alpha = layer.param("elu_param").float("alpha").unwrap_or(1.0);
        map(net, layer, Op::onnx("Elu").with("alpha", alpha))
    }),
    row("Exp", "Mul, Add, Exp", exp),
    row("LRN", "LRN; AveragePool of squares within a channel", lrn),
    row("Log", "Mul, Add, Log", log),
    row("MVN", "MeanVarianceNormalization", mvn),
    row("Noise", "nothing", same),
    row("Normalize", "LpNormalization, Mul", normalize),
    row("PReLU", "PRelu", prelu),
    row("Power", "Mul, Add, Pow", power),
    row("ReLU", "Relu, LeakyRelu", relu),
    row("ReLU6", "Clip", |net, layer| clip(net, layer, 0.0, 6.0)),
    row("Reduction", "ReduceSum, ReduceL1, ReduceSumSquare, ReduceMean", reduction),
    row("Scale", "Mul, Add", scale),
    row("Sigmoid", "Sigmoid", |net, layer| map(net, layer, Op::onnx("Sigmoid"))),
    row("Softmax", "Softmax", |net, layer| {
        let axis = layer.param("softmax_param").int("axis").unwrap_or(1);
        map(net, layer, Op::onnx("Softmax").with("axis", axis))
    }),
    row("Swish", "Mul, Sigmoid, Mul", swish),
    row("TanH", "Tanh", |net, layer| map(net, layer, Op::onnx("Tanh"))),
    row("Threshold", "Greater, Cast", threshold),
];

/// A node on each bottom, of the same shape.
fn map(net: &mut Net<'_, '_>, layer: &Layer, op: Op) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let y = net.step(layer, "", op, &[Some(x.id)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// A layer that does nothing when deployed.
fn same(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    net.top(layer, 0, x.id, x.rank);
    Ok(())
}

/// A node of two values.
fn binary(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    op: &str,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, LoadError> {
    net.step(layer, &op.to_lowercase(), Op::onnx(op), &[Some(a), Some(b)])
}

/// A node of a value and a number; none where the number changes nothing.
fn with_number(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    op: &str,
    x: ValueId,
    (number, neutral): (f32, f32),
) -> Result<ValueId, LoadError> {
    if (number - neutral).abs() <= f32::EPSILON * neutral.abs() {
        return Ok(x);
    }
    let number = net.number(number)?;
    binary(net, layer, op, x, number)
}

fn clip(net: &mut Net<'_, '_>, layer: &Layer, least: f32, most: f32) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let (least, most) = (net.number(least)?, net.number(most)?);
    let y = net.step(layer, "", Op::onnx("Clip"), &[Some(x.id), Some(least), Some(most)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn relu(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let slope = layer.param("relu_param").float("negative_slope").unwrap_or(0.0);
    let op =
        if slope == 0.0 { Op::onnx("Relu") } else { Op::onnx("LeakyRelu").with("alpha", slope) };
    map(net, layer, op)
}

/// A number to a channel, as it broadcasts over what follows: `count` axes from `axis` on.
fn spread(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    at: usize,
    x: Blob,
    (from, count): (usize, usize),
) -> Result<ValueId, LoadError> {
    let rank = x.rank.unwrap_or(4).max(from + count);
    let sizes: Vec<i64> = (from..rank).map(|i| i64::from(i >= from + count)).collect();
    let axes: Vec<i64> = (from..rank).map(|i| i64::try_from(i).unwrap_or(0)).collect();
    net.weight(layer, at, x, (&sizes, &axes), &[])
}

fn prelu(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let shared = layer.param("prelu_param").flag("channel_shared").unwrap_or(false);
    let slope = if shared {
        net.weight(layer, 0, x, (&[1], &[0]), &[])?
    } else {
        spread(net, layer, 0, x, (1, 1))?
    };
    let y = net.step(layer, "", Op::onnx("PRelu"), &[Some(x.id), Some(slope)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// Mean, variance and a factor for both are stored; there is no scale.
fn batch_norm(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let mut inputs = vec![Some(x.id), None, None];
    for at in 0..2 {
        inputs.push(Some(net.weight(layer, at, x, (&[0], &[1]), &[])?));
    }
    inputs.push(Some(net.weight(layer, 2, x, (&[1], &[0]), &[])?));
    let op = Op::own("BatchNormalization").with("axis", 1_i64);
    let y = net.step(layer, "", op, &inputs)?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// The fork of `SegNet` and `PSPNet`: scale, shift, mean and variance.
fn batch_norm_with_scale(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let mut inputs = vec![Some(x.id)];
    for at in 0..4 {
        inputs.push(Some(net.weight(layer, at, x, (&[0], &[1]), &[])?));
    }
    let y = net.step(layer, "", Op::onnx("BatchNormalization"), &inputs)?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// The second bottom with axes of one behind its own, so that it broadcasts from `axis` on.
fn factor(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    x: Blob,
    from: usize,
) -> Result<ValueId, LoadError> {
    let second = net.bottom(layer, 1)?;
    let (Some(rank), Some(own)) = (x.rank, second.rank) else { return Ok(second.id) };
    let behind = rank.saturating_sub(from + own);
    if behind == 0 {
        return Ok(second.id);
    }
    let shape: Vec<i64> = (0..own + behind).map(|i| i64::from(i >= own)).collect();
    let shape = net.draft.ints(&shape)?;
    net.step(layer, "spread", Op::onnx("Reshape"), &[Some(second.id), Some(shape)])
}

/// Where a scale or a bias lies: its first axis, and how many.
fn lies(param: &crate::formats::prototext::Message, x: Blob) -> (usize, usize) {
    let from = axis(param.int("axis").unwrap_or(1), x);
    let rest = x.rank.unwrap_or(4).saturating_sub(from);
    let count = match param.int("num_axes").unwrap_or(1) {
        n if n < 0 => rest,
        n => usize::try_from(n).unwrap_or(0).min(rest),
    };
    (from, count)
}

fn scale(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("scale_param");
    let x = net.bottom(layer, 0)?;
    let two = layer.bottoms.len() > 1;
    let (from, count) = lies(&param, x);
    let by =
        if two { factor(net, layer, x, from)? } else { spread(net, layer, 0, x, (from, count))? };
    let mut y = net.step(layer, "", Op::onnx("Mul"), &[Some(x.id), Some(by)])?;
    if param.flag("bias_term").unwrap_or(false) {
        let b = spread(net, layer, usize::from(!two), x, (from, count))?;
        y = net.step(layer, "bias", Op::onnx("Add"), &[Some(y), Some(b)])?;
    }
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn bias(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let (from, count) = lies(&layer.param("bias_param"), x);
    let b = if layer.bottoms.len() > 1 {
        factor(net, layer, x, from)?
    } else {
        spread(net, layer, 0, x, (from, count))?
    };
    let y = net.step(layer, "", Op::onnx("Add"), &[Some(x.id), Some(b)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// `(shift + scale·x)` of a layer's parameters.
fn line(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    param: &str,
    x: ValueId,
) -> Result<ValueId, LoadError> {
    let param = layer.param(param);
    let scale = param.float("scale").unwrap_or(1.0);
    let x = with_number(net, layer, "Mul", x, (scale, 1.0))?;
    with_number(net, layer, "Add", x, (param.float("shift").unwrap_or(0.0), 0.0))
}

fn power(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let y = line(net, layer, "power_param", x.id)?;
    let power = layer.param("power_param").float("power").unwrap_or(1.0);
    let y = with_number(net, layer, "Pow", y, (power, 1.0))?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

/// The natural logarithm of a base; −1 stands for e.
fn natural(param: &crate::formats::prototext::Message) -> f32 {
    match param.float("base").unwrap_or(-1.0) {
        base if base > 0.0 => base.ln(),
        _ => 1.0,
    }
}

fn exp(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let y = line(net, layer, "exp_param", x.id)?;
    let base = natural(&layer.param("exp_param"));
    let y = with_number(net, layer, "Mul", y, (base, 1.0))?;
    let y = net.step(layer, "", Op::onnx("Exp"), &[Some(y)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn log(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let y = line(net, layer, "log_param", x.id)?;
    let y = net.step(layer, "", Op::onnx("Log"), &[Some(y)])?;
    let base = natural(&layer.param("log_param"));
    let y = with_number(net, layer, "Div", y, (base, 1.0))?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn swish(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let beta = layer.param("swish_param").float("beta").unwrap_or(1.0);
    let scaled = with_number(net, layer, "Mul", x.id, (beta, 1.0))?;
    let gate = net.step(layer, "sigmoid", Op::onnx("Sigmoid"), &[Some(scaled)])?;
    let y = net.step(layer, "", Op::onnx("Mul"), &[Some(x.id), Some(gate)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn threshold(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let x = net.bottom(layer, 0)?;
    let least = layer.param("threshold_param").float("threshold").unwrap_or(0.0);
    let least = net.number(least)?;
    let above = binary(net, layer, "Greater", x.id, least)?;
    let op = Op::onnx("Cast").with("to", i64::from(crate::ir::DType::F32.onnx()));
    let y = net.step(layer, "", op, &[Some(above)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn lrn(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("lrn_param");
    let x = net.bottom(layer, 0)?;
    let size = param.int("local_size").unwrap_or(5);
    let alpha = param.float("alpha").unwrap_or(1.0);
    let beta = param.float("beta").unwrap_or(0.75);
    if matches!(param.text("norm_region").unwrap_or("ACROSS_CHANNELS"), "ACROSS_CHANNELS" | "0") {
        let op = Op::onnx("LRN").with("size", size).with("alpha", alpha).with("beta", beta);
        return map(net, layer, op.with("bias", param.float("k").unwrap_or(1.0)));
    }
    let square = binary(net, layer, "Mul", x.id, x.id)?;
    let before = (size - 1) / 2;
    let op = Op::onnx("AveragePool")
        .with("kernel_shape", vec![size, size])
        .with("pads", vec![before; 4])
        .with("count_include_pad", 1_i64);
    let mean = net.step(layer, "mean", op, &[Some(square)])?;
    let y = with_number(net, layer, "Mul", mean, (alpha, 1.0))?;
    let y = with_number(net, layer, "Add", y, (1.0, 0.0))?;
    let y = with_number(net, layer, "Pow", y, (beta, 1.0))?;
    let y = net.step(layer, "", Op::onnx("Div"), &[Some(x.id), Some(y)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn mvn(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("mvn_param");
    let x = net.bottom(layer, 0)?;
    let from = if param.flag("across_channels").unwrap_or(false) { 1 } else { 2 };
    let axes: Vec<i64> = (from..x.rank.and_then(|r| i64::try_from(r).ok()).unwrap_or(4)).collect();
    if param.flag("normalize_variance").unwrap_or(true) {
        return map(net, layer, Op::onnx("MeanVarianceNormalization").with("axes", axes));
    }
    let axes = net.draft.ints(&axes)?;
    let mean = net.step(layer, "mean", Op::onnx("ReduceMean"), &[Some(x.id), Some(axes)])?;
    let y = net.step(layer, "", Op::onnx("Sub"), &[Some(x.id), Some(mean)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn normalize(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("norm_param");
    let x = net.bottom(layer, 0)?;
    let op = Op::onnx("LpNormalization").with("axis", 1_i64).with("p", 2_i64);
    let y = net.step(layer, "norm", op, &[Some(x.id)])?;
    let by = if param.flag("channel_shared").unwrap_or(true) {
        net.weight(layer, 0, x, (&[1], &[0]), &[])?
    } else {
        spread(net, layer, 0, x, (1, 1))?
    };
    let y = net.step(layer, "", Op::onnx("Mul"), &[Some(y), Some(by)])?;
    net.top(layer, 0, y, x.rank);
    Ok(())
}

fn reduction(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("reduction_param");
    let x = net.bottom(layer, 0)?;
    let from = axis(param.int("axis").unwrap_or(0), x);
    let rank = x.rank.unwrap_or(4);
    let axes: Vec<i64> = (from..rank).filter_map(|a| i64::try_from(a).ok()).collect();
    let op = match param.text("operation").unwrap_or("SUM") {
        "ASUM" | "2" => "ReduceL1",
        "SUMSQ" | "3" => "ReduceSumSquare",
        "MEAN" | "4" => "ReduceMean",
        _ => "ReduceSum",
    };
    let axes = net.draft.ints(&axes)?;
    let op = Op::onnx(op).with("keepdims", 0_i64);
    let y = net.step(layer, "", op, &[Some(x.id), Some(axes)])?;
    let y = with_number(net, layer, "Mul", y, (param.float("coeff").unwrap_or(1.0), 1.0))?;
    net.top(layer, 0, y, Some(from));
    Ok(())
}

/// The places of the largest elements, along an axis or of all of a row.
fn arg_max(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("argmax_param");
    let x = net.bottom(layer, 0)?;
    let k = net.draft.ints(&[param.int("top_k").unwrap_or(1)])?;
    let values = param.flag("out_max_val").unwrap_or(false);
    if let Some(axis) = param.int("axis") {
        let op = Op::onnx("TopK").with("axis", axis);
        let made = net.draft.many(&layer.name, op, &[Some(x.id), Some(k)], 2)?;
        net.top(layer, 0, made[usize::from(!values)], x.rank);
        return Ok(());
    }
    let rows = flat(net, layer, x, 1)?;
    let op = Op::onnx("TopK").with("axis", 1_i64);
    let made = net.draft.many(&layer.name, op, &[Some(rows), Some(k)], 2)?;
    let cast = Op::onnx("Cast").with("to", i64::from(crate::ir::DType::F32.onnx()));
    let places = net.step(layer, "places", cast, &[Some(made[1])])?;
    let axes = net.draft.ints(&[1])?;
    let mut y = net.step(layer, "row", Op::onnx("Unsqueeze"), &[Some(places), Some(axes)])?;
    if values {
        let most = net.step(layer, "most", Op::onnx("Unsqueeze"), &[Some(made[0]), Some(axes)])?;
        let op = Op::onnx("Concat").with("axis", 1_i64);
        y = net.step(layer, "both", op, &[Some(y), Some(most)])?;
    }
    net.top(layer, 0, y, Some(3));
    Ok(())
}
