//! Convolutions and products of matrices.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::operands::{with, with_number};
use super::{Args, Row, near, own};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("conv1d", "Conv", conv::<1>), own("conv2d", "Conv", conv::<2>), own("conv3d", "Conv", conv::<3>), own("_convolution_mode", "Conv", conv::<0>), own("thnn_conv2d", "Conv", thnn), own("_slow_conv2d_forward", "Conv", thnn), own("slow_conv3d", "Conv", thnn),
    own("convolution", "Conv, ConvTranspose", convolution), own("_convolution", "Conv, ConvTranspose", convolution), own("convolution_overrideable", "Conv, ConvTranspose", convolution), own("mkldnn_convolution", "Conv", mkldnn), own("cudnn_convolution", "Conv", cudnn), own("_conv_depthwise2d", "Conv", depthwise), own("_nnpack_spatial_convolution", "Conv", mkldnn),
    own("conv_transpose1d", "ConvTranspose", conv_transpose::<1>), own("conv_transpose2d", "ConvTranspose", conv_transpose::<2>), own("conv_transpose3d", "ConvTranspose", conv_transpose::<3>),
    own("linear", "Gemm, MatMul, Add", linear), own("matmul", "MatMul", matmul), own("mm", "MatMul", matmul), own("bmm", "MatMul", matmul), own("mv", "MatMul", matmul), own("dot", "MatMul", matmul), own("vdot", "MatMul", matmul), own("linalg_vecdot", "Mul, ReduceSum", vecdot), own("inner", "MatMul", inner), own("outer", "Mul", outer), own("ger", "Mul", outer),
    own("addmm", "Gemm", addmm), own("_addmm_activation", "Gemm, Relu", addmm_activation), own("addmv", "MatMul, Add", added), own("baddbmm", "MatMul, Add", added), own("addbmm", "MatMul, ReduceSum, Add", addbmm), own("addr", "Mul, Add", addr),
    near(own("chain_matmul", "MatMul", chain)), near(own("linalg_multi_dot", "MatMul", chain)), own("linalg_matmul", "MatMul", matmul), own("einsum", "Einsum", einsum), own("tensordot", "Einsum", tensordot), near(own("bilinear", "Mul, ReduceSum", bilinear)), own("cdist", "Sub, Mul, ReduceSum, Sqrt", distance), own("_cdist_forward", "Sub, Mul, ReduceSum, Sqrt", distance),
    own("_scaled_mm", "MatMul", scaled_mm), own("_int_mm", "MatMulInteger", int_mm), own("_weight_int8pack_mm", "MatMul, Mul", int8_mm),
    own("det", "Det", det), own("linalg_det", "Det", det), own("inverse", "Inverse", inverse), own("linalg_inv", "Inverse", inverse),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

/// What a convolution is told.
struct Window {
    strides: Vec<i64>,
    /// None where padding keeps the size.
    pads: Option<Vec<i64>>,
    dilations: Vec<i64>,
    group: i64,
}

impl Window {
    fn on(self, op: &str) -> Op {
        let op = Op::onnx(op)
            .with("strides", self.strides)
            .with("dilations", self.dilations)
            .with("group", self.group);
        match self.pads {
            Some(pads) => op.with("pads", [pads.clone(), pads].concat()),
            None => op.with("auto_pad", "SAME_UPPER"),
        }
    }
}

/// Reads `stride, padding, dilation` from these places on.
fn window(arguments: &Args, axes: usize, at: [usize; 4]) -> Lowered<Window> {
    let pads = match arguments.text(at[1], "padding") {
        Some("same") => None,
        Some(_) => Some(vec![0; axes]),
        None => Some(arguments.sizes(at[1], "padding", axes, 0)?),
    };
    Ok(Window {
        strides: arguments.sizes(at[0], "stride", axes, 1)?,
        pads,
        dilations: arguments.sizes(at[2], "dilation", axes, 1)?,
        group: arguments.int(at[3], "groups", 1)?,
    })
}

/// The number of spatial axes, of the weights where it is not in the name.
fn spatial(stated: usize, weight: &Tensor) -> Lowered<usize> {
    match (stated, weight.rank()) {
        (0, Some(rank)) if rank > 2 => Ok(rank - 2),
        (0, _) => unable("the weights of a convolution have an unknown number of axes"),
        (stated, _) => Ok(stated),
    }
}

/// On images with or without a batch.
fn applied(
    site: &mut Site<'_, '_>,
    op: Op,
    axes: usize,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Lowered<Value> {
    let single = x.rank() == Some(axes + 1);
    let images = if single { site.unsqueeze(x, &[0])? } else { x.clone() };
    let made = site.emit(op, &[Some(&images), Some(weight), bias])?.ranked(Some(axes + 2));
    tensor(if single { site.squeeze(&made, &[0])? } else { made })
}

fn conv<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let axes = spatial(AXES, &weight)?;
    let op = window(arguments, axes, [3, 4, 5, 6])?.on("Conv");
    applied(site, op, axes, &x, &weight, arguments.maybe(2, "bias")?.as_ref())
}

fn convolution(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let axes = match spatial(0, &weight) {
        Ok(axes) => axes,
        Err(_) => arguments.ints(3, "stride")?.map_or(2, |list| list.len()),
    };
    let window = window(arguments, axes, [3, 4, 5, 8])?;
    let bias = arguments.maybe(2, "bias")?;
    if !arguments.flag(6, "transposed") {
        return applied(site, window.on("Conv"), axes, &x, &weight, bias.as_ref());
    }
    let more = arguments.sizes(7, "output_padding", axes, 0)?;
    let op = window.on("ConvTranspose").with("output_padding", more);
    applied(site, op, axes, &x, &weight, bias.as_ref())
}

fn conv_transpose<const AXES: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let more = arguments.sizes(5, "output_padding", AXES, 0)?;
    let window = window(arguments, AXES, [3, 4, 7, 6])?;
    let op = window.on("ConvTranspose").with("output_padding", more);
    applied(site, op, AXES, &x, &weight, arguments.maybe(2, "bias")?.as_ref())
}

/// `x, weight, kernel, bias, stride, padding`.
fn thnn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let axes = spatial(0, &weight)?;
    let op = window(arguments, axes, [4, 5, 6, 99])?.on("Conv");
    applied(site, op, axes, &x, &weight, arguments.maybe(3, "bias")?.as_ref())
}

/// `x, weight, bias, padding, stride, dilation, groups`.
fn mkldnn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let axes = spatial(0, &weight)?;
    let op = window(arguments, axes, [4, 3, 5, 6])?.on("Conv");
    applied(site, op, axes, &x, &weight, arguments.maybe(2, "bias")?.as_ref())
}

/// `x, weight, padding, stride, dilation, groups`.
fn cudnn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let axes = spatial(0, &weight)?;
    let op = window(arguments, axes, [3, 2, 4, 5])?.on("Conv");
    applied(site, op, axes, &x, &weight, None)
}

/// `x, weight, kernel, bias, stride, padding, dilation`, a group for each channel.
fn depthwise(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    let mut window = window(arguments, 2, [4, 5, 6, 99])?;
    let Some(channels) = weight.sizes().and_then(|sizes| sizes.first().copied()) else {
        return unable("the number of channels is not known");
    };
    window.group = channels;
    let bias = arguments.maybe(3, "bias")?;
    applied(site, window.on("Conv"), 2, &x, &weight, bias.as_ref())
}

/// Rows times the transposed weights.
pub(super) fn project(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Lowered<Tensor> {
    if x.rank() == Some(2) && weight.rank() == Some(2) {
        let op = Op::onnx("Gemm").with("transB", 1_i64);
        return site.emit(op, &[Some(x), Some(weight), bias]);
    }
    let columns = match weight.rank() {
        Some(1) => weight.clone(),
        _ => site.transpose(weight, &[1, 0])?,
    };
    let made = site.emit(Op::onnx("MatMul"), &[Some(x), Some(&columns)])?;
    let less = usize::from(weight.rank() == Some(1));
    let made = made.ranked(x.rank().map(|rank| rank.saturating_sub(less)));
    match bias {
        Some(bias) => with(site, "Add", &made, bias),
        None => Ok(made),
    }
}

fn linear(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    tensor(project(site, &x, &weight, arguments.maybe(2, "bias")?.as_ref())?)
}

fn product(site: &mut Site<'_, '_>, a: &Tensor, b: &Tensor) -> Lowered<Tensor> {
    let rank = match (a.rank(), b.rank()) {
        (Some(1), Some(1)) => Some(0),
        (Some(a), Some(1)) => Some(a - 1),
        (Some(1), Some(b)) => Some(b - 1),
        (Some(a), Some(b)) => Some(a.max(b)),
        _ => None,
    };
    Ok(site.emit(Op::onnx("MatMul"), &[Some(a), Some(b)])?.ranked(rank))
}

fn second(arguments: &Args) -> Lowered<Tensor> {
    for name in ["mat2", "other", "vec", "tensor"] {
        if let Some(tensor) = arguments.maybe(1, name)? {
            return Ok(tensor);
        }
    }
    unable("the second matrix is not given")
}

fn matmul(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(product(site, &arguments.x()?, &second(arguments)?)?)
}

fn vecdot(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = with(site, "Mul", &arguments.x()?, &arguments.tensor(1, "y")?)?;
    let axes = site.ints(&[arguments.int(2, "dim", -1)?])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 0_i64);
    let sum = site.emit(op, &[Some(&made), Some(&axes)])?;
    tensor(sum.ranked(made.rank().map(|rank| rank.saturating_sub(1))))
}

fn inner(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.x()?, second(arguments)?);
    if a.rank() == Some(0) || b.rank() == Some(0) {
        return tensor(with(site, "Mul", &a, &b)?);
    }
    let b = if b.rank() == Some(2) { site.transpose(&b, &[1, 0])? } else { b };
    tensor(product(site, &a, &b)?)
}

fn outer_of(site: &mut Site<'_, '_>, a: &Tensor, b: &Tensor) -> Lowered<Tensor> {
    let column = site.unsqueeze(a, &[1])?;
    Ok(with(site, "Mul", &column, b)?.ranked(Some(2)))
}

fn outer(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let b = arguments.maybe(1, "vec2")?;
    let b = b.map_or_else(|| second(arguments), Ok)?;
    tensor(outer_of(site, &arguments.x()?, &b)?)
}

fn gemm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Tensor> {
    let bias = arguments.x()?;
    let (a, b) = (arguments.tensor(1, "mat1")?, arguments.tensor(2, "mat2")?);
    let (beta, alpha) = (arguments.float(3, "beta", 1.0), arguments.float(4, "alpha", 1.0));
    let mut op = Op::onnx("Gemm");
    if alpha.total_cmp(&1.0).is_ne() {
        op = op.with("alpha", super::single(alpha));
    }
    if beta.total_cmp(&1.0).is_ne() {
        op = op.with("beta", super::single(beta));
    }
    Ok(site.emit(op, &[Some(&a), Some(&b), Some(&bias)])?.ranked(Some(2)))
}

fn addmm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(gemm(site, arguments)?)
}

fn addmm_activation(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = gemm(site, arguments)?;
    let op = if arguments.flag(5, "use_gelu") { "Gelu" } else { "Relu" };
    tensor(site.unary(Op::onnx(op), &made)?)
}

/// A product that is added to something, both perhaps scaled.
fn added(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let bias = arguments.x()?;
    let named = |at, names: [&str; 3]| -> Lowered<Tensor> {
        for name in names {
            if let Some(tensor) = arguments.maybe(at, name)? {
                return Ok(tensor);
            }
        }
        unable("a matrix is not given")
    };
    let a = named(1, ["batch1", "mat", "mat1"])?;
    let b = named(2, ["batch2", "vec", "mat2"])?;
    let made = product(site, &a, &b)?;
    tensor(onto(site, arguments, &bias, made)?)
}

fn onto(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    bias: &Tensor,
    mut made: Tensor,
) -> Lowered<Tensor> {
    let (beta, alpha) = (arguments.float(3, "beta", 1.0), arguments.float(4, "alpha", 1.0));
    if alpha.total_cmp(&1.0).is_ne() {
        made = with_number(site, "Mul", &made, alpha)?;
    }
    if beta.total_cmp(&0.0).is_eq() {
        return Ok(made);
    }
    let mut bias = bias.clone();
    if beta.total_cmp(&1.0).is_ne() {
        bias = with_number(site, "Mul", &bias, beta)?;
    }
    with(site, "Add", &made, &bias)
}

fn addbmm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.tensor(1, "batch1")?, arguments.tensor(2, "batch2")?);
    let made = product(site, &a, &b)?;
    let axes = site.ints(&[0])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 0_i64);
    let made = site.emit(op, &[Some(&made), Some(&axes)])?.ranked(Some(2));
    tensor(onto(site, arguments, &arguments.x()?, made)?)
}

fn addr(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = outer_of(site, &arguments.tensor(1, "vec1")?, &arguments.tensor(2, "vec2")?)?;
    tensor(onto(site, arguments, &arguments.x()?, made)?)
}

fn chain(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = arguments.tensors(0, "matrices").or_else(|_| arguments.tensors(0, "tensors"))?;
    if all.is_empty() {
        return unable("no matrix is given");
    }
    let mut made = all.remove(0);
    for next in all {
        made = product(site, &made, &next)?;
    }
    tensor(made)
}

fn einsum(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(equation) = arguments.text(0, "equation") else {
        return unable("no equation is given");
    };
    let equation = equation.replace(' ', "");
    let operands = match arguments.list(1, "tensors") {
        Some(_) => arguments.tensors(1, "tensors")?,
        None => Args::of(vec![Value::list(arguments.positional[1..].to_vec())]).tensors(0, "x")?,
    };
    let rank = equation
        .split_once("->")
        .and_then(|(_, output)| (!output.contains('.')).then_some(output.len()));
    let inputs: Vec<Option<&Tensor>> = operands.iter().map(Some).collect();
    tensor(site.emit(Op::onnx("Einsum").with("equation", equation.as_str()), &inputs)?.ranked(rank))
}

fn tensordot(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.x()?, arguments.tensor(1, "other")?);
    let (Some(ra), Some(rb)) = (a.rank(), b.rank()) else {
        return unable("the number of axes is not known");
    };
    let axes_a = arguments.ints(2, "dims_self")?.unwrap_or_default();
    let axes_b = arguments.ints(3, "dims_other")?.unwrap_or_default();
    if ra + rb > 26 || axes_a.len() != axes_b.len() {
        return unable("axes that do not match");
    }
    let letters: Vec<char> = ('a'..='z').collect();
    let left: Vec<char> = letters[..ra].to_vec();
    let mut right: Vec<char> = letters[ra..ra + rb].to_vec();
    let mut output = left.clone();
    for (at_a, at_b) in axes_a.iter().zip(&axes_b) {
        let (at_a, at_b) = (super::axis(*at_a, Some(ra))?, super::axis(*at_b, Some(rb))?);
        right[at_b] = left[at_a];
        output.retain(|letter| *letter != left[at_a]);
    }
    output.extend(right.iter().filter(|letter| !left.contains(letter)));
    let text = |list: &[char]| list.iter().collect::<String>();
    let equation = format!("{},{}->{}", text(&left), text(&right), text(&output));
    let op = Op::onnx("Einsum").with("equation", equation.as_str());
    tensor(site.emit(op, &[Some(&a), Some(&b)])?.ranked(Some(output.len())))
}

/// As it runs: products of both inputs and the weights, element by element, and their sums.
fn bilinear(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let a = arguments.tensor(0, "input1")?;
    let (b, weight) = (arguments.tensor(1, "input2")?, arguments.tensor(2, "weight")?);
    let column = site.unsqueeze(&a, &[-3, -1])?;
    let row = site.unsqueeze(&b, &[-3, -2])?;
    let product = with(site, "Mul", &column, &weight)?;
    let product = with(site, "Mul", &product, &row)?;
    let axes = site.ints(&[-2, -1])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 0_i64);
    let made = site.emit(op, &[Some(&product), Some(&axes)])?.ranked(a.rank());
    tensor(match arguments.maybe(3, "bias")? {
        Some(bias) => with(site, "Add", &made, &bias)?,
        None => made,
    })
}

fn distance(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.tensor(0, "x1")?, arguments.tensor(1, "x2")?);
    let (a, b) = (site.unsqueeze(&a, &[-2])?, site.unsqueeze(&b, &[-3])?);
    let apart = with(site, "Sub", &a, &b)?;
    let square = with(site, "Mul", &apart, &apart)?;
    let axes = site.ints(&[-1])?;
    let op = Op::onnx("ReduceSum").with("keepdims", 0_i64);
    let sum = site.emit(op, &[Some(&square), Some(&axes)])?;
    let sum = sum.ranked(square.rank().map(|rank| rank.saturating_sub(1)));
    tensor(site.unary(Op::onnx("Sqrt"), &sum)?)
}

fn scaled_mm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = product(site, &arguments.x()?, &second(arguments)?)?;
    let dtype = arguments.dtype(6, "out_dtype").or(Some(DType::BF16));
    let made = made.typed(dtype);
    tensor(match arguments.maybe(4, "bias")? {
        Some(bias) => with(site, "Add", &made, &bias)?,
        None => made,
    })
}

fn int_mm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.x()?, second(arguments)?);
    let made = site.emit(Op::onnx("MatMulInteger"), &[Some(&a), Some(&b)])?;
    tensor(made.typed(Some(DType::I32)))
}

fn int8_mm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight, scales) = (arguments.x()?, second(arguments)?, arguments.tensor(2, "scales")?);
    let made = project(site, &x, &weight, None)?;
    tensor(with(site, "Mul", &made, &scales)?)
}

fn det(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.tensor(0, "A").or_else(|_| arguments.x())?;
    tensor(site.unary(Op::onnx("Det"), &x)?.ranked(x.rank().map(|rank| rank.saturating_sub(2))))
}

fn inverse(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.tensor(0, "A").or_else(|_| arguments.x())?;
    tensor(site.unary(Op::microsoft("Inverse"), &x)?)
}
