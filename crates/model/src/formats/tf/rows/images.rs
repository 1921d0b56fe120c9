//! Convolutions, pooling and whatever else has images with channels last or second.

use super::{Call, Lowered, Row, by};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::{DType, ValueId};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("AvgPool", "AveragePool", |c| pool(c, "AveragePool", 2)),
    by("AvgPool3D", "AveragePool", |c| pool(c, "AveragePool", 3)),
    by("Conv2D", "Conv", |c| convolution(c, 2)),
    by("Conv2DBackpropInput", "ConvTranspose", |c| transposed(c, 2)),
    by("Conv2DBackpropInputV2", "ConvTranspose", |c| transposed(c, 2)),
    by("Conv3D", "Conv", |c| convolution(c, 3)),
    by("Conv3DBackpropInput", "ConvTranspose", |c| transposed(c, 3)),
    by("Conv3DBackpropInputV2", "ConvTranspose", |c| transposed(c, 3)),
    by("DepthToSpace", "DepthToSpace", |c| blocks(c, "DepthToSpace")),
    by("DepthwiseConv2dNative", "Conv", depthwise),
    by("FusedBatchNorm", "BatchNormalization", batch_norm),
    by("FusedBatchNormV2", "BatchNormalization", batch_norm),
    by("FusedBatchNormV3", "BatchNormalization", batch_norm),
    by("LRN", "LRN", local_norm),
    by("MaxPool", "MaxPool", |c| pool(c, "MaxPool", 2)),
    by("MaxPool3D", "MaxPool", |c| pool(c, "MaxPool", 3)),
    by("MaxPoolV2", "MaxPool", |c| pool(c, "MaxPool", 2)),
    by("MaxPoolWithArgmax", "MaxPool", |c| pool(c, "MaxPool", 2)),
    by("ResizeArea", "Resize", |c| resize(c, "linear")),
    by("ResizeBicubic", "Resize", |c| resize(c, "cubic")),
    by("ResizeBilinear", "Resize", |c| resize(c, "linear")),
    by("ResizeNearestNeighbor", "Resize", |c| resize(c, "nearest")),
    by("SpaceToDepth", "SpaceToDepth", |c| blocks(c, "SpaceToDepth")),
    by("_FusedBatchNormEx", "BatchNormalization, activation", fused_norm),
    by("_FusedConv2D", "Conv, Add, activation", |c| fused(c, convolve)),
    by("_FusedDepthwiseConv2dNative", "Conv, Add, activation", |c| fused(c, depthwise_convolve)),
    by("_FusedMatMul", "MatMul, Add, activation", |c| fused(c, super::products::plain)),
];

impl Call<'_, '_, '_> {
    /// Whether channels are last.
    fn last(&self) -> bool {
        !self.def.text("data_format").is_some_and(|f| f.starts_with("NC"))
    }

    /// The operator for the layout that the node states.
    fn image(&self, name: &str) -> Op {
        if self.last() { Op::own(name) } else { Op::onnx(name) }
    }

    /// Of a list over all axes, those of space; absent lists are ones.
    fn spatial(&self, list: &[i64], axes: usize) -> Vec<i64> {
        let first = if self.last() { 1 } else { 2 };
        (first..first + axes).map(|at| list.get(at).copied().unwrap_or(1)).collect()
    }

    /// Strides, dilations and padding of a window over so many axes.
    fn window(&self, op: Op, axes: usize) -> Op {
        let of = |name: &str| self.spatial(&self.def.ints(name).unwrap_or_default(), axes);
        let op = op.with("strides", of("strides"));
        if let Some(dilation) = &self.def.dilation {
            let op = op.with("dilations", dilation.dilations.clone());
            return op.with("pads", dilation.pads.clone());
        }
        let dilations = of("dilations");
        let op =
            if dilations.iter().any(|d| *d != 1) { op.with("dilations", dilations) } else { op };
        self.padded(op, axes)
    }

    fn padded(&self, op: Op, axes: usize) -> Op {
        match self.def.text("padding").as_deref() {
            Some("SAME") => op.with("auto_pad", "SAME_UPPER"),
            Some("EXPLICIT") => {
                let all = self.def.ints("explicit_paddings").unwrap_or_default();
                let first = if self.last() { 1 } else { 2 };
                let pad = |end: usize| {
                    let all = &all;
                    let at = move |axis: usize| all.get(2 * axis + end).copied().unwrap_or(0);
                    (first..first + axes).map(at)
                };
                op.with("pads", pad(0).chain(pad(1)).collect::<Vec<i64>>())
            }
            _ => op,
        }
    }

    /// A filter with its axes of space first, as ONNX has it.
    fn filter(&mut self, id: ValueId, axes: i64) -> Result<ValueId, LoadError> {
        let order: Vec<i64> = [axes + 1, axes].into_iter().chain(0..axes).collect();
        self.put("filter", Op::onnx("Transpose").with("perm", order), &[id])
    }
}

fn count(axes: usize) -> i64 {
    i64::try_from(axes).unwrap_or(2)
}

/// The operator and its inputs.
type Product = (Op, Vec<ValueId>);

fn convolve(call: &mut Call<'_, '_, '_>) -> Result<Product, LoadError> {
    windowed(call, 2)
}

fn windowed(call: &mut Call<'_, '_, '_>, axes: usize) -> Result<Product, LoadError> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let w = call.filter(w, count(axes))?;
    Ok((call.window(call.image("Conv").with("group", 0_i64), axes), vec![x, w]))
}

fn convolution(call: &mut Call<'_, '_, '_>, axes: usize) -> Lowered {
    let (op, inputs) = windowed(call, axes)?;
    Ok(vec![Val::here(call.end(op, &inputs)?).ranked(axes + 2)])
}

/// The filter is `[H, W, C, M]`, and output channel c·M+m is of channel c.
fn depthwise_convolve(call: &mut Call<'_, '_, '_>) -> Result<Product, LoadError> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let shape = call.cx.draft.ints(&[0, 0, 1, -1])?;
    let w = call.put("channels", Op::onnx("Reshape"), &[w, shape])?;
    let w = call.filter(w, 2)?;
    Ok((call.window(call.image("Conv").with("group", 0_i64), 2), vec![x, w]))
}

fn depthwise(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (op, inputs) = depthwise_convolve(call)?;
    Ok(vec![Val::here(call.end(op, &inputs)?).ranked(4)])
}

/// Inputs: the shape of the output, the filter with output channels before input channels, the image.
fn transposed(call: &mut Call<'_, '_, '_>, axes: usize) -> Lowered {
    let (w, x) = (call.x(1)?, call.x(2)?);
    let w = call.filter(w, count(axes))?;
    let strides = call.spatial(&call.def.ints("strides").unwrap_or_default(), axes);
    let dilations = call.spatial(&call.def.ints("dilations").unwrap_or_default(), axes);
    let op = call.image("ConvTranspose").with("group", 1_i64).with("strides", strides);
    let op = op.with("dilations", dilations);
    let name = call.def.name.as_str();
    let id = if call.last() {
        let shape = call.list(0)?;
        let op = call.padded(op, axes);
        call.cx.draft.one(name, op, &[Some(x), Some(w), None, Some(shape)])?
    } else {
        let sizes = call.val(0).ints().map(|s| s.get(2..).unwrap_or(&[]).to_vec());
        let op = match sizes.filter(|s| s.len() == axes && s.iter().all(|n| *n > 0)) {
            Some(sizes) => op.with("output_shape", sizes),
            None => call.padded(op, axes),
        };
        call.cx.draft.one(name, op, &[Some(x), Some(w)])?
    };
    Ok(vec![Val::here(id).ranked(axes + 2)])
}

fn pool(call: &mut Call<'_, '_, '_>, name: &str, axes: usize) -> Lowered {
    let x = call.x(0)?;
    let lists = |attr: &str, port: usize| {
        call.def.ints(attr).or_else(|| call.val(port).ints().map(<[i64]>::to_vec))
    };
    let (Some(kernel), Some(strides)) = (lists("ksize", 1), lists("strides", 2)) else {
        return call.foreign();
    };
    let op = call.image(name).with("kernel_shape", call.spatial(&kernel, axes));
    let op = call.padded(op.with("strides", call.spatial(&strides, axes)), axes);
    let made = call.cx.draft.many(&call.def.name, op, &[Some(x)], call.outputs.min(2))?;
    Ok(made.into_iter().map(|id| Val::here(id).ranked(axes + 2)).collect())
}

fn norm_inputs(call: &mut Call<'_, '_, '_>) -> Result<Product, LoadError> {
    let mut op = call.image("BatchNormalization");
    op = op.with("epsilon", call.def.float("epsilon", 0.0001));
    let (x, scale, offset) = (call.x(0)?, call.x(1)?, call.x(2)?);
    if !call.def.flag_or("is_training", true) {
        return Ok((op, vec![x, scale, offset, call.x(3)?, call.x(4)?]));
    }
    // Statistics of the batch itself: the stored ones are empty, and only their shape counts.
    Ok((op.with("training_mode", 1_i64), vec![x, scale, offset, offset, scale]))
}

fn batch_norm(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (op, inputs) = norm_inputs(call)?;
    let (mean, variance) = (call.val(3), call.val(4));
    let y = Val::here(call.end(op, &inputs)?).ranked(4);
    Ok(vec![y, mean.clone(), variance.clone(), mean, variance])
}

fn fused_norm(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (op, inputs) = norm_inputs(call)?;
    let mut y = call.put("norm", op, &inputs)?;
    if call.inputs.len() > 5 {
        let side = call.x(5)?;
        y = call.put("sum", Op::onnx("Add"), &[y, side])?;
    }
    let mode = call.def.text("activation_mode").unwrap_or_default();
    let y = activated(call, y, &mode)?;
    Ok(vec![Val::here(y).ranked(4)])
}

fn activated(call: &mut Call<'_, '_, '_>, x: ValueId, name: &str) -> Result<ValueId, LoadError> {
    let op = match name {
        "Relu" => Op::onnx("Relu"),
        "Elu" => Op::onnx("Elu"),
        "Tanh" => Op::onnx("Tanh"),
        "Sigmoid" => Op::onnx("Sigmoid"),
        "GeluExact" => Op::onnx("Gelu"),
        "GeluApproximate" => Op::onnx("Gelu").with("approximate", "tanh"),
        "_MklSwish" => Op::onnx("Swish"),
        "LeakyRelu" => Op::onnx("LeakyRelu").with("alpha", call.def.float("leakyrelu_alpha", 0.2)),
        "Relu6" => {
            let (zero, six) = (call.cx.draft.float(0.0)?, call.cx.draft.float(6.0)?);
            return call.end(Op::onnx("Clip"), &[x, zero, six]);
        }
        _ => Op::onnx("Identity"),
    };
    call.end(op, &[x])
}

/// What grappler has put together: a product, then what `fused_ops` names, whose operands follow.
fn fused(
    call: &mut Call<'_, '_, '_>,
    product: fn(&mut Call<'_, '_, '_>) -> Result<Product, LoadError>,
) -> Lowered {
    let (op, inputs) = product(call)?;
    let mut y = call.put("product", op, &inputs)?;
    let mut next = 2;
    let mut last = String::new();
    for name in call.def.texts("fused_ops") {
        match name.as_str() {
            "BiasAdd" | "Add" => {
                let operand = call.x(next)?;
                next += 1;
                y = call.put("sum", Op::onnx("Add"), &[y, operand])?;
            }
            "FusedBatchNorm" => {
                let mut all = vec![y];
                for port in next..next + 4 {
                    all.push(call.x(port)?);
                }
                next += 4;
                let op = call.image("BatchNormalization");
                y =
                    call.put("norm", op.with("epsilon", call.def.float("epsilon", 0.0001)), &all)?;
            }
            other => other.clone_into(&mut last),
        }
    }
    let rank = if call.def.op == "_FusedMatMul" { 2 } else { 4 };
    Ok(vec![Val::here(activated(call, y, &last)?).ranked(rank)])
}

fn local_norm(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let size = call.def.int("depth_radius").unwrap_or(5).saturating_mul(2).saturating_add(1);
    #[allow(clippy::cast_precision_loss)]
    let alpha = call.def.float("alpha", 1.0) * size as f32;
    let op = Op::own("LRN").with("size", size).with("alpha", alpha);
    let op = op.with("beta", call.def.float("beta", 0.5)).with("bias", call.def.float("bias", 1.0));
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(4)])
}

fn blocks(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let x = call.x(0)?;
    let op = call.image(name).with("blocksize", call.def.int("block_size").unwrap_or(1));
    let op = if name == "DepthToSpace" { op.with("mode", "DCR") } else { op };
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(4)])
}

/// The sizes of the two axes of space are an input; channels are always last.
fn resize(call: &mut Call<'_, '_, '_>, mode: &str) -> Lowered {
    let (mut x, sizes) = (call.x(0)?, call.list(1)?);
    let exact = mode == "nearest" || call.val(0).dtype.is_none_or(|d| d == DType::F32);
    if !exact {
        x = call.put("floats", cast(DType::F32), &[x])?;
    }
    let places = match (call.def.flag("align_corners"), call.def.flag("half_pixel_centers")) {
        (true, _) => "align_corners",
        (_, true) => "half_pixel",
        _ => "asymmetric",
    };
    let op = Op::own("Resize").with("mode", mode).with("axes", vec![1_i64, 2]);
    let op = op.with("coordinate_transformation_mode", places);
    let op = if mode == "nearest" { op.with("nearest_mode", "floor") } else { op };
    let id = call.cx.draft.one(&call.def.name, op, &[Some(x), None, None, Some(sizes)])?;
    let y = Val::here(id).ranked(4);
    // All but the nearest give floats, whatever they are given.
    Ok(vec![if mode == "nearest" { y } else { y.typed(Some(DType::F32)) }])
}
