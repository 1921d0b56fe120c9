//! `sweep.json`: runs that differ in their batch alone.

use super::Verdict;
use serde::{Deserialize, Serialize};

/// Name and version of the form of [`SweepFile`].
pub const SWEEP: &str = "rooflens.sweep/1";

/// What `rooflens probe --batch 1,2,4` writes as `sweep.json`, beside a folder for each run.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SweepFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = SWEEP)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// The target as typed.
    pub target: String,
    /// The load of every run, as `--load` takes it.
    pub load: String,
    /// Whether the sweep was interrupted before its end.
    pub stopped: bool,
    /// The runs, in the order in which they were made.
    pub rows: Vec<SweepRow>,
}

/// One run of a sweep. Percentiles are of the response time, and null where too few requests support them or where
/// they fall on failed requests.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SweepRow {
    /// Inferences in a request, at least 1.
    pub batch: i64,
    /// Name of the folder of the run's files, beside `sweep.json`.
    pub folder: String,
    /// The run's verdict.
    pub verdict: Verdict,
    /// Successful requests per second.
    pub requests_per_second: f64,
    /// Successful inferences per second.
    pub inferences_per_second: f64,
    /// The median in seconds.
    pub p50_seconds: Option<f64>,
    /// The 95th percentile in seconds.
    pub p95_seconds: Option<f64>,
    /// The 99th percentile in seconds.
    pub p99_seconds: Option<f64>,
    /// Requests scheduled in the run's window.
    pub due: u64,
    /// Those of them that failed.
    pub lost: u64,
}
