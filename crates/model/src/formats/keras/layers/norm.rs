//! Normalisations, in the form of inference.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::Inputs;
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::{Context, Row, Written, at, call_inner, input, row};
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("BatchNormalization", "BatchNormalization", batch),
    row("BatchNormalizationV1", "BatchNormalization", batch),
    row("BatchNormalizationV2", "BatchNormalization", batch),
    row("GroupNormalization", "ReduceMean and arithmetic", group),
    row("LayerNormalization", "LayerNormalization", layer_norm),
    row("LayerScale", "Mul", scale),
    row("Normalization", "Sub, Div", adapted),
    row("RMSNormalization", "RMSNormalization", rms),
    row("SpectralNormalization", "the layer inside", spectral),
    row("SyncBatchNormalization", "BatchNormalization", batch),
    row("UnitNormalization", "LpNormalization", unit),
];

#[allow(clippy::cast_possible_truncation)]
fn epsilon(layer: &Layer<'_>, default: f64) -> f32 {
    layer.float_or("epsilon", default) as f32
}

/// The axes that a setting names; one, if it is no list.
fn axes(layer: &Layer<'_>, default: i64) -> Result<Vec<i64>, LoadError> {
    if layer.get("axis").is_some() { layer.ints("axis") } else { Ok(vec![default]) }
}

/// One number for all of a variable's places where the layer has no such variable.
fn constant(site: &mut Site<'_, '_, '_>, number: f64, like: T) -> Result<T, LoadError> {
    let shape = site.sizes_of(like, 0, None)?;
    Ok(site.fill(number, shape, like)?.ranked(like.rank))
}

fn batch<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let axes = axes(layer, -1)?;
    let [axis] = axes[..] else { return Err(layer.error("normalises several axes")) };
    let sizes = [Size::Axis(axis)];
    let (gamma, beta) = scale_and_shift(site, layer, x, &sizes)?;
    let mean = site.variable(layer, "moving_mean", x, &sizes)?;
    let variance = site.variable(layer, "moving_variance", x, &sizes)?;
    if x.is_last(axis) || x.axis(axis).unwrap_or(1) == 1 {
        let gamma = match gamma {
            Some(gamma) => gamma,
            None => constant(site, 1.0, mean)?,
        };
        let beta = match beta {
            Some(beta) => beta,
            None => constant(site, 0.0, mean)?,
        };
        let name = "BatchNormalization";
        let op = if x.is_last(axis) && x.rank != Some(2) { Op::own(name) } else { Op::onnx(name) };
        let op = op.with("epsilon", epsilon(layer, 1e-3));
        let inputs = [x, gamma, beta, mean, variance].map(|t| Some(t.id));
        return Ok(vec![x.like(site.one("", op, &inputs)?)]);
    }
    // An axis between the others: the same, as arithmetic.
    let rank = x.rank.unwrap_or(1);
    let place = x.axis(axis).unwrap_or(0);
    let shape: Vec<i64> = (0..rank).map(|i| if i == place { -1 } else { 1 }).collect();
    let spread = |site: &mut Site<'_, '_, '_>, t: T| site.reshape("spread", t, &shape);
    let (mean, variance) = (spread(site, mean)?, spread(site, variance)?);
    let mut y = site.binary("centre", "Sub", x, mean)?;
    let deviation = deviation(site, variance, epsilon(layer, 1e-3))?;
    y = site.binary("divide", "Div", y, deviation)?;
    if let Some(gamma) = gamma {
        let gamma = spread(site, gamma)?;
        y = site.binary("scale", "Mul", y, gamma)?;
    }
    if let Some(beta) = beta {
        let beta = spread(site, beta)?;
        y = site.binary("shift", "Add", y, beta)?;
    }
    Ok(vec![y])
}

/// What a normalised `x` is multiplied by, and what is added to it, where the layer has them.
fn scale_and_shift<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    x: T,
    sizes: &[Size],
) -> Result<(Option<T>, Option<T>), LoadError> {
    let mut variable = |flag: &str, name: &str| {
        let there = layer.flag(flag, true);
        there.then(|| site.variable(layer, name, x, sizes)).transpose()
    };
    let gamma = variable("scale", "gamma")?;
    Ok((gamma, variable("center", "beta")?))
}

/// `√(variance + ε)`.
fn deviation(site: &mut Site<'_, '_, '_>, variance: T, epsilon: f32) -> Result<T, LoadError> {
    let epsilon = site.number(f64::from(epsilon), variance)?;
    let sum = site.binary("variance", "Add", variance, epsilon)?;
    site.map("deviation", "Sqrt", sum)
}

/// Whether these are the last axes of `x`, and the first of them.
fn trailing(x: T, axes: &[i64]) -> Option<i64> {
    if let [-1] = axes {
        return Some(-1);
    }
    let rank = x.rank?;
    let mut places: Vec<usize> = axes.iter().map(|axis| x.axis(*axis)).collect::<Option<_>>()?;
    places.sort_unstable();
    let from = rank.checked_sub(places.len())?;
    (places == (from..rank).collect::<Vec<_>>()).then(|| at(from) - at(rank))
}

fn layer_norm<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let axes = axes(layer, -1)?;
    let sizes: Vec<Size> = axes.iter().map(|axis| Size::Axis(*axis)).collect();
    let root = layer.flag("rms_scaling", false);
    let gamma = if layer.flag("scale", true) || root {
        Some(site.variable(layer, "gamma", x, &sizes)?)
    } else {
        None
    };
    let beta = if layer.flag("center", true) && !root {
        Some(site.variable(layer, "beta", x, &sizes)?)
    } else {
        None
    };
    let epsilon = epsilon(layer, 1e-3);
    let Some(from) = trailing(x, &axes) else {
        return normalised(site, x, &axes, epsilon, gamma, beta);
    };
    let gamma = match (gamma, beta) {
        (Some(gamma), _) => gamma,
        (None, Some(beta)) => constant(site, 1.0, beta)?,
        (None, None) => {
            let shape = site.sizes_of(x, from, None)?;
            site.fill(1.0, shape, x)?.ranked(Some(axes.len()))
        }
    };
    let (name, beta) = if root { ("RMSNormalization", None) } else { ("LayerNormalization", beta) };
    let op = Op::onnx(name).with("axis", from).with("epsilon", epsilon);
    let mut inputs = vec![Some(x.id), Some(gamma.id)];
    inputs.extend(beta.map(|beta| Some(beta.id)));
    Ok(vec![x.like(site.one("", op, &inputs)?)])
}

/// A factor for each channel, as blocks of `ConvNeXt` have it.
fn scale<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let gamma = site.variable(layer, "gamma", x, &[Size::Axis(-1)])?;
    Ok(vec![site.binary("", "Mul", x, gamma)?])
}

fn rms<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let axes = axes(layer, -1)?;
    let sizes: Vec<Size> = axes.iter().map(|axis| Size::Axis(*axis)).collect();
    let scale = site.variable(layer, "scale", x, &sizes)?;
    let Some(from) = trailing(x, &axes) else {
        return Err(layer.error("normalises axes that are not the last"));
    };
    let op = Op::onnx("RMSNormalization").with("axis", from).with("epsilon", epsilon(layer, 1e-6));
    Ok(vec![x.like(site.one("", op, &[Some(x.id), Some(scale.id)])?)])
}

/// Over any axes, as arithmetic; factors have the sizes of these axes, in their order.
fn normalised(
    site: &mut Site<'_, '_, '_>,
    x: T,
    axes: &[i64],
    epsilon: f32,
    gamma: Option<T>,
    beta: Option<T>,
) -> Written {
    let mut y = standardised(site, x, axes, epsilon)?;
    let rank = x.rank.unwrap_or(axes.len());
    let places: Vec<Option<usize>> = axes.iter().map(|axis| x.axis(*axis)).collect();
    // Other axes have size 1; sizes of the variable keep their order.
    let spread = |site: &mut Site<'_, '_, '_>, t: T| -> Result<T, LoadError> {
        let others: Vec<i64> = (0..rank).filter(|i| !places.contains(&Some(*i))).map(at).collect();
        site.axes("spread", "Unsqueeze", t, &others)
    };
    if let Some(gamma) = gamma {
        let gamma = spread(site, gamma)?;
        y = site.binary("scale", "Mul", y, gamma)?;
    }
    if let Some(beta) = beta {
        let beta = spread(site, beta)?;
        y = site.binary("shift", "Add", y, beta)?;
    }
    Ok(vec![y])
}

/// `(x − mean) / √(variance + ε)` over axes.
fn standardised(
    site: &mut Site<'_, '_, '_>,
    x: T,
    axes: &[i64],
    epsilon: f32,
) -> Result<T, LoadError> {
    let mean = site.reduce("mean", "ReduceMean", x, axes, true)?;
    let centred = site.binary("centre", "Sub", x, mean)?;
    let square = site.binary("square", "Mul", centred, centred)?;
    let variance = site.reduce("variance", "ReduceMean", square, axes, true)?;
    let deviation = deviation(site, variance, epsilon)?;
    site.binary("divide", "Div", centred, deviation)
}

/// Channels in groups; the number of groups −1 is that of the channels.
fn group<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let axis = layer.int_or("axis", -1)?;
    let groups = layer.int_or("groups", 32)?;
    let rank = x.rank.ok_or_else(|| layer.error("is applied to a tensor of unknown rank"))?;
    let place = x.axis(axis).ok_or_else(|| layer.error(format!("has the axis {axis}")))?;
    let sizes = [Size::Axis(axis)];
    let (gamma, beta) = scale_and_shift(site, layer, x, &sizes)?;
    // [batch, …, groups, channels of one, …], normalised over all but the batch and the groups.
    let before = site.sizes_of(x, 0, Some(at(place)))?;
    let split = if groups == -1 {
        let channels = site.sizes_of(x, at(place), Some(at(place) + 1))?;
        let one = site.draft.ints(&[1])?;
        site.joined(&[channels, one])?
    } else {
        site.draft.ints(&[groups, -1])?
    };
    let mut parts = vec![before, split];
    if place + 1 < rank {
        parts.push(site.sizes_of(x, at(place) + 1, None)?);
    }
    let shape = site.joined(&parts)?;
    let grouped = site.one("groups", Op::onnx("Reshape"), &[Some(x.id), Some(shape)])?;
    let grouped = x.ranked(Some(rank + 1)).like(grouped);
    let over: Vec<i64> = (1..=rank).filter(|i| *i != place).map(at).collect();
    let y = standardised(site, grouped, &over, epsilon(layer, 1e-3))?;
    let shape = site.sizes_of(x, 0, None)?;
    let mut y = x.like(site.one("ungrouped", Op::onnx("Reshape"), &[Some(y.id), Some(shape)])?);
    let spread: Vec<i64> = (place + 1..rank).map(at).map(|i| i - at(place)).collect();
    for (factor, op) in [(gamma, "Mul"), (beta, "Add")] {
        let Some(mut factor) = factor else { continue };
        if !spread.is_empty() {
            factor = site.axes("spread", "Unsqueeze", factor, &spread)?;
        }
        y = site.binary("", op, y, factor)?;
    }
    Ok(vec![y])
}

/// Mean and variance are in the configuration, or adapted to data and stored.
fn adapted<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let x = if x.dtype.is_some_and(crate::ir::DType::is_float) {
        x
    } else {
        site.cast(x, site.compute)?
    };
    let given = |key: &str| layer.get(key).is_some_and(|v| v.is_number() || v.is_array());
    let (mean, deviation) = if given("mean") && given("variance") {
        let count = |key: &str| match layer.get(key) {
            Some(Value::Array(list)) => flat(list),
            _ => 0,
        };
        let most = count("mean").max(count("variance"));
        let mean = numbers(site, most, x)?;
        let deviation = numbers(site, most, x)?;
        (mean, deviation)
    } else {
        let axes = axes(layer, -1)?;
        let sizes: Vec<Size> = axes.iter().map(|axis| Size::Axis(*axis)).collect();
        let mean = site.variable(layer, "mean", x, &sizes)?;
        let variance = site.variable(layer, "variance", x, &sizes)?;
        // How many samples there were.
        (mean, site.map("deviation", "Sqrt", variance)?)
    };
    if layer.flag("invert", false) {
        let y = site.binary("scale", "Mul", x, deviation)?;
        return Ok(vec![site.binary("", "Add", y, mean)?]);
    }
    let y = site.binary("centre", "Sub", x, mean)?;
    Ok(vec![site.binary("", "Div", y, deviation)?])
}

/// How many numbers are in nested lists.
fn flat(list: &[Value]) -> i64 {
    list.iter().map(|v| v.as_array().map_or(1, |inner| flat(inner))).sum()
}

/// Numbers of the configuration: a single one, or one for each place of the last axis.
fn numbers(site: &mut Site<'_, '_, '_>, count: i64, like: T) -> Result<T, LoadError> {
    if count <= 1 { site.number(1.0, like) } else { site.filled(1.0, &[count], like) }
}

/// The layer inside, at inference; what it is normalised with is stored beside its weights.
fn spectral<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let value = layer.get("layer").ok_or_else(|| layer.error("has no layer inside"))?;
    let inner = site.state.inner(layer, value, "layer")?;
    call_inner(site, &inner, inputs, context)
}

fn unit<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let x = input(layer, inputs)?;
    let axes = axes(layer, -1)?;
    if let [axis] = axes[..] {
        let op = Op::onnx("LpNormalization").with("axis", axis).with("p", 2_i64);
        return Ok(vec![x.like(site.one("", op, &[Some(x.id)])?)]);
    }
    let norm = site.reduce("norm", "ReduceL2", x, &axes, true)?;
    Ok(vec![site.binary("", "Div", x, norm)?])
}
