//! What a reader should know before the numbers: sizes that were not given, sizes of zero, and what keeps
//! the numbers from being exact.

use super::{Assumption, DiagnosticReport, MemoryReport, ModelReport, TensorReport};
use crate::dim::Bindings;
use crate::ir::Severity;
use crate::ops::Status;

fn warning(place: String, message: String, hint: String) -> DiagnosticReport {
    let severity = Severity::Warning;
    DiagnosticReport { severity, place, message, hint: Some(hint) }
}

/// A warning of sizes that are no batch and were not given: a sequence of one is hardly what is meant.
pub(super) fn unset(assumptions: &[Assumption], batch: Option<&str>) -> Option<DiagnosticReport> {
    let unset = assumptions.iter().filter(|a| !a.data_dependent && Some(&*a.symbol) != batch);
    let names: Vec<&str> = unset.map(|a| a.symbol.as_str()).collect();
    let hint = names.iter().map(|n| format!("--dim {n}=N")).collect::<Vec<_>>().join(" ");
    (!names.is_empty()).then(|| {
        let (are, sizes) =
            if names.len() == 1 { ("is", "this size") } else { ("are", "these sizes") };
        let message = format!("{are} not given and taken as 1; all numbers are for {sizes}");
        warning(names.join(", "), message, hint)
    })
}

/// Warnings of sizes of zero, which make costs zero: inputs that have one although nobody gave it, and
/// outputs where no input has one.
pub(super) fn empty(
    inputs: &[TensorReport],
    outputs: &[TensorReport],
    given: &Bindings,
) -> Vec<DiagnosticReport> {
    if given.values().any(|v| *v == 0) {
        return Vec::new();
    }
    let zero = |t: &&TensorReport| t.shape.iter().flatten().any(|size| *size == Some(0));
    let hint = "a dynamic size that was written as 0 is set with --shape NAME=DIMS";
    let warn = |t: &TensorReport| {
        let message = format!("has a size of 0 ({}): what depends on it costs nothing", t.symbolic);
        warning(t.name.clone(), message, hint.to_owned())
    };
    let found: Vec<_> = inputs.iter().filter(zero).map(warn).collect();
    if found.is_empty() { outputs.iter().filter(zero).map(warn).collect() } else { found }
}

/// What the sums of memory leave out: activations and tensors of the cache whose size is not known.
pub(super) fn of_unknown_size(memory: &MemoryReport) -> Vec<DiagnosticReport> {
    unknown_sizes(memory)
        .into_iter()
        .map(|(place, message)| DiagnosticReport {
            severity: Severity::Incomplete,
            place: place.to_owned(),
            message,
            hint: None,
        })
        .collect()
}

fn unknown_sizes(memory: &MemoryReport) -> Vec<(&'static str, String)> {
    let counts = [
        ("peak activations", memory.activations_of_unknown_size, "activation"),
        ("KV cache", memory.caches_of_unknown_size, "tensor"),
    ];
    let missing = counts.into_iter().filter(|(_, n, _)| *n > 0);
    let say = |(place, n, what)| {
        let s = if n == 1 { "" } else { "s" };
        (place, format!("the size of {n} {what}{s} is unknown: a lower bound"))
    };
    missing.map(say).collect()
}

/// Why the numbers are not exact, one clause each: nodes that are not counted, upper bounds, sizes that
/// were not given, and contradictions. Empty where they are. Nodes that `may_be_unknown` are named beside the
/// sizes that are unknown, if there are such.
pub fn inexact(report: &ModelReport, may_be_unknown: bool) -> Vec<String> {
    let mut all = Vec::new();
    let missing = report.coverage.nodes - report.coverage.known.min(report.coverage.nodes);
    if missing > 0 && !(may_be_unknown && report.memory.is_complete()) {
        let list = report.coverage.unknown.iter().map(|(op, n)| format!("{op} × {n}"));
        let list = list.collect::<Vec<_>>().join(", ");
        all.push(format!(
            "the cost of {missing} of {} nodes is unknown: {list}",
            report.coverage.nodes
        ));
    }
    let bounds = report.ops.iter().filter(|op| op.status == Status::Bound).count();
    if bounds > 0 {
        all.push(format!("the cost of {bounds} nodes is data-dependent: an upper bound is used"));
    }
    if missing == 0 || may_be_unknown {
        let clause = |(place, message)| format!("{place}: {message}");
        all.extend(unknown_sizes(&report.memory).into_iter().map(clause));
    }
    let batch = report.model.batch_symbol.as_deref();
    for a in report.assumptions.iter().filter(|a| !a.data_dependent) {
        let flag = if Some(&*a.symbol) == batch { "--batch N or " } else { "" };
        all.push(format!(
            "{} = {} is assumed: set it with {flag}--dim {}=N",
            a.symbol, a.value, a.symbol
        ));
    }
    let conflicts = report.diagnostics.iter().filter(|d| d.severity == Severity::Conflict);
    all.extend(conflicts.map(|d| format!("`{}` {}", d.place, d.message)));
    all
}
