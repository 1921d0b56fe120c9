//! Judgements of queues and clients whose truth is known, in virtual time.

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
        stolen: Some(0.0),
        quota_stops: Some(QuotaStops::default()),
        throttled: None,
        own_clock: false,
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
    let evidence: std::collections::BTreeSet<&str> =
        j.findings.iter().map(|f| f.evidence.as_str()).collect();
    assert_eq!(evidence.len(), j.findings.len(), "each is said once: {:?}", j.findings);
    assert_eq!(j.verdict, Verdict::ClientLimited);
    assert!(j.findings[0].evidence.contains("client lag: "), "{:?}", j.findings);
    assert!((j.late - 5e-3).abs() < 1e-4, "{}", j.late);
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
    let p99 = j.quantiles[Metric::Response].iter().find(|p| same(p.q, 0.99)).unwrap().value.unwrap()
        as f64;
    // 1 % of 3600 requests is 36: the 36th longest of those due in the stall waited 2.4 s.
    assert!((p99 * 1e-9 - 2.405).abs() < 0.05 * 2.405, "{p99}");
}

/// A client that comes 5 ms late for every 20th request of 10,000, of which every third ends with a fault.
fn late_with(fault: &Fault) -> Judgement {
    let mut record = Record::new(Duration::from_secs(10));
    for i in 0..10_000u64 {
        let due = i * 1_000_000;
        let late = due + if i % 20 == 0 { 5_000_000 } else { 0 };
        record.began(late);
        let sample = Sample { due, began: late, sent: late, ended: late + 300_000 };
        let failed = (i % 3 == 0).then(|| (fault.clone(), "trouble".to_owned()));
        record.ended(late + 300_000, sample, failed);
    }
    judge(&case(&record, 10.0))
}

#[test]
fn failures_are_worth_more_than_a_late_client_unless_it_may_have_caused_them() {
    let found = |j: &Judgement, verdict| j.findings.iter().any(|f| f.verdict == verdict);
    let j = late_with(&Fault::Http(500));
    assert_eq!(j.verdict, Verdict::Failing, "{:?}", j.findings);
    assert!(found(&j, Verdict::ClientLimited), "{:?}", j.findings);
    assert!(j.findings[0].evidence.contains("most of them by http-500"), "{:?}", j.findings);
    let j = late_with(&Fault::Timeout);
    assert_eq!(j.verdict, Verdict::ClientLimited, "{:?}", j.findings);
    assert!(!found(&j, Verdict::Failing), "{:?}", j.findings);
}

#[test]
fn a_sender_that_waits_moves_nothing_where_the_target_says_when_it_ended() {
    let mut record = Record::new(Duration::from_secs(10));
    for i in 0..10_000u64 {
        let due = i * 1_000_000;
        record.began(due);
        let sample = Sample { due, began: due, sent: due, ended: due + 900_000 };
        record.ended(due + 900_000, sample, None);
    }
    let health = [Health { wall: 10.0, cpu: 1.0, waited: 15.0 }];
    for (own_clock, open, limited) in
        [(false, true, true), (true, true, false), (true, false, true)]
    {
        let j = judge(&Case { own_clock, open, health: &health, ..case(&record, 10.0) });
        let found = j.findings.iter().any(|f| f.verdict == Verdict::ClientLimited);
        assert_eq!(found, limited, "{own_clock} {open}: {:?}", j.findings);
        assert!(limited || j.notes.iter().any(|n| n.contains("waited for a processor")));
    }
}
