//! `rooflens probe --batch 1,2,4`: the same load once for each batch.

use super::super::{Exit, emit};
use crate::probe::measurement::Measured;
use crate::schema::{SWEEP, SweepFile, SweepRow, TOOL, Verdict};
use crate::units::si;
use anyhow::{Context, Result};
use std::fmt::Write;
use std::path::Path;

/// Saves a measurement of each batch in a folder of its own, and the table of them. `measure` gives
/// nothing once it was interrupted.
pub(super) fn sweep(
    target: &str,
    load: &str,
    batches: &[i64],
    folder: &Path,
    mut measure: impl FnMut(usize) -> Result<Option<Measured>>,
) -> Result<Exit> {
    let mut file = SweepFile {
        schema: SWEEP.into(),
        tool: TOOL.into(),
        target: target.into(),
        load: load.into(),
        stopped: false,
        rows: Vec::new(),
    };
    let mut exit = Exit::Good;
    for (i, batch) in batches.iter().enumerate() {
        let Some(measured) = measure(i)? else {
            file.stopped = true;
            break;
        };
        let name = format!("batch-{batch}");
        let own = super::super::new_folder(&folder.join(&name))?;
        super::save(&measured, &own)?;
        file.stopped |= measured.file.run.stopped;
        file.rows.push(SweepRow::new(&measured.file, &name));
        if super::exit(&measured.file) != Exit::Good {
            exit = Exit::Failed;
        }
    }
    let json = serde_json::to_string_pretty(&file).context("the sweep cannot be written")?;
    emit(&(json + "\n"), Some(&folder.join("sweep.json")))?;
    emit(&format!("{}\nsweep in {}/\n", table(&file), folder.display()), None)?;
    Ok(exit)
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
