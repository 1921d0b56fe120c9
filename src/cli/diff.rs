//! `rooflens diff`: two models, or two exports of one.

use super::sizes::{Names, Sizes};
use super::{Exit, Form, emit, hinted, nearest};
use crate::report::ModelReport;
use crate::results::ModelDiff;
use anyhow::Result;
use std::collections::BTreeSet;
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
        self.used(known.and(more))?;
        let diff = ModelDiff::new(&a, &b);
        let text = match self.format {
            Form::Json => crate::render::json::pretty(&diff)?,
            Form::Table => crate::render::text::diff(&diff),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

impl Args {
    /// Whether at least one of the models has what was given a value.
    fn used(&self, known: Names) -> Result<()> {
        let missing = |texts: &[String], names: &BTreeSet<String>, last: bool| {
            let name = |text: &String| {
                let split = if last { text.rsplit_once('=') } else { text.split_once('=') };
                split.map(|(name, _)| name.trim().to_owned())
            };
            texts.iter().filter_map(name).find(|name| !names.contains(name))
        };
        let Names { symbols, inputs, batch } = known;
        let refuse = |(one, many): (&str, &str), name: &str, all: &BTreeSet<String>| {
            let hint = match (nearest(name, all.iter().map(String::as_str)), all.is_empty()) {
                (_, true) => "all sizes of these models are fixed".to_owned(),
                (Some(close), _) => format!("did you mean `{close}`?"),
                (None, _) => {
                    let all: Vec<&str> = all.iter().map(String::as_str).collect();
                    format!("their {many} are: {}", all.join(", "))
                }
            };
            hinted(format!("neither model has {one} `{name}`"), hint)
        };
        if let Some(name) = missing(&self.sizes.dim, &symbols, false) {
            return Err(refuse(("a symbol", "symbols"), &name, &symbols));
        }
        for texts in [&self.sizes.shape, &self.sizes.value] {
            if let Some(name) = missing(texts, &inputs, true) {
                return Err(refuse(("an input", "inputs"), &name, &inputs));
            }
        }
        if self.sizes.batch.is_some() && !batch {
            let message = "--batch: neither model has a dimension that is known to be the batch";
            let hint = if symbols.is_empty() {
                "omit --batch: all sizes of these models are fixed"
            } else {
                "set sizes by their names with --dim"
            };
            return Err(hinted(message, hint));
        }
        Ok(())
    }
}
