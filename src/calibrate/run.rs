//! Micro-benchmarks in a runtime, in rounds over minutes, each timing between two looks at the machine's pace.

use super::CalibrationPlan;
use super::benchmarks::{Benchmark, bare_products};
use super::settle::{Pace, Sample, Settled, full, open, settle};
use crate::dim::Bindings;
use crate::host::Gauge;
use crate::os::proc::Proc;
use crate::probe::{ProbeError, Target};
use crate::report::{Kernel, ModelReport, kernels};
use crate::runtime::Loaded;
use std::time::Instant;

/// What a micro-benchmark is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A chain of few kernels of next to no work.
    Few,
    /// A chain of many of them.
    Many,
    /// Weights that no cache keeps.
    Weights,
    /// A product whose weights a look-up reads too.
    SharedWeights,
    /// The same with weights of its own.
    OwnWeights,
    /// Convolutions with a sum behind each.
    ConvolutionsAndSums,
    /// The same without.
    Convolutions,
    /// Products with a sum behind each.
    ProductsAndSums,
    /// The same without.
    Products,
    /// A kind of kernel at a shape.
    Point,
    /// A network that is held out.
    Network,
}

/// A micro-benchmark and its timings.
pub(super) struct Job {
    pub(super) role: Role,
    pub(super) benchmark: Benchmark,
    pub(super) report: ModelReport,
    pub(super) kernels: Vec<Kernel>,
    /// Why the runtime does not run it.
    pub(super) refused: Option<String>,
    /// Share of its time that arithmetic takes under the ceilings, 0 to 1.
    arithmetic: f64,
    loaded: Option<Loaded>,
    /// Whether its room is taken already.
    kept: bool,
    samples: Vec<Sample>,
}

/// Rounds that every micro-benchmark is timed in, unless the plan has fewer.
const ROUNDS: usize = 3;
/// Share of the ceiling of arithmetic that full pace is at least: a look is shorter than what the ceiling is measured by.
const CEILING: f64 = 0.97;

/// A calibration under way.
pub(super) struct Run<'p> {
    plan: &'p CalibrationPlan,
    /// A small product, which is run before each run that is timed, as networks run products between
    /// whatever else they do. tract 0.23 leaves the upper halves of x86's vector registers in use after a
    /// product, and what it has no vector code for, as depthwise convolutions over every other pixel,
    /// takes up to three times as long from then on.
    product: Loaded,
    pub(super) version: String,
    gauge: Gauge,
    pub(super) jobs: Vec<Job>,
    paces: Vec<Pace>,
    /// Bytes that loaded models may still take.
    room: f64,
}

impl<'p> Run<'p> {
    pub(super) fn new(plan: &'p CalibrationPlan) -> Result<Self, ProbeError> {
        let product = bare_products(16, 16, 1).load(&plan.options)?;
        let free = Proc::default().memory().and_then(|m| m.available).unwrap_or(1 << 30);
        Ok(Self {
            plan,
            version: product.name.clone(),
            product,
            gauge: Gauge::new(plan.cache_bytes),
            jobs: Vec::new(),
            paces: Vec::new(),
            room: free as f64 / 4.0,
        })
    }

    /// Adds a micro-benchmark to those that will be timed.
    pub(super) fn add(&mut self, role: Role, benchmark: Benchmark) -> Result<(), ProbeError> {
        let load = |e: &dyn std::fmt::Display| ProbeError::Load(e.to_string());
        let model = crate::formats::load_bytes(&benchmark.file.clone().into());
        let model = model.map_err(|e| load(&e))?;
        let report = ModelReport::new(&model, "micro-benchmark", &Bindings::new());
        let report = report.map_err(|e| load(&e))?;
        let kernels = kernels(&report);
        let work: f64 = kernels.iter().map(|k| k.work / (self.plan.peak_tflops * 1e12)).sum();
        let traffic: f64 = kernels.iter().map(|k| k.bytes / (self.plan.bandwidth_gb_s * 1e9)).sum();
        let share = work / (work + traffic);
        self.jobs.push(Job {
            role,
            benchmark,
            report,
            kernels,
            refused: None,
            arithmetic: if share.is_finite() { share } else { 0.5 },
            loaded: None,
            kept: false,
            samples: Vec::new(),
        });
        Ok(())
    }

    /// Times all, round by round; later rounds take those alone that have not settled.
    pub(super) fn rounds(&mut self, progress: &mut dyn FnMut(f64)) {
        let total = (ROUNDS.min(self.plan.rounds) * self.jobs.len()) as f64;
        for round in 0..self.plan.rounds {
            let full = self.full();
            for i in 0..self.jobs.len() {
                progress(((round * self.jobs.len() + i) as f64 / total).min(0.99));
                let job = &self.jobs[i];
                if job.refused.is_some() || round >= ROUNDS && !open(&job.samples, full) {
                    continue;
                }
                if let Err(error) = self.sample(i) {
                    self.jobs[i].refused = Some(error.to_string());
                }
            }
        }
        for job in &mut self.jobs {
            job.loaded = None;
        }
    }

    /// The machine's full pace: of the looks, and no less than the ceiling that was measured before.
    fn full(&self) -> Pace {
        let least = Pace { compute: CEILING * self.plan.peak_tflops * 1e12, memory: 0.0 };
        full(&self.paces, least)
    }

    /// What a job takes on this machine while nothing disturbs it.
    pub(super) fn settled(&self, job: &Job) -> Option<Settled> {
        settle(&job.samples, self.full(), job.arithmetic)
    }

    /// The only job of a role, and what it takes; an error where the runtime refused it.
    pub(super) fn only(&self, role: Role) -> Result<(&Job, f64), ProbeError> {
        let missing = || ProbeError::Load(format!("there is no micro-benchmark for {role:?}"));
        let job = self.jobs.iter().find(|job| job.role == role).ok_or_else(missing)?;
        match (&job.refused, self.settled(job)) {
            (None, Some(settled)) => Ok((job, settled.seconds)),
            (refused, _) => Err(ProbeError::Load(refused.clone().unwrap_or_default())),
        }
    }

    /// One more timing of a job, loaded first where it is not.
    pub(super) fn sample(&mut self, i: usize) -> Result<(), ProbeError> {
        let loaded = match self.jobs[i].loaded.take() {
            Some(loaded) => loaded,
            None => self.jobs[i].benchmark.load(&self.plan.options)?,
        };
        let before = self.look();
        let (seconds, mean) = self.burst(&*loaded.target)?;
        let after = self.look();
        self.jobs[i].samples.push(Sample { seconds, mean, before, after });
        self.keep(i, loaded);
        Ok(())
    }

    /// Keeps a loaded model for the next round where there is room for its weights and what it computes, twice.
    fn keep(&mut self, i: usize, loaded: Loaded) {
        let job = &mut self.jobs[i];
        if !job.kept {
            let bytes: f64 = job.kernels.iter().map(|k| 2.0 * (k.weight_bytes + k.bytes)).sum();
            if bytes > self.room {
                return;
            }
            (job.kept, self.room) = (true, self.room - bytes);
        }
        job.loaded = Some(loaded);
    }

    fn look(&mut self) -> Pace {
        let pace = Pace { compute: self.gauge.compute(), memory: self.gauge.memory() };
        self.paces.push(pace);
        pace
    }

    /// The lower quartile and the mean of the runs that fit into the slice of time, two at least.
    fn burst(&self, target: &dyn Target) -> Result<(f64, f64), ProbeError> {
        let timed = || {
            self.product.target.infer()?;
            let run = Instant::now();
            target.infer()?;
            Ok::<f64, ProbeError>(run.elapsed().as_secs_f64())
        };
        timed()?;
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < self.plan.slice || times.len() < 2 {
            times.push(timed()?);
        }
        times.sort_by(f64::total_cmp);
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        Ok((times.get(times.len() / 4).copied().unwrap_or_default(), mean))
    }
}
