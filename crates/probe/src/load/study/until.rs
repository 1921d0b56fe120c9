//! A run that may end once its percentile is known.

use crate::drive::{Live, Plan};
use crate::enough::Enough;
use crate::measurement::{Aims, Measured, kind};
use crate::record::Record;
use crate::schema::Verdict;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The rule at work beside a run.
pub(super) struct Rule {
    enough: Enough,
    /// Whether requests are scheduled at instants of their own, and whether their rate stays the same.
    kind: (bool, bool),
    aims: Aims,
    asked_at: Option<f64>,
}

impl Rule {
    pub(super) fn new(tolerance: f64, plan: &Plan, aims: &Aims) -> Self {
        let step = Duration::from_nanos(Record::new(plan.span()).step);
        Self {
            enough: Enough::new(tolerance, step),
            kind: kind(plan),
            aims: aims.clone(),
            asked_at: None,
        }
    }

    /// Whether the senders were asked and have not all answered.
    pub(super) fn waits(&self) -> bool {
        self.asked_at.is_some()
    }

    /// Asks when it is time, looks when there is an answer, and ends the run when that is enough.
    pub(super) fn tick(&mut self, elapsed: f64, senders: usize, live: &Live) {
        let Some(seconds) = self.asked_at else {
            if elapsed >= self.enough.next() {
                live.ask();
                self.asked_at = Some(elapsed);
            }
            return;
        };
        let Some(record) = live.answered(senders) else { return };
        self.asked_at = None;
        let case = self.aims.case(&record, seconds, self.kind);
        if self.enough.look(&case) {
            live.enough.store(true, Ordering::Relaxed);
        }
    }

    /// Says in the file how the run ended, unless it was interrupted: that the percentile is not known as closely as
    /// was asked for is a finding. The end of the run is a look too.
    pub(super) fn conclude(&mut self, measured: &mut Measured) {
        let Measured { file, record, .. } = measured;
        if file.run.stopped {
            return;
        }
        if !self.enough.reached() {
            self.enough.look(&self.aims.case(record, file.run.seconds, self.kind));
        }
        let shortfall = self.enough.shortfall(self.aims.headline, file.run.seconds);
        if self.enough.reached() {
            file.verdict.notes.push(shortfall);
        } else {
            file.verdict.add(Verdict::TooFewSamples, shortfall);
        }
    }
}
