//! The two figures that a roofline needs, in a few seconds: f32 multiply–adds in registers, and the
//! triad over arrays far larger than the caches; on one thread and on all.

use super::cpu::{cpu_name, threads};
use super::figure::{Figure, repetitions, together};
use super::survey::{NOISY, arithmetic};
use crate::kernels::arithmetic::f32_kernel;
use crate::kernels::streams::{Arrays, Pattern};
use std::time::{Duration, Instant};

/// How long and how large to measure.
#[derive(Clone, Copy, Debug)]
pub struct MeasurePlan {
    /// Time of one repeat of the arithmetic kernel.
    pub slice: Duration,
    /// Repeats of each measurement; the median counts.
    pub repeats: usize,
    /// Bytes of each of the three triad arrays, over all threads.
    pub array_bytes: usize,
}

impl Default for MeasurePlan {
    fn default() -> Self {
        Self { slice: Duration::from_millis(60), repeats: 7, array_bytes: 128 << 20 }
    }
}

/// f32 operations a second that one thread does right now, in about a millisecond: less than the
/// ceiling while the clock is down or a neighbour shares the core.
pub(super) fn pace() -> f64 {
    arithmetic(f32_kernel(), 1, Duration::from_micros(300), 3).most
}

/// Looks at how fast one thread is right now, in arithmetic and in memory, each in about a millisecond.
pub struct Gauge {
    /// Read one after the other, so that none is still in a cache when its turn comes again.
    windows: Vec<Arrays>,
    next: usize,
}

/// Bytes of a window.
const WINDOW: usize = 8 << 20;

impl Gauge {
    /// A gauge beside a last cache of this size.
    pub fn new(cache_bytes: Option<u64>) -> Self {
        let cache = usize::try_from(cache_bytes.unwrap_or(32 << 20)).unwrap_or(usize::MAX);
        let count = (2 * (cache / WINDOW)).clamp(8, 64);
        let windows = (0..count).map(|_| Arrays::new(Pattern::Read, WINDOW)).collect();
        Self { windows, next: 0 }
    }

    /// f32 operations a second.
    pub fn compute(&self) -> f64 {
        pace()
    }

    /// Bytes a second from main memory.
    pub fn memory(&mut self) -> f64 {
        let count = self.windows.len();
        let Some(window) = self.windows.get_mut(self.next % count.max(1)) else { return 0.0 };
        self.next = (self.next + 1) % count;
        let start = Instant::now();
        window.pass(1);
        window.bytes() as f64 / start.elapsed().as_secs_f64()
    }
}

/// Ceilings of this machine.
#[derive(Clone, Debug)]
pub struct HostCeilings {
    /// CPU model.
    pub cpu: String,
    /// Threads this process may run on.
    pub threads: usize,
    /// Vector instructions the arithmetic ran with.
    pub simd: &'static str,
    /// f32 FLOP/s of one thread.
    pub flops_one: Figure,
    /// f32 FLOP/s of all threads together.
    pub flops_all: Figure,
    /// Triad B/s of one thread.
    pub triad_one: Figure,
    /// Triad B/s of all threads together.
    pub triad_all: Figure,
}

impl HostCeilings {
    /// What makes the figures doubtful, in words; empty when nothing does.
    pub fn doubts(&self) -> Vec<String> {
        let figures = [
            ("arithmetic on one thread", &self.flops_one),
            ("arithmetic on all threads", &self.flops_all),
            ("bandwidth of one thread", &self.triad_one),
            ("bandwidth of all threads", &self.triad_all),
        ];
        let noisy = figures.into_iter().filter(|(_, f)| f.spread() > NOISY);
        noisy
            .map(|(what, f)| {
                format!("{what} varied by {:.0} % between repeats", 100.0 * f.spread())
            })
            .collect()
    }
}

/// Measures the ceilings of this machine; `progress` gets the finished share.
pub fn measure(plan: &MeasurePlan, progress: &mut dyn FnMut(f64)) -> HostCeilings {
    let all = threads();
    let kernel = f32_kernel();
    let mut step = 0.0;
    let mut tick = || {
        step += 0.25;
        progress(step);
    };
    let flops_one = arithmetic(kernel, 1, plan.slice, plan.repeats);
    tick();
    let flops_all = arithmetic(kernel, all, plan.slice, plan.repeats);
    tick();
    let triad_one = triad(1, plan);
    tick();
    let triad_all = triad(all, plan);
    tick();
    HostCeilings {
        cpu: cpu_name(),
        threads: all,
        simd: kernel.simd,
        flops_one,
        flops_all,
        triad_one,
        triad_all,
    }
}

fn triad(threads: usize, plan: &MeasurePlan) -> Figure {
    let bytes = 3 * plan.array_bytes / threads;
    let mut trial = Arrays::new(Pattern::Triad, bytes);
    let times = repetitions(plan.slice / 4, |n| trial.pass(n));
    drop(trial);
    together(threads, plan.repeats, |_| {
        let mut arrays = Arrays::new(Pattern::Triad, bytes);
        move || {
            arrays.pass(times);
            f64::from(times) * arrays.bytes() as f64
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_reads_rates() {
        let mut gauge = Gauge::new(Some(1 << 20));
        for _ in 0..20 {
            assert!(gauge.compute() > 1e6 && gauge.memory() > 1e6);
        }
    }

    #[test]
    fn a_short_measurement_is_sane() {
        let plan =
            MeasurePlan { slice: Duration::from_millis(2), repeats: 3, array_bytes: 1 << 20 };
        let mut steps = 0;
        let ceilings = measure(&plan, &mut |_| steps += 1);
        assert_eq!(steps, 4);
        for figure in
            [&ceilings.flops_one, &ceilings.flops_all, &ceilings.triad_one, &ceilings.triad_all]
        {
            assert!(figure.least > 0.0 && figure.median.is_finite(), "{figure:?}");
            assert!(figure.least <= figure.median && figure.median <= figure.most, "{figure:?}");
        }
    }
}
