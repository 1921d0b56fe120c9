//! Data-dependent sizes that a walk makes: their names, how much each can be, and where each came up.

use super::ceiling::Ceiling;
use super::equalities::{Limits, decided};
use super::symbols_of;
use crate::dim::{Bindings, Dim};
use crate::ir::{Graph, TensorInfo};
use crate::ops::{OpError, ROUND, is_round};
use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The data-dependent sizes of a walk so far.
pub(super) struct Made<'b> {
    bindings: &'b Bindings,
    /// The outermost graph.
    model: &'b Graph,
    /// Symbols in the sizes of the model's inputs: those that a caller chooses.
    chosen: BTreeSet<Arc<str>>,
    /// Symbols that the file names, which no size that is made here has; looked for when the first is made.
    named: OnceCell<BTreeSet<Arc<str>>>,
    limits: RefCell<Limits>,
    /// How much they can be.
    ceiling: RefCell<Ceiling<'b>>,
    /// The same sizes in the order they came up in: the limit of each is given in earlier ones.
    in_order: RefCell<Vec<Arc<str>>>,
    /// Where each of them was made first, those aside that are numbers of rounds.
    places: RefCell<BTreeMap<Arc<str>, Vec<usize>>>,
    /// The node that is looked at: its position in the graph, after those of the nodes around it.
    here: RefCell<Vec<usize>>,
    /// How many sizes were made for it.
    count: Cell<usize>,
}

/// The sizes as they were at one point of the walk.
pub(super) struct Before {
    limits: Limits,
    order: usize,
    count: usize,
}

impl<'b> Made<'b> {
    /// None yet, of a walk through `model` with these inputs.
    pub(super) fn new(bindings: &'b Bindings, inputs: &[TensorInfo], model: &'b Graph) -> Self {
        Self {
            bindings,
            model,
            chosen: symbols_of(inputs),
            named: OnceCell::new(),
            limits: RefCell::default(),
            ceiling: RefCell::new(Ceiling::empty(bindings)),
            in_order: RefCell::default(),
            places: RefCell::default(),
            here: RefCell::default(),
            count: Cell::new(0),
        }
    }

    /// The most that each can be, and the order they came up in.
    pub(super) fn into_parts(self) -> (Limits, Vec<Arc<str>>) {
        (self.limits.into_inner(), self.in_order.into_inner())
    }

    /// The most that each can be, so far.
    pub(super) fn limits(&self) -> Ref<'_, Limits> {
        self.limits.borrow()
    }

    /// Symbols that a caller chooses.
    pub(super) fn chosen(&self) -> &BTreeSet<Arc<str>> {
        &self.chosen
    }

    /// Does `look` for the node at this position of the graph that is walked.
    pub(super) fn at<T>(&self, position: usize, look: impl FnOnce() -> T) -> T {
        self.here.borrow_mut().push(position);
        let around = self.count.replace(0);
        let found = look();
        self.here.borrow_mut().pop();
        self.count.set(around);
        found
    }

    /// A symbol of a data-dependent size, named after the place of its node: the same in every
    /// round of a loop, and whatever else of the model is known.
    pub(super) fn fresh(&self, stem: &str, limit: Option<Dim>) -> Result<Dim, OpError> {
        if limit.as_ref().is_some_and(Dim::is_zero) {
            return Ok(Dim::ZERO);
        }
        let key = self.name(stem);
        if let Some(given) = self.bindings.get(&key).filter(|_| stem != ROUND) {
            let range = limit.as_ref().and_then(|l| self.ranged(|ceiling| ceiling.range(l).ok()));
            if *given < 0 || range.is_some_and(|(_, most)| *given > most) {
                let most = range.map_or(String::new(), |(_, most)| format!(" to {most}"));
                let message = format!("{key} is {given}; data make it 0{most}");
                return Err(OpError::Invalid(message));
            }
        }
        self.limit(&key, limit);
        let symbol = Dim::count(&key);
        Ok(if stem == ROUND { symbol } else { symbol.bind(self.bindings) })
    }

    /// The name of the next size of this stem at the node that is looked at.
    fn name(&self, stem: &str) -> Arc<str> {
        let mut name = stem.to_owned();
        for position in self.here.borrow().iter() {
            name = format!("{name}.{}", position + 1);
        }
        self.count.set(self.count.get() + usize::from(stem != ROUND));
        if self.count.get() > 1 && stem != ROUND {
            name = format!("{name}_{}", self.count.get());
        }
        self.unlike_the_file(name)
    }

    /// A name that the file has for no size.
    pub(super) fn unlike_the_file(&self, mut name: String) -> Arc<str> {
        let named = self.named.get_or_init(|| named(self.model));
        while self.chosen.contains(name.as_str()) || named.contains(name.as_str()) {
            name.push('_');
        }
        name.into()
    }

    /// The most that a size can be, of this round and of those before.
    fn limit(&self, key: &Arc<str>, limit: Option<Dim>) {
        let mut limits = self.limits.borrow_mut();
        let Some(before) = limits.get(key) else {
            self.comes_up(key);
            limits.insert(key.clone(), limit);
            return;
        };
        // In another round the limit is another. One that grows with a data-dependent size may grow with itself.
        let other = |(old, new): &(&Dim, &Dim)| old == new || !decided(new, &limits);
        let merged = before.as_ref().zip(limit.as_ref()).filter(other).map(|(a, b)| a.maximum(b));
        if merged != *before {
            limits.insert(key.clone(), merged);
            self.ceiling.borrow_mut().forget();
        }
    }

    /// Keeps when and where a size came up.
    fn comes_up(&self, name: &Arc<str>) {
        self.in_order.borrow_mut().push(name.clone());
        if !is_round(name) {
            self.places.borrow_mut().insert(name.clone(), self.here.borrow().clone());
        }
    }

    /// What `look` finds in the ranges of the sizes so far.
    pub(super) fn ranged<T>(&self, look: impl FnOnce(&Ceiling<'b>) -> Option<T>) -> Option<T> {
        let (limits, order) = (self.limits.borrow(), self.in_order.borrow());
        self.ceiling.borrow_mut().at(&limits, &order).and_then(look)
    }

    /// The symbol with which data may make a size this number; none where none can.
    pub(super) fn made_by_data(&self, size: &Dim, number: i128) -> Option<Arc<str>> {
        let mut names = BTreeSet::new();
        size.symbols(&mut names);
        let symbol = names.into_iter().find(|n| self.limits.borrow().contains_key(n))?;
        let range = self.ranged(|ceiling| ceiling.range(size).ok());
        range.is_none_or(|(low, high)| (low..=high).contains(&number)).then_some(symbol)
    }

    /// The most that the sum of sizes can be that no formula holds; where that is not known and no size is without
    /// a limit, a number beyond any.
    pub(super) fn most_of_sum(&self, sizes: &[Dim]) -> Option<Dim> {
        self.ranged(|ceiling| {
            // A limit in symbols is as long as the sum.
            let limits = self.limits.borrow();
            let limited = || sizes.iter().all(|size| ceiling.limits_all(size, &limits));
            ceiling.sum(sizes).or_else(|| limited().then(Dim::overflow))
        })
    }

    /// Takes the symbols of a shape that the file states, and that nothing else is known of, as sizes without a
    /// limit.
    pub(super) fn stated(&self, shape: &[Dim]) {
        let mut names = BTreeSet::new();
        for size in shape {
            size.symbols(&mut names);
        }
        let mut limits = self.limits.borrow_mut();
        for name in names.into_iter().filter(|n| !self.chosen.contains(n)) {
            limits.entry(name.clone()).or_insert_with(|| {
                self.comes_up(&name);
                None
            });
        }
    }

    /// A size of an input that must equal a data-dependent one joins these.
    pub(super) fn tie(&self, name: Arc<str>, limit: Option<Dim>) {
        // Limits of others may hold it.
        self.ceiling.borrow_mut().forget();
        self.in_order.borrow_mut().push(name.clone());
        self.limits.borrow_mut().insert(name, limit);
    }

    /// Whether none was made anywhere.
    pub(super) fn is_empty(&self) -> bool {
        self.places.borrow().is_empty()
    }

    /// Keeps of these symbols the sizes that were made inside the node that is looked at.
    pub(super) fn keep_inside(&self, names: &mut BTreeSet<Arc<str>>) {
        let (places, here) = (self.places.borrow(), self.here.borrow());
        names.retain(|name| places.get(name).is_some_and(|place| place.starts_with(&here)));
    }

    /// Adds sizes that can be as much as others, and says what was there before.
    pub(super) fn add_like(&self, others: &BTreeMap<Arc<str>, Arc<str>>) -> Before {
        let limits = self.limits.borrow().clone();
        let before =
            Before { order: self.in_order.borrow().len(), count: self.count.get(), limits };
        for (name, like) in others {
            let limit = before.limits.get(like).cloned().flatten();
            self.limits.borrow_mut().insert(name.clone(), limit);
            self.in_order.borrow_mut().push(name.clone());
        }
        before
    }

    /// Forgets what has come up since.
    pub(super) fn back_to(&self, before: Before) {
        self.places.borrow_mut().retain(|name, _| before.limits.contains_key(name));
        self.limits.replace(before.limits);
        self.in_order.borrow_mut().truncate(before.order);
        self.ceiling.borrow_mut().forget();
        self.count.set(before.count);
    }
}

impl Before {
    /// How many sizes there were.
    pub(super) fn len(&self) -> usize {
        self.limits.len()
    }
}

/// The symbols in what the file says of the values of a graph and of all bodies inside.
fn named(graph: &Graph) -> BTreeSet<Arc<str>> {
    let (mut names, mut graphs) = (BTreeSet::new(), vec![graph]);
    while let Some(graph) = graphs.pop() {
        names.extend(symbols_of(graph.values.iter().map(|value| &value.info)));
        graphs.extend(graph.nodes.iter().flat_map(|node| node.subgraphs().map(|(_, body)| body)));
    }
    names
}
