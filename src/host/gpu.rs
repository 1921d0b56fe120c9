//! The GPUs of this machine: what they are, what they do at a moment, and their measured ceilings.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(any(feature = "cuda", test))]
mod number;
mod survey;

pub use crate::os::nvml::Gpu;
pub use survey::{GpuProduct, GpuSurvey, gpu_surveys};

use crate::os::nvml::{Driver, DriverError};
use serde::Serialize;

/// Why there is no list of GPUs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// The driver is not there or does not answer.
    #[error(transparent)]
    Driver(#[from] DriverError),
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
    /// The state of a GPU; empty where the driver does not answer.
    #[cfg(feature = "cuda")]
    fn now(gpu: &Gpu) -> Self {
        let state = Driver::open().map(|d| d.state(gpu.index)).unwrap_or_default();
        let slowed_by = state.slowed_by.unwrap_or_default();
        Self {
            clock_mhz: state.clock_mhz,
            memory_clock_mhz: state.memory_clock_mhz,
            temperature_c: state.temperature_c,
            power_w: state.power_w,
            busy_percent: state.busy_percent,
            slowed_by: slowed_by.iter().map(|s| s.name).collect(),
        }
    }
}

/// The GPUs of this machine that the NVIDIA driver knows.
pub fn gpus() -> Result<Vec<Gpu>, GpuError> {
    Ok(Driver::open()?.gpus()?)
}
