//! From bodies to the graph: nodes in the order of what they read, functions inlined.

use super::checkpoint::Shapes;
use super::control;
use super::demand::{Calls, Demand, Demands, calls};
use super::fold::fold;
use super::program::{Body, Def, Library, Node, Source, index};
use super::rows::{self, Call};
use super::tensor::{self, Constant};
use super::value::{Ints, Place, Val};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::formats::limits::MAX_DEPTH;
use crate::ir::{DType, Elem, TensorInfo, ValueId, Weight};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// What holds for the whole file while it is lowered.
pub(super) struct Shared {
    pub(super) library: Library,
    pub(super) demands: Demands,
    /// Variables by the names that they share.
    pub(super) variables: HashMap<String, Val>,
    /// Shapes of variables by their names in a checkpoint, where the graph states none.
    pub(super) checkpoint: Shapes,
    /// Whether the graph has variables.
    pub(super) variable: bool,
    /// Graphs and bodies so far.
    pub(super) graphs: usize,
}

/// The graph or body that is being written.
pub(super) struct Cx<'c, 'l> {
    pub(super) draft: &'c mut Draft<'l>,
    pub(super) shared: &'c mut Shared,
    /// Its number.
    pub(super) graph: usize,
    /// Functions and bodies around it.
    pub(super) depth: usize,
}

impl Cx<'_, '_> {
    /// The value in the graph that is being written.
    pub(super) fn id(&mut self, val: &Val) -> Result<ValueId, LoadError> {
        match &val.place {
            Place::Here(id) => Ok(*id),
            Place::Outer(name) => Ok(self.draft.outer(name)),
            Place::Stored(stored) => {
                if let Some((graph, id)) = stored.made.get() {
                    if graph == self.graph {
                        return Ok(id);
                    }
                }
                let (info, weight) = (stored.info.clone(), stored.weight.clone());
                let id = self.draft.stored(&stored.name, info, weight)?;
                stored.made.set(Some((self.graph, id)));
                Ok(id)
            }
            Place::Nothing => Err(invalid("graph", "a value is read that carries no data")),
        }
    }

    /// The value as a body inside this graph sees it.
    pub(super) fn pass(&mut self, val: &Val) -> Result<Val, LoadError> {
        let copied = match &val.place {
            Place::Nothing | Place::Outer(_) => true,
            Place::Stored(stored) => {
                let info = &stored.info;
                !val.handle && (val.known.is_some() || info.rank() == Some(0))
            }
            Place::Here(_) => false,
        };
        if copied {
            return Ok(val.clone());
        }
        let id = self.id(val)?;
        let name: Rc<str> = self.draft.name(id).into();
        Ok(Val { place: Place::Outer(name), ..val.clone() })
    }

    /// Runs a body on these arguments; results that are not wanted carry no data.
    pub(super) fn run(
        &mut self,
        body: &Arc<Body>,
        args: &[Val],
        wanted: &[bool],
    ) -> Result<Vec<Val>, LoadError> {
        if self.depth > MAX_DEPTH {
            let message = format!("calls nest deeper than {MAX_DEPTH}");
            return Err(invalid(format!("function `{}`", body.name), message));
        }
        let Shared { library, demands, .. } = &mut *self.shared;
        let demand = demands.of(body, wanted, library, 0)?;
        let mut made: HashMap<u32, Vec<Val>> = HashMap::with_capacity(demand.order.len());
        let value = |made: &HashMap<u32, Vec<Val>>, source: &Source| -> Val {
            match source {
                Source::Node(id, port) => {
                    let outputs = made.get(id);
                    outputs.and_then(|o| o.get(index(*port))).cloned().unwrap_or_else(Val::nothing)
                }
                Source::Arg(at) => args.get(index(*at)).cloned().unwrap_or_else(Val::nothing),
                Source::Missing => Val::nothing(),
            }
        };
        for id in &demand.order {
            let node = body.node(*id);
            if self.depth > 0 {
                self.draft.limits().expanded(1, 0)?;
            }
            let inputs = node.inputs.iter().map(|source| value(&made, source)).collect();
            let outputs = self.node(*id, node, inputs, &demand)?;
            made.insert(*id, outputs);
        }
        let returns = body.returns.iter().zip(wanted);
        Ok(returns.map(|(s, w)| if *w { value(&made, s) } else { Val::nothing() }).collect())
    }

    /// The outputs of a node.
    fn node(
        &mut self,
        id: u32,
        node: &Node,
        inputs: Vec<Val>,
        demand: &Demand,
    ) -> Result<Vec<Val>, LoadError> {
        let def = &*node.def;
        match calls(node, &mut self.shared.library)? {
            Calls::No => {}
            Calls::Function(body) => {
                let wanted = demand.mask(id, body.returns.len());
                self.depth += 1;
                let found = self.run(&body, &inputs, &wanted);
                self.depth -= 1;
                return found;
            }
            Calls::Branches(bodies) => {
                let wanted = demand.mask(id, bodies[0].returns.len());
                return control::branch(self, def, &bodies, &inputs, &wanted);
            }
            Calls::Loop(cond, body) => {
                let wanted = demand.mask(id, inputs.len());
                return control::repeat(self, def, &cond, &body, &inputs, &wanted);
            }
        }
        if let Some(found) = self.leaf(def, &inputs)? {
            return Ok(vec![found]);
        }
        if let Some(ints) = fold(def, &inputs) {
            let dtype = rows::dtype(def, 0, &inputs).unwrap_or(DType::I32);
            return Ok(vec![folded(&def.name, &ints, dtype)]);
        }
        let ports = demand.ports.get(&id);
        let outputs = ports.and_then(|p| p.iter().max()).map_or(1, |last| index(*last) + 1);
        let mut call = Call { cx: self, def, inputs, outputs };
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
    fn leaf(&mut self, def: &Def, inputs: &[Val]) -> Result<Option<Val>, LoadError> {
        Ok(Some(match def.op.as_str() {
            "Const" => {
                let Some(tensor) = def.tensor("value") else {
                    return Err(invalid(format!("node `{}`", def.name), "has no value"));
                };
                let mut constant = tensor::constant(&def.name, &tensor)?;
                if self.shared.variable {
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
            "VarHandleOp" | "_VarHandlesOp" => Val { handle: true, ..self.variable(def)? },
            "VariableV2" | "Variable" => self.variable(def)?,
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
    fn variable(&mut self, def: &Def) -> Result<Val, LoadError> {
        let shared = def.text("shared_name").filter(|name| !name.is_empty());
        let container = def.text("container").unwrap_or_default();
        let key = match &shared {
            Some(name) => format!("{container}/{name}"),
            None => format!("{container}//{}", def.name),
        };
        if let Some(known) = self.shared.variables.get(&key) {
            return Ok(known.clone());
        }
        let name = shared.filter(|n| !n.starts_with("cd2c89b7-")).unwrap_or(def.name.clone());
        let place = format!("variable `{}`", def.name);
        let stated = tensor::sizes(&def.name, def.shape("shape").as_ref())?;
        let whole = stated.filter(|sizes| sizes.iter().all(|n| *n >= 0));
        let checkpoint = &self.shared.checkpoint;
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
        self.shared.variables.insert(key, val.clone());
        Ok(val)
    }

    /// A node with one output.
    pub(super) fn one(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[ValueId],
    ) -> Result<ValueId, LoadError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.draft.one(name, op, &inputs)
    }
}

/// Integers that were worked out, as a constant.
pub(super) fn folded(name: &str, ints: &Ints, dtype: DType) -> Val {
    let dims: Vec<Dim> = ints.dims.iter().map(|n| Dim::from(*n)).collect();
    let value = ints.list.iter().map(|n| Elem::Int(Dim::from(*n))).collect();
    let info = TensorInfo { constant: true, ..TensorInfo::new(Some(dtype), dims) };
    let info = info.with_value(value);
    let weight = Weight::of(&info);
    Val::stored(name, Constant { info, weight })
}
