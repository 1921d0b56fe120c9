//! This machine: what it is, and the ceilings it reaches when measured.
//!
//! Peak arithmetic is measured with fused multiply–adds in registers, bandwidth with the triad
//! `a = b + s·c` over arrays far larger than the caches. STREAM's counting: three arrays a pass; the
//! line that a store first fetches is not counted. Knows no models.

mod kernels;

use crate::hwdb::{Device, MemoryLevel, Peak};
use std::sync::Barrier;
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

/// A figure over several repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Middle of the repeats.
    pub median: f64,
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub most: f64,
}

impl Figure {
    fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |i: usize| samples.get(i).copied().unwrap_or(0.0);
        let last = samples.len().saturating_sub(1);
        Self { median: at(last / 2), least: at(0), most: at(last) }
    }

    /// `(most − least) / median`.
    pub fn spread(&self) -> f64 {
        (self.most - self.least) / self.median
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

/// Spread of repeats above which a figure is called noisy.
const NOISY: f64 = 0.10;

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

    /// The measured machine as a device file.
    pub fn device(&self) -> Device {
        let note = |f: &Figure| Some(format!("median; spread {:.1} %", 100.0 * f.spread()));
        Device {
            id: "host".into(),
            name: self.cpu.clone(),
            aliases: vec!["this".into(), "localhost".into()],
            vendor: self.cpu.split_whitespace().next().unwrap_or("unknown").into(),
            kind: "cpu".into(),
            arch: Some(std::env::consts::ARCH.into()),
            released: None,
            confidence: "measured".into(),
            sources: vec!["HOST".into()],
            notes: Some(format!("{} threads, {}", self.threads, self.simd)),
            compute_units: None,
            clock_mhz: None,
            tdp_w: None,
            crosscheck_circular: false,
            peaks: vec![Peak {
                dtype: "f32".into(),
                unit: "vector".into(),
                dense_tflops: self.flops_all.median * 1e-12,
                sparse_tflops: None,
                accumulate: None,
                flop_per_unit_clock: None,
                kind: "measured".into(),
                source: None,
                note: note(&self.flops_all),
            }],
            memory: vec![MemoryLevel {
                level: "DRAM".into(),
                capacity_bytes: None,
                bandwidth_gb_s: Some(self.triad_all.median * 1e-9),
                kind: "measured".into(),
                note: note(&self.triad_all),
            }],
        }
    }
}

/// Threads this process may run on.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The CPU's name, as the kernel gives it.
pub fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = info.lines().find(|l| l.starts_with("model name"));
    let name = line.and_then(|l| l.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| format!("{} CPU", std::env::consts::ARCH))
}

/// Measures the ceilings of this machine; `progress` gets the finished share.
pub fn measure(plan: &MeasurePlan, progress: &mut dyn FnMut(f64)) -> HostCeilings {
    let all = threads();
    let kernel = kernels::best();
    let mut step = 0.0;
    let mut tick = || {
        step += 0.25;
        progress(step);
    };
    let flops_one = flops(&kernel, 1, plan);
    tick();
    let flops_all = flops(&kernel, all, plan);
    tick();
    let triad_one = triad(1, plan);
    tick();
    let triad_all = triad(all, plan);
    tick();
    HostCeilings {
        cpu: cpu_name(),
        threads: all,
        simd: kernel.name,
        flops_one,
        flops_all,
        triad_one,
        triad_all,
    }
}

/// Runs `work` on `threads` threads that start together, `repeats` times; each reports how much it
/// did. The figure is the sum over the time from the common start to the last end.
fn together<W>(threads: usize, repeats: usize, make: impl Fn(usize) -> W + Sync) -> Figure
where
    W: FnMut() -> f64,
{
    let barrier = Barrier::new(threads);
    let run = |index: usize| {
        let mut work = make(index);
        work();
        (0..repeats)
            .map(|_| {
                barrier.wait();
                let start = Instant::now();
                let done = work();
                (start, done, Instant::now())
            })
            .collect::<Vec<_>>()
    };
    let results: Vec<Vec<(Instant, f64, Instant)>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|i| scope.spawn(move || run(i))).collect();
        handles.into_iter().filter_map(|h| h.join().ok()).collect()
    });
    let rate = |repeat: usize| {
        let rows = results.iter().filter_map(|r| r.get(repeat));
        let (mut first, mut last, mut done) = (None::<Instant>, None::<Instant>, 0.0);
        for (start, amount, end) in rows {
            first = Some(first.map_or(*start, |f| f.min(*start)));
            last = Some(last.map_or(*end, |l| l.max(*end)));
            done += amount;
        }
        let time = last.zip(first).map_or(Duration::ZERO, |(l, f)| l - f);
        done / time.as_secs_f64()
    };
    Figure::of((0..repeats).map(rate).collect())
}

fn flops(kernel: &kernels::Kernel, threads: usize, plan: &MeasurePlan) -> Figure {
    // Rounds that fill the slice, from one timed trial.
    let trial = 20_000;
    let start = Instant::now();
    (kernel.run)(trial);
    let each = start.elapsed().as_secs_f64() / f64::from(trial);
    let rounds = (plan.slice.as_secs_f64() / each.max(1e-12)).clamp(1.0, f64::from(u32::MAX));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rounds = rounds as u32;
    together(threads, plan.repeats, |_| {
        || {
            (kernel.run)(rounds);
            f64::from(rounds) * f64::from(kernel.flops_per_round)
        }
    })
}

fn triad(threads: usize, plan: &MeasurePlan) -> Figure {
    let length = (plan.array_bytes / threads / size_of::<f32>()).max(1024);
    together(threads, plan.repeats, |index| {
        let mut a = vec![0.0f32; length];
        let b = vec![1.0f32 + index as f32; length];
        let c = vec![2.0f32; length];
        move || {
            kernels::triad(&mut a, &b, &c, 3.0);
            std::hint::black_box(&a);
            3.0 * (length * size_of::<f32>()) as f64
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_measurement_is_sane_and_makes_a_device() {
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
        let device = ceilings.device();
        assert_eq!(device.problems(), Vec::<String>::new());
        let text = toml::to_string(&device).unwrap();
        assert_eq!(toml::from_str::<Device>(&text).unwrap(), device);
    }
}
