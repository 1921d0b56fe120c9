//! Parts of the file from what was recorded and judged.

use super::{Aims, kind};
use crate::arrival::{GENERATOR, Stripe};
use crate::data::Order;
use crate::drive::{Outcome, Plan};
use crate::judge::{Finding, Health, Judgement, TAIL};
use crate::metric::Metric;
use crate::record::{Fault, FaultRow, Record, Stage};
use crate::schema::{
    BodyEncoding, ErrorPart, FindingPart, InputOrder, InputsPart, InputsSent, MeasurementFile,
    MeetingPart, MeterRole, MetricPart, PercentilePart, PlanPart, RunPart, SenderPart, SlotPart,
    StagePart, StageRows, StageSource, TargetPart, TokensPart, VerdictPart, WindowPart,
};
use crate::stats::Percentile;
use crate::target::requests::Drawn;
use crate::target::{Prepared, tensor::Slot};
use rooflens_ground::os::machine::Machine;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

impl From<&Slot> for SlotPart {
    fn from(slot: &Slot) -> Self {
        Self { name: slot.name.clone(), dtype: slot.dtype.name().into(), shape: slot.shape.clone() }
    }
}

impl TargetPart {
    pub(super) fn new(target: &Prepared, first_answer: Option<Duration>) -> Self {
        let slots = |list: &[Slot]| list.iter().map(SlotPart::from).collect();
        Self {
            url: target.text.clone(),
            platform: target.platform.clone(),
            encoding: target.encoding,
            in_process: target.is_local(),
            batch: target.batch,
            request_bytes: target.requests.first().len(),
            first_answer_seconds: first_answer.map(|d| d.as_secs_f64()),
            addresses: target.addresses(),
            inputs: slots(&target.inputs),
            outputs: slots(&target.outputs),
            different_inputs: (target.encoding != BodyEncoding::None)
                .then(|| InputsPart::from(target.requests.inputs())),
        }
    }
}

impl From<Drawn> for InputsPart {
    fn from(drawn: Drawn) -> Self {
        let (order, seed) = match drawn.order {
            Order::Sequential => (InputOrder::Sequential, 0),
            Order::Random(seed) => (InputOrder::Random, seed),
        };
        let Drawn { data: from_data, count, each: per_request, .. } = drawn;
        Self { from_data, count, per_request, order, seed }
    }
}

/// Turns and inputs of which different ones are counted one by one; of more, their number is what is to be expected.
const MOST_TURNS: u64 = 1 << 26;
const MOST_INPUTS: u64 = 1 << 28;

impl InputsSent {
    /// Those of all requests of a record; `None` where inputs are not known.
    pub(super) fn of(target: &TargetPart, plan: &PlanPart, record: &Record) -> Option<Self> {
        let requests = record.intervals.iter().map(|interval| interval.due).sum();
        target.different_inputs.map(|inputs| Self::new(&inputs, plan, requests))
    }

    /// Those of so many requests, as the stripes of a plan number them: part of them where there is one, and all where
    /// they are merged.
    fn new(inputs: &InputsPart, plan: &PlanPart, requests: u64) -> Self {
        let order = match inputs.order {
            InputOrder::Sequential => Order::Sequential,
            InputOrder::Random => Order::Random(inputs.seed),
        };
        let each = inputs.per_request.max(1);
        let (first, step) = match plan.stripes[..] {
            [stripe] => (stripe, plan.stripes_of.max(1)),
            _ => (0, 1),
        };
        let turns = (0..requests).flat_map(|k| {
            let begin = first.saturating_add(k.saturating_mul(step)).saturating_mul(each);
            (0..each).map(move |at| begin.saturating_add(at))
        });
        let sent = requests.saturating_mul(each);
        let distinct = if sent <= MOST_TURNS && inputs.count <= MOST_INPUTS {
            order.distinct(turns, inputs.count)
        } else {
            order.expected(sent, inputs.count)
        };
        Self { sent, distinct }
    }
}

impl PlanPart {
    pub(super) fn new(plan: &Plan, aims: &Aims) -> Self {
        let (open, level) = kind(plan);
        let Stripe { index, of } = plan.stripe;
        Self {
            load: plan.load.to_string(),
            open,
            level,
            generator: GENERATOR.into(),
            seed: plan.seed,
            seconds: plan.duration.as_secs_f64(),
            requests: plan.requests,
            stripes: vec![index],
            stripes_of: of,
            timeout_seconds: plan.timeout.as_secs_f64(),
            max_in_flight: plan.max_in_flight,
            warm_up_seconds: aims.warm_up,
            headline_quantile: aims.headline,
        }
    }
}

impl MeetingPart {
    /// Of a plan whose stripes met.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let start = plan.start_at?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(Self { name: plan.met.clone()?, start_unix_seconds: start.as_secs_f64() })
    }
}

impl RunPart {
    pub(super) fn new(outcome: &Outcome) -> Self {
        let since = outcome.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut run = Self {
            started_unix_seconds: since.as_secs_f64(),
            start_spread_seconds: 0.0,
            meeting: None,
            seconds: outcome.seconds,
            stopped: outcome.stopped,
            schedule_fingerprint: String::new(),
            machines: vec![Machine::this().into()],
            senders: outcome.health.iter().map(SenderPart::from).collect(),
            stolen_share: outcome.stolen,
            quota_stops: outcome.quota_stops.map(|stops| stops.count),
            quota_stopped_seconds: outcome.quota_stops.map(|stops| stops.seconds),
            other_cores: outcome.others,
            connections: 0,
            connect_seconds: 0.0,
            handshake_seconds: 0.0,
            resent: 0,
            bytes_sent: 0,
            bytes_received: 0,
            answers_checked: 0,
            answers_same: 0,
            answers_unchecked: 0,
            check_seconds: 0.0,
            responses: 0,
            inputs: None,
            read_late: 0,
        };
        run.count(&outcome.record);
        run
    }

    /// Takes over what a record counted of the whole run.
    pub(super) fn count(&mut self, record: &Record) {
        self.schedule_fingerprint = record.fingerprint.to_string();
        let opened = record.connections;
        (self.connections, self.resent) = (opened.count, opened.resent);
        self.connect_seconds = opened.connect.as_secs_f64();
        self.handshake_seconds = opened.handshake.as_secs_f64();
        (self.bytes_sent, self.bytes_received) = (record.bytes_sent, record.bytes_received);
        (self.answers_checked, self.answers_same) = (record.checked, record.same);
        self.answers_unchecked = record.unchecked;
        self.check_seconds = record.check_time as f64 * 1e-9;
        (self.responses, self.read_late) = (record.responses, record.read_late);
    }
}

/// What other programs of this machine of so many processors did during the run, where that was much.
pub(super) fn neighbours(file: &MeasurementFile, processors: usize) -> Option<String> {
    let all = file.run.other_cores?;
    let server = file.meters.iter().find(|m| m.role == MeterRole::ServerCpu).and_then(|m| m.value);
    let known = server.is_some() || file.target.in_process;
    let others = all - server.unwrap_or(0.0);
    let (whose, least) = if known {
        ("other processes", 0.1)
    } else {
        ("other processes, and the server where it runs here,", 0.25)
    };
    (others > least * processors as f64)
        .then(|| format!("{whose} used {others:.1} of this machine's {processors} cores meanwhile"))
}

impl WindowPart {
    /// Of a record with intervals of `step` nanoseconds and requests of `batch` inferences.
    pub(super) fn new(j: &Judgement, step: u64, batch: i64) -> Self {
        Self {
            from_seconds: j.window.start as f64 * (step as f64 * 1e-9),
            seconds: j.seconds,
            due: j.sum.due,
            good: j.sum.good,
            lost: j.sum.lost,
            offered_per_second: j.offered,
            completed_per_second: j.completed,
            goodput_per_second: j.goodput,
            inferences_per_second: j.goodput * batch as f64,
            in_flight_mean: j.in_flight,
            in_flight_growth_per_second: j.growth,
            lateness_effect_seconds: j.late,
            little_gap: j.little,
        }
    }
}

impl From<&Finding> for FindingPart {
    fn from(finding: &Finding) -> Self {
        Self { verdict: finding.verdict, evidence: finding.evidence.clone() }
    }
}

impl From<&Judgement> for VerdictPart {
    fn from(j: &Judgement) -> Self {
        let findings = j.findings.iter().map(FindingPart::from).collect();
        Self { verdict: j.verdict, findings, notes: j.notes.clone() }
    }
}

impl MetricPart {
    pub(super) fn of(j: &Judgement, metric: Metric) -> Self {
        let (counts, percentiles) = (&j.sum.durations[metric], &j.quantiles[metric]);
        Self {
            mean_seconds: counts.mean() * 1e-9,
            max_seconds: counts.max as f64 * 1e-9,
            percentiles: percentiles.iter().map(PercentilePart::from).collect(),
        }
    }
}

impl TokensPart {
    /// Of a judgement; with the goodput where there is an objective.
    pub(super) fn new(j: &Judgement, objectives: bool) -> Self {
        let sum = &j.sum;
        // Requests of a closed loop count by their share of time in the window, as in all rates.
        let good = (sum.good as f64).max(1.0);
        let per_second = |n: u64| n as f64 / good * j.goodput;
        let known = |n: u64| (n > 0).then_some(n);
        let (input, output) = (known(sum.input_tokens), known(sum.output_tokens));
        Self {
            ttft: MetricPart::of(j, Metric::FirstToken),
            itl: MetricPart::of(j, Metric::InterToken),
            tpot: MetricPart::of(j, Metric::PerToken),
            reported: sum.reported,
            input,
            cached: input.map(|_| sum.cached_tokens),
            output,
            pieces: sum.pieces,
            input_per_second: input.map(per_second),
            output_per_second: output.map(per_second),
            goodput_per_second: objectives.then(|| per_second(sum.within)),
        }
    }
}

impl From<&Health> for SenderPart {
    fn from(h: &Health) -> Self {
        Self { wall_seconds: h.wall, cpu_seconds: h.cpu, waited_seconds: h.waited }
    }
}

impl SenderPart {
    pub(super) fn health(&self) -> Health {
        Health { wall: self.wall_seconds, cpu: self.cpu_seconds, waited: self.waited_seconds }
    }
}

impl From<&Percentile> for PercentilePart {
    fn from(p: &Percentile) -> Self {
        let seconds = |n: u64| n as f64 * 1e-9;
        Self {
            quantile: p.q,
            seconds: p.value.map(seconds),
            low_seconds: p.interval.map(|(low, _)| seconds(low)),
            high_seconds: p.interval.and_then(|(_, high)| high.map(seconds)),
            supported: p.beyond >= TAIL,
            effective_samples: p.effective,
        }
    }
}

impl ErrorPart {
    pub(super) fn new(fault: &Fault, row: &FaultRow) -> Self {
        Self {
            kind: fault.to_string(),
            count: row.count,
            first_seconds: row.first as f64 * 1e-9,
            message: row.message.clone(),
        }
    }
}

impl StagePart {
    /// The stage is busy for its share of the time that requests stay, as many of which as were in
    /// flight within the window: those that are still open at its end count with what is in it.
    pub(super) fn new(name: &str, stage: Stage, j: &Judgement, in_process: bool) -> Self {
        let share = stage.nanoseconds as f64 / (j.sum.stay as f64).max(1.0);
        Self {
            name: name.into(),
            source: if in_process { StageSource::InProcess } else { StageSource::ServerTiming },
            count: stage.count,
            mean_seconds: stage.nanoseconds as f64 * 1e-9 / (stage.count as f64).max(1.0),
            busy_share: share * j.in_flight,
            servers: None,
        }
    }
}

impl StageRows {
    /// All stages of a record, in time.
    pub(super) fn all(record: &Record) -> Vec<Self> {
        let mut all: BTreeMap<&str, Vec<[u64; 3]>> = BTreeMap::new();
        for (index, interval) in (0..).zip(&record.intervals) {
            for (name, stage) in &interval.stages {
                all.entry(name).or_default().push([index, stage.count, stage.nanoseconds]);
            }
        }
        all.into_iter().map(|(name, rows)| Self { name: name.into(), rows }).collect()
    }
}
