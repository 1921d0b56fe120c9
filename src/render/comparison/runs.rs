//! Runs against runs.

use crate::study::contrast::Outcome;
use crate::study::{ComparisonFile, ComparisonPart, FigurePart};
use crate::units::si;
use std::fmt::Write;

/// The comparisons as text.
pub fn runs_text(file: &ComparisonFile) -> String {
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

/// The comparisons for a pull request: at most forty lines for two sides, what is long folded.
pub fn runs_markdown(file: &ComparisonFile) -> String {
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
