//! Formulas of an analysis as numbers at one choice of symbols. Knows nothing of how they are shown.

use super::phases::Work;
use super::{
    DiagnosticReport, GroupReport, MemoryReport, OpReport, ReportError, SharedTensor, TensorReport,
    Totals,
};
use crate::analysis::{Analysis, NodeReport, analyze};
use crate::dim::{Bindings, Dim, EvalError};
use crate::ir::{DType, Diagnostic, Graph, Model, Node, Severity, Shape, TensorInfo, ValueId};
use crate::ops::{Cost, Status};
use hashbrown::HashMap;
use std::cell::RefCell;

/// Operations per byte; `None` where one is not known, or nothing moves.
fn intensity(operations: Option<u64>, bytes: Option<u64>) -> Option<f64> {
    let (operations, bytes) = (operations?, bytes?);
    (bytes > 0).then(|| operations as f64 / bytes as f64)
}

/// Why a formula has no number.
enum Uncountable {
    Eval(EvalError),
    TooLarge,
}

impl Uncountable {
    fn of(self, what: &str) -> ReportError {
        let what = what.to_owned();
        match self {
            Self::Eval(source) => ReportError::Eval { what, source },
            Self::TooLarge => ReportError::TooLarge(what),
        }
    }
}

/// Work and traffic at these sizes, data-dependent ones given only where somebody gave them. A formula in a
/// data-dependent size is no bound at the most that this can be, because it may be larger below; then the model
/// is walked once more.
pub(super) fn work_at(model: &Model, symbolic: &Analysis, all: &Bindings) -> Option<Work> {
    let number = Evaluator::new(all, true);
    if symbolic.limits.is_empty() {
        return number.work(symbolic).ok();
    }
    number.work(&analyze(model, all).at_most(model, all)).ok()
}

/// Turns formulas into the numbers of a report.
pub(super) struct Evaluator<'b> {
    bindings: &'b Bindings,
    /// Whether the cost of every node is known.
    complete: bool,
    /// The first value with a size below zero, and that size: the model cannot run at these bindings.
    negative: RefCell<Option<(String, i128)>>,
    /// Shapes as text: many tensors have the same.
    written: RefCell<HashMap<(Option<DType>, Shape), String>>,
}

impl<'b> Evaluator<'b> {
    /// For these values of the symbols; `complete` where the cost of every node is known.
    pub(super) fn new(bindings: &'b Bindings, complete: bool) -> Self {
        Self { bindings, complete, negative: RefCell::default(), written: RefCell::default() }
    }

    /// What the analysis could not settle, after the first size that cannot be; with what was assumed, or is to be
    /// known, of another walk, which the formulas come from.
    pub(super) fn diagnostics(
        &self,
        analysis: &Analysis,
        other: &[Diagnostic],
    ) -> Vec<DiagnosticReport> {
        let impossible = self.negative.take().map(|(place, size)| DiagnosticReport {
            severity: Severity::Conflict,
            place,
            message: format!(
                "would have a size of {size}: the numbers mean nothing at these sizes"
            ),
            hint: Some("give larger ones with --dim or --shape".to_owned()),
        });
        let own = &analysis.diagnostics;
        let assumed =
            other.iter().filter(|d| matches!(d.severity, Severity::Assumption | Severity::Warning));
        let more = assumed.filter(|d| !own.contains(d));
        let found = own.iter().chain(more).map(|d| DiagnosticReport {
            severity: d.severity,
            place: d.place.clone(),
            message: d.message.clone(),
            hint: d.hint.clone(),
        });
        impossible.into_iter().chain(found).collect()
    }

    /// The first value with a size below zero, as far as was looked.
    pub(super) fn negative(&self) -> Option<(String, i128)> {
        self.negative.take()
    }

    /// Takes over what another one found.
    pub(super) fn found(&self, negative: Option<(String, i128)>) {
        if negative.is_some() {
            self.negative.replace(negative);
        }
    }

    fn count(&self, what: &str, dim: &Dim) -> Result<u64, ReportError> {
        self.number(dim).map_err(|e| e.of(what))
    }

    /// A sum over all nodes: `None` where some are not known and the others add nothing to it.
    fn sum(&self, what: &str, dim: &Dim) -> Result<Option<u64>, ReportError> {
        Ok(self.settled(self.count(what, dim)?))
    }

    /// `None` for a zero that may only be a lack of knowledge.
    fn settled(&self, sum: u64) -> Option<u64> {
        (self.complete || sum > 0).then_some(sum)
    }

    /// The same for a sum over activations: `None` also for a zero beside activations of unknown size.
    fn sized(&self, analysis: &Analysis, sum: u64) -> Option<u64> {
        self.settled(sum).filter(|sum| *sum > 0 || analysis.of_unknown_size == 0)
    }

    fn number(&self, dim: &Dim) -> Result<u64, Uncountable> {
        let value = dim.eval(self.bindings);
        u64::try_from(value.map_err(Uncountable::Eval)?.max(0)).map_err(|_| Uncountable::TooLarge)
    }

    /// Every node of the graph itself, in file order.
    pub(super) fn ops(
        &self,
        graph: &Graph,
        symbolic: &Analysis,
        numeric: &Analysis,
    ) -> Result<Vec<OpReport>, ReportError> {
        let mut known: Vec<Option<SharedTensor>> = vec![None; graph.values.len()];
        let mut tensor = |id: &ValueId| {
            let made = || SharedTensor::from(self.value(graph, symbolic, numeric, *id));
            known[id.index()].get_or_insert_with(made).clone()
        };
        let mut tensors =
            |ids: &[Option<ValueId>]| ids.iter().flatten().map(&mut tensor).collect::<Vec<_>>();
        let mut ops = Vec::with_capacity(graph.nodes.len());
        for (node, report) in graph.nodes.iter().zip(&numeric.nodes) {
            let (inputs, outputs) = (tensors(&node.inputs), tensors(&node.outputs));
            ops.push(self.op(node, report, inputs, outputs)?);
        }
        Ok(ops)
    }

    pub(super) fn op(
        &self,
        node: &Node,
        report: &NodeReport,
        inputs: Vec<SharedTensor>,
        outputs: Vec<SharedTensor>,
    ) -> Result<OpReport, ReportError> {
        let cost = &report.cost;
        let known = report.status != Status::Unknown;
        let count = |what: &str, dim: &Dim| {
            let number = known.then(|| self.number(dim)).transpose();
            number.map_err(|e| e.of(&format!("{what} of `{}`", node.name)))
        };
        let mut op = OpReport {
            name: node.name.clone(),
            op_type: node.qualified_op(),
            class: report.class,
            macs: count("macs", &cost.macs)?,
            flops: count("flops", &cost.flops)?,
            int_ops: count("int_ops", &cost.int_ops)?,
            transcendentals: count("transcendentals", &cost.transcendentals)?,
            comparisons: count("comparisons", &cost.comparisons)?,
            bytes_read: count("bytes_read", &cost.bytes_read)?,
            bytes_written: count("bytes_written", &cost.bytes_written)?,
            weight_bytes_read: count("weight_bytes_read", &cost.weight_bytes_read)?,
            intensity: None,
            status: report.status,
            inputs,
            outputs,
            depth: 0,
            parent: None,
            body: None,
            times: None,
        };
        op.intensity = intensity(op.operations(), op.bytes());
        Ok(op)
    }

    /// How often something runs.
    pub(super) fn runs(&self, times: &Dim) -> u64 {
        self.number(times).unwrap_or(u64::MAX)
    }

    pub(super) fn groups(
        &self,
        analysis: &Analysis,
        ops: &[OpReport],
    ) -> Result<Vec<GroupReport>, ReportError> {
        let report = |g: &crate::analysis::Group| {
            let nodes: Vec<usize> = g.nodes.iter().map(|id| id.index()).collect();
            let known = |i: &usize| ops.get(*i).is_some_and(|op| op.macs.is_some());
            let known = nodes.iter().any(known);
            let sum = |pick: fn(&OpReport) -> Option<u64>| {
                let counts = nodes.iter().filter_map(|i| pick(ops.get(*i)?));
                known.then(|| counts.fold(0, u64::saturating_add))
            };
            let moved = |dim: &Dim| known.then(|| self.count("bytes of a kernel", dim)).transpose();
            Ok(GroupReport {
                rule: g.rule,
                flops: sum(|op| op.flops),
                int_ops: sum(|op| op.int_ops),
                bytes_read: moved(&g.bytes_read)?,
                bytes_written: moved(&g.bytes_written)?,
                nodes,
            })
        };
        analysis.groups.iter().map(report).collect()
    }

    pub(super) fn memory(
        &self,
        model: &Model,
        analysis: &Analysis,
        totals: &Totals,
    ) -> Result<MemoryReport, ReportError> {
        let plan = analysis.plan(model, self.bindings);
        let kept = self.count("kv_cache_bytes", &analysis.cache.bytes)?;
        let caches = analysis.cache.of_unknown_size;
        let sized = |sum| self.sized(analysis, sum);
        Ok(MemoryReport {
            weight_bytes: totals.weight_bytes,
            kv_cache_bytes: (kept > 0 || caches == 0).then_some(kept),
            activation_bytes: sized(plan.all),
            peak_activation_bytes: totals.peak_activation_bytes,
            best_order_bytes: plan.best_order.and_then(sized),
            arena_bytes: plan.arena.and_then(sized),
            activations_of_unknown_size: analysis.of_unknown_size,
            caches_of_unknown_size: caches,
        })
    }

    pub(super) fn totals(&self, analysis: &Analysis) -> Result<Totals, ReportError> {
        let t = &analysis.totals;
        let bound_ops = self.bound_ops(analysis)?;
        let mut peak = 0;
        for live in analysis.live_sums() {
            peak = peak.max(self.count("peak_activation_bytes", live)?);
        }
        let compulsory_bytes = self.sum("compulsory_bytes", &analysis.compulsory_bytes)?;
        let sure_bytes = self.count("sure_bytes", &analysis.sure_bytes)?;
        let mut totals = Totals {
            macs: self.sum("macs", &t.macs)?,
            effective_macs: self.sum("effective_macs", &t.effective_macs)?,
            lower_bound_macs: self.settled(self.lower_bound_macs(t)?),
            flops: self.sum("flops", &t.flops)?,
            bound_ops,
            int_ops: self.sum("int_ops", &t.int_ops)?,
            transcendentals: self.sum("transcendentals", &t.transcendentals)?,
            comparisons: self.sum("comparisons", &t.comparisons)?,
            params: self.count("params", &analysis.params)?,
            quantization_params: self
                .count("quantization_params", &analysis.quantization_params)?,
            weight_bytes: self.count("weight_bytes", &analysis.weight_bytes)?,
            bytes_read: self.sum("bytes_read", &t.bytes_read)?,
            bytes_written: self.sum("bytes_written", &t.bytes_written)?,
            peak_activation_bytes: self.sized(analysis, peak),
            fused_bytes: self.sum("fused_bytes", &analysis.fused_bytes)?,
            compulsory_bytes,
            bound_bytes: compulsory_bytes.unwrap_or(0).saturating_sub(sure_bytes),
            intensity: None,
        };
        totals.intensity = intensity(totals.operations(), totals.bytes());
        Ok(totals)
    }

    /// Operations of nodes whose cost is a bound.
    fn bound_ops(&self, analysis: &Analysis) -> Result<u64, ReportError> {
        let bounds = analysis.nodes.iter().filter(|n| n.status == Status::Bound);
        let mut counts = bounds.flat_map(|n| [&n.cost.flops, &n.cost.int_ops]);
        counts.try_fold(0u64, |sum, dim| Ok(sum.saturating_add(self.count("bound_ops", dim)?)))
    }

    /// Work and compulsory traffic, as counted and at least.
    fn work(&self, analysis: &Analysis) -> Result<Work, ReportError> {
        let t = &analysis.totals;
        let floats = self.count("flops", &t.flops)?;
        let operations = floats.saturating_add(self.count("int_ops", &t.int_ops)?);
        let spared = self.count("macs", &t.macs)?.saturating_sub(self.lower_bound_macs(t)?);
        let certain = operations.saturating_sub(self.bound_ops(analysis)?);
        Ok(Work {
            operations,
            lower_bound_operations: certain.saturating_sub(spared.saturating_mul(2)),
            bytes: self.count("compulsory_bytes", &analysis.compulsory_bytes)?,
            lower_bound_bytes: self.count("sure_bytes", &analysis.sure_bytes)?,
        })
    }

    /// What remains of the MACs when convolutions use the fastest algorithm known.
    fn lower_bound_macs(&self, cost: &Cost) -> Result<u64, ReportError> {
        let mut left = self.count("effective_macs", &cost.effective_macs)?;
        for (share, macs) in &cost.fast {
            left = left.saturating_sub(share.spared(self.count("macs", macs)?));
        }
        Ok(left)
    }

    /// A value of the graph: its shape in symbols, and at the bindings.
    pub(super) fn value(
        &self,
        graph: &Graph,
        symbolic: &Analysis,
        numeric: &Analysis,
        id: ValueId,
    ) -> TensorReport {
        let at = id.index();
        self.tensor(&graph.value(id).name, &symbolic.values[at], &numeric.values[at])
    }

    pub(super) fn tensor(
        &self,
        name: &str,
        symbolic: &TensorInfo,
        numeric: &TensorInfo,
    ) -> TensorReport {
        let size = |d: &Dim| {
            let size = d.eval(self.bindings).ok()?;
            if size < 0 {
                self.negative.borrow_mut().get_or_insert_with(|| (name.to_owned(), size));
            }
            u64::try_from(size).ok()
        };
        TensorReport {
            name: name.to_owned(),
            dtype: numeric.dtype.map(|d| d.name().to_owned()),
            shape: numeric.shape.as_ref().map(|s| s.iter().map(size).collect()),
            symbolic: self.text(symbolic),
        }
    }

    fn text(&self, info: &TensorInfo) -> String {
        let (Some(shape), None) = (&info.shape, &info.sequence) else { return info.to_string() };
        let mut written = self.written.borrow_mut();
        let key = (info.dtype, shape.clone());
        written.entry(key).or_insert_with(|| info.to_string()).clone()
    }
}
