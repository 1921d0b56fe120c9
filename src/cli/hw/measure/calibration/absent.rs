//! In place of calibration in a build without the feature `load`.

use super::super::hinted;
use crate::cli::runtimes::RuntimeName;
use crate::hwdb::{Calibration, Device};
use anyhow::Result;
use std::path::Path;

/// Fails: this build runs nothing.
pub(super) fn ready(_: &[RuntimeName], _: Option<&Path>) -> Result<()> {
    Err(hinted("this build has no runtime in it", "build with the feature `tract` or `ort`"))
}

/// Fails: this build runs nothing.
pub(super) fn calibrations(
    runtimes: &[RuntimeName],
    library: Option<&Path>,
    _: &Device,
) -> Result<Vec<Calibration>> {
    ready(runtimes, library).map(|()| Vec::new())
}
