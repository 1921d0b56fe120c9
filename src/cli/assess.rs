//! `rooflens assess`: what a model costs, what this machine allows, and what it really reaches.

use super::{Exit, emit, hinted};
use crate::dim::{Bindings, Dim};
use crate::host::{HostCeilings, MeasurePlan, measure};
use crate::ir::Model;
use crate::probe::{Measurement, Plan, TractTarget, WeightsOrigin, run};
use crate::report::ModelReport;
use crate::roofline::{Placement, Roof};
use crate::units::{Bytes, BytesPerSecond, Flops, FlopsPerSecond, Seconds, si};
use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The model that is assessed when none is named: `MobileNetV2`, 224×224, graph only.
const EMBEDDED: &[u8] = include_bytes!("../../models/mobilenet_v2.onnx");

/// Assess a model on this machine: count it, measure the ceilings, run it, compare.
///
/// Without MODEL, a built-in `MobileNetV2` is assessed. Nothing is installed and nothing leaves the
/// machine. The report goes to a new folder; an older one is never overwritten.
///
/// Examples:
///   rooflens assess
///   rooflens assess resnet50.onnx --batch 4 --seconds 10
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The model file (.onnx); a built-in `MobileNetV2` when left out.
    model: Option<PathBuf>,
    /// Give a symbol a value: SYMBOL=N. Repeatable; others are set to one.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Give the batch symbol (the open first axis of the first input) a value.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Seconds to run the model for, single stream and again on all cores.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Folder of the report.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-report")]
    output: PathBuf,
}

/// `report.json`.
#[derive(Serialize)]
struct Report<'a> {
    schema: &'static str,
    machine: Machine,
    bound: BoundReport,
    measured: Vec<Measured>,
    weights: String,
    load_seconds: f64,
    first_inference_seconds: f64,
    analysis: &'a ModelReport,
}

/// Ceilings of the machine.
#[derive(Serialize)]
struct Machine {
    cpu: String,
    threads: usize,
    simd: &'static str,
    peak_flops_one_thread: f64,
    peak_flops_all_threads: f64,
    triad_bytes_per_second_one_thread: f64,
    triad_bytes_per_second_all_threads: f64,
    doubts: Vec<String>,
}

/// What the ceilings allow, on all threads, when only compulsory traffic reaches the memory.
#[derive(Serialize)]
struct BoundReport {
    ridge_flop_per_byte: f64,
    intensity_flop_per_byte: f64,
    attainable_flops: f64,
    bound: &'static str,
    /// max(F/π, Q/β) of the whole model.
    model_seconds: f64,
    /// The time when every node reads its inputs from memory and writes its outputs there.
    node_by_node_seconds: f64,
}

/// A closed loop.
#[derive(Serialize)]
struct Measured {
    name: &'static str,
    workers: usize,
    count: u64,
    errors: u64,
    first_error: Option<String>,
    interrupted: bool,
    throughput_per_second: f64,
    mean_seconds: f64,
    p50_seconds: Option<f64>,
    p90_seconds: Option<f64>,
    p95_seconds: Option<f64>,
    p99_seconds: Option<f64>,
    max_seconds: f64,
    achieved_flops: f64,
    attainable_flops: f64,
    times_below_attainable: Option<f64>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if !(self.seconds > 0.0 && self.seconds <= 3600.0) {
            return Err(hinted(
                "`--seconds` must be above 0 and at most 3600",
                "for example --seconds 5",
            ));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let flag = stop.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("no signal handler")?;
        let (name, bytes) = self.file()?;
        let model = self.load(&bytes)?;
        let bindings = super::analyze::bindings(&model, &self.dim, self.batch)?;
        let report = ModelReport::new(&model, &name, &bindings)
            .map_err(|e| hinted(e.to_string(), "give smaller sizes with --dim"))?;
        let folder = new_folder(&self.output)?;

        let bar = super::progress_bar("measuring this machine");
        let host = measure(&MeasurePlan::default(), &mut |x| bar.set_position(super::permille(x)));
        bar.finish_and_clear();
        let (roof_one, roof_all) = roofs(&host);
        let shapes = shapes(&model, &report);
        let bar = super::progress_bar("loading the model");
        let target = TractTarget::load(&bytes, &shapes, 1).map_err(|e| {
            hinted(e.to_string(), "`rooflens analyze` works without running the model")
        })?;
        bar.finish_and_clear();
        let mut measured = Vec::new();
        for (label, workers, roof) in
            [("single stream", 1, &roof_one), ("all cores", host.threads, &roof_all)]
        {
            let bar = super::progress_bar(label);
            let plan = Plan {
                workers,
                warm_up: Duration::from_secs_f64(self.seconds / 6.0),
                duration: Duration::from_secs_f64(self.seconds),
            };
            let m = run(&plan, &target, &stop, &|x| bar.set_position(super::permille(x)));
            bar.finish_and_clear();
            measured.push(place(label, m, roof, &report));
        }
        let whole = whole(&roof_all, &report);
        let full = Report {
            schema: "rooflens.assessment/1",
            bound: BoundReport {
                ridge_flop_per_byte: roof_all.ridge().get(),
                intensity_flop_per_byte: whole.intensity.get(),
                attainable_flops: whole.attainable.get(),
                bound: whole.bound.name(),
                model_seconds: whole.time.get(),
                node_by_node_seconds: node_by_node(&roof_all, &report).get(),
            },
            machine: machine(&host),
            measured,
            weights: match target.weights {
                WeightsOrigin::File => "from the file".into(),
                WeightsOrigin::Random { tensors, bytes } => {
                    format!("random: the file lacks {tensors} tensors ({})", si(bytes as f64, "B"))
                }
            },
            load_seconds: target.load_seconds,
            first_inference_seconds: target.first_seconds,
            analysis: &report,
        };
        let json = folder.join("report.json");
        emit(&(serde_json::to_string_pretty(&full)? + "\n"), Some(&json))?;
        let svg = crate::chart::render_svg(&chart(&full))?;
        emit(&svg, Some(&folder.join("roofline.svg")))?;
        super::picture(&svg, &folder.join("roofline.png"))?;
        emit(&summary(&full, &folder), None)?;
        Ok(if full.measured.iter().any(|m| m.errors > 0) { Exit::Failed } else { Exit::Good })
    }

    fn file(&self) -> Result<(String, bytes::Bytes)> {
        match &self.model {
            None => {
                Ok(("mobilenet_v2.onnx (built in)".into(), bytes::Bytes::from_static(EMBEDDED)))
            }
            Some(path) => {
                let bytes = std::fs::read(path).map_err(|e| {
                    hinted(format!("`{}` cannot be read: {e}", path.display()), "check the path")
                })?;
                Ok((path.display().to_string(), bytes.into()))
            }
        }
    }

    fn load(&self, bytes: &bytes::Bytes) -> Result<Model> {
        let loaded = match &self.model {
            Some(path) => crate::formats::load(path),
            None => crate::formats::load_bytes(bytes),
        };
        loaded.map_err(|e| hinted(e.to_string(), e.hint().unwrap_or("check the file")))
    }
}

/// Roofs of one thread and of all.
fn roofs(host: &HostCeilings) -> (Roof, Roof) {
    let roof = |peak: f64, bandwidth: f64| Roof {
        device: host.cpu.clone(),
        dtype: "f32".into(),
        peak: FlopsPerSecond(peak),
        bandwidth: BytesPerSecond(bandwidth),
        measured: true,
    };
    (
        roof(host.flops_one.median, host.triad_one.median),
        roof(host.flops_all.median, host.triad_all.median),
    )
}

fn machine(host: &HostCeilings) -> Machine {
    Machine {
        cpu: host.cpu.clone(),
        threads: host.threads,
        simd: host.simd,
        peak_flops_one_thread: host.flops_one.median,
        peak_flops_all_threads: host.flops_all.median,
        triad_bytes_per_second_one_thread: host.triad_one.median,
        triad_bytes_per_second_all_threads: host.triad_all.median,
        doubts: host.doubts(),
    }
}

fn whole(roof: &Roof, report: &ModelReport) -> Placement {
    let t = &report.totals;
    roof.place(Flops(t.flops as f64), Bytes(t.compulsory_bytes as f64))
}

fn node_by_node(roof: &Roof, report: &ModelReport) -> Seconds {
    let place = |op: &crate::report::OpReport| {
        roof.place(Flops(op.flops as f64), Bytes((op.bytes_read + op.bytes_written) as f64)).time
    };
    report.ops.iter().map(place).sum()
}

fn place(name: &'static str, m: Measurement, roof: &Roof, report: &ModelReport) -> Measured {
    let at = |q: f64| m.percentiles.iter().find(|(p, _)| (p - q).abs() < 1e-9).map(|(_, v)| *v);
    let achieved = m.throughput * report.totals.flops as f64;
    let attainable = whole(roof, report).attainable.get();
    Measured {
        name,
        workers: m.workers,
        count: m.count,
        errors: m.errors,
        interrupted: m.interrupted,
        throughput_per_second: m.throughput,
        mean_seconds: m.mean,
        p50_seconds: at(0.5),
        p90_seconds: at(0.9),
        p95_seconds: at(0.95),
        p99_seconds: at(0.99),
        max_seconds: m.max,
        achieved_flops: achieved,
        attainable_flops: attainable,
        times_below_attainable: (achieved > 0.0).then(|| attainable / achieved),
        first_error: m.first_error,
    }
}

/// Shapes of the inputs at the bindings.
fn shapes(model: &Model, report: &ModelReport) -> Vec<Vec<usize>> {
    let at: Bindings =
        report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
    let size = |d: &Dim| d.bind(&at).as_usize().unwrap_or(1);
    let shape = |id: &crate::ir::ValueId| {
        model.graph.value(*id).info.shape.iter().flatten().map(size).collect()
    };
    model.graph.inputs.iter().map(shape).collect()
}

/// The chart of an assessment: the roof of all threads, operators, the model and the runs.
fn chart(r: &Report<'_>) -> crate::chart::Chart {
    let m = &r.machine;
    let roof = |label: &str, peak: f64, bandwidth: f64| crate::chart::RoofLine {
        label: label.into(),
        peak,
        bandwidth,
        measured: true,
    };
    let all =
        roof("f32, all threads", m.peak_flops_all_threads, m.triad_bytes_per_second_all_threads);
    let one = roof("f32, one thread", m.peak_flops_one_thread, m.triad_bytes_per_second_one_thread);
    let points = super::op_points(r.analysis, all.peak, all.bandwidth);
    let measured = r.measured.iter().filter(|s| s.achieved_flops > 0.0);
    let measured = measured.map(|s| crate::chart::MeasuredPoint {
        label: s.name.into(),
        intensity: r.bound.intensity_flop_per_byte,
        achieved: s.achieved_flops,
        attainable: s.attainable_flops,
    });
    crate::chart::Chart {
        title: format!("{} on {}", r.analysis.model.file, m.cpu),
        subtitle: format!(
            "{} threads, {}; ceilings measured; points are operators, area by share of the time bound",
            m.threads, m.simd
        ),
        measured: measured.collect(),
        model: Some((
            "whole model, at best".into(),
            r.bound.intensity_flop_per_byte,
            r.bound.attainable_flops,
        )),
        roofs: if m.threads > 1 { vec![all, one] } else { vec![all] },
        points,
    }
}

/// The folder, or the first of `-2`, `-3` … that is not there yet.
fn new_folder(wanted: &Path) -> Result<PathBuf> {
    let mut folder = wanted.to_owned();
    for n in 2.. {
        match std::fs::create_dir(&folder) {
            Ok(()) => break,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                folder = PathBuf::from(format!("{}-{n}", wanted.display()));
            }
            Err(e) => {
                let message = format!("cannot make the folder `{}`: {e}", folder.display());
                return Err(hinted(message, "choose another with --output"));
            }
        }
    }
    Ok(folder)
}

fn summary(r: &Report<'_>, folder: &Path) -> String {
    let t = &r.analysis.totals;
    let time = |s: f64| si(s, "s");
    let mut out = String::new();
    let _ = writeln!(out, "{}", r.analysis.model.file);
    let _ = writeln!(
        out,
        "  costs      {} parameters, {}, at least {} moved: {:.1} FLOP/B",
        crate::report::count(t.params),
        si(t.flops as f64, "FLOP"),
        si(t.compulsory_bytes as f64, "B"),
        r.bound.intensity_flop_per_byte
    );
    let _ = writeln!(
        out,
        "  coverage   {:.1} % of {} nodes; weights {}",
        r.analysis.coverage.percent, r.analysis.coverage.nodes, r.weights
    );
    for a in &r.analysis.assumptions {
        let _ = writeln!(
            out,
            "  assumed    {} = {} (set it with --dim {}=N)",
            a.symbol, a.value, a.symbol
        );
    }
    let m = &r.machine;
    let _ = writeln!(out, "\n{}, {} threads, {}", m.cpu, m.threads, m.simd);
    let _ = writeln!(
        out,
        "  ceilings   {} and {}, measured; ridge at {:.1} FLOP/B",
        si(m.peak_flops_all_threads, "FLOP/s"),
        si(m.triad_bytes_per_second_all_threads, "B/s"),
        r.bound.ridge_flop_per_byte
    );
    let _ = writeln!(
        out,
        "  bound by   {}: at best {} an inference; {} if nothing stays in cache between nodes",
        r.bound.bound,
        time(r.bound.model_seconds),
        time(r.bound.node_by_node_seconds)
    );
    for doubt in &m.doubts {
        let _ = writeln!(out, "  noisy      {doubt}");
    }
    let _ = writeln!(out, "\nmeasured with tract in this process, closed loop");
    for s in &r.measured {
        let p99 =
            s.p99_seconds.map_or("too few samples for p99".into(), |p| format!("p99 {}", time(p)));
        let p50 = s.p50_seconds.map_or(String::new(), |p| format!("p50 {}, ", time(p)));
        let gap = s.times_below_attainable.map_or(String::new(), |g| match g {
            1.0.. => format!(", ×{g:.1} below the roof"),
            _ => ", above the measured roof: the ceilings are too low".into(),
        });
        let _ = writeln!(
            out,
            "  {:<14} {:>8.1}/s  {p50}{p99}  {}{gap}",
            s.name,
            s.throughput_per_second,
            si(s.achieved_flops, "FLOP/s")
        );
        if let Some(error) = &s.first_error {
            let _ = writeln!(out, "    failed: {error}");
        }
        if s.interrupted {
            let _ = writeln!(out, "    interrupted: {} inferences counted", s.count);
        }
    }
    let _ = writeln!(out, "\nreport in {}/", folder.display());
    out
}
