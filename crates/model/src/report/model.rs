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
    pub tensors: Option<AccountReport>,
    /// Operators whose cost is missing, with how often each occurs.
    pub unknown: BTreeMap<String, usize>,
}

/// All of something, in percent: what reports of earlier versions took for granted.
fn whole() -> f64 {
    100.0
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
    pub inputs: Vec<SharedTensor>,
    pub outputs: Vec<SharedTensor>,
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
