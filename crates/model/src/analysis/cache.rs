//! The cache of a decoder: inputs that a step lengthens or updates and hands on as outputs.
//!
//! A cache is followed from an input through whatever moves its elements and adds others: casts, views,
//! joins, updates in place, attention with ports for it, and branches that capture it. What arrives at an
//! output with all its old elements is a cache, and a good runtime writes only what was added.

use super::memory;
use super::outcome::Outcome;
use super::traffic::{Saving, Savings};
use crate::dim::Dim;
use crate::ir::{DType, Graph, NodeId, Shape, TensorInfo, ValueId};
use crate::ops::{self, Bodies, Class, Holds};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a decoder keeps between steps.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Inputs and the outputs they become.
    pub pairs: Vec<(ValueId, ValueId)>,
    /// Inputs of the same kind that no output gives back, as the keys and values of an encoder.
    pub held: Vec<ValueId>,
    /// Bytes that must be kept after a run: of the outputs, and of inputs that are not given back.
    pub bytes: Dim,
    /// How many of these are not in `bytes`, because their size is not known.
    pub of_unknown_size: usize,
    /// The symbol of the length kept before a run, where all inputs agree on one.
    pub past: Option<Arc<str>>,
    /// The symbol of the length that a run adds, where there is one.
    pub new: Option<Arc<str>>,
    /// A symbol of its own for the sum of both, as of the mask's length.
    pub total: Option<Arc<str>>,
}

impl Cache {
    /// The same cache where its tensors have these sizes.
    pub(super) fn sized(&self, values: &[TensorInfo]) -> Self {
        let kept: BTreeSet<ValueId> = self.pairs.iter().map(|(_, output)| *output).collect();
        let kept = kept.into_iter().chain(self.held.iter().copied());
        let sizes: Vec<Option<Dim>> = kept.map(|v| values[v.index()].bytes()).collect();
        Self {
            of_unknown_size: sizes.iter().filter(|size| size.is_none()).count(),
            bytes: sizes.into_iter().flatten().sum(),
            ..self.clone()
        }
    }
}

/// No more nodes than this are looked at, over all inputs.
const MOST_VISITS: usize = 1_000_000;
/// No more nodes than this lie between an input and the output that it becomes.
const LONGEST: usize = 64;

/// A graph that a cache is followed through: the model's, or a body's inside it.
struct Level<'a> {
    graph: &'a Graph,
    outcome: &'a Outcome,
    owner: Vec<ValueId>,
    /// Which nodes run branches that capture a value.
    branches: BTreeMap<ValueId, Vec<NodeId>>,
    /// The level around, and the node and the number of the body there.
    around: Option<(&'a Level<'a>, NodeId, usize)>,
}

/// How a cache came where it is.
#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "what has happened on the way, each by itself")]
struct Trail {
    steps: usize,
    /// Elements of other values were put beside.
    joined: bool,
    /// Elements of other values were put before.
    behind: bool,
    /// Elements were overwritten.
    updated: bool,
    /// Elements may have been left behind or reordered.
    moved: bool,
    /// Elements that were added or overwritten, as far as known on the way.
    new: Dim,
    /// What wrote the memory of it last.
    made: Option<Made>,
    /// Its shape where it leaves the innermost body, or the graph.
    shape: Option<Shape>,
}

/// A value that holds a cache, by the bodies that it is in.
#[derive(Clone)]
struct Made {
    path: Vec<(NodeId, usize)>,
    value: ValueId,
    /// The value whose memory a runtime may reuse, where the update is the first to touch it.
    root: Option<ValueId>,
    /// Whether the operator itself says what it writes of a cache.
    stated: bool,
}

/// An output that a cache arrives at.
struct End {
    input: ValueId,
    output: ValueId,
    trail: Trail,
}

impl<'a> Level<'a> {
    fn new(
        graph: &'a Graph,
        outcome: &'a Outcome,
        owner: Vec<ValueId>,
        around: Option<(&'a Level<'a>, NodeId, usize)>,
    ) -> Self {
        let mut branches: BTreeMap<ValueId, Vec<NodeId>> = BTreeMap::new();
        for id in &outcome.order {
            let node = graph.node(*id);
            if outcome.nodes[id.index()].bodies.is_empty() || Bodies::of(node) != Bodies::Branches {
                continue;
            }
            let names: BTreeSet<&String> =
                node.subgraphs().flat_map(|(_, body)| body.captures.keys()).collect();
            for value in names.into_iter().filter_map(|name| graph.find_value(name)) {
                branches.entry(value).or_default().push(*id);
            }
        }
        Self { graph, outcome, owner, branches, around }
    }

    fn path(&self) -> Vec<(NodeId, usize)> {
        let Some((around, node, body)) = self.around else { return Vec::new() };
        let mut path = around.path();
        path.push((node, body));
        path
    }

    fn info(&self, value: ValueId) -> &TensorInfo {
        &self.outcome.values[value.index()]
    }

    fn elements(&self, value: Option<ValueId>) -> Dim {
        value.and_then(|v| self.info(v).elements()).unwrap_or_default()
    }
}

/// The search from one input.
struct Search<'s> {
    input: ValueId,
    left: &'s Cell<usize>,
    ends: Vec<End>,
}

impl Search<'_> {
    fn spend(&self, visits: usize) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(visits));
        left > visits
    }

    /// Follows `value`, which holds the cache at this level.
    fn follow(&mut self, level: &Level<'_>, value: ValueId, trail: &Trail) {
        if trail.steps > LONGEST {
            return;
        }
        if level.graph.outputs.contains(&value) {
            self.leave(level, value, trail);
        }
        let mut before = None;
        for id in &level.graph.value(value).consumers {
            if before.replace(*id) != Some(*id) && self.spend(1) {
                self.through(level, *id, value, trail);
            }
        }
        for id in level.branches.get(&value).into_iter().flatten() {
            self.enter(level, *id, value, trail);
        }
    }

    /// The cache is an output of the level's graph.
    fn leave(&mut self, level: &Level<'_>, value: ValueId, trail: &Trail) {
        let mut trail = trail.clone();
        trail.shape = trail.shape.or_else(|| level.info(value).shape.clone());
        let Some((around, id, _)) = level.around else {
            self.ends.push(End { input: self.input, output: value, trail });
            return;
        };
        let outputs = level.graph.outputs.iter().zip(&around.graph.node(id).outputs);
        for (_, outer) in outputs.filter(|(inner, _)| **inner == value) {
            if let Some(outer) = outer {
                self.follow(around, *outer, &trail);
            }
        }
    }

    /// The branches of a node capture the cache.
    fn enter(&mut self, level: &Level<'_>, id: NodeId, value: ValueId, trail: &Trail) {
        let (node, report) = (level.graph.node(id), &level.outcome.nodes[id.index()]);
        let name = &level.graph.value(value).name;
        for (at, body) in report.bodies.iter().enumerate() {
            let (Some(graph), Some(outcome)) = (node.subgraph(&body.name), &body.outcome) else {
                continue;
            };
            let Some(inner) = graph.captures.get(name) else { continue };
            if self.spend(graph.nodes.len()) {
                let owner = memory::owners(graph, &outcome.order, &outcome.nodes);
                let within = Level::new(graph, outcome, owner, Some((level, id, at)));
                self.follow(&within, *inner, trail);
            }
        }
    }

    /// A node reads the cache.
    fn through(&mut self, level: &Level<'_>, id: NodeId, value: ValueId, trail: &Trail) {
        let node = level.graph.node(id);
        let Some(op) = ops::find(&node.domain, &node.op_type) else { return };
        let first = node.inputs.first().copied().flatten() == Some(value);
        let output = |port: usize| node.outputs.get(port).copied().flatten();
        let mut next = Trail { steps: trail.steps + 1, ..trail.clone() };
        let made = |value, root, stated| Some(Made { path: level.path(), value, root, stated });
        match op.holds {
            _ if op.class == Class::View => {
                let seen =
                    output(0).filter(|v| level.owner[v.index()] == level.owner[value.index()]);
                if let Some(to) = seen {
                    self.follow(level, to, &next);
                }
            }
            Holds::Moved | Holds::Cast if first => {
                next.moved |= op.holds == Holds::Moved;
                for to in node.outputs.iter().flatten() {
                    next.made = made(*to, None, false);
                    self.follow(level, *to, &next);
                }
            }
            Holds::Joined => {
                let others = node.inputs.iter().filter(|v| **v != Some(value));
                let added: Dim = others.map(|v| level.elements(*v)).sum();
                next.joined |= !added.is_zero();
                next.behind |= !first;
                next.new = next.new + added;
                if let Some(to) = output(0) {
                    next.made = made(to, None, false);
                    self.follow(level, to, &next);
                }
            }
            Holds::Updated(port) if first => {
                let added = level.elements(node.inputs.get(port).copied().flatten());
                next.updated = true;
                next.new = next.new + added;
                if let Some(to) = output(0) {
                    next.made = made(to, Self::root(level, value), false);
                    self.follow(level, to, &next);
                }
            }
            Holds::Cached(ports) => self.kept(level, id, value, &next, ports),
            _ => {}
        }
    }

    /// A node that has ports of its own for the cache, which it gives back longer or in place.
    fn kept(
        &mut self,
        level: &Level<'_>,
        id: NodeId,
        value: ValueId,
        trail: &Trail,
        ports: &[(usize, usize)],
    ) {
        let node = level.graph.node(id);
        for (past, present) in ports {
            let Some(to) = node.outputs.get(*present).copied().flatten() else { continue };
            if node.inputs.get(*past).copied().flatten() == Some(value) {
                let (old, all) = (level.elements(Some(value)), level.elements(Some(to)));
                let shared = old == all;
                let made = Made { path: level.path(), value: to, root: None, stated: shared };
                let next = Trail {
                    joined: trail.joined || !shared,
                    updated: trail.updated || shared,
                    made: Some(made),
                    ..trail.clone()
                };
                self.follow(level, to, &next);
            }
        }
    }

    /// The value outside of nodes whose memory an update of `value` may be made in.
    fn root(level: &Level<'_>, value: ValueId) -> Option<ValueId> {
        let owner = level.owner[value.index()];
        let given = level.graph.value(owner).producer.is_none();
        given.then_some(owner)
    }
}

/// What became of a cache at an output.
enum Change {
    /// It grew along one axis.
    Longer { axis: usize },
    /// Some of it was overwritten.
    Updated,
    /// It is what came in.
    Same,
}

fn change(past: &Shape, end: &End) -> Option<Change> {
    let present = end.trail.shape.as_ref().filter(|s| s.len() == past.len())?;
    let differ = past.iter().zip(present).enumerate().filter(|(_, (a, b))| a != b);
    let differ: Vec<usize> = differ.map(|(axis, _)| axis).collect();
    match differ[..] {
        [axis] if end.trail.joined => {
            let added = present[axis].clone() - past[axis].clone();
            (added.as_const().is_none_or(|n| n > 0)).then_some(Change::Longer { axis })
        }
        [] if end.trail.updated && !end.trail.joined => Some(Change::Updated),
        [] if !end.trail.updated && !end.trail.joined && !end.trail.moved => Some(Change::Same),
        _ => None,
    }
}

/// Finds the cache of a model, and what need not be moved because of it.
pub(super) fn find(graph: &Graph, outcome: &Outcome, owner: &[ValueId]) -> (Cache, Savings) {
    let level = Level::new(graph, outcome, owner.to_vec(), None);
    let left = Cell::new(MOST_VISITS);
    let (mut cache, mut savings) = (Cache::default(), Savings::default());
    let mut lengths = Lengths::default();
    let (mut same, mut changed) = (Vec::new(), Vec::new());
    for input in &graph.inputs {
        let info = level.info(*input);
        let numbers = |t: DType| t.is_float() || t.bits() <= 8;
        let Some(past) = info.shape.as_ref().filter(|s| s.len() >= 3) else { continue };
        if !info.dtype.is_some_and(numbers) {
            continue;
        }
        let mut search = Search { input: *input, left: &left, ends: Vec::new() };
        search.follow(&level, *input, &Trail::default());
        for end in search.ends {
            let Some(change) = change(past, &end) else { continue };
            if matches!(change, Change::Same) {
                same.push(end);
            } else {
                changed.push((change, end));
            }
        }
    }
    // What is new arrives at an output as well: the cache is what is called so, or else what comes first.
    changed.sort_by_key(|(_, end)| (!named(graph, end.input), end.trail.behind));
    let mut taken = BTreeSet::new();
    for (change, end) in changed {
        let place = (end.output, end.trail.made.as_ref().map(|made| made.path.clone()));
        let info = level.info(end.input);
        let Some(past) = info.shape.as_ref().filter(|_| taken.insert(place)) else { continue };
        lengths.note(past, &change, &end);
        if level.info(end.output).dtype == info.dtype {
            save(&mut savings, info, &change, &end);
        }
        if !cache.pairs.contains(&(end.input, end.output)) {
            cache.pairs.push((end.input, end.output));
        }
    }
    hand_on(graph, &mut cache, &mut savings, same);
    by_name(graph, outcome, &mut cache);
    hold(graph, outcome, &mut cache);
    let mut cache = cache.sized(&outcome.values);
    lengths.name(graph, outcome, &mut cache);
    (cache, savings)
}

/// Whether an input is called like a cache.
fn named(graph: &Graph, input: ValueId) -> bool {
    let name = graph.value(input).name.to_ascii_lowercase();
    ["past", "cache"].iter().any(|word| name.contains(word))
}

/// Notes that what a cache is made in holds the rest of it.
fn save(savings: &mut Savings, past: &TensorInfo, change: &Change, end: &End) {
    let Some(made) = end.trail.made.as_ref().filter(|made| !made.stated) else { return };
    let Some(dtype) = past.dtype else { return };
    let elements = |shape: &Shape| shape.iter().product::<Dim>();
    let new = match (change, &past.shape, &end.trail.shape) {
        (Change::Longer { .. }, Some(old), Some(all)) => elements(all) - elements(old),
        (Change::Updated, ..) => end.trail.new.clone(),
        _ => Dim::ZERO,
    };
    let place = made.path.iter().fold(savings, |level, at| level.inside.entry(*at).or_default());
    let saving = Saving { written: dtype.bytes(&new), root: made.root };
    place.values.insert(made.value, saving);
}

/// Values that come out as they came in are part of a cache beside others, or by their names.
fn hand_on(graph: &Graph, cache: &mut Cache, savings: &mut Savings, same: Vec<End>) {
    let beside = !cache.pairs.is_empty();
    for end in same {
        if (beside || named(graph, end.input))
            && !cache.pairs.iter().any(|(_, output)| *output == end.output)
        {
            cache.pairs.push((end.input, end.output));
            if let Some(made) = &end.trail.made {
                let place =
                    made.path.iter().fold(&mut *savings, |l, at| l.inside.entry(*at).or_default());
                place.values.insert(made.value, Saving::default());
            }
        }
    }
}

/// Inputs and outputs whose names say that one becomes the other, where the nodes that run do not show it, as
/// in a branch that begins a cache.
fn by_name(graph: &Graph, outcome: &Outcome, cache: &mut Cache) {
    const WORDS: [(&str, &str); 2] = [("past_key_values", "present"), ("past", "present")];
    let outputs: BTreeMap<&str, ValueId> =
        graph.outputs.iter().map(|v| (graph.value(*v).name.as_str(), *v)).collect();
    let taken: BTreeSet<ValueId> =
        cache.pairs.iter().flat_map(|(input, output)| [*input, *output]).collect();
    let rank = |v: ValueId| outcome.values[v.index()].rank();
    for input in graph.inputs.iter().filter(|v| rank(**v) >= Some(3) && !taken.contains(v)) {
        let name = &graph.value(*input).name;
        let found = WORDS
            .iter()
            .filter(|(past, _)| name.contains(past))
            .find_map(|(past, now)| outputs.get(name.replacen(past, now, 1).as_str()).copied());
        if let Some(output) = found.filter(|v| rank(*v) == rank(*input) && !taken.contains(v)) {
            cache.pairs.push((*input, output));
        }
    }
}

/// Inputs that are called like a cache and that no output gives back.
fn hold(graph: &Graph, outcome: &Outcome, cache: &mut Cache) {
    let stem = |v: ValueId| {
        let name = &graph.value(v).name;
        let end = name.find(|c: char| c.is_ascii_digit())?;
        (end > 0).then(|| name[..end].to_owned())
    };
    let paired: BTreeSet<ValueId> = cache.pairs.iter().map(|(input, _)| *input).collect();
    let kinds: BTreeSet<(String, Option<usize>)> =
        paired.iter().filter_map(|v| Some((stem(*v)?, outcome.values[v.index()].rank()))).collect();
    let like = |v: &&ValueId| {
        let rank = outcome.values[v.index()].rank();
        !paired.contains(v) && stem(**v).is_some_and(|stem| kinds.contains(&(stem, rank)))
    };
    cache.held = graph.inputs.iter().filter(like).copied().collect();
}

/// A length without the limit that a window sets: layers with a window keep as much as others, up to a number.
fn unlimited(length: &Dim) -> Dim {
    let mut symbols = BTreeSet::new();
    length.symbols(&mut symbols);
    let one = symbols.first().filter(|_| symbols.len() == 1).map(|symbol| Dim::symbol(symbol));
    let most = length.upper_bound().map(Dim::from);
    match one.zip(most) {
        Some((symbol, most)) if symbol.minimum(&most) == *length => symbol,
        _ => length.clone(),
    }
}

/// The lengths of caches, before a run and added by it.
#[derive(Default)]
struct Lengths {
    /// Whether something is added to a cache at all.
    found: bool,
    past: BTreeSet<String>,
    symbols: BTreeSet<Arc<str>>,
    new: BTreeSet<Arc<str>>,
}

impl Lengths {
    fn note(&mut self, past: &Shape, change: &Change, end: &End) {
        self.found = true;
        let all = end.trail.shape.as_ref();
        let added = match (change, all) {
            (Change::Longer { axis }, Some(all)) => {
                let length = unlimited(&past[*axis]);
                self.symbols.extend(length.as_symbol().map(Into::into));
                self.past.insert(length.to_string());
                all[*axis].clone() - past[*axis].clone()
            }
            _ => end.trail.new.clone(),
        };
        let (mut here, mut there) = (BTreeSet::new(), BTreeSet::new());
        added.symbols(&mut here);
        past.iter().product::<Dim>().symbols(&mut there);
        self.new.extend(here.difference(&there).cloned());
    }

    /// Names the symbols of the lengths, as far as they are symbols.
    fn name(self, graph: &Graph, outcome: &Outcome, cache: &mut Cache) {
        if cache.pairs.is_empty() {
            return;
        }
        let one = |names: &BTreeSet<Arc<str>>| match names.len() {
            1 => names.first().cloned(),
            _ => None,
        };
        if self.past.len() == 1 {
            cache.past = one(&self.symbols);
        }
        let roles = Roles { graph, outcome };
        let mut known: BTreeSet<Arc<str>> = cache.past.iter().cloned().collect();
        for (input, _) in &cache.pairs {
            let shape = outcome.values[input.index()].shape.iter().flatten();
            shape.for_each(|dim| dim.symbols(&mut known));
        }
        cache.new = one(&self.new).or_else(|| roles.new_length(&known)).filter(|_| self.found);
        known.extend(cache.new.iter().cloned());
        cache.total = roles.total(&known).filter(|_| cache.new.is_some());
    }
}

/// What the inputs of a decoder beside its cache say of lengths.
struct Roles<'r> {
    graph: &'r Graph,
    outcome: &'r Outcome,
}

impl Roles<'_> {
    /// Names, ranks and shapes of the inputs.
    fn inputs(&self) -> impl Iterator<Item = (String, &TensorInfo, &Shape)> {
        self.graph.inputs.iter().filter_map(|v| {
            let info = &self.outcome.values[v.index()];
            Some((self.graph.value(*v).name.to_ascii_lowercase(), info, info.shape.as_ref()?))
        })
    }

    /// The length of what is fed: of ids, positions or embeddings, masks aside.
    fn new_length(&self, known: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
        let fed = |(name, info, shape): &(String, &TensorInfo, &Shape)| match shape.len() {
            2 => info.dtype.is_some_and(DType::is_integer) && !name.contains("mask"),
            3 => name.contains("embed"),
            _ => false,
        };
        let lengths = self.inputs().filter(fed).filter_map(|(.., shape)| shape[1].as_symbol());
        lengths.map(Arc::from).find(|symbol| !known.contains(symbol))
    }

    /// The length of a mask over old and new positions, where it has a symbol of its own.
    fn total(&self, known: &BTreeSet<Arc<str>>) -> Option<Arc<str>> {
        let encoder = |name: &str| ["encoder", "cross"].iter().any(|word| name.contains(word));
        let states = self.inputs().filter(|(name, _, s)| s.len() == 3 && !name.contains("mask"));
        let elsewhere: BTreeSet<Arc<str>> =
            states.flat_map(|(.., s)| s).filter_map(Dim::as_symbol).map(Arc::from).collect();
        let masks = self.inputs().filter(|(name, info, shape)| {
            let whole = info.dtype.is_some_and(|t| t.is_integer() || t == DType::Bool);
            let ids = shape.len() == 2 && whole;
            (ids || name.contains("mask")) && shape.len() >= 2 && !encoder(name)
        });
        let lengths = masks.filter_map(|(.., shape)| shape.last()?.as_symbol().map(Arc::from));
        lengths.into_iter().find(|s| !known.contains(s) && !elsewhere.contains(s))
    }
}
