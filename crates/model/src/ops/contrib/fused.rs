//! Fused forms of floating-point operators.

use super::quantized::bytes_of;
use crate::dim::Dim;
use crate::ir::{DType, Node, TensorInfo};
use crate::ops::Effect;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::contraction;
use crate::ops::shape::broadcast;

pub(super) fn same(cx: &OpCx<'_>) -> Result<TensorInfo, OpError> {
    Ok(cx.like(cx.shape(0)?.clone()))
}

/// `OTHER` arithmetic and `T` transcendentals an element, and one for a bias at port 1 where that is
/// optional.
pub(super) fn activation<const OTHER: u32, const T: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let biased = u32::from(&*cx.node.op_type == "FastGelu" && cx.optional(1).is_some());
    let other = n.clone() * Dim::from(OTHER + biased);
    Ok(Effect::one(same(cx)?).other(other).transcendentals(n * Dim::from(T)))
}

pub(super) fn bias_add(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(same(cx)?).other(cx.elements(0)? * Dim::from(2)))
}

pub(super) fn bias_softmax(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let effect = Effect::one(same(cx)?).other(n.clone() * Dim::from(3));
    Ok(effect.comparisons(n.clone()).transcendentals(n))
}

/// Half of the last axis gates the other half.
pub(super) fn split_gelu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let Some(last) = shape.last_mut() else { return invalid!("a single number") };
    *last = last.floor_div(&Dim::from(2));
    let output = cx.like(shape);
    let n = output.elements().unwrap_or_default();
    let other = n.clone() * Dim::from(6) + cx.elements(0)?;
    Ok(Effect::one(output).other(other).transcendentals(n))
}

/// Pairs of numbers: four products and two sums each.
pub(super) fn complex_mul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = cx.like(broadcast(cx, [cx.shape(0)?.as_slice(), cx.shape(1)?.as_slice()])?);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(3)))
}

/// What `activation` adds, an element: other arithmetic, transcendentals, comparisons.
pub(super) fn with_activation(cx: &OpCx<'_>, mut effect: Effect) -> Result<Effect, OpError> {
    let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
    let (other, t, c) = match cx.attrs().str("activation")?.unwrap_or("") {
        "" => (0, 0, 0),
        "Relu" => (0, 0, 1),
        "LeakyRelu" => (1, 0, 1),
        "Clip" => (0, 0, 2),
        "Sigmoid" => (3, 1, 0),
        "Tanh" => (0, 1, 0),
        "HardSigmoid" => (2, 0, 2),
        "Gelu" | "Silu" | "Swish" => (4, 1, 0),
        "HardSwish" => (3, 0, 2),
        "QuickGelu" => (5, 1, 0),
        name => return Err(OpError::Unsupported(format!("the activation `{name}`"))),
    };
    effect.other = effect.other + n.clone() * Dim::from(other);
    effect.transcendentals = effect.transcendentals + n.clone() * Dim::from(t);
    effect.comparisons = effect.comparisons + n * Dim::from(c);
    Ok(effect)
}

pub(super) fn conv(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = contraction::conv_at(cx, 0, 1, 2, cx.dtype(0))?;
    if cx.optional(3).is_some() {
        let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
        effect.other = effect.other + n;
    }
    with_activation(cx, effect)
}

/// `[N, …, C]` with weights `[Cout, Cin/g, …]`.
pub(super) fn conv_last(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = contraction::conv_last_at(cx, 0, 1, 2, cx.dtype(0))?;
    if cx.optional(3).is_some() {
        let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
        effect.other = effect.other + n;
    }
    with_activation(cx, effect)
}

pub(super) fn gemm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    with_activation(cx, contraction::gemm(cx)?)
}

pub(super) fn gemm_gelu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut effect = contraction::matmul_at(cx, 0, 1, cx.dtype(0))?;
    let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
    let biased = u32::from(cx.optional(2).is_some());
    effect.other = effect.other + n.clone() * Dim::from(8 + biased);
    effect.transcendentals = effect.transcendentals + n;
    Ok(effect)
}

/// A product of matrices that are transposed on the way: the last two axes, or, with `transBatch`,
/// the first axis moved before the last.
pub(super) fn matmul(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let turned = |port: usize, name: &str, batch: &str| -> Result<Vec<Dim>, OpError> {
        let mut shape = cx.shape(port)?.clone();
        let n = shape.len();
        if cx.attrs().flag(batch)? && n > 2 {
            shape[..n - 1].rotate_left(1);
        }
        if cx.attrs().flag(name)? && n > 1 {
            shape.swap(n - 1, n - 2);
        }
        Ok(shape)
    };
    let left = turned(0, "transA", "transBatchA")?;
    let right = turned(1, "transB", "transBatchB")?;
    let effect = contraction::product(cx, left, right, cx.dtype(0))?;
    let scaled = cx.attrs().float("alpha")?.is_some_and(|a| (a - 1.0).abs() > f32::EPSILON);
    let n = effect.outputs.first().and_then(TensorInfo::elements).unwrap_or_default();
    Ok(if scaled { effect.other(n) } else { effect })
}

/// Gauss–Jordan.
pub(super) fn inverse(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.shape(0)?.last().cloned().unwrap_or_default();
    Ok(Effect::one(same(cx)?).other(cx.elements(0)? * n * Dim::from(2)))
}

/// Sum of input and skip, then the norm; gives the sum too where asked.
pub(super) fn skip_norm<const EACH: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let rows: Dim = shape.iter().rev().skip(1).product();
    let full = EACH == 8;
    let bias = if full { 4 } else { 3 };
    let bare = full && cx.optional(3).is_none();
    let each = EACH + u32::from(cx.optional(bias).is_some()) - u32::from(bare);
    let mut statistics = shape.clone();
    if let Some(last) = statistics.last_mut() {
        *last = Dim::ONE;
    }
    let statistics = TensorInfo::new(Some(DType::F32), statistics);
    let mut outputs = vec![same(cx)?, statistics.clone(), statistics, same(cx)?];
    outputs.truncate(cx.output_count().max(1));
    Ok(Effect::of(outputs).other(n * Dim::from(each) + rows.clone()).transcendentals(rows))
}

/// Ids `[B, S]`, segments, and three tables `[V, H]`; sums the rows and normalises.
pub(super) fn embed_norm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let batch = shape.first().cloned().unwrap_or_default();
    let rows: Dim = shape.iter().product();
    let hidden = cx.shape(2)?.last().cloned().unwrap_or_default();
    shape.push(hidden);
    let output = TensorInfo::new(cx.dtype(2), shape);
    let n = output.elements().unwrap_or_default();
    let mask = TensorInfo::new(Some(DType::I32), vec![batch]);
    let mut outputs = vec![output.clone(), mask, output.clone()];
    outputs.truncate(cx.output_count().max(1));
    let read = output.bytes().unwrap_or_default();
    let mut effect = Effect::of(outputs).reads(2, read.clone()).reads(3, read.clone());
    let tables = if cx.optional(4).is_some() {
        effect = effect.reads(4, read);
        2
    } else {
        1
    };
    let other = n * Dim::from(7 + tables) + rows.clone();
    Ok(effect.other(other).transcendentals(rows).integer(false))
}

/// Every token runs `k` of the experts: `fc1: [E, H, I]` and `fc2: [E, I, H]`, or their packed and
/// transposed forms, whose sizes the scales tell. Reads the weights of as many experts as there can
/// be distinct ones, at most all.
pub(super) fn mixture(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let packed = &*cx.node.op_type == "QMoE";
    let (first, second) = if packed { (2, 5) } else { (2, 4) };
    let hidden = cx.shape(0)?.last().cloned().unwrap_or_default();
    let tokens = cx.elements(0)?.floor_div(&hidden);
    let k = Dim::from(cx.attrs().int_or("k", 1)?);
    let weights = cx.shape(first)?;
    let [experts, a, b] = &weights[..] else {
        return invalid!("experts of rank {}", weights.len());
    };
    // The axis that is not the hidden size is the inner one; packed weights are [E, inner, …].
    let inner = if packed || *b == hidden { a } else { b };
    let gated = matches!(cx.attrs().str("activation_type")?, Some("swiglu"));
    let third = if packed { 8 } else { 6 };
    let up = if cx.optional(third).is_some() { Dim::from(2) } else { Dim::ONE };
    let down = if gated { inner.floor_div(&Dim::from(2)) } else { inner.clone() };
    let macs = tokens.clone() * k.clone() * hidden * (inner.clone() * up + down.clone());
    let used = (tokens.clone() * k.clone()).minimum(experts);
    let mut effect = Effect::one(same(cx)?);
    for port in [first, second, third] {
        if let Some(bytes) = cx.optional(port).and_then(TensorInfo::bytes) {
            effect = effect.reads(port, bytes.floor_div(experts) * used.clone());
        }
    }
    let scores = cx.elements(1)?;
    let activated = tokens * k * down;
    Ok(effect
        .macs(macs)
        .other(scores.clone() * Dim::from(3) + activated)
        .transcendentals(scores)
        .bound())
}

/// Weights of all experts; bytes hold two numbers each, unless `expert_weight_bits` says another size.
pub(super) fn packed_experts(
    node: &Node,
    inputs: &[Option<&TensorInfo>],
    port: usize,
) -> Option<Dim> {
    let bits = node.attrs.int_or("expert_weight_bits", 4).ok()?;
    bytes_of(inputs.get(port).copied().flatten()?, bits)
}
