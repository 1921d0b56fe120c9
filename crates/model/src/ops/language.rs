//! `rooflens`: what files of language models store and ONNX has no operator for: matrices in packings of other
//! libraries, experts in any packing, attention in windows, over latent vectors, and selective scans.

use super::Class::{Attention, MatrixProduct, Movement, Recurrent};
use super::attention::causal_pairs;
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Holds, Op, Part};
use crate::dim::Dim;
use crate::ir::{AttrError, DType, Node, OWN_DOMAIN, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Experts", MatrixProduct, experts).domain(OWN_DOMAIN).inputs(3, usize::MAX).formula("k experts a token: 2·T·k·numbers of one expert; reads at most min(E, T·k) of them").weights("--pppwwws").packed(expert_numbers),
    Op::new("LatentAttention", Attention, latent).domain(OWN_DOMAIN).inputs(4, usize::MAX).formula("the lesser of latents expanded, 2·B·H·(r·T·(dn+dv) + S·T·(dn+dr+dv)), and matrices absorbed, 2·B·H·S·(r·(dn+dv) + T·(2r+dr))").weights("---pp--s").packed(latent_numbers).holds(Holds::Cached(&[(5, 1), (6, 2)])),
    Op::new("QuantizedGather", Movement, gather).domain(OWN_DOMAIN).inputs(2, usize::MAX).formula("2·|y|; reads only the packed rows it gathers").weights("pcs").packed(table).playing(Part::Source),
    Op::new("QuantizedMatMul", MatrixProduct, matmul).domain(OWN_DOMAIN).inputs(2, usize::MAX).formula("2·rows·N·K + 2·N·K to unpack").weights("-ps").packed(matrix),
    Op::new("SelectiveScan", Recurrent, scan).domain(OWN_DOMAIN).inputs(4, 7).formula("2·B·T·D·N for C·h, 4·B·T·D·N element by element").weights("----ww-"),
    Op::new("WindowAttention", Attention, window).domain(OWN_DOMAIN).inputs(3, 6).formula("as Attention, over as many keys as the cache and the new ones are").weights("-----w").holds(Holds::Cached(&[(3, 1), (4, 2)])),
];

/// A size that the node states.
fn size(cx: &OpCx<'_>, name: &str) -> Result<Dim, OpError> {
    stated(cx.node, name).ok_or_else(|| AttrError::Missing(name.to_owned()).into())
}

fn stated(node: &Node, name: &str) -> Option<Dim> {
    node.attrs.int(name).ok().flatten().filter(|n| *n > 0).map(Dim::from)
}

fn three(cx: &OpCx<'_>, port: usize) -> Result<[Dim; 3], OpError> {
    match &cx.shape(port)?[..] {
        [a, b, c] => Ok([a.clone(), b.clone(), c.clone()]),
        other => invalid!("input {port} has rank {} where 3 is needed", other.len()),
    }
}

/// `x: [.., K]`, a packed matrix of N × K numbers, and what belongs to its packing.
fn matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let (k, n) = (size(cx, "K")?, size(cx, "N")?);
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    cx.require_equal(last, &k);
    *last = n.clone();
    let rows: Dim = shape.iter().rev().skip(1).product();
    let numbers = n * k;
    let effect = Effect::one(cx.like(shape)).macs(rows * numbers.clone());
    Ok(effect.other(numbers * Dim::from(2)).integer(false))
}

fn matrix(node: &Node, _: &[Option<&TensorInfo>], _: usize) -> Option<Dim> {
    Some(stated(node, "N")? * stated(node, "K")?)
}

/// A packed table of `rows` × `width` numbers, ids, and what belongs to its packing.
fn gather(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (rows, width) = (size(cx, "rows")?, size(cx, "width")?);
    let mut shape = cx.shape(1)?.clone();
    let ids: Dim = shape.iter().product();
    shape.push(width);
    let number = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    let dtype = number.and_then(DType::from_onnx).unwrap_or(DType::F16);
    let output = TensorInfo::new(Some(dtype), shape);
    let n = output.elements().unwrap_or_default();
    let mut effect = Effect::one(output).other(n * Dim::from(2)).integer(false);
    for port in (0..cx.inputs.len()).filter(|port| *port != 1) {
        if let Some(bytes) = cx.optional(port).and_then(TensorInfo::bytes) {
            effect = effect.reads(port, (bytes * ids.clone()).ceil_div(&rows));
        }
    }
    Ok(effect)
}

fn table(node: &Node, _: &[Option<&TensorInfo>], _: usize) -> Option<Dim> {
    Some(stated(node, "rows")? * stated(node, "width")?)
}

/// How many numbers the matrices at ports 2 to 4 hold, over all experts.
fn numbers(node: &Node) -> Option<&[i64]> {
    node.attrs.ints("numbers").ok().flatten()
}

/// `x: [.., H]`, router scores `[.., E]`; up to three matrices, a bias of each, and what belongs to their
/// packings, all with the experts along their first axis.
fn experts(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let hidden = cx.shape(0)?.last().cloned().unwrap_or_default();
    let tokens = cx.elements(0)?.floor_div(&hidden);
    let (k, all) = (size(cx, "k")?, size(cx, "experts")?);
    let held = numbers(cx.node).ok_or_else(|| AttrError::Missing("numbers".to_owned()))?;
    let each: Dim = held.iter().map(|n| Dim::from(*n)).sum::<Dim>().floor_div(&all);
    let chosen = tokens * k;
    let used = chosen.minimum(&all);
    let mut effect = Effect::one(cx.like(cx.shape(0)?.clone()));
    for port in 2..cx.inputs.len() {
        if let Some(bytes) = cx.optional(port).and_then(TensorInfo::bytes) {
            effect = effect.reads(port, bytes.floor_div(&all) * used.clone());
        }
    }
    let scores = cx.elements(1)?;
    Ok(effect
        .macs(chosen * each)
        .other(scores.clone() * Dim::from(3))
        .transcendentals(scores)
        .bound())
}

fn expert_numbers(node: &Node, _: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    numbers(node)?.get(port.checked_sub(2)?).map(|n| Dim::from(*n))
}

/// Per score one scale, one comparison, one exp, a subtraction, a sum and a division.
fn scored(effect: Effect, scores: Dim) -> Effect {
    effect.other(scores.clone() * Dim::from(4)).comparisons(scores.clone()).transcendentals(scores)
}

/// `q: [B, S, H·(dn+dr)]`, latent vectors `[B, S, r]` and keys that positions rotate `[B, S, dr]`; the matrix that
/// makes keys and values of a latent vector, in one or two tensors; caches `[B, P, r]` and `[B, P, dr]`.
///
/// A prompt expands the latent vectors of all T positions, a step multiplies queries and outputs by the matrix
/// instead: whichever takes fewer products is counted.
fn latent(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [batch, queries, _] = three(cx, 0)?;
    let [.., rank] = three(cx, 1)?;
    let [.., turned] = three(cx, 2)?;
    let heads = size(cx, "num_heads")?;
    let (plain, value) = (size(cx, "nope")?, size(cx, "v")?);
    let before = match cx.optional(5) {
        Some(_) => three(cx, 5)?[1].clone(),
        None => Dim::ZERO,
    };
    let keys = before + queries.clone();
    let kept = |width: &Dim| cx.like(vec![batch.clone(), keys.clone(), width.clone()]);
    let output = vec![batch.clone(), queries.clone(), heads.clone() * value.clone()];
    let mut outputs = vec![cx.like(output), kept(&rank), kept(&turned)];
    outputs.truncate(cx.output_count().max(1));
    let wide = plain.clone() + value.clone();
    let pairs = queries.clone() * keys.clone();
    let expanded =
        rank.clone() * wide.clone() * keys + pairs.clone() * (plain + turned.clone() + value);
    let absorbed = queries * rank.clone() * wide + pairs.clone() * (rank * Dim::from(2) + turned);
    let each = batch * heads;
    let effect = Effect::of(outputs).macs(each.clone() * expanded.minimum(&absorbed));
    Ok(scored(effect, each * pairs))
}

fn latent_numbers(node: &Node, inputs: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    let (plain, value) = (stated(node, "nope")?, stated(node, "v")?);
    let apart = inputs.get(4).copied().flatten().is_some();
    let wide = match (port, apart) {
        (3, false) => plain + value,
        (3, true) => plain,
        _ => value,
    };
    let rank = inputs.get(1).copied().flatten()?.shape.as_ref()?.last()?.clone();
    Some(stated(node, "num_heads")? * rank * wide)
}

/// `q: [B, S, Hq·dqk]`, `k: [B, S, Hkv·dqk]`, `v: [B, S, Hkv·dv]`; the cache `[B, Hkv, P, d]`, of which with a
/// `window` the last `window − 1` positions are kept; a score for each head that stands for no key.
fn window(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [batch, queries, width] = three(cx, 0)?;
    let (_, [.., v]) = (three(cx, 1)?, three(cx, 2)?);
    let (heads, shared) = (size(cx, "q_num_heads")?, size(cx, "kv_num_heads")?);
    let (d, dv) = (width.floor_div(&heads), v.floor_div(&shared));
    let before = match cx.optional(3) {
        Some(_) => cx.shape(3)?.get(2).cloned().unwrap_or_default(),
        None => Dim::ZERO,
    };
    let keys = before.clone() + queries.clone();
    let window = Some(cx.attrs().int_or("window", 0)?).filter(|n| *n > 0);
    let kept = match window {
        Some(n) => keys.minimum(&Dim::from(n - 1)),
        None => keys.clone(),
    };
    let cache = |d: &Dim| cx.like(vec![batch.clone(), shared.clone(), kept.clone(), d.clone()]);
    let output = vec![batch.clone(), queries.clone(), heads.clone() * dv.clone()];
    let mut outputs = vec![cx.like(output), cache(&d), cache(&dv)];
    outputs.truncate(cx.output_count().max(1));
    let depth = d + dv;
    let rows = batch.clone() * heads;
    // Only a cache says that the mask is causal.
    let seen =
        cx.optional(3).map(|_| rows.clone() * seen(&queries, &before, window) * depth.clone());
    let scores = rows * queries * keys;
    let effect = Effect::of(outputs).effective(seen).macs(scores.clone() * depth);
    Ok(scored(effect, scores))
}

/// [`causal_pairs`] in a window: fewer keys are kept than it is wide, and no query sees more than its width.
fn seen(queries: &Dim, before: &Dim, width: Option<i64>) -> Dim {
    let Some(width) = width else { return causal_pairs(queries, before) };
    let partial = queries.minimum(&(Dim::from(width - 1) - before.clone()));
    let whole = queries.clone() - partial.clone();
    causal_pairs(&partial, before) + whole * Dim::from(width)
}

/// `x: [B, T, D]`, steps `[B, T, D]` or one a head, `B` and `C` `[B, T, groups·N]`; logarithms of decays, a factor
/// of `x`, and the state before, `[B, D, N]`.
fn scan(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [batch, length, width] = three(cx, 0)?;
    let states = size(cx, "state")?;
    let state = cx.like(vec![batch.clone(), width.clone(), states.clone()]);
    let mut outputs = vec![cx.like(vec![batch.clone(), length.clone(), width.clone()]), state];
    outputs.truncate(cx.output_count().max(1));
    let x = batch * length * width;
    let cells = x.clone() * states;
    // The decay of a cell is the exponential of its step and its rate, the same for all cells of a head.
    let decays = if cx.attrs().flag("by_head")? { cx.elements(1)? } else { cells.clone() };
    Ok(Effect::of(outputs)
        .macs(cells.clone())
        .other(cells * Dim::from(4) + x * Dim::from(2))
        .transcendentals(decays))
}
