//! Losses and optimiser steps.

use super::Class::{Elementwise, Reduction};
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::TensorInfo;

const PREVIEW: &str = "ai.onnx.preview.training";

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("NegativeLogLikelihoodLoss", Reduction, likelihood).inputs(2, 3).formula("2·|target|; 3 with weights"),
    Op::new("SoftmaxCrossEntropyLoss", Reduction, cross_entropy).inputs(2, 3).formula("5·|x| + 2·|target|, |x| exp"),
    Op::new("Adagrad", Elementwise, step::<2>).domain(PREVIEW).inputs(3, usize::MAX).formula("7·|x| + |x| sqrt"),
    Op::new("Adam", Elementwise, step::<3>).domain(PREVIEW).inputs(3, usize::MAX).formula("12·|x| + |x| sqrt"),
    Op::new("Momentum", Elementwise, step::<2>).domain(PREVIEW).inputs(3, usize::MAX).formula("5·|x|"),
];

/// `x: [N, C, …]`, `target: [N, …]` → `[N, …]`, or a scalar unless `reduction` is `none`.
fn loss(cx: &OpCx<'_>) -> Result<(TensorInfo, Dim), OpError> {
    let target = cx.shape(1)?;
    let whole: Dim = target.iter().product();
    let kept = cx.attrs().str("reduction")?.unwrap_or("mean") == "none";
    Ok((cx.like(if kept { target.clone() } else { Vec::new() }), whole))
}

fn likelihood(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, n) = loss(cx)?;
    let each = if cx.optional(2).is_some() { 3 } else { 2 };
    let read = cx.dtype(0).map_or(Dim::ZERO, |d| d.bytes(&n));
    Ok(Effect::one(output).other(n * Dim::from(each)).reads(0, read))
}

fn cross_entropy(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (output, n) = loss(cx)?;
    let all = cx.elements(0)?;
    let mut outputs = vec![output];
    if cx.output_count() > 1 {
        outputs.push(cx.like(cx.shape(0)?.clone()));
    }
    Ok(Effect::of(outputs)
        .other(all.clone() * Dim::from(3) + n.clone() * Dim::from(2))
        .comparisons(all.clone())
        .transcendentals(all))
}

/// Learning rate and step, then all tensors, all gradients and `STATES − 1` states of each; gives
/// the tensors and states, updated.
fn step<const STATES: usize>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let groups = STATES + 1;
    let Some(count) = cx.inputs.len().checked_sub(2).filter(|n| n % groups == 0) else {
        return invalid!("{} inputs do not make groups of {groups}", cx.inputs.len());
    };
    let tensors = count / groups;
    let kept = (0..count).filter(|i| !(tensors..2 * tensors).contains(i));
    let outputs = kept.map(|i| cx.input(2 + i).cloned()).collect::<Result<Vec<_>, _>>()?;
    let n: Dim = (0..tensors).map(|i| cx.elements(2 + i)).sum::<Result<_, _>>()?;
    let (each, roots) = match &*cx.node.op_type {
        "Adam" => (12, n.clone()),
        "Adagrad" => (7, n.clone()),
        _ => (5, Dim::ZERO),
    };
    Ok(Effect::of(outputs).other(n * Dim::from(each)).transcendentals(roots).integer(false))
}
