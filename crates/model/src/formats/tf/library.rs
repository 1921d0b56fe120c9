//! The functions of a file, each made a body when it is asked for.

use super::messages::{FunctionDef, GraphDef, NodeDef};
use super::ports::{Count, outputs};
use super::program::{Body, Def, Node, Source, Steps, index, number};
use super::tensor::decoded;
use super::{dilation, flow};
use crate::formats::LoadError;
use crate::formats::error::invalid;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// The functions of a file.
pub(super) struct Library {
    functions: HashMap<String, FunctionDef>,
    bodies: HashMap<String, Arc<Body>>,
    /// Work on all bodies so far.
    pub(super) steps: Steps,
}

impl Library {
    pub(super) fn of(functions: &[Bytes]) -> Result<Self, LoadError> {
        let mut known = HashMap::new();
        for bytes in functions {
            let function: FunctionDef = decoded(bytes)?;
            let name = function.signature.as_ref().map(|s| s.name.clone()).unwrap_or_default();
            known.insert(name, function);
        }
        Ok(Self { functions: known, bodies: HashMap::new(), steps: Steps::default() })
    }

    /// Whether an operator is a function of the file.
    pub(super) fn has(&self, name: &str) -> bool {
        self.functions.contains_key(name)
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
        flow::structure(body, &mut self.steps)?;
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
            let mut node: NodeDef = decoded(bytes)?;
            let id = number(self.defs.len());
            if self.nodes.insert(node.name.clone(), id).is_some() {
                return Err(invalid(format!("node `{}`", node.name), "is defined twice"));
            }
            inputs.push(std::mem::take(&mut node.inputs));
            self.defs.push(Arc::new(Def::of(node)));
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
