//! `rooflens assess`: what a model costs, what this machine allows, and what it really reaches.

use super::{Exit, charts, emit, hinted};
use crate::dim::{Bindings, Dim};
use crate::host::{HostCeilings, MeasurePlan, measure};
use crate::ir::Model;
use crate::probe::{Measurement, Plan, run};
use crate::report::{
    ASSESSMENT_SCHEMA, Assessment, BoundReport, Gap, Machine, Measured, ModelReport, place,
};
use crate::roofline::Roof;
use crate::runtime::{TractTarget, WeightsOrigin};
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond, si};
use anyhow::{Context, Result};
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
    /// Give the batch a value: a size called so, else the open first axis of an input.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Seconds to run the model for, single stream and again on all cores.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Folder of the report.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-report")]
    output: PathBuf,
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
        let folder = super::new_folder(&self.output)?;

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
            measured.push(reached(label, m, roof, &report));
        }
        let assessment = Assessment {
            schema: ASSESSMENT_SCHEMA.to_owned(),
            bound: BoundReport::new(&roof_all, &report),
            machine: machine(&host),
            measured,
            runtime: "tract, in process".to_owned(),
            weights: match target.weights {
                WeightsOrigin::File => "from the file".into(),
                WeightsOrigin::Random { tensors, bytes } => {
                    format!("random: the file lacks {tensors} tensors ({})", si(bytes as f64, "B"))
                }
            },
            load_seconds: target.load_seconds,
            first_inference_seconds: target.first_seconds,
            analysis: report,
        };
        let json = folder.join("report.json");
        emit(&(serde_json::to_string_pretty(&assessment)? + "\n"), Some(&json))?;
        let chart = charts::assessment(&assessment, &roof_all);
        charts::write(&chart, &folder.join("roofline.svg"))?;
        if cfg!(feature = "png") {
            charts::write(&chart, &folder.join("roofline.png"))?;
        }
        emit(&summary(&assessment, &folder), None)?;
        let failed = assessment.measured.iter().any(|m| m.errors > 0);
        Ok(if failed { Exit::Failed } else { Exit::Good })
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
    let cached = Bytes(crate::host::cpu().last_cache_bytes().unwrap_or(0) as f64);
    let roof = |peak: f64, bandwidth: f64| Roof {
        device: host.cpu.clone(),
        dtype: "f32".into(),
        accumulate: None,
        unit: String::new(),
        boost_mhz: None,
        peak: FlopsPerSecond(peak),
        bandwidth: BytesPerSecond(bandwidth),
        measured: true,
        cached,
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
        simd: host.simd.to_owned(),
        peak_flops_one_thread: host.flops_one.median,
        peak_flops_all_threads: host.flops_all.median,
        triad_bytes_per_second_one_thread: host.triad_one.median,
        triad_bytes_per_second_all_threads: host.triad_all.median,
        doubts: host.doubts(),
    }
}

fn reached(name: &str, m: Measurement, roof: &Roof, report: &ModelReport) -> Measured {
    let at = |q: f64| m.percentiles.iter().find(|(p, _)| (p - q).abs() < 1e-9).map(|(_, v)| *v);
    let achieved = report.totals.operations().map(|work| m.throughput * work as f64);
    Measured {
        name: name.to_owned(),
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
        attainable_flops: place(roof, report).attainable.get(),
        gap: achieved.and_then(|a| Gap::new(a, &BoundReport::new(roof, report))),
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

fn summary(a: &Assessment, folder: &Path) -> String {
    let (t, m, b) = (&a.analysis.totals, &a.machine, &a.bound);
    let time = |s: f64| si(s, "s");
    let mut out = format!("{}\n", a.analysis.model.file);
    let mut row = |label: &str, text: String| {
        let _ = writeln!(out, "  {label:<10} {text}");
    };
    row(
        "costs",
        format!(
            "{} parameters; per run {} and {} compulsory; compulsory intensity {:.1} FLOP/B",
            crate::report::count(t.params),
            t.operations().map_or("unknown work".into(), |n| si(n as f64, "FLOP")),
            t.compulsory_bytes.map_or("unknown traffic".into(), |n| si(n as f64, "B")),
            b.intensity_flop_per_byte
        ),
    );
    row(
        "coverage",
        format!("{:.1} % of {} nodes", a.analysis.coverage.percent, a.analysis.coverage.nodes),
    );
    row("weights", a.weights.clone());
    for line in crate::report::assumptions(&a.analysis) {
        row("assumed", line);
    }
    row("machine", format!("{}, {} threads, {}", m.cpu, m.threads, m.simd));
    row("ceilings", crate::report::ceilings(b, ", measured"));
    for doubt in &m.doubts {
        row("noisy", doubt.clone());
    }
    row(
        "bound by",
        format!(
            "{}: {} per run at best, {} unfused",
            b.bound,
            time(b.least_seconds),
            time(b.node_by_node_seconds)
        ),
    );
    let _ = writeln!(out, "\nmeasured with {}, closed loop", a.runtime);
    for s in &a.measured {
        let p99 =
            s.p99_seconds.map_or("too few runs for p99".into(), |p| format!("p99 {}", time(p)));
        let p50 = s.p50_seconds.map_or(String::new(), |p| format!("p50 {}, ", time(p)));
        let _ = writeln!(
            out,
            "  {:<14} {:>7.1}/s  {p50}{p99}; {}",
            s.name,
            s.throughput_per_second,
            s.achieved_flops.map_or("FLOP/s not known".into(), |a| si(a, "FLOP/s"))
        );
        if let Some(gap) = &s.gap {
            let _ = writeln!(out, "  {:<14} {}", "", gap_in_words(gap, s.attainable_flops));
        }
        if let Some(error) = &s.first_error {
            let _ = writeln!(out, "  {:<14} failed: {error}", "");
        }
        if s.interrupted {
            let _ = writeln!(out, "  {:<14} interrupted: {} runs counted", "", s.count);
        }
    }
    let folder = folder.display().to_string();
    let _ = writeln!(out, "\nreport in {}/", crate::text::shown(&folder));
    out
}

/// How far from the roof, and why.
fn gap_in_words(gap: &Gap, attainable: f64) -> String {
    if gap.total < 1.0 {
        return "above the measured roof: the ceilings are too low".into();
    }
    format!(
        "×{:.1} below the {} attainable: ×{:.1} traffic between nodes, ×{:.1} kernels and runtime",
        gap.total,
        si(attainable, "FLOP/s"),
        gap.traffic,
        gap.kernels
    )
}
