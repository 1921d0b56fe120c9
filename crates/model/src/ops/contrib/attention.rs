//! The attention family, with its cache.

use crate::dim::Dim;
use crate::ir::{Shape, TensorInfo};
use crate::ops::attention::causal_pairs;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::{Cost, Effect};

/// Sizes of one attention: batch, query heads, queries, keys, and the two head sizes.
pub(super) struct Sizes {
    pub(super) batch: Dim,
    pub(super) heads: Dim,
    pub(super) queries: Dim,
    pub(super) keys: Dim,
    pub(super) qk: Dim,
    pub(super) v: Dim,
}

/// MACs of both products; per score one scale, one comparison, one exp, a subtraction, a sum and a
/// division, and one addition for each mask or bias.
pub(super) fn core(effect: Effect, s: &Sizes, added: u32) -> Effect {
    let scores = s.batch.clone() * s.heads.clone() * s.queries.clone() * s.keys.clone();
    effect
        .macs(scores.clone() * (s.qk.clone() + s.v.clone()))
        .other(scores.clone() * Dim::from(4 + added))
        .comparisons(scores.clone())
        .transcendentals(scores)
}

pub(super) fn heads(cx: &OpCx<'_>, name: &str) -> Result<Dim, OpError> {
    let given = cx.attrs().int(name)?.filter(|n| *n > 0);
    given.map(Dim::from).ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()).into())
}

pub(super) fn three(cx: &OpCx<'_>, port: usize) -> Result<[Dim; 3], OpError> {
    match &cx.shape(port)?[..] {
        [a, b, c] => Ok([a.clone(), b.clone(), c.clone()]),
        other => invalid!("input {port} has rank {} where 3 is needed", other.len()),
    }
}

/// Length of the cache at `port`, whose axis `at` counts positions; zero where there is none.
pub(super) fn past(cx: &OpCx<'_>, port: usize, at: usize) -> Result<Dim, OpError> {
    match cx.optional(port) {
        Some(_) => Ok(cx.shape(port)?.get(at).cloned().unwrap_or_default()),
        None => Ok(Dim::ZERO),
    }
}

/// `x: [B, S, D]`, `w: [D, 3·H]`: projection and attention in one; the cache is `[2, B, N, P, d]`.
pub(super) fn packed(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    projected(cx, 4, Some(5))
}

/// One query a sequence; the cache is at port 4.
pub(super) fn masked_self(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    projected(cx, 4, Some(5))
}

/// Weights and input are integers; the cache is at port 8.
pub(super) fn quantized(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(projected(cx, 8, None)?.integer(true))
}

/// Widths of queries (and keys) and of values, of the columns that one product makes of all three:
/// `qkv_hidden_sizes`, or a third each.
pub(super) fn widths(cx: &OpCx<'_>, columns: &Dim) -> Result<(Dim, Dim), OpError> {
    let third = columns.floor_div(&Dim::from(3));
    Ok(match cx.attrs().dims("qkv_hidden_sizes")? {
        Some(sizes) if sizes.len() == 3 => (sizes[0].clone(), sizes[2].clone()),
        _ => (third.clone(), third),
    })
}

fn projected(cx: &OpCx<'_>, cache: usize, bias: Option<usize>) -> Result<Effect, OpError> {
    let [batch, queries, width] = three(cx, 0)?;
    let columns = cx.shape(1)?.last().cloned().unwrap_or_default();
    let n = heads(cx, "num_heads")?;
    let (qk, v) = widths(cx, &columns)?;
    // A cache that is written in place has room for the new keys already.
    let shared = cx.attrs().flag("past_present_share_buffer")? && cx.optional(cache).is_some();
    let before = past(cx, cache, 3)?;
    let keys = if shared { before } else { before + queries.clone() };
    let dtype = cx.optional(2).and_then(|b| b.dtype).filter(|d| d.is_float()).or(cx.dtype(0));
    let mut outputs = vec![TensorInfo::new(dtype, vec![batch.clone(), queries.clone(), v.clone()])];
    let rows = batch.clone() * queries.clone() * v.clone();
    let written = added_rows(&outputs[0], &(rows * Dim::from(2)));
    if cx.output_count() > 1 {
        let each = v.floor_div(&n);
        let shape = vec![Dim::from(2), batch.clone(), n.clone(), keys.clone(), each];
        outputs.push(TensorInfo::new(dtype, shape));
    }
    let sizes = Sizes {
        batch: batch.clone(),
        qk: qk.floor_div(&n),
        v: v.floor_div(&n),
        heads: n,
        queries: queries.clone(),
        keys,
    };
    let added = u32::from(cx.optional(3).is_some())
        + u32::from(bias.is_some_and(|port| cx.optional(port).is_some()));
    let projection = batch * queries * columns;
    let mut effect = core(Effect::of(outputs), &sizes, added);
    effect.macs = effect.macs + projection.clone() * width;
    // Between the projection and the attention: two kernels in every runtime.
    if let Some(bytes) = dtype.map(|d| d.bytes(&projection)) {
        let (bytes_read, bytes_written) = (bytes.clone(), bytes);
        effect = effect.inner(Cost { bytes_read, bytes_written, ..Cost::default() });
    }
    if cx.optional(2).is_some() {
        effect.other = effect.other + projection;
    }
    Ok(if shared { effect.writes(written).bound() } else { effect })
}

/// Bytes written by an attention whose cache is its input's memory: the output, and these new elements.
pub(super) fn added_rows(output: &TensorInfo, elements: &Dim) -> Dim {
    let new = output.dtype.map_or(Dim::ZERO, |t| t.bytes(elements));
    output.bytes().unwrap_or_default() + new
}

/// Query `[B, S, N·d]` or packed `[B, S, N, 3, d]`; keys and values `[B, L, …]`, packed
/// `[B, L, N, 2, d]`, or `[B, N, L, d]` from a cross-attention cache.
pub(super) fn multi_head(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let query = cx.shape(0)?;
    let (batch, queries, hidden) = match &query[..] {
        [b, s, h] => (b.clone(), s.clone(), h.clone()),
        [b, s, n, _, d] => (b.clone(), s.clone(), n.clone() * d.clone()),
        other => return invalid!("a query of rank {}", other.len()),
    };
    let size = hidden.floor_div(&n);
    let length = |port: usize| -> Result<Option<(Dim, Dim)>, OpError> {
        if cx.optional(port).is_none() {
            return Ok(None);
        }
        Ok(match &cx.shape(port)?[..] {
            [_, l, h] => Some((l.clone(), h.floor_div(&n))),
            [_, _, l, d] | [_, l, _, _, d] => Some((l.clone(), d.clone())),
            other => return invalid!("keys or values of rank {}", other.len()),
        })
    };
    let (key, value) = (length(1)?, length(2)?);
    let (new, _) = key.clone().unwrap_or((queries.clone(), size.clone()));
    let v = value.or(key).map_or(size.clone(), |(_, d)| d);
    // A length of the past says that the cache has room for the new keys already.
    let shared = cx.optional(6).is_some() && cx.optional(8).is_some();
    let added = batch.clone() * new.clone() * n.clone() * (size.clone() + v.clone());
    let keys = if shared { past(cx, 6, 2)? } else { past(cx, 6, 2)? + new };
    let mut outputs = vec![cx.like(vec![batch.clone(), queries.clone(), n.clone() * v.clone()])];
    let written = added_rows(&outputs[0], &added);
    for d in [&size, &v] {
        outputs.push(cx.like(vec![batch.clone(), n.clone(), keys.clone(), d.clone()]));
    }
    outputs.truncate(cx.output_count().max(1));
    let sizes = Sizes { batch, heads: n, queries, keys, qk: size, v };
    let added = [4, 5].iter().filter(|p| cx.optional(**p).is_some()).count();
    let effect = core(Effect::of(outputs), &sizes, u32::try_from(added).unwrap_or(0));
    let biased = if cx.optional(3).is_some() { cx.elements(0)? * Dim::from(3) } else { Dim::ZERO };
    let effect = Effect { other: effect.other.clone() + biased, ..effect };
    Ok(if shared { effect.writes(written).bound() } else { effect })
}

/// Query heads share key heads; keys and values join the cache `[B, Nkv, P, d]`.
pub(super) fn grouped(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, kv) = (heads(cx, "num_heads")?, heads(cx, "kv_num_heads")?);
    let [batch, queries, width] = three(cx, 0)?;
    let packed = cx.optional(1).is_none();
    let all = if packed { n.clone() + kv.clone() * Dim::from(2) } else { n.clone() };
    let d = width.floor_div(&all);
    let new = if packed { queries.clone() } else { three(cx, 1)?[1].clone() };
    // Declared as long as the past: one buffer, with room for the new keys already.
    let before = past(cx, 3, 2)?;
    let declared = cx.declared.get(1).copied().flatten().and_then(|i| i.shape.as_ref()?.get(2));
    let fixed = before.as_const().is_some();
    let shared = cx.optional(3).is_some() && fixed && declared == Some(&before);
    let keys = if shared { before } else { before + new.clone() };
    let mut outputs = vec![cx.like(vec![batch.clone(), queries.clone(), n.clone() * d.clone()])];
    let added = batch.clone() * new.clone() * kv.clone() * d.clone() * Dim::from(2);
    let written = added_rows(&outputs[0], &added);
    let cache: Shape = vec![batch.clone(), kv.clone(), keys.clone(), d.clone()];
    outputs.extend([cx.like(cache.clone()), cx.like(cache)]);
    outputs.truncate(cx.output_count().max(1));
    let rotated = if cx.attrs().flag("do_rotary")? {
        batch.clone() * d.clone() * (n.clone() * queries.clone() + kv * new) * Dim::from(3)
    } else {
        Dim::ZERO
    };
    // Always causal.
    let pairs = causal_pairs(&queries, &(keys.clone() - queries.clone()));
    let effective = batch.clone() * n.clone() * pairs * d.clone() * Dim::from(2);
    let sizes = Sizes { batch, heads: n, queries, keys, qk: d.clone(), v: d };
    let effect = core(Effect::of(outputs), &sizes, u32::from(cx.optional(10).is_some()));
    let effect = Effect { other: effect.other.clone() + rotated, ..effect };
    if shared {
        return Ok(effect.writes(written).bound());
    }
    Ok(effect.effective(Some(effective)))
}

pub(super) fn rotary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n * Dim::from(3)))
}
