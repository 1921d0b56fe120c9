//! `rooflens formats`: the model files that are read.

use super::form::Form;
use super::{Exit, emit};
use crate::formats::FORMATS;

/// List the supported formats of model files.
///
/// Formats are recognized by the content of a file, never by its name. Weights are mapped, not read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let text = match self.format {
            Form::Table => crate::render::text::formats(FORMATS),
            Form::Json => crate::render::json::formats(FORMATS)?,
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}
