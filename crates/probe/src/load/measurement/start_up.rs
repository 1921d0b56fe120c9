//! How the server started, over several starts.

use crate::schema::{
    DefinitionPart, FigureUnit, PageCache, PollsPart, SpreadPart, StartPart, StartUpPart,
};
use crate::stats::median;

type Figure = (&'static str, FigureUnit, &'static str, fn(&StartPart) -> Option<f64>);

/// Figures of a start: name, unit, meaning, and where it comes from.
const FIGURES: [Figure; 9] = [
    ("port accepts", FigureUnit::Seconds, "first TCP connection accepted − spawn", |s| {
        Some(s.port_seconds)
    }),
    ("system start-up", FigureUnit::Seconds, "model ready − spawn", |s| {
        Some(s.model_ready_seconds)
    }),
    ("model load", FigureUnit::Seconds, "model ready − server ready", |s| {
        // Equal where the protocol has one state for both.
        s.ready_seconds.map(|r| s.model_ready_seconds - r).filter(|load| *load > 0.0)
    }),
    ("cold start", FigureUnit::Seconds, "first successful answer − spawn", |s| {
        Some(s.first_answer_seconds)
    }),
    (
        "first-inference penalty",
        FigureUnit::Seconds,
        "time of the first successful answer − median of the warm state",
        |s| Some(s.first_latency_seconds - s.warm_median_seconds?),
    ),
    (
        "time to warm",
        FigureUnit::Seconds,
        "begin of the first five requests whose mean is inside the warm state's median + 3 MAD − model ready",
        |s| Some(s.warm_seconds? - s.model_ready_seconds),
    ),
    (
        "CPU until ready",
        FigureUnit::Seconds,
        "CPU time of the server's processes until the model is ready",
        |s| s.cpu_seconds,
    ),
    (
        "peak memory",
        FigureUnit::Bytes,
        "sum of the processes' largest resident sets, when warm; shared pages count for each",
        |s| s.peak_rss_bytes.map(|b| b as f64),
    ),
    (
        "read from storage",
        FigureUnit::Bytes,
        "bytes that the server's processes fetched from storage",
        |s| s.read_bytes.map(|b| b as f64),
    ),
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
        for state in [PageCache::Cold, PageCache::Warm] {
            for (name, unit, _, of) in FIGURES {
                let own = starts.iter().filter(|s| s.counted && s.page_cache == state);
                let values: Vec<f64> = own.filter_map(of).collect();
                if values.is_empty() {
                    continue;
                }
                summary.push(SpreadPart {
                    page_cache: state,
                    name: name.into(),
                    unit,
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
