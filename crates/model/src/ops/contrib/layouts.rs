//! Numbers of 8 bits in the tiled orders of matrices that cuBLAS has, recurrent states over packed
//! tokens, and operators whose cost is in no graph.

use super::variants;
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::contraction;

/// A product, a rounding and a clipping an element.
pub(super) fn quantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = TensorInfo::new(Some(DType::I8), cx.shape(0)?.clone());
    Ok(Effect::one(output).other(cx.elements(0)? * Dim::from(3)))
}

/// A product an element; `to` names the output's type.
pub(super) fn dequantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let to = i32::try_from(cx.attrs().int_or("to", 1)?).ok().and_then(DType::from_onnx);
    let output = TensorInfo::new(to, cx.shape(0)?.clone());
    Ok(Effect::one(output).other(cx.elements(0)?).integer(false))
}

/// As the float form, between a scaling on the way in and one on the way out.
pub(super) fn gelu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let output = cx.like(cx.shape(0)?.clone());
    Ok(Effect::one(output).other(n.clone() * Dim::from(8)).transcendentals(n).integer(false))
}

/// As the float form, between a scaling on the way in and one on the way out.
pub(super) fn layer_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let rows: Dim = cx.shape(0)?.iter().rev().skip(1).product();
    let output = cx.like(cx.shape(0)?.clone());
    let other = n * Dim::from(11) + rows.clone() * Dim::from(2);
    Ok(Effect::one(output).other(other).transcendentals(rows).integer(false))
}

/// `A: [B, M, K]` by `B: [K, N]`; shapes are those of the matrices, whatever their order in memory.
pub(super) fn matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = contraction::matmul_at(cx, 0, 2, Some(DType::I8))?;
    let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
    let added = (5..=6).filter(|port| cx.optional(*port).is_some()).count();
    effect.other = effect.other + n * Dim::from(2 + u32::try_from(added).unwrap_or(0));
    Ok(effect.integer(true))
}

pub(super) fn longformer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(variants::windowed(cx, 2)?.integer(true))
}

/// Tokens `[…, heads, d]`, a state `[B, Hv, dv, dk]` in 32 bits that every token decays, reads and
/// corrects; the step-by-step recurrence, which chunked forms exceed.
pub(super) fn delta_net(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let ([tokens @ .., hq, dk], Some([hv, dv])) =
        (&cx.shape(0)?[..], cx.shape(2)?.last_chunk::<2>())
    else {
        return invalid!("packed queries, keys and values of rank {}", cx.rank(0)?);
    };
    let rule = cx.attrs().str("update_rule")?.unwrap_or("gated_delta");
    let (gated, delta) = (rule.starts_with("gated"), rule.ends_with("delta"));
    let all: Dim = tokens.iter().product();
    let cells = all.clone() * hv.clone() * dk.clone() * dv.clone();
    let passes = Dim::from(if delta { 3 } else { 2 });
    let batch = match (cx.optional(6), cx.optional(3)) {
        (Some(_), _) => cx.shape(6)?.first().cloned().unwrap_or_default(),
        (None, Some(_)) => cx.shape(3)?.first().cloned().unwrap_or_default() - Dim::ONE,
        (None, None) => return Err(OpError::MissingInput(6)),
    };
    let mut shape = tokens.to_vec();
    shape.extend([hq.maximum(hv), dv.clone()]);
    let state = vec![batch, hv.clone(), dv.clone(), dk.clone()];
    let mut outputs = vec![cx.like(shape), TensorInfo::new(Some(DType::F32), state)];
    outputs.truncate(cx.output_count().max(1));
    // Decays arrive as logarithms; corrections take a difference and a product with the rate.
    let rates = if gated { cx.optional(4).and_then(TensorInfo::elements) } else { None };
    let gates = if gated { cells.clone() } else { Dim::ZERO };
    let corrected = if delta { all * hv.clone() * dv.clone() * Dim::from(2) } else { Dim::ZERO };
    Ok(Effect::of(outputs)
        .macs(cells * passes)
        .other(gates + corrected)
        .transcendentals(rates.unwrap_or_default()))
}

/// What a part of a model compiled for another runtime does is in a blob of that runtime's own.
pub(super) fn compiled(_: &OpCx<'_>) -> Result<Effect, OpError> {
    Err(OpError::Unsupported("a part compiled for one device, whose work the file hides,".into()))
}

/// How many words a text has only the text tells, and cutting it costs no arithmetic.
pub(super) fn tokenizer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    shape.push((cx.fresh)("words", None));
    Ok(Effect::one(cx.like(shape)).free(1).bound())
}
