//! The highest rate that meets a latency objective.

use super::{Observer, Run, StudyError, Switch};
use crate::arrival::{Arrival, Load};
use crate::drive::Plan;
use crate::measurement::Measured;
use crate::schema::SloOutcome;
use crate::search::{Found, search};
use std::sync::atomic::Ordering;

/// Searches from `start` requests per second; the measurement is that of the last passing attempt.
pub fn highest(
    start: f64,
    run: &Run<'_>,
    plan: &Plan,
    stop: &Switch,
    observer: &mut dyn Observer,
) -> Result<Measured, StudyError> {
    let (mut kept, mut last, mut failed) = (None, None, None);
    let attempt = |rate: f64| {
        let load = Load::Open(Arrival::Poisson((rate * 10.0).round().max(1.0) / 10.0));
        let label = load.to_string();
        let plan = Plan { load, start_at: None, ..plan.clone() };
        let measured = match run.measure(&plan, &label, stop, observer) {
            Ok(measured) => measured,
            Err(error) => {
                failed = Some(error);
                return None;
            }
        };
        if stop.load(Ordering::Relaxed) {
            last = Some(measured);
            return None;
        }
        let answer = measured.file.slo.as_ref().map_or(SloOutcome::Undecided, |s| s.outcome);
        let slot = if answer == SloOutcome::Pass { &mut kept } else { &mut last };
        *slot = Some(measured);
        Some(answer)
    };
    let found = search(start, attempt);
    if let Some(error) = failed {
        return Err(error);
    }
    let mut measured = kept.or(last).ok_or(StudyError::NoAttempt)?;
    measured.file.verdict.notes.extend(notes(&found));
    Ok(measured)
}

/// The attempts, and what came of them.
fn notes(found: &Found) -> [String; 2] {
    let list = found
        .attempts
        .iter()
        .map(|(rate, answer)| format!("{rate:.1}/s {}", answer.name().to_uppercase()));
    let rate = found.rate;
    [
        format!("attempts: {}", list.collect::<Vec<_>>().join(", ")),
        match (rate > 0.0, found.confirmed) {
            (true, true) => format!(
                "highest rate that meets the demand: {rate:.1}/s, confirmed by a second run"
            ),
            (true, false) => {
                format!("highest rate that met the demand: {rate:.1}/s, not confirmed")
            }
            (false, _) => "no rate was found that meets the demand".into(),
        },
    ]
}
