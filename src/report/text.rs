//! Reports as text: an aligned table, CSV and Markdown.

use super::model::{ModelReport, OpReport};
use crate::units::si;
use std::fmt::Write;

/// A count with an SI prefix and no unit.
pub fn count(n: u64) -> String {
    si(n as f64, "").trim_end().to_owned()
}

fn bytes(n: u64) -> String {
    si(n as f64, "B")
}

/// In place of a number in a listing that is not known.
const DASH: &str = "–";

fn or_dash(n: Option<u64>, show: fn(u64) -> String) -> String {
    n.map_or_else(|| DASH.to_owned(), show)
}

fn intensity(value: Option<f64>) -> String {
    value.map_or_else(|| DASH.to_owned(), |v| format!("{v:.2}"))
}

/// The rows of a listing: header first.
fn rows(report: &ModelReport, by: &str, top: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    match by {
        "type" => {
            rows.push(
                ["operator", "nodes", "MACs", "FLOPs", "int ops", "bytes", "FLOP/B"]
                    .map(String::from)
                    .to_vec(),
            );
            for t in report.by_type().into_iter().take(top) {
                let moved = t.bytes.filter(|b| *b > 0);
                let ratio = moved.and_then(|b| Some(t.operations()? as f64 / b as f64));
                let nodes = match t.unknown {
                    some if some > 0 && some < t.count => format!("{}, {some} unknown", t.count),
                    _ => t.count.to_string(),
                };
                rows.push(vec![
                    t.op_type,
                    nodes,
                    or_dash(t.macs, count),
                    or_dash(t.flops, count),
                    or_dash(t.int_ops, count),
                    or_dash(t.bytes, bytes),
                    intensity(ratio),
                ]);
            }
        }
        "op" => {
            rows.push(
                ["node", "operator", "output", "MACs", "FLOPs", "bytes", "FLOP/B", "status"]
                    .map(String::from)
                    .to_vec(),
            );
            let mut ops: Vec<&OpReport> = report.ops.iter().collect();
            if top < ops.len() {
                ops.sort_by_key(|o| std::cmp::Reverse((o.operations(), o.bytes())));
            }
            for op in ops.into_iter().take(top) {
                let output = op.outputs.first().map_or_else(String::new, |o| o.symbolic.clone());
                rows.push(vec![
                    op.name.clone(),
                    op.op_type.clone(),
                    output,
                    or_dash(op.macs, count),
                    or_dash(op.operations(), count),
                    or_dash(op.bytes(), bytes),
                    intensity(op.intensity),
                    op.status.clone(),
                ]);
            }
        }
        _ => {}
    }
    rows
}

/// The MACs that matter, where they are fewer.
fn effective(t: &super::Totals) -> String {
    match t.effective_macs {
        Some(n) if t.macs != Some(n) => {
            format!(", {} without padding and masked scores", count(n))
        }
        _ => String::new(),
    }
}

/// In place of a total of which nothing is known.
const NOT_KNOWN: &str = "not known";

/// How a sum stands for the whole model.
#[derive(Clone, Copy)]
struct Sums {
    complete: bool,
    /// Whether some of it may be more than the truth.
    bounds: bool,
}

impl Sums {
    fn of(report: &ModelReport) -> Self {
        let bounds = report.totals.bound_ops > 0 || report.totals.bound_bytes > 0;
        Self { complete: report.is_complete(), bounds }
    }

    /// `text` of a sum that only grows with the nodes that are not known, said to be no more than that.
    fn say(self, text: Option<String>) -> String {
        match (text, self.complete, self.bounds) {
            (None, ..) => NOT_KNOWN.to_owned(),
            (Some(text), true, _) => text,
            (Some(text), false, false) => format!("at least {text}"),
            (Some(text), false, true) => format!("{text} in the known nodes"),
        }
    }
}

/// Totals as label and value.
fn totals(report: &ModelReport) -> Vec<[String; 2]> {
    let t = &report.totals;
    let sums = Sums::of(report);
    let work = |n: Option<u64>| sums.say(n.map(|n| format!("{}  ({n})", count(n))));
    let mut rows = vec![
        ["parameters".to_owned(), format!("{}  ({})", count(t.params), t.params)],
        ["weights".to_owned(), bytes(t.weight_bytes)],
        ["MACs".to_owned(), work(t.macs) + &effective(t)],
        ["FLOPs".to_owned(), work(t.flops)],
    ];
    if t.quantization_params > 0 {
        let text = format!("{} scales and zero points besides", count(t.quantization_params));
        rows.insert(1, ["  quantization".to_owned(), text]);
    }
    if t.bound_ops > 0 {
        let text = format!("{}: data-dependent; upper bound used", count(t.bound_ops));
        rows.push(["  of which".to_owned(), text]);
    }
    if t.int_ops.is_some_and(|n| n > 0) {
        rows.push(["integer ops".to_owned(), work(t.int_ops)]);
    }
    let moved = |label: &str, n: Option<u64>, how: &str| {
        let text = sums.say(n.map(bytes));
        [label.to_owned(), if n.is_some() { format!("{text} {how}") } else { text }]
    };
    rows.push(moved("traffic", t.bytes(), "unfused (every node reads and writes memory)"));
    // A node that is not known may be what would have been fused: no "at least" here.
    let fused = Sums { bounds: true, ..sums }.say(t.fused_bytes.map(bytes));
    rows.push([
        "  fused".to_owned(),
        format!("{fused} with epilogue, element-wise and norm fusion"),
    ]);
    rows.push(moved(
        "  compulsory",
        t.compulsory_bytes,
        "(inputs, weights and outputs, each moved once)",
    ));
    rows.push(["unfused intensity".to_owned(), format!("{} FLOP/B", intensity(t.intensity))]);
    let m = &report.memory;
    let better = match (m.best_order_bytes, m.arena_bytes) {
        (Some(order), Some(arena)) => {
            format!(" ({} in the best order found; {} as an arena)", bytes(order), bytes(arena))
        }
        _ => String::new(),
    };
    let peak = sums.say(t.peak_activation_bytes.map(bytes));
    rows.push(["peak activations".to_owned(), peak + &better]);
    if m.kv_cache_bytes > 0 {
        rows.push(["KV cache".to_owned(), format!("{} after the run", bytes(m.kv_cache_bytes))]);
    }
    rows.push(["coverage".to_owned(), coverage(report)]);
    rows
}

/// How much of the model the totals stand for.
fn coverage(report: &ModelReport) -> String {
    let c = &report.coverage;
    let nodes = format!("{:.1} % ({} of {} nodes)", c.percent, c.known, c.nodes);
    if report.is_complete() {
        return nodes;
    }
    format!("{nodes}; {:.1} % of the weight bytes", c.weights_percent)
}

/// The report for people: listing, totals, formulas, remarks.
pub fn table(report: &ModelReport, by: &str, top: usize) -> String {
    let mut out = String::new();
    let inputs: Vec<String> =
        report.model.inputs.iter().map(|i| format!("{} {}", i.name, i.symbolic)).collect();
    let _ = writeln!(out, "{}  ({})", report.model.file, report.model.format);
    let _ = writeln!(out, "input  {}", inputs.join(", "));
    if let Some(precision) = &report.model.precision {
        let _ = writeln!(out, "as if cast to {precision}; scales of quantised weights not counted");
    }
    out.push('\n');
    let rows = rows(report, by, top);
    if !rows.is_empty() {
        align(&mut out, &rows);
        let shown = rows.len() - 1;
        let all = if by == "op" { report.ops.len() } else { report.by_type().len() };
        if shown < all {
            let _ = writeln!(out, "… {} more; --top {all} shows all", all - shown);
        }
        out.push('\n');
    }
    for [label, value] in totals(report) {
        let _ = writeln!(out, "{label:<17} {}", value.replace("  (", " ("));
    }
    out.push_str(&formulas(report));
    out.push_str(&elsewhere(report));
    for phase in &report.phases {
        let _ = writeln!(
            out,
            "\n{} ({} = {}): {} and {}: {} FLOP/B\n  FLOPs           = {}\n  bytes, at least = {}",
            phase.name,
            phase.symbol,
            phase.value,
            si(phase.flops as f64, "FLOP"),
            bytes(phase.compulsory_bytes),
            intensity(phase.intensity),
            readable(&phase.flops_formula),
            readable(&phase.compulsory_bytes_formula)
        );
    }
    for line in assumptions(report) {
        let _ = writeln!(out, "assumed: {line}");
    }
    out.push_str(&choices(report));
    for (op, n) in &report.coverage.unknown {
        let _ = writeln!(out, "unknown: {op} × {n}: not in the totals");
    }
    let incomplete = |d: &&super::DiagnosticReport| d.severity != "assumption";
    for d in report.diagnostics.iter().filter(incomplete).take(10) {
        let _ = writeln!(out, "{}: `{}`: {}", d.severity, d.place, d.message);
    }
    out
}

/// The totals as formulas, of a model with sizes that are not fixed.
fn formulas(report: &ModelReport) -> String {
    let mut out = String::new();
    if report.bindings.is_empty() {
        return out;
    }
    let f = &report.formulas;
    let sums = Sums::of(report);
    let sign = if sums.complete || sums.bounds { "=" } else { "≥" };
    let of = if sums.complete || !sums.bounds { "" } else { " in the known nodes" };
    let mut line = |label: &str, formula: &Option<String>| {
        if let Some(text) = formula {
            let _ = write!(out, "\n{label:<17} {sign} {}{of}", readable(text));
        }
    };
    let none = |formula: &Option<String>| formula.as_deref() == Some("0");
    if none(&f.int_ops) || !none(&f.flops) {
        line("FLOPs", &f.flops);
    }
    // A word on work that most models do not have, unless it is a matter of masks and positions.
    if report.totals.int_ops > report.totals.flops.map(|n| n / 100) {
        line("integer ops", &f.int_ops);
    }
    line("unfused bytes", &f.bytes);
    let at: Vec<String> = report.given().map(|(k, v)| format!("{k} = {v}")).collect();
    if !at.is_empty() {
        let _ = write!(out, "\nat                  {}", at.join(", "));
    }
    format!("\n{}\n", out.trim_start_matches('\n'))
}

/// What the analysis took for granted on the way, each remark once; a few of many.
fn choices(report: &ModelReport) -> String {
    const SHOWN: usize = 4;
    let taken = report.diagnostics.iter().filter(|d| d.severity == "assumption");
    let mut seen = std::collections::BTreeSet::new();
    let mut lines = Vec::new();
    for d in taken {
        if seen.insert(d.message.as_str()) {
            lines.push(format!("assumed: `{}`: {}\n", d.place, d.message));
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("assumed: {more} more, which --format json lists\n"));
    }
    lines.concat()
}

/// Which formulas do not hold at the sizes of the numbers.
fn elsewhere(report: &ModelReport) -> String {
    match &report.formulas.elsewhere[..] {
        [] => String::new(),
        names => {
            let names = names.join(", ").replace('_', " ");
            format!("formulas that do not hold at these sizes: {names}\n")
        }
    }
}

/// A formula short enough to read.
fn readable(formula: &str) -> String {
    const LONGEST: usize = 400;
    if formula.chars().count() <= LONGEST {
        return formula.to_owned();
    }
    let start: String = formula.chars().take(LONGEST).collect();
    format!("{start}… (--format json has it whole)")
}

/// What was taken for granted, one line each, the sizes that only the data decide together.
pub fn assumptions(report: &ModelReport) -> Vec<String> {
    let (decided, unset): (Vec<_>, Vec<_>) =
        report.assumptions.iter().partition(|a| a.data_dependent);
    let line = |a: &&super::Assumption| {
        format!("{} = {} (set it with --dim {}=N)", a.symbol, a.value, a.symbol)
    };
    let mut lines: Vec<String> = unset.iter().map(line).collect();
    let shown: Vec<String> =
        decided.iter().take(4).map(|a| format!("{} = {}", a.symbol, a.value)).collect();
    if !shown.is_empty() {
        let more = decided.len() - shown.len();
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let list = shown.join(", ");
        lines.push(format!(
            "{list}{rest}: only the data decide, counted at the most (--dim sets them)"
        ));
    }
    lines
}

/// The bounds on devices, for people.
pub fn bounds(report: &ModelReport) -> String {
    let mut out = String::new();
    for b in &report.bounds {
        let kind = if b.measured { "measured" } else { "datasheet" };
        let _ = writeln!(out, "\non {} in {} ({kind} ceilings)", b.device, b.dtype);
        let _ = writeln!(
            out,
            "{:<17} {}: the model does {:.1} FLOP/B, the ridge is at {:.1}",
            "bound by", b.bound, b.intensity_flop_per_byte, b.ridge_flop_per_byte
        );
        let _ = writeln!(
            out,
            "{:<17} {} a run ({} attainable)",
            "at least",
            si(b.least_seconds, "s"),
            si(b.attainable_flops, "FLOP/s")
        );
        let _ = writeln!(
            out,
            "{:<17} {} fused, {} if every node reads and writes memory",
            "by kernels",
            si(b.fused_seconds, "s"),
            si(b.node_by_node_seconds, "s")
        );
        for e in &b.estimates {
            let threads =
                if e.threads == 1 { "1 thread".into() } else { format!("{} threads", e.threads) };
            let _ = writeln!(
                out,
                "{:<17} {} ± {:.0} % (median of kernels held out), {}, {threads}",
                "estimate",
                si(e.seconds, "s"),
                100.0 * e.held_out_error,
                e.version
            );
            let most = e.parts.iter().take(4).filter(|p| p.seconds >= 0.02 * e.seconds);
            let share = |p: &super::EstimatePart| {
                format!("{} {:.0} % in {}", p.kind, 100.0 * p.seconds / e.seconds, p.kernels)
            };
            let most: Vec<String> = most.map(share).collect();
            if !most.is_empty() {
                let _ = writeln!(out, "{:<17} of it {}", "", most.join(", "));
            }
            if e.uncalibrated > 0 {
                let _ = writeln!(
                    out,
                    "{:<17} {} of {} kernels are of kinds that were not calibrated and count at the roof: {}",
                    "",
                    e.uncalibrated,
                    e.kernels,
                    e.uncalibrated_types.iter().cloned().collect::<Vec<_>>().join(", ")
                );
            }
        }
        // Where a cache holds some node's data.
        if b.levels.iter().any(|l| !["compute", "DRAM"].contains(&l.ceiling.as_str())) {
            let level = |l: &super::LevelReport| {
                format!("{} {} ({})", l.ceiling, l.nodes.len(), si(l.seconds, "s"))
            };
            let levels: Vec<String> = b.levels.iter().map(level).collect();
            let _ = writeln!(
                out,
                "{:<17} {}; data in caches that hold them",
                "nodes bound by",
                levels.join(", ")
            );
        }
        if let (Some(n), Some(symbol)) = (b.critical_batch, &report.model.batch_symbol) {
            let _ = writeln!(out, "{:<17} {symbol} ≥ {n} is bound by compute", "critical batch");
        }
    }
    out
}

/// First column left, the others right.
fn align(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0)).collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(c, (cell, w))| {
                if c == 0 || cell.starts_with(|x: char| x.is_alphabetic()) {
                    format!("{cell:<w$}")
                } else {
                    format!("{cell:>w$}")
                }
            })
            .collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
}

/// Exact numbers, one node a line; what is not known is empty.
pub fn csv(report: &ModelReport) -> String {
    let mut out = String::from(
        "name,op_type,class,macs,flops,int_ops,bytes_read,bytes_written,intensity,status\n",
    );
    let quote = |s: &str| {
        if s.contains([',', '"', '\n']) {
            format!("\"{}\"", s.replace('"', "\"\""))
        } else {
            s.to_owned()
        }
    };
    let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    for op in &report.ops {
        let intensity = op.intensity.map_or_else(String::new, |v| v.to_string());
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{},{intensity},{}",
            quote(&op.name),
            quote(&op.op_type),
            op.class,
            number(op.macs),
            number(op.flops),
            number(op.int_ops),
            number(op.bytes_read),
            number(op.bytes_written),
            op.status
        );
    }
    out
}

/// Tables for a document.
pub fn markdown(report: &ModelReport, by: &str, top: usize) -> String {
    let mut out = format!("## {}\n\n| | |\n| --- | --- |\n", report.model.file);
    for [label, value] in totals(report) {
        let _ = writeln!(out, "| {label} | {} |", value.trim());
    }
    let rows = rows(report, by, top);
    for (i, row) in rows.iter().enumerate() {
        if i == 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "| {} |", row.join(" | ").replace('\n', " "));
        if i == 0 {
            let _ = writeln!(out, "|{}", " --- |".repeat(row.len()));
        }
    }
    out
}
