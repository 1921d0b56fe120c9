//! Bytes that a whole graph moves, beyond the sum of its nodes.

use super::NodeReport;
use super::propagate::Outcome;
use crate::dim::Dim;
use crate::ir::{Graph, ValueId};
use crate::ops::Status;

/// What is read of every input, weight and constant by the node that reads the most of it, and
/// every output that a node writes: by all nodes, and by those alone whose cost is no bound.
pub(super) fn compulsory(graph: &Graph, outcome: &Outcome, owner: &[ValueId]) -> (Dim, Dim) {
    let all = moved(graph, outcome, owner, &|_| true);
    let sure = |node: &NodeReport| node.status != Status::Bound;
    if outcome.nodes.iter().all(sure) {
        return (all.clone(), all);
    }
    (all, moved(graph, outcome, owner, &sure))
}

fn moved(
    graph: &Graph,
    outcome: &Outcome,
    owner: &[ValueId],
    counts: &dyn Fn(&NodeReport) -> bool,
) -> Dim {
    let marked = |values: &mut dyn Iterator<Item = ValueId>| {
        let mut marks = vec![false; graph.values.len()];
        values.for_each(|v| marks[v.index()] = true);
        marks
    };
    let inputs = marked(&mut graph.inputs.iter().copied());
    let given = |v: ValueId| {
        let stored = graph.value(v).weight.is_some() || outcome.values[v.index()].constant;
        stored || inputs[v.index()] || graph.value(v).producer.is_none()
    };
    let nodes = || outcome.nodes.iter().filter(|n| counts(n));
    let mut read: Vec<Option<Dim>> = vec![None; graph.values.len()];
    for (value, bytes) in nodes().flat_map(|n| &n.reads) {
        let source = owner[value.index()];
        if given(source) {
            let most = &mut read[source.index()];
            *most = Some(match most {
                Some(most) if !most.is_zero() => most.maximum(bytes),
                _ => bytes.clone(),
            });
        }
    }
    let results = marked(&mut graph.outputs.iter().map(|v| owner[v.index()]));
    let writes = nodes().flat_map(|n| &n.writes);
    let written = writes.filter(|(v, _)| results[v.index()]).map(|(_, b)| b);
    // A branch that is taken reads its weights once.
    let branches = graph.nodes.iter().zip(&outcome.nodes).filter(|(n, _)| &*n.op_type == "If");
    let inside = branches.filter(|(_, r)| counts(r)).map(|(_, r)| &r.cost.weight_bytes_read);
    read.iter().flatten().sum::<Dim>() + written.sum::<Dim>() + inside.sum::<Dim>()
}
