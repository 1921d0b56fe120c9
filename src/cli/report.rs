//! `rooflens report`: one page of models, devices and runs.

use super::gather::Gathered;
use super::sizes::Sizes;
use super::{Exit, charts, emit, hinted};
use crate::render::page::{About, page};
use crate::study::StudyFile;
use anyhow::Result;
use std::path::PathBuf;

/// Make one page of models, devices and runs: what bounds them, what would help, and at which sizes.
///
/// FILES are models of every format that is read, JSON of `analyze`, reports of `assess`, measurements of `probe`, and
/// folders of these. The page is one HTML file that needs nothing beside it and asks nobody for anything: it opens
/// without a network, prints, and says its numbers also without JavaScript.
///
/// Examples:
///   rooflens report resnet50.onnx --on v100 --on t4 -o report.html
///   rooflens report bert.onnx --dim seq=128 --on l4 rooflens-probe/ -o bert.html
///   rooflens report rooflens-report/
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct Args {
    /// Models, reports and measurements, or their folders.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Device to hold the models against; the first is shown first. Repeatable.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    #[command(flatten)]
    sizes: Sizes,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "html")]
    format: Form,
    /// The file; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    output: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// Forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Html,
    Json,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let output = (!charts::to_stdout(&self.output)).then_some(self.output.as_path());
        if let Some(path) = output.filter(|path| path.exists() && !self.force) {
            let message = format!("`{}` is already there", path.display());
            return Err(hinted(message, "choose another with -o, or replace it with --force"));
        }
        let gathered = Gathered::read(&self.files, &self.sizes)?;
        if gathered.models.is_empty() && !self.on.is_empty() {
            let hint = "name a model's file beside the measurements, or leave --on out";
            return Err(hinted("there is no model to hold against a device", hint));
        }
        let study = gathered.study(&super::hw::devices(&self.on, self.hwdb.as_deref())?)?;
        if self.format == Form::Json {
            super::emit_json(&study, output)?;
            return Ok(Exit::Good);
        }
        emit(&html(&study), output)?;
        if let Some(path) = output {
            charts::wrote(path)?;
        }
        Ok(Exit::Good)
    }
}

/// The page of a study, with the command that was typed.
pub(super) fn html(study: &StudyFile) -> String {
    let words = std::env::args_os().skip(1).map(|word| quoted(&word.to_string_lossy()));
    let command = std::iter::once("rooflens".to_owned()).chain(words).collect::<Vec<_>>().join(" ");
    let machine = format!("{}, {}", crate::host::cpu().name, std::env::consts::OS);
    page(study, &About { command, machine, date: String::new() })
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
