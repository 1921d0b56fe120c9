//! A closed loop in this process: each worker starts its next inference when the last one ends, so
//! that latencies are service times without queueing.

use super::Target;
use hdrhistogram::Histogram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long to load, and with how many workers.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Inferences in flight.
    pub workers: usize,
    /// Time before counting starts.
    pub warm_up: Duration,
    /// Time counted.
    pub duration: Duration,
}

/// What a closed loop measured.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Inferences in flight.
    pub workers: usize,
    /// Inferences counted: those that started in the window.
    pub count: u64,
    /// Inferences that failed.
    pub errors: u64,
    /// The first failure, in words.
    pub first_error: Option<String>,
    /// From the window's start to the end of the last counted inference, in seconds.
    pub seconds: f64,
    /// Completed inferences a second.
    pub throughput: f64,
    /// Mean latency in seconds.
    pub mean: f64,
    /// Latency at the quantiles that enough samples support, in seconds.
    pub percentiles: Vec<(f64, f64)>,
    /// Longest latency in seconds.
    pub max: f64,
    /// Stopped before its time.
    pub interrupted: bool,
}

/// A quantile needs this many samples beyond it to be reported.
const TAIL_SAMPLES: f64 = 10.0;
/// Every worker warms up with at least this many inferences.
const WARM_UP_COUNT: usize = 2;
/// Quantiles that are reported where supported.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.95, 0.99];

/// Loads `target` with a closed loop until the time is over or `stop` is set.
pub fn run(
    plan: &Plan,
    target: &dyn Target,
    stop: &AtomicBool,
    progress: &(dyn Fn(f64) + Sync),
) -> Measurement {
    let workers = plan.workers.max(1);
    let barrier = Barrier::new(workers);
    let merged = Mutex::new(Merged::new());
    std::thread::scope(|scope| {
        for index in 0..workers {
            let (barrier, merged) = (&barrier, &merged);
            scope.spawn(move || worker(index, plan, target, stop, progress, barrier, merged));
        }
    });
    let merged = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let histogram = &merged.histogram;
    let n = histogram.len();
    let supported = |q: &f64| *q <= 0.5 && n > 0 || n as f64 * (1.0 - q) >= TAIL_SAMPLES;
    let seconds = merged.window.map_or(0.0, |(start, end)| (end - start).as_secs_f64());
    Measurement {
        workers,
        count: n,
        errors: merged.errors,
        first_error: merged.first_error,
        seconds,
        throughput: if seconds > 0.0 { n as f64 / seconds } else { 0.0 },
        mean: histogram.mean() * 1e-9,
        percentiles: QUANTILES
            .into_iter()
            .filter(supported)
            .map(|q| (q, histogram.value_at_quantile(q) as f64 * 1e-9))
            .collect(),
        max: merged.longest.as_secs_f64(),
        interrupted: stop.load(Ordering::Relaxed),
    }
}

/// What all workers measured together.
struct Merged {
    histogram: Histogram<u64>,
    longest: Duration,
    window: Option<(Instant, Instant)>,
    errors: u64,
    first_error: Option<String>,
}

impl Merged {
    fn new() -> Self {
        Self {
            histogram: histogram(),
            longest: Duration::ZERO,
            window: None,
            errors: 0,
            first_error: None,
        }
    }
}

/// Three significant digits from a microsecond to an hour, in nanoseconds.
fn histogram() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1_000, 3_600_000_000_000, 3);
    made.unwrap_or_else(|_| unreachable!("the bounds are constant and valid"))
}

fn worker(
    index: usize,
    plan: &Plan,
    target: &dyn Target,
    stop: &AtomicBool,
    progress: &dyn Fn(f64),
    barrier: &Barrier,
    merged: &Mutex<Merged>,
) {
    let mut own = Merged::new();
    let total = (plan.warm_up + plan.duration).as_secs_f64();
    let begin = Instant::now();
    let mut warmed = 0;
    while (begin.elapsed() < plan.warm_up || warmed < WARM_UP_COUNT)
        && !stop.load(Ordering::Relaxed)
    {
        if target.infer().is_err() {
            break;
        }
        warmed += 1;
        if index == 0 {
            progress(begin.elapsed().as_secs_f64() / total);
        }
    }
    barrier.wait();
    let start = Instant::now();
    let mut end = start;
    while start.elapsed() < plan.duration && !stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let outcome = target.infer();
        end = Instant::now();
        match outcome {
            Ok(()) => {
                let latency = end - sent;
                own.longest = own.longest.max(latency);
                let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
                own.histogram.saturating_record(nanoseconds);
            }
            Err(error) => {
                own.errors += 1;
                own.first_error.get_or_insert_with(|| error.to_string());
                break;
            }
        }
        if index == 0 {
            progress((plan.warm_up + (end - start)).as_secs_f64() / total);
        }
    }
    let mut all = merged.lock().unwrap_or_else(PoisonError::into_inner);
    // Both histograms have the same bounds, so that adding cannot fail.
    let _ = all.histogram.add(&own.histogram);
    all.longest = all.longest.max(own.longest);
    all.errors += own.errors;
    all.first_error = all.first_error.take().or(own.first_error);
    all.window = Some(match all.window {
        Some((first, last)) => (first.min(start), last.max(end)),
        None => (start, end),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::ProbeError;

    struct Sleeper(Duration);

    impl Target for Sleeper {
        fn infer(&self) -> Result<(), ProbeError> {
            std::thread::sleep(self.0);
            Ok(())
        }
    }

    struct Failing;

    impl Target for Failing {
        fn infer(&self) -> Result<(), ProbeError> {
            Err(ProbeError::Infer("out of order".into()))
        }
    }

    fn plan(workers: usize) -> Plan {
        Plan { workers, warm_up: Duration::from_millis(5), duration: Duration::from_millis(200) }
    }

    #[test]
    fn latency_is_never_below_the_service_time() {
        let stop = AtomicBool::new(false);
        let m = run(&plan(2), &Sleeper(Duration::from_millis(4)), &stop, &|_| {});
        assert!(m.count > 0 && m.errors == 0 && !m.interrupted, "{m:?}");
        assert!(m.mean >= 0.004 && m.max >= m.mean, "{m:?}");
        assert!(m.throughput <= 2.0 / 0.004, "{m:?}");
    }

    #[test]
    fn quantiles_need_samples_beyond_them() {
        let stop = AtomicBool::new(false);
        let m = run(&plan(1), &Sleeper(Duration::from_millis(10)), &stop, &|_| {});
        assert!(m.count < 100);
        assert!(m.percentiles.iter().any(|(q, _)| *q <= 0.5));
        assert!(m.percentiles.iter().all(|(q, _)| *q < 0.95), "{m:?}");
    }

    #[test]
    fn failures_are_counted_and_named() {
        let stop = AtomicBool::new(false);
        let m = run(&plan(1), &Failing, &stop, &|_| {});
        assert_eq!((m.count, m.errors), (0, 1));
        assert!(m.first_error.unwrap().contains("out of order"));
    }

    #[test]
    fn a_stopped_run_says_so() {
        let stop = AtomicBool::new(true);
        let m = run(&plan(1), &Sleeper(Duration::from_millis(1)), &stop, &|_| {});
        assert!(m.interrupted && m.count == 0);
    }
}
