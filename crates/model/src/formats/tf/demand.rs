//! What of a body is needed for some of its results, down through the functions that it calls.

use super::library::Library;
use super::program::{Body, Node, Source, index, number, ordered};
use crate::formats::LoadError;
use crate::formats::error::invalid;
use crate::formats::limits::MAX_DEPTH;
use std::collections::HashMap;
use std::sync::Arc;

/// The needed part of a body.
pub(super) struct Demand {
    /// Needed nodes, each after what it reads.
    pub(super) order: Vec<u32>,
    /// Which arguments are needed.
    pub(super) args: Vec<bool>,
    /// Which outputs of a needed node.
    pub(super) ports: HashMap<u32, Vec<u32>>,
}

impl Demand {
    /// Which of so many outputs of a node are needed.
    pub(super) fn mask(&self, node: u32, count: usize) -> Vec<bool> {
        let ports = self.ports.get(&node).map_or(&[][..], |p| p);
        (0..count).map(|port| ports.contains(&number(port))).collect()
    }
}

/// The address of a body, and what is wanted of it.
type Asked = (usize, Vec<bool>);
/// The body, and what it needs.
type Answer = (Arc<Body>, Arc<Demand>);

/// What was found out before.
#[derive(Default)]
pub(super) struct Demands {
    /// By body, which stays alive here, and what is wanted of it.
    known: HashMap<Asked, Answer>,
}

/// The functions that a node runs, and how it does.
pub(super) enum Calls {
    /// None.
    No,
    /// One, on its inputs.
    Function(Arc<Body>),
    /// One of several, on all inputs but the first; true says that the first branch is that of a false condition.
    Branches(Vec<Arc<Body>>),
    /// A condition and a body.
    Loop(Arc<Body>, Arc<Body>),
}

/// What a node calls.
pub(super) fn calls(node: &Node, library: &mut Library) -> Result<Calls, LoadError> {
    let def = &node.def;
    let named = |attr: &str| {
        let missing = || invalid(format!("node `{}`", def.name), format!("has no `{attr}`"));
        def.function(attr).ok_or_else(missing)
    };
    Ok(match def.op.as_str() {
        "PartitionedCall" | "StatefulPartitionedCall" => {
            Calls::Function(library.body(&named("f")?)?)
        }
        "If" | "StatelessIf" => match &def.inner[..] {
            [yes, no] => Calls::Branches(vec![no.clone(), yes.clone()]),
            _ => Calls::Branches(vec![
                library.body(&named("else_branch")?)?,
                library.body(&named("then_branch")?)?,
            ]),
        },
        "Case" | "StatelessCase" => {
            let names = def.functions("branches");
            if names.is_empty() {
                return Err(invalid(format!("node `{}`", def.name), "has no branches"));
            }
            let bodies = names.iter().map(|name| library.body(name));
            Calls::Branches(bodies.collect::<Result<_, _>>()?)
        }
        "While" | "StatelessWhile" => match &def.inner[..] {
            [cond, body] => Calls::Loop(cond.clone(), body.clone()),
            _ => Calls::Loop(library.body(&named("cond")?)?, library.body(&named("body")?)?),
        },
        op if library.has(op) => Calls::Function(library.body(op)?),
        _ => Calls::No,
    })
}

impl Demands {
    /// What `wanted` results of a body need.
    pub(super) fn of(
        &mut self,
        body: &Arc<Body>,
        wanted: &[bool],
        library: &mut Library,
        depth: usize,
    ) -> Result<Arc<Demand>, LoadError> {
        let key = (Arc::as_ptr(body).addr(), wanted.to_vec());
        if let Some((_, known)) = self.known.get(&key) {
            return Ok(known.clone());
        }
        if depth > MAX_DEPTH {
            let message = format!("calls nest deeper than {MAX_DEPTH}");
            return Err(invalid(format!("function `{}`", body.name), message));
        }
        let found = Arc::new(self.find(body, wanted, library, depth)?);
        self.known.insert(key, (body.clone(), found.clone()));
        Ok(found)
    }

    fn find(
        &mut self,
        body: &Body,
        wanted: &[bool],
        library: &mut Library,
        depth: usize,
    ) -> Result<Demand, LoadError> {
        let ends: Vec<Source> =
            body.returns.iter().zip(wanted).filter(|(_, w)| **w).map(|(s, _)| *s).collect();
        let order = ordered(body, &ends, &mut library.steps)?;
        let mut demand =
            Demand { order: Vec::new(), args: vec![false; body.args.len()], ports: HashMap::new() };
        for end in ends {
            demand.need(end, body)?;
        }
        for id in order.iter().rev() {
            let Some(ports) = demand.ports.get(id).cloned() else { continue };
            let node = body.node(*id);
            let needed = self.inputs(node, &ports, library, depth)?;
            library.steps.add(1 + node.inputs.len())?;
            for (source, _) in node.inputs.iter().zip(needed).filter(|(_, needed)| *needed) {
                demand.need(*source, body).map_err(|_| missing(node))?;
            }
        }
        demand.order = order.into_iter().filter(|id| demand.ports.contains_key(id)).collect();
        Ok(demand)
    }

    /// Which inputs a node needs for these of its outputs.
    fn inputs(
        &mut self,
        node: &Node,
        ports: &[u32],
        library: &mut Library,
        depth: usize,
    ) -> Result<Vec<bool>, LoadError> {
        let all = node.inputs.len();
        Ok(match calls(node, library)? {
            Calls::No if node.def.op == "IdentityN" => {
                (0..all).map(|at| ports.contains(&number(at))).collect()
            }
            Calls::No => vec![true; all],
            Calls::Function(body) => {
                let wanted = mask(ports, body.returns.len());
                padded(&self.of(&body, &wanted, library, depth + 1)?.args, all)
            }
            Calls::Branches(bodies) => {
                let mut needed = vec![false; all];
                needed[..all.min(1)].fill(true);
                for body in bodies {
                    let wanted = mask(ports, body.returns.len());
                    let args = &self.of(&body, &wanted, library, depth + 1)?.args;
                    for (slot, arg) in needed.iter_mut().skip(1).zip(args) {
                        *slot |= *arg;
                    }
                }
                needed
            }
            Calls::Loop(cond, body) => self.carried(&cond, &body, ports, all, library, depth)?,
        })
    }

    /// Which variables of a loop matter for these of its results.
    pub(super) fn carried(
        &mut self,
        cond: &Arc<Body>,
        body: &Arc<Body>,
        ports: &[u32],
        all: usize,
        library: &mut Library,
        depth: usize,
    ) -> Result<Vec<bool>, LoadError> {
        let mut needed = mask(ports, all);
        let or = |needed: &mut Vec<bool>, args: &[bool]| {
            needed.iter_mut().zip(args).for_each(|(slot, arg)| *slot |= *arg);
        };
        or(&mut needed, &self.of(cond, &[true], library, depth + 1)?.args);
        loop {
            library.steps.add(all)?;
            let before = needed.clone();
            let wanted = padded(&needed, body.returns.len());
            or(&mut needed, &self.of(body, &wanted, library, depth + 1)?.args);
            if needed == before {
                return Ok(needed);
            }
        }
    }
}

impl Demand {
    fn need(&mut self, source: Source, body: &Body) -> Result<(), LoadError> {
        match source {
            Source::Node(id, port) => {
                let ports = self.ports.entry(id).or_default();
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
            Source::Arg(at) => {
                if let Some(slot) = self.args.get_mut(index(at)) {
                    *slot = true;
                }
            }
            Source::Missing => {
                let place = format!("function `{}`", body.name);
                return Err(invalid(place, "returns what nothing makes"));
            }
        }
        Ok(())
    }
}

fn missing(node: &Node) -> LoadError {
    invalid(format!("node `{}`", node.def.name), "reads what nothing makes")
}

fn mask(ports: &[u32], count: usize) -> Vec<bool> {
    (0..count).map(|at| ports.contains(&number(at))).collect()
}

fn padded(flags: &[bool], count: usize) -> Vec<bool> {
    (0..count).map(|at| flags.get(at).copied().unwrap_or(false)).collect()
}
