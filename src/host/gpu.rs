//! The GPUs of this machine: what they are, what they do at a moment, and their measured ceilings.

#[cfg_attr(not(feature = "cuda"), path = "gpu/absent.rs")]
mod cuda;
mod survey;

pub use crate::os::nvml::Gpu;
pub use survey::{GpuProduct, GpuSurvey};

use crate::host::SurveyPlan;
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
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

/// The GPUs of this machine that the NVIDIA driver knows.
pub fn gpus() -> Result<Vec<Gpu>, GpuError> {
    Ok(Driver::open()?.gpus()?)
}

/// Measures every GPU that CUDA shows to this process; `progress` gets the finished share.
pub fn gpu_surveys(
    plan: &SurveyPlan,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<GpuSurvey>, GpuError> {
    let mut surveys = cuda::surveys(plan, progress)?;
    surveys.iter_mut().for_each(GpuSurvey::doubt);
    Ok(surveys)
}
