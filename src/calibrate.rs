//! How fast a runtime's kernels are on this machine: micro-benchmark models, made here, run in the
//! runtime, and fitted as efficiencies by kind and shape.

mod benchmarks;
mod networks;
mod run;
mod settle;

use crate::hwdb::{Calibration, CalibrationNetwork, CalibrationPoint};
use crate::probe::ProbeError;
use crate::report::{EstimateReport, Kernel, efficiency};
use crate::runtime::RuntimeOptions;
use benchmarks::{bare_products, chain, with_look_up, with_residual};
use run::{Job, Role, Run};
use settle::Settled;
use std::time::Duration;

/// How to calibrate.
#[derive(Clone, Debug)]
pub struct CalibrationPlan {
    /// Runtime, library and threads.
    pub options: RuntimeOptions,
    /// Time of each timing of a micro-benchmark.
    pub slice: Duration,
    /// Rounds at most: each micro-benchmark is timed in three, and those whose undisturbed timings do not agree in
    /// more.
    pub rounds: usize,
    /// Compute ceiling of one thread, in 10^12 operations a second.
    pub peak_tflops: f64,
    /// Memory ceiling of one thread, in 10^9 bytes a second.
    pub bandwidth_gb_s: f64,
    /// The last cache, where known.
    pub cache_bytes: Option<u64>,
}

/// Rounds that a calibration takes at most, where nothing else is wanted.
pub const MOST_ROUNDS: usize = 10;
/// Layers of the chains that show what a run and what a kernel costs beyond its work.
const FEW: usize = 8;
const MANY: usize = 64;
/// Rows and columns of weights that no cache keeps.
const COLD: i64 = 4096;
/// How many such weights.
const COLD_LAYERS: usize = 4;
/// Words of a look-up and what is looked up of each: no powers of two, whose rows fall on each other in caches.
const TABLE: [i64; 2] = [20_000, 640];

/// Whether a runtime can be calibrated at all, which is worth knowing before minutes of measurements.
pub fn ready(options: &RuntimeOptions) -> Result<(), ProbeError> {
    bare_products(16, 16, 1).load(options)?.target.infer()
}

/// Share of micro-benchmarks that may not settle.
const UNSETTLED: f64 = 0.1;

/// Calibrates a runtime; a micro-benchmark that it refuses is left out and named.
pub fn calibrate(
    plan: &CalibrationPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Calibration, ProbeError> {
    let mut run = Run::new(plan)?;
    let tiny = |layers| chain("Tanh", &[1, 16], layers, |s, x, _| s.node("Tanh", &[x], &[]));
    run.add(Role::Few, tiny(FEW))?;
    run.add(Role::Many, tiny(MANY))?;
    run.add(Role::Weights, bare_products(1, COLD, COLD_LAYERS))?;
    run.add(Role::SharedWeights, with_look_up(true, TABLE))?;
    run.add(Role::OwnWeights, with_look_up(false, TABLE))?;
    run.add(Role::ConvolutionsAndSums, with_residual(true, true))?;
    run.add(Role::Convolutions, with_residual(false, true))?;
    run.add(Role::ProductsAndSums, with_residual(true, false))?;
    run.add(Role::Products, with_residual(false, false))?;
    benchmarks::all().into_iter().try_for_each(|b| run.add(Role::Point, b))?;
    networks::all().into_iter().try_for_each(|b| run.add(Role::Network, b))?;
    run.rounds(progress);
    fitted(&run, plan)
}

/// The calibration that the timings make.
fn fitted(run: &Run<'_>, plan: &CalibrationPlan) -> Result<Calibration, ProbeError> {
    let (few, many) = (run.only(Role::Few)?.1, run.only(Role::Many)?.1);
    let per_kernel = ((many - few) / (MANY - FEW) as f64).max(0.0);
    let per_run = (few - FEW as f64 * per_kernel).max(0.0);
    let cold_bytes = (COLD * COLD) as f64 * 4.0 * COLD_LAYERS as f64;
    let mut calibration = Calibration {
        runtime: plan.options.runtime.name().into(),
        version: run.version.clone(),
        threads: 1,
        peak_tflops: plan.peak_tflops,
        bandwidth_gb_s: plan.bandwidth_gb_s,
        cache_bytes: plan.cache_bytes,
        per_run_us: per_run * 1e6,
        per_kernel_us: per_kernel * 1e6,
        weights_gb_s: cold_bytes / run.only(Role::Weights)?.1 * 1e-9,
        shared_weights_gb_s: shared_weights_gb_s(run)?,
        sum_after_convolution: 1.0,
        sum_after_product: 1.0,
        settled: true,
        ..Calibration::default()
    };
    for job in run.jobs.iter().filter(|job| job.role == Role::Point) {
        match (run.settled(job), &job.refused) {
            (Some(settled), None) => {
                calibration.points.extend(point(&calibration, job, settled.seconds));
            }
            (_, reason) => {
                let reason = reason.as_deref().unwrap_or("it took no time");
                calibration.left_out.push(format!("{}: {reason}", job.benchmark.name));
            }
        }
    }
    if calibration.points.is_empty() {
        let reason = calibration.left_out.first().cloned().unwrap_or_default();
        return Err(ProbeError::Load(format!("no micro-benchmark ran: {reason}")));
    }
    let sums = [
        sum_after(run, Role::ConvolutionsAndSums, Role::Convolutions, &calibration)?,
        sum_after(run, Role::ProductsAndSums, Role::Products, &calibration)?,
    ];
    [calibration.sum_after_convolution, calibration.sum_after_product] = sums;
    calibration.benchmarks = u32::try_from(calibration.points.len()).unwrap_or(0);
    calibration.kernel_error = kernel_error(&calibration.points);
    calibration.networks = held_out(run, &calibration);
    trust(run, &mut calibration);
    Ok(calibration)
}

/// The networks that are held out: what the calibration makes of them, and what they took.
fn held_out(run: &Run<'_>, c: &Calibration) -> Vec<CalibrationNetwork> {
    let network = |job: &Job| {
        let measured = run.settled(job).filter(|_| job.refused.is_none())?;
        Some(CalibrationNetwork {
            name: job.benchmark.name.clone(),
            estimated_us: EstimateReport::new(c, &job.report).seconds * 1e6,
            measured_us: measured.seconds * 1e6,
        })
    };
    run.jobs.iter().filter(|job| job.role == Role::Network).filter_map(network).collect()
}

/// The error that estimates are given with: that of the networks held out. Where too many timings did not settle, the
/// calibration says so, and the error is wider by what those differ, as far as they are a part of all.
fn trust(run: &Run<'_>, c: &mut Calibration) {
    let errors = c.networks.iter().map(|n| (n.estimated_us / n.measured_us - 1.0).abs());
    let error = middle(errors.collect()).unwrap_or(c.kernel_error);
    let timed: Vec<Settled> =
        run.jobs.iter().filter(|j| j.refused.is_none()).filter_map(|j| run.settled(j)).collect();
    let open: Vec<f64> = timed.iter().filter(|s| !s.settled).map(|s| s.spread).collect();
    let share = open.len() as f64 / timed.len().max(1) as f64;
    c.disturbed = u32::try_from(open.len()).unwrap_or(u32::MAX);
    c.settled = share <= UNSETTLED;
    let more = if c.settled { 0.0 } else { share * middle(open).unwrap_or(0.0) };
    c.held_out_error = error + more;
}

/// 10^9 bytes a second at which weights that a look-up reads too are laid out for a product; nothing
/// where that takes no time.
fn shared_weights_gb_s(run: &Run<'_>) -> Result<Option<f64>, ProbeError> {
    let shared = run.only(Role::SharedWeights)?.1;
    let apart = run.only(Role::OwnWeights)?.1;
    let bytes = (TABLE[0] * TABLE[1]) as f64 * 4.0;
    // Less than a quarter is noise: the look-up takes other rows from memory, or the same.
    Ok((shared > 1.25 * apart).then(|| bytes / (shared - apart) * 1e-9))
}

/// The time of a sum that follows a convolution or a product, as a share of its time alone.
fn sum_after(run: &Run<'_>, with: Role, without: Role, c: &Calibration) -> Result<f64, ProbeError> {
    let ((job, with), (_, without)) = (run.only(with)?, run.only(without)?);
    let sums = job.kernels.iter().filter(|k| k.follows.is_some());
    let alone: f64 = sums.map(|k| k.seconds(c, false).0).sum();
    // What a runtime adds on the way may even cost less than nothing, within the noise.
    let share = if alone > 0.0 { (with - without) / alone } else { 1.0 };
    Ok(share.clamp(0.0, 20.0))
}

/// The greater of the two in the middle, where there are two.
fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The kernels of a micro-benchmark are alike: their mean shape and their common efficiency.
fn point(c: &Calibration, job: &Job, took: f64) -> Option<CalibrationPoint> {
    let first = job.kernels.first()?;
    let class = first.class?;
    let alike: Vec<&Kernel> = job.kernels.iter().filter(|k| k.class == first.class).collect();
    let n = alike.len() as f64;
    let overhead = c.per_run_us * 1e-6 + job.kernels.len() as f64 * c.per_kernel_us * 1e-6;
    let least: f64 = alike.iter().map(|k| k.least(c)).sum();
    let seconds = (took - overhead).max(0.1 * took);
    let axes = first.shape.len();
    let mean = |axis: usize| alike.iter().map(|k| k.shape[axis]).sum::<f64>() / n;
    Some(CalibrationPoint {
        name: job.benchmark.name.clone(),
        class: class.name().into(),
        shape: (0..axes).map(mean).collect(),
        efficiency: least / seconds,
        kernel_us: seconds / n * 1e6,
    })
}

/// Each point predicted from the others of its class: the median relative error of its time.
fn kernel_error(points: &[CalibrationPoint]) -> f64 {
    let error = |(i, p): (usize, &CalibrationPoint)| {
        let others = points.iter().enumerate().filter(|(j, o)| *j != i && o.class == p.class);
        let others: Vec<&CalibrationPoint> = others.map(|(_, o)| o).collect();
        Some((p.efficiency / efficiency(&others, &p.shape)? - 1.0).abs())
    };
    middle(points.iter().enumerate().filter_map(error).collect()).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::benchmarks::Benchmark;
    use super::*;
    use crate::dim::Bindings;
    use crate::ops::KernelClass;
    use crate::report::{ModelReport, kernels};
    use crate::runtime::Runtime;
    use std::collections::BTreeSet;

    fn plan() -> CalibrationPlan {
        CalibrationPlan {
            options: RuntimeOptions::new(Runtime::Tract),
            slice: Duration::from_millis(2),
            rounds: MOST_ROUNDS,
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
        run.add(Role::Point, benchmark).unwrap();
        run.rounds(&mut |_| ());
        let (job, seconds) = run.only(Role::Point).unwrap();
        assert!(seconds > 0.0 && run.version.contains("tract"));
        let c = Calibration {
            peak_tflops: plan.peak_tflops,
            bandwidth_gb_s: plan.bandwidth_gb_s,
            weights_gb_s: 10.0,
            ..Calibration::default()
        };
        let point = point(&c, job, seconds).unwrap();
        assert_eq!((point.class.as_str(), job.kernels.len()), ("tanh", 3));
        let c = Calibration { points: vec![point], ..c };
        let estimate: f64 = job.kernels.iter().map(|k| k.seconds(&c, true).0).sum();
        assert!((estimate / seconds - 1.0).abs() < 1e-9, "{estimate} {seconds}");
    }

    /// Shapes that are micro-benchmarks would be estimated at what they took, and show nothing.
    #[test]
    fn networks_are_complete_and_run_and_no_point_has_their_shapes() {
        let plan = plan();
        let mut run = Run::new(&plan).unwrap();
        let measured: BTreeSet<Vec<i64>> = benchmarks::all().into_iter().map(|b| b.input).collect();
        for network in networks::all() {
            assert!(!measured.contains(&network.input), "{}", network.name);
            run.add(Role::Network, network).unwrap();
        }
        for job in &run.jobs {
            assert!(job.report.is_complete() && job.kernels.len() > 3, "{}", job.benchmark.name);
            job.benchmark.load(&plan.options).unwrap();
        }
    }

    #[test]
    fn the_error_is_that_of_networks_and_wider_where_timings_did_not_settle() {
        let network = |estimated_us| CalibrationNetwork {
            name: "n".into(),
            estimated_us,
            measured_us: 100.0,
        };
        let plan = plan();
        let mut run = Run::new(&plan).unwrap();
        let mut c = Calibration {
            kernel_error: 0.5,
            networks: vec![network(110.0), network(80.0), network(100.0)],
            ..Calibration::default()
        };
        trust(&run, &mut c);
        assert!((c.held_out_error - 0.1).abs() < 1e-9 && c.settled, "{c:?}");
        // One timing of one job, which agrees with no other.
        let benchmark = chain("Tanh", &[1, 64], 1, |s, x, _| s.node("Tanh", &[x], &[]));
        run.add(Role::Point, benchmark).unwrap();
        run.sample(0).unwrap();
        trust(&run, &mut c);
        assert!((c.held_out_error - 0.15).abs() < 1e-9 && !c.settled, "{c:?}");
        assert_eq!(c.disturbed, 1);
        c.networks.clear();
        trust(&run, &mut c);
        assert!((c.held_out_error - 0.55).abs() < 1e-9, "{c:?}");
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

    /// All of it in tract, with timings too short to be worth anything.
    #[test]
    #[ignore = "takes minutes"]
    fn a_runtime_is_calibrated() {
        let plan = CalibrationPlan { slice: Duration::from_micros(100), rounds: 1, ..plan() };
        let mut shares = Vec::new();
        let c = calibrate(&plan, &mut |share| shares.push(share)).unwrap();
        assert!(shares.iter().all(|share| (0.0..1.0).contains(share)));
        assert!(c.left_out.is_empty(), "{:?}", c.left_out);
        assert_eq!(c.points.len(), benchmarks::all().len());
        assert_eq!(c.networks.len(), networks::all().len());
        assert!(c.networks.iter().all(|n| n.estimated_us > 0.0 && n.measured_us > 0.0), "{c:?}");
        assert!(c.held_out_error > 0.0 && c.kernel_error > 0.0 && c.weights_gb_s > 0.0, "{c:?}");
        assert_eq!(c.benchmarks, u32::try_from(c.points.len()).unwrap());
    }

    #[test]
    fn points_are_held_out_one_by_one() {
        let point = |efficiency: f64| CalibrationPoint {
            class: "tanh".into(),
            shape: vec![10.0],
            efficiency,
            ..CalibrationPoint::default()
        };
        assert!(kernel_error(&[point(0.5), point(0.5), point(0.5)]).abs() < 1e-12);
        let error = kernel_error(&[point(0.5), point(1.0)]);
        // Half the time and twice the time: the greater error of the two.
        assert!((error - 1.0).abs() < 1e-12, "{error}");
        let other = CalibrationPoint { class: "exp".into(), ..point(0.1) };
        assert!(kernel_error(&[point(0.5), point(0.5), other]).abs() < 1e-12);
    }
}
