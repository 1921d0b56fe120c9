//! In place of the commands that put something under load, in a build without the feature `load`.

use super::{Exit, hinted};
use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Not in this build: needs the features `load` and `tract`.
    Assess(Args),
    /// Not in this build: needs the feature `load`.
    Batching(Args),
    /// Not in this build: needs the feature `load`.
    Merge(Args),
    /// Not in this build: needs the feature `load`.
    Probe(Args),
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,
}

impl Command {
    pub(super) fn run(self) -> Result<Exit> {
        let (name, features, args) = match self {
            Self::Assess(args) => ("assess", "--features tract", args),
            Self::Batching(args) => ("batching", "--features load", args),
            Self::Merge(args) => ("merge", "--features load", args),
            Self::Probe(args) => ("probe", "--features load", args),
        };
        let command = [vec![name.to_owned()], args.rest].concat().join(" ");
        let message = format!("`rooflens {command}`: this build has no load generator");
        Err(hinted(message, format!("build with {features}")))
    }
}
