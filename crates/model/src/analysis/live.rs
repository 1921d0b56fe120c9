//! Which activations are alive while each node runs, and while the bodies inside it do.

use super::grouped::Grouped;
use super::held::Held;
use super::outcome::{Body, NodeReport, Outcome};
use crate::dim::Dim;
use crate::ir::{DType, Graph, Node, ValueId};
use crate::ops::Bodies;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What is alive at the turn of one node.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    /// Its inputs, its outputs, and whatever a later node still reads.
    pub(super) live: Dim,
    /// The largest sums while its bodies run: what is alive around them, and inside.
    pub(super) inside: Vec<Dim>,
}

impl Step {
    /// All sums of the step.
    pub(super) fn all(self) -> impl Iterator<Item = Dim> {
        std::iter::once(self.live).chain(self.inside)
    }
}

/// What the graph around a body says of the values that they share.
#[derive(Default)]
pub(super) struct Around {
    /// Captured values that nothing reads after the body.
    pub(super) dying: BTreeSet<String>,
    /// Inputs of the body that lie in the memory of a value outside.
    pub(super) views: Vec<ValueId>,
    /// Whether this is the outermost graph, whose inputs are held by the caller until their last use.
    pub(super) outermost: bool,
}

/// Live bytes at each node of `graph`, in order. Views share the memory of what they view; weights are
/// counted apart, and captured values where they live: `elsewhere` is of [`elsewhere`].
pub(super) fn steps(
    graph: &Graph,
    outcome: &Outcome,
    owner: &[ValueId],
    around: &Around,
    elsewhere: &[bool],
) -> Vec<Step> {
    let Outcome { order, .. } = outcome;
    let last_use = last_uses(graph, order, owner);
    // What has no size is counted by `of_unknown_size`.
    let size = |value: ValueId| -> Dim {
        let bytes = || outcome.sizes[value.index()].clone().unwrap_or_default();
        if elsewhere[value.index()] { Dim::ZERO } else { bytes() }
    };
    // The values that each step is the last to use; those that outlive the last step end nowhere.
    let ending = graph.value_ids().filter_map(|v| Some((last_use[v.index()]?, v)));
    let ending: Vec<(usize, ValueId)> = ending.filter(|(step, _)| *step < order.len()).collect();
    let ends = Grouped::new(order.len(), &ending, |step| step);
    let held = graph.inputs.iter().chain(graph.captures.values());
    let used = |v: &&ValueId| around.outermost || last_use[v.index()].is_some();
    let mut live: Dim = held.filter(used).map(|v| size(*v)).sum();
    let mut result = Vec::with_capacity(order.len());
    // Sums too long to be held are let go of, as other formulas are.
    let long = Held::default();
    for (step, id) in order.iter().enumerate() {
        let (node, report) = (graph.node(*id), &outcome.nodes[id.index()]);
        let before = (!report.bodies.is_empty()).then(|| live.clone());
        for output in node.outputs.iter().flatten() {
            if owner[output.index()] == *output {
                live += &size(*output);
            }
        }
        let inside = before.map(|before| {
            let ends = |v: ValueId| last_use[owner[v.index()].index()] == Some(step);
            inside(graph, node, report, owner, before, &size, &ends)
        });
        let inside = inside.into_iter().flatten().map(|sum| long.formula(sum)).collect();
        result.push(Step { live: long.formula(live.clone()), inside });
        for value in ends.of(step) {
            live += &-size(*value);
        }
    }
    result
}

/// Which values take no memory of this graph's own: those that follow from stored ones, and those that live
/// in the graph around.
pub(super) fn elsewhere(graph: &Graph, outcome: &Outcome, around: &Around) -> Vec<bool> {
    let mut elsewhere = super::memory::at_rest(graph, &outcome.order, &outcome.values);
    around.views.iter().for_each(|v| elsewhere[v.index()] = true);
    for (name, id) in &graph.captures {
        elsewhere[id.index()] |= !around.dying.contains(name);
    }
    elsewhere
}

/// How many activations have no known size and are in no sum of [`steps`], those inside bodies included.
pub(super) fn of_unknown_size(
    graph: &Graph,
    outcome: &Outcome,
    owner: &[ValueId],
    elsewhere: &[bool],
) -> usize {
    let nodes = || outcome.order.iter().map(|id| (graph.node(*id), &outcome.nodes[id.index()]));
    let made = nodes().flat_map(|(node, _)| node.outputs.iter().flatten());
    let own = |v: &&ValueId| !elsewhere[v.index()] && owner[v.index()] == **v;
    let values = graph.inputs.iter().chain(made).filter(own);
    let inside = nodes().flat_map(|(_, report)| &report.bodies);
    let has_size = |v: ValueId| {
        let sized = outcome.sizes[v.index()].is_some();
        sized && outcome.values[v.index()].dtype != Some(DType::String)
    };
    values.filter(|v| !has_size(**v)).count()
        + inside.map(|body| body.summary.of_unknown_size).sum::<usize>()
}

/// The step at which each value is read for the last time; that after the last for results.
fn last_uses(graph: &Graph, order: &[crate::ir::NodeId], owner: &[ValueId]) -> Vec<Option<usize>> {
    let mut last_use: Vec<Option<usize>> = vec![None; graph.values.len()];
    for (step, id) in order.iter().enumerate() {
        let node = graph.node(*id);
        for value in node.inputs.iter().chain(&node.outputs).flatten() {
            last_use[owner[value.index()].index()] = Some(step);
        }
        for (_, body) in node.subgraphs() {
            for value in body.captures.keys().filter_map(|name| graph.find_value(name)) {
                last_use[owner[value.index()].index()] = Some(step);
            }
        }
    }
    for output in &graph.outputs {
        last_use[owner[output.index()].index()] = Some(order.len());
    }
    last_use
}

/// Live bytes while the bodies of `node` run. A branch runs once: what nothing reads after it dies in it,
/// and the condition is gone. Rounds of a loop need all that they share to the end, and what they give
/// row by row is there from the start.
fn inside(
    graph: &Graph,
    node: &Node,
    report: &NodeReport,
    owner: &[ValueId],
    before: Dim,
    size: &dyn Fn(ValueId) -> Dim,
    ends: &dyn Fn(ValueId) -> bool,
) -> Vec<Dim> {
    let bodies = Bodies::of(node);
    let mut around = before;
    let mut dying = BTreeSet::new();
    if bodies == Bodies::Branches {
        let names: BTreeSet<&String> =
            node.subgraphs().flat_map(|(_, body)| body.captures.keys()).collect();
        let captured: Vec<(&String, ValueId)> =
            names.into_iter().filter_map(|name| Some((name, graph.find_value(name)?))).collect();
        let mut seen: BTreeMap<ValueId, usize> = BTreeMap::new();
        for (_, value) in &captured {
            *seen.entry(owner[value.index()]).or_default() += 1;
        }
        // Memory that is also seen through a view stays.
        let free = |v: ValueId| ends(v) && owner[v.index()] == v && seen.get(&v) < Some(&2);
        let mut gone: BTreeSet<ValueId> = BTreeSet::new();
        for (name, value) in captured.iter().filter(|(_, v)| free(*v)) {
            gone.insert(*value);
            dying.insert((*name).clone());
        }
        gone.extend(node.inputs.iter().flatten().filter(|v| free(**v)));
        around = gone.into_iter().fold(around, |live, v| live - size(v));
    } else {
        for output in node.outputs.iter().skip(bodies.states(node)).flatten() {
            around = around + size(*output);
        }
    }
    let mut all = Vec::new();
    for body in &report.bodies {
        let sums = of_body(node, body, &dying);
        all.extend(sums.into_iter().map(|live| live + around.clone()));
    }
    largest(all.into_iter())
}

/// The largest live bytes inside one body.
fn of_body(node: &Node, body: &Body, dying: &BTreeSet<String>) -> Vec<Dim> {
    let (Some(graph), Some(outcome)) = (node.subgraph(&body.name), &body.outcome) else {
        return body.summary.live.clone();
    };
    if dying.is_empty() {
        return body.summary.live.clone();
    }
    let owner = super::memory::owners(graph, &outcome.order, &outcome.nodes);
    let dying = dying.iter().filter(|name| graph.captures.contains_key(*name)).cloned().collect();
    let around = Around { dying, views: Bodies::of(node).views(node, graph), outermost: false };
    let elsewhere = elsewhere(graph, outcome, &around);
    let steps = steps(graph, outcome, &owner, &around, &elsewhere);
    largest(steps.into_iter().flat_map(Step::all))
}

/// Those of some sums that may be the largest.
pub(super) fn largest(sums: impl Iterator<Item = Dim>) -> Vec<Dim> {
    // Beyond this number, sums are not compared with each other.
    const MOST: usize = 32;
    let mut best: Vec<Dim> = Vec::new();
    for sum in sums {
        if best.len() >= MOST {
            best.push(sum);
            continue;
        }
        let below = |b: &Dim| matches!(sum.compare(b), Some(Ordering::Less | Ordering::Equal));
        if best.iter().any(below) {
            continue;
        }
        best.retain(|b| !matches!(sum.compare(b), Some(Ordering::Greater)));
        best.push(sum);
    }
    best
}
