//! What is read beside the load of a run.

use super::{Observer, StudyError, Switch};
use crate::drive::Outcome;
use crate::measurement::Beside;
use crate::meter::carbon::Grid;
use crate::meter::{self, Amount, Asked, Log, Session, Setup};
use crate::schema::{MeasurementFile, MeterUnit, WindowPart};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

/// Meters, ready to be read.
#[derive(Clone, Debug)]
pub struct Meters {
    /// What is read, and how often.
    pub setup: Setup,
    /// Where the electricity comes from; carbon is not reported where omitted.
    pub grid: Option<Grid>,
    /// Power without load by source, W, with the server ready; [`Meters::rest`] measures it.
    pub idle: Vec<(String, Amount)>,
    /// Stages whose number of workers is known, by name.
    pub servers: Vec<(String, u64)>,
}

/// The note on a run whose meter thread ended before the run did.
const LOST: &str = "meters: the thread that reads them ended early; no readings, no energy, \
    and throttling would not have been noticed";

impl Meters {
    /// Starts reading.
    pub(super) fn start(&self) -> Result<Session, StudyError> {
        Session::start(&self.setup).map_err(StudyError::Meters)
    }

    /// Measures the power without load for `time`, where there is a source of energy.
    pub fn rest(
        &mut self,
        time: Duration,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        let glance = self.start()?.finish();
        if !glance.is_some_and(|log| log.has_energy()) || time.is_zero() {
            return Ok(());
        }
        observer.begin("measuring idle power");
        let (session, begin) = (self.start()?, Instant::now());
        while begin.elapsed() < time && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20));
            observer.progress(begin.elapsed().as_secs_f64() / time.as_secs_f64());
        }
        self.idle = session.finish().map_or(Vec::new(), |log| log.watts());
        observer.end();
        Ok(())
    }

    /// Evidence that a device lowered its clocks while requests were scheduled.
    pub(super) fn throttled(log: &Log, outcome: &Outcome) -> Option<String> {
        log.throttled(&log.window(outcome.started, 0.0, outcome.seconds))
    }

    /// What was read in the window of a run that began at `started`, one of `stripes`, with requests of `batch`
    /// inferences.
    pub(super) fn read(
        &self,
        log: &Log,
        started: SystemTime,
        stripes: u64,
        batch: i64,
        w: &WindowPart,
    ) -> Beside {
        let window = log.window(started, w.from_seconds, w.seconds);
        let asked = Asked {
            inferences: w.good as f64 * batch as f64,
            idle: self.idle.clone(),
            grid: self.grid.clone(),
            shared: stripes > 1,
        };
        let mut meters = log.readings(&window);
        meters.extend(meter::energy(log, &window, &asked));
        let reported = log.reported(&window);
        let silent = reported.silent.iter();
        meters.extend(silent.map(|(page, why)| {
            meter::unmeasured("server metrics", MeterUnit::None, &format!("{page}: {why}"))
        }));
        let servers = self.servers.clone();
        Beside { meters, stages: reported.stages, scrapes: reported.scrapes, servers }
    }

    /// Notes what was not read: everything where there is no log, and stages that the server does not report.
    pub(super) fn note(&self, log: Option<&Log>, file: &mut MeasurementFile) {
        if log.is_none() {
            file.verdict.notes.push(LOST.into());
            return;
        }
        for (stage, n) in &self.servers {
            if !file.stages.iter().any(|s| s.name == *stage) {
                let note = format!("--stage-servers {stage}={n}: the server reports no such stage");
                file.verdict.notes.push(note);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrival::Stripe;
    use crate::measurement::tests::run;

    #[test]
    fn meters_that_ended_early_leave_a_note() {
        let meters =
            Meters { setup: Setup::default(), grid: None, idle: Vec::new(), servers: Vec::new() };
        let mut file = run(Stripe::WHOLE).file;
        let noted = |file: &MeasurementFile| {
            file.verdict
                .notes
                .iter()
                .any(|n| n.starts_with("meters: ") && n.contains("ended early"))
        };
        let log = meters.start().unwrap().finish();
        meters.note(log.as_ref(), &mut file);
        assert!(log.is_some() && !noted(&file), "{:?}", file.verdict);
        meters.note(None, &mut file);
        assert!(noted(&file), "{:?}", file.verdict);
    }
}
