//! `rooflens hw check`.

use super::{Exit, Form, catalogue, hinted};
use crate::hwdb::{Catalogue, DeviceCheck};
use anyhow::Result;
use std::path::PathBuf;

/// Recompute every peak from units × clock × width, and report mismatches.
///
/// Exit code 1 when a file has a problem. Figures that sources disagree on are both shown, and are not
/// a problem.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Device files, or IDs of known devices.
    #[arg(conflicts_with = "all", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// All known devices.
    #[arg(long)]
    all: bool,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if self.files.is_empty() && !self.all {
            return Err(hinted("nothing to check", "name a device file, or pass --all"));
        }
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let checked: Vec<DeviceCheck> = if self.all {
            catalogue.iter().map(|d| DeviceCheck::new(&catalogue, d)).collect()
        } else {
            self.files.iter().map(|f| one(&catalogue, f)).collect::<Result<_>>()?
        };
        self.format.emit(&checked, || crate::render::text::device_checks(&checked))?;
        let good = checked.iter().all(|c| c.problems.is_empty());
        Ok(if good { Exit::Good } else { Exit::Failed })
    }
}

/// A file, checked among the known devices; or a known device, where there is no such file.
fn one(catalogue: &Catalogue, file: &std::path::Path) -> Result<DeviceCheck> {
    if !file.exists() {
        if let Ok(device) = catalogue.find(&file.display().to_string()) {
            return Ok(DeviceCheck::new(catalogue, device));
        }
    }
    let mut with = catalogue.clone();
    let device = with
        .load_file(file)
        .map_err(|e| {
            hinted(e.to_string(), "`rooflens hw show t4 --format toml` prints a valid one")
        })?
        .clone();
    let mut checked = DeviceCheck::new(&with, &device);
    let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
    if stem.as_deref() != Some(device.id.as_str()) {
        checked.problems.push(format!("the id `{}` is not the file's name", device.id));
    }
    Ok(checked)
}
