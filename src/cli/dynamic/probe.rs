//! `rooflens probe`: a real server under load, measured from the instants at which requests were due.

mod batching;
mod meters;
mod model;
mod run;
mod spawn;
mod summary;
mod sweep;

use super::load::{self, Wanted};
use super::{Exit, emit, hinted};
use crate::probe::arrival::{Arrival, Load, Stripe};
use crate::probe::drive::Plan;
use crate::probe::measurement::{Aims, holds};
use crate::probe::study::{Goal, Search, Single, StudyError, Sweep, first_answer};
use crate::probe::target::{Body, Encoding, Options, Prepared, Url};
use crate::runtime::Runtime;
use crate::schema::{MeasurementFile, StartUpPart};
use anyhow::Result;
pub(super) use batching::Args as BatchingArgs;
use model::{Sizes, analysed};
use run::dry_run;
pub(super) use run::{Bar, interruptible};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
pub(super) use summary::summary;

/// How tensors travel, as the flag says it.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EncodingFlag {
    Auto,
    Json,
    Binary,
}

/// The load where none is given.
const ONE_AT_A_TIME: &str = "closed:1";

/// Measure a serving platform under load: latency, throughput, and what the numbers are worth.
///
/// TARGET is one of
///   kserve+http://HOST:PORT/MODEL   Triton, MLServer, KServe     (also kserve+https, kserve+grpc)
///   tfs+http://HOST:PORT/MODEL      TensorFlow Serving           (also tfs+https, tfs+grpc)
///   http://HOST:PORT/PATH           Flask, FastAPI, TorchServe … (also https)
///   tract:MODEL.onnx                tract, in this process
///   ort:MODEL.onnx                  onnxruntime, in this process
///
/// LOAD is one of
///   closed:N                 N requests in flight, each sending the next when answered
///   steady:RATE              a request every 1/RATE seconds
///   poisson:RATE             independent users, RATE requests a second in the mean
///   burst:BASE,PEAK,PERIOD,DUTY   poisson, at PEAK for DUTY (0 to 1) of every PERIOD seconds
///   ramp:FROM,TO             poisson, the rate moving evenly
///   trace:FILE[,speed=X][,keep=SHARE]   recorded arrivals (CSV): Azure Functions 2019 and 2021,
///                            Azure LLM, BurstGPT, or a column of seconds
///   max[:RATE]               the highest poisson rate that meets --slo; closed loops of some seconds say
///                            where the search begins, or RATE does
///   single-stream  multi-stream[:N]  server:RATE  offline[:N]     MLPerf's scenarios
///
/// Time counts from the instant at which a request was due, not from when it was sent; failed and
/// late requests count as infinitely slow. Every run ends in a verdict, and only VALID means that
/// the numbers mean what they say: CLIENT-LIMITED (the client adds more than 10 % and 1 ms to the percentile, or
/// is full), OVERLOADED, FAILING (more than 1 % of the requests failed), THROTTLED, NOT-STATIONARY,
/// TOO-FEW-SAMPLES (also where --until was not reached).
///
/// Examples:
///   rooflens probe kserve+http://localhost:8000/resnet50 --load poisson:100
///   rooflens probe kserve+grpc://localhost:8001/bert --input ids=1x128 --load max --slo p99=50ms
///   rooflens probe http://localhost:5000/predict --body cat.jpg --load steady:20 --seconds 60
///   rooflens probe tract:resnet50.onnx --load closed:1
///
/// Exit codes: 0 VALID, and --slo met where given; 1 measured, but another verdict, more than 1 % of
/// the requests failed, or --slo not met; 2 could not measure.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
#[allow(rustdoc::bare_urls)]
pub(in crate::cli) struct Args {
    /// What to probe.
    target: String,
    /// When requests are due.
    #[arg(long, value_name = "LOAD", default_value = ONE_AT_A_TIME, help_heading = "Load")]
    load: Option<String>,
    /// Seconds in which requests are scheduled. Of `--load max`, those of an attempt, which takes longer where its
    /// percentile needs it. 20 where omitted, and 120 at most with --until.
    #[arg(long, value_name = "S", help_heading = "Load")]
    seconds: Option<f64>,
    /// End after this number of requests. A closed loop also ends after --seconds, an hour where omitted; the schedule of
    /// an open load ends before the next request.
    #[arg(long, value_name = "N", help_heading = "Load", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "until")]
    requests: Option<u64>,
    /// Seconds that the attempts of `--load max` take in all, at most; 600 where omitted, or 15 times --seconds.
    #[arg(long, value_name = "S", help_heading = "Load")]
    budget: Option<f64>,
    /// End the run once p99, or the percentile of --slo, is known to ± this share at two looks in a
    /// row: 10%. Each look comes after twice the time of the one before.
    #[arg(long, value_name = "SHARE", help_heading = "Load", conflicts_with_all = ["stripe", "start_at"])]
    until: Option<String>,
    /// Of the schedule and of made-up inputs; the same seed gives the same load.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Load")]
    seed: u64,
    /// First axis of the inputs, where the model leaves it open, also in place of a 1 in --input.
    /// Several, as 1,2,4,8, are measured one after the other, and compared.
    #[arg(long, value_name = "N[,N…]", help_heading = "Requests", value_delimiter = ',', value_parser = clap::value_parser!(i64).range(1..))]
    batch: Vec<i64>,
    /// Shape, type and shape, or contents of an input: NAME=1x3x224x224, NAME=INT64:1x128,
    /// NAME=file.npy. Repeatable.
    #[arg(long, value_name = "NAME=SPEC", help_heading = "Requests")]
    input: Vec<String>,
    /// Send this file (plain HTTP); its type follows from its name.
    #[arg(long, value_name = "FILE", help_heading = "Requests", conflicts_with = "json")]
    body: Option<PathBuf>,
    /// Send this text as JSON (plain HTTP); {{i}} becomes the request's variant, {{random}} a
    /// number between 0 and 1, and what stands between {{row}} and {{/row}} as many rows as --batch has.
    #[arg(long, value_name = "TEXT", help_heading = "Requests")]
    json: Option<String>,
    /// Method (plain HTTP); POST with a body and GET without where left out.
    #[arg(long, value_name = "METHOD", help_heading = "Requests")]
    method: Option<String>,
    /// Text that a good answer contains (plain HTTP).
    #[arg(long, value_name = "TEXT", help_heading = "Requests")]
    expect: Option<String>,
    /// Values that an output has, or a member of the JSON answers of a plain HTTP server: NAME=file.npy;
    /// other values are wrong answers. For inputs of known contents. Repeatable.
    #[arg(long, value_name = "NAME=FILE", help_heading = "Requests")]
    expect_output: Vec<String>,
    /// Answers to the same request differ, as those of a model with a random part do: they are not compared by a
    /// hash of those before, and of large ones a sample is compared.
    #[arg(long, help_heading = "Requests")]
    answers_vary: bool,
    /// Outputs of a batch may have any number of rows, as the boxes of a detector do.
    #[arg(long, help_heading = "Requests")]
    any_rows: bool,
    /// How far from --expect-output is still right, relative to values above one.
    #[arg(long, value_name = "X", default_value_t = 1e-4, help_heading = "Requests")]
    tolerance: f64,
    /// Different requests that are encoded before the clock starts and sent in turn.
    #[arg(long, value_name = "N", default_value_t = 4, help_heading = "Requests", value_parser = clap::value_parser!(u64).range(1..=1024))]
    variants: u64,
    /// How tensors travel over kserve+http: auto, json or binary.
    #[arg(long, value_name = "HOW", default_value = "auto", help_heading = "Requests")]
    encoding: EncodingFlag,
    /// Send a header, or gRPC metadata: 'Name: value'. Repeatable.
    #[arg(long, value_name = "HEADER", help_heading = "Requests")]
    header: Vec<String>,
    /// Send `Authorization: Bearer` with the token in this environment variable.
    #[arg(long, value_name = "VARIABLE", help_heading = "Requests")]
    token: Option<String>,
    /// Also trust the certificates in this PEM file.
    #[arg(long, value_name = "FILE", help_heading = "Requests")]
    ca: Option<PathBuf>,
    /// Seconds from due to answered, at most; later is an error, and what the client itself is later
    /// with is not sent.
    #[arg(long, value_name = "S", default_value_t = 10.0, help_heading = "Client")]
    timeout: f64,
    /// Seconds to wait for the first answer, before the load; 30 where omitted. Where given, also for a server that does
    /// not listen yet.
    #[arg(long, value_name = "S", help_heading = "Client")]
    patience: Option<f64>,
    /// Use this address alone of a host that has several: all are used in turn where omitted.
    #[arg(long, value_name = "IP", help_heading = "Client")]
    address: Option<std::net::IpAddr>,
    /// Sender threads; one less than the cores where omitted. A closed loop of a runtime in this process with at most
    /// --instances requests in flight has none, where this and --stripe are omitted: its threads run the inferences.
    #[arg(long, value_name = "N", help_heading = "Client", value_parser = clap::value_parser!(u16).range(1..=1024))]
    senders: Option<u16>,
    /// Requests in flight, at most; more are dropped, and counted as such.
    #[arg(long, value_name = "N", default_value_t = 4096, help_heading = "Client")]
    max_in_flight: usize,
    /// Inferences at a time of a runtime in this process.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Client", value_parser = clap::value_parser!(u16).range(1..=1024))]
    instances: u16,
    /// Threads of each inference of `ort:`; tract always has one.
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Client", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// onnxruntime's library for `ort:`. Looked for where left out: by ORT_DYLIB_PATH, in the Python
    /// environment (`pip install onnxruntime`), among the system's libraries.
    #[arg(long, value_name = "FILE", help_heading = "Client")]
    ort_library: Option<PathBuf>,
    /// Take every N-th request, from number K: K/N, or auto/N in a Kubernetes Indexed Job or a Slurm
    /// array. `rooflens merge` puts the parts together.
    #[arg(long, value_name = "K/N", help_heading = "Client")]
    stripe: Option<String>,
    /// Start at this Unix time, so that stripes start together.
    #[arg(long, value_name = "SECONDS", help_heading = "Client")]
    start_at: Option<f64>,
    /// A demand on response times: p99=50ms.
    #[arg(long, value_name = "PERCENTILE=TIME", help_heading = "Judgement")]
    slo: Option<String>,
    /// Seconds to cut at the start; found from the data where left out.
    #[arg(long, value_name = "S", help_heading = "Judgement")]
    warm_up: Option<f64>,
    /// The model's file, to say how many FLOP/s the server achieves.
    #[arg(long, value_name = "FILE", help_heading = "Judgement")]
    model: Option<PathBuf>,
    #[command(flatten)]
    start_up: spawn::Flags,
    #[command(flatten)]
    meters: meters::Flags,
    /// Folder of measurement.json and intervals.hlog; an older one is never overwritten.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-probe")]
    output: PathBuf,
    /// Say what would be sent, and send nothing.
    #[arg(long)]
    dry_run: bool,
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
        if self.dry_run {
            return dry_run(&asked.plan, asked.goal);
        }
        self.meters.check()?;
        // A model that cannot be counted is told before a server is loaded.
        if let Some(path) = &self.model {
            analysed(path, asked.batches[0], &asked.sizes, false)?;
        }
        let stop = interruptible()?;
        let (mut folder, mut started) = (None, None);
        if let Some(command) = &self.start_up.spawn {
            let (flags, model) = (&self.start_up, self.model.as_deref());
            let options = self.options(asked.batches[0])?;
            let logs = super::new_folder(&self.output)?;
            let starts = flags.starts(command, &self.target, options, model, &logs)?;
            let starts = starts.measure(&stop, &mut Bar::default()).map_err(failed)?;
            if flags.start_up_only || starts.last.is_none() {
                spawn::save(&self.target, starts.part, &logs)?;
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
        }
        let bar = &mut Bar::default();
        if let [run] = &mut runs[..] {
            let measured = run.measure(&stop, bar).map_err(failed)?;
            // The numbers are in memory: they are shown also where they cannot be written.
            let saved = measured.save(&folder).map_err(failed);
            emit(&summary(&measured.file, saved.is_ok().then_some(&*folder)), None)?;
            return saved.map(|()| exit(&measured.file));
        }
        let mut sweep = Sweep { target: &self.target, load: self.load(), folder: &folder, runs };
        let swept = sweep.measure(&stop, bar).map_err(failed)?;
        sweep::save(&swept.file, &folder)?;
        Ok(if swept.holds { Exit::Good } else { Exit::Failed })
    }

    fn load(&self) -> &str {
        self.load.as_deref().unwrap_or(ONE_AT_A_TIME)
    }

    fn asked(&self) -> Result<Asked> {
        let until = self.until.as_deref().map(load::tolerance).transpose()?;
        let wanted = load::load(self.load(), self.seed)?;
        let slo = self.slo.as_deref().map(load::slo).transpose()?;
        let (goal, first, prescribed, judged_by) = match wanted {
            Wanted::Load(load, batch, by) => (Goal::Load, load, batch, by),
            Wanted::Highest(guess) => {
                let load = Load::Open(Arrival::Poisson(guess.unwrap_or(1.0)));
                (Goal::Highest(Search { guess, budget: self.budget()? }), load, None, None)
            }
        };
        if matches!(goal, Goal::Highest(_)) && slo.is_none() {
            return Err(hinted(
                "`--load max` needs a demand to meet",
                "for example --slo p99=50ms",
            ));
        }
        let aims = Aims {
            headline: slo.map(|s| s.0).or(judged_by).unwrap_or(0.99),
            slo,
            warm_up: self.warm_up.filter(|s| *s >= 0.0),
            throttled: None,
        };
        let (sizes, batches) = (self.sizes(), self.batches(prescribed));
        let plan = self.plan(first, &goal)?;
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
        let prepared = self.prepare(batch, &asked.sizes, inline)?;
        let (model, mut notes) = self.cost(&prepared, &asked.sizes)?;
        notes.extend(run::cut(&asked.plan));
        let first_answer = first_answer(&prepared).map_err(failed)?;
        Ok(Single {
            meters: self.meters.prepare(&self.target, &prepared, self.instances)?,
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
        })
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
        let shared = self.senders.is_some() || self.stripe.is_some();
        let own = self.in_process_model().is_some() && !shared;
        (own && *workers <= usize::from(self.instances)).then_some(*workers)
    }

    /// The runtime and the model's file of a target in this process.
    fn in_process_model(&self) -> Option<(Runtime, &Path)> {
        let (runtime, path) = self.target.split_once(':')?;
        Some((Runtime::named(runtime)?, Path::new(path)))
    }

    fn plan(&self, load: Load, goal: &Goal) -> Result<Plan> {
        let workers = self.workers(&load).or(self.senders.map(usize::from));
        let (duration, requests) = self.span(&load, goal)?;
        Ok(Plan {
            load,
            seed: self.seed,
            duration,
            requests,
            stripe: self.stripe.as_deref().map_or(Ok(Stripe::WHOLE), load::stripe)?,
            senders: workers.unwrap_or_else(senders),
            timeout: time("--timeout", self.timeout)?,
            max_in_flight: self.max_in_flight.max(1),
            start_at: self.start_at.map(start_at).transpose()?,
        })
    }

    /// How long the load takes, and the number of requests with which a closed loop ends before that.
    fn span(&self, load: &Load, goal: &Goal) -> Result<(Duration, Option<u64>)> {
        let arrival = match (self.requests, load) {
            (None, _) => return Ok((time("--seconds", self.longest())?, None)),
            (Some(_), Load::Closed(_)) => {
                let limit = time("--seconds", self.seconds.unwrap_or(3600.0))?;
                return Ok((limit, self.requests));
            }
            (Some(_), Load::Open(arrival)) => arrival,
        };
        let refused =
            |message: &str| Err(hinted(message, "give --requests or --seconds, not both"));
        if self.seconds.is_some() {
            return refused("the number of requests of an open load says how long it takes");
        }
        if matches!(arrival, Arrival::Ramp { .. }) || matches!(goal, Goal::Highest(_)) {
            return refused("the time of this load says how many requests it has");
        }
        let number = self.requests.and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        let mut schedule = arrival.schedule(self.seed, Duration::from_hours(24), Stripe::WHOLE);
        let last = schedule.nth(number - 1).map(|due| due.at);
        let Some(last) = last else {
            return Err(hinted(
                format!("`--load {}` has no {number} requests within a day", self.load()),
                "give a smaller --requests",
            ));
        };
        let end = schedule.next().map_or(last + 1, |due| due.at);
        Ok((Duration::from_nanos(end), None))
    }

    /// How long a search for the highest rate may take.
    fn budget(&self) -> Result<Duration> {
        time("--budget", self.budget.unwrap_or_else(|| (15.0 * self.longest()).max(600.0)))
    }

    /// Seconds of the load, at most.
    fn longest(&self) -> f64 {
        self.seconds.unwrap_or(if self.until.is_some() { 120.0 } else { 20.0 })
    }

    fn prepare(&self, batch: i64, sizes: &Sizes, inline: bool) -> Result<Prepared> {
        let prepared = if let Some(model) = self.in_process_model() {
            self.in_process(model, batch, sizes, inline)?
        } else {
            let url = Url::parse(&self.target).map_err(failed)?;
            if let Some(patience) = self.patience {
                url.wait(time("--patience", patience)?);
            }
            Prepared::remote(&url, &self.options(batch)?).map_err(failed)?
        };
        // Rows that are given are a batch where none is asked for.
        if self.batch.contains(&batch) && prepared.batch != batch {
            return Err(hinted(
                format!("--batch {batch}, and --input gives {} rows", prepared.batch),
                "leave one of the two out",
            ));
        }
        Ok(prepared)
    }

    /// How requests to a server are made.
    fn options(&self, batch: i64) -> Result<Options> {
        let mut headers =
            self.header.iter().map(|h| load::header(h)).collect::<Result<Vec<_>>>()?;
        if let Some(variable) = &self.token {
            let token = std::env::var(variable).map_err(|_| {
                hinted(
                    format!("the environment has no variable `{variable}`"),
                    "--token names a variable, so that the token itself is in no history",
                )
            })?;
            headers.push(("Authorization".into(), format!("Bearer {}", token.trim())));
        }
        Ok(Options {
            headers,
            inputs: self.input.iter().map(|i| load::input(i)).collect::<Result<_>>()?,
            batch,
            seed: self.seed,
            variants: self.variants,
            encoding: match self.encoding {
                EncodingFlag::Auto => Encoding::Auto,
                EncodingFlag::Json => Encoding::Json,
                EncodingFlag::Binary => Encoding::Binary,
            },
            body: self.body()?,
            method: self.method.clone(),
            expect: self.expect.clone(),
            expected: self.expect_output.iter().map(|o| load::output(o)).collect::<Result<_>>()?,
            address: self.address,
            answers_vary: self.answers_vary,
            any_rows: self.any_rows,
            tolerance: self.tolerance,
            trust: crate::probe::stream::Trust { ca: self.ca.clone() },
            patience: time("--patience", self.patience.unwrap_or(30.0))?,
            ..Options::default()
        })
    }

    fn body(&self) -> Result<Option<Body>> {
        if let Some(text) = &self.json {
            return Ok(Some(Body {
                content_type: "application/json".into(),
                bytes: text.clone().into(),
            }));
        }
        let Some(path) = &self.body else { return Ok(None) };
        let bytes = read(path)?;
        let kind = match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
            "json" => "application/json",
            "jpg" | "jpeg" => "image/jpeg",
            "png" => "image/png",
            "txt" => "text/plain",
            _ => "application/octet-stream",
        };
        Ok(Some(Body { content_type: kind.into(), bytes: bytes.into() }))
    }
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

fn start_at(unix: f64) -> Result<SystemTime> {
    let since = Duration::try_from_secs_f64(unix).ok();
    let at = since.and_then(|s| SystemTime::UNIX_EPOCH.checked_add(s));
    let ahead = at.and_then(|at| at.duration_since(SystemTime::now()).ok());
    match (at, ahead) {
        (Some(at), Some(ahead)) if ahead < Duration::from_hours(1) => Ok(at),
        _ => Err(hinted(
            format!("`--start-at {unix}` is not within the next hour"),
            "for example --start-at $(( $(date +%s) + 10 ))",
        )),
    }
}

/// One core is left for the system, and for the server where it is here.
fn senders() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1))
}

/// 0 for a run that means what it says and meets what was demanded.
pub(super) fn exit(file: &MeasurementFile) -> Exit {
    if holds(file) { Exit::Good } else { Exit::Failed }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|e| hinted(format!("`{}` cannot be read: {e}", path.display()), "check the path"))
}
