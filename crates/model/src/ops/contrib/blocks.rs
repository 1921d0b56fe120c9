//! Blocks that onnxruntime fuses beyond attention: norms with gates, projections in packed weights,
//! spectra and regions.

use super::fused::{same, with_activation};
use super::quantized::bytes_of;
use crate::dim::Dim;
use crate::ir::{DType, Node, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::contraction;

/// x·σ(x): four operations besides the exp.
const SILU: u32 = 4;

/// `[N, H, W, C]`: mean, variance, scale and shift a group; `activation` 1 is `SiLU`. The form with a
/// skip adds it and an optional bias first, and gives the sum too.
pub(super) fn group_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let groups = cx.attrs().int("groups")?.filter(|g| *g > 0);
    let groups = groups.ok_or_else(|| crate::ir::AttrError::Missing("groups".into()))?;
    let samples = cx.shape(0)?.first().cloned().unwrap_or(Dim::ONE);
    let added = (3..=4).filter(|port| cx.optional(*port).is_some()).count();
    let silu = cx.attrs().int_or("activation", 0)? == 1;
    let each = 7 + u32::try_from(added).unwrap_or(0) + if silu { SILU } else { 0 };
    let evaluated = if silu { n.clone() } else { Dim::ZERO };
    let outputs = vec![same(cx)?; cx.output_count().clamp(1, 2)];
    Ok(Effect::of(outputs)
        .other(n * Dim::from(each))
        .transcendentals(samples * Dim::from(groups) + evaluated))
}

/// RMS norm times an activation of the gate.
pub(super) fn gated_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let rows: Dim = shape.iter().rev().skip(1).product();
    let gate = match cx.attrs().str("activation")?.unwrap_or("silu") {
        "silu" | "swish" => SILU,
        "sigmoid" => SILU - 1,
        name => return Err(OpError::Unsupported(format!("the activation `{name}`"))),
    };
    let other = n.clone() * Dim::from(4 + gate + 1);
    Ok(Effect::one(same(cx)?).other(other).transcendentals(n + rows))
}

/// As the float form, with rows of bytes that are scaled and shifted on the way.
pub(super) fn embed_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let batch = shape.first().cloned().unwrap_or_default();
    let rows: Dim = shape.iter().product();
    shape.push(cx.shape(2)?.last().cloned().unwrap_or_default());
    let output = TensorInfo::new(Some(DType::F32), shape);
    let n = output.elements().unwrap_or_default();
    let read = cx.dtype(2).map_or(Dim::ZERO, |d| d.bytes(&n));
    let mut outputs = vec![output, TensorInfo::new(Some(DType::I32), vec![batch])];
    outputs.truncate(cx.output_count().max(1));
    let tables: Vec<usize> = (2..=4).filter(|p| cx.optional(*p).is_some()).collect();
    let count = u32::try_from(tables.len()).unwrap_or(3);
    let effect =
        tables.into_iter().fold(Effect::of(outputs), |e, port| e.reads(port, read.clone()));
    let each = 7 + count.saturating_sub(1) + 2 * count;
    Ok(effect.other(n * Dim::from(each) + rows.clone()).transcendentals(rows).integer(false))
}

/// Rows of `A: [.., K]`, and `A` itself.
fn rows(cx: &OpCx<'_>, k: &Dim) -> Result<Dim, OpError> {
    let shape = cx.shape(0)?;
    let Some(last) = shape.last() else { return invalid!("a single number") };
    cx.require_equal(last, k);
    Ok(shape.iter().rev().skip(1).product())
}

fn sized(cx: &OpCx<'_>, name: &str) -> Result<Dim, OpError> {
    let given = cx.attrs().int(name)?.filter(|n| *n > 0);
    Ok(Dim::from(given.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?))
}

/// `A` with its last axis replaced.
fn wide(cx: &OpCx<'_>, n: Dim) -> Result<TensorInfo, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    *last = n;
    Ok(cx.like(shape))
}

/// A skip and an RMS norm before the product, each where its input is there.
fn prologue(cx: &OpCx<'_>, rows: &Dim) -> Result<(Dim, Dim), OpError> {
    let n = cx.elements(0)?;
    let skip = u32::from(cx.optional(1).is_some());
    let norm = cx.optional(2).is_some();
    let each = skip + if norm { 4 } else { 0 };
    Ok((n * Dim::from(each), if norm { rows.clone() } else { Dim::ZERO }))
}

/// `silu(x·G)·(x·U)` in packed weights of K × N.
pub(super) fn nbits_mlp(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (k, n) = (sized(cx, "K")?, sized(cx, "N")?);
    let rows = rows(cx, &k)?;
    match cx.attrs().str("activation")?.unwrap_or("silu") {
        "silu" | "swish" => {}
        name => return Err(OpError::Unsupported(format!("the activation `{name}`"))),
    }
    let (before, roots) = prologue(cx, &rows)?;
    let y = rows.clone() * n.clone();
    let biases = [5, 8].iter().filter(|p| cx.optional(**p).is_some()).count();
    let each = SILU + 1 + u32::try_from(biases).unwrap_or(0);
    let unpacked = k.clone() * n.clone() * Dim::from(4);
    let mut outputs = vec![wide(cx, n)?, same(cx)?];
    outputs.truncate(cx.output_count().max(1));
    Ok(Effect::of(outputs)
        .macs(y.clone() * k * Dim::from(2))
        .other(y.clone() * Dim::from(each) + unpacked + before)
        .transcendentals(y + roots)
        .integer(false))
}

/// Queries, keys and values of one norm in packed weights.
pub(super) fn nbits_qkv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (k, q, kv) = (sized(cx, "K")?, sized(cx, "Nq")?, sized(cx, "Nkv")?);
    let rows = rows(cx, &k)?;
    let (before, roots) = prologue(cx, &rows)?;
    let all = q.clone() + kv.clone() * Dim::from(2);
    let biased: Dim = [(5, &q), (8, &kv), (11, &kv)]
        .into_iter()
        .filter(|(port, _)| cx.optional(*port).is_some())
        .map(|(_, n)| rows.clone() * n.clone())
        .sum();
    let unpacked = all.clone() * k.clone() * Dim::from(2);
    let mut outputs = vec![wide(cx, q)?, wide(cx, kv.clone())?, wide(cx, kv)?, same(cx)?];
    outputs.truncate(cx.output_count().max(1));
    Ok(Effect::of(outputs)
        .macs(rows * all * k)
        .other(unpacked + biased + before)
        .transcendentals(roots)
        .integer(false))
}

/// `A: [.., K]` by packed `B`, whose true shape `[K, N]` is input 2.
pub(super) fn matmul_fp4(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [k, n] = &cx.ints(2)?[..] else { return invalid!("weights that are not a matrix") };
    let rows = rows(cx, k)?;
    let unpacked = n.clone() * k.clone() * Dim::from(2);
    Ok(Effect::one(wide(cx, n.clone())?)
        .macs(rows * n.clone() * k.clone())
        .other(unpacked)
        .reads(2, Dim::ZERO)
        .integer(false))
}

/// `A: [.., K]` by weights of 8 bits `[N, K]`, or of 4 bits, two in a byte, `[N, K/2]`, each block
/// with a scale.
pub(super) fn matmul_blocks(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let four = cx.node.op_type.contains("Fp4");
    let k = cx.shape(0)?.last().cloned().unwrap_or_default();
    let halves = matches!(cx.dtype(1), Some(DType::U8 | DType::I8)) && four;
    let stored = if halves { k.floor_div(&Dim::from(2)) } else { k.clone() };
    let n = match &cx.shape(1)?[..] {
        [n, last] if *last == stored => n.clone(),
        [first, n] if *first == stored => n.clone(),
        other => return invalid!("weights of rank {} hold no axis of {stored}", other.len()),
    };
    let rows = rows(cx, &k)?;
    let bias = if four { 5 } else { 4 };
    let biased = if cx.optional(bias).is_some() { rows.clone() * n.clone() } else { Dim::ZERO };
    let unpacked = n.clone() * k.clone();
    Ok(Effect::one(wide(cx, n.clone())?).macs(rows * n * k).other(unpacked + biased).integer(false))
}

/// Numbers of 16 bits into 32.
pub(super) fn matmul_integer16(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(contraction::matmul_at(cx, 0, 1, Some(DType::I32))?.integer(true))
}

/// Numbers of 8 bits, scaled; `dtype` names the output's type.
pub(super) fn gemm_float8(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = with_activation(cx, contraction::gemm(cx)?)?;
    let named = i32::try_from(cx.attrs().int_or("dtype", 1)?).ok().and_then(DType::from_onnx);
    for output in &mut effect.outputs {
        output.dtype = named;
    }
    Ok(effect.integer(false))
}

/// One side is mostly zeros, how many is in the data: as a dense product at most.
pub(super) fn sparse_matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(super::fused::matmul(cx)?.bound())
}

pub(super) fn matmul_activation(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    with_activation(cx, super::fused::matmul(cx)?)
}

/// Points of the signal axes, and the arithmetic of a transform of real numbers over all of them.
fn transform(cx: &OpCx<'_>, sizes: &[Dim]) -> Result<Dim, OpError> {
    let axes = usize::try_from(cx.attrs().int_or("signal_ndim", 1)?).unwrap_or(0);
    if axes == 0 || axes > sizes.len() {
        return invalid!("`signal_ndim` {axes} of rank {}", sizes.len());
    }
    let points: Dim = sizes[sizes.len() - axes..].iter().product();
    let all: Dim = sizes.iter().product();
    Ok((all * points.ceil_log2() * Dim::from(5)).floor_div(&Dim::from(2)))
}

/// `[…, n]` → `[…, n/2 + 1, 2]`; all n where not one-sided.
pub(super) fn rfft(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut sizes = cx.shape(0)?.clone();
    let work = transform(cx, &sizes)?;
    if let Some(last) =
        sizes.last_mut().filter(|_| !matches!(cx.attrs().int("onesided"), Ok(Some(0))))
    {
        *last = last.floor_div(&Dim::from(2)) + Dim::ONE;
    }
    sizes.push(Dim::from(2));
    Ok(Effect::one(cx.like(sizes)).other(work))
}

/// `[…, n/2 + 1, 2]` → `[…, n]`, n even.
pub(super) fn irfft(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [sizes @ .., _] = &cx.shape(0)?[..] else { return invalid!("a single number") };
    let mut sizes = sizes.to_vec();
    if let Some(last) =
        sizes.last_mut().filter(|_| !matches!(cx.attrs().int("onesided"), Ok(Some(0))))
    {
        *last = (last.clone() - Dim::ONE) * Dim::from(2);
    }
    let work = transform(cx, &sizes)?;
    Ok(Effect::one(cx.like(sizes)).other(work))
}

/// `x: [N, C, H, W]`, `rois: [R, 4]` → `[R, C, h, w]`: seven operations a sample, none for nearest.
pub(super) fn crop_and_resize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (x, rois) = (cx.shape(0)?, cx.shape(1)?);
    let ([_, c, _, _], Some(count), [h, w]) = (&x[..], rois.first(), &cx.ints(3)?[..]) else {
        return invalid!("regions of rank {} over rank {}", rois.len(), x.len());
    };
    let output = cx.like(vec![count.clone(), c.clone(), h.clone(), w.clone()]);
    let n = output.elements().unwrap_or_default();
    let each = if cx.attrs().str("mode")? == Some("nearest") { 0 } else { 7 };
    let bytes = output.bytes().unwrap_or_default() * Dim::from(if each == 0 { 1 } else { 4 });
    let whole = cx.input(0)?.bytes().unwrap_or_default();
    let read = bytes.minimum(&whole);
    Ok(Effect::one(output).other(n * Dim::from(each)).reads(0, read).reads(3, Dim::ZERO).bound())
}

/// A copy of a part.
pub(super) fn copy(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(same(cx)?))
}

/// Queries take K × Nq numbers, keys and values K × Nkv each.
pub(super) fn packed_qkv(node: &Node, _: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    let size = |name| node.attrs.int(name).ok().flatten().filter(|n| *n > 0).map(Dim::from);
    Some(size("K")? * size(if port == 3 { "Nq" } else { "Nkv" })?)
}

/// Input 2 is the shape of the matrix.
pub(super) fn packed_fp4(_: &Node, inputs: &[Option<&TensorInfo>], _: usize) -> Option<Dim> {
    Some(inputs.get(2).copied().flatten()?.ints()?.iter().product())
}

/// Two numbers to a byte.
pub(super) fn packed_blocks(_: &Node, inputs: &[Option<&TensorInfo>], port: usize) -> Option<Dim> {
    bytes_of(inputs.get(port).copied().flatten()?, 4)
}
