//! Runs of one side against runs of another: what may be compared, what differs, and what became of each figure.

use super::contrast::{Contrast, Outcome, Rule, Sample};
use super::schema::{ComparisonPart, FigurePart, RunPart, SidePart};
use std::collections::BTreeSet;

/// One side: runs that are meant to be alike.
#[derive(Clone, Debug)]
pub struct Side {
    /// What it is called.
    pub label: String,
    /// Its runs; one at least.
    pub runs: Vec<RunPart>,
}

/// How sides are compared.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// A change below this share is none, above 0.
    pub threshold: f64,
    /// The quantile of the response time that decides, between 0 and 1; that of the first run where none is given.
    pub quantile: Option<f64>,
}

/// Why two sides are not compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// A side has no run.
    Empty,
    /// A run's numbers do not mean what they say: the run and its verdict.
    NotValid(String, String),
    /// Two runs had other loads, batches, inputs or schedules: what, and both.
    Other(&'static str, String, String),
    /// The percentile is not known of a run.
    NoPercentile(String),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("a side has no run"),
            Self::NotValid(run, verdict) => {
                write!(f, "run `{run}` is {verdict}: its numbers are not compared")
            }
            Self::Other(what, a, b) => write!(f, "the runs have different {what}: {a} and {b}"),
            Self::NoPercentile(run) => {
                write!(
                    f,
                    "run `{run}` does not support the percentile: it falls on failed requests, or too few lie beyond it"
                )
            }
        }
    }
}

impl Refusal {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Empty => "give folders of `rooflens probe`, such as --repeat writes them",
            Self::NotValid(..) => "see its measurement.json for the evidence, and measure again",
            Self::Other(..) => {
                "measure both with the same --load, --seconds, --seed, --batch and --input"
            }
            Self::NoPercentile(_) => "measure longer, or compare a lower one with --percentile p90",
        }
    }
}

/// Compares two sides.
pub fn versus(a: &Side, b: &Side, terms: Terms) -> Result<ComparisonPart, Refusal> {
    let first = a.runs.first().ok_or(Refusal::Empty)?;
    b.runs.first().ok_or(Refusal::Empty)?;
    comparable(a, b, first)?;
    let quantile = terms.quantile.unwrap_or(first.headline_quantile);
    let figures = figures(a, b, terms.threshold, quantile)?;
    let of = |word: Outcome| figures.iter().any(|f| f.headline && f.outcome == word.name());
    Ok(ComparisonPart {
        a: side(a),
        b: side(b),
        load: first.load.clone(),
        batch: first.batch,
        threshold: terms.threshold,
        differs: differs(a, b),
        alternate: alternate(a, b),
        worse: of(Outcome::Worse),
        undecided: of(Outcome::CannotTell) || of(Outcome::TheseDiffer) || of(Outcome::TheseAgree),
        figures,
    })
}

/// Every figure of both sides, those that decide first.
fn figures(a: &Side, b: &Side, threshold: f64, quantile: f64) -> Result<Vec<FigurePart>, Refusal> {
    let time = Rule { threshold, more_is_worse: true };
    let rate = Rule { more_is_worse: false, ..time };
    let percentile = |q: f64| {
        move |run: &RunPart| {
            let found = run.percentile(q).filter(|p| p.supported || q <= 0.5)?;
            Sample::new(found.seconds?, found.low_seconds, found.high_seconds)
        }
    };
    let rates = |run: &RunPart| Sample::new(run.rate.per_second, run.rate.low, run.rate.high);
    let energies = |run: &RunPart| Sample::new(run.energy_joules?, None, None);
    let samples = |side: &Side, of: &dyn Fn(&RunPart) -> Option<Sample>| {
        side.runs.iter().map(of).collect::<Option<Vec<Sample>>>()
    };
    let lacking = |run: &&RunPart| percentile(quantile)(run).is_none();
    if let Some(run) = a.runs.iter().chain(&b.runs).find(lacking) {
        return Err(Refusal::NoPercentile(run.label.clone()));
    }
    let mut figures = Vec::new();
    let mut headline = (Vec::new(), Vec::new());
    let mut add = |name: String,
                   unit: &str,
                   rule: Rule,
                   of: &dyn Fn(&RunPart) -> Option<Sample>,
                   decides: bool| {
        let both = samples(a, of).zip(samples(b, of));
        let Some(found) = both.and_then(|(a, b)| rule.contrast(&a, &b)) else { return };
        if decides {
            headline.0.push(rule);
            headline.1.push(found.clone());
        }
        figures.push((name, unit.to_owned(), decides, found));
    };
    add(named(quantile), "s", time, &percentile(quantile), true);
    add("rate".to_owned(), "/s", rate, &rates, true);
    if (quantile - 0.5).abs() > 1e-9 {
        add(named(0.5), "s", time, &percentile(0.5), false);
    }
    add("energy per inference".to_owned(), "J", time, &energies, false);
    Rule::together(&headline.0, &mut headline.1);
    let mut decided = headline.1.into_iter();
    let all = figures.into_iter().map(|(name, unit, decides, found)| {
        let found = if decides { decided.next().unwrap_or(found) } else { found };
        figure(name, unit, decides, &found)
    });
    Ok(all.collect())
}

/// The name of a percentile: p99, p99.9.
pub fn named(quantile: f64) -> String {
    let percent = format!("{:.4}", 100.0 * quantile);
    format!("p{}", percent.trim_end_matches('0').trim_end_matches('.'))
}

fn figure(name: String, unit: String, headline: bool, found: &Contrast) -> FigurePart {
    FigurePart {
        name,
        unit,
        headline,
        a: found.means.0,
        b: found.means.1,
        change: found.change,
        low: found.interval.map(|i| i.0),
        high: found.interval.map(|i| i.1),
        probability: found.probability,
        outcome: found.outcome.name().to_owned(),
        more_runs: found.more_runs,
    }
}

fn side(side: &Side) -> SidePart {
    SidePart {
        label: side.label.clone(),
        runs: side.runs.iter().map(|run| run.label.clone()).collect(),
        platforms: distinct(side, |run| run.platform.clone()),
        targets: distinct(side, |run| run.target.clone()),
    }
}

fn distinct(side: &Side, of: impl Fn(&RunPart) -> String) -> Vec<String> {
    side.runs.iter().map(of).collect::<BTreeSet<String>>().into_iter().collect()
}

/// Whether all runs are valid and had the same load.
fn comparable(a: &Side, b: &Side, first: &RunPart) -> Result<(), Refusal> {
    use rooflens_probe::schema::Verdict;
    for run in a.runs.iter().chain(&b.runs) {
        let verdict = run.verdict.verdict;
        if verdict != Verdict::Valid {
            return Err(Refusal::NotValid(run.label.clone(), verdict.to_string()));
        }
        let texts: [(&'static str, Text); 4] = [
            ("loads", |run| run.load.clone()),
            ("batches", |run| run.batch.to_string()),
            ("inputs", |run| run.inputs.join(", ")),
            ("lengths", |run| format!("{:.0} s", run.planned_seconds)),
        ];
        for (what, of) in texts {
            if of(run) != of(first) {
                return Err(Refusal::Other(what, of(first), of(run)));
            }
        }
    }
    // Runs of one side may have had schedules of their own, as long as the other side had the same.
    let schedules = |side: &Side| distinct(side, |run| run.schedule_fingerprint.clone());
    let (ours, theirs) = (schedules(a), schedules(b));
    if first.open && ours != theirs {
        return Err(Refusal::Other("schedules", ours.join(", "), theirs.join(", ")));
    }
    Ok(())
}

/// What a file of a run says, as text.
type Text = fn(&RunPart) -> String;

/// What the files say that differs between the sides.
fn differs(a: &Side, b: &Side) -> Vec<String> {
    let texts: [(&str, Text); 2] =
        [("server", |run| run.platform.clone()), ("target", |run| run.target.clone())];
    texts
        .into_iter()
        .filter_map(|(what, of)| {
            let (ours, theirs) = (distinct(a, of), distinct(b, of));
            (ours != theirs)
                .then(|| format!("{what}: {} and {}", ours.join(", "), theirs.join(", ")))
        })
        .collect()
}

/// Whether the runs of both sides took turns: what drifts in a machine then falls on both.
fn alternate(a: &Side, b: &Side) -> bool {
    let mut order: Vec<(f64, bool)> = a
        .runs
        .iter()
        .map(|run| (run.started_unix_seconds, false))
        .chain(b.runs.iter().map(|run| (run.started_unix_seconds, true)))
        .collect();
    order.sort_by(|x, y| x.0.total_cmp(&y.0));
    let turns = order.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
    turns >= a.runs.len().min(b.runs.len())
}
