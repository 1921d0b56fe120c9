//! A model on a device, as reports count it.

use super::schema::{CasePart, EstimatePart, TimePart};
use rooflens_model::report::{BoundReport, FitReport, ModelReport, RunKind, RunReport};

/// The case of subject and device at these positions, from what a report says of both.
pub fn case(
    (subject, device): (usize, usize),
    report: &ModelReport,
    bound: &BoundReport,
) -> CasePart {
    let time = |kind: RunKind| {
        bound.runs.iter().find(|run| run.name == kind).map_or_else(TimePart::default, TimePart::of)
    };
    let estimates = bound.estimates.iter().map(|e| EstimatePart {
        runtime: format!("{} {}", e.runtime, e.version).trim().to_owned(),
        threads: e.threads,
        seconds: e.seconds,
        error: e.held_out_error,
    });
    CasePart {
        subject,
        device,
        dtype: bound.dtype.clone(),
        at_best: time(RunKind::AtBest),
        fused: time(RunKind::Fused),
        unfused: time(RunKind::Unfused),
        estimates: estimates.collect(),
        needed_bytes: report.memory_bytes(),
        fits: bound.memory.as_ref().and_then(|fit: &FitReport| fit.fits),
        critical_batch: bound.critical_batch,
        tokens_per_second: bound.tokens_per_second,
    }
}

impl TimePart {
    fn of(run: &RunReport) -> Self {
        Self {
            seconds: run.seconds,
            operations_per_second: run.flops_per_second,
            intensity: run.flop_per_byte,
            compute: run.shares.compute,
            memory: run.shares.memory,
            launches: run.shares.launches,
        }
    }
}
