//! How the server started, over several starts.

use crate::probe::stats::median;
use serde::{Deserialize, Serialize};

/// The schema's name and version where starts stand alone, in `start_up.json`.
pub const START_UP: &str = "rooflens.start_up/1";

/// `start_up.json`: starts without a load behind them.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct StartUpFile {
    pub schema: String,
    pub tool: String,
    pub target: String,
    pub start_up: StartUpPart,
}

/// Starts of a server.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct StartUpPart {
    pub command: String,
    pub definitions: Vec<DefinitionPart>,
    pub polls: PollsPart,
    pub starts: Vec<StartPart>,
    pub summary: Vec<SpreadPart>,
    pub interrupted: bool,
    pub notes: Vec<String>,
}

/// What a word means here.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct DefinitionPart {
    pub name: String,
    pub meaning: String,
}

/// How often the server was asked.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct PollsPart {
    pub connect_seconds: f64,
    pub request_seconds: f64,
    pub timeout_seconds: f64,
}

/// One start. Instants are seconds since the spawn; null where the protocol has no such state.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct StartPart {
    pub page_cache: String,
    pub counted: bool,
    pub spawned_unix_seconds: f64,
    pub port_seconds: f64,
    pub live_seconds: Option<f64>,
    pub ready_seconds: Option<f64>,
    pub model_ready_seconds: f64,
    pub first_answer_seconds: f64,
    pub warm_seconds: Option<f64>,
    pub warm_unknown: Option<String>,
    pub first_latency_seconds: f64,
    pub warm_median_seconds: Option<f64>,
    pub failed_answers: u64,
    pub polls: u64,
    pub cpu_seconds: Option<f64>,
    pub peak_rss_bytes: Option<u64>,
    pub read_bytes: Option<u64>,
    pub cache: Option<CachePart>,
    pub unverified: Option<String>,
}

/// Known files in the page cache just before the spawn.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct CachePart {
    pub files: u64,
    pub bytes: u64,
    pub resident_bytes: u64,
}

/// A figure over the counted starts of one state of the page cache.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SpreadPart {
    pub page_cache: String,
    pub name: String,
    pub unit: String,
    pub count: u64,
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

type Figure = (&'static str, &'static str, &'static str, fn(&StartPart) -> Option<f64>);

/// Figures of a start: name, unit, meaning, and where it comes from.
const FIGURES: [Figure; 9] = [
    ("port accepts", "s", "first TCP connection accepted − spawn", |s| Some(s.port_seconds)),
    ("system start-up", "s", "model ready − spawn", |s| Some(s.model_ready_seconds)),
    ("model load", "s", "model ready − server ready", |s| {
        // Equal where the protocol has one state for both.
        s.ready_seconds.map(|r| s.model_ready_seconds - r).filter(|load| *load > 0.0)
    }),
    ("cold start", "s", "first good answer − spawn", |s| Some(s.first_answer_seconds)),
    (
        "first-inference penalty",
        "s",
        "time of the first good answer − median of the warm state",
        |s| Some(s.first_latency_seconds - s.warm_median_seconds?),
    ),
    (
        "time to warm",
        "s",
        "begin of the first five requests whose mean is inside the warm state's median + 3 MAD − model ready",
        |s| Some(s.warm_seconds? - s.model_ready_seconds),
    ),
    ("CPU until ready", "s", "CPU time of the server's processes until the model is ready", |s| {
        s.cpu_seconds
    }),
    (
        "peak memory",
        "B",
        "sum of the processes' largest resident sets, when warm; shared pages count for each",
        |s| s.peak_rss_bytes.map(|b| b as f64),
    ),
    ("read from storage", "B", "bytes that the server's processes fetched from storage", |s| {
        s.read_bytes.map(|b| b as f64)
    }),
];

impl StartUpPart {
    /// Puts together what the starts were.
    pub fn new(
        command: &str,
        polls: PollsPart,
        starts: Vec<StartPart>,
        interrupted: bool,
        notes: Vec<String>,
    ) -> Self {
        let mut summary = Vec::new();
        for state in ["cold", "warm"] {
            for (name, unit, _, of) in FIGURES {
                let own = starts.iter().filter(|s| s.counted && s.page_cache == state);
                let values: Vec<f64> = own.filter_map(of).collect();
                if values.is_empty() {
                    continue;
                }
                summary.push(SpreadPart {
                    page_cache: state.into(),
                    name: name.into(),
                    unit: unit.into(),
                    count: values.len() as u64,
                    min: values.iter().copied().fold(f64::INFINITY, f64::min),
                    median: median(&values),
                    max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                });
            }
        }
        let meaning = |(name, _, meaning, _): Figure| DefinitionPart {
            name: name.into(),
            meaning: meaning.into(),
        };
        Self {
            command: command.into(),
            definitions: FIGURES.into_iter().map(meaning).collect(),
            polls,
            starts,
            summary,
            interrupted,
            notes,
        }
    }
}
