//! How much of a model the numbers stand for: by nodes, and by the weights that nodes read.

use super::memory;
use super::outcome::Outcome;
use crate::ir::{Graph, Node, ValueId};
use crate::ops::Status;

/// How much of the model the numbers stand for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Nodes of the graph.
    pub nodes: usize,
    /// Nodes whose cost is known, exactly or as a bound.
    pub known: usize,
    /// Bytes of all weights, bodies included.
    pub weight_bytes: u64,
    /// Of these, bytes of weights that no node of unknown cost reads, directly or through what is worked
    /// out from weights alone.
    pub known_weight_bytes: u64,
}

impl Coverage {
    /// The known share of the nodes, in percent.
    pub fn percent(self) -> f64 {
        if self.nodes == 0 { 100.0 } else { 100.0 * self.known as f64 / self.nodes as f64 }
    }

    /// The share of the bytes of weights that only nodes of known cost read, in percent; all of them in a
    /// model without weights.
    pub fn weights_percent(self) -> f64 {
        if self.weight_bytes == 0 {
            return 100.0;
        }
        100.0 * self.known_weight_bytes as f64 / self.weight_bytes as f64
    }

    /// Whether nothing is missing.
    pub fn is_full(self) -> bool {
        self.known == self.nodes
    }

    /// What the walk over `graph` found.
    pub(super) fn of(graph: &Graph, outcome: &Outcome) -> Self {
        let unknown = outcome.nodes.iter().filter(|n| n.status == Status::Unknown).count();
        let weight_bytes = all(graph, MAX_DEPTH);
        let held = if unknown == 0 { 0 } else { held(graph, outcome) };
        let nodes = outcome.nodes.len();
        let known_weight_bytes = weight_bytes.saturating_sub(held);
        Self { nodes, known: nodes - unknown, weight_bytes, known_weight_bytes }
    }
}

/// Bodies inside bodies are searched no deeper for weights.
const MAX_DEPTH: usize = 32;

/// Bytes of the weights of `graph` that `counts` names, without those of bodies.
fn stored(graph: &Graph, counts: &dyn Fn(ValueId) -> bool) -> u64 {
    let chosen = graph.value_ids().filter(|v| counts(*v));
    let bytes = chosen.filter_map(|v| graph.value(v).weight.as_ref()?.bytes.as_const());
    bytes.map(|b| u64::try_from(b).unwrap_or(0)).fold(0, u64::saturating_add)
}

/// Bytes of the weights of `graph` and of its bodies.
fn all(graph: &Graph, depth: usize) -> u64 {
    let bodies = graph.nodes.iter().map(|node| inside(node, depth));
    bodies.fold(stored(graph, &|_| true), u64::saturating_add)
}

/// Bytes of the weights that the bodies of a node bring along.
fn inside(node: &Node, depth: usize) -> u64 {
    let Some(depth) = depth.checked_sub(1) else { return 0 };
    node.subgraphs().map(|(_, body)| all(body, depth)).fold(0, u64::saturating_add)
}

/// Bytes of the weights that nodes of unknown cost read.
fn held(graph: &Graph, outcome: &Outcome) -> u64 {
    let mut held = vec![false; graph.values.len()];
    let reads = |node: &Node, held: &mut Vec<bool>| {
        let captured = node.subgraphs().flat_map(|(_, body)| body.captures.keys());
        let captured = captured.filter_map(|name| graph.find_value(name));
        node.inputs.iter().flatten().copied().chain(captured).for_each(|v| held[v.index()] = true);
    };
    let unknown = || {
        let reports = graph.nodes.iter().zip(&outcome.nodes);
        reports.filter(|(_, report)| report.status == Status::Unknown).map(|(node, _)| node)
    };
    unknown().for_each(|node| reads(node, &mut held));
    // What follows from weights alone stands for them.
    let rest = memory::at_rest(graph, &outcome.order, &outcome.values);
    for node in outcome.order.iter().rev().map(|id| graph.node(*id)) {
        if node.outputs.iter().flatten().any(|v| held[v.index()] && rest[v.index()]) {
            reads(node, &mut held);
        }
    }
    let bodies = unknown().map(|node| inside(node, MAX_DEPTH));
    bodies.fold(stored(graph, &|v| held[v.index()]), u64::saturating_add)
}
