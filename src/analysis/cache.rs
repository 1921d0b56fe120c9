//! The cache of a decoder: inputs that a step lengthens and hands on as outputs.

use super::propagate::Outcome;
use crate::dim::Dim;
use crate::ir::{Graph, Node, ValueId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a decoder keeps between steps.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Inputs and the outputs they become.
    pub pairs: Vec<(ValueId, ValueId)>,
    /// Bytes of the outputs: what must be kept after a run.
    pub bytes: Dim,
    /// The symbol of the length kept before a run, where all inputs agree on one.
    pub past: Option<Arc<str>>,
    /// The symbol of the length that a run adds, where there is one.
    pub new: Option<Arc<str>>,
}

/// Port of the past, output of the present, and the axis that counts positions.
fn attention_ports(node: &Node) -> &'static [(usize, usize, usize)] {
    match (&*node.domain, &*node.op_type) {
        ("", "Attention") => &[(4, 1, 2), (5, 2, 2)],
        ("com.microsoft", "GroupQueryAttention") => &[(3, 1, 2), (4, 2, 2)],
        ("com.microsoft", "MultiHeadAttention") => &[(6, 1, 2), (7, 2, 2)],
        ("com.microsoft", "Attention") => &[(4, 1, 3)],
        _ => &[],
    }
}

/// Finds the cache: an input that a concatenation or an attention lengthens into an output.
pub(super) fn find(graph: &Graph, outcome: &Outcome, owner: &[ValueId]) -> Cache {
    let results: BTreeSet<ValueId> = graph.outputs.iter().map(|v| owner[v.index()]).collect();
    let mut cache = Cache::default();
    let mut lengths = BTreeSet::new();
    for input in &graph.inputs {
        let Some(shape) = outcome.values[input.index()].shape.as_ref().filter(|s| s.len() >= 3)
        else {
            continue;
        };
        for id in &graph.value(*input).consumers {
            let node = graph.node(*id);
            let joined = &*node.op_type == "Concat";
            let rank = i64::try_from(shape.len()).unwrap_or(i64::MAX);
            let given = node.attrs.int_or("axis", 0).unwrap_or(0);
            let axis = usize::try_from(if given < 0 { given + rank } else { given }).unwrap_or(0);
            let concat = [(0, 0, axis)];
            let ports = if joined { &concat[..] } else { attention_ports(node) };
            for (port, output, axis) in ports {
                let made = node.outputs.get(*output).copied().flatten();
                let Some(made) = made.filter(|v| results.contains(&owner[v.index()])) else {
                    continue;
                };
                if node.inputs.get(*port).copied().flatten() == Some(*input) {
                    cache.pairs.push((*input, made));
                    lengths.insert(shape.get(*axis).cloned().unwrap_or_default().to_string());
                    if let Some(symbol) = shape.get(*axis).and_then(Dim::as_symbol) {
                        cache.past = Some(symbol.into());
                    }
                }
            }
        }
    }
    if lengths.len() != 1 {
        cache.past = None;
    }
    let made = cache.pairs.iter().map(|(_, v)| outcome.values[v.index()].bytes());
    cache.bytes = made.map(Option::unwrap_or_default).sum();
    cache.new = graph.inputs.iter().find_map(|v| {
        let info = &outcome.values[v.index()];
        let ids = info.dtype.is_some_and(crate::ir::DType::is_integer) && info.rank() == Some(2);
        let symbol = info.shape.as_ref().filter(|_| ids)?.get(1)?.as_symbol()?;
        (cache.past.as_deref() != Some(symbol)).then(|| symbol.into())
    });
    cache
}
