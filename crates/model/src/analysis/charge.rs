//! What a node costs, given what its operator does: arithmetic by kind, and bytes, each distinct input read once
//! and each output written once.

use super::NodeReport;
use crate::dim::Dim;
use crate::ir::{DType, Graph, Node, ValueId};
use crate::ops::{Class, Cost, Effect, OpCx, Role, Share};
use std::collections::{HashMap, HashSet};

/// The cost of a node, `sizes` being the bytes of each value; `None` where an element type is not known.
pub(super) fn cost(
    graph: &Graph,
    cx: &OpCx<'_>,
    effect: &Effect,
    class: Class,
    sizes: &[Option<Dim>],
) -> Option<NodeReport> {
    let mut own = arithmetic(graph, cx, effect, class);
    let reads = reads(graph, cx, effect, sizes, &mut own)?;
    let writes = writes(cx, effect, &mut own)?;
    if let Some(inner) = effect.inner.as_deref() {
        own.add(&inner.cost);
    }
    let (cost, bodies) = (own.into(), Vec::new());
    Some(NodeReport { class, cost, status: effect.status, reads, writes, bodies })
}

/// Operations, integer or floating.
fn arithmetic(graph: &Graph, cx: &OpCx<'_>, effect: &Effect, class: Class) -> Cost {
    let float = || cx.dtype(0).is_none_or(DType::is_float);
    let hybrid = is_hybrid(cx, class);
    let integer = effect.integer.unwrap_or_else(|| !float() || quantized(graph, cx.node, class));
    let products = effect.macs.clone() * Dim::from(2);
    let mut rest = effect.other.clone();
    rest += &effect.transcendentals;
    rest += &effect.comparisons;
    let effective_macs = effect.effective.clone().unwrap_or_else(|| effect.macs.clone());
    let left = effect.fast[usize::from(integer || hybrid)];
    let fast = (left != Share::ALL).then(|| (left, effective_macs.clone()));
    let (flops, int_ops) = match (hybrid, integer) {
        (true, _) => {
            let x = cx.elements(0).unwrap_or_default();
            (rest + x * Dim::from(2), products)
        }
        (false, true) => (Dim::ZERO, products + rest),
        (false, false) => (products + rest, Dim::ZERO),
    };
    Cost {
        macs: effect.macs.clone(),
        fast: fast.into_iter().collect(),
        effective_macs,
        flops,
        int_ops,
        transcendentals: effect.transcendentals.clone(),
        comparisons: effect.comparisons.clone(),
        ..Cost::default()
    }
}

/// Whether a node multiplies integers though it reads and makes floats: its weights are integers, and it
/// quantises what it reads, at two operations a number. The attribute `hybrid` says so.
fn is_hybrid(cx: &OpCx<'_>, class: Class) -> bool {
    matches!(class, Class::Convolution | Class::MatrixProduct | Class::Recurrent)
        && cx.attrs().flag("hybrid").unwrap_or(false)
}

/// Bytes read of each distinct input, added to `own`.
fn reads(
    graph: &Graph,
    cx: &OpCx<'_>,
    effect: &Effect,
    sizes: &[Option<Dim>],
    own: &mut Cost,
) -> Option<Vec<(ValueId, Dim)>> {
    let mut reads: Vec<(ValueId, Dim)> = Vec::with_capacity(cx.node.inputs.len());
    let stated: HashMap<usize, &Dim> = effect.reads.iter().rev().map(|(p, b)| (*p, b)).collect();
    let many = cx.node.inputs.len() > 16;
    let mut seen = HashSet::new();
    for (port, value) in cx.node.inputs.iter().enumerate() {
        let Some(value) = value else { continue };
        let bytes = match stated.get(&port) {
            Some(bytes) => (*bytes).clone(),
            None => sizes[value.index()].clone()?,
        };
        let repeated =
            if many { !seen.insert(*value) } else { reads.iter().any(|(seen, _)| seen == value) };
        if repeated {
            continue;
        }
        let bytes = stored(graph, *value, bytes);
        if graph.value(*value).weight.is_some() || cx.optional(port)?.constant {
            own.weight_bytes_read += &bytes;
        }
        own.bytes_read += &bytes;
        reads.push((*value, bytes));
    }
    Some(reads)
}

/// Bytes written of each output, added to `own`.
fn writes(cx: &OpCx<'_>, effect: &Effect, own: &mut Cost) -> Option<Vec<(ValueId, Dim)>> {
    let mut writes: Vec<(ValueId, Dim)> = Vec::with_capacity(cx.node.outputs.len());
    let used = cx.node.outputs.iter().zip(&effect.outputs);
    for (value, info) in used.filter_map(|(v, info)| Some(((*v)?, info))) {
        let bytes = match &effect.writes {
            // Stated for all outputs together.
            Some(bytes) if writes.is_empty() => bytes.clone(),
            Some(_) => Dim::ZERO,
            None => info.bytes()?,
        };
        own.bytes_written += &bytes;
        writes.push((value, bytes));
    }
    Some(writes)
}

/// Whether both factors of a product come straight out of integers: Q/DQ nodes around it say that it
/// is to be computed on these.
fn quantized(graph: &Graph, node: &Node, class: Class) -> bool {
    let unpacked = |port: usize| {
        let value = node.inputs.get(port).copied().flatten();
        let producer = value.and_then(|v| graph.value(v).producer);
        producer.is_some_and(|id| Role::of(graph.node(id)) == Role::Dequantization)
    };
    matches!(class, Class::Convolution | Class::MatrixProduct) && unpacked(0) && unpacked(1)
}

/// Bytes of a stored tensor, in the type that it is stored in; of a sparse one, what is stored of it.
fn stored(graph: &Graph, value: ValueId, bytes: Dim) -> Dim {
    let value = graph.value(value);
    if let Some(weight) = value.weight.as_ref().filter(|w| w.sparse.is_some()) {
        return bytes.minimum(&weight.bytes);
    }
    let types = value.weight.as_ref().and_then(|w| Some((w.dtype?, value.info.dtype?)));
    match types {
        Some((stored, used)) if stored != used && used.bits() > 0 => {
            (bytes * Dim::from(stored.bits())).ceil_div(&Dim::from(used.bits()))
        }
        _ => bytes,
    }
}
