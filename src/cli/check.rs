//! `rooflens check`: limits on what a model may cost, for a build that must not let it grow.

use super::{Exit, emit, hinted};
use crate::report::ModelReport;
use crate::units::{parse_si, si};
use anyhow::Result;
use std::fmt::Write;
use std::path::PathBuf;

/// Fail when a model costs more than it may: exit code 1 on a breach, with the numbers.
///
/// Limits take SI prefixes, bytes also KiB, MiB and GiB. What depends on data counts at its most.
///
/// Examples:
///   rooflens check resnet50.onnx --max-flops 9G --max-params 26M
///   rooflens check net.onnx --batch 8 --max-peak 200MB --min-coverage 100
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The model file (.onnx).
    model: PathBuf,
    /// Give a symbol a value: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N")]
    dim: Vec<String>,
    /// Fix the shape of an input: NAME=1x3x224x224. Repeatable.
    #[arg(long, value_name = "NAME=DIMS")]
    shape: Vec<String>,
    /// Give the batch symbol a value.
    #[arg(long, value_name = "N")]
    batch: Option<u64>,
    /// Most floating-point and integer operations a run.
    #[arg(long, value_name = "N")]
    max_flops: Option<String>,
    /// Most multiply–accumulates a run.
    #[arg(long, value_name = "N")]
    max_macs: Option<String>,
    /// Most learned parameters.
    #[arg(long, value_name = "N")]
    max_params: Option<String>,
    /// Most bytes of weights.
    #[arg(long, value_name = "BYTES")]
    max_weights: Option<String>,
    /// Most bytes of activations alive together.
    #[arg(long, value_name = "BYTES")]
    max_peak: Option<String>,
    /// Most bytes that must move: inputs, weights and outputs once.
    #[arg(long, value_name = "BYTES")]
    max_traffic: Option<String>,
    /// Least share of nodes whose cost is known, in percent.
    #[arg(long, value_name = "PERCENT")]
    min_coverage: Option<f64>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let report = super::analyze::report(&self.model, &self.shape, &self.dim, self.batch, None)?;
        let t = &report.totals;
        let limits = [
            ("FLOPs", "", t.flops.saturating_add(t.int_ops), "--max-flops", &self.max_flops),
            ("MACs", "", t.macs, "--max-macs", &self.max_macs),
            ("parameters", "", t.params, "--max-params", &self.max_params),
            ("weights", "B", t.weight_bytes, "--max-weights", &self.max_weights),
            ("peak activations", "B", t.peak_activation_bytes, "--max-peak", &self.max_peak),
            ("traffic, at least", "B", t.compulsory_bytes, "--max-traffic", &self.max_traffic),
        ];
        let mut text = String::new();
        let (mut checked, mut broken) = (0, 0);
        for (label, unit, found, flag, limit) in limits {
            let Some(limit) = limit else { continue };
            let most = number(limit, unit).ok_or_else(|| {
                let hint =
                    if unit.is_empty() { "for example 5G" } else { "for example 100MB or 96MiB" };
                hinted(format!("`{flag} {limit}` is not a number"), hint)
            })?;
            let good = found as f64 <= most;
            checked += 1;
            broken += usize::from(!good);
            let verdict = if good { "ok   " } else { "BREACH" };
            let _ = writeln!(
                text,
                "{verdict:<7} {label:<18} {:>12} of {}",
                si(found as f64, unit).trim_end(),
                si(most, unit).trim_end()
            );
        }
        if let Some(least) = self.min_coverage {
            if !(0.0..=100.0).contains(&least) {
                let message = format!("`--min-coverage {least}` is not a share in percent");
                return Err(hinted(message, "from 0 to 100"));
            }
            let good = report.coverage.percent >= least;
            checked += 1;
            broken += usize::from(!good);
            let verdict = if good { "ok" } else { "BREACH" };
            let percent = report.coverage.percent;
            let _ =
                writeln!(text, "{verdict:<7} {:<18} {percent:>10.1} % of {least} %", "coverage");
        }
        if checked == 0 {
            let hint = "for example --max-flops 5G; `rooflens check --help` lists them";
            return Err(hinted("no limit is given", hint));
        }
        incomplete(&mut text, &report);
        emit(&text, None)?;
        Ok(if broken == 0 { Exit::Good } else { Exit::Failed })
    }
}

/// A limit of zero or more; bytes may be in powers of 1,024.
fn number(text: &str, unit: &str) -> Option<f64> {
    const BINARY: [(&str, f64); 4] = [
        ("KiB", 1024.0),
        ("MiB", 1_048_576.0),
        ("GiB", 1_073_741_824.0),
        ("TiB", 1_099_511_627_776.0),
    ];
    let binary = BINARY.iter().filter(|_| unit == "B").find_map(|(suffix, scale)| {
        Some(text.trim().strip_suffix(suffix)?.trim_end().parse::<f64>().ok()? * scale)
    });
    binary.or_else(|| parse_si(text, unit)).filter(|n| n.is_finite() && *n >= 0.0)
}

/// What the numbers leave out.
fn incomplete(text: &mut String, report: &ModelReport) {
    for (op, n) in &report.coverage.unknown {
        let _ = writeln!(text, "unknown: {op} × {n}: not in these numbers");
    }
    for line in crate::report::assumptions(report) {
        let _ = writeln!(text, "assumed: {line}");
    }
}
