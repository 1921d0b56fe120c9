//! The file's parts as they are written; `schemas/measurement.schema.json` describes them.

use super::StartUpPart;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct File {
    pub schema: String,
    pub tool: String,
    pub verdict: VerdictPart,
    pub slo: Option<SloPart>,
    pub target: TargetPart,
    pub plan: PlanPart,
    pub run: RunPart,
    pub window: WindowPart,
    pub response: MetricPart,
    pub service: MetricPart,
    pub lag: MetricPart,
    pub lateness: MetricPart,
    pub errors: Vec<ErrorPart>,
    pub stages: Vec<StagePart>,
    pub meters: Vec<MeterPart>,
    #[serde(default)]
    pub scrapes: Vec<ScrapePart>,
    #[serde(default)]
    pub pipeline: PipelinePart,
    pub model: Option<ModelPart>,
    #[serde(default)]
    pub start_up: Option<StartUpPart>,
    pub intervals: IntervalsPart,
}

/// The verdict and why.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct VerdictPart {
    pub verdict: String,
    pub findings: Vec<FindingPart>,
    pub notes: Vec<String>,
}

/// One reason.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct FindingPart {
    pub verdict: String,
    pub evidence: String,
}

/// What was demanded, and whether it was met: `pass`, `fail` or `undecided`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SloPart {
    pub quantile: f64,
    pub seconds: f64,
    pub outcome: String,
}

/// What was probed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct TargetPart {
    pub url: String,
    pub platform: String,
    pub encoding: String,
    pub in_process: bool,
    pub batch: i64,
    pub request_bytes: u64,
    pub first_answer_seconds: Option<f64>,
    pub inputs: Vec<SlotPart>,
    pub outputs: Vec<SlotPart>,
}

/// An input or output.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SlotPart {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<i64>,
}

/// What was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PlanPart {
    pub load: String,
    pub open: bool,
    pub level: bool,
    pub generator: String,
    pub seed: u64,
    pub seconds: f64,
    pub stripes: Vec<u64>,
    pub stripes_of: u64,
    pub timeout_seconds: f64,
    pub max_in_flight: usize,
    pub warm_up_seconds: Option<f64>,
    pub headline_quantile: f64,
}

/// How it went.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct RunPart {
    pub started_unix_seconds: f64,
    pub start_spread_seconds: f64,
    pub seconds: f64,
    pub stopped: bool,
    pub schedule_fingerprint: String,
    pub senders: Vec<SenderPart>,
    pub stolen_share: f64,
    pub quota_stops: u64,
    pub connections: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub answers_checked: u64,
    pub check_seconds: f64,
}

/// A sender thread.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SenderPart {
    pub wall_seconds: f64,
    pub cpu_seconds: f64,
    pub waited_seconds: f64,
}

/// The part of the run that counts.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct WindowPart {
    pub from_seconds: f64,
    pub seconds: f64,
    pub due: u64,
    pub good: u64,
    pub lost: u64,
    pub offered_per_second: f64,
    pub completed_per_second: f64,
    pub goodput_per_second: f64,
    pub inferences_per_second: f64,
    pub in_flight_mean: f64,
    pub in_flight_growth_per_second: f64,
    pub little_gap: f64,
}

/// A distribution of durations.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct MetricPart {
    pub mean_seconds: f64,
    pub max_seconds: f64,
    pub percentiles: Vec<PercentilePart>,
}

/// A percentile; `seconds` and `high_seconds` are null where it falls on unanswered requests.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PercentilePart {
    pub quantile: f64,
    pub seconds: Option<f64>,
    pub low_seconds: Option<f64>,
    pub high_seconds: Option<f64>,
    pub supported: bool,
    pub effective_samples: f64,
}

/// A kind of fault.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct ErrorPart {
    pub kind: String,
    pub count: u64,
    pub first_seconds: f64,
    pub message: String,
}

/// A stage that the server reported: the mean of what a request spends in it, the time that all of
/// its servers together were at it a second, and how many servers it has where that is known.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct StagePart {
    pub name: String,
    pub source: String,
    pub count: u64,
    pub mean_seconds: f64,
    pub busy_share: f64,
    #[serde(default)]
    pub servers: Option<u64>,
}

/// A reading beside the load; `value` is null where it could not be taken, and `unmeasured` says
/// why and what to do.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct MeterPart {
    pub name: String,
    pub unit: String,
    pub value: Option<f64>,
    /// The most that it can be.
    #[serde(default)]
    pub of: Option<f64>,
    pub unmeasured: Option<String>,
    pub note: Option<String>,
}

/// A page of the server's own metrics: what changed from one scrape to another.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct ScrapePart {
    pub url: String,
    pub from_seconds: f64,
    pub seconds: f64,
    pub series: Vec<SeriesPart>,
    pub left_out: u64,
    pub skipped: u64,
}

/// A series: the increase of a counter, the value of a gauge, or the number of observations of a
/// histogram with their mean and quantiles; null where a quantile lies beyond the last bound.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SeriesPart {
    pub name: String,
    pub labels: std::collections::BTreeMap<String, String>,
    pub kind: String,
    pub value: f64,
    pub mean: Option<f64>,
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

/// Where a request's time goes, and which stage holds the rate back.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PipelinePart {
    pub parts: Vec<PipePart>,
    pub bottleneck: Option<BottleneckPart>,
    pub longest: Option<String>,
    pub notes: Vec<String>,
}

/// A part of a request's way; `seconds` is null where it is not told, and `untold` says why.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PipePart {
    pub role: String,
    pub stage: Option<String>,
    pub source: String,
    pub seconds: Option<f64>,
    pub share_of_response: Option<f64>,
    pub utilisation: Option<f64>,
    pub servers: Option<u64>,
    pub servers_known: bool,
    pub untold: Option<String>,
}

/// What holds the rate back: factors that the rate can gain at most when there is twice as much of
/// the stage, with servers of its own or, halving its time, with those that all stages share.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct BottleneckPart {
    pub role: String,
    pub stage: Option<String>,
    pub evidence: Vec<String>,
    pub gain_if_doubled: Option<f64>,
    pub gain_if_shared: Option<f64>,
    pub then: Option<String>,
}

/// What the model costs, where its file was given.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct ModelPart {
    pub file: String,
    /// Operations, floating or integer.
    pub flops_per_request: f64,
    pub compulsory_bytes_per_request: f64,
    pub intensity_flop_per_byte: f64,
    pub achieved_flops: f64,
}

/// The run in time.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct IntervalsPart {
    pub step_nanoseconds: u64,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<u64>>,
    /// Of the server's stages that come with each answer.
    #[serde(default)]
    pub stages: Vec<StageRows>,
}

/// A stage in time: an interval's number, the answers that told it, and nanoseconds in all.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct StageRows {
    pub name: String,
    pub rows: Vec<[u64; 3]>,
}
