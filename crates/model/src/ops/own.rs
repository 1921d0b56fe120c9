//! `rooflens`: what files of other frameworks say and ONNX cannot: images with channels last, and weights whose
//! shape follows from what they are applied to.
//!
//! An image is `[N, …, C]`; weights are as in ai.onnx. Costs are those of the standard operator.

pub(super) mod kept;
pub(super) mod pieces;
pub(super) mod recurrent;

use super::Class::{Convolution, Movement, Normalization, Pooling, View};
use super::context::{OpCx, OpError, invalid};
use super::contrib::blocked::{channels_last, last_in};
use super::{Class, Effect, Op, Part, movement};
use crate::dim::Dim;
use crate::ir::{DType, OWN_DOMAIN, Shape, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    last("AveragePool", Pooling),
    Op::new("BatchNormalization", Normalization, batch_norm).domain(OWN_DOMAIN).inputs(5, 6).formula("as ai.onnx BatchNormalization, along `axis`; scale and shift are optional").weights("-wwttt").playing(Part::Map),
    last("Conv", Convolution).inputs(2, 3).weights("-ww"),
    Op::new("ConvTranspose", Convolution, conv_transpose).domain(OWN_DOMAIN).inputs(2, 4).formula("as in ai.onnx, channels last; the shape of the output may be an input").weights("-wwc"),
    last("DepthToSpace", Movement).playing(Part::Map),
    Op::new("DetectionOutput", Movement, detection_output).domain(OWN_DOMAIN).inputs(3, 5).formula("≤ 20·|boxes| + IoUs of all pairs").weights("-"),
    last("GlobalAveragePool", Pooling).playing(Part::Row),
    last("GlobalLpPool", Pooling).playing(Part::Row),
    last("GlobalMaxPool", Pooling).playing(Part::Row),
    last("InstanceNormalization", Normalization).weights("-ww"),
    last("LRN", Normalization),
    last("LpPool", Pooling),
    last("MaxPool", Pooling),
    Op::new("Parameter", View, parameter).domain(OWN_DOMAIN).inputs(1, 1).formula("0: a stored weight"),
    Op::new("Proposal", Movement, proposal).domain(OWN_DOMAIN).inputs(2, 3).formula("≤ 20·|boxes| + IoUs of all pairs").weights("-"),
    last("QLinearConv", Convolution).weights("-sswssssw"),
    Op::new("Resize", Movement, movement::resize).domain(OWN_DOMAIN).inputs(1, 4).formula("as ai.onnx Resize"),
    last("SpaceToDepth", Movement).playing(Part::Map),
];

/// The operator of ai.onnx by this name, its images with channels last.
const fn last(name: &'static str, class: Class) -> Op {
    last_in(OWN_DOMAIN, name, class)
}

/// `x: [N, …, Cin]`, `w: [Cin, Cout/g, …]`; input 3 is the shape of the output, or of its spatial axes alone,
/// where padding does not tell it.
fn conv_transpose(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = channels_last(cx)?;
    if cx.optional(3).is_none() {
        return Ok(effect);
    }
    let given = cx.ints(3)?;
    let output = effect.outputs.first_mut().and_then(|o| o.shape.as_mut());
    let Some(shape) = output else { return Ok(effect) };
    let rank = shape.len();
    let spatial = match given.len() {
        all if all == rank => &given[1..rank - 1],
        some if some + 2 == rank => &given[..],
        some => return invalid!("a shape of {some} sizes for an output of rank {rank}"),
    };
    shape[1..rank - 1].clone_from_slice(spatial);
    let elements: Dim = shape.iter().product();
    if cx.optional(2).is_some() {
        effect.other = elements;
    }
    Ok(effect.reads(3, Dim::ZERO))
}

/// The shape of a weight that is applied to `x`: `sizes`, where those that are zero are sizes of `x`, at `axes`,
/// divided by `group`; with `flat`, the product of all sizes of `x` from that axis on.
fn parameter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let x = cx.shape(0)?;
    let missing = |name: &str| crate::ir::AttrError::Missing(name.into());
    let sizes = cx.attrs().ints("sizes")?.ok_or_else(|| missing("sizes"))?;
    let axes = cx.attrs().ints("axes")?.unwrap_or(&[]);
    let group = match cx.attrs().int_or("group", 1)? {
        n if n < 1 => return invalid!("{n} groups"),
        n => Dim::from(n),
    };
    let flat = cx.attrs().int("flat")?;
    let mut shape = Shape::with_capacity(sizes.len());
    for (i, size) in sizes.iter().enumerate() {
        if *size > 0 {
            shape.push(Dim::from(*size));
            continue;
        }
        let at = flat.unwrap_or(axes.get(i).copied().unwrap_or(-1));
        let from = super::shape::axis(at, x.len())?;
        let taken = if flat.is_some() { x[from..].iter().product() } else { x[from].clone() };
        if taken.as_const().zip(group.as_const()).is_some_and(|(n, g)| n % g != 0) {
            return invalid!("{group} groups do not divide {taken} channels");
        }
        shape.push(taken.floor_div(&group));
    }
    let dtype = cx.attrs().int("dtype")?.and_then(|n| DType::from_onnx(i32::try_from(n).ok()?));
    let output = TensorInfo::new(Some(dtype.unwrap_or(DType::F32)), shape);
    Ok(Effect::one(TensorInfo { constant: true, ..output }).free(1))
}

/// At inference: scale and shift per channel are prepared once, then one multiply and one add an element. Inputs
/// as in ai.onnx, scale and shift optional; input 5 is a factor of both statistics.
fn batch_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, channels) = (cx.elements(0)?, cx.elements(3)?);
    Ok(Effect::one(cx.like(cx.shape(0)?.clone()))
        .other(n * Dim::from(2) + channels.clone() * Dim::from(3))
        .transcendentals(channels))
}

/// Boxes that are decoded, sorted and thinned out by overlap: at most as many comparisons as there are pairs.
fn thinned(boxes: &Dim, rounds: Dim) -> (Dim, Dim) {
    let pairs = boxes.clone() * boxes.clone() * rounds;
    (boxes.clone() * Dim::from(20) + pairs.clone() * Dim::from(16), pairs)
}

/// Scores `[N, 2·A, h, w]`, shifts `[N, 4·A, h, w]` → regions `[R, 5]`, and their scores `[R, 1]`.
fn proposal(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let boxes = cx.elements(1)?.floor_div(&Dim::from(4));
    let most = Dim::from(cx.attrs().int_or("most", 300)?.max(1));
    let regions = (cx.fresh)("regions", Some(most));
    let outputs = [5, 1].map(|n| cx.like(vec![regions.clone(), Dim::from(n)]));
    let (other, pairs) = thinned(&boxes, Dim::ONE);
    let outputs = outputs.into_iter().take(cx.output_count()).collect::<Vec<_>>();
    Ok(Effect::of(outputs).other(other).comparisons(pairs).bound())
}

/// Shifts `[N, 4·P]`, scores `[N, classes·P]`, priors `[1, 2, 4·P]` → boxes `[1, 1, K, 7]`.
fn detection_output(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let boxes = cx.elements(0)?.floor_div(&Dim::from(4));
    let classes = Dim::from(cx.attrs().int_or("classes", 1)?.max(1));
    let limit = match cx.attrs().int_or("most", -1)? {
        n if n > 0 => cx.shape(0)?.first().cloned().unwrap_or(Dim::ONE) * Dim::from(n),
        _ => boxes.clone() * classes.clone(),
    };
    let kept = (cx.fresh)("boxes", Some(limit));
    let (other, pairs) = thinned(&boxes, classes);
    let output = cx.like(vec![Dim::ONE, Dim::ONE, kept, Dim::from(7)]);
    Ok(Effect::one(output).other(other).comparisons(pairs).bound())
}
