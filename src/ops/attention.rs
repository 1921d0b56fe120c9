//! Attention as one operator.

use super::Class::Attention;
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::Shape;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Attention", Attention, attention).inputs(3, 7).formula("2·B·Hq·Sq·Sk·(Dqk+Dv) + 6 per score, 1 of them exp"),
    Op::new("RotaryEmbedding", Attention, rotary).inputs(3, 4).formula("3·|x|"),
];

/// Opset 23. `q: [B, Hq, Sq, D]` or `[B, Sq, Hq·D]`, likewise k and v; past keys and values join
/// in front. Nominal: a causal mask does not lower the count.
fn attention(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let heads =
        |name: &str| -> Result<Option<Dim>, OpError> { Ok(cx.attrs().int(name)?.map(Dim::from)) };
    let q_heads = heads("q_num_heads")?;
    let kv_heads = heads("kv_num_heads")?;
    let q = split_heads(cx.shape(0)?, q_heads.as_ref())?;
    let k = split_heads(cx.shape(1)?, kv_heads.as_ref())?;
    let v = split_heads(cx.shape(2)?, kv_heads.as_ref())?;
    let past = match cx.optional(4) {
        Some(_) => cx.shape(4)?.get(2).cloned().unwrap_or_default(),
        None => Dim::ZERO,
    };
    let [batch, hq, sq, dqk] = q;
    let total = past + k[2].clone();
    let scores = batch.clone() * hq.clone() * sq.clone() * total.clone();
    let output = if cx.rank(0)? == 3 {
        vec![batch.clone(), sq.clone(), hq.clone() * v[3].clone()]
    } else {
        vec![batch.clone(), hq.clone(), sq.clone(), v[3].clone()]
    };
    let present =
        |kv: &[Dim; 4]| cx.like(vec![batch.clone(), kv[1].clone(), total.clone(), kv[3].clone()]);
    let mut outputs = vec![cx.like(output), present(&k), present(&v)];
    outputs.push(cx.like(vec![batch.clone(), hq, sq, total.clone()]));
    outputs.truncate(cx.output_count().max(1));
    let masked = u32::from(cx.optional(3).is_some());
    Ok(Effect::of(outputs)
        .macs(scores.clone() * (dqk + v[3].clone()))
        .other(scores.clone() * Dim::from(4 + masked))
        .comparisons(scores.clone())
        .transcendentals(scores))
}

/// `[B, H, S, D]` from either layout.
fn split_heads(shape: &Shape, heads: Option<&Dim>) -> Result<[Dim; 4], OpError> {
    match (&shape[..], heads) {
        ([b, h, s, d], _) => Ok([b.clone(), h.clone(), s.clone(), d.clone()]),
        ([b, s, hidden], Some(h)) => Ok([b.clone(), h.clone(), s.clone(), hidden.floor_div(h)]),
        _ => invalid!("attention over rank {} without a head count", shape.len()),
    }
}

/// Two products and one sum an element; sines and cosines come ready in a table.
fn rotary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n * Dim::from(3)))
}
