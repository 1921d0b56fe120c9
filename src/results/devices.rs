//! This machine as it was detected or measured.

use crate::host::{Cpu, Gpu, GpuSurvey, Survey, Waited};
use crate::hwdb::Calibration;
use crate::schema::HostPart;
#[cfg(test)]
use crate::schemas::elsewhere;
use serde::Serialize;

/// What `rooflens hw detect` finds.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Detected {
    /// The processor.
    pub cpu: Cpu,
    /// NVIDIA GPUs.
    pub gpus: Vec<KnownGpu>,
    /// Why the list of GPUs is empty, where the driver could not be asked.
    pub no_gpus_because: Option<String>,
}

/// A GPU of this machine.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KnownGpu {
    /// The GPU as its driver shows it.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(skip))]
    pub gpu: Gpu,
    /// The id of the known device that it seems to be.
    pub device: Option<String>,
}

/// GPUs that were measured, or why none was.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GpuSurveys {
    /// The measured GPUs.
    pub gpus: Vec<GpuSurvey>,
    /// Why there are none.
    pub no_gpus_because: Option<String>,
}

/// What `rooflens hw measure` prints.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SurveyResult<'a> {
    /// The processor's ceilings.
    #[serde(flatten)]
    pub survey: &'a Survey,
    /// Those of GPUs.
    #[serde(flatten)]
    pub gpus: &'a GpuSurveys,
    /// Which machine it is.
    #[cfg_attr(test, schemars(with = "elsewhere::HostPart"))]
    pub machine: &'a HostPart,
    /// How long was waited for it to become quiet; none where that was not wanted.
    pub waited: Option<&'a Waited>,
    /// Why the ceilings were not kept, as clauses; empty where they were, or where that was not asked for.
    pub not_saved: &'a [String],
    /// Calibrations of runtimes, where they were asked for.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[cfg_attr(test, schemars(with = "Vec<elsewhere::Calibration>"))]
    pub calibrations: &'a [Calibration],
}
