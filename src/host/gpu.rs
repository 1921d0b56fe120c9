//! NVIDIA GPUs, as the driver's management library (NVML) describes them.
//!
//! The library is loaded when asked, so that one build runs with and without a driver.

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::Clock;
use nvml_wrapper::error::NvmlError;
use serde::Serialize;

/// A GPU. What the driver does not tell is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gpu {
    /// Position in the driver's order.
    pub index: u32,
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
