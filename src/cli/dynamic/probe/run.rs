//! What stands around a study on a terminal: its end by a signal, its progress bar, and the dry run. Knows no
//! flags.

use super::super::{Exit, emit, permille, progress_bar};
use crate::probe::arrival::{Arrival, Fingerprint, Load};
use crate::probe::drive::Plan;
use crate::probe::study::{Goal, Observer, Recent};
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set by Ctrl-C and by requests to end: what was measured until then is written.
pub(in crate::cli) fn interruptible() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::Relaxed) {
            // Asked twice: whoever asks does not want to wait for open requests.
            crate::probe::startup::group::end_now();
            #[allow(clippy::exit)]
            std::process::exit(130);
        }
    })
    .context("no signal handler")?;
    Ok(stop)
}

/// Prints what a plan would send, and sends nothing.
pub(super) fn dry_run(plan: &Plan, goal: Goal) -> Result<Exit> {
    use std::fmt::Write;
    if let Goal::Highest(_) = goal {
        emit("max: rates follow from answers, there is no schedule\n", None)?;
        return Ok(Exit::Good);
    }
    let Load::Open(arrival) = &plan.load else {
        emit(&format!("{}: requests follow answers, there is no schedule\n", plan.load), None)?;
        return Ok(Exit::Good);
    };
    let (mut n, mut last, mut fingerprint) = (0u64, 0, Fingerprint::default());
    for due in arrival.schedule(plan.seed, plan.duration, plan.stripe) {
        n += 1;
        last = due.at;
        fingerprint.add(due);
    }
    let mut text = format!(
        "{}, seed {}: {n} requests, the last after {:.3} s\nfingerprint {fingerprint}\n",
        plan.load,
        plan.seed,
        last as f64 * 1e-9
    );
    if let Arrival::Trace(trace) = arrival {
        let _ = writeln!(
            text,
            "trace of {}: {} arrivals, index of dispersion {:.1} per second",
            trace.format,
            trace.instants.len(),
            trace.dispersion()
        );
    }
    if let Some(note) = cut(plan) {
        text += &(note + "\n");
    }
    emit(&text, None)?;
    Ok(Exit::Good)
}

/// What is to be said of a trace that is longer than the run.
pub(super) fn cut(plan: &Plan) -> Option<String> {
    let Load::Open(Arrival::Trace(trace)) = &plan.load else { return None };
    let end = plan.duration.as_nanos();
    let within = trace.instants.iter().filter(|at| u128::from(**at) < end).count();
    let (all, last) = (trace.instants.len(), *trace.instants.last()?);
    (within < all).then(|| {
        format!(
            "the trace is longer than the run: {within} of its {all} arrivals fall into {}, and the last is at {}; \
             --seconds takes more of it, speed=X makes it shorter",
            crate::units::si(plan.duration.as_secs_f64(), "s"),
            crate::units::si(last as f64 * 1e-9, "s")
        )
    })
}

/// A progress bar that shows what a study does, with requests per second and p99 while it sends some.
#[derive(Default)]
pub(in crate::cli) struct Bar {
    label: String,
    bar: Option<indicatif::ProgressBar>,
}

impl Observer for Bar {
    fn begin(&mut self, what: &str) {
        self.end();
        what.clone_into(&mut self.label);
        let bar = progress_bar("");
        bar.set_message(self.label.clone());
        self.bar = Some(bar);
    }

    fn progress(&mut self, share: f64) {
        if let Some(bar) = &self.bar {
            bar.set_position(permille(share));
        }
    }

    fn recent(&mut self, recent: &Recent) {
        let Some(bar) = &self.bar else { return };
        let p99 = recent.p99_seconds.map_or("–".into(), |v| crate::units::si(v, "s"));
        let (label, rate, failed) = (&self.label, recent.per_second, recent.failed);
        bar.set_message(format!("{label}  {rate:.0}/s  p99 {p99}  {failed} failed"));
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
