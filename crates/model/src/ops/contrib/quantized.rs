//! Quantised forms: integer arithmetic, packed weights.

use crate::dim::Dim;
use crate::ir::{DType, Node, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::shape::{axes, axis, broadcast};
use crate::ops::{contraction, pooling, quantization};

fn elements(effect: &Effect) -> Dim {
    effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default()
}

pub(super) fn quantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    quantization::quantize(cx)
}

pub(super) fn dequantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    quantization::dequantize(cx)
}

/// Port 0 and its zero point; channels last where the attribute says so.
pub(super) fn conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let last = cx.attrs().flag("channels_last")?;
    let conv = if last { contraction::conv_last_at } else { contraction::conv_at };
    Ok(conv(cx, 0, 3, 8, cx.dtype(7).or(cx.dtype(0)))?.integer(true))
}

/// `a, b, a_scale, b_scale, …`: scaled back to float.
pub(super) fn matmul_to_float(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let effect = contraction::matmul_at(cx, 0, 1, cx.dtype(2))?;
    let scaled = elements(&effect) * Dim::from(2);
    Ok(effect.other(scaled).integer(true))
}

/// `a` is quantised on the way: range, scale and round.
pub(super) fn dynamic_matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let effect = contraction::matmul_at(cx, 0, 1, cx.dtype(0))?;
    let scaled = elements(&effect) * Dim::from(2) + cx.elements(0)? * Dim::from(5);
    Ok(effect.other(scaled).integer(true))
}

/// `a: [.., K]` and packed `[N, …]`: unpacked to floats, then multiplied.
pub(super) fn matmul_nbits(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let size = |name: &str| -> Result<Dim, OpError> {
        let given = cx.attrs().int(name)?.filter(|n| *n > 0);
        Ok(Dim::from(given.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?))
    };
    let (k, n) = (size("K")?, size("N")?);
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    cx.require_equal(last, &k);
    *last = n.clone();
    let rows: Dim = shape.iter().rev().skip(1).product();
    let unpacked = n.clone() * k.clone() * Dim::from(2);
    let biased = if cx.optional(5).is_some() { rows.clone() * n.clone() } else { Dim::ZERO };
    Ok(Effect::one(cx.like(shape)).macs(rows * n * k).other(unpacked + biased).integer(false))
}

/// K × N numbers, however many of them a byte holds and whatever pads the last block.
pub(super) fn packed_matrix(node: &Node, _: &[Option<&TensorInfo>], _: usize) -> Option<Dim> {
    let size = |name| node.attrs.int(name).ok().flatten().filter(|n| *n > 0).map(Dim::from);
    Some(size("K")? * size("N")?)
}

/// `a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero`.
pub(super) fn gemm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let turned = |port: usize, name: &str| -> Result<Vec<Dim>, OpError> {
        let mut shape = cx.shape(port)?.clone();
        if cx.attrs().flag(name)? {
            shape.reverse();
        }
        Ok(shape)
    };
    // Without an output scale the result is float.
    let dtype = if cx.optional(7).is_some() { cx.dtype(0) } else { Some(DType::F32) };
    let effect = contraction::product(cx, turned(0, "transA")?, turned(3, "transB")?, dtype)?;
    let scaled = elements(&effect) * Dim::from(2 + u32::from(cx.optional(6).is_some()));
    Ok(effect.other(scaled).integer(true))
}

/// `a, a_scale, a_zero, b, b_scale, b_zero, …`: both unpacked, one operation, packed again.
pub(super) fn binary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = broadcast(cx, [cx.shape(0)?.as_slice(), cx.shape(3)?.as_slice()])?;
    let output = cx.like(shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(8)).integer(true))
}

pub(super) fn unary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let each = if &*cx.node.op_type == "QLinearSoftmax" { 3 } else { 1 };
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n * Dim::from(each)).integer(true))
}

/// `condition, x, x_scale, x_zero, y, y_scale, y_zero, …`.
pub(super) fn where_(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let operands = [cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice(), cx.shape(4)?.as_slice()];
    let output = TensorInfo::new(cx.dtype(1), broadcast(cx, operands)?);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(4)).integer(true))
}

/// `y_scale, y_zero`, then a tensor, its scale and its zero point for each part.
pub(super) fn concat(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(2)?.clone();
    let at = axis(cx.attrs().int_or("axis", 1)?, shape.len())?;
    let parts = (2..cx.inputs.len()).step_by(3);
    let sizes =
        parts.map(|port| cx.shape(port)?.get(at).cloned().ok_or(OpError::MissingInput(port)));
    shape[at] = sizes.sum::<Result<_, _>>()?;
    let output = TensorInfo::new(cx.dtype(2), shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(4)).integer(true))
}

pub(super) fn average_pool(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let last = cx.attrs().flag("channels_last")?;
    let pool = if last { pooling::average_pool_last } else { pooling::average_pool };
    let effect = pool(cx)?;
    let scaled = elements(&effect) * Dim::from(2);
    Ok(Effect { other: effect.other.clone() + scaled, ..effect }.integer(true))
}

pub(super) fn global_average(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let rank = shape.len();
    if rank < 3 {
        return invalid!("pooling over rank {rank}");
    }
    let folded = if cx.attrs().flag("channels_last")? { 1..rank - 1 } else { 2..rank };
    shape[folded].fill(Dim::ONE);
    let output = cx.like(shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(cx.elements(0)? + n * Dim::from(2)).integer(true))
}

pub(super) fn reduce_mean(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let folded = match cx.attrs().ints("axes")? {
        Some(given) => axes(given, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let keep = cx.attrs().int_or("keepdims", 1)? != 0;
    let kept = shape.iter().enumerate().filter_map(|(i, d)| {
        if folded.contains(&i) { keep.then_some(Dim::ONE) } else { Some(d.clone()) }
    });
    let output = cx.like(kept.collect::<Vec<_>>());
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(cx.elements(0)? + n * Dim::from(2)).integer(true))
}

/// Numbers of a table: several to a byte, or one to an element of another type.
pub(super) fn packed_rows(node: &Node, inputs: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    bytes_of(inputs.get(port).copied().flatten()?, node.attrs.int_or("bits", 4).ok()?)
}

/// Elements of a tensor whose bytes, where it is one of bytes, hold several numbers of `bits` each.
pub(super) fn bytes_of(info: &TensorInfo, bits: i64) -> Option<Dim> {
    let each = match info.dtype? {
        DType::U8 | DType::I8 if (1..=8).contains(&bits) => 8 / bits,
        _ => 1,
    };
    Some(info.elements()? * Dim::from(each))
}

/// Rows of a packed table, unpacked: `data` holds 8 / `bits` numbers a byte along the last axis.
pub(super) fn gather(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (data, indices) = (cx.shape(0)?, cx.shape(1)?);
    let at = axis(cx.attrs().int_or("gather_axis", 0)?, data.len())?;
    let bits = cx.attrs().int_or("bits", 4)?;
    let packing = match cx.dtype(0) {
        Some(DType::U8) if bits > 0 && bits < 8 => Dim::from(8 / bits),
        _ => Dim::ONE,
    };
    let mut shape = data[..at].to_vec();
    shape.extend(indices.iter().cloned());
    shape.extend(data[at + 1..].iter().cloned());
    let rows: Dim = shape.iter().product();
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    *last = last.clone() * packing;
    let output = TensorInfo::new(cx.dtype(2), shape);
    let n = output.elements().unwrap_or_default();
    let read = cx.dtype(0).map_or(Dim::ZERO, |d| d.bytes(&rows));
    let scales = n.floor_div(&Dim::from(cx.attrs().int_or("block_size", 128)?.max(1)));
    let scales = cx.dtype(2).map_or(Dim::ZERO, |d| d.bytes(&scales));
    let effect = Effect::one(output).other(n * Dim::from(2)).reads(0, read).reads(2, scales);
    Ok(effect.reads(3, Dim::ZERO).integer(false))
}
