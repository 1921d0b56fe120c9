//! Reports as text: an aligned table, CSV and Markdown.

mod csv;
mod device;

pub use csv::csv;
pub use device::{bounds, ceilings};

use super::model::{ModelReport, OpReport};
use crate::ir::Severity;
use rooflens_ground::text;
use rooflens_ground::units::si;
use std::collections::BTreeMap;
use std::fmt::Write;

/// A count with an SI prefix and no unit.
pub fn count(n: u64) -> String {
    if n < 1000 { n.to_string() } else { si(n as f64, "").trim_end().to_owned() }
}

fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { si(n as f64, "B") }
}

/// A count in short and whole.
fn both(n: u64) -> String {
    if n < 1000 { n.to_string() } else { format!("{} ({n})", count(n)) }
}

/// In place of a number in a listing that is not known.
const DASH: &str = "–";

fn or_dash(n: Option<u64>, show: fn(u64) -> String) -> String {
    n.map_or_else(|| DASH.to_owned(), show)
}

fn intensity(value: Option<f64>) -> String {
    value.map_or_else(|| DASH.to_owned(), |v| format!("{v:.2}"))
}

/// What is listed above the totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// Every node.
    Nodes,
    /// Sums by operator type.
    Types,
    /// Nothing: the totals alone.
    Totals,
}

/// The rows of a listing: header first.
fn rows(report: &ModelReport, by: Listing, top: usize) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    match by {
        Listing::Types => {
            rows.push(
                ["operator", "nodes", "MACs", "FLOPs", "int ops", "bytes", "unfused FLOP/B"]
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
        Listing::Nodes => {
            rows.push(
                [
                    "node",
                    "operator",
                    "output",
                    "MACs",
                    "FLOPs",
                    "bytes",
                    "unfused FLOP/B",
                    "status",
                ]
                .map(String::from)
                .to_vec(),
            );
            for op in nested(report, top < report.ops.len()).into_iter().take(top) {
                let output = op.outputs.first().map_or_else(String::new, |o| o.symbolic.clone());
                rows.push(vec![
                    format!("{}{}", "\u{a0}\u{a0}".repeat(op.depth), op.name),
                    op.op_type.clone(),
                    output,
                    or_dash(op.macs, count),
                    or_dash(op.operations(), count),
                    or_dash(op.bytes(), bytes),
                    intensity(op.intensity),
                    op.status.to_string(),
                ]);
            }
        }
        Listing::Totals => {}
    }
    rows
}

/// Rows with those of bodies below the nodes that run them; the largest first, or in the order of the file.
fn nested(report: &ModelReport, largest: bool) -> Vec<&OpReport> {
    let mut below: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (at, op) in report.ops.iter().enumerate() {
        below.entry(op.parent).or_default().push(at);
    }
    if largest {
        let size = |at: &usize| report.ops.get(*at).map(|o| (o.operations(), o.bytes()));
        for list in below.values_mut() {
            list.sort_by_key(|at| std::cmp::Reverse(size(at)));
        }
    }
    // The next to list is last.
    let mut waiting: Vec<usize> = below.remove(&None).unwrap_or_default();
    waiting.reverse();
    let mut rows = Vec::with_capacity(report.ops.len());
    while let Some(at) = waiting.pop() {
        rows.extend(report.ops.get(at));
        waiting.extend(below.remove(&Some(at)).into_iter().flatten().rev());
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
    let work = |n: Option<u64>| sums.say(n.map(both));
    let mut rows = vec![
        ["parameters".to_owned(), both(t.params)],
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
    let how = t.fused_bytes.map_or("", |_| " with epilogue, element-wise and norm fusion");
    rows.push(["  fused".to_owned(), format!("{fused}{how}")]);
    rows.push(moved(
        "  compulsory",
        t.compulsory_bytes,
        "(inputs, weights and outputs, each moved once)",
    ));
    rows.push(["unfused intensity".to_owned(), format!("{} FLOP/B", intensity(t.intensity))]);
    let m = &report.memory;
    let better = match (m.best_order_bytes, m.arena_bytes) {
        (Some(order), Some(arena)) if [order, arena].map(Some) != [t.peak_activation_bytes; 2] => {
            format!(" ({} in the best order found; {} as an arena)", bytes(order), bytes(arena))
        }
        _ => String::new(),
    };
    let sized = sums.complete && m.activations_of_unknown_size == 0;
    let peak = Sums { complete: sized, ..sums }.say(t.peak_activation_bytes.map(bytes));
    rows.push(["peak activations".to_owned(), peak + &better]);
    let least = if m.caches_of_unknown_size > 0 { "at least " } else { "" };
    match m.kv_cache_bytes {
        Some(0) => {}
        Some(n) => {
            rows.push(["KV cache".to_owned(), format!("{least}{} after the run", bytes(n))]);
        }
        None => rows.push(["KV cache".to_owned(), NOT_KNOWN.to_owned()]),
    }
    rows.push(["coverage".to_owned(), coverage(report)]);
    rows
}

/// How much of the model the totals stand for.
fn coverage(report: &ModelReport) -> String {
    let c = &report.coverage;
    let nodes = format!("{:.1} % ({} of {} nodes)", c.percent, c.known, c.nodes);
    if report.is_complete() || report.totals.weight_bytes == 0 {
        return nodes;
    }
    format!("{nodes}; {:.1} % of the weight bytes", c.weights_percent)
}

/// What a reader should know before the first number: sizes that were taken for granted, and what is amiss
/// with the sizes or the file.
fn before(report: &ModelReport) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(precision) = &report.model.precision {
        lines.push(format!("as if cast to {precision}; scales of quantised weights not counted"));
    }
    let given: Vec<String> = report.chosen().map(|(k, v)| format!("{k} = {v}")).collect();
    if !given.is_empty() {
        lines.push(format!("at {}", given.join(", ")));
    }
    // Other sizes than the batch are in a warning.
    let batch = report.model.batch_symbol.as_deref();
    let said = |a: &super::Assumption| a.data_dependent || Some(&*a.symbol) == batch;
    lines.extend(taken(report, &said).into_iter().map(|line| format!("assumed: {line}")));
    for d in &report.diagnostics {
        if matches!(d.severity, Severity::Warning | Severity::Conflict) {
            let hint = d.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
            lines.push(format!("{}: `{}` {}{hint}", d.severity, d.place, d.message));
        }
    }
    lines
}

/// What is missing from the numbers, and choices made on the way.
fn after(report: &ModelReport) -> Vec<String> {
    const SHOWN: usize = 10;
    let mut lines = choices(report);
    for (op, n) in &report.coverage.unknown {
        lines.push(format!("unknown: {op} × {n}: not in the totals"));
    }
    let incomplete = report.diagnostics.iter().filter(|d| d.severity == Severity::Incomplete);
    lines.extend(
        incomplete.take(SHOWN).map(|d| format!("{}: `{}`: {}", d.severity, d.place, d.message)),
    );
    lines
}

/// A phase in one line.
fn in_short(phase: &super::PhaseReport) -> String {
    let mut sizes = vec![format!("{} = {}", phase.symbol, phase.value)];
    sizes.extend(phase.assumed.iter().map(|(k, v)| format!("{k} = {v}, not given")));
    format!(
        "{} ({}): {}, compulsory {}, compulsory intensity {} FLOP/B",
        phase.name,
        sizes.join(", "),
        si(phase.flops as f64, "FLOP"),
        bytes(phase.compulsory_bytes),
        intensity(phase.intensity)
    )
}

/// The report for people: sizes and warnings, listing, totals, formulas, remarks.
pub fn table(report: &ModelReport, by: Listing, top: usize) -> String {
    let mut out = String::new();
    let inputs: Vec<String> =
        report.model.inputs.iter().map(|i| format!("{} {}", i.name, i.symbolic)).collect();
    let _ = writeln!(out, "{}  ({})", report.model.file, report.model.format);
    let _ = writeln!(out, "input  {}", inputs.join(", "));
    for line in before(report) {
        let _ = writeln!(out, "{line}");
    }
    out.push('\n');
    let rows = rows(report, by, top);
    if !rows.is_empty() {
        align(&mut out, &rows);
        let shown = rows.len() - 1;
        let all = if by == Listing::Nodes { report.ops.len() } else { report.by_type().len() };
        if shown < all {
            let _ = writeln!(out, "… {} more; --top {all} shows all", all - shown);
        }
        out.push('\n');
    }
    for [label, value] in totals(report) {
        let _ = writeln!(out, "{label:<17} {value}");
    }
    let lines = formulas(report);
    if !lines.is_empty() {
        out.push('\n');
    }
    for [label, formula] in lines {
        let _ = writeln!(out, "{label:<17} {formula}");
    }
    out.push_str(&elsewhere(report));
    for phase in &report.phases {
        let _ = writeln!(
            out,
            "\n{}\n  FLOPs            = {}\n  compulsory bytes = {}",
            in_short(phase),
            readable(&phase.flops_formula),
            readable(&phase.compulsory_bytes_formula)
        );
    }
    for line in after(report) {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// The totals as formulas, as label and sign with formula, of a model with sizes that are not fixed.
fn formulas(report: &ModelReport) -> Vec<[String; 2]> {
    let mut lines = Vec::new();
    if report.bindings.is_empty() {
        return lines;
    }
    let f = &report.formulas;
    let sums = Sums::of(report);
    let sign = if sums.complete || sums.bounds { "=" } else { "≥" };
    let of = if sums.complete || !sums.bounds { "" } else { " in the known nodes" };
    let mut line = |label: &str, formula: &Option<String>| {
        if let Some(text) = formula {
            lines.push([label.to_owned(), format!("{sign} {}{of}", readable(text))]);
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
    lines
}

/// What the analysis took for granted on the way, each remark once; a few of many.
fn choices(report: &ModelReport) -> Vec<String> {
    const SHOWN: usize = 4;
    let taken = report.diagnostics.iter().filter(|d| d.severity == Severity::Assumption);
    let mut seen = std::collections::BTreeSet::new();
    let mut lines = Vec::new();
    for d in taken {
        if seen.insert(d.message.as_str()) {
            lines.push(format!("assumed: `{}`: {}", d.place, d.message));
        }
    }
    let more = lines.len().saturating_sub(SHOWN);
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("assumed: {more} more, which --format json lists"));
    }
    lines
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

/// What was taken for granted: one line of sizes that were not given, one of data-dependent ones.
pub fn assumptions(report: &ModelReport) -> Vec<String> {
    taken(report, &|_| true)
}

/// Those of the assumptions that `said` chooses.
fn taken(report: &ModelReport, said: &dyn Fn(&super::Assumption) -> bool) -> Vec<String> {
    const SHOWN: usize = 4;
    let chosen = report.assumptions.iter().filter(|a| said(a));
    let (decided, unset): (Vec<_>, Vec<_>) = chosen.partition(|a| a.data_dependent);
    let list = |of: &[&super::Assumption]| {
        of.iter().map(|a| format!("{} = {}", a.symbol, a.value)).collect::<Vec<_>>().join(", ")
    };
    let mut lines = Vec::new();
    if let Some(first) = unset.first() {
        lines.push(format!("{} (set with --dim {}=N)", list(&unset), first.symbol));
    }
    if !decided.is_empty() {
        let more = decided.len().saturating_sub(SHOWN);
        let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
        let shown = list(&decided[..decided.len() - more]);
        lines.push(format!("{shown}{rest}: data-dependent; upper bound used (--dim sets them)"));
    }
    lines
}

/// First column left, the others right. A cell longer than `WIDEST` stands out of its column: one long name
/// neither pads every other row nor exceeds what a format string can pad (65,535 characters).
fn align(out: &mut String, rows: &[Vec<String>]) {
    const WIDEST: usize = 240;
    let columns = rows.first().map_or(0, Vec::len);
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|c| width(c).unwrap_or(0).min(WIDEST)).collect();
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

/// Tables for a document: all that the table says.
pub fn markdown(report: &ModelReport, by: Listing, top: usize) -> String {
    let mut out = format!("## {}\n\n", text::markdown(&report.model.file));
    for line in before(report) {
        let _ = writeln!(out, "- {}", text::markdown(&line));
    }
    out.push_str("\n| | |\n| --- | --- |\n");
    for [label, value] in totals(report) {
        let _ = writeln!(out, "| {} | {} |", label.trim(), text::markdown(&value));
    }
    rows_in_markdown(&mut out, &rows(report, by, top));
    let lines = formulas(report);
    if !lines.is_empty() {
        out.push('\n');
    }
    for [label, formula] in lines {
        let _ = writeln!(out, "- {label} {}", text::markdown(&formula));
    }
    let elsewhere = elsewhere(report);
    if !elsewhere.is_empty() {
        let _ = writeln!(out, "- {}", text::markdown(elsewhere.trim_end()));
    }
    for phase in &report.phases {
        let _ = writeln!(out, "- {}", text::markdown(&in_short(phase)));
    }
    for b in &report.bounds {
        let _ = writeln!(out, "\n### {}\n", text::markdown(&device::title(b)));
        for [label, text] in device::lines(report, b) {
            let _ = writeln!(out, "- {}: {}", label.trim(), text::markdown(&text));
        }
        rows_in_markdown(&mut out, &device::runs(b));
    }
    let notes = after(report);
    if !notes.is_empty() {
        out.push('\n');
    }
    for line in notes {
        let _ = writeln!(out, "- {}", text::markdown(&line));
    }
    out
}

fn rows_in_markdown(out: &mut String, rows: &[Vec<String>]) {
    for (i, row) in rows.iter().enumerate() {
        if i == 0 {
            out.push('\n');
        }
        let cells: Vec<String> = row.iter().map(|cell| text::markdown(cell)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
        if i == 0 {
            let _ = writeln!(out, "|{}", " --- |".repeat(row.len()));
        }
    }
}
