//! `rooflens diff`: two models, or two exports of one.

use super::sizes::Sizes;
use super::{Exit, Form};
use crate::report::ModelReport;
use crate::results::ModelDiff;
use anyhow::Result;
use std::path::PathBuf;

/// Compare two models: totals side by side, and differences by operator.
///
/// --dim, --shape and --value apply to each model that has the symbol or input they name.
///
/// Examples:
///   rooflens diff resnet50.onnx quantized.onnx
///   rooflens diff old.onnx new.onnx --dim seq=128 --format json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// First model.
    a: PathBuf,
    /// Second model.
    b: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let (mut a, known) = self.sizes.shared_report(&self.a)?;
        let (mut b, more) = self.sizes.shared_report(&self.b)?;
        if self.format != Form::Json {
            [&mut a, &mut b].into_iter().for_each(ModelReport::show_names);
        }
        self.sizes.used(known.and(more), "neither model")?;
        let diff = ModelDiff::new(&a, &b);
        self.format.emit(&diff, || crate::render::text::diff(&diff))?;
        Ok(Exit::Good)
    }
}
