//! `rooflens assess`: what a model costs, what this machine allows, and what it really reaches.

use super::super::gather::{Counted, Gathered};
use super::probe::{Bar, interruptible};
use super::{Exit, charts, emit, hinted};
use crate::assess::{ASSESSMENT_SCHEMA, Assessment, loop_part};
use crate::chart::Chart;
use crate::host::{HostCeilings, MeasurePlan, measure};
use crate::ir::Model;
use crate::probe::measurement::Measured;
use crate::probe::study::{ClosedLoop, InProcess, Switch};
use crate::probe::target::Prepared;
use crate::render;
use crate::report::{BoundReport, ModelReport};
use crate::roofline::Roof;
use crate::runtime::{Loaded, Runtime, RuntimeOptions, WeightsOrigin};
use crate::schema::MachinePart;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond, si};
use anyhow::Result;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The model that is assessed when none is named: `MobileNetV2`, 224×224, graph only.
const EMBEDDED: &[u8] = include_bytes!("../../../models/mobilenet_v2.onnx");

/// Assess a model on this machine: count its costs, measure the ceilings, run it, and compare.
///
/// Without MODEL, a built-in `MobileNetV2` is assessed. Nothing is installed and nothing leaves the
/// machine. The report goes to a new folder; existing ones are kept.
///
/// Examples:
///   rooflens assess
///   rooflens assess resnet50.onnx --batch 4 --seconds 10
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(in crate::cli) struct Args {
    /// Model file [default: a built-in MobileNetV2].
    model: Option<PathBuf>,
    /// Set a symbol: SYMBOL=N. Repeatable; other symbols are set to one.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Set the batch size.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Seconds to run the model, single stream and again on all cores.
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    seconds: f64,
    /// Folder for the report; an existing one is kept, and a number appended.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-report")]
    output: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if !(0.1..=3600.0).contains(&self.seconds) {
            return Err(hinted("`--seconds` must be 0.1 to 3600", "for example --seconds 5"));
        }
        let stop = interruptible()?;
        let (name, model) = self.model()?;
        let bindings = super::given::bindings(&model, &self.dim, self.batch)?;
        let report = ModelReport::new(&model, &name, &bindings)
            .map_err(|e| hinted(e.to_string(), "give smaller sizes with --dim"))?;
        let folder = super::new_folder(&self.output)?;
        let host = ceilings();
        let bytes = self.file(&model, &bindings)?;
        let loaded = loaded(&bytes, &super::shapes(&model, &report))?;
        let measured = self.measure(&loaded, host.threads, &stop)?;
        let (roof_one, roof_all) = roofs(&host);
        let (roofs, loops) = ([&roof_one, &roof_all], loops(host.threads));
        let of = |((measured, (name, workers)), roof): ((&Measured, (&str, usize)), &Roof)| {
            loop_part(name, workers, &measured.file, roof, &report)
        };
        let assessment = Assessment {
            schema: ASSESSMENT_SCHEMA.to_owned(),
            bound: BoundReport::new(&roof_all, &report),
            machine: machine(&host),
            measured: measured.iter().zip(loops).zip(roofs).map(of).collect(),
            runtime: "tract, in process".to_owned(),
            weights: weights(loaded.weights, model.translated),
            load_seconds: loaded.load_seconds,
            first_inference_seconds: loaded.first_seconds,
            analysis: report,
        };
        save(&assessment, &roof_all, &folder)?;
        page(&assessment, model, &folder)?;
        emit(&render::text::assessment(&assessment, &folder), None)?;
        let failed = assessment.measured.iter().any(|m| m.errors > 0);
        Ok(if failed { Exit::Failed } else { Exit::Good })
    }

    /// Runs the model, on one thread and on all.
    fn measure(&self, loaded: &Loaded, threads: usize, stop: &Switch) -> Result<Vec<Measured>> {
        let name = self.model.as_ref().map_or("built in".into(), |p| p.display().to_string());
        let study = InProcess {
            prepared: &Prepared::inline(&name, &loaded.name, &loaded.target, 1),
            loops: &loops(threads).map(|(label, workers)| ClosedLoop { label, workers }),
            warm_up: Duration::from_secs_f64(self.seconds / 6.0),
            duration: Duration::from_secs_f64(self.seconds),
            first_answer: Duration::try_from_secs_f64(loaded.first_seconds).unwrap_or_default(),
        };
        study.measure(stop, &mut Bar::default()).map_err(|e| {
            hinted(e.to_string(), "`rooflens analyze` works without running the model")
        })
    }

    /// The model and its name.
    fn model(&self) -> Result<(String, Model)> {
        match &self.model {
            Some(path) => {
                let model = super::given::loaded(path, &crate::formats::Wanted::default())?;
                Ok((path.display().to_string(), model))
            }
            None => {
                let bytes = bytes::Bytes::from_static(EMBEDDED);
                let model = crate::formats::load_bytes(&bytes);
                let model = model.map_err(|e| super::given::refused(&e))?;
                Ok(("mobilenet_v2.onnx (built in)".into(), model))
            }
        }
    }

    /// The ONNX file that is run.
    fn file(&self, model: &Model, bindings: &crate::dim::Bindings) -> Result<Cow<'static, [u8]>> {
        let Some(path) = &self.model else { return Ok(Cow::Borrowed(EMBEDDED)) };
        match super::translated(model, bindings)? {
            Some(bytes) => Ok(bytes.into()),
            None => Ok(super::probe::read(path)?.into()),
        }
    }
}

/// What is run, by name: how many inferences at a time.
fn loops(threads: usize) -> [(&'static str, usize); 2] {
    [("single stream", 1), ("all cores", threads)]
}

/// The ceilings of this machine, measured.
fn ceilings() -> HostCeilings {
    let bar = super::progress_bar("measuring this machine");
    let host = measure(&MeasurePlan::default(), &mut |x| bar.set_position(super::permille(x)));
    bar.finish_and_clear();
    host
}

/// The model in tract, its first inference done.
fn loaded(bytes: &[u8], shapes: &[Vec<usize>]) -> Result<Loaded> {
    let bar = super::progress_bar("loading the model");
    let loaded = Loaded::new(bytes, shapes, &RuntimeOptions::new(Runtime::Tract));
    bar.finish_and_clear();
    loaded.map_err(|e| hinted(e.to_string(), "`rooflens analyze` works without running the model"))
}

fn weights(origin: WeightsOrigin, translated: bool) -> String {
    match origin {
        _ if translated => "random: the graph is a translation of the file into ONNX".into(),
        WeightsOrigin::File => "from the file".into(),
        WeightsOrigin::Random { tensors, bytes } => {
            format!("random: the file lacks {tensors} tensors ({})", si(bytes as f64, "B"))
        }
    }
}

/// Writes the report and its chart.
fn save(assessment: &Assessment, roof: &Roof, folder: &Path) -> Result<()> {
    let json = render::json::pretty(assessment)?;
    emit(&json, Some(&folder.join("report.json")))?;
    let chart = chart(assessment, roof);
    charts::write(&chart, &folder.join("roofline.svg"))?;
    if crate::chart::MAKES_PNG {
        charts::write(&chart, &folder.join("roofline.png"))?;
    }
    Ok(())
}

/// Writes the page that says it all.
fn page(assessment: &Assessment, model: Model, folder: &Path) -> Result<()> {
    let (report, assessment) = (assessment.analysis.clone(), Some(assessment.clone()));
    let counted = Counted { report, model: Some(model), assessment };
    let study = Gathered { models: vec![counted], runs: Vec::new() }.study(&[])?;
    emit(&crate::cli::report::html(&study), Some(&folder.join("report.html")))
}

/// The chart of an assessment.
fn chart(a: &Assessment, roof: &Roof) -> Chart {
    let m = &a.machine;
    Chart {
        title: format!("{} on {}", render::chart::file_name(&a.analysis), m.cpu),
        subtitle: format!(
            "{} threads, {}; ceilings measured; a point is an operator, its area the share of the time bound",
            m.threads, m.simd
        ),
        roofs: render::chart::machine_roofs(a),
        points: render::chart::op_points(&a.analysis, roof),
        models: vec![render::chart::model_point("whole model, at best", &a.analysis, roof)],
        measured: render::chart::measured(a),
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
    }
}
