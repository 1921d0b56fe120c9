//! Runs against runs.

use super::{Exit, Form, Gathered, Terms, folders_of_runs, hinted};
use crate::cli::sizes::Sizes;
use crate::schema::TOOL;
use crate::study::contrast::Outcome;
use crate::study::{COMPARISON, ComparisonFile, ComparisonPart, FigurePart, RunPart, Side, versus};
use crate::units::si;
use anyhow::Result;
use std::fmt::Write;
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
            Form::Table => crate::cli::emit(&tables(&file), output)?,
            Form::Markdown => crate::cli::emit(&markdown(&file), output)?,
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
            let percent = text.trim().strip_prefix('p').and_then(|t| t.parse::<f64>().ok());
            percent.filter(|p| *p > 0.0 && *p < 100.0).map(|p| p / 100.0).ok_or_else(|| {
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

/// The comparisons as a person reads them.
pub(in crate::cli) fn tables(file: &ComparisonFile) -> String {
    let mut text = String::new();
    for (at, part) in file.comparisons.iter().enumerate() {
        if at > 0 {
            text.push('\n');
        }
        head(part, &mut text);
        let _ = writeln!(text, "{:<22}{:>11}{:>11}   {:<29}verdict", "", "A", "B", "change, 95 %");
        for figure in &part.figures {
            let (a, b) = (shown(figure, figure.a), shown(figure, figure.b));
            let (change, verdict) = (change(figure), verdict(figure, part.threshold));
            let _ = writeln!(text, "{:<22}{a:>11}{b:>11}   {change:<29}{verdict}", figure.name);
        }
        for note in notes(part) {
            let _ = writeln!(text, "{note}");
        }
    }
    text
}

fn head(part: &ComparisonPart, text: &mut String) {
    let count = |n: usize| if n == 1 { "1 run".to_owned() } else { format!("{n} runs") };
    for (name, side) in [("A", &part.a), ("B", &part.b)] {
        let _ = writeln!(text, "{name}  {}, {}", side.label, count(side.runs.len()));
    }
    let _ = writeln!(text, "load {}, batch {}", part.load, part.batch);
    let differs = if part.differs.is_empty() {
        "nothing that the files say".to_owned()
    } else {
        part.differs.join("; ")
    };
    let turns = if part.alternate { "yes" } else { "no" };
    let _ = writeln!(text, "differs: {differs}. Runs alternate: {turns}");
}

/// What a reader should know of the comparison.
fn notes(part: &ComparisonPart) -> Vec<String> {
    let mut notes = Vec::new();
    let few = |runs: &[String]| runs.len() < 3;
    if few(&part.a.runs) || few(&part.b.runs) {
        notes.push("fewer than three runs a side: runs differ more than their parts, so that this is no verdict; \
             `rooflens probe … --repeat 5` measures more".to_owned());
    }
    if !part.alternate && part.a.runs.len() + part.b.runs.len() > 2 {
        notes.push("the runs did not take turns: what changed in the machine meanwhile counts as a change; \
             `rooflens probe A --against B --rounds 5` takes turns".to_owned());
    }
    notes
}

fn shown(figure: &FigurePart, value: f64) -> String {
    let text = si(value, if figure.unit.starts_with('/') { "" } else { &figure.unit });
    let text = text.trim_end().to_owned();
    if figure.unit.starts_with('/') { text + &figure.unit } else { text }
}

fn change(figure: &FigurePart) -> String {
    let percent = |share: f64| format!("{:+.1}", 100.0 * share);
    let ends = figure.low.zip(figure.high);
    let interval =
        ends.map_or_else(String::new, |(l, h)| format!(" [{:>6}, {:>6}]", percent(l), percent(h)));
    format!("{:>7} %{interval}", percent(figure.change))
}

fn verdict(figure: &FigurePart, threshold: f64) -> String {
    let same = Outcome::Same.name();
    let more = |n: u64| format!(": {n} more {} a side", if n == 1 { "run" } else { "runs" });
    match figure.more_runs {
        Some(n) => figure.outcome.clone() + &more(n),
        None if figure.outcome == same => {
            format!("same within {:.3} %", 100.0 * threshold).replace(".000", "")
        }
        None => figure.outcome.clone(),
    }
}

/// At most forty lines for two sides, what is long folded.
fn markdown(file: &ComparisonFile) -> String {
    let mut text = String::new();
    let cell = crate::text::markdown;
    for part in &file.comparisons {
        let _ = writeln!(
            text,
            "**{}** against **{}**, load `{}`, batch {}\n",
            cell(&part.b.label),
            cell(&part.a.label),
            part.load.replace('`', "'"),
            part.batch
        );
        let _ = writeln!(
            text,
            "| | A | B | change, 95 % | verdict |\n| --- | ---: | ---: | ---: | --- |"
        );
        for figure in &part.figures {
            let (a, b) = (shown(figure, figure.a), shown(figure, figure.b));
            let strong = if figure.outcome == Outcome::Worse.name() { "**" } else { "" };
            let (change, verdict) = (change(figure), verdict(figure, part.threshold));
            let _ = writeln!(
                text,
                "| {} | {a} | {b} | {} | {strong}{verdict}{strong} |",
                figure.name,
                change.trim()
            );
        }
        let _ = writeln!(text, "\n<details><summary>runs</summary>\n");
        for side in [&part.a, &part.b] {
            let runs: Vec<String> = side.runs.iter().map(|run| cell(run)).collect();
            let _ = writeln!(text, "- {}: {}", cell(&side.label), runs.join(", "));
        }
        for note in notes(part) {
            let _ = writeln!(text, "- {note}");
        }
        let _ = writeln!(text, "\n</details>\n");
    }
    text
}
