//! `rooflens diff`: two models, or two exports of one.

use super::sizes::{Names, Sizes};
use super::{Exit, Form, emit, hinted, nearest};
use crate::report::ModelReport;
use crate::units::si;
use anyhow::Result;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;

/// Compare two models: totals side by side, and where they differ by operator.
///
/// Sizes, shapes and values hold in the models that have what they name.
///
/// Examples:
///   rooflens diff resnet50.onnx quantized.onnx
///   rooflens diff old.onnx new.onnx --dim seq=128 --format json
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// The first model.
    a: PathBuf,
    /// The second model.
    b: PathBuf,
    #[command(flatten)]
    sizes: Sizes,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
}

/// One figure of both.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Absent where it is not known.
    a: Option<u64>,
    b: Option<u64>,
    /// b / a; absent where a is zero, or one is not known.
    ratio: Option<f64>,
    /// The unit of a figure with a prefix; none of things that are counted one by one.
    #[serde(skip)]
    unit: Option<&'static str>,
}

impl Row {
    fn new(
        name: impl Into<String>,
        unit: impl Into<Option<&'static str>>,
        a: impl Into<Option<u64>>,
        b: impl Into<Option<u64>>,
    ) -> Self {
        let (a, b) = (a.into(), b.into());
        let divided = |a: u64, b: u64| (a > 0).then(|| b as f64 / a as f64);
        let ratio = a.zip(b).and_then(|(a, b)| divided(a, b));
        Self { name: name.into(), a, b, ratio, unit: unit.into() }
    }
}

#[derive(Serialize)]
struct Diff {
    schema: &'static str,
    a: String,
    b: String,
    totals: Vec<Row>,
    /// Operations by operator, where the models differ.
    operations: Vec<Row>,
    /// Nodes by operator, where the models differ.
    nodes: Vec<Row>,
    /// What was taken for granted in either, and what the numbers leave out.
    remarks: Vec<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let (mut a, known) = self.sizes.shared_report(&self.a)?;
        let (mut b, more) = self.sizes.shared_report(&self.b)?;
        if self.format != Form::Json {
            [&mut a, &mut b].into_iter().for_each(crate::report::ModelReport::show_names);
        }
        self.used(known.and(more))?;
        let diff = Diff {
            schema: "rooflens.diff/1",
            a: a.model.file.clone(),
            b: b.model.file.clone(),
            totals: totals(&a, &b),
            operations: by_operator(&a, &b, Some(""), crate::report::TypeReport::operations),
            nodes: by_operator(&a, &b, None, |t| u64::try_from(t.count).ok()),
            remarks: remarks(&a, &b),
        };
        let text = match self.format {
            Form::Json => serde_json::to_string_pretty(&diff)? + "\n",
            Form::Table => table(&diff),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

impl Args {
    /// Whether at least one of the models has what was given a value.
    fn used(&self, known: Names) -> Result<()> {
        let missing = |texts: &[String], names: &BTreeSet<String>, last: bool| {
            let name = |text: &String| {
                let split = if last { text.rsplit_once('=') } else { text.split_once('=') };
                split.map(|(name, _)| name.trim().to_owned())
            };
            texts.iter().filter_map(name).find(|name| !names.contains(name))
        };
        let Names { symbols, inputs, batch } = known;
        let refuse = |(one, many): (&str, &str), name: &str, all: &BTreeSet<String>| {
            let hint = match (nearest(name, all.iter().map(String::as_str)), all.is_empty()) {
                (_, true) => "all sizes of these models are fixed".to_owned(),
                (Some(close), _) => format!("did you mean `{close}`?"),
                (None, _) => {
                    let all: Vec<&str> = all.iter().map(String::as_str).collect();
                    format!("their {many} are: {}", all.join(", "))
                }
            };
            hinted(format!("neither model has {one} `{name}`"), hint)
        };
        if let Some(name) = missing(&self.sizes.dim, &symbols, false) {
            return Err(refuse(("a symbol", "symbols"), &name, &symbols));
        }
        for texts in [&self.sizes.shape, &self.sizes.value] {
            if let Some(name) = missing(texts, &inputs, true) {
                return Err(refuse(("an input", "inputs"), &name, &inputs));
            }
        }
        if self.sizes.batch.is_some() && !batch {
            let message = "--batch: in neither model can a size be said to be the batch";
            let hint = if symbols.is_empty() {
                "omit --batch: all sizes of these models are fixed"
            } else {
                "set sizes by their names with --dim"
            };
            return Err(hinted(message, hint));
        }
        Ok(())
    }
}

/// What was taken for granted in either, and what the numbers leave out.
fn remarks(a: &ModelReport, b: &ModelReport) -> Vec<String> {
    let mut all = Vec::new();
    let (ours, theirs) = (crate::report::assumptions(a), crate::report::assumptions(b));
    let line = |text: &str, of: &str| {
        let of = if of.is_empty() { String::new() } else { format!(" in {of}") };
        format!("assumed{of}: {text}")
    };
    for said in &ours {
        all.push(line(said, if theirs.contains(said) { "" } else { "a" }));
    }
    for said in theirs.iter().filter(|said| !ours.contains(said)) {
        all.push(line(said, "b"));
    }
    for (name, report) in [("a", a), ("b", b)] {
        for (op, n) in &report.coverage.unknown {
            all.push(format!("unknown in {name}: {op} × {n}: not in these numbers"));
        }
    }
    all
}

fn totals(a: &ModelReport, b: &ModelReport) -> Vec<Row> {
    let (x, y) = (&a.totals, &b.totals);
    let nodes = |r: &ModelReport| u64::try_from(r.coverage.nodes).unwrap_or(u64::MAX);
    let known = |r: &ModelReport| u64::try_from(r.coverage.known).unwrap_or(u64::MAX);
    vec![
        Row::new("MACs", "", x.macs, y.macs),
        Row::new("FLOPs", "", x.flops, y.flops),
        Row::new("integer ops", "", x.int_ops, y.int_ops),
        Row::new("parameters", "", x.params, y.params),
        Row::new("weights", "B", x.weight_bytes, y.weight_bytes),
        Row::new("unfused traffic", "B", x.bytes(), y.bytes()),
        Row::new("fused traffic", "B", x.fused_bytes, y.fused_bytes),
        Row::new("compulsory traffic", "B", x.compulsory_bytes, y.compulsory_bytes),
        Row::new("peak activations", "B", x.peak_activation_bytes, y.peak_activation_bytes),
        Row::new("nodes", None, nodes(a), nodes(b)),
        Row::new("nodes, known", None, known(a), known(b)),
    ]
}

/// A figure of each operator, where the two differ; the largest difference first.
fn by_operator(
    a: &ModelReport,
    b: &ModelReport,
    unit: Option<&'static str>,
    figure: impl Fn(&crate::report::TypeReport) -> Option<u64>,
) -> Vec<Row> {
    // An operator that a model does not have costs nothing there.
    let none = || (Some(0), Some(0));
    let mut both: BTreeMap<String, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for t in a.by_type() {
        both.entry(t.op_type.clone()).or_insert_with(none).0 = figure(&t);
    }
    for t in b.by_type() {
        both.entry(t.op_type.clone()).or_insert_with(none).1 = figure(&t);
    }
    let mut rows: Vec<Row> = both
        .into_iter()
        .filter(|(_, (a, b))| a != b)
        .map(|(name, (a, b))| Row::new(name, unit, a, b))
        .collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.a.unwrap_or(0).abs_diff(r.b.unwrap_or(0))));
    rows
}

fn table(diff: &Diff) -> String {
    let mut text = format!("a  {}\nb  {}\n", diff.a, diff.b);
    let sections =
        [("total", &diff.totals), ("operations", &diff.operations), ("nodes", &diff.nodes)];
    for (title, rows) in sections {
        if rows.is_empty() {
            let _ = writeln!(text, "\n{title}: the same for every operator");
            continue;
        }
        let _ = writeln!(text, "\n{title:<28} {:>12} {:>12} {:>9}", "a", "b", "b/a");
        for r in rows {
            let show = |n: Option<u64>| match (n, r.unit) {
                (None, _) => "–".to_owned(),
                (Some(n), None) => n.to_string(),
                (Some(n), Some(unit)) => si(n as f64, unit).trim_end().to_owned(),
            };
            let ratio = match r.ratio {
                Some(x) if r.a == r.b => format!("= {x:.0}"),
                Some(x) => format!("×{x:.3}"),
                None if r.a.is_none() || r.b.is_none() => "–".into(),
                None if r.b == Some(0) => "=".into(),
                None => "new".into(),
            };
            let _ = writeln!(text, "{:<28} {:>12} {:>12} {ratio:>9}", r.name, show(r.a), show(r.b));
        }
    }
    if !diff.remarks.is_empty() {
        let _ = writeln!(text, "\n{}", diff.remarks.join("\n"));
    }
    text
}
