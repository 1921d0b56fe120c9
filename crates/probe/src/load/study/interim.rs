//! What was measured so far, written while a run goes on, so that a crash, a kill or a full disk leaves it.

use crate::drive::{Live, Outcome, Plan};
use crate::measurement::{Aims, Beside, Measured};
use crate::target::Prepared;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Seconds until the first, and between two.
const FIRST: f64 = 5.0;
const EVERY: f64 = 10.0;

/// Writes now and then what a run has counted.
pub(super) struct Interim<'a> {
    folder: &'a Path,
    plan: &'a Plan,
    target: &'a Prepared,
    aims: &'a Aims,
    first_answer: Option<Duration>,
    /// Seconds of the run at which the next is written.
    next: f64,
    asked: bool,
}

impl<'a> Interim<'a> {
    pub(super) fn new(
        folder: &'a Path,
        plan: &'a Plan,
        target: &'a Prepared,
        aims: &'a Aims,
        first_answer: Option<Duration>,
    ) -> Self {
        Self { folder, plan, target, aims, first_answer, next: FIRST, asked: false }
    }

    /// Whether the senders were asked and have not all answered.
    pub(super) fn waits(&self) -> bool {
        self.asked
    }

    /// Asks when it is time, and writes when there is an answer.
    pub(super) fn tick(&mut self, senders: usize, live: &Live) {
        let Some(started) = live.started() else { return };
        let seconds = SystemTime::now().duration_since(started).unwrap_or_default().as_secs_f64();
        if !self.asked {
            if seconds >= self.next {
                live.ask();
                self.asked = true;
            }
            return;
        }
        let Some(mut record) = live.answered(senders) else { return };
        self.asked = false;
        self.next = seconds + EVERY;
        let seconds = seconds.min(self.plan.duration.as_secs_f64());
        record.reach(crate::arrival::nanoseconds(Duration::from_secs_f64(seconds)));
        let outcome = Outcome {
            record,
            health: Vec::new(),
            stolen: None,
            quota_stops: None,
            others: None,
            processors: 1,
            started,
            seconds,
            stopped: true,
            enough: false,
        };
        let beside = |_: &_| Beside::default();
        let mut measured =
            Measured::new(self.plan, self.target, outcome, self.aims, self.first_answer, beside);
        let note =
            "written while the run went on: what the senders had counted by then, without meters";
        measured.file.verdict.notes.push(note.into());
        // A disk that is full now may not be at the end.
        let _ = measured.save_interim(self.folder);
    }
}
