//! `measurement.json`: what a run was, what it found and what that is worth, for people and tools.
//!
//! With the interval log beside it a file holds everything that judging takes, so that files of
//! several machines merge into exactly what one machine would have written. The wire structs are
//! in `wire` and nowhere else; `schemas/measurement.schema.json` describes them.

mod batching;
mod parts;
mod start_up;
mod sweep;
mod wire;

use super::arrival::{Fingerprint, GENERATOR, Stripe};
use super::drive::{Outcome, Plan};
use super::judge::{self, Case, Health, Judgement, TAIL, Verdict, same};
use super::pipeline::pipeline;
use super::record::{Fault, FaultRow, Interval, Record, Stage};
use super::stats::{Metric, Percentile};
use super::target::{Prepared, tensor::Slot};
use super::{arrival, counts::Counts, hlog};
pub use batching::{Against, BATCHING, BatchingFile, CellPart, Column, LossPart, PlateauPart};
pub use start_up::{
    CachePart, DefinitionPart, PollsPart, START_UP, SpreadPart, StartPart, StartUpFile, StartUpPart,
};
use std::path::Path;
use std::time::{Duration, SystemTime};
pub use sweep::{SWEEP, SweepFile, SweepRow};
pub use wire::{
    BottleneckPart, ErrorPart, File, FindingPart, IntervalsPart, MeterPart, MetricPart, ModelPart,
    PercentilePart, PipePart, PipelinePart, PlanPart, RunPart, ScrapePart, SenderPart, SeriesPart,
    SloPart, SlotPart, StagePart, StageRows, TargetPart, VerdictPart, WindowPart,
};

/// The schema's name and version.
pub const SCHEMA: &str = "rooflens.measurement/1";
/// File names in a measurement's folder.
pub const FILES: [&str; 2] = ["measurement.json", "intervals.hlog"];

/// Sources of stages that come with each answer, so that they are counted in the record.
const COUNTED: [&str; 2] = ["in process", "Server-Timing"];

/// Columns of the rows of intervals.
const COLUMNS: [&str; 15] = [
    "due",
    "good",
    "lost",
    "lost_to_load",
    "completed",
    "in_flight_ns",
    "stay_ns",
    "response_sum_ns",
    "response_max_ns",
    "service_sum_ns",
    "service_max_ns",
    "lag_sum_ns",
    "lag_max_ns",
    "lateness_sum_ns",
    "lateness_max_ns",
];

/// What judging takes beside the outcome.
#[derive(Clone, Debug)]
pub struct Aims {
    /// Percentile that must be supported.
    pub headline: f64,
    /// Percentile and seconds that must be met.
    pub slo: Option<(f64, f64)>,
    /// Seconds to cut at the start; found where left out.
    pub warm_up: Option<f64>,
    /// Evidence that a device lowered its clocks.
    pub throttled: Option<String>,
}

/// A measurement with everything that was counted.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As written.
    pub file: File,
    /// As counted.
    pub record: Record,
    /// When it began.
    pub started: SystemTime,
}

/// Why a measurement cannot be read, written or merged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file.
    #[error("`{0}`: {1}")]
    Io(String, std::io::Error),
    /// Its contents.
    #[error("`{0}` is not a measurement: {1}")]
    Content(String, String),
    /// Two that do not belong together.
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
            stolen: 0.0,
            quota_stops: 0,
            throttled: self.throttled.clone(),
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

impl Measured {
    /// Puts together what one machine measured.
    pub fn new(
        plan: &Plan,
        target: &Prepared,
        outcome: Outcome,
        aims: &Aims,
        first_answer: Option<Duration>,
    ) -> Self {
        let (open, level) = kind(plan);
        let slots = |list: &[Slot]| list.iter().map(SlotPart::new).collect();
        let target = TargetPart {
            url: target.text.clone(),
            platform: target.platform.clone(),
            encoding: target.encoding.into(),
            in_process: target.is_local(),
            batch: target.batch,
            request_bytes: target.requests.first().map_or(0, super::connector::Encoded::len),
            first_answer_seconds: first_answer.map(|d| d.as_secs_f64()),
            inputs: slots(&target.inputs),
            outputs: slots(&target.outputs),
        };
        let Stripe { index, of } = plan.stripe;
        let part = PlanPart {
            load: plan.load.to_string(),
            open,
            level,
            generator: GENERATOR.into(),
            seed: plan.seed,
            seconds: plan.duration.as_secs_f64(),
            stripes: vec![index],
            stripes_of: of,
            timeout_seconds: plan.timeout.as_secs_f64(),
            max_in_flight: plan.max_in_flight,
            warm_up_seconds: aims.warm_up,
            headline_quantile: aims.headline,
        };
        let since = outcome.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let record = &outcome.record;
        let run = RunPart {
            started_unix_seconds: since.as_secs_f64(),
            start_spread_seconds: 0.0,
            seconds: outcome.seconds,
            stopped: outcome.stopped,
            schedule_fingerprint: record.fingerprint.to_string(),
            senders: outcome.health.iter().map(SenderPart::new).collect(),
            stolen_share: outcome.stolen,
            quota_stops: outcome.quota_stops,
            connections: record.connections,
            bytes_sent: record.bytes_sent,
            bytes_received: record.bytes_received,
            answers_checked: record.checked,
            check_seconds: record.check_time as f64 * 1e-9,
        };
        let (record, started) = (outcome.record, outcome.started);
        Self { file: compose(target, part, run, &record, aims), record, started }
    }

    /// Reads a measurement from its folder, or from its `measurement.json`.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let named = path.file_name().is_some_and(|name| name == FILES[0]);
        let folder = if named { path.parent().unwrap_or(path) } else { path };
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|e| FileError::Io(path.display().to_string(), e))
        };
        let name = folder.join(FILES[0]).display().to_string();
        let content = |text: String| FileError::Content(name.clone(), text);
        let file: File =
            serde_json::from_slice(&read(FILES[0])?).map_err(|e| content(e.to_string()))?;
        if file.schema != SCHEMA {
            return Err(content(format!("its schema is `{}`, not `{SCHEMA}`", file.schema)));
        }
        let mut record =
            file.skeleton().ok_or_else(|| content("its intervals are incomplete".into()))?;
        hlog::read(&read(FILES[1])?, record.step, &mut record.intervals)
            .map_err(|e| content(e.to_string()))?;
        file.restore(&mut record);
        let since = Duration::try_from_secs_f64(file.run.started_unix_seconds).unwrap_or_default();
        Ok(Self { file, record, started: SystemTime::UNIX_EPOCH + since })
    }

    /// Writes both files into `folder`, which exists.
    pub fn save(&self, folder: &Path) -> Result<(), FileError> {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|e| FileError::Io(path.display().to_string(), e))
        };
        let content = |e: String| FileError::Content(FILES[0].into(), e);
        let json = serde_json::to_vec_pretty(&self.file).map_err(|e| content(e.to_string()))?;
        put(FILES[0], &[json.as_slice(), b"\n"].concat())?;
        put(FILES[1], &hlog::write(&self.record, self.started).map_err(|e| content(e.to_string()))?)
    }

    /// Merges the stripes of one schedule and judges them as one run.
    ///
    /// Meters are not read again, so that a stripe's THROTTLED verdict is carried over to the whole.
    pub fn merge(parts: &[Self]) -> Result<Self, FileError> {
        let apart = |text: String| Err(FileError::Apart(text));
        let Some(first) = parts.first() else { return apart("there is nothing to merge".into()) };
        let (mut plan, mut run) = (first.file.plan.clone(), first.file.run.clone());
        let mut record = first.record.clone();
        let mut target = first.file.target.clone();
        let (mut earliest, mut latest) = (run.started_unix_seconds, run.started_unix_seconds);
        for part in &parts[1..] {
            let (other, theirs) = (&part.file.plan, &part.file.run);
            let same = PlanPart { stripes: plan.stripes.clone(), ..other.clone() } == plan;
            if !same || part.file.target.batch != target.batch {
                return apart(format!(
                    "`{}` of seed {} and `{}` of seed {} are not stripes of one plan",
                    plan.load, plan.seed, other.load, other.seed
                ));
            }
            if let Some(twice) = other.stripes.iter().find(|s| plan.stripes.contains(s)) {
                return apart(format!("stripe {twice} of {} is there twice", plan.stripes_of));
            }
            plan.stripes.extend(&other.stripes);
            record.merge(&part.record);
            earliest = earliest.min(theirs.started_unix_seconds);
            latest = latest.max(theirs.started_unix_seconds);
            run.seconds = run.seconds.min(theirs.seconds);
            run.stopped |= theirs.stopped;
            run.senders.extend(&theirs.senders);
            run.stolen_share = run.stolen_share.max(theirs.stolen_share);
            run.quota_stops += theirs.quota_stops;
            if target.url != part.file.target.url {
                target.url = format!("{}, {}", target.url, part.file.target.url);
            }
        }
        plan.stripes.sort_unstable();
        run.started_unix_seconds = earliest;
        run.start_spread_seconds = latest - earliest;
        run.schedule_fingerprint = record.fingerprint.to_string();
        (run.connections, run.bytes_sent) = (record.connections, record.bytes_sent);
        (run.bytes_received, run.answers_checked) = (record.bytes_received, record.checked);
        run.check_seconds = record.check_time as f64 * 1e-9;
        let aims = Aims {
            headline: plan.headline_quantile,
            slo: first.file.slo.as_ref().map(|s| (s.quantile, s.seconds)),
            warm_up: plan.warm_up_seconds,
            throttled: throttled(parts),
        };
        let missing = plan.stripes_of - plan.stripes.len() as u64;
        let stripes_of = plan.stripes_of;
        let mut file = compose(target, plan, run, &record, &aims);
        if missing > 0 {
            file.verdict.notes.push(format!("{missing} of {stripes_of} stripes are missing"));
        }
        gather(&mut file, parts);
        let since = Duration::try_from_secs_f64(earliest).unwrap_or_default();
        Ok(Self { file, record, started: SystemTime::UNIX_EPOCH + since })
    }

    /// Adds what was read beside the load.
    pub fn attach(
        &mut self,
        meters: Vec<MeterPart>,
        stages: Vec<StagePart>,
        scrapes: Vec<ScrapePart>,
    ) {
        self.file.meters = meters;
        self.file.stages.extend(stages);
        self.file.scrapes = scrapes;
        self.file.pipeline = pipeline(&self.file);
    }

    /// Says how many servers a stage has.
    pub fn servers(&mut self, stage: &str, servers: u64) -> bool {
        let mut found = false;
        for own in self.file.stages.iter_mut().filter(|s| s.name == stage) {
            own.servers = Some(servers);
            found = true;
        }
        self.file.pipeline = pipeline(&self.file);
        found
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        tests::run(Stripe::WHOLE)
    }
}

/// Meters of all parts, and what the server told one of them of the requests of all.
fn gather(file: &mut File, parts: &[Measured]) {
    for part in parts {
        let stripes: Vec<String> = part.file.plan.stripes.iter().map(ToString::to_string).collect();
        let name = |m: &MeterPart| format!("stripe {}: {}", stripes.join("+"), m.name);
        file.meters
            .extend(part.file.meters.iter().map(|m| MeterPart { name: name(m), ..m.clone() }));
        for own in &mut file.stages {
            let theirs = part.file.stages.iter().find(|s| s.name == own.name);
            own.servers = own.servers.or(theirs.and_then(|s| s.servers));
        }
    }
    let told = |s: &&StagePart| !COUNTED.contains(&s.source.as_str());
    let teller = parts.iter().find(|p| p.file.stages.iter().any(|s| told(&s)));
    if let Some(teller) = teller.or(parts.iter().find(|p| !p.file.scrapes.is_empty())) {
        file.stages.extend(teller.file.stages.iter().filter(told).cloned());
        file.scrapes.clone_from(&teller.file.scrapes);
        file.verdict.notes.push(format!(
            "the server's own metrics are those that stripe {} saw; they count the requests of all",
            teller.file.plan.stripes.first().copied().unwrap_or_default()
        ));
    }
    file.pipeline = pipeline(file);
}

/// The file of a record: everything that follows from it is computed here and only here.
fn compose(target: TargetPart, plan: PlanPart, run: RunPart, record: &Record, aims: &Aims) -> File {
    let health: Vec<Health> = run.senders.iter().map(SenderPart::health).collect();
    let j = judge::judge(&Case {
        health: &health,
        stolen: run.stolen_share,
        quota_stops: run.quota_stops,
        ..aims.case(record, run.seconds, (plan.open, plan.level))
    });
    let step = record.step as f64 * 1e-9;
    let metric = |metric: Metric, list: &[Percentile]| {
        let counts = metric.of(&j.sum);
        MetricPart {
            mean_seconds: counts.mean() * 1e-9,
            max_seconds: counts.max as f64 * 1e-9,
            percentiles: list.iter().map(PercentilePart::new).collect(),
        }
    };
    let mut file = File {
        schema: SCHEMA.into(),
        tool: concat!("rooflens ", env!("CARGO_PKG_VERSION")).into(),
        verdict: VerdictPart {
            verdict: j.verdict.to_string(),
            findings: j
                .findings
                .iter()
                .map(|f| FindingPart {
                    verdict: f.verdict.to_string(),
                    evidence: f.evidence.clone(),
                })
                .collect(),
            notes: j.notes.clone(),
        },
        slo: aims.slo.map(|(quantile, seconds)| SloPart {
            quantile,
            seconds,
            outcome: met(&j, quantile, seconds).into(),
        }),
        window: WindowPart {
            from_seconds: j.window.start as f64 * step,
            seconds: j.seconds,
            due: j.sum.due,
            good: j.sum.good,
            lost: j.sum.lost,
            offered_per_second: j.offered,
            completed_per_second: j.completed,
            goodput_per_second: j.goodput,
            inferences_per_second: j.goodput * target.batch as f64,
            in_flight_mean: j.in_flight,
            in_flight_growth_per_second: j.growth,
            little_gap: j.little,
        },
        response: metric(Metric::Response, &j.response),
        service: metric(Metric::Service, &j.service),
        lag: metric(Metric::Lag, &j.lag),
        lateness: metric(Metric::Lateness, &j.lateness),
        errors: record.faults.iter().map(|(fault, row)| ErrorPart::new(fault, row)).collect(),
        stages: j
            .sum
            .stages
            .iter()
            .map(|(name, stage)| StagePart::new(name, *stage, &j, target.in_process))
            .collect(),
        meters: Vec::new(),
        scrapes: Vec::new(),
        pipeline: PipelinePart::default(),
        model: None,
        start_up: None,
        intervals: IntervalsPart {
            step_nanoseconds: record.step,
            columns: COLUMNS.iter().map(ToString::to_string).collect(),
            rows: record.intervals.iter().map(columns).collect(),
            stages: StageRows::all(record),
        },
        target,
        plan,
        run,
    };
    file.pipeline = pipeline(&file);
    file
}

/// Whether the demand is met: by the interval's far end, failed by its near end.
pub fn met(j: &Judgement, quantile: f64, seconds: f64) -> &'static str {
    let Some(p) = j.response.iter().find(|p| same(p.q, quantile)) else { return "undecided" };
    let Some((low, high)) = p.interval.filter(|_| p.beyond >= TAIL) else { return "undecided" };
    let found = |verdict| j.findings.iter().any(|f| f.verdict == verdict);
    // A client that delays requests can make a demand fail, but not make it hold.
    let fail = if found(judge::Verdict::ClientLimited) { "undecided" } else { "fail" };
    if found(judge::Verdict::Overloaded) {
        return fail;
    }
    match (low as f64 * 1e-9 > seconds || p.value.is_none(), high) {
        (true, _) => fail,
        (false, Some(high)) if high as f64 * 1e-9 <= seconds => "pass",
        _ => "undecided",
    }
}

fn columns(i: &Interval) -> Vec<u64> {
    let mut row = vec![i.due, i.good, i.lost, i.lost_to_load, i.completed, i.area, i.stay];
    for counts in [&i.response, &i.service, &i.lag, &i.lateness] {
        row.extend([counts.sum, counts.max]);
    }
    row
}

impl File {
    /// A record with everything but durations.
    fn skeleton(&self) -> Option<Record> {
        let mut record = Record::with_step(self.intervals.step_nanoseconds);
        if self.intervals.columns != COLUMNS {
            return None;
        }
        for row in &self.intervals.rows {
            let row: &[u64; COLUMNS.len()] = row.as_slice().try_into().ok()?;
            let [due, good, lost, lost_to_load, completed, area, stay, ..] = *row;
            record.intervals.push(Interval {
                due,
                good,
                lost,
                lost_to_load,
                completed,
                area,
                stay,
                ..Interval::default()
            });
        }
        record.fingerprint =
            Fingerprint(u64::from_str_radix(&self.run.schedule_fingerprint, 16).ok()?);
        (record.connections, record.bytes_sent) = (self.run.connections, self.run.bytes_sent);
        (record.bytes_received, record.checked) =
            (self.run.bytes_received, self.run.answers_checked);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let check_time = (self.run.check_seconds * 1e9).round() as u64;
        record.check_time = check_time;
        for error in &self.errors {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let first = (error.first_seconds * 1e9).round() as u64;
            let row = FaultRow { count: error.count, first, message: error.message.clone() };
            record.faults.insert(error.kind.parse::<Fault>().ok()?, row);
        }
        for stage in &self.intervals.stages {
            for [index, count, nanoseconds] in &stage.rows {
                let interval = record.intervals.get_mut(usize::try_from(*index).ok()?)?;
                let sum = Stage { count: *count, nanoseconds: *nanoseconds };
                interval.stages.insert(stage.name.as_str().into(), sum);
            }
        }
        let counted = self.stages.iter().filter(|s| COUNTED.contains(&s.source.as_str()));
        let known = |name: &str| self.intervals.stages.iter().any(|s| s.name == name);
        counted.clone().all(|s| known(&s.name)).then_some(record)
    }

    /// Exact sums and maxima, which histograms do not hold.
    fn restore(&self, record: &mut Record) {
        for (interval, row) in record.intervals.iter_mut().zip(&self.intervals.rows) {
            let all: [&mut Counts; 4] = [
                &mut interval.response,
                &mut interval.service,
                &mut interval.lag,
                &mut interval.lateness,
            ];
            for (counts, pair) in all.into_iter().zip(row[7..].chunks_exact(2)) {
                (counts.sum, counts.max) = (pair[0], pair[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests;

/// Evidence of stripes whose device lowered its clocks, with the stripes' numbers; `None` where none did.
fn throttled(parts: &[Measured]) -> Option<String> {
    let name = Verdict::Throttled.to_string();
    let of_stripe = |part: &Measured| {
        let stripes: Vec<String> = part.file.plan.stripes.iter().map(u64::to_string).collect();
        let findings = part.file.verdict.findings.iter().filter(|f| f.verdict == name);
        let line = |f: &FindingPart| format!("stripe {}: {}", stripes.join(", "), f.evidence);
        findings.map(line).collect::<Vec<_>>()
    };
    let evidence: Vec<String> = parts.iter().flat_map(of_stripe).collect();
    (!evidence.is_empty()).then(|| evidence.join("; "))
}
