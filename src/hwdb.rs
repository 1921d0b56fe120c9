//! Devices: what a machine can do at most, and where each number comes from.
//!
//! Device files are data, one TOML file each; the shipped ones travel in the binary. This module
//! knows no models and measures nothing.

mod catalogue;

pub(crate) use catalogue::edit_distance;
pub use catalogue::{Catalogue, HwdbError};

use crate::units::{BytesPerSecond, FlopsPerSecond};
use serde::{Deserialize, Serialize};

/// A device file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub kind: String,
    /// Architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Year or date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<String>,
    /// How sure the numbers are.
    pub confidence: String,
    /// Keys into `sources.toml`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// What a reader should know before trusting a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// SMs, CUs or cores.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compute_units: Option<u32>,
    /// Clock the peaks are stated at, in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// Design power in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdp_w: Option<f64>,
    /// The clock was inferred from the peak, so that multiplying back proves nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crosscheck_circular: bool,
    /// Compute ceilings.
    pub peaks: Vec<Peak>,
    /// Memory levels.
    #[serde(default)]
    pub memory: Vec<MemoryLevel>,
}

/// A compute ceiling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peak {
    /// `f32`, `tf32`, `f16`, `bf16`, `f8`, `i8` …
    pub dtype: String,
    /// `vector`, `tensor`, `matrix`, `dla`.
    pub unit: String,
    /// 10^12 operations a second, an FMA counted as two, without sparsity.
    pub dense_tflops: f64,
    /// The same with the vendor's structured sparsity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse_tflops: Option<f64>,
    /// Type sums are kept in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<String>,
    /// Operations one compute unit does a clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flop_per_unit_clock: Option<f64>,
    /// `theoretical` or `measured`.
    pub kind: String,
    /// Where this number comes from, when not from the device's sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A memory level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryLevel {
    /// `DRAM`, `L2`, `L3` …
    pub level: String,
    /// Size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity_bytes: Option<u64>,
    /// 10^9 bytes a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth_gb_s: Option<f64>,
    /// `theoretical` or `measured`.
    pub kind: String,
    /// Remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
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

/// Listed and recomputed peaks differ by at most this share, or a note says why.
const TOLERANCE: f64 = 0.035;

impl Device {
    /// The fastest dense ceiling of this type.
    pub fn peak(&self, dtype: &str) -> Option<&Peak> {
        let same = self.peaks.iter().filter(|p| p.dtype == dtype);
        same.max_by(|a, b| a.dense_tflops.total_cmp(&b.dense_tflops))
    }

    /// Main memory.
    pub fn dram(&self) -> Option<&MemoryLevel> {
        self.memory.iter().find(|m| m.level == "DRAM")
    }

    /// What is wrong with this file; empty when nothing is.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let units = self.compute_units.map(f64::from).zip(self.clock_mhz);
        for peak in &self.peaks {
            let name = format!("{} {}", peak.dtype, peak.unit);
            if !peak.dense_tflops.is_finite() || peak.dense_tflops <= 0.0 {
                found.push(format!("{name}: the peak is not positive"));
            }
            if peak.sparse_tflops.is_some_and(|s| s <= peak.dense_tflops) {
                found.push(format!("{name}: the sparse peak does not exceed the dense one"));
            }
            if let (Some((units, clock)), Some(each)) = (units, peak.flop_per_unit_clock) {
                let computed = units * clock * each * 1e-6;
                let off = peak.dense_tflops / computed - 1.0;
                if off.abs() > TOLERANCE && self.notes.is_none() && peak.note.is_none() {
                    found.push(format!("{name}: {:.1} % off units × clock × width", 100.0 * off));
                }
            }
        }
        for level in &self.memory {
            if level.bandwidth_gb_s.is_some_and(|b| !b.is_finite() || b <= 0.0) {
                found.push(format!("{}: the bandwidth is not positive", level.level));
            }
        }
        found
    }
}
