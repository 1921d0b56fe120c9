//! `rooflens hw show`.

use super::{Exit, catalogue, emit, find};
use crate::render::{json, text};
use anyhow::Result;
use std::path::PathBuf;

/// Show a device: ceilings, ridge points, sources and a small roofline.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// ID, alias or name, such as `v100`, `t4`, `rtx 2080 ti`, or `host` once measured.
    device: String,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Toml,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let device = find(&catalogue, &self.device)?;
        let text = match self.format {
            Form::Json => json::pretty(device)?,
            Form::Toml => toml::to_string_pretty(device)?,
            Form::Table => text::device(&catalogue, device),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}
