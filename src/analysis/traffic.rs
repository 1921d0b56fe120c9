//! Bytes that a whole graph moves, beyond the sum of its nodes.

use super::memory::owners;
use super::propagate::Outcome;
use crate::dim::Dim;
use crate::ir::{Graph, ValueId};
use std::collections::{BTreeMap, HashSet};

/// What is read of every input, weight and constant by the node that reads the most of it, and
/// every output that a node writes.
pub(super) fn compulsory(graph: &Graph, outcome: &Outcome) -> Dim {
    let owner = owners(graph, &outcome.order);
    let inputs: HashSet<ValueId> = graph.inputs.iter().copied().collect();
    let given = |v: ValueId| {
        let stored = graph.value(v).weight.is_some() || outcome.values[v.index()].constant;
        stored || inputs.contains(&v) || graph.value(v).producer.is_none()
    };
    let mut read: BTreeMap<ValueId, Dim> = BTreeMap::new();
    for (value, bytes) in outcome.nodes.iter().flat_map(|n| &n.reads) {
        let source = owner[value.index()];
        if given(source) {
            let most = read.entry(source).or_default();
            *most = if most.is_zero() { bytes.clone() } else { most.maximum(bytes) };
        }
    }
    let results: HashSet<ValueId> = graph.outputs.iter().map(|v| owner[v.index()]).collect();
    let writes = outcome.nodes.iter().flat_map(|n| &n.writes);
    let written = writes.filter(|(v, _)| results.contains(v)).map(|(_, b)| b);
    read.values().sum::<Dim>() + written.sum::<Dim>()
}
