//! The commands that put a model or a server under load.

mod assess;
mod load;
mod merge;
mod probe;

use super::{Exit, charts, emit, given, hinted, permille, progress_bar};
use crate::cli::runtimes::RuntimeName;
use crate::dim::{Bindings, Dim};
use crate::ir::{Elem, Model, ValueId};
use crate::report::ModelReport;
use crate::runtime::{Feed, Number, Runtime};
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

impl From<RuntimeName> for Runtime {
    fn from(name: RuntimeName) -> Self {
        match name {
            RuntimeName::Tract => Self::Tract,
            RuntimeName::Ort => Self::Ort,
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

/// What the inputs are fed at the sizes of a report: values that were given, in shapes that these sizes make.
fn feeds(model: &Model, report: &ModelReport) -> Vec<Feed> {
    let at: Bindings =
        report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
    let size = |d: &Dim| d.bind(&at).as_usize().unwrap_or(1);
    let number = |elem: &Elem| match elem {
        Elem::Int(n) => i64::try_from(n.bind(&at).as_const()?).ok().map(Number::Int),
        Elem::Float(x) => Some(Number::Float(*x)),
        Elem::Ratio(..) | Elem::Unknown => None,
    };
    let feed = |id: &ValueId| {
        let info = &model.graph.value(*id).info;
        Feed {
            shape: info.shape.iter().flatten().map(size).collect(),
            numbers: info.value.as_ref().and_then(|value| value.iter().map(number).collect()),
        }
    };
    model.graph.inputs.iter().map(feed).collect()
}

/// The ONNX file that runtimes load in place of a model of another format; none for one that is ONNX. Its weights
/// are random.
fn translated(model: &Model, bindings: &Bindings) -> Result<Option<Vec<u8>>> {
    if !model.translated {
        return Ok(None);
    }
    let values = crate::analysis::analyze(model, bindings).values;
    let file = crate::formats::translate(model, &values).map_err(|e| {
        hinted(
            format!("{e}, so that the model cannot be run in this process"),
            "serve it, and measure it with `rooflens probe URL --model FILE`",
        )
    })?;
    Ok(Some(file))
}
