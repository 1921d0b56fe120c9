//! `rooflens probe --batch 1,2,4`: the table of the same load once for each batch.

use super::super::emit;
use crate::schema::{SweepFile, Verdict};
use crate::units::si;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// Writes the table of the runs, whose files are in folders of their own.
pub(super) fn save(file: &SweepFile, folder: &Path) -> Result<()> {
    let json = serde_json::to_string_pretty(file).context("the sweep cannot be written")?;
    emit(&(json + "\n"), Some(&folder.join("sweep.json")))?;
    emit(&format!("{}\nsweep in {}/\n", table(file), folder.display()), None)
}

/// What a person reads.
fn table(file: &SweepFile) -> String {
    let mut out = format!("{}  {}\n\n", file.target, file.load);
    let _ = writeln!(
        out,
        "{:>6}{:>14}{:>12}{:>11}{:>11}{:>11}  verdict",
        "batch", "inferences/s", "requests/s", "p50", "p95", "p99"
    );
    for row in &file.rows {
        let show = |p: Option<f64>| p.map_or("–".into(), |v| si(v, "s"));
        let _ = writeln!(
            out,
            "{:>6}{:>14.1}{:>12.1}{:>11}{:>11}{:>11}  {}{}",
            row.batch,
            row.inferences_per_second,
            row.requests_per_second,
            show(row.p50_seconds),
            show(row.p95_seconds),
            show(row.p99_seconds),
            row.verdict,
            if row.lost > 0 {
                format!(", {} of {} failed", row.lost, row.due)
            } else {
                String::new()
            }
        );
    }
    let valid = file.rows.iter().filter(|r| r.verdict == Verdict::Valid);
    let most = valid.max_by(|a, b| a.inferences_per_second.total_cmp(&b.inferences_per_second));
    if let Some(most) = most.filter(|_| file.rows.len() > 1) {
        let _ = writeln!(
            out,
            "\nmost inferences of the valid runs: batch {}, {:.1}/s",
            most.batch, most.inferences_per_second
        );
    }
    if file.stopped {
        out.push_str("\nstopped before the end\n");
    }
    out
}
