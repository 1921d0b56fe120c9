//! NVIDIA GPUs, as the driver's management library (NVML) describes them.
//!
//! The library is loaded when asked, so that one build runs with and without a driver.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(any(feature = "cuda", test))]
mod number;
mod survey;

pub use survey::{GpuProduct, GpuSurvey, gpu_surveys};

use nvml_wrapper::Nvml;
#[cfg(any(feature = "cuda", test))]
use nvml_wrapper::bitmasks::device::ThrottleReasons;
use nvml_wrapper::enum_wrappers::device::Clock;
#[cfg(feature = "cuda")]
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// A GPU. What the driver does not tell is absent.
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

/// Why there is no list of GPUs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The management library is not there, or finds no driver.
    #[error("no NVIDIA driver found")]
    NoDriver,
    /// The driver is there and does not answer.
    #[error("the NVIDIA driver does not answer: {0}")]
    Driver(String),
    /// Arithmetic cannot be measured.
    #[error("GPU ceilings are not measured: {0}")]
    Cuda(String),
}

/// What a GPU does at a moment. What the driver does not tell is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct GpuState {
    /// Clock of the multiprocessors, MHz.
    pub clock_mhz: Option<u32>,
    /// Clock of the memory, MHz.
    pub memory_clock_mhz: Option<u32>,
    /// Temperature of the chip, °C.
    pub temperature_c: Option<u32>,
    /// Power drawn, W.
    pub power_w: Option<f64>,
    /// Share of the last moments in which it was busy, per cent.
    pub busy_percent: Option<u32>,
    /// What holds the clock down.
    pub slowed_by: Vec<&'static str>,
}

impl GpuState {
    /// The state of the GPU of this unique name; empty where the driver does not answer.
    #[cfg(feature = "cuda")]
    fn now(uuid: &str) -> Self {
        let read = || -> Result<Self, NvmlError> {
            let nvml = Nvml::init()?;
            let gpu = nvml.device_by_uuid(uuid)?;
            Ok(Self {
                clock_mhz: gpu.clock_info(Clock::SM).ok(),
                memory_clock_mhz: gpu.clock_info(Clock::Memory).ok(),
                temperature_c: gpu.temperature(TemperatureSensor::Gpu).ok(),
                power_w: gpu.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1e3),
                busy_percent: gpu.utilization_rates().ok().map(|u| u.gpu),
                slowed_by: gpu.current_throttle_reasons().map(slowed_by).unwrap_or_default(),
            })
        };
        read().unwrap_or_default()
    }
}

/// The reasons that slow work down; an idle GPU and clocks that somebody chose are told apart.
#[cfg(any(feature = "cuda", test))]
fn slowed_by(reasons: ThrottleReasons) -> Vec<&'static str> {
    let named = [
        (ThrottleReasons::SW_POWER_CAP, "the power limit"),
        (ThrottleReasons::HW_SLOWDOWN, "a hardware slowdown"),
        (ThrottleReasons::SW_THERMAL_SLOWDOWN, "the temperature limit"),
        (ThrottleReasons::HW_THERMAL_SLOWDOWN, "a hardware slowdown for heat"),
        (ThrottleReasons::HW_POWER_BRAKE_SLOWDOWN, "the power supply's brake"),
        (ThrottleReasons::SYNC_BOOST, "another GPU of its group"),
        (ThrottleReasons::APPLICATIONS_CLOCKS_SETTING, "clocks that somebody set"),
    ];
    named.into_iter().filter(|(r, _)| reasons.contains(*r)).map(|(_, name)| name).collect()
}

/// The GPUs of this machine that the NVIDIA driver knows.
pub fn gpus() -> Result<Vec<Gpu>, GpuError> {
    let fail = |e: NvmlError| match e {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound | NvmlError::DriverNotLoaded => {
            GpuError::NoDriver
        }
        other => GpuError::Driver(other.to_string()),
    };
    let nvml = Nvml::init().map_err(fail)?;
    let count = nvml.device_count().map_err(fail)?;
    (0..count).map(|index| describe(&nvml, index).map_err(fail)).collect()
}

fn describe(nvml: &Nvml, index: u32) -> Result<Gpu, NvmlError> {
    let gpu = nvml.device_by_index(index)?;
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1e3;
    Ok(Gpu {
        index,
        uuid: gpu.uuid().ok(),
        name: gpu.name()?,
        compute_capability: gpu
            .cuda_compute_capability()
            .ok()
            .map(|c| format!("{}.{}", c.major, c.minor)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_gpu_is_not_slowed() {
        assert!(slowed_by(ThrottleReasons::GPU_IDLE).is_empty());
        let both = ThrottleReasons::SW_POWER_CAP | ThrottleReasons::HW_THERMAL_SLOWDOWN;
        assert_eq!(slowed_by(both), ["the power limit", "a hardware slowdown for heat"]);
    }
}
