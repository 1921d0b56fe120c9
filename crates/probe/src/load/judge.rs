//! What a run's numbers are worth: one verdict, with the evidence for it.
//!
//! Looks at a [`Record`] and at how the client fared; knows no server.

pub(super) mod client;

use super::metric::{Metric, PerMetric};
use super::record::{Fault, FaultRow, Interval, Record};
use super::stats::{self, BATCHES, Percentile, mann_kendall, slope};
use crate::schema::{Verdict, percentile};
use rooflens_ground::units::si;
use std::ops::Range;

/// Why a verdict was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The verdict that the finding alone would lead to.
    pub verdict: Verdict,
    /// What was found, in a sentence with its numbers and limits.
    pub evidence: String,
}

/// How one sender thread fared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Health {
    /// Seconds it ran.
    pub wall: f64,
    /// Seconds on a processor.
    pub cpu: f64,
    /// Seconds it was ready but waited for a processor.
    pub waited: f64,
}

/// Stops of the client's control groups because a CPU quota was used up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct QuotaStops {
    /// The number of stops.
    pub count: u64,
    /// Seconds that threads were stopped, added up over processors.
    pub seconds: f64,
}

/// What there is to judge by.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// The counts of the run, by interval.
    pub record: &'a Record,
    /// Length of the schedule in seconds.
    pub seconds: f64,
    /// Whether the load was open: requests scheduled at instants that no answer moves.
    pub open: bool,
    /// Whether the rate was constant by plan, so that a trend speaks against the run.
    pub level: bool,
    /// The quantile, between 0 and 1, that needs enough requests beyond it.
    pub headline: f64,
    /// Seconds to cut at the start; `None` looks for the end of the warm-up.
    pub warm_up: Option<f64>,
    /// The sender threads; empty where they ran the inferences themselves, so that there is no client that could
    /// hold the target up.
    pub health: &'a [Health],
    /// Share of processor time, 0 to 1, that the hypervisor gave to others; `None` where the system does not show it.
    pub stolen: Option<f64>,
    /// Stops of the client's control groups for their quota; `None` where the system does not show them.
    pub quota_stops: Option<QuotaStops>,
    /// The sentence that says which device lowered its clocks; `None` where none did.
    pub throttled: Option<String>,
    /// Whether the target itself says when a request ended, as a runtime in this process does: a sender that sees it
    /// later moves nothing.
    pub own_clock: bool,
    /// What is counted, in the plural: requests, or the inferences of a runtime that the senders run.
    pub unit: &'static str,
}

/// The judgement of a run, and the numbers it rests on.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict of the run: that of the worst finding, VALID without one.
    pub verdict: Verdict,
    /// All findings, worst first.
    pub findings: Vec<Finding>,
    /// Sentences on what a reader should know and what is no reason against the run.
    pub notes: Vec<String>,
    /// The intervals of the record that count, those of the warm-up cut off.
    pub window: Range<usize>,
    /// The sum of the counts of these intervals.
    pub sum: Interval,
    /// Length of these intervals in seconds.
    pub seconds: f64,
    /// Requests scheduled per second; in a closed loop, each by its share of time in the window.
    pub offered: f64,
    /// Successful requests per second, by when they ended.
    pub completed: f64,
    /// Successful requests per second, by when they were scheduled; in a closed loop, each by its share of time in the window.
    pub goodput: f64,
    /// Mean number of requests in flight, from a counter that knows no times.
    pub in_flight: f64,
    /// How far Little's law is missed: |L − λW| over L, with L in flight, λ completed per second and W seconds in flight.
    pub little: f64,
    /// Seconds that the client's lateness adds to the headline percentile of the response time.
    pub late: f64,
    /// Growth of the number in flight, requests per second.
    pub growth: f64,
    /// Quantiles of each metric, in rising order.
    pub quantiles: PerMetric<Vec<Percentile>>,
}

/// Quantiles that are reported.
pub const QUANTILES: [f64; 5] = [0.5, 0.9, 0.95, 0.99, 0.999];
/// A quantile needs this many requests beyond it.
pub const TAIL: f64 = 10.0;
/// A median that moves by more than this share of itself over a run says that the run is not steady:
/// the share by which a growing queue counts too. Clocks and neighbours alone move it by less.
const DRIFT: f64 = 0.10;
/// A smaller drift is a note beside the verdict, from this share on.
const SEEN: f64 = 0.02;
/// Two-sided one per cent of the normal distribution: a trend that is worth telling.
const ONE_PERCENT: f64 = 2.576;
/// Two-sided one per mille: a trend that is the verdict. A study makes dozens of runs, and of a hundred
/// steady ones one shows a trend at one per cent.
const ONE_PER_MILLE: f64 = 3.291;
/// Share of failed requests above which a run is FAILING.
pub const FAILURES: f64 = 0.01;

/// Judges a run.
pub fn judge(case: &Case<'_>) -> Judgement {
    let record = case.record;
    let step = record.step as f64 * 1e-9;
    // Intervals that only answers reached are no part of the schedule.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let scheduled = ((case.seconds / step).floor() as usize).min(record.intervals.len());
    let mut findings = Vec::new();
    let mut found = |verdict, evidence: String| findings.push(Finding { verdict, evidence });
    let window = match steady(case, scheduled, step) {
        Ok(start) => start..scheduled,
        Err(evidence) => {
            found(Verdict::NotStationary, evidence);
            scheduled / 2..scheduled
        }
    };
    let seconds = window.len() as f64 * step;
    let added = stats::Window::new(record, &window);
    let sum = added.sum.clone();
    let per_second = |n: u64| if seconds > 0.0 { n as f64 / seconds } else { 0.0 };
    let inside = if case.open { 1.0 } else { inside(&sum) };
    let wanted = wanted(case.headline);
    let quantiles =
        |metric| wanted.iter().map(|q| stats::percentile(&added, metric, *q)).collect::<Vec<_>>();
    let mut judgement = Judgement {
        verdict: Verdict::Valid,
        findings: Vec::new(),
        notes: Vec::new(),
        seconds,
        offered: per_second(sum.due) * inside,
        completed: per_second(sum.completed),
        goodput: per_second(sum.good) * inside,
        in_flight: if seconds > 0.0 { sum.area as f64 * 1e-9 / seconds } else { 0.0 },
        little: 0.0,
        late: 0.0,
        growth: 0.0,
        quantiles: PerMetric::new(quantiles),
        window,
        sum,
    };
    // What the client did to the numbers comes first among findings of one verdict.
    let mut limited = false;
    client::client(case, &mut judgement, &mut |verdict, evidence| {
        limited = true;
        found(verdict, evidence);
    });
    let overloaded = flow(case, &added.batches, &mut judgement, &mut found);
    failures(case, scheduled, (overloaded, limited), &judgement, &mut found);
    samples(case, &judgement, &mut found);
    judgement.notes.extend(sampled(case.record));
    if let Some(evidence) = &case.throttled {
        found(Verdict::Throttled, evidence.clone());
    }
    findings.sort_by_key(|f| f.verdict);
    judgement.verdict = findings.first().map_or(Verdict::Valid, |f| f.verdict);
    judgement.findings = findings;
    judgement
}

/// The quantiles that are reported, the headline among them, in rising order.
fn wanted(headline: f64) -> Vec<f64> {
    let mut wanted = QUANTILES.to_vec();
    if !wanted.contains(&headline) {
        wanted.push(headline);
        wanted.sort_by(f64::total_cmp);
    }
    wanted
}

/// How much of the time that a window's requests take lies in it: a closed loop begins requests until the window
/// ends, and what it began before the window reaches into it. 1 where there was no request.
fn inside(sum: &Interval) -> f64 {
    if sum.stay == 0 { 1.0 } else { sum.area as f64 / sum.stay as f64 }
}

/// The first interval after the warm-up.
fn steady(case: &Case<'_>, scheduled: usize, step: f64) -> Result<usize, String> {
    if let Some(seconds) = case.warm_up {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        return Ok(((seconds / step).ceil() as usize).min(scheduled));
    }
    // Five intervals to a value: MSER-5. Empty ones say nothing and repeat what was before.
    let mut values: Vec<f64> = Vec::new();
    for start in (0..scheduled - scheduled % 5).step_by(5) {
        let sum = case.record.sum(start..start + 5);
        let mean = if sum.durations[Metric::Service].is_empty() {
            None
        } else {
            Some(sum.durations[Metric::Service].mean())
        };
        if let Some(value) = mean.or(values.last().copied()) {
            values.push(value);
        }
    }
    if values.len() < 10 {
        return Ok(0);
    }
    let skipped = scheduled / 5 - values.len();
    stats::warm_up(&values).map(|cut| 5 * if cut == 0 { 0 } else { cut + skipped }).ok_or_else(
        || "no warm-up detected: the service time did not settle within half of the run".into(),
    )
}

/// What is to be known of answers that were compared only in part.
fn sampled(record: &Record) -> Option<String> {
    let (compared, unchecked) = (record.checked + record.same, record.unchecked);
    let all = compared + unchecked;
    let wrong = record.faults.get(&Fault::WrongAnswer).map_or(0, |row| row.count);
    (unchecked > 0).then(|| {
        format!(
            "{compared} of {all} answers were checked, as they are large and differ from each other: {wrong} of \
             them were wrong, so about {} of all",
            wrong + unseen(record)
        )
    })
}

/// Queue growth, trend and Little's law; says whether many requests failed as a server fails them that cannot keep
/// up.
fn flow(
    case: &Case<'_>,
    sums: &[Interval],
    j: &mut Judgement,
    found: &mut impl FnMut(Verdict, String),
) -> bool {
    balance(j, found);
    if sums.is_empty() {
        return false;
    }
    // Both are looked for: they say different things.
    let gives_up = gives_up(case, j, found);
    let overloaded = grows(case, sums, j, found) | gives_up;
    if (case.level || !case.open) && !overloaded {
        drifts(sums, j, found);
    }
    gives_up
}

/// Wrong answers that are to be expected among those that were not compared, by the share among those that were.
fn unseen(record: &Record) -> u64 {
    let wrong = record.faults.get(&Fault::WrongAnswer).map_or(0, |row| row.count);
    let compared = (record.checked + record.same).max(1);
    let expected = u128::from(wrong) * u128::from(record.unchecked) / u128::from(compared);
    u64::try_from(expected).unwrap_or(u64::MAX).min(record.unchecked)
}

/// Whether so many requests failed that the run says more of failures than of times. Those that the load or a late
/// client may explain have findings of their own. Failures that a warm-up cuts away count, unless the user cut it.
fn failures(
    case: &Case<'_>,
    scheduled: usize,
    (load, client): (bool, bool),
    j: &Judgement,
    found: &mut impl FnMut(Verdict, String),
) {
    let of = |fault| case.record.faults.get(fault).map_or(0, |row: &FaultRow| row.count);
    let late = of(&Fault::Late);
    // Those that the load explains are counted by interval, below.
    let late =
        if client && !load { late + of(&Fault::Timeout) + of(&Fault::Dropped) } else { late };
    let unexplained = |i: &Interval| i.lost - if load { i.lost_to_load.min(i.lost) } else { 0 };
    let share = |(lost, due): (u64, u64)| lost as f64 / (due as f64).max(1.0);
    let mut all = (0, 0);
    for interval in case.record.intervals.get(..scheduled).into_iter().flatten() {
        all = (all.0 + unexplained(interval), all.1 + interval.due);
    }
    all.0 = all.0.saturating_sub(late) + unseen(case.record);
    let mut worst = (unexplained(&j.sum).saturating_sub(late), j.sum.due);
    if case.warm_up.is_none() && share(all) > share(worst) {
        worst = all;
    }
    let (lost, due) = worst;
    let beyond = lost > 0 && share(worst) >= 1.0 - case.headline;
    if share(worst) <= FAILURES && !beyond {
        return;
    }
    let explained = |fault: &Fault| match fault {
        Fault::Late => true,
        Fault::Timeout | Fault::Dropped => client || load,
        other => load && other.is_overload(),
    };
    let rows = case.record.faults.iter().filter(|(fault, _)| !explained(fault));
    let most = rows.max_by_key(|(_, row)| row.count);
    let most = most.map_or(String::new(), |(fault, _)| format!(", most of them by {fault}"));
    let limit = if share(worst) > FAILURES {
        format!("more than {:.0} %", 100.0 * FAILURES)
    } else {
        format!("the {} falls on them", percentile(case.headline))
    };
    let percent = 100.0 * share(worst);
    found(
        Verdict::Failing,
        format!("{percent:.1} % of the requests failed, {lost} of {due}{most}: {limit}"),
    );
}

/// Little's law, by two counts that know nothing of each other.
fn balance(j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let stay = j.sum.stay as f64 * 1e-9;
    let law = if j.seconds > 0.0 { stay / j.seconds } else { 0.0 };
    if j.in_flight > 0.0 && j.seconds > 0.0 {
        j.little = (j.in_flight - law).abs() / j.in_flight;
        // What is in flight when the window opens and closes belongs to one side only: about the mean number, and
        // one where that is below one.
        let longest = j.sum.durations[Metric::Response].max as f64 * 1e-9;
        let edge = longest / j.seconds * (1.0 / j.in_flight).max(1.0);
        if j.sum.lost == 0 && j.little > 0.02 + 2.0 * edge {
            found(
                Verdict::ClientLimited,
                format!(
                    "Little's-law check failed: {:.3} requests in flight, {law:.3} by rate × time",
                    j.in_flight
                ),
            );
        }
    }
}

/// Whether ever more requests are in flight.
fn grows(
    case: &Case<'_>,
    sums: &[Interval],
    j: &mut Judgement,
    found: &mut impl FnMut(Verdict, String),
) -> bool {
    let each = j.seconds / BATCHES as f64;
    let in_flight: Vec<f64> = sums.iter().map(|s| s.area as f64 * 1e-9 / each).collect();
    let (rise, t) = slope(&in_flight);
    j.growth = rise / each;
    let grown = rise * BATCHES as f64;
    let trend = mann_kendall(&in_flight);
    let overloaded = case.open
        && case.level
        && t > 3.0
        && trend > ONE_PERCENT
        && grown > (0.1 * j.in_flight).max(1.0);
    if overloaded {
        found(
            Verdict::Overloaded,
            format!(
                "the queue grows by {:.2} req/s ({:.1} offered, {:.1} completed)",
                j.growth, j.offered, j.completed
            ),
        );
    }
    overloaded
}

/// Whether many requests are lost as a server that cannot keep up loses them.
fn gives_up(case: &Case<'_>, j: &Judgement, found: &mut impl FnMut(Verdict, String)) -> bool {
    if !case.open || j.sum.due == 0 {
        return false;
    }
    let share = j.sum.lost_to_load as f64 / j.sum.due as f64;
    if share > 0.02 {
        found(
            Verdict::Overloaded,
            format!(
                "{:.1} % of the requests were dropped, refused for load or not answered in time",
                100.0 * share
            ),
        );
    }
    share > 0.02
}

/// Whether the median response time moves over the run.
fn drifts(sums: &[Interval], j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    // Where most failed there is no median to compare.
    let middle = |s: &Interval| s.durations[Metric::Response].quantile(0.5, s.lost);
    let drift: Vec<f64> = sums.iter().filter_map(middle).map(|v| v as f64).collect();
    let z = mann_kendall(&drift);
    if drift.len() >= 20 && z.abs() > ONE_PERCENT {
        let (slope, _) = slope(&drift);
        let way = if z > 0.0 { "rises" } else { "falls" };
        // The line through the medians, no further than they reach.
        let (middle, half) = (stats::median(&drift), 0.5 * slope * drift.len() as f64);
        let least = drift.iter().copied().fold(f64::INFINITY, f64::min);
        let most = drift.iter().copied().fold(0.0, f64::max);
        let (from, to) = ((middle - half).clamp(least, most), (middle + half).clamp(least, most));
        let share = (to - from).abs() / from.max(1.0);
        let by = if share > 1.0 {
            format!("to {:.1} times its value", 1.0 + share)
        } else {
            format!("by {:.0} %", 100.0 * share)
        };
        let drift = format!(
            "the median response time {way} {by} over the run, from {} to {} (Mann-Kendall z = {z:.1})",
            si(from * 1e-9, "s"),
            si(to * 1e-9, "s")
        );
        if share > DRIFT && z.abs() > ONE_PER_MILLE {
            found(Verdict::NotStationary, drift);
        } else if share > SEEN {
            j.notes.push(drift);
        }
    }
}

/// Whether there are enough requests for the headline.
fn samples(case: &Case<'_>, j: &Judgement, found: &mut impl FnMut(Verdict, String)) {
    let unit = case.unit;
    if j.sum.good == 0 {
        found(Verdict::TooFewSamples, format!("none of {} {unit} was successful", j.sum.due));
        return;
    }
    let name = percentile(case.headline);
    let Some(head) = j.quantiles[Metric::Response].iter().find(|p| same(p.q, case.headline)) else {
        return;
    };
    if head.beyond < TAIL {
        found(
            Verdict::TooFewSamples,
            format!(
                "{:.0} of {} {unit} are beyond the {name}; {TAIL:.0} are needed",
                head.beyond.floor(),
                j.sum.due
            ),
        );
    } else if head.interval.is_none() {
        found(Verdict::TooFewSamples, "the run is too short to divide into batches".into());
    } else if head.dependence > 1.64 && head.effective < 0.9 * j.sum.due as f64 {
        found(
            Verdict::TooFewSamples,
            format!(
                "neighbouring batches depend on each other (von Neumann z = {:.1}): the interval of the \
             {name} is too narrow, run longer",
                head.dependence
            ),
        );
    }
}

/// Whether two quantiles are the same one.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[cfg(test)]
pub(super) mod tests;
