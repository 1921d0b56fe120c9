//! A subgraph written into a graph, operator by operator.

use super::file::{Contents, Operator, Subgraph};
use super::site::{Frame, Key, Shared, Site, hint, only_hint};
use crate::formats::LoadError;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::ir::ValueId;
use std::collections::BTreeMap;

/// What a subgraph is given and gives: a value, or the handle of a variable.
#[derive(Clone)]
pub(super) enum Passed {
    Value(ValueId),
    Handle(Key),
}

/// Writes a subgraph into the graph of what calls it: its outputs.
pub(super) fn call(
    shared: &Shared<'_>,
    draft: &mut Draft<'_>,
    number: usize,
    given: &[Passed],
    around: (Option<ValueId>, BTreeMap<Key, ValueId>),
) -> Result<(Vec<Passed>, BTreeMap<Key, ValueId>), LoadError> {
    let Some(subgraph) = shared.file.graphs.get(number) else {
        return Err(invalid(format!("subgraph {number}"), "is called and is not there"));
    };
    if subgraph.inputs.len() != given.len() {
        let message = format!("is given {} inputs of {}", given.len(), subgraph.inputs.len());
        return Err(invalid(format!("subgraph {number}"), message));
    }
    draft.limits().repeat(64 * (subgraph.inputs.len() + subgraph.outputs.len()))?;
    let mut frame = Frame::of(subgraph);
    (frame.live, frame.state) = around;
    for (tensor, passed) in subgraph.inputs.iter().zip(given) {
        match passed {
            Passed::Value(value) => drop(frame.values.insert(*tensor, *value)),
            Passed::Handle(key) => drop(frame.handles.insert(*tensor, key.clone())),
        }
    }
    run(shared, draft, &mut frame, false)?;
    let mut outputs = Vec::new();
    for tensor in &subgraph.outputs {
        outputs.push(match frame.handles.get(tensor) {
            Some(key) => Passed::Handle(key.clone()),
            None => Passed::Value(frame.value(draft, *tensor)?),
        });
    }
    Ok((outputs, frame.state))
}

/// Writes the operators of a subgraph.
pub(super) fn run<'f>(
    shared: &Shared<'f>,
    draft: &mut Draft<'_>,
    frame: &mut Frame<'f>,
    fixed: bool,
) -> Result<(), LoadError> {
    let graph: &'f Subgraph<'f> = frame.graph;
    for op in &graph.operators {
        let named = op.outputs.first().map(|number| graph.tensors[*number].name.as_str());
        let named = named.filter(|name| !name.is_empty());
        // Converters join the names of all that an operator was made of, what it ends with first.
        let ended = named.and_then(|name| name.split(';').next());
        let name = ended.unwrap_or(&op.name).to_owned();
        draft.limits().repeat(name.len())?;
        let mut site = Site { shared, frame, draft, op, name };
        let made = match (shared.lower)(&mut site)? {
            Some(made) => made,
            None => unknown(&mut site, fixed)?,
        };
        for (number, value) in op.outputs.iter().zip(made) {
            if fixed {
                let said = hint(&graph.tensors[*number], fixed)?;
                if draft.info(value).shape.is_none() && said.shape.is_some() {
                    draft.hint(value, said);
                }
            }
            frame.values.insert(*number, value);
        }
    }
    Ok(())
}

/// An operator without a counterpart, or a case of one that has none: a node that lowers coverage, whose outputs
/// are as the file says.
fn unknown(site: &mut Site<'_, '_, '_>, fixed: bool) -> Result<Vec<ValueId>, LoadError> {
    let op: &Operator<'_> = site.op;
    let tensors = |ports: &[Option<usize>]| -> Vec<Option<usize>> {
        let known = |number: &usize| {
            let computed = matches!(site.frame.graph.tensors[*number].contents, Contents::Computed);
            !computed || site.frame.values.contains_key(number)
        };
        ports.iter().map(|port| port.filter(known)).collect()
    };
    let numbers = tensors(&op.inputs);
    let mut inputs = Vec::new();
    for number in numbers {
        inputs.push(match number {
            Some(number) => Some(site.frame.value(site.draft, number)?),
            None => None,
        });
    }
    let foreign = match op.name.strip_prefix("Flex") {
        Some(name) if op.custom => Op::foreign("tf", name),
        _ => Op::foreign("tflite", &op.name),
    };
    let made = site.nodes(foreign, &inputs, op.outputs.len())?;
    for (number, value) in op.outputs.iter().zip(&made) {
        let said = only_hint(&site.frame.graph.tensors[*number], fixed)?;
        site.draft.hint(*value, said);
    }
    Ok(made)
}
