//! Runs that differ in their batch alone.

use super::{File, same};
use serde::{Deserialize, Serialize};

/// The schema's name and version.
pub const SWEEP: &str = "rooflens.sweep/1";

/// `sweep.json`.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SweepFile {
    pub schema: String,
    pub tool: String,
    pub target: String,
    pub load: String,
    pub stopped: bool,
    pub rows: Vec<SweepRow>,
}

/// A run; percentiles are null where too few requests support them or where they fall on requests
/// without an answer.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[allow(missing_docs)]
pub struct SweepRow {
    pub batch: i64,
    pub folder: String,
    pub verdict: String,
    pub requests_per_second: f64,
    pub inferences_per_second: f64,
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
    pub due: u64,
    pub lost: u64,
}

impl SweepRow {
    /// Of a measurement in `folder`.
    pub fn new(file: &File, folder: &str) -> Self {
        let at = |q: f64| {
            let all = file.response.percentiles.iter();
            all.filter(|p| p.supported).find(|p| same(p.quantile, q)).and_then(|p| p.seconds)
        };
        Self {
            batch: file.target.batch,
            folder: folder.into(),
            verdict: file.verdict.verdict.clone(),
            requests_per_second: file.window.goodput_per_second,
            inferences_per_second: file.window.inferences_per_second,
            p50_seconds: at(0.5),
            p95_seconds: at(0.95),
            p99_seconds: at(0.99),
            due: file.window.due,
            lost: file.window.lost,
        }
    }
}
