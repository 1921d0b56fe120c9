//! `rooflens analyze`: what a model costs, from its file alone.

use super::sizes::Sizes;
use super::{Exit, emit};
use crate::hwdb::Choice;
use crate::report::{BoundReport, Listing, ModelReport};
use anyhow::Result;
use std::path::PathBuf;

/// Count a model's FLOPs, bytes and memory from its file, without reading its weights.
///
/// Dynamic dimensions stay symbols, and totals are also given as formulas in them.
///
/// Examples:
///   rooflens analyze resnet50.onnx --batch 8
///   rooflens analyze bert.onnx --dim batch=1 --dim seq=128 --by op --top 10
///   rooflens analyze net.onnx --shape images=1x3x640x640 --format json -o net.json
///   rooflens analyze decoder_merged.onnx --value use_cache_branch=true
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct Args {
    /// Model file; `rooflens formats` lists what is read.
    model: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
    /// Rows to list: every node, sums per operator type, or totals only [default: type, with CSV: op].
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// Maximum number of rows, largest first.
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Report what bounds the model on this device, and the lower bound of its time there. Repeatable.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// With --on: accumulator type, where a device has several rates [default: f32].
    #[arg(long, value_name = "TYPE", requires = "on")]
    accumulate: Option<String>,
    /// With --on: compute unit, such as vector, tensor or dla; `all` combines all engines.
    #[arg(long, value_name = "UNIT", requires = "on")]
    unit: Option<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Exit with 1 unless all numbers are exact.
    ///
    /// They are not when the cost of a node is unknown or an upper bound, when a size is assumed, or when sizes
    /// contradict the model.
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum By {
    Op,
    Type,
    Total,
}

impl By {
    fn listing(self) -> Listing {
        match self {
            Self::Op => Listing::Nodes,
            Self::Type => Listing::Types,
            Self::Total => Listing::Totals,
        }
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Csv,
    Markdown,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let mut report = self.sizes.report(&self.model)?;
        if !self.on.is_empty() {
            report.bounds = self.bounds(&report)?;
        }
        let by = self.by.map(By::listing);
        let text = match self.format {
            Form::Json => {
                super::emit_json(&report, self.output.as_deref())?;
                return self.end(report);
            }
            Form::Csv => crate::report::csv(&report, by.unwrap_or(Listing::Nodes)),
            Form::Markdown => {
                report.show_names();
                crate::report::markdown(&report, by.unwrap_or(Listing::Types), self.top)
            }
            Form::Table => {
                report.show_names();
                let by = by.unwrap_or(Listing::Types);
                crate::report::table(&report, by, self.top) + &crate::report::bounds(&report)
            }
        };
        emit(&text, self.output.as_deref())?;
        self.end(report)
    }

    fn end(&self, report: ModelReport) -> Result<Exit> {
        let reasons = if self.strict { crate::report::inexact(&report, false) } else { Vec::new() };
        // The process ends here: taking large graphs apart piece by piece would be for nothing.
        std::mem::forget(report);
        if reasons.is_empty() {
            return Ok(Exit::Good);
        }
        super::complain(&reasons)?;
        Ok(Exit::Failed)
    }

    /// What the devices asked for allow.
    fn bounds(&self, report: &ModelReport) -> Result<Vec<BoundReport>> {
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let bound = |name: &String| {
            let device = super::hw::find(&catalogue, name)?;
            let choice = Choice {
                dtype: report.main_dtype(),
                accumulate: self.accumulate.as_deref(),
                unit: self.unit.as_deref(),
            };
            let h = super::hw::hierarchy(device, choice)?;
            let bound = BoundReport::new(&h.roof, report);
            Ok(bound.with_levels(&h, report).with_device(device, &h.roof, report))
        };
        self.on.iter().map(bound).collect()
    }
}
