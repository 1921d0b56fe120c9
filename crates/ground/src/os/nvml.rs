//! NVIDIA GPUs, as the driver's management library (NVML) shows them.
//!
//! The library is loaded when asked, so that one build runs with and without a driver.

#[cfg_attr(not(feature = "nvml"), path = "nvml/absent.rs")]
mod driver;

pub use driver::Driver;
use serde::Serialize;

/// A GPU. What the driver does not report is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gpu {
    /// Its position in the driver's order, from 0.
    pub index: u32,
    /// The unique name that the driver gives it.
    pub uuid: Option<String>,
    /// Its name, such as `NVIDIA L4`.
    pub name: String,
    /// Its compute capability, such as `9.0`; null where the driver does not report it, as in all that follow.
    pub compute_capability: Option<String>,
    /// Its memory in bytes.
    pub memory_bytes: Option<u64>,
    /// The highest clock of its multiprocessors in MHz.
    pub max_clock_mhz: Option<u32>,
    /// The clock of its multiprocessors when it was asked, in MHz.
    pub clock_mhz: Option<u32>,
    /// The highest clock of its memory in MHz.
    pub max_memory_clock_mhz: Option<u32>,
    /// The power limit in force, in watts.
    pub power_limit_w: Option<f64>,
    /// The power that it drew when it was asked, in watts.
    pub power_w: Option<f64>,
    /// The highest `PCIe` generation that both card and slot allow, from 1.
    pub pcie_generation: Option<u32>,
    /// The most `PCIe` lanes that both card and slot allow.
    pub pcie_lanes: Option<u32>,
}

/// A GPU at an instant. What the driver does not report is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Share of the last sampling period in which a kernel ran, per cent.
    pub busy_percent: Option<u32>,
    /// Memory in use, of all processes, bytes.
    pub memory_bytes: Option<u64>,
    /// Power drawn, a mean of up to a second, W.
    pub power_w: Option<f64>,
    /// Energy since the driver was loaded, J.
    pub energy_j: Option<f64>,
    /// Clock of the multiprocessors, MHz.
    pub clock_mhz: Option<u32>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Temperature of the chip, °C.
    pub temperature_c: Option<u32>,
    /// What holds the clocks down; empty while nothing does.
    pub slowed_by: Option<Vec<Slowdown>>,
}

/// Something that holds a GPU's clocks down; idleness is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slowdown {
    /// Its kind.
    pub kind: SlowdownKind,
    /// As a noun, such as `the power limit`.
    pub name: &'static str,
}

/// Kinds of slowdowns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowdownKind {
    /// Heat, the board or the power supply: the GPU is slower than the same model elsewhere.
    Hardware,
    /// The power limit, which is part of how the GPU is set up.
    PowerLimit,
    /// What somebody chose: fixed clocks, or another GPU of the group.
    Chosen,
}

/// Why there is no list of GPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// The library is not there, or finds no driver.
    #[error("no NVIDIA driver found")]
    NoDriver,
    /// The driver is there and does not answer.
    #[error("the NVIDIA driver does not answer: {0}")]
    Failed(String),
    /// The program was built without the feature `nvml`.
    #[error("this build cannot ask the NVIDIA driver")]
    NotBuilt,
}

impl State {
    /// Whether something of this kind holds the clocks down.
    pub fn is_slowed(&self, kind: SlowdownKind) -> Option<bool> {
        Some(self.slowed_by.as_ref()?.iter().any(|s| s.kind == kind))
    }
}
