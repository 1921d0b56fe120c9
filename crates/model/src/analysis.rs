//! Judgement on a graph: what every node makes and costs, and what the whole amounts to.
//!
//! [`analyze`] never fails as a whole: what it cannot settle becomes a diagnostic and lowers the
//! [`Coverage`]. Results lie beside the graph, indexed like its nodes and values. This floor sees
//! operators and graphs, never files, devices or clocks.

mod bodies;
mod cache;
mod carried;
mod ceiling;
mod charge;
mod coverage;
mod equalities;
mod fusion;
mod grouped;
mod held;
mod live;
mod made;
mod memory;
mod outcome;
mod parameters;
mod precision;
mod propagate;
mod settle;
mod traffic;

pub use cache::Cache;
pub use coverage::Coverage;
pub use fusion::{Group, Rule};
pub use memory::Plan;
pub use outcome::{Body, NodeReport, Outcome};
pub use precision::{Precision, PrecisionError, recast, type_name};
pub use settle::settle;

use crate::dim::{Bindings, Dim, EvalError};
use crate::ir::{Diagnostic, Model, NodeId, Severity, TensorInfo, ValueId};
use crate::ops::Cost;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Everything that follows from the graph, in the model's symbols.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Reports, indexed by node.
    pub nodes: Vec<NodeReport>,
    /// What is known of each value, indexed by value.
    pub values: Vec<TensorInfo>,
    /// The order nodes run in.
    pub order: Vec<NodeId>,
    /// Sums over all nodes whose cost is known.
    pub totals: Cost,
    /// Learned parameters, in whatever type or packing they are stored; not running statistics, masks,
    /// tables of positions or constants of arithmetic.
    pub params: Dim,
    /// Scales and zero points of quantised weights and activations.
    pub quantization_params: Dim,
    /// Bytes of everything stored with the model, packed, each tensor once.
    pub weight_bytes: Dim,
    /// Nodes that a good runtime runs as one kernel, and what each kernel moves.
    pub groups: Vec<Group>,
    /// Bytes that all kernels move, each alone.
    pub fused_bytes: Dim,
    /// Bytes no runtime can avoid moving: what is read of every input and weight, and every output,
    /// once. Never more than the sum over nodes.
    pub compulsory_bytes: Dim,
    /// The same by nodes alone whose cost is no bound: what is moved whatever the data are.
    pub sure_bytes: Dim,
    /// What a decoder keeps between steps; empty for other models.
    pub cache: Cache,
    /// Live activation bytes at each node, in order, and inside those that run bodies; their largest is the
    /// peak.
    pub live_bytes: Vec<Dim>,
    /// How many activations are in no sum of these, because their size is not known; those of bodies included.
    pub of_unknown_size: usize,
    /// By node that runs bodies, in order: what they hold beyond the node's inputs and outputs; the largest
    /// counts, at least zero.
    inside: BTreeMap<NodeId, Vec<Dim>>,
    /// How much of the model the totals stand for.
    pub coverage: Coverage,
    /// Symbols that the numbers depend on.
    pub symbols: BTreeSet<Arc<str>>,
    /// Of these, data-dependent sizes, with the most each can be, where that is known.
    pub limits: BTreeMap<Arc<str>, Option<Dim>>,
    /// The names of these sizes, each after those that its limit is given in.
    order_of_limits: Vec<Arc<str>>,
    /// What could not be settled.
    pub diagnostics: Vec<Diagnostic>,
}

impl Analysis {
    /// The peak of live activation bytes as a formula: the largest of all steps, those that never
    /// win left out.
    pub fn peak_formula(&self) -> Dim {
        use std::cmp::Ordering::{Equal, Greater, Less};
        const MOST: usize = 6;
        let mut best: Vec<&Dim> = Vec::new();
        for live in self.live_sums() {
            if best.iter().any(|b| matches!(live.compare(b), Some(Less | Equal))) {
                continue;
            }
            best.retain(|b| !matches!(live.compare(b), Some(Greater)));
            best.push(live);
            if best.len() > MOST {
                return Dim::symbol("peak");
            }
        }
        best.into_iter().fold(Dim::ZERO, |a, b| if a.is_zero() { b.clone() } else { a.maximum(b) })
    }

    /// Lets go of what is known of single nodes and kernels, for whom sums and values are enough.
    pub(crate) fn forget_nodes(&mut self) {
        (self.nodes, self.groups) = (Vec::new(), Vec::new());
    }

    /// Whether some sum has more terms than a formula may have, or is beyond any number.
    pub fn overflows(&self) -> bool {
        let sums = [&self.fused_bytes, &self.compulsory_bytes, &self.sure_bytes, &self.cache.bytes];
        let moved = |g: &Group| g.bytes_read.is_overflow() || g.bytes_written.is_overflow();
        self.totals.overflows()
            || sums.into_iter().chain(&self.live_bytes).any(Dim::is_overflow)
            || self.nodes.iter().any(|n| n.cost.overflows())
            || self.groups.iter().any(moved)
    }

    /// Activations laid out in memory at `bindings`; without those whose size is not known.
    pub fn plan(&self, model: &Model, bindings: &Bindings) -> Plan {
        let graph = &model.graph;
        let rest = memory::at_rest(graph, &self.order, &self.values);
        let bytes = |id: ValueId| -> u64 {
            if rest[id.index()] {
                return 0;
            }
            let size =
                self.values[id.index()].bytes().and_then(|b| b.eval(bindings).ok()).unwrap_or(0);
            u64::try_from(size.max(0)).unwrap_or(u64::MAX)
        };
        let inside = |id: NodeId| -> u64 {
            let sums = self.inside.get(&id).into_iter().flatten();
            let most = sums.filter_map(|sum| sum.eval(bindings).ok()).max().unwrap_or(0);
            u64::try_from(most.max(0)).unwrap_or(u64::MAX)
        };
        let owner = memory::owners(graph, &self.order, &self.nodes);
        let sizes = memory::Sizes { value: &bytes, inside: &inside };
        memory::plan(graph, &self.order, &owner, &sizes)
    }

    /// Largest number of live activation bytes under `bindings`, nodes run in order.
    pub fn peak_activation_bytes(&self, bindings: &Bindings) -> Result<i128, EvalError> {
        self.live_sums().try_fold(0, |peak: i128, live| Ok(peak.max(live.eval(bindings)?)))
    }

    /// `live_bytes`, each sum once: layer after layer holds the same.
    pub(crate) fn live_sums(&self) -> impl Iterator<Item = &Dim> {
        let mut seen: hashbrown::HashSet<&Dim> = hashbrown::HashSet::new();
        self.live_bytes.iter().filter(move |live| seen.insert(live))
    }
}

/// Analyses `model`, its symbols left open unless `bindings` fixes them. Nodes whose cost depends on a
/// data-dependent size without a limit are not known; formulas hold that size.
pub fn analyze(model: &Model, bindings: &Bindings) -> Analysis {
    let graph = &model.graph;
    let inputs: Vec<TensorInfo> =
        graph.inputs.iter().map(|id| bound(&graph.value(*id).info, bindings)).collect();
    let walk = propagate::Walk::new(bindings, &inputs, graph);
    let mut outcome = walk.graph(graph, &inputs, &|_| None);
    let mut diagnostics = model.diagnostics.clone();
    let (found, limits, order_of_limits) = walk.into_parts();
    diagnostics.extend(found);
    equalities::mark_bounds(&mut outcome.nodes, &inputs, &limits);
    let open = ceiling::unlimited(&limits, &order_of_limits);
    let seen = ceiling::without(&outcome, &open).map(|known| Coverage::of(graph, &known));
    let mut analysis = Analysis { limits, order_of_limits, diagnostics, ..sums(model, outcome) };
    analysis.symbols = symbols(&analysis, &inputs);
    if let Some(coverage) = seen {
        analysis.coverage = coverage;
    }
    if analysis.totals.overflows() {
        analysis.diagnostics.push(Diagnostic {
            severity: Severity::Incomplete,
            place: "totals".into(),
            message: "a count is too large to hold".into(),
            hint: Some("bind the symbols with --dim or check the declared sizes".into()),
        });
    }
    analysis
}

/// Symbols in the sizes of the graph's inputs.
pub fn input_symbols(graph: &crate::ir::Graph) -> BTreeSet<Arc<str>> {
    symbols_of(graph.inputs.iter().map(|id| &graph.value(*id).info))
}

/// Symbols in the sizes of tensors.
fn symbols_of<'a>(infos: impl IntoIterator<Item = &'a TensorInfo>) -> BTreeSet<Arc<str>> {
    let mut symbols = BTreeSet::new();
    infos.into_iter().flat_map(sizes).for_each(|size| size.symbols(&mut symbols));
    symbols
}

/// Symbols that the totals and the inputs depend on.
fn symbols(analysis: &Analysis, inputs: &[TensorInfo]) -> BTreeSet<Arc<str>> {
    let mut symbols = BTreeSet::new();
    let mut named = |cost: &Cost| {
        for dim in [&cost.flops, &cost.bytes_read, &cost.bytes_written, &cost.int_ops] {
            dim.symbols(&mut symbols);
        }
    };
    named(&analysis.totals);
    if analysis.totals.overflows() {
        analysis.nodes.iter().for_each(|node| named(&node.cost));
    }
    // Data-dependent sizes may be in sums of bytes alone.
    if !analysis.limits.is_empty() {
        let sums = [&analysis.fused_bytes, &analysis.compulsory_bytes, &analysis.cache.bytes];
        let sums = sums.into_iter().chain(&analysis.live_bytes);
        sums.for_each(|sum| sum.symbols(&mut symbols));
    }
    symbols.extend(symbols_of(inputs));
    symbols
}

/// Everything that adds up over the nodes and values of a walk.
fn sums(model: &Model, outcome: Outcome) -> Analysis {
    let graph = &model.graph;
    let coverage = Coverage::of(graph, &outcome);
    let mut totals = Cost::default();
    outcome.nodes.iter().for_each(|node| totals.add(&node.cost));
    let stored = parameters::stored(graph, &outcome.order, &outcome.values, model.statistics);
    let apart = model.tensors.as_ref().map_or(Dim::ZERO, |tensors| Dim::from(tensors.apart));
    let owner = memory::owners(graph, &outcome.order, &outcome.nodes);
    let (cache, savings) = cache::find(graph, &outcome, &owner);
    let (compulsory_bytes, sure_bytes) = traffic::compulsory(graph, &outcome, &owner, &savings);
    let rest = memory::at_rest(graph, &outcome.order, &outcome.values);
    let groups = fusion::groups(graph, &outcome, &rest);
    let moved = |g: &Group| g.bytes_read.clone() + g.bytes_written.clone();
    let fused_bytes = groups.iter().map(moved).sum();
    let (live_bytes, inside, of_unknown_size) = live(graph, &outcome, &owner);
    Analysis {
        of_unknown_size,
        coverage,
        nodes: outcome.nodes,
        values: outcome.values,
        order: outcome.order,
        totals,
        params: stored.params + apart,
        quantization_params: stored.scales,
        weight_bytes: stored.bytes,
        groups,
        fused_bytes,
        compulsory_bytes,
        sure_bytes,
        cache,
        live_bytes,
        inside,
        symbols: BTreeSet::new(),
        limits: BTreeMap::new(),
        order_of_limits: Vec::new(),
        diagnostics: Vec::new(),
    }
}

/// Live bytes of a whole model, what bodies hold beyond the inputs and outputs of their nodes, and how many
/// activations are in neither.
fn live(
    graph: &crate::ir::Graph,
    outcome: &Outcome,
    owner: &[ValueId],
) -> (Vec<Dim>, BTreeMap<NodeId, Vec<Dim>>, usize) {
    let around = live::Around { outermost: true, ..live::Around::default() };
    let elsewhere = live::elsewhere(graph, outcome, &around);
    let steps = live::steps(graph, outcome, owner, &around, &elsewhere);
    let of_unknown_size = live::of_unknown_size(graph, outcome, owner, &elsewhere);
    let mut inside = BTreeMap::new();
    for (id, step) in outcome.order.iter().zip(&steps).filter(|(_, s)| !s.inside.is_empty()) {
        let beyond = step.inside.iter().map(|sum| sum.clone() - step.live.clone());
        inside.insert(*id, beyond.collect());
    }
    (steps.into_iter().flat_map(live::Step::all).collect(), inside, of_unknown_size)
}

/// `info` with symbols replaced.
fn bound(info: &TensorInfo, bindings: &Bindings) -> TensorInfo {
    info.map_sizes(&|size| size.bind(bindings))
}

/// All sizes of a tensor, or of the tensors of a sequence and their number.
fn sizes(info: &TensorInfo) -> impl Iterator<Item = &Dim> {
    let sequence = info.sequence.as_deref();
    let elements = sequence.into_iter().flat_map(|s| {
        let all = s.elements.iter().flatten().chain([&s.element]);
        all.flat_map(|e| e.shape.iter().flatten()).chain([&s.length])
    });
    info.shape.iter().flatten().chain(elements)
}
