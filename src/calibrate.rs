//! How fast a runtime's kernels are on this machine: micro-benchmark models, made here, run in the
//! runtime, and fitted as efficiencies by kind and shape.

mod benchmarks;

use crate::dim::Bindings;
use crate::host::pace;
use crate::hwdb::{Calibration, CalibrationPoint};
use crate::probe::{ProbeError, Target};
use crate::report::{Kernel, ModelReport, efficiency, kernels};
use crate::runtime::{Loaded, RuntimeOptions};
use benchmarks::{Benchmark, bare_products, chain, with_look_up, with_residual};
use std::time::{Duration, Instant};

/// How to calibrate.
#[derive(Clone, Debug)]
pub struct CalibrationPlan {
    /// Runtime, library and threads.
    pub options: RuntimeOptions,
    /// Time for each micro-benchmark.
    pub slice: Duration,
    /// Compute ceiling of one thread, in 10^12 operations a second.
    pub peak_tflops: f64,
    /// Memory ceiling of one thread, in 10^9 bytes a second.
    pub bandwidth_gb_s: f64,
    /// The last cache, where known.
    pub cache_bytes: Option<u64>,
}

/// What a micro-benchmark took.
struct Timed {
    kernels: Vec<Kernel>,
    seconds: f64,
    /// Whether the machine was as fast as its ceiling meanwhile.
    undisturbed: bool,
}

/// Share of the ceiling below which the machine counts as disturbed: throttled, or a core shared.
const PACE: f64 = 0.93;
/// Times that a disturbed micro-benchmark is taken at most.
const ATTEMPTS: usize = 6;
/// Rows and columns of weights that no cache keeps.
const COLD: i64 = 4096;
/// Words of a look-up and what is looked up of each: no powers of two, whose rows fall on each other in caches.
const TABLE: [i64; 2] = [20_000, 640];

/// A calibration under way.
struct Run<'p> {
    plan: &'p CalibrationPlan,
    /// A small product, which is run before each run that is timed, as networks run products between
    /// whatever else they do. tract 0.23 leaves the upper halves of x86's vector registers in use after a
    /// product, and what it has no vector code for, as depthwise convolutions over every other pixel,
    /// takes up to three times as long from then on.
    product: Loaded,
    version: String,
    disturbed: u32,
}

/// Whether a runtime can be calibrated at all, which is worth knowing before minutes of measurements.
pub fn ready(options: &RuntimeOptions) -> Result<(), ProbeError> {
    bare_products(16, 16, 1).load(options)?.target.infer()
}

/// Calibrates a runtime; a micro-benchmark that it refuses is left out and named.
pub fn calibrate(
    plan: &CalibrationPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Calibration, ProbeError> {
    let mut run = Run::new(plan)?;
    let tiny = |layers| chain("Tanh", &[1, 16], layers, |s, x, _| s.node("Tanh", &[x], &[]));
    let (few, many) = (run.time(&tiny(8))?, run.time(&tiny(64))?);
    let per_kernel = ((many.seconds - few.seconds) / 56.0).max(0.0);
    let per_run = (few.seconds - 8.0 * per_kernel).max(0.0);
    let mut calibration = Calibration {
        runtime: plan.options.runtime.name().into(),
        threads: 1,
        peak_tflops: plan.peak_tflops,
        bandwidth_gb_s: plan.bandwidth_gb_s,
        cache_bytes: plan.cache_bytes,
        per_run_us: per_run * 1e6,
        per_kernel_us: per_kernel * 1e6,
        weights_gb_s: run.weights_gb_s()?,
        sum_after_convolution: 1.0,
        sum_after_product: 1.0,
        ..Calibration::default()
    };
    let all = benchmarks::all();
    let total = all.len() as f64;
    for (i, benchmark) in all.iter().enumerate() {
        progress(i as f64 / total);
        if i == all.len() / 2 {
            // Neighbours take bandwidth for a while, and never give any: the most of three moments counts.
            calibration.weights_gb_s = calibration.weights_gb_s.max(run.weights_gb_s()?);
        }
        match run.time(benchmark) {
            Ok(timed) => calibration.points.extend(point(&calibration, benchmark, &timed)),
            Err(error) => calibration.left_out.push(format!("{}: {error}", benchmark.name)),
        }
    }
    if calibration.points.is_empty() {
        let reason = calibration.left_out.first().cloned().unwrap_or_default();
        return Err(ProbeError::Load(format!("no micro-benchmark ran: {reason}")));
    }
    calibration.weights_gb_s = calibration.weights_gb_s.max(run.weights_gb_s()?);
    let sums = [run.sum_after(true, &calibration)?, run.sum_after(false, &calibration)?];
    [calibration.sum_after_convolution, calibration.sum_after_product] = sums;
    calibration.shared_weights_gb_s = run.shared_weights_gb_s()?;
    calibration.held_out_error = held_out_error(&calibration.points);
    calibration.benchmarks = u32::try_from(calibration.points.len()).unwrap_or(0);
    calibration.version = run.version;
    calibration.disturbed = run.disturbed;
    Ok(calibration)
}

impl<'p> Run<'p> {
    fn new(plan: &'p CalibrationPlan) -> Result<Self, ProbeError> {
        let product = bare_products(16, 16, 1).load(&plan.options)?;
        Ok(Self { plan, version: product.name.clone(), product, disturbed: 0 })
    }

    /// Loads and runs a micro-benchmark: its kernels, and the median time of a run. It is taken
    /// again while the machine is slower than its ceiling; the fastest counts.
    fn time(&mut self, benchmark: &Benchmark) -> Result<Timed, ProbeError> {
        let load = |e: &dyn std::fmt::Display| ProbeError::Load(e.to_string());
        let model = crate::formats::load_bytes(&benchmark.file.clone().into());
        let model = model.map_err(|e| load(&e))?;
        let report = ModelReport::new(&model, "micro-benchmark", &Bindings::new());
        let report = report.map_err(|e| load(&e))?;
        let loaded = benchmark.load(&self.plan.options)?;
        let mut timed =
            Timed { kernels: kernels(&report), seconds: f64::INFINITY, undisturbed: false };
        let fast = || pace() >= PACE * self.plan.peak_tflops * 1e12;
        for _ in 0..ATTEMPTS {
            let before = fast();
            timed.seconds = timed.seconds.min(self.median_seconds(&*loaded.target)?);
            timed.undisturbed = before && fast();
            if timed.undisturbed {
                break;
            }
        }
        self.disturbed += u32::from(!timed.undisturbed);
        Ok(timed)
    }

    /// 10^9 bytes a second at which weights come from main memory into a product of one row.
    fn weights_gb_s(&mut self) -> Result<f64, ProbeError> {
        let layers = 4;
        let large = bare_products(1, COLD, layers);
        let bytes = (COLD * COLD) as f64 * 4.0 * layers as f64;
        Ok(bytes / self.time(&large)?.seconds * 1e-9)
    }

    /// 10^9 bytes a second at which weights that a look-up reads too are laid out for a product; nothing
    /// where that takes no time.
    fn shared_weights_gb_s(&mut self) -> Result<Option<f64>, ProbeError> {
        let shared = self.time(&with_look_up(true, TABLE))?.seconds;
        let apart = self.time(&with_look_up(false, TABLE))?.seconds;
        let bytes = (TABLE[0] * TABLE[1]) as f64 * 4.0;
        // Less than a quarter is noise: the look-up takes other rows from memory, or the same.
        Ok((shared > 1.25 * apart).then(|| bytes / (shared - apart) * 1e-9))
    }

    /// The time of a sum that follows a convolution or a product, as a share of its time alone.
    fn sum_after(&mut self, convolution: bool, c: &Calibration) -> Result<f64, ProbeError> {
        let with = self.time(&with_residual(true, convolution))?;
        let without = self.time(&with_residual(false, convolution))?;
        let sums = with.kernels.iter().filter(|k| k.follows.is_some());
        let alone: f64 = sums.map(|k| k.seconds(c, false).0).sum();
        // What a runtime adds on the way may even cost less than nothing, within the noise.
        let share = if alone > 0.0 { (with.seconds - without.seconds) / alone } else { 1.0 };
        Ok(share.clamp(0.0, 20.0))
    }

    /// The median of the runs that fit into the slice of time, five at least.
    fn median_seconds(&self, target: &dyn Target) -> Result<f64, ProbeError> {
        let slice = self.plan.slice;
        let timed = || {
            self.product.target.infer()?;
            let run = Instant::now();
            target.infer()?;
            Ok(run.elapsed().as_secs_f64())
        };
        let warm_up = Instant::now();
        while warm_up.elapsed() < slice / 4 {
            timed()?;
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while start.elapsed() < slice || times.len() < 5 {
            times.push(timed()?);
        }
        Ok(middle(times).unwrap_or(0.0))
    }
}

/// The greater of the two in the middle, where there are two.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The kernels of a micro-benchmark are alike: their mean shape and their common efficiency.
fn point(c: &Calibration, benchmark: &Benchmark, timed: &Timed) -> Option<CalibrationPoint> {
    let first = timed.kernels.first()?;
    let class = first.class?;
    let alike: Vec<&Kernel> = timed.kernels.iter().filter(|k| k.class == first.class).collect();
    let n = alike.len() as f64;
    let overhead = c.per_run_us * 1e-6 + timed.kernels.len() as f64 * c.per_kernel_us * 1e-6;
    let least: f64 = alike.iter().map(|k| k.least(c)).sum();
    let seconds = (timed.seconds - overhead).max(0.1 * timed.seconds);
    let axes = first.shape.len();
    let mean = |axis: usize| alike.iter().map(|k| k.shape[axis]).sum::<f64>() / n;
    Some(CalibrationPoint {
        name: benchmark.name.clone(),
        class: class.name().into(),
        shape: (0..axes).map(mean).collect(),
        efficiency: least / seconds,
        kernel_us: seconds / n * 1e6,
    })
}

/// Each point predicted from the others of its class: the median relative error of its time.
fn held_out_error(points: &[CalibrationPoint]) -> f64 {
    let error = |(i, p): (usize, &CalibrationPoint)| {
        let others = points.iter().enumerate().filter(|(j, o)| *j != i && o.class == p.class);
        let others: Vec<&CalibrationPoint> = others.map(|(_, o)| o).collect();
        Some((p.efficiency / efficiency(&others, &p.shape)? - 1.0).abs())
    };
    middle(points.iter().enumerate().filter_map(error).collect()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::KernelClass;
    use crate::runtime::Runtime;
    use std::collections::BTreeSet;

    fn plan() -> CalibrationPlan {
        CalibrationPlan {
            options: RuntimeOptions::new(Runtime::Tract),
            slice: Duration::from_millis(2),
            peak_tflops: 1e-6,
            bandwidth_gb_s: 20.0,
            cache_bytes: Some(1 << 20),
        }
    }

    #[test]
    fn every_benchmark_is_of_one_kind_and_has_a_name_of_its_own() {
        let mut names = BTreeSet::new();
        let mut classes = BTreeSet::new();
        for benchmark in benchmarks::all() {
            assert!(names.insert(benchmark.name.clone()), "{} twice", benchmark.name);
            let model = crate::formats::load_bytes(&benchmark.file.into()).unwrap();
            let report = ModelReport::new(&model, "", &Bindings::new()).unwrap();
            assert!(report.is_complete(), "{}", benchmark.name);
            let kinds: BTreeSet<Option<&str>> =
                kernels(&report).iter().map(|k| k.class.map(KernelClass::name)).collect();
            assert_eq!(kinds.len(), 1, "{}: {kinds:?}", benchmark.name);
            classes.extend(kinds.into_iter().map(|k| k.unwrap_or("none").to_owned()));
        }
        let all = [
            "average-pool",
            "batch-norm",
            "batched",
            "broadcast",
            "concat",
            "conv",
            "copy",
            "depthwise",
            "elementwise",
            "erf",
            "exp",
            "gelu",
            "gelu-tanh",
            "gemm",
            "global-pool",
            "hard-swish",
            "layer-norm",
            "max-pool",
            "norm",
            "pointwise",
            "reduce",
            "sigmoid",
            "silu",
            "softmax",
            "tanh",
            "transpose",
            "unary",
        ];
        assert_eq!(classes.iter().map(String::as_str).collect::<Vec<_>>(), all);
    }

    #[test]
    fn a_kernel_that_was_measured_is_estimated_at_what_it_took() {
        let plan = plan();
        let mut run = Run::new(&plan).unwrap();
        let benchmark = chain("Tanh", &[1, 4096], 3, |s, x, _| s.node("Tanh", &[x], &[]));
        let timed = run.time(&benchmark).unwrap();
        assert!(timed.undisturbed && timed.seconds > 0.0 && run.version.contains("tract"));
        let c = Calibration {
            peak_tflops: plan.peak_tflops,
            bandwidth_gb_s: plan.bandwidth_gb_s,
            weights_gb_s: 10.0,
            ..Calibration::default()
        };
        let point = point(&c, &benchmark, &timed).unwrap();
        assert_eq!((point.class.as_str(), timed.kernels.len()), ("tanh", 3));
        let c = Calibration { points: vec![point], ..c };
        let estimate: f64 = timed.kernels.iter().map(|k| k.seconds(&c, true).0).sum();
        assert!((estimate / timed.seconds - 1.0).abs() < 1e-9, "{estimate} {}", timed.seconds);
    }

    #[test]
    fn weights_are_shared_where_another_node_reads_them_too() {
        let shared = |benchmark: Benchmark| {
            let model = crate::formats::load_bytes(&benchmark.file.into()).unwrap();
            let report = ModelReport::new(&model, "", &Bindings::new()).unwrap();
            kernels(&report).iter().any(|k| k.shared)
        };
        assert!(shared(with_look_up(true, [64, 16])));
        assert!(!shared(with_look_up(false, [64, 16])));
        // Weights on the left; what they are multiplied with has two readers, and is no weight.
        assert!(!shared(chain("MatMul", &[16, 16], 1, |s, x, _| {
            let weight = s.weight(&[16, 16]);
            let y = s.node("MatMul", &[&weight, x], &[]);
            s.node("Sub", &[x, &y], &[])
        })));
    }

    #[test]
    fn points_are_held_out_one_by_one() {
        let point = |efficiency: f64| CalibrationPoint {
            class: "tanh".into(),
            shape: vec![10.0],
            efficiency,
            ..CalibrationPoint::default()
        };
        assert!(held_out_error(&[point(0.5), point(0.5), point(0.5)]).abs() < 1e-12);
        let error = held_out_error(&[point(0.5), point(1.0)]);
        // Half the time and twice the time: the greater error of the two.
        assert!((error - 1.0).abs() < 1e-12, "{error}");
        let other = CalibrationPoint { class: "exp".into(), ..point(0.1) };
        assert!(held_out_error(&[point(0.5), point(0.5), other]).abs() < 1e-12);
    }
}
