//! The `rooflens` command: what was typed, what it means, and what is printed.
//!
//! The only floor that prints, and the only one that turns errors into exit codes.

mod analyze;
mod charts;
mod check;
mod compare;
mod diff;
#[cfg_attr(not(feature = "load"), path = "cli/dynamic/absent.rs")]
mod dynamic;
mod exit;
mod form;
mod formats;
mod gather;
mod given;
mod hw;
mod latency;
mod ops;
mod plot;
mod recommend;
mod report;
mod runtimes;
mod serve_plan;
mod sizes;
mod study;

pub use exit::Exit;

use clap::{Parser, Subcommand};
use form::Form;

/// What a neural network costs on a machine, what holds it back, and how far the server is from
/// that limit.
///
/// Exit codes: 0 success; 1 done, but a check such as --strict failed; 2 error.
#[derive(Debug, Parser)]
#[command(name = "rooflens", version, max_term_width = 100, mut_subcommands(listed))]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Analyze(analyze::Args),
    #[command(flatten)]
    Dynamic(dynamic::Command),
    Check(check::Args),
    Compare(compare::Args),
    Diff(diff::Args),
    Formats(formats::Args),
    Hw(hw::Args),
    Ops(ops::Args),
    Plot(plot::Args),
    Recommend(recommend::Args),
    Report(report::Args),
    ServePlan(serve_plan::Args),
    Study(study::Args),
    Completions(Completions),
}

/// Print a completion script for a shell.
///
/// Example: rooflens completions bash > ~/.local/share/bash-completion/completions/rooflens
#[derive(Debug, clap::Args)]
struct Completions {
    /// Shell to complete for.
    shell: clap_complete::Shell,
}

/// A command as lists of commands show it, and its own commands alike: without a full stop.
fn listed(command: clap::Command) -> clap::Command {
    let about = command.get_about().map(std::string::ToString::to_string);
    let command = match about.as_deref().and_then(|about| about.strip_suffix('.')) {
        Some(about) => command.about(about.to_owned()),
        None => command,
    };
    command.mut_subcommands(listed)
}

impl Cli {
    /// Does what was asked.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Analyze(args) => args.run(),
            Command::Dynamic(command) => command.run(),
            Command::Check(args) => args.run(),
            Command::Compare(args) => args.run(),
            Command::Diff(args) => args.run(),
            Command::Formats(args) => args.run(),
            Command::Hw(args) => args.run(),
            Command::Ops(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Recommend(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::ServePlan(args) => args.run(),
            Command::Study(args) => args.run(),
            Command::Completions(args) => {
                let mut command = <Self as clap::CommandFactory>::command();
                let mut script = Vec::new();
                clap_complete::generate(args.shell, &mut command, "rooflens", &mut script);
                emit(&String::from_utf8_lossy(&script), None)?;
                Ok(Exit::Good)
            }
        }
    }
}

/// An error with a word of advice under it.
#[derive(Debug)]
pub struct Hinted {
    message: String,
    hint: String,
}

impl std::fmt::Display for Hinted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = crate::text::shown;
        write!(f, "{}\n\nhint: {}", shown(&self.message), shown(&self.hint))
    }
}

impl std::error::Error for Hinted {}

fn hinted(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Hinted { message: message.into(), hint: hint.into() }.into()
}

/// Says on standard error why `--strict` fails.
fn complain(reasons: &[String]) -> anyhow::Result<()> {
    use std::io::Write;
    let mut lines = String::new();
    for reason in reasons {
        lines.push_str("strict: ");
        lines.push_str(reason);
        lines.push('\n');
    }
    Ok(std::io::stderr().lock().write_all(crate::text::lines(&lines).as_bytes())?)
}

/// A line on standard error, beside the output.
fn remark(line: &str) {
    use std::io::Write;
    let line = format!("{line}\n");
    // Whoever closed it does not want it.
    let _ = std::io::stderr().lock().write_all(crate::text::lines(&line).as_bytes());
}

/// Writes data to standard output or a file.
fn emit(text: &str, file: Option<&std::path::Path>) -> anyhow::Result<()> {
    use std::io::Write;
    // Whatever names got this far, no terminal takes them for commands.
    let text = &*crate::text::lines(text);
    match file {
        Some(path) => std::fs::write(path, text).map_err(|e| {
            hinted(format!("cannot write `{}`: {e}", path.display()), "check the folder")
        }),
        None => match std::io::stdout().lock().write_all(text.as_bytes()) {
            // A reader that has seen enough is not an error.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        },
    }
}

/// Writes a report as JSON, piece by piece: the text of a large one is larger than the report.
fn emit_json(report: &impl serde::Serialize, file: Option<&std::path::Path>) -> anyhow::Result<()> {
    use std::io::Write;
    let write = |out: &mut dyn Write| -> std::io::Result<()> {
        let mut out = std::io::BufWriter::with_capacity(1 << 16, crate::text::Shown(out));
        serde_json::to_writer_pretty(&mut out, report)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    match file {
        Some(path) => {
            let cannot = |e: std::io::Error| {
                hinted(format!("cannot write `{}`: {e}", path.display()), "check the folder")
            };
            let mut file = std::fs::File::create(path).map_err(cannot)?;
            write(&mut file).map_err(cannot)
        }
        None => match write(&mut std::io::stdout().lock()) {
            // A reader that has seen enough is not an error.
            Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        },
    }
}

/// A progress bar of 1000 steps on standard error; silent where that is not a terminal.
fn progress_bar(label: &'static str) -> indicatif::ProgressBar {
    let style = indicatif::ProgressStyle::with_template("{msg} {wide_bar} {percent} %");
    let bar = indicatif::ProgressBar::new(1000).with_message(label);
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// A share as a position of [`progress_bar`].
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn permille(share: f64) -> u64 {
    (share.clamp(0.0, 1.0) * 1000.0) as u64
}

/// The candidate closest to a mistyped `name`, where one is close.
fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = candidates
        .into_iter()
        .map(|c| (strsim::levenshtein(&name.to_lowercase(), &c.to_lowercase()), c));
    scored.min().filter(|(d, c)| *d <= 1 + c.len().max(name.len()) / 3).map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn stops(command: &clap::Command) -> Vec<String> {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let own = (about.is_empty() || about.ends_with('.')).then(|| command.get_name().to_owned());
        own.into_iter().chain(command.get_subcommands().flat_map(stops)).collect()
    }

    #[test]
    fn lists_of_commands_have_no_full_stops() {
        let command = Cli::command();
        assert!(command.get_subcommands().count() >= 8);
        let wrong: Vec<String> = command.get_subcommands().flat_map(stops).collect();
        assert_eq!(wrong, Vec::<String>::new());
    }
}
