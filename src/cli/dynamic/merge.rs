//! `rooflens merge`: stripes of one schedule, measured by several machines, as one measurement.

use super::{Exit, emit, hinted};
use crate::probe::measurement::{FileError, Measured, is_measurement, newest_complete};
use crate::render;
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Merge the stripes of one load, measured by several machines, into one measurement.
///
/// Each machine runs `rooflens probe … --stripe K/N` with the same load, seed and duration; the merged
/// schedule is exactly the one that a single machine would have sent. Percentiles are computed
/// from the merged distributions, never averaged.
///
/// A folder that holds measurements stands for all of them. Where they are of several runs, as after a
/// job was run again, the newest run that has all its stripes is merged.
///
/// Examples:
///   rooflens merge part-0 part-1 part-2 -o whole
///   rooflens merge results/ -o whole
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct Args {
    /// Folders written by `rooflens probe`, or folders of them, also of runs that were killed.
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
        let folders = self.parts.iter().flat_map(|path| measurements(path));
        let mut parts = Vec::new();
        for (path, named) in folders {
            let part = load(&path)?;
            // What was merged before is no stripe.
            if named || part.file.plan.stripes.len() == 1 {
                parts.push(part);
            }
        }
        let apart = |e: FileError| {
            hinted(
                e.to_string(),
                "merge runs with the same --load, --seed, --seconds and N of --stripe K/N, each K once",
            )
        };
        let (parts, note) = newest_complete(parts).map_err(apart)?;
        let mut merged = Measured::merge(&parts).map_err(apart)?;
        merged.file.verdict.notes.extend(note);
        let folder = super::new_folder(&self.output)?;
        let saved = merged.save(&folder);
        emit(&render::text::measurement(&merged.file, saved.is_ok().then_some(&*folder)), None)?;
        saved?;
        Ok(super::probe::exit(&merged.file))
    }
}

/// The measurements that a path stands for, and whether it names one itself: else those in it.
fn measurements(path: &Path) -> Vec<(PathBuf, bool)> {
    let mut inner: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) if !is_measurement(path) => entries.flatten().map(|e| e.path()).collect(),
        _ => Vec::new(),
    };
    inner.retain(|path| is_measurement(path));
    inner.sort();
    if inner.is_empty() {
        return vec![(path.to_owned(), true)];
    }
    inner.into_iter().map(|path| (path, false)).collect()
}
