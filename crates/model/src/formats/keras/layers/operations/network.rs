//! Products, convolutions, pooling, norms and activations as operations.

use super::super::super::super::draft::Op;
use super::super::super::site::{Site, T};
use super::super::{self as layers, Window};
use super::arithmetic::{activation, promoted};
use super::{Asked, LoadError, Maybe, Row, at, one, row};
use crate::ir::DType;
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("AveragePool", "AveragePool", pool),
    row("BatchNorm", "arithmetic", batch_norm),
    row("BatchNormalization", "arithmetic", batch_norm),
    row("Celu", "Celu", activate),
    row("Conv", "Conv", conv),
    row("ConvTranspose", "ConvTranspose", conv_transpose),
    row("DepthToSpace", "DepthToSpace", depth),
    row("DepthwiseConv", "Conv", depthwise),
    row("Dot", "MatMul", matmul),
    row("DotProductAttention", "Einsum, Softmax, Einsum", attention),
    row("Einsum", "Einsum", einsum),
    row("Elu", "Elu", activate),
    row("Gelu", "Gelu", gelu),
    row("Glu", "Split, Sigmoid, Mul", activate),
    row("HardShrink", "Shrink", activate),
    row("HardSigmoid", "HardSigmoid", activate),
    row("HardSilu", "HardSwish", activate),
    row("HardTanh", "Clip", activate),
    row("Inner", "Einsum", inner),
    row("LayerNorm", "LayerNormalization", layer_norm),
    row("LeakyRelu", "LeakyRelu", leaky),
    row("LogSigmoid", "Neg, Softplus, Neg", activate),
    row("LogSoftmax", "LogSoftmax", softmax),
    row("Matmul", "MatMul", matmul),
    row("MaxPool", "MaxPool", pool),
    row("Mish", "Mish", activate),
    row("MultiHot", "OneHot, ReduceMax", multi_hot),
    row("Outer", "Mul", outer),
    row("RMSNorm", "RMSNormalization", layer_norm),
    row("Relu", "Relu", activate),
    row("Relu6", "Clip", activate),
    row("Resize", "Resize", resize),
    row("Selu", "Selu", activate),
    row("SeparableConv", "Conv, Conv", separable),
    row("Sigmoid", "Sigmoid", activate),
    row("Silu", "Sigmoid, Mul", activate),
    row("SoftShrink", "Shrink", activate),
    row("Softmax", "Softmax", softmax),
    row("Softplus", "Softplus", activate),
    row("Softsign", "Softsign", activate),
    row("SpaceToDepth", "SpaceToDepth", depth),
    row("SparsePlus", "Add, Mul, Div, Clip", activate),
    row("SparseSigmoid", "HardSigmoid", activate),
    row("Squareplus", "Mul, Add, Sqrt, Div", activate),
    row("Tanh", "Tanh", activate),
    row("TanhShrink", "Tanh, Sub", activate),
    row("Tensordot", "Einsum", tensordot),
    row("TfAveragePool", "AveragePool", pool),
    row("TfConv", "Conv", conv),
    row("TfDepthwiseConv", "Conv", depthwise),
    row("TfMaxPool", "MaxPool", pool),
    row("Threshold", "ThresholdedRelu", activate),
];

/// The name of an activation from that of its operation.
fn activate<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let mut name = String::new();
    for (i, c) in asked.name.chars().enumerate() {
        if c.is_uppercase() && i > 0 {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    Ok(activation(site, &name, x)?.map(|y| vec![y]))
}

fn gelu<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let usual = asked.modern;
    let tanh = asked.plain(1, &["approximate"]).map_or(usual, super::truthy);
    let op = Op::onnx("Gelu").with("approximate", if tanh { "tanh" } else { "none" });
    one(x.like(site.one("", op, &[Some(x.id)])?))
}

#[allow(clippy::cast_possible_truncation)]
fn leaky<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let slope = asked.float(1, &["negative_slope", "alpha"]).unwrap_or(0.2) as f32;
    one(layers::rectify(site, x, slope, None, 0.0)?)
}

fn softmax<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axis = match asked.ints(1, &["axis"]) {
        Some(axes) => match axes[..] {
            [axis] => axis,
            _ => return Ok(None),
        },
        None if asked.layer.get("axis").is_none() && asked.layer.config.contains_key("axis") => {
            // All axes as one.
            let flat = site.reshape("flat", x, &[-1])?;
            let y = site.map("softmax", asked.name, flat)?;
            let shape = site.sizes_of(x, 0, None)?;
            return one(x.like(site.one("", Op::onnx("Reshape"), &[Some(y.id), Some(shape)])?));
        }
        None => -1,
    };
    let op = Op::onnx(asked.name).with("axis", axis);
    one(x.like(site.one("", op, &[Some(x.id)])?))
}

/// The last two axes the other way round.
fn turned(site: &mut Site<'_, '_, '_>, x: T) -> Result<Option<T>, LoadError> {
    let Some(rank) = x.rank.filter(|rank| *rank >= 2) else { return Ok(None) };
    let mut order: Vec<i64> = (0..at(rank)).collect();
    order.swap(rank - 1, rank - 2);
    site.transpose("turned", x, &order).map(Some)
}

fn matmul<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(mut a), Some(mut b)) =
        (asked.tensor(site, 0, &["x1", "a"])?, asked.tensor(site, 1, &["x2", "b"])?)
    else {
        return Ok(None);
    };
    for (t, names) in
        [(&mut a, ["transpose_a", "adjoint_a"]), (&mut b, ["transpose_b", "adjoint_b"])]
    {
        if names.iter().any(|name| asked.flag(usize::MAX, &[name])) {
            match turned(site, *t)? {
                Some(other) => *t = other,
                None => return Ok(None),
            }
        }
    }
    if asked.name == "Dot" && (a.rank.is_none_or(|r| r > 2) || b.rank.is_none_or(|r| r > 2)) {
        return match (a.rank, b.rank) {
            (Some(m), Some(n)) if m > 0 && n > 1 => contracted(site, a, b, &[m - 1], &[n - 2]),
            _ => Ok(None),
        };
    }
    let (a, b) = promoted(site, a, b)?;
    let id = site.one("", Op::onnx("MatMul"), &[Some(a.id), Some(b.id)])?;
    let rank = a.rank.zip(b.rank).map(|ranks| match ranks {
        (1, 1) => 0,
        (1, n) | (n, 1) => n - 1,
        (m, n) => m.max(n),
    });
    one(a.ranked(rank).like(id))
}

/// A sum over these axes of both, all others being kept.
fn contracted(site: &mut Site<'_, '_, '_>, a: T, b: T, left: &[usize], right: &[usize]) -> Maybe {
    let (Some(m), Some(n)) = (a.rank, b.rank) else { return Ok(None) };
    let mut letters = ('a'..='z').chain('A'..='Z');
    let first: Vec<char> = letters.by_ref().take(m).collect();
    let mut second: Vec<char> = letters.by_ref().take(n).collect();
    if first.len() < m || second.len() < n || left.len() != right.len() {
        return Ok(None);
    }
    for (i, j) in left.iter().zip(right) {
        let (Some(letter), Some(place)) = (first.get(*i), second.get_mut(*j)) else {
            return Ok(None);
        };
        *place = *letter;
    }
    let kept = first.iter().enumerate().filter(|(i, _)| !left.contains(i)).map(|(_, c)| c);
    let others = second.iter().enumerate().filter(|(j, _)| !right.contains(j)).map(|(_, c)| c);
    let output: String = kept.chain(others).collect();
    let term = |list: &[char]| list.iter().collect::<String>();
    let equation = format!("{},{}->{output}", term(&first), term(&second));
    let (a, b) = promoted(site, a, b)?;
    one(layers::einsum(site, "", &equation, &[a, b])?)
}

fn tensordot<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(a), Some(b)) =
        (asked.tensor(site, 0, &["x1", "a"])?, asked.tensor(site, 1, &["x2", "b"])?)
    else {
        return Ok(None);
    };
    let (Some(m), Some(n)) = (a.rank, b.rank) else { return Ok(None) };
    let axes = asked.plain(2, &["axes"]);
    let list = |value: &Value, t: T| -> Option<Vec<usize>> {
        super::integers(value)?.into_iter().map(|axis| t.axis(axis)).collect()
    };
    let pair = match axes {
        Some(Value::Array(pair)) if pair.len() == 2 => list(&pair[0], a).zip(list(&pair[1], b)),
        other => {
            let count = other.map_or(Some(2), super::integer).and_then(|n| usize::try_from(n).ok());
            count.filter(|c| *c <= m && *c <= n).map(|c| ((m - c..m).collect(), (0..c).collect()))
        }
    };
    match pair {
        Some((left, right)) => contracted(site, a, b, &left, &right),
        None => Ok(None),
    }
}

fn inner<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(a), Some(b)) = (asked.tensor(site, 0, &["x1"])?, asked.tensor(site, 1, &["x2"])?)
    else {
        return Ok(None);
    };
    match (a.rank, b.rank) {
        (Some(m), Some(n)) if m > 0 && n > 0 => contracted(site, a, b, &[m - 1], &[n - 1]),
        _ => Ok(None),
    }
}

fn outer<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(a), Some(b)) = (asked.tensor(site, 0, &["x1"])?, asked.tensor(site, 1, &["x2"])?)
    else {
        return Ok(None);
    };
    let (a, b) = promoted(site, a, b)?;
    let (a, b) = (site.reshape("column", a, &[-1, 1])?, site.reshape("row", b, &[1, -1])?);
    one(site.binary("", "Mul", a, b)?)
}

fn einsum<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let equation = asked.text(usize::MAX, &["subscripts", "equation"]);
    let from = usize::from(equation.is_none());
    let Some(equation) = equation.or_else(|| asked.text(0, &[])) else { return Ok(None) };
    let mut operands = Vec::new();
    for arg in asked.inputs.args.iter().skip(from) {
        match arg {
            super::Arg::List(list) => {
                for arg in list {
                    operands.extend(super::tensor(site, arg, asked.inputs.first())?);
                }
            }
            arg => operands.extend(super::tensor(site, arg, asked.inputs.first())?),
        }
    }
    if operands.is_empty()
        || operands.len() != equation.split("->").next().unwrap_or("").split(',').count()
    {
        return Ok(None);
    }
    one(layers::einsum(site, "", equation, &operands)?)
}

/// The window of a convolution whose kernel is a tensor of these sizes.
fn window(asked: &Asked<'_, '_>, kernel: Vec<i64>, first: bool) -> Option<Window> {
    let n = kernel.len();
    let sizes = |names: &[&str]| match asked.ints(usize::MAX, names) {
        None => Some(vec![1; n]),
        Some(list) if list.len() == 1 => Some(vec![list[0]; n]),
        Some(list) if list.len() == n => Some(list),
        // TensorFlow states sizes of all axes.
        Some(list) if list.len() == n + 2 => {
            let from = if first { 2 } else { 1 };
            Some(list[from..from + n].to_vec())
        }
        Some(_) => None,
    };
    let padding = asked.text(usize::MAX, &["padding"]).unwrap_or("valid").to_lowercase();
    let strides = sizes(&["strides", "stride"])?;
    let dilations = sizes(&["dilation_rate", "dilations", "rate"])?;
    let positive = |list: &[i64]| list.iter().all(|n| *n > 0);
    (matches!(padding.as_str(), "same" | "valid") && positive(&strides) && positive(&dilations))
        .then_some(Window { kernel, strides, dilations, padding, first })
}

fn channels_first(asked: &Asked<'_, '_>) -> bool {
    let format = asked.text(usize::MAX, &["data_format"]).unwrap_or("channels_last");
    format == "channels_first" || format.starts_with("NC")
}

/// The image, the kernel, and the sizes of the kernel, which must be known.
fn filter<'j>(
    site: &mut Site<'_, '_, 'j>,
    asked: &Asked<'_, 'j>,
) -> Result<Option<(T, T, Window)>, LoadError> {
    const KERNEL: &[&str] = &["kernel", "filters", "filter", "depthwise_kernel"];
    let x = asked.tensor(site, 0, &["inputs", "input", "x"])?;
    let (Some(x), Some(kernel)) = (x, asked.tensor(site, 1, KERNEL)?) else { return Ok(None) };
    let sizes = asked.plain(1, KERNEL).and_then(|value| {
        super::sizes(value.get("config").and_then(|c| c.get("value")).unwrap_or(value))
    });
    let Some((sizes, _)) = sizes.filter(|(sizes, _)| sizes.len() > 2) else { return Ok(None) };
    let spatial = sizes[..sizes.len() - 2].to_vec();
    Ok(window(asked, spatial, channels_first(asked)).map(|window| (x, kernel, window)))
}

fn conv<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((x, kernel, window)) = filter(site, asked)? else { return Ok(None) };
    one(layers::convolve(site, "", (x, kernel, None), &window, 0)?)
}

fn depthwise<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((x, kernel, window)) = filter(site, asked)? else { return Ok(None) };
    one(layers::convolve_depthwise(site, "", (x, kernel, None), &window)?)
}

fn separable<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((x, kernel, window)) = filter(site, asked)? else { return Ok(None) };
    let Some(point) = asked.tensor(site, 2, &["pointwise_kernel"])? else { return Ok(None) };
    let y = layers::convolve_depthwise(site, "depthwise", (x, kernel, None), &window)?;
    let ones = vec![1; window.kernel.len()];
    let window = Window { kernel: ones.clone(), strides: ones.clone(), dilations: ones, ..window };
    one(layers::convolve(site, "", (y, point, None), &window, 1)?)
}

fn conv_transpose<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((x, kernel, window)) = filter(site, asked)? else { return Ok(None) };
    let n = window.kernel.len();
    let extra = asked.ints(usize::MAX, &["output_padding"]);
    let extra = extra.map(|list| if list.len() == 1 { vec![list[0]; n] } else { list });
    if extra.as_ref().is_some_and(|list| list.len() != n) {
        return Ok(None);
    }
    one(layers::deconvolve(site, "", (x, kernel, None), &window, extra.as_deref())?)
}

fn pool<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(n) = x.rank.and_then(|rank| rank.checked_sub(2)).filter(|n| *n > 0) else {
        return Ok(None);
    };
    let first = channels_first(asked);
    let sizes = |at: usize, names: &[&str]| match asked.ints(at, names) {
        Some(list) if list.len() == 1 => Some(vec![list[0]; n]),
        Some(list) if list.len() == n => Some(list),
        Some(list) if list.len() == n + 2 => {
            let from = if first { 2 } else { 1 };
            Some(list[from..from + n].to_vec())
        }
        _ => None,
    };
    let Some(kernel) = sizes(1, &["pool_size", "ksize"]) else { return Ok(None) };
    let strides = sizes(2, &["strides"]).unwrap_or_else(|| kernel.clone());
    let name = if asked.name.contains("Max") { "MaxPool" } else { "AveragePool" };
    let op = if first { Op::onnx(name) } else { Op::own(name) };
    let op = op.with("kernel_shape", kernel).with("strides", strides);
    let same = asked.text(3, &["padding"]).unwrap_or("valid").eq_ignore_ascii_case("same");
    let op = if same { op.with("auto_pad", "SAME_UPPER") } else { op };
    one(x.like(site.one("", op, &[Some(x.id)])?))
}

fn batch_norm<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let mut operands = Vec::new();
    for (i, name) in ["mean", "variance", "offset", "scale"].into_iter().enumerate() {
        operands.push(asked.tensor(site, i + 1, &[name])?);
    }
    let (Some(x), Some(mean), Some(variance)) = (asked.x(site)?, operands[0], operands[1]) else {
        return Ok(None);
    };
    if asked.int(usize::MAX, &["axis"]).is_some_and(|axis| !x.is_last(axis)) {
        return Ok(None);
    }
    let y = site.binary("centre", "Sub", x, mean)?;
    let epsilon = asked.float(usize::MAX, &["epsilon", "variance_epsilon"]).unwrap_or(1e-3);
    let epsilon = site.number(epsilon, variance)?;
    let sum = site.binary("variance", "Add", variance, epsilon)?;
    let deviation = site.map("deviation", "Sqrt", sum)?;
    let mut y = site.binary("divide", "Div", y, deviation)?;
    if let Some(scale) = operands[3] {
        y = site.binary("scale", "Mul", y, scale)?;
    }
    if let Some(offset) = operands[2] {
        y = site.binary("offset", "Add", y, offset)?;
    }
    one(y)
}

fn layer_norm<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let root = asked.name == "RMSNorm" || asked.flag(usize::MAX, &["rms_scaling"]);
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axes = asked.ints(usize::MAX, &["axis"]).unwrap_or_else(|| vec![-1]);
    let [axis] = axes[..] else { return Ok(None) };
    if !x.is_last(axis) {
        return Ok(None);
    }
    let gamma = match asked.tensor(site, 1, &["gamma", "scale"])? {
        Some(gamma) => gamma,
        None => {
            let shape = site.sizes_of(x, -1, None)?;
            site.fill(1.0, shape, x)?.ranked(Some(1))
        }
    };
    let beta = if root { None } else { asked.tensor(site, 2, &["beta"])? };
    let op =
        Op::onnx(if root { "RMSNormalization" } else { "LayerNormalization" }).with("axis", -1_i64);
    let mut inputs = vec![Some(x.id), Some(gamma.id)];
    inputs.extend(beta.map(|beta| Some(beta.id)));
    one(x.like(site.one("", op, &inputs)?))
}

/// `[batch, steps, heads, width]`.
fn attention<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let q = asked.tensor(site, 0, &["query"])?;
    let (k, v) = (asked.tensor(site, 1, &["key"])?, asked.tensor(site, 2, &["value"])?);
    let (Some(q), Some(k), Some(v)) = (q, k, v) else { return Ok(None) };
    if asked.arg(3, &["bias"]).is_some() {
        return Ok(None);
    }
    let scale = site.number(asked.float(5, &["scale"]).unwrap_or(0.125), q)?;
    let q = site.binary("scale", "Mul", q, scale)?;
    let mut scores = layers::einsum(site, "scores", "btnh,bsnh->bnts", &[q, k])?;
    if let Some(mask) = asked.tensor(site, 4, &["mask"])? {
        let mask = site.cast(mask, DType::Bool)?;
        let low = site.number(-1e9, scores)?;
        let inputs = [Some(mask.id), Some(scores.id), Some(low.id)];
        scores = scores.like(site.one("mask", Op::onnx("Where"), &inputs)?);
    }
    let op = Op::onnx("Softmax").with("axis", -1_i64);
    let scores = scores.like(site.one("softmax", op, &[Some(scores.id)])?);
    one(layers::einsum(site, "", "bnts,bsnh->btnh", &[scores, v])?)
}

fn depth<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(size) = asked.int(1, &["block_size"]) else { return Ok(None) };
    let op = if channels_first(asked) { Op::onnx(asked.name) } else { Op::own(asked.name) };
    one(x.like(site.one("", op.with("blocksize", size), &[Some(x.id)])?))
}

fn resize<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(sizes) = asked.ints(1, &["size"]).filter(|sizes| sizes.len() == 2) else {
        return Ok(None);
    };
    let axes = if channels_first(asked) { [-2, -1] } else { [-3, -2] };
    let how = layers::mode(asked.text(2, &["interpolation", "method"]).unwrap_or("bilinear"));
    let x = if how == "nearest" || x.dtype.is_none_or(DType::is_float) {
        x
    } else {
        site.cast(x, DType::F32)?
    };
    one(layers::resized(site, x, &axes, &sizes, how)?)
}

fn multi_hot<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(count) = asked.int(1, &["num_classes", "num_tokens"]) else { return Ok(None) };
    let indices = site.cast(x, DType::I64)?;
    let (depth, values) = (site.draft.int(count)?, site.draft.floats(&[0.0, 1.0])?);
    let hot =
        site.one("hot", Op::onnx("OneHot"), &[Some(indices.id), Some(depth), Some(values)])?;
    let hot = T { id: hot, rank: x.rank.map(|rank| rank + 1), dtype: Some(DType::F32) };
    if hot.rank == Some(2) {
        return one(hot);
    }
    one(site.reduce("", "ReduceMax", hot, &[-2], false)?)
}
