//! `rooflens hw detect`.

use super::{Exit, Form, catalogue};
use crate::host::{Gpu, cpu, gpus};
use crate::results::{Detected, KnownGpu};
use anyhow::Result;
use std::path::PathBuf;

/// Describe this machine without measuring: CPU, caches, memory, NVIDIA GPUs.
///
/// Exit code 0 with or without a GPU; a missing driver is reported.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Folder of your own device files; GPUs of this machine are matched with these, too.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
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
        self.format.emit(&detected, || crate::render::text::detected(&detected))?;
        Ok(Exit::Good)
    }
}
