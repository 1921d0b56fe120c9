//! A runtime in this process, run by the sender threads themselves: between the two readings of the clock that an
//! inference takes there is nothing but the inference, and between two inferences only their counting.

use super::{NAP, Sender, SenderPlan};
use crate::probe::Target;
use crate::probe::arrival::nanoseconds;
use crate::probe::metric::Sample;
use crate::probe::record::Fault;
use std::time::{Duration, Instant};

/// After a failure, so that a runtime that fails at once is not asked a million times.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

impl SenderPlan<'_> {
    /// Runs one inference after the other until the time is over or the run is stopped.
    pub(super) fn inline(&self, sender: &Sender, runtime: &dyn Target) {
        let (end, pause) = (nanoseconds(self.plan.duration), nanoseconds(NAP));
        std::thread::sleep(self.start.saturating_duration_since(Instant::now()));
        let (mut now, mut shown) = (sender.now(), 0);
        while now < end && !self.stopped() {
            let good = sender.infer(runtime, now);
            if !good {
                std::thread::sleep(AFTER_FAILURE);
            }
            now = sender.now();
            if now - shown > pause {
                self.publish(sender);
                shown = now;
            }
        }
    }
}

impl Sender {
    /// Runs one inference that begins at `began` and counts it; says whether it was successful in time.
    fn infer(&self, runtime: &dyn Target, began: u64) -> bool {
        self.record.borrow_mut().began(began);
        let outcome = runtime.infer();
        let ended = self.now();
        let fault = match outcome {
            Err(error) => Some((Fault::Runtime, error.to_string())),
            Ok(()) if ended.saturating_sub(began) > nanoseconds(self.timeout) => {
                Some((Fault::Timeout, format!("it took longer than {:?}", self.timeout)))
            }
            Ok(()) => None,
        };
        if fault.is_none() {
            self.record.borrow_mut().stage(began, "compute", ended.saturating_sub(began));
        }
        self.count(ended, Sample { due: began, began, sent: began, ended }, fault)
    }
}
