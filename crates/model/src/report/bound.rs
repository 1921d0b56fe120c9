//! What a device allows a model, as a report has it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

rooflens_ground::words! {
    /// What takes most of a time.
    #[derive(Default)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Binds {
        /// The arithmetic units, from 60 % on.
        Compute = "compute",
        /// The memory, from 60 % on.
        Memory = "memory",
        /// The time from one launch of a kernel to the next, from 60 % on.
        Launches = "launches",
        /// None of them.
        Mixed = "mixed",
        /// No time is known.
        #[default]
        Unknown = "unknown",
    }
}

rooflens_ground::words! {
    /// A way to run a model.
    #[derive(Default)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum RunKind {
        /// Compulsory traffic.
        #[default]
        AtBest = "at best",
        /// Kernels with epilogue, element-wise and norm fusion.
        Fused = "fused",
        /// Every node reads and writes memory.
        Unfused = "unfused",
    }
}

/// What a device allows a model at best.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BoundReport {
    /// The device.
    pub device: String,
    /// Data type of the compute ceiling.
    pub dtype: String,
    /// Type that sums are kept in, where the device names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<String>,
    /// Units of the compute ceiling.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// Clock of the compute ceiling in MHz, where the device boosts above that of its listed figures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub boost_mhz: Option<f64>,
    /// Whether the ceilings were measured; from datasheets otherwise.
    pub measured: bool,
    /// Compute ceiling in FLOP/s.
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub peak_flops: f64,
    /// Memory ceiling in B/s.
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub bandwidth_bytes_per_second: f64,
    /// Where the ceilings cross.
    #[cfg_attr(test, schemars(extend("exclusiveMinimum" = 0)))]
    pub ridge_flop_per_byte: f64,
    /// Compulsory intensity: operations per byte when inputs, weights and outputs move once.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub intensity_flop_per_byte: f64,
    /// FLOP/s allowed at that intensity.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub attainable_flops: f64,
    /// What takes most of the time of the fused kernels.
    pub bound: Binds,
    /// The model at best, fused, and unfused.
    #[serde(default)]
    pub runs: Vec<RunReport>,
    /// Bytes that caches keep from one run to the next, which the time at best does not move.
    #[serde(default)]
    pub cached_bytes: u64,
    /// Whether the model fits into the device's memory, where that is known.
    #[serde(default)]
    pub memory: Option<FitReport>,
    /// Of a decoder: new tokens per second at best, all sequences of the batch together.
    #[serde(default)]
    pub tokens_per_second: Option<f64>,
    /// What binds the nodes, where the device's memory levels were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelReport>,
    /// The least batch at which the model is bound by compute, where there is one below 2^20.
    pub critical_batch: Option<u64>,
    /// max(F/π, (Q − C)/β) of the whole model: F = `lower_bound_operations`, Q its compulsory bytes without
    /// what data may spare, C what the caches keep from one run to the next.
    #[serde(alias = "least_seconds")]
    pub lower_bound_seconds: f64,
    /// Operations of `lower_bound_seconds`: without padding, masked scores and what data may spare, with
    /// convolutions by the fastest algorithm that a known library has for them.
    #[serde(default)]
    #[serde(alias = "least_operations")]
    pub lower_bound_operations: f64,
    /// `lower_bound_seconds` when every convolution multiplies tap by tap, as counted.
    #[serde(default)]
    pub direct_seconds: f64,
    /// Σ max(F/π, Q/β, L) over kernels that take their epilogues, chains, norms and attention along, as in
    /// `runs`; L the time from one launch of a kernel to the next, zero where not known of the device.
    pub fused_seconds: f64,
    /// The same over nodes, each reading its inputs from memory and writing its outputs there.
    pub node_by_node_seconds: f64,
    /// Likely times, in runtimes that were calibrated on the device; no bounds.
    #[serde(default)]
    pub estimates: Vec<EstimateReport>,
}

/// One way to run a model: its least time, and what that is made of.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunReport {
    /// Which.
    pub name: RunKind,
    /// Seconds per run.
    pub seconds: f64,
    /// Operations per second at that time.
    pub flops_per_second: f64,
    /// Operations per byte moved; absent where nothing moves.
    pub flop_per_byte: Option<f64>,
    /// What takes most of it, as in `bound`.
    pub bound: Binds,
    /// Of the time.
    pub shares: Shares,
}

/// Shares of a time by what binds, from 0 to 1; all zero where no time is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Shares {
    /// Of kernels that arithmetic binds.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub compute: f64,
    /// Of kernels that memory binds.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub memory: f64,
    /// Of kernels that are shorter than the time from one launch to the next, where that is known.
    #[cfg_attr(test, schemars(range(min = 0.0, max = 1.0)))]
    pub launches: f64,
}

impl Shares {
    /// Of so many seconds each; all zero where there are none.
    pub(super) fn of(compute: f64, memory: f64, launches: f64) -> Self {
        let total = compute + memory + launches;
        let share = |part: f64| if total > 0.0 { part / total } else { 0.0 };
        Self { compute: share(compute), memory: share(memory), launches: share(launches) }
    }

    /// The largest, where it is clear.
    pub fn verdict(self) -> Binds {
        const CLEAR: f64 = 0.6;
        let all = [
            (self.compute, Binds::Compute),
            (self.memory, Binds::Memory),
            (self.launches, Binds::Launches),
        ];
        if all.iter().all(|(share, _)| *share <= 0.0) {
            return Binds::Unknown;
        }
        all.into_iter().find(|(share, _)| *share >= CLEAR).map_or(Binds::Mixed, |(_, word)| word)
    }
}

/// What a model needs of a device's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FitReport {
    /// Weights and peak activations in bytes; the cache is part of the peak.
    pub needed_bytes: u64,
    /// The device's main memory.
    pub device_bytes: u64,
    /// Whether it fits; absent where a part is not known and the rest does.
    pub fits: Option<bool>,
}

rooflens_ground::open_words! {
    /// A ceiling that binds nodes: the arithmetic units, or a memory level by its name.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum LevelCeiling {
        /// The arithmetic units.
        Compute = "compute",
        /// Main memory.
        Dram = "DRAM",
    }
}

/// The nodes that one ceiling binds when a node's data lie in the innermost level that holds all of
/// them, as after a run that left them there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LevelReport {
    /// `compute`, or a memory level such as `L2` or `DRAM`.
    pub ceiling: LevelCeiling,
    /// Positions in `ops`.
    pub nodes: Vec<usize>,
    /// Σ max(F/π, Q/β) of these nodes, β the bandwidth of the level that holds the node's data.
    pub seconds: f64,
}

/// A likely time, apart from any bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EstimateReport {
    /// `tract` or `ort`.
    #[cfg_attr(test, schemars(extend("enum" = ["tract", "ort"])))]
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// Threads of the inference.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub threads: u32,
    /// Seconds of one run.
    pub seconds: f64,
    /// Median relative error of networks that were held out of the calibration, or of single kernels where there were
    /// none; wider where the calibration did not settle.
    pub held_out_error: f64,
    /// How many networks were held out.
    #[serde(default)]
    pub held_out_networks: usize,
    /// Whether the calibration settled.
    #[serde(default = "settled")]
    pub settled: bool,
    /// Kernels that the sum is of.
    pub kernels: usize,
    /// Kernels of kinds that were not calibrated, which count at the roof.
    pub uncalibrated: usize,
    /// Their operator types.
    #[serde(default)]
    pub uncalibrated_types: BTreeSet<String>,
    /// What the sum is of, by kind of kernel, longest first.
    #[serde(default)]
    pub parts: Vec<EstimatePart>,
}

/// For reports of versions that did not say.
fn settled() -> bool {
    true
}

/// The kernels of one kind in an estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EstimatePart {
    /// A class of kernels, or the operator type of what was not calibrated.
    pub kind: String,
    /// How many, at least 1.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub kernels: usize,
    /// Seconds of all of them in one run.
    pub seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_takes_sixty_percent_of_the_time() {
        let verdict = |c, m, l| Shares::of(c, m, l).verdict();
        assert_eq!(verdict(6.0, 4.0, 0.0).name(), "compute");
        assert_eq!(verdict(1.0, 3.0, 0.0).name(), "memory");
        assert_eq!(verdict(1.0, 1.0, 8.0).name(), "launches");
        assert_eq!(verdict(5.9, 4.1, 0.0).name(), "mixed");
        assert_eq!(verdict(0.0, 0.0, 0.0).name(), "unknown");
    }
}
