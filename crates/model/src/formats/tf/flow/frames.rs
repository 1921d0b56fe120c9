//! Frames as loops.

use super::{Redirect, pivot, plain, reached};
use crate::formats::LoadError;
use crate::formats::error::invalid;
use crate::formats::limits::MAX_DEPTH;
use crate::formats::tf::program::{Body, Def, Node, Source, Steps, index, number};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A variable of a loop.
struct Variable {
    enter: u32,
    /// The next round's value.
    next: Source,
    exits: Vec<u32>,
}

/// A loop before its nodes are put into bodies.
#[derive(Default)]
struct Frame {
    name: String,
    variables: Vec<Variable>,
    /// `Enter`s of what does not change.
    invariants: Vec<u32>,
    /// What `LoopCond` reads.
    condition: Option<Source>,
    /// Merges, switches and invariant enters: arguments of the bodies.
    arguments: HashMap<u32, u32>,
}

/// How far a frame has come.
#[derive(Clone, Copy, PartialEq)]
enum State {
    Waiting,
    Open,
    Done,
}

struct Frames<'a> {
    body: &'a mut Body,
    steps: &'a mut Steps,
    list: Vec<Frame>,
    states: Vec<State>,
    /// The frame of an exit.
    exits: HashMap<u32, usize>,
    redirect: Redirect,
}

/// Puts a node with bodies in the place of every frame that the returns depend on.
pub(super) fn structure(body: &mut Body, steps: &mut Steps) -> Result<(), LoadError> {
    let seen = reached(body, &body.returns);
    let (frames, exits) = collect(body, &seen)?;
    let states = vec![State::Waiting; frames.len()];
    let mut all =
        Frames { body, steps, list: frames, states, exits, redirect: Redirect::default() };
    for at in 0..all.list.len() {
        if all.list[at].variables.iter().any(|v| !v.exits.is_empty()) {
            all.build(at, 0)?;
        }
    }
    let redirect = std::mem::take(&mut all.redirect);
    redirect.apply(body);
    Ok(())
}

/// The other end of a source of the first output of a node with this operator.
fn made_by(body: &Body, source: Source, op: &str) -> Option<u32> {
    match source {
        Source::Node(id, _) if plain(&body.node(id).def.op) == op => Some(id),
        _ => None,
    }
}

type Collected = (Vec<Frame>, HashMap<u32, usize>);

/// By merge or switch: the name of the frame and the place of the variable.
type Places = HashMap<u32, (String, usize)>;

/// The frames with what enters them, by name, and their merges.
fn entered(body: &Body, seen: &[bool]) -> (BTreeMap<String, Frame>, Places) {
    let mut by_name: BTreeMap<String, Frame> = BTreeMap::new();
    let mut merges = Places::new();
    let name_of = |enter: u32| {
        let def = &body.node(enter).def;
        def.text("frame_name").unwrap_or_default()
    };
    for id in (0..body.nodes.len()).map(number).filter(|id| seen[index(*id)]) {
        let node = body.node(id);
        match (plain(&node.def.op), &node.inputs[..]) {
            ("Enter", _) if node.def.flag("is_constant") => {
                let frame = by_name.entry(name_of(id)).or_default();
                frame.invariants.push(id);
            }
            ("Merge", [a, b]) => {
                let enter = made_by(body, *a, "Enter").or_else(|| made_by(body, *b, "Enter"));
                let next = made_by(body, *b, "NextIteration")
                    .or_else(|| made_by(body, *a, "NextIteration"));
                let (Some(enter), Some(next)) = (enter, next) else { continue };
                let next = body.node(next).inputs.first().copied().unwrap_or(Source::Missing);
                let name = name_of(enter);
                let frame = by_name.entry(name.clone()).or_default();
                merges.insert(id, (name, frame.variables.len()));
                frame.arguments.insert(id, number(frame.variables.len()));
                frame.variables.push(Variable { enter, next, exits: Vec::new() });
            }
            _ => {}
        }
    }
    (by_name, merges)
}

/// All frames, and the frames of exits.
fn collect(body: &Body, seen: &[bool]) -> Result<Collected, LoadError> {
    let nodes = || (0..body.nodes.len()).map(number).filter(|id| seen[index(*id)]);
    let (mut by_name, merges) = entered(body, seen);
    let mut switches = Places::new();
    for id in nodes() {
        let node = body.node(id);
        let ("Switch", [data, predicate]) = (plain(&node.def.op), &node.inputs[..]) else {
            continue;
        };
        let Source::Node(merge, 0) = data else { continue };
        let Some(condition) = made_by(body, *predicate, "LoopCond") else { continue };
        let Some((name, at)) = merges.get(merge).cloned() else { continue };
        if let Some(frame) = by_name.get_mut(&name) {
            frame.condition = body.node(condition).inputs.first().copied();
            frame.arguments.insert(id, number(at));
        }
        switches.insert(id, (name, at));
    }
    let names: Vec<String> = by_name.keys().cloned().collect();
    let mut exits = HashMap::new();
    for id in nodes().filter(|id| plain(&body.node(*id).def.op) == "Exit") {
        let source = body.node(id).inputs.first().copied().unwrap_or(Source::Missing);
        let switch = made_by(body, source, "Switch").and_then(|s| switches.get(&s));
        let Some((name, at)) = switch else {
            let place = format!("node `{}`", body.node(id).def.name);
            return Err(invalid(place, "leaves a loop that is not whole"));
        };
        if let Some(frame) = by_name.get_mut(name) {
            frame.variables[*at].exits.push(id);
        }
        exits.insert(id, names.binary_search(name).unwrap_or(usize::MAX));
    }
    let frames = by_name.into_iter().map(|(name, mut frame)| {
        for (at, enter) in frame.invariants.iter().enumerate() {
            frame.arguments.insert(*enter, number(frame.variables.len() + at));
        }
        Frame { name, ..frame }
    });
    Ok((frames.collect(), exits))
}

impl Frames<'_> {
    /// Makes the node that stands for a frame, after those of the frames inside it.
    fn build(&mut self, at: usize, depth: usize) -> Result<(), LoadError> {
        match self.states.get(at).copied() {
            Some(State::Done) => return Ok(()),
            Some(State::Waiting) if depth <= MAX_DEPTH => self.states[at] = State::Open,
            _ => return Err(invalid("graph", "loops lie in each other")),
        }
        let frame = std::mem::take(&mut self.list[at]);
        let Some(condition) = frame.condition else {
            return Err(invalid(format!("loop `{}`", frame.name), "has no condition"));
        };
        let invariants = frame
            .invariants
            .iter()
            .map(|enter| Source::Arg(frame.arguments.get(enter).copied().unwrap_or_default()));
        let ends: Vec<Source> = frame.variables.iter().map(|v| v.next).chain(invariants).collect();
        let cond = self.inner(&frame, "cond", &[condition], depth)?;
        let body = self.inner(&frame, "body", &ends, depth)?;
        let enters = frame.variables.iter().map(|v| v.enter).chain(frame.invariants.clone());
        let inputs = enters
            .map(|enter| self.body.node(enter).inputs.first().copied().unwrap_or(Source::Missing));
        let inputs = inputs.collect();
        let name = frame.name.trim_end_matches("/while_context").to_owned();
        let def = Arc::new(Def::made(&name, "While", vec![Arc::new(cond), Arc::new(body)]));
        let made = number(self.body.nodes.len());
        self.body.nodes.push(Node { def, inputs, controls: Vec::new() });
        for (port, variable) in frame.variables.iter().enumerate() {
            for exit in &variable.exits {
                self.redirect.put(*exit, 0, Source::Node(made, number(port)));
            }
        }
        self.states[at] = State::Done;
        Ok(())
    }

    /// The nodes between a frame's arguments and these values, as a body.
    fn inner(
        &mut self,
        frame: &Frame,
        label: &str,
        ends: &[Source],
        depth: usize,
    ) -> Result<Body, LoadError> {
        let order = self.between(frame, ends, depth)?;
        let places: HashMap<u32, u32> =
            order.iter().enumerate().map(|(at, id)| (*id, number(at))).collect();
        let resolve = |source: &Source| match self.redirect.of(*source) {
            Source::Node(id, port) => match (frame.arguments.get(&id), places.get(&id)) {
                (Some(arg), _) => Source::Arg(*arg),
                (None, Some(at)) => Source::Node(*at, port),
                (None, None) => Source::Missing,
            },
            other => other,
        };
        let nodes = order.iter().map(|id| {
            let node = self.body.node(*id);
            let controls = node.controls.iter().filter_map(|c| places.get(c).copied());
            Node {
                def: node.def.clone(),
                inputs: node.inputs.iter().map(resolve).collect(),
                controls: controls.collect(),
            }
        });
        let enters = frame.variables.iter().map(|v| v.enter).chain(frame.invariants.clone());
        let args = enters.map(|enter| self.body.node(enter).def.name.clone());
        let mut body = Body {
            name: format!("{}/{label}", frame.name),
            nodes: nodes.collect(),
            args: args.collect(),
            returns: ends.iter().map(resolve).collect(),
        };
        super::branches::structure(&mut body, self.steps)?;
        crate::formats::tf::dilation::fuse(&mut body);
        Ok(body)
    }

    /// The nodes that these values depend on inside the frame; loops in it become nodes on the way.
    fn between(
        &mut self,
        frame: &Frame,
        ends: &[Source],
        depth: usize,
    ) -> Result<Vec<u32>, LoadError> {
        let (mut found, mut seen) = (Vec::new(), HashSet::new());
        let mut stack = ends.to_vec();
        while let Some(source) = stack.pop() {
            let Source::Node(id, _) = self.redirect.of(source) else { continue };
            if frame.arguments.contains_key(&id) || !seen.insert(id) {
                continue;
            }
            self.steps.add(1)?;
            if let Some(other) = self.exits.get(&id).copied() {
                self.build(other, depth + 1)?;
                seen.remove(&id);
                stack.push(source);
                continue;
            }
            found.push(id);
            let node = self.body.node(id);
            stack.extend(&node.inputs);
            let pivots = node.controls.iter().filter(|c| pivot(self.body, **c));
            stack.extend(pivots.map(|c| Source::Node(*c, 0)));
        }
        Ok(found)
    }
}
