//! A batching study as a heat map.

use crate::chart::{Cell, HeatMap};
use crate::schema::{Against, BatchingFile, CellPart, Column, Verdict, percentile};
use crate::units::si;

/// The percentile of a cell, or what is there instead.
pub(in crate::render) fn time(file: &BatchingFile, cell: &CellPart) -> String {
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
            Verdict::ClientLimited => "client lagged",
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
        small.push(format!("+ {} to collect", si(cell.gather_seconds, "s")));
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
        Against::Same => "the same".into(),
        Against::Worse => format!("slower{times}"),
        _ => "undecided".into(),
    });
    Cell {
        value: file.quantile.and_then(|q| cell.at(q)).and_then(|p| p.seconds),
        text: time(file, cell),
        small: small.into_iter().filter(|s| !s.is_empty()).collect(),
        ..Cell::framed(cell.against == Against::Worse)
    }
}

/// The heat map of a study at these loads.
pub fn heat_map(file: &BatchingFile, loads: &[f64]) -> HeatMap {
    let quantile =
        file.quantile.map_or("Too few requests for a percentile of the".into(), percentile);
    let columns = file.columns();
    let reference = file.reference.name(&columns);
    let column = |column: &Column| {
        let plateau = file.plateaus.iter().find(|p| p.column == *column);
        let most = plateau.map_or(0.0, |p| p.inferences_per_second);
        (column.name(&columns), format!("max {most:.0}/s"))
    };
    let rate = |load: &f64| format!("{:.0}/s", file.most() * load);
    let server = columns.iter().any(|c| c.server.is_some());
    HeatMap {
        title: format!("{quantile} response time: {}", file.target),
        subtitle: format!(
            "{}; {} s per cell, poisson arrivals; darker is slower",
            file.platform, file.seconds
        ),
        x_title: if server { "server batching (off: each request runs alone)" } else { "inferences per request" }.into(),
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
                "red frame: batching hurts, slower than {reference} at the same load{}",
                if columns.iter().any(|c| c.batch > 1) { ", including the time to collect a batch" } else { "" }
            ),
            "hatched: not the server's own time, for the reason in the cell; the observed time is in parentheses".into(),
        ],
    }
}
