//! Merging through files, against a run in one piece.

use super::*;
use crate::arrival::{Arrival, Stripe};
use crate::metric::Sample;

/// A run of `stripe` against a server whose time depends on the request's number alone.
pub(in crate::load) fn run(stripe: Stripe) -> Measured {
    run_from(stripe, None)
}

/// The same with so many seconds cut at the start.
fn run_from(stripe: Stripe, warm_up: Option<f64>) -> Measured {
    run_with(stripe, warm_up, None)
}

/// The same on a device that lowered its clocks, where `throttled` holds the evidence.
fn run_with(stripe: Stripe, warm_up: Option<f64>, throttled: Option<String>) -> Measured {
    let plan = Plan {
        requests: None,
        load: arrival::Load::Open(Arrival::Poisson(500.0)),
        seed: 3,
        duration: Duration::from_secs(10),
        stripe,
        senders: 1,
        timeout: Duration::from_secs(1),
        limits: Vec::new(),
        max_in_flight: 10,
        start_at: None,
        met: None,
    };
    let mut record = Record::new(plan.duration);
    let arrival::Load::Open(arrival) = &plan.load else { unreachable!() };
    // What happens when: `None` is a beginning.
    let mut events = Vec::new();
    for due in arrival.schedule(plan.seed, plan.duration, stripe) {
        record.fingerprint.add(due);
        let (began, took) = (due.at + due.number % 977, 1_000_000 + due.number * 7919 % 500_009);
        let sample = Sample { due: due.at, began, sent: began + 50, ended: began + took };
        let fault = (due.number % 500 == 7).then(|| (Fault::Http(500), "no".to_owned()));
        events.push((began, None));
        events.push((sample.ended, Some((sample, fault))));
        record.stage(due.at, ["pre", "infer"][usize::from(due.at > 5_000_000_000)], took / 3);
    }
    events.sort_by_key(|(at, _)| *at);
    for (at, event) in events {
        match event {
            None => record.began(at),
            Some((sample, fault)) => record.ended(at, sample, fault),
        }
    }
    let health = vec![Health { wall: 10.0, cpu: 1.0, waited: 0.0 }];
    let outcome = Outcome {
        record,
        health,
        stolen: Some(0.0),
        quota_stops: Some(QuotaStops::default()),
        others: Some(0.5),
        processors: 2,
        started: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
        seconds: 10.0,
        stopped: false,
        enough: false,
    };
    let aims = Aims { headline: 0.99, slo: Vec::new(), warm_up, throttled };
    let target = Prepared::for_test();
    Measured::new(&plan, &target, outcome, &aims, None, |_| Beside::default())
}

#[test]
fn stripes_through_files_are_the_whole_bit_for_bit() {
    let whole = run(Stripe::WHOLE);
    let folder = tempfile::tempdir().unwrap();
    let parts = (0..3).map(|index| {
        let path = folder.path().join(index.to_string());
        std::fs::create_dir(&path).unwrap();
        run(Stripe { index, of: 3 }).save(&path).unwrap();
        Measured::load(&path).unwrap()
    });
    let merged = Measured::merge(&parts.collect::<Vec<_>>()).unwrap();
    assert_eq!(merged.record.intervals, whole.record.intervals);
    assert_eq!(merged.record.faults, whole.record.faults);
    let (a, b) = (&merged.file, &whole.file);
    assert_eq!((&a.window, &a.response, &a.service), (&b.window, &b.response, &b.service));
    assert_eq!((&a.stages, &a.intervals), (&b.stages, &b.intervals));
    assert_eq!(a.run.schedule_fingerprint, b.run.schedule_fingerprint);
    let log = |m: &Measured| hlog::write(&m.record, m.started).unwrap();
    assert_eq!(log(&merged), log(&whole));
}

#[test]
fn stages_are_of_the_window_that_durations_are_of() {
    let all = run(Stripe::WHOLE).file;
    let names = |f: &MeasurementFile| f.stages.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&all), ["infer", "pre"]);
    // After five seconds no request tells of `pre`; each takes three times as long as its `infer`.
    let late = run_from(Stripe::WHOLE, Some(6.0)).file;
    assert_eq!(names(&late), ["infer"]);
    let infer = &late.stages[0];
    assert_eq!((infer.count, late.window.from_seconds), (late.window.due, 6.0));
    assert!((3.0 * infer.mean_seconds / late.service.mean_seconds - 1.0).abs() < 0.01);
    // It is a third of each stay, so a third of what is in flight is in it.
    let busy = late.window.in_flight_mean / 3.0;
    assert!((infer.busy_share / busy - 1.0).abs() < 1e-6, "{infer:?} {busy}");
    // Files that do not say when their stages were cannot be judged again.
    let folder = tempfile::tempdir().unwrap();
    let mut old = run(Stripe::WHOLE);
    old.file.intervals.stages.clear();
    old.save(folder.path()).unwrap();
    assert!(Measured::load(folder.path()).is_err());
}

#[test]
fn what_a_stripe_notes_is_noted_of_the_whole_once() {
    let stripe = |index| Stripe { index, of: 3 };
    let mut parts = [run(stripe(0)), run(stripe(1))];
    parts[1].file.verdict.notes.push("the meters were lost".into());
    let merged = Measured::merge(&parts).unwrap();
    let notes = &merged.file.verdict.notes;
    assert!(notes.contains(&"stripe 1: the meters were lost".into()), "{notes:?}");
    let again = Measured::merge(&[merged.clone(), run(stripe(2))]).unwrap();
    let lost = again.file.verdict.notes.iter().filter(|n| n.contains("the meters were lost"));
    assert_eq!(lost.count(), 1, "{:?}", again.file.verdict.notes);
    let missing = |m: &Measured| m.file.verdict.notes.iter().any(|n| n.contains("are missing"));
    assert!(missing(&merged) && !missing(&again), "{:?}", again.file.verdict.notes);
}

#[test]
fn a_file_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILES[0]);
    std::fs::File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
    let error = Measured::load(folder.path()).unwrap_err().to_string();
    assert!(error.ends_with("measurement.json`: it is larger than 1 GiB"), "{error}");
}

#[test]
fn a_throttled_stripe_makes_the_whole_throttled() {
    let stripe = |index| Stripe { index, of: 2 };
    let slow = run_with(stripe(1), None, Some("GPU 0 slowed for 3.0 s".into()));
    let merged = Measured::merge(&[run(stripe(0)), slow]).unwrap();
    let found = |f: &FindingPart| {
        f.verdict == Verdict::Throttled && f.evidence.starts_with("stripe 1: GPU 0")
    };
    assert!(merged.file.verdict.findings.iter().any(found), "{:?}", merged.file.verdict);
    assert_ne!(merged.file.verdict.verdict, Verdict::Valid);
}
