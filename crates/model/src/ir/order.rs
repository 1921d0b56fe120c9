//! Evaluation order of a graph, and the cycle that forbids one.

use super::{Graph, NodeId};
use petgraph::graph::DiGraph;

/// The order nodes can run in, or the loop that prevents it.
#[derive(Clone, Debug)]
pub enum Order {
    /// Every node after the nodes whose outputs it reads; file order where that already holds.
    Sorted(Vec<NodeId>),
    /// Nodes that wait for each other.
    Cycle(Vec<NodeId>),
}

impl Order {
    /// Finds the order of `graph`.
    pub fn of(graph: &Graph) -> Self {
        let in_file_order = graph.node_ids().all(|id| {
            let inputs = graph.node(id).inputs.iter().flatten();
            inputs.filter_map(|v| graph.value(*v).producer).all(|producer| producer < id)
                && captured(graph, id).all(|producer| producer < id)
        });
        if in_file_order {
            return Self::Sorted(graph.node_ids().collect());
        }
        let mut edges = DiGraph::<(), (), u32>::with_capacity(graph.nodes.len(), 0);
        let indices: Vec<_> = graph.nodes.iter().map(|_| edges.add_node(())).collect();
        for id in graph.node_ids() {
            let inputs = graph.node(id).inputs.iter().flatten();
            let producers = inputs.filter_map(|v| graph.value(*v).producer);
            for producer in producers.chain(captured(graph, id)) {
                edges.add_edge(indices[producer.index()], indices[id.index()], ());
            }
        }
        match petgraph::algo::toposort(&edges, None) {
            Ok(order) => {
                Self::Sorted(order.into_iter().map(|i| NodeId::from_index(i.index())).collect())
            }
            Err(_) => {
                let components = petgraph::algo::tarjan_scc(&edges);
                let cycle = components.into_iter().find(|c| {
                    c.len() > 1 || c.first().is_some_and(|n| edges.find_edge(*n, *n).is_some())
                });
                let mut ids: Vec<NodeId> = cycle
                    .unwrap_or_default()
                    .into_iter()
                    .map(|i| NodeId::from_index(i.index()))
                    .collect();
                ids.sort_unstable();
                Self::Cycle(ids)
            }
        }
    }
}

/// The producers of values that the bodies of a node read from the graph around them.
fn captured(graph: &Graph, id: NodeId) -> impl Iterator<Item = NodeId> {
    let mut producers = Vec::new();
    for (_, body) in graph.node(id).subgraphs() {
        for name in body.captures.keys() {
            producers.extend(graph.find_value(name).and_then(|v| graph.value(v).producer));
        }
    }
    producers.into_iter()
}
