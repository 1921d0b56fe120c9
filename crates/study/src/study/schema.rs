//! The file's form, from which its JSON Schema is generated.

use super::formula::{Atom, Expr};
use rooflens_probe::schema::{MeterPart, ModelPart, PercentilePart, Role, SloPart, VerdictPart};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name and version of the form of [`StudyFile`].
pub const STUDY: &str = "rooflens.study/1";

/// What `rooflens study` writes, and what charts, pages and comparisons read: models, devices, runs, and cases of a
/// model on a device. Times are in seconds, rates in operations or bytes per second; a number that is not known is null.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StudyFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = STUDY)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// Models, each at one choice of sizes and types.
    pub subjects: Vec<SubjectPart>,
    /// Devices with their ceilings.
    pub devices: Vec<DevicePart>,
    /// Runs of servers and runtimes.
    pub runs: Vec<RunPart>,
    /// Every subject on every device that has its type.
    pub cases: Vec<CasePart>,
}

/// A model, and what it costs.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SubjectPart {
    /// What it is called beside others: its file without folder and ending.
    pub label: String,
    /// The model's file as typed.
    pub file: String,
    /// The file's format.
    pub format: String,
    /// Fingerprint of what was counted: 16 hexadecimal digits, the same for the same counts.
    #[cfg_attr(test, schemars(regex(pattern = r"^[0-9a-f]{16}$")))]
    pub fingerprint: String,
    /// Nodes of the graph.
    pub nodes: usize,
    /// Of these, nodes whose cost is known.
    pub known: usize,
    /// Nodes of unknown cost by operator, with their number; they are in no count.
    pub unknown: BTreeMap<String, usize>,
    /// Type that most of the arithmetic is done in, as devices name it.
    pub dtype: String,
    /// The types that the model was counted in where they are not its own; null otherwise.
    pub precision: Option<String>,
    /// Learned parameters.
    pub parameters: u64,
    /// The sizes that the file does not fix, and their values.
    pub symbols: Vec<SymbolPart>,
    /// Choices that were made because nothing was given, as sentences.
    pub assumptions: Vec<String>,
    /// What could not be settled or should be checked.
    pub diagnostics: Vec<RemarkPart>,
    /// Why the formulas are numbers of these sizes alone; null where they hold for the symbols in them.
    pub fixed: Option<String>,
    /// Why bytes of other types are not known; null where they are.
    pub one_type: Option<String>,
    /// What formulas are made of.
    pub atoms: Vec<Atom>,
    /// Formulas, each a sum of products; null where a count was too large to hold.
    pub exprs: Vec<Expr>,
    /// The kernels of a runtime that fuses, equal ones in one row.
    pub kernels: Columns,
    /// The nodes, each run alone, equal ones in one row.
    pub alone: Columns,
    /// What no run avoids.
    pub at_best: AtBestPart,
    /// What must be held.
    pub memory: MemoryPart,
}

rooflens_ground::words! {
    /// What a size stands for.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum SymbolRole {
        /// Inferences in a run.
        Batch = "batch",
        /// The length of a sequence.
        Sequence = "seq",
        /// What a decoder keeps from earlier steps.
        Past = "past",
        /// Another.
        Other = "other",
    }
}

/// A size that the file does not fix.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SymbolPart {
    /// Its name in the file.
    pub name: String,
    /// What it stands for.
    pub role: SymbolRole,
    /// The value that the numbers are for.
    pub at: u64,
    /// The least value worth looking at.
    pub least: u64,
    /// The largest value worth looking at.
    pub most: u64,
    /// Whether the value was assumed because none was given.
    pub assumed: bool,
    /// Whether the formulas hold at other values of it.
    pub open: bool,
}

/// A remark on a model.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RemarkPart {
    /// `incomplete`, `assumption`, `warning` …
    pub severity: String,
    /// The node or size that it is about.
    pub place: String,
    /// What is said.
    pub message: String,
    /// What helps; null where there is nothing to do.
    pub hint: Option<String>,
}

/// Kernels or nodes, column by column: a row is one kind, of which there are `count`. Numbers from `flops` on are
/// positions in `exprs`, and count one of its kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Columns {
    /// Why its nodes are one kernel: `alone`, `epilogue`, `chain` or `attention`.
    pub rule: Vec<String>,
    /// What kind of work it is, by the node that does most.
    pub class: Vec<String>,
    /// Its operators, in the order they run.
    pub operators: Vec<String>,
    /// The name of the first of its nodes in the file.
    pub name: Vec<String>,
    /// How many are alike.
    pub count: Vec<u64>,
    /// Floating-point operations.
    pub flops: Vec<usize>,
    /// Integer operations.
    pub int_ops: Vec<usize>,
    /// Bytes in the types that the model was counted in.
    pub bytes: Vec<usize>,
    /// Elements of floating-point weights among these; empty where `one_type` says why.
    pub weights: Vec<usize>,
    /// Elements of other floating-point tensors; empty like `weights`.
    pub activations: Vec<usize>,
    /// Bytes of everything else, whose type does not change; empty like `weights`.
    pub other: Vec<usize>,
}

/// What no run avoids: the bound is max(F/π, (Q − C)/β). Numbers are positions in `exprs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AtBestPart {
    /// Operations, floating-point and integer, without those of nodes whose cost is an upper bound.
    pub operations: usize,
    /// Multiply–accumulates, all of them.
    pub macs: usize,
    /// Of these, without taps on padding and masked scores.
    pub effective_macs: usize,
    /// Of the effective ones, those of which a fast convolution spares `⌈macs·(of − part)/of⌉`: `[part, of, macs]`.
    pub fast: Vec<(u64, u64, usize)>,
    /// The same where products are of integers in place of the model's floats.
    pub fast_integer: Vec<(u64, u64, usize)>,
    /// Compulsory bytes in the types that the model was counted in, without what data may spare.
    pub bytes: usize,
    /// Elements of floating-point weights among these; null where `one_type` says why.
    pub weights: Option<usize>,
    /// Elements of other floating-point tensors; null like `weights`.
    pub activations: Option<usize>,
    /// Bytes of everything else; null like `weights`.
    pub other: Option<usize>,
}

/// What must be held, in the types that the model was counted in. Numbers are positions in `exprs`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MemoryPart {
    /// Bytes of stored weights.
    pub weights: usize,
    /// Bytes of a decoder's cache, after the run; null where it is not known.
    pub cache: Option<usize>,
    /// Peak of live activation bytes; null where no formula holds.
    pub peak: Option<usize>,
}

/// A device.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DevicePart {
    /// By which commands know it.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// `gpu`, `cpu`, `npu` or `soc`; another word where its file has one.
    pub kind: String,
    /// Compute ceilings, one for each type that the device has, as frameworks reach it by default.
    pub peaks: Vec<PeakPart>,
    /// Bandwidth of main memory.
    pub bandwidth: f64,
    /// Memory levels whose bandwidth is known, main memory first.
    pub levels: Vec<LevelPart>,
    /// Bytes that its caches keep from one run to the next; 0 where not known.
    pub cached_bytes: u64,
    /// Bytes of main memory; null where not known.
    pub memory_bytes: Option<u64>,
    /// Least time from one small kernel to the next; null where not known.
    pub launch_seconds: Option<f64>,
    /// Design power in watts; null where not known.
    pub watts: Option<f64>,
    /// What an hour costs; null where not known.
    pub price: Option<PricePart>,
    /// Whether all ceilings were measured; from datasheets otherwise.
    pub measured: bool,
    /// How sure the numbers are.
    pub confidence: String,
    /// Where they come from.
    pub sources: Vec<String>,
}

/// A compute ceiling.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PeakPart {
    /// Data type.
    pub dtype: String,
    /// Operations per second at the highest clock.
    pub rate: f64,
    /// What a real matrix product reaches; null where nobody measured it.
    pub attainable: Option<f64>,
    /// The unit that computes; empty where not known.
    pub unit: String,
}

/// A memory level.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LevelPart {
    /// `DRAM`, `L2` …
    pub name: String,
    /// Bytes per second.
    pub bandwidth: f64,
    /// Bytes that it holds; null where not known.
    pub bytes: Option<u64>,
}

/// What an hour of a device cost on a day.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PricePart {
    /// US dollars.
    pub usd_per_hour: f64,
    /// Who lets it.
    pub provider: String,
    /// The day, as `2026-11-25`.
    pub date: String,
    /// Where it is said.
    pub source: String,
}

/// A model on a device.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CasePart {
    /// Position in `subjects`.
    pub subject: usize,
    /// Position in `devices`.
    pub device: usize,
    /// Type of the compute ceiling.
    pub dtype: String,
    /// Data that caches may keep does not move: no run takes less.
    pub at_best: TimePart,
    /// Kernels that take their epilogues, chains, norms and attention along.
    pub fused: TimePart,
    /// Every node reads and writes memory.
    pub unfused: TimePart,
    /// Likely times; no bounds.
    pub estimates: Vec<EstimatePart>,
    /// Bytes that a run holds: weights, and peak activations or cache.
    pub needed_bytes: u64,
    /// Whether they fit into the device's memory; null where that is not known.
    pub fits: Option<bool>,
    /// The least batch whose compulsory intensity reaches the ridge; null where there is none or it is not known.
    pub critical_batch: Option<u64>,
    /// New tokens per second of a decoder at best; null for other models.
    pub tokens_per_second: Option<f64>,
}

/// A time, and what it is made of.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TimePart {
    /// Seconds of a run.
    pub seconds: f64,
    /// Operations per second at that time.
    pub operations_per_second: f64,
    /// Operations per byte that moves; null where nothing does.
    pub intensity: Option<f64>,
    /// Share of the time of kernels that arithmetic binds, from 0 to 1.
    pub compute: f64,
    /// Share of kernels that memory binds.
    pub memory: f64,
    /// Share of kernels that are shorter than the time from one launch to the next.
    pub launches: f64,
}

/// A likely time in a runtime.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EstimatePart {
    /// The runtime and its version.
    pub runtime: String,
    /// Threads of an inference.
    pub threads: u32,
    /// Seconds of a run.
    pub seconds: f64,
    /// Median relative error on micro-benchmarks that the fit did not see.
    pub error: f64,
}

/// A run of a server or runtime under load.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunPart {
    /// What it is called beside others: its folder.
    pub label: String,
    /// Unix time at which its schedule began.
    pub started_unix_seconds: f64,
    /// The target as typed.
    pub target: String,
    /// Name and version of the serving platform as it reports itself; empty where it does not.
    pub platform: String,
    /// The load, as `probe --load` takes it.
    pub load: String,
    /// Whether requests were scheduled at instants of their own.
    pub open: bool,
    /// Inferences in a request.
    pub batch: i64,
    /// Inputs that were sent: name, type and shape.
    pub inputs: Vec<String>,
    /// Length of the schedule that was asked for.
    pub planned_seconds: f64,
    /// Length of the window that counts.
    pub seconds: f64,
    /// Fingerprint of all scheduled requests.
    pub schedule_fingerprint: String,
    /// The quantile that the run was to support, between 0 and 1.
    pub headline_quantile: f64,
    /// The latency objective; null where there was none.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub slo: Option<SloPart>,
    /// Whether the numbers can be trusted, and why not.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub verdict: VerdictPart,
    /// Successful requests in the window.
    pub good: u64,
    /// Failed requests in the window.
    pub failed: u64,
    /// Requests scheduled per second.
    pub offered_per_second: f64,
    /// Percentiles of the response time, from the lowest to the highest quantile.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub percentiles: Vec<PercentilePart>,
    /// The same of the service time: the server and the network.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub service_percentiles: Vec<PercentilePart>,
    /// Successful inferences per second.
    pub rate: RatePart,
    /// Joules per inference; null where they were not measured.
    pub energy_joules: Option<f64>,
    /// Parts of a request's way whose times are known, in order.
    pub stages: Vec<StageTime>,
    /// Readings beside the load that have a value.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub meters: Vec<MeterPart>,
    /// What the model costs; null where the run did not know its file.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub model: Option<ModelPart>,
}

/// A rate with its interval of approximately 95 %.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RatePart {
    /// Per second.
    pub per_second: f64,
    /// Lower end; null where the run is too short for one.
    pub low: Option<f64>,
    /// Upper end; null like `low`.
    pub high: Option<f64>,
}

/// A part of a request's way.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StageTime {
    /// What it is.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub role: Role,
    /// The stage as the server names it; null where it is no stage of the server.
    pub stage: Option<String>,
    /// Mean seconds of a request.
    pub seconds: f64,
    /// Share of the time in which its workers are busy; null where it is not known.
    pub utilisation: Option<f64>,
}

/// Name and version of the form of [`ComparisonFile`].
pub const COMPARISON: &str = "rooflens.comparison/1";

/// What `rooflens compare --format json` prints of runs. Each comparison has the same first side.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ComparisonFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = COMPARISON)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// One for each side but the first.
    pub comparisons: Vec<ComparisonPart>,
}

/// Two sides of runs.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ComparisonPart {
    /// The first side, which changes are shares of.
    pub a: SidePart,
    /// The second side.
    pub b: SidePart,
    /// The load of all runs.
    pub load: String,
    /// Inferences in a request.
    pub batch: i64,
    /// A change below this share is none.
    pub threshold: f64,
    /// What the files say that differs between the sides, as sentences.
    pub differs: Vec<String>,
    /// Whether the runs of both sides took turns.
    pub alternate: bool,
    /// Whether a headline figure is worse.
    pub worse: bool,
    /// Whether a headline figure cannot be decided.
    pub undecided: bool,
    /// What was compared; the headline figures first.
    pub figures: Vec<FigurePart>,
}

/// One side of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SidePart {
    /// What it is called.
    pub label: String,
    /// Its runs.
    pub runs: Vec<String>,
    /// The serving platforms that the runs report, each once.
    pub platforms: Vec<String>,
    /// Their targets, each once.
    pub targets: Vec<String>,
}

/// A figure of both sides.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FigurePart {
    /// What it is: `p99`, `rate` …
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Whether it decides.
    pub headline: bool,
    /// Geometric mean of the first side.
    pub a: f64,
    /// Geometric mean of the second side.
    pub b: f64,
    /// The change as a share of the first.
    pub change: f64,
    /// Lower end of its interval of 95 %; null where no error is known.
    pub low: Option<f64>,
    /// Upper end; null like `low`.
    pub high: Option<f64>,
    /// Probability of such a difference between equal sides.
    pub probability: f64,
    /// WORSE, better, slightly, same, cannot tell; with fewer than three runs a side only whether these runs differ.
    pub outcome: String,
    /// Runs that each side lacks to say more; null where it can tell.
    pub more_runs: Option<u64>,
}
