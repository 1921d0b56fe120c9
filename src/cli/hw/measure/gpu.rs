//! The GPUs of `rooflens hw measure`.

use crate::host::{Figure, GpuSurvey, HOST, SurveyPlan, gpu_surveys};
use crate::hwdb::{Catalogue, CeilingType, Device};
use crate::units::si;
use serde::Serialize;
use std::fmt::Write;

/// What was measured of GPUs, or why nothing was.
#[derive(Serialize)]
pub(super) struct Gpus {
    gpus: Vec<GpuSurvey>,
    /// Why there are none.
    no_gpus_because: Option<String>,
}

/// Measures all GPUs that a driver shows.
pub(super) fn measure(plan: &SurveyPlan, progress: &mut dyn FnMut(f64)) -> Gpus {
    match gpu_surveys(plan, progress) {
        Ok(gpus) if gpus.is_empty() => {
            Gpus { gpus, no_gpus_because: Some("the NVIDIA driver knows none".into()) }
        }
        Ok(gpus) => Gpus { gpus, no_gpus_because: None },
        Err(e) => Gpus { gpus: Vec::new(), no_gpus_because: Some(e.to_string()) },
    }
}

impl Gpus {
    /// A device a GPU of which anything is known: `host-gpu0`, or `box-gpu0` after another id.
    pub(super) fn devices(&self, id: &str, catalogue: &Catalogue) -> Vec<Device> {
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
        self.gpus.iter().map(device).filter(|d| !d.peaks.is_empty()).collect()
    }

    /// The lines printed.
    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        if let Some(reason) = &self.no_gpus_because {
            let _ = writeln!(text, "GPU: {reason}");
        }
        for s in &self.gpus {
            let _ = writeln!(text, "\nGPU {}: {}", s.gpu.index, s.gpu.name);
            let mut row = |name: &str, figure: Option<Figure>, unit: &str| {
                if let Some(f) = figure {
                    let half = 50.0 * f.spread();
                    let _ = writeln!(text, "{name:<24} {:>14} {half:>5.1}%", si(f.median, unit));
                }
            };
            for p in &s.products {
                let unit = CeilingType::from(p.dtype).unit_of_rate();
                row(&format!("{} GEMM of {}", p.dtype, p.size), Some(p.per_second), unit);
            }
            row("copy", s.copy, "B/s");
            row("host to device", s.to_device, "B/s");
            row("device to host", s.from_device, "B/s");
            row("launches", s.launches, "/s");
            let loaded = [
                s.loaded.clock_mhz.map(|c| format!("{c} MHz")),
                s.loaded.power_w.map(|w| format!("{w:.0} W")),
                s.loaded.temperature_c.map(|t| format!("{t} °C")),
            ];
            let loaded: Vec<String> = loaded.into_iter().flatten().collect();
            if !loaded.is_empty() {
                let _ = writeln!(text, "under load: {}", loaded.join(", "));
            }
            for absent in &s.absent {
                let _ = writeln!(text, "not measured: {absent}");
            }
            for doubt in &s.doubts {
                let _ = writeln!(text, "warning: {doubt}");
            }
        }
        text
    }
}
