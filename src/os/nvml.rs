//! NVIDIA GPUs, as the driver's management library (NVML) shows them.
//!
//! The library is loaded when asked, so that one build runs with and without a driver.

use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};
use serde::Serialize;

/// The driver's library, loaded.
#[derive(Debug)]
pub struct Driver(Nvml);

/// A GPU. What the driver does not report is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// Position in the driver's order.
    pub index: u32,
    /// The driver's unique name.
    pub uuid: Option<String>,
    /// Name, such as `NVIDIA L4`.
    pub name: String,
    /// Compute capability, such as `9.0`.
    pub compute_capability: Option<String>,
    /// Memory, bytes.
    pub memory_bytes: Option<u64>,
    /// Highest clock of the multiprocessors, MHz.
    pub max_clock_mhz: Option<u32>,
    /// Clock of the multiprocessors now, MHz.
    pub clock_mhz: Option<u32>,
    /// Highest clock of the memory, MHz.
    pub max_memory_clock_mhz: Option<u32>,
    /// Power limit in force, W.
    pub power_limit_w: Option<f64>,
    /// Power drawn now, W.
    pub power_w: Option<f64>,
    /// Highest `PCIe` generation of card and slot.
    pub pcie_generation: Option<u32>,
    /// Highest `PCIe` width of card and slot, lanes.
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

/// Every reason that counts, by the driver's bit.
const SLOWDOWNS: [(ThrottleReasons, SlowdownKind, &str); 7] = [
    (ThrottleReasons::SW_POWER_CAP, SlowdownKind::PowerLimit, "the power limit"),
    (ThrottleReasons::HW_SLOWDOWN, SlowdownKind::Hardware, "a hardware slowdown"),
    (ThrottleReasons::SW_THERMAL_SLOWDOWN, SlowdownKind::Hardware, "the temperature limit"),
    (ThrottleReasons::HW_THERMAL_SLOWDOWN, SlowdownKind::Hardware, "a hardware slowdown for heat"),
    (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, SlowdownKind::Hardware, "the power supply's brake"),
    (ThrottleReasons::SYNC_BOOST, SlowdownKind::Chosen, "another GPU of its group"),
    (
        ThrottleReasons::APPLICATIONS_CLOCKS_SETTING,
        SlowdownKind::Chosen,
        "clocks that somebody set",
    ),
];

/// Why there is no list of GPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DriverError {
    /// The library is not there, or finds no driver.
    #[error("no NVIDIA driver found")]
    NoDriver,
    /// The driver is there and does not answer.
    #[error("the NVIDIA driver does not answer: {0}")]
    Failed(String),
}

impl From<NvmlError> for DriverError {
    fn from(error: NvmlError) -> Self {
        match error {
            NvmlError::LibloadingError(_)
            | NvmlError::LibraryNotFound
            | NvmlError::DriverNotLoaded => Self::NoDriver,
            other => Self::Failed(other.to_string()),
        }
    }
}

impl Driver {
    /// Loads the driver's library.
    pub fn open() -> Result<Self, DriverError> {
        Ok(Self(Nvml::init()?))
    }

    /// All GPUs, in the driver's order.
    pub fn gpus(&self) -> Result<Vec<Gpu>, DriverError> {
        let count = self.0.device_count()?;
        (0..count).map(|index| Ok(describe(index, &self.0.device_by_index(index)?)?)).collect()
    }

    /// What the GPU at a position of the driver's order does now; empty where it does not answer.
    pub fn state(&self, index: u32) -> State {
        self.0.device_by_index(index).map(|gpu| state(&gpu)).unwrap_or_default()
    }
}

fn watts(milliwatts: u32) -> f64 {
    f64::from(milliwatts) / 1e3
}

fn describe(index: u32, gpu: &Device<'_>) -> Result<Gpu, NvmlError> {
    let capability = gpu.cuda_compute_capability().ok();
    Ok(Gpu {
        index,
        uuid: gpu.uuid().ok(),
        name: gpu.name()?,
        compute_capability: capability.map(|c| format!("{}.{}", c.major, c.minor)),
        memory_bytes: gpu.memory_info().ok().map(|m| m.total),
        max_clock_mhz: gpu.max_clock_info(Clock::SM).ok(),
        clock_mhz: gpu.clock_info(Clock::SM).ok(),
        max_memory_clock_mhz: gpu.max_clock_info(Clock::Memory).ok(),
        power_limit_w: gpu.enforced_power_limit().ok().map(watts),
        power_w: gpu.power_usage().ok().map(watts),
        pcie_generation: gpu.max_pcie_link_gen().ok(),
        pcie_lanes: gpu.max_pcie_link_width().ok(),
    })
}

fn state(gpu: &Device<'_>) -> State {
    State {
        busy_percent: gpu.utilization_rates().ok().map(|u| u.gpu),
        memory_bytes: gpu.memory_info().ok().map(|m| m.used),
        power_w: gpu.power_usage().ok().map(watts),
        energy_j: gpu.total_energy_consumption().ok().map(|mj| mj as f64 / 1e3),
        clock_mhz: gpu.clock_info(Clock::SM).ok(),
        memory_clock_mhz: gpu.clock_info(Clock::Memory).ok(),
        temperature_c: gpu.temperature(TemperatureSensor::Gpu).ok(),
        slowed_by: gpu.current_throttle_reasons().ok().map(slowdowns),
    }
}

fn slowdowns(reasons: ThrottleReasons) -> Vec<Slowdown> {
    let active = SLOWDOWNS.into_iter().filter(|(bit, ..)| reasons.contains(*bit));
    active.map(|(_, kind, name)| Slowdown { kind, name }).collect()
}

impl State {
    /// Whether something of this kind holds the clocks down.
    pub fn is_slowed(&self, kind: SlowdownKind) -> Option<bool> {
        Some(self.slowed_by.as_ref()?.iter().any(|s| s.kind == kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_gpu_is_not_slowed() {
        assert!(slowdowns(ThrottleReasons::GPU_IDLE).is_empty());
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        let names: Vec<&str> = slowdowns(both).iter().map(|s| s.name).collect();
        assert_eq!(names, ["the power limit", "a hardware slowdown for heat"]);
    }

    #[test]
    fn kinds_of_slowdowns_are_apart_and_unknown_is_not_no() {
        let state = State {
            slowed_by: Some(slowdowns(ThrottleReasons::SYNC_BOOST | ThrottleReasons::SW_POWER_CAP)),
            ..State::default()
        };
        assert_eq!(state.is_slowed(SlowdownKind::PowerLimit), Some(true));
        assert_eq!(state.is_slowed(SlowdownKind::Hardware), Some(false));
        assert_eq!(State::default().is_slowed(SlowdownKind::Hardware), None);
    }
}
