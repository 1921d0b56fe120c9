//! `rooflens assess`: what a model costs, what this machine allows, and what it really reaches.

mod attempt;

use super::super::gather::{self, Gathered};
use super::probe::interruptible;
use super::{Exit, charts, emit, hinted};
use crate::assess::{ASSESSMENT_SCHEMA, Assessment};
use crate::chart::Chart;
use crate::cli::runtimes::RuntimeName;
use crate::cli::sizes::Open;
use crate::dim::Bindings;
use crate::host::{HostCeilings, MeasurePlan, measure};
use crate::ir::Model;
use crate::os::machine::Machine;
use crate::render;
use crate::report::{BoundReport, ModelReport};
use crate::roofline::Roof;
use crate::schema::MachinePart;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond};
use anyhow::Result;
use attempt::Attempts;
use std::path::{Path, PathBuf};

/// The model that is assessed when none is named: `MobileNetV2`, 224×224, graph only.
const EMBEDDED: &[u8] = include_bytes!("../../../models/mobilenet_v2.onnx");

/// Assess a model on this machine: count its costs, measure the ceilings, run it, and compare.
///
/// Without MODEL, a built-in `MobileNetV2` is assessed. Nothing is installed and nothing leaves the
/// machine. The report goes to a new folder; existing ones are kept.
///
/// The model runs in tract or, where tract refuses it, in onnxruntime, if its library is found. Where
/// neither runs it, the counts, the ceilings and the chart are written all the same, with the reasons.
///
/// Examples:
///   rooflens assess
///   rooflens assess resnet50.onnx --batch 4 --seconds 10
///   rooflens assess decoder.onnx --dim past=128 --value use_cache=true --runtime ort
///
/// Exit codes: 0 measured; 1 counted, but the model was not measured or inferences failed; 2 could
/// not assess.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(in crate::cli) struct Args {
    /// Model file or folder [default: a built-in MobileNetV2].
    model: Option<PathBuf>,
    #[command(flatten, next_help_heading = "Model")]
    open: Open,
    /// Runtime to run the model in; the next one is tried where one refuses it. Repeatable [default: tract, then ort].
    #[arg(long, value_name = "RUNTIME", help_heading = "Run")]
    runtime: Vec<RuntimeName>,
    /// Path of onnxruntime's library [default: searched for, as by `rooflens probe ort:`].
    #[arg(long, value_name = "FILE", help_heading = "Run")]
    ort_library: Option<PathBuf>,
    /// Seconds to run the model, single stream and again on all cores [default: 3 to 10, as long as a p99 needs].
    #[arg(long, value_name = "S", help_heading = "Run")]
    seconds: Option<f64>,
    /// Folder for the report; an existing one is kept, and a number appended.
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = "rooflens-report",
        help_heading = "Run"
    )]
    output: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if self.seconds.is_some_and(|s| !(0.1..=3600.0).contains(&s)) {
            return Err(hinted("`--seconds` must be 0.1 to 3600", "for example --seconds 5"));
        }
        let stop = interruptible()?;
        let Counted { model, bindings, report } = self.counted()?;
        let folder = super::new_folder(&self.output)?;
        let host = ceilings();
        let [roof_one, roof_all] = roofs(&host);
        let mut assessment = Assessment {
            schema: ASSESSMENT_SCHEMA.to_owned(),
            bound: BoundReport::new(&roof_all, &report),
            machine: machine(&host),
            measured: Vec::new(),
            not_measured: Some("the command ended before the model was measured".into()),
            refusals: Vec::new(),
            advice: Some(self.advice()),
            runtime: None,
            weights: None,
            load_seconds: None,
            first_inference_seconds: None,
            analysis: report,
        };
        // Whatever a runtime does to this process, what is known so far is kept.
        save(&assessment, &roof_all, &folder)?;
        let attempts = Attempts {
            model: &model,
            bindings: &bindings,
            feeds: super::feeds(&model, &assessment.analysis),
            path: self.model.as_deref(),
            name: &assessment.analysis.model.file,
            library: self.ort_library.as_deref(),
            seconds: self.seconds,
            threads: host.threads,
        };
        let outcome = attempts.run(&self.runtimes(), &stop)?;
        outcome.into_report(&mut assessment, [&roof_one, &roof_all]);
        save(&assessment, &roof_all, &folder)?;
        pictured(&assessment, &roof_all, &folder)?;
        page(&assessment, model, &folder)?;
        emit(&render::text::assessment(&assessment, &folder), None)?;
        let failed = assessment.measured.iter().any(|m| m.errors > 0 || m.interrupted);
        let measured = assessment.not_measured.is_none();
        Ok(if failed || !measured { Exit::Failed } else { Exit::Good })
    }

    fn runtimes(&self) -> Vec<RuntimeName> {
        match &self.runtime[..] {
            [] => vec![RuntimeName::Tract, RuntimeName::Ort],
            given => given.to_vec(),
        }
    }

    /// The command that measures the model where it is served.
    fn advice(&self) -> String {
        let file = self.model.as_ref().map_or("MODEL".into(), |path| path.display().to_string());
        format!("rooflens probe kserve+http://HOST:PORT/NAME --model {file}")
    }

    /// The model at the sizes that are given, counted.
    fn counted(&self) -> Result<Counted> {
        let (name, mut model) = match &self.model {
            Some(path) => (path.display().to_string(), self.open.load(path)?),
            None => {
                let bytes = bytes::Bytes::from_static(EMBEDDED);
                let model = crate::formats::load_bytes(&bytes);
                let model = model.map_err(|e| super::given::refused(&e))?;
                ("mobilenet_v2.onnx (built in)".into(), model)
            }
        };
        let bindings = self.open.set(&mut model)?;
        let mut report = ModelReport::new(&model, &name, &bindings)
            .map_err(|e| hinted(e.to_string(), "give smaller sizes with --dim or --shape"))?;
        report.diagnostics.extend(self.open.by_convention(&model));
        Ok(Counted { model, bindings, report })
    }
}

/// A model at its sizes.
struct Counted {
    model: Model,
    bindings: Bindings,
    report: ModelReport,
}

/// The ceilings of this machine, measured.
fn ceilings() -> HostCeilings {
    let bar = super::progress_bar("measuring this machine");
    let host = measure(&MeasurePlan::default(), &mut |x| bar.set_position(super::permille(x)));
    bar.finish_and_clear();
    host
}

/// Writes the report and its chart.
fn save(assessment: &Assessment, roof: &Roof, folder: &Path) -> Result<()> {
    let json = render::json::pretty(assessment)?;
    emit(&json, Some(&folder.join("report.json")))?;
    charts::write(&chart(assessment, roof), &folder.join("roofline.svg"))
}

/// Writes the chart as a picture, where this build makes pictures.
fn pictured(assessment: &Assessment, roof: &Roof, folder: &Path) -> Result<()> {
    if !crate::chart::MAKES_PNG {
        return Ok(());
    }
    charts::write(&chart(assessment, roof), &folder.join("roofline.png"))
}

/// Writes the page that says it all.
fn page(assessment: &Assessment, model: Model, folder: &Path) -> Result<()> {
    let (report, assessment) = (assessment.analysis.clone(), Some(assessment.clone()));
    let counted = gather::Counted { report, model: Some(model), assessment };
    let study = Gathered { models: vec![counted], runs: Vec::new() }.study(&[])?;
    emit(&crate::cli::report::html(&study), Some(&folder.join("report.html")))
}

/// The chart of an assessment.
fn chart(a: &Assessment, roof: &Roof) -> Chart {
    let m = &a.machine;
    Chart {
        title: format!("{} on {}", render::chart::file_name(&a.analysis), m.cpu),
        subtitle: format!(
            "{} threads, {}; ceilings measured{}; a point is an operator, its area the share of the time bound",
            m.threads,
            m.simd,
            if a.measured.is_empty() { ", the model was not" } else { "" }
        ),
        roofs: render::chart::machine_roofs(a),
        points: render::chart::op_points(&a.analysis, roof),
        models: vec![render::chart::model_point("whole model, at best", &a.analysis, roof)],
        measured: render::chart::measured(a, &render::chart::Under::assessed(a)),
    }
}

/// Roofs of one thread and of all.
fn roofs(host: &HostCeilings) -> [Roof; 2] {
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
    [
        roof(host.flops_one.median, host.triad_one.median),
        roof(host.flops_all.median, host.triad_all.median),
    ]
}

fn machine(host: &HostCeilings) -> MachinePart {
    MachinePart {
        cpu: host.cpu.clone(),
        threads: host.threads,
        simd: host.simd.to_owned(),
        peak_flops_one_thread: host.flops_one.median,
        peak_flops_all_threads: host.flops_all.median,
        triad_bytes_per_second_one_thread: host.triad_one.median,
        triad_bytes_per_second_all_threads: host.triad_all.median,
        doubts: host.doubts(),
        host: Some(Machine::this().into()),
    }
}
