//! What `assess` does, in its order: the ceilings of this machine, then the model in the first runtime that takes it.

mod attempt;

use super::{ASSESSMENT_SCHEMA, Assessment};
use crate::dim::Bindings;
use crate::host::{HostCeilings, MeasurePlan, measure};
use crate::ir::Model;
use crate::os::machine::Machine;
use crate::probe::study::{self, StudyError, Switch};
use crate::report::{BoundReport, ModelReport};
use crate::roofline::Roof;
use crate::runtime::{Feed, Runtime};
use crate::schema::MachinePart;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond};
use attempt::Attempts;
use std::path::{Path, PathBuf};

/// A model, and how it is to be run.
#[derive(Debug)]
pub struct Plan<'a> {
    /// The model at its sizes.
    pub model: &'a Model,
    /// The sizes that were given.
    pub bindings: &'a Bindings,
    /// What it costs at these sizes.
    pub report: ModelReport,
    /// What its inputs are fed.
    pub feeds: Vec<Feed>,
    /// What runtimes load.
    pub file: ModelFile<'a>,
    /// The runtimes to try, in this order.
    pub runtimes: Vec<Runtime>,
    /// onnxruntime's library; looked for where there is none.
    pub library: Option<&'a Path>,
    /// Length of each loop in seconds; where there is none, 3 to 10, as long as a p99 needs.
    pub seconds: Option<f64>,
    /// The command that measures the model where nothing here does.
    pub advice: String,
}

/// Where a model's bytes are.
#[derive(Clone, Copy, Debug)]
pub enum ModelFile<'a> {
    /// In this binary, as ONNX.
    BuiltIn(&'static [u8]),
    /// In a file.
    At(&'a Path),
}

/// Whoever watches an assessment.
pub trait Observer: study::Observer {
    /// Why it refuses to go on.
    type Error;

    /// The model is counted and the machine measured, and no runtime was started yet: whatever one does to this
    /// process, what is kept here stays.
    fn counted(&mut self, assessed: &Assessed) -> Result<(), Self::Error>;
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Assessed {
    /// The report.
    pub assessment: Assessment,
    /// The roof of all threads.
    pub roof: Roof,
}

/// Why a model could not be assessed.
#[derive(Debug)]
pub enum AssessError<E> {
    /// The observer refused to go on.
    Observer(E),
    /// The model's file cannot be read again.
    File(PathBuf, std::io::Error),
    /// The load generator failed.
    Study(StudyError),
}

/// Measures this machine and the model on it.
pub fn assess<O: Observer>(
    plan: Plan<'_>,
    stop: &Switch,
    observer: &mut O,
) -> Result<Assessed, AssessError<O::Error>> {
    observer.begin("measuring this machine");
    let host = measure(&MeasurePlan::default(), &mut |share| observer.progress(share));
    observer.end();
    let [roof_one, roof] = roofs(&host);
    let attempts = Attempts {
        model: plan.model,
        bindings: plan.bindings,
        feeds: plan.feeds,
        file: plan.file,
        name: plan.report.model.file.clone(),
        library: plan.library,
        seconds: plan.seconds,
        threads: host.threads,
    };
    let assessment = Assessment {
        schema: ASSESSMENT_SCHEMA.to_owned(),
        bound: BoundReport::new(&roof, &plan.report),
        machine: machine(&host),
        measured: Vec::new(),
        not_measured: Some("the command ended before the model was measured".into()),
        refusals: Vec::new(),
        advice: Some(plan.advice),
        runtime: None,
        weights: None,
        load_seconds: None,
        first_inference_seconds: None,
        analysis: plan.report,
    };
    let mut assessed = Assessed { assessment, roof };
    observer.counted(&assessed).map_err(AssessError::Observer)?;
    let outcome = attempts.run(&plan.runtimes, stop, observer)?;
    outcome.into_report(&mut assessed.assessment, [&roof_one, &assessed.roof]);
    Ok(assessed)
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
