//! From messages to the graph.

use super::messages::{
    AttributeProto, FunctionProto, GraphProto, InnerType, ModelProto, NodeProto, Size, TensorProto,
    TypeProto, ValueInfo,
};
use super::{blocks, constants, offsets, tensor};
use crate::dim::Dim;
use crate::formats::checked::{checked_dim, checked_rank};
use crate::formats::draft::acyclic;
use crate::formats::error::{invalid, malformed};
use crate::formats::limits::{Limits, MAX_DEPTH, MAX_NODES};
use crate::formats::{Given, LoadError, LoadErrorKind};
use crate::ir::{Attr, Attrs, DType, Graph, Model, Node, Sequence, TensorInfo, Weight};
use bytes::Bytes;
use prost::Message;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// What holds for the whole file while its graph is built.
struct Builder<'a> {
    /// By domain, name and overload.
    functions: HashMap<(&'a str, &'a str, &'a str), &'a FunctionProto>,
    folder: Option<&'a Path>,
    /// Inputs whose shape others will set.
    given: &'a Given<'a>,
    limits: Limits,
}

/// What a name means where a node stands: inside a function, names are its own.
struct Scope<'a> {
    opsets: BTreeMap<String, i64>,
    /// Put before the names of an inlined function's values and nodes.
    prefix: String,
    /// The caller's names of the function's inputs and outputs; empty for an absent input.
    bound: HashMap<&'a str, String>,
    /// Attributes that the function's nodes may refer to.
    attrs: BTreeMap<&'a str, Attr>,
    depth: usize,
}

impl Scope<'_> {
    fn name(&self, name: &str) -> String {
        match self.bound.get(name) {
            Some(outer) => outer.clone(),
            None if name.is_empty() || self.prefix.is_empty() => name.to_owned(),
            None => format!("{}{name}", self.prefix),
        }
    }
}

/// Builds the model of a decoded file.
pub(super) fn model(
    proto: &ModelProto,
    graph: &GraphProto,
    folder: Option<&Path>,
    given: &Given<'_>,
    file_bytes: usize,
) -> Result<Model, LoadError> {
    let mut builder = Builder {
        functions: proto
            .functions
            .iter()
            .map(|f| ((plain_domain(&f.domain), f.name.as_str(), f.overload.as_str()), f))
            .collect(),
        folder,
        given,
        limits: Limits::of(file_bytes),
    };
    let scope = Scope {
        opsets: opsets(&proto.opset_import),
        prefix: String::new(),
        bound: HashMap::new(),
        attrs: BTreeMap::new(),
        depth: 0,
    };
    let mut built = builder.graph(graph, &scope)?;
    constants::mark(&mut built);
    builder.limits.diagnostics.extend(blocks::mark(&mut built));
    acyclic(&built)?;
    Ok(Model {
        graph: built,
        format: format!("ONNX IR {}", proto.ir_version),
        producer: format!("{} {}", proto.producer_name, proto.producer_version).trim().to_owned(),
        opsets: scope.opsets,
        diagnostics: builder.limits.diagnostics,
        ..Model::default()
    })
}

/// A message that was left as bytes until now.
fn decoded<M: Message + Default>(bytes: &Bytes) -> Result<M, LoadError> {
    M::decode(bytes.clone()).map_err(|error| malformed(super::NAME, error.to_string()))
}

/// Makes a stored tensor of the value of this name.
fn store(
    graph: &mut Graph,
    scope: &Scope<'_>,
    name: &str,
    info: TensorInfo,
    weight: Weight,
) -> Result<(), LoadError> {
    if info.dtype.is_none() {
        return Err(invalid(format!("tensor `{name}`"), "has an unknown element type"));
    }
    let id = graph.intern(&scope.name(name));
    let value = graph.value_mut(id);
    value.weight = Some(Box::new(weight));
    value.info = info;
    Ok(())
}

fn plain_domain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}

fn opsets(imports: &[super::messages::OperatorSetId]) -> BTreeMap<String, i64> {
    imports.iter().map(|o| (plain_domain(&o.domain).to_owned(), o.version)).collect()
}

impl Builder<'_> {
    fn graph(&mut self, proto: &GraphProto, scope: &Scope<'_>) -> Result<Graph, LoadError> {
        let nodes = proto.node.len().min(MAX_NODES);
        let mut graph = Graph::with_room(&proto.name, nodes, proto.initializer.len());
        for tensor in &proto.initializer {
            self.initializer(&mut graph, &decoded(tensor)?, scope)?;
        }
        for tensor in &proto.sparse_initializer {
            let name = tensor.values.as_ref().map_or("", |values| &values.name);
            let (info, weight) = tensor::sparse(tensor)?;
            store(&mut graph, scope, name, info, weight)?;
        }
        for (at, input) in proto.input.iter().enumerate() {
            let id = graph.intern(&scope.name(&input.name));
            // Until IR version 4 every initialiser was listed as an input too.
            if graph.value(id).weight.is_none() {
                graph.value_mut(id).info = declared(input, Some(at), self.given)?;
                graph.inputs.push(id);
            }
        }
        for value in proto.value_info.iter().chain(&proto.output) {
            let id = graph.intern(&scope.name(&value.name));
            let value_mut = graph.value_mut(id);
            if value_mut.weight.is_none() && value_mut.info == TensorInfo::default() {
                value_mut.info = declared(value, None, self.given)?;
            }
        }
        for node in &proto.node {
            self.node(&mut graph, &decoded(node)?, scope)?;
        }
        for output in &proto.output {
            let id = graph.intern(&scope.name(&output.name));
            graph.outputs.push(id);
        }
        let inputs: HashSet<_> = graph.inputs.iter().copied().collect();
        let bodies = graph.nodes.iter().flat_map(Node::subgraphs).map(|(_, body)| body);
        let captured = bodies.flat_map(|b| b.captures.keys()).filter_map(|n| graph.find_value(n));
        let read: HashSet<_> = graph.outputs.iter().copied().chain(captured).collect();
        for id in graph.value_ids() {
            let value = graph.value(id);
            let made = value.producer.is_some() || value.weight.is_some() || inputs.contains(&id);
            let used = !value.consumers.is_empty() || read.contains(&id);
            if !made && used {
                if scope.depth == 0 {
                    let message = "is read, and nothing makes it".to_owned();
                    return Err(invalid(format!("value `{}`", value.name), message));
                }
                let name = value.name.clone();
                graph.captures.insert(name, id);
            }
        }
        Ok(graph)
    }

    fn initializer(
        &mut self,
        graph: &mut Graph,
        tensor: &TensorProto,
        scope: &Scope<'_>,
    ) -> Result<(), LoadError> {
        let info = tensor::info(tensor, self.folder)?;
        let weight = Weight {
            external: tensor.data_location == 1,
            distinct: offsets::distinct(tensor),
            ..Weight::of(&info)
        };
        store(graph, scope, &tensor.name, info, weight)
    }

    fn node(
        &mut self,
        graph: &mut Graph,
        proto: &NodeProto,
        scope: &Scope<'_>,
    ) -> Result<(), LoadError> {
        let domain = plain_domain(&proto.domain);
        let called = (domain, proto.op_type.as_str(), proto.overload.as_str());
        if let Some(function) = self.functions.get(&called).copied() {
            return self.inline(graph, proto, function, scope);
        }
        // A sparse constant is stored like a sparse initialiser.
        let sparse = proto.attribute.iter().find_map(|a| a.sparse.as_ref());
        if let (Some(tensor), Some(output), "Constant") =
            (sparse, proto.output.first(), proto.op_type.as_str())
        {
            let (info, weight) = tensor::sparse(tensor)?;
            return store(graph, scope, output, info, weight);
        }
        self.limits.node()?;
        if !scope.prefix.is_empty() {
            let names = 1 + proto.input.len() + proto.output.len();
            self.limits.expanded(names, scope.prefix.len())?;
        }
        let name = if proto.name.is_empty() {
            format!("{}{}_{}", scope.prefix, proto.op_type, graph.nodes.len())
        } else {
            format!("{}{}", scope.prefix, proto.name)
        };
        let attrs = self.attrs(&proto.attribute, scope)?;
        let mut port = |name: &String| {
            let name = scope.name(name);
            (!name.is_empty()).then(|| graph.intern(&name))
        };
        let inputs: Vec<_> = proto.input.iter().map(&mut port).collect();
        let outputs: Vec<_> = proto.output.iter().map(&mut port).collect();
        for (_, attr) in attrs.iter() {
            if let Attr::Graph(body) = attr {
                for capture in body.captures.keys() {
                    graph.intern(capture);
                }
            }
        }
        let opset = scope.opsets.get(domain).copied().unwrap_or(1);
        let (op_type, domain) = (self.limits.shared(&proto.op_type), self.limits.shared(domain));
        let node = Node { name, op_type, domain, opset, inputs, outputs, attrs };
        graph.push(node).map_err(|error| invalid("graph", error.to_string()))?;
        Ok(())
    }

    /// Puts the nodes of a local function where it is called.
    fn inline(
        &mut self,
        graph: &mut Graph,
        call: &NodeProto,
        function: &FunctionProto,
        outer: &Scope<'_>,
    ) -> Result<(), LoadError> {
        if outer.depth >= MAX_DEPTH {
            let place = format!("function `{}`", function.name);
            return Err(invalid(place, format!("calls nest deeper than {MAX_DEPTH}")));
        }
        let ports = function.input.len() + function.output.len();
        self.limits
            .repeat(64 + 16 * ports + 32 * (outer.opsets.len() + function.opset_import.len()))?;
        let mut bound = HashMap::new();
        for (i, formal) in function.input.iter().enumerate() {
            let actual = call.input.get(i).map_or(String::new(), |name| outer.name(name));
            bound.insert(formal.as_str(), actual);
        }
        let label = if call.name.is_empty() {
            format!("{}_{}", call.op_type, graph.nodes.len())
        } else {
            call.name.clone()
        };
        for (formal, actual) in function.output.iter().zip(&call.output) {
            if !actual.is_empty() {
                bound.insert(formal.as_str(), outer.name(actual));
            }
        }
        let mut attrs = BTreeMap::new();
        for attribute in function.attribute_proto.iter().chain(&call.attribute) {
            let attr = self.attr(attribute, outer)?;
            self.limits.repeat(bytes(&attr))?;
            attrs.insert(attribute.name.as_str(), attr);
        }
        let mut own = opsets(&function.opset_import);
        for (domain, version) in &outer.opsets {
            own.entry(domain.clone()).or_insert(*version);
        }
        let scope = Scope {
            opsets: own,
            prefix: format!("{}{label}/", outer.prefix),
            bound,
            attrs,
            depth: outer.depth + 1,
        };
        for node in &function.node {
            self.node(graph, node, &scope)?;
        }
        Ok(())
    }

    fn attrs(&mut self, protos: &[AttributeProto], scope: &Scope<'_>) -> Result<Attrs, LoadError> {
        let mut attrs = Vec::with_capacity(protos.len());
        for proto in protos {
            let name = self.limits.shared(&proto.name);
            if proto.ref_attr_name.is_empty() {
                attrs.push((name, self.attr(proto, scope)?));
            } else if let Some(outer) = scope.attrs.get(proto.ref_attr_name.as_str()) {
                self.limits.repeat(bytes(outer))?;
                attrs.push((name, outer.clone()));
            }
        }
        Ok(attrs.into_iter().collect())
    }

    fn attr(&mut self, proto: &AttributeProto, scope: &Scope<'_>) -> Result<Attr, LoadError> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        Ok(match kind(proto) {
            1 => Attr::Float(proto.f),
            2 => Attr::Int(proto.i),
            3 => Attr::Str(text(&proto.s)),
            4 => match &proto.t {
                Some(tensor) => Attr::Tensor(tensor::info(tensor, self.folder)?),
                None => Attr::Other,
            },
            5 => match &proto.g {
                Some(_) if scope.depth >= MAX_DEPTH => {
                    return Err(invalid("graph", format!("bodies nest deeper than {MAX_DEPTH}")));
                }
                Some(graph) => Attr::Graph(Box::new(self.body(graph, scope)?)),
                None => Attr::Other,
            },
            6 => Attr::Floats(proto.floats.clone()),
            7 => Attr::Ints(proto.ints.clone()),
            8 => Attr::Strs(proto.strings.iter().map(text).collect()),
            _ => Attr::Other,
        })
    }

    fn body(&mut self, graph: &GraphProto, scope: &Scope<'_>) -> Result<Graph, LoadError> {
        let inner = Scope {
            opsets: scope.opsets.clone(),
            prefix: scope.prefix.clone(),
            bound: scope.bound.clone(),
            attrs: scope.attrs.clone(),
            depth: scope.depth + 1,
        };
        self.graph(graph, &inner)
    }
}

/// About as many bytes as a copy of an attribute takes.
fn bytes(attr: &Attr) -> usize {
    const EACH: usize = 64;
    EACH + match attr {
        Attr::Str(text) => text.len(),
        Attr::Ints(list) => 8 * list.len(),
        Attr::Floats(list) => 4 * list.len(),
        Attr::Strs(list) => list.iter().map(|text| EACH + text.len()).sum(),
        Attr::Graph(graph) => {
            let nodes = graph.nodes.iter().map(|n| {
                let attrs: usize = n.attrs.iter().map(|(_, attr)| bytes(attr)).sum();
                EACH * (4 + n.inputs.len() + n.outputs.len()) + attrs
            });
            nodes.sum::<usize>() + EACH * 4 * graph.values.len()
        }
        Attr::Int(_) | Attr::Float(_) | Attr::Tensor(_) | Attr::Other => 0,
    }
}

/// The attribute's type; writers before IR version 2 left it out.
fn kind(proto: &AttributeProto) -> i32 {
    match proto.kind {
        0 if proto.t.is_some() => 4,
        0 if proto.g.is_some() => 5,
        0 if !proto.ints.is_empty() => 7,
        0 if !proto.floats.is_empty() => 6,
        0 if !proto.strings.is_empty() => 8,
        0 if !proto.s.is_empty() => 3,
        0 if proto.f != 0.0 => 1,
        0 => 2,
        kind => kind,
    }
}

/// What the file says of a value. Sizes that an input leaves open become symbols of their own.
/// `input` is which input it is, where it is one.
fn declared(
    value: &ValueInfo,
    input: Option<usize>,
    given: &Given<'_>,
) -> Result<TensorInfo, LoadError> {
    let open = input.map_or(!given.is_empty(), |at| given.holds(&value.name, at));
    match &value.kind {
        Some(kind) => typed(kind, &value.name, input.is_some(), open),
        None => Ok(TensorInfo::default()),
    }
}

/// `open` says that a size of −1 means any.
fn typed(kind: &TypeProto, name: &str, input: bool, open: bool) -> Result<TensorInfo, LoadError> {
    let inner = |inner: &InnerType| match &inner.element {
        Some(element) => typed(element, name, false, open),
        None => Ok(TensorInfo::default()),
    };
    if let Some(sequence) = &kind.sequence {
        let length = Dim::symbol(&format!("{name}.length"));
        let element = inner(sequence)?;
        return Ok(Sequence { elements: None, element, length }.into());
    }
    if let Some(optional) = &kind.optional {
        return inner(optional);
    }
    let Some(tensor) = kind.tensor.as_ref().or(kind.sparse.as_ref()) else {
        return Ok(TensorInfo::default());
    };
    let dtype = DType::from_onnx(tensor.elem_type);
    let Some(shape) = &tensor.shape else {
        return Ok(TensorInfo { dtype, ..TensorInfo::default() });
    };
    checked_rank(name, shape.dim.len())?;
    let mut dims = Vec::with_capacity(shape.dim.len());
    for (axis, dim) in shape.dim.iter().enumerate() {
        dims.push(match &dim.size {
            Some(Size::Value(-1)) if input && !open => {
                let place = format!("tensor `{name}`");
                return Err(LoadErrorKind::Open { place, axis }.into());
            }
            Some(Size::Value(size)) if *size != -1 || !open => checked_dim(name, axis, *size)?,
            Some(Size::Param(text)) if !text.trim().is_empty() => symbol(text.trim()),
            _ if input => Dim::symbol(&format!("{name}.{axis}")),
            _ => return Ok(TensorInfo { dtype, ..TensorInfo::default() }),
        });
    }
    Ok(TensorInfo::new(dtype, dims))
}

/// A named size. Exporters also write formulas (`past + 1`); a bare name is taken whole.
fn symbol(text: &str) -> Dim {
    let formula = text.contains(['+', '*', '/', '(']) || text.contains(" - ");
    match text.parse() {
        Ok(dim) if formula => dim,
        _ => Dim::symbol(text),
    }
}
