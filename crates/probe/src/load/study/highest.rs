//! The highest rate that meets a latency objective.
//!
//! Short closed loops say how fast the server is, and so where the search begins and what it can afford: an attempt
//! takes as long as its percentile needs at its rate, and longer where it cannot decide.

use super::{Observer, Run, StudyError, Switch};
use crate::arrival::{Arrival, Load};
use crate::drive::{Outcome, Plan};
use crate::judge::{QUANTILES, TAIL, same};
use crate::measurement::{Measured, Objective};
use crate::metric::Metric;
use crate::record::Interval;
use crate::schema::{FindingPart, PercentilePart, SloOutcome, Verdict, percentile};
use crate::search::{Found, search};
use rooflens_ground::units::si;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Where a search begins, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// A first guess, requests per second; from closed loops alone where omitted.
    pub guess: Option<f64>,
    /// All attempts together take at most this long; those before them, some seconds, are not counted.
    pub budget: Duration,
}

/// The share of the closed loops' highest rate at which the search begins.
const BEGIN: f64 = 0.7;
/// Requests in flight in the closed loops, at most.
const WIDEST: usize = 512;
/// A wider loop that adds less than this is the last.
const GAIN: f64 = 1.1;
/// Requests beyond the percentile that an attempt has on average, so that enough are left when arrivals vary and the
/// warm-up is cut.
const BEYOND: f64 = 2.0 * TAIL;
/// Attempts that any search takes: one that passes, one that does not, one between them, and one that confirms.
const FEWEST: f64 = 4.0;
/// An attempt that cannot decide takes so many times its length, at most.
const LONGER: u32 = 4;
/// Attempts in which the client was held up are repeated so often.
const REPEATED: u32 = 2;
/// Between the seeds of an attempt and of its repetition.
const ATTEMPTS_APART: u32 = 1000;

/// Searches; the measurement is that of the highest rate that passed, or of the last attempt.
pub fn highest(
    wanted: Search,
    run: &Run<'_>,
    plan: &Plan,
    stop: &Switch,
    observer: &mut dyn Observer,
) -> Result<Measured, StudyError> {
    let aims = &run.aims;
    let quantile = aims.slo.iter().map(|one| one.quantile).fold(aims.headline, f64::max);
    let closed = closed_loops(run, plan, stop, observer)?;
    let mut attempts = Attempts {
        run,
        plan,
        quantile,
        calm: closed.median,
        left: wanted.budget,
        stop,
        observer,
        passed: Vec::new(),
        last: None,
        failed: None,
        repeated: 0,
        notes: vec![closed.note()],
    };
    let start = attempts.start(&closed, wanted.guess);
    let needed = attempts.length(start).mul_f64(FEWEST);
    if needed > wanted.budget {
        return Err(too_long(start, quantile, needed, wanted.budget));
    }
    // Where one request at a time takes too long, no rate is slow enough.
    let hopeless = closed.hopeless;
    if hopeless {
        attempts.notes.push("one request at a time takes longer than the objective allows".into());
    }
    let mut first = true;
    let found = search(start, |rate, tries| {
        if hopeless && !std::mem::take(&mut first) {
            return None;
        }
        attempts.make(rate, tries)
    });
    let Attempts { passed, last, failed, mut notes, repeated, .. } = attempts;
    if repeated > 0 {
        notes.push(format!(
            "{repeated} attempts were repeated, as the client was held up and they said nothing of the server"
        ));
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let kept = passed.into_iter().rev().find(|(rate, _)| same(*rate, found.rate));
    let mut measured = kept.map(|(_, m)| m).or(last).ok_or(StudyError::NoAttempt)?;
    notes.extend(self::notes(&found));
    measured.file.verdict.notes.extend(notes);
    Ok(measured)
}

/// What the closed loops showed.
struct Closed {
    /// The highest rate, requests per second.
    rate: f64,
    /// Requests in flight then.
    in_flight: usize,
    /// Median response time of one request at a time.
    median: Duration,
    /// One request at a time misses an objective on half of the requests or more.
    hopeless: bool,
}

impl Closed {
    fn note(&self) -> String {
        format!(
            "closed loops before the search: {} one at a time in the median, {:.1}/s with {} in flight",
            si(self.median.as_secs_f64(), "s"),
            self.rate,
            self.in_flight
        )
    }
}

/// Ever more requests in flight, until that adds nothing or takes longer than the objectives allow.
fn closed_loops(
    run: &Run<'_>,
    plan: &Plan,
    stop: &Switch,
    observer: &mut dyn Observer,
) -> Result<Closed, StudyError> {
    let mut best: Option<Closed> = None;
    let mut in_flight = 1;
    // Slow servers get the time for some answers.
    let mut time = run.first_answer.map_or(Duration::ZERO, |first| 5 * first);
    while in_flight <= WIDEST.min(plan.max_in_flight) && !stop.load(Ordering::Relaxed) {
        time = time.clamp(Duration::from_secs(1), Duration::from_secs(30));
        let one =
            Plan { load: Load::Closed(in_flight), duration: time, start_at: None, ..plan.clone() };
        let label = format!("closed:{in_flight}, to begin with");
        let outcome = run.watched(&one, &label, stop, observer, None)?;
        let sum = outcome.record.sum(0..outcome.record.intervals.len());
        let response = &sum.durations[Metric::Response];
        let Some(median) = response.quantile(0.5, 0).map(Duration::from_nanos) else { break };
        let rate = rate(&outcome, &sum);
        let gains = best.as_ref().is_none_or(|best| rate > GAIN * best.rate);
        let misses = |one: &Objective| {
            let half = sum.durations[one.durations()].quantile(0.5, 0);
            half.is_some_and(|half| half as f64 * 1e-9 > one.seconds)
        };
        let mut slow_ones = run.aims.slo.iter().filter(|one| misses(one));
        let slow = slow_ones.clone().next().is_some();
        let hopeless = best.is_none() && slow_ones.any(|one| one.quantile >= 0.5);
        if best.as_ref().is_none_or(|best| rate > best.rate && !slow) {
            let calm = best.as_ref().map_or(median, |best| best.median);
            let hopeless = best.as_ref().map_or(hopeless, |best| best.hopeless);
            best = Some(Closed { rate, in_flight, median: calm, hopeless });
        }
        if !gains || slow {
            break;
        }
        (in_flight, time) = (2 * in_flight, 5 * median);
    }
    best.ok_or(if stop.load(Ordering::Relaxed) {
        StudyError::NoAttempt
    } else {
        StudyError::NoAnswer
    })
}

/// Successful requests per second of a closed loop: those that end behind its end count by their share of time
/// before it.
fn rate(outcome: &Outcome, sum: &Interval) -> f64 {
    let step = outcome.record.step as f64 * 1e-9;
    let within = outcome.record.intervals.iter().zip(0u32..);
    let within = within.take_while(|(_, i)| f64::from(*i) * step < outcome.seconds - 1e-9);
    let (mut area, mut seconds) = (0.0, 0.0);
    for (interval, _) in within {
        area += interval.area as f64;
        seconds += step;
    }
    sum.good as f64 * area / (sum.stay as f64).max(1.0) / f64::max(seconds, step)
}

/// The attempts of a search.
struct Attempts<'a, 'o> {
    run: &'a Run<'a>,
    plan: &'a Plan,
    quantile: f64,
    /// Response time of a server without load.
    calm: Duration,
    /// Time for attempts.
    left: Duration,
    stop: &'a Switch,
    observer: &'o mut dyn Observer,
    passed: Vec<(f64, Measured)>,
    /// The last attempt that did not pass.
    last: Option<Measured>,
    failed: Option<StudyError>,
    /// Attempts that were repeated.
    repeated: u32,
    notes: Vec<String>,
}

impl Attempts<'_, '_> {
    /// Where the search begins: at the guess, or where an attempt of the planned length supports the percentile,
    /// and not beyond what the closed loops reached.
    fn start(&self, closed: &Closed, guess: Option<f64>) -> f64 {
        let most = BEGIN * closed.rate;
        let supported = BEYOND / ((1.0 - self.quantile) * self.plan.duration.as_secs_f64());
        guess.map_or(most, |guess| if guess < supported { supported.min(most) } else { guess })
    }

    /// What an attempt at a rate takes: the planned length, or longer where the percentile needs it.
    fn length(&self, rate: f64) -> Duration {
        self.plan.duration.max(needs(rate, self.quantile))
    }

    /// Measures at a rate that was tried so often before, each time with another schedule; `None` where the search
    /// should end. Where the client itself was held up, that says nothing of the server, and the attempt is repeated; one
    /// whose interval contains the objective takes longer, up to [`LONGER`] times.
    fn make(&mut self, rate: f64, tries: u32) -> Option<SloOutcome> {
        let mut duration = self.length(rate);
        let longest = duration * LONGER;
        let mut repeated = 0;
        loop {
            if duration > self.left {
                self.notes.push(format!(
                    "ended: an attempt at {rate}/s takes {:.0} s for {}, and {:.0} s are left of --budget",
                    duration.as_secs_f64(),
                    percentile(self.quantile),
                    self.left.as_secs_f64()
                ));
                return None;
            }
            let begin = Instant::now();
            let seed = tries + ATTEMPTS_APART * repeated;
            let measured = self.measure(rate, duration, seed)?;
            if self.stop.load(Ordering::Relaxed) {
                self.last = Some(measured);
                return None;
            }
            let answer = measured.file.slo.as_ref().map_or(SloOutcome::Undecided, |s| s.outcome);
            if answer != SloOutcome::Pass {
                self.calm_down();
            }
            self.left = self.left.saturating_sub(begin.elapsed());
            let part = PercentilePart::find(&measured.file.response.percentiles, self.quantile);
            let supported = part.is_some_and(|p| p.supported && p.low_seconds.is_some());
            let found = measured.file.verdict.findings.clone();
            if answer == SloOutcome::Pass {
                self.passed.push((rate, measured));
            } else {
                self.last = Some(measured);
            }
            let limited = |f: &FindingPart| f.verdict == Verdict::ClientLimited;
            let held_up = answer != SloOutcome::Pass && found.iter().any(limited);
            if held_up && repeated < REPEATED && duration <= self.left {
                repeated += 1;
                self.repeated += 1;
                continue;
            }
            let narrower = !supported || 2 * duration <= longest.min(self.left);
            if answer == SloOutcome::Undecided && !held_up && narrower {
                duration *= 2;
                continue;
            }
            return Some(answer);
        }
    }

    /// One run at a rate, with a schedule of its own; `None` where that failed.
    fn measure(&mut self, rate: f64, duration: Duration, seed: u32) -> Option<Measured> {
        let plan = Plan {
            load: Load::Open(Arrival::Poisson(rate)),
            seed: self.plan.seed.wrapping_add(u64::from(seed)),
            duration,
            start_at: None,
            ..self.plan.clone()
        };
        let label = plan.load.to_string();
        match self.run.measure(&plan, &label, self.stop, self.observer) {
            Ok(measured) => Some(measured),
            Err(error) => {
                self.failed = Some(error);
                None
            }
        }
    }

    /// Waits until the server has worked off what an attempt left behind.
    fn calm_down(&self) {
        let begin = Instant::now();
        let calm = 2 * self.calm + Duration::from_millis(2);
        while begin.elapsed() < Duration::from_secs(10) && !self.stop.load(Ordering::Relaxed) {
            if self.run.prepared.try_once().is_ok_and(|(_, took)| took <= calm) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Time in which a rate has enough requests beyond a percentile.
fn needs(rate: f64, quantile: f64) -> Duration {
    let seconds = BEYOND / ((1.0 - quantile).max(1e-9) * rate.max(1e-9));
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

/// The search would take longer than it may; which percentile would not.
fn too_long(rate: f64, quantile: f64, needed: Duration, budget: Duration) -> StudyError {
    let fits = |q: &&f64| **q < quantile && needs(rate, **q).mul_f64(FEWEST) <= budget;
    let most = QUANTILES.iter().rev().find(fits);
    StudyError::TooLong {
        message: format!(
            "{} at {rate:.3}/s takes {} of attempts at least, and --budget is {}",
            percentile(quantile),
            si(needed.as_secs_f64(), "s"),
            si(budget.as_secs_f64(), "s")
        ),
        hint: match most {
            Some(q) => {
                format!("--slo {}=TIME fits into it; --budget S gives more time", percentile(*q))
            }
            None => "--budget S gives more time".into(),
        },
    }
}

/// The attempts, and what came of them.
fn notes(found: &Found) -> [String; 2] {
    let list = found
        .attempts
        .iter()
        .map(|(rate, answer)| format!("{rate}/s {}", answer.name().to_uppercase()));
    let rate = found.rate;
    [
        format!("attempts: {}", list.collect::<Vec<_>>().join(", ")),
        match (rate > 0.0, found.confirmed) {
            (true, true) => {
                format!(
                    "highest rate that meets the objective: {rate}/s, confirmed by a second run"
                )
            }
            (true, false) => {
                format!("highest rate that met the objective: {rate}/s, not confirmed")
            }
            (false, _) => "no rate was found that meets the objective".into(),
        },
    ]
}
