//! Variables that a runtime keeps between calls, and tables.

use super::file::{Contents, File, Operator, Subgraph};
use super::site::{Key, Made, Site, hint};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::TensorInfo;
use std::collections::{BTreeMap, HashMap};

const HANDLE: &str = "VAR_HANDLE";
const ASSIGN: &str = "ASSIGN_VARIABLE";

/// The variable that a handle stands for.
fn key(op: &Operator<'_>) -> Result<Key, LoadError> {
    match op.options {
        Some(options) => Ok((options.text(0)?, options.text(1)?)),
        None => Ok((String::new(), String::new())),
    }
}

/// What variables hold at the beginning, as far as a subgraph writes a tensor of stated sizes into them: the first that
/// does, constants before others.
pub(super) fn initial(file: &File<'_>) -> Result<BTreeMap<Key, TensorInfo>, LoadError> {
    let mut found = BTreeMap::new();
    for stored in [true, false] {
        for graph in &file.graphs {
            assigned(graph, stored, &mut found)?;
        }
    }
    Ok(found)
}

fn assigned(
    graph: &Subgraph<'_>,
    stored: bool,
    found: &mut BTreeMap<Key, TensorInfo>,
) -> Result<(), LoadError> {
    let mut handles: HashMap<usize, &Operator<'_>> = HashMap::new();
    for op in &graph.operators {
        match (&*op.name, &op.inputs[..], &op.outputs[..]) {
            (HANDLE, _, [handle]) => drop(handles.insert(*handle, op)),
            (ASSIGN, [Some(handle), Some(value)], _) => {
                let tensor = &graph.tensors[*value];
                let constant = !matches!(tensor.contents, Contents::Computed);
                let Some(handle) = handles.get(handle).filter(|_| constant == stored) else {
                    continue;
                };
                let info = hint(tensor, true)?;
                if info.shape.is_some() {
                    found.entry(key(handle)?).or_insert(info);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn handle(site: &mut Site<'_, '_, '_>) -> Made {
    if let Some(output) = site.op.outputs.first() {
        site.frame.handles.insert(*output, key(site.op)?);
    }
    Ok(Some(Vec::new()))
}

/// The variable that an input is a handle of.
fn variable(site: &Site<'_, '_, '_>) -> Option<Key> {
    let number = site.op.inputs.first().copied().flatten()?;
    site.frame.handles.get(&number).cloned()
}

/// What a variable is known to hold, or what the file says that is read of it.
fn contents(site: &Site<'_, '_, '_>, key: &Key) -> Result<Option<TensorInfo>, LoadError> {
    if let Some(known) = site.shared.variables.get(key) {
        return Ok(Some(known.clone()));
    }
    let said = site.made(0).map(|tensor| hint(tensor, true)).transpose()?;
    Ok(said.filter(|info| info.shape.is_some()))
}

pub(super) fn read(site: &mut Site<'_, '_, '_>) -> Made {
    let Some(key) = variable(site) else { return Ok(None) };
    let held = match site.frame.state.get(&key) {
        Some(held) => *held,
        None => {
            let Some(info) = contents(site, &key)? else { return Ok(None) };
            let info =
                TensorInfo { dtype: info.dtype.or(site.made(0).and_then(|t| t.dtype)), ..info };
            let name = if key.1.is_empty() { "variable" } else { &key.1 };
            let held = site.frame.variable(site.draft, name, &info)?;
            site.frame.state.insert(key, held);
            held
        }
    };
    Ok(Some(vec![site.node(Op::own("ReadVariable"), &[Some(held)])?]))
}

pub(super) fn assign(site: &mut Site<'_, '_, '_>) -> Made {
    let (Some(key), value) = (variable(site), site.input(1)?) else { return Ok(None) };
    let held = site.frame.state.get(&key).copied().unwrap_or(value);
    let op = Op::own("AssignVariable");
    let name = format!("{}/assigned", if key.1.is_empty() { "variable" } else { &key.1 });
    site.draft.limits().repeat(name.len())?;
    let assigned = site.draft.one(&name, op, &[Some(held), Some(value)])?;
    site.frame.state.insert(key, assigned);
    Ok(Some(Vec::new()))
}

/// Keys that are looked up in a table, whose contents another subgraph writes once.
pub(super) fn find(site: &mut Site<'_, '_, '_>) -> Made {
    let (keys, default) = (site.input(1)?, site.input(2)?);
    Ok(Some(vec![site.node(Op::own("TableFind"), &[Some(keys), Some(default)])?]))
}

/// What runs once, at the first call, and makes no tensor.
// One signature for all rows.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn once(_: &mut Site<'_, '_, '_>) -> Made {
    Ok(Some(Vec::new()))
}
