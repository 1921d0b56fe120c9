//! From what a file says to a graph: the subgraph that is wanted, under the names that its inputs and outputs have.

use super::file::{File, Subgraph};
use super::rows;
use super::site::{Frame, Shared, input_info};
use super::state;
use super::subgraph::run;
use crate::formats::draft::Draft;
use crate::formats::limits::Limits;
use crate::formats::{LoadError, LoadErrorKind, Wanted};
use crate::ir::Graph;
use std::collections::BTreeMap;

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
    let shared = Shared { file, variables: state::initial(file)?, lower: rows::lower };
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
        "omit --signature: its one subgraph has no name".to_owned()
    } else {
        format!("--signature takes {}", known.join(", "))
    };
    Err(LoadErrorKind::Choice { message, known }.into())
}
