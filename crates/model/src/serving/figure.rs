//! What was asked, and a figure with its formula and how sure it is.

use serde::{Deserialize, Serialize};

/// What the figures are for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Setting {
    /// Tokens of a sequence at its longest: prompt and answer.
    pub context: u64,
    /// Tokens of a prompt.
    pub prompt: u64,
    /// Tokens of an answer.
    pub output: u64,
    /// Sequences that are generated together.
    pub concurrency: u64,
    /// Devices that share the model.
    pub devices: u64,
    /// Tokens of a prompt that are processed at a time.
    pub chunk: u64,
    /// Tokens of a page of the cache, of which a sequence takes whole ones.
    pub page: u64,
    /// Share of a device's memory that the engine uses, from 0 to 1.
    pub utilization: f64,
    /// Bytes of each device that the engine takes for itself; nothing is assumed.
    pub overhead_bytes: u64,
    /// The type that numbers are counted in where it is not that of the files: `w4a16`.
    pub dtype: Option<String>,
    /// Bits of a number of the cache where they are not those of the activations.
    pub kv_bits: Option<u64>,
    /// Bytes per second of the link between devices, each way; that of the device where omitted.
    pub link_bytes_per_second: Option<f64>,
    /// Seconds that a message between devices takes at least; nothing is assumed.
    pub link_seconds: f64,
    /// Tokens at the beginning of a prompt that a cache of prefixes holds.
    pub prefix: Option<u64>,
    /// Rank of adapters, and how many are loaded.
    pub lora: Option<[u64; 2]>,
    /// The share of drafted tokens that are accepted, from 0 to 1, and tokens that are drafted at a time.
    pub draft: Option<(f64, u64)>,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            context: 4096,
            prompt: 4096 - 128,
            output: 128,
            concurrency: 1,
            devices: 1,
            chunk: 2048,
            page: 16,
            utilization: 0.9,
            overhead_bytes: 0,
            dtype: None,
            kv_bits: None,
            link_bytes_per_second: None,
            link_seconds: 0.0,
            prefix: None,
            lora: None,
            draft: None,
        }
    }
}

rooflens_ground::words! {
    /// What a figure is.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum FigureName {
        /// All stored weights.
        Weights = "weights",
        /// The largest node's inputs and outputs in a chunk of a prompt.
        Activations = "activations",
        /// What the engine takes for itself.
        Overhead = "overhead",
        /// The cache of one sequence at its longest.
        SequenceCache = "cache per sequence",
        /// What one more token adds to it.
        TokenCache = "cache per token",
        /// Memory that the engine uses.
        Usable = "usable memory",
        /// Sequences at their longest whose cache fits beside the rest.
        Fits = "sequences that fit",
        /// Tokens of the longest sequence that fits alone.
        LongestContext = "longest context",
        /// Adapters.
        Adapters = "LoRA adapters",
        /// Time of a prompt.
        Ttft = "TTFT",
        /// The same where the beginning is cached.
        TtftPrefix = "TTFT, prefix cached",
        /// Time of one token of each sequence.
        Tpot = "TPOT",
        /// The same where experts are chosen evenly.
        TpotExpected = "TPOT, experts even",
        /// Tokens of all sequences per second, prompts apart.
        Tokens = "tokens/s",
        /// The same with the prompts that the answers need.
        TokensWithPrompts = "tokens/s with prompts",
        /// The same where drafts are accepted as said.
        TokensSpeculative = "tokens/s, speculative",
        /// The least number of sequences at which a step is bound by compute.
        CriticalBatch = "critical batch",
        /// Bytes over each link for a step.
        LinkBytes = "link bytes per step",
        /// Time of these bytes.
        LinkTime = "link time per step",
        /// Time until the last stage has a token.
        Latency = "latency of a token",
        /// Share of time in which stages wait.
        Bubble = "idle share",
    }
}

rooflens_ground::words! {
    /// How sure a figure is.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Says {
        /// It is what it is.
        Exact = "exactly",
        /// No run is below.
        AtLeast = "at least",
        /// No run is above.
        AtMost = "at most",
        /// Under the assumption that it names.
        Expected = "expected",
    }
}

rooflens_ground::words! {
    /// What a figure is counted in.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Unit {
        /// Bytes.
        Bytes = "B",
        /// Seconds.
        Seconds = "s",
        /// Sequences.
        Sequences = "sequences",
        /// Tokens.
        Tokens = "tokens",
        /// Tokens per second.
        TokensPerSecond = "tokens/s",
        /// From 0 to 1.
        Share = "share",
    }
}

rooflens_ground::words! {
    /// The ceiling that binds a time.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Limit {
        /// Arithmetic.
        Compute = "compute",
        /// Traffic of the main memory.
        Memory = "memory",
        /// Traffic between devices.
        Links = "links",
    }
}

/// A number with what it means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Figure {
    /// What it is.
    pub name: FigureName,
    /// How sure it is.
    pub says: Says,
    /// The number; null where it is not known or there is none.
    pub value: Option<f64>,
    /// Its unit.
    pub unit: Unit,
    /// The ceiling that binds it; null where none does.
    pub binds: Option<Limit>,
    /// How it is computed.
    pub formula: String,
    /// What a reader should know of it; empty where nothing.
    pub note: String,
}

impl Figure {
    pub(super) fn new(
        name: FigureName,
        says: Says,
        value: impl Into<Option<f64>>,
        unit: Unit,
        formula: impl Into<String>,
    ) -> Self {
        let value = value.into().filter(|v| v.is_finite());
        Self { name, says, value, unit, binds: None, formula: formula.into(), note: String::new() }
    }

    pub(super) fn bound_by(self, limit: Limit) -> Self {
        Self { binds: Some(limit), ..self }
    }

    pub(super) fn noted(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }
}

/// Figures that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FigureGroup {
    /// What they are about.
    pub title: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// The formulas of the graph that the figures are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelFormulas {
    /// Operations, F.
    pub operations: String,
    /// Bytes that must move, Q; of experts, as many as there can be.
    pub bytes: String,
    /// Bytes that are kept, K.
    pub cache: String,
}
