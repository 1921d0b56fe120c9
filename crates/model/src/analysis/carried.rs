//! Data-dependent sizes that a loop hands on from one round to the next.
//!
//! A size that data make in a body has one symbol for all rounds, though each round may make another number of
//! it. Where everything only grows with such a symbol that is as good as one symbol for each round: both are
//! most where all are. A difference is not: `n − p`, for what this round makes and what the last one made, is not
//! zero. So a round that is given such sizes is walked once more with a symbol of its own for each of them.

use super::propagate::{Outer, Walk};
use crate::dim::Dim;
use crate::ir::{Elem, Node, TensorInfo};
use crate::ops::{Becomes, Bodies, OpError};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sizes of earlier rounds, each with the one that it is as large as at most.
type Others = BTreeMap<Arc<str>, Arc<str>>;

impl Walk<'_> {
    /// Refuses a round that takes sizes of another round from its own; contents of `outputs` that come from such
    /// are forgotten. Gives the outputs of the node that hold sizes of earlier rounds.
    pub(super) fn apart(
        &self,
        node: &Node,
        body: &str,
        inputs: &[TensorInfo],
        outputs: &mut [TensorInfo],
        outer: &Outer<'_>,
    ) -> Result<BTreeSet<usize>, OpError> {
        if self.comparing.get() || self.made.is_empty() {
            return Ok(BTreeSet::new());
        }
        let earlier = self.made_inside(inputs);
        if earlier.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (inputs, others) = self.renamed(inputs, &earlier);
        let (given, outcome) = self.aside(&others, || self.body(node, body, &inputs, outer))?;
        let taken_apart = |size: &Dim| !size.grows() && mentions(size, &others);
        let costs = outcome.nodes.iter().flat_map(|node| node.cost.counts());
        if costs.chain(outcome.values.iter().flat_map(super::sizes)).any(taken_apart) {
            return Err(OpError::Unsupported(
                "data-dependent sizes of one round subtracted from those of another".into(),
            ));
        }
        for (kept, given) in outputs.iter_mut().zip(&given) {
            let apart = |e: &Elem| e.formula().is_some_and(taken_apart);
            if given.value.iter().flat_map(|v| v.iter()).any(apart) {
                kept.value = None;
            }
        }
        let bodies = Bodies::of(node);
        let late = |(at, info): (usize, &TensorInfo)| match bodies.becomes(node, at) {
            Becomes::Output(port) if holds(info, &others) => Some(port),
            _ => None,
        };
        Ok(given.iter().enumerate().filter_map(late).collect())
    }

    /// What a loop leaves that is of an earlier round than what else it leaves, with sizes of its own.
    pub(super) fn of_its_own(&self, info: &TensorInfo) -> Result<TensorInfo, OpError> {
        let mut by = BTreeMap::new();
        for name in self.made_inside(std::slice::from_ref(info)) {
            let limit = self.made.limits().get(&name).cloned().flatten();
            by.insert(name, self.fresh("carried", limit)?);
        }
        Ok(if by.is_empty() { info.clone() } else { info.map(&|size| size.replace(&by)) })
    }

    /// The data-dependent sizes in `inputs` that were made inside the node that is looked at.
    fn made_inside(&self, inputs: &[TensorInfo]) -> BTreeSet<Arc<str>> {
        let mut names = BTreeSet::new();
        for info in inputs {
            symbols(info, &mut names);
        }
        self.made.keep_inside(&mut names);
        names
    }

    /// `inputs` with a symbol of its own in each place of a size of `earlier`, and these symbols.
    fn renamed(
        &self,
        inputs: &[TensorInfo],
        earlier: &BTreeSet<Arc<str>>,
    ) -> (Vec<TensorInfo>, Others) {
        let (places, others) = (Cell::new(0_usize), RefCell::new(Others::new()));
        let size = |size: &Dim| {
            places.set(places.get() + 1);
            size.replace_with(&|name| {
                let like = earlier.get(name)?;
                // Sizes that are made have no stroke in their names.
                let other = self.made.unlike_the_file(format!("{name}/{}", places.get()));
                others.borrow_mut().insert(other.clone(), like.clone());
                Some(Dim::count(&other))
            })
        };
        let inputs = inputs.iter().map(|info| info.map(&size)).collect();
        (inputs, others.into_inner())
    }

    /// Does `walk` with the data-dependent sizes `others`, and then forgets all that came of it but its result.
    fn aside<T>(&self, others: &Others, walk: impl FnOnce() -> T) -> T {
        let (held, bounded, said) = (self.held.so_far(), self.bounded.get(), self.said(None));
        let before = self.made.add_like(others);
        self.visits.set(self.visits.get().saturating_add(before.len()));
        self.comparing.set(true);
        let result = walk();
        self.comparing.set(false);
        self.made.back_to(before);
        self.said(Some(said));
        self.held.back_to(held);
        self.bounded.set(bounded);
        result
    }
}

/// The symbols in everything that is known of a tensor.
fn symbols(info: &TensorInfo, names: &mut BTreeSet<Arc<str>>) {
    info.shape.iter().flatten().for_each(|size| size.symbols(names));
    let contents = info.value.iter().flat_map(|v| v.iter());
    contents.filter_map(Elem::formula).for_each(|size| size.symbols(names));
    if let Some(sequence) = &info.sequence {
        sequence.length.symbols(names);
        let elements = sequence.elements.iter().flatten();
        elements.chain([&sequence.element]).for_each(|element| symbols(element, names));
    }
}

/// Whether anything that is known of a tensor holds one of these.
fn holds(info: &TensorInfo, others: &Others) -> bool {
    let mut names = BTreeSet::new();
    symbols(info, &mut names);
    names.iter().any(|name| others.contains_key(name))
}

fn mentions(size: &Dim, others: &Others) -> bool {
    size.any_symbol(&|name| others.contains_key(name))
}
