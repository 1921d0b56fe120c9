//! `rooflens study`: models, devices and runs in one file.

use super::gather::Gathered;
use super::sizes::Sizes;
use super::{Exit, hinted};
use anyhow::Result;
use std::path::PathBuf;

/// Put models, devices and runs into one file: what charts, pages and comparisons read.
///
/// FILES are models of every format that is read, JSON of `analyze`, reports of `assess`, measurements of `probe`, and
/// folders of these. The file has the form rooflens.study/1 (schemas/study.schema.json): costs as formulas in the
/// sizes that models leave open, ceilings of devices, runs, and each model on each device.
///
/// Examples:
///   rooflens study resnet50.onnx bert.onnx --on v100 --on t4 --dim seq=128 -o study.json
///   rooflens study resnet50.onnx --on host rooflens-probe/ | jq '.cases[].fused'
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Models, reports and measurements, or their folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Device to hold the models against. Repeatable.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    #[command(flatten)]
    sizes: Sizes,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let gathered = Gathered::read(&self.files, &self.sizes)?;
        if gathered.models.is_empty() && !self.on.is_empty() {
            let hint = "name a model's file beside the measurements, or omit --on";
            return Err(hinted("there is no model to hold against a device", hint));
        }
        let study = gathered.study(&super::hw::devices(&self.on, self.hwdb.as_deref())?)?;
        super::emit_json(&study, self.output.as_deref())?;
        Ok(Exit::Good)
    }
}
