//! A report from an analysis: at the sizes that were given, what was not given is taken as one or as large as it
//! can be.

use super::beside::{beside, is_large};
use super::model::Counts;
use super::numbers::Evaluator;
use super::tensor::AccountReport;
use super::{
    Assumption, CoverageReport, Formulas, ModelInfo, ModelReport, OpReport, ReportError,
    TensorReport, agreement, batch, bodies, caveats, numbers, phases,
};
use crate::analysis::{Analysis, analyze, input_symbols};
use crate::dim::{Bindings, Dim, MAX_TERMS};
use crate::ir::{Graph, Model, ValueId};
use crate::ops::Status;
use std::collections::BTreeMap;

impl ModelReport {
    /// Analyses `model` at `bindings`; symbols without a value are set to one and listed.
    pub fn new(model: &Model, file: &str, bindings: &Bindings) -> Result<Self, ReportError> {
        let (mut symbolic, ahead) = walks(model, bindings);
        let mut all = bindings.clone();
        let mut assumptions = unset(&symbolic, &mut all);
        let batch = batch::batch_of(model, &symbolic).map(|b| b.symbol.to_string());
        let settled = settle(model, &symbolic, &mut all, &mut assumptions, ahead);
        if settled.is_some() {
            symbolic.forget_nodes();
        }
        let symbolic = &symbolic;
        let numeric = settled.as_ref().unwrap_or(symbolic);
        let number = Evaluator::new(&all, numeric.coverage.is_full());
        let totals = number.totals(numeric)?;
        let graph = &model.graph;
        let tensors = |ids: &[ValueId]| -> Vec<TensorReport> {
            ids.iter().map(|id| number.value(graph, symbolic, numeric, *id)).collect()
        };
        let rows = || {
            let number = Evaluator::new(&all, numeric.coverage.is_full());
            (rows(&number, graph, symbolic, numeric), number.negative())
        };
        let ((ops, negative), (formulas, memory)) = beside(model, rows, || {
            let formulas = Formulas::of(symbolic, numeric, &all);
            (formulas, number.memory(model, numeric, &totals))
        });
        let (ops, memory) = (ops?, memory?);
        number.found(negative);
        let (inputs, outputs) = (tensors(&graph.inputs), tensors(&graph.outputs));
        // What is taken as equal matters where sizes are open; given ones are or are not.
        let open = assumptions.iter().any(|a| !a.data_dependent);
        let taken_for_formulas = if open { &symbolic.diagnostics[..] } else { &[] };
        let mut diagnostics = number.diagnostics(numeric, taken_for_formulas);
        diagnostics.extend(caveats::empty(&inputs, &outputs, bindings));
        diagnostics.extend(caveats::unset(&assumptions, batch.as_deref()));
        if numeric.coverage.is_full() {
            diagnostics.extend(caveats::of_unknown_size(&memory));
        }
        let named = all.iter().map(|(k, v)| (k.to_string(), u64::try_from(*v).unwrap_or(u64::MAX)));
        Ok(Self {
            schema: super::model::ANALYSIS.to_owned(),
            model: ModelInfo::of(model, file, batch, inputs),
            bindings: named.collect(),
            formulas,
            coverage: CoverageReport::of(model, numeric),
            diagnostics,
            outputs,
            groups: number.groups(numeric, &ops)?,
            ops,
            phases: phases::phases(symbolic, &all, bindings, &|all| {
                numbers::work_at(model, symbolic, all)
            }),
            counts: Some(Counts::of(symbolic)),
            assumptions,
            memory,
            totals,
            bounds: Vec::new(),
        })
    }
}

/// The rows of all nodes: those of the graph, then those of bodies.
fn rows(
    number: &Evaluator<'_>,
    graph: &Graph,
    symbolic: &Analysis,
    numeric: &Analysis,
) -> Result<Vec<OpReport>, ReportError> {
    let mut ops = number.ops(graph, symbolic, numeric)?;
    bodies::add(number, graph, &numeric.nodes, &mut ops)?;
    Ok(ops)
}

impl Counts {
    fn of(analysis: &Analysis) -> Self {
        Self {
            work: analysis.totals.operations(),
            compulsory_bytes: analysis.compulsory_bytes.clone(),
        }
    }
}

impl ModelInfo {
    fn of(model: &Model, file: &str, batch: Option<String>, inputs: Vec<TensorReport>) -> Self {
        Self {
            name: model.graph.name.clone(),
            precision: None,
            batch_symbol: batch,
            file: file.to_owned(),
            file_bytes: model.file_bytes,
            format: model.format.clone(),
            producer: model.producer.clone(),
            opsets: model.opsets.clone(),
            nodes: model.graph.nodes.len(),
            inputs,
        }
    }
}

impl Formulas {
    fn of(symbolic: &Analysis, numeric: &Analysis, bindings: &Bindings) -> Self {
        // Formulas of fewer nodes than the numbers are of say nothing of them.
        let same = symbolic.coverage.known >= numeric.coverage.known;
        let full = symbolic.coverage.is_full();
        let sum = |dim: &Dim| (same && (full || !dim.is_zero())).then(|| formula(dim));
        let kept = symbolic.cache.of_unknown_size == 0 || !symbolic.cache.bytes.is_zero();
        Self {
            macs: sum(&symbolic.totals.macs),
            flops: sum(&symbolic.totals.flops),
            int_ops: sum(&symbolic.totals.int_ops),
            bytes: sum(&symbolic.totals.bytes()),
            fused_bytes: sum(&symbolic.fused_bytes),
            compulsory_bytes: sum(&symbolic.compulsory_bytes),
            kv_cache_bytes: kept.then(|| formula(&symbolic.cache.bytes)),
            peak_activation_bytes: sum(&symbolic.peak_formula()),
            elsewhere: agreement::elsewhere(symbolic, numeric, bindings),
        }
    }
}

impl CoverageReport {
    fn of(model: &Model, analysis: &Analysis) -> Self {
        let graph = &model.graph;
        let coverage = analysis.coverage;
        let mut unknown = BTreeMap::new();
        for (node, report) in graph.nodes.iter().zip(&analysis.nodes) {
            if report.status == Status::Unknown {
                *unknown.entry(node.qualified_op()).or_insert(0) += 1;
            }
        }
        Self {
            nodes: coverage.nodes,
            known: coverage.known,
            percent: coverage.percent(),
            weights_percent: coverage.weights_percent(),
            tensors_percent: model.tensors.as_ref().map(|account| account.percent()),
            tensors: model.tensors.as_deref().map(AccountReport::of),
            unknown,
        }
    }
}

/// A walk at given sizes.
type Ahead = (Bindings, Analysis);

/// The walk with open sizes, and beside it, of a large model, the one at the sizes that the report will most
/// likely be for: symbols of the inputs that have no value are one.
fn walks(model: &Model, bindings: &Bindings) -> (Analysis, Option<Ahead>) {
    let mut all = bindings.clone();
    for symbol in input_symbols(&model.graph) {
        all.entry(symbol).or_insert(1);
    }
    let open = || analyze(model, &Bindings::new());
    if !is_large(model) || all.is_empty() {
        return (open(), None);
    }
    let (numeric, symbolic) = beside(model, || analyze(model, &all), open);
    (symbolic, Some((all, numeric)))
}

/// Gives every symbol of the inputs that has no value one, and lists them.
fn unset(symbolic: &Analysis, all: &mut Bindings) -> Vec<Assumption> {
    let mut assumptions = Vec::new();
    for symbol in &symbolic.symbols {
        if !all.contains_key(symbol) && !symbolic.limits.contains_key(symbol) {
            all.insert(symbol.clone(), 1);
            let symbol = symbol.to_string();
            assumptions.push(Assumption { symbol, value: 1, data_dependent: false });
        }
    }
    // A mask that nobody gave a length is as long as what it masks.
    if let Some((total, sum)) = phases::total(&symbolic.cache) {
        let listed = assumptions.iter_mut().find(|a| *a.symbol == *total);
        if let (Some(listed), Ok(value)) = (listed, sum.eval(all)) {
            listed.value = u64::try_from(value).unwrap_or(u64::MAX);
            all.insert(total, value);
        }
    }
    assumptions
}

/// The walk that numbers come from, at the sizes themselves: a formula may hold for most sizes and not at
/// these, such as a product where one of them is one. Data-dependent sizes join `all` at the
/// most that they can be, where something limits them, and are listed.
fn settle(
    model: &Model,
    symbolic: &Analysis,
    all: &mut Bindings,
    assumptions: &mut Vec<Assumption>,
    ahead: Option<Ahead>,
) -> Option<Analysis> {
    let again = !all.is_empty() || symbolic.overflows();
    let ahead = ahead.filter(|(sizes, _)| sizes == all).map(|(_, analysis)| analysis);
    let settled = again.then(|| ahead.unwrap_or_else(|| analyze(model, all)));
    let found = settled.as_ref().unwrap_or(symbolic);
    let most = found.most(all);
    let decided = !found.limits.is_empty() || found.overflows();
    let settled = if decided { Some(found.at_most(model, all)) } else { settled };
    for (symbol, value) in most.into_iter().filter(|(s, _)| symbolic.symbols.contains(s)) {
        let shown = u64::try_from(value).unwrap_or(u64::MAX);
        let name = symbol.to_string();
        assumptions.push(Assumption { symbol: name, value: shown, data_dependent: true });
        all.insert(symbol, value);
    }
    settled
}

/// A formula as text.
fn formula(dim: &Dim) -> String {
    if dim.is_overflow() {
        return format!("too long to write down: more than {MAX_TERMS} terms");
    }
    dim.to_string()
}
