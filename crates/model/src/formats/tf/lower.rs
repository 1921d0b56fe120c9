//! From the nodes of a file to those of the graph: calls are followed, what is known is folded, and the rest is by
//! the table of rows.

use super::control;
use super::cx::Cx;
use super::demand::{Calls, Demand, calls};
use super::fold::fold;
use super::program::{Def, Node, index};
use super::rows::{self, Call};
use super::tensor::{self, Constant};
use super::value::{Ints, Val};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::error::invalid;
use crate::ir::{DType, Elem, TensorInfo, Weight};

/// The outputs of a node, written into the graph.
pub(super) fn node(
    cx: &mut Cx<'_, '_>,
    id: u32,
    node: &Node,
    inputs: Vec<Val>,
    demand: &Demand,
) -> Result<Vec<Val>, LoadError> {
    let def = &*node.def;
    match calls(node, &mut cx.shared.library)? {
        Calls::No => {}
        Calls::Function(body) => {
            let wanted = demand.mask(id, body.returns.len());
            cx.depth += 1;
            let found = cx.run(&body, &inputs, &wanted);
            cx.depth -= 1;
            return found;
        }
        Calls::Branches(bodies) => {
            let wanted = demand.mask(id, bodies[0].returns.len());
            return control::branch(cx, def, &bodies, &inputs, &wanted);
        }
        Calls::Loop(cond, body) => {
            let wanted = demand.mask(id, inputs.len());
            return control::repeat(cx, def, &cond, &body, &inputs, &wanted);
        }
    }
    if let Some(found) = leaf(cx, def, &inputs)? {
        return Ok(vec![found]);
    }
    if let Some(ints) = fold(def, &inputs) {
        let dtype = rows::dtype(def, 0, &inputs).unwrap_or(DType::I32);
        return Ok(vec![folded(&def.name, &ints, dtype)]);
    }
    let ports = demand.ports.get(&id);
    let outputs = ports.and_then(|p| p.iter().max()).map_or(1, |last| index(*last) + 1);
    let mut call = Call { cx, def, inputs, outputs };
    let found = rows::lower(&mut call)?;
    let inputs = call.inputs;
    let typed = found.into_iter().enumerate().map(|(port, val)| {
        let dtype = val.dtype.or_else(|| rows::dtype(def, port, &inputs));
        let rank = val.rank.or_else(|| rows::rank(def, port, &inputs));
        Val { dtype, rank, ..val }
    });
    Ok(typed.collect())
}

/// Nodes that stand for something the file or the caller gives, or for their input.
fn leaf(cx: &mut Cx<'_, '_>, def: &Def, inputs: &[Val]) -> Result<Option<Val>, LoadError> {
    Ok(Some(match def.op.as_str() {
        "Const" => {
            let Some(tensor) = def.tensor("value") else {
                return Err(invalid(format!("node `{}`", def.name), "has no value"));
            };
            let mut constant = tensor::constant(&def.name, &tensor)?;
            if cx.shared.variable {
                // Beside variables, which hold what is learned, a constant is no parameter.
                constant.weight.distinct = Some(Dim::ZERO);
            }
            if constant.info.dtype.is_none() {
                return Ok(Some(Val::nothing()));
            }
            Val::stored(&def.name, constant)
        }
        "Placeholder" | "PlaceholderV2" | "_Arg" => {
            let message = "is an input inside a function";
            return Err(invalid(format!("node `{}`", def.name), message));
        }
        "VarHandleOp" | "_VarHandlesOp" => Val { handle: true, ..variable(cx, def)? },
        "VariableV2" | "Variable" => variable(cx, def)?,
        op if rows::passes(op) => {
            let first = inputs.first().cloned().unwrap_or_else(Val::nothing);
            let reads = op == "ReadVariableOp" || !first.handle;
            // Of a handle that is passed on, the handle.
            Val { handle: first.handle && !reads, ..first }
        }
        _ => return Ok(None),
    }))
}

/// A variable: stored, in another file.
fn variable(cx: &mut Cx<'_, '_>, def: &Def) -> Result<Val, LoadError> {
    let shared = def.text("shared_name").filter(|name| !name.is_empty());
    let container = def.text("container").unwrap_or_default();
    let key = match &shared {
        Some(name) => format!("{container}/{name}"),
        None => format!("{container}//{}", def.name),
    };
    if let Some(known) = cx.shared.variables.get(&key) {
        return Ok(known.clone());
    }
    let name = shared.filter(|n| !n.starts_with("cd2c89b7-")).unwrap_or(def.name.clone());
    let place = format!("variable `{}`", def.name);
    let stated = tensor::sizes(&def.name, def.shape("shape").as_ref())?;
    let whole = stated.filter(|sizes| sizes.iter().all(|n| *n >= 0));
    let checkpoint = &cx.shared.checkpoint;
    let saved = || checkpoint.of(&name).or_else(|| checkpoint.of(&def.name));
    let sizes = match whole {
        Some(sizes) => Some(sizes),
        None => saved().map(|(_, sizes)| sizes.clone()),
    };
    let Some(sizes) = sizes else {
        return Err(invalid(place, "states no whole shape, and no checkpoint beside it does"));
    };
    let Some(dtype) = def.dtype("dtype") else {
        return Err(invalid(place, "has an unknown element type"));
    };
    let dims: Vec<Dim> = sizes.iter().map(|n| Dim::from(*n)).collect();
    let info = TensorInfo { constant: true, ..TensorInfo::new(Some(dtype), dims) };
    let weight = Weight { external: true, ..Weight::of(&info) };
    let val = Val::stored(&name, Constant { info, weight });
    cx.shared.variables.insert(key, val.clone());
    Ok(val)
}

/// Integers that were worked out, as a constant.
fn folded(name: &str, ints: &Ints, dtype: DType) -> Val {
    let dims: Vec<Dim> = ints.dims.iter().map(|n| Dim::from(*n)).collect();
    let value = ints.list.iter().map(|n| Elem::Int(Dim::from(*n))).collect();
    let info = TensorInfo { constant: true, ..TensorInfo::new(Some(dtype), dims) };
    let info = info.with_value(value);
    let weight = Weight::of(&info);
    Val::stored(name, Constant { info, weight })
}
