//! Activations, as layers and as settings of other layers.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::{Context, Row, Written, at, call_inner, input, row};
use crate::ir::DType;
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Activation", "the activation", activation),
    row("ELU", "Elu", elu),
    row("LeakyReLU", "LeakyRelu", leaky),
    row("PReLU", "PRelu", prelu),
    row("ReLU", "Relu, Clip or LeakyRelu", relu),
    row("Softmax", "Softmax", softmax),
    row("ThresholdedReLU", "ThresholdedRelu", thresholded),
];

/// Applies the activation that a setting names, if it names one.
pub(in super::super) fn activate<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    key: &str,
    x: T,
) -> Result<T, LoadError> {
    let Some(value) = layer.get(key) else { return Ok(x) };
    apply(site, layer, value, x)
}

/// Applies an activation: a name, a function, or a layer.
fn apply<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    value: &'j Value,
    x: T,
) -> Result<T, LoadError> {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let name = match value {
        Value::String(name) => name.as_str(),
        object => match (object.get("config"), text("class_name")) {
            (Some(Value::String(name)), _) => name.as_str(),
            (Some(Value::Object(_)), Some(class)) if super::find(class).is_some() => {
                let inner = site.state.inner(layer, value, "activation")?;
                let context = Context { outputs: 1, sizes: None };
                let outputs = call_inner(site, &inner, &Inputs::one(x), &context)?;
                return outputs.first().copied().ok_or_else(|| inner.error("has no output"));
            }
            (_, Some(class)) => class,
            _ => return Err(layer.error("has an activation without a name")),
        },
    };
    named(site, name.rsplit(['.', '>']).next().unwrap_or(name), x)
}

/// Applies an activation by its name.
pub(in super::super) fn named(
    site: &mut Site<'_, '_, '_>,
    name: &str,
    x: T,
) -> Result<T, LoadError> {
    match named_if_known(site, name, x)? {
        Some(y) => Ok(y),
        None => {
            let outputs = site.unknown(name, &[x.id], 1)?;
            Ok(x.like(outputs[0]))
        }
    }
}

/// Parts of activations that are one operator of ONNX.
const PLAIN: &[(&str, &str)] = &[
    ("elu", "Elu"),
    ("exponential", "Exp"),
    ("hard_silu", "HardSwish"),
    ("hard_swish", "HardSwish"),
    ("mish", "Mish"),
    ("relu", "Relu"),
    ("selu", "Selu"),
    ("sigmoid", "Sigmoid"),
    ("softplus", "Softplus"),
    ("softsign", "Softsign"),
    ("tanh", "Tanh"),
    ("gelu", "Gelu"),
];

/// Applies an activation, if there is one of this name.
pub(in super::super) fn named_if_known(
    site: &mut Site<'_, '_, '_>,
    name: &str,
    x: T,
) -> Result<Option<T>, LoadError> {
    if let Some((_, op)) = PLAIN.iter().find(|(plain, _)| *plain == name) {
        return site.map(name, op, x).map(Some);
    }
    let op = |site: &mut Site<'_, '_, '_>, op: Op| Ok(x.like(site.one(name, op, &[Some(x.id)])?));
    let y: Result<T, LoadError> = match name {
        "linear" | "identity" => Ok(x),
        "relu6" => clip(site, x, 0.0, 6.0),
        "hard_tanh" => clip(site, x, -1.0, 1.0),
        "leaky_relu" => op(site, Op::onnx("LeakyRelu").with("alpha", 0.2_f32)),
        "celu" => op(site, Op::onnx("Celu").with("alpha", 1.0_f32)),
        "softmax" => op(site, Op::onnx("Softmax").with("axis", -1_i64)),
        "log_softmax" => op(site, Op::onnx("LogSoftmax").with("axis", -1_i64)),
        "hard_shrink" => op(site, Op::onnx("Shrink").with("lambd", 0.5_f32)),
        "soft_shrink" => op(site, Op::onnx("Shrink").with("lambd", 0.5_f32).with("bias", 0.5_f32)),
        // Keras 2 has its own slope.
        "hard_sigmoid" => {
            let alpha = if site.state.major >= 3 { 1.0_f32 / 6.0 } else { 0.2 };
            op(site, Op::onnx("HardSigmoid").with("alpha", alpha).with("beta", 0.5_f32))
        }
        "sparse_sigmoid" => {
            op(site, Op::onnx("HardSigmoid").with("alpha", 0.5_f32).with("beta", 0.5_f32))
        }
        "threshold" => op(site, Op::onnx("ThresholdedRelu").with("alpha", 0.0_f32)),
        _ => return composed(site, name, x),
    };
    y.map(Some)
}

/// Activations that are several operators.
fn composed(site: &mut Site<'_, '_, '_>, name: &str, x: T) -> Result<Option<T>, LoadError> {
    let y: Result<T, LoadError> = match name {
        "silu" | "swish" => {
            let gate = site.map("sigmoid", "Sigmoid", x)?;
            site.binary(name, "Mul", x, gate)
        }
        "glu" => {
            let op = Op::onnx("Split").with("axis", -1_i64).with("num_outputs", 2_i64);
            let halves = site.many("split", op, &[Some(x.id)], 2)?;
            let gate = site.map("sigmoid", "Sigmoid", x.like(halves[1]))?;
            site.binary(name, "Mul", x.like(halves[0]), gate)
        }
        "log_sigmoid" => {
            let negative = site.map("negative", "Neg", x)?;
            let plus = site.map("softplus", "Softplus", negative)?;
            site.map(name, "Neg", plus)
        }
        "tanh_shrink" => {
            let tanh = site.map("tanh", "Tanh", x)?;
            site.binary(name, "Sub", x, tanh)
        }
        "squareplus" => {
            let square = site.binary("square", "Mul", x, x)?;
            let four = site.number(4.0, x)?;
            let sum = site.binary("plus", "Add", square, four)?;
            let root = site.map("sqrt", "Sqrt", sum)?;
            let both = site.binary("sum", "Add", x, root)?;
            let two = site.number(2.0, x)?;
            site.binary(name, "Div", both, two)
        }
        "sparse_plus" => {
            let one = site.number(1.0, x)?;
            let sum = site.binary("plus", "Add", x, one)?;
            let square = site.binary("square", "Mul", sum, sum)?;
            let four = site.number(4.0, x)?;
            let part = site.binary("quarter", "Div", square, four)?;
            clip(site, part, 0.0, f64::from(f32::MAX))
        }
        _ => return Ok(None),
    };
    y.map(Some)
}

/// Within bounds.
pub(in super::super) fn clip(
    site: &mut Site<'_, '_, '_>,
    x: T,
    low: f64,
    high: f64,
) -> Result<T, LoadError> {
    let (low, high) = (site.number(low, x)?, site.number(high, x)?);
    let id = site.one("clip", Op::onnx("Clip"), &[Some(x.id), Some(low.id), Some(high.id)])?;
    Ok(x.like(id))
}

fn activation<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    Ok(vec![activate(site, layer, "activation", x)?])
}

#[allow(clippy::cast_possible_truncation)]
fn alpha(layer: &Layer<'_>, keys: &[&str], default: f64) -> f32 {
    let key = keys.iter().find(|key| layer.get(key).is_some());
    key.map_or(default, |key| layer.float_or(key, default)) as f32
}

/// An activation with one parameter.
fn with_alpha<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    op: &str,
    alpha: f32,
) -> Written {
    let x = input(layer, inputs)?;
    let op = Op::onnx(op).with("alpha", alpha);
    Ok(vec![x.like(site.one("", op, &[Some(x.id)])?)])
}

fn elu<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    with_alpha(site, layer, inputs, "Elu", alpha(layer, &["alpha"], 1.0))
}

fn leaky<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    with_alpha(site, layer, inputs, "LeakyRelu", alpha(layer, &["negative_slope", "alpha"], 0.3))
}

fn thresholded<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    with_alpha(site, layer, inputs, "ThresholdedRelu", alpha(layer, &["theta"], 1.0))
}

/// A slope for each element after the batch; axes that share one have size 1.
fn prelu<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let rank = x.rank.ok_or_else(|| layer.error("is applied to a tensor of unknown rank"))?;
    let shared =
        if layer.get("shared_axes").is_some() { layer.ints("shared_axes")? } else { Vec::new() };
    let size = |axis: i64| {
        if shared.contains(&axis) || shared.contains(&(axis - at(rank))) {
            Size::Is(1)
        } else {
            Size::Axis(axis)
        }
    };
    let sizes: Vec<Size> = (1..at(rank)).map(size).collect();
    let slope = site.variable(layer, "alpha", x, &sizes)?;
    let id = site.one("", Op::onnx("PRelu"), &[Some(x.id), Some(slope.id)])?;
    Ok(vec![x.like(id)])
}

fn relu<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let slope = alpha(layer, &["negative_slope"], 0.0);
    let most = layer.get("max_value").and_then(Value::as_f64);
    let threshold = layer.float_or("threshold", 0.0);
    Ok(vec![rectify(site, x, slope, most, threshold)?])
}

/// `max(x, 0)` with all that Keras adds to it.
#[allow(clippy::cast_possible_truncation)]
pub(in super::super) fn rectify(
    site: &mut Site<'_, '_, '_>,
    x: T,
    slope: f32,
    most: Option<f64>,
    threshold: f64,
) -> Result<T, LoadError> {
    if slope == 0.0 && threshold == 0.0 {
        return match most {
            Some(most) if most < 1e300 => clip(site, x, 0.0, most),
            _ => site.map("", "Relu", x),
        };
    }
    let mut y = x;
    if slope != 0.0 {
        let op = Op::onnx("LeakyRelu").with("alpha", slope);
        y = y.like(site.one("leaky", op, &[Some(y.id)])?);
    } else if threshold != 0.0 {
        let op = Op::onnx("ThresholdedRelu").with("alpha", threshold as f32);
        y = y.like(site.one("threshold", op, &[Some(y.id)])?);
    }
    match most {
        Some(most) if most < 1e300 => clip(site, y, f64::from(f32::MIN), most),
        _ => Ok(y),
    }
}

/// Over one axis, or over several as one.
fn softmax<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let mut x = input(layer, inputs)?;
    let axes = if layer.get("axis").is_some() { layer.ints("axis")? } else { vec![-1] };
    if let Some(mask) = inputs.tensor(1, &["mask"]) {
        x = masked(site, x, mask)?;
    }
    if let [axis] = axes[..] {
        let op = Op::onnx("Softmax").with("axis", axis);
        return Ok(vec![x.like(site.one("", op, &[Some(x.id)])?)]);
    }
    let most = site.reduce("max", "ReduceMax", x, &axes, true)?;
    let shifted = site.binary("shift", "Sub", x, most)?;
    let exp = site.map("exp", "Exp", shifted)?;
    let sum = site.reduce("sum", "ReduceSum", exp, &axes, true)?;
    Ok(vec![site.binary("", "Div", exp, sum)?])
}

/// Scores with a very low number where a mask is not set.
pub(super) fn masked(site: &mut Site<'_, '_, '_>, x: T, mask: T) -> Result<T, LoadError> {
    let mask = site.cast(mask, DType::Bool)?;
    let low = site.number(-1e9, x)?;
    let inputs = [Some(mask.id), Some(x.id), Some(low.id)];
    Ok(x.like(site.one("mask", Op::onnx("Where"), &inputs)?))
}
