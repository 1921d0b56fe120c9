//! Branches and loops.

use super::cx::{Cx, Shared};
use super::program::{Body, Def, Source, index, number};
use super::tensor::Constant;
use super::value::{Place, Val};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::ir::{DType, Graph, TensorInfo, ValueId, Weight};
use std::sync::Arc;

/// `If` or `Case`: the first input chooses, the others go to every branch; of two, the second is that of a true
/// condition.
pub(super) fn branch(
    cx: &mut Cx<'_, '_>,
    def: &Def,
    bodies: &[Arc<Body>],
    inputs: &[Val],
    wanted: &[bool],
) -> Result<Vec<Val>, LoadError> {
    let Some((selector, args)) = inputs.split_first() else {
        return Err(invalid(format!("node `{}`", def.name), "has no condition"));
    };
    let flag = def.op == "If" || def.op == "StatelessIf";
    if let Some(chosen) = selector.int() {
        let last = bodies.len() - 1;
        let at =
            if flag { usize::from(chosen != 0) } else { usize::try_from(chosen).unwrap_or(last) };
        cx.depth += 1;
        let found = cx.run(&bodies[at.min(last)], args, wanted);
        cx.depth -= 1;
        return found;
    }
    let mut passed = vec![Val::nothing(); args.len()];
    for body in bodies {
        let Shared { library, demands, .. } = &mut *cx.shared;
        let needed = demands.of(body, wanted, library, 0)?;
        for (at, arg) in args.iter().enumerate() {
            if needed.args.get(at) == Some(&true) && passed[at].is_nothing() {
                passed[at] = cx.pass(arg)?;
            }
        }
    }
    if flag {
        let condition = condition(cx, &def.name, selector)?;
        let [no, yes] = bodies else {
            return Err(invalid(format!("node `{}`", def.name), "has not two branches"));
        };
        let (yes, types) = inside(cx, &format!("{}/then", def.name), yes, &passed, wanted)?;
        let (no, _) = inside(cx, &format!("{}/else", def.name), no, &passed, wanted)?;
        return choice(cx, &def.name, condition, yes, no, &types, wanted);
    }
    let selector = cx.pass(selector)?;
    cases(cx, &def.name, &selector, 0, bodies, &passed, wanted)
}

/// The branches from the one of this number on, of which the selector chooses.
fn cases(
    cx: &mut Cx<'_, '_>,
    name: &str,
    selector: &Val,
    at: i64,
    bodies: &[Arc<Body>],
    args: &[Val],
    wanted: &[bool],
) -> Result<Vec<Val>, LoadError> {
    let [first, rest @ ..] = bodies else {
        return Err(invalid(format!("node `{name}`"), "has no branches"));
    };
    if rest.is_empty() {
        return cx.run(first, args, wanted);
    }
    let (chosen, mut this) = (cx.id(selector)?, cx.draft.int(at)?);
    if let Some(dtype) = selector.dtype.filter(|d| *d != DType::I64) {
        this = cx.one(&format!("{name}/number"), cast(dtype), &[this])?;
    }
    let condition = cx.one(&format!("{name}/is_{at}"), Op::onnx("Equal"), &[chosen, this])?;
    let (yes, types) = inside(cx, &format!("{name}/branch_{at}"), first, args, wanted)?;
    let no = body(cx, &format!("{name}/after_{at}"), |inner| {
        let found = cases(inner, name, selector, at + 1, rest, args, wanted)?;
        inner.results(&found, wanted)
    })?;
    choice(cx, name, condition, yes, no, &types, wanted)
}

/// A condition as a truth value.
fn condition(cx: &mut Cx<'_, '_>, name: &str, val: &Val) -> Result<ValueId, LoadError> {
    let id = cx.id(val)?;
    if val.dtype.is_none_or(|d| d == DType::Bool) {
        return Ok(id);
    }
    cx.one(&format!("{name}/condition"), cast(DType::Bool), &[id])
}

/// A cast to a type.
pub(super) fn cast(dtype: DType) -> Op {
    Op::onnx("Cast").with("to", i64::from(dtype.onnx()))
}

/// Types and ranks of values that leave a body.
type Types = Vec<Val>;

fn choice(
    cx: &mut Cx<'_, '_>,
    name: &str,
    condition: ValueId,
    yes: Graph,
    no: Graph,
    types: &Types,
    wanted: &[bool],
) -> Result<Vec<Val>, LoadError> {
    let count = wanted.iter().filter(|w| **w).count();
    let op = Op::onnx("If").with("then_branch", yes).with("else_branch", no);
    let mut made = cx.draft.many(name, op, &[Some(condition)], count)?.into_iter();
    let results = wanted.iter().zip(types).map(|(wanted, kind)| {
        let id = if *wanted { made.next() } else { None };
        id.map_or_else(Val::nothing, |id| Val {
            place: Place::Here(id),
            known: None,
            handle: false,
            ..kind.clone()
        })
    });
    Ok(results.collect())
}

/// Writes the body of a node.
fn body(
    cx: &mut Cx<'_, '_>,
    label: &str,
    write: impl FnOnce(&mut Cx<'_, '_>) -> Result<Vec<ValueId>, LoadError>,
) -> Result<Graph, LoadError> {
    cx.shared.graphs += 1;
    let (graph, depth) = (cx.shared.graphs, cx.depth + 1);
    let shared = &mut *cx.shared;
    cx.draft
        .body(label, |inner: &mut Draft<'_>| write(&mut Cx { draft: inner, shared, graph, depth }))
}

/// A function as the body of a node; with the types of what it gives.
fn inside(
    cx: &mut Cx<'_, '_>,
    label: &str,
    function: &Arc<Body>,
    args: &[Val],
    wanted: &[bool],
) -> Result<(Graph, Types), LoadError> {
    let mut types = Vec::new();
    let graph = body(cx, label, |inner| {
        let found = inner.run(function, args, wanted)?;
        types.clone_from(&found);
        inner.results(&found, wanted)
    })?;
    types.resize(wanted.len(), Val::nothing());
    Ok((graph, types))
}

impl Cx<'_, '_> {
    /// Values as results of a body: each made by a node of its own.
    fn results(&mut self, found: &[Val], wanted: &[bool]) -> Result<Vec<ValueId>, LoadError> {
        let mut ids = Vec::new();
        for (val, _) in found.iter().zip(wanted).filter(|(_, wanted)| **wanted) {
            ids.push(self.result(val)?);
        }
        Ok(ids)
    }

    fn result(&mut self, val: &Val) -> Result<ValueId, LoadError> {
        let id = if val.is_nothing() { self.draft.int(0)? } else { self.id(val)? };
        self.one("result", Op::onnx("Identity"), &[id])
    }
}

/// The argument that a value passes on unchanged.
fn argument(body: &Body, source: Source) -> Option<u32> {
    match unwrapped(body, source) {
        Source::Arg(at) => Some(at),
        _ => None,
    }
}

/// What a value is behind nodes that pass it on.
fn unwrapped(body: &Body, source: Source) -> Source {
    let mut at = source;
    for _ in 0..64 {
        let Source::Node(id, 0) = at else { return at };
        let node = body.node(id);
        let passes = matches!(node.def.op.as_str(), "Identity" | "StopGradient" | "LoopCond");
        match node.inputs.first() {
            Some(input) if passes => at = *input,
            _ => return at,
        }
    }
    at
}

/// A counter that ends a loop.
struct Counter {
    /// The variable.
    variable: usize,
    limit: Bound,
    step: i64,
    /// Whether the limit itself is a round too.
    inclusive: bool,
}

/// What a counter is compared with.
enum Bound {
    Number(i64),
    /// An argument that does not change.
    Argument(usize),
}

/// The loop as its variables are used.
struct Rounds<'a> {
    cond: &'a Arc<Body>,
    body: &'a Arc<Body>,
    inputs: &'a [Val],
    /// Which variables are carried from round to round.
    carried: &'a [bool],
}

impl Rounds<'_> {
    /// The counters that end the loop, where nothing else does.
    fn counters(&self) -> Option<Vec<Counter>> {
        let mut found = Vec::new();
        let mut stack = vec![*self.cond.returns.first()?];
        while let Some(source) = stack.pop() {
            if found.len() + stack.len() > 8 {
                return None;
            }
            let Source::Node(id, 0) = unwrapped(self.cond, source) else { return None };
            let node = self.cond.node(id);
            let [a, b] = node.inputs[..] else { return None };
            match node.def.op.as_str() {
                "LogicalAnd" => stack.extend([a, b]),
                "Less" => found.push(self.counter(a, b, false)?),
                "LessEqual" => found.push(self.counter(a, b, true)?),
                "Greater" => found.push(self.counter(b, a, false)?),
                "GreaterEqual" => found.push(self.counter(b, a, true)?),
                _ => return None,
            }
        }
        Some(found)
    }

    fn counter(&self, counter: Source, limit: Source, inclusive: bool) -> Option<Counter> {
        let variable = index(argument(self.cond, counter)?);
        if !*self.carried.get(variable)? {
            return None;
        }
        let limit = match unwrapped(self.cond, limit) {
            Source::Arg(at) if self.carried.get(index(at)) == Some(&false) => {
                Bound::Argument(index(at))
            }
            source => Bound::Number(single(&super::dilation::constant(self.cond, source)?)?),
        };
        let next = unwrapped(self.body, *self.body.returns.get(variable)?);
        let Source::Node(id, 0) = next else { return None };
        let node = self.body.node(id);
        let ([a, b], "Add" | "AddV2") = (&node.inputs[..], node.def.op.as_str()) else {
            return None;
        };
        let own = |source: Source| argument(self.body, source) == Some(number(variable));
        let step = if own(*a) { *b } else { Some(*a).filter(|_| own(*b))? };
        let step = match unwrapped(self.body, step) {
            Source::Arg(at) if self.carried.get(index(at)) == Some(&false) => {
                self.inputs.get(index(at))?.int()?
            }
            source => single(&super::dilation::constant(self.body, source)?)?,
        };
        (step > 0).then_some(Counter { variable, limit, step, inclusive })
    }
}

fn single(list: &[i64]) -> Option<i64> {
    match list {
        [one] => Some(*one),
        _ => None,
    }
}

/// How often a loop runs that counters end.
fn trips(
    cx: &mut Cx<'_, '_>,
    name: &str,
    counters: &[Counter],
    inputs: &[Val],
) -> Result<Option<ValueId>, LoadError> {
    let (mut least, mut open) = (None::<i64>, Vec::new());
    for counter in counters {
        let start = &inputs[counter.variable];
        let limit = match &counter.limit {
            Bound::Number(n) => Some(*n),
            Bound::Argument(at) => inputs[*at].int(),
        };
        let one = i64::from(counter.inclusive);
        if let (Some(start), Some(limit)) = (start.int(), limit) {
            let way = limit.saturating_sub(start).saturating_add(one).max(0);
            let count = way.saturating_add(counter.step - 1) / counter.step;
            least = Some(least.map_or(count, |l| l.min(count)));
            continue;
        }
        let limit = match &counter.limit {
            Bound::Number(n) => cx.draft.int(n.saturating_add(one))?,
            Bound::Argument(at) if !counter.inclusive => whole(cx, name, &inputs[*at])?,
            Bound::Argument(_) => return Ok(None),
        };
        if counter.step != 1 {
            return Ok(None);
        }
        let start_id = whole(cx, name, start)?;
        open.push(match start.int() {
            Some(0) => limit,
            _ => cx.one(&format!("{name}/trips"), Op::onnx("Sub"), &[limit, start_id])?,
        });
    }
    if let Some(least) = least {
        open.push(cx.draft.int(least)?);
    }
    match open[..] {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        _ => cx.one(&format!("{name}/trips"), Op::onnx("Min"), &open).map(Some),
    }
}

/// A single number as an `i64`.
fn whole(cx: &mut Cx<'_, '_>, name: &str, val: &Val) -> Result<ValueId, LoadError> {
    if let Some(number) = val.int() {
        return cx.draft.int(number);
    }
    let id = cx.id(val)?;
    if val.dtype == Some(DType::I64) {
        return Ok(id);
    }
    cx.one(&format!("{name}/limit"), cast(DType::I64), &[id])
}

/// Whether a loop runs a first round.
fn beginning(
    cx: &mut Cx<'_, '_>,
    name: &str,
    cond: &Arc<Body>,
    inputs: &[Val],
) -> Result<ValueId, LoadError> {
    cx.depth += 1;
    let found = cx.run(cond, inputs, &[true]);
    cx.depth -= 1;
    let first = found?.into_iter().next().unwrap_or_else(Val::nothing);
    condition(cx, name, &first)
}

/// `While`: the condition is worked out once before and at the end of every round.
pub(super) fn repeat(
    cx: &mut Cx<'_, '_>,
    def: &Def,
    cond: &Arc<Body>,
    body_of: &Arc<Body>,
    inputs: &[Val],
    wanted: &[bool],
) -> Result<Vec<Val>, LoadError> {
    let name = def.name.as_str();
    let ports: Vec<u32> = (0..wanted.len()).filter(|at| wanted[*at]).map(number).collect();
    let Shared { library, demands, .. } = &mut *cx.shared;
    let needed = demands.carried(cond, body_of, &ports, inputs.len(), library, 0)?;
    let changes = |at: usize| {
        let end = body_of.returns.get(at).copied().unwrap_or(Source::Missing);
        argument(body_of, end) != Some(number(at)) && !inputs[at].handle
    };
    let carried: Vec<bool> = (0..inputs.len()).map(|at| needed[at] && changes(at)).collect();
    let mut passed = vec![Val::nothing(); inputs.len()];
    for at in (0..inputs.len()).filter(|at| needed[*at] && !carried[*at]) {
        passed[at] = cx.pass(&inputs[at])?;
    }
    let rounds = Rounds { cond, body: body_of, inputs, carried: &carried };
    let most = match rounds.counters() {
        Some(counters) => trips(cx, name, &counters, inputs)?,
        None => None,
    };
    let begin = match most {
        Some(_) => None,
        None => Some(beginning(cx, name, cond, inputs)?),
    };
    let mut node_inputs = vec![most, begin];
    for at in (0..inputs.len()).filter(|at| carried[*at]) {
        node_inputs.push(Some(cx.id(&initial(&inputs[at]))?));
    }
    let mut types = Vec::new();
    let graph = body(cx, name, |inner| {
        let found = round(inner, &rounds, &passed, &needed, most.is_some())?;
        types = found.1;
        Ok(found.0)
    })?;
    let count = node_inputs.len() - 2;
    let op = Op::onnx("Loop").with("body", graph);
    let mut made = cx.draft.many(name, op, &node_inputs, count)?.into_iter();
    let mut results = Vec::with_capacity(inputs.len());
    for at in 0..inputs.len() {
        results.push(if carried[at] {
            made.next().map_or_else(Val::nothing, |id| Val {
                place: Place::Here(id),
                dtype: inputs[at].dtype.or(types.get(at).and_then(|t: &Val| t.dtype)),
                rank: inputs[at].rank,
                ..Val::nothing()
            })
        } else {
            inputs[at].clone()
        });
    }
    Ok(results)
}

/// What a loop begins with: a constant there is a state, and no parameter.
fn initial(val: &Val) -> Val {
    let Place::Stored(stored) = &val.place else { return val.clone() };
    if stored.weight.external {
        return val.clone();
    }
    let weight = Weight { distinct: Some(Dim::ZERO), ..stored.weight.clone() };
    let constant = Constant { info: stored.info.clone(), weight };
    Val { handle: val.handle, ..Val::stored(&stored.name, constant) }
}

/// One round: its results, and the types of all variables after it.
fn round(
    inner: &mut Cx<'_, '_>,
    rounds: &Rounds<'_>,
    passed: &[Val],
    needed: &[bool],
    counted: bool,
) -> Result<(Vec<ValueId>, Vec<Val>), LoadError> {
    let scalar = |dtype| TensorInfo::new(Some(dtype), Vec::new());
    inner.draft.input("iteration", scalar(DType::I64))?;
    let go = inner.draft.input("condition", scalar(DType::Bool))?;
    let mut args = passed.to_vec();
    for (at, input) in rounds.inputs.iter().enumerate().filter(|(at, _)| rounds.carried[*at]) {
        let info = TensorInfo { dtype: input.dtype, ..TensorInfo::default() };
        let label = rounds.body.args.get(at).map_or("variable", String::as_str);
        let id = inner.draft.input(label, info)?;
        args[at] = Val { place: Place::Here(id), known: None, ..input.clone() };
    }
    let wanted: Vec<bool> = (0..rounds.body.returns.len())
        .map(|at| needed.get(at) == Some(&true) && rounds.carried.get(at) == Some(&true))
        .collect();
    let after = inner.run(rounds.body, &args, &wanted)?;
    let mut results = Vec::new();
    if counted {
        results.push(inner.one("condition_out", Op::onnx("Identity"), &[go])?);
    } else {
        let pairs = args.iter().enumerate().map(|(at, arg)| {
            if rounds.carried[at] {
                after.get(at).cloned().unwrap_or_else(Val::nothing)
            } else {
                arg.clone()
            }
        });
        let next: Vec<Val> = pairs.collect();
        let found = inner.run(rounds.cond, &next, &[true])?;
        let first = found.into_iter().next().unwrap_or_else(Val::nothing);
        let id = condition(inner, "condition", &first)?;
        results.push(inner.one("condition_out", Op::onnx("Identity"), &[id])?);
    }
    for (val, _) in after.iter().zip(&wanted).filter(|(_, wanted)| **wanted) {
        results.push(inner.result(val)?);
    }
    Ok((results, after))
}
