//! `rooflens probe`: a real server under load, measured from the instants at which requests were scheduled.

mod batching;
mod client;
mod language;
mod meters;
mod model;
mod phases;
mod requests;
mod rounds;
mod run;
mod schedule;
mod spawn;
mod stripes;
mod target;

use super::load::{self, Wanted};
use super::{Exit, emit, hinted};
use crate::probe::arrival::{Arrival, Load};
use crate::probe::drive::Plan;
use crate::probe::measurement::{Aims, holds};
use crate::probe::meeting::Meeting;
use crate::probe::study::{Goal, Search, Single, StudyError, Sweep, first_answer};
use crate::probe::trace::Trace;
use crate::render::{json, text};
use crate::schema::{MeasurementFile, StartUpPart};
use anyhow::Result;
pub(super) use batching::Args as BatchingArgs;
use model::{analysed, cost};
use requests::Sizes;
use run::dry_run;
pub(super) use run::{Bar, interruptible};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Measure a serving platform under load: latency, throughput, and whether the numbers can be trusted.
///
/// TARGET is one of
///   kserve+http://HOST:PORT/MODEL   Triton, MLServer, KServe     (also kserve+https, kserve+grpc)
///   tfs+http://HOST:PORT/MODEL      TensorFlow Serving           (also tfs+https, tfs+grpc)
///   openai+http://HOST:PORT/v1      vLLM, llama.cpp, SGLang …    (also openai+https; chats, or …/v1/completions,
///                                   …/v1/embeddings)
///   http://HOST:PORT/PATH           Flask, FastAPI, TorchServe … (also https)
///   http+unix:///FILE.sock:/PATH    a Unix socket                (also with kserve and tfs)
///   tract:MODEL.onnx                tract, in this process
///   ort:MODEL.onnx                  onnxruntime, in this process
///
/// LOAD is one of
///   closed:N                 N requests in flight, each sending the next when answered
///   steady:RATE              constant rate: a request every 1/RATE seconds
///   poisson:RATE             independent users, with a mean of RATE requests per second
///   burst:BASE,PEAK,PERIOD,DUTY   poisson, at PEAK for the share DUTY (0 to 1) of every PERIOD
///                            seconds, else at BASE
///   ramp:FROM,TO             poisson, with the rate moving linearly
///   trace:FILE[,speed=X][,keep=SHARE][,unit=ms]   recorded arrivals: Azure Functions 2019 and 2021,
///                            Azure LLM, BurstGPT or a column of times (CSV), Mooncake or a member
///                            `timestamp` (JSON Lines); numbers of tokens in it are those of prompts
///                            and answers
///   max[:RATE]               the highest poisson rate that meets --slo; the search starts at RATE, or
///                            from closed loops of a few seconds
///   single-stream  multi-stream[:N]  server:RATE  offline[:N]     MLPerf's scenarios
///
/// Latency is measured from the scheduled time of a request, not from when it was sent; failed and
/// late requests count as infinitely slow. Every run ends in a verdict, and only VALID means that
/// the numbers can be trusted: FAILING (more than 1 % of the requests failed), CLIENT-LIMITED (the
/// client adds more than 10 % and 1 ms to the percentile, or has no capacity left), OVERLOADED,
/// THROTTLED, NOT-STATIONARY, TOO-FEW-SAMPLES (also where --until was not reached).
///
/// Examples:
///   rooflens probe kserve+http://localhost:8000/resnet50 --load poisson:100
///   rooflens probe kserve+grpc://localhost:8001/bert --input ids=1x128 --load max --slo p99=50ms
///   rooflens probe http://localhost:5000/predict --body cat.jpg --load steady:20 --seconds 60
///   rooflens probe http://localhost:5000/predict --data photos/ --draw random --load poisson:20
///   rooflens probe openai+http://localhost:8000 --load poisson:2 --slo ttft_p99=500ms,tpot_p99=50ms
///   rooflens probe tract:resnet50.onnx --load closed:1
///   rooflens probe http://new:8000/predict --against http://old:8000/predict --rounds 5 --load poisson:50
///
/// Exit codes: 0 VALID, and --slo met where given; 1 measured, but with another verdict or --slo not
/// met; 2 could not measure.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[allow(rustdoc::bare_urls)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    load: schedule::LoadFlags,
    #[command(flatten)]
    target: target::TargetFlags,
    /// Batch size of each request, where the first axis is dynamic or is 1 in --input.
    ///
    /// Several, as 1,2,4,8, are measured one after another and compared. With --json, the number of rows.
    #[arg(long, value_name = "N[,N…]", help_heading = "Requests", value_delimiter = ',', value_parser = clap::value_parser!(i64).range(1..))]
    batch: Vec<i64>,
    #[command(flatten)]
    judgement: JudgementFlags,
    #[command(flatten)]
    rounds: rounds::Flags,
    #[command(flatten)]
    start_up: spawn::StartUpFlags,
    #[command(flatten)]
    meters: meters::MeterFlags,
    /// Folder for measurement.json and intervals.hlog; an existing one is kept, and a number appended.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-probe", help_heading = None::<&str>)]
    output: PathBuf,
}

/// What a run is judged by.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Judgement")]
#[group(skip)]
struct JudgementFlags {
    /// Latency objective, such as p99=50ms; for a language model also `ttft_p99=200ms,tpot_p99=20ms`.
    ///
    /// ttft is the time to the first token, itl that between two pieces of an answer, tpot that per token. Several, with
    /// commas between, must all be met.
    #[arg(long, value_name = "PERCENTILE=TIME")]
    slo: Option<String>,
    /// Warm-up to discard at the start, in seconds [default: detected from the data].
    #[arg(long, value_name = "S")]
    warm_up: Option<f64>,
    /// The model's file, to report the achieved FLOP/s.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The device that serves a language model: with --model, the least time of both of its phases is shown beside the
    /// measured one.
    #[arg(long, value_name = "DEVICE", requires = "model")]
    on: Option<String>,
}

/// What the flags ask for.
struct Asked {
    goal: Goal,
    /// Batches to measure, one after another; one at least.
    batches: Vec<i64>,
    /// The load, or the first attempt of a search.
    plan: Plan,
    aims: Aims,
    /// End a run once its percentile is known to ± this share.
    until: Option<f64>,
    sizes: Sizes,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let asked = self.asked()?;
        let meeting = self.meeting(&asked)?;
        if self.load.dry_run {
            return dry_run(&asked.plan, asked.goal);
        }
        self.meters.check()?;
        // A model that cannot be counted is refused before a server is loaded.
        if let Some(path) = self.counted_before() {
            analysed(path, asked.batches[0], &asked.sizes, false)?;
        }
        if self.rounds.asked() {
            return self.several(&asked);
        }
        let stop = interruptible()?;
        let (mut folder, mut started) = (None, None);
        if let Some(command) = &self.start_up.spawn {
            let (flags, model) = (&self.start_up, self.judgement.model.as_deref());
            let options = self.target.options(asked.batches[0], trace(&asked.plan.load))?;
            let logs = super::new_folder(&self.output)?;
            let starts = flags.starts(command, &self.target.url, options, model, &logs)?;
            let starts = starts.measure(&stop, &mut Bar::default()).map_err(failed)?;
            if flags.start_up_only || starts.last.is_none() {
                spawn::save(&self.target.url, starts.part, &logs)?;
                return Ok(if starts.last.is_some() { Exit::Good } else { Exit::Failed });
            }
            // The last server runs until the end of this function.
            (folder, started) = (Some(logs), Some(starts));
        }
        let start_up = started.as_ref().map(|s| &s.part);
        let runs = asked.batches.iter().map(|b| self.single(*b, &asked, start_up));
        let mut runs = runs.collect::<Result<Vec<_>>>()?;
        let folder = folder.map_or_else(|| super::new_folder(&self.output), Ok)?;
        for run in &mut runs {
            run.interim = Some(folder.clone());
            run.meeting.clone_from(&meeting);
        }
        let bar = &mut Bar::default();
        if let [run] = &mut runs[..] {
            let mut measured = run.measure(&stop, bar).map_err(failed)?;
            if let Some(path) =
                self.judgement.model.as_ref().filter(|_| self.target.is_language_model())
            {
                phases::add(&mut measured.file, path, self.judgement.on.as_deref())?;
            }
            // The numbers are in memory: they are shown also where they cannot be written.
            let saved = measured.save(&folder).map_err(failed);
            let shown = saved.is_ok().then_some(&*folder);
            emit(&text::measurement(&measured.file, shown), None)?;
            return saved.map(|()| exit(&measured.file));
        }
        let mut sweep =
            Sweep { target: &self.target.url, load: &self.load.load, folder: &folder, runs };
        let swept = sweep.measure(&stop, bar).map_err(failed)?;
        emit(&json::pretty(&swept.file)?, Some(&folder.join("sweep.json")))?;
        emit(&text::sweep(&swept.file, &folder), None)?;
        Ok(if swept.holds { Exit::Good } else { Exit::Failed })
    }

    /// Where this stripe meets the others.
    fn meeting(&self, asked: &Asked) -> Result<Option<Meeting>> {
        let meeting = self.load.meeting()?;
        let single = asked.batches.len() == 1 && !self.rounds.asked();
        let several = !single || matches!(asked.goal, Goal::Highest(_));
        if meeting.is_some() && several {
            return Err(hinted(
                "`--meet` is for one load: not for `--load max`, nor for several runs",
                "run them one after another",
            ));
        }
        Ok(meeting)
    }

    fn asked(&self) -> Result<Asked> {
        let until = self.load.until.as_deref().map(load::tolerance).transpose()?;
        let wanted = load::load(&self.load.load, self.target.requests.seed)?;
        let slo = self.judgement.slo.as_deref().map_or(Ok(Vec::new()), load::slo)?;
        let (goal, first, prescribed, judged_by) = match wanted {
            Wanted::Load(load, batch, by) => (Goal::Load, load, batch, by),
            Wanted::Highest(guess) => {
                let load = Load::Open(Arrival::Poisson(guess.unwrap_or(1.0)));
                let search = Search { guess, budget: self.load.budget()? };
                (Goal::Highest(search), load, None, None)
            }
        };
        if matches!(goal, Goal::Highest(_)) && slo.is_empty() {
            return Err(hinted("`--load max` needs an SLO", "for example --slo p99=50ms"));
        }
        let aims = Aims {
            headline: slo.first().map(|s| s.quantile).or(judged_by).unwrap_or(0.99),
            slo,
            warm_up: self.judgement.warm_up.filter(|s| *s >= 0.0),
            throttled: None,
        };
        self.target.requests.fits(&first)?;
        let (sizes, batches) = (self.target.requests.sizes(), self.batches(prescribed));
        let plan = self.plan(first, &goal, &aims)?;
        Ok(Asked { goal, batches, plan, aims, until, sizes })
    }

    /// The measurement of one batch: its target has answered, and its meters are found.
    fn single<'a>(
        &self,
        batch: i64,
        asked: &'a Asked,
        start_up: Option<&StartUpPart>,
    ) -> Result<Single<'a>> {
        let inline = self.workers(&asked.plan.load).is_some();
        let trace = trace(&asked.plan.load);
        let asked_for = self.batch.contains(&batch);
        let prepared = self.target.prepare(batch, asked_for, inline, trace)?;
        let (model, mut notes) = cost(self.counted_before(), &prepared, &asked.sizes)?;
        notes.extend(run::cut(&asked.plan));
        notes.extend(
            prepared.redirected.as_ref().map(|to| {
                format!("`{}` redirects to `{to}`, which the load went to", prepared.text)
            }),
        );
        let first_answer = first_answer(&prepared).map_err(failed)?;
        let target = &self.target;
        Ok(Single {
            meters: self.meters.prepare(&target.url, &prepared, target.client.instances)?,
            rest: self.meters.idle_seconds(),
            prepared,
            plan: &asked.plan,
            goal: asked.goal,
            aims: &asked.aims,
            until: asked.until,
            first_answer,
            model,
            notes,
            start_up: start_up.cloned(),
            interim: None,
            meeting: None,
        })
    }

    /// The model's file, where requests have a size that is known before they are sent: those to a language model are
    /// counted by the tokens that its answers report.
    fn counted_before(&self) -> Option<&Path> {
        self.judgement.model.as_deref().filter(|_| !self.target.is_language_model())
    }

    /// The batches to measure, one after another.
    fn batches(&self, prescribed: Option<i64>) -> Vec<i64> {
        let mut batches = self.batch.clone();
        batches.dedup();
        if batches.is_empty() {
            batches.push(prescribed.unwrap_or(1));
        }
        batches
    }

    /// The threads that themselves run a runtime in this process: as many as a closed loop keeps requests in flight,
    /// where none of these waits for an instance. `None` where requests are handed over to instances or a server.
    fn workers(&self, load: &Load) -> Option<usize> {
        let Load::Closed(workers) = load else { return None };
        let shared = self.target.client.senders.is_some() || self.load.stripe.is_some();
        let own = self.target.in_process_model().is_some() && !shared;
        (own && *workers <= usize::from(self.target.client.instances)).then_some(*workers)
    }

    fn plan(&self, load: Load, goal: &Goal, aims: &Aims) -> Result<Plan> {
        let (client, seed) = (&self.target.client, self.target.requests.seed);
        let senders = self.workers(&load).unwrap_or_else(|| client.senders());
        let (duration, requests) = self.load.span(&load, goal, seed)?;
        Ok(Plan {
            load,
            seed,
            duration,
            requests,
            stripe: self.load.stripe()?,
            senders,
            timeout: self.target.timeout()?,
            limits: aims.slo.iter().map(|one| one.limit()).collect(),
            max_in_flight: client.max_in_flight(),
            start_at: self.load.start_at()?,
            met: None,
        })
    }
}

/// The trace that a load follows.
fn trace(load: &Load) -> Option<&Arc<Trace>> {
    let Load::Open(Arrival::Trace(trace)) = load else { return None };
    Some(trace)
}

/// What went wrong in a study, or in its target or files, with what to do about it.
fn failed(error: impl Into<StudyError>) -> anyhow::Error {
    let error = error.into();
    hinted(error.to_string(), error.hint())
}

fn time(flag: &str, seconds: f64) -> Result<Duration> {
    if !(0.01..=86_400.0).contains(&seconds) {
        return Err(hinted(
            format!("`{flag} {seconds}` is not a time of 0.01 to 86400 seconds"),
            format!("for example {flag} 20"),
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// 0 for a run that is VALID and meets its SLO.
pub(super) fn exit(file: &MeasurementFile) -> Exit {
    if holds(file) { Exit::Good } else { Exit::Failed }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| hinted(format!("`{}` cannot be read: {e}", path.display()), "check the path"))
}
