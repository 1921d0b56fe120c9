//! What a walk finds: of each node, of each value, and of the bodies that ran inside nodes.

use crate::dim::Dim;
use crate::ir::{NodeId, TensorInfo, ValueId};
use crate::ops::{Class, NodeCost, Status};
use std::collections::BTreeMap;

/// What is known of a node after the walk.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// What kind of work it is.
    pub class: Class,
    /// What it costs.
    pub cost: NodeCost,
    /// How sure that is.
    pub status: Status,
    /// Bytes read of each value when the node runs alone.
    pub reads: Vec<(ValueId, Dim)>,
    /// Bytes written of each value.
    pub writes: Vec<(ValueId, Dim)>,
    /// The bodies that ran inside, whose costs are in `cost`.
    pub bodies: Vec<Body>,
}

impl NodeReport {
    /// A node of which nothing is known but its kind.
    pub(super) fn unknown(class: Class) -> Self {
        Self {
            class,
            cost: NodeCost::default(),
            status: Status::Unknown,
            reads: Vec::new(),
            writes: Vec::new(),
            bodies: Vec::new(),
        }
    }

    /// Bytes that the kernels of bodies inside read and write; of bodies of which only one runs, the larger.
    /// Without bodies, what the operator moves between its own steps.
    pub(super) fn inner_bytes(&self) -> (Dim, Dim) {
        if self.bodies.is_empty() {
            if !matches!(self.class, Class::Control | Class::Attention) {
                return (Dim::ZERO, Dim::ZERO);
            }
            let own = |list: &[(ValueId, Dim)]| list.iter().map(|(_, b)| b).sum::<Dim>();
            let (read, written) = (own(&self.reads), own(&self.writes));
            return (
                self.cost.bytes_read.clone() - read,
                self.cost.bytes_written.clone() - written,
            );
        }
        let all = |pick: fn(&(Dim, Dim)) -> &Dim| {
            self.bodies.iter().fold(Dim::ZERO, |sum, body| {
                let bytes = pick(&body.summary.fused).clone();
                let bytes = if body.together { bytes } else { bytes * body.times.clone() };
                if body.alternative { sum.maximum(&bytes) } else { sum + bytes }
            })
        };
        (all(|fused| &fused.0), all(|fused| &fused.1))
    }
}

/// What the walk learned of one graph.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Reports, indexed by node.
    pub nodes: Vec<NodeReport>,
    /// What is known of each value, indexed by value.
    pub values: Vec<TensorInfo>,
    /// The order nodes run in.
    pub order: Vec<NodeId>,
    /// Bytes of each value, where known.
    pub sizes: Vec<Option<Dim>>,
}

impl Outcome {
    /// The outcome of a walk with other numbers in it.
    pub(super) fn new(nodes: Vec<NodeReport>, values: Vec<TensorInfo>, order: Vec<NodeId>) -> Self {
        let sizes = values.iter().map(TensorInfo::bytes).collect();
        Self { nodes, values, order, sizes }
    }
}

/// One way in which a body ran inside a node.
#[derive(Clone, Debug)]
pub struct Body {
    /// The attribute that holds the body.
    pub name: String,
    /// How often it ran so.
    pub times: Dim,
    /// Whether this is one of several of which only one runs.
    pub alternative: bool,
    /// What the walk found; none where a loop has too many different rounds to keep each.
    pub outcome: Option<Outcome>,
    /// Whether how often it runs is data-dependent.
    pub(super) doubtful: bool,
    /// Whether what its kernels move is that of all its runs together, which differ.
    pub(super) together: bool,
    /// What the body holds and moves in one run.
    pub(super) summary: Summary,
}

/// What one run of a body holds and moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// The largest of its live bytes: values of its own, without what it captures.
    pub(super) live: Vec<Dim>,
    /// How many of its values are in no sum of these, because their size is not known.
    pub(super) of_unknown_size: usize,
    /// Bytes that its kernels read and write, each alone.
    pub(super) fused: (Dim, Dim),
    /// What it must read and write at least: by all nodes, and by those whose cost is no bound.
    pub(super) least: [Flow; 2],
}

impl Summary {
    /// Every number put through a function.
    pub(super) fn map(&self, f: &dyn Fn(&Dim) -> Dim) -> Self {
        Self {
            live: self.live.iter().map(f).collect(),
            of_unknown_size: self.of_unknown_size,
            fused: (f(&self.fused.0), f(&self.fused.1)),
            least: [self.least[0].map(f), self.least[1].map(f)],
        }
    }
}

/// What one run of a graph must move between the memory and the chip.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// Bytes read of each input.
    pub(super) inputs: Vec<Dim>,
    /// Bytes read of each value of the graph around, by its name there.
    pub(super) captures: BTreeMap<String, Dim>,
    /// Bytes read of weights and constants of the graph's own and of the bodies in it.
    pub(super) stored: Dim,
    /// Bytes written of each output.
    pub(super) outputs: Vec<Dim>,
    /// Bytes of each output, written or not.
    pub(super) sizes: Vec<Dim>,
}

impl Flow {
    /// Every number put through a function.
    pub(super) fn map(&self, f: &dyn Fn(&Dim) -> Dim) -> Self {
        Self {
            inputs: self.inputs.iter().map(f).collect(),
            captures: self.captures.iter().map(|(name, d)| (name.clone(), f(d))).collect(),
            stored: f(&self.stored),
            outputs: self.outputs.iter().map(f).collect(),
            sizes: self.sizes.iter().map(f).collect(),
        }
    }

    /// All bytes.
    pub(super) fn total(&self) -> Dim {
        let read = self.inputs.iter().chain(self.captures.values());
        read.chain(&self.outputs).sum::<Dim>() + self.stored.clone()
    }
}
