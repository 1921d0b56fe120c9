//! Weights that a file keeps in Constant nodes, as exports from `PaddlePaddle` and some optimisers do.
//!
//! A Constant is usually a size, an index or a number of arithmetic. Where a product reads one as its matrix
//! or its kernel, the file keeps its weights so, and all its Constants count as weights, as initialisers do.

use crate::ir::{Attr, Graph, Node, TensorInfo, ValueId, Weight};

/// Operators whose matrices and kernels are learned.
const PRODUCTS: [&str; 8] =
    ["Conv", "ConvTranspose", "Gemm", "MatMul", "LSTM", "GRU", "RNN", "ConvInteger"];

/// Makes weights of the Constants of `graph` and of the bodies in it, where they hold some.
pub(super) fn mark(graph: &mut Graph) {
    if hold(graph) {
        keep(graph);
    }
}

fn hold(graph: &Graph) -> bool {
    let matrix = |v: &ValueId| constant(graph, *v).is_some_and(|info| info.rank() >= Some(2));
    let reads = |n: &Node| n.inputs.iter().flatten().any(matrix);
    let product = |n: &Node| n.domain.is_empty() && PRODUCTS.contains(&&*n.op_type);
    graph.nodes.iter().any(|n| product(n) && reads(n))
        || graph.nodes.iter().flat_map(Node::subgraphs).any(|(_, body)| hold(body))
}

/// The tensor of the Constant that makes a value, where one does.
fn constant(graph: &Graph, value: ValueId) -> Option<&TensorInfo> {
    let node = graph.node(graph.value(value).producer?);
    match node.attrs.get("value") {
        Some(Attr::Tensor(info)) if &*node.op_type == "Constant" => Some(info),
        _ => None,
    }
}

fn keep(graph: &mut Graph) {
    for id in graph.value_ids() {
        let Some(info) = constant(graph, id).filter(|info| info.rank() > Some(0)).cloned() else {
            continue;
        };
        let value = graph.value_mut(id);
        value.weight = Some(Box::new(Weight::of(&info)));
        value.info = info;
    }
    for (_, attr) in graph.nodes.iter_mut().flat_map(|n| n.attrs.iter_mut()) {
        if let Attr::Graph(body) = attr {
            keep(body);
        }
    }
}
