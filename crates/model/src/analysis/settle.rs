//! Weights whose shape a file does not state: formats that keep a configuration in place of a graph say how many
//! outputs a layer has, and its inputs follow from the layers before it.

use super::propagate;
use crate::dim::Bindings;
use crate::ir::{Diagnostic, Model, NodeId, OWN_DOMAIN, Severity, TensorInfo, Weight};
use std::collections::HashSet;

const OP: (&str, &str) = (OWN_DOMAIN, "Parameter");

/// Turns the weights of `model` that follow from the shapes of its inputs into stored ones. Those whose
/// shape is still open stay as they are, and a diagnostic says so; called again when the inputs have got
/// their shapes, it settles them.
pub fn settle(model: &mut Model) {
    let is_open = |op: &crate::ir::Node| (&*op.domain, &*op.op_type) == OP;
    let graph = &model.graph;
    let open: Vec<NodeId> = graph.node_ids().filter(|id| is_open(graph.node(*id))).collect();
    if open.is_empty() {
        return;
    }
    let inputs: Vec<TensorInfo> =
        graph.inputs.iter().map(|id| graph.value(*id).info.clone()).collect();
    let bindings = Bindings::new();
    let walk = propagate::Walk::new(&bindings, &inputs, graph);
    let values = walk.graph(graph, &inputs, &|_| None).values;
    // Where a file stores weights of another shape than its configuration makes them.
    let names: HashSet<&str> = open.iter().map(|id| &*graph.node(*id).name).collect();
    let of_these = |d: &Diagnostic| d.severity == Severity::Conflict && names.contains(&*d.place);
    let conflicts: Vec<Diagnostic> = walk.into_parts().0.into_iter().filter(of_these).collect();
    let mut settled = HashSet::new();
    let mut left = Vec::new();
    for id in open {
        let Some(output) = model.graph.node(id).outputs.first().copied().flatten() else {
            continue;
        };
        let info = values.get(output.index()).cloned().unwrap_or_default();
        let known = info.shape.as_ref().is_some_and(|s| s.iter().all(|n| n.as_const().is_some()));
        if !known {
            left.push(model.graph.node(id).name.clone());
            continue;
        }
        settled.insert(id);
        let info = TensorInfo { constant: false, ..info };
        let value = model.graph.value_mut(output);
        value.weight = Some(Box::new(Weight::of(&info)));
        value.info = info;
    }
    model.graph.remove(&settled);
    model.diagnostics.extend(conflicts);
    model.diagnostics.retain(|d| d.message != OPEN);
    if let Some(first) = left.first() {
        model.diagnostics.push(Diagnostic {
            severity: Severity::Incomplete,
            place: format!("{first} ({} in all)", left.len()),
            message: OPEN.into(),
            hint: Some("give the whole shape of each input with --shape NAME=DIMS".into()),
        });
    }
}

const OPEN: &str = "weights whose shape follows from an input of open shape are not counted";
