//! A runtime in this process, run by the sender threads themselves: between the two readings of the clock that an
//! inference takes there is nothing but the inference, and between two inferences only their counting.

use super::{NAP, Sender, SenderPlan};
use crate::Target;
use crate::arrival::nanoseconds;
use crate::metric::{Pieces, Sample};
use crate::record::Fault;
use std::time::{Duration, Instant};

/// After a failure, so that a runtime that fails at once is not asked a million times.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

impl SenderPlan<'_> {
    /// Runs one inference after the other until the time is over or the run is stopped.
    pub(super) fn inline(&self, sender: &Sender, runtime: &dyn Target) {
        let (end, pause) = (nanoseconds(self.plan.duration), nanoseconds(NAP));
        std::thread::sleep(self.start.saturating_duration_since(Instant::now()));
        let (mut now, mut shown) = (sender.now(), 0);
        while now < end && !self.stopped() && sender.take_one().is_some() {
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
        let sample = Sample { due: began, began, sent: began, ended };
        self.count(ended, sample, &Pieces::default(), fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProbeError;
    use crate::drive::{Live, Plan, drive};
    use crate::target::Prepared;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// Takes 5 ms.
    struct Slow;

    impl Target for Slow {
        fn infer(&self) -> Result<(), ProbeError> {
            std::thread::sleep(Duration::from_millis(5));
            Ok(())
        }
    }

    #[test]
    fn an_inference_beyond_its_time_out_has_failed() {
        let slow: Arc<dyn Target + Send + Sync> = Arc::new(Slow);
        let target = Prepared::inline("test:", "slow", &slow, 1);
        for (millis, failed) in [(1, true), (2000, false)] {
            let plan = Plan {
                timeout: Duration::from_millis(millis),
                ..Plan::closed(2, Duration::from_millis(60))
            };
            let record =
                drive(&plan, &target, &AtomicBool::new(false), &Live::default()).unwrap().record;
            let sum = record.sum(0..record.intervals.len());
            assert_eq!((sum.good == 0, sum.lost > 0), (failed, failed), "{sum:?}");
            assert_eq!(record.faults.contains_key(&Fault::Timeout), failed);
            assert_eq!(sum.area, sum.stay);
        }
    }
}
