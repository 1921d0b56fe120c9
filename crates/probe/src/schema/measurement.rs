//! `measurement.json`: one run of load against one target.

use super::{HostPart, MeterPart, PipelinePart, ScrapePart, StagePart, StartUpPart};
use serde::{Deserialize, Serialize};

/// Name and version of the form of [`MeasurementFile`].
pub const MEASUREMENT: &str = "rooflens.measurement/1";

/// What `rooflens probe` and `rooflens merge` write as `measurement.json`. Times are in seconds unless a name says
/// otherwise; a number that is not known is null.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MeasurementFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = MEASUREMENT)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// Whether the numbers can be trusted, and why not.
    pub verdict: VerdictPart,
    /// The latency objective and whether it was met; of several, the one with the worst outcome; null where `--slo` was
    /// omitted.
    pub slo: Option<SloPart>,
    /// All objectives, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objectives: Vec<SloPart>,
    /// What was probed.
    pub target: TargetPart,
    /// The load that was asked for.
    pub plan: PlanPart,
    /// How the run went, from its start to its end.
    pub run: RunPart,
    /// The part of the run that counts. Requests belong to it by the instant at which they were scheduled.
    pub window: WindowPart,
    /// Time from scheduled to answered: what a user sees who does not wait for others.
    pub response: MetricPart,
    /// Time from sent to answered: the server and the network.
    pub service: MetricPart,
    /// Time from scheduled to sent: the client's own share, connecting included.
    pub lag: MetricPart,
    /// Time from scheduled to picked up by a sender.
    pub lateness: MetricPart,
    /// Tokens of a language model, and when they arrived; null where answers are not streamed and count none.
    #[serde(default)]
    pub tokens: Option<TokensPart>,
    /// The kinds of failures of the whole run, each with its count.
    pub errors: Vec<ErrorPart>,
    /// Stages of a request that the server reported.
    pub stages: Vec<StagePart>,
    /// Readings beside the load: processors, memory, power, energy.
    pub meters: Vec<MeterPart>,
    /// Changes in the server's own metrics during the run.
    #[serde(default)]
    pub scrapes: Vec<ScrapePart>,
    /// Where a request's time goes.
    #[serde(default)]
    pub pipeline: PipelinePart,
    /// What the model costs; null where `--model` was omitted or its cost is not known.
    pub model: Option<ModelPart>,
    /// How the server started; null where it was not started by `--spawn`.
    #[serde(default)]
    pub start_up: Option<StartUpPart>,
    /// The run in time, from which `rooflens merge` computes everything else again.
    pub intervals: IntervalsPart,
}

rooflens_ground::words! {
    /// Whether the numbers of a run can be trusted. The order is that of precedence: the first that applies is the
    /// run's verdict.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Verdict {
        /// More than 1 % of the requests failed, or so many that the headline percentile falls on them, for reasons that
        /// neither the load nor a late client explains.
        Failing = "FAILING",
        /// The client could not keep to its schedule, or delayed what it measured.
        ClientLimited = "CLIENT-LIMITED",
        /// More requests came in than went out: percentiles depend on how long one waits.
        Overloaded = "OVERLOADED",
        /// A device lowered its clocks for heat or supply.
        Throttled = "THROTTLED",
        /// The response or service times drift over the run.
        NotStationary = "NOT-STATIONARY",
        /// Too few independent requests for the headline percentile.
        TooFewSamples = "TOO-FEW-SAMPLES",
        /// The numbers mean what they say.
        Valid = "VALID",
    }
}

/// The verdict on a run and the reasons for it.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictPart {
    /// The worst of the findings; VALID where there is none.
    pub verdict: Verdict,
    /// What speaks against the run, worst first.
    pub findings: Vec<FindingPart>,
    /// Facts worth knowing that are no reason against the run.
    pub notes: Vec<String>,
}

impl VerdictPart {
    /// Adds a reason against the run, from which its verdict may follow.
    pub fn add(&mut self, verdict: Verdict, evidence: String) {
        self.findings.push(FindingPart { verdict, evidence });
        self.findings.sort_by_key(|finding| finding.verdict);
        self.verdict = self.findings.first().map_or(Verdict::Valid, |finding| finding.verdict);
    }
}

/// One reason against a run.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FindingPart {
    /// The verdict that follows from it.
    pub verdict: Verdict,
    /// What was observed, with its numbers, as a sentence.
    pub evidence: String,
}

rooflens_ground::words! {
    /// Whether a latency objective was met.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum SloOutcome {
        /// The upper end of the percentile's interval meets it.
        Pass = "pass",
        /// The lower end of the percentile's interval misses it.
        Fail = "fail",
        /// The interval contains the objective, or the run does not support the percentile.
        Undecided = "undecided",
    }
}

rooflens_ground::words! {
    /// What a latency objective is about.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    #[derive(Default)]
    pub enum SloMetric {
        /// From scheduled to answered.
        #[default]
        Response = "response",
        /// From scheduled to the first token of a streamed answer.
        Ttft = "ttft",
        /// Between two pieces of a streamed answer.
        Itl = "itl",
        /// From the first piece of a streamed answer to its last, for each token after the first.
        Tpot = "tpot",
    }
}

/// A latency objective, as given by `--slo`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SloPart {
    /// What is to be fast enough: the response time where omitted.
    #[serde(default)]
    pub metric: SloMetric,
    /// The quantile of that time, between 0 and 1.
    pub quantile: f64,
    /// The longest time allowed at that quantile, in seconds.
    pub seconds: f64,
    /// Whether it was met.
    pub outcome: SloOutcome,
}

rooflens_ground::words! {
    /// How the payload of a request travels.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum BodyEncoding {
        /// Tensors as JSON numbers.
        Json = "JSON",
        /// Tensors as raw bytes, or in protocol buffers.
        Binary = "binary",
        /// A body that the user gave.
        Body = "body",
        /// A prompt to a language model, in JSON.
        Prompt = "prompt",
        /// Nothing is encoded: the request has no body, or stays in this process.
        None = "none",
    }
}

/// What was probed.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TargetPart {
    /// The target as typed; several, separated by commas, after a merge of different ones.
    pub url: String,
    /// Name and version of the serving platform as it reports itself; empty where it does not.
    pub platform: String,
    /// How requests travel.
    pub encoding: BodyEncoding,
    /// Whether the runtime ran in the client's own process.
    pub in_process: bool,
    /// Inferences in a request, at least 1.
    pub batch: i64,
    /// Bytes of one request, headers and body.
    pub request_bytes: u64,
    /// Time of the first request, before the load; null where it failed or was not sent.
    pub first_answer_seconds: Option<f64>,
    /// Addresses of the target's host, to which requests go in turn; empty in this process.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Inputs of the model, with the sizes that were sent; empty for plain HTTP and runtimes in this process.
    pub inputs: Vec<SlotPart>,
    /// Outputs of the model, as the server declares them.
    pub outputs: Vec<SlotPart>,
    /// The different inputs that requests are made of; null in this process, and of requests without a body.
    #[serde(default)]
    pub different_inputs: Option<InputsPart>,
}

/// An input or output of the model.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SlotPart {
    /// The tensor's name.
    pub name: String,
    /// The element type, as the protocol names it: FP32, INT64, BYTES.
    pub dtype: String,
    /// The sizes of the axes; -1 where a size is dynamic.
    pub shape: Vec<i64>,
}

/// The load that was asked for.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlanPart {
    /// The load, as `--load` takes it.
    pub load: String,
    /// Whether requests were scheduled at instants of their own (open loop), not after answers (closed loop).
    pub open: bool,
    /// Whether the rate was meant to stay the same over the run.
    pub level: bool,
    /// Name and version of the schedule's random generator.
    pub generator: String,
    /// Seed of the schedule and of generated inputs.
    pub seed: u64,
    /// Length of the schedule in seconds.
    pub seconds: f64,
    /// Number of requests with which a closed loop ends; null where its time ends it.
    #[serde(default)]
    pub requests: Option<u64>,
    /// Numbers of the stripes of the schedule that this file holds, from 0.
    pub stripes: Vec<u64>,
    /// Number of stripes of the whole schedule, at least 1.
    pub stripes_of: u64,
    /// Timeout from the scheduled time, in seconds.
    pub timeout_seconds: f64,
    /// Limit on requests in flight; those beyond it are dropped and counted.
    pub max_in_flight: usize,
    /// Seconds cut at the start, as `--warm-up` gives them; null where the end of the warm-up is detected.
    pub warm_up_seconds: Option<f64>,
    /// The quantile that the run must support, between 0 and 1.
    pub headline_quantile: f64,
}

/// What stripes agreed on before they began.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MeetingPart {
    /// A name of the run that no other run has; the same in all its stripes.
    pub name: String,
    /// Unix time at which the schedule was to begin, by this machine's clock.
    pub start_unix_seconds: f64,
}

/// How the run went, from its start to its end.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunPart {
    /// Unix time at which the schedule began.
    pub started_unix_seconds: f64,
    /// Time between the first and the last start of the merged stripes; 0 for one machine. By the clocks of their machines,
    /// or where they met, by what each is later than agreed.
    pub start_spread_seconds: f64,
    /// What the stripes of this run agreed on; null where they did not meet.
    #[serde(default)]
    pub meeting: Option<MeetingPart>,
    /// Length of the schedule that was carried out; less than planned where the run ended early.
    pub seconds: f64,
    /// Whether the run was interrupted.
    pub stopped: bool,
    /// Fingerprint of all scheduled requests, the same for one machine and for merged stripes: 16 hexadecimal digits.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{16}$")))]
    pub schedule_fingerprint: String,
    /// The machines that the client ran on, each once; the server's too where it runs beside the client. Empty in
    /// files of versions that did not say.
    #[serde(default)]
    pub machines: Vec<HostPart>,
    /// The client's sender threads.
    pub senders: Vec<SenderPart>,
    /// Share of processor time that the hypervisor gave to others, from 0 to 1, the largest of merged stripes; null
    /// where the system does not show it.
    pub stolen_share: Option<f64>,
    /// How often the client's control groups were stopped for their CPU quota, of all merged stripes that know it; null
    /// where the system does not show it.
    pub quota_stops: Option<u64>,
    /// Time for which they were stopped, added up over processors; null as for `quota_stops`.
    #[serde(default)]
    pub quota_stopped_seconds: Option<f64>,
    /// Cores that other processes than the client used meanwhile, the server's among them where it runs on this
    /// machine; null where the system does not show it.
    #[serde(default)]
    pub other_cores: Option<f64>,
    /// Connections opened.
    pub connections: u64,
    /// Time until their TCP connections stood, in all.
    #[serde(default)]
    pub connect_seconds: f64,
    /// Time of the TLS handshakes on them, in all.
    #[serde(default)]
    pub handshake_seconds: f64,
    /// Requests sent again that the server did not take: it had closed or drained their connection, or had no stream
    /// free. No request is sent again that the server may have processed.
    #[serde(default)]
    pub resent: u64,
    /// Bytes handed to the system, in all.
    pub bytes_sent: u64,
    /// Bytes of answers received, in all.
    pub bytes_received: u64,
    /// Answers decoded in full and compared with the model's signature.
    pub answers_checked: u64,
    /// Answers of the same bytes as one that was, and as good as that.
    #[serde(default)]
    pub answers_same: u64,
    /// Large answers that were not compared, as answers to the same request differ and comparing takes time.
    #[serde(default)]
    pub answers_unchecked: u64,
    /// Time spent on decoding these answers, in all.
    pub check_seconds: f64,
    /// Responses received: more than one to a request where a model answers with several.
    #[serde(default)]
    pub responses: u64,
    /// Inputs of all requests that were scheduled, and how many of them are different; null where inputs are not known.
    #[serde(default)]
    pub inputs: Option<InputsSent>,
    /// Requests of a data set that were read and encoded only when they were due, as reading ahead did not keep up.
    #[serde(default)]
    pub read_late: u64,
}

/// How many inputs were sent, and how many of them differ: a server with a cache answers what it has seen before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputsSent {
    /// Inputs sent: records of a data set, or generated requests.
    pub sent: u64,
    /// Different ones among them.
    pub distinct: u64,
}

rooflens_ground::words! {
    /// The order in which inputs are used.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum InputOrder {
        /// As they stand, again from the first after the last.
        Sequential = "sequential",
        /// At random; one may come again before others have come.
        Random = "random",
    }
}

/// The different inputs that requests are made of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputsPart {
    /// Whether they are records of a data set; generated by rooflens, or given by flags, where not.
    pub from_data: bool,
    /// Different inputs that there are.
    pub count: u64,
    /// Inputs of a request.
    pub per_request: u64,
    /// The order in which they are used.
    pub order: InputOrder,
    /// Seed of a random order, 0 of any other.
    pub seed: u64,
}

/// A sender thread.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SenderPart {
    /// Time from the start of the schedule to its end.
    pub wall_seconds: f64,
    /// Time on a processor.
    pub cpu_seconds: f64,
    /// Time in which the thread was ready but waited for a processor.
    pub waited_seconds: f64,
}

/// The part of the run that counts: from the end of the warm-up to the end of the schedule.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WindowPart {
    /// Where the window begins, in seconds from the start of the run.
    pub from_seconds: f64,
    /// Length of the window.
    pub seconds: f64,
    /// Requests scheduled in the window.
    pub due: u64,
    /// Those of them that were successful.
    pub good: u64,
    /// Those of them that failed; they count as infinitely slow.
    pub lost: u64,
    /// Requests scheduled per second; in a closed loop, each counts by its share of time in the window.
    pub offered_per_second: f64,
    /// Successful answers per second, by the time at which they ended.
    pub completed_per_second: f64,
    /// Successful answers per second, by the time for which they were scheduled; in a closed loop, each counts by its
    /// share of time in the window, as the last ones end beyond it.
    pub goodput_per_second: f64,
    /// Successful inferences per second: `goodput_per_second` times the batch.
    pub inferences_per_second: f64,
    /// Mean number of requests in flight, from a counter.
    pub in_flight_mean: f64,
    /// Growth of the number in flight per second; negative where a queue drained.
    pub in_flight_growth_per_second: f64,
    /// How much the client's lateness adds to the headline percentile of the response time of successful requests.
    #[serde(default)]
    pub lateness_effect_seconds: f64,
    /// Relative gap of Little's law, |L − λW| / L: how far the client's counters disagree.
    pub little_gap: f64,
}

/// Tokens of a language model over the successful requests of the window. A piece is what arrives as one event: it may
/// hold several tokens, or part of one.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TokensPart {
    /// Time from scheduled to the first piece of the answer.
    pub ttft: MetricPart,
    /// Time between a piece and the next; each failed request counts as one that took infinitely long.
    pub itl: MetricPart,
    /// Time from the first piece to the last, divided by the tokens after the first.
    pub tpot: MetricPart,
    /// Answers whose tokens the server reported; the numbers of tokens are of these.
    pub reported: u64,
    /// Tokens of the requests, in all; null where the server does not report them.
    pub input: Option<u64>,
    /// Those of them that the server took from a cache; null as for `input`, and 0 where it reports none.
    pub cached: Option<u64>,
    /// Tokens of the answers, in all; null where the server does not report them.
    pub output: Option<u64>,
    /// Pieces that the answers came in, in all.
    pub pieces: u64,
    /// Tokens of requests per second, as successful requests count; null as for `input`.
    pub input_per_second: Option<f64>,
    /// Tokens of answers per second, likewise; null as for `output`.
    pub output_per_second: Option<f64>,
    /// Successful requests per second that were within the time of every objective, whatever its percentile; null where
    /// `--slo` was omitted.
    pub goodput_per_second: Option<f64>,
}

/// A distribution of durations over the requests of the window.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MetricPart {
    /// The mean over successful requests.
    pub mean_seconds: f64,
    /// The largest over successful requests.
    pub max_seconds: f64,
    /// Percentiles over all requests, from the lowest to the highest quantile.
    pub percentiles: Vec<PercentilePart>,
}

/// A percentile with its interval of approximately 95 %.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PercentilePart {
    /// The quantile, between 0 and 1.
    pub quantile: f64,
    /// The percentile; null where it falls on failed requests.
    pub seconds: Option<f64>,
    /// Lower end of the interval; null where there is none.
    pub low_seconds: Option<f64>,
    /// Upper end of the interval; null where there is none or it falls on failed requests.
    pub high_seconds: Option<f64>,
    /// Whether at least ten requests lie beyond it.
    pub supported: bool,
    /// The number of independent requests that the window's requests are worth for this percentile.
    pub effective_samples: f64,
}

/// The name of a quantile between 0 and 1: `p99` of 0.99, `p99.9` of 0.999.
pub fn percentile(quantile: f64) -> String {
    let percent = (quantile * 1e6).round() / 1e4;
    format!("p{percent}")
}

impl PercentilePart {
    /// The one at `quantile` of a list.
    pub fn find(list: &[Self], quantile: f64) -> Option<&Self> {
        list.iter().find(|p| (p.quantile - quantile).abs() < 1e-9)
    }
}

/// A kind of failure.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorPart {
    /// The kind: `timeout`, `refused`, `http-503`, …
    #[cfg_attr(test, schemars(regex(pattern = r"^[a-z]+(-[a-z0-9]+)*$")))]
    pub kind: String,
    /// Requests that failed so in the whole run, at least 1.
    pub count: u64,
    /// When the first of them was scheduled, in seconds from the start of the run.
    pub first_seconds: f64,
    /// What the first of them said.
    pub message: String,
}

/// What the model costs, from the file that `--model` names.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelPart {
    /// The model's file as typed.
    pub file: String,
    /// Operations of a request, floating-point or integer.
    pub flops_per_request: f64,
    /// Compulsory traffic of a request in bytes: inputs, weights and outputs, each moved once.
    pub compulsory_bytes_per_request: f64,
    /// Compulsory intensity: operations per byte of compulsory traffic.
    pub intensity_flop_per_byte: f64,
    /// Operations per second that the server achieved: successful requests per second times their operations.
    pub achieved_flops: f64,
    /// The two phases of a language model, each as a point of its own; empty for other models.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhasePart>,
}

rooflens_ground::words! {
    /// A phase of a language model.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum PhaseName {
        /// The tokens of a prompt, together.
        Prefill = "prefill",
        /// A token of each sequence.
        Decode = "decode",
    }
}

impl PhaseName {
    /// Whether it is the stage of this name, as the rows of platforms call it.
    pub fn is_stage(self, name: &str) -> bool {
        let own = match self {
            Self::Prefill => "prefill",
            Self::Decode => "generation",
        };
        own.eq_ignore_ascii_case(name)
    }
}

/// A phase of a language model as it was measured: work and traffic of the tokens that were processed, which are those
/// that no cache held.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PhasePart {
    /// Which phase.
    pub name: PhaseName,
    /// Sequences of a step, in the mean over the window; 1 for a prefill.
    pub sequences: u64,
    /// New tokens of each, in the mean.
    pub new_tokens: u64,
    /// Tokens that were kept of each, in the mean.
    pub kept_tokens: u64,
    /// Operations of a step, by the model's file.
    pub flops: f64,
    /// Bytes that a step must move at least.
    pub bytes: f64,
    /// Operations per byte.
    pub intensity_flop_per_byte: f64,
    /// Mean time of a step.
    pub seconds: f64,
    /// Whether the server timed it; else it is the client's time to the first token, or per token.
    pub timed_by_server: bool,
    /// Operations per second that were achieved.
    pub achieved_flops: f64,
    /// Bytes per second that were moved at least.
    pub achieved_bytes_per_second: f64,
    /// The least time on a device; null where none was named.
    pub least: Option<LeastPart>,
}

/// The least time of a step on a device.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeastPart {
    /// The device.
    pub device: String,
    /// The time, at its ceilings.
    pub seconds: f64,
    /// The ceiling that binds it: compute or memory.
    pub bound: String,
    /// How many times as long the step took: the gap to the roof.
    pub gap: f64,
}

/// The run in time.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct IntervalsPart {
    /// Length of an interval in nanoseconds.
    pub step_nanoseconds: u64,
    /// Names of the columns of `rows`.
    pub columns: Vec<String>,
    /// A row for each interval from the start of the run, a number for each column.
    pub rows: Vec<Vec<u64>>,
    /// Stages that the server reports with each answer, in time.
    #[serde(default)]
    pub stages: Vec<StageRows>,
}

/// A stage in time.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StageRows {
    /// The stage as the server names it.
    pub name: String,
    /// For each interval with the stage: the interval's number from 0, the answers that reported it, and its
    /// nanoseconds in all.
    pub rows: Vec<[u64; 3]>,
}
