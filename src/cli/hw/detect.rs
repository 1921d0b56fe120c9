//! `rooflens hw detect`.

use super::{Exit, Form, catalogue, emit, print_json};
use crate::host::{Cpu, Gpu, cpu, gpus};
use crate::units::si;
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Say what this machine is, without measuring: CPU, caches, memory, NVIDIA GPUs.
///
/// Exit code 0 whether or not there is a GPU; a missing driver is said.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// A folder of your own device files; GPUs are looked for among them, too.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

#[derive(Serialize)]
struct Detected {
    cpu: Cpu,
    gpus: Vec<KnownGpu>,
    /// Why the list of GPUs is empty, where the driver could not be asked.
    no_gpus_because: Option<String>,
}

#[derive(Serialize)]
struct KnownGpu {
    #[serde(flatten)]
    gpu: Gpu,
    /// The known device it seems to be.
    device: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let (gpus, no_gpus_because) = match gpus() {
            Ok(gpus) => (gpus, None),
            Err(e) => (Vec::new(), Some(e.to_string())),
        };
        let known = |gpu: Gpu| {
            let device = catalogue.closest(&gpu.name, gpu.memory_bytes).map(|d| d.id.clone());
            KnownGpu { gpu, device }
        };
        let gpus = gpus.into_iter().map(known).collect();
        let detected = Detected { cpu: cpu(), gpus, no_gpus_because };
        if self.format == Form::Json {
            print_json(&detected)?;
        } else {
            emit(&table(&detected), None)?;
        }
        Ok(Exit::Good)
    }
}

fn table(d: &Detected) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<12} {value}");
    };
    let cpu = &d.cpu;
    let vendor = cpu.vendor.as_ref().map_or(String::new(), |v| format!(", {v}"));
    row("CPU", format!("{} ({}{vendor})", cpu.name, cpu.arch));
    let cores = cpu.cores.map_or(String::new(), |c| format!(" on {c} cores"));
    row("threads", format!("{}{cores}", cpu.threads));
    row("SIMD", if cpu.simd.is_empty() { "unknown".into() } else { cpu.simd.join(", ") });
    for cache in &cpu.caches {
        let size = if cache.bytes >= 1 << 20 {
            format!("{} MiB", cache.bytes >> 20)
        } else {
            format!("{} KiB", cache.bytes >> 10)
        };
        let shared = match cache.shared_by {
            1 => "one a thread".to_owned(),
            n => format!("shared by {n} threads"),
        };
        row(&format!("L{} cache", cache.level), format!("{size}, {shared}"));
    }
    if cpu.caches.is_empty() {
        row("caches", "unknown".into());
    }
    row("memory", cpu.memory_bytes.map_or("unknown".into(), |b| si(b as f64, "B")));
    if let Some(clock) = cpu.max_clock_mhz {
        row("clock", format!("at most {clock:.0} MHz"));
    }
    if cpu.virtual_machine == Some(true) {
        row("virtual", "yes: neighbours share caches and memory".into());
    }
    for known in &d.gpus {
        row(&format!("GPU {}", known.gpu.index), gpu(known));
    }
    match (&d.no_gpus_because, d.gpus.is_empty()) {
        (Some(reason), _) => row("GPU", reason.clone()),
        (None, true) => row("GPU", "the NVIDIA driver knows none".into()),
        (None, false) => {}
    }
    text
}

fn gpu(known: &KnownGpu) -> String {
    let g = &known.gpu;
    let parts = [
        g.memory_bytes.map(|b| si(b as f64, "B")),
        g.compute_capability.as_ref().map(|c| format!("compute {c}")),
        g.max_clock_mhz.map(|c| format!("at most {c} MHz")),
        g.power_limit_w.map(|w| format!("{w:.0} W")),
        g.pcie_generation.zip(g.pcie_lanes).map(|(g, l)| format!("PCIe {g} x{l}")),
        known.device.as_ref().map(|d| format!("known as {d}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", g.name, parts.join(", "))
}
