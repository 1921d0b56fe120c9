//! Attention as one operator.

use super::Class::Attention;
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Holds, Op, Part};
use crate::dim::Dim;
use crate::ir::Shape;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Attention", Attention, attention).holds(Holds::Cached(&[(4, 1), (5, 2)])).inputs(3, 7).formula("2·B·Hq·Sq·Sk·(Dqk+Dv) + 6 per score, 1 of them exp").weights("---mccc"),
    Op::new("LinearAttention", Attention, linear).inputs(3, 6).formula("2·B·T·dk·dv·(Hkv+Hq), + Hkv for delta rules; B·T·Hkv·dk·dv for gates"),
    Op::new("RotaryEmbedding", Attention, rotary).inputs(3, 4).formula("3·|x|").weights("-ccc").playing(Part::Map),
    Op::new("FlexAttention", Attention, flexible).domain("ai.onnx.preview").inputs(3, 3).formula("as Attention, and both bodies"),
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
    let total = past.clone() + k[2].clone();
    let hq_count = hq.clone();
    let scores = batch.clone() * hq.clone() * sq.clone() * total.clone();
    let output = if cx.rank(0)? == 3 {
        vec![batch.clone(), sq.clone(), hq.clone() * v[3].clone()]
    } else {
        vec![batch.clone(), hq.clone(), sq.clone(), v[3].clone()]
    };
    let present =
        |kv: &[Dim; 4]| cx.like(vec![batch.clone(), kv[1].clone(), total.clone(), kv[3].clone()]);
    let mut outputs = vec![cx.like(output), present(&k), present(&v)];
    outputs.push(cx.like(vec![batch.clone(), hq, sq.clone(), total.clone()]));
    outputs.truncate(cx.output_count().max(1));
    let masked = u32::from(cx.optional(3).is_some());
    // Of what is new, each query sees all that is kept, and the keys up to its own. Where queries and new keys are not
    // as many, the mask hides another share, which is not counted.
    let causal = cx.attrs().flag("is_causal")? && sq == k[2];
    let seen = causal.then(|| causal_pairs(&sq, &past));
    let depth = dqk.clone() + v[3].clone();
    let effective = seen.map(|pairs| batch.clone() * hq_count.clone() * pairs * depth);
    Ok(Effect::of(outputs)
        .effective(effective)
        .macs(scores.clone() * (dqk + v[3].clone()))
        .other(scores.clone() * Dim::from(4 + masked))
        .comparisons(scores.clone())
        .transcendentals(scores))
}

/// Pairs of a query and a key that a causal mask leaves: the i-th of `queries` sees the `before` keys that are kept and
/// i + 1 new ones.
pub(super) fn causal_pairs(queries: &Dim, before: &Dim) -> Dim {
    let own = (queries.clone() * (queries.clone() + Dim::ONE)).floor_div(&Dim::from(2));
    queries.clone() * before.clone() + own
}

/// Opset 27. A recurrent state of `dk × dv` a head instead of scores: as the step-by-step recurrence,
/// which chunked forms exceed.
pub(super) fn linear(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let heads = |name: &str| -> Result<Dim, OpError> {
        let given = cx.attrs().int(name)?.filter(|n| *n > 0);
        Ok(Dim::from(given.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?))
    };
    let (hq, hkv) = (heads("q_num_heads")?, heads("kv_num_heads")?);
    let ([b, t, q], [.., v]) = (&cx.shape(0)?[..], &cx.shape(2)?[..]) else {
        return invalid!("linear attention over rank {}", cx.rank(0)?);
    };
    let (dk, dv) = (q.floor_div(&hq), v.floor_div(&hkv));
    let state = cx.like(vec![b.clone(), hkv.clone(), dk.clone(), dv.clone()]);
    let rule = cx.attrs().str("update_rule")?.unwrap_or("gated_delta");
    let (gated, delta) = (rule.starts_with("gated"), rule.ends_with("delta"));
    let cells = b.clone() * t.clone() * dk * dv.clone();
    let corrected = if delta { hkv.clone() } else { Dim::ZERO };
    let gates = if gated { cells.clone() * hkv.clone() } else { Dim::ZERO };
    let rates = if gated { cx.optional(4).and_then(crate::ir::TensorInfo::elements) } else { None };
    let output = cx.like(vec![b.clone(), t.clone(), hq.clone() * dv]);
    Ok(Effect::of(vec![output, state])
        .macs(cells * (hkv + hq + corrected))
        .other(gates)
        .transcendentals(rates.unwrap_or_default()))
}

/// Scores and probabilities pass through bodies of the model's own.
fn flexible(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let ([b, hq, s, d], [.., l, _], [.., dv]) =
        (&cx.shape(0)?[..], &cx.shape(1)?[..], &cx.shape(2)?[..])
    else {
        return invalid!("attention over rank {}", cx.rank(0)?);
    };
    let shape = vec![b.clone(), hq.clone(), s.clone(), l.clone()];
    let scores: Dim = shape.iter().product();
    let map = crate::ir::TensorInfo::new(Some(crate::ir::DType::F32), shape);
    let mut inner = super::Inner::default();
    for body in ["score_mod", "prob_mod"] {
        if cx.attrs().has(body) {
            inner.add(&(cx.run_body)(body, std::slice::from_ref(&map))?.1);
        }
    }
    let output = cx.like(vec![b.clone(), hq.clone(), s.clone(), dv.clone()]);
    Ok(Effect::one(output)
        .macs(scores.clone() * (d.clone() + dv.clone()))
        .other(scores.clone() * Dim::from(4))
        .comparisons(scores.clone())
        .transcendentals(scores)
        .inner(inner))
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
