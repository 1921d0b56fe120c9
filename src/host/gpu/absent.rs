//! A build without the feature `cuda` measures no GPU.

use super::{GpuError, GpuSurvey};
use crate::host::SurveyPlan;

/// No surveys where there is no GPU; an error where there is one.
pub(super) fn surveys(_: &SurveyPlan, _: &mut dyn FnMut(f64)) -> Result<Vec<GpuSurvey>, GpuError> {
    if super::gpus()?.is_empty() {
        return Ok(Vec::new());
    }
    Err(GpuError::Cuda("this build lacks the feature `cuda`".into()))
}
