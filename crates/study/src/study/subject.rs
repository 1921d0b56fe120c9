//! A model as a study has it: from its file, with formulas, or from a report, with numbers.

use super::columns::{self, Walks};
use super::formula::{Filling, Pool, Values, evaluate};
use super::schema::{
    AtBestPart, Columns, MemoryPart, RemarkPart, SubjectPart, SymbolPart, SymbolRole,
};
use rooflens_model::analysis::{Analysis, Rule};
use rooflens_model::dim::{Bindings, Dim};
use rooflens_model::ir::Model;
use rooflens_model::ops::Status;
use rooflens_model::report::{GroupReport, ModelReport};
use std::collections::BTreeSet;
use std::path::Path;

/// A model with formulas: `report` is what was counted of it, in the same types.
///
/// Where formulas give other numbers than the model has at the sizes of the report, sizes are fixed: first all but
/// the batch, then all.
pub fn formulas(model: &Model, report: &ModelReport) -> SubjectPart {
    let all: Bindings =
        report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
    let batch = report.model.batch_symbol.as_deref();
    let but_batch: Bindings =
        all.iter().filter(|(k, _)| Some(&***k) != batch).map(|(k, v)| (k.clone(), *v)).collect();
    let mut tries = vec![Bindings::new()];
    tries.extend((but_batch.len() < all.len() && !but_batch.is_empty()).then_some(but_batch));
    tries.push(all.clone());
    let (last, why) = (tries.len() - 1, "the formulas give other numbers at these sizes");
    for (at, fixed) in tries.into_iter().enumerate() {
        let walk = |model: &Model| columns::walk(model, &fixed, at == last);
        let own = walk(model);
        if at < last && (!own.limits.is_empty() || own.overflows()) {
            continue;
        }
        let walks = Walks::beside(own, model, report.model.precision.is_none(), walk);
        let subject = of_walks(model, report, &walks, &all);
        if at == last || agrees(&subject, report) {
            let fixed = (at == last && !all.is_empty()).then(|| {
                let limited = !walks.own.limits.is_empty();
                if limited { "data determine some of its sizes".to_owned() } else { why.to_owned() }
            });
            return SubjectPart { fixed, ..subject };
        }
    }
    counted(report)
}

fn of_walks(model: &Model, report: &ModelReport, walks: &Walks, all: &Bindings) -> SubjectPart {
    let asked = report.model.precision.as_ref();
    let typed = walks.parts_hold(all);
    let mut pool = Filling::default();
    let kernels = columns::kernels(model, walks, typed, &mut pool);
    let alone = columns::alone(model, walks, typed, &mut pool);
    let at_best = columns::at_best(walks, typed, &mut pool);
    let memory = memory(&walks.own, &mut pool);
    let one_type = (!typed).then(|| match asked {
        Some(precision) => format!("it was counted in {precision}, as was asked"),
        None => "its bytes do not follow from the types alone".to_owned(),
    });
    with_pool(report, pool.done(), Tables { kernels, alone, at_best, memory }, one_type)
}

fn memory(analysis: &Analysis, pool: &mut Filling) -> MemoryPart {
    const PEAK: &str = "peak";
    let peak = analysis.peak_formula();
    let written = peak.as_symbol() != Some(PEAK) && !peak.is_overflow();
    let known = analysis.of_unknown_size == 0 && written;
    MemoryPart {
        weights: pool.add(&analysis.weight_bytes),
        cache: (analysis.cache.of_unknown_size == 0).then(|| pool.add(&analysis.cache.bytes)),
        peak: known.then(|| pool.add(&peak)),
    }
}

/// What positions in a pool are of.
struct Tables {
    kernels: Columns,
    alone: Columns,
    at_best: AtBestPart,
    memory: MemoryPart,
}

/// A model of which only a report is there: numbers at its sizes, in its types.
pub fn counted(report: &ModelReport) -> SubjectPart {
    let mut pool = Filling::default();
    let number = |n: Option<u64>| Dim::from(n.unwrap_or(0));
    let mut add = |n: Option<u64>| pool.add(&number(n));
    let (mut kernels, mut alone) = (Columns::default(), Columns::default());
    for group in report.groups.iter().filter(|g| g.operations().is_some()) {
        let ops = group.nodes.iter().filter_map(|n| report.ops.get(*n));
        let lead = ops.clone().rev().max_by_key(|op| op.macs);
        let names: Vec<&str> = ops.clone().take(4).map(|op| op.op_type.as_str()).collect();
        push(
            &mut kernels,
            [group.rule.name(), lead.map_or("", |op| op.class.name())],
            [names.join(" + "), ops.clone().next().map_or_else(String::new, |op| op.name.clone())],
            [add(group.flops), add(group.int_ops), add(group.bytes())],
        );
    }
    let nodes = report.nodes().filter(|op| op.status != Status::Folded);
    for op in nodes.filter(|op| op.operations().is_some() && op.bytes().is_some_and(|b| b > 0)) {
        push(
            &mut alone,
            [Rule::Alone.name(), op.class.name()],
            [op.op_type.clone(), op.name.clone()],
            [add(op.flops), add(op.int_ops), add(op.bytes())],
        );
    }
    let t = &report.totals;
    let sure = t.operations().map(|all| all.saturating_sub(t.bound_ops));
    let bytes = t.compulsory_bytes.map(|all| all.saturating_sub(t.bound_bytes));
    let at_best = AtBestPart {
        operations: add(sure),
        macs: add(t.macs),
        // What fast algorithms spare is in it already.
        effective_macs: add(t.lower_bound_macs),
        fast: Vec::new(),
        fast_integer: Vec::new(),
        bytes: add(bytes),
        weights: None,
        activations: None,
        other: None,
    };
    let m = &report.memory;
    let memory = MemoryPart {
        weights: add(Some(m.weight_bytes)),
        cache: m.kv_cache_bytes.map(|n| add(Some(n))),
        peak: m.peak_activation_bytes.map(|n| add(Some(n))),
    };
    let why = "only its analysis was given, not its file";
    let tables = Tables { kernels, alone, at_best, memory };
    let subject = with_pool(report, pool.done(), tables, Some(why.to_owned()));
    let fixed = (!report.bindings.is_empty()).then(|| why.to_owned());
    SubjectPart { fixed, ..subject }
}

fn push(columns: &mut Columns, words: [&str; 2], names: [String; 2], counts: [usize; 3]) {
    let ([rule, class], [operators, name]) = (words, names);
    columns.rule.push(rule.to_owned());
    columns.class.push(class.to_owned());
    columns.operators.push(operators);
    columns.name.push(name);
    columns.count.push(1);
    columns.flops.push(counts[0]);
    columns.int_ops.push(counts[1]);
    columns.bytes.push(counts[2]);
}

fn with_pool(
    report: &ModelReport,
    pool: Pool,
    tables: Tables,
    one_type: Option<String>,
) -> SubjectPart {
    let open: BTreeSet<&str> = pool.sizes().collect();
    let remark = |d: &rooflens_model::report::DiagnosticReport| RemarkPart {
        severity: d.severity.to_string(),
        place: d.place.clone(),
        message: d.message.clone(),
        hint: d.hint.clone(),
    };
    let symbols = symbols(report, &open);
    let fingerprint = fingerprint(&pool, &tables.kernels);
    SubjectPart {
        label: label(&report.model.file),
        file: report.model.file.clone(),
        format: report.model.format.clone(),
        fingerprint,
        nodes: report.coverage.nodes,
        known: report.coverage.known,
        unknown: report.coverage.unknown.clone(),
        dtype: report.main_dtype().to_owned(),
        precision: report.model.precision.clone(),
        parameters: report.totals.params,
        symbols,
        assumptions: rooflens_model::report::assumptions(report),
        diagnostics: report.diagnostics.iter().map(remark).collect(),
        fixed: None,
        one_type,
        kernels: tables.kernels,
        alone: tables.alone,
        at_best: tables.at_best,
        memory: tables.memory,
        atoms: pool.atoms,
        exprs: pool.exprs,
    }
}

/// A file without its folder and ending.
pub fn label(file: &str) -> String {
    let stem = Path::new(file).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.filter(|stem| !stem.is_empty()).unwrap_or_else(|| file.to_owned())
}

/// Parts of names of what a decoder keeps, and of lengths.
const PAST: [&str; 3] = ["past", "cache", "kv"];
const SEQUENCE: [&str; 5] = ["seq", "len", "token", "time", "frame"];

/// The sizes that the file does not fix, the batch first.
fn symbols(report: &ModelReport, open: &BTreeSet<&str>) -> Vec<SymbolPart> {
    let batch = report.model.batch_symbol.as_deref();
    let assumed: BTreeSet<&str> = report.assumptions.iter().map(|a| a.symbol.as_str()).collect();
    let role = |name: &str| {
        let lower = name.to_ascii_lowercase();
        let called = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        if Some(name) == batch {
            SymbolRole::Batch
        } else if called(&PAST) {
            SymbolRole::Past
        } else if called(&SEQUENCE) {
            SymbolRole::Sequence
        } else {
            SymbolRole::Other
        }
    };
    let mut all: Vec<SymbolPart> = report
        .bindings
        .iter()
        .map(|(name, at)| {
            let role = role(name);
            let most = match role {
                SymbolRole::Batch => 256,
                SymbolRole::Sequence | SymbolRole::Past => 4096,
                SymbolRole::Other => at.saturating_mul(4),
            };
            SymbolPart {
                name: name.clone(),
                role,
                at: *at,
                least: u64::from(*at > 0),
                most: most.max(*at),
                assumed: assumed.contains(name.as_str()),
                open: open.contains(name.as_str()),
            }
        })
        .collect();
    all.sort_by_key(|s| s.role);
    all
}

/// Whether the formulas give what the report counted: kernels and nodes one by one, and the sums.
fn agrees(subject: &SubjectPart, report: &ModelReport) -> bool {
    let values: Values =
        report.bindings.iter().map(|(name, at)| (name.clone(), *at as f64)).collect();
    let numbers = subject.evaluate(&values);
    let at = |index: usize| numbers.get(index).copied().flatten();
    let same = |index: usize, count: Option<u64>| {
        let wanted = count.unwrap_or(0) as f64;
        at(index).is_some_and(|found| (found - wanted).abs() <= 1e-12 * wanted)
    };
    let sum = |columns: &Columns, of: &[usize]| {
        of.iter().zip(&columns.count).try_fold(0.0, |sum, (i, n)| Some(sum + at(*i)? * *n as f64))
    };
    let close = |found: Option<f64>, wanted: f64| {
        found.is_some_and(|found| (found - wanted).abs() <= 1e-9 * wanted.max(1.0))
    };
    let groups = report.groups.iter().filter(|g| g.operations().is_some());
    let rows = u64::try_from(groups.clone().count()).unwrap_or(u64::MAX);
    let kernels = &subject.kernels;
    let fused = groups.filter_map(GroupReport::bytes).fold(0.0, |sum, n| sum + n as f64);
    let t = &report.totals;
    kernels.count.iter().sum::<u64>() == rows
        && close(sum(kernels, &kernels.bytes), fused)
        && close(sum(&subject.alone, &subject.alone.flops), t.flops.unwrap_or(0) as f64)
        && close(sum(&subject.alone, &subject.alone.bytes), t.bytes().unwrap_or(0) as f64)
        && same(subject.at_best.bytes, t.compulsory_bytes.map(|n| n.saturating_sub(t.bound_bytes)))
        && same(subject.at_best.macs, t.macs)
}

/// Of the formulas and the kernels that are made of them.
fn fingerprint(pool: &Pool, kernels: &Columns) -> String {
    rooflens_ground::text::fingerprint(&serde_json::to_string(&(pool, kernels)).unwrap_or_default())
}

impl SubjectPart {
    /// What its formulas give at these sizes, in their order.
    pub fn evaluate(&self, sizes: &Values) -> Vec<Option<f64>> {
        evaluate(&self.atoms, &self.exprs, sizes)
    }

    /// The values of its sizes that the numbers are for.
    pub fn values(&self) -> Values {
        self.symbols.iter().map(|s| (s.name.clone(), s.at as f64)).collect()
    }

    /// The size that is its batch.
    pub fn batch(&self) -> Option<&SymbolPart> {
        self.symbols.iter().find(|s| s.role == SymbolRole::Batch)
    }
}
