//! Norms and softmax.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::operands::with;
use super::{Args, Row, own, signed, single};
use crate::dim::Dim;
use crate::ir::{DType, Elem, TensorInfo};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("batch_norm", "BatchNormalization", batch_norm::<7>), own("native_batch_norm", "BatchNormalization", native_batch_norm::<2>), own("_native_batch_norm_legit", "BatchNormalization", native_batch_norm::<2>), own("_native_batch_norm_legit_no_training", "BatchNormalization", legit::<2>), own("_batch_norm_with_update", "BatchNormalization", legit::<3>), own("_batch_norm_impl_index", "BatchNormalization", native_batch_norm::<4>), own("cudnn_batch_norm", "BatchNormalization", native_batch_norm::<3>), own("miopen_batch_norm", "BatchNormalization", native_batch_norm::<2>),
    own("instance_norm", "InstanceNormalization", instance_norm), own("layer_norm", "LayerNormalization", layer_norm), own("native_layer_norm", "LayerNormalization", native_layer_norm), own("group_norm", "GroupNormalization", group_norm), own("native_group_norm", "GroupNormalization", native_group_norm),
    own("rms_norm", "RMSNormalization", rms_norm), own("_fused_rms_norm", "RMSNormalization", fused_rms_norm), own("local_response_norm", "LRN", lrn),
    own("softmax", "Softmax", softmax), own("_softmax", "Softmax", softmax), own("_safe_softmax", "Softmax", softmax), own("special_softmax", "Softmax", softmax), own("log_softmax", "LogSoftmax", log_softmax), own("_log_softmax", "LogSoftmax", log_softmax), own("special_log_softmax", "LogSoftmax", log_softmax), own("softmin", "Neg, Softmax", softmin), own("_weight_norm", "Mul, ReduceSum, Sqrt, Div", weight_norm), own("_weight_norm_interface", "Mul, ReduceSum, Sqrt, Div", weight_norm_interface), own("_masked_softmax", "Add, Softmax", masked_softmax),
];

fn beside(made: Tensor, more: usize) -> Value {
    let mut all = vec![Value::Tensor(made)];
    let why = "what a normalisation returns beside its result is read";
    all.extend(std::iter::repeat_n(Value::Absent(why), more));
    Value::tuple(all)
}

/// A constant of one for each channel of `x`, or as many as are known.
fn ones(site: &mut Site<'_, '_>, x: &Tensor, like: Option<&Tensor>) -> Lowered<Tensor> {
    let size = match like.and_then(Tensor::sizes) {
        Some(sizes) => sizes.first().copied().map(Value::Int),
        None => None,
    };
    let size = match size {
        Some(size) => size,
        None => site.size(x, 1)?,
    };
    let shape = site.list(&[size])?;
    let one = TensorInfo::new(Some(DType::F32), vec![Dim::ONE]).with_value(vec![Elem::Float(1.0)]);
    let op = Op::onnx("ConstantOfShape").with("value", one);
    Ok(site.unary(op, &shape)?.ranked(Some(1)).typed(x.dtype()))
}

fn batch(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    given: [Option<Tensor>; 4],
    epsilon: f64,
) -> Lowered<Tensor> {
    let mut all = Vec::new();
    let like = given.iter().flatten().next().cloned();
    for part in given {
        all.push(match part {
            Some(part) => part,
            None => ones(site, x, like.as_ref())?,
        });
    }
    let inputs: Vec<Option<&Tensor>> = std::iter::once(x).chain(&all).map(Some).collect();
    site.emit(Op::onnx("BatchNormalization").with("epsilon", single(epsilon)), &inputs)
}

fn parts(arguments: &Args) -> Lowered<[Option<Tensor>; 4]> {
    Ok([
        arguments.maybe(1, "weight")?,
        arguments.maybe(2, "bias")?,
        arguments.maybe(3, "running_mean")?,
        arguments.maybe(4, "running_var")?,
    ])
}

fn batch_norm<const EPSILON: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let epsilon = arguments.float(EPSILON, "eps", 1e-5);
    Ok(Value::Tensor(batch(site, &arguments.x()?, parts(arguments)?, epsilon)?))
}

/// With so many more outputs.
fn native_batch_norm<const MORE: usize>(
    site: &mut Site<'_, '_>,
    arguments: &Args,
) -> Lowered<Value> {
    // One form has no running statistics: the flag for training stands there.
    let bare = matches!(arguments.get(3, "training"), Some(Value::Bool(_)));
    let epsilon = arguments.float(if bare { 5 } else { 7 }, "eps", 1e-5);
    let given = if bare {
        [arguments.maybe(1, "weight")?, arguments.maybe(2, "bias")?, None, None]
    } else {
        parts(arguments)?
    };
    Ok(beside(batch(site, &arguments.x()?, given, epsilon)?, MORE))
}

/// Without a flag for training.
fn legit<const MORE: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let epsilon = arguments.float(6, "eps", 1e-5);
    Ok(beside(batch(site, &arguments.x()?, parts(arguments)?, epsilon)?, MORE))
}

fn instance_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let (weight, bias) = (arguments.maybe(1, "weight")?, arguments.maybe(2, "bias")?);
    let epsilon = arguments.float(7, "eps", 1e-5);
    if arguments.get(5, "use_input_stats").is_some() && !arguments.flag(5, "use_input_stats") {
        return Ok(Value::Tensor(batch(site, &x, parts(arguments)?, epsilon)?));
    }
    let weight = match weight {
        Some(weight) => weight,
        None => ones(site, &x, None)?,
    };
    let bias = match bias {
        Some(bias) => bias,
        None => ones(site, &x, Some(&weight))?,
    };
    let op = Op::onnx("InstanceNormalization").with("epsilon", single(epsilon));
    Ok(Value::Tensor(site.emit(op, &[Some(&x), Some(&weight), Some(&bias)])?))
}

fn layered(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Tensor> {
    let x = arguments.x()?;
    let shape = arguments.list(1, "normalized_shape");
    let axes = shape.as_ref().map_or(1, Vec::len);
    let (weight, bias) = (arguments.maybe(2, "weight")?, arguments.maybe(3, "bias")?);
    let epsilon = single(arguments.float(4, "eps", 1e-5));
    let op = Op::onnx("LayerNormalization").with("axis", -signed(axes)).with("epsilon", epsilon);
    let weight = match weight {
        Some(weight) => weight,
        None => constant_ones(site, shape.as_deref().unwrap_or_default(), &x)?,
    };
    site.emit(op, &[Some(&x), Some(&weight), bias.as_ref()])
}

fn constant_ones(site: &mut Site<'_, '_>, shape: &[Value], like: &Tensor) -> Lowered<Tensor> {
    let rank = shape.len();
    let shape = site.list(shape)?;
    let one = TensorInfo::new(Some(DType::F32), vec![Dim::ONE]).with_value(vec![Elem::Float(1.0)]);
    let made = site.unary(Op::onnx("ConstantOfShape").with("value", one), &shape)?;
    Ok(made.ranked(Some(rank)).typed(like.dtype()))
}

fn layer_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Tensor(layered(site, arguments)?))
}

fn native_layer_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(layered(site, arguments)?, 2))
}

fn grouped(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    groups: i64,
    at: [usize; 3],
) -> Lowered<Tensor> {
    let x = arguments.x()?;
    let weight = match arguments.maybe(at[0], "weight")? {
        Some(weight) => weight,
        None => ones(site, &x, None)?,
    };
    let bias = match arguments.maybe(at[1], "bias")? {
        Some(bias) => bias,
        None => ones(site, &x, Some(&weight))?,
    };
    let op = Op::onnx("GroupNormalization")
        .with("num_groups", groups)
        .with("epsilon", single(arguments.float(at[2], "eps", 1e-5)));
    site.emit(op, &[Some(&x), Some(&weight), Some(&bias)])
}

fn group_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let groups = arguments.int(1, "num_groups", 1)?;
    Ok(Value::Tensor(grouped(site, arguments, groups, [2, 3, 4])?))
}

fn native_group_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let groups = arguments.int(6, "group", 1)?;
    Ok(beside(grouped(site, arguments, groups, [1, 2, 7])?, 2))
}

fn rms(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Tensor> {
    let x = arguments.x()?;
    let shape = arguments.list(1, "normalized_shape").unwrap_or_default();
    let weight = match arguments.maybe(2, "weight")? {
        Some(weight) => weight,
        None => constant_ones(site, &shape, &x)?,
    };
    let op = Op::onnx("RMSNormalization").with("axis", -signed(shape.len().max(1)));
    site.emit(op, &[Some(&x), Some(&weight)])
}

fn rms_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Tensor(rms(site, arguments)?))
}

fn fused_rms_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(beside(rms(site, arguments)?, 1))
}

fn lrn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::onnx("LRN").with("size", arguments.int(1, "size", 5)?);
    Ok(Value::Tensor(site.unary(op, &arguments.x()?)?))
}

fn soft(site: &mut Site<'_, '_>, op: &str, x: &Tensor, arguments: &Args) -> Lowered<Value> {
    let x = match arguments.dtype(2, "dtype") {
        // What says that halves become f32 may stand there.
        Some(dtype) if !matches!(arguments.get(2, "half_to_float"), Some(Value::Bool(_))) => {
            site.cast(x, dtype)?
        }
        _ => super::operands::floating(site, x)?,
    };
    let op = Op::onnx(op).with("axis", arguments.int(1, "dim", -1)?);
    Ok(Value::Tensor(site.unary(op, &x)?))
}

fn softmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    soft(site, "Softmax", &arguments.x()?, arguments)
}

fn log_softmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    soft(site, "LogSoftmax", &arguments.x()?, arguments)
}

fn softmin(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = site.unary(Op::onnx("Neg"), &arguments.x()?)?;
    soft(site, "Softmax", &x, arguments)
}

fn masked_softmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = with(site, "Add", &arguments.x()?, &arguments.tensor(1, "mask")?)?;
    let op = Op::onnx("Softmax").with("axis", arguments.int(2, "dim", -1)?);
    Ok(Value::Tensor(site.unary(op, &x)?))
}

/// A direction times a length, both of the weights.
fn weight_norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Tensor(weight_and_length(site, arguments)?.0))
}

fn weight_norm_interface(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (weight, length) = weight_and_length(site, arguments)?;
    Ok(Value::tensors(vec![weight, length]))
}

fn weight_and_length(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<(Tensor, Tensor)> {
    let (v, g) = (arguments.tensor(0, "v")?, arguments.tensor(1, "g")?);
    let Some(rank) = v.rank() else { return unable("weights of an unknown number of axes") };
    let kept = super::axis(arguments.int(2, "dim", 0)?, Some(rank)).unwrap_or(rank);
    let axes: Vec<i64> = (0..rank).filter(|axis| *axis != kept).map(signed).collect();
    let square = with(site, "Mul", &v, &v)?;
    let axes = site.ints(&axes)?;
    let op = Op::onnx("ReduceSum").with("keepdims", 1_i64);
    let sum = site.emit(op, &[Some(&square), Some(&axes)])?;
    let length = site.unary(Op::onnx("Sqrt"), &sum)?;
    let unit = with(site, "Div", &v, &length)?;
    Ok((with(site, "Mul", &unit, &g)?, length))
}
