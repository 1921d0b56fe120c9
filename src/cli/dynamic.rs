//! The commands that put a model or a server under load.

mod assess;
mod load;
mod merge;
mod probe;

use super::{Exit, charts, emit, given, hinted, permille, progress_bar};
use anyhow::Result;
use clap::Subcommand;
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Assess(assess::Args),
    Batching(Box<probe::BatchingArgs>),
    Merge(merge::Args),
    Probe(Box<probe::Args>),
}

impl Command {
    pub(super) fn run(self) -> Result<Exit> {
        match self {
            Self::Assess(args) => args.run(),
            Self::Batching(args) => args.run(),
            Self::Merge(args) => args.run(),
            Self::Probe(args) => args.run(),
        }
    }
}

/// The folder, or the first of `-2`, `-3` … that is not there yet.
fn new_folder(wanted: &Path) -> Result<PathBuf> {
    let mut folder = wanted.to_owned();
    for n in 2.. {
        match std::fs::create_dir(&folder) {
            Ok(()) => break,
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                folder = PathBuf::from(format!("{}-{n}", wanted.display()));
            }
            Err(e) => {
                let message = format!("cannot make the folder `{}`: {e}", folder.display());
                return Err(hinted(message, "choose another with --output"));
            }
        }
    }
    Ok(folder)
}
