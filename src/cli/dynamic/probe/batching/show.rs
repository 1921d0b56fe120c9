//! A batching study as a picture and as text.

use crate::chart::{Cell, HeatMap};
use crate::probe::judge::name;
use crate::schema::{Against, BatchingFile, CellPart, Column, LossKind, Verdict};
use crate::units::si;
use std::fmt::Write;

/// Whether two runs could be compared.
pub(super) fn decided(against: Against) -> bool {
    matches!(against, Against::Better | Against::Same | Against::Worse)
}

/// The percentile of a cell, or what is there instead.
fn time(file: &BatchingFile, cell: &CellPart) -> String {
    match file.quantile.and_then(|q| cell.at(q)).map(|p| p.seconds) {
        Some(Some(seconds)) => si(seconds, "s"),
        Some(None) => "no answer".into(),
        None => "–".into(),
    }
}

/// A cell of the picture.
fn shown(file: &BatchingFile, column: &Column, load: f64) -> Cell {
    let Some(cell) = file.cell(column, load) else {
        return Cell { text: "not measured".into(), ..Cell::default() };
    };
    if !cell.sound() {
        let text = match cell.verdict {
            _ if cell.overloaded => "overloaded",
            Verdict::ClientLimited => "client was late",
            Verdict::Failing => "requests failed",
            Verdict::Throttled => "device throttled",
            _ => "no steady state",
        };
        return Cell {
            text: text.to_owned(),
            small: vec![format!("({})", time(file, cell))],
            hatched: true,
            ..Cell::framed(cell.against == Against::Worse)
        };
    }
    let mut small = Vec::new();
    if cell.column.batch > 1 {
        small.push(format!("+ {} to gather", si(cell.gather_seconds, "s")));
    }
    if let Some(mean) = cell.executed_batch_mean {
        small.push(format!("mean batch {mean:.1}"));
    }
    let one = file.cell(&file.reference, load);
    let times = file.quantile.and_then(|q| Some(cell.seconds(q)? / one?.seconds(q)?));
    let factor = |f: f64| format!(", {:.1} ×", if f < 1.0 { 1.0 / f } else { f });
    let times = times.map_or(String::new(), factor);
    small.push(match cell.against {
        Against::Reference => String::new(),
        Against::Better => format!("faster{times}"),
        Against::Same => "as fast".into(),
        Against::Worse => format!("slower{times}"),
        _ => "not decided".into(),
    });
    Cell {
        value: file.quantile.and_then(|q| cell.at(q)).and_then(|p| p.seconds),
        text: time(file, cell),
        small: small.into_iter().filter(|s| !s.is_empty()).collect(),
        ..Cell::framed(cell.against == Against::Worse)
    }
}

/// The picture.
pub(super) fn map(file: &BatchingFile, loads: &[f64]) -> HeatMap {
    let quantile =
        file.quantile.map_or("Too few requests to tell".into(), |q| format!("{} of", name(q)));
    let columns = file.columns();
    let reference = file.reference.name(&columns);
    let column = |column: &Column| {
        let plateau = file.plateaus.iter().find(|p| p.column == *column);
        let most = plateau.map_or(0.0, |p| p.inferences_per_second);
        (column.name(&columns), format!("at most {most:.0}/s"))
    };
    let rate = |load: &f64| format!("{:.0}/s", file.most() * load);
    let server = columns.iter().any(|c| c.server.is_some());
    HeatMap {
        title: format!("{quantile} the response time: {}", file.target),
        subtitle: format!(
            "{}; {} s a cell, requests at random (poisson); darker is slower",
            file.platform, file.seconds
        ),
        x_title: if server { "batching of the server (off: each request is run alone)" } else { "inferences in a request" }.into(),
        y_title: "load in inferences/s".into(),
        columns: columns.iter().map(column).collect(),
        rows: loads.iter().map(|l| (rate(l), format!("{:.0} % load", 100.0 * l))).collect(),
        cells: loads
            .iter()
            .map(|load| columns.iter().map(|column| shown(file, column, *load)).collect())
            .collect(),
        ends: ("fast".into(), "slow".into()),
        notes: vec![
            format!(
                "red frame: batching loses, slower than {reference} at the same load{}",
                if columns.iter().any(|c| c.batch > 1) { ", time to gather included" } else { "" }
            ),
            "hatched: the run does not tell the server's time, for the reason in the cell; the time in brackets is what was seen".into(),
        ],
    }
}

/// What a person reads.
pub(super) fn text(file: &BatchingFile) -> String {
    let mut out = format!("{}  {}\n\n", file.target, file.platform);
    let columns = file.columns();
    let names: Vec<String> = columns.iter().map(|c| c.name(&columns)).collect();
    let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    for (p, name) in file.plateaus.iter().zip(&names) {
        let executed = p.executed_batch_mean.map(|m| format!(", mean batch {m:.1}"));
        let _ = writeln!(
            out,
            "{name:<wide$}  at most {:>10.1} inferences/s  ({} in flight{}, {})",
            p.inferences_per_second,
            p.in_flight,
            executed.unwrap_or_default(),
            p.verdict
        );
    }
    if !file.cells.is_empty() {
        out.push_str(&table(file, &names));
    }
    out.push('\n');
    for sentence in &file.summary {
        let _ = writeln!(out, "{sentence}");
    }
    let decided = file.cells.iter().any(|c| decided(c.against));
    if decided && !file.stopped && file.findings.is_empty() {
        out.push_str("batching loses nowhere in this study\n");
    } else if !decided && !file.stopped && file.plateaus.len() > 1 {
        let late = file.cells.iter().filter(|c| c.verdict == Verdict::ClientLimited).count();
        out.push_str(if 2 * late > file.cells.len() {
            "nothing is decided: the client was late; run it on another machine than the server, or lower --loads\n"
        } else {
            "nothing is decided: give each run more --seconds\n"
        });
    }
    // What is slower or overloaded is in the table and the sentences already.
    let told = |kind| !matches!(kind, LossKind::Slower | LossKind::OverloadedFirst);
    for f in file.findings.iter().filter(|f| told(f.kind)) {
        let load = f.load.map_or(String::new(), |l| format!(" at {:.0} % load", 100.0 * l));
        let name = f.column.name(&columns);
        let _ = writeln!(out, "{}, {name}{load}: {}", f.kind, f.evidence);
    }
    for note in &file.notes {
        let _ = writeln!(out, "note: {note}");
    }
    if file.stopped {
        out.push_str("stopped before the end; what was measured is kept\n");
    }
    out
}

/// Loads against columns, with a mark at what is not just a time.
fn table(file: &BatchingFile, names: &[String]) -> String {
    let none = "too few requests in some run for a percentile (longer --seconds)";
    let label = file.quantile.map_or(none.into(), |q| format!("{} of the response time", name(q)));
    let mut out = format!(
        "\n{label}; > slower and < faster than {}, = as fast, ? not decided;\n! no steady state, the time means little\n",
        file.reference.name(&file.columns())
    );
    let wide: Vec<usize> = names.iter().map(|n| n.chars().count().max(12) + 3).collect();
    let _ = write!(out, "{:>14}", "inferences/s");
    for (name, wide) in names.iter().zip(&wide) {
        let _ = write!(out, "{name:>wide$}");
    }
    out.push('\n');
    let mut reasons = Vec::new();
    for load in file.loads().iter().rev() {
        let _ = write!(out, "{:>14.1}", file.most() * load);
        for ((column, name), wide) in file.columns().iter().zip(names).zip(&wide) {
            let Some(cell) = file.cell(column, *load) else {
                let _ = write!(out, "{:>wide$}", "not run");
                continue;
            };
            let mark = match cell.against {
                _ if !cell.sound() => "!",
                Against::Worse => ">",
                Against::Better => "<",
                Against::Same => "=",
                Against::Reference => " ",
                _ => "?",
            };
            let _ = write!(out, "{:>wide$}", format!("{} {mark}", time(file, cell)));
            if cell.overloaded && cell.verdict != Verdict::Overloaded {
                let at = format!("{:.0} % load, {name}", 100.0 * load);
                reasons.push(format!(
                    "  {at}: overloaded, more than it can do; {} too\n",
                    cell.verdict
                ));
            } else if cell.verdict != Verdict::Valid {
                let why = cell.findings.first();
                let why = why.map_or(String::new(), |f| format!("{}: {}", f.verdict, f.evidence));
                let at = format!("{:.0} % load, {name}", 100.0 * load);
                reasons.push(format!("  {at}: {why}\n"));
            } else if cell.lost > 0 {
                let at = format!("{:.0} % load, {name}", 100.0 * load);
                reasons.push(format!("  {at}: {} of {} failed\n", cell.lost, cell.due));
            }
        }
        out.push('\n');
    }
    if !reasons.is_empty() {
        out.push_str("\nnot VALID, or with failures:\n");
        out.extend(reasons);
    }
    out
}
