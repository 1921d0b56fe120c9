//! The analysis report as data: the JSON form, which the other forms are drawn from.

use super::{AccountReport, BoundReport, PhaseReport, SharedTensor, TensorReport};
use crate::analysis::{Precision, Rule};
use crate::dim::{Dim, EvalError};
use crate::ir::{DType, Severity};
use crate::ops::{Class, Status};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Version of the JSON form, in its `schema` field.
pub const ANALYSIS: &str = "rooflens.analysis/1";

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

/// What `rooflens analyze --format json` prints: what a model costs. Counts are exact integers, FLOPs count a fused
/// multiply-add as two, bytes are those of every node run alone, times are seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelReport {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = ANALYSIS)))]
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
    pub phases: Vec<PhaseReport>,
    /// What must be held.
    pub memory: MemoryReport,
    /// The model under the roofs of devices, where asked for.
    #[serde(default)]
    pub bounds: Vec<BoundReport>,
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

/// What the file is.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelInfo {
    /// Name of the graph as the file gives it; empty where it gives none.
    pub name: String,
    /// The type that the numbers are for as if the model were cast to it, as `--dtype` names it; null where they are for
    /// the types of the file.
    pub precision: Option<String>,
    /// The symbol of the batch: the one that is named so, or that operators treat so, or the first open axis of an input;
    /// null where no size is open or none can be said to be the batch.
    pub batch_symbol: Option<String>,
    /// Path of the file as it was typed.
    pub file: String,
    /// Bytes of the model file itself, without files of weights beside it.
    pub file_bytes: u64,
    /// Format and version of the file, such as `ONNX IR 8`.
    pub format: String,
    /// The program that wrote the file, as the file says; empty where it says nothing.
    pub producer: String,
    /// Operator sets that the file imports, with the version of each; empty where the format has none.
    pub opsets: BTreeMap<String, i64>,
    /// Nodes of the graph, without those of bodies.
    pub nodes: usize,
    /// What a run takes, without weights.
    pub inputs: Vec<TensorReport>,
}

/// A symbol that nobody gave a value: taken as one, or, where it is data-dependent and something limits
/// it, as large as it can be.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Assumption {
    /// The symbol.
    pub symbol: String,
    /// What it was taken as.
    pub value: u64,
    /// Whether only the contents of tensors determine it.
    pub data_dependent: bool,
}

/// Counts; FLOPs count an FMA as two, bytes are DRAM traffic of every node run alone. Each is the sum over
/// the nodes whose cost is known; `None` where some are not and nothing is known that adds to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Totals {
    /// Multiply-accumulates of products and convolutions, taps on padding and masked scores included.
    pub macs: Option<u64>,
    /// MACs without taps on padding and scores that a causal mask hides.
    pub effective_macs: Option<u64>,
    /// MACs that remain when convolutions run by the fastest algorithm that a known library has for their
    /// kernel, stride and type (Winograd, FFT): a lower bound, without the transforms.
    #[serde(default)]
    #[serde(alias = "least_macs")]
    pub lower_bound_macs: Option<u64>,
    /// Floating-point operations; a multiply-accumulate counts as two.
    pub flops: Option<u64>,
    /// Of `flops` and `int_ops`, those of nodes whose cost is a bound.
    pub bound_ops: u64,
    /// Integer operations of quantised arithmetic; a multiply-accumulate counts as two.
    pub int_ops: Option<u64>,
    /// Transcendental functions evaluated, such as exponentials; one each, also in `flops`.
    pub transcendentals: Option<u64>,
    /// Comparisons and selections; also in `flops` where the type is floating.
    pub comparisons: Option<u64>,
    /// Elements of the weights, each stored tensor once.
    pub params: u64,
    /// Scales and zero points of quantised numbers; not in `params`.
    #[serde(default)]
    pub quantization_params: u64,
    /// Bytes of the weights, packed, each stored tensor once.
    pub weight_bytes: u64,
    /// Bytes that nodes read, every node run alone.
    pub bytes_read: Option<u64>,
    /// Bytes that nodes write, every node run alone.
    pub bytes_written: Option<u64>,
    /// Bytes of the activations that are alive together at most, nodes in file order.
    pub peak_activation_bytes: Option<u64>,
    /// Bytes of kernels that take their epilogues, chains, norms and attention along.
    pub fused_bytes: Option<u64>,
    /// Inputs, weights and outputs once, in bytes: what no runtime can avoid moving.
    pub compulsory_bytes: Option<u64>,
    /// Of `compulsory_bytes`, those that only nodes move whose cost is a bound.
    #[serde(default)]
    pub bound_bytes: u64,
    /// Unfused intensity: `(flops + int_ops) / (bytes_read + bytes_written)`; null when nothing moves.
    pub intensity: Option<f64>,
}

/// Bytes to hold; absent where no size is known, or where a graph is too large to lay out. Lower bounds where
/// some sizes are not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryReport {
    /// Weights, packed, each stored tensor once.
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
    /// known; left out for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub activations_of_unknown_size: usize,
    /// How many tensors of the cache are not in `kv_cache_bytes`, because their size is not known; left out for none.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(test, schemars(range(min = 1)))]
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Formulas {
    /// Multiply-accumulates.
    pub macs: Option<String>,
    /// Floating-point operations.
    pub flops: Option<String>,
    /// Integer operations.
    pub int_ops: Option<String>,
    /// Bytes read and written, every node run alone.
    pub bytes: Option<String>,
    /// Bytes of the fused kernels.
    pub fused_bytes: Option<String>,
    /// Bytes of inputs, weights and outputs once.
    pub compulsory_bytes: Option<String>,
    /// Bytes of a decoder's cache after the run.
    pub kv_cache_bytes: Option<String>,
    /// Bytes alive together at most; `peak` where it is the largest of too many forms to write.
    pub peak_activation_bytes: Option<String>,
    /// Which of these give other numbers at `bindings` than the model has there: they may hold for other
    /// sizes.
    #[serde(default)]
    pub elsewhere: Vec<String>,
}

/// How many nodes the sums stand for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CoverageReport {
    /// Nodes of the graph, without those of bodies.
    pub nodes: usize,
    /// Of these, nodes whose cost is known.
    pub known: usize,
    /// `known` of `nodes` in percent, from 0 to 100; 100 where there are no nodes.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 100.0)))]
    pub percent: f64,
    /// Of the bytes of all weights, those that no node of unknown cost reads, in percent.
    #[serde(default = "whole")]
    #[cfg_attr(test, schemars(range(min = 0.0, max = 100.0)))]
    pub weights_percent: f64,
    /// Of the elements that files without a graph store, those that the configuration accounts for, in percent; left
    /// out for files with a graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(range(min = 0.0, max = 100.0)))]
    pub tensors_percent: Option<f64>,
    /// Of a model whose files hold no graph, what became of their tensors; left out for files with a graph.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tensors: Option<AccountReport>,
    /// Operators whose cost is missing, with how often each occurs.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, std::num::NonZeroUsize>"))]
    pub unknown: BTreeMap<String, usize>,
}

/// All of something, in percent: what reports of earlier versions took for granted.
fn whole() -> f64 {
    100.0
}

/// A node; its counts are absent where its cost is not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OpReport {
    /// Name of the node as the file gives it; empty where it gives none.
    pub name: String,
    /// Its operator, behind its domain and a dot where that is not `ai.onnx`.
    pub op_type: String,
    /// What kind of work it is.
    pub class: Class,
    /// Multiply-accumulates, taps on padding and masked scores included.
    pub macs: Option<u64>,
    /// Floating-point operations; a multiply-accumulate counts as two.
    pub flops: Option<u64>,
    /// Integer operations; a multiply-accumulate counts as two.
    pub int_ops: Option<u64>,
    /// Transcendental functions evaluated, one each; also in `flops`.
    pub transcendentals: Option<u64>,
    /// Comparisons and selections; also in `flops` where the type is floating.
    pub comparisons: Option<u64>,
    /// Bytes of what it reads, weights included.
    pub bytes_read: Option<u64>,
    /// Bytes of what it writes.
    pub bytes_written: Option<u64>,
    /// Of `bytes_read`, those of weights.
    pub weight_bytes_read: Option<u64>,
    /// Operations per byte read and written; null when nothing moves.
    pub intensity: Option<f64>,
    /// How sure its counts are.
    pub status: Status,
    /// What it reads, in the operator's order, weights included.
    #[cfg_attr(test, schemars(with = "Vec<TensorReport>"))]
    pub inputs: Vec<SharedTensor>,
    /// What it writes, in the operator's order.
    #[cfg_attr(test, schemars(with = "Vec<TensorReport>"))]
    pub outputs: Vec<SharedTensor>,
    /// How many bodies it lies in, left out for 0; what nodes of bodies cost is also in the row of their parent, so that
    /// sums are over rows without a depth.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: usize,
    /// Position in `ops` of the node whose body it is in; left out where it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<usize>,
    /// The attribute of the parent that holds the body; left out where it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// How often it runs, where it is in a body and this is known; its counts are of all runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A kernel; its counts are absent where the cost of its nodes is not known.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GroupReport {
    /// Why its nodes are one kernel.
    pub rule: Rule,
    /// Positions in `ops`.
    pub nodes: Vec<usize>,
    /// Floating-point operations of its nodes.
    pub flops: Option<u64>,
    /// Integer operations of its nodes.
    pub int_ops: Option<u64>,
    /// Bytes of what comes from outside, each tensor once.
    pub bytes_read: Option<u64>,
    /// Bytes of what is used outside.
    pub bytes_written: Option<u64>,
}

/// All nodes of one operator type; sums over those whose cost is known, absent where it is of none.
#[derive(Debug, Clone, Default)]
pub struct TypeReport {
    /// The operator.
    pub op_type: String,
    /// Its nodes.
    pub count: usize,
    /// Of these, nodes whose cost is not known.
    pub unknown: usize,
    /// Multiply-accumulates.
    pub macs: Option<u64>,
    /// Floating-point operations.
    pub flops: Option<u64>,
    /// Integer operations.
    pub int_ops: Option<u64>,
    /// Bytes read and written, every node run alone.
    pub bytes: Option<u64>,
}

/// A remark.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiagnosticReport {
    /// How much it matters.
    pub severity: Severity,
    /// The node, tensor or symbol that it is of.
    pub place: String,
    /// What is the matter, as it follows on the place.
    pub message: String,
    /// What can be done; null where nothing is known to help.
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
        let tf32 = || {
            let cast = self.model.precision.as_deref().map(str::parse::<Precision>);
            cast.is_some_and(|cast| cast.is_ok_and(|precision| precision.tf32))
        };
        match DType::parse(own) {
            Some(DType::U8) => DType::I8.name(),
            Some(DType::U4) => DType::I4.name(),
            Some(DType::F32) if tf32() => "tf32",
            Some(dtype) if dtype.is_float() && dtype.bits() == 8 => "f8",
            Some(dtype) if dtype.is_float() && dtype.bits() == 4 => "f4",
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

    /// Weights and peak activations together: bytes that a run holds, as far as they are known. The cache is
    /// part of the peak, because the outputs that hold it are alive at the end; where what is kept is larger,
    /// as inputs that no later node reads are, it counts instead of the peak.
    pub fn memory_bytes(&self) -> u64 {
        let m = &self.memory;
        let peak = m.peak_activation_bytes.unwrap_or(0);
        m.weight_bytes.saturating_add(peak.max(m.kv_cache_bytes.unwrap_or(0)))
    }

    /// Whether every node's cost is known.
    pub fn is_complete(&self) -> bool {
        self.coverage.known == self.coverage.nodes
    }
}
