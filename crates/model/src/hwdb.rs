//! Devices: what a machine can do at most, and where each number comes from.
//!
//! Device files are data, one TOML file each; the shipped ones travel in the binary. This module
//! knows no models and measures nothing.

mod catalogue;
mod ceiling;
mod check;
mod evidence;
mod positive;
mod words;

pub use catalogue::{Catalogue, HwdbError};
pub use ceiling::{ALL_UNITS, Ceiling, CeilingError, Choice, ceiling_type};
pub use check::{DeviceCheck, Disagreement, PeakCheck, Verdict};
pub use evidence::{Evidence, EvidenceRow, EvidenceSource, Likely, RuntimeClass};
pub use words::{Basis, CeilingType, Confidence, DeviceKind, Direction, Engine, LevelName};

use rooflens_ground::units::{BytesPerSecond, FlopsPerSecond};
use serde::{Deserialize, Serialize};

/// A device file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Unique, lower case; the file's name.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Other names it is found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Maker.
    pub vendor: String,
    /// `gpu`, `cpu`, `npu`, `soc`.
    pub kind: DeviceKind,
    /// Architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Year or date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// Id of the device this is a variant of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_of: Option<String>,
    /// How sure the numbers are, where they do not say themselves.
    pub confidence: Confidence,
    /// Keys into `sources.toml`, of all numbers that name none themselves.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What a reader should know before trusting a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// SMs, CUs or cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_units: Option<u32>,
    /// Clock the peaks are stated at, in MHz.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// The highest clock that the device runs as sold, in MHz, where it is above that of the peaks: bounds
    /// are taken there.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub boost_mhz: Option<f64>,
    /// Key into `sources.toml`, of the highest clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boost_source: Option<String>,
    /// Design power in watts.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub tdp_w: Option<f64>,
    /// The clock was inferred from the peak, so that multiplying back proves nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crosscheck_circular: bool,
    /// Compute ceilings.
    pub peaks: Vec<Peak>,
    /// Memory levels, main memory first.
    #[serde(default)]
    pub memory: Vec<MemoryLevel>,
    /// Links to other devices and to the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Link>,
    /// Power limits it can be set to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub power_modes: Vec<PowerMode>,
    /// Least time from one small kernel to the next, in microseconds.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub launch_us: Option<f64>,
    /// What an hour cost on a day, somewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prices: Vec<Price>,
    /// The machine that was measured: the `id` of a host in measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Whether its ceilings were kept although they varied by more than 10 % between repeats.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restless: bool,
    /// How near runtimes come to the ceilings, measured on the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibrations: Vec<Calibration>,
}

/// How near the kernels of a runtime come to the ceilings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// `tract` or `ort`.
    pub runtime: String,
    /// Name and version, for people.
    pub version: String,
    /// Threads of an inference.
    pub threads: u32,
    /// The compute ceiling that efficiencies are shares of: 10^12 operations a second in f32.
    #[serde(deserialize_with = "positive::one")]
    pub peak_tflops: f64,
    /// The memory ceiling that efficiencies are shares of: 10^9 bytes a second.
    #[serde(deserialize_with = "positive::one")]
    pub bandwidth_gb_s: f64,
    /// What a run costs beyond its kernels, in microseconds.
    #[serde(deserialize_with = "positive::or_zero")]
    pub per_run_us: f64,
    /// What a kernel costs beyond its work, in microseconds.
    #[serde(deserialize_with = "positive::or_zero")]
    pub per_kernel_us: f64,
    /// 10^9 bytes a second at which weights that no cache keeps come into a product.
    #[serde(deserialize_with = "positive::one")]
    pub weights_gb_s: f64,
    /// 10^9 bytes a second at which the weights of a product are laid out anew in each run because another
    /// node reads them too; none where the runtime does no such thing.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "positive::some")]
    pub shared_weights_gb_s: Option<f64>,
    /// The last cache, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_bytes: Option<u64>,
    /// Time of a sum that adds to what a convolution makes, as a share of its time alone.
    #[serde(deserialize_with = "positive::or_zero")]
    pub sum_after_convolution: f64,
    /// The same after a matrix product.
    #[serde(deserialize_with = "positive::or_zero")]
    pub sum_after_product: f64,
    /// Median relative error of the networks that were held out, wider where the calibration did not settle; that of
    /// single kernels where there are none.
    #[serde(deserialize_with = "positive::or_zero")]
    pub held_out_error: f64,
    /// Median relative error of a kernel's time, predicted from the other benchmarks of its class.
    #[serde(default, deserialize_with = "positive::or_zero")]
    pub kernel_error: f64,
    /// Whether undisturbed timings agreed for nine of ten micro-benchmarks or more.
    #[serde(default = "yes")]
    pub settled: bool,
    /// Micro-benchmarks that the fit is of.
    pub benchmarks: u32,
    /// Micro-benchmarks whose undisturbed timings were too few or did not agree.
    #[serde(default)]
    pub disturbed: u32,
    /// Micro-benchmarks that the runtime refused, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Small networks that were held out: what the points make of them, and what they took.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<CalibrationNetwork>,
    /// What they measured.
    pub points: Vec<CalibrationPoint>,
}

/// For a calibration that does not say otherwise.
fn yes() -> bool {
    true
}

/// A small network that was held out of a calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CalibrationNetwork {
    /// What it is made of.
    pub name: String,
    /// Estimated time in microseconds.
    #[serde(deserialize_with = "positive::or_zero")]
    pub estimated_us: f64,
    /// Measured time in microseconds.
    #[serde(deserialize_with = "positive::one")]
    pub measured_us: f64,
}

/// The efficiency of a kind of kernel at a shape.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CalibrationPoint {
    /// What ran, at which shape.
    pub name: String,
    /// `conv`, `depthwise`, `gemm`, `elementwise`, `norm` …
    pub class: String,
    /// log2 of rows, columns and depth of a product; for other kinds of bytes moved, and of the
    /// length of a row where it matters.
    #[serde(deserialize_with = "positive::logarithms")]
    pub shape: Vec<f64>,
    /// Least time under the ceiling by measured time; above one where a cache is faster than memory.
    #[serde(deserialize_with = "positive::one")]
    pub efficiency: f64,
    /// Measured time in microseconds.
    #[serde(deserialize_with = "positive::one")]
    pub kernel_us: f64,
}

/// A compute ceiling.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// `f32`, `tf32`, `f16`, `bf16`, `f8`, `i8` …
    pub dtype: CeilingType,
    /// `vector`, `tensor`, `matrix`, or `dla`: accelerators that work beside the others.
    pub unit: Engine,
    /// 10^12 operations a second, an FMA counted as two, without sparsity.
    #[serde(deserialize_with = "positive::one")]
    pub dense_tflops: f64,
    /// The same with the vendor's structured sparsity.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub sparse_tflops: Option<f64>,
    /// Type sums are kept in: `f16`, `f32`. Not given where the device has one rate for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<CeilingType>,
    /// What a real matrix product reaches, measured: 10^12 operations a second.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub attainable_tflops: Option<f64>,
    /// Who measured that, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attainable_note: Option<String>,
    /// Clock this peak is stated at in MHz, where it is not the device's.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// Operations one compute unit does a clock.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub flop_per_unit_clock: Option<f64>,
    /// `theoretical` or `measured`.
    pub kind: Basis,
    /// Where this number comes from, when not from the device's sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How sure this number is, when not as sure as the device's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// What other sources say, in 10^12 operations a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rival>,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A memory level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemoryLevel {
    /// `DRAM`, `L2`, `L3` …
    pub level: LevelName,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<u64>,
    /// 10^9 bytes a second: the most that any use of it reaches.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub bandwidth_gb_s: Option<f64>,
    /// The same when reading only, where measured.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub read_gb_s: Option<f64>,
    /// The same when copying: bytes read and written.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub copy_gb_s: Option<f64>,
    /// The same in the triad `a = b + s·c`.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub triad_gb_s: Option<f64>,
    /// `theoretical` or `measured`.
    pub kind: Basis,
    /// Where these numbers come from, when not from the device's sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How sure these numbers are, when not as sure as the device's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Confidence>,
    /// What other sources say, in 10^9 bytes a second.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<Rival>,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A figure that another source gives for the same thing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rival {
    /// The figure, in the unit of the one it contests.
    #[serde(deserialize_with = "positive::one")]
    pub value: f64,
    /// Who gives it.
    pub source: String,
    /// On what basis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A link to other devices or to the host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `NVLink 4`, `ICI`, `PCIe 5 x16` …
    pub name: String,
    /// 10^9 bytes a second.
    #[serde(deserialize_with = "positive::one")]
    pub bandwidth_gb_s: f64,
    /// `one way`, or `both ways` together.
    pub direction: Direction,
    /// `theoretical` or `measured`.
    pub kind: Basis,
    /// Where this number comes from, when not from the device's sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A power limit, and what is left under it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PowerMode {
    /// Watts.
    #[serde(deserialize_with = "positive::one")]
    pub limit_w: f64,
    /// 10^12 int8 operations a second of all units together, with sparsity: a vendor's headline.
    #[serde(default, deserialize_with = "positive::some", skip_serializing_if = "Option::is_none")]
    pub sparse_i8_tops: Option<f64>,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A snapshot of a price: true of its day.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Who lets it.
    pub provider: String,
    /// US dollars an hour of one device, on demand.
    #[serde(deserialize_with = "positive::one")]
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub usd_per_hour: f64,
    /// Day, as `2026-11-25`.
    pub date: String,
    /// Key into `sources.toml`, of a source that is open.
    pub source: String,
}

impl Peak {
    /// Dense rate.
    pub fn rate(&self) -> FlopsPerSecond {
        FlopsPerSecond(self.dense_tflops * 1e12)
    }
}

impl MemoryLevel {
    /// Bandwidth, where known.
    pub fn rate(&self) -> Option<BytesPerSecond> {
        self.bandwidth_gb_s.map(|b| BytesPerSecond(b * 1e9))
    }
}

impl Device {
    /// The newest of its prices.
    pub fn price(&self) -> Option<&Price> {
        self.prices.iter().max_by(|a, b| a.date.cmp(&b.date))
    }

    /// The largest cache whose size is known.
    pub fn cache_bytes(&self) -> Option<u64> {
        let caches = self.memory.iter().filter(|m| m.level != LevelName::Dram);
        caches.filter_map(|m| m.capacity_bytes).max()
    }

    /// Main memory.
    pub fn dram(&self) -> Option<&MemoryLevel> {
        self.memory.iter().find(|m| m.level == LevelName::Dram)
    }
}
