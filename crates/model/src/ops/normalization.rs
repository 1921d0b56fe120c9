//! Softmax and the norms.

use super::Class::Normalization;
use super::context::{OpCx, OpError};
use super::shape::axis;
use super::{Effect, KernelClass, Op, Part, Role};
use crate::dim::Dim;
use crate::ir::TensorInfo;

const SOFTMAX: &str = "≈4·|x|: |x| exp, |x|−rows comparisons, |x|−rows sums, 2·|x| (sub, div)";

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("BatchNormalization", Normalization, batch_norm).inputs(5, 5).formula("2·|x| + 4·C, C of them transcendental").weights("-wwtt").playing(Part::Map).kernel(KernelClass::BatchNorm),
    Op::new("GroupNormalization", Normalization, grouped).inputs(3, 3).formula("7·|x| + 1 rsqrt per group").weights("-ww"),
    Op::new("InstanceNormalization", Normalization, grouped).inputs(3, 3).formula("7·|x| + 1 rsqrt per channel").weights("-ww"),
    Op::new("LRN", Normalization, lrn).inputs(1, 1).formula("(size+3)·|x| + |x| transcendental"),
    Op::new("LayerNormalization", Normalization, layer_norm).inputs(2, 3).formula("7·|x| + 2·rows, rows of them rsqrt").weights("-ww"),
    Op::new("LogSoftmax", Normalization, softmax).inputs(1, 1).formula(SOFTMAX).weights("l").role(Role::Softmax).kernel(KernelClass::Softmax),
    Op::new("LpNormalization", Normalization, lp_norm).inputs(1, 1).formula("3·|x|"),
    Op::new("MeanVarianceNormalization", Normalization, grouped).inputs(1, 1).formula("5·|x|"),
    Op::new("RMSNormalization", Normalization, rms_norm).inputs(2, 2).formula("4·|x| + 1 rsqrt per row").weights("-w"),
    Op::new("SimplifiedLayerNormalization", Normalization, rms_norm).inputs(2, 2).formula("4·|x| + 1 rsqrt per row").weights("-w"),
    Op::new("Softmax", Normalization, softmax).inputs(1, 1).formula(SOFTMAX).weights("l").role(Role::Softmax).kernel(KernelClass::Softmax),
];

/// At inference: scale and shift per channel are prepared once, then one multiply and one add an
/// element.
fn batch_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, channels) = (cx.elements(0)?, cx.elements(1)?);
    let mut outputs = vec![cx.like(cx.shape(0)?.clone())];
    for port in 1..cx.output_count() {
        outputs.push(cx.optional(3 + (port - 1) % 2).cloned().unwrap_or_default());
    }
    Ok(Effect::of(outputs)
        .other(n * Dim::from(2) + channels.clone() * Dim::from(3))
        .transcendentals(channels))
}

/// Before opset 13 the axes from `axis` (default 1) on are one row; since then one axis
/// (default −1).
fn softmax(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let early = cx.opset() < 13;
    let row = if shape.is_empty() {
        Dim::ONE
    } else {
        let at = axis(cx.attrs().int_or("axis", if early { 1 } else { -1 })?, shape.len());
        match at {
            Ok(a) if early => shape[a..].iter().product(),
            Ok(a) => shape[a].clone(),
            Err(_) if early && shape.len() == 1 => Dim::ONE,
            Err(error) => return Err(error),
        }
    };
    let rows = n.floor_div(&row);
    let log = if &*cx.node.op_type == "LogSoftmax" { rows.clone() } else { Dim::ZERO };
    Ok(Effect::one(cx.like(shape.clone()))
        .other(n.clone() * Dim::from(3) - rows.clone())
        .comparisons(n.clone() - rows)
        .transcendentals(n + log))
}

/// Elements, and rows over the axes from `axis` on.
fn rows(cx: &OpCx<'_>) -> Result<(Dim, Dim, usize), OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", -1)?, shape.len())?;
    Ok((cx.elements(0)?, shape[..at].iter().product(), at))
}

/// Mean, centre, square, sum, scale (5 an element), γ and β (1 each).
fn layer_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, rows, at) = rows(cx)?;
    let shape = cx.shape(0)?;
    let affine = 1 + usize::from(cx.optional(2).is_some());
    let mut outputs = vec![cx.like(shape.clone())];
    let statistics =
        shape.iter().enumerate().map(|(i, d)| if i < at { d.clone() } else { Dim::ONE });
    let statistics = TensorInfo::new(Some(crate::ir::DType::F32), statistics.collect::<Vec<_>>());
    outputs.extend((1..cx.output_count()).map(|_| statistics.clone()));
    Ok(Effect::of(outputs).other(n * Dim::from(5 + affine) + rows.clone()).transcendentals(rows))
}

fn rms_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, rows, _) = rows(cx)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n * Dim::from(4)).transcendentals(rows))
}

/// Instance, group and mean–variance norms: as layer norm, a group at a time.
fn grouped(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let per_sample = match cx.attrs().int("num_groups")? {
        Some(groups) => Dim::from(groups),
        None => shape.get(1).cloned().unwrap_or(Dim::ONE),
    };
    let groups = shape.first().cloned().unwrap_or(Dim::ONE) * per_sample;
    let each = if cx.optional(1).is_some() { 7 } else { 5 };
    Ok(Effect::one(cx.like(shape.clone())).other(n * Dim::from(each)).transcendentals(groups))
}

fn lrn(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let size = cx.attrs().int_or("size", 5)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone()))
        .other(n.clone() * Dim::from(size.saturating_add(3)))
        .transcendentals(n))
}

fn lp_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n * Dim::from(3)))
}
