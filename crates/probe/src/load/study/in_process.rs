//! A runtime in this process under closed loops, one after the other: each worker begins its next inference when
//! the last one ends, so that response times are service times without queueing.

use super::{Observer, Run, StudyError, Switch};
use crate::drive::Plan;
use crate::measurement::{Aims, Measured};
use crate::target::Prepared;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// One closed loop.
#[derive(Clone, Copy, Debug)]
pub struct ClosedLoop<'a> {
    /// What the observer knows it as.
    pub label: &'a str,
    /// Threads that each run one inference at a time, at least 1.
    pub workers: usize,
}

/// What is run, in which order, and how long.
pub struct InProcess<'a> {
    /// The runtime, made by [`Prepared::inline`].
    pub prepared: &'a Prepared,
    /// The loops, in their order.
    pub loops: &'a [ClosedLoop<'a>],
    /// Time before each loop in which its workers run and nothing is counted.
    pub warm_up: Duration,
    /// Time that is counted in each loop.
    pub duration: Duration,
    /// Time of the first inference, when the model was loaded.
    pub first_answer: Duration,
}

/// Every worker warms up with about this many inferences, however long they take.
const WARM_UP_COUNT: u64 = 2;
/// A warm-up takes at least this long, so that threads have started within it.
const SHORTEST: Duration = Duration::from_millis(20);

impl InProcess<'_> {
    /// Measures every loop; they are judged by the median, as the few inferences of a short run support no more.
    pub fn measure(
        &self,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Measured>, StudyError> {
        let aims = Aims { headline: 0.5, slo: Vec::new(), warm_up: Some(0.0), throttled: None };
        let first_answer = Some(self.first_answer);
        let run = Run {
            prepared: self.prepared,
            aims,
            until: None,
            meters: None,
            first_answer,
            interim: None,
        };
        let measure = |one: &ClosedLoop<'_>| {
            self.warm_up(&run, one, stop, observer)?;
            run.measure(&Plan::closed(one.workers, self.duration), one.label, stop, observer)
        };
        self.loops.iter().map(measure).collect()
    }

    /// Runs the workers for the time of the warm-up, and on until each had its inferences or one failed.
    fn warm_up(
        &self,
        run: &Run<'_>,
        one: &ClosedLoop<'_>,
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<(), StudyError> {
        let label = format!("{}, warm-up", one.label);
        let plan = Plan::closed(one.workers, self.warm_up.max(SHORTEST));
        let (wanted, mut good) = (WARM_UP_COUNT * one.workers as u64, 0);
        while good < wanted && !stop.load(Ordering::Relaxed) {
            let record = run.watched(&plan, &label, stop, observer, None)?.record;
            good += record.intervals.iter().map(|interval| interval.good).sum::<u64>();
            if !record.faults.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Verdict;
    use crate::{ProbeError, Target};
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    /// Waits for a time; fails where there is none.
    struct Sleeper {
        time: Option<Duration>,
        calls: AtomicU64,
    }

    impl Target for Sleeper {
        fn infer(&self) -> Result<(), ProbeError> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            let time = self.time.ok_or_else(|| ProbeError::Infer("out of order".into()))?;
            let start = std::time::Instant::now();
            // Short times are spent, as sleeping is not that exact.
            if time >= Duration::from_millis(1) {
                std::thread::sleep(time);
            }
            while start.elapsed() < time {}
            Ok(())
        }
    }

    /// The measurement of `workers` workers for `millis`, and all calls that were made for it.
    fn measured(
        time: Option<Duration>,
        workers: usize,
        millis: u64,
        stop: bool,
    ) -> (Measured, u64) {
        let sleeper = Arc::new(Sleeper { time, calls: AtomicU64::new(0) });
        let runtime: Arc<dyn Target + Send + Sync> = sleeper.clone();
        let study = InProcess {
            prepared: &Prepared::inline("test:", "a sleeper", &runtime, 1),
            loops: &[ClosedLoop { label: "loop", workers }],
            warm_up: Duration::from_millis(30),
            duration: Duration::from_millis(millis),
            first_answer: Duration::ZERO,
        };
        let mut all = study.measure(&Switch::new(stop), &mut ()).unwrap();
        (all.remove(0), sleeper.calls.load(Ordering::Relaxed))
    }

    #[test]
    fn response_times_are_never_below_the_service_time() {
        let (m, calls) = measured(Some(Duration::from_millis(4)), 2, 400, false);
        let (w, response) = (&m.file.window, &m.file.response);
        assert!(w.good > 0 && w.lost == 0 && w.good + 4 <= calls, "{w:?}, {calls} calls");
        assert!(response.mean_seconds >= 0.004, "{response:?}");
        assert!(w.in_flight_mean <= 2.0 && w.in_flight_mean / response.mean_seconds <= 500.0);
        assert!(response.percentiles[0].low_seconds.is_some_and(|low| low >= 0.0039));
        assert!(!response.percentiles[3].supported, "{response:?}");
    }

    #[test]
    fn short_calls_are_not_limited_by_the_client() {
        for (micros, workers) in [(0, 1), (20, 1), (200, 2)] {
            let (m, _) = measured(Some(Duration::from_micros(micros)), workers, 300, false);
            let late = m.file.verdict.findings.iter().find(|f| f.verdict == Verdict::ClientLimited);
            assert_eq!(late, None, "{:?}", m.file.verdict);
        }
    }

    #[test]
    fn one_long_call_is_waited_for_and_decides_nothing() {
        let (m, calls) = measured(Some(Duration::from_millis(150)), 1, 100, false);
        let (w, mean) = (&m.file.window, m.file.response.mean_seconds);
        assert_eq!((w.good, calls), (1, 3), "two to warm up");
        // Not one in 0.1 s.
        assert!((w.goodput_per_second * mean - w.in_flight_mean).abs() < 1e-3, "{w:?}, {mean} s");
        assert!(w.goodput_per_second < 7.0, "{w:?}");
        let evidence = &m.file.verdict.findings[0].evidence;
        assert!(evidence.starts_with("0 of 1 inferences are beyond the p50;"), "{evidence}");
        assert_eq!(m.file.verdict.verdict, Verdict::TooFewSamples);
    }

    #[test]
    fn failures_are_counted_and_named() {
        let (m, _) = measured(None, 1, 100, false);
        assert!(m.file.window.good == 0 && m.file.errors[0].count > 0, "{:?}", m.file.errors);
        assert!(m.file.errors[0].message.contains("out of order"), "{:?}", m.file.errors);
    }

    #[test]
    fn a_stopped_run_says_so() {
        let (m, calls) = measured(Some(Duration::from_millis(1)), 1, 100, true);
        assert!(m.file.run.stopped && m.file.window.good == 0 && calls == 0);
    }
}
