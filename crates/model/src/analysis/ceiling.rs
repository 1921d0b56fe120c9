//! The most that everything can be at one choice of sizes, where others are data-dependent.

use super::Analysis;
use super::equalities::Limits;
use super::outcome::{Body, NodeReport, Outcome, Summary};
use crate::dim::{Bindings, Dim, EvalError, Range};
use crate::ir::{Diagnostic, Model, Severity, TensorInfo, ValueId};
use crate::ops::{Class, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a difference in a size has no order, all values of the size are tried if there are no more than this.
const MAX_TRIED: i128 = 256;

/// Limits are looked at no more often than this in one walk: one that changes makes all be looked at again.
const MOST_LOOKS: usize = 2_000_000;

/// Data-dependent sizes without a limit, those included whose limit holds one.
pub(super) fn unlimited(limits: &Limits, order: &[Arc<str>]) -> BTreeSet<Arc<str>> {
    let bindings = Bindings::new();
    let ceiling = Ceiling::new(limits, order, &bindings);
    limits.keys().filter(|name| !ceiling.limited.contains(*name)).cloned().collect()
}

/// The outcome with nodes whose cost depends on one of these sizes unknown; none where there is no such.
pub(super) fn without(outcome: &Outcome, open: &BTreeSet<Arc<str>>) -> Option<Outcome> {
    let depends = |node: &NodeReport| {
        let mut names = BTreeSet::new();
        node.cost.counts().for_each(|count| count.symbols(&mut names));
        node.status != Status::Unknown && !names.is_disjoint(open)
    };
    if open.is_empty() || !outcome.nodes.iter().any(depends) {
        return None;
    }
    let nodes = outcome
        .nodes
        .iter()
        .map(|node| if depends(node) { NodeReport::unknown(node.class) } else { node.clone() });
    let (values, order) = (outcome.values.clone(), outcome.order.clone());
    Some(Outcome::new(nodes.collect(), values, order))
}

/// Values of the chosen symbols, and how much the others can be.
pub(super) struct Ceiling<'a> {
    bindings: &'a Bindings,
    ranges: BTreeMap<Arc<str>, Range>,
    /// Sizes whose limit holds no size without one.
    limited: BTreeSet<Arc<str>>,
    /// How many sizes, in the order they came up in, are in these two.
    seen: usize,
    /// How many limits have been looked at.
    looks: usize,
    /// Sizes without a limit that costs depend on, with how many nodes.
    open: BTreeMap<Arc<str>, usize>,
}

impl Analysis {
    /// Everything as a number, at `bindings`: data-dependent sizes are where each count is
    /// largest, within their limits. A node whose cost depends on one without a limit is not known,
    /// and not in the sums; a size that is not known stays a formula.
    #[must_use]
    pub fn at_most(&self, model: &Model, bindings: &Bindings) -> Self {
        let mut ceiling = Ceiling::new(&self.limits, &self.order_of_limits, bindings);
        let nodes = self.nodes.iter().map(|node| ceiling.node(node)).collect();
        let values: Vec<_> = self.values.iter().map(|info| ceiling.info(info)).collect();
        let known = values.iter().map(whole).collect();
        let outcome = Outcome::new(nodes, known, self.order.clone());
        let mut diagnostics = self.diagnostics.clone();
        diagnostics.extend(ceiling.remarks());
        let sums = super::sums(model, outcome);
        Self {
            // Without the sizes, a cache would not be recognised.
            cache: self.cache.sized(&sums.values),
            values,
            symbols: self.symbols.clone(),
            limits: self.limits.clone(),
            order_of_limits: self.order_of_limits.clone(),
            diagnostics,
            ..sums
        }
    }

    /// The most that each data-dependent size can be, at `bindings`, where it has a limit.
    pub fn most(&self, bindings: &Bindings) -> Bindings {
        let ceiling = Ceiling::new(&self.limits, &self.order_of_limits, bindings);
        ceiling.ranges.into_iter().map(|(name, (_, most))| (name, most)).collect()
    }
}

/// What is known of a tensor without a shape in which a size is not known.
fn whole(info: &TensorInfo) -> TensorInfo {
    let known = |size: &Dim| size.as_const().is_some();
    let sequence = info.sequence.as_ref().filter(|s| {
        let mut all = s.elements.iter().flatten().chain([&s.element]);
        known(&s.length) && all.all(|e| e.shape.iter().flatten().all(known))
    });
    let shape = info.shape.as_ref().filter(|s| s.iter().all(known)).cloned();
    TensorInfo { shape, sequence: sequence.cloned(), ..info.clone() }
}

impl<'a> Ceiling<'a> {
    pub(super) fn new(limits: &Limits, order: &[Arc<str>], bindings: &'a Bindings) -> Self {
        let mut ceiling = Self::empty(bindings);
        ceiling.extend(limits, order);
        ceiling
    }

    /// Before any size is data-dependent.
    pub(super) fn empty(bindings: &'a Bindings) -> Self {
        let (ranges, open) = (BTreeMap::new(), BTreeMap::new());
        Self { bindings, ranges, limited: BTreeSet::new(), seen: 0, looks: 0, open }
    }

    /// Looks at the sizes that came up since.
    fn extend(&mut self, limits: &Limits, order: &[Arc<str>]) {
        for name in order.get(self.seen..).unwrap_or(&[]) {
            self.looks += 1;
            let Some(Some(limit)) = limits.get(name) else { continue };
            if self.limits_all(limit, limits) {
                self.limited.insert(name.clone());
            }
            if let (false, Ok((_, most))) = (self.bindings.contains_key(name), self.range(limit)) {
                self.ranges.insert(name.clone(), (0, most.max(0)));
            }
        }
        self.seen = order.len();
    }

    /// Up to date with these sizes; none where limits have changed too often.
    pub(super) fn at(&mut self, limits: &Limits, order: &[Arc<str>]) -> Option<&Self> {
        if self.looks > MOST_LOOKS {
            return None;
        }
        self.extend(limits, order);
        Some(self)
    }

    /// A limit is another now: all that was worked out from it is worked out again.
    pub(super) fn forget(&mut self) {
        self.ranges.clear();
        self.limited.clear();
        self.seen = 0;
    }

    /// Whether a formula holds no data-dependent size without a limit.
    pub(super) fn limits_all(&self, formula: &Dim, limits: &Limits) -> bool {
        !formula.any_symbol(&|n| limits.contains_key(n) && !self.limited.contains(n))
    }

    /// The most that the sum of these can be, where that is known.
    pub(super) fn sum(&self, sizes: &[Dim]) -> Option<Dim> {
        let most = |size| self.range(size).ok().map(|(_, most)| Dim::from(most));
        sizes.iter().map(most).sum()
    }

    pub(super) fn range(&self, dim: &Dim) -> Result<Range, EvalError> {
        let found = dim.range(&|name| {
            let fixed = self.bindings.get(name).map(|v| (*v, *v));
            fixed.or_else(|| self.ranges.get(name).copied())
        })?;
        let narrow =
            (found.0 < found.1 && dim.is_difference()).then(|| self.narrower(dim)).flatten();
        Ok(narrow.map_or(found, |(low, high)| (low.max(found.0), high.min(found.1))))
    }

    /// The range of a difference in one open size: that of all its values where they are few; else n² − n
    /// is 0 at zero and m² + m above, for n = m + 1.
    fn narrower(&self, dim: &Dim) -> Option<Range> {
        let dim = dim.bind(self.bindings);
        let mut names = BTreeSet::new();
        dim.symbols(&mut names);
        let name = names.pop_first().filter(|_| names.is_empty())?;
        let (_, most) = self.ranges.get(&name).copied().filter(|(_, most)| *most > 0)?;
        let with = |size: Dim| dim.replace_one(&name, &size);
        if most <= MAX_TRIED {
            let all = (0..=most).map(|n| with(Dim::from(n)).as_const());
            let all: Vec<i128> = all.collect::<Option<_>>()?;
            return all.iter().min().copied().zip(all.iter().max().copied());
        }
        let zero = with(Dim::ZERO).as_const()?;
        let above = with(Dim::count(&name) + Dim::ONE);
        let (low, high) = above.range(&|_| Some((0, most - 1))).ok()?;
        Some((low.min(zero), high.max(zero)))
    }

    /// The most that `dim` can be; `dim` itself where that is not known.
    fn most(&self, dim: &Dim) -> Dim {
        self.range(dim).map_or_else(|_| dim.clone(), |(_, most)| Dim::from(most))
    }

    fn node(&mut self, node: &NodeReport) -> NodeReport {
        if matches!(node.status, Status::Folded | Status::Unknown) {
            return node.clone();
        }
        let mut names = BTreeSet::new();
        for count in node.cost.counts() {
            if let Err(EvalError::Unbound(_)) = self.range(count) {
                count.symbols(&mut names);
            }
        }
        names.retain(|n| !self.bindings.contains_key(n) && !self.ranges.contains_key(n));
        if names.is_empty() {
            let most =
                |list: &[(ValueId, Dim)]| list.iter().map(|(v, b)| (*v, self.most(b))).collect();
            let (reads, writes): (Vec<_>, Vec<_>) = (most(&node.reads), most(&node.writes));
            let mut cost = node.cost.map(&|n| self.most(n));
            // Too many different sizes for a formula; each of them is known.
            let all = |list: &[(ValueId, Dim)]| list.iter().map(|(_, bytes)| bytes).sum();
            if !matches!(node.class, Class::Control | Class::Attention) {
                cost.bytes_read =
                    if cost.bytes_read.is_overflow() { all(&reads) } else { cost.bytes_read };
                cost.bytes_written = if cost.bytes_written.is_overflow() {
                    all(&writes)
                } else {
                    cost.bytes_written
                };
            }
            let bodies = node.bodies.iter().map(|body| self.body(body)).collect();
            return NodeReport { cost: cost.into(), reads, writes, bodies, ..*node };
        }
        for name in names {
            *self.open.entry(name).or_insert(0) += 1;
        }
        NodeReport::unknown(node.class)
    }

    /// A body whose number of runs is not known certainly moves nothing.
    fn body(&mut self, body: &Body) -> Body {
        let doubtful = !matches!(self.range(&body.times), Ok((low, high)) if low == high);
        let outcome = body.outcome.as_ref().map(|outcome| {
            let nodes = outcome.nodes.iter().map(|node| self.node(node)).collect();
            let values = outcome.values.iter().map(|info| self.info(info)).collect();
            Outcome::new(nodes, values, outcome.order.clone())
        });
        // What is not known is not in the sums.
        let known = |dim: &Dim| match self.range(dim) {
            Ok((_, most)) => Dim::from(most),
            Err(EvalError::Unbound(_)) => Dim::ZERO,
            Err(_) => Dim::overflow(),
        };
        let lost = |live: &&Dim| matches!(self.range(live), Err(EvalError::Unbound(_)));
        let lost = body.summary.live.iter().filter(lost).count();
        let of_unknown_size = body.summary.of_unknown_size + lost;
        Body {
            name: body.name.clone(),
            times: known(&body.times),
            outcome,
            doubtful: body.doubtful || doubtful,
            summary: Summary { of_unknown_size, ..body.summary.map(&known) },
            ..*body
        }
    }

    fn info(&self, info: &TensorInfo) -> TensorInfo {
        info.map_sizes(&|size| self.most(size))
    }

    /// One remark for each size that has to be given before everything can be counted.
    fn remarks(&self) -> Vec<Diagnostic> {
        let remark = |(name, nodes): (&Arc<str>, &usize)| Diagnostic {
            severity: Severity::Incomplete,
            place: name.to_string(),
            message: format!(
                "a data-dependent size without a limit: the cost of {nodes} {} is not known",
                if *nodes == 1 { "node" } else { "nodes" }
            ),
            hint: Some(format!("give it a value with --dim {name}=N")),
        };
        self.open.iter().map(remark).collect()
    }
}
