//! Evaluation of an exported graph: its nodes in order, each by its row.

use super::super::super::draft::Op;
use super::super::aten::{self, Args};
use super::super::numbers;
use super::super::site::{Site, body};
use super::super::value::{Fault, Kind, Lowered, Tensor, Value, unable};
use super::program::{Argument, Graph, Meta, Named, Node, Optional, Symbolic};
use crate::ir::DType;
use std::collections::HashMap;

/// Graphs inside graphs.
const MAX_NESTING: usize = 16;

/// A graph while it is evaluated.
pub(super) struct Run<'p> {
    graph: &'p Graph,
    values: HashMap<&'p str, Value>,
    depth: usize,
}

impl<'p> Run<'p> {
    /// Of a graph whose inputs are to be set.
    pub(super) fn new(graph: &'p Graph) -> Self {
        Self { graph, values: HashMap::new(), depth: 0 }
    }

    /// What the file says of a tensor.
    pub(super) fn meta(&self, name: &str) -> Option<&'p Meta> {
        self.graph.tensor_values.get(name)
    }

    /// A value.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Sets an input.
    pub(super) fn set(&mut self, name: &'p str, value: Value) {
        self.values.insert(name, value);
    }

    /// Evaluates all nodes.
    pub(super) fn nodes(&mut self, site: &mut Site<'_, '_>, graph: &'p Graph) -> Lowered<()> {
        for node in &graph.nodes {
            self.node(site, node)?;
        }
        Ok(())
    }

    fn node(&mut self, site: &mut Site<'_, '_>, node: &'p Node) -> Lowered<()> {
        let target = node.target.strip_prefix("torch.ops.").unwrap_or(&node.target);
        let mut parts = target.split('.');
        let (domain, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if domain == "higher_order" {
            return self.higher(site, node, name);
        }
        let made = match self.arguments(node) {
            Ok(arguments) => Self::made(site, domain, name, &arguments, node)?,
            // It reads what is not followed.
            Err(Fault::Unable(why)) => {
                let whole = format!("{domain}::{name}");
                aten::unknown(site, &whole, &Args::of(Vec::new()), Some(&why), count(node))?
            }
            Err(error) => return Err(error),
        };
        self.outputs(site, node, made)
    }

    /// What a node makes.
    fn made(
        site: &mut Site<'_, '_>,
        domain: &str,
        name: &str,
        arguments: &Args,
        node: &Node,
    ) -> Lowered<Value> {
        let plain: Vec<Value> = arguments.named.iter().map(|(_, value)| value.clone()).collect();
        match (domain, name) {
            ("_operator", "getitem") => {
                let (Some(list), Some(at)) = (plain.first(), plain.get(1).and_then(Value::as_int))
                else {
                    return unable("an element that is not known is taken");
                };
                let at = usize::try_from(at).unwrap_or(usize::MAX);
                let found = list.members().and_then(|members| members.get(at).cloned());
                return found.map_or_else(|| unable("an element is not there"), Ok);
            }
            ("_operator" | "math" | "torch" | "builtins", _) => {
                let name = match name {
                    "truediv" | "int_oo_truediv" => "div",
                    "sym_float" => "float",
                    "sym_int" => "int",
                    "sym_not" => "__not__",
                    "and_" => "__and__",
                    "or_" => "__or__",
                    "sym_sqrt" | "_sym_sqrt" => "sqrt",
                    other => other,
                };
                return numbers::needed(site, name, &plain);
            }
            ("aten", name) => {
                if let Some(value) = asked(site, name, &plain)? {
                    return Ok(value);
                }
            }
            _ => {}
        }
        let whole = if domain == "aten" { name.to_owned() } else { format!("{domain}::{name}") };
        let (value, why) = match aten::known(site, &whole, arguments) {
            Ok(Some(value)) => (Some(value), None),
            Ok(None) => (None, None),
            Err(Fault::Unable(why)) => (None, Some(why)),
            Err(error) => return Err(error),
        };
        if let Some(value) = value {
            return Ok(value);
        }
        aten::unknown(site, &whole, arguments, why.as_deref(), count(node))
    }

    /// Names what a node has made, and states what the file says of it.
    fn outputs(&mut self, site: &mut Site<'_, '_>, node: &'p Node, made: Value) -> Lowered<()> {
        if let [only] = &node.outputs[..] {
            if let Argument::Tensors(list) = only {
                let made = parts(site, &made, list.len())?;
                return self.all(site, list, made);
            }
            let made = match made.members() {
                Some(members) => members.into_iter().next().unwrap_or(Value::None),
                None => made,
            };
            return self.name(site, only, made);
        }
        let made = parts(site, &made, node.outputs.len())?;
        for (output, value) in node.outputs.iter().zip(made) {
            match output {
                Argument::Tensors(list) => {
                    let inner = parts(site, &value, list.len())?;
                    self.all(site, list, inner)?;
                }
                output => self.name(site, output, value)?,
            }
        }
        Ok(())
    }

    fn all(&mut self, site: &mut Site<'_, '_>, list: &'p [Named], made: Vec<Value>) -> Lowered<()> {
        for (named, value) in list.iter().zip(made) {
            self.stated(site, &named.name, value)?;
        }
        Ok(())
    }

    fn name(&mut self, site: &mut Site<'_, '_>, output: &'p Argument, value: Value) -> Lowered<()> {
        match output.name() {
            Some(name) => self.stated(site, name, value),
            None => Ok(()),
        }
    }

    fn stated(&mut self, site: &mut Site<'_, '_>, name: &'p str, value: Value) -> Lowered<()> {
        if let (Value::Tensor(tensor), Some(meta)) = (&value, self.meta(name)) {
            let info = super::info(meta);
            let rank = Some(meta.sizes.len());
            let dtype = info.dtype;
            let at = tensor.known().at.id;
            let id = site.id(tensor)?;
            if id == at && site.draft.info(id).shape.is_none() {
                site.draft.hint(id, info);
            }
            tensor.change(|known| {
                known.rank = rank;
                known.dtype = dtype.or(known.dtype);
            });
        }
        self.values.insert(name, value);
        Ok(())
    }

    fn arguments(&self, node: &'p Node) -> Lowered<Args> {
        let mut named = Vec::new();
        for input in &node.inputs {
            named.push((input.name.as_str().into(), self.argument(&input.arg)?));
        }
        Ok(Args { positional: Vec::new(), named })
    }

    fn read(&self, name: &str) -> Lowered<Value> {
        match self.values.get(name) {
            Some(Value::Absent(why)) => unable(*why),
            Some(value) => Ok(value.clone()),
            None => unable(format!("`{name}` is read, and nothing makes it")),
        }
    }

    fn symbolic(&self, value: &Symbolic) -> Lowered<Value> {
        Ok(match value {
            Symbolic::Name(name) => self.read(name)?,
            Symbolic::Int(number) => Value::Int(*number),
            Symbolic::Float(number) => Value::Float(number.0),
            Symbolic::Bool(truth) => Value::Bool(*truth),
        })
    }

    fn argument(&self, argument: &Argument) -> Lowered<Value> {
        Ok(match argument {
            Argument::Tensor(named) | Argument::OptionalTensor(Optional::Tensor(named)) => {
                self.read(&named.name)?
            }
            Argument::Tensors(list) => {
                let all: Lowered<Vec<Value>> =
                    list.iter().map(|named| self.read(&named.name)).collect();
                Value::list(all?)
            }
            Argument::OptionalTensors(list) => {
                let all: Lowered<Vec<Value>> = list
                    .iter()
                    .map(|each| match each {
                        Optional::Tensor(named) => self.read(&named.name),
                        Optional::None(_) => Ok(Value::None),
                    })
                    .collect();
                Value::list(all?)
            }
            Argument::Int(number) => Value::Int(*number),
            Argument::Ints(list) => Value::ints(list),
            Argument::Float(number) => Value::Float(number.0),
            Argument::Floats(list) => {
                Value::list(list.iter().map(|number| Value::Float(number.0)).collect())
            }
            Argument::Text(text) => Value::Text(text.as_str().into()),
            Argument::Bool(truth) => Value::Bool(*truth),
            Argument::Bools(list) => Value::list(list.iter().copied().map(Value::Bool).collect()),
            Argument::SymInt(value) | Argument::SymFloat(value) | Argument::SymBool(value) => {
                self.symbolic(value)?
            }
            Argument::SymInts(list) | Argument::SymFloats(list) | Argument::SymBools(list) => {
                let all: Lowered<Vec<Value>> =
                    list.iter().map(|each| self.symbolic(each)).collect();
                Value::list(all?)
            }
            Argument::Type(number) => super::torch_number(*number).map_or(Value::None, Value::Int),
            Argument::IntLists(lists) => {
                Value::list(lists.iter().map(|list| Value::ints(list)).collect())
            }
            _ => Value::None,
        })
    }

    /// Operators with graphs as arguments.
    fn higher(&mut self, site: &mut Site<'_, '_>, node: &'p Node, name: &str) -> Lowered<()> {
        let mut graphs = Vec::new();
        let mut values = Vec::new();
        for input in &node.inputs {
            match &input.arg {
                Argument::Graph(inner) => graphs.push(&inner.graph),
                argument => values.push(self.argument(argument)?),
            }
        }
        let flat: Vec<Value> = values
            .iter()
            .flat_map(|value| value.members().unwrap_or_else(|| vec![value.clone()]))
            .filter(|value| matches!(value, Value::Tensor(_) | Value::Number(..) | Value::Int(_)))
            .collect();
        let made = match (name, &graphs[..]) {
            ("cond", [yes, no]) => {
                let Some((condition, operands)) = flat.split_first() else {
                    return unable("a branch without a condition");
                };
                self.branch(site, condition, [yes, no], operands)?
            }
            ("while_loop", [condition, step]) => self.rounds(site, condition, step, &flat)?,
            ("scan" | "map_impl" | "associative_scan" | "map", _) | (_, []) => {
                let arguments = Args::of(flat);
                let whole = format!("higher_order::{name}");
                aten::unknown(site, &whole, &arguments, None, count(node))?
            }
            (_, [inner, ..]) => {
                // Flags before the graph are no inputs of it.
                let count = inner.inputs.len();
                let operands = flat.get(flat.len().saturating_sub(count)..).unwrap_or_default();
                Value::tuple(self.inner(site, inner, operands)?)
            }
        };
        self.outputs(site, node, made)
    }

    /// The outputs of a graph on these inputs.
    fn inner(
        &self,
        site: &mut Site<'_, '_>,
        graph: &'p Graph,
        inputs: &[Value],
    ) -> Lowered<Vec<Value>> {
        if self.depth >= MAX_NESTING {
            return unable("graphs nest too deep");
        }
        let mut run = Run { graph, values: HashMap::new(), depth: self.depth + 1 };
        for (argument, value) in graph.inputs.iter().zip(inputs) {
            if let Some(name) = argument.name() {
                run.set(name, value.clone());
            }
        }
        run.nodes(site, graph)?;
        graph.outputs.iter().map(|output| run.argument(output)).collect()
    }

    fn branch(
        &self,
        site: &mut Site<'_, '_>,
        condition: &Value,
        graphs: [&&'p Graph; 2],
        operands: &[Value],
    ) -> Lowered<Value> {
        let condition = site.number(condition)?;
        let mut bodies = Vec::new();
        let mut like: Vec<(Option<usize>, Option<DType>)> = Vec::new();
        for graph in graphs {
            let mut known = Vec::new();
            bodies.push(site.within("branch", |site| {
                let made = self.inner(site, graph, operands)?;
                outputs(site, &made, &mut known)
            })?);
            like = known;
        }
        let mut bodies = bodies.into_iter();
        let (Some(yes), Some(no)) = (bodies.next(), bodies.next()) else {
            return unable("a branch has no graph");
        };
        let op = Op::onnx("If").with("then_branch", body(yes)).with("else_branch", body(no));
        let made = site.several(op, &[Some(&condition)], like.len())?;
        Ok(Value::tensors(typed(made, &like)))
    }

    fn rounds(
        &self,
        site: &mut Site<'_, '_>,
        condition: &'p Graph,
        step: &'p Graph,
        operands: &[Value],
    ) -> Lowered<Value> {
        let count = step.outputs.len().min(operands.len());
        let (carried, more) = operands.split_at(count);
        let first = self.inner(site, condition, operands)?;
        let Some(first) = first.first() else { return unable("a loop without a condition") };
        let first = site.number(first)?;
        let mut inputs = vec![None, Some(first)];
        for value in carried {
            inputs.push(Some(site.number(value)?));
        }
        let like: Vec<(Option<usize>, Option<DType>)> =
            inputs.iter().skip(2).flatten().map(|tensor| (tensor.rank(), tensor.dtype())).collect();
        let graph = site.within("loop", |site| {
            let scalar =
                |dtype| crate::ir::TensorInfo::new(Some(dtype), Vec::<crate::dim::Dim>::new());
            site.draft.input("trip", scalar(DType::I64))?;
            site.draft.input("condition", scalar(DType::Bool))?;
            let mut own = Vec::new();
            for (rank, dtype) in &like {
                let info = crate::ir::TensorInfo { dtype: *dtype, ..Default::default() };
                let id = site.draft.input("carried", info)?;
                own.push(Value::Tensor(site.tensor(id).ranked(*rank).typed(*dtype)));
            }
            let all: Vec<Value> = own.into_iter().chain(more.iter().cloned()).collect();
            let mut made = self.inner(site, step, &all)?;
            made.truncate(count);
            let next: Vec<Value> = made.iter().cloned().chain(more.iter().cloned()).collect();
            let again = self.inner(site, condition, &next)?;
            let again: Vec<Value> = again.into_iter().take(1).chain(made).collect();
            outputs(site, &again, &mut Vec::new())
        })?;
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Option::as_ref).collect();
        let made = site.several(Op::onnx("Loop").with("body", body(graph)), &inputs, count)?;
        Ok(Value::tensors(typed(made, &like)))
    }
}

/// How many values a node makes.
fn count(node: &Node) -> usize {
    let outputs = node.outputs.iter().map(|output| match output {
        Argument::Tensors(list) => list.len(),
        _ => 1,
    });
    outputs.sum()
}

fn typed(made: Vec<Tensor>, like: &[(Option<usize>, Option<DType>)]) -> Vec<Tensor> {
    made.into_iter()
        .zip(like)
        .map(|(made, (rank, dtype))| made.ranked(*rank).typed(*dtype))
        .collect()
}

/// The outputs of a body.
fn outputs(
    site: &mut Site<'_, '_>,
    made: &[Value],
    known: &mut Vec<(Option<usize>, Option<DType>)>,
) -> Lowered<Vec<crate::ir::ValueId>> {
    let mut ids = Vec::new();
    for value in made {
        let tensor = site.number(value)?;
        let passed = site.unary(Op::onnx("Identity"), &tensor)?;
        known.push((tensor.rank(), tensor.dtype()));
        ids.push(site.id(&passed)?);
    }
    Ok(ids)
}

/// A value as so many; what is missing has no value.
fn parts(site: &mut Site<'_, '_>, made: &Value, count: usize) -> Lowered<Vec<Value>> {
    let mut all = match made {
        Value::Pieces(pieces) => {
            let made = aten::pieces(site, pieces, count)?;
            made.into_iter().map(Value::Tensor).collect()
        }
        other => other.members().unwrap_or_else(|| vec![other.clone()]),
    };
    all.truncate(count);
    while all.len() < count {
        all.push(Value::Absent("an output that is not followed is read"));
    }
    Ok(all)
}

/// Questions about tensors, and what only checks.
fn asked(site: &mut Site<'_, '_>, name: &str, plain: &[Value]) -> Lowered<Option<Value>> {
    Ok(Some(match (name, plain) {
        ("sym_size", [Value::Tensor(x), axis]) => {
            let Some(axis) = axis.as_int() else { return unable("an axis is not known") };
            site.size(x, axis)?
        }
        ("sym_numel", [Value::Tensor(x)]) => {
            let count = site.unary(Op::onnx("Size"), x)?;
            Value::Number(count.ranked(Some(0)).typed(Some(DType::I64)), Kind::Int)
        }
        ("sym_stride" | "sym_storage_offset" | "sym_is_contiguous", _) => {
            Value::Absent("a stride is read")
        }
        ("item" | "_local_scalar_dense", [x]) => {
            numbers::needed(site, "item", std::slice::from_ref(x))?
        }
        (
            "_assert_scalar"
            | "_assert_async"
            | "sym_constrain_range"
            | "sym_constrain_range_for_size"
            | "_assert_tensor_metadata"
            | "_functional_assert_async"
            | "_functional_sym_constrain_range"
            | "_functional_sym_constrain_range_for_size"
            | "_print",
            _,
        ) => Value::None,
        _ => return Ok(None),
    }))
}
