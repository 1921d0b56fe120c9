//! A batching study as text.

use super::{Side, Table};
use crate::schema::{Against, BatchingFile, CellPart, LossKind, Verdict, percentile};
use std::fmt::Write;
use std::path::Path;

/// A study, and the folder it was written to.
pub fn batching(file: &BatchingFile, folder: &Path) -> String {
    let mut out = format!("{}  {}\n\n", file.target, file.platform);
    let columns = file.columns();
    let names: Vec<String> = columns.iter().map(|c| c.name(&columns)).collect();
    let head = [("", Side::Left), ("max inferences/s", Side::Right), ("in flight", Side::Right)];
    let rest = [("mean batch", Side::Right), ("verdict", Side::Left)];
    let mut table = Table::new(head.into_iter().chain(rest));
    for (p, name) in file.plateaus.iter().zip(&names) {
        let executed = p.executed_batch_mean.map_or("–".into(), |m| format!("{m:.1}"));
        let most = format!("{:.1}", p.inferences_per_second);
        let (in_flight, verdict) = (p.in_flight.to_string(), p.verdict.to_string());
        table.row([name, &most, &in_flight, &executed, &verdict]);
    }
    table.write("", &mut out);
    if !file.cells.is_empty() {
        out.push_str(&cells(file, &names));
    }
    out.push('\n');
    for sentence in &file.summary {
        let _ = writeln!(out, "{sentence}");
    }
    let decided = file.cells.iter().any(|c| c.against.is_decided());
    if decided && !file.stopped && file.findings.is_empty() {
        out.push_str("batching hurts nowhere in this study\n");
    } else if !decided && !file.stopped && file.plateaus.len() > 1 {
        let late = file.cells.iter().filter(|c| c.verdict == Verdict::ClientLimited).count();
        out.push_str(if 2 * late > file.cells.len() {
            "undecided: the client lagged; run it on another machine than the server, or lower --loads\n"
        } else {
            "undecided: use longer --seconds\n"
        });
    }
    // What is slower or overloaded is in the table and the sentences already.
    let new = |kind| !matches!(kind, LossKind::Slower | LossKind::OverloadedFirst);
    for f in file.findings.iter().filter(|f| new(f.kind)) {
        let load = f.load.map_or(String::new(), |l| format!(" at {:.0} % load", 100.0 * l));
        let name = f.column.name(&columns);
        let _ = writeln!(out, "{}, {name}{load}: {}", f.kind, f.evidence);
    }
    for note in &file.notes {
        let _ = writeln!(out, "note: {note}");
    }
    if file.stopped {
        out.push_str("stopped before the end; what was measured until then is kept\n");
    }
    let _ = writeln!(out, "\nstudy in {}/", folder.display());
    out
}

/// Loads against columns, with a mark at what is not just a time.
fn cells(file: &BatchingFile, names: &[String]) -> String {
    let none = "too few requests in some run for a percentile (use longer --seconds)";
    let label = file.quantile.map_or(none.into(), |q| format!("{} response time", percentile(q)));
    let mut out = format!(
        "\n{label}; compared with {}: < faster, > slower, = the same, ? undecided;\n! no steady state, not comparable\n",
        file.reference.name(&file.columns())
    );
    let columns = names.iter().map(|name| (name.as_str(), Side::Right));
    let mut table = Table::new([("inferences/s", Side::Right)].into_iter().chain(columns));
    let mut reasons = Vec::new();
    for load in file.loads().iter().rev() {
        let mut row = vec![format!("{:.1}", file.most() * load)];
        for (column, name) in file.columns().iter().zip(names) {
            let Some(cell) = file.cell(column, *load) else {
                row.push("not run".into());
                continue;
            };
            row.push(format!("{} {}", super::super::chart::batching::time(file, cell), mark(cell)));
            reasons.extend(
                reason(cell).map(|why| format!("  {:.0} % load, {name}: {why}\n", 100.0 * load)),
            );
        }
        table.row(row);
    }
    table.write("", &mut out);
    if !reasons.is_empty() {
        out.push_str("\nnot VALID, or with failures:\n");
        out.extend(reasons);
    }
    out
}

/// How a cell compares with the reference.
fn mark(cell: &CellPart) -> char {
    match cell.against {
        _ if !cell.sound() => '!',
        Against::Worse => '>',
        Against::Better => '<',
        Against::Same => '=',
        Against::Reference => ' ',
        _ => '?',
    }
}

/// Why a cell is not VALID, or what failed in it.
fn reason(cell: &CellPart) -> Option<String> {
    if cell.overloaded && cell.verdict != Verdict::Overloaded {
        return Some(format!(
            "overloaded: the load exceeds its maximum throughput; {} too",
            cell.verdict
        ));
    }
    if cell.verdict != Verdict::Valid {
        let why = cell.findings.first();
        return Some(why.map_or(String::new(), |f| format!("{}: {}", f.verdict, f.evidence)));
    }
    (cell.lost > 0).then(|| format!("{} of {} failed", cell.lost, cell.due))
}
