//! What a run's numbers are worth: one verdict, with the evidence for it.
//!
//! Looks at a [`Record`] and at how the client fared; knows no server.

use super::metric::{Metric, PerMetric};
use super::record::{Fault, Interval, Record};
use super::stats::{self, BATCHES, Percentile, mann_kendall, slope};
use crate::schema::Verdict;
use std::ops::Range;

/// Why a verdict was given.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What follows from it.
    pub verdict: Verdict,
    /// With numbers.
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

/// What there is to judge by.
#[derive(Clone, Debug)]
pub struct Case<'a> {
    /// What was counted.
    pub record: &'a Record,
    /// Seconds of the schedule.
    pub seconds: f64,
    /// Whether requests were due at instants of their own.
    pub open: bool,
    /// Whether the rate was meant to stay the same.
    pub level: bool,
    /// The percentile that must be supported.
    pub headline: f64,
    /// Cut this many seconds at the start instead of looking for the end of the warm-up.
    pub warm_up: Option<f64>,
    /// The sender threads; empty where they ran the inferences themselves, so that there is no client that could
    /// hold the target up.
    pub health: &'a [Health],
    /// Share of processor time that the hypervisor gave to others.
    pub stolen: f64,
    /// Times the client's control group was stopped for its quota.
    pub quota_stops: u64,
    /// Evidence that a device lowered its clocks.
    pub throttled: Option<String>,
    /// What is counted, in the plural: requests, or the inferences of a runtime that the senders run.
    pub unit: &'static str,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// All findings, worst first.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no reason against the run.
    pub notes: Vec<String>,
    /// The intervals that count.
    pub window: Range<usize>,
    /// Their sum.
    pub sum: Interval,
    /// Seconds of them.
    pub seconds: f64,
    /// Requests due a second; in a closed loop, each by its share of time in the window.
    pub offered: f64,
    /// Good answers a second, by when they ended.
    pub completed: f64,
    /// Good answers a second, by when they were due; in a closed loop, each by its share of time in the window.
    pub goodput: f64,
    /// Mean number in flight, from the counter.
    pub in_flight: f64,
    /// |L − λW| over L.
    pub little: f64,
    /// Growth of the number in flight, a second.
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
/// A smaller drift is told beside the verdict, from this share on.
const SEEN: f64 = 0.02;
/// Two-sided one per cent of the normal distribution: a trend that is worth telling.
const ONE_PERCENT: f64 = 2.576;
/// Two-sided one per mille: a trend that is the verdict. A study makes dozens of runs, and of a hundred
/// steady ones one shows a trend at one per cent.
const ONE_PER_MILLE: f64 = 3.291;

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
    let quantiles = |metric| {
        let mut wanted = QUANTILES.to_vec();
        if !wanted.contains(&case.headline) {
            wanted.push(case.headline);
            wanted.sort_by(f64::total_cmp);
        }
        wanted.into_iter().map(|q| stats::percentile(&added, metric, q)).collect::<Vec<_>>()
    };
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
        growth: 0.0,
        quantiles: PerMetric::new(quantiles),
        window,
        sum,
    };
    flow(case, &added.batches, &mut judgement, &mut found);
    samples(case, &judgement, &mut found);
    client(case, &mut judgement, &mut found);
    if let Some(evidence) = &case.throttled {
        found(Verdict::Throttled, evidence.clone());
    }
    findings.sort();
    judgement.verdict = findings.first().map_or(Verdict::Valid, |f| f.verdict);
    judgement.findings = findings;
    judgement
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
    stats::warm_up(&values)
        .map(|cut| 5 * if cut == 0 { 0 } else { cut + skipped })
        .ok_or_else(|| "never warmed up: the service time did not settle in half of the run".into())
}

/// Queue growth, trend and Little's law.
fn flow(
    case: &Case<'_>,
    sums: &[Interval],
    j: &mut Judgement,
    found: &mut impl FnMut(Verdict, String),
) {
    balance(j, found);
    if sums.is_empty() {
        return;
    }
    // Both are looked for: they say different things.
    let overloaded = grows(case, sums, j, found) | gives_up(case, j, found);
    if (case.level || !case.open) && !overloaded {
        drifts(sums, j, found);
    }
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
                    "the client's books do not balance: {:.3} in flight, {law:.3} by Little's law",
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
                "the queue grows by {:.2} requests a second: {:.1} came in a second, {:.1} were answered",
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
    let middle = |s: &Interval| {
        s.durations[Metric::Response].quantile(0.5, s.lost).map_or(f64::MAX, |v| v as f64)
    };
    let drift: Vec<f64> = sums.iter().filter(|s| s.good + s.lost > 0).map(middle).collect();
    let z = mann_kendall(&drift);
    if drift.len() >= 20 && z.abs() > ONE_PERCENT {
        let (slope, _) = slope(&drift);
        let way = if z > 0.0 { "rises" } else { "falls" };
        let share = slope.abs() * drift.len() as f64 / stats::median(&drift);
        let told = format!(
            "the median response time {way} by {:.0} % over the run (Mann-Kendall z = {z:.1})",
            100.0 * share
        );
        if share > DRIFT && z.abs() > ONE_PER_MILLE {
            found(Verdict::NotStationary, told);
        } else if share > SEEN {
            j.notes.push(told);
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
    let name = name(case.headline);
    let Some(head) = j.quantiles[Metric::Response].iter().find(|p| same(p.q, case.headline)) else {
        return;
    };
    if head.beyond < TAIL {
        found(
            Verdict::TooFewSamples,
            format!(
                "{:.0} {unit} lie beyond the {name} of {}; it takes {TAIL:.0}",
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

/// Whether the client kept up.
fn client(case: &Case<'_>, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let at = |list: &[Percentile], q: f64| {
        list.iter()
            .find(|p| same(p.q, q))
            .and_then(|p| p.value)
            .map_or(f64::NAN, |v| v as f64 * 1e-9)
    };
    let (late, response) =
        (at(&j.quantiles[Metric::Lateness], 0.99), at(&j.quantiles[Metric::Response], 0.99));
    let allowed = (0.05 * response).max(1e-3);
    let late_text = format!(
        "requests were taken up late: p99 {} after they were due",
        rooflens_ground::units::si(late, "s")
    );
    if case.open && late > allowed {
        found(
            Verdict::ClientLimited,
            format!(
                "{late_text}, more than {} is allowed (1 ms or 5 % of the response time)",
                rooflens_ground::units::si(allowed, "s")
            ),
        );
    }
    let sent: u64 = case.record.intervals.iter().map(|i| i.due).sum();
    if let Some(row) = case.record.faults.get(&Fault::Late) {
        found(
            Verdict::ClientLimited,
            format!(
                "the client was further behind than the time-out: {} of {sent} requests of the run were \
                 given up unsent; lower the load, or share it between machines (--stripe)",
                row.count
            ),
        );
    }
    senders(case, sent, j, found);
    match (case.quota_stops, case.health) {
        (0, _) => {}
        (stops, []) => {
            j.notes.push(format!("the process was stopped {stops} times for its CPU quota"));
        }
        (stops, _) => found(
            Verdict::ClientLimited,
            format!("the client's control group was stopped {stops} times for its CPU quota"),
        ),
    }
    if case.stolen > 0.01 {
        j.notes.push(format!(
            "the hypervisor took {:.1} % of the processor time",
            100.0 * case.stolen
        ));
    }
}

/// Whether the sender threads had the processors they needed, for `sent` requests of the run.
fn senders(case: &Case<'_>, sent: u64, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let mean = j.sum.durations[Metric::Response].mean() * 1e-9;
    for (i, h) in case.health.iter().enumerate().filter(|(_, h)| h.wall > 0.0) {
        let (busy, waited) = (h.cpu / h.wall, h.waited / h.wall);
        if busy > 0.85 {
            found(
                Verdict::ClientLimited,
                format!("sender {i} used {:.0} % of its core", 100.0 * busy),
            );
        }
        let each = h.waited * case.health.len() as f64 / (sent as f64).max(1.0);
        let note = format!(
            "sender {i} waited for a processor {:.1} % of the time, {} a request",
            100.0 * waited,
            rooflens_ground::units::si(each, "s")
        );
        if waited > 0.02 && each > 0.05 * mean && mean > 0.0 {
            found(Verdict::ClientLimited, note);
        } else if waited > 0.02 {
            j.notes.push(note);
        }
    }
}

/// `p99` of 0.99, `p99.9` of 0.999.
pub fn name(q: f64) -> String {
    let percent = (q * 1e6).round() / 1e4;
    format!("p{percent}")
}

/// Whether two quantiles are the same one.
pub fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::arrival::{Arrival, Stripe};
    use crate::metric::Sample;
    use std::time::Duration;

    /// A queue with one server of a constant service time, in virtual time: the truth is known.
    pub(in crate::load) fn queue(
        rate: f64,
        service: u64,
        seconds: f64,
        longest: f64,
        seed: u64,
    ) -> Record {
        queue_of(rate, |_| service, seconds, longest, seed)
    }

    /// As [`queue`], with the service time of a request that is due at a nanosecond of the run.
    fn queue_of(
        rate: f64,
        service: impl Fn(u64) -> u64,
        seconds: f64,
        longest: f64,
        seed: u64,
    ) -> Record {
        let duration = Duration::from_secs_f64(seconds);
        let mut record = Record::new(Duration::from_secs_f64(longest));
        let mut free = 0;
        let mut waiting: std::collections::VecDeque<Sample> = std::collections::VecDeque::new();
        for due in Arrival::Poisson(rate).schedule(seed, duration, Stripe::WHOLE) {
            while waiting.front().is_some_and(|s| s.ended <= due.at) {
                let sample = waiting.pop_front().unwrap();
                record.ended(sample.ended, sample, None);
            }
            record.began(due.at);
            free = free.max(due.at) + service(due.at);
            waiting.push_back(Sample { due: due.at, began: due.at, sent: due.at, ended: free });
        }
        for sample in waiting {
            record.ended(sample.ended, sample, None);
        }
        record
    }

    pub(in crate::load) fn case(record: &Record, seconds: f64) -> Case<'_> {
        Case {
            record,
            seconds,
            open: true,
            level: true,
            headline: 0.99,
            warm_up: None,
            health: &[],
            stolen: 0.0,
            quota_stops: 0,
            throttled: None,
            unit: "requests",
        }
    }

    #[test]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn a_drift_is_told_and_a_large_one_is_the_verdict() {
        // Service times that grow by a share over the run: the median response time grows with them.
        let grown = |share: f64| {
            let service = move |due: u64| 1_000_000 + (share * due as f64 / 40e9 * 1e6) as u64;
            let record = queue_of(200.0, service, 40.0, 40.0, 1);
            judge(&case(&record, 40.0))
        };
        let (none, small, large) = (grown(0.0), grown(0.06), grown(0.25));
        assert_eq!((none.verdict, none.notes), (Verdict::Valid, vec![]));
        assert_eq!(small.verdict, Verdict::Valid, "{:?}", small.findings);
        assert!(small.notes[0].contains("rises by 6 %"), "{:?}", small.notes);
        assert_eq!(large.verdict, Verdict::NotStationary);
        assert!(large.findings[0].evidence.contains("rises by 2"), "{:?}", large.findings);
    }

    /// Distribution of the waiting time in M/D/1, in service times: Erlang 1909.
    fn waits_at_most(t: f64, load: f64) -> f64 {
        let (mut sum, mut factorial, mut k) = (0.0, 1.0, 0.0);
        while k <= t {
            let x = load * (t - k);
            sum += (-x).powf(k) / factorial * x.exp();
            k += 1.0;
            factorial *= k;
        }
        (1.0 - load) * sum
    }

    /// Response time quantile of M/D/1 in service times.
    pub(in crate::load) fn true_quantile(q: f64, load: f64) -> f64 {
        let (mut low, mut high) = (0.0, 60.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if waits_at_most(middle, load) < q { low = middle } else { high = middle }
        }
        1.0 + low
    }

    #[test]
    fn intervals_cover_the_truth_of_a_queue() {
        // 1 ms of service: loads of 0.5 and 0.8. Nominal 95 %; the rule is known to promise a
        // little too much, and 85 of 100 is what must hold.
        for (load, seconds) in [(0.5, 40.0), (0.8, 80.0)] {
            let truth = true_quantile(0.99, load) * 1e6;
            let (mut covered, mut valid) = (0, 0);
            for seed in 0..100 {
                let record = queue(load * 1000.0, 1_000_000, seconds, seconds, seed);
                let j = judge(&case(&record, seconds));
                let p99 = j.quantiles[Metric::Response].iter().find(|p| same(p.q, 0.99)).unwrap();
                let (low, high) = p99.interval.unwrap();
                covered += u32::from(low as f64 <= truth && truth <= high.unwrap() as f64);
                valid += u32::from(j.verdict == Verdict::Valid);
                assert!(j.little < 0.02, "{}", j.little);
                assert!(
                    !j.findings.iter().any(|f| f.verdict == Verdict::Overloaded),
                    "{:?}",
                    j.findings
                );
            }
            assert!(covered >= 85, "{covered} of 100 at load {load}");
            // A one per cent test and a five per cent test, on what is one queue of many.
            assert!(valid >= 80, "{valid} of 100 at load {load}");
        }
    }

    #[test]
    fn more_than_can_be_served_is_overload() {
        for seed in 0..20 {
            let record = queue(1050.0, 1_000_000, 30.0, 30.0, seed);
            let j = judge(&case(&record, 30.0));
            assert_eq!(j.verdict, Verdict::Overloaded, "{:?}", j.findings);
            assert!((30.0..70.0).contains(&j.growth), "{}", j.growth);
        }
    }

    #[test]
    fn a_request_beyond_the_end_of_a_quiet_run_is_no_fault_of_the_client() {
        // One of 10,000 each 100 µs takes 4 ms and not 10 µs; the last, which ends beyond the run, or one before.
        for slow in [9_999, 9_000] {
            let (mut record, mut now) = (Record::new(Duration::from_secs(1)), 0);
            for i in 0..10_000u64 {
                now = now.max(i * 100_000);
                let ended = now + if i == slow { 4_000_000 } else { 10_000 };
                record.began(now);
                record.ended(ended, Sample { due: now, began: now, sent: now, ended }, None);
                now = ended;
            }
            let j = judge(&Case { open: false, ..case(&record, 1.0) });
            assert!(j.in_flight > 0.09 && j.little < 0.05, "{}, {}", j.in_flight, j.little);
            assert_ne!(j.verdict, Verdict::ClientLimited, "{:?}", j.findings);
        }
    }

    #[test]
    fn a_closed_loop_counts_a_request_by_its_share_in_the_window() {
        // One that takes 3 s after the other, for 10 s: the last begins after 9 s and ends after 12 s.
        let mut record = Record::new(Duration::from_secs(10));
        for i in 0..4 {
            let (due, ended) = (i * 3_000_000_000, (i + 1) * 3_000_000_000);
            record.began(due);
            record.ended(ended, Sample { due, began: due, sent: due, ended }, None);
        }
        let rates = |open, warm_up| {
            let j = judge(&Case { open, warm_up: Some(warm_up), ..case(&record, 10.0) });
            (j.sum.good, j.goodput, j.offered)
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-9;
        for (warm_up, good) in [(0.0, 4), (4.0, 2), (8.0, 1)] {
            let (counted, goodput, offered) = rates(false, warm_up);
            assert!(counted == good && close(goodput, 1.0 / 3.0) && close(offered, goodput));
        }
        assert!(close(rates(true, 0.0).1, 0.4));
        // None was due in the last half second: nothing is known.
        assert!(close(rates(false, 9.5).1, 0.0));
    }

    #[test]
    fn a_late_client_is_named_before_all_else() {
        let mut record = Record::new(Duration::from_secs(10));
        for i in 0..10_000u64 {
            let due = i * 1_000_000;
            let late = due + if i % 20 == 0 { 5_000_000 } else { 0 };
            record.began(late);
            let sample = Sample { due, began: late, sent: late, ended: late + 300_000 };
            record.ended(late + 300_000, sample, None);
        }
        let j = judge(&case(&record, 10.0));
        assert_eq!(j.verdict, Verdict::ClientLimited);
        assert!(j.findings[0].evidence.contains("taken up late"), "{:?}", j.findings);
    }

    #[test]
    fn a_client_further_behind_than_its_time_out_is_named() {
        let mut record = Record::new(Duration::from_secs(10));
        for i in 0..10_000u64 {
            let due = i * 1_000_000;
            // For one request of a thousand the client comes two seconds late: too few for the p99.
            if i % 1000 == 999 {
                record.unsent(due, due + 2_000_000_000, Fault::Late);
                continue;
            }
            record.began(due);
            let sample = Sample { due, began: due, sent: due, ended: due + 300_000 };
            record.ended(due + 300_000, sample, None);
        }
        let j = judge(&case(&record, 10.0));
        assert_eq!(j.verdict, Verdict::ClientLimited);
        assert!(j.findings[0].evidence.contains("10 of 10000 requests"), "{:?}", j.findings);
        assert_eq!((j.sum.lost, j.sum.lost_to_load), (10, 0));
        record.faults.clear();
        let j = judge(&case(&record, 10.0));
        assert_ne!(j.verdict, Verdict::ClientLimited, "{:?}", j.findings);
    }

    #[test]
    fn too_few_and_none() {
        let record = queue(50.0, 1_000_000, 4.0, 4.0, 1);
        assert_eq!(judge(&case(&record, 4.0)).verdict, Verdict::TooFewSamples);
        let empty = Record::new(Duration::from_secs(1));
        let j = judge(&case(&empty, 1.0));
        assert_eq!(j.verdict, Verdict::TooFewSamples);
        assert!(j.findings[0].evidence.contains("none of 0"));
    }

    #[test]
    fn a_stall_shows_in_the_percentile() {
        // 60 requests a second for 60 s, 5 ms each; nothing is answered from 20 s to 23 s.
        let mut record = Record::new(Duration::from_mins(1));
        for due in Arrival::Steady(60.0).schedule(1, Duration::from_mins(1), Stripe::WHOLE) {
            let at = due.at;
            let stalled = (20_000_000_000..23_000_000_000).contains(&at);
            let ended = if stalled { 23_000_000_000 } else { at } + 5_000_000;
            record.count_for_test(Sample { due: at, began: at, sent: at, ended });
        }
        let j = judge(&case(&record, 60.0));
        let p99 =
            j.quantiles[Metric::Response].iter().find(|p| same(p.q, 0.99)).unwrap().value.unwrap()
                as f64;
        // 1 % of 3600 requests is 36: the 36th longest of those due in the stall waited 2.4 s.
        assert!((p99 * 1e-9 - 2.405).abs() < 0.05 * 2.405, "{p99}");
    }
}
