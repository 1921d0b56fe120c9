//! What was read beside the load: meters of this machine, and the server's own metrics.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Name of the reading that is the energy of an inference, all of it.
pub const ENERGY: &str = "energy per inference";

/// A reading beside the load, joined to the window of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MeterPart {
    /// What was read: `server CPU`, `GPU 0 power`; with its stripe in front after a merge.
    pub name: String,
    /// Unit of `value`; empty where the meter has none.
    pub unit: MeterUnit,
    /// The reading; null where it could not be taken.
    pub value: Option<f64>,
    /// Lower end of the interval in which the true value lies, as far as readings show: what happened between them, and
    /// the steps of the sensor. The sensor's own accuracy is not in it. Null where the readings give no interval.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper end of that interval; null where `low` is.
    #[serde(default)]
    pub high: Option<f64>,
    /// Upper bound of `value`, such as the cores of the machine; null where there is none.
    #[serde(default)]
    pub of: Option<f64>,
    /// Why there is no value and what to do about it; null where there is one.
    pub unmeasured: Option<String>,
    /// How the value is to be read, such as whose it is; null where there is nothing to say.
    pub note: Option<String>,
    /// Where power or energy was read, and what it includes; null for other readings.
    #[serde(default)]
    pub source: Option<SourcePart>,
    /// What it says of the pipeline; known only where it was read, so that it is not in the file.
    #[serde(skip)]
    pub role: MeterRole,
}

/// Where power or energy was read, and what it includes.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SourcePart {
    /// The file of the kernel, or the library that was asked.
    pub path: String,
    /// What is included. Sources of which one includes another are never added.
    pub covers: MeterCovers,
    /// Smallest difference between two readings, in the unit of the meter: as the device is documented, else the smallest
    /// that was seen. Null where neither is known.
    pub resolution: Option<f64>,
    /// Time over which the device averages, or after which it has a new value, as far as that is documented; else null.
    pub refreshed_seconds: Option<f64>,
}

rooflens_ground::words! {
    /// What a source of power or energy includes.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum MeterCovers {
        /// All that the machine draws from its battery or its supply.
        Machine = "machine",
        /// Processor, memory and what else the board's own regulators feed; a graphics card may not be in it.
        Platform = "platform",
        /// A board or computer module at its input; what its carrier feeds besides is not in it.
        Board = "board",
        /// Processor packages, and memory where it has a counter of its own.
        Processor = "processor",
        /// A package with processor and GPU in it.
        Package = "package",
        /// A graphics card or its chip.
        Gpu = "GPU",
        /// A part of a board.
        Rail = "rail",
    }
}

/// What a reading says of the pipeline of this machine's server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MeterRole {
    /// Nothing.
    #[default]
    Plain,
    /// The processor time of the server.
    ServerCpu,
    /// The share of time in which a GPU ran kernels.
    GpuBusy,
}

rooflens_ground::words! {
    /// Unit of a reading.
    #[derive(Default)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum MeterUnit {
        /// Processor cores.
        Cores = "cores",
        /// Bytes.
        Bytes = "B",
        /// Watts.
        Watts = "W",
        /// Joules.
        Joules = "J",
        /// Hertz.
        Hertz = "Hz",
        /// A share from 0 to 1.
        Share = "share",
        /// Milligrams of CO2 equivalent.
        Carbon = "mg CO2e",
        /// None: several readings of different units, or none that could be taken.
        #[default]
        None = "",
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
