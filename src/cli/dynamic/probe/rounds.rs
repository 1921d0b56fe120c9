//! The same measurement several times: of one target, or of two in turns.

use super::{Args, Asked, Bar, Exit, emit, exit, failed, hinted, interruptible};
use crate::cli::compare::compared;
use crate::render::comparison;
use crate::schema::{MeasurementFile, PercentilePart};
use crate::study::{Side, Terms, named};
use anyhow::Result;
use std::path::Path;
use std::sync::atomic::Ordering;

/// How often, and against what.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Repetition")]
#[group(skip)]
pub(super) struct Flags {
    /// Measure this many times, each into a folder of its own: `rooflens compare` needs three runs a side for a verdict.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000), conflicts_with_all = ["spawn", "start_up_only", "stripe", "start_at"])]
    repeat: Option<u16>,
    /// Measure this target too, in turns with the first (A B B A), and compare. Everything else is the same for both.
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["repeat", "spawn", "start_up_only", "stripe", "start_at"])]
    against: Option<String>,
    /// With --against: how often each of the two is measured.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "against", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: u16,
}

/// One of two targets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    A,
    B,
}

impl Flags {
    /// The turns, where there is more than one measurement.
    fn turns(&self) -> Vec<(Who, u16)> {
        if let Some(times) = self.repeat {
            return (1..=times).map(|n| (Who::A, n)).collect();
        }
        let turn = |round: u16| {
            let both = [(Who::A, round), (Who::B, round)];
            // What drifts evenly falls on both alike.
            if round.is_multiple_of(2) { [both[1], both[0]] } else { both }
        };
        (1..=self.rounds).flat_map(turn).collect()
    }

    pub(super) fn asked(&self) -> bool {
        self.repeat.is_some() || self.against.is_some()
    }
}

impl Args {
    /// Measures in turns, each time into a folder of its own; of two targets also compares.
    pub(super) fn several(mut self, asked: &Asked) -> Result<Exit> {
        let [batch] = asked.batches[..] else {
            let hint = "leave all but one batch out, or measure once";
            return Err(hinted("--repeat and --against are for one batch", hint));
        };
        let stop = interruptible()?;
        let base = super::super::new_folder(&self.output)?;
        let against = self.rounds.against.clone();
        let targets = (self.target.url.clone(), against.clone().unwrap_or_default());
        let (mut a, mut b, mut all_hold) = (Vec::new(), Vec::new(), true);
        for (who, round) in self.rounds.turns() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let (target, name) = match (who, &against) {
                (Who::A, None) => (&targets.0, format!("run-{round}")),
                (Who::A, Some(_)) => (&targets.0, format!("A/run-{round}")),
                (Who::B, _) => (&targets.1, format!("B/run-{round}")),
            };
            self.target.url.clone_from(target);
            let folder = base.join(&name);
            std::fs::create_dir_all(&folder)?;
            let mut run = self.single(batch, asked, None)?;
            run.interim = Some(folder.clone());
            let measured = run.measure(&stop, &mut Bar::default()).map_err(failed)?;
            measured.save(&folder).map_err(failed)?;
            all_hold &= exit(&measured.file) == Exit::Good;
            emit(&line(&name, &measured.file), None)?;
            let part = crate::study::run(&name, &measured.file);
            if who == Who::A { a.push(part) } else { b.push(part) }
        }
        said(&base)?;
        let stopped = stop.load(Ordering::Relaxed);
        if against.is_none() || stopped {
            return Ok(if all_hold && !stopped { Exit::Good } else { Exit::Failed });
        }
        let sides = [Side { label: targets.0, runs: a }, Side { label: targets.1, runs: b }];
        let terms = Terms { threshold: 0.05, quantile: None };
        match compared(&sides, terms) {
            Ok(file) => {
                emit(&format!("\n{}", comparison::runs_text(&file)), None)?;
                let worse = file.comparisons.iter().any(|c| c.worse);
                Ok(if worse || !all_hold { Exit::Failed } else { Exit::Good })
            }
            Err(why) => {
                emit(&format!("\nnot compared: {why:#}\n"), None)?;
                Ok(Exit::Failed)
            }
        }
    }
}

/// Where the runs are, and how to compare them.
fn said(base: &Path) -> Result<()> {
    let shown = base.display().to_string();
    emit(&format!("runs in {}/\n", crate::text::shown(&shown)), None)
}

/// A run in a line.
fn line(name: &str, file: &MeasurementFile) -> String {
    let q = file.slo.as_ref().map_or(file.plan.headline_quantile, |slo| slo.quantile);
    let found = PercentilePart::find(&file.response.percentiles, q).and_then(|p| p.seconds);
    let time = found.map_or("–".to_owned(), |s| crate::units::si(s, "s"));
    let rate = file.window.inferences_per_second;
    format!("{name:<10} {} {time:>9}  {rate:>8.1}/s  {}\n", named(q), file.verdict.verdict)
}
