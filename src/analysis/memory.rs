//! What a model keeps in memory: weights, and activations by liveness.

use crate::dim::Dim;
use crate::ir::{Graph, NodeId, TensorInfo, Value, ValueId};
use std::collections::HashMap;

/// Learned parameters and bytes of all initialisers, bodies included.
pub(super) fn weights(graph: &Graph) -> (Dim, Dim) {
    let (mut params, mut bytes) = (Dim::ZERO, Dim::ZERO);
    for id in graph.value_ids() {
        let value = graph.value(id);
        let Some(weight) = value.weight.as_ref().filter(|w| w.initializer) else { continue };
        bytes = bytes + weight.bytes.clone();
        if is_learned(graph, id, value) {
            params = params + value.info.elements().unwrap_or_default();
        }
    }
    for body in graph.nodes.iter().flat_map(crate::ir::Node::subgraphs).map(|(_, body)| body) {
        let (inner_params, inner_bytes) = weights(body);
        params = params + inner_params;
        bytes = bytes + inner_bytes;
    }
    (params, bytes)
}

/// Whether training changes this initialiser: floating-point (or quantised from it), not a scalar,
/// and read by something other than batch normalisation's running statistics, a resize's scales or
/// a clip's bounds.
fn is_learned(graph: &Graph, id: ValueId, value: &Value) -> bool {
    let numeric = value.info.dtype.is_some_and(crate::ir::DType::is_float);
    let scalar = value.info.rank() == Some(0);
    numeric
        && !scalar
        && value.consumers.iter().any(|node| {
            let node = graph.node(*node);
            let ports = node.inputs.iter().enumerate().filter(|(_, v)| **v == Some(id));
            ports.into_iter().any(|(port, _)| match &*node.op_type {
                "BatchNormalization" => port < 3,
                "Resize" | "Upsample" | "Clip" | "Pad" | "Where" | "Pow" => port == 0,
                _ => true,
            })
        })
}

/// Bytes of activations alive while each node runs: its inputs, its outputs, and whatever a later
/// node still reads. Views share the memory of what they view; weights are counted apart.
pub(super) fn live_bytes(graph: &Graph, order: &[NodeId], values: &[TensorInfo]) -> Vec<Dim> {
    let owner = owners(graph, order);
    let mut last_use: HashMap<ValueId, usize> = HashMap::new();
    for (step, id) in order.iter().enumerate() {
        let node = graph.node(*id);
        for value in node.inputs.iter().chain(&node.outputs).flatten() {
            last_use.insert(owner[value.index()], step);
        }
        for (_, body) in node.subgraphs() {
            for value in body.captures.keys().filter_map(|name| graph.find_value(name)) {
                last_use.insert(owner[value.index()], step);
            }
        }
    }
    for output in &graph.outputs {
        last_use.insert(owner[output.index()], order.len());
    }
    let size = |value: ValueId| -> Dim {
        let info = &values[value.index()];
        let stored = graph.value(value).weight.is_some() || info.constant;
        if stored { Dim::ZERO } else { info.bytes().unwrap_or_default() }
    };
    let mut ends: Vec<Vec<ValueId>> = vec![Vec::new(); order.len()];
    for value in graph.value_ids() {
        let Some(step) = last_use.get(&value).copied() else { continue };
        if let Some(list) = ends.get_mut(step) {
            list.push(value);
        }
    }
    let mut live: Dim = graph.inputs.iter().map(|v| size(*v)).sum();
    let mut result = Vec::with_capacity(order.len());
    for (step, id) in order.iter().enumerate() {
        for output in graph.node(*id).outputs.iter().flatten() {
            if owner[output.index()] == *output {
                live = live + size(*output);
            }
        }
        result.push(live.clone());
        for value in &ends[step] {
            live = live - size(*value);
        }
    }
    result
}

/// The value whose memory each value lies in.
pub(super) fn owners(graph: &Graph, order: &[NodeId]) -> Vec<ValueId> {
    let mut owner: Vec<ValueId> = graph.value_ids().collect();
    for id in order {
        let node = graph.node(*id);
        let view = crate::ops::find(&node.domain, &node.op_type)
            .is_some_and(|op| op.class == crate::ops::Class::View);
        if let (true, Some(Some(input)), Some(Some(output))) =
            (view, node.inputs.first(), node.outputs.first())
        {
            owner[output.index()] = owner[input.index()];
        }
    }
    owner
}
