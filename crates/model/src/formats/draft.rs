//! A graph while a reader writes it: names that are its own, constants, bodies, limits.

use super::LoadError;
use super::error::invalid;
use super::limits::{Limits, MAX_DEPTH};
use crate::dim::Dim;
use crate::ir::{
    Attr, Attrs, DType, Elem, Graph, Node, OWN_DOMAIN, Order, TensorInfo, ValueId, Weight,
};
use std::collections::{HashMap, HashSet};

/// The operator set in which readers of other formats write `ai.onnx`.
pub(super) const OPSET: i64 = 23;
const MICROSOFT: &str = "com.microsoft";

/// An operator with its attributes, before it has inputs.
pub(super) struct Op {
    domain: String,
    name: String,
    opset: i64,
    attrs: Vec<(String, Attr)>,
}

impl Op {
    /// Of the standard's operator set.
    pub(super) fn onnx(name: &str) -> Self {
        Self::new("", name, OPSET)
    }

    /// Of a later set of the standard.
    pub(super) fn at(name: &str, opset: i64) -> Self {
        Self::new("", name, opset)
    }

    /// Of this tool's own: channels last, and weights whose shape the file does not state.
    pub(super) fn own(name: &str) -> Self {
        Self::new(OWN_DOMAIN, name, OPSET)
    }

    /// Of onnxruntime's operator set.
    pub(super) fn microsoft(name: &str) -> Self {
        Self::new(MICROSOFT, name, 1)
    }

    /// One that no row tells about, under the name that the file has for it.
    pub(super) fn foreign(domain: &str, name: &str) -> Self {
        Self::new(domain, name, 1)
    }

    fn new(domain: &str, name: &str, opset: i64) -> Self {
        Self { domain: domain.to_owned(), name: name.to_owned(), opset, attrs: Vec::new() }
    }

    /// With an attribute.
    pub(super) fn with(mut self, name: &str, value: impl Into<Attr>) -> Self {
        self.attrs.push((name.to_owned(), value.into()));
        self
    }
}

/// One graph that is being written.
pub(super) struct Draft<'l> {
    graph: Graph,
    limits: &'l mut Limits,
    /// Put before the names of nodes and values, with a slash at its end; empty outside all functions.
    prefix: String,
    /// Functions and bodies around what is being written.
    depth: usize,
    /// Whether this is the body of a node, which may read values of the graph around it.
    body: bool,
    /// How often a name was taken.
    taken: HashMap<String, usize>,
}

impl<'l> Draft<'l> {
    /// An empty graph of this name.
    pub(super) fn new(name: &str, limits: &'l mut Limits) -> Self {
        Self {
            graph: Graph::named(name),
            limits,
            prefix: String::new(),
            depth: 0,
            body: false,
            taken: HashMap::new(),
        }
    }

    /// What holds for the whole file.
    pub(super) fn limits(&mut self) -> &mut Limits {
        self.limits
    }

    /// The name of a value.
    pub(super) fn name(&self, value: ValueId) -> &str {
        &self.graph.value(value).name
    }

    /// What the file says of a value.
    pub(super) fn info(&self, value: ValueId) -> &TensorInfo {
        &self.graph.value(value).info
    }

    /// A name, with the prefix, that no value has yet.
    fn unique(&mut self, name: &str) -> String {
        let wanted = format!("{}{name}", self.prefix);
        if self.graph.find_value(&wanted).is_none() {
            return wanted;
        }
        loop {
            let count = self.taken.entry(wanted.clone()).or_insert(0);
            *count += 1;
            let next = format!("{wanted}_{count}");
            if self.graph.find_value(&next).is_none() {
                return next;
            }
        }
    }

    fn value(&mut self, name: &str) -> ValueId {
        let name = self.unique(name);
        self.graph.intern(&name)
    }

    /// An input of the graph.
    pub(super) fn input(&mut self, name: &str, info: TensorInfo) -> Result<ValueId, LoadError> {
        self.limits.node()?;
        let id = self.value(name);
        self.graph.value_mut(id).info = info;
        self.graph.inputs.push(id);
        Ok(id)
    }

    /// A tensor that the file stores. Its contents are in `info` where they are small.
    pub(super) fn stored(
        &mut self,
        name: &str,
        info: TensorInfo,
        weight: Weight,
    ) -> Result<ValueId, LoadError> {
        self.limits.node()?;
        if info.dtype.is_none() {
            return Err(invalid(format!("tensor `{name}`"), "has an unknown element type"));
        }
        let id = self.value(name);
        let value = self.graph.value_mut(id);
        value.info = TensorInfo { constant: true, ..info };
        value.weight = Some(Box::new(weight));
        Ok(id)
    }

    /// A constant of the reader's own making.
    fn constant(&mut self, info: TensorInfo) -> Result<ValueId, LoadError> {
        let weight = Weight::of(&info);
        self.stored("constant", info, weight)
    }

    /// A list of integers, as shapes and axes are.
    pub(super) fn ints(&mut self, list: &[i64]) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::I64), vec![Dim::from(list.len())]);
        self.constant(info.with_value(list.iter().map(|n| Elem::Int(Dim::from(*n))).collect()))
    }

    /// One integer without axes.
    pub(super) fn int(&mut self, number: i64) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::I64), Vec::new());
        self.constant(info.with_value(vec![Elem::Int(Dim::from(number))]))
    }

    /// A list of `f32`.
    pub(super) fn floats(&mut self, list: &[f32]) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::F32), vec![Dim::from(list.len())]);
        self.constant(info.with_value(list.iter().map(|x| Elem::Float((*x).into())).collect()))
    }

    /// One `f32` without axes.
    pub(super) fn float(&mut self, number: f32) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::F32), Vec::new());
        self.constant(info.with_value(vec![Elem::Float(number.into())]))
    }

    /// A constant with this type, shape and contents.
    pub(super) fn small(&mut self, info: TensorInfo) -> Result<ValueId, LoadError> {
        self.constant(info)
    }

    /// A node with one output, which has the node's name.
    pub(super) fn one(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId, LoadError> {
        let output = self.value(name);
        self.push(name, op, inputs, vec![Some(output)])?;
        Ok(output)
    }

    /// A node with several outputs: of its name, and of its name and their number.
    pub(super) fn many(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: usize,
    ) -> Result<Vec<ValueId>, LoadError> {
        self.limits.repeat(if outputs > 64 { 64 * outputs } else { 0 })?;
        let mut made = Vec::new();
        for at in 0..outputs {
            let name = if at == 0 { name.to_owned() } else { format!("{name}:{at}") };
            made.push(self.value(&name));
        }
        self.push(name, op, inputs, made.iter().copied().map(Some).collect())?;
        Ok(made)
    }

    fn push(
        &mut self,
        name: &str,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: Vec<Option<ValueId>>,
    ) -> Result<(), LoadError> {
        self.limits.node()?;
        if !self.prefix.is_empty() {
            self.limits.expanded(1 + outputs.len(), self.prefix.len())?;
        }
        for (_, attr) in &op.attrs {
            if let Attr::Graph(body) = attr {
                for capture in body.captures.keys() {
                    self.graph.intern(capture);
                }
            }
        }
        let attrs = op.attrs.into_iter().map(|(name, attr)| (self.limits.shared(&name), attr));
        let attrs: Attrs = attrs.collect::<Vec<_>>().into_iter().collect();
        let node = Node {
            name: format!("{}{name}", self.prefix),
            op_type: self.limits.shared(&op.name),
            domain: self.limits.shared(&op.domain),
            opset: op.opset,
            inputs: inputs.to_vec(),
            outputs,
            attrs,
        };
        self.graph.push(node).map_err(|error| invalid("graph", error.to_string()))?;
        Ok(())
    }

    /// States what the file says of a value that a node makes.
    pub(super) fn hint(&mut self, value: ValueId, info: TensorInfo) {
        let made = self.graph.value_mut(value);
        if made.weight.is_none() {
            made.info = info;
        }
    }

    /// Writes nodes whose names have `label/` before them, as those of a function that is called.
    pub(super) fn inside<T>(
        &mut self,
        label: &str,
        write: impl FnOnce(&mut Self) -> Result<T, LoadError>,
    ) -> Result<T, LoadError> {
        self.deeper(label)?;
        let length = self.prefix.len();
        self.prefix.push_str(label);
        self.prefix.push('/');
        self.depth += 1;
        let written = write(self);
        self.depth -= 1;
        self.prefix.truncate(length);
        written
    }

    /// Leaves the prefix of functions aside, for what belongs to the whole model; `enter` takes it up again.
    pub(super) fn leave(&mut self) -> String {
        std::mem::take(&mut self.prefix)
    }

    /// Names get this prefix again.
    pub(super) fn enter(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    fn deeper(&mut self, label: &str) -> Result<(), LoadError> {
        if self.depth >= MAX_DEPTH {
            let place = format!("`{label}`");
            return Err(invalid(place, format!("calls nest deeper than {MAX_DEPTH}")));
        }
        self.limits.repeat(64 + label.len())
    }

    /// Writes the body of a node; `write` returns its outputs.
    pub(super) fn body(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Draft<'_>) -> Result<Vec<ValueId>, LoadError>,
    ) -> Result<Graph, LoadError> {
        self.deeper(name)?;
        let mut inner = Draft {
            graph: Graph::named(name),
            prefix: format!("{}{name}/", self.prefix),
            depth: self.depth + 1,
            body: true,
            taken: HashMap::new(),
            limits: self.limits,
        };
        inner.graph.outputs = write(&mut inner)?;
        inner.close()
    }

    /// In a body, the value of this whole name in a graph around it.
    pub(super) fn outer(&mut self, name: &str) -> ValueId {
        self.graph.intern(name)
    }

    /// The graph, whose outputs are these values under these names.
    pub(super) fn finish(mut self, outputs: &[(ValueId, &str)]) -> Result<Graph, LoadError> {
        let mut read: HashSet<ValueId> = HashSet::new();
        let bodies = self.graph.nodes.iter().flat_map(Node::subgraphs);
        let captured: HashSet<String> =
            bodies.flat_map(|(_, body)| body.captures.keys().cloned()).collect();
        for (value, name) in outputs {
            let output = self.output(*value, name, &captured, read.insert(*value))?;
            self.graph.outputs.push(output);
        }
        let graph = self.close()?;
        acyclic(&graph)?;
        Ok(graph)
    }

    /// The value under the name that an output has. What nodes make is renamed; inputs and weights, and what
    /// bodies know by its name, are passed on by a node.
    fn output(
        &mut self,
        value: ValueId,
        name: &str,
        captured: &HashSet<String>,
        first: bool,
    ) -> Result<ValueId, LoadError> {
        let own = self.graph.value(value);
        let passed = own.weight.is_some() || self.graph.inputs.contains(&value);
        if own.name == name && !passed && first {
            return Ok(value);
        }
        let free = self.graph.find_value(name).is_none();
        if free && first && !passed && own.producer.is_some() && !captured.contains(&own.name) {
            self.graph.rename(value, name);
            return Ok(value);
        }
        self.one(name, Op::onnx("Identity"), &[Some(value)])
    }

    /// Tells captured values from those that nothing makes.
    fn close(mut self) -> Result<Graph, LoadError> {
        let inputs: HashSet<ValueId> = self.graph.inputs.iter().copied().collect();
        let outputs: HashSet<ValueId> = self.graph.outputs.iter().copied().collect();
        let bodies = self.graph.nodes.iter().flat_map(Node::subgraphs);
        let captured: HashSet<ValueId> = bodies
            .flat_map(|(_, body)| body.captures.keys())
            .filter_map(|name| self.graph.find_value(name))
            .collect();
        for id in self.graph.value_ids() {
            let value = self.graph.value(id);
            let made = value.producer.is_some() || value.weight.is_some() || inputs.contains(&id);
            let used =
                !value.consumers.is_empty() || outputs.contains(&id) || captured.contains(&id);
            if made || !used {
                continue;
            }
            let name = value.name.clone();
            if !self.body {
                let message = "is read, and nothing makes it";
                return Err(invalid(format!("value `{name}`"), message));
            }
            self.graph.captures.insert(name, id);
        }
        Ok(self.graph)
    }
}

/// Refuses a graph whose nodes wait for each other.
pub(super) fn acyclic(graph: &Graph) -> Result<(), LoadError> {
    let Order::Cycle(ids) = Order::of(graph) else { return Ok(()) };
    let names: Vec<String> =
        ids.iter().take(8).map(|id| format!("`{}`", graph.node(*id).name)).collect();
    let more = if ids.len() > 8 { format!(" and {} more", ids.len() - 8) } else { String::new() };
    Err(invalid("graph", format!("nodes wait for each other: {}{more}", names.join(", "))))
}
