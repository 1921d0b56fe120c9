//! Control flow of the first kind, made of single nodes, in terms of loops and branches with bodies.
//!
//! A loop is a frame: `Enter`s lead in, a `Merge` for each variable takes what enters or the next round's value, a
//! `Switch` on `LoopCond` leads it to the body or to an `Exit`. Elsewhere, a `Merge` of values that depend on the
//! two sides of `Switch`es on one predicate is a branch.

mod branches;
mod frames;

use super::program::{Body, Node, Source, Steps, index};
use crate::formats::LoadError;
use std::collections::HashMap;

/// Finds loops and branches that the returns of a body depend on, and puts nodes with bodies in their place.
pub(super) fn structure(body: &mut Body, steps: &mut Steps) -> Result<(), LoadError> {
    let flows = |n: &Node| matches!(plain(&n.def.op), "Merge" | "Exit" | "Switch");
    if !body.nodes.iter().any(flows) {
        return Ok(());
    }
    frames::structure(body, steps)?;
    branches::structure(body, steps)
}

/// The name of an operator without the mark that it passes on a reference.
fn plain(op: &str) -> &str {
    match op.strip_prefix("Ref") {
        Some(rest @ ("Enter" | "Exit" | "Merge" | "Switch" | "NextIteration")) => rest,
        _ => op,
    }
}

/// Which nodes the returns depend on, through loops too.
pub(super) fn reached(body: &Body, from: &[Source]) -> Vec<bool> {
    let mut seen = vec![false; body.nodes.len()];
    let mut stack: Vec<Source> = from.to_vec();
    while let Some(source) = stack.pop() {
        let Source::Node(id, _) = source else { continue };
        let Some(slot) = seen.get_mut(index(id)).filter(|seen| !**seen) else { continue };
        *slot = true;
        stack.extend(&body.node(id).inputs);
    }
    seen
}

/// Values that others stand for.
#[derive(Default)]
struct Redirect(HashMap<(u32, u32), Source>);

impl Redirect {
    fn put(&mut self, node: u32, port: u32, to: Source) {
        self.0.insert((node, port), to);
    }

    fn of(&self, source: Source) -> Source {
        let mut at = source;
        // What stands for a value may itself be stood for; chains are as long as loops nest.
        for _ in 0..64 {
            let Source::Node(id, port) = at else { return at };
            match self.0.get(&(id, port)) {
                Some(to) => at = *to,
                None => return at,
            }
        }
        at
    }

    fn apply(&self, body: &mut Body) {
        if self.0.is_empty() {
            return;
        }
        let inputs = body.nodes.iter_mut().flat_map(|n| n.inputs.iter_mut());
        for source in inputs.chain(body.returns.iter_mut()) {
            *source = self.of(*source);
        }
    }
}

/// Whether a node is what a branch's nodes wait for: one side of a predicate's own switch.
pub(super) fn pivot(body: &Body, id: u32) -> bool {
    let Some(node) = body.nodes.get(index(id)) else { return false };
    let from_switch = |source: &Source| match source {
        Source::Node(id, _) => plain(&body.node(*id).def.op) == "Switch",
        _ => false,
    };
    node.def.op == "Identity" && node.inputs.first().is_some_and(from_switch)
}
