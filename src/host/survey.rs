//! All ceilings of this machine's CPU, measured: arithmetic by type, a real matrix product, and
//! bandwidth level by level; on one thread and on all.

use super::cpu::{Cache, Cpu, cpu};
use super::figure::{Figure, repetitions, together};
use crate::hwdb::{CeilingType, LevelName};
use crate::kernels::arithmetic::{DTYPES, Kernel, best};
use crate::kernels::product::{self, Product};
use crate::kernels::streams::{Arrays, LINE, Pattern};
use crate::os::proc::Proc;
#[cfg(test)]
use crate::schemas::elsewhere;
use serde::Serialize;
use std::time::{Duration, Instant};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct SurveyPlan {
    /// Time of one repeat.
    pub slice: Duration,
    /// Repeats of each measurement; the median counts.
    pub repeats: usize,
    /// Rows and columns of the matrix product.
    pub product_size: usize,
    /// Bytes of the arrays in main memory, over all threads, at most.
    pub most_bytes: u64,
}

impl Default for SurveyPlan {
    fn default() -> Self {
        Self {
            slice: Duration::from_millis(40),
            repeats: 9,
            product_size: product::SIZE,
            most_bytes: 8 << 30,
        }
    }
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Subject {
    /// Multiply–adds, or dot products, in registers.
    Arithmetic {
        /// Type of the factors.
        dtype: &'static str,
        /// Type of the sums.
        accumulate: &'static str,
        /// Instructions.
        simd: &'static str,
    },
    /// A matrix product, one of its own for each thread.
    Product {
        /// Type of all.
        dtype: &'static str,
        /// Instructions.
        simd: &'static str,
        /// Rows and columns.
        size: usize,
    },
    /// A loop over memory.
    Stream {
        /// `L1`, `L2`, `L3`, `DRAM`.
        #[cfg_attr(test, schemars(with = "String"))]
        level: LevelName,
        /// What the loop does.
        #[cfg_attr(test, schemars(with = "elsewhere::Pattern"))]
        pattern: Pattern,
        /// Bytes that a thread goes over.
        working_set_bytes: usize,
    },
}

impl Subject {
    /// The words printed.
    pub fn name(&self) -> String {
        match self {
            Self::Arithmetic { dtype, simd, .. } => format!("{dtype} {simd}"),
            Self::Product { dtype, size, .. } => format!("{dtype} GEMM of {size}"),
            Self::Stream { level, pattern, .. } => format!("{level} {}", pattern.name()),
        }
    }

    /// The unit of its figures.
    pub fn unit(&self) -> &'static str {
        match self {
            Self::Arithmetic { dtype, .. } | Self::Product { dtype, .. } => {
                CeilingType::from(*dtype).unit_of_rate()
            }
            Self::Stream { .. } => "B/s",
        }
    }
}

/// A ceiling.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reading {
    /// What was measured.
    #[serde(flatten)]
    pub subject: Subject,
    /// On how many threads.
    pub threads: usize,
    /// Operations or bytes a second, of all these threads together.
    pub per_second: Figure,
}

/// All ceilings of this machine.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Survey {
    /// What the CPU is.
    pub cpu: Cpu,
    /// The ceilings.
    pub readings: Vec<Reading>,
    /// Clock of one busy core before and after, Hz.
    pub clock_hz: [f64; 2],
    /// What could not be measured, and why.
    pub absent: Vec<String>,
    /// What makes figures doubtful.
    pub doubts: Vec<String>,
}

/// Spread of repeats above which a figure is called noisy.
pub(super) const NOISY: f64 = 0.10;
/// How often a noisy reading is taken again, at most.
const AGAIN: u32 = 2;
/// Fall of the clock above which the machine is called throttled.
const THROTTLED: f64 = 0.05;

/// Measures all ceilings; `progress` gets the finished share.
pub fn survey(plan: &SurveyPlan, progress: &mut dyn FnMut(f64)) -> Survey {
    let cpu = cpu();
    let mut absent = Vec::new();
    let tasks = tasks(&cpu, plan, &mut absent);
    let before = clock(plan.slice);
    let mut readings = Vec::new();
    for (done, (threads, task)) in tasks.iter().enumerate() {
        progress(done as f64 / tasks.len() as f64);
        readings.push(task.run(*threads, plan));
    }
    again(&tasks, plan, &mut readings);
    progress(1.0);
    let clock_hz = [before, clock(plan.slice)];
    let doubts = doubts(&cpu, &readings, clock_hz);
    Survey { cpu, readings, clock_hz, absent, doubts }
}

/// Takes readings whose repeats varied again, as what disturbed them may be over; the steadier one counts.
fn again(tasks: &[(usize, Task)], plan: &SurveyPlan, readings: &mut [Reading]) {
    for _ in 0..AGAIN {
        for ((threads, task), reading) in tasks.iter().zip(readings.iter_mut()) {
            if reading.per_second.spread() <= NOISY {
                continue;
            }
            let other = task.run(*threads, plan);
            if other.per_second.spread() < reading.per_second.spread() {
                *reading = other;
            }
        }
    }
}

enum Task {
    Arithmetic(&'static Kernel),
    Product,
    Stream { level: LevelName, pattern: Pattern, bytes: usize },
}

fn tasks(cpu: &Cpu, plan: &SurveyPlan, absent: &mut Vec<String>) -> Vec<(usize, Task)> {
    let mut threads = vec![1, cpu.threads];
    threads.dedup();
    let mut tasks = Vec::new();
    for dtype in DTYPES {
        match best(dtype) {
            Some(kernel) => tasks.extend(threads.iter().map(|n| (*n, Task::Arithmetic(kernel)))),
            None => absent.push(format!("{dtype}: no supported dot-product instruction")),
        }
    }
    for amx in cpu.simd.iter().filter(|s| s.starts_with("AMX")) {
        absent.push(format!("{amx}: no stable instructions to measure it with"));
    }
    tasks.extend(threads.iter().map(|n| (*n, Task::Product)));
    if cpu.caches.is_empty() {
        absent.push("caches: the system does not report their sizes".into());
    }
    let sets = working_sets(cpu, plan, absent);
    for (level, bytes) in sets {
        for pattern in Pattern::ALL {
            for n in &threads {
                // Main memory is shared by the threads that run; a cache's share is each thread's.
                let bytes = if level == LevelName::Dram { bytes / n } else { bytes };
                tasks.push((*n, Task::Stream { level: level.clone(), pattern, bytes }));
            }
        }
    }
    tasks
}

/// The level of a cache, as device files call it.
pub(super) fn cache_name(cache: &Cache) -> LevelName {
    LevelName::from(format!("L{}", cache.level))
}

/// Bytes to go over, level by level: of a thread for a cache, of all together for main memory.
fn working_sets(cpu: &Cpu, plan: &SurveyPlan, absent: &mut Vec<String>) -> Vec<(LevelName, usize)> {
    let mut sets = Vec::new();
    let mut inner = 0;
    for cache in &cpu.caches {
        let share = cache.bytes / cache.shared_by.min(cpu.threads).max(1) as u64;
        if share / 2 < inner + inner / 2 {
            absent.push(format!(
                "L{}: a thread's share is no larger than its L{}",
                cache.level,
                cache.level - 1
            ));
            continue;
        }
        sets.push((cache_name(cache), share / 2));
        inner = share;
    }
    // STREAM's rule: an array is four times the last caches together.
    let last = cpu.last_cache_bytes().unwrap_or(32 << 20);
    let wanted = (3 * 4 * last).max(192 << 20);
    let free = Proc::default().memory().and_then(|m| m.available).map_or(u64::MAX, |m| m / 4);
    let dram = wanted.min(free).min(plan.most_bytes);
    if dram < wanted {
        absent.push("DRAM: arrays are smaller than four times the last cache".into());
    }
    sets.push((LevelName::Dram, dram));
    let bytes = |b: u64| usize::try_from(b).unwrap_or(usize::MAX);
    sets.into_iter().map(|(level, b)| (level, bytes(b).max(LINE))).collect()
}

impl Survey {
    /// The ceilings whose repeats varied by more than 10 %, as clauses.
    pub fn noisy(&self) -> Vec<String> {
        noisy(&self.readings)
    }
}

impl Task {
    fn run(&self, threads: usize, plan: &SurveyPlan) -> Reading {
        let (subject, per_second) = match self {
            Self::Arithmetic(k) => {
                let subject =
                    Subject::Arithmetic { dtype: k.dtype, accumulate: k.accumulate, simd: k.simd };
                (subject, arithmetic(k, threads, plan.slice, plan.repeats))
            }
            Self::Product => {
                let size = plan.product_size;
                let subject = Subject::Product { dtype: "f32", simd: product::simd(), size };
                (subject, products(size, threads, plan))
            }
            Self::Stream { level, pattern, bytes } => {
                let subject = Subject::Stream {
                    level: level.clone(),
                    pattern: *pattern,
                    working_set_bytes: *bytes,
                };
                (subject, stream(*pattern, *bytes, threads, plan))
            }
        };
        Reading { subject, threads, per_second }
    }
}

/// Operations a second of a kernel.
pub(super) fn arithmetic(
    kernel: &Kernel,
    threads: usize,
    slice: Duration,
    repeats: usize,
) -> Figure {
    let rounds = repetitions(slice, kernel.run);
    together(threads, repeats, |_| {
        || {
            (kernel.run)(rounds);
            f64::from(rounds) * f64::from(kernel.ops_per_round)
        }
    })
}

fn products(size: usize, threads: usize, plan: &SurveyPlan) -> Figure {
    let mut trial = Product::new(size);
    let times = repetitions(plan.slice, |n| (0..n).for_each(|_| trial.run()));
    drop(trial);
    together(threads, plan.repeats, |_| {
        let mut product = Product::new(size);
        move || {
            (0..times).for_each(|_| product.run());
            f64::from(times) * product.flops()
        }
    })
}

fn stream(pattern: Pattern, bytes: usize, threads: usize, plan: &SurveyPlan) -> Figure {
    let mut trial = Arrays::new(pattern, bytes);
    let times = repetitions(plan.slice, |n| trial.pass(n));
    drop(trial);
    together(threads, plan.repeats, |_| {
        let mut arrays = Arrays::new(pattern, bytes);
        move || {
            arrays.pass(times);
            f64::from(times) * arrays.bytes() as f64
        }
    })
}

/// Clock of a busy core, from a chain of dependent one-cycle instructions.
fn clock(slice: Duration) -> f64 {
    const LINKS: u32 = 8;
    let chain = |rounds: u32| {
        let (mut x, key) = (std::hint::black_box(1u64), std::hint::black_box(0x9E37_79B9u64));
        for _ in 0..rounds {
            // A rotation and an exclusive or: two cycles that nothing folds.
            for _ in 0..LINKS {
                x = x.rotate_left(7) ^ key;
            }
        }
        std::hint::black_box(x);
    };
    let rounds = repetitions(slice / 8, chain);
    let rate = |()| {
        let start = Instant::now();
        chain(rounds);
        2.0 * f64::from(LINKS) * f64::from(rounds) / start.elapsed().as_secs_f64()
    };
    // Whatever interrupts the chain makes it slower, never faster.
    std::iter::repeat_n((), 16).map(rate).fold(0.0, f64::max)
}

fn noisy(readings: &[Reading]) -> Vec<String> {
    let noisy = readings.iter().filter(|r| r.per_second.spread() > NOISY);
    let line = |r: &Reading| {
        let threads = if r.threads == 1 { "one thread" } else { "all threads" };
        format!(
            "{} on {threads} varied by {:.0} % between repeats",
            r.subject.name(),
            100.0 * r.per_second.spread()
        )
    };
    noisy.map(line).collect()
}

fn doubts(cpu: &Cpu, readings: &[Reading], [before, after]: [f64; 2]) -> Vec<String> {
    let mut doubts = noisy(readings);
    if after < before * (1.0 - THROTTLED) {
        doubts.push(format!(
            "throttled: the clock fell from {:.2} to {:.2} GHz while measuring",
            before * 1e-9,
            after * 1e-9
        ));
    }
    if cpu.virtual_machine == Some(true) {
        doubts.push("virtual machine: neighbours share the last cache and the memory".into());
    }
    doubts
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::host) fn short() -> SurveyPlan {
        SurveyPlan {
            slice: Duration::from_micros(200),
            repeats: 3,
            product_size: 288,
            most_bytes: 6 << 20,
        }
    }

    #[test]
    fn a_short_survey_has_every_ceiling() {
        let mut shares = Vec::new();
        let survey = survey(&short(), &mut |s| shares.push(s));
        assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
        for r in &survey.readings {
            let f = r.per_second;
            assert!(f.least > 0.0 && f.least <= f.median && f.median <= f.most, "{r:?}");
        }
        let names: Vec<String> = survey.readings.iter().map(|r| r.subject.name()).collect();
        for name in ["f32 GEMM of 288", "DRAM read", "DRAM copy", "DRAM triad"] {
            assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
        }
        assert!(survey.clock_hz.iter().all(|c| *c > 1e7), "{:?}", survey.clock_hz);
    }

    #[test]
    fn working_sets_lie_between_the_levels() {
        let cache = |level, bytes, shared_by| crate::os::sys::Cache { level, bytes, shared_by };
        let mut cpu = cpu();
        cpu.threads = 8;
        cpu.caches = vec![cache(1, 32 << 10, 1), cache(2, 1 << 20, 1), cache(3, 32 << 20, 8)];
        let mut absent = Vec::new();
        let sets = working_sets(&cpu, &SurveyPlan::default(), &mut absent);
        let of = |name: &str| sets.iter().find(|(level, _)| level.name() == name).map(|(_, b)| *b);
        assert_eq!((of("L1"), of("L2"), of("L3")), (Some(16 << 10), Some(1 << 19), Some(2 << 20)));
        assert!(absent.is_empty(), "{absent:?}");
        // A last cache whose share is no larger than what lies inside it cannot be told apart.
        cpu.caches[2] = cache(3, 11 << 20, 8);
        let sets = working_sets(&cpu, &SurveyPlan::default(), &mut absent);
        assert!(sets.iter().all(|(level, _)| level.name() != "L3"));
        assert_eq!(absent, ["L3: a thread's share is no larger than its L2"]);
    }

    #[test]
    fn a_fallen_clock_and_a_wide_spread_are_said() {
        let wide = Figure { median: 1.0, least: 0.8, most: 1.0 };
        let subject = Subject::Arithmetic { dtype: "f32", accumulate: "f32", simd: "SSE2" };
        let reading = Reading { subject, threads: 1, per_second: wide };
        let mut cpu = cpu();
        cpu.virtual_machine = None;
        let said = doubts(&cpu, &[reading], [3e9, 2e9]);
        assert_eq!(
            said,
            [
                "f32 SSE2 on one thread varied by 20 % between repeats",
                "throttled: the clock fell from 3.00 to 2.00 GHz while measuring"
            ]
        );
    }
}
