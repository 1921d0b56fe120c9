//! Kernels and nodes as columns of formulas, equal ones in one row.

use super::formula::Filling;
use super::schema::{AtBestPart, Columns};
use rooflens_model::analysis::{Analysis, Precision, analyze, recast};
use rooflens_model::dim::{Bindings, Dim};
use rooflens_model::ir::{DType, Model, NodeId};
use rooflens_model::ops::{Fast, Status};
use std::collections::HashMap;

/// The same walk of a model in its own types, and in four pairs of others, by which bytes fall into parts that are of
/// weights, of activations, and of what has a type of its own.
pub(super) struct Walks {
    pub(super) own: Analysis,
    typed: Option<[Analysis; 4]>,
    /// What fast convolutions spare of products of integers.
    integer: Fast,
}

/// Weights and activations of the walks: two pairs for each part, and one to hold the parts against.
const PAIRS: [(DType, DType); 4] = [
    (DType::F32, DType::F32),
    (DType::F16, DType::F32),
    (DType::F32, DType::F16),
    (DType::F16, DType::F16),
];

/// Elements of weights and of activations, and bytes of everything else.
pub(super) struct Parts {
    weights: Dim,
    activations: Dim,
    other: Dim,
}

/// Walks `model` with the sizes of `bindings`; data-dependent sizes are where counts are largest, where `bounded`.
pub(super) fn walk(model: &Model, bindings: &Bindings, bounded: bool) -> Analysis {
    let found = analyze(model, bindings);
    let again = bounded && (!found.limits.is_empty() || found.overflows());
    if again { found.at_most(model, bindings) } else { found }
}

impl Walks {
    /// The walks beside one's `own`, each by `walk`; those in pairs of types where bytes are wanted in `parts`.
    pub(super) fn beside(
        own: Analysis,
        model: &Model,
        parts: bool,
        walk: impl Fn(&Model) -> Analysis,
    ) -> Self {
        let cast = |(weights, activations)| {
            walk(&recast(model, Precision { weights, activations, tf32: false }))
        };
        let alike = |other: &Analysis| {
            other.groups.len() == own.groups.len()
                && other.groups.iter().zip(&own.groups).all(|(a, b)| a.nodes == b.nodes)
                && other.nodes.iter().zip(&own.nodes).all(|(a, b)| a.status == b.status)
        };
        let typed = parts.then(|| PAIRS.map(cast)).filter(|typed| typed.iter().all(alike));
        let integer = cast((DType::I8, DType::I8)).totals.fast;
        Self { own, typed, integer }
    }

    /// Whether bytes fall into parts; checked on the sums at `all`.
    pub(super) fn parts_hold(&self, all: &Bindings) -> bool {
        let Some(typed) = &self.typed else { return false };
        let sums: [fn(&Analysis) -> Dim; 3] =
            [|a| a.fused_bytes.clone(), |a| a.sure_bytes.clone(), |a| a.totals.bytes()];
        sums.iter().all(|sum| {
            let at = |a: &Analysis| sum(a).eval(all);
            let [both, weights, activations, neither] = typed.each_ref().map(at);
            match (both, weights, activations, neither) {
                (Ok(b), Ok(w), Ok(a), Ok(n)) => b - w - a + n == 0,
                _ => false,
            }
        })
    }

    /// A count of bytes in parts.
    fn parts(&self, bytes: impl Fn(&Analysis) -> Dim) -> Option<Parts> {
        let [both, weights, activations, _] = self.typed.as_ref()?.each_ref().map(bytes);
        // From four bytes to two, each element is two bytes less.
        let half = |less: &Dim| (both.clone() - less.clone()).floor_div(&Dim::from(2u32));
        let (weights, activations) = (half(&weights), half(&activations));
        let four = Dim::from(4u32);
        let other = both.clone() - weights.clone() * four.clone() - activations.clone() * four;
        Some(Parts { weights, activations, other })
    }
}

/// A row before its formulas are in the pool.
struct Row {
    rule: &'static str,
    class: &'static str,
    operators: String,
    name: String,
    flops: Dim,
    int_ops: Dim,
    bytes: Dim,
    parts: Option<Parts>,
}

impl Columns {
    fn add(&mut self, row: Row, pool: &mut Filling, known: &mut HashMap<Key, usize>) {
        let parts = row.parts.map(|p| [p.weights, p.activations, p.other].map(|d| pool.add(&d)));
        let key = Key {
            words: (row.rule, row.class, row.operators),
            counts: [pool.add(&row.flops), pool.add(&row.int_ops), pool.add(&row.bytes)],
            parts,
        };
        if let Some(at) = known.get(&key) {
            self.count[*at] += 1;
            return;
        }
        self.rule.push(row.rule.to_owned());
        self.class.push(row.class.to_owned());
        self.operators.push(key.words.2.clone());
        self.name.push(row.name);
        self.count.push(1);
        let [flops, int_ops, bytes] = key.counts;
        self.flops.push(flops);
        self.int_ops.push(int_ops);
        self.bytes.push(bytes);
        if let Some([weights, activations, other]) = parts {
            self.weights.push(weights);
            self.activations.push(activations);
            self.other.push(other);
        }
        known.insert(key, self.count.len() - 1);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.count.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count.is_empty()
    }
}

/// What equal rows have in common.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    words: (&'static str, &'static str, String),
    counts: [usize; 3],
    parts: Option<[usize; 3]>,
}

/// The kernels of a runtime that fuses; kernels without a node of known cost are left away.
pub(super) fn kernels(model: &Model, walks: &Walks, typed: bool, pool: &mut Filling) -> Columns {
    let (mut columns, mut known) = (Columns::default(), HashMap::new());
    for (at, group) in walks.own.groups.iter().enumerate() {
        let nodes = || group.nodes.iter().map(|id| &walks.own.nodes[id.index()]);
        if nodes().all(|node| node.status == Status::Unknown) {
            continue;
        }
        let sure = || nodes().filter(|node| node.status != Status::Unknown);
        let sum =
            |pick: fn(&rooflens_model::ops::Cost) -> &Dim| sure().map(|n| pick(&n.cost)).sum();
        let most = |id: &&NodeId| {
            let cost = &walks.own.nodes[id.index()].cost;
            // A product over anything else, by how much is multiplied where that is a number.
            (!cost.macs.is_zero(), cost.macs.as_const())
        };
        // Of equals the first.
        let lead = group.nodes.iter().rev().max_by_key(most);
        let moved = |a: &Analysis| {
            a.groups.get(at).map_or(Dim::ZERO, |g| g.bytes_read.clone() + g.bytes_written.clone())
        };
        let row = Row {
            rule: group.rule.name(),
            class: lead.map_or("", |id| walks.own.nodes[id.index()].class.name()),
            operators: operators(model, &group.nodes),
            name: first_name(model, &group.nodes),
            flops: sum(|c| &c.flops),
            int_ops: sum(|c| &c.int_ops),
            bytes: moved(&walks.own),
            parts: typed.then(|| walks.parts(moved)).flatten(),
        };
        columns.add(row, pool, &mut known);
    }
    columns
}

/// The nodes, each run alone.
pub(super) fn alone(model: &Model, walks: &Walks, typed: bool, pool: &mut Filling) -> Columns {
    let (mut columns, mut known) = (Columns::default(), HashMap::new());
    for id in &walks.own.order {
        let node = &walks.own.nodes[id.index()];
        let nothing = node.cost.flops.is_zero()
            && node.cost.int_ops.is_zero()
            && node.cost.bytes_read.is_zero()
            && node.cost.bytes_written.is_zero();
        if matches!(node.status, Status::Folded | Status::Unknown) || nothing {
            continue;
        }
        let moved = |a: &Analysis| a.nodes[id.index()].cost.bytes();
        let row = Row {
            rule: rooflens_model::analysis::Rule::Alone.name(),
            class: node.class.name(),
            operators: operators(model, &[*id]),
            name: first_name(model, &[*id]),
            flops: node.cost.flops.clone(),
            int_ops: node.cost.int_ops.clone(),
            bytes: moved(&walks.own),
            parts: typed.then(|| walks.parts(moved)).flatten(),
        };
        columns.add(row, pool, &mut known);
    }
    columns
}

/// What no run avoids.
pub(super) fn at_best(walks: &Walks, typed: bool, pool: &mut Filling) -> AtBestPart {
    let totals = &walks.own.totals;
    let bounds = walks.own.nodes.iter().filter(|n| n.status == Status::Bound);
    let spared: Dim = bounds.map(|n| n.cost.flops.clone() + n.cost.int_ops.clone()).sum();
    let parts = typed.then(|| walks.parts(|a| a.sure_bytes.clone())).flatten();
    let all = totals.flops.clone() + totals.int_ops.clone() - spared;
    AtBestPart {
        operations: pool.add(&all),
        macs: pool.add(&totals.macs),
        effective_macs: pool.add(&totals.effective_macs),
        fast: spares(&totals.fast, pool),
        fast_integer: spares(&walks.integer, pool),
        bytes: pool.add(&walks.own.sure_bytes),
        weights: parts.as_ref().map(|p| pool.add(&p.weights)),
        activations: parts.as_ref().map(|p| pool.add(&p.activations)),
        other: parts.as_ref().map(|p| pool.add(&p.other)),
    }
}

fn spares(fast: &Fast, pool: &mut Filling) -> Vec<(u64, u64, usize)> {
    let one = |(share, macs): (&rooflens_model::ops::Share, &Dim)| {
        let (part, of) = share.fraction();
        (part, of, pool.add(macs))
    };
    fast.iter().map(one).collect()
}

/// The operators of a kernel, in the order they run; many are cut.
fn operators(model: &Model, nodes: &[NodeId]) -> String {
    const MOST: usize = 4;
    let names: Vec<String> =
        nodes.iter().take(MOST).map(|id| model.graph.node(*id).qualified_op()).collect();
    let more =
        if nodes.len() > MOST { format!(" + {} more", nodes.len() - MOST) } else { String::new() };
    names.join(" + ") + &more
}

fn first_name(model: &Model, nodes: &[NodeId]) -> String {
    nodes.first().map_or_else(String::new, |id| model.graph.node(*id).name.clone())
}
