//! Sliding and global pooling.

use super::Class::Pooling;
use super::context::{OpCx, OpError, invalid};
use super::reduction::fewer;
use super::shape::Window;
use super::{Effect, KernelClass, Op, Part};
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("AveragePool", Pooling, average_pool).inputs(1, 1).formula("|y|·∏k").kernel(KernelClass::AveragePool),
    Op::new("GlobalAveragePool", Pooling, global_average).inputs(1, 1).formula("|x|").playing(Part::Row).kernel(KernelClass::GlobalPool),
    Op::new("GlobalLpPool", Pooling, global_average).inputs(1, 1).formula("|x|").playing(Part::Row).kernel(KernelClass::GlobalPool),
    Op::new("GlobalMaxPool", Pooling, global_max).inputs(1, 1).formula("|x| − |y| comparisons").playing(Part::Row).kernel(KernelClass::GlobalPool),
    Op::new("LpPool", Pooling, average_pool).inputs(1, 1).formula("|y|·∏k"),
    Op::new("MaxPool", Pooling, max_pool).inputs(1, 1).formula("|y|·(∏k − 1) comparisons").kernel(KernelClass::MaxPool),
];

/// Output of a sliding window over `[N, C, …]`, and the size of the window.
fn slide(cx: &OpCx<'_>, shape: &[Dim]) -> Result<(TensorInfo, Dim), OpError> {
    let [n, c, spatial @ ..] = shape else {
        return invalid!("pooling over rank {}", shape.len());
    };
    let kernel = cx.attrs().dims("kernel_shape")?;
    let kernel = kernel.ok_or_else(|| crate::ir::AttrError::Missing("kernel_shape".into()))?;
    let taps = kernel.iter().product();
    let mut output = vec![n.clone(), c.clone()];
    output.extend(Window::read(cx, kernel)?.output(spatial)?);
    Ok((cx.like(output), taps))
}

pub(super) fn max_pool(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, taps) = slide(cx, cx.shape(0)?)?;
    let n = output.elements().unwrap_or_default();
    let mut outputs = vec![output.clone()];
    if cx.output_count() > 1 {
        outputs.push(TensorInfo { dtype: Some(DType::I64), ..output });
    }
    Ok(Effect::of(outputs).comparisons(n * (taps - Dim::ONE)))
}

/// As [`slide`], over `[N, …, C]`.
fn slide_last(cx: &OpCx<'_>) -> Result<(TensorInfo, Dim), OpError> {
    let mut shape = cx.shape(0)?.clone();
    if shape.len() < 3 {
        return invalid!("pooling over rank {}", shape.len());
    }
    shape[1..].rotate_right(1);
    let (mut output, taps) = slide(cx, &shape)?;
    if let Some(shape) = &mut output.shape {
        shape[1..].rotate_left(1);
    }
    Ok((output, taps))
}

/// `[N, …, C]`.
pub(super) fn max_pool_last(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, taps) = slide_last(cx)?;
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).comparisons(n * (taps - Dim::ONE)))
}

pub(super) fn average_pool(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, taps) = slide(cx, cx.shape(0)?)?;
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * taps))
}

/// `[N, …, C]`.
pub(super) fn average_pool_last(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, taps) = slide_last(cx)?;
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * taps))
}

/// One value a channel, and how many elements went into all of them.
fn global(cx: &OpCx<'_>) -> Result<TensorInfo, OpError> {
    let shape = cx.shape(0)?;
    if shape.len() < 2 {
        return invalid!("pooling over rank {}", shape.len());
    }
    let kept = shape[..2].iter().cloned();
    Ok(cx.like(kept.chain(shape[2..].iter().map(|_| Dim::ONE)).collect::<Vec<_>>()))
}

/// Adds `|x| − |y|`, divides `|y|`.
pub(super) fn global_average(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(global(cx)?).other(cx.elements(0)?))
}

pub(super) fn global_max(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = global(cx)?;
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).comparisons(fewer(&cx.elements(0)?, &n)))
}
