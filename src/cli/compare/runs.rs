//! Runs against runs.

use super::{Exit, Form, Gathered, Terms, folders_of_runs, hinted};
use crate::cli::sizes::Sizes;
use crate::render::comparison;
use crate::schema::TOOL;
use crate::study::{COMPARISON, ComparisonFile, ComparisonPart, RunPart, Side, versus};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// How runs are compared.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Runs")]
#[group(skip)]
pub(super) struct Flags {
    /// Put all runs together, and compare by this: the first to be measured is what changes are shares of.
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
    /// Runs that changes are shares of, beside those that are named.
    #[arg(long, value_name = "PATH")]
    pub(super) baseline: Option<PathBuf>,
    /// A change below this share is none: 5% or 0.05.
    #[arg(long, value_name = "SHARE", default_value = "5%")]
    threshold: String,
    /// The percentile that decides beside the rate: p99. That of --slo of the first run where omitted, else p99.
    #[arg(long, value_name = "PERCENTILE")]
    percentile: Option<String>,
    /// Exit with 1 also where a headline figure is not decided.
    #[arg(long)]
    strict: bool,
}

/// What runs are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum By {
    /// Name and version of the serving platform.
    Version,
    /// The target as typed.
    Target,
    /// The folder that a run's folder is in.
    Folder,
}

impl Flags {
    /// Compares the runs below each path.
    pub(super) fn run(
        &self,
        given: &[(PathBuf, Vec<PathBuf>)],
        form: Form,
        output: Option<&Path>,
    ) -> Result<Exit> {
        let terms = self.terms()?;
        let sides = self.sides(given)?;
        let file = compared(&sides, terms)?;
        match form {
            Form::Json => crate::cli::emit_json(&file, output)?,
            Form::Table => crate::cli::emit(&comparison::runs_text(&file), output)?,
            Form::Markdown => crate::cli::emit(&comparison::runs_markdown(&file), output)?,
        }
        let undecided = self.strict && file.comparisons.iter().any(|c| c.undecided);
        let worse = file.comparisons.iter().any(|c| c.worse);
        Ok(if worse || undecided { Exit::Failed } else { Exit::Good })
    }

    fn terms(&self) -> Result<Terms> {
        let share = |text: &str| -> Option<f64> {
            let percent = text.trim().strip_suffix('%').map(|t| t.trim().parse::<f64>().ok());
            let share = match percent {
                Some(percent) => percent? / 100.0,
                None => text.trim().parse().ok()?,
            };
            (share > 0.0 && share < 1.0).then_some(share)
        };
        let threshold = share(&self.threshold).ok_or_else(|| {
            hinted(
                format!("`--threshold {}` is no share between 0 and 1", self.threshold),
                "for example --threshold 5%",
            )
        })?;
        let quantile = |text: &String| {
            crate::cli::latency::quantile(text.trim()).ok_or_else(|| {
                hinted(
                    format!("`--percentile {text}` is no percentile"),
                    "for example --percentile p99",
                )
            })
        };
        let quantile = self.percentile.as_ref().map(quantile).transpose()?;
        Ok(Terms { threshold, quantile })
    }

    /// The sides, the one that changes are shares of first.
    fn sides(&self, given: &[(PathBuf, Vec<PathBuf>)]) -> Result<Vec<Side>> {
        let mut sides = Vec::new();
        for (path, folders) in given {
            sides.push(Side { label: short(path), runs: runs(folders)? });
        }
        if let Some(by) = self.by {
            let mut together: Vec<Side> = Vec::new();
            for (at, run) in sides.into_iter().flat_map(|s| s.runs).enumerate() {
                let label = by.of(&run, at, given);
                match together.iter_mut().find(|side| side.label == label) {
                    Some(side) => side.runs.push(run),
                    None => together.push(Side { label, runs: vec![run] }),
                }
            }
            let started = |side: &Side| {
                side.runs.iter().map(|r| r.started_unix_seconds).fold(f64::INFINITY, f64::min)
            };
            together.sort_by(|a, b| started(a).total_cmp(&started(b)));
            sides = together;
        }
        if let Some(path) = &self.baseline {
            let Some(folders) = folders_of_runs(path) else {
                let message = format!("`--baseline {}` holds no run", path.display());
                return Err(hinted(message, "name a folder of `rooflens probe`"));
            };
            sides.insert(0, Side { label: short(path), runs: runs(&folders)? });
        }
        Ok(sides)
    }
}

impl By {
    fn of(self, run: &RunPart, at: usize, given: &[(PathBuf, Vec<PathBuf>)]) -> String {
        match self {
            Self::Version if run.platform.is_empty() => "a platform without a name".to_owned(),
            Self::Version => run.platform.clone(),
            Self::Target => run.target.clone(),
            Self::Folder => {
                let folders = given.iter().flat_map(|(_, folders)| folders);
                let parent = folders.clone().nth(at).and_then(|folder| folder.parent());
                parent.map_or_else(String::new, short)
            }
        }
    }
}

/// Every side but the first against the first.
pub(in crate::cli) fn compared(sides: &[Side], terms: Terms) -> Result<ComparisonFile> {
    let [first, others @ ..] = sides else { return Err(one_side()) };
    if others.is_empty() {
        return Err(one_side());
    }
    let compared = others.iter().map(|other| {
        versus(first, other, terms).map_err(|refusal| hinted(refusal.to_string(), refusal.hint()))
    });
    let comparisons = compared.collect::<Result<Vec<ComparisonPart>>>()?;
    Ok(ComparisonFile { schema: COMPARISON.to_owned(), tool: TOOL.to_owned(), comparisons })
}

fn one_side() -> anyhow::Error {
    hinted("there is one side only", "name two folders of runs, or --baseline, or another --by")
}

/// The last two parts of a path, which mostly say what a side is.
fn short(path: &Path) -> String {
    let parts: Vec<String> = path
        .components()
        .filter_map(|c| match c {
            std::path::Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let from = parts.len().saturating_sub(2);
    if parts.is_empty() { path.display().to_string() } else { parts[from..].join("/") }
}

fn runs(folders: &[PathBuf]) -> Result<Vec<RunPart>> {
    let gathered = Gathered::read(folders, &Sizes::default())?;
    let runs = gathered.runs.iter().zip(folders);
    Ok(runs.map(|(run, folder)| crate::study::run(&short(folder), &run.file)).collect())
}
