//! The analysis report: the JSON form, which the other forms are drawn from.

use super::beside::{beside, is_large};
use super::numbers::Evaluator;
use crate::analysis::{Analysis, Rule, analyze};
use crate::dim::{Bindings, Dim, EvalError, MAX_TERMS};
use crate::ir::{Model, Severity, ValueId};
use crate::ops::{Class, Status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the JSON form, in its `schema` field.
pub(super) const SCHEMA: &str = "rooflens.analysis/1";

/// Why numbers cannot be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A count has no number.
    #[error("{what} of the model cannot be counted: {source}")]
    Eval {
        /// Which count.
        what: String,
        /// Why.
        source: EvalError,
    },
    /// A count beyond 64 bits.
    #[error("{0} of the model is too large to count in 64 bits")]
    TooLarge(String),
}

/// A static report on a model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModelReport {
    /// Name and version of this form.
    pub schema: String,
    /// The file.
    pub model: ModelInfo,
    /// Values of the symbols that the numbers are for.
    pub bindings: BTreeMap<String, u64>,
    /// Symbols that were set to one because nothing was said.
    pub assumptions: Vec<Assumption>,
    /// Sums.
    pub totals: Totals,
    /// The same sums in the model's symbols.
    pub formulas: Formulas,
    /// How much of the model they stand for.
    pub coverage: CoverageReport,
    /// Results of the model.
    pub outputs: Vec<TensorReport>,
    /// Every node, in file order; then the nodes of bodies, at a depth above zero.
    pub ops: Vec<OpReport>,
    /// Nodes that a good runtime runs as one kernel.
    pub groups: Vec<GroupReport>,
    /// What could not be settled.
    pub diagnostics: Vec<DiagnosticReport>,
    /// Prefill and decode of a decoder that keeps a cache.
    pub phases: Vec<super::PhaseReport>,
    /// What must be held.
    pub memory: MemoryReport,
    /// The model under the roofs of devices, where asked for.
    #[serde(default)]
    pub bounds: Vec<super::BoundReport>,
    /// What the formulas were printed from; not of a report that was read from a file.
    #[serde(skip)]
    pub(super) counts: Option<Counts>,
}

/// Work and compulsory traffic in the model's symbols.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// Operations, floating and integer.
    pub(super) work: Dim,
    pub(super) compulsory_bytes: Dim,
}

impl Counts {
    fn of(analysis: &Analysis) -> Self {
        let work = analysis.totals.flops.clone() + analysis.totals.int_ops.clone();
        Self { work, compulsory_bytes: analysis.compulsory_bytes.clone() }
    }
}

/// What the file is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct ModelInfo {
    pub name: String,
    /// Where the numbers are as if the model were cast.
    pub precision: Option<String>,
    /// The symbol of the batch, as [`batch_symbol`](super::batch_symbol) finds it.
    pub batch_symbol: Option<String>,
    pub file: String,
    pub file_bytes: u64,
    pub format: String,
    pub producer: String,
    pub opsets: BTreeMap<String, i64>,
    pub nodes: usize,
    pub inputs: Vec<TensorReport>,
}

/// A symbol that nobody gave a value: taken as one, or, where it is data-dependent and something limits
/// it, as large as it can be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Assumption {
    pub symbol: String,
    pub value: u64,
    /// Whether only the contents of tensors determine it.
    pub data_dependent: bool,
}

/// Counts; FLOPs count an FMA as two, bytes are DRAM traffic of every node run alone. Each is the sum over
/// the nodes whose cost is known; `None` where some are not and nothing is known that adds to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Totals {
    pub macs: Option<u64>,
    /// MACs without taps on padding and scores that a causal mask hides.
    pub effective_macs: Option<u64>,
    /// MACs that remain when convolutions run by the fastest algorithm that a known library has for their
    /// kernel, stride and type (Winograd, FFT): a lower bound, without the transforms.
    #[serde(default)]
    pub least_macs: Option<u64>,
    pub flops: Option<u64>,
    /// Of `flops` and `int_ops`, those of nodes whose cost is a bound.
    pub bound_ops: u64,
    pub int_ops: Option<u64>,
    pub transcendentals: Option<u64>,
    pub comparisons: Option<u64>,
    pub params: u64,
    /// Scales and zero points of quantised numbers; not in `params`.
    #[serde(default)]
    pub quantization_params: u64,
    pub weight_bytes: u64,
    pub bytes_read: Option<u64>,
    pub bytes_written: Option<u64>,
    pub peak_activation_bytes: Option<u64>,
    /// Bytes of kernels that take their epilogues, chains, norms and attention along.
    pub fused_bytes: Option<u64>,
    /// Inputs, weights and outputs once: what no runtime can avoid moving.
    pub compulsory_bytes: Option<u64>,
    /// Of these, those that only nodes move whose cost is a bound.
    #[serde(default)]
    pub bound_bytes: u64,
    /// Unfused intensity: `(flops + int_ops) / (bytes_read + bytes_written)`; absent when nothing moves.
    pub intensity: Option<f64>,
}

/// Bytes to hold; absent where no size is known, or where a graph is too large to lay out. Lower bounds where
/// some sizes are not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct MemoryReport {
    /// Packed, each stored tensor once.
    pub weight_bytes: u64,
    /// Of a decoder's cache, after the run; zero for other models.
    pub kv_cache_bytes: Option<u64>,
    /// Every activation at once.
    pub activation_bytes: Option<u64>,
    /// The most alive together, nodes in file order.
    pub peak_activation_bytes: Option<u64>,
    /// The same in the best order found.
    pub best_order_bytes: Option<u64>,
    /// An arena in which each activation has one place.
    pub arena_bytes: Option<u64>,
    /// How many activations, those of bodies included, are in none of these sums, because their size is not
    /// known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub activations_of_unknown_size: usize,
    /// How many tensors of the cache are not in `kv_cache_bytes`, because their size is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub caches_of_unknown_size: usize,
}

impl MemoryReport {
    /// Whether every activation and every tensor of the cache is in the sums.
    pub fn is_complete(&self) -> bool {
        self.activations_of_unknown_size == 0 && self.caches_of_unknown_size == 0
    }
}

/// Counts as formulas, of the nodes whose cost is known; absent like the sums.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Formulas {
    pub macs: Option<String>,
    pub flops: Option<String>,
    pub int_ops: Option<String>,
    /// Every node alone.
    pub bytes: Option<String>,
    pub fused_bytes: Option<String>,
    pub compulsory_bytes: Option<String>,
    pub kv_cache_bytes: Option<String>,
    /// `peak` where it is the largest of too many forms to write.
    pub peak_activation_bytes: Option<String>,
    /// Which of these give other numbers at `bindings` than the model has there: they may hold for other
    /// sizes.
    #[serde(default)]
    pub elsewhere: Vec<String>,
}

/// How many nodes the sums stand for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct CoverageReport {
    pub nodes: usize,
    pub known: usize,
    pub percent: f64,
    /// Of the bytes of all weights, those that no node of unknown cost reads, in percent.
    #[serde(default = "whole")]
    pub weights_percent: f64,
    /// Of the elements that files without a graph store, those that the configuration accounts for, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors_percent: Option<f64>,
    /// Of a model whose files hold no graph, what became of their tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors: Option<super::tensor::AccountReport>,
    /// Operators whose cost is missing, with how often each occurs.
    pub unknown: BTreeMap<String, usize>,
}

/// All of something, in percent: what reports of earlier versions took for granted.
fn whole() -> f64 {
    100.0
}

/// A tensor; sizes that are not known are null.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct TensorReport {
    pub name: String,
    pub dtype: Option<String>,
    pub shape: Option<Vec<Option<u64>>>,
    /// The shape in the model's symbols.
    pub symbolic: String,
}

/// A node; its counts are absent where its cost is not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct OpReport {
    pub name: String,
    pub op_type: String,
    pub class: Class,
    pub macs: Option<u64>,
    pub flops: Option<u64>,
    pub int_ops: Option<u64>,
    pub transcendentals: Option<u64>,
    pub comparisons: Option<u64>,
    pub bytes_read: Option<u64>,
    pub bytes_written: Option<u64>,
    pub weight_bytes_read: Option<u64>,
    pub intensity: Option<f64>,
    /// How sure its counts are.
    pub status: Status,
    pub inputs: Vec<super::SharedTensor>,
    pub outputs: Vec<super::SharedTensor>,
    /// How many bodies it lies in; what nodes of bodies cost is also in the row of their parent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: usize,
    /// Position in `ops` of the node whose body it is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// The attribute of the parent that holds the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How often it runs, where it is in a body; its counts are of all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A kernel; its counts are absent where the cost of its nodes is not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct GroupReport {
    /// Why its nodes are one kernel.
    pub rule: Rule,
    /// Positions in `ops`.
    pub nodes: Vec<usize>,
    pub flops: Option<u64>,
    pub int_ops: Option<u64>,
    pub bytes_read: Option<u64>,
    pub bytes_written: Option<u64>,
}

/// All nodes of one operator type; sums over those whose cost is known, absent where it is of none.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct TypeReport {
    pub op_type: String,
    pub count: usize,
    /// Of these, nodes whose cost is not known.
    pub unknown: usize,
    pub macs: Option<u64>,
    pub flops: Option<u64>,
    pub int_ops: Option<u64>,
    pub bytes: Option<u64>,
}

/// A remark.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct DiagnosticReport {
    pub severity: Severity,
    pub place: String,
    pub message: String,
    pub hint: Option<String>,
}

/// The sum of two counts; of those that are known where one is not.
pub(super) fn plus(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.saturating_add(b)),
        _ => a.or(b),
    }
}

impl TypeReport {
    /// Operations, floating and integer.
    pub fn operations(&self) -> Option<u64> {
        plus(self.flops, self.int_ops)
    }
}

macro_rules! sums {
    ($($of:ident)*) => {$(
        impl $of {
            /// Operations, floating and integer.
            pub fn operations(&self) -> Option<u64> {
                plus(self.flops, self.int_ops)
            }

            /// Bytes read and written.
            pub fn bytes(&self) -> Option<u64> {
                plus(self.bytes_read, self.bytes_written)
            }
        }
    )*};
}
sums!(Totals OpReport GroupReport);

impl ModelReport {
    /// Analyses `model` at `bindings`; symbols without a value are set to one and listed.
    pub fn new(model: &Model, file: &str, bindings: &Bindings) -> Result<Self, ReportError> {
        let (mut symbolic, ahead) = walks(model, bindings);
        let mut all = bindings.clone();
        let mut assumptions = unset(&symbolic, &mut all);
        let batch = super::batch::batch_of(model, &symbolic).map(|b| b.symbol.to_string());
        let settled = settle(model, &symbolic, &mut all, &mut assumptions, ahead);
        if settled.is_some() {
            symbolic.forget_nodes();
        }
        let symbolic = &symbolic;
        let numeric = settled.as_ref().unwrap_or(symbolic);
        let number = Evaluator::new(&all, numeric.coverage.is_full());
        let totals = number.totals(numeric)?;
        let graph = &model.graph;
        let tensors = |ids: &[ValueId]| -> Vec<TensorReport> {
            ids.iter().map(|id| number.value(graph, symbolic, numeric, *id)).collect()
        };
        let rows = || {
            let number = Evaluator::new(&all, numeric.coverage.is_full());
            (number.ops(graph, symbolic, numeric), number.negative())
        };
        let ((ops, negative), (formulas, memory)) = beside(model, rows, || {
            let formulas = Formulas::of(symbolic, numeric, &all);
            (formulas, number.memory(model, numeric, &totals))
        });
        let (ops, memory) = (ops?, memory?);
        number.found(negative);
        let (inputs, outputs) = (tensors(&graph.inputs), tensors(&graph.outputs));
        // What is taken as equal matters where sizes are open; given ones are or are not.
        let open = assumptions.iter().any(|a| !a.data_dependent);
        let taken_for_formulas = if open { &symbolic.diagnostics[..] } else { &[] };
        let mut diagnostics = number.diagnostics(numeric, taken_for_formulas);
        diagnostics.extend(super::caveats::empty(&inputs, &outputs, bindings));
        diagnostics.extend(super::caveats::unset(&assumptions, batch.as_deref()));
        if numeric.coverage.is_full() {
            diagnostics.extend(super::caveats::of_unknown_size(&memory));
        }
        let named = all.iter().map(|(k, v)| (k.to_string(), u64::try_from(*v).unwrap_or(u64::MAX)));
        Ok(Self {
            schema: SCHEMA.to_owned(),
            model: ModelInfo::of(model, file, batch, inputs),
            bindings: named.collect(),
            formulas,
            coverage: CoverageReport::of(model, numeric),
            diagnostics,
            outputs,
            groups: number.groups(numeric, &ops)?,
            ops,
            phases: super::phases::phases(symbolic, &all, bindings, &|all| {
                super::numbers::work_at(model, symbolic, all)
            }),
            counts: Some(Counts::of(symbolic)),
            assumptions,
            memory,
            totals,
            bounds: Vec::new(),
        })
    }

    /// The nodes of the graph itself, whose counts add up to the totals; those of bodies are in them.
    pub fn nodes(&self) -> impl Iterator<Item = &OpReport> {
        self.ops.iter().filter(|op| op.depth == 0)
    }

    /// Sums by operator type, largest first.
    pub fn by_type(&self) -> Vec<TypeReport> {
        let mut types: BTreeMap<&str, TypeReport> = BTreeMap::new();
        for op in self.nodes() {
            let slot = types.entry(&op.op_type).or_default();
            slot.op_type.clone_from(&op.op_type);
            slot.count += 1;
            slot.unknown += usize::from(op.macs.is_none());
            slot.macs = plus(slot.macs, op.macs);
            slot.flops = plus(slot.flops, op.flops);
            slot.int_ops = plus(slot.int_ops, op.int_ops);
            slot.bytes = plus(slot.bytes, op.bytes());
        }
        let mut rows: Vec<TypeReport> = types.into_values().collect();
        rows.sort_by_key(|r| std::cmp::Reverse((r.operations(), r.bytes)));
        rows
    }

    /// The data type that most of the arithmetic is done in, as device files name it; f32 where there is
    /// none.
    pub fn main_dtype(&self) -> &str {
        let own = self.main_type();
        match own {
            "u8" => "i8",
            "u4" => "i4",
            "f32" if self.model.precision.as_deref() == Some("tf32") => "tf32",
            _ if own.starts_with("f8") => "f8",
            _ if own.starts_with("f4") => "f4",
            _ => own,
        }
    }

    fn main_type(&self) -> &str {
        let mut work: BTreeMap<&str, u64> = BTreeMap::new();
        // Of a node that runs bodies, its nodes tell.
        let around: BTreeSet<usize> = self.ops.iter().filter_map(|op| op.parent).collect();
        let inmost = self.ops.iter().enumerate().filter(|(at, _)| !around.contains(at));
        for (_, op) in inmost {
            let dtype = op.inputs.first().and_then(|i| i.dtype.as_deref());
            // Q/DQ nodes around a product: floats between them, integers inside, unless they are cast away.
            let own = self.model.precision.is_none();
            let integer = own && op.int_ops > op.flops && dtype.is_some_and(|d| d.starts_with('f'));
            if let Some(dtype) = if integer { Some("i8") } else { dtype } {
                let sum = work.entry(dtype).or_insert(0);
                *sum = op.macs.unwrap_or(0).saturating_add(*sum);
            }
        }
        let most = work.into_iter().filter(|(_, n)| *n > 0).max_by_key(|(_, n)| *n);
        most.map_or("f32", |(dtype, _)| dtype)
    }

    /// The values of symbols that somebody chose, without data-dependent sizes.
    pub fn given(&self) -> impl Iterator<Item = (&str, u64)> {
        let decided: BTreeSet<&str> =
            self.assumptions.iter().filter(|a| a.data_dependent).map(|a| &*a.symbol).collect();
        let pairs = self.bindings.iter().map(|(k, v)| (k.as_str(), *v));
        pairs.filter(move |(k, _)| !decided.contains(k))
    }

    /// The values that were given to symbols.
    pub fn chosen(&self) -> impl Iterator<Item = (&str, u64)> {
        let assumed: BTreeSet<&str> = self.assumptions.iter().map(|a| &*a.symbol).collect();
        let pairs = self.bindings.iter().map(|(k, v)| (k.as_str(), *v));
        pairs.filter(move |(k, _)| !assumed.contains(k))
    }

    /// Whether every node's cost is known.
    pub fn is_complete(&self) -> bool {
        self.coverage.known == self.coverage.nodes
    }
}

impl ModelInfo {
    fn of(model: &Model, file: &str, batch: Option<String>, inputs: Vec<TensorReport>) -> Self {
        Self {
            name: model.graph.name.clone(),
            precision: None,
            batch_symbol: batch,
            file: file.to_owned(),
            file_bytes: model.file_bytes,
            format: model.format.clone(),
            producer: model.producer.clone(),
            opsets: model.opsets.clone(),
            nodes: model.graph.nodes.len(),
            inputs,
        }
    }
}

impl Formulas {
    fn of(symbolic: &Analysis, numeric: &Analysis, bindings: &Bindings) -> Self {
        // Formulas of fewer nodes than the numbers are of say nothing of them.
        let same = symbolic.coverage.known >= numeric.coverage.known;
        let full = symbolic.coverage.is_full();
        let sum = |dim: &Dim| (same && (full || !dim.is_zero())).then(|| formula(dim));
        let kept = symbolic.cache.of_unknown_size == 0 || !symbolic.cache.bytes.is_zero();
        Self {
            macs: sum(&symbolic.totals.macs),
            flops: sum(&symbolic.totals.flops),
            int_ops: sum(&symbolic.totals.int_ops),
            bytes: sum(&symbolic.totals.bytes()),
            fused_bytes: sum(&symbolic.fused_bytes),
            compulsory_bytes: sum(&symbolic.compulsory_bytes),
            kv_cache_bytes: kept.then(|| formula(&symbolic.cache.bytes)),
            peak_activation_bytes: sum(&symbolic.peak_formula()),
            elsewhere: super::agreement::elsewhere(symbolic, numeric, bindings),
        }
    }
}

impl CoverageReport {
    fn of(model: &Model, analysis: &Analysis) -> Self {
        let graph = &model.graph;
        let coverage = analysis.coverage;
        let mut unknown = BTreeMap::new();
        for (node, report) in graph.nodes.iter().zip(&analysis.nodes) {
            if report.status == Status::Unknown {
                *unknown.entry(node.qualified_op()).or_insert(0) += 1;
            }
        }
        Self {
            nodes: coverage.nodes,
            known: coverage.known,
            percent: coverage.percent(),
            weights_percent: coverage.weights_percent(),
            tensors_percent: model.tensors.as_ref().map(|account| account.percent()),
            tensors: model.tensors.as_deref().map(super::tensor::AccountReport::of),
            unknown,
        }
    }
}

/// A walk at given sizes.
type Ahead = (Bindings, Analysis);

/// The walk with open sizes, and beside it, of a large model, the one at the sizes that the report will most
/// likely be for: symbols of the inputs that have no value are one.
fn walks(model: &Model, bindings: &Bindings) -> (Analysis, Option<Ahead>) {
    let mut all = bindings.clone();
    for symbol in crate::analysis::input_symbols(&model.graph) {
        all.entry(symbol).or_insert(1);
    }
    let open = || analyze(model, &Bindings::new());
    if !is_large(model) || all.is_empty() {
        return (open(), None);
    }
    let (numeric, symbolic) = beside(model, || analyze(model, &all), open);
    (symbolic, Some((all, numeric)))
}

/// Gives every symbol of the inputs that has no value one, and lists them.
fn unset(symbolic: &Analysis, all: &mut Bindings) -> Vec<Assumption> {
    let mut assumptions = Vec::new();
    for symbol in &symbolic.symbols {
        if !all.contains_key(symbol) && !symbolic.limits.contains_key(symbol) {
            all.insert(symbol.clone(), 1);
            let symbol = symbol.to_string();
            assumptions.push(Assumption { symbol, value: 1, data_dependent: false });
        }
    }
    // A mask that nobody gave a length is as long as what it masks.
    if let Some((total, sum)) = super::phases::total(&symbolic.cache) {
        let listed = assumptions.iter_mut().find(|a| *a.symbol == *total);
        if let (Some(listed), Ok(value)) = (listed, sum.eval(all)) {
            listed.value = u64::try_from(value).unwrap_or(u64::MAX);
            all.insert(total, value);
        }
    }
    assumptions
}

/// The walk that numbers come from, at the sizes themselves: a formula may hold for most sizes and not at
/// these, such as a product where one of them is one. Data-dependent sizes join `all` at the
/// most that they can be, where something limits them, and are listed.
fn settle(
    model: &Model,
    symbolic: &Analysis,
    all: &mut Bindings,
    assumptions: &mut Vec<Assumption>,
    ahead: Option<Ahead>,
) -> Option<Analysis> {
    let again = !all.is_empty() || symbolic.overflows();
    let ahead = ahead.filter(|(sizes, _)| sizes == all).map(|(_, analysis)| analysis);
    let settled = again.then(|| ahead.unwrap_or_else(|| analyze(model, all)));
    let found = settled.as_ref().unwrap_or(symbolic);
    let most = found.most(all);
    let decided = !found.limits.is_empty() || found.overflows();
    let settled = if decided { Some(found.at_most(model, all)) } else { settled };
    for (symbol, value) in most.into_iter().filter(|(s, _)| symbolic.symbols.contains(s)) {
        let shown = u64::try_from(value).unwrap_or(u64::MAX);
        let name = symbol.to_string();
        assumptions.push(Assumption { symbol: name, value: shown, data_dependent: true });
        all.insert(symbol, value);
    }
    settled
}

/// A formula as text.
fn formula(dim: &Dim) -> String {
    if dim.is_overflow() {
        return format!("too long to write down: more than {MAX_TERMS} terms");
    }
    dim.to_string()
}
