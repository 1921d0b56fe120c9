//! `rooflens compare`: models on devices, or runs against runs.

mod models;
mod runs;

use super::gather::{Gathered, folders_of_runs};
use super::{Exit, hinted};
use crate::study::Terms;
use anyhow::Result;
#[cfg(feature = "load")]
pub(super) use runs::compared;
use std::path::PathBuf;

/// Compare models on devices, or runs of servers with each other.
///
/// MODELS are counted for each batch and type, on each device: exact, no statistics. Figures after the first column are
/// multiples of it.
///
/// RUNS are folders of `probe`, such as --repeat and --against write them: each argument is a side of one run or several.
/// A figure is WORSE or better where the interval of 95 % excludes no change and the change reaches the threshold;
/// `slightly` where it is below; `same` where the interval lies within the threshold; else nothing is decided, and how many more
/// runs it would take is given. With fewer than three runs a side, only whether these runs differ is said.
///
/// Examples:
///   rooflens compare resnet50.onnx `mobilenet_v2.onnx` --on v100 --on t4 --batch 1,8
///   rooflens compare resnet50.onnx --on t4 --on l4 --dtype f32,f16 --metric rate
///   rooflens compare runs/v1.31/ runs/v1.32/ --threshold 5%
///   rooflens compare --by version runs/*/
///   rooflens compare --baseline runs/main/ runs/branch/
///
/// Exit codes: 0 compared; 1 a headline figure is WORSE, or with --strict one is not decided; 2 could not compare.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Models, or folders of runs.
    #[arg(required = true)]
    sides: Vec<PathBuf>,
    #[command(flatten)]
    models: models::Flags,
    #[command(flatten)]
    runs: runs::Flags,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// Write to a file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Forms of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Markdown,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let given = self.sides.iter().map(|path| folders_of_runs(path));
        let given: Vec<Option<Vec<PathBuf>>> = given.collect();
        if given.iter().all(Option::is_none) && self.runs.baseline.is_none() {
            return self.models.run(&self.sides, self.format, self.output.as_deref());
        }
        if let Some(at) = given.iter().position(Option::is_none) {
            let path = self.sides[at].display();
            return Err(hinted(
                format!("`{path}` is no run, and the others are"),
                "compare runs with runs, or models with models",
            ));
        }
        self.models.refuse()?;
        let given: Vec<(PathBuf, Vec<PathBuf>)> =
            self.sides.iter().cloned().zip(given.into_iter().flatten()).collect();
        self.runs.run(&given, self.format, self.output.as_deref())
    }
}
