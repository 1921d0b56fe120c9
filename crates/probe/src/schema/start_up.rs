//! `start_up.json`, and the part `start_up` of a measurement: how a server started, over several starts.

use serde::{Deserialize, Serialize};

/// Name and version of the form of [`StartUpFile`].
pub const START_UP: &str = "rooflens.start_up/1";

/// What `rooflens probe --spawn … --start-up-only` writes as `start_up.json`: starts without a load behind them.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartUpFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = START_UP)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// The target as typed.
    pub target: String,
    /// The starts.
    pub start_up: StartUpPart,
}

/// Starts of a server: each of them, and the spread over those that count.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartUpPart {
    /// The command of `--spawn`.
    pub command: String,
    /// What the names in `summary` mean.
    pub definitions: Vec<DefinitionPart>,
    /// How often the server was asked for its state.
    pub polls: PollsPart,
    /// The starts, in order.
    pub starts: Vec<StartPart>,
    /// Spread of each figure over the counted starts, by the state of the page cache.
    pub summary: Vec<SpreadPart>,
    /// Whether the starts were interrupted before their end.
    pub interrupted: bool,
    /// What the reader should know of these numbers.
    pub notes: Vec<String>,
}

/// What a figure's name means.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefinitionPart {
    /// The figure's name, as in `summary`.
    pub name: String,
    /// How it is computed from the instants of a start.
    pub meaning: String,
}

/// How often the server was asked for its state; the resolution of all instants.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PollsPart {
    /// Time between two attempts to connect.
    pub connect_seconds: f64,
    /// Time between two questions for the server's state.
    pub request_seconds: f64,
    /// Time after which a question is given up.
    pub timeout_seconds: f64,
}

rooflens_ground::words! {
    /// State of the page cache before a start.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum PageCache {
        /// Nothing was done to it, and nothing is known of it.
        Unknown = "unknown",
        /// The known files were dropped from it.
        Cold = "cold",
        /// A start came before, so that the files are in it.
        Warm = "warm",
    }
}

/// One start. Instants are in seconds since the spawn, and null where the protocol has no such state.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StartPart {
    /// State of the page cache before the start.
    pub page_cache: PageCache,
    /// Whether the start counts in the summary; the first one does not.
    pub counted: bool,
    /// Unix time of the spawn.
    pub spawned_unix_seconds: f64,
    /// When the port accepted a connection.
    pub port_seconds: f64,
    /// When the server said that it is live.
    pub live_seconds: Option<f64>,
    /// When the server said that it is ready.
    pub ready_seconds: Option<f64>,
    /// When the server said that the model is ready; otherwise when the server was, or when it first answered.
    pub model_ready_seconds: f64,
    /// When the first successful answer was there.
    pub first_answer_seconds: f64,
    /// When the first requests began whose times are those of the warm state.
    pub warm_seconds: Option<f64>,
    /// Why `warm_seconds` is not known; null where it is.
    pub warm_unknown: Option<String>,
    /// Time of the first successful request.
    pub first_latency_seconds: f64,
    /// Median time of a request in the warm state.
    pub warm_median_seconds: Option<f64>,
    /// Requests that failed before the first successful one.
    pub failed_answers: u64,
    /// Questions for the server's state.
    pub polls: u64,
    /// Processor time of the server's processes until the model was ready.
    pub cpu_seconds: Option<f64>,
    /// Sum of the processes' largest resident sets when warm; shared pages count for each.
    pub peak_rss_bytes: Option<u64>,
    /// Bytes that the server's processes fetched from storage.
    pub read_bytes: Option<u64>,
    /// The known files in the page cache just before the spawn; null where the system does not say.
    pub cache: Option<CachePart>,
    /// Why the state of the page cache is not certain; null where it was verified.
    pub unverified: Option<String>,
}

/// The known files in the page cache just before the spawn, by `mincore`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CachePart {
    /// Number of files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of their bytes that were in memory.
    pub resident_bytes: u64,
}

rooflens_ground::words! {
    /// Unit of a figure of a start.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum FigureUnit {
        /// Seconds.
        Seconds = "s",
        /// Bytes.
        Bytes = "B",
    }
}

/// A figure over the counted starts of one state of the page cache.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SpreadPart {
    /// State of the page cache before these starts.
    pub page_cache: PageCache,
    /// The figure's name, explained in `definitions`.
    pub name: String,
    /// Unit of the three values.
    pub unit: FigureUnit,
    /// Starts in which the figure is known, at least 1.
    pub count: u64,
    /// The smallest value.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The largest value.
    pub max: f64,
}
