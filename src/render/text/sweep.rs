//! The same load once for each batch.

use super::{Side, Table};
use crate::schema::{SweepFile, Verdict};
use crate::units::si;
use std::fmt::Write;
use std::path::Path;

/// A sweep over batches, and the folder it was written to.
pub fn sweep(file: &SweepFile, folder: &Path) -> String {
    let mut out = format!("{}  {}\n\n", file.target, file.load);
    let numbers = ["batch", "inferences/s", "requests/s", "p50", "p95", "p99"];
    let head = numbers.map(|name| (name, Side::Right)).into_iter();
    let mut table = Table::new(head.chain([("verdict", Side::Left)]));
    for row in &file.rows {
        let show = |p: Option<f64>| p.map_or("–".into(), |v| si(v, "s"));
        let failed = if row.lost > 0 {
            format!(", {} of {} failed", row.lost, row.due)
        } else {
            String::new()
        };
        table.row([
            row.batch.to_string(),
            format!("{:.1}", row.inferences_per_second),
            format!("{:.1}", row.requests_per_second),
            show(row.p50_seconds),
            show(row.p95_seconds),
            show(row.p99_seconds),
            format!("{}{failed}", row.verdict),
        ]);
    }
    table.write("", &mut out);
    let valid = file.rows.iter().filter(|r| r.verdict == Verdict::Valid);
    let most = valid.max_by(|a, b| a.inferences_per_second.total_cmp(&b.inferences_per_second));
    if let Some(most) = most.filter(|_| file.rows.len() > 1) {
        let _ = writeln!(
            out,
            "\nhighest throughput of the VALID runs: batch {}, {:.1} inferences/s",
            most.batch, most.inferences_per_second
        );
    }
    if file.stopped {
        out.push_str("\nstopped before the end\n");
    }
    let _ = writeln!(out, "\nsweep in {}/", folder.display());
    out
}
