//! How many learned parameters a model holds, and how many bytes its weights take.
//!
//! Whether a stored tensor is learned follows from how it is used: every node says, by its row in the operator
//! table, what its input ports hold, and nodes that only move data pass the question on to whatever reads their
//! outputs. One pass from the outputs back answers it for all values of a graph.

use super::memory;
use crate::dim::Dim;
use crate::ir::{DType, Graph, Node, NodeId, Order, TensorInfo, ValueId};
use crate::ops::{self, Bodies, Class, Op, Port, Role};
use std::collections::BTreeMap;

/// What is stored with a model.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// Learned numbers.
    pub(super) params: Dim,
    /// Scales and zero points of quantised numbers.
    pub(super) scales: Dim,
    /// Bytes of all of it, packed, constants included.
    pub(super) bytes: Dim,
}

/// Bodies inside bodies are searched no deeper.
const MAX_DEPTH: usize = 32;

/// Counts what is stored in `graph`, whose nodes run in this order and of whose values this is known.
/// `statistics` says whether running statistics are parameters.
pub(super) fn stored(
    graph: &Graph,
    order: &[NodeId],
    values: &[TensorInfo],
    statistics: bool,
) -> Stored {
    let mut total = Stored::default();
    let ends = vec![Use(Use::OPERAND); graph.outputs.len()];
    uses(&Place { graph, order, values, depth: 0, statistics }, &ends, &mut total);
    total
}

/// A graph with what is known of it.
struct Place<'a> {
    graph: &'a Graph,
    order: &'a [NodeId],
    values: &'a [TensorInfo],
    depth: usize,
    statistics: bool,
}

/// How a value is used, by all that read it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Use(u16);

impl Use {
    /// Learned, in whatever type it is stored.
    const LEARNED: u16 = 1;
    /// An operand of arithmetic.
    const OPERAND: u16 = 2;
    /// Learned even if it is a single number.
    const SINGLE: u16 = 4;
    /// A scale or zero point.
    const SCALE: u16 = 8;
    /// A constant of the computation.
    const CONSTANT: u16 = 16;
    /// Its sine is taken.
    const SINE: u16 = 32;
    /// Its cosine is taken.
    const COSINE: u16 = 64;
    /// It becomes attention scores or logits by arithmetic on elements.
    const SCORES: u16 = 128;
    /// It is a factor of the product that makes these.
    const FACTOR: u16 = 256;
    /// Added to a sum of products, and learned even in 64 bits.
    const BIAS: u16 = 512;

    fn has(self, flags: u16) -> bool {
        self.0 & flags != 0
    }

    fn with(self, flags: u16) -> Self {
        Self(self.0 | flags)
    }

    fn without(self, flags: u16) -> Self {
        Self(self.0 & !flags)
    }

    /// A factor, if the product becomes scores.
    fn factor(self, after: Self) -> Self {
        if after.has(Self::SCORES) { self.with(Self::FACTOR) } else { self }
    }

    /// An angle whose sine and cosine are taken, and nothing else, as those of rotary and sinusoidal
    /// positions: no network learns these.
    fn angle(self) -> bool {
        self.0 == Self::SINE | Self::COSINE
    }
}

/// The uses of all values of a graph.
struct Uses {
    of: Vec<Use>,
    /// How many numbers values hold that are packed.
    packed: BTreeMap<ValueId, Dim>,
}

impl Uses {
    fn add(&mut self, value: ValueId, used: Use) {
        let flags = &mut self.of[value.index()];
        *flags = flags.with(used.0);
    }

    fn pack(&mut self, value: ValueId, count: Option<Dim>) {
        if let Some(count) = count {
            self.packed.entry(value).or_insert(count);
        }
    }

    /// How the outputs of a node are used.
    fn outputs(&self, node: &Node) -> Use {
        let outputs = node.outputs.iter().flatten();
        outputs.fold(Use::default(), |all, v| all.with(self.of[v.index()].0))
    }
}

/// Works out how each value of a graph is used, `ends` being the uses of its outputs, and adds what is stored in
/// it and in its bodies.
fn uses(place: &Place<'_>, ends: &[Use], total: &mut Stored) -> Uses {
    let graph = place.graph;
    let mut uses = Uses { of: vec![Use::default(); graph.values.len()], packed: BTreeMap::new() };
    for (output, end) in graph.outputs.iter().zip(ends) {
        uses.add(*output, *end);
    }
    let rest = memory::at_rest(graph, place.order, place.values);
    let whole = integers(place, &rest);
    let known = Known { place, rest, whole };
    for id in place.order.iter().rev() {
        let node = graph.node(*id);
        bodies(&known, node, &mut uses, total);
        let Some(op) = ops::find(&node.domain, &node.op_type) else {
            for input in node.inputs.iter().flatten() {
                uses.add(*input, Use(Use::OPERAND));
            }
            continue;
        };
        if let Some(held) = op.held {
            let (params, bytes) = held(&node.attrs);
            total.params = std::mem::take(&mut total.params) + Dim::from(params);
            total.bytes = std::mem::take(&mut total.bytes) + Dim::from(bytes);
        }
        let after = uses.outputs(node);
        for (port, input) in node.inputs.iter().enumerate() {
            let Some(input) = *input else { continue };
            uses.add(input, known.at(node, op, port, after));
            match op.port(port) {
                Port::Packed => uses.pack(input, known.unpacked(node, op, port)),
                Port::Passed if !uses.packed.is_empty() => {
                    let first = node.outputs.first().copied().flatten();
                    let count = first.and_then(|output| uses.packed.get(&output).cloned());
                    uses.pack(input, count);
                }
                _ => {}
            }
        }
    }
    add_up(&known, &uses, total);
    uses
}

/// Adds the stored tensors of one graph.
fn add_up(known: &Known<'_>, uses: &Uses, total: &mut Stored) {
    let graph = known.place.graph;
    for id in graph.value_ids() {
        let value = graph.value(id);
        let Some(weight) = &value.weight else { continue };
        total.bytes = std::mem::take(&mut total.bytes) + weight.bytes.clone();
        let used = uses.of[id.index()];
        let single = value.info.rank() == Some(0) && !used.has(Use::SINGLE);
        let whole = learnable(weight.dtype) || used.has(Use::BIAS);
        let learned =
            used.has(Use::LEARNED) && whole || used.has(Use::OPERAND) && weight.float && !single;
        let count = || {
            let packed = uses.packed.get(&id).cloned().or_else(|| known.shifted(id));
            let kept = || weight.sparse.as_ref().map(|s| s.elements.clone());
            let kept = || kept().or_else(|| weight.distinct.clone());
            packed.or_else(kept).or_else(|| value.info.elements()).unwrap_or_default()
        };
        if learned {
            total.params = std::mem::take(&mut total.params) + count();
        } else if used.has(Use::SCALE) {
            let scales = value.info.elements().unwrap_or_default();
            total.scales = std::mem::take(&mut total.scales) + scales;
        }
    }
}

/// Whether numbers of this type may be learned: not indices, flags or texts.
fn learnable(dtype: Option<DType>) -> bool {
    !matches!(dtype, Some(DType::Bool | DType::String | DType::I64 | DType::U64))
}

/// Counts in the bodies of a node, and adds how they use what they capture and are given.
fn bodies(known: &Known<'_>, node: &Node, uses: &mut Uses, total: &mut Stored) {
    let place = known.place;
    if place.depth >= MAX_DEPTH {
        return;
    }
    for (_, body) in node.subgraphs() {
        let Order::Sorted(order) = Order::of(body) else { continue };
        let mut values: Vec<TensorInfo> = body.values.iter().map(|v| v.info.clone()).collect();
        for (name, inner) in &body.captures {
            let outer = place.graph.find_value(name);
            values[inner.index()].constant = outer.is_some_and(|v| known.rest[v.index()]);
        }
        for constant in body.nodes.iter().filter(|n| n.inputs.is_empty()) {
            for output in constant.outputs.iter().flatten() {
                values[output.index()].constant = true;
            }
        }
        // A loop's body also says whether to go on, before its results.
        let first = body.outputs.len().saturating_sub(node.outputs.len());
        let end = |i: usize| {
            let outer = i.checked_sub(first).and_then(|i| node.outputs.get(i).copied().flatten());
            outer.map_or(Use(Use::OPERAND), |v| uses.of[v.index()])
        };
        let ends: Vec<Use> = (0..body.outputs.len()).map(end).collect();
        let depth = place.depth + 1;
        let inner = Place { graph: body, order: &order, values: &values, depth, ..*place };
        let inside = self::uses(&inner, &ends, total);
        let captured =
            body.captures.iter().filter_map(|(name, v)| Some((place.graph.find_value(name)?, *v)));
        let ahead = Bodies::of(node).ahead(node);
        let given = node.inputs.iter().skip(ahead).zip(&body.inputs).enumerate();
        let given = given.filter_map(|(i, (outer, v))| Some((i, (*outer)?, *v)));
        let captured = captured.map(|(outer, v)| (None, outer, v));
        for (input, outer, v) in captured.chain(given.map(|(i, outer, v)| (Some(i), outer, v))) {
            if input.is_some_and(|i| changes(node, body, i)) {
                uses.add(outer, Use(Use::CONSTANT));
                continue;
            }
            uses.add(outer, inside.of[v.index()]);
            uses.pack(outer, inside.packed.get(&v).cloned());
        }
    }
}

/// Whether what a loop carries at an input is another value after a round: then what it begins with is an initial
/// state.
fn changes(node: &Node, body: &Graph, input: usize) -> bool {
    let Some(mut next) = Bodies::of(node).next(node, body, input) else { return false };
    while let Some(id) = body.value(next).producer {
        match (Role::of(body.node(id)), body.node(id).inputs.first()) {
            (Role::Identity, Some(Some(source))) => next = *source,
            _ => return true,
        }
    }
    body.inputs.get(input) != Some(&next)
}

/// Which values come from stored integers alone and still stand for them: they are quantised numbers whose
/// scale is yet to come, if they are anything learned.
fn integers(place: &Place<'_>, rest: &[bool]) -> Vec<bool> {
    let graph = place.graph;
    let stored = |id: ValueId| {
        let weight = graph.value(id).weight.as_ref();
        weight.is_some_and(|w| !w.float && learnable(w.dtype))
    };
    let mut whole: Vec<bool> = graph.value_ids().map(stored).collect();
    if !whole.contains(&true) {
        return whole;
    }
    for id in place.order {
        let node = graph.node(*id);
        let from = |port: usize, op: &Op| matches!(op.port(port), Port::Passed | Port::Operand);
        let read = node.inputs.iter().enumerate().filter_map(|(port, v)| Some((port, (*v)?)));
        let mut sources = read.filter(|(_, v)| whole[v.index()] && rest[v.index()]).peekable();
        if sources.peek().is_none() {
            continue;
        }
        let Some(op) = ops::find(&node.domain, &node.op_type) else { continue };
        if op.class == Class::Quantization || !sources.any(|(port, _)| from(port, op)) {
            continue;
        }
        for output in node.outputs.iter().flatten().filter(|v| rest[v.index()]) {
            whole[output.index()] = true;
        }
    }
    whole
}

/// A graph, and what its values come from.
struct Known<'a> {
    place: &'a Place<'a>,
    /// Whether a value follows from stored ones alone.
    rest: Vec<bool>,
    /// Whether it follows from stored integers.
    whole: Vec<bool>,
}

impl Known<'_> {
    fn info(&self, value: ValueId) -> &TensorInfo {
        match self.place.values.get(value.index()) {
            Some(info) if info.shape.is_some() => info,
            _ => &self.place.graph.value(value).info,
        }
    }

    /// How `node` uses what it reads at `port`, its own outputs being used as `after`.
    fn at(&self, node: &Node, op: &Op, port: usize, after: Use) -> Use {
        match op.port(port) {
            Port::Learned if op.class == Class::MatrixProduct && after.angle() => after,
            Port::Learned if op.class == Class::MatrixProduct => {
                let used = Use(Use::LEARNED).factor(after);
                if port >= 2 { used.with(Use::BIAS) } else { used }
            }
            Port::Learned if port >= 2 && op.class == Class::Convolution => {
                Use(Use::LEARNED | Use::BIAS)
            }
            Port::Learned | Port::Packed => Use(Use::LEARNED),
            Port::Scale => Use(Use::SCALE),
            Port::Statistics if self.place.statistics => Use(Use::LEARNED),
            Port::Constant | Port::Statistics => Use(Use::CONSTANT),
            Port::Chosen | Port::QuantizedOperand if self.elements(node, port) == Some(1) => {
                Use(Use::CONSTANT)
            }
            // A single number of arithmetic is none the more learned for being quantised.
            Port::Quantized if after.has(Use::OPERAND) && !self.single(node, port) => {
                after.with(Use::LEARNED)
            }
            Port::QuantizedOperand => {
                let used = self.operand(node, op, port, after);
                if used.has(Use::OPERAND) { used.with(Use::LEARNED) } else { used }
            }
            Port::Curved if after.has(Use::LEARNED | Use::OPERAND) => {
                after.without(Use::LEARNED).with(Use::OPERAND | Use::SINGLE)
            }
            Port::Passed | Port::Chosen | Port::Quantized | Port::Curved => after,
            Port::Scores => Use(Use::OPERAND | Use::SCORES),
            Port::Bias if self.shared_by_heads(node, port, None) => Use(Use::CONSTANT),
            Port::Bias => Use(Use::OPERAND),
            Port::Sine => Use(Use::SINE),
            Port::Cosine => Use(Use::COSINE),
            Port::Operand => self.operand(node, op, port, after),
        }
    }

    /// An operand of arithmetic: what becomes of the result, where all is stored; otherwise learned unless it is
    /// a scale, an angle or a mask.
    fn operand(&self, node: &Node, op: &Op, port: usize, after: Use) -> Use {
        let elementwise = op.class == Class::Elementwise;
        let output = node.outputs.first().copied().flatten();
        if output.is_some_and(|v| self.rest[v.index()]) {
            if elementwise && self.scales_stored(node, port) {
                return Use(Use::SCALE);
            }
            let one_of_many = elementwise && node.inputs.len() > 1;
            if one_of_many && self.elements(node, port) == Some(1) {
                return after.without(Use::LEARNED | Use::SINGLE);
            }
            return after;
        }
        if after.angle() {
            return after;
        }
        if self.rotates(node, op, port) {
            return Use(Use::SINE | Use::COSINE);
        }
        if !elementwise {
            let product = op.class == Class::MatrixProduct;
            return if product { Use(Use::OPERAND).factor(after) } else { Use(Use::OPERAND) };
        }
        // A single number that scales attention scores, or what is multiplied to make them.
        if after.has(Use::SCORES | Use::FACTOR) && self.elements(node, port) == Some(1) {
            return Use(Use::CONSTANT);
        }
        if self.scales_product(node, port) {
            return Use(Use::SCALE);
        }
        match output {
            Some(output) if after.has(Use::SCORES) => {
                if self.shared_by_heads(node, port, Some(output)) {
                    Use(Use::CONSTANT)
                } else {
                    Use(Use::OPERAND | Use::SCORES)
                }
            }
            _ => Use(Use::OPERAND),
        }
    }

    /// Whether the port of a multiplication holds cosines or sines of positions that an exporter worked out, as
    /// in `x·cos + turned(x)·sin`: a table of rows by position whose products are added to those of another of
    /// the same sizes, with parts of the same tensor. (Su et al., `RoFormer`, arXiv:2104.09864, equation 34.)
    fn rotates(&self, node: &Node, op: &Op, port: usize) -> bool {
        let graph = self.place.graph;
        let table = |v: ValueId| self.row_by_position(v);
        let own = node.inputs.get(port).copied().flatten().filter(|v| table(*v));
        let (Some(own), Some(data), Role::Product) = (own, Self::other(node, port), op.role) else {
            return false;
        };
        let product = node.outputs.first().copied().flatten();
        let readers = product.map_or(&[][..], |v| &graph.value(v).consumers);
        let sums = readers.iter().map(|id| graph.node(*id));
        let adds = |n: &&Node| matches!(Role::of(n), Role::Sum | Role::Difference);
        let mut beside = sums.filter(adds).filter_map(|sum| {
            let at = sum.inputs.iter().position(|v| *v == product)?;
            let maker = graph.value(Self::other(sum, at)?).producer?;
            Some(graph.node(maker)).filter(|n| Role::of(n) == Role::Product)
        });
        beside.any(|other| {
            let [Some(a), Some(b)] = other.inputs[..] else { return false };
            [(a, b), (b, a)].into_iter().any(|(sine, turned)| {
                let alike = sine != own && self.info(sine).shape == self.info(own).shape;
                alike && table(sine) && turned != data && self.source(turned) == self.source(data)
            })
        })
    }

    /// Whether a value is rows of a stored table of floats, one for each position; of a single one too.
    fn row_by_position(&self, value: ValueId) -> bool {
        let many = |size: &&Dim| !size.is_one();
        let wide = |v: ValueId| self.info(v).shape.iter().flatten().filter(many).count() >= 2;
        let origin = self.source(value);
        let table = self.place.graph.value(origin).weight.as_ref().is_some_and(|w| w.float);
        table && (wide(value) || wide(origin))
    }

    /// The value that nodes which only move, repeat, join and negate data made a value from.
    fn source(&self, mut value: ValueId) -> ValueId {
        const LONGEST: usize = 12;
        let graph = self.place.graph;
        for _ in 0..LONGEST {
            let maker = graph.value(value).producer.map(|id| graph.node(id));
            let moves = |n: &&Node| {
                let op = ops::find(&n.domain, &n.op_type);
                let passes = |op: &Op| op.port(0) == Port::Passed || op.role == Role::Negation;
                op.is_some_and(passes)
            };
            let from = maker.filter(moves).and_then(|n| n.inputs.first().copied().flatten());
            let Some(from) = from else { break };
            value = from;
        }
        value
    }

    /// Whether the port of a node holds a tensor without axes.
    fn single(&self, node: &Node, port: usize) -> bool {
        let value = node.inputs.get(port).copied().flatten();
        value.is_some_and(|v| self.info(v).rank() == Some(0))
    }

    fn elements(&self, node: &Node, port: usize) -> Option<i128> {
        let value = node.inputs.get(port).copied().flatten()?;
        self.info(value).elements()?.as_const()
    }

    /// The other operand of a node with two.
    fn other(node: &Node, port: usize) -> Option<ValueId> {
        match (&node.inputs[..], port) {
            ([_, other], 0) | ([other, _], 1) => *other,
            _ => None,
        }
    }

    /// Whether the port of a node holds what scales or shifts stored integers, of which there are more.
    fn scales_stored(&self, node: &Node, port: usize) -> bool {
        let other = Self::other(node, port).filter(|v| self.whole[v.index()]);
        let more = other.and_then(|v| self.info(v).elements()?.as_const());
        self.elements(node, port).zip(more).is_some_and(|(own, more)| own < more)
    }

    /// Whether the port of a node holds what scales a product of integers, or is joined to the scale of one that
    /// is quantised while the model runs.
    fn scales_product(&self, node: &Node, port: usize) -> bool {
        let graph = self.place.graph;
        let producer = |v: ValueId| graph.value(v).producer.map(|id| graph.node(id));
        let Some(mut other) = Self::other(node, port) else { return false };
        let mut maker = producer(other);
        if let Some(cast) = maker.filter(|n| Role::of(n) == Role::Conversion) {
            let Some(Some(source)) = cast.inputs.first() else { return false };
            (other, maker) = (*source, producer(*source));
        }
        let Some(maker) = maker else { return false };
        let class = ops::find(&maker.domain, &maker.op_type).map(|op| op.class);
        match class {
            Some(Class::Convolution | Class::MatrixProduct) => {
                self.info(other).dtype == Some(DType::I32)
            }
            // A scale, the second output after the numbers themselves.
            Some(Class::Quantization) => maker.outputs.get(1) == Some(&Some(other)),
            _ => false,
        }
    }

    /// Whether the port of a node holds a matrix for each pair of positions that all heads share, as masks
    /// are; biases by position have one for each head. `scores` is what it is added to.
    fn shared_by_heads(&self, node: &Node, port: usize, scores: Option<ValueId>) -> bool {
        let third = |info: &TensorInfo| -> Option<Dim> {
            let shape = info.shape.as_ref()?;
            shape.len().checked_sub(3).and_then(|at| shape.get(at).cloned())
        };
        let Some(value) = node.inputs.get(port).copied().flatten() else { return false };
        let own = self.info(value);
        let Some([.., rows, columns]) = own.shape.as_deref() else { return false };
        let heads = scores.map(|v| third(self.info(v)));
        let many = heads.is_none_or(|h| h.is_some_and(|h| h != Dim::ONE));
        let pairs = *rows != Dim::ONE && *columns != Dim::ONE;
        many && pairs && third(own).is_none_or(|h| h == Dim::ONE)
    }

    fn unpacked(&self, node: &Node, op: &Op, port: usize) -> Option<Dim> {
        let inputs: Vec<Option<&TensorInfo>> =
            node.inputs.iter().map(|v| v.map(|v| self.info(v))).collect();
        op.unpacked(node, &inputs, port)
    }

    /// How many numbers are taken out of stored integers by shifts and masks of bits, where they are.
    fn shifted(&self, value: ValueId) -> Option<Dim> {
        let graph = self.place.graph;
        let mut nodes = graph.value(value).consumers.clone();
        nodes.dedup();
        let bits = nodes.iter().map(|id| graph.node(*id));
        let bits = bits.filter(|n| Role::of(n) == Role::Bits);
        let sizes =
            bits.filter_map(|n| self.info(n.outputs.first().copied().flatten()?).elements());
        sizes.reduce(|a, b| a + b)
    }
}
