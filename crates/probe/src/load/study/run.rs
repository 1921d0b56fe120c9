//! One run: a load against a target, what is read beside it, and its judgement.

use super::interim::Interim;
use super::meters::Meters;
use super::until::Rule;
use super::{Observer, Recent, StudyError, Switch};
use crate::drive::{Live, Outcome, Plan, drive};
use crate::measurement::{Aims, Beside, Measured};
use crate::target::Prepared;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// What runs against one target have in common.
#[derive(Clone)]
pub struct Run<'a> {
    /// The target.
    pub prepared: &'a Prepared,
    /// What the runs are judged by.
    pub aims: Aims,
    /// End a run once its headline percentile is known to ± this share.
    pub until: Option<f64>,
    /// What is read beside the load; nothing where omitted.
    pub meters: Option<&'a Meters>,
    /// Time of the first request, before the load.
    pub first_answer: Option<Duration>,
    /// The folder for what was measured so far, written while a run goes on; it is not written where omitted.
    pub interim: Option<&'a Path>,
}

impl Run<'_> {
    /// Carries out `plan` and judges it; the observer knows it as `label`.
    pub fn measure(
        &self,
        plan: &Plan,
        label: &str,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Measured, StudyError> {
        let session = self.meters.map(Meters::start).transpose()?;
        let mut rule = self.until.map(|tolerance| Rule::new(tolerance, plan, &self.aims));
        let outcome = self.watched(plan, label, stop, observer, rule.as_mut())?;
        let log = session.and_then(crate::meter::Session::finish);
        let throttled = log.as_ref().and_then(|l| Meters::throttled(l, &outcome));
        let aims = Aims { throttled, ..self.aims.clone() };
        let (started, stripes, batch) = (outcome.started, plan.stripe.of, self.prepared.batch);
        let read = |window: &_| match (self.meters, &log) {
            (Some(meters), Some(log)) => meters.read(log, started, stripes, batch, window),
            _ => Beside::default(),
        };
        let mut measured =
            Measured::new(plan, self.prepared, outcome, &aims, self.first_answer, read);
        if let Some(meters) = self.meters {
            meters.note(log.as_ref(), &mut measured.file);
        }
        if let Some(mut rule) = rule {
            rule.conclude(&mut measured);
        }
        Ok(measured)
    }

    /// Carries out `plan` while the observer is told how it goes.
    pub(super) fn watched(
        &self,
        plan: &Plan,
        label: &str,
        stop: &Switch,
        observer: &mut dyn Observer,
        mut rule: Option<&mut Rule>,
    ) -> Result<Outcome, StudyError> {
        let live = Live::default();
        observer.begin(label);
        let outcome = std::thread::scope(|scope| {
            let load = scope.spawn(|| drive(plan, self.prepared, stop, &live));
            let mut watch = Watch::new();
            watch.interim = self.interim.map(|folder| {
                Interim::new(folder, plan, self.prepared, &self.aims, self.first_answer)
            });
            while !load.is_finished() {
                std::thread::sleep(Duration::from_millis(50));
                watch.look(plan, &live, observer, rule.as_deref_mut());
            }
            load.join().unwrap_or_else(|_| Err(std::io::Error::other("its thread panicked")))
        });
        observer.end();
        outcome.map_err(StudyError::Load)
    }
}

/// What a watcher of a run has seen.
struct Watch<'a> {
    begin: Instant,
    last: Instant,
    good: u64,
    interim: Option<Interim<'a>>,
}

impl Watch<'_> {
    fn new() -> Self {
        let now = Instant::now();
        Self { begin: now, last: now, good: 0, interim: None }
    }

    fn look(
        &mut self,
        plan: &Plan,
        live: &Live,
        observer: &mut dyn Observer,
        rule: Option<&mut Rule>,
    ) {
        let elapsed = self.begin.elapsed().as_secs_f64();
        observer.progress(elapsed / plan.duration.as_secs_f64());
        // One question to the senders at a time.
        let senders = plan.senders.max(1);
        let asked = self.interim.as_ref().is_some_and(Interim::waits);
        let mut waits = false;
        if let Some(rule) = rule.filter(|_| !asked) {
            rule.tick(elapsed, senders, live);
            waits = rule.waits();
        }
        if let Some(interim) = self.interim.as_mut().filter(|_| !waits) {
            interim.tick(senders, live);
        }
        let since = self.last.elapsed().as_secs_f64();
        if since < 0.5 {
            return;
        }
        self.last = Instant::now();
        let good = live.good.load(Ordering::Relaxed);
        observer.recent(&Recent {
            per_second: (good - self.good) as f64 / since,
            p99_seconds: live.take().quantile(0.99, 0).map(|v| v as f64 * 1e-9),
            failed: live.lost.load(Ordering::Relaxed),
        });
        self.good = good;
    }
}
