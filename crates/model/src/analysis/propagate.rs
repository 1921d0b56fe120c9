//! The one walk over the graph: calls each operator's effect in order and fills in bytes.

use super::bodies::Calls;
use super::charge;
use super::equalities::{self, Limits, decided};
use super::held::{Held, SHORT};
use super::made::Made;
use super::outcome::{NodeReport, Outcome};
use crate::dim::{Bindings, Dim};
use crate::ir::{Diagnostic, Graph, MAX_RANK, Node, Order, Severity, TensorInfo};
use crate::ops::{self, Class, Effect, Equality, Op, OpCx, OpError, Role, Status};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Diagnostics beyond this number are counted, not listed.
const MAX_DIAGNOSTICS: usize = 1000;
/// Nodes of bodies are looked at no more often than this, over all loops that are followed; so many of
/// what they read and make, or of the values of a body, count as a node.
const MAX_VISITS: usize = 1_000_000;
const PORTS_PER_VISIT: usize = 4;
/// Bodies inside bodies are followed no deeper.
const MAX_DEPTH: usize = 32;

/// A walk in progress, over a graph and the bodies inside it.
pub(super) struct Walk<'b> {
    bindings: &'b Bindings,
    diagnostics: RefCell<Vec<Diagnostic>>,
    /// Data-dependent sizes so far.
    pub(super) made: Made<'b>,
    /// Whether a body of the node that is looked at has a node whose cost is a bound.
    pub(super) bounded: Cell<bool>,
    /// Whether this is a second walk of a round, for comparison.
    pub(super) comparing: Cell<bool>,
    depth: Cell<usize>,
    pub(super) visits: Cell<usize>,
    /// How much is held of contents and of formulas.
    pub(super) held: Held,
    /// Nodes of the outermost graph that fail for want of what an earlier one would give.
    following: Cell<usize>,
}

/// Looks up a value of the graphs around a body by its name.
pub(super) type Outer<'a> = dyn Fn(&str) -> Option<TensorInfo> + 'a;

/// Where a walk stands: the graph, and what is known of it so far.
struct Standing<'a> {
    graph: &'a Graph,
    values: &'a [TensorInfo],
    /// Bytes of each value.
    sizes: &'a [Option<Dim>],
    /// Reports, by node.
    before: &'a [NodeReport],
    /// The values of the graph around.
    outer: &'a Outer<'a>,
}

impl Standing<'_> {
    /// The value of this name, here or in a graph around.
    fn lookup(&self, name: &str) -> Option<TensorInfo> {
        let own = self.graph.find_value(name).map(|v| self.values[v.index()].clone());
        own.or_else(|| (self.outer)(name))
    }
}

impl<'b> Walk<'b> {
    pub(super) fn new(bindings: &'b Bindings, inputs: &[TensorInfo], model: &'b Graph) -> Self {
        Self {
            bindings,
            diagnostics: RefCell::default(),
            made: Made::new(bindings, inputs, model),
            bounded: Cell::new(false),
            comparing: Cell::new(false),
            depth: Cell::new(0),
            visits: Cell::new(0),
            held: Held::default(),
            following: Cell::new(0),
        }
    }

    /// What could not be settled, and the data-dependent sizes, with the order they came up in.
    pub(super) fn into_parts(self) -> (Vec<Diagnostic>, Limits, Vec<Arc<str>>) {
        let mut diagnostics = self.diagnostics.into_inner();
        let following = self.following.get();
        if following > 0 {
            diagnostics.push(Diagnostic {
                severity: Severity::Incomplete,
                place: "graph".into(),
                message: format!("{following} more nodes lack what these would give them"),
                hint: None,
            });
        }
        diagnostics.extend(self.held.remark());
        let (limits, order) = self.made.into_parts();
        (diagnostics, limits, order)
    }

    /// A symbol of a data-dependent size, which is at most `limit`.
    pub(super) fn fresh(&self, stem: &str, limit: Option<Dim>) -> Result<Dim, OpError> {
        let most = |limit: Dim| limit.bind(self.bindings).maximum(&Dim::ZERO);
        self.made.fresh(stem, limit.map(|limit| self.held.formula(most(limit))))
    }

    /// The sum of these, or where no formula holds it, a symbol for it.
    fn sum(&self, sizes: &[Dim]) -> Result<Dim, OpError> {
        let sum: Dim = sizes.iter().sum();
        if !sum.is_overflow() || sizes.iter().any(Dim::is_overflow) {
            return Ok(sum);
        }
        self.fresh("sum", self.made.most_of_sum(sizes))
    }

    fn report(&self, severity: Severity, place: &str, message: String, hint: Option<String>) {
        let mut all = self.diagnostics.borrow_mut();
        // Every round of a loop would say the same again.
        let again =
            self.depth.get() > 0 && all.iter().any(|d| d.place == place && d.message == message);
        if all.len() < MAX_DIAGNOSTICS && !again {
            all.push(Diagnostic { severity, place: place.to_owned(), message, hint });
        }
    }

    /// How much has been said so far; with a number, what was said after that much is taken back.
    pub(super) fn said(&self, back_to: Option<usize>) -> usize {
        let mut all = self.diagnostics.borrow_mut();
        all.truncate(back_to.unwrap_or(usize::MAX));
        all.len()
    }

    /// Walks `graph` with these inputs; `outer` knows the values of the graph around it.
    pub(super) fn graph(&self, graph: &Graph, inputs: &[TensorInfo], outer: &Outer<'_>) -> Outcome {
        let mut values: Vec<TensorInfo> = vec![TensorInfo::default(); graph.values.len()];
        for id in graph.value_ids() {
            if graph.value(id).weight.is_some() {
                values[id.index()] = graph.value(id).info.clone();
            }
        }
        for (id, info) in graph.inputs.iter().zip(inputs) {
            let given = info.sized || info.value.is_some();
            let mut info = TensorInfo { sized: given, ..info.clone() };
            if self.depth.get() == 0 {
                self.hold(&mut info);
            }
            values[id.index()] = info;
        }
        for (name, id) in &graph.captures {
            values[id.index()] = outer(name).unwrap_or_default();
        }
        let mut sizes: Vec<Option<Dim>> = values.iter().map(TensorInfo::bytes).collect();
        let mut nodes = vec![NodeReport::unknown(Class::Unknown); graph.nodes.len()];
        let order = match Order::of(graph) {
            Order::Sorted(order) => order,
            Order::Cycle(_) => {
                let message = "nodes wait for each other".to_owned();
                self.report(Severity::Incomplete, &graph.name, message, None);
                Vec::new()
            }
        };
        for id in &order {
            let node = graph.node(*id);
            let around = self.bounded.replace(false);
            let at = Standing { graph, values: &values, sizes: &sizes, before: &nodes, outer };
            let (report, mut outputs) = self.made.at(id.index(), || self.node(&at, node));
            self.bounded.set(around);
            nodes[id.index()] = report;
            for (port, value) in node.outputs.iter().enumerate() {
                let Some(value) = value else { continue };
                let found = outputs.get_mut(port).map(std::mem::take).unwrap_or_default();
                let mut found = self.reconcile(graph, node, *value, found);
                self.hold(&mut found);
                sizes[value.index()] = found.bytes();
                values[value.index()] = found;
            }
        }
        Outcome { nodes, values, order, sizes }
    }

    /// The file's word fills what inference left open, and is never believed against it.
    fn reconcile(
        &self,
        graph: &Graph,
        node: &Node,
        value: crate::ir::ValueId,
        mut found: TensorInfo,
    ) -> TensorInfo {
        let hint = super::bound(&graph.value(value).info, self.bindings);
        found.dtype = found.dtype.or(hint.dtype);
        match (&found.shape, hint.shape) {
            (None, Some(shape)) => {
                self.made.stated(&shape);
                found.shape = Some(shape);
            }
            (Some(ours), Some(theirs)) => {
                let clash = ours.len() != theirs.len()
                    || ours
                        .iter()
                        .zip(&theirs)
                        .any(|(a, b)| a.as_const().zip(b.as_const()).is_some_and(|(a, b)| a != b));
                if clash {
                    let theirs = TensorInfo::new(hint.dtype, theirs);
                    let message = format!(
                        "the file says `{}` is {theirs}, its inputs make it {found}",
                        graph.value(value).name
                    );
                    self.report(Severity::Conflict, &node.name, message, None);
                }
            }
            _ => {}
        }
        found
    }

    /// What a node makes and costs, where it stands.
    fn node(&self, at: &Standing<'_>, node: &Node) -> (NodeReport, Vec<TensorInfo>) {
        let Some(op) = ops::find(&node.domain, &node.op_type) else {
            let message = format!("operator `{}` is not known", node.qualified_op());
            let hint = "its cost is missing from the totals".to_owned();
            self.report(Severity::Incomplete, &node.name, message, Some(hint));
            return (NodeReport::unknown(Class::Unknown), Vec::new());
        };
        let calls = Calls::default();
        let of_earlier_rounds = RefCell::<BTreeSet<usize>>::default();
        let run_body = |name: &str, infos: &[TensorInfo]| {
            let outer = |name: &str| at.lookup(name);
            let (mut outputs, outcome) = self.body(node, name, infos, &outer)?;
            let late = self.apart(node, name, infos, &mut outputs, &outer)?;
            of_earlier_rounds.borrow_mut().extend(late);
            Ok((outputs, calls.keep(node, name, outcome)))
        };
        let (constraints, remarks) = (RefCell::default(), RefCell::default());
        // A size that was given as no data make it: said once the operator is done.
        let refused = RefCell::default();
        let made = |found: Result<Dim, OpError>| {
            found.unwrap_or_else(|error| {
                refused.replace(Some(error));
                Dim::overflow()
            })
        };
        let cx = OpCx {
            node,
            inputs: node.inputs.iter().map(|v| v.map(|v| &at.values[v.index()])).collect(),
            declared: node.outputs.iter().map(|v| v.map(|v| &at.graph.value(v).info)).collect(),
            run_body: &run_body,
            constraints: &constraints,
            fresh: &|stem, limit| made(self.fresh(stem, limit)),
            made_by_data: &|size, number| self.made.made_by_data(size, number),
            remarks: &remarks,
            sum: &|sizes| made(self.sum(sizes)),
            said: &|back_to| self.said(back_to),
            visits: &|| self.visits.get(),
        };
        let effect = self.effect(op, &cx).and_then(|mut effect| {
            for port in of_earlier_rounds.take() {
                if let Some(output) = effect.outputs.get_mut(port) {
                    *output = self.of_its_own(output)?;
                }
            }
            Ok(effect)
        });
        match refused.take().map_or(effect, Err) {
            Ok(effect) => self.settled(at, op, &cx, effect, &calls),
            Err(error) => {
                if !self.follows(&error, at, node) {
                    let text = format!("{}: {error}", node.qualified_op());
                    self.report(Severity::Incomplete, &node.name, text, None);
                } else if self.depth.get() == 0 {
                    self.following.set(self.following.get() + 1);
                }
                (NodeReport::unknown(op.class), Vec::new())
            }
        }
    }

    /// What an operator does here, where that can be; what it took for granted is reported.
    fn effect(&self, op: &Op, cx: &OpCx<'_>) -> Result<Effect, OpError> {
        let count = cx.inputs.len();
        let (least, most) = op.inputs;
        let effect = if (least..=most).contains(&count) {
            (op.effect)(cx)
        } else {
            Err(OpError::Invalid(format!("has {count} inputs, takes {least} to {most}")))
        };
        let constraints = cx.constraints.borrow();
        let effect = effect.and_then(|effect| self.possible(effect, &constraints));
        if effect.is_ok() {
            for Equality { a, b, .. } in constraints.iter() {
                let message = format!("taken as equal: {a} and {b}");
                self.report(Severity::Assumption, &cx.node.name, message, None);
            }
        }
        for remark in cx.remarks.borrow_mut().drain(..) {
            self.report(Severity::Assumption, &cx.node.name, remark, None);
        }
        let effect = effect?;
        match effect.outputs.iter().filter_map(TensorInfo::rank).find(|r| *r > MAX_RANK) {
            Some(r) => Err(OpError::Invalid(format!("makes {r} axes, of at most {MAX_RANK}"))),
            None => Ok(effect),
        }
    }

    /// The report and outputs of a node whose effect is known.
    fn settled(
        &self,
        at: &Standing<'_>,
        op: &Op,
        cx: &OpCx<'_>,
        mut effect: Effect,
        calls: &Calls,
    ) -> (NodeReport, Vec<TensorInfo>) {
        let node = cx.node;
        let constant = op.class != Class::Quantization
            && cx.inputs.iter().flatten().all(|i| i.constant)
            && node.subgraphs().next().is_none();
        let sized = constant || from_sizes(cx, op, &self.made.limits());
        // Arithmetic on sizes: vectors that are worked out before the data are looked at.
        let is_size = |o: &TensorInfo| {
            let integer = o.value.is_some() && o.dtype.is_some_and(|d| !d.is_float());
            o.rank().is_some_and(|r| r <= 1) && (sized || integer)
        };
        let known = !effect.outputs.is_empty() && effect.outputs.iter().all(is_size);
        let report = if constant || known {
            NodeReport { status: Status::Folded, ..NodeReport::unknown(op.class) }
        } else if let Some(report) = charge::cost(at.graph, cx, &effect, op.class, at.sizes) {
            let runs = effect.inner.as_deref().map_or(&[][..], |inner| &inner.runs);
            let report = NodeReport { bodies: calls.bodies(node, runs), ..report };
            self.sureness(self.hold_counts(report))
        } else {
            let message = format!("{}: element type not known", node.qualified_op());
            self.report(Severity::Incomplete, &node.name, message, None);
            NodeReport::unknown(op.class)
        };
        for output in &mut effect.outputs {
            (output.constant, output.sized) = (constant, sized);
        }
        (report, effect.outputs)
    }

    /// Counts what is held, and lets go of long contents and formulas where that is too much: of a model
    /// that folds millions of numbers, or adds up thousands of symbols again and again. A tensor's count of
    /// elements is as long as the product of its sizes, and is in some counts beside those of its nodes.
    fn hold(&self, info: &mut TensorInfo) {
        const COUNTS: usize = 4;
        let factors = |d: &Dim| if d.term_count() > 1 { 4 * d.term_count() } else { 1 };
        let contents = info.value.as_deref().unwrap_or(&[]).iter();
        let contents: usize = contents.map(|e| e.as_dim().map_or(1, factors)).sum();
        let open = || info.shape.iter().flatten().filter(|size| size.as_const().is_none());
        let sizes: usize = info.shape.iter().flatten().map(factors).sum();
        let product = open().map(Dim::term_count).fold(1, usize::saturating_mul);
        // Beyond the most there is no product.
        let product = if product > crate::dim::MAX_TERMS { 0 } else { product * open().count() };
        let counted = product >= SHORT;
        let counts = if counted { COUNTS * product } else { 0 };
        if self.held.more(contents + 4 * sizes + counts) {
            return;
        }
        if contents > SHORT {
            info.value = None;
            self.held.let_go();
        }
        let long = |size: &&mut Dim| match size.as_const() {
            Some(_) => false,
            None => counted || size.length() > SHORT,
        };
        for size in info.shape.iter_mut().flatten().filter(long) {
            *size = self.held.let_go();
        }
    }

    /// The same of the long formulas among the counts of a node.
    fn hold_counts(&self, report: NodeReport) -> NodeReport {
        let long = |count: &Dim| count.length() > SHORT;
        if !report.cost.counts().any(long) {
            return report;
        }
        let moved = |list: Vec<(crate::ir::ValueId, Dim)>| {
            list.into_iter().map(|(value, bytes)| (value, self.held.formula(bytes))).collect()
        };
        let cost = report.cost.map(&|count| self.held.formula(count.clone())).into();
        NodeReport { cost, reads: moved(report.reads), writes: moved(report.writes), ..report }
    }

    /// Whether a node fails only because one before it did, here or in a graph around, of which enough has
    /// been said.
    fn follows(&self, error: &OpError, at: &Standing<'_>, node: &Node) -> bool {
        let OpError::UnknownInput { port, .. } = error else { return false };
        let Some(value) = node.inputs.get(*port).copied().flatten() else { return false };
        let said = || self.diagnostics.borrow().iter().any(|d| d.severity == Severity::Incomplete);
        let value = at.graph.value(value);
        match value.producer {
            Some(id) => at.before[id.index()].status == Status::Unknown,
            None => at.graph.captures.contains_key(&value.name) && said(),
        }
    }

    /// A cost in data-dependent sizes is a bound.
    fn sureness(&self, mut report: NodeReport) -> NodeReport {
        let limits = self.made.limits();
        if report.status == Status::Exact && self.bounded.get() {
            report.status = Status::Bound;
        }
        if report.status == Status::Exact && !limits.is_empty() {
            let cost = &report.cost;
            let counts = [&cost.flops, &cost.int_ops, &cost.bytes_read, &cost.bytes_written];
            // What is too long to be held may have any of them in it.
            if cost.overflows() || counts.into_iter().any(|count| decided(count, &limits)) {
                report.status = Status::Bound;
            }
        }
        report
    }

    /// An effect whose sizes can be: what must be equal is, and nothing is smaller than nothing. A size of an
    /// input that must equal a data-dependent one joins these.
    fn possible(&self, effect: Effect, equalities: &[Equality]) -> Result<Effect, OpError> {
        {
            let limits = self.made.limits();
            let range = |size: &Dim| self.made.ranged(|ceiling| ceiling.range(size).ok());
            let never = equalities::contradiction(equalities, &limits, &range);
            if let Some(Equality { a, b, .. }) = never {
                let numbers = a.as_const().is_some() && b.as_const().is_some();
                let ever = if numbers { "" } else { ", which no data make them" };
                return Err(OpError::Invalid(format!("sizes {a} and {b} must be equal{ever}")));
            }
        }
        let sizes = effect.outputs.iter().filter_map(|o| o.shape.as_ref()).flatten();
        if let Some(size) = sizes.filter_map(Dim::as_const).find(|size| *size < 0) {
            return Err(OpError::Invalid(format!("an output would have a size of {size}")));
        }
        let tied = equalities::tied(equalities, &self.made.limits(), self.made.chosen());
        for (name, limit) in tied {
            self.made.tie(name, limit);
        }
        Ok(effect)
    }

    /// Walks a body of a node with these inputs.
    pub(super) fn body(
        &self,
        node: &Node,
        name: &str,
        inputs: &[TensorInfo],
        outer: &Outer<'_>,
    ) -> Result<(Vec<TensorInfo>, Outcome), OpError> {
        let body = node.attrs.graph(name)?;
        let body = body.ok_or_else(|| crate::ir::AttrError::Missing(name.to_owned()))?;
        if self.depth.get() >= MAX_DEPTH {
            return Err(OpError::Unsupported("a body nested this deeply".into()));
        }
        let ports: usize = body.nodes.iter().map(|n| n.inputs.len() + n.outputs.len()).sum();
        let visits = 1 + body.nodes.len() + (ports + body.values.len()) / PORTS_PER_VISIT;
        self.visits.set(self.visits.get().saturating_add(visits));
        if self.visits.get() > MAX_VISITS {
            return Err(OpError::Unsupported("walking bodies this often".into()));
        }
        self.depth.set(self.depth.get() + 1);
        let outcome = self.graph(body, inputs, outer);
        self.depth.set(self.depth.get() - 1);
        if outcome.nodes.iter().any(|n| n.status == Status::Bound) {
            self.bounded.set(true);
        }
        let outputs = body.outputs.iter().map(|v| outcome.values[v.index()].clone()).collect();
        if outcome.nodes.iter().any(|n| n.status == Status::Unknown) {
            return Err(OpError::Unsupported(
                "a body with operators of unknown cost (--value fixes an input that decides a branch)"
                    .into(),
            ));
        }
        Ok((outputs, outcome))
    }
}

/// Whether what a node makes follows from constants and sizes alone, or from contents that a caller gave:
/// data-dependent sizes aside.
fn from_sizes(cx: &OpCx<'_>, op: &Op, limits: &Limits) -> bool {
    let given = |i: &&TensorInfo| i.constant || i.sized;
    if op.role == Role::Sizes {
        let shape = cx.optional(0).and_then(|info| info.shape.as_ref());
        let open = |size: &Dim| size.as_const().is_none() && decided(size, limits);
        return limits.is_empty() || !shape.into_iter().flatten().any(open);
    }
    !matches!(op.class, Class::Quantization | Class::Random)
        && cx.inputs.iter().flatten().all(given)
        && cx.node.subgraphs().next().is_none()
}
