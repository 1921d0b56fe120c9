//! `rooflens merge`: stripes of one schedule, measured by several machines, as one measurement.

use super::{Exit, emit, hinted};
use crate::probe::measurement::Measured;
use crate::render;
use anyhow::Result;
use std::path::PathBuf;

/// Merge the stripes of one load, measured by several machines, into one measurement.
///
/// Each machine runs `rooflens probe … --stripe K/N` with the same load, seed and duration; the merged
/// schedule is exactly the one that a single machine would have sent. Percentiles are computed
/// from the merged distributions, never averaged.
///
/// Examples:
///   rooflens merge part-0 part-1 part-2 -o whole
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// Folders written by `rooflens probe`, also of runs that were killed.
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Folder for the merged measurement; an existing one is kept, and a number appended.
    #[arg(short, long, value_name = "DIR", default_value = "rooflens-probe")]
    output: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let load = |path: &PathBuf| {
            Measured::load(path)
                .map_err(|e| hinted(e.to_string(), "pass folders written by `rooflens probe`"))
        };
        let parts = self.parts.iter().map(load).collect::<Result<Vec<_>>>()?;
        let merged = Measured::merge(&parts).map_err(|e| {
            hinted(
                e.to_string(),
                "merge runs with the same --load, --seed, --seconds and N of --stripe K/N, each K once",
            )
        })?;
        let folder = super::new_folder(&self.output)?;
        let saved = merged.save(&folder);
        emit(&render::text::measurement(&merged.file, saved.is_ok().then_some(&*folder)), None)?;
        saved?;
        Ok(super::probe::exit(&merged.file))
    }
}
