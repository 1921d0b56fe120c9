//! The GPUs of `rooflens hw measure`.

use crate::host::{GpuSurvey, HOST, SurveyPlan, gpu_surveys};
use crate::hwdb::{Catalogue, Device};
use crate::results::GpuSurveys;

/// Measures all GPUs that a driver shows.
pub(super) fn measure(plan: &SurveyPlan, progress: &mut dyn FnMut(f64)) -> GpuSurveys {
    match gpu_surveys(plan, progress) {
        Ok(gpus) => {
            let none = gpus.is_empty().then(|| "none found by the NVIDIA driver".into());
            GpuSurveys { gpus, no_gpus_because: none }
        }
        Err(e) => GpuSurveys { gpus: Vec::new(), no_gpus_because: Some(e.to_string()) },
    }
}

/// A device for each GPU of which anything is known: `host-gpu0`, or `box-gpu0` after another id.
pub(super) fn devices(all: &GpuSurveys, id: &str, catalogue: &Catalogue) -> Vec<Device> {
    let device = |s: &GpuSurvey| {
        let known = catalogue.closest(&s.gpu.name, s.gpu.memory_bytes);
        let parent = known.map(|d| d.variant_of.clone().unwrap_or_else(|| d.id.clone()));
        let mut device = s.device(&format!("{id}-gpu{}", s.gpu.index));
        device.variant_of = parent;
        if id == HOST {
            device.aliases = vec![format!("this-gpu{}", s.gpu.index)];
        }
        device
    };
    all.gpus.iter().map(device).filter(|d| !d.peaks.is_empty()).collect()
}
