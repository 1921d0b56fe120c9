//! `rooflens hw compare`.

use super::{Exit, Form, catalogue, find};
use crate::hwdb::{CeilingType, Device};
use anyhow::Result;
use std::path::PathBuf;

/// Compare devices; figures are also given relative to the first device.
///
/// Example: rooflens hw compare t4 l4 a10 --dtype f16
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// IDs, aliases or names of two or more devices.
    #[arg(required = true, num_args = 2..)]
    devices: Vec<String>,
    /// Only this data type, such as f32, bf16, i8.
    #[arg(long)]
    dtype: Option<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let devices: Vec<&Device> =
            self.devices.iter().map(|n| find(&catalogue, n)).collect::<Result<_>>()?;
        let dtypes = dtypes(&devices, self.dtype.as_deref())?;
        self.format.emit(&devices, || crate::render::text::compare(&devices, &dtypes))?;
        Ok(Exit::Good)
    }
}

/// Types that at least one of the devices has, in the order of first mention.
fn dtypes(devices: &[&Device], wanted: Option<&str>) -> Result<Vec<CeilingType>> {
    let mut all: Vec<CeilingType> = Vec::new();
    for peak in devices.iter().flat_map(|d| &d.peaks) {
        if !all.contains(&peak.dtype) {
            all.push(peak.dtype.clone());
        }
    }
    let Some(wanted) = wanted else { return Ok(all) };
    let wanted = crate::analysis::type_name(wanted).unwrap_or(wanted);
    if let Some(found) = all.iter().find(|t| t.name() == wanted) {
        return Ok(vec![found.clone()]);
    }
    let names: Vec<&str> = all.iter().map(CeilingType::name).collect();
    let message = format!("none of these devices has a peak for `{wanted}`");
    Err(super::hinted(message, format!("they have: {}", names.join(", "))))
}
