//! Running the model that is assessed: in one runtime after the other, until one runs it.

use super::{AssessError, ModelFile};
use crate::assess::{Assessment, loop_part};
use crate::dim::Bindings;
use crate::ir::Model;
use crate::os::proc::Proc;
use crate::probe::measurement::Measured;
use crate::probe::study::{ClosedLoop, InProcess, Observer, StudyError, Switch};
use crate::probe::target::Prepared;
use crate::roofline::Roof;
use crate::runtime::{Feed, Loaded, Runtime, RuntimeOptions, WeightsOrigin, refusal, untranslated};
use crate::schema::{RefusalKind, RefusalPart};
use crate::units::si;
use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

/// A model, and how it is to be run.
pub(super) struct Attempts<'a> {
    pub(super) model: &'a Model,
    pub(super) bindings: &'a Bindings,
    /// What its inputs are fed.
    pub(super) feeds: Vec<Feed>,
    pub(super) file: ModelFile<'a>,
    pub(super) name: String,
    /// onnxruntime's library; looked for where there is none.
    pub(super) library: Option<&'a Path>,
    /// Seconds of each loop; as long as a p99 needs where there are none.
    pub(super) seconds: Option<f64>,
    pub(super) threads: usize,
}

/// What became of the attempts.
#[derive(Default)]
pub(super) struct Outcome {
    refusals: Vec<RefusalPart>,
    run: Option<Run>,
}

/// A model that ran.
struct Run {
    measured: Vec<Measured>,
    /// Names and workers of the loops.
    loops: Vec<(String, usize)>,
    runtime: String,
    weights: String,
    load_seconds: f64,
    first_seconds: f64,
}

impl Attempts<'_> {
    /// Runs the model in the first of `runtimes` that takes it.
    pub(super) fn run<E>(
        &self,
        runtimes: &[Runtime],
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, AssessError<E>> {
        let mut outcome = Outcome::default();
        let file = match self.file()? {
            Ok(file) => file,
            Err(refusal) => {
                outcome.refusals.push(refusal);
                return Ok(outcome);
            }
        };
        for runtime in runtimes {
            match self.in_runtime(*runtime, &file, stop, observer).map_err(AssessError::Study)? {
                Ok(run) => {
                    outcome.run = Some(run);
                    break;
                }
                Err(refusal) => outcome.refusals.push(refusal),
            }
        }
        Ok(outcome)
    }

    /// The ONNX file that is run; a refusal where the model has none.
    fn file<E>(&self) -> Result<Result<Cow<'static, [u8]>, RefusalPart>, AssessError<E>> {
        let path = match self.file {
            ModelFile::BuiltIn(bytes) => return Ok(Ok(Cow::Borrowed(bytes))),
            ModelFile::At(path) => path,
        };
        if !self.model.translated {
            return match std::fs::read(path) {
                Ok(file) => Ok(Ok(file.into())),
                Err(error) => Err(AssessError::File(path.into(), error)),
            };
        }
        let values = crate::analysis::analyze(self.model, self.bindings).values;
        let file = crate::formats::translate(self.model, &values);
        Ok(file.map(Cow::Owned).map_err(|e| untranslated(&e)))
    }

    fn in_runtime(
        &self,
        runtime: Runtime,
        file: &[u8],
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Result<Run, RefusalPart>, StudyError> {
        let instances = self.instances(runtime);
        let options = RuntimeOptions {
            library: self.library.map(Path::to_owned),
            instances,
            ..RuntimeOptions::new(runtime)
        };
        observer.begin("loading the model");
        let loaded = Loaded::new(file, &self.feeds, &options);
        observer.end();
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(refusal(runtime, &error))),
        };
        let workers = if runtime == Runtime::Tract { self.threads } else { instances };
        let all = match workers {
            all if all == self.threads => "all cores".to_owned(),
            fewer => format!("{fewer} at a time"),
        };
        let loops = vec![("single stream".to_owned(), 1), (all, workers)];
        let measured = self.measure(&loaded, &loops, stop, observer)?;
        let good = measured.iter().any(|m| m.file.window.good > 0);
        let fault = measured.iter().find_map(|m| m.file.errors.first());
        if let Some(fault) = fault.filter(|_| !good) {
            let error = crate::probe::ProbeError::Infer(fault.message.clone());
            return Ok(Err(refusal(runtime, &error)));
        }
        Ok(Ok(Run {
            measured,
            loops,
            runtime: format!("{}, in process", loaded.name),
            weights: weights(loaded.weights, self.model.translated),
            load_seconds: loaded.load_seconds,
            first_seconds: loaded.first_seconds,
        }))
    }

    /// Copies of the model in onnxruntime, which runs one inference in each: as many as threads, where half of the
    /// free memory holds them twice, as laid out for products and not.
    fn instances(&self, runtime: Runtime) -> usize {
        if runtime == Runtime::Tract {
            return 1;
        }
        let Some(free) = Proc::default().memory().and_then(|m| m.available) else { return 1 };
        let weights = self.model.graph.value_ids().map(|id| self.model.graph.value(id));
        let bytes = weights.filter(|value| value.weight.is_some()).filter_map(|value| {
            let count = value.info.elements()?.as_const()?;
            let bits = value.info.dtype.map_or(32, crate::ir::DType::bits);
            u64::try_from(count).ok()?.checked_mul(u64::from(bits)).map(|bits| bits / 8)
        });
        let bytes = bytes.fold(0u64, u64::saturating_add).saturating_mul(2).max(1);
        let fit = usize::try_from(free / 2 / bytes).unwrap_or(usize::MAX);
        self.threads.min(fit).max(1)
    }

    /// Runs the model in its loops.
    fn measure(
        &self,
        loaded: &Loaded,
        loops: &[(String, usize)],
        stop: &Switch,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Measured>, StudyError> {
        let closed: Vec<ClosedLoop<'_>> =
            loops.iter().map(|(label, workers)| ClosedLoop { label, workers: *workers }).collect();
        // A thousand inferences have ten beyond their p99.
        let seconds = self.seconds.unwrap_or((1_000.0 * loaded.first_seconds).clamp(3.0, 10.0));
        let study = InProcess {
            prepared: &Prepared::inline(&self.name, &loaded.name, &loaded.target, 1),
            loops: &closed,
            warm_up: Duration::from_secs_f64(seconds / 6.0),
            duration: Duration::from_secs_f64(seconds),
            first_answer: Duration::try_from_secs_f64(loaded.first_seconds).unwrap_or_default(),
        };
        study.measure(stop, observer)
    }
}

impl Outcome {
    /// Puts what came of it into the report, each loop under the roof of one thread or of all.
    pub(super) fn into_report(self, a: &mut Assessment, [one, all]: [&Roof; 2]) {
        a.refusals = self.refusals;
        let Some(run) = self.run else {
            let absent = a.refusals.iter().all(|r| r.kind == RefusalKind::Runtime);
            let why = if absent {
                "no runtime is at hand in this process"
            } else {
                "no runtime in this process runs the model"
            };
            a.not_measured = Some(why.into());
            return;
        };
        let part = |(measured, (name, workers)): (&Measured, &(String, usize))| {
            let roof = if *workers == 1 { one } else { all };
            loop_part(name, *workers, &measured.file, roof, &a.analysis)
        };
        a.measured = run.measured.iter().zip(&run.loops).map(part).collect();
        (a.not_measured, a.advice) = (None, None);
        (a.runtime, a.weights) = (Some(run.runtime), Some(run.weights));
        a.load_seconds = Some(run.load_seconds);
        a.first_inference_seconds = Some(run.first_seconds);
    }
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
