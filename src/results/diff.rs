//! Two models side by side.

use crate::report::{ModelReport, TypeReport, assumptions};
use serde::Serialize;
use std::collections::BTreeMap;

/// Name and version of the form of [`ModelDiff`].
pub const DIFF: &str = "rooflens.diff/1";

/// One figure of both models.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DiffRow {
    /// What is compared.
    pub name: String,
    /// The first model's; null where it is not known.
    pub a: Option<u64>,
    /// The second model's; null where it is not known.
    pub b: Option<u64>,
    /// b / a; null where a is zero, or one is not known.
    pub ratio: Option<f64>,
    /// The unit of a figure with a prefix; none of things that are counted one by one.
    #[serde(skip)]
    pub unit: Option<&'static str>,
}

impl DiffRow {
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

/// What `rooflens diff` prints.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ModelDiff {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = DIFF)))]
    pub schema: &'static str,
    /// The first model's file.
    pub a: String,
    /// The second model's file.
    pub b: String,
    /// Sums over the models.
    pub totals: Vec<DiffRow>,
    /// Operations by operator, where the models differ.
    pub operations: Vec<DiffRow>,
    /// Nodes by operator, where the models differ.
    pub nodes: Vec<DiffRow>,
    /// What was assumed in either, and what the numbers omit.
    pub remarks: Vec<String>,
}

impl ModelDiff {
    /// Compares two analyses.
    pub fn new(a: &ModelReport, b: &ModelReport) -> Self {
        Self {
            schema: DIFF,
            a: a.model.file.clone(),
            b: b.model.file.clone(),
            totals: totals(a, b),
            operations: by_operator(a, b, Some(""), TypeReport::operations),
            nodes: by_operator(a, b, None, |t| u64::try_from(t.count).ok()),
            remarks: remarks(a, b),
        }
    }
}

/// What was assumed in either, and what the numbers omit.
fn remarks(a: &ModelReport, b: &ModelReport) -> Vec<String> {
    let mut all = Vec::new();
    let (ours, theirs) = (assumptions(a), assumptions(b));
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

fn totals(a: &ModelReport, b: &ModelReport) -> Vec<DiffRow> {
    let (x, y) = (&a.totals, &b.totals);
    let nodes = |r: &ModelReport| u64::try_from(r.coverage.nodes).unwrap_or(u64::MAX);
    let known = |r: &ModelReport| u64::try_from(r.coverage.known).unwrap_or(u64::MAX);
    vec![
        DiffRow::new("MACs", "", x.macs, y.macs),
        DiffRow::new("FLOPs", "", x.flops, y.flops),
        DiffRow::new("integer ops", "", x.int_ops, y.int_ops),
        DiffRow::new("parameters", "", x.params, y.params),
        DiffRow::new("weights", "B", x.weight_bytes, y.weight_bytes),
        DiffRow::new("unfused traffic", "B", x.bytes(), y.bytes()),
        DiffRow::new("fused traffic", "B", x.fused_bytes, y.fused_bytes),
        DiffRow::new("compulsory traffic", "B", x.compulsory_bytes, y.compulsory_bytes),
        DiffRow::new("peak activations", "B", x.peak_activation_bytes, y.peak_activation_bytes),
        DiffRow::new("nodes", None, nodes(a), nodes(b)),
        DiffRow::new("nodes, known", None, known(a), known(b)),
    ]
}

/// A figure of each operator, where the two differ; the largest difference first.
fn by_operator(
    a: &ModelReport,
    b: &ModelReport,
    unit: Option<&'static str>,
    figure: impl Fn(&TypeReport) -> Option<u64>,
) -> Vec<DiffRow> {
    // An operator that a model does not have costs nothing there.
    let none = || (Some(0), Some(0));
    let mut both: BTreeMap<String, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for t in a.by_type() {
        both.entry(t.op_type.clone()).or_insert_with(none).0 = figure(&t);
    }
    for t in b.by_type() {
        both.entry(t.op_type.clone()).or_insert_with(none).1 = figure(&t);
    }
    let mut rows: Vec<DiffRow> = both
        .into_iter()
        .filter(|(_, (a, b))| a != b)
        .map(|(name, (a, b))| DiffRow::new(name, unit, a, b))
        .collect();
    rows.sort_by_key(|r| std::cmp::Reverse(r.a.unwrap_or(0).abs_diff(r.b.unwrap_or(0))));
    rows
}
