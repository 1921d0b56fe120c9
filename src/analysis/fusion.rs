//! Which nodes a good runtime runs as one kernel, and what such kernels move.
//!
//! Named rules, each a pattern that today's runtimes have: epilogues of convolutions and matrix
//! products, chains of element-wise work, norms and softmax as one kernel, attention whose scores
//! never leave the chip, dequantisation before a product. Groups are convex: nothing outside a group
//! lies between two of its nodes. Views belong to what they view; folded nodes to nobody.

use super::NodeReport;
use super::propagate::Outcome;
use crate::dim::Dim;
use crate::ir::{Graph, NodeId, ValueId};
use crate::ops::{Class, Status};
use std::collections::BTreeMap;

/// Why nodes are one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// One node.
    Alone,
    /// A convolution, product or recurrence, with what follows element by element.
    Epilogue,
    /// Element-wise work, reductions and norms over the same rows.
    Chain,
    /// Product, softmax, product.
    Attention,
}

impl Rule {
    /// The word printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Epilogue => "epilogue",
            Self::Chain => "chain",
            Self::Attention => "attention",
        }
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

/// The part that a node can play.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Begins a kernel that takes an epilogue.
    Anchor,
    /// Element by element.
    Pointwise,
    /// Over rows: a norm, a softmax, a reduction.
    Row,
    /// A kernel of its own.
    Other,
}

/// A group while it grows.
struct Draft {
    part: Part,
    rule: Rule,
    nodes: Vec<NodeId>,
    first: usize,
}

struct Fuser<'a> {
    graph: &'a Graph,
    nodes: &'a [NodeReport],
    owner: &'a [ValueId],
    /// Whether a value is a result of the model, by value.
    results: Vec<bool>,
    position: Vec<usize>,
    /// Who reads a value, views aside; a value read from a body has a reader that is no node.
    users: Vec<Vec<Option<NodeId>>>,
    drafts: Vec<Draft>,
    group_of: Vec<Option<usize>>,
}

/// Groups the nodes that cost something.
pub(super) fn groups(graph: &Graph, outcome: &Outcome, owner: &[ValueId]) -> Vec<Group> {
    let mut fuser = Fuser::new(graph, outcome, owner);
    for softmax in &outcome.order {
        fuser.attention(*softmax);
    }
    for id in &outcome.order {
        if fuser.runs(*id) && fuser.group(*id).is_none() {
            fuser.place(*id);
        }
    }
    fuser.finish()
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, outcome: &'a Outcome, owner: &'a [ValueId]) -> Self {
        let mut position = vec![0; graph.nodes.len()];
        for (i, id) in outcome.order.iter().enumerate() {
            position[id.index()] = i;
        }
        let mut fuser = Self {
            graph,
            nodes: &outcome.nodes,
            owner,
            results: vec![false; graph.values.len()],
            position,
            users: vec![Vec::new(); graph.values.len()],
            drafts: Vec::new(),
            group_of: vec![None; graph.nodes.len()],
        };
        for output in &graph.outputs {
            fuser.results[owner[output.index()].index()] = true;
        }
        for id in &outcome.order {
            let node = graph.node(*id);
            let captured = node.subgraphs().flat_map(|(_, body)| body.captures.keys());
            for value in captured.filter_map(|name| graph.find_value(name)) {
                fuser.users[owner[value.index()].index()].push(None);
            }
            if fuser.runs(*id) {
                for value in node.inputs.iter().flatten() {
                    let users = &mut fuser.users[owner[value.index()].index()];
                    if users.last() != Some(&Some(*id)) {
                        users.push(Some(*id));
                    }
                }
            }
        }
        fuser
    }

    /// Whether a node is a kernel's work: views and folded nodes are not.
    fn runs(&self, id: NodeId) -> bool {
        let report = &self.nodes[id.index()];
        report.class != Class::View && report.status != Status::Folded
    }

    fn inputs(&self, id: NodeId) -> impl Iterator<Item = ValueId> {
        let inputs = self.graph.node(id).inputs.iter().flatten();
        inputs.map(|v| self.owner[v.index()])
    }

    fn group(&self, id: NodeId) -> Option<usize> {
        self.group_of[id.index()]
    }

    fn producer(&self, value: ValueId) -> Option<NodeId> {
        self.graph.value(value).producer.filter(|id| self.runs(*id))
    }

    fn part(&self, id: NodeId) -> Part {
        let op = &*self.graph.node(id).op_type;
        let report = &self.nodes[id.index()];
        if report.status == Status::Unknown {
            return Part::Other;
        }
        match report.class {
            Class::Convolution | Class::MatrixProduct | Class::Recurrent => Part::Anchor,
            Class::Elementwise | Class::Quantization => Part::Pointwise,
            Class::Normalization if op == "BatchNormalization" => Part::Pointwise,
            Class::Movement if op == "Cast" || op == "CastLike" => Part::Pointwise,
            Class::Normalization | Class::Reduction => Part::Row,
            _ => Part::Other,
        }
    }

    /// The only reader of a value that has one; none where it is a result of the model.
    fn only_user(&self, value: ValueId) -> Option<NodeId> {
        match &self.users[value.index()][..] {
            [one] if !self.results[value.index()] => *one,
            _ => None,
        }
    }

    fn output(&self, id: NodeId) -> Option<ValueId> {
        match &self.graph.node(id).outputs[..] {
            [Some(one)] => Some(*one),
            _ => None,
        }
    }

    /// Product → (scale, mask) → softmax → (cast, dropout) → product, nothing of it used elsewhere.
    fn attention(&mut self, softmax: NodeId) {
        const LONGEST: usize = 6;
        if &*self.graph.node(softmax).op_type != "Softmax" || !self.runs(softmax) {
            return;
        }
        let product = |id: NodeId| &*self.graph.node(id).op_type == "MatMul" && self.runs(id);
        let mut chain = vec![softmax];
        let mut at = softmax;
        loop {
            let made = self.inputs(at).filter_map(|v| Some((v, self.producer(v)?)));
            let mut closed = made.filter(|(v, _)| self.only_user(*v) == Some(at)).map(|(_, p)| p);
            let step = closed.find(|p| product(*p) || self.part(*p) == Part::Pointwise);
            let Some(step) = step.filter(|_| chain.len() <= LONGEST) else { return };
            chain.insert(0, step);
            if product(step) {
                break;
            }
            at = step;
        }
        at = softmax;
        loop {
            let next = self.output(at).and_then(|v| self.only_user(v));
            let Some(next) = next.filter(|_| chain.len() <= 2 * LONGEST) else { return };
            chain.push(next);
            if product(next) {
                break;
            }
            if self.part(next) != Part::Pointwise {
                return;
            }
            at = next;
        }
        if chain.iter().any(|id| self.group(*id).is_some()) {
            return;
        }
        let first = chain.iter().map(|id| self.position[id.index()]).min().unwrap_or(0);
        for id in &chain {
            self.group_of[id.index()] = Some(self.drafts.len());
        }
        self.drafts.push(Draft { part: Part::Anchor, rule: Rule::Attention, nodes: chain, first });
    }

    /// Whether all that the group makes is read by the group and by `id` alone.
    fn closed(&self, group: usize, id: NodeId) -> bool {
        let made = self.drafts[group].nodes.iter().flat_map(|n| &self.graph.node(*n).outputs);
        made.flatten().all(|value| {
            let users = &self.users[value.index()];
            users.iter().all(|user| user.is_some_and(|u| u == id || self.group(u) == Some(group)))
        })
    }

    /// Puts a node into the group of what it reads, where a rule allows it, or into a new one.
    fn place(&mut self, id: NodeId) {
        let part = self.part(id);
        let op = &*self.graph.node(id).op_type;
        let sources: Vec<Option<NodeId>> = self.inputs(id).map(|v| self.producer(v)).collect();
        let mut candidates: Vec<usize> =
            sources.iter().flatten().filter_map(|p| self.group(*p)).collect();
        candidates.sort_unstable();
        candidates.dedup();
        let takes = |group: &usize| match (self.drafts[*group].part, part) {
            (Part::Anchor | Part::Pointwise | Part::Row, Part::Pointwise) => {
                op != "DequantizeLinear"
            }
            (Part::Pointwise | Part::Row, Part::Row) => true,
            // Numbers are unpacked on their way into a product.
            (Part::Pointwise, Part::Anchor) => {
                let unpacks = |n: &NodeId| &*self.graph.node(*n).op_type == "DequantizeLinear";
                self.drafts[*group].nodes.iter().all(unpacks)
            }
            _ => false,
        };
        let before = |group: usize| {
            let first = self.drafts[group].first;
            sources
                .iter()
                .flatten()
                .all(|p| self.group(*p) == Some(group) || self.position[p.index()] < first)
        };
        let joins =
            |group: &usize| self.closed(*group, id) || (part != Part::Anchor && before(*group));
        let mut fitting: Vec<usize> = candidates.into_iter().filter(takes).filter(joins).collect();
        fitting.sort_by_key(|g| {
            std::cmp::Reverse((self.drafts[*g].part == Part::Anchor, self.drafts[*g].first))
        });
        let position = self.position[id.index()];
        let Some(home) = fitting.first().copied() else {
            self.group_of[id.index()] = Some(self.drafts.len());
            let draft = Draft { part, rule: Rule::Alone, nodes: vec![id], first: position };
            self.drafts.push(draft);
            return;
        };
        // Other groups that end here come along.
        let others: Vec<usize> = fitting[1..]
            .iter()
            .copied()
            .filter(|g| self.drafts[*g].part != Part::Anchor && self.closed(*g, id))
            .collect();
        self.add(home, id, part);
        for other in others {
            let nodes = std::mem::take(&mut self.drafts[other].nodes);
            for node in nodes {
                self.add(home, node, Part::Pointwise);
            }
        }
    }

    fn add(&mut self, home: usize, id: NodeId, part: Part) {
        self.group_of[id.index()] = Some(home);
        let position = self.position[id.index()];
        let draft = &mut self.drafts[home];
        draft.nodes.push(id);
        draft.first = draft.first.min(position);
        if part == Part::Anchor {
            draft.part = Part::Anchor;
        }
        if draft.rule != Rule::Attention {
            draft.rule = if draft.part == Part::Anchor { Rule::Epilogue } else { Rule::Chain };
        }
    }

    fn finish(mut self) -> Vec<Group> {
        let drafts = std::mem::take(&mut self.drafts);
        let drafts = drafts.into_iter().enumerate().filter(|(_, d)| !d.nodes.is_empty());
        let group = |(index, mut draft): (usize, Draft)| {
            draft.nodes.sort_by_key(|id| self.position[id.index()]);
            let inside = |id: NodeId| self.group(id) == Some(index);
            let mut read: BTreeMap<ValueId, Dim> = BTreeMap::new();
            let (mut extra, mut written) = (Dim::ZERO, Dim::ZERO);
            for id in &draft.nodes {
                let report = &self.nodes[id.index()];
                for (value, bytes) in &report.reads {
                    let source = self.owner[value.index()];
                    if !self.producer(source).is_some_and(inside) {
                        let most = read.entry(source).or_default();
                        *most = if most.is_zero() { bytes.clone() } else { most.maximum(bytes) };
                    }
                }
                for (value, bytes) in &report.writes {
                    let users = &self.users[value.index()];
                    let outside = users.iter().any(|u| !u.is_some_and(inside));
                    if outside || self.results[value.index()] {
                        written = written + bytes.clone();
                    }
                }
                // What bodies inside move is theirs.
                let (inner_read, inner_written) = report.inner_bytes();
                extra = extra + inner_read;
                written = written + inner_written;
            }
            let bytes_read = read.into_values().sum::<Dim>() + extra;
            Group { rule: draft.rule, nodes: draft.nodes, bytes_read, bytes_written: written }
        };
        drafts.map(group).collect()
    }
}
