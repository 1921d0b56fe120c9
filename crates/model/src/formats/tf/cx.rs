//! The graph or body that is being written, and how a body of the file is run into it.

use super::checkpoint::Shapes;
use super::demand::{Demand, Demands};
use super::library::Library;
use super::program::{Body, Node, Source, index};
use super::value::{Place, Val};
use crate::formats::LoadError;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::formats::limits::MAX_DEPTH;
use crate::ir::ValueId;
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
    /// Writes what a node becomes; some nodes run bodies.
    pub(super) lower: Lower,
}

/// Writes what a node of this number becomes, given its inputs, and says what its outputs are.
pub(super) type Lower =
    fn(&mut Cx<'_, '_>, u32, &Node, Vec<Val>, &Demand) -> Result<Vec<Val>, LoadError>;

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
            let outputs = (self.shared.lower)(self, *id, node, inputs, &demand)?;
            made.insert(*id, outputs);
        }
        let returns = body.returns.iter().zip(wanted);
        Ok(returns.map(|(s, w)| if *w { value(&made, s) } else { Val::nothing() }).collect())
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
