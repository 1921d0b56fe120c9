//! Whether the client moved the result: by coming late, or by waiting for a processor.
//!
//! Times count from the schedule, so that a late client makes them longer and hides nothing. What it adds to the
//! percentile that is reported is measured, and only where that is much of it is the result the client's own.

use super::{Case, Judgement, same};
use crate::metric::Metric;
use crate::record::Fault;
use crate::schema::{Verdict, percentile};
use rooflens_ground::units::si;

/// A client that moves the result by more than this share of it: the share by which a drift or a growing queue
/// counts too.
const SHARE: f64 = 0.10;
/// Less than this is what waking up takes on any machine, seconds.
const LEAST: f64 = 1e-3;
/// An effect from this share on is noted.
const SEEN: f64 = 0.02;
/// A sender that uses more of its core than this is full.
pub(in crate::load) const FULL: f64 = 0.85;
/// Stops for a CPU quota, as a share of the run, that are noted only.
const STOPPED: f64 = 0.01;

/// Finds what the client itself did to the numbers.
pub(super) fn client(case: &Case<'_>, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    lateness(case, j, found);
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
    quota(case, j, found);
    if let Some(stolen) = case.stolen.filter(|share| *share > 0.01) {
        let share = 100.0 * stolen;
        j.notes.push(format!("the hypervisor took {share:.1} % of the processor time"));
    }
}

/// What lateness adds to the headline percentile, of successful requests: those that failed are infinitely slow
/// with and without it.
fn lateness(case: &Case<'_>, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let of = |metric| j.sum.durations[metric].quantile(case.headline, 0);
    let seconds = |metric| of(metric).map_or(0.0, |v| v as f64 * 1e-9);
    let response = seconds(Metric::Response);
    j.late = (response - seconds(Metric::Undelayed)).max(0.0);
    let late = j.quantiles[Metric::Lateness].iter().find(|p| same(p.q, case.headline));
    let late = late.and_then(|p| p.value).map_or(0.0, |v| v as f64 * 1e-9);
    let name = percentile(case.headline);
    let text = |rest: &str| {
        format!(
            "client lag: {name} {} behind schedule, which adds {} to the {name} response time of {}{rest}",
            si(late, "s"),
            si(j.late, "s"),
            si(response, "s"),
        )
    };
    if case.open && j.late > (SHARE * response).max(LEAST) {
        let limit = format!(", more than 1 ms and {:.0} %", 100.0 * SHARE);
        found(Verdict::ClientLimited, text(&limit));
    } else if case.open && j.late > SEEN * response {
        let note = text("");
        j.notes.push(note);
    }
}

/// Whether the sender threads had the processors they needed, for `sent` requests of the run.
fn senders(case: &Case<'_>, sent: u64, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let mean = j.sum.durations[Metric::Response].mean() * 1e-9;
    let least = if case.open { LEAST } else { 0.0 };
    for (i, h) in case.health.iter().enumerate().filter(|(_, h)| h.wall > 0.0) {
        let (busy, waited) = (h.cpu / h.wall, h.waited / h.wall);
        if busy > FULL {
            found(
                Verdict::ClientLimited,
                format!("sender {i} used {:.0} % of its core", 100.0 * busy),
            );
        }
        let each = h.waited * case.health.len() as f64 / (sent as f64).max(1.0);
        let note = format!(
            "sender {i} waited for a processor {:.1} % of the time, {} per request",
            100.0 * waited,
            si(each, "s")
        );
        // Where the target says when it ended, a sender that waits only comes late, and that is measured above.
        let moves = !(case.open && case.own_clock);
        if moves && waited > 0.02 && each > (SHARE * mean).max(least) && mean > 0.0 {
            found(Verdict::ClientLimited, note);
        } else if waited > 0.02 {
            j.notes.push(note);
        }
    }
}

/// Whether a CPU quota stopped the client for long.
fn quota(case: &Case<'_>, j: &mut Judgement, found: &mut impl FnMut(Verdict, String)) {
    let Some(stops) = case.quota_stops.filter(|stops| stops.count > 0) else { return };
    let text = format!(
        "the control groups of the client were stopped {} times for their CPU quota, {} in all",
        stops.count,
        si(stops.seconds, "s")
    );
    // Threads that run the inferences themselves are stopped with what they measure, as a server would be.
    let own = !case.health.is_empty();
    if own && (stops.seconds > STOPPED * case.seconds || stops.seconds <= 0.0) {
        found(Verdict::ClientLimited, text);
    } else {
        j.notes.push(text);
    }
}
