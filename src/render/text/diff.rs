//! Two models side by side.

use super::{Side, Table};
use crate::results::{DiffRow, ModelDiff};
use crate::units::si;
use std::fmt::Write;

/// Totals of both models, and where they differ by operator.
pub fn diff(diff: &ModelDiff) -> String {
    let mut text = format!("a  {}\nb  {}\n", diff.a, diff.b);
    let sections =
        [("total", &diff.totals), ("operations", &diff.operations), ("nodes", &diff.nodes)];
    for (title, rows) in sections {
        if rows.is_empty() {
            let _ = writeln!(text, "\n{title}: the same for every operator");
            continue;
        }
        let right = ["a", "b", "b/a"].map(|name| (name, Side::Right));
        let mut table = Table::new([(title, Side::Left)].into_iter().chain(right));
        for r in rows {
            table.row([r.name.clone(), figure(r.a, r.unit), figure(r.b, r.unit), ratio(r)]);
        }
        text.push('\n');
        table.write("", &mut text);
    }
    if !diff.remarks.is_empty() {
        let _ = writeln!(text, "\n{}", diff.remarks.join("\n"));
    }
    text
}

fn figure(n: Option<u64>, unit: Option<&'static str>) -> String {
    match (n, unit) {
        (None, _) => "–".to_owned(),
        (Some(n), None) => n.to_string(),
        (Some(n), Some(unit)) => si(n as f64, unit).trim_end().to_owned(),
    }
}

fn ratio(r: &DiffRow) -> String {
    match r.ratio {
        Some(x) if r.a == r.b => format!("= {x:.0}"),
        Some(x) => format!("×{x:.3}"),
        None if r.a.is_none() || r.b.is_none() => "–".into(),
        None if r.b == Some(0) => "=".into(),
        None => "new".into(),
    }
}
