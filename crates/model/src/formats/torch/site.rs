//! Where values of the graph are made: the draft, with what holds for the whole evaluation.

use super::super::draft::{Draft, Op};
use super::super::error::invalid;
use super::stored::{Key, Stored};
use super::value::{At, Kind, Lowered, Tensor, Value, unable};
use crate::dim::Dim;
use crate::ir::{Attr, DType, Diagnostic, Elem, Graph, Severity, TensorInfo, ValueId, Weight};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What holds for a whole evaluation.
pub(super) struct State {
    /// The graphs around what is written, the whole first.
    bodies: Vec<usize>,
    /// What names in these begin with, so that no body hides a name of the graphs around it.
    prefixes: Vec<String>,
    next_body: usize,
    /// For each body that is being written, the tensors that were written to in it, as they were.
    journals: Vec<Vec<(Tensor, At)>>,
    /// What the operator that is lowered is called, for the names of nodes.
    pub(super) label: Rc<str>,
    /// Places and messages of diagnostics so far.
    noted: HashSet<String>,
    /// Tensors of the file that may be read.
    pub(super) stored: Vec<Rc<Stored>>,
    /// Those that are part of the graph.
    held: HashMap<Key, Tensor>,
}

impl State {
    /// Of an evaluation that begins.
    pub(super) fn new() -> Self {
        Self {
            bodies: vec![0],
            prefixes: vec![String::new()],
            next_body: 1,
            journals: Vec::new(),
            label: "".into(),
            noted: HashSet::new(),
            stored: Vec::new(),
            held: HashMap::new(),
        }
    }
}

impl State {
    /// What names in the present graph begin with.
    pub(super) fn prefix(&self) -> &str {
        self.prefixes.last().map_or("", String::as_str)
    }
}

/// A graph that is being written.
pub(super) struct Site<'a, 'd> {
    /// The graph.
    pub(super) draft: &'a mut Draft<'d>,
    /// What holds for the whole.
    pub(super) state: &'a mut State,
}

impl Site<'_, '_> {
    fn body(&self) -> usize {
        self.state.bodies.last().copied().unwrap_or_default()
    }

    /// Whether this is the whole graph and no body in it.
    pub(super) fn is_whole(&self) -> bool {
        self.state.bodies.len() == 1
    }

    /// A value of the graph that is being written, as a tensor.
    pub(super) fn tensor(&mut self, id: ValueId) -> Tensor {
        let at = self.at(id);
        Tensor::new(at)
    }

    fn at(&self, id: ValueId) -> At {
        At { id, body: self.body(), name: self.draft.name(id).into() }
    }

    /// The value of a tensor in the graph that is being written.
    pub(super) fn id(&mut self, tensor: &Tensor) -> Lowered<ValueId> {
        let at = tensor.known().at.clone();
        if at.body == self.body() {
            return Ok(at.id);
        }
        if self.state.bodies.contains(&at.body) {
            return Ok(self.draft.outer(&at.name));
        }
        unable(format!("`{}` is read outside the body that makes it", at.name))
    }

    fn ids(&mut self, inputs: &[Option<&Tensor>]) -> Lowered<Vec<Option<ValueId>>> {
        inputs.iter().map(|input| input.map(|tensor| self.id(tensor)).transpose()).collect()
    }

    /// A node with one output, which has the type and the axes of the first input.
    pub(super) fn emit(&mut self, op: Op, inputs: &[Option<&Tensor>]) -> Lowered<Tensor> {
        let ids = self.ids(inputs)?;
        let label = self.state.label.clone();
        let id = self.draft.one(&label, op, &ids)?;
        let first = inputs.iter().flatten().next();
        let (rank, dtype) = first.map_or((None, None), |first| (first.rank(), first.dtype()));
        Ok(self.tensor(id).ranked(rank).typed(dtype))
    }

    /// The same with one input.
    pub(super) fn unary(&mut self, op: Op, input: &Tensor) -> Lowered<Tensor> {
        self.emit(op, &[Some(input)])
    }

    /// A node with several outputs, all with the type and the axes of the first input.
    pub(super) fn several(
        &mut self,
        op: Op,
        inputs: &[Option<&Tensor>],
        outputs: usize,
    ) -> Lowered<Vec<Tensor>> {
        let ids = self.ids(inputs)?;
        let label = self.state.label.clone();
        let made = self.draft.many(&label, op, &ids, outputs)?;
        let first = inputs.iter().flatten().next();
        let (rank, dtype) = first.map_or((None, None), |first| (first.rank(), first.dtype()));
        Ok(made.into_iter().map(|id| self.tensor(id).ranked(rank).typed(dtype)).collect())
    }

    fn made(&mut self, id: ValueId, rank: usize, dtype: DType) -> Tensor {
        self.tensor(id).ranked(Some(rank)).typed(Some(dtype))
    }

    /// A list of whole numbers.
    pub(super) fn ints(&mut self, list: &[i64]) -> Lowered<Tensor> {
        let id = self.draft.ints(list)?;
        Ok(self.made(id, 1, DType::I64))
    }

    /// A whole number without axes.
    pub(super) fn int(&mut self, number: i64) -> Lowered<Tensor> {
        let id = self.draft.int(number)?;
        Ok(self.made(id, 0, DType::I64))
    }

    /// A list of numbers.
    pub(super) fn floats(&mut self, list: &[f32]) -> Lowered<Tensor> {
        let id = self.draft.floats(list)?;
        Ok(self.made(id, 1, DType::F32))
    }

    /// A number of this type without axes.
    pub(super) fn scalar(&mut self, number: f64, dtype: DType) -> Lowered<Tensor> {
        #[allow(clippy::cast_possible_truncation)]
        let element = if dtype.is_float() || number.fract() != 0.0 || !number.is_finite() {
            Elem::Float(number)
        } else {
            Elem::Int(Dim::from(number as i64))
        };
        let info = TensorInfo::new(Some(dtype), Vec::new()).with_value(vec![element]);
        let id = self.draft.small(info)?;
        Ok(self.made(id, 0, dtype))
    }

    /// A tensor that the file stores.
    pub(super) fn stored(
        &mut self,
        name: &str,
        info: TensorInfo,
        sizes: &[i64],
    ) -> Lowered<Tensor> {
        let weight = Weight::of(&info);
        let dtype = info.dtype;
        let id = self.draft.stored(name, info, weight)?;
        let tensor = self.tensor(id).ranked(Some(sizes.len())).typed(dtype);
        tensor.change(|known| known.sizes = Some(sizes.into()));
        Ok(tensor)
    }

    /// A stored tensor as part of the graph, once however often it is read.
    pub(super) fn held(&mut self, stored: &Stored) -> Lowered<Tensor> {
        if let Some(held) = self.state.held.get(&stored.key) {
            return Ok(held.clone());
        }
        let name = stored.name.borrow().clone();
        let name = if name.is_empty() { stored.key.0.clone() } else { name };
        let prefix = self.draft.leave();
        self.draft.enter(self.state.prefix().to_owned());
        let held = self.stored(&name, stored.info.clone(), &stored.sizes);
        self.draft.enter(prefix);
        let held = held?;
        held.change(|known| known.quantized = stored.quantized);
        self.state.held.insert(stored.key.clone(), held.clone());
        Ok(held)
    }

    /// A value in which stored tensors are part of the graph.
    pub(super) fn present(&mut self, value: Value) -> Lowered<Value> {
        match value {
            Value::Stored(stored) => Ok(Value::Tensor(self.held(&stored)?)),
            Value::List(items) => {
                let all = items.all();
                if all.iter().any(|item| matches!(item, Value::Stored(_))) {
                    let all: Lowered<Vec<Value>> =
                        all.into_iter().map(|item| self.present(item)).collect();
                    let all = all?;
                    items.change(|items| *items = all);
                }
                Ok(Value::List(items))
            }
            value => Ok(value),
        }
    }

    /// A number as a tensor without axes.
    pub(super) fn number(&mut self, value: &Value) -> Lowered<Tensor> {
        match value {
            Value::Int(number) => self.int(*number),
            Value::Bool(truth) => self.scalar(f64::from(*truth), DType::Bool),
            Value::Float(number) => self.scalar(*number, DType::F32),
            Value::Number(tensor, _) | Value::Tensor(tensor) => Ok(tensor.clone()),
            other => unable(format!("{} stands where a number is needed", other.what())),
        }
    }

    /// A list of whole numbers as a tensor with one axis.
    pub(super) fn list(&mut self, values: &[Value]) -> Lowered<Tensor> {
        if let Some(list) = values.iter().map(Value::as_int).collect::<Option<Vec<i64>>>() {
            return self.ints(&list);
        }
        let axis = self.ints(&[0])?;
        let mut parts = Vec::new();
        for value in values {
            parts.push(match value.as_int() {
                Some(number) => self.ints(&[number])?,
                None => {
                    let number = self.number(value)?;
                    let number = self.whole(&number)?;
                    let unsqueezed =
                        self.emit(Op::onnx("Unsqueeze"), &[Some(&number), Some(&axis)])?;
                    unsqueezed.ranked(Some(1))
                }
            });
        }
        let inputs: Vec<Option<&Tensor>> = parts.iter().map(Some).collect();
        Ok(self.emit(Op::onnx("Concat").with("axis", 0_i64), &inputs)?.ranked(Some(1)))
    }

    /// A number without axes as a whole number.
    fn whole(&mut self, number: &Tensor) -> Lowered<Tensor> {
        match number.dtype() {
            Some(DType::I64) | None => Ok(number.clone()),
            Some(_) => self.cast(number, DType::I64),
        }
    }

    /// The same numbers in another type.
    pub(super) fn cast(&mut self, tensor: &Tensor, dtype: DType) -> Lowered<Tensor> {
        if tensor.dtype() == Some(dtype) {
            return Ok(tensor.clone());
        }
        let op = Op::onnx("Cast").with("to", i64::from(dtype.onnx()));
        Ok(self.unary(op, tensor)?.typed(Some(dtype)))
    }

    /// All sizes of a tensor.
    pub(super) fn shape(&mut self, tensor: &Tensor) -> Lowered<Tensor> {
        Ok(self.unary(Op::onnx("Shape"), tensor)?.ranked(Some(1)).typed(Some(DType::I64)))
    }

    /// One size of a tensor.
    pub(super) fn size(&mut self, tensor: &Tensor, axis: i64) -> Lowered<Value> {
        if let Some(sizes) = tensor.sizes() {
            let rank = i64::try_from(sizes.len()).unwrap_or(i64::MAX);
            let at = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok();
            if let Some(size) = at.and_then(|at| sizes.get(at)) {
                return Ok(Value::Int(*size));
            }
        }
        let mut op = Op::onnx("Shape").with("start", axis);
        if axis != -1 {
            op = op.with("end", axis + 1);
        }
        let size = self.unary(op, tensor)?.ranked(Some(1)).typed(Some(DType::I64));
        let axes = self.ints(&[0])?;
        let size = self.emit(Op::onnx("Squeeze"), &[Some(&size), Some(&axes)])?.ranked(Some(0));
        Ok(Value::Number(size, Kind::Int))
    }

    /// The sizes of a tensor as a list.
    pub(super) fn sizes(&mut self, tensor: &Tensor) -> Lowered<Value> {
        let Some(rank) = tensor.rank() else { return Ok(Value::Numbers(self.shape(tensor)?)) };
        let mut sizes = Vec::new();
        for axis in 0..i64::try_from(rank).unwrap_or_default() {
            sizes.push(self.size(tensor, axis)?);
        }
        Ok(Value::list(sizes))
    }

    /// The same elements in another shape.
    pub(super) fn reshape(&mut self, tensor: &Tensor, shape: &Tensor) -> Lowered<Tensor> {
        let op = Op::onnx("Reshape").with("allowzero", 1_i64);
        self.emit(op, &[Some(tensor), Some(shape)])
    }

    /// With the axes in another order.
    pub(super) fn transpose(&mut self, tensor: &Tensor, order: &[i64]) -> Lowered<Tensor> {
        self.unary(Op::onnx("Transpose").with("perm", order.to_vec()), tensor)
    }

    /// With axes of size one.
    pub(super) fn unsqueeze(&mut self, tensor: &Tensor, axes: &[i64]) -> Lowered<Tensor> {
        let list = self.ints(axes)?;
        let made = self.emit(Op::onnx("Unsqueeze"), &[Some(tensor), Some(&list)])?;
        Ok(made.ranked(tensor.rank().map(|rank| rank + axes.len())))
    }

    /// Without axes of size one.
    pub(super) fn squeeze(&mut self, tensor: &Tensor, axes: &[i64]) -> Lowered<Tensor> {
        let list = self.ints(axes)?;
        let made = self.emit(Op::onnx("Squeeze"), &[Some(tensor), Some(&list)])?;
        Ok(made.ranked(tensor.rank().map(|rank| rank.saturating_sub(axes.len()))))
    }

    /// Writes to a tensor: it and what it is a view of have another value from now on.
    pub(super) fn write(&mut self, target: &Tensor, value: &Tensor) -> Lowered<()> {
        if target.same(value) {
            return Ok(());
        }
        let root = target.known().root.clone();
        let known = value.known().clone();
        self.log(target);
        target.change(|target| {
            target.at = known.at;
            target.rank = known.rank.or(target.rank);
            target.dtype = known.dtype.or(target.dtype);
            target.sizes = None;
        });
        let Some(root) = root else { return Ok(()) };
        let whole = self.emit(Op::own("Overwrite"), &[Some(&root), Some(target)])?;
        self.log(&root);
        let at = whole.known().at.clone();
        root.change(|known| known.at = at);
        Ok(())
    }

    fn log(&mut self, tensor: &Tensor) {
        let at = tensor.known().at.clone();
        let body = self.body();
        if let Some(journal) = self.state.journals.last_mut()
            && at.body != body
        {
            journal.push((tensor.clone(), at));
        }
    }

    /// Writes the body of a node. What is written to tensors in it is undone afterwards: they are returned with
    /// what they were in the body.
    pub(super) fn within(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut Site<'_, '_>) -> Lowered<Vec<ValueId>>,
    ) -> Lowered<Graph> {
        if self.is_whole() {
            // A body would hold what it reads first to itself.
            for stored in std::mem::take(&mut self.state.stored) {
                self.held(&stored)?;
            }
        }
        let state = &mut *self.state;
        let body = state.next_body;
        state.next_body += 1;
        state.bodies.push(body);
        let prefix = format!("{name}.{body}/");
        state.prefixes.push(prefix.clone());
        state.journals.push(Vec::new());
        let mut fault = None;
        let graph = self.draft.body(name, |draft| {
            draft.enter(prefix);
            let mut site = Site { draft, state };
            write(&mut site).map_err(|error| match error {
                super::value::Fault::Load(error) => error,
                super::value::Fault::Unable(why) => {
                    fault = Some(why.clone());
                    invalid(name, why)
                }
            })
        });
        self.state.bodies.pop();
        self.state.prefixes.pop();
        let journal = self.state.journals.pop().unwrap_or_default();
        for (tensor, at) in journal.into_iter().rev() {
            tensor.change(|known| known.at = at);
        }
        match (graph, fault) {
            (Ok(graph), _) => Ok(graph),
            (Err(_), Some(why)) => unable(why),
            (Err(error), None) => Err(error.into()),
        }
    }

    /// The tensors around this body that were written to in it.
    pub(super) fn written(&self) -> Vec<Tensor> {
        let mut written: Vec<Tensor> = Vec::new();
        for (tensor, _) in self.state.journals.last().into_iter().flatten() {
            if !written.iter().any(|known| known.same(tensor)) {
                written.push(tensor.clone());
            }
        }
        written
    }

    /// Says once what the reader could not settle.
    pub(super) fn note(&mut self, severity: Severity, place: &str, message: &str) {
        if self.state.noted.insert(format!("{place}: {message}")) {
            let (place, message) = (place.to_owned(), message.to_owned());
            self.draft.limits().diagnostics.push(Diagnostic {
                severity,
                place,
                message,
                hint: None,
            });
        }
    }

    /// Says that an output of the model is not among those of the graph.
    pub(super) fn missing(&mut self, output: &str, why: &str) {
        self.note(Severity::Incomplete, output, &format!("an output is not counted: {why}"));
    }

    /// A node of an operator that is not understood.
    pub(super) fn foreign(
        &mut self,
        domain: &str,
        name: &str,
        inputs: &[Tensor],
        outputs: usize,
    ) -> Lowered<Vec<Tensor>> {
        let inputs: Vec<Option<&Tensor>> = inputs.iter().map(Some).collect();
        let made = self.several(Op::foreign(domain, name), &inputs, outputs.max(1))?;
        Ok(made.into_iter().map(|tensor| tensor.ranked(None).typed(None)).collect())
    }
}

/// A body as an attribute.
pub(super) fn body(graph: Graph) -> Attr {
    Attr::from(graph)
}
