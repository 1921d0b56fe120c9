//! What was read beside the load: meters of this machine, and the server's own metrics.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the meter of the server's processor time.
pub const SERVER_CPU: &str = "server CPU";

/// A reading beside the load, joined to the window of the run.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MeterPart {
    /// What was read: `server CPU`, `GPU 0 power`; with its stripe in front after a merge.
    pub name: String,
    /// Unit of `value`: `cores`, `B`, `W`, `J`, `Hz`, `share` (0 to 1) or `mg CO2e`; empty where the meter has none.
    pub unit: String,
    /// The reading; null where it could not be taken.
    pub value: Option<f64>,
    /// Upper bound of `value`, such as the cores of the machine; null where there is none.
    #[serde(default)]
    pub of: Option<f64>,
    /// Why there is no value and what to do about it; null where there is one.
    pub unmeasured: Option<String>,
    /// How the value is to be read, such as whose it is; null where there is nothing to say.
    pub note: Option<String>,
}

impl MeterPart {
    /// Whether it is the share of time in which a GPU of this machine ran kernels.
    pub fn is_gpu_busy(&self) -> bool {
        self.name.starts_with("GPU ") && self.name.ends_with(" busy")
    }
}

/// A page of the server's own metrics: what changed from one scrape to another.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScrapePart {
    /// Address of the page.
    pub url: String,
    /// Time of the first scrape in seconds from the start of the window; negative where it lies before.
    pub from_seconds: f64,
    /// Time between the two scrapes.
    pub seconds: f64,
    /// What changed.
    pub series: Vec<SeriesPart>,
    /// Series beyond the limit of a page, which are not in `series`.
    pub left_out: u64,
    /// Lines of the page that could not be read.
    pub skipped: u64,
}

rooflens_ground::words! {
    /// The kind of a series, which says what its value is.
    #[derive(Default)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum SeriesKind {
        /// A counter: the value is its increase.
        Counter = "counter",
        /// A gauge: the value is that of the last scrape.
        #[default]
        Gauge = "gauge",
        /// A histogram: the value is the number of observations.
        Histogram = "histogram",
    }
}

/// A series of the server's metrics.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SeriesPart {
    /// The metric's name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// What `value` is.
    pub kind: SeriesKind,
    /// Increase of a counter, value of a gauge, or number of observations of a histogram, in the metric's own unit.
    pub value: f64,
    /// Mean of a histogram's observations; null for other kinds.
    pub mean: Option<f64>,
    /// Median of a histogram's observations; null where it lies beyond the last bound, and for other kinds.
    pub p50: Option<f64>,
    /// 99th percentile of a histogram's observations; null as for `p50`.
    pub p99: Option<f64>,
}
