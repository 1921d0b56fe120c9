//! Rows of the nodes inside bodies, below those of the graph.

use super::numbers::Evaluator;
use super::{OpReport, ReportError, SharedTensor};
use crate::analysis::{Body, NodeReport, Outcome};
use crate::dim::Dim;
use crate::ir::{Graph, Node, ValueId};
use crate::ops::{Cost, Status};

/// Adds a row for every node of the bodies that ran, each with what all its runs cost, after the rows of
/// `graph`, which are there already.
pub(super) fn add(
    number: &Evaluator<'_>,
    graph: &Graph,
    nodes: &[NodeReport],
    ops: &mut Vec<OpReport>,
) -> Result<(), ReportError> {
    let mut rows = Rows { number, ops };
    for (at, (node, report)) in graph.nodes.iter().zip(nodes).enumerate() {
        let runs: Vec<_> = report.bodies.iter().map(|b| (b, b.times.clone())).collect();
        rows.below(node, &runs, at, 1)?;
    }
    Ok(())
}

struct Rows<'r, 'b> {
    number: &'r Evaluator<'b>,
    ops: &'r mut Vec<OpReport>,
}

impl Rows<'_, '_> {
    /// The rows of the bodies of `node`, which has the row at `parent`; each body with how often it runs.
    fn below(
        &mut self,
        node: &Node,
        runs: &[(&Body, Dim)],
        parent: usize,
        depth: usize,
    ) -> Result<(), ReportError> {
        let mut names: Vec<&str> = Vec::new();
        for (body, _) in runs {
            if !names.contains(&body.name.as_str()) {
                names.push(&body.name);
            }
        }
        for name in names {
            let Some(graph) = node.subgraph(name) else { continue };
            let of_name = runs.iter().filter(|(body, _)| body.name == name);
            // A loop with too many different rounds to keep each has no rows.
            let whole = of_name.map(|(body, times)| Some((body.outcome.as_ref()?, times)));
            let Some(whole) = whole.collect::<Option<Vec<_>>>() else { continue };
            for (at, inner) in graph.nodes.iter().enumerate() {
                let row = self.row(graph, inner, at, &whole)?;
                let place = self.ops.len();
                let body = Some(name.to_owned());
                self.ops.push(OpReport { parent: Some(parent), depth, body, ..row });
                let mut below = Vec::new();
                for (outcome, times) in &whole {
                    let bodies = outcome.nodes.get(at).map_or(&[][..], |n| &n.bodies);
                    below.extend(bodies.iter().map(|b| (b, b.times.clone() * (*times).clone())));
                }
                self.below(inner, &below, place, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The row of one node of a body, all runs together.
    fn row(
        &self,
        graph: &Graph,
        node: &Node,
        at: usize,
        runs: &[(&Outcome, &Dim)],
    ) -> Result<OpReport, ReportError> {
        let (mut cost, mut times) = (Cost::default(), Dim::ZERO);
        let mut status = Status::Folded;
        let mut class = crate::ops::Class::Unknown;
        for (outcome, count) in runs {
            let Some(report) = outcome.nodes.get(at) else { continue };
            cost.add(&report.cost.times(count));
            times = times + (*count).clone();
            class = report.class;
            status = match (status, report.status) {
                (Status::Folded, other) | (other, Status::Folded) => other,
                (a, b) => a.max(b),
            };
        }
        let values = runs.last().map_or(&[][..], |(outcome, _)| &outcome.values);
        let tensor = |v: &ValueId| {
            let info = values.get(v.index()).cloned().unwrap_or_default();
            SharedTensor::from(self.number.tensor(&graph.value(*v).name, &info, &info))
        };
        let ports = |ids: &[Option<ValueId>]| ids.iter().flatten().map(tensor).collect();
        let report = NodeReport {
            class,
            cost: cost.into(),
            status,
            reads: Vec::new(),
            writes: Vec::new(),
            bodies: Vec::new(),
        };
        let (inputs, outputs) = (ports(&node.inputs), ports(&node.outputs));
        let row = self.number.op(node, &report, inputs, outputs)?;
        Ok(OpReport { times: Some(self.number.runs(&times)), ..row })
    }
}
