//! What a model keeps in memory while it runs: activations by liveness.

use super::NodeReport;
use crate::dim::Dim;
use crate::ir::{Graph, NodeId, TensorInfo, ValueId};
use crate::ops::Class;

/// Which values follow from stored ones alone, so that no run holds them as activations: weights,
/// constants, and weights that the graph dequantises on the way. A runtime does that within the kernel
/// that reads them, or once, at load.
pub(super) fn at_rest(graph: &Graph, order: &[NodeId], values: &[TensorInfo]) -> Vec<bool> {
    let stored = |v: ValueId| graph.value(v).weight.is_some() || values[v.index()].constant;
    let mut rest: Vec<bool> = graph.value_ids().map(stored).collect();
    for node in order.iter().map(|id| graph.node(*id)) {
        let mut inputs = node.inputs.iter().flatten().peekable();
        let alone = inputs.peek().is_some() && node.subgraphs().next().is_none();
        if alone && inputs.all(|v| rest[v.index()]) {
            for output in node.outputs.iter().flatten() {
                rest[output.index()] = true;
            }
        }
    }
    rest
}

/// The value whose memory each value lies in.
pub(super) fn owners(graph: &Graph, order: &[NodeId], nodes: &[NodeReport]) -> Vec<ValueId> {
    let mut owner: Vec<ValueId> = graph.value_ids().collect();
    for id in order {
        let node = graph.node(*id);
        let report = &nodes[id.index()];
        let mut written = report.writes.iter().map(|(_, bytes)| bytes).peekable();
        // What is done element by element and writes nothing is done in place, within another kernel.
        let in_place = report.class == Class::Elementwise && written.peek().is_some();
        let view = report.class == Class::View || in_place && written.all(Dim::is_zero);
        if let (true, Some(Some(input)), Some(Some(output))) =
            (view, node.inputs.first(), node.outputs.first())
        {
            owner[output.index()] = owner[input.index()];
        }
    }
    owner
}

/// Tensors beyond this number are not laid out: the plan would take longer than the analysis.
const MAX_PLANNED: usize = 6_000;

/// Memory of activations at one choice of sizes, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Every activation at once.
    pub all: u64,
    /// The most alive together, nodes in file order: no arena is smaller.
    pub peak: u64,
    /// The same in the better of file order and a greedy one that frees early.
    pub best_order: Option<u64>,
    /// An arena in which each tensor has one place: largest first, lowest gap that is free.
    pub arena: Option<u64>,
}

/// An activation: its bytes, and the first and last step at which it is alive.
struct Span {
    bytes: u64,
    first: usize,
    last: usize,
}

/// Sizes of what is laid out, in bytes.
pub(super) struct Sizes<'s> {
    /// Of a value, zero for what is stored.
    pub(super) value: &'s dyn Fn(ValueId) -> u64,
    /// Of what the bodies of a node hold at most, beyond its inputs and outputs.
    pub(super) inside: &'s dyn Fn(NodeId) -> u64,
}

/// Lays out the activations of `graph`.
pub(super) fn plan(graph: &Graph, order: &[NodeId], owner: &[ValueId], bytes: &Sizes<'_>) -> Plan {
    let spans = spans(graph, order, owner, bytes);
    let small = spans.len() <= MAX_PLANNED;
    let peak = peak(&spans, order.len());
    let greedy = || {
        let order = greedy_order(graph, order, owner, bytes.value);
        self::peak(&self::spans(graph, &order, owner, bytes), order.len()).min(peak)
    };
    Plan {
        all: spans.iter().map(|s| s.bytes).fold(0, u64::saturating_add),
        peak,
        best_order: small.then(greedy),
        arena: small.then(|| arena(spans)),
    }
}

fn spans(graph: &Graph, order: &[NodeId], owner: &[ValueId], bytes: &Sizes<'_>) -> Vec<Span> {
    let mut found: Vec<Option<(usize, usize)>> = vec![None; graph.values.len()];
    for input in &graph.inputs {
        found[input.index()] = Some((0, 0));
    }
    for (step, id) in order.iter().enumerate() {
        let node = graph.node(*id);
        let captured = node.subgraphs().flat_map(|(_, body)| body.captures.keys());
        let captured = captured.filter_map(|name| graph.find_value(name));
        let ports = node.inputs.iter().chain(&node.outputs).flatten().copied();
        for value in ports.chain(captured) {
            found[owner[value.index()].index()].get_or_insert((step, step)).1 = step;
        }
    }
    for output in &graph.outputs {
        if let Some(span) = &mut found[owner[output.index()].index()] {
            span.1 = order.len();
        }
    }
    let held = graph.value_ids().zip(found).filter_map(|(v, span)| Some((v, span?)));
    let sized = held.map(|(v, (first, last))| Span { bytes: (bytes.value)(v), first, last });
    let inside =
        |(step, id): (usize, &NodeId)| Span { bytes: (bytes.inside)(*id), first: step, last: step };
    sized.chain(order.iter().enumerate().map(inside)).filter(|s| s.bytes > 0).collect()
}

fn peak(spans: &[Span], steps: usize) -> u64 {
    let mut change = vec![(0u64, 0u64); steps + 2];
    for span in spans {
        change[span.first].0 = change[span.first].0.saturating_add(span.bytes);
        change[span.last + 1].1 = change[span.last + 1].1.saturating_add(span.bytes);
    }
    let (mut live, mut most) = (0u64, 0);
    for (more, less) in change {
        live = live.saturating_sub(less).saturating_add(more);
        most = most.max(live);
    }
    most
}

/// What decides the order of nodes, by node.
struct Waiting {
    /// The bytes of values, each at its owner.
    size: Vec<i64>,
    /// What each reads: owners, each once.
    reads: Vec<Vec<usize>>,
    /// The bytes it makes.
    makes: Vec<i64>,
    /// How many nodes it waits for.
    waits: Vec<usize>,
    /// Which nodes wait for it.
    readers: Vec<Vec<NodeId>>,
    /// By value: how many nodes have yet to read it, and one more where it is a result.
    uses: Vec<usize>,
}

impl Waiting {
    fn new(
        graph: &Graph,
        order: &[NodeId],
        owner: &[ValueId],
        bytes: &dyn Fn(ValueId) -> u64,
    ) -> Self {
        let size: Vec<i64> =
            graph.value_ids().map(|v| i64::try_from(bytes(v)).unwrap_or(i64::MAX)).collect();
        let count = graph.nodes.len();
        let mut waiting = Self {
            reads: vec![Vec::new(); count],
            makes: vec![0; count],
            waits: vec![0; count],
            readers: vec![Vec::new(); count],
            uses: vec![0; size.len()],
            size,
        };
        for id in order {
            waiting.add(graph, *id, owner);
        }
        for output in &graph.outputs {
            waiting.uses[owner[output.index()].index()] += 1;
        }
        waiting
    }

    fn add(&mut self, graph: &Graph, id: NodeId, owner: &[ValueId]) {
        let node = graph.node(id);
        let captured = node.subgraphs().flat_map(|(_, body)| body.captures.keys());
        let captured = captured.filter_map(|name| graph.find_value(name));
        let sources: Vec<ValueId> = node.inputs.iter().flatten().copied().chain(captured).collect();
        let mut made: Vec<NodeId> =
            sources.iter().filter_map(|v| graph.value(*v).producer).collect();
        made.sort_unstable();
        made.dedup();
        self.waits[id.index()] = made.len();
        for source in made {
            self.readers[source.index()].push(id);
        }
        let mut read: Vec<usize> = sources.iter().map(|v| owner[v.index()].index()).collect();
        read.sort_unstable();
        read.dedup();
        for value in &read {
            self.uses[*value] += 1;
        }
        self.reads[id.index()] = read;
        let own = node.outputs.iter().flatten().filter(|v| owner[v.index()] == **v);
        self.makes[id.index()] = own.map(|v| self.size[v.index()]).fold(0, i64::saturating_add);
    }

    /// By how many bytes more is alive after a node than before it.
    fn growth(&self, id: NodeId) -> i64 {
        let last = self.reads[id.index()].iter().filter(|v| self.uses[**v] == 1);
        let freed = last.map(|v| self.size[*v]).fold(0, i64::saturating_add);
        self.makes[id.index()].saturating_sub(freed)
    }

    /// Runs a node: which others can run after it.
    fn run(&mut self, id: NodeId) -> Vec<NodeId> {
        for value in &self.reads[id.index()] {
            self.uses[*value] = self.uses[*value].saturating_sub(1);
        }
        let waits = &mut self.waits;
        let ready = self.readers[id.index()].iter().filter(|reader| {
            waits[reader.index()] -= 1;
            waits[reader.index()] == 0
        });
        ready.copied().collect()
    }
}

/// Of the nodes that can run, always the one that adds least to what is alive; nodes that hold
/// nothing run at once.
fn greedy_order(
    graph: &Graph,
    order: &[NodeId],
    owner: &[ValueId],
    bytes: &dyn Fn(ValueId) -> u64,
) -> Vec<NodeId> {
    let mut waiting = Waiting::new(graph, order, owner, bytes);
    let mut free: Vec<NodeId> = Vec::new();
    let mut ready: Vec<NodeId> = Vec::new();
    let mut result = Vec::with_capacity(order.len());
    let mut next: Vec<NodeId> =
        order.iter().filter(|id| waiting.waits[id.index()] == 0).copied().collect();
    loop {
        for id in next {
            if waiting.makes[id.index()] == 0 { free.push(id) } else { ready.push(id) }
        }
        let id = match free.pop() {
            Some(id) => id,
            None => {
                let grown = ready.iter().enumerate().map(|(at, id)| (waiting.growth(*id), at));
                let Some((_, at)) = grown.min() else { break };
                ready.remove(at)
            }
        };
        result.push(id);
        next = waiting.run(id);
    }
    result
}

/// The end of the last tensor, each put at the lowest place that no tensor alive with it has taken.
fn arena(mut spans: Vec<Span>) -> u64 {
    spans.sort_by_key(|s| (std::cmp::Reverse(s.bytes), s.first));
    let mut placed: Vec<(u64, Span)> = Vec::with_capacity(spans.len());
    let mut end = 0;
    for span in spans {
        let together = |s: &Span| s.first <= span.last && span.first <= s.last;
        let mut taken: Vec<(u64, u64)> = placed
            .iter()
            .filter(|(_, s)| together(s))
            .map(|(at, s)| (*at, at.saturating_add(s.bytes)))
            .collect();
        taken.sort_unstable();
        let mut at = 0u64;
        for (from, to) in taken {
            if from >= at.saturating_add(span.bytes) {
                break;
            }
            at = at.max(to);
        }
        end = end.max(at.saturating_add(span.bytes));
        placed.push((at, span));
    }
    end
}
