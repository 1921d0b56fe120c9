//! `rooflens assess`: what a model costs, what this machine allows, and what it really reaches.

use super::super::gather::{self, Gathered};
use super::probe::{Bar, interruptible};
use super::{Exit, charts, emit, hinted};
use crate::assess::Assessment;
use crate::assess::program::{self, AssessError, Assessed, ModelFile, Plan};
use crate::chart::Chart;
use crate::cli::runtimes::RuntimeName;
use crate::cli::sizes::Open;
use crate::dim::Bindings;
use crate::ir::Model;
use crate::probe::study;
use crate::render;
use crate::report::ModelReport;
use crate::runtime::Runtime;
use anyhow::Result;
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
        let plan = Plan {
            feeds: super::feeds(&model, &report),
            model: &model,
            bindings: &bindings,
            report,
            file: self.model.as_deref().map_or(ModelFile::BuiltIn(EMBEDDED), ModelFile::At),
            runtimes: self.runtimes(),
            library: self.ort_library.as_deref(),
            seconds: self.seconds,
            advice: self.advice(),
        };
        let mut watch = Watch { bar: Bar::default(), folder: &folder };
        let assessed = program::assess(plan, &stop, &mut watch).map_err(explained)?;
        save(&assessed, &folder)?;
        pictured(&assessed, &folder)?;
        let assessment = assessed.assessment;
        page(&assessment, model, &folder)?;
        emit(&render::text::assessment(&assessment, &folder), None)?;
        let failed = assessment.measured.iter().any(|m| m.errors > 0 || m.interrupted);
        let measured = assessment.not_measured.is_none();
        Ok(if failed || !measured { Exit::Failed } else { Exit::Good })
    }

    fn runtimes(&self) -> Vec<Runtime> {
        match &self.runtime[..] {
            [] => vec![Runtime::Tract, Runtime::Ort],
            given => given.iter().map(|name| (*name).into()).collect(),
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

/// Shows what the programme does, and keeps what is known before a runtime is started.
struct Watch<'a> {
    bar: Bar,
    folder: &'a Path,
}

impl study::Observer for Watch<'_> {
    fn begin(&mut self, what: &str) {
        self.bar.begin(what);
    }

    fn progress(&mut self, share: f64) {
        self.bar.progress(share);
    }

    fn recent(&mut self, recent: &study::Recent) {
        self.bar.recent(recent);
    }

    fn end(&mut self) {
        self.bar.end();
    }
}

impl program::Observer for Watch<'_> {
    type Error = anyhow::Error;

    fn counted(&mut self, assessed: &Assessed) -> Result<()> {
        save(assessed, self.folder)
    }
}

fn explained(error: AssessError<anyhow::Error>) -> anyhow::Error {
    match error {
        AssessError::Observer(error) => error,
        AssessError::File(path, error) => {
            hinted(format!("`{}` cannot be read: {error}", path.display()), "check the path")
        }
        AssessError::Study(error) => {
            hinted(error.to_string(), "`rooflens analyze` works without running the model")
        }
    }
}

/// Writes the report and its chart.
fn save(assessed: &Assessed, folder: &Path) -> Result<()> {
    let json = render::json::pretty(&assessed.assessment)?;
    emit(&json, Some(&folder.join("report.json")))?;
    charts::write(&chart(assessed), &folder.join("roofline.svg"))
}

/// Writes the chart as a picture, where this build makes pictures.
fn pictured(assessed: &Assessed, folder: &Path) -> Result<()> {
    if !crate::chart::MAKES_PNG {
        return Ok(());
    }
    charts::write(&chart(assessed), &folder.join("roofline.png"))
}

fn chart(assessed: &Assessed) -> Chart {
    render::chart::assessment(&assessed.assessment, &assessed.roof)
}

/// Writes the page that says it all.
fn page(assessment: &Assessment, model: Model, folder: &Path) -> Result<()> {
    let (report, assessment) = (assessment.analysis.clone(), Some(assessment.clone()));
    let counted = gather::Counted { report, model: Some(model), assessment };
    let study = Gathered { models: vec![counted], runs: Vec::new() }.study(&[])?;
    emit(&crate::cli::report::html(&study), Some(&folder.join("report.html")))
}
