//! What becomes of each run of a body while the effect of its node is worked out: kept whole, or summed up.

use super::outcome::{Body, Outcome, Summary};
use super::{fusion, live, memory, traffic};
use crate::dim::Dim;
use crate::ir::{Node, TensorInfo};
use crate::ops::{Bodies, Cost, Inner, Run};
use std::cell::RefCell;

impl Summary {
    fn of(node: &Node, name: &str, outcome: &Outcome) -> Self {
        let Some(graph) = node.subgraph(name) else { return Self::default() };
        let owner = memory::owners(graph, &outcome.order, &outcome.nodes);
        let rest = memory::at_rest(graph, &outcome.order, &outcome.values);
        let groups = fusion::groups(graph, outcome, &rest);
        let around =
            live::Around { views: Bodies::of(node).views(node, graph), ..live::Around::default() };
        let elsewhere = live::elsewhere(graph, outcome, &around);
        let steps = live::steps(graph, outcome, &owner, &around, &elsewhere);
        Self {
            live: live::largest(steps.into_iter().flat_map(live::Step::all)),
            of_unknown_size: live::of_unknown_size(graph, outcome, &owner, &elsewhere),
            fused: groups.into_iter().fold((Dim::ZERO, Dim::ZERO), |(read, written), group| {
                (read + group.bytes_read, written + group.bytes_written)
            }),
            least: [false, true].map(|sure| traffic::flow(graph, outcome, &owner, sure)),
        }
    }
    /// Of `count` runs that grow or shrink with their number `round`: the largest live bytes, what kernels
    /// move in all runs, and the least of the runs.
    fn over(self, round: &str, count: &Dim) -> Self {
        let last = (count.clone() - Dim::ONE).maximum(&Dim::ZERO);
        let ends = |d: &Dim| (d.replace_one(round, &Dim::ZERO), d.replace_one(round, &last));
        let least = |d: &Dim| {
            let (first, last) = ends(d);
            first.minimum(&last)
        };
        let sum = |d: &Dim| {
            d.sum_over(round, count).unwrap_or_else(|| {
                let (first, last) = ends(d);
                first.maximum(&last) * count.clone()
            })
        };
        let live = self.live.iter().flat_map(|d| <[Dim; 2]>::from(ends(d)));
        Self {
            live: live::largest(live),
            of_unknown_size: self.of_unknown_size,
            fused: (sum(&self.fused.0), sum(&self.fused.1)),
            least: [self.least[0].map(&least), self.least[1].map(&least)],
        }
    }
}

/// Rounds of one node that are kept whole have no more nodes than this in all.
const MOST_KEPT: usize = 20_000;
/// As many of the latest calls are kept whole in any case.
const ALWAYS_KEPT: usize = 2;

/// A call of a body, whole or what is left of it.
enum Call {
    Whole(Outcome),
    Summed(Box<Summary>),
}

/// The calls of bodies while the effect of one node is worked out.
#[derive(Default)]
pub(super) struct Calls {
    made: RefCell<Vec<(String, Call)>>,
}

impl Calls {
    /// Keeps a call; a round like the one before it is the same call again.
    pub(super) fn keep(&self, node: &Node, name: &str, outcome: Outcome) -> Inner {
        let mut cost = Cost::default();
        outcome.nodes.iter().for_each(|n| cost.add(&n.cost));
        let mut made = self.made.borrow_mut();
        let last = made.len().wrapping_sub(1);
        if let Some((before, Call::Whole(round))) = made.last() {
            if before == name && alike(round, &outcome) {
                return Inner::once(last, cost);
            }
        }
        let nodes = |call: &Call| match call {
            Call::Whole(outcome) => outcome.nodes.len(),
            Call::Summed(_) => 0,
        };
        let held: usize = made.iter().map(|(_, call)| nodes(call)).sum();
        if held + outcome.nodes.len() > MOST_KEPT {
            let old = made.len().saturating_sub(ALWAYS_KEPT - 1);
            for (name, call) in &mut made[..old] {
                if let Call::Whole(outcome) = call {
                    *call = Call::Summed(Box::new(Summary::of(node, name, outcome)));
                }
            }
        }
        made.push((name.to_owned(), Call::Whole(outcome)));
        Inner::once(last.wrapping_add(1), cost)
    }

    /// What ran, of all that was tried; taken out of here.
    pub(super) fn bodies(&self, node: &Node, runs: &[Run]) -> Vec<Body> {
        let mut made: Vec<Option<(String, Call)>> =
            self.made.take().into_iter().map(Some).collect();
        let body = |run: &Run| {
            // A call that is part of several runs is found whole by the first.
            let (name, call) = made.get_mut(run.call)?.take()?;
            let (outcome, summary) = match call {
                Call::Whole(outcome) => {
                    let summary = Summary::of(node, &name, &outcome);
                    (Some(outcome), summary)
                }
                Call::Summed(summary) => (None, *summary),
            };
            let (times, alternative) = (run.times.clone(), run.alternative);
            let together = run.round.is_some();
            let (outcome, summary) = match run.round.as_ref().and_then(Dim::as_symbol) {
                Some(round) => (None, summary.over(round, &times)),
                None => (outcome, summary),
            };
            Some(Body { name, times, alternative, outcome, summary, together, doubtful: false })
        };
        merged(runs).iter().filter_map(body).collect()
    }
}

/// Runs with each call once, as often as all its runs together.
fn merged(runs: &[Run]) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::with_capacity(runs.len());
    let mut places = std::collections::HashMap::new();
    for run in runs {
        match places.get(&run.call) {
            Some(at) => {
                let known: &mut Run = &mut all[*at];
                known.times = std::mem::take(&mut known.times) + run.times.clone();
            }
            None => {
                places.insert(run.call, all.len());
                all.push(run.clone());
            }
        }
    }
    all
}

/// Whether two rounds cost the same, node by node, and make values of the same sizes.
fn alike(a: &Outcome, b: &Outcome) -> bool {
    let info = |(x, y): (&TensorInfo, &TensorInfo)| x.dtype == y.dtype && x.shape == y.shape;
    a.nodes.len() == b.nodes.len()
        && a.nodes.iter().zip(&b.nodes).all(|(x, y)| {
            x.status == y.status && *x.cost == *y.cost && x.bodies.len() == y.bodies.len()
        })
        && a.values.iter().zip(&b.values).all(info)
}
