//! Quantised operators, with their weights packed beside the bias.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Object, Tensor, Value, unable};
use super::{Args, Row, own, same, single};
use crate::ir::DType;
use std::rc::Rc;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("quantize_per_tensor", "QuantizeLinear", quantize), own("quantize_per_channel", "QuantizeLinear", quantize_channel), own("quantize_per_tensor_dynamic", "DynamicQuantizeLinear", quantize_dynamic), own("dequantize", "DequantizeLinear", dequantize), same("int_repr"), own("q_scale", "a constant", q_scale), own("q_zero_point", "a constant", q_zero), own("_choose_qparams_per_tensor", "constants", choose),
    own("quantized_decomposed::quantize_per_tensor", "QuantizeLinear", quantize_decomposed), own("quantized_decomposed::quantize_per_channel", "QuantizeLinear", quantize_decomposed), own("quantized_decomposed::dequantize_per_tensor", "DequantizeLinear", dequantize_decomposed), own("quantized_decomposed::dequantize_per_channel", "DequantizeLinear", dequantize_decomposed), own("quantized_decomposed::choose_qparams", "constants", choose),
    own("fake_quantize_per_tensor_affine", "QuantizeLinear, DequantizeLinear", fake), own("fake_quantize_per_channel_affine", "QuantizeLinear, DequantizeLinear", fake),
    own("quantized::conv1d", "QLinearConv", conv), own("quantized::conv2d", "QLinearConv", conv), own("quantized::conv3d", "QLinearConv", conv), own("quantized::conv1d_relu", "QLinearConv", conv), own("quantized::conv2d_relu", "QLinearConv", conv), own("quantized::conv3d_relu", "QLinearConv", conv), own("quantized::conv2d_add", "QLinearConv, QLinearAdd", conv), own("quantized::conv2d_dynamic", "DynamicQuantizeLinear, ConvInteger", conv_dynamic), own("quantized::conv1d_dynamic", "DynamicQuantizeLinear, ConvInteger", conv_dynamic),
    own("quantized::linear", "QGemm", linear), own("quantized::linear_relu", "QGemm", linear), own("quantized::linear_dynamic", "DynamicQuantizeMatMul", linear_dynamic), own("quantized::linear_relu_dynamic", "DynamicQuantizeMatMul, Relu", linear_dynamic), own("quantized::linear_dynamic_fp16", "MatMul", linear_half),
    own("quantized::add", "QLinearAdd", add), own("quantized::add_relu", "QLinearAdd", add), own("quantized::mul", "QLinearMul", mul), own("quantized::mul_relu", "QLinearMul", mul), own("quantized::add_scalar", "its input", scalar), own("quantized::mul_scalar", "its input", scalar), own("quantized::cat", "QLinearConcat", cat), own("quantized::relu6", "Clip", relu6), own("quantized::hardswish", "HardSwish", hardswish), own("quantized::sigmoid", "QLinearSigmoid", sigmoid), own("quantized::leaky_relu", "QLinearLeakyRelu", leaky), own("quantized::batch_norm2d", "BatchNormalization", unread), own("quantized::embedding_byte", "Gather", unread), own("quantized::softmax", "QLinearSoftmax", softmax),
    own("quantized::conv1d_prepack", "packed weights", pack_conv), own("quantized::conv2d_prepack", "packed weights", pack_conv), own("quantized::conv3d_prepack", "packed weights", pack_conv), own("quantized::linear_prepack", "packed weights", pack_linear), own("quantized::linear_prepack_fp16", "packed weights", pack_linear), own("quantized::conv2d_unpack", "the weights", unpack), own("quantized::linear_unpack", "the weights", unpack),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

/// Scale and zero of a tensor as constants of a type.
fn constants(site: &mut Site<'_, '_>, known: (f64, i64), dtype: DType) -> Lowered<[Tensor; 2]> {
    #[allow(clippy::cast_precision_loss)]
    let zero = known.1 as f64;
    Ok([site.scalar(known.0, DType::F32)?, site.scalar(zero, dtype)?])
}

fn of(site: &mut Site<'_, '_>, x: &Tensor) -> Lowered<[Tensor; 2]> {
    let known = x.known().quantized.unwrap_or((1.0, 0));
    constants(site, known, x.dtype().filter(|d| d.is_integer()).unwrap_or(DType::U8))
}

/// The scale and the zero of the output, from these arguments on.
fn given(arguments: &Args, at: usize) -> (f64, i64) {
    let scale = arguments.get(at, "scale").or_else(|| arguments.get(at, "output_scale"));
    let zero =
        arguments.get(at + 1, "zero_point").or_else(|| arguments.get(at + 1, "output_zero_point"));
    (scale.and_then(Value::as_float).unwrap_or(1.0), zero.and_then(Value::as_int).unwrap_or(0))
}

fn marked(made: Tensor, known: (f64, i64), dtype: DType) -> Tensor {
    made.change(|tensor| tensor.quantized = Some(known));
    made.typed(Some(dtype))
}

fn quantize(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(3, "dtype").unwrap_or(DType::U8);
    let known = given(arguments, 1);
    let [scale, zero] = constants(site, known, dtype)?;
    let made = site.emit(Op::onnx("QuantizeLinear"), &[Some(&x), Some(&scale), Some(&zero)])?;
    tensor(marked(made, known, dtype))
}

fn quantize_channel(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, scale) = (arguments.x()?, arguments.tensor(1, "scales")?);
    let dtype = arguments.dtype(4, "dtype").unwrap_or(DType::I8);
    let op = Op::onnx("QuantizeLinear")
        .with("axis", arguments.int(3, "axis", 0)?)
        .with("output_dtype", i64::from(dtype.onnx()));
    let made = site.emit(op, &[Some(&x), Some(&scale)])?;
    tensor(marked(made, (1.0, 0), dtype))
}

fn quantize_dynamic(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = site.several(Op::onnx("DynamicQuantizeLinear"), &[Some(&arguments.x()?)], 3)?;
    let made = made.into_iter().next();
    made.map_or_else(|| unable("no output"), |made| tensor(marked(made, (1.0, 0), DType::U8)))
}

fn dequantize(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    if let Some(all) = arguments.list(0, "tensors") {
        let mut made = Vec::new();
        for value in all {
            made.push(dequantize(site, &Args::of(vec![value]))?);
        }
        return Ok(Value::list(made));
    }
    let x = arguments.x()?;
    let [scale, zero] = of(site, &x)?;
    let made = site.emit(Op::onnx("DequantizeLinear"), &[Some(&x), Some(&scale), Some(&zero)])?;
    tensor(made.typed(Some(DType::F32)))
}

fn q_scale(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Float(arguments.x()?.known().quantized.map_or(1.0, |known| known.0)))
}

fn q_zero(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    Ok(Value::Int(arguments.x()?.known().quantized.map_or(0, |known| known.1)))
}

fn choose(site: &mut Site<'_, '_>, _: &Args) -> Lowered<Value> {
    let (scale, zero) = (site.scalar(1.0, DType::F32)?, site.int(0)?);
    Ok(Value::tensors(vec![scale, zero]))
}

/// `x, scale, zero, least, most, type`, or for each channel `x, scales, zeros, axis, least, most, type`.
fn quantize_decomposed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(99, "dtype").unwrap_or(DType::I8);
    let scale = arguments.get(1, "scale").or_else(|| arguments.get(1, "scales")).cloned();
    let scale = site.number(&scale.unwrap_or(Value::Float(1.0)))?;
    let op = Op::onnx("QuantizeLinear").with("axis", arguments.int(99, "axis", 0)?);
    let made = site.emit(op, &[Some(&x), Some(&scale)])?;
    tensor(marked(made, (1.0, 0), dtype))
}

fn dequantize_decomposed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let scale = arguments.get(1, "scale").or_else(|| arguments.get(1, "scales")).cloned();
    let scale = site.number(&scale.unwrap_or(Value::Float(1.0)))?;
    let op = Op::onnx("DequantizeLinear").with("axis", arguments.int(99, "axis", 0)?);
    tensor(site.emit(op, &[Some(&x), Some(&scale)])?.typed(Some(DType::F32)))
}

/// To whole numbers and back.
fn fake(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let (scale, zero) = (site.scalar(1.0, DType::F32)?, site.scalar(0.0, DType::U8)?);
    let op = Op::onnx("QuantizeLinear");
    let whole = site.emit(op, &[Some(&x), Some(&scale), Some(&zero)])?.typed(Some(DType::U8));
    let op = Op::onnx("DequantizeLinear");
    let made = site.emit(op, &[Some(&whole), Some(&scale), Some(&zero)])?;
    tensor(made.typed(x.dtype()))
}

/// What packed weights hold.
struct Packed {
    object: Rc<Object>,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Packed {
    fn ints(&self, name: &str, count: usize, default: i64) -> Vec<i64> {
        let list = self.object.get(name).and_then(|value| match value.members() {
            Some(members) => members.iter().map(Value::as_int).collect(),
            None => value.as_int().map(|n| vec![n; count]),
        });
        list.unwrap_or_else(|| vec![default; count])
    }
}

/// The settings of packed weights as the second and third version write them: numbers of axes, strides, pads,
/// dilations, pads of the output, groups and whether it is transposed.
fn settings(object: &Object) -> Option<()> {
    let ints = |value: &Value| -> Option<Vec<i64>> {
        match value {
            Value::Stored(stored) => stored.info.const_ints(),
            other => other.members()?.iter().map(Value::as_int).collect(),
        }
    };
    let (first, second) = (object.get("1")?, object.get("2")?);
    let (numbers, tensors) = match object.get("0")? {
        // Version 2: the settings are the first tensor.
        Value::Text(_) => {
            let all = first.members()?;
            let optional = second.members().unwrap_or_default();
            (
                ints(all.first()?)?,
                vec![all.get(1)?.clone(), optional.get(1).or(optional.first()).cloned()?],
            )
        }
        _ => (ints(&first)?, second.members()?.into_iter().skip(1).collect()),
    };
    let axes = usize::try_from(*numbers.first()?).ok()?;
    let part = |at: usize| numbers.get(1 + at * axes..1 + (at + 1) * axes).map(Value::ints);
    object.set("stride", part(0)?);
    object.set("padding", part(1)?);
    object.set("dilation", part(2)?);
    object.set("groups", Value::Int(*numbers.get(1 + 4 * axes)?));
    object.set("weight", tensors.first()?.clone());
    object.set("bias", tensors.get(1).cloned().unwrap_or(Value::None));
    Some(())
}

fn packed(site: &mut Site<'_, '_>, arguments: &Args, at: usize) -> Lowered<Packed> {
    let Some(Value::Object(object)) = arguments.get(at, "packed_weight") else {
        return unable("the packed weights are not known");
    };
    if object.get("weight").is_none() && settings(object).is_none() {
        // Of a linear layer: weights and bias.
        object.set("weight", object.get("0").unwrap_or(Value::None));
        object.set("bias", object.get("1").unwrap_or(Value::None));
    }
    let weight = object.get("weight").unwrap_or(Value::None);
    let bias = object.get("bias").unwrap_or(Value::None);
    let Value::Tensor(weight) = site.present(weight)? else {
        return unable("the packed weights are not known");
    };
    let bias = match site.present(bias)? {
        Value::Tensor(bias) => Some(bias),
        _ => None,
    };
    Ok(Packed { object: object.clone(), weight, bias })
}

fn conv(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let added = matches!(arguments.get(1, "extra"), Some(Value::Tensor(_)));
    let at = if added { 2 } else { 1 };
    let packed = packed(site, arguments, at)?;
    let op = window(&packed, "QLinearConv");
    // Early versions repeat strides, pads, dilations and groups.
    let at = if arguments.positional.len() > at + 3 { at + 5 } else { at + 1 };
    let known = given(arguments, at);
    let dtype = x.dtype().filter(|d| d.is_integer()).unwrap_or(DType::U8);
    let [xs, xz] = of(site, &x)?;
    let [ws, wz] = of(site, &packed.weight)?;
    let [ys, yz] = constants(site, known, dtype)?;
    let inputs = [&x, &xs, &xz, &packed.weight, &ws, &wz, &ys, &yz];
    let mut inputs: Vec<Option<&Tensor>> = inputs.into_iter().map(Some).collect();
    inputs.push(packed.bias.as_ref());
    let made = marked(site.emit(op, &inputs)?, known, dtype);
    if !added {
        return tensor(made);
    }
    let extra = arguments.tensor(1, "extra")?;
    pairwise(site, "QLinearAdd", &made, &extra, known)
}

fn window(packed: &Packed, op: &str) -> Op {
    let axes = packed.weight.rank().unwrap_or(4).saturating_sub(2);
    let pads = packed.ints("padding", axes, 0);
    Op::onnx(op)
        .with("strides", packed.ints("stride", axes, 1))
        .with("pads", [pads.clone(), pads].concat())
        .with("dilations", packed.ints("dilation", axes, 1))
        .with("group", packed.ints("groups", 1, 1).first().copied().unwrap_or(1))
}

fn dynamic(site: &mut Site<'_, '_>, x: &Tensor) -> Lowered<Vec<Tensor>> {
    let made = site.several(Op::onnx("DynamicQuantizeLinear"), &[Some(x)], 3)?;
    if made.len() < 3 { unable("no output") } else { Ok(made) }
}

fn conv_dynamic(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let packed = packed(site, arguments, 1)?;
    let parts = dynamic(site, &x)?;
    let op = window(&packed, "ConvInteger");
    let whole = site.emit(op, &[Some(&parts[0]), Some(&packed.weight)])?;
    let made = site.cast(&whole.typed(Some(DType::I32)), DType::F32)?;
    tensor(super::operands::with(site, "Mul", &made, &parts[1])?.ranked(x.rank()))
}

fn linear(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let packed = packed(site, arguments, 1)?;
    let known = given(arguments, 2);
    let dtype = x.dtype().filter(|d| d.is_integer()).unwrap_or(DType::U8);
    let flat = match x.rank() {
        Some(2) | None => x.clone(),
        Some(_) => {
            let width = site.size(&x, -1)?;
            let shape = site.list(&[Value::Int(-1), width])?;
            site.reshape(&x, &shape)?.ranked(Some(2))
        }
    };
    let [xs, xz] = of(site, &x)?;
    let [ws, wz] = of(site, &packed.weight)?;
    let [ys, yz] = constants(site, known, dtype)?;
    let inputs = [
        Some(&flat),
        Some(&xs),
        Some(&xz),
        Some(&packed.weight),
        Some(&ws),
        Some(&wz),
        packed.bias.as_ref(),
        Some(&ys),
        Some(&yz),
    ];
    let op = Op::microsoft("QGemm").with("transB", 1_i64);
    let made = site.emit(op, &inputs)?.ranked(Some(2));
    let Some(rank) = x.rank().filter(|rank| *rank != 2) else {
        return tensor(marked(made, known, dtype));
    };
    let mut sizes = Vec::new();
    for axis in 0..super::signed(rank) - 1 {
        sizes.push(site.size(&x, axis)?);
    }
    sizes.push(Value::Int(-1));
    let shape = site.list(&sizes)?;
    tensor(marked(site.reshape(&made, &shape)?.ranked(Some(rank)), known, dtype))
}

fn linear_dynamic(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let packed = packed(site, arguments, 1)?;
    if packed.weight.is_float() {
        let made = super::contraction::project(site, &x, &packed.weight, packed.bias.as_ref())?;
        return tensor(made);
    }
    let [scale, zero] = of(site, &packed.weight)?;
    let columns = site.transpose(&packed.weight, &[1, 0])?;
    let inputs = [Some(&x), Some(&columns), Some(&scale), Some(&zero), packed.bias.as_ref()];
    tensor(site.emit(Op::microsoft("DynamicQuantizeMatMul"), &inputs)?.typed(x.dtype()))
}

fn linear_half(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let packed = packed(site, arguments, 1)?;
    let x = arguments.x()?;
    tensor(super::contraction::project(site, &x, &packed.weight, packed.bias.as_ref())?)
}

fn pairwise(
    site: &mut Site<'_, '_>,
    op: &str,
    a: &Tensor,
    b: &Tensor,
    known: (f64, i64),
) -> Lowered<Value> {
    let dtype = a.dtype().filter(|d| d.is_integer()).unwrap_or(DType::U8);
    let ([xs, xz], [ws, wz]) = (of(site, a)?, of(site, b)?);
    let [ys, yz] = constants(site, known, dtype)?;
    let inputs = [a, &xs, &xz, b, &ws, &wz, &ys, &yz].map(Some);
    tensor(marked(site.emit(Op::microsoft(op), &inputs)?, known, dtype))
}

fn add(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.tensor(0, "qa")?, arguments.tensor(1, "qb")?);
    pairwise(site, "QLinearAdd", &a, &b, given(arguments, 2))
}

fn mul(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.tensor(0, "qa")?, arguments.tensor(1, "qb")?);
    pairwise(site, "QLinearMul", &a, &b, given(arguments, 2))
}

fn scalar(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(arguments.tensor(0, "qa")?)
}

fn cat(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let all = arguments.tensors(0, "qx")?;
    let at = arguments.int(1, "dim", 0)?;
    let known = given(arguments, 2);
    let dtype = all.first().and_then(Tensor::dtype).filter(|d| d.is_integer()).unwrap_or(DType::U8);
    let mut inputs = constants(site, known, dtype)?.to_vec();
    for each in &all {
        let [scale, zero] = of(site, each)?;
        inputs.extend([each.clone(), scale, zero]);
    }
    let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
    let made = site.emit(Op::microsoft("QLinearConcat").with("axis", at), &inputs)?;
    tensor(marked(made.ranked(all.first().and_then(Tensor::rank)), known, dtype))
}

fn kept(site: &mut Site<'_, '_>, arguments: &Args, op: Op) -> Lowered<Value> {
    let x = arguments.x().or_else(|_| arguments.tensor(0, "qx"))?;
    let known = x.known().quantized;
    let made = site.unary(op, &x)?;
    made.change(|tensor| tensor.quantized = known);
    tensor(made)
}

fn relu6(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    kept(site, arguments, Op::onnx("Clip"))
}

fn hardswish(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    kept(site, arguments, Op::onnx("HardSwish"))
}

fn looked_up(site: &mut Site<'_, '_>, arguments: &Args, op: Op, at: usize) -> Lowered<Value> {
    let x = arguments.x().or_else(|_| arguments.tensor(0, "qx"))?;
    let known = given(arguments, at);
    let dtype = x.dtype().filter(|d| d.is_integer()).unwrap_or(DType::U8);
    let ([xs, xz], [ys, yz]) = (of(site, &x)?, constants(site, known, dtype)?);
    let made = site.emit(op, &[Some(&x), Some(&xs), Some(&xz), Some(&ys), Some(&yz)])?;
    tensor(marked(made, known, dtype))
}

fn sigmoid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    looked_up(site, arguments, Op::microsoft("QLinearSigmoid"), 1)
}

fn leaky(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::microsoft("QLinearLeakyRelu")
        .with("alpha", single(arguments.float(1, "negative_slope", 0.01)));
    looked_up(site, arguments, op, 3)
}

fn softmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::microsoft("QLinearSoftmax").with("axis", arguments.int(1, "dim", -1)?);
    looked_up(site, arguments, op.with("opset", 13_i64), 2)
}

fn unread(_: &mut Site<'_, '_>, _: &Args) -> Lowered<Value> {
    unable("its packed form is not read")
}

/// `weight, bias, stride, padding, dilation, groups`.
// One signature for all rows.
#[allow(clippy::unnecessary_wraps)]
fn pack_conv(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let object = Object::new("packed");
    let names = ["weight", "bias", "stride", "padding", "dilation", "groups"];
    for (at, name) in names.iter().enumerate() {
        object.set(name, arguments.get(at, name).cloned().unwrap_or(Value::None));
    }
    Ok(Value::Object(Rc::new(object)))
}

// One signature for all rows.
#[allow(clippy::unnecessary_wraps)]
fn pack_linear(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let object = Object::new("packed");
    object.set("weight", arguments.get(0, "W").cloned().unwrap_or(Value::None));
    object.set("bias", arguments.get(1, "B").cloned().unwrap_or(Value::None));
    Ok(Value::Object(Rc::new(object)))
}

fn unpack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let packed = packed(site, arguments, 0)?;
    let bias = packed.bias.map_or(Value::None, Value::Tensor);
    Ok(Value::tuple(vec![Value::Tensor(packed.weight), bias]))
}
