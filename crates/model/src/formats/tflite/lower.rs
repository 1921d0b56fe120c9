//! From what a file says to a graph: the subgraph that is wanted, operator by operator, and those it calls.

use super::file::{Contents, File, Operator, Subgraph};
use super::rows;
use super::site::{Frame, Key, Made, Shared, Site, hint, input_info, only_hint};
use super::state;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::formats::limits::Limits;
use crate::formats::{LoadError, LoadErrorKind, Wanted};
use crate::ir::{Graph, ValueId};
use std::collections::BTreeMap;

/// What a subgraph is given and gives: a value, or the handle of a variable.
#[derive(Clone)]
pub(super) enum Passed {
    Value(ValueId),
    Handle(Key),
}

/// A subgraph under the names that its inputs and outputs have.
struct Entry {
    graph: usize,
    inputs: Vec<String>,
    outputs: Vec<String>,
}

/// Writes the graph of the subgraph that is wanted.
pub(super) fn graph(
    file: &File<'_>,
    wanted: &Wanted<'_>,
    limits: &mut Limits,
) -> Result<Graph, LoadError> {
    let entry = entry(file, wanted)?;
    let subgraph = &file.graphs[entry.graph];
    let shared = Shared { file, variables: state::initial(file)? };
    let mut draft = Draft::new(&subgraph.name, limits);
    let mut frame = Frame::of(subgraph);
    let mut fixed = true;
    for (at, (number, name)) in subgraph.inputs.iter().zip(&entry.inputs).enumerate() {
        let tensor = &subgraph.tensors[*number];
        let given = wanted.given.holds(name, at);
        fixed &= tensor.signature.is_none() && !given;
        let value = draft.input(name, input_info(tensor, given)?)?;
        frame.values.insert(*number, value);
        frame.live = frame.live.or(Some(value));
    }
    run(&shared, &mut draft, &mut frame, fixed)?;
    let mut outputs = Vec::new();
    for (number, name) in subgraph.outputs.iter().zip(&entry.outputs) {
        outputs.push((frame.value(&mut draft, *number)?, name.as_str()));
    }
    draft.finish(&outputs)
}

/// The subgraph that is wanted: the one that a signature names, one of that name, or the first.
fn entry(file: &File<'_>, wanted: &Wanted<'_>) -> Result<Entry, LoadError> {
    let names = |graph: &Subgraph<'_>, ports: &[usize]| -> Vec<String> {
        ports.iter().map(|number| graph.tensors[*number].name.clone()).collect()
    };
    let plain = |at: usize| {
        let graph = &file.graphs[at];
        let inputs = names(graph, &graph.inputs);
        Entry { graph: at, inputs, outputs: names(graph, &graph.outputs) }
    };
    let Some(name) = wanted.signature else { return Ok(plain(0)) };
    if let Some(signature) = file.signatures.iter().find(|s| s.key == name) {
        let mut entry = plain(signature.graph);
        let graph = &file.graphs[signature.graph];
        let named: BTreeMap<usize, &String> =
            signature.inputs.iter().chain(&signature.outputs).map(|(n, t)| (*t, n)).collect();
        let ports = graph.inputs.iter().zip(&mut entry.inputs);
        for (number, own) in ports.chain(graph.outputs.iter().zip(&mut entry.outputs)) {
            if let Some(name) = named.get(number) {
                own.clone_from(name);
            }
        }
        return Ok(entry);
    }
    if let Some(at) = file.graphs.iter().position(|graph| graph.name == name) {
        return Ok(plain(at));
    }
    let signatures = file.signatures.iter().map(|s| s.key.as_str());
    let graphs = file.graphs.iter().map(|graph| graph.name.as_str());
    let all = signatures.chain(graphs).filter(|name| !name.is_empty()).take(16);
    let known: Vec<String> = all.map(|name| format!("`{name}`")).collect();
    let message = format!("has no signature and no subgraph `{name}`");
    let known = if known.is_empty() {
        "leave out --signature: its one subgraph has no name".to_owned()
    } else {
        format!("--signature takes {}", known.join(", "))
    };
    Err(LoadErrorKind::Choice { message, known }.into())
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
fn run<'f>(
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
        let made = operator(&mut site)?;
        let made = match made {
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

fn operator(site: &mut Site<'_, '_, '_>) -> Made {
    match rows::find(&site.op.name, site.op.custom) {
        Some(row) => row.lower(site),
        None => Ok(None),
    }
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
