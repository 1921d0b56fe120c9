//! Bytes that a whole graph moves at least, whatever kernels it is cut into.

use super::memory;
use super::outcome::{Body, Flow, NodeReport, Outcome};
use crate::dim::Dim;
use crate::ir::{Graph, Node, NodeId, ValueId};
use crate::ops::{Becomes, Bodies, Status};
use std::collections::BTreeMap;

/// What a good runtime need not move though a graph is written as if it did: by value, and inside bodies
/// by node and the number of the body in its report.
#[derive(Clone, Debug, Default)]
pub(super) struct Savings {
    /// Values that are made in memory that holds most of them already.
    pub(super) values: BTreeMap<ValueId, Saving>,
    /// Those of bodies.
    pub(super) inside: BTreeMap<(NodeId, usize), Savings>,
}

/// A value that is made in place.
#[derive(Clone, Debug, Default)]
pub(super) struct Saving {
    /// Bytes written when the rest is there already.
    pub(super) written: Dim,
    /// The value whose memory it is made in, where later nodes read that through it.
    pub(super) root: Option<ValueId>,
}

/// What is read of every input, weight and constant by the node that reads the most of it, and
/// every output that a node writes: by all nodes, and by those alone whose cost is no bound.
pub(super) fn compulsory(
    graph: &Graph,
    outcome: &Outcome,
    owner: &[ValueId],
    savings: &Savings,
) -> (Dim, Dim) {
    let all = saved(graph, outcome, owner, savings, false).total();
    if outcome.nodes.iter().all(|node| node.status != Status::Bound) {
        return (all.clone(), all);
    }
    (all, saved(graph, outcome, owner, savings, true).total())
}

/// What one run of a body moves at least; `sure` leaves out nodes whose cost is a bound.
pub(super) fn flow(graph: &Graph, outcome: &Outcome, owner: &[ValueId], sure: bool) -> Flow {
    saved(graph, outcome, owner, &Savings::default(), sure)
}

fn raise(known: &mut Option<Dim>, bytes: &Dim) {
    *known = Some(match known {
        Some(most) if !most.is_zero() => most.maximum(bytes),
        _ => bytes.clone(),
    });
}

fn saved(
    graph: &Graph,
    outcome: &Outcome,
    owner: &[ValueId],
    savings: &Savings,
    sure: bool,
) -> Flow {
    let outside = outside(graph);
    let given = |v: ValueId| {
        let stored = graph.value(v).weight.is_some() || outcome.values[v.index()].constant;
        stored || outside[v.index()] || graph.value(v).producer.is_none()
    };
    let source = |v: ValueId| Some(owner[v.index()]).filter(|v| given(*v));
    let results = marked(graph, graph.outputs.iter().map(|v| owner[v.index()]));
    let mut read: Vec<Option<Dim>> = vec![None; graph.values.len()];
    let mut written: BTreeMap<ValueId, Dim> = BTreeMap::new();
    let mut stored = Dim::ZERO;
    let mut note = |value: ValueId, bytes: &Dim| {
        let mut source = owner[value.index()];
        let mut bytes = bytes.clone();
        if let Some(Saving { written, root: Some(root) }) = savings.values.get(&source) {
            source = *root;
            bytes = (bytes - written.clone()).maximum(&Dim::ZERO);
        }
        if given(source) {
            raise(&mut read[source.index()], &bytes);
        }
    };
    for (index, report) in outcome.nodes.iter().enumerate() {
        let (id, node) = (NodeId::from_index(index), &graph.nodes[index]);
        if !sure || report.status != Status::Bound {
            let in_place = node.outputs.first().copied().flatten();
            let in_place = in_place.and_then(|v| savings.values.get(&v)?.root).is_some();
            let data = node.inputs.first().copied().flatten().filter(|_| in_place);
            let reads = report.reads.iter().filter(|(value, _)| Some(*value) != data);
            reads.for_each(|(value, bytes)| note(*value, bytes));
            for (value, bytes) in report.writes.iter().filter(|(v, _)| results[v.index()]) {
                written.insert(*value, bytes.clone());
            }
        }
        if report.bodies.is_empty() {
            continue;
        }
        let inner = inside(graph, id, report, savings, &source, sure);
        inner.reads.iter().for_each(|(value, bytes)| note(*value, bytes));
        stored = stored + inner.stored;
        for (port, bytes) in inner.writes {
            let value = node.outputs.get(port).copied().flatten();
            if let Some(value) = value.filter(|v| results[v.index()]) {
                written.insert(value, bytes);
            }
        }
    }
    Moved { read, written, stored }.flow(graph, outcome, owner, savings, sure)
}

/// What is read and written of each value of a graph, and read of what is stored in its bodies.
struct Moved {
    read: Vec<Option<Dim>>,
    written: BTreeMap<ValueId, Dim>,
    stored: Dim,
}

impl Moved {
    /// The same by what comes in and goes out.
    fn flow(
        mut self,
        graph: &Graph,
        outcome: &Outcome,
        owner: &[ValueId],
        savings: &Savings,
        sure: bool,
    ) -> Flow {
        for (value, saving) in &savings.values {
            if let Some(bytes) = self.written.get_mut(value) {
                *bytes = saving.written.clone();
            }
        }
        let of = |v: &ValueId| self.read[v.index()].clone().unwrap_or_default();
        let inputs = graph.inputs.iter().map(of).collect();
        let captures = graph.captures.iter().map(|(name, v)| (name.clone(), of(v))).collect();
        let outside = outside(graph);
        let rest = self.read.iter().zip(&outside).filter(|(_, outside)| !**outside);
        let stored = self.stored + rest.filter_map(|(bytes, _)| bytes.as_ref()).sum::<Dim>();
        let unsure = |v: ValueId| {
            let producer = graph.value(v).producer;
            sure && producer.is_some_and(|id| outcome.nodes[id.index()].status == Status::Bound)
        };
        let size = |v: &ValueId| {
            if unsure(*v) { None } else { outcome.sizes[v.index()].clone() }
        };
        let sizes = graph.outputs.iter().map(|v| size(v).unwrap_or_default()).collect();
        // A value that is given out twice is written once.
        let outputs = graph.outputs.iter().map(|v| self.written.remove(&owner[v.index()]));
        let outputs = outputs.map(Option::unwrap_or_default).collect();
        Flow { inputs, captures, stored, outputs, sizes }
    }
}

/// These values of a graph, marked.
fn marked(graph: &Graph, values: impl Iterator<Item = ValueId>) -> Vec<bool> {
    let mut marks = vec![false; graph.values.len()];
    values.for_each(|v| marks[v.index()] = true);
    marks
}

/// Values that come from outside of a graph, marked.
fn outside(graph: &Graph) -> Vec<bool> {
    marked(graph, graph.inputs.iter().chain(graph.captures.values()).copied())
}

/// What the bodies of one node move, in terms of the graph around.
#[derive(Default)]
struct Inside {
    reads: BTreeMap<ValueId, Dim>,
    stored: Dim,
    writes: BTreeMap<usize, Dim>,
}

impl Inside {
    /// Of two of which one is done: the larger, or what both do at least.
    fn either(self, other: Self, least: bool) -> Self {
        let (mut a, mut b) = (self, other);
        let mut reads = BTreeMap::new();
        let shared: Vec<ValueId> =
            a.reads.keys().filter(|v| b.reads.contains_key(v)).copied().collect();
        for value in shared {
            if let (Some(x), Some(y)) = (a.reads.remove(&value), b.reads.remove(&value)) {
                reads.insert(value, if least { x.minimum(&y) } else { x.maximum(&y) });
            }
        }
        // What one of them alone reads is as good as its own.
        let own = |run: &Self| {
            let alone = if least { Dim::ZERO } else { run.reads.values().sum() };
            run.stored.clone() + alone
        };
        let (x, y) = (own(&a), own(&b));
        let stored = if least { x.minimum(&y) } else { x.maximum(&y) };
        let mut writes = BTreeMap::new();
        for (port, x) in a.writes {
            match b.writes.remove(&port) {
                Some(y) if least => writes.insert(port, x.minimum(&y)),
                Some(y) => writes.insert(port, x.maximum(&y)),
                None if least => None,
                None => writes.insert(port, x),
            };
        }
        if !least {
            writes.extend(b.writes);
        }
        Self { reads, stored, writes }
    }
}

/// Whether a body certainly runs, whatever the data are.
fn runs(node: &Node, report: &NodeReport, body: &Body) -> bool {
    let at_least_once = || body.times.as_const().is_some_and(|n| n >= 1);
    let branch = Bodies::of(node) == Bodies::Branches;
    !body.doubtful && (report.status != Status::Bound || branch || at_least_once())
}

/// What a run of a body writes of the outputs of its node, and the bytes of outputs that all rounds together make.
fn results(node: &Node, flow: &Flow, times: &Dim) -> (BTreeMap<usize, Dim>, BTreeMap<usize, Dim>) {
    let bodies = Bodies::of(node);
    let (mut whole, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for (output, (bytes, size)) in flow.outputs.iter().zip(&flow.sizes).enumerate() {
        match bodies.becomes(node, output) {
            Becomes::Output(port) => drop(whole.insert(port, bytes.clone())),
            Becomes::Part(port) => drop(rows.insert(port, size.clone() * times.clone())),
            Becomes::Nothing => {}
        }
    }
    (whole, rows)
}

/// Weights and what is captured are read once, however often a body runs, and what it carries from one
/// round to the next may stay on the chip; its parts of what is scanned are read each in its turn, and
/// rows of results written.
fn inside(
    graph: &Graph,
    id: NodeId,
    report: &NodeReport,
    savings: &Savings,
    source: &dyn Fn(ValueId) -> Option<ValueId>,
    sure: bool,
) -> Inside {
    let (node, mut first) = (graph.node(id), true);
    let bodies = Bodies::of(node);
    let mut parts: BTreeMap<ValueId, Dim> = BTreeMap::new();
    let mut all: Option<Inside> = None;
    for (at, body) in report.bodies.iter().enumerate() {
        if body.times.is_zero() || (sure && !runs(node, report, body)) {
            continue;
        }
        let Some(inner) = node.subgraph(&body.name) else { continue };
        let below = savings.inside.get(&(id, at));
        let again = below.zip(body.outcome.as_ref()).map(|(below, outcome)| {
            let owner = memory::owners(inner, &outcome.order, &outcome.nodes);
            saved(inner, outcome, &owner, below, sure)
        });
        let flow = again.as_ref().unwrap_or(&body.summary.least[usize::from(sure)]);
        let (writes, rows) = results(node, flow, &body.times);
        let mut run = Inside { stored: flow.stored.clone(), writes, ..Inside::default() };
        let mut note = |value: ValueId, bytes: &Dim| {
            if let Some(value) = source(value) {
                let known = run.reads.entry(value).or_default();
                *known = known.maximum(bytes);
            }
        };
        for (name, bytes) in &flow.captures {
            graph.find_value(name).into_iter().for_each(|value| note(value, bytes));
        }
        for (input, bytes) in flow.inputs.iter().enumerate() {
            let Some((port, part)) = bodies.port_of_input(node, inner, input) else { continue };
            let Some(value) = node.inputs.get(port).copied().flatten() else { continue };
            if part {
                let sum = parts.entry(value).or_default();
                *sum = std::mem::take(sum) + bytes.clone() * body.times.clone();
            } else if first {
                note(value, bytes);
            }
        }
        first = false;
        all = Some(match all {
            None => Inside { writes: run.writes.into_iter().chain(rows).collect(), ..run },
            Some(before) if body.alternative => before.either(run, sure),
            Some(before) => before.then(run, rows),
        });
    }
    let mut all = all.unwrap_or_default();
    for (value, bytes) in parts {
        let Some(value) = source(value) else { continue };
        let known = all.reads.entry(value).or_default();
        *known = known.maximum(&bytes);
    }
    all
}

impl Inside {
    /// Of another round after these: what it leaves, and rows beside those before.
    fn then(self, other: Self, rows: BTreeMap<usize, Dim>) -> Self {
        let Self { mut reads, stored, mut writes } = self;
        for (value, bytes) in other.reads {
            let known = reads.entry(value).or_default();
            *known = known.maximum(&bytes);
        }
        writes.extend(other.writes);
        for (port, bytes) in rows {
            let sum = writes.entry(port).or_default();
            *sum = std::mem::take(sum) + bytes;
        }
        Self { reads, stored: stored.maximum(&other.stored), writes }
    }
}
