//! Carrying out a run: the first request, the progress bar, the search for the highest rate, and its end by
//! a signal. Knows no flags.

use super::super::{Exit, emit, hinted, permille, progress_bar};
use super::told;
use super::until::Rule;
use crate::probe::arrival::{Arrival, Fingerprint, Load};
use crate::probe::drive::{Live, Outcome, Plan, drive};
use crate::probe::measurement::Measured;
use crate::probe::record::Fault;
use crate::probe::search::{Found, search};
use crate::probe::target::{self, Prepared, Url};
use crate::schema::SloOutcome;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Set by Ctrl-C and by requests to end: what was measured until then is written.
pub(super) fn interruptible() -> Result<Arc<AtomicBool>> {
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

/// Tells what a plan would send, and sends nothing.
pub(super) fn dry_run(plan: &Plan) -> Result<Exit> {
    use std::fmt::Write;
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
            "trace of {}: {} arrivals, index of dispersion {:.1} in a second",
            trace.format,
            trace.instants.len(),
            trace.dispersion()
        );
    }
    emit(&text, None)?;
    Ok(Exit::Good)
}

/// The first request: proves that the target answers as it should, or says why not. A server that
/// fails for reasons of its own is measured all the same.
pub(super) fn first_answer(name: &str, prepared: &Prepared) -> Result<Option<Duration>> {
    match prepared.try_once() {
        Ok((_, took)) => Ok(Some(took)),
        Err((
            Fault::Http(500..)
            | Fault::WrongAnswer
            | Fault::TooLarge
            | Fault::Closed
            | Fault::Malformed
            | Fault::Timeout,
            _,
        )) if !prepared.is_local() => Ok(None),
        Err(failure) => match Url::parse(name) {
            Ok(url) => Err(told(target::explain(&url, &failure))),
            Err(_) => Err(hinted(failure.1, "`rooflens analyze` works without running the model")),
        },
    }
}

/// Runs a plan with a progress bar that shows requests a second and p99.
pub(super) fn watched(
    plan: &Plan,
    prepared: &Prepared,
    name: &str,
    stop: &AtomicBool,
    mut rule: Option<&mut Rule>,
) -> Result<Outcome> {
    let live = Live::default();
    let bar = progress_bar("");
    let over = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            let begin = std::time::Instant::now();
            let (mut last, mut seen) = (begin, 0);
            while !over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                bar.set_position(permille(
                    begin.elapsed().as_secs_f64() / plan.duration.as_secs_f64(),
                ));
                if let Some(rule) = rule.as_deref_mut() {
                    rule.tick(begin.elapsed().as_secs_f64(), plan.senders.max(1), &live);
                }
                let since = last.elapsed().as_secs_f64();
                if since >= 0.5 {
                    last = std::time::Instant::now();
                    let good = live.good.load(Ordering::Relaxed);
                    let recent = live.take();
                    let p99 = recent
                        .quantile(0.99, 0)
                        .map_or("–".into(), |v| crate::units::si(v as f64 * 1e-9, "s"));
                    let lost = live.lost.load(Ordering::Relaxed);
                    bar.set_message(format!(
                        "{name}  {:.0}/s  p99 {p99}  {lost} failed",
                        (good - seen) as f64 / since
                    ));
                    seen = good;
                }
            }
        });
        let outcome = drive(plan, prepared, stop, &live);
        over.store(true, Ordering::Relaxed);
        outcome
    });
    bar.finish_and_clear();
    outcome.map_err(|e| {
        hinted(format!("the load generator failed: {e}"), "lower --senders or --max-in-flight")
    })
}

/// Searches the highest rate; the measurement is that of the last passing attempt.
pub(super) fn highest(
    start: f64,
    plan: &Plan,
    stop: &AtomicBool,
    run: impl Fn(&Plan) -> Result<Measured>,
) -> Result<Measured> {
    let (mut kept, mut last, mut failed) = (None, None, None);
    let mut attempt = |rate: f64| {
        let load = Load::Open(Arrival::Poisson((rate * 10.0).round().max(1.0) / 10.0));
        let measured = match run(&Plan { load, start_at: None, ..plan.clone() }) {
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
    let found: Found = search(start, &mut attempt);
    if let Some(error) = failed {
        return Err(error);
    }
    let mut measured = kept.or(last).context("no attempt was made")?;
    let list = found
        .attempts
        .iter()
        .map(|(rate, answer)| format!("{rate:.1}/s {}", answer.name().to_uppercase()));
    let notes = &mut measured.file.verdict.notes;
    notes.push(format!("attempts: {}", list.collect::<Vec<_>>().join(", ")));
    notes.push(match (found.rate > 0.0, found.confirmed) {
        (true, true) => format!(
            "highest rate that meets the demand: {:.1}/s, confirmed by a second run",
            found.rate
        ),
        (true, false) => {
            format!("highest rate that met the demand: {:.1}/s, not confirmed", found.rate)
        }
        (false, _) => "no rate was found that meets the demand".into(),
    });
    Ok(measured)
}
