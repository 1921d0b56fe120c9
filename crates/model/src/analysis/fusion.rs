//! Which nodes a good runtime runs as one kernel, and what such kernels move.
//!
//! What is computed decides, not how it is written: a norm is one kernel whether the file has one node
//! for it or nine. The rules are those that today's runtimes have: products, convolutions and attention
//! take what follows element by element; element-wise work, norms and reductions over the same rows are one
//! kernel; scores of attention never leave the chip; numbers are unpacked on the way into a product. Where a
//! product has a bias, runtimes have kernels of their own for it, which also permute axes on the way in and
//! out; a bare product is a call of a library, which does not. Products of one tensor with several weights
//! run together where each has an epilogue. Groups are convex: nothing outside a group lies between two of its nodes. Views
//! belong to what they view; folded nodes to nobody.

mod attention;
mod bytes;
mod place;

use super::grouped::Grouped;
use super::outcome::{NodeReport, Outcome};
use crate::dim::Dim;
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{self, Class, Part, Status};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

rooflens_ground::words! {
    /// Why nodes are one kernel.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Rule {
        /// One node.
        Alone = "alone",
        /// A convolution, product or recurrence, with what follows element by element.
        Epilogue = "epilogue",
        /// Element-wise work, reductions and norms over the same rows.
        Chain = "chain",
        /// Product, softmax, product.
        Attention = "attention",
    }
}

/// Nodes that run as one kernel.
#[derive(Clone, Debug)]
pub struct Group {
    /// Why.
    pub rule: Rule,
    /// Which, in the order they run.
    pub nodes: Vec<NodeId>,
    /// Bytes of what comes from outside, each value once.
    pub bytes_read: Dim,
    /// Bytes of what is used outside.
    pub bytes_written: Dim,
}

/// What a group can still take.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// A kernel of its own.
    Alone,
    /// Maps and rows.
    Chain,
    /// Begins with an anchor.
    Anchored,
}

/// A group while it grows.
#[allow(clippy::struct_excessive_bools, reason = "what a group holds, each by itself")]
struct Draft {
    kind: Kind,
    /// Whether it holds a node over rows.
    rows: bool,
    /// Whether an anchor could do all of it on its way in.
    light: bool,
    /// Whether it holds a node that reads axes in another order.
    arranged: bool,
    /// Whether it holds work element by element, or an anchor that runtimes have a kernel of their own for.
    mapped: bool,
    rule: Rule,
    nodes: Vec<NodeId>,
    /// Position of its first node.
    first: usize,
    /// How many pairs there are of a value made here and a node elsewhere that reads it.
    outside: usize,
    /// Positions of the nodes that read what is made here, those inside included.
    readers: BinaryHeap<Reverse<usize>>,
}

struct Fuser<'a> {
    graph: &'a Graph,
    outcome: &'a Outcome,
    nodes: &'a [NodeReport],
    /// Which values no run computes, by value.
    rest: &'a [bool],
    parts: Vec<Part>,
    /// The value whose memory a value is read from: views and repetitions read what they are of.
    root: Vec<ValueId>,
    /// Whether a value repeats its root, by value.
    spread: Vec<bool>,
    /// Whether a value is a result of the model, by value.
    results: Vec<bool>,
    /// Of each node, in the order they run.
    position: Vec<usize>,
    /// Position of the last node that a value waits for, where it is not its producer.
    late: HashMap<ValueId, usize>,
    /// Who reads each value, each reader once, by value.
    users: Grouped<NodeId>,
    drafts: Vec<Draft>,
    group_of: Vec<Option<usize>>,
    /// The first product of a value with stored weights, by value.
    products: HashMap<ValueId, NodeId>,
    /// Sums that a norm begins with and that the kernel before it does, by the norm.
    sums: BTreeMap<NodeId, ValueId>,
}

/// Groups the nodes that cost something; `rest` says which values no run computes.
pub(super) fn groups(graph: &Graph, outcome: &Outcome, rest: &[bool]) -> Vec<Group> {
    let mut fuser = Fuser::new(graph, outcome, rest);
    for id in &outcome.order {
        if fuser.runs(*id) {
            fuser.place(*id);
        }
    }
    fuser.attention();
    fuser.finish()
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, outcome: &'a Outcome, rest: &'a [bool]) -> Self {
        let mut position = vec![0; graph.nodes.len()];
        for (i, id) in outcome.order.iter().enumerate() {
            position[id.index()] = i;
        }
        let mut fuser = Self {
            graph,
            outcome,
            nodes: &outcome.nodes,
            rest,
            parts: vec![Part::Alone; graph.nodes.len()],
            root: graph.value_ids().collect(),
            spread: vec![false; graph.values.len()],
            results: vec![false; graph.values.len()],
            position,
            late: HashMap::new(),
            users: Grouped::new(0, &[], ValueId::index),
            drafts: Vec::new(),
            group_of: vec![None; graph.nodes.len()],
            products: HashMap::new(),
            sums: BTreeMap::new(),
        };
        for output in &graph.outputs {
            fuser.results[output.index()] = true;
        }
        for id in &outcome.order {
            fuser.parts[id.index()] = fuser.part_of(*id);
            fuser.follow(*id);
        }
        for output in &graph.outputs {
            fuser.results[fuser.root[output.index()].index()] = true;
        }
        let mut reads = Vec::new();
        for id in &outcome.order {
            fuser.reads(*id, &mut reads);
        }
        fuser.users = Grouped::new(graph.values.len(), &reads, ValueId::index);
        fuser
    }

    fn part_of(&self, id: NodeId) -> Part {
        if self.nodes[id.index()].status == Status::Unknown {
            return Part::Alone;
        }
        let node = self.graph.node(id);
        let part = ops::find(&node.domain, &node.op_type).map_or(Part::Alone, ops::Op::part);
        let result = || node.outputs.iter().flatten().any(|v| self.results[v.index()]);
        if part == Part::Spread && result() { Part::Map } else { part }
    }

    /// Whether what a node makes is read from the memory of its first input.
    fn is_view(&self, id: NodeId) -> bool {
        self.nodes[id.index()].class == Class::View || self.parts[id.index()] == Part::Spread
    }

    /// Whether a node is a kernel's work: views and folded nodes are not.
    fn runs(&self, id: NodeId) -> bool {
        self.nodes[id.index()].status != Status::Folded && !self.is_view(id)
    }

    /// Notes what the output of a view is a view of.
    fn follow(&mut self, id: NodeId) {
        let node = self.graph.node(id);
        let (Some(Some(input)), Some(Some(output))) = (node.inputs.first(), node.outputs.first())
        else {
            return;
        };
        if !self.is_view(id) {
            return;
        }
        self.root[output.index()] = self.root[input.index()];
        let repeats = self.parts[id.index()] == Part::Spread;
        self.spread[output.index()] = self.spread[input.index()] || repeats;
        let waits = node.inputs[1..].iter().flatten().any(|v| self.source(*v).is_some());
        let at = if waits { Some(self.position[id.index()]) } else { None };
        if let Some(at) = at.or_else(|| self.late.get(input).copied()) {
            self.late.insert(*output, at);
        }
    }

    /// Adds what a node reads, each value once.
    fn reads(&self, id: NodeId, into: &mut Vec<(ValueId, NodeId)>) {
        let node = self.graph.node(id);
        // The first input of a view is read by whoever reads the view.
        let skipped = usize::from(!self.runs(id));
        let folded = self.nodes[id.index()].status == Status::Folded;
        let from = into.len();
        if !folded {
            let inputs = node.inputs.iter().skip(skipped).flatten();
            into.extend(inputs.map(|v| (self.root[v.index()], id)));
        }
        let captured = node.subgraphs().flat_map(|(_, body)| body.captures.keys());
        let captured = captured.filter_map(|name| self.graph.find_value(name));
        into.extend(captured.map(|v| (self.root[v.index()], id)));
        into[from..].sort_unstable();
        let mut kept = from;
        for i in from..into.len() {
            if i == from || into[i] != into[kept - 1] {
                into[kept] = into[i];
                kept += 1;
            }
        }
        into.truncate(kept);
    }

    /// The node whose work makes a value, where a run has it to do.
    fn source(&self, value: ValueId) -> Option<NodeId> {
        let root = self.root[value.index()];
        self.graph.value(root).producer.filter(|id| self.runs(*id))
    }

    fn group(&self, id: NodeId) -> Option<usize> {
        self.group_of[id.index()]
    }
}
