//! How many learned parameters a model holds, and how many bytes its weights take.

use crate::dim::Dim;
use crate::ir::{Graph, ValueId};
use std::collections::BTreeMap;

/// Learned parameters and bytes of all weights, bodies included.
pub(super) fn weights(graph: &Graph) -> (Dim, Dim) {
    let (mut params, mut bytes) = (Dim::ZERO, Dim::ZERO);
    let mut inside = BTreeMap::new();
    places(graph, &|id| Some(id), MAX_DEPTH, &mut inside);
    for id in graph.value_ids() {
        let value = graph.value(id);
        let Some(weight) = &value.weight else { continue };
        bytes = bytes + weight.bytes.clone();
        if value.info.rank() == Some(0) {
            continue;
        }
        let bodies = inside.get(&id).into_iter().flatten().copied();
        let learned = std::iter::once((graph, id))
            .chain(bodies)
            .find_map(|(graph, id)| learned(graph, id, weight.float));
        match learned {
            Some(Learned::Elements) => {
                params = params + value.info.elements().unwrap_or_default();
            }
            Some(Learned::Packed(count)) => params = params + count,
            None => {}
        }
    }
    for body in bodies(graph) {
        let (inner_params, inner_bytes) = weights(body);
        params = params + inner_params;
        bytes = bytes + inner_bytes;
    }
    (params, bytes)
}

fn bodies(graph: &Graph) -> impl Iterator<Item = &Graph> {
    graph.nodes.iter().flat_map(crate::ir::Node::subgraphs).map(|(_, body)| body)
}

/// Bodies inside bodies are searched no deeper for the use of a weight.
const MAX_DEPTH: usize = 32;

/// The values of an outer graph that the bodies inside `graph` read, each with what it is in there.
fn places<'g>(
    graph: &'g Graph,
    outer: &dyn Fn(ValueId) -> Option<ValueId>,
    depth: usize,
    into: &mut BTreeMap<ValueId, Vec<(&'g Graph, ValueId)>>,
) {
    if depth == 0 {
        return;
    }
    for body in bodies(graph) {
        let mut known = BTreeMap::new();
        for (name, inner) in &body.captures {
            if let Some(id) = graph.find_value(name).and_then(outer) {
                into.entry(id).or_default().push((body, *inner));
                known.insert(*inner, id);
            }
        }
        places(body, &|id| known.get(&id).copied(), depth - 1, into);
    }
}

/// How the learned numbers of a weight are counted.
enum Learned {
    /// Its elements.
    Elements,
    /// Several to an element: so many in all.
    Packed(Dim),
}

/// Whether a weight holds learned numbers: those that training changes, or that were quantised from
/// such. Not running statistics, scales and zero points, bounds, or constants of arithmetic.
fn learned(graph: &Graph, id: ValueId, stored_float: bool) -> Option<Learned> {
    for node in &graph.value(id).consumers {
        let node = graph.node(*node);
        let ports = node.inputs.iter().enumerate().filter(|(_, v)| **v == Some(id));
        for (port, _) in ports {
            let quantized = match &*node.op_type {
                "DequantizeLinear" => Some(port == 0),
                "QuantizeLinear" => Some(false),
                "ConvInteger" | "MatMulInteger" | "DynamicQuantizeMatMul" => Some(port == 1),
                "MatMulIntegerToFloat" => Some(port == 1 || port == 6),
                "QLinearConv" | "QLinearMatMul" => Some(port == 3 || port == 8),
                "QGemm" => Some(port == 3 || port == 6),
                "MatMulNBits" | "MatMulBnb4" => {
                    if port == 1 {
                        let size = |name| Dim::from(node.attrs.int_or(name, 0).unwrap_or(0));
                        return Some(Learned::Packed(size("K") * size("N")));
                    }
                    Some(port == 5)
                }
                _ => None,
            };
            let float = stored_float
                && match &*node.op_type {
                    "BatchNormalization" => port < 3,
                    "Resize" | "Upsample" | "Clip" | "Pad" | "Where" | "Pow" => port == 0,
                    _ => true,
                };
            if quantized.unwrap_or(float) {
                return Some(Learned::Elements);
            }
        }
    }
    None
}
