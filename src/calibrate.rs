//! How fast a runtime's kernels are on this machine: micro-benchmark models, made here, run in the
//! runtime, and fitted as efficiencies by kind and shape.

use crate::dim::Bindings;
use crate::formats::Sketch;
use crate::hwdb::{Calibration, CalibrationPoint};
use crate::probe::{Loaded, ProbeError, RuntimeOptions, Target};
use crate::report::{Kernel, ModelReport, efficiency, kernels};
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
}

/// A micro-benchmark: a chain of layers, which load and run as any model does.
struct Benchmark {
    file: Vec<u8>,
    input: Vec<i64>,
}

/// What a micro-benchmark took.
struct Timed {
    kernels: Vec<Kernel>,
    seconds: f64,
}

/// Layers in a chain: enough that what a run costs beyond its kernels counts little.
const DEPTH: usize = 4;

/// Calibrates a runtime; a micro-benchmark that it refuses is left out and named.
pub fn calibrate(
    plan: &CalibrationPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Calibration, ProbeError> {
    let tiny = |layers| chain(&[1, 16], |s, x, _| s.node("Tanh", &[x], &[]), layers);
    let (few, version) = time(&tiny(8), plan)?;
    let (many, _) = time(&tiny(64), plan)?;
    let per_kernel = ((many.seconds - few.seconds) / 56.0).max(0.0);
    let per_run = (few.seconds - 8.0 * per_kernel).max(0.0);
    let mut calibration = Calibration {
        runtime: plan.options.runtime.name().into(),
        version,
        threads: 1,
        peak_tflops: plan.peak_tflops,
        bandwidth_gb_s: plan.bandwidth_gb_s,
        per_run_us: per_run * 1e6,
        per_kernel_us: per_kernel * 1e6,
        ..Calibration::default()
    };
    let large = [1, 64, 56, 56];
    let (cheap, _) = time(&chain(&large, |s, x, _| s.node("Add", &[x, "x"], &[]), 3), plan)?;
    let (dear, _) = time(&chain(&large, |s, x, _| s.node("Sigmoid", &[x], &[]), 3), plan)?;
    let functions: f64 = dear.kernels.iter().map(|k| k.transcendentals).sum();
    let each = (dear.seconds - cheap.seconds).max(0.0) / functions.max(1.0);
    calibration.transcendental_ns = each * 1e9;

    let all = benchmarks();
    let total = all.len() as f64;
    for (i, benchmark) in all.iter().enumerate() {
        progress(i as f64 / total);
        let Ok((timed, _)) = time(benchmark, plan) else { continue };
        calibration.points.extend(point(&calibration, &timed));
    }
    calibration.fuses_norms = fuses_norms(&calibration, plan);
    calibration.held_out_error = held_out_error(&calibration.points);
    calibration.benchmarks = u32::try_from(calibration.points.len()).unwrap_or(0);
    Ok(calibration)
}

/// Loads and runs a micro-benchmark: its kernels, the median time of a run, and the runtime's name.
fn time(benchmark: &Benchmark, plan: &CalibrationPlan) -> Result<(Timed, String), ProbeError> {
    let model = crate::formats::load_bytes(&benchmark.file.clone().into())
        .map_err(|e| ProbeError::Load(e.to_string()))?;
    let report = ModelReport::new(&model, "micro-benchmark", &Bindings::new())
        .map_err(|e| ProbeError::Load(e.to_string()))?;
    let shape = benchmark.input.iter().map(|n| usize::try_from(*n).unwrap_or(1)).collect();
    let loaded = Loaded::new(&benchmark.file, &[shape], &plan.options)?;
    let seconds = median_seconds(&*loaded.target, plan.slice)?;
    Ok((Timed { kernels: kernels(&report, false), seconds }, loaded.name))
}

/// The median of the runs that fit into `slice`, five at least.
fn median_seconds(target: &dyn Target, slice: Duration) -> Result<f64, ProbeError> {
    let warm_up = Instant::now();
    while warm_up.elapsed() < slice / 4 {
        target.infer()?;
    }
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < slice || times.len() < 5 {
        let run = Instant::now();
        target.infer()?;
        times.push(run.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// The kernels of a micro-benchmark are alike: their mean shape and their common efficiency.
fn point(c: &Calibration, timed: &Timed) -> Option<CalibrationPoint> {
    let first = timed.kernels.first()?;
    let alike: Vec<&Kernel> = timed.kernels.iter().filter(|k| k.class == first.class).collect();
    let n = alike.len() as f64;
    let overhead = c.per_run_us * 1e-6 + timed.kernels.len() as f64 * c.per_kernel_us * 1e-6;
    let least: f64 = alike.iter().map(|k| k.least(c)).sum();
    let seconds = (timed.seconds - overhead).max(0.1 * timed.seconds);
    let axes = first.shape.len();
    let mean = |axis: usize| alike.iter().map(|k| k.shape[axis]).sum::<f64>() / n;
    Some(CalibrationPoint {
        class: first.class.into(),
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
    let mut errors: Vec<f64> = points.iter().enumerate().filter_map(error).collect();
    errors.sort_by(f64::total_cmp);
    errors.get(errors.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Whether a norm that is written out takes the time of one kernel rather than of its nodes.
fn fuses_norms(c: &Calibration, plan: &CalibrationPlan) -> bool {
    let mut sketch = Sketch::new(&[1, 128, 768]);
    let (scale, shift) = (sketch.weight(&[768]), sketch.weight(&[768]));
    let mut at = "x".to_owned();
    for _ in 0..DEPTH {
        let mean = sketch.node("ReduceMean", &[&at], &[("axes", &[-1])]);
        let centred = sketch.node("Sub", &[&at, &mean], &[]);
        let square = sketch.node("Mul", &[&centred, &centred], &[]);
        let variance = sketch.node("ReduceMean", &[&square], &[("axes", &[-1])]);
        let root = sketch.node("Sqrt", &[&variance], &[]);
        let unit = sketch.node("Div", &[&centred, &root], &[]);
        let scaled = sketch.node("Mul", &[&unit, &scale], &[]);
        at = sketch.node("Add", &[&scaled, &shift], &[]);
    }
    let benchmark = Benchmark { file: sketch.finish(&at), input: vec![1, 128, 768] };
    let Ok((timed, _)) = time(&benchmark, plan) else { return false };
    let Ok(model) = crate::formats::load_bytes(&benchmark.file.clone().into()) else {
        return false;
    };
    let Ok(report) = ModelReport::new(&model, "", &Bindings::new()) else { return false };
    let predicted = |fuses: bool| {
        let all = kernels(&report, fuses);
        let sum: f64 = all.iter().map(|k| crate::report::kernel_seconds(c, k).0).sum();
        ((sum + c.per_run_us * 1e-6) / timed.seconds).ln().abs()
    };
    predicted(true) < predicted(false)
}

/// `layers` times `layer`, which gets the sketch, its input and its number.
fn chain(
    input: &[i64],
    layer: impl Fn(&mut Sketch, &str, usize) -> String,
    layers: usize,
) -> Benchmark {
    let mut sketch = Sketch::new(input);
    let mut at = "x".to_owned();
    for i in 0..layers {
        at = layer(&mut sketch, &at, i);
    }
    Benchmark { file: sketch.finish(&at), input: input.to_vec() }
}

/// Convolutions between `a` and `b` channels and back, with the epilogue that most have.
fn convolutions(a: i64, b: i64, size: i64, window: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, i: usize| {
        let (from, to) = if i.is_multiple_of(2) { (a, b) } else { (b, a) };
        let (weight, bias) = (s.weight(&[to, from, window, window]), s.weight(&[to]));
        let pads = [window / 2; 4];
        let y = s.node("Conv", &[x, &weight, &bias], &[("pads", &pads)]);
        s.node("Relu", &[&y], &[])
    };
    let depth = if a * b * size * size * window * window > 1 << 30 { 2 } else { DEPTH };
    chain(&[1, a, size, size], layer, depth)
}

fn stem(channels: i64, window: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, _: usize| {
        let (weight, bias) = (s.weight(&[channels, 3, window, window]), s.weight(&[channels]));
        let ints: [(&str, &[i64]); 2] = [("pads", &[window / 2; 4]), ("strides", &[2, 2])];
        let y = s.node("Conv", &[x, &weight, &bias], &ints);
        s.node("Relu", &[&y], &[])
    };
    chain(&[1, 3, 224, 224], layer, 1)
}

fn depthwise(channels: i64, size: i64, window: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, _: usize| {
        let (weight, bias) = (s.weight(&[channels, 1, window, window]), s.weight(&[channels]));
        let ints: [(&str, &[i64]); 2] = [("pads", &[window / 2; 4]), ("group", &[channels])];
        let y = s.node("Conv", &[x, &weight, &bias], &ints);
        s.node("Relu", &[&y], &[])
    };
    chain(&[1, channels, size, size], layer, DEPTH)
}

fn products(rows: i64, a: i64, b: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, i: usize| {
        let (from, to) = if i.is_multiple_of(2) { (a, b) } else { (b, a) };
        let (weight, bias) = (s.weight(&[from, to]), s.weight(&[to]));
        let y = s.node("MatMul", &[x, &weight], &[]);
        s.node("Add", &[&y, &bias], &[])
    };
    chain(&[1, rows, a], layer, DEPTH)
}

/// Products of a batch of matrices, as in attention: `[h, s, d]·[h, d, s]` and back.
fn batched(heads: i64, rows: i64, depth: i64) -> Benchmark {
    let layer = |s: &mut Sketch, x: &str, i: usize| {
        let (from, to) = if i.is_multiple_of(2) { (depth, rows) } else { (rows, depth) };
        let weight = s.weight(&[heads, from, to]);
        s.node("MatMul", &[x, &weight], &[])
    };
    chain(&[heads, rows, depth], layer, DEPTH)
}

/// All micro-benchmarks, none of which is a part of a known network as a whole.
fn benchmarks() -> Vec<Benchmark> {
    let mut all = Vec::new();
    for (a, b, size) in [
        (16, 96, 112),
        (24, 144, 56),
        (32, 192, 28),
        (64, 256, 56),
        (64, 64, 56),
        (96, 576, 14),
        (160, 960, 7),
        (128, 512, 28),
        (256, 1024, 14),
        (512, 2048, 7),
        (320, 1280, 7),
        (1280, 1280, 1),
        (48, 12, 1),
        (116, 116, 14),
    ] {
        all.push(convolutions(a, b, size, 1));
    }
    for (a, b, size) in [
        (32, 32, 112),
        (64, 64, 56),
        (128, 128, 28),
        (256, 256, 14),
        (512, 512, 7),
        (32, 32, 149),
        (128, 32, 28),
        (128, 32, 7),
        (256, 256, 56),
        (512, 512, 14),
        (64, 64, 224),
        (96, 96, 35),
        (192, 192, 17),
    ] {
        all.push(convolutions(a, b, size, 3));
    }
    all.extend([stem(32, 3), stem(64, 7), convolutions(64, 64, 35, 5)]);
    for (channels, size, window) in [
        (32, 112, 3),
        (96, 112, 3),
        (144, 56, 3),
        (192, 28, 3),
        (384, 14, 3),
        (960, 7, 3),
        (240, 28, 5),
        (672, 14, 5),
        (1152, 7, 5),
        (96, 56, 7),
        (384, 14, 7),
        (768, 7, 7),
    ] {
        all.push(depthwise(channels, size, window));
    }
    for (rows, a, b) in [
        (1, 768, 768),
        (1, 768, 3072),
        (1, 2048, 1000),
        (1, 4096, 4096),
        (1, 256, 64),
        (8, 64, 256),
        (8, 768, 768),
        (16, 512, 2048),
        (49, 768, 3072),
        (128, 768, 768),
        (197, 768, 3072),
        (196, 384, 1536),
        (784, 192, 768),
        (3136, 96, 384),
        (64, 64, 64),
    ] {
        all.push(products(rows, a, b));
    }
    for (heads, rows, depth) in
        [(12, 128, 64), (12, 197, 64), (12, 16, 64), (4, 8, 16), (64, 49, 32), (192, 49, 32)]
    {
        all.push(batched(heads, rows, depth));
    }
    for elements in [64, 1 << 10, 1 << 13, 1 << 16, 1 << 18, 1 << 20, 3 << 20] {
        let shape = [1, elements / 16, 4, 4];
        let rows = [1, elements / 64 + 1, 8, 8];
        all.push(chain(&shape, |s, x, _| s.node("Add", &[x, "x"], &[]), DEPTH));
        // Several in a row would be merged into one, or cancel.
        all.push(chain(&rows, |s, x, _| s.node("Transpose", &[x], &[("perm", &[0, 2, 1, 3])]), 1));
        all.push(chain(&rows, |s, x, _| s.node("Softmax", &[x], &[("axis", &[-1])]), DEPTH));
        let wide = [1, elements / 64 + 1, 64];
        let norm = |s: &mut Sketch, x: &str, _: usize| {
            let (scale, shift) = (s.weight(&[64]), s.weight(&[64]));
            s.node("LayerNormalization", &[x, &scale, &shift], &[("axis", &[-1])])
        };
        all.push(chain(&wide, norm, DEPTH));
        let pool = |s: &mut Sketch, x: &str, _: usize| {
            let ints: [(&str, &[i64]); 2] = [("kernel_shape", &[3, 3]), ("pads", &[1, 1, 1, 1])];
            s.node("MaxPool", &[x], &ints)
        };
        all.push(chain(&rows, pool, DEPTH));
    }
    all
}
