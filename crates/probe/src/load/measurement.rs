//! A measurement: what was counted, judged and read beside the load, and its files `measurement.json` and
//! `intervals.hlog`.
//!
//! With the interval log beside it a file holds everything that judging takes, so that files of
//! several machines merge into exactly what one machine would have written. The form of the file is in
//! [`schema`](crate::schema).

mod batching;
mod parts;
mod sets;
mod start_up;
mod sweep;

use super::arrival::Fingerprint;
use super::drive::{Outcome, Plan};
use super::judge::{self, Case, Health, Judgement, QuotaStops, TAIL, same};
use super::metric::Metric;
use super::pipeline::{Inputs, pipeline};
use super::record::{Fault, FaultRow, Interval, Opened, Record, Stage};
use super::target::Prepared;
use super::{arrival, hlog};
use crate::schema::{
    ErrorPart, FindingPart, InputsSent, IntervalsPart, MEASUREMENT, MeasurementFile, MeetingPart,
    MeterPart, MeterRole, MetricPart, PipelinePart, PlanPart, RunPart, ScrapePart, SenderPart,
    SloMetric, SloOutcome, SloPart, StagePart, StageRows, TOOL, TargetPart, TokensPart, Verdict,
    VerdictPart, WindowPart,
};
pub use sets::newest_complete;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// File names in a measurement's folder.
pub const FILES: [&str; 2] = ["measurement.json", "intervals.hlog"];

/// Folders in it of what was measured so far while a run goes on: in full, and while it is written.
const INTERIM: [&str; 2] = ["interim", ".interim.part"];

/// Bytes that either file may have.
pub const LARGEST: u64 = 1 << 30;

/// Whether a folder holds a measurement, or what a run that was killed had written.
pub fn is_measurement(folder: &Path) -> bool {
    let kept = INTERIM.map(|name| folder.join(name));
    let mut places = std::iter::once(folder).chain(kept.iter().map(PathBuf::as_path));
    places.any(|place| place.join(FILES[0]).exists())
}

/// Stripes that begin more than this share of the time apart are noted.
const APART: f64 = 0.05;

fn io(path: &Path, error: std::io::Error) -> FileError {
    FileError::Io(path.display().to_string(), error)
}

/// What judging takes beside the outcome.
#[derive(Clone, Debug)]
pub struct Aims {
    /// Quantile between 0 and 1 that needs enough requests beyond it; set by `--percentile` or an SLO.
    pub headline: f64,
    /// Objectives, all of which must be met; empty without `--slo`.
    pub slo: Vec<Objective>,
    /// Seconds to cut at the start; `None` looks for the end of the warm-up.
    pub warm_up: Option<f64>,
    /// Evidence that a device lowered its clocks.
    pub throttled: Option<String>,
}

/// A time that a share of the requests should be within.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// What is timed.
    pub metric: SloMetric,
    /// The share, 0 to 1.
    pub quantile: f64,
    /// The time.
    pub seconds: f64,
}

impl Objective {
    /// The durations that it is about.
    pub fn durations(self) -> Metric {
        match self.metric {
            SloMetric::Response => Metric::Response,
            SloMetric::Ttft => Metric::FirstToken,
            SloMetric::Itl => Metric::InterToken,
            SloMetric::Tpot => Metric::PerToken,
        }
    }

    /// What a single request should be within, nanoseconds.
    pub fn limit(self) -> (Metric, u64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (self.durations(), (self.seconds * 1e9) as u64)
    }

    fn of(part: &SloPart) -> Self {
        Self { metric: part.metric, quantile: part.quantile, seconds: part.seconds }
    }
}

/// A measurement with everything that was counted.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The contents of `measurement.json`.
    pub file: MeasurementFile,
    /// The counts that the file is computed from.
    pub record: Record,
    /// When the schedule began, by this machine's clock.
    pub started: SystemTime,
}

/// What was read beside the load.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Meters of this machine.
    pub meters: Vec<MeterPart>,
    /// Stages that the server counts for itself, beside those that come with each answer.
    pub stages: Vec<StagePart>,
    /// The server's own metrics.
    pub scrapes: Vec<ScrapePart>,
    /// Stages whose number of workers is known, by name.
    pub servers: Vec<(String, u64)>,
}

/// Why a measurement cannot be read, written or merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file cannot be read or written.
    #[error("`{0}`: {1}")]
    Io(String, std::io::Error),
    /// A file's contents are not those of a measurement.
    #[error("`{0}` is not a measurement: {1}")]
    Content(String, String),
    /// Measurements that do not belong together.
    #[error("{0}")]
    Apart(String),
}

impl Aims {
    /// A case to judge, of a client that nothing held up.
    pub fn case<'a>(
        &self,
        record: &'a Record,
        seconds: f64,
        (open, level): (bool, bool),
    ) -> Case<'a> {
        Case {
            record,
            seconds,
            open,
            level,
            headline: self.headline,
            warm_up: self.warm_up,
            health: &[],
            stolen: None,
            quota_stops: None,
            throttled: self.throttled.clone(),
            own_clock: false,
            unit: "requests",
        }
    }
}

/// Whether requests are due at instants of their own, and whether the rate is meant to stay the same.
pub fn kind(plan: &Plan) -> (bool, bool) {
    match &plan.load {
        arrival::Load::Closed(_) => (false, true),
        arrival::Load::Open(arrival) => (true, arrival.is_level()),
    }
}

const OPENS_EACH: &str = "the server closes connections behind its answers without announcing it: each request \
     opens a connection of its own";

impl Measured {
    /// Puts together what one machine measured; `beside` gives what was read beside the load in the window that
    /// counts.
    pub fn new(
        plan: &Plan,
        target: &Prepared,
        outcome: Outcome,
        aims: &Aims,
        first_answer: Option<Duration>,
        beside: impl FnOnce(&WindowPart) -> Beside,
    ) -> Self {
        let each = target.opens_each().then(|| OPENS_EACH.to_owned());
        let run = RunPart { meeting: MeetingPart::of(plan), ..RunPart::new(&outcome) };
        let target = TargetPart::new(target, first_answer);
        let processors = outcome.processors;
        let (record, started) = (outcome.record, outcome.started);
        let mut file = compose(target, PlanPart::new(plan, aims), run, &record, aims, beside);
        file.verdict.notes.extend(each.into_iter().chain(parts::neighbours(&file, processors)));
        Self { file, record, started }
    }

    /// Reads a measurement from its folder, or from its `measurement.json`; of a run that was killed, what it had
    /// written until then.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let named = path.file_name().is_some_and(|name| name == FILES[0]);
        let folder = if named { path.parent().unwrap_or(path) } else { path };
        // What a run that was killed had written.
        let kept = INTERIM.map(|name| folder.join(name));
        let kept = kept.iter().find(|inner| inner.join(FILES[0]).exists());
        let whole = folder.join(FILES[0]).exists();
        let folder = kept.filter(|_| !whole).map_or(folder, PathBuf::as_path);
        let read = |name: &str| {
            let path = folder.join(name);
            rooflens_ground::files::bytes(&path, LARGEST).map_err(|e| io(&path, e))
        };
        let name = folder.join(FILES[0]).display().to_string();
        let content = |text: String| FileError::Content(name.clone(), text);
        let file: MeasurementFile =
            serde_json::from_slice(&read(FILES[0])?).map_err(|e| content(e.to_string()))?;
        if file.schema != MEASUREMENT {
            return Err(content(format!("its schema is `{}`, not `{MEASUREMENT}`", file.schema)));
        }
        let mut record =
            skeleton(&file).ok_or_else(|| content("its intervals are incomplete".into()))?;
        hlog::read(&read(FILES[1])?, record.step, &mut record.intervals)
            .map_err(|e| content(e.to_string()))?;
        restore(&file, &mut record);
        let since = Duration::try_from_secs_f64(file.run.started_unix_seconds).unwrap_or_default();
        Ok(Self { file, record, started: SystemTime::UNIX_EPOCH + since })
    }

    /// Writes both files into `folder`, which exists: both in full, or none.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        let parts = FILES.map(|name| folder.join(format!(".{name}.part")));
        let written = self.write(&parts).and_then(|()| {
            for (part, name) in parts.iter().zip(FILES) {
                std::fs::rename(part, folder.join(name)).map_err(|e| io(part, e))?;
            }
            Ok(())
        });
        if written.is_err() {
            for part in &parts {
                let _ = std::fs::remove_file(part);
            }
            return written;
        }
        for name in INTERIM {
            // Mostly there is none.
            let _ = std::fs::remove_dir_all(folder.join(name));
        }
        Ok(())
    }

    /// Writes both files into a folder of their own in `folder`, in place of those that were written before.
    pub(crate) fn save_interim(&self, folder: &Path) -> Result<(), FileError> {
        let [whole, part] = INTERIM.map(|name| folder.join(name));
        let old = folder.join(".interim.old");
        let _ = std::fs::remove_dir_all(&part);
        std::fs::create_dir(&part).map_err(|e| io(&part, e))?;
        self.write(&FILES.map(|name| part.join(name)))?;
        let _ = std::fs::remove_dir_all(&old);
        // At every instant one of the two is there in full.
        let _ = std::fs::rename(&whole, &old);
        std::fs::rename(&part, &whole).map_err(|e| io(&part, e))?;
        let _ = std::fs::remove_dir_all(&old);
        Ok(())
    }

    /// Writes both files, and has the system write them to the disk.
    fn write(&self, [measurement, intervals]: &[PathBuf; 2]) -> Result<(), FileError> {
        let put = |path: &Path, bytes: &[u8]| {
            let mut file = std::fs::File::create(path).map_err(|e| io(path, e))?;
            file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| io(path, e))
        };
        let content = |e: String| FileError::Content(FILES[0].into(), e);
        let json = serde_json::to_vec_pretty(&self.file).map_err(|e| content(e.to_string()))?;
        let log = hlog::write(&self.record, self.started).map_err(|e| content(e.to_string()))?;
        // A measurement without its intervals would be taken for a whole one.
        put(intervals, &log)?;
        put(measurement, &[json.as_slice(), b"\n"].concat())
    }

    /// Merges the stripes of one schedule and judges them as one run.
    ///
    /// Meters are not read again, so that a stripe's THROTTLED verdict is carried over to the whole.
    pub fn merge(parts: &[Self]) -> Result<Self, FileError> {
        let Some(first) = parts.first() else {
            return Err(FileError::Apart("there is nothing to merge".into()));
        };
        let (mut plan, mut run) = (first.file.plan.clone(), first.file.run.clone());
        let (mut target, mut record) = (first.file.target.clone(), first.record.clone());
        for part in &parts[1..] {
            part.belongs(&plan, &target)?;
            // Requests that were within the objectives are counted while a run goes on.
            if objectives(&part.file) != objectives(&first.file) {
                let text = "the stripes were measured with different --slo".to_owned();
                return Err(FileError::Apart(text));
            }
            let theirs = &part.file.run;
            plan.stripes.extend(&part.file.plan.stripes);
            record.merge(&part.record);
            run.started_unix_seconds = run.started_unix_seconds.min(theirs.started_unix_seconds);
            run.seconds = run.seconds.min(theirs.seconds);
            run.stopped |= theirs.stopped;
            run.senders.extend(&theirs.senders);
            run.machines.extend(theirs.machines.iter().cloned());
            run.machines.sort_by(|a, b| a.id.cmp(&b.id));
            run.machines.dedup();
            run.stolen_share = most(run.stolen_share, theirs.stolen_share);
            run.quota_stops = sum(run.quota_stops, theirs.quota_stops);
            run.quota_stopped_seconds =
                sum(run.quota_stopped_seconds, theirs.quota_stopped_seconds);
            run.other_cores = most(run.other_cores, theirs.other_cores);
            if target.url != part.file.target.url {
                target.url = format!("{}, {}", target.url, part.file.target.url);
            }
        }
        plan.stripes.sort_unstable();
        run.start_spread_seconds = spread(parts);
        run.count(&record);
        let aims = Aims {
            headline: plan.headline_quantile,
            slo: objectives(&first.file),
            warm_up: plan.warm_up_seconds,
            throttled: throttled(parts),
        };
        let since = Duration::try_from_secs_f64(run.started_unix_seconds).unwrap_or_default();
        let missing = missing(&plan);
        let (spread, plan_seconds) = (run.start_spread_seconds, plan.seconds);
        let teller = teller(parts);
        let beside = |_: &WindowPart| gather(parts, teller);
        let mut file = compose(target, plan, run, &record, &aims, beside);
        let notes = &mut file.verdict.notes;
        notes.extend(notes_of_stripes(parts, notes));
        notes.extend(apart(spread, plan_seconds));
        notes.extend(missing);
        if let Some(teller) = teller {
            notes.push(format!(
                "the server's own metrics are those that stripe {} saw; they count the requests of all",
                teller.file.plan.stripes.first().copied().unwrap_or_default()
            ));
        }
        Ok(Self { file, record, started: SystemTime::UNIX_EPOCH + since })
    }

    /// Refuses to be merged with stripes of another plan, or with itself.
    fn belongs(&self, plan: &PlanPart, target: &TargetPart) -> Result<(), FileError> {
        let own = &self.file.plan;
        let same = PlanPart { stripes: plan.stripes.clone(), ..own.clone() } == *plan;
        if !same || self.file.target.batch != target.batch {
            return Err(FileError::Apart(format!(
                "`{}` of seed {} and `{}` of seed {} are not stripes of one plan",
                plan.load, plan.seed, own.load, own.seed
            )));
        }
        match own.stripes.iter().find(|s| plan.stripes.contains(s)) {
            Some(twice) => {
                let text = format!("stripe {twice} of {} is a duplicate", plan.stripes_of);
                Err(FileError::Apart(text))
            }
            None => Ok(()),
        }
    }

    /// The numbers of its stripes, joined by `between`.
    fn stripes(&self, between: &str) -> String {
        let all: Vec<String> = self.file.plan.stripes.iter().map(u64::to_string).collect();
        all.join(between)
    }
}

/// The objectives of a file.
fn objectives(file: &MeasurementFile) -> Vec<Objective> {
    let one = file.slo.as_ref().filter(|_| file.objectives.is_empty());
    one.into_iter().chain(&file.objectives).map(Objective::of).collect()
}

/// The part whose server counted for itself: what it told one stripe is of the requests of all.
fn teller(parts: &[Measured]) -> Option<&Measured> {
    let counts = |p: &&Measured| p.file.stages.iter().any(|s| !s.source.with_each_answer());
    parts.iter().find(counts).or(parts.iter().find(|p| !p.file.scrapes.is_empty()))
}

/// Meters of all parts, and what the server told one of them of the requests of all.
fn gather(parts: &[Measured], teller: Option<&Measured>) -> Beside {
    let mut beside = Beside::default();
    for part in parts {
        let stripes = part.stripes("+");
        beside.meters.extend(part.file.meters.iter().map(|m| MeterPart {
            name: format!("stripe {stripes}: {}", m.name),
            role: MeterRole::Plain,
            ..m.clone()
        }));
        for stage in part.file.stages.iter().filter(|s| s.source.with_each_answer()) {
            let known = beside.servers.iter().any(|(name, _)| *name == stage.name);
            beside
                .servers
                .extend(stage.servers.filter(|_| !known).map(|n| (stage.name.clone(), n)));
        }
    }
    if let Some(teller) = teller {
        let from_pages = teller.file.stages.iter().filter(|s| !s.source.with_each_answer());
        beside.stages = from_pages.cloned().collect();
        beside.scrapes.clone_from(&teller.file.scrapes);
    }
    beside
}

/// Time between the first and the last start of stripes. Of those that met under one name, by what each is later than
/// agreed, so that their clocks need not agree.
fn spread(parts: &[Measured]) -> f64 {
    let name = |p: &Measured| p.file.run.meeting.as_ref().map(|m| m.name.clone());
    let first = parts.first().and_then(name);
    let met = first.is_some() && parts.iter().all(|p| name(p) == first);
    let agreed = |p: &Measured| p.file.run.meeting.as_ref().map_or(0.0, |m| m.start_unix_seconds);
    let start = |p: &Measured| p.file.run.started_unix_seconds - if met { agreed(p) } else { 0.0 };
    let (low, high) = parts
        .iter()
        .map(start)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(s), h.max(s)));
    (high - low).max(0.0)
}

/// What is noted where stripes began so far apart that they did not load the server together.
fn apart(spread: f64, plan_seconds: f64) -> Option<String> {
    (spread > APART * plan_seconds).then(|| {
        format!(
            "the stripes began within {} s of each other, so that they did not load the server together all the time",
            (spread * 10.0).round() / 10.0
        )
    })
}

/// What is noted where stripes of a plan are missing.
fn missing(plan: &PlanPart) -> Option<String> {
    let of = plan.stripes_of;
    let missing = of.saturating_sub(plan.stripes.len() as u64);
    (missing > 0).then(|| format!("{missing} of {of} stripes are missing"))
}

/// What the stripes note and the whole does not, each with its stripe: a lost meter is lost to the whole too.
fn notes_of_stripes(parts: &[Measured], known: &[String]) -> Vec<String> {
    let of_stripe = |part: &Measured| {
        let (stripes, missing) = (part.stripes(", "), missing(&part.file.plan));
        let notes = part.file.verdict.notes.iter();
        let new = notes.filter(|note| !known.contains(note) && missing.as_ref() != Some(*note));
        new.map(|note| format!("stripe {stripes}: {note}")).collect::<Vec<_>>()
    };
    parts.iter().flat_map(of_stripe).collect()
}

/// The larger of two, as far as they are known.
fn most(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.map_or(b, |a| Some(b.map_or(a, |b| a.max(b))))
}

/// The sum of two, as far as they are known.
fn sum<T: std::ops::Add<Output = T>>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

/// Evidence of stripes whose device lowered its clocks, with the stripes' numbers; `None` where none did.
fn throttled(parts: &[Measured]) -> Option<String> {
    let of_stripe = |part: &Measured| {
        let findings =
            part.file.verdict.findings.iter().filter(|f| f.verdict == Verdict::Throttled);
        let line = |f: &FindingPart| format!("stripe {}: {}", part.stripes(", "), f.evidence);
        findings.map(line).collect::<Vec<_>>()
    };
    let evidence: Vec<String> = parts.iter().flat_map(of_stripe).collect();
    (!evidence.is_empty()).then(|| evidence.join("; "))
}

/// What came of a run.
fn judged(
    target: &TargetPart,
    plan: &PlanPart,
    run: &RunPart,
    record: &Record,
    aims: &Aims,
) -> Judgement {
    let health: Vec<Health> = run.senders.iter().map(SenderPart::health).collect();
    judge::judge(&Case {
        unit: unit(target, run),
        own_clock: target.in_process,
        health: &health,
        stolen: run.stolen_share,
        quota_stops: run.quota_stops.map(|count| QuotaStops {
            count,
            seconds: run.quota_stopped_seconds.unwrap_or_default(),
        }),
        ..aims.case(record, run.seconds, (plan.open, plan.level))
    })
}

/// The file of a record: everything that follows from it is computed here and only here.
fn compose(
    target: TargetPart,
    plan: PlanPart,
    run: RunPart,
    record: &Record,
    aims: &Aims,
    beside: impl FnOnce(&WindowPart) -> Beside,
) -> MeasurementFile {
    let run = RunPart { inputs: InputsSent::of(&target, &plan, record), ..run };
    let j = judged(&target, &plan, &run, record, aims);
    let window = WindowPart::new(&j, record.step, target.batch);
    let beside = beside(&window);
    let stages = stages(&j, target.in_process, beside.stages, &beside.servers);
    let streamed = record.intervals.iter().any(Interval::is_streamed);
    let objectives: Vec<SloPart> = aims.slo.iter().map(|one| slo(&j, *one)).collect();
    let mut file = MeasurementFile {
        schema: MEASUREMENT.into(),
        tool: TOOL.into(),
        verdict: VerdictPart::from(&j),
        slo: worst(&objectives).cloned(),
        tokens: streamed.then(|| TokensPart::new(&j, !aims.slo.is_empty())),
        window,
        response: MetricPart::of(&j, Metric::Response),
        service: MetricPart::of(&j, Metric::Service),
        lag: MetricPart::of(&j, Metric::Lag),
        lateness: MetricPart::of(&j, Metric::Lateness),
        errors: record.faults.iter().map(|(fault, row)| ErrorPart::new(fault, row)).collect(),
        stages,
        meters: beside.meters,
        scrapes: beside.scrapes,
        pipeline: PipelinePart::default(),
        model: None,
        start_up: None,
        intervals: IntervalsPart {
            step_nanoseconds: record.step,
            columns: Interval::columns(streamed),
            rows: record.intervals.iter().map(|interval| interval.row(streamed)).collect(),
            stages: StageRows::all(record),
        },
        objectives: if objectives.len() > 1 { objectives } else { Vec::new() },
        target,
        plan,
        run,
    };
    file.pipeline = pipeline(&inputs(&file, &j));
    file
}

/// Stages that came with each answer, and those that the server counts; with the workers that are known.
fn stages(
    j: &Judgement,
    in_process: bool,
    counted: Vec<StagePart>,
    servers: &[(String, u64)],
) -> Vec<StagePart> {
    let answered = j.sum.stages.iter();
    let answered = answered.map(|(name, stage)| StagePart::new(name, *stage, j, in_process));
    let mut stages: Vec<StagePart> = answered.chain(counted).collect();
    for stage in &mut stages {
        let known = servers.iter().find(|(name, _)| *name == stage.name);
        stage.servers = known.map(|(_, n)| *n).or(stage.servers);
    }
    stages
}

fn slo(j: &Judgement, one: Objective) -> SloPart {
    let Objective { metric, quantile, seconds } = one;
    SloPart { metric, quantile, seconds, outcome: met(j, one) }
}

/// The objective with the worst outcome; the first of several.
fn worst(all: &[SloPart]) -> Option<&SloPart> {
    let order = [SloOutcome::Fail, SloOutcome::Undecided, SloOutcome::Pass];
    order.iter().find_map(|outcome| all.iter().find(|part| part.outcome == *outcome))
}

/// What is counted, in the plural.
fn unit(target: &TargetPart, run: &RunPart) -> &'static str {
    let inferences = target.in_process && run.senders.is_empty() && target.batch == 1;
    if inferences { "inferences" } else { "requests" }
}

/// What the pipeline of a file is computed from.
fn inputs<'a>(file: &'a MeasurementFile, j: &Judgement) -> Inputs<'a> {
    let mean = |metric| j.sum.durations[metric].mean() * 1e-9;
    let late = (mean(Metric::Response) - mean(Metric::Undelayed)).max(0.0);
    // From picked up to sent, of which the handshakes have their share.
    let connecting = (mean(Metric::Lag) - late).max(0.0);
    let (tcp, tls) = (file.run.connect_seconds, file.run.handshake_seconds);
    let handshake = if tls > 0.0 { connecting * tls / (tcp + tls) } else { 0.0 };
    let cpu = file.meters.iter().find(|m| m.role == MeterRole::ServerCpu);
    let gpus = file.meters.iter().filter(|m| m.role == MeterRole::GpuBusy);
    let checked = file.run.answers_checked;
    Inputs {
        response: file.response.mean_seconds,
        service: file.service.mean_seconds,
        late,
        connect: connecting - handshake,
        handshake: (tls > 0.0).then_some(handshake),
        decode: (checked > 0).then(|| file.run.check_seconds / checked as f64),
        in_process: file.target.in_process,
        stages: &file.stages,
        full: full(file),
        server_cpu: cpu.and_then(|m| Some((m.value?, m.of?))),
        gpus: gpus.filter_map(|m| Some((m.name.as_str(), m.value?))).collect(),
    }
}

/// Evidence that the client itself was full: a sender that used its core, or requests that it gave up.
fn full(file: &MeasurementFile) -> Vec<String> {
    let senders = file.run.senders.iter().map(SenderPart::health).enumerate();
    let busy = senders.filter(|(_, h)| h.cpu > judge::client::FULL * h.wall);
    let mut all: Vec<String> = busy
        .map(|(i, h)| format!("sender {i} used {:.0} % of its core", 100.0 * h.cpu / h.wall))
        .collect();
    let late = Fault::Late.to_string();
    let given_up = file.errors.iter().find(|e| e.kind == late);
    all.extend(given_up.map(|e| format!("the client gave {} requests up unsent", e.count)));
    all
}

/// Whether a run can be trusted and went well: VALID, which takes that few of its requests failed, and its
/// objective, where there is one, was met.
pub fn holds(file: &MeasurementFile) -> bool {
    let missed = file.slo.as_ref().is_some_and(|s| s.outcome != SloOutcome::Pass);
    file.verdict.verdict == Verdict::Valid && !missed
}

/// Whether the demand is met: by the interval's far end, failed by its near end.
pub fn met(j: &Judgement, objective: Objective) -> SloOutcome {
    let Objective { quantile, seconds, .. } = objective;
    let head = j.quantiles[objective.durations()]
        .iter()
        .find(|p| same(p.q, quantile))
        .filter(|p| p.beyond >= TAIL);
    let Some((p, (low, high))) = head.and_then(|p| Some((p, p.interval?))) else {
        return SloOutcome::Undecided;
    };
    let found = |verdict| j.findings.iter().any(|f| f.verdict == verdict);
    // A client that delays requests can make a demand fail, but not make it hold.
    let late = found(Verdict::ClientLimited);
    let fail = if late { SloOutcome::Undecided } else { SloOutcome::Fail };
    if found(Verdict::Overloaded) {
        return fail;
    }
    match (low as f64 * 1e-9 > seconds || p.value.is_none(), high) {
        (true, _) => fail,
        (false, Some(high)) if high as f64 * 1e-9 <= seconds => SloOutcome::Pass,
        _ => SloOutcome::Undecided,
    }
}

/// A record with everything but durations; `None` where the file is not whole.
fn skeleton(file: &MeasurementFile) -> Option<Record> {
    let mut record = Record::with_step(file.intervals.step_nanoseconds);
    let streamed = is_streamed(file);
    if file.intervals.columns != Interval::columns(streamed) || !is_plausible(file) {
        return None;
    }
    for row in &file.intervals.rows {
        let mut interval = Interval::default();
        interval.restore(row, streamed)?;
        record.intervals.push(interval);
    }
    let run = &file.run;
    record.fingerprint = Fingerprint(u64::from_str_radix(&run.schedule_fingerprint, 16).ok()?);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let nanoseconds = |seconds: f64| (seconds * 1e9).round() as u64;
    record.connections = Opened {
        count: run.connections,
        connect: Duration::from_nanos(nanoseconds(run.connect_seconds)),
        handshake: Duration::from_nanos(nanoseconds(run.handshake_seconds)),
        resent: run.resent,
    };
    (record.bytes_sent, record.bytes_received) = (run.bytes_sent, run.bytes_received);
    (record.checked, record.same) = (run.answers_checked, run.answers_same);
    record.unchecked = run.answers_unchecked;
    (record.responses, record.read_late) = (run.responses, run.read_late);
    record.check_time = nanoseconds(run.check_seconds);
    for error in &file.errors {
        let first = nanoseconds(error.first_seconds);
        let row = FaultRow { count: error.count, first, message: error.message.clone() };
        record.faults.insert(error.kind.parse::<Fault>().ok()?, row);
    }
    for stage in &file.intervals.stages {
        for [index, count, nanoseconds] in &stage.rows {
            let interval = record.intervals.get_mut(usize::try_from(*index).ok()?)?;
            let sum = Stage { count: *count, nanoseconds: *nanoseconds };
            interval.stages.insert(stage.name.as_str().into(), sum);
        }
    }
    let known = |name: &str| file.intervals.stages.iter().any(|s| s.name == name);
    let mut counted = file.stages.iter().filter(|s| s.source.with_each_answer());
    counted.all(|s| known(&s.name)).then_some(record)
}

/// Whether the intervals of a file have the columns of streamed answers.
fn is_streamed(file: &MeasurementFile) -> bool {
    file.intervals.columns.len() > Interval::columns(false).len()
}

/// Whether the counts of a file can be those of a run, and those of a hundred such runs be added up.
fn is_plausible(file: &MeasurementFile) -> bool {
    /// Requests, bytes, or nanoseconds over all requests: more than two years of them.
    const MOST: u128 = 1 << 56;
    fn within(values: impl Iterator<Item = u64>) -> bool {
        values.map(u128::from).sum::<u128>() <= MOST
    }
    let (run, plan, intervals) = (&file.run, &file.plan, &file.intervals);
    let column = |at: usize| within(intervals.rows.iter().filter_map(|row| row.get(at).copied()));
    let stages = || intervals.stages.iter().flat_map(|stage| &stage.rows);
    let answers = [run.answers_checked, run.answers_same, run.answers_unchecked];
    let inputs = file.target.different_inputs.map_or([0, 0], |i| [i.count, i.per_request]);
    let late = [run.responses, run.read_late];
    let run = [run.connections, run.resent, run.bytes_sent, run.bytes_received];
    plan.stripes.len() as u64 <= plan.stripes_of
        && (0..intervals.columns.len()).all(column)
        && within(stages().map(|row| row[1]))
        && within(stages().map(|row| row[2]))
        && within(run.into_iter())
        && within(answers.into_iter())
        && within(late.into_iter())
        && within(inputs.into_iter())
        && within(file.errors.iter().map(|e| e.count))
}

/// Exact sums and maxima, which histograms do not hold.
fn restore(file: &MeasurementFile, record: &mut Record) {
    let streamed = is_streamed(file);
    for (interval, row) in record.intervals.iter_mut().zip(&file.intervals.rows) {
        // Of the right length, as it was read before.
        let _ = interval.restore(row, streamed);
    }
}

#[cfg(test)]
pub(super) mod tests;
