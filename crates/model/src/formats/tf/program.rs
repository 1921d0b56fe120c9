//! Graphs and functions of a file as one kind of thing: nodes that read other nodes and arguments by number.

use super::messages::{AttrEntry, AttrValue, FunctionDef, GraphDef, NodeDef, Shape, Tensor};
use super::ports::{Count, outputs};
use super::tensor::decoded;
use super::{dilation, flow};
use crate::formats::LoadError;
use crate::formats::error::invalid;
use crate::ir::DType;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// Steps that looking through bodies may take in all; a few bytes can ask for many.
const MAX_STEPS: usize = 20_000_000;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// An output of a node of the same body.
    Node(u32, u32),
    /// An argument of the body.
    Arg(u32),
    /// A node that is not in the file.
    Missing,
}

/// What a node does.
pub(super) struct Def {
    pub(super) name: String,
    pub(super) op: String,
    attrs: Vec<AttrEntry>,
    /// Of loops and branches that are made of nodes without functions.
    pub(super) inner: Vec<Arc<Body>>,
    /// Of a convolution that is spelt as one on blocks of a batch.
    pub(super) dilation: Option<dilation::Dilation>,
}

impl Def {
    /// A node of the reader's making.
    pub(super) fn made(name: &str, op: &str, inner: Vec<Arc<Body>>) -> Self {
        let (name, op) = (name.to_owned(), op.to_owned());
        Self { name, op, attrs: Vec::new(), inner, dilation: None }
    }

    /// The same node with another operator or a dilation.
    pub(super) fn changed(&self, op: &str, dilation: Option<dilation::Dilation>) -> Self {
        let (name, op) = (self.name.clone(), op.to_owned());
        Self { name, op, attrs: self.attrs.clone(), inner: self.inner.clone(), dilation }
    }

    /// The attribute `name`; none where it is absent or broken.
    fn attr(&self, name: &str) -> Option<AttrValue> {
        let entry = self.attrs.iter().rfind(|a| a.key == name)?;
        decoded(&entry.value).ok()
    }

    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.attr(name)?.i
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attr(name).and_then(|a| a.f).unwrap_or(default)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.attr(name).and_then(|a| a.b).unwrap_or(false)
    }

    pub(super) fn flag_or(&self, name: &str, default: bool) -> bool {
        self.attr(name).and_then(|a| a.b).unwrap_or(default)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(&self.attr(name)?.s?).into_owned())
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let list = self.attr(name).and_then(|a| a.list).map(|l| l.s).unwrap_or_default();
        list.iter().map(|s| String::from_utf8_lossy(s).into_owned()).collect()
    }

    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        Some(self.attr(name)?.list?.i)
    }

    pub(super) fn type_number(&self, name: &str) -> Option<i32> {
        self.attr(name)?.kind
    }

    pub(super) fn dtype(&self, name: &str) -> Option<DType> {
        super::tensor::dtype(self.type_number(name)?)
    }

    pub(super) fn types(&self, name: &str) -> Option<Vec<i32>> {
        Some(self.attr(name)?.list?.kinds)
    }

    pub(super) fn shape(&self, name: &str) -> Option<Shape> {
        self.attr(name)?.shape
    }

    pub(super) fn shapes(&self, name: &str) -> Vec<Shape> {
        self.attr(name).and_then(|a| a.list).map(|l| l.shapes).unwrap_or_default()
    }

    pub(super) fn tensor(&self, name: &str) -> Option<Tensor> {
        self.attr(name)?.tensor
    }

    pub(super) fn function(&self, name: &str) -> Option<String> {
        Some(self.attr(name)?.func?.name)
    }

    pub(super) fn functions(&self, name: &str) -> Vec<String> {
        let list = self.attr(name).and_then(|a| a.list).map(|l| l.funcs).unwrap_or_default();
        list.into_iter().map(|f| f.name).collect()
    }
}

/// A node of a body.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) def: Arc<Def>,
    pub(super) inputs: Vec<Source>,
    /// Nodes that must have run before.
    pub(super) controls: Vec<u32>,
}

/// A graph or a function.
#[derive(Default)]
pub(super) struct Body {
    pub(super) name: String,
    pub(super) nodes: Vec<Node>,
    /// The names of its arguments.
    pub(super) args: Vec<String>,
    pub(super) returns: Vec<Source>,
}

impl Body {
    pub(super) fn node(&self, id: u32) -> &Node {
        &self.nodes[index(id)]
    }
}

pub(super) fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

pub(super) fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The functions of a file.
pub(super) struct Library {
    functions: HashMap<String, FunctionDef>,
    bodies: HashMap<String, Arc<Body>>,
    steps: usize,
}

impl Library {
    pub(super) fn of(functions: &[Bytes]) -> Result<Self, LoadError> {
        let mut known = HashMap::new();
        for bytes in functions {
            let function: FunctionDef = decoded(bytes)?;
            let name = function.signature.as_ref().map(|s| s.name.clone()).unwrap_or_default();
            known.insert(name, function);
        }
        Ok(Self { functions: known, bodies: HashMap::new(), steps: 0 })
    }

    /// Whether an operator is a function of the file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name)
    }

    /// Counts work that a few bytes can ask for.
    pub(super) fn step(&mut self, count: usize) -> Result<(), LoadError> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > MAX_STEPS {
            return Err(invalid("graph", "its functions and branches are too entangled to follow"));
        }
        Ok(())
    }

    /// The body of a function.
    pub(super) fn body(&mut self, name: &str) -> Result<Arc<Body>, LoadError> {
        if let Some(known) = self.bodies.get(name) {
            return Ok(known.clone());
        }
        let Some(function) = self.functions.get(name) else {
            return Err(invalid(format!("function `{name}`"), "is called, and is not in the file"));
        };
        let mut body = function_body(name, function, &self.functions)?;
        self.prepare(&mut body)?;
        let body = Arc::new(body);
        self.bodies.insert(name.to_owned(), body.clone());
        Ok(body)
    }

    /// The body of a graph, without returns.
    pub(super) fn graph(&mut self, graph: &GraphDef) -> Result<Body, LoadError> {
        graph_body(graph, &self.functions)
    }

    /// Puts what is spelt in several nodes in terms of one.
    pub(super) fn prepare(&mut self, body: &mut Body) -> Result<(), LoadError> {
        flow::structure(body, self)?;
        dilation::fuse(body);
        Ok(())
    }
}

/// Nodes by their names, and the outputs of operators that no table knows, in the order in which they are read.
struct Names<'a> {
    nodes: HashMap<String, u32>,
    args: HashMap<&'a str, u32>,
    defs: Vec<Arc<Def>>,
    seen: HashMap<(u32, String), u32>,
    given: HashMap<u32, u32>,
    functions: &'a HashMap<String, FunctionDef>,
}

impl<'a> Names<'a> {
    fn new(functions: &'a HashMap<String, FunctionDef>) -> Self {
        Self {
            nodes: HashMap::new(),
            args: HashMap::new(),
            defs: Vec::new(),
            seen: HashMap::new(),
            given: HashMap::new(),
            functions,
        }
    }

    /// Takes up nodes, and gives the names of what they read.
    fn take(&mut self, nodes: &[Bytes]) -> Result<Vec<Vec<String>>, LoadError> {
        let mut inputs = Vec::with_capacity(nodes.len());
        for bytes in nodes {
            let node: NodeDef = decoded(bytes)?;
            let id = number(self.defs.len());
            if self.nodes.insert(node.name.clone(), id).is_some() {
                return Err(invalid(format!("node `{}`", node.name), "is defined twice"));
            }
            inputs.push(node.inputs);
            let NodeDef { name, op, attrs, .. } = node;
            self.defs.push(Arc::new(Def { name, op, attrs, inner: Vec::new(), dilation: None }));
        }
        Ok(inputs)
    }

    /// What a name in a graph stands for: `node` or `node:port`.
    fn in_graph(&self, name: &str) -> Source {
        if let Some(id) = self.nodes.get(name) {
            return Source::Node(*id, 0);
        }
        let found = name.rsplit_once(':').and_then(|(node, port)| {
            Some(Source::Node(*self.nodes.get(node)?, port.parse().ok()?))
        });
        found.unwrap_or(Source::Missing)
    }

    /// What a name in a function stands for: an argument, or `node:output:place`.
    fn in_function(&mut self, name: &str) -> Source {
        if let Some(arg) = self.args.get(name) {
            return Source::Arg(*arg);
        }
        let mut parts = name.rsplitn(3, ':');
        let (last, middle, first) = (parts.next(), parts.next(), parts.next());
        let (Some(place), Some(output), Some(node)) = (last, middle, first) else {
            return self.in_graph(name);
        };
        match (self.nodes.get(node).copied(), place.parse()) {
            (Some(id), Ok(place)) => Source::Node(id, self.port(id, output, place)),
            _ => Source::Missing,
        }
    }

    /// The number of an output by its name and its place among those of that name.
    fn port(&mut self, id: u32, output: &str, place: u32) -> u32 {
        let def = self.defs[index(id)].clone();
        let mut before = 0;
        if let Some(known) = outputs(&def.op) {
            for (name, count) in known {
                if name == output {
                    return place.saturating_add(before);
                }
                before = before.saturating_add(match count {
                    Count::One => 1,
                    Count::Number(attr) => {
                        def.int(attr).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
                    }
                    Count::Types(attr) => number(def.types(attr).unwrap_or_default().len()),
                });
            }
            return place;
        }
        if let Some(signature) = self.functions.get(&def.op).and_then(|f| f.signature.as_ref()) {
            let at = signature.outputs.iter().position(|o| o.name == output);
            return number(at.unwrap_or(0)).saturating_add(place);
        }
        // The order of outputs that nobody knows does not matter, only which are the same.
        let key = (id, format!("{output}:{place}"));
        if let Some(known) = self.seen.get(&key) {
            return *known;
        }
        let next = self.given.entry(id).or_insert(0);
        let port = *next;
        *next += 1;
        self.seen.insert(key, port);
        port
    }

    /// The nodes, with what they read resolved.
    fn resolved(
        &mut self,
        inputs: &[Vec<String>],
        resolve: impl Fn(&mut Self, &str) -> Source,
    ) -> Vec<Node> {
        let mut nodes = Vec::with_capacity(inputs.len());
        for (at, names) in inputs.iter().enumerate() {
            let (mut data, mut controls) = (Vec::with_capacity(names.len()), Vec::new());
            for name in names {
                match name.strip_prefix('^') {
                    Some(control) => controls.extend(self.nodes.get(control).copied()),
                    None => data.push(resolve(self, name)),
                }
            }
            nodes.push(Node { def: self.defs[at].clone(), inputs: data, controls });
        }
        nodes
    }
}

fn graph_body(
    graph: &GraphDef,
    functions: &HashMap<String, FunctionDef>,
) -> Result<Body, LoadError> {
    let mut names = Names::new(functions);
    let inputs = names.take(&graph.nodes)?;
    let nodes = names.resolved(&inputs, |names, name| names.in_graph(name));
    Ok(Body { nodes, ..Body::default() })
}

fn function_body(
    name: &str,
    function: &FunctionDef,
    functions: &HashMap<String, FunctionDef>,
) -> Result<Body, LoadError> {
    let mut names = Names::new(functions);
    let signature = function.signature.clone().unwrap_or_default();
    for (at, arg) in signature.inputs.iter().enumerate() {
        names.args.insert(&arg.name, number(at));
    }
    let inputs = names.take(&function.nodes)?;
    let nodes = names.resolved(&inputs, Names::in_function);
    let results: HashMap<&str, &str> =
        function.returns.iter().map(|r| (r.key.as_str(), r.value.as_str())).collect();
    let returns = signature.outputs.iter().map(|output| match results.get(output.name.as_str()) {
        Some(name) => names.in_function(name),
        None => Source::Missing,
    });
    let returns = returns.collect();
    let args = signature.inputs.iter().map(|arg| arg.name.clone()).collect();
    Ok(Body { name: name.to_owned(), nodes, args, returns })
}
