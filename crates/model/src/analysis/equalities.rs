//! Sizes that a node needs to be equal: contradictions among them, and sizes of inputs that are
//! data-dependent because they must equal a data-dependent size.

use super::NodeReport;
use crate::dim::{Dim, Range};
use crate::ir::TensorInfo;
use crate::ops::{Equality, Status, is_round};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Data-dependent sizes, each with the most it can be, where that is known.
pub(super) type Limits = BTreeMap<Arc<str>, Option<Dim>>;

/// Whether a formula holds a data-dependent size, the number of a round aside.
pub(super) fn decided(formula: &Dim, limits: &Limits) -> bool {
    if limits.is_empty() || formula.as_const().is_some() {
        return false;
    }
    formula.any_symbol(&|n| limits.contains_key(n) && !is_round(n))
}

/// The first of these that holds for no data: two numbers that differ, or a data-dependent size whose range
/// does not meet that of the other side.
pub(super) fn contradiction<'e>(
    equalities: &'e [Equality],
    limits: &Limits,
    range: &dyn Fn(&Dim) -> Option<Range>,
) -> Option<&'e Equality> {
    equalities.iter().find(|e| {
        if let Some((a, b)) = e.a.as_const().zip(e.b.as_const()) {
            return a != b && !(e.or_one && (a == 1 || b == 1));
        }
        if !(decided(&e.a, limits) || decided(&e.b, limits)) {
            return false;
        }
        let both = range(&e.a).zip(range(&e.b));
        both.is_some_and(|(a, b)| apart(a, b) && !(e.or_one && (holds(a, 1) || holds(b, 1))))
    })
}

fn apart(a: Range, b: Range) -> bool {
    a.1 < b.0 || b.1 < a.0
}

fn holds(range: Range, number: i128) -> bool {
    (range.0..=range.1).contains(&number)
}

/// Sizes of inputs that nobody gave a value and that must equal a data-dependent size, with what each equals,
/// where that is said by one side alone: to take one for 1 would be a guess about the data. A size that
/// broadcasts may be 1.
pub(super) fn tied(
    equalities: &[Equality],
    limits: &Limits,
    chosen: &BTreeSet<Arc<str>>,
) -> Vec<(Arc<str>, Option<Dim>)> {
    let mut found: Vec<(Arc<str>, Option<Dim>)> = Vec::new();
    for e in equalities.iter().filter(|e| !e.or_one) {
        for (decides, open) in [(&e.a, &e.b), (&e.b, &e.a)] {
            if !decided(decides, limits) || decided(open, limits) {
                continue;
            }
            let mut names = BTreeSet::new();
            open.symbols(&mut names);
            let free = |n: &Arc<str>| chosen.contains(n) && found.iter().all(|(f, _)| f != n);
            names.retain(free);
            let limit = |n: &Arc<str>| (open.as_symbol() == Some(n)).then(|| decides.clone());
            let limited = names.into_iter().map(|n| (n.clone(), limit(&n)));
            found.extend(limited.collect::<Vec<_>>());
        }
    }
    found
}

/// Costs in sizes of inputs that turned out to be data-dependent are bounds, also those of nodes before the
/// one that showed it.
pub(super) fn mark_bounds(nodes: &mut [NodeReport], inputs: &[TensorInfo], limits: &Limits) {
    if limits.is_empty() {
        return;
    }
    let mut names = super::symbols_of(inputs);
    names.retain(|n| limits.contains_key(n));
    if !names.is_empty() {
        for node in nodes {
            mark(node, &names);
        }
    }
}

fn mark(node: &mut NodeReport, names: &BTreeSet<Arc<str>>) {
    let mut symbols = BTreeSet::new();
    node.cost.counts().for_each(|count| count.symbols(&mut symbols));
    if node.status == Status::Exact && !symbols.is_disjoint(names) {
        node.status = Status::Bound;
    }
    let outcomes = node.bodies.iter_mut().filter_map(|body| body.outcome.as_mut());
    outcomes.for_each(|inside| inside.nodes.iter_mut().for_each(|node| mark(node, names)));
}
