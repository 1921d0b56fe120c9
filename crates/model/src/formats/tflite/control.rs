//! Operators that run subgraphs: calls are put in place, branches and loops become bodies.

use super::site::{Made, Site, hint};
use super::subgraph::{Passed, call};
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::formats::{LoadError, LoadErrorKind};
use crate::ir::{DType, Graph, TensorInfo, ValueId};
use std::collections::BTreeMap;

fn number(index: i32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl Site<'_, '_, '_> {
    /// Inputs as they are passed on to a subgraph.
    fn passed(&mut self, first: usize) -> Result<Vec<Passed>, LoadError> {
        let mut all = Vec::new();
        for port in first..self.op.inputs.len() {
            let handle = self.op.inputs[port].and_then(|n| self.frame.handles.get(&n).cloned());
            all.push(match handle {
                Some(key) => Passed::Handle(key),
                None => Passed::Value(self.input(port)?),
            });
        }
        Ok(all)
    }

    /// What a subgraph gave: its values, and handles under the numbers of the outputs.
    fn received(&mut self, given: Vec<Passed>) -> Result<Vec<ValueId>, LoadError> {
        let mut values = Vec::new();
        for (at, passed) in given.into_iter().enumerate() {
            match passed {
                Passed::Value(value) => values.push(value),
                // A handle has no value; what is in its place is never read.
                Passed::Handle(key) => {
                    if let Some(output) = self.op.outputs.get(at) {
                        self.frame.handles.insert(*output, key);
                    }
                    values.push(self.draft.int(0)?);
                }
            }
        }
        Ok(values)
    }

    fn put_in_place(&mut self, graph: i32) -> Made {
        let given = self.passed(0)?;
        let around = (self.frame.live, std::mem::take(&mut self.frame.state));
        let (shared, name) = (self.shared, self.name.clone());
        let (made, state) =
            self.draft.inside(&name, |draft| call(shared, draft, number(graph), &given, around))?;
        self.frame.state = state;
        self.received(made).map(Some)
    }

    /// A body that reads the values around it.
    fn branch(&mut self, label: &str, graph: i32, given: &[Passed]) -> Result<Graph, LoadError> {
        let names: Vec<Option<String>> = given
            .iter()
            .map(|passed| match passed {
                Passed::Value(value) => Some(self.draft.name(*value).to_owned()),
                Passed::Handle(_) => None,
            })
            .collect();
        self.draft.limits().repeat(names.iter().flatten().map(String::len).sum())?;
        let live = self.frame.live.map(|value| self.draft.name(value).to_owned());
        let (shared, name) = (self.shared, format!("{}/{label}", self.name));
        self.draft.body(&name, |inner| {
            let outer =
                |inner: &mut Draft<'_>, (passed, name): (&Passed, &Option<String>)| match name {
                    Some(name) => Passed::Value(inner.outer(name)),
                    None => passed.clone(),
                };
            let given: Vec<Passed> =
                given.iter().zip(&names).map(|pair| outer(inner, pair)).collect();
            let live = live.map(|name| inner.outer(&name));
            let around = (live, BTreeMap::new());
            let (made, _) = call(shared, inner, number(graph), &given, around)?;
            ends(inner, made)
        })
    }
}

/// The outputs of a body: each made by a node of its own. Handles are left out.
fn ends(inner: &mut Draft<'_>, made: Vec<Passed>) -> Result<Vec<ValueId>, LoadError> {
    let mut ends = Vec::new();
    for passed in made {
        if let Passed::Value(value) = passed {
            ends.push(inner.one("end", Op::onnx("Identity"), &[Some(value)])?);
        }
    }
    Ok(ends)
}

pub(super) fn call_subgraph(site: &mut Site<'_, '_, '_>) -> Made {
    site.put_in_place(site.option(0, 0_i32)?)
}

/// An operator that another subgraph spells out.
pub(super) fn composite(site: &mut Site<'_, '_, '_>) -> Made {
    match site.op.more_options {
        Some(options) => site.put_in_place(options.get(1, 0_i32)?),
        None => Ok(None),
    }
}

pub(super) fn if_(site: &mut Site<'_, '_, '_>) -> Made {
    let (yes, no) = (site.option(0, 0_i32)?, site.option(1, 0_i32)?);
    let (condition, given) = (site.input(0)?, site.passed(1)?);
    let condition = single(site, 0, condition)?;
    let (yes, no) = (site.branch("then", yes, &given)?, site.branch("else", no, &given)?);
    let op = Op::onnx("If").with("then_branch", yes).with("else_branch", no);
    site.nodes(op, &[Some(condition)], site.op.outputs.len()).map(Some)
}

/// A condition without axes.
fn single(site: &mut Site<'_, '_, '_>, port: usize, value: ValueId) -> Result<ValueId, LoadError> {
    if site.rank(port) == 0 { Ok(value) } else { site.reshaped(value, &[]) }
}

/// One branch for each number, the last for those beyond: branches in branches.
pub(super) fn case(site: &mut Site<'_, '_, '_>) -> Made {
    let branches: Vec<i32> = match site.op.more_options {
        Some(options) => options.list(0)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let [yes, no] = branches[..] else { return Ok(None) };
    let (index, given) = (site.input(0)?, site.passed(1)?);
    let zero = TensorInfo::new(site.dtype(0), Vec::new());
    let zero = site.draft.small(zero.with_value(vec![crate::ir::Elem::Int(0_u32.into())]))?;
    let first = site.step("first", Op::onnx("Equal"), &[Some(index), Some(zero)])?;
    let first = single(site, 0, first)?;
    let (yes, no) = (site.branch("case_0", yes, &given)?, site.branch("case_1", no, &given)?);
    let op = Op::onnx("If").with("then_branch", yes).with("else_branch", no);
    site.nodes(op, &[Some(first)], site.op.outputs.len()).map(Some)
}

/// A loop whose condition is worked out before the first round and at the end of each.
pub(super) fn while_(site: &mut Site<'_, '_, '_>) -> Made {
    let (condition, body) = (site.option(0, 0_i32)?, site.option(1, 0_i32)?);
    let given = site.passed(0)?;
    let (shared, name, live) = (site.shared, site.name.clone(), site.frame.live);
    let label = format!("{name}/begin");
    let begin = site.draft.inside(&label, |draft| {
        asked(&call(shared, draft, number(condition), &given, (live, BTreeMap::new()))?.0, draft)
    })?;
    let mut infos = Vec::new();
    for port in 0..given.len() {
        let info = site.tensor(port).map(|tensor| hint(tensor, false)).transpose()?;
        infos.push(info.unwrap_or_default());
    }
    let label = format!("{name}/body");
    let graph = site.draft.body(&label, |inner| {
        let scalar = |dtype| TensorInfo::new(Some(dtype), Vec::new());
        let round = inner.input("round", scalar(DType::I64))?;
        inner.input("go_on", scalar(DType::Bool))?;
        let mut carried = Vec::new();
        for (passed, info) in given.iter().zip(infos) {
            carried.push(match passed {
                Passed::Value(_) => Passed::Value(inner.input("carried", info)?),
                Passed::Handle(key) => Passed::Handle(key.clone()),
            });
        }
        let around = (Some(round), BTreeMap::new());
        let (made, state) = call(shared, inner, number(body), &carried, around)?;
        if made.len() != given.len() {
            let message = format!("carries {} values and gives {}", given.len(), made.len());
            return Err(invalid(format!("loop `{name}`"), message));
        }
        let again = inner.inside("again", |draft| {
            asked(&call(shared, draft, number(condition), &made, (Some(round), state))?.0, draft)
        })?;
        let mut outputs = ends(inner, vec![Passed::Value(again)])?;
        outputs.extend(ends(inner, made)?);
        Ok(outputs)
    })?;
    let values = given.iter().filter_map(|passed| match passed {
        Passed::Value(value) => Some(Some(*value)),
        Passed::Handle(_) => None,
    });
    let inputs: Vec<Option<ValueId>> = [None, Some(begin)].into_iter().chain(values).collect();
    let mut made =
        site.nodes(Op::onnx("Loop").with("body", graph), &inputs, inputs.len() - 2)?.into_iter();
    let mut results = Vec::new();
    for passed in given {
        results.push(match passed {
            Passed::Value(_) => match made.next() {
                Some(value) => Passed::Value(value),
                None => return Ok(None),
            },
            handle @ Passed::Handle(_) => handle,
        });
    }
    site.received(results).map(Some)
}

/// The one value that a condition gives, without axes.
fn asked(made: &[Passed], draft: &mut Draft<'_>) -> Result<ValueId, LoadError> {
    let [Passed::Value(value)] = made else {
        return Err(invalid("the condition of a loop", "does not give one value"));
    };
    let none = draft.ints(&[])?;
    draft.one("single", Op::onnx("Reshape"), &[Some(*value), Some(none)])
}

/// What a delegate compiled is not in the file.
pub(super) fn delegate(_: &mut Site<'_, '_, '_>) -> Made {
    let instead = "convert the model again without a delegate, or give the file from before it";
    let what = "a TFLite model that a delegate has replaced parts of".to_owned();
    Err(LoadErrorKind::Refused { what, instead: instead.to_owned() }.into())
}
