//! Attention of other forms: packed without padding, paged, sparse, windowed, with a shared cache,
//! and the biases by relative position.

use super::attention::{Sizes, added_rows, core, heads, past, three, widths};
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};

/// Both halves of a cache, as they came in.
fn cache(cx: &OpCx<'_>, key: usize, value: usize) -> [TensorInfo; 2] {
    let info = |port| cx.optional(port).cloned().unwrap_or_default();
    [info(key), info(if cx.optional(value).is_some() { value } else { key })]
}

/// `x: [T, D]` of all sequences without padding, `w: [D, 3·H]`, `token_offset: [B, S]`. How the T
/// tokens fall into sequences is data-dependent: every one meets at most S keys.
pub(super) fn packed(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let ([tokens, width], [_, longest]) = (&cx.shape(0)?[..], &cx.shape(3)?[..]) else {
        return invalid!("tokens of rank {}, offsets of rank {}", cx.rank(0)?, cx.rank(3)?);
    };
    let columns = cx.shape(1)?.last().cloned().unwrap_or_default();
    let n = heads(cx, "num_heads")?;
    let (qk, v) = widths(cx, &columns)?;
    let sizes = Sizes {
        batch: Dim::ONE,
        qk: qk.floor_div(&n),
        v: v.floor_div(&n),
        heads: n,
        queries: tokens.clone(),
        keys: longest.clone(),
    };
    let projection = tokens.clone() * columns;
    let output = cx.like(vec![tokens.clone(), v]);
    let mut effect = core(Effect::one(output), &sizes, u32::from(cx.optional(5).is_some()));
    effect.macs = effect.macs + projection.clone() * width.clone();
    effect.other = effect.other + projection;
    Ok(effect.bound())
}

/// `query: [T, N·dqk]` of all sequences without padding, or `[T, N, 3, d]` with keys and values in it;
/// `token_offset: [B, S]`, as above.
pub(super) fn packed_multi_head(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let [_, longest] = &cx.shape(4)?[..] else {
        return invalid!("offsets of rank {}", cx.rank(4)?);
    };
    let (tokens, qk, v) = match (&cx.shape(0)?[..], cx.optional(2)) {
        ([t, _, _, d], _) => (t, d.clone(), d.clone()),
        ([t, width], Some(_)) => {
            let value = cx.shape(2)?.last().cloned().unwrap_or_default();
            (t, width.floor_div(&n), value.floor_div(&n))
        }
        (other, _) => return invalid!("a query of rank {}", other.len()),
    };
    let output = cx.like(vec![tokens.clone(), n.clone() * v.clone()]);
    let wide = tokens.clone() * n.clone() * (qk.clone() * Dim::from(2) + v.clone());
    let sizes =
        Sizes { batch: Dim::ONE, heads: n, queries: tokens.clone(), keys: longest.clone(), qk, v };
    let mut effect = core(Effect::one(output), &sizes, u32::from(cx.optional(6).is_some()));
    if cx.optional(3).is_some() {
        effect.other = effect.other + wide;
    }
    Ok(effect.bound())
}

/// One query a sequence, `[B, 1, N·d]`, or with its key and value, `[B, 1, N, 3, d]`; keys of an encoder
/// `[B, N, L, d]`, or a cache at ports 5 and 6 that may have room for the new key already.
pub(super) fn masked_multi_head(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let (batch, queries, qk) = match &cx.shape(0)?[..] {
        [b, s, hidden] => (b.clone(), s.clone(), hidden.floor_div(&n)),
        [b, s, _, _, d] => (b.clone(), s.clone(), d.clone()),
        other => return invalid!("a query of rank {}", other.len()),
    };
    let v = match cx.optional(2) {
        Some(_) => match &cx.shape(2)?[..] {
            [_, _, hidden] => hidden.floor_div(&n),
            [_, _, _, d] => d.clone(),
            other => return invalid!("values of rank {}", other.len()),
        },
        None => qk.clone(),
    };
    let shared = cx.attrs().flag("past_present_share_buffer")? && cx.optional(5).is_some();
    let keys = match cx.optional(1) {
        Some(_) if cx.rank(1)? == 4 => cx.shape(1)?[2].clone(),
        _ if shared => past(cx, 5, 2)?,
        _ => past(cx, 5, 2)? + queries.clone(),
    };
    let map = |last: &[&Dim]| {
        let shape = [&batch, &n].into_iter().chain(last.iter().copied());
        cx.like(shape.cloned().collect::<Vec<_>>())
    };
    let mut outputs = vec![
        cx.like(vec![batch.clone(), queries.clone(), n.clone() * v.clone()]),
        map(&[&keys, &qk]),
        map(&[&keys, &v]),
        map(&[&queries, &keys]),
    ];
    outputs.truncate(cx.output_count().max(1));
    let rows = batch.clone() * queries.clone() * n.clone() * (qk.clone() + v.clone());
    let written = added_rows(&outputs[0], &rows);
    let biased = if cx.optional(10).is_some() {
        batch.clone() * queries.clone() * n.clone() * (qk.clone() * Dim::from(2) + v.clone())
    } else {
        Dim::ZERO
    };
    let sizes = Sizes { batch, heads: n, queries, keys, qk, v };
    let added = [3, 4].iter().filter(|p| cx.optional(**p).is_some()).count();
    let mut effect = core(Effect::of(outputs), &sizes, u32::try_from(added).unwrap_or(0));
    effect.other = effect.other + biased;
    Ok(if shared { effect.writes(written).bound() } else { effect })
}

/// `query: [T, N·d]`, or `[T, (N + 2·Nkv)·d]` with keys and values in it; caches of blocks
/// `[blocks, block, Nkv, d]`, `block_table: [B, most blocks]`. A query meets at most the keys that
/// the blocks of its sequence hold; the caches are written in place, the new rows alone.
pub(super) fn paged(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, kv) = (heads(cx, "num_heads")?, heads(cx, "kv_num_heads")?);
    let ([tokens, width], [_, block, ..], [_, most]) =
        (&cx.shape(0)?[..], &cx.shape(3)?[..], &cx.shape(7)?[..])
    else {
        return invalid!("query of rank {}, block table of rank {}", cx.rank(0)?, cx.rank(7)?);
    };
    let all =
        if cx.optional(1).is_none() { n.clone() + kv.clone() * Dim::from(2) } else { n.clone() };
    let qk = width.floor_div(&all);
    let v = match cx.attrs().int("v_head_size")? {
        Some(size) if size > 0 => Dim::from(size),
        _ => qk.clone(),
    };
    let output = cx.like(vec![tokens.clone(), n.clone() * v.clone()]);
    let [key, value] = cache(cx, 3, 4);
    let row = |info: &TensorInfo, d: &Dim| {
        let dtype = info.dtype.or(cx.dtype(0));
        dtype.map_or(Dim::ZERO, |t| t.bytes(&(tokens.clone() * kv.clone() * d.clone())))
    };
    let written = output.bytes().unwrap_or_default() + row(&key, &qk) + row(&value, &v);
    let rotated = if cx.attrs().flag("do_rotary")? {
        tokens.clone() * (n.clone() + kv.clone()) * qk.clone() * Dim::from(3)
    } else {
        Dim::ZERO
    };
    let sizes = Sizes {
        batch: Dim::ONE,
        heads: n,
        queries: tokens.clone(),
        keys: block.clone() * most.clone(),
        qk,
        v,
    };
    let mut outputs = vec![output, key, value];
    outputs.truncate(cx.output_count().max(1));
    let effect = core(Effect::of(outputs), &sizes, 0);
    Ok(Effect { other: effect.other.clone() + rotated, ..effect }.writes(written).bound())
}

/// Grouped queries over a cache `[B, Nkv, M, d]` that is written in place; which blocks are skipped
/// only the layout's contents tell, so that all M keys are the most.
pub(super) fn sparse(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (n, kv) = (heads(cx, "num_heads")?, heads(cx, "kv_num_heads")?);
    let [batch, queries, width] = three(cx, 0)?;
    let all =
        if cx.optional(1).is_none() { n.clone() + kv.clone() * Dim::from(2) } else { n.clone() };
    let d = width.floor_div(&all);
    let keys = cx.shape(3)?.get(2).cloned().unwrap_or_default();
    let [key, value] = cache(cx, 3, 4);
    let output = cx.like(vec![batch.clone(), queries.clone(), n.clone() * d.clone()]);
    let rows = batch.clone() * queries.clone() * kv.clone() * d.clone();
    let new = cx.dtype(3).map_or(Dim::ZERO, |t| t.bytes(&rows)) * Dim::from(2);
    let written = output.bytes().unwrap_or_default() + new;
    let rotated = if cx.attrs().flag("do_rotary")? {
        batch.clone() * queries.clone() * (n.clone() + kv) * d.clone() * Dim::from(3)
    } else {
        Dim::ZERO
    };
    let mut outputs = vec![output, key, value];
    outputs.truncate(cx.output_count().max(1));
    let sizes = Sizes { batch, heads: n, queries, keys, qk: d.clone(), v: d };
    let effect = core(Effect::of(outputs), &sizes, 0);
    Ok(Effect { other: effect.other.clone() + rotated, ..effect }.writes(written).bound())
}

/// `x: [B, S, D]`, `w: [D, 3·H]` twice: a window of `window` keys to each side for all tokens, and
/// every key for the global ones, which only the data tell.
pub(super) fn longformer(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    windowed(cx, 1)
}

/// The same with the weights at port `weight`.
pub(super) fn windowed(cx: &OpCx<'_>, weight: usize) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let window = heads(cx, "window")?;
    let [batch, queries, width] = three(cx, 0)?;
    let columns = cx.shape(weight)?.last().cloned().unwrap_or_default();
    let hidden = columns.floor_div(&Dim::from(3));
    let d = hidden.floor_div(&n);
    let global = (cx.fresh)("global", Some(queries.clone()));
    let near = (window * Dim::from(2) + Dim::ONE).minimum(&queries);
    let met = queries.clone() * (near + global.clone()) + global * queries.clone();
    let sizes =
        Sizes { batch: batch.clone(), heads: n, queries: Dim::ONE, keys: met, qk: d.clone(), v: d };
    let output = cx.like(vec![batch.clone(), queries.clone(), hidden]);
    let projection = batch * queries * columns * Dim::from(2);
    let mut effect = core(Effect::one(output), &sizes, 1);
    effect.macs = effect.macs + projection.clone() * width;
    effect.other = effect.other + projection;
    Ok(effect.bound())
}

fn given(cx: &OpCx<'_>, port: usize) -> Result<bool, OpError> {
    Ok(cx.const_ints(port)?.first().is_some_and(|v| *v != 0))
}

/// `query: [S, B, D]`, `key: [T, B, D]`, `w_q: [D, D]`, `w_kv: [D, 2·D]`, caches `[B, N, P, d]`.
/// Flags say whether keys come from the encoder and whether they are in the cache already.
pub(super) fn decoder(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let [queries, batch, width] = three(cx, 0)?;
    let [encoded, _, _] = three(cx, 1)?;
    let (fixed, use_past) = (given(cx, 8)?, given(cx, 9)? && given(cx, 10)?);
    let past = match cx.optional(6) {
        Some(_) if use_past => cx.shape(6)?.get(2).cloned().unwrap_or_default(),
        _ => Dim::ZERO,
    };
    let projected = match (fixed, use_past) {
        (true, true) => Dim::ZERO,
        (true, false) => encoded,
        (false, _) => queries.clone(),
    };
    let keys = past + projected.clone();
    let d = width.floor_div(&n);
    let state = cx.like(vec![batch.clone(), n.clone(), keys.clone(), d.clone()]);
    let mut outputs = vec![cx.like(cx.shape(0)?.clone()), state.clone(), state];
    outputs.truncate(cx.output_count().max(1));
    let rows = batch.clone() * (queries.clone() + projected * Dim::from(2)) * width.clone();
    let sizes = Sizes { batch, heads: n, queries, keys, qk: d.clone(), v: d };
    let mut effect = core(Effect::of(outputs), &sizes, u32::from(cx.optional(5).is_some()));
    effect.macs = effect.macs + rows.clone() * width;
    effect.other = effect.other + rows;
    Ok(effect)
}

/// Integer projections with three weights `[D, H]` at ports 5 to 7.
pub(super) fn ordered(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = heads(cx, "num_heads")?;
    let [batch, queries, width] = three(cx, 0)?;
    let hidden = |port: usize| -> Result<Dim, OpError> {
        Ok(cx.shape(port)?.last().cloned().unwrap_or_default())
    };
    let (q, k, v) = (hidden(5)?, hidden(6)?, hidden(7)?);
    let projection = batch.clone() * queries.clone() * (q.clone() + k + v.clone());
    let output = cx.like(vec![batch.clone(), queries.clone(), v.clone()]);
    let keys = queries.clone();
    let (qk, v) = (q.floor_div(&n), v.floor_div(&n));
    let sizes = Sizes { batch, heads: n, queries, keys, qk, v };
    let mut effect = core(Effect::one(output), &sizes, u32::from(cx.optional(17).is_some()));
    effect.macs = effect.macs + projection.clone() * width;
    effect.other = effect.other + projection;
    Ok(effect.integer(true))
}

/// Sines and cosines of `emb`, then two products and a sum for each element of query and key.
pub(super) fn gemma_rotary(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (q, k) = (cx.shape(1)?, cx.shape(3)?);
    let outputs = [(1, q), (3, k)].map(|(port, s)| TensorInfo::new(cx.dtype(port), s.clone()));
    let n = cx.elements(1)? + cx.elements(3)?;
    let turns = cx.elements(0)? * Dim::from(2);
    Ok(Effect::of(outputs.to_vec()).other(n * Dim::from(3)).transcendentals(turns))
}

/// A row of the table `[buckets, N]` for every pair: `[1, N, S, T]`.
pub(super) fn relative_bias(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.shape(0)?.last().cloned().unwrap_or_default();
    let length = |port: usize| -> Result<Dim, OpError> {
        let sizes = cx.ints(port)?;
        sizes.into_iter().next().ok_or(OpError::MissingInput(port))
    };
    let output = cx.like(vec![Dim::ONE, n, length(1)?, length(2)?]);
    Ok(Effect::one(output).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

/// `query: [B, S, N·d]`, `rel_pos: [1, N, S, S]`, `w: [d, g]`: two gates a query and head scale the
/// bias, `[B, N, S, S]`.
pub(super) fn gated_bias(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [_, heads, s, t] = &cx.shape(2)?[..] else {
        return invalid!("positions of rank {}", cx.rank(2)?);
    };
    let [d, gates] = &cx.shape(3)?[..] else {
        return invalid!("gates of rank {}", cx.rank(3)?);
    };
    // Without padding the batch is in the offsets, `[B, S]`.
    let batch = match cx.optional(6) {
        Some(_) => cx.shape(6)?.first().cloned(),
        None => cx.shape(0)?.first().cloned(),
    };
    let batch = batch.unwrap_or_default();
    let output = cx.like(vec![batch.clone(), heads.clone(), s.clone(), t.clone()]);
    let n = output.elements().unwrap_or_default();
    let rows = batch * heads.clone() * s.clone();
    let each = d.clone() + gates.clone() * Dim::from(2) + Dim::from(7);
    Ok(Effect::one(output)
        .macs(rows.clone() * d.clone() * gates.clone())
        .other(rows.clone() * each + n)
        .transcendentals(rows * Dim::from(2)))
}

/// Drops padding: as many tokens as the counts say, at most all; and where each came from.
pub(super) fn remove_padding(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [batch, length, hidden] = three(cx, 0)?;
    let tokens = (cx.fresh)("tokens", Some(batch.clone() * length.clone()));
    let whole = |shape: Vec<Dim>| TensorInfo::new(Some(DType::I32), shape);
    let output = cx.like(vec![tokens, hidden]);
    let bytes = output.bytes().unwrap_or_default();
    let mut outputs = vec![
        output,
        whole(vec![batch.clone(), length]),
        whole(vec![batch + Dim::ONE]),
        whole(vec![Dim::ONE]),
    ];
    outputs.truncate(cx.output_count().max(1));
    Ok(Effect::of(outputs).reads(0, bytes).bound())
}

/// `[T, H]` back to `[B, S, H]`, by `token_offset: [B, S]`.
pub(super) fn restore_padding(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let ([_, hidden], [batch, length]) = (&cx.shape(0)?[..], &cx.shape(1)?[..]) else {
        return invalid!("tokens of rank {}, offsets of rank {}", cx.rank(0)?, cx.rank(1)?);
    };
    Ok(Effect::one(cx.like(vec![batch.clone(), length.clone(), hidden.clone()])))
}
