//! Formulas of an analysis as numbers at one choice of symbols. Knows nothing of how they are shown.

use super::{
    DiagnosticReport, GroupReport, MemoryReport, OpReport, ReportError, TensorReport, Totals,
};
use crate::analysis::{Analysis, NodeReport};
use crate::dim::{Bindings, Dim, EvalError};
use crate::ir::{Model, Node, Severity, TensorInfo};
use crate::ops::Status;
use std::cell::RefCell;

fn intensity(flops: u64, int_ops: u64, read: u64, written: u64) -> Option<f64> {
    let bytes = read.saturating_add(written);
    (bytes > 0).then(|| flops.saturating_add(int_ops) as f64 / bytes as f64)
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

/// Turns formulas into the numbers of a report.
pub(super) struct Evaluator<'b> {
    bindings: &'b Bindings,
    /// The first value with a size below zero, and that size: the model cannot run at these bindings.
    negative: RefCell<Option<(String, i128)>>,
}

impl<'b> Evaluator<'b> {
    /// For these values of the symbols.
    pub(super) fn new(bindings: &'b Bindings) -> Self {
        Self { bindings, negative: RefCell::default() }
    }

    /// What the analysis could not settle, after the first size that cannot be.
    pub(super) fn diagnostics(&self, analysis: &Analysis) -> Vec<DiagnosticReport> {
        let impossible = self.negative.take().map(|(place, size)| DiagnosticReport {
            severity: Severity::Conflict.word().to_owned(),
            place,
            message: format!(
                "would have a size of {size}: the numbers mean nothing at these sizes"
            ),
            hint: Some("give larger ones with --dim or --shape".to_owned()),
        });
        let found = analysis.diagnostics.iter().map(|d| DiagnosticReport {
            severity: d.severity.word().to_owned(),
            place: d.place.clone(),
            message: d.message.clone(),
            hint: d.hint.clone(),
        });
        impossible.into_iter().chain(found).collect()
    }

    fn count(&self, what: &str, dim: &Dim) -> Result<u64, ReportError> {
        self.number(dim).map_err(|e| e.of(what))
    }

    fn number(&self, dim: &Dim) -> Result<u64, Uncountable> {
        // Symbols that only the data decides are not bound by anyone: taken at one, like the rest.
        let value = match dim.eval(self.bindings) {
            Err(EvalError::Unbound(_)) => {
                let mut names = std::collections::BTreeSet::new();
                dim.symbols(&mut names);
                let mut all = self.bindings.clone();
                for name in names {
                    all.entry(name).or_insert(1);
                }
                dim.eval(&all)
            }
            other => other,
        };
        u64::try_from(value.map_err(Uncountable::Eval)?.max(0)).map_err(|_| Uncountable::TooLarge)
    }

    pub(super) fn op(
        &self,
        node: &Node,
        report: &NodeReport,
        inputs: Vec<TensorReport>,
        outputs: Vec<TensorReport>,
    ) -> Result<OpReport, ReportError> {
        let cost = &report.cost;
        let count = |what: &str, dim: &Dim| {
            self.number(dim).map_err(|e| e.of(&format!("{what} of `{}`", node.name)))
        };
        let (flops, int_ops) = (count("flops", &cost.flops)?, count("int_ops", &cost.int_ops)?);
        let bytes_read = count("bytes_read", &cost.bytes_read)?;
        let bytes_written = count("bytes_written", &cost.bytes_written)?;
        Ok(OpReport {
            name: node.name.clone(),
            op_type: node.qualified_op(),
            class: report.class.name().to_owned(),
            macs: count("macs", &cost.macs)?,
            flops,
            int_ops,
            transcendentals: count("transcendentals", &cost.transcendentals)?,
            comparisons: count("comparisons", &cost.comparisons)?,
            bytes_read,
            bytes_written,
            weight_bytes_read: count("weight_bytes_read", &cost.weight_bytes_read)?,
            intensity: intensity(flops, int_ops, bytes_read, bytes_written),
            status: report.status.name().to_owned(),
            inputs,
            outputs,
        })
    }

    pub(super) fn groups(
        &self,
        analysis: &Analysis,
        ops: &[OpReport],
    ) -> Result<Vec<GroupReport>, ReportError> {
        let report = |g: &crate::analysis::Group| {
            let nodes: Vec<usize> = g.nodes.iter().map(|id| id.index()).collect();
            let sum = |pick: fn(&OpReport) -> u64| {
                nodes.iter().filter_map(|i| ops.get(*i)).map(pick).fold(0, u64::saturating_add)
            };
            Ok(GroupReport {
                rule: g.rule.name().to_owned(),
                flops: sum(|op| op.flops),
                int_ops: sum(|op| op.int_ops),
                bytes_read: self.count("bytes of a kernel", &g.bytes_read)?,
                bytes_written: self.count("bytes of a kernel", &g.bytes_written)?,
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
        Ok(MemoryReport {
            weight_bytes: totals.weight_bytes,
            kv_cache_bytes: self.count("kv_cache_bytes", &analysis.cache.bytes)?,
            activation_bytes: plan.all,
            peak_activation_bytes: totals.peak_activation_bytes,
            best_order_bytes: plan.best_order,
            arena_bytes: plan.arena,
        })
    }

    pub(super) fn totals(&self, analysis: &Analysis) -> Result<Totals, ReportError> {
        let t = &analysis.totals;
        let (flops, int_ops) = (self.count("flops", &t.flops)?, self.count("int_ops", &t.int_ops)?);
        let bytes_read = self.count("bytes_read", &t.bytes_read)?;
        let bytes_written = self.count("bytes_written", &t.bytes_written)?;
        let bounds = analysis.nodes.iter().filter(|n| n.status == Status::Bound);
        let mut bound_ops = 0u64;
        for dim in bounds.flat_map(|n| [&n.cost.flops, &n.cost.int_ops]) {
            bound_ops = bound_ops.saturating_add(self.count("bound_ops", dim)?);
        }
        let mut peak = 0;
        let mut before: Option<&Dim> = None;
        for live in &analysis.live_bytes {
            if before.replace(live) == Some(live) {
                continue;
            }
            peak = peak.max(self.count("peak_activation_bytes", live)?);
        }
        let compulsory_bytes = self.count("compulsory_bytes", &analysis.compulsory_bytes)?;
        let sure_bytes = self.count("sure_bytes", &analysis.sure_bytes)?;
        Ok(Totals {
            macs: self.count("macs", &t.macs)?,
            effective_macs: self.count("effective_macs", &t.effective_macs)?,
            flops,
            bound_ops,
            int_ops,
            transcendentals: self.count("transcendentals", &t.transcendentals)?,
            comparisons: self.count("comparisons", &t.comparisons)?,
            params: self.count("params", &analysis.params)?,
            weight_bytes: self.count("weight_bytes", &analysis.weight_bytes)?,
            bytes_read,
            bytes_written,
            peak_activation_bytes: peak,
            fused_bytes: self.count("fused_bytes", &analysis.fused_bytes)?,
            compulsory_bytes,
            bound_bytes: compulsory_bytes.saturating_sub(sure_bytes),
            intensity: intensity(flops, int_ops, bytes_read, bytes_written),
        })
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
            symbolic: symbolic.to_string(),
        }
    }
}
