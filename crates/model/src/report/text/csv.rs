//! Exact numbers as CSV; what is not known is empty.

use super::Listing;
use crate::ir::Severity;
use crate::report::{BoundReport, ModelReport, OpReport};
use rooflens_ground::text::csv as csv_field;
use std::fmt::Write;

fn number(n: Option<u64>) -> String {
    n.map_or_else(String::new, |n| n.to_string())
}

fn ratio(n: Option<f64>) -> String {
    n.map_or_else(String::new, |n| n.to_string())
}

/// One row per node, per operator type, or per figure of the whole model.
pub fn csv(report: &ModelReport, by: Listing) -> String {
    match by {
        Listing::Types => types(report),
        Listing::Totals => figures(report),
        Listing::Nodes => nodes(report),
    }
}

fn nodes(report: &ModelReport) -> String {
    let mut out = String::from(
        "name,op_type,class,macs,flops,int_ops,bytes_read,bytes_written,intensity,status,depth,times",
    );
    for b in &report.bounds {
        let _ = write!(
            out,
            ",{}",
            csv_field(&format!("unfused seconds on {} in {}", b.device, b.dtype))
        );
    }
    out.push('\n');
    for op in super::nested(report, false) {
        let _ = write!(
            out,
            "{},{},{},{},{},{},{},{},{},{},{},{}",
            csv_field(&op.name),
            csv_field(&op.op_type),
            op.class,
            number(op.macs),
            number(op.flops),
            number(op.int_ops),
            number(op.bytes_read),
            number(op.bytes_written),
            ratio(op.intensity),
            op.status,
            op.depth,
            op.times.unwrap_or(1)
        );
        for b in &report.bounds {
            let _ =
                write!(out, ",{}", ratio(seconds(op, b.peak_flops, b.bandwidth_bytes_per_second)));
        }
        out.push('\n');
    }
    out
}

/// max(F/π, Q/β) of a node.
fn seconds(op: &OpReport, peak: f64, bandwidth: f64) -> Option<f64> {
    Some((op.operations()? as f64 / peak).max(op.bytes()? as f64 / bandwidth))
}

fn types(report: &ModelReport) -> String {
    let mut out = String::from("op_type,nodes,unknown,macs,flops,int_ops,bytes\n");
    for t in report.by_type() {
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{}",
            csv_field(&t.op_type),
            t.count,
            t.unknown,
            number(t.macs),
            number(t.flops),
            number(t.int_ops),
            number(t.bytes)
        );
    }
    out
}

/// Figure, value, unit and note of what a device allows.
fn on_device(b: &BoundReport) -> Vec<[String; 4]> {
    let on = format!("on {} in {}", b.device, b.dtype);
    let mut rows = Vec::new();
    let mut row = |figure: String, value: String, unit: &str, note: &str| {
        rows.push([figure, value, unit.to_owned(), format!("{on}; {note}")]);
    };
    for run in &b.runs {
        let note = format!("bound by {}", run.bound);
        row(format!("seconds {}", run.name), run.seconds.to_string(), "s", &note);
    }
    if let Some(fit) = &b.memory {
        let note = match fit.fits {
            Some(true) => "fits",
            Some(false) => "does not fit",
            None => "not known whether it fits",
        };
        row("memory_needed".into(), fit.needed_bytes.to_string(), "B", note);
    }
    if let Some(rate) = b.tokens_per_second {
        row("tokens_per_second".into(), rate.to_string(), "1/s", "at best");
    }
    rows
}

/// Totals with their formulas, sizes, coverage and bounds.
fn figures(report: &ModelReport) -> String {
    let mut out = String::from("figure,value,unit,formula,note\n");
    let mut row =
        |figure: &str, value: String, unit: &str, formula: Option<&String>, note: &str| {
            let formula = formula.map_or_else(String::new, |f| csv_field(f));
            let _ =
                writeln!(out, "{},{value},{unit},{formula},{}", csv_field(figure), csv_field(note));
        };
    let (t, f, m) = (&report.totals, &report.formulas, &report.memory);
    row("macs", number(t.macs), "", f.macs.as_ref(), "");
    row("effective_macs", number(t.effective_macs), "", None, "");
    row("flops", number(t.flops), "", f.flops.as_ref(), "");
    row("int_ops", number(t.int_ops), "", f.int_ops.as_ref(), "");
    row("bound_ops", t.bound_ops.to_string(), "", None, "data-dependent; upper bound used");
    row("params", t.params.to_string(), "", None, "");
    row("weight_bytes", t.weight_bytes.to_string(), "B", None, "");
    row("unfused_bytes", number(t.bytes()), "B", f.bytes.as_ref(), "");
    row("fused_bytes", number(t.fused_bytes), "B", f.fused_bytes.as_ref(), "");
    row("compulsory_bytes", number(t.compulsory_bytes), "B", f.compulsory_bytes.as_ref(), "");
    let least =
        |missing: usize| if missing > 0 { "a lower bound: some sizes are unknown" } else { "" };
    let note = least(m.activations_of_unknown_size);
    row("peak_activation_bytes", number(t.peak_activation_bytes), "B", None, note);
    let note = least(m.caches_of_unknown_size);
    row("kv_cache_bytes", number(m.kv_cache_bytes), "B", f.kv_cache_bytes.as_ref(), note);
    row("unfused_intensity", ratio(t.intensity), "FLOP/B", None, "");
    row("coverage_percent", report.coverage.percent.to_string(), "%", None, "of the nodes");
    let weights = report.coverage.weights_percent.to_string();
    row("coverage_weights_percent", weights, "%", None, "of the weight bytes");
    for (op, n) in &report.coverage.unknown {
        row("unknown", n.to_string(), "", None, op);
    }
    for (symbol, value) in &report.bindings {
        let assumed = report.assumptions.iter().find(|a| a.symbol == *symbol);
        let note = match assumed {
            Some(a) if a.data_dependent => "data-dependent; upper bound used",
            Some(_) => "assumed",
            None => "given",
        };
        row(&format!("size {symbol}"), value.to_string(), "", None, note);
    }
    for [figure, value, unit, note] in report.bounds.iter().flat_map(on_device) {
        row(&figure, value, &unit, None, &note);
    }
    for d in report.diagnostics.iter().filter(|d| d.severity != Severity::Assumption) {
        row(d.severity.name(), String::new(), "", None, &format!("{}: {}", d.place, d.message));
    }
    out
}
