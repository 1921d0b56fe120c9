//! Where an operator stands while it is put into the graph's vocabulary: its inputs, its options, and what it
//! writes.

use super::file::{Contents, File, Operator, Subgraph, Tensor};
use super::flat::{Scalar, Table};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::checked::{MAX_FLOATS, checked_dim};
use crate::formats::contents;
use crate::formats::draft::{Draft, Op};
use crate::formats::error::invalid;
use crate::ir::{DType, MAX_TRACKED, Sparse, TensorInfo, ValueId, Weight};
use std::collections::{BTreeMap, HashMap, HashSet};

/// What an operator becomes: its outputs, or nothing where a case of it has no counterpart.
pub(super) type Made = Result<Option<Vec<ValueId>>, LoadError>;

/// A variable that subgraphs share, by container and name.
pub(super) type Key = (String, String);

/// What holds for all subgraphs of a file.
pub(super) struct Shared<'f> {
    pub(super) file: &'f File<'f>,
    /// What is in each variable, where a subgraph that initialises gives it something.
    pub(super) variables: BTreeMap<Key, TensorInfo>,
    /// Writes what an operator becomes, by its row in the table; some rows write subgraphs.
    pub(super) lower: fn(&mut Site<'_, '_, '_>) -> Made,
}

/// A subgraph that is being written, and what its tensors are so far.
pub(super) struct Frame<'f> {
    pub(super) graph: &'f Subgraph<'f>,
    pub(super) values: HashMap<usize, ValueId>,
    /// The buffers that are stored already: tensors may share one.
    stored: HashSet<usize>,
    /// The variables that tensors are handles of.
    pub(super) handles: HashMap<usize, Key>,
    /// What is in each variable at this point.
    pub(super) state: BTreeMap<Key, ValueId>,
    /// A value that is not a constant: what a state follows, so that it is none either.
    pub(super) live: Option<ValueId>,
}

impl<'f> Frame<'f> {
    pub(super) fn of(graph: &'f Subgraph<'f>) -> Self {
        Self {
            graph,
            values: HashMap::new(),
            stored: HashSet::new(),
            handles: HashMap::new(),
            state: BTreeMap::new(),
            live: None,
        }
    }
}

/// An operator where it stands.
pub(super) struct Site<'s, 'd, 'f> {
    pub(super) shared: &'s Shared<'f>,
    pub(super) frame: &'s mut Frame<'f>,
    pub(super) draft: &'s mut Draft<'d>,
    pub(super) op: &'f Operator<'f>,
    /// Of its first output; of the operator, where it has none.
    pub(super) name: String,
}

/// Sizes as numbers; `open` says what stands for −1.
fn shape(
    tensor: &Tensor<'_>,
    open: impl Fn(usize) -> Option<Dim>,
) -> Result<Option<Vec<Dim>>, LoadError> {
    let sizes = tensor.signature.as_ref().unwrap_or(&tensor.shape);
    let mut shape = Vec::with_capacity(sizes.len());
    for (axis, size) in sizes.iter().enumerate() {
        let known = match size {
            -1 => open(axis),
            size => Some(checked_dim(&tensor.name, axis, i64::from(*size))?),
        };
        let Some(known) = known else { return Ok(None) };
        shape.push(known);
    }
    Ok(Some(shape))
}

/// What the file says of an input.
pub(super) fn input_info(tensor: &Tensor<'_>, given: bool) -> Result<TensorInfo, LoadError> {
    if given && tensor.shape.is_empty() && !tensor.ranked {
        return Ok(TensorInfo { dtype: tensor.dtype, ..TensorInfo::default() });
    }
    let name = &tensor.name;
    let open = |axis: usize| {
        Some(match axis {
            0 => Dim::symbol("batch"),
            _ => Dim::symbol(&format!("{name}.{axis}")),
        })
    };
    let shape = shape(tensor, open)?;
    Ok(TensorInfo { dtype: tensor.dtype, shape, ..TensorInfo::default() })
}

/// What the file says of a value that an operator makes. A size of one may stand for one that is not fixed where
/// the sizes of inputs are not.
pub(super) fn hint(tensor: &Tensor<'_>, fixed: bool) -> Result<TensorInfo, LoadError> {
    let known = fixed && (tensor.ranked || !tensor.shape.is_empty());
    let shape = if known { shape(tensor, |_| None)? } else { None };
    Ok(TensorInfo { dtype: tensor.dtype, shape, ..TensorInfo::default() })
}

/// What the file says of a value that nothing else tells: that its first axis is open is taken as the batch.
pub(super) fn only_hint(tensor: &Tensor<'_>, fixed: bool) -> Result<TensorInfo, LoadError> {
    if fixed || tensor.signature.is_none() {
        return hint(tensor, fixed);
    }
    let shape = shape(tensor, |axis| (axis == 0).then(|| Dim::symbol("batch")))?;
    Ok(TensorInfo { dtype: tensor.dtype, shape, ..TensorInfo::default() })
}

/// Type, sizes and small contents of a stored tensor, and how much of it is stored.
fn stored(tensor: &Tensor<'_>) -> Result<(TensorInfo, Weight), LoadError> {
    let sizes = tensor.shape.iter().enumerate();
    let sizes = sizes.map(|(axis, size)| checked_dim(&tensor.name, axis, i64::from(*size)));
    let shape = sizes.collect::<Result<Vec<_>, _>>()?;
    let mut info = TensorInfo { constant: true, ..TensorInfo::new(tensor.dtype, shape) };
    let mut weight = Weight::of(&info);
    let Contents::Stored(_, bytes) = tensor.contents else {
        weight.external = matches!(tensor.contents, Contents::Elsewhere);
        return Ok((info, weight));
    };
    let elements = info.elements().unwrap_or_default();
    if let Some(sparse) = &tensor.sparse {
        let each = tensor.dtype.map_or(8, DType::bits).max(1);
        let kept = bytes.len().saturating_mul(8) / usize::try_from(each).unwrap_or(8);
        weight.bytes = Dim::from(bytes.len().saturating_add(sparse.index_bytes));
        weight.sparse =
            Some(Sparse { elements: Dim::from(kept), index_bytes: Dim::from(sparse.index_bytes) });
        return Ok((info, weight));
    }
    weight.bytes = Dim::from(bytes.len());
    let most = if weight.float { MAX_FLOATS } else { MAX_TRACKED };
    let count = elements.as_usize().filter(|n| *n <= most);
    if let Some((dtype, count)) = tensor.dtype.zip(count) {
        if let Some(value) = contents::elements(bytes, dtype, count) {
            info = info.with_value(value);
        }
    }
    Ok((info, weight))
}

impl Frame<'_> {
    /// The value of a tensor: one that was made, or one that is stored.
    pub(super) fn value(
        &mut self,
        draft: &mut Draft<'_>,
        number: usize,
    ) -> Result<ValueId, LoadError> {
        if let Some(known) = self.values.get(&number) {
            return Ok(*known);
        }
        let tensor = &self.graph.tensors[number];
        let empty = tensor.shape.contains(&0);
        let again = match tensor.contents {
            Contents::Stored(buffer, _) => !self.stored.insert(buffer),
            Contents::Elsewhere => false,
            Contents::Computed if tensor.variable => return self.kept(draft, number),
            Contents::Computed if empty => false,
            Contents::Computed => {
                let message = "is read before an operator makes it";
                return Err(invalid(format!("tensor `{}`", tensor.name), message));
            }
        };
        draft.limits().repeat(tensor.name.len())?;
        let (info, mut weight) = stored(tensor)?;
        let info = if empty { info.with_value(Vec::new()) } else { info };
        if again {
            weight.bytes = Dim::ZERO;
        }
        let value = draft.stored(&tensor.name, info, weight)?;
        self.values.insert(number, value);
        Ok(value)
    }

    /// The value of a tensor that is kept between calls.
    fn kept(&mut self, draft: &mut Draft<'_>, number: usize) -> Result<ValueId, LoadError> {
        let tensor = &self.graph.tensors[number];
        let info = input_info(tensor, false)?;
        let value = self.variable(draft, &tensor.name, &info)?;
        self.values.insert(number, value);
        Ok(value)
    }

    /// The contents of a variable at the beginning of a call.
    pub(super) fn variable(
        &self,
        draft: &mut Draft<'_>,
        name: &str,
        info: &TensorInfo,
    ) -> Result<ValueId, LoadError> {
        let sizes = info.shape.iter().flatten();
        let sizes = sizes.map(|n| n.as_const().and_then(|n| i64::try_from(n).ok()).unwrap_or(1));
        let dtype = i64::from(info.dtype.unwrap_or(DType::F32).onnx());
        let op = Op::own("State").with("sizes", sizes.collect::<Vec<_>>()).with("dtype", dtype);
        draft.limits().repeat(name.len())?;
        draft.one(name, op, &[self.live])
    }
}

impl<'f> Site<'_, '_, 'f> {
    /// What the file says of an input.
    pub(super) fn tensor(&self, port: usize) -> Option<&'f Tensor<'f>> {
        let number = self.op.inputs.get(port).copied().flatten()?;
        self.frame.graph.tensors.get(number)
    }

    /// What it says of an output.
    pub(super) fn made(&self, port: usize) -> Option<&'f Tensor<'f>> {
        self.frame.graph.tensors.get(*self.op.outputs.get(port)?)
    }

    /// The type of an input.
    pub(super) fn dtype(&self, port: usize) -> Option<DType> {
        self.tensor(port).and_then(|t| t.dtype)
    }

    /// The number of axes of an input.
    pub(super) fn rank(&self, port: usize) -> usize {
        self.tensor(port).map_or(0, |t| t.shape.len())
    }

    /// An input that may be absent.
    pub(super) fn optional(&mut self, port: usize) -> Result<Option<ValueId>, LoadError> {
        match self.op.inputs.get(port).copied().flatten() {
            Some(number) => self.frame.value(self.draft, number).map(Some),
            None => Ok(None),
        }
    }

    /// An input.
    pub(super) fn input(&mut self, port: usize) -> Result<ValueId, LoadError> {
        let refuse = || invalid(format!("`{}`", self.name), format!("has no input {port}"));
        let number = self.op.inputs.get(port).copied().flatten().ok_or_else(refuse)?;
        self.frame.value(self.draft, number)
    }

    /// All inputs in their order.
    pub(super) fn inputs(&mut self) -> Result<Vec<Option<ValueId>>, LoadError> {
        (0..self.op.inputs.len()).map(|port| self.optional(port)).collect()
    }

    /// The contents of a constant input.
    pub(super) fn ints(&mut self, port: usize) -> Result<Option<Vec<i64>>, LoadError> {
        let value = self.optional(port)?;
        Ok(value.and_then(|value| self.draft.info(value).const_ints()))
    }

    /// The first number of a constant input.
    pub(super) fn int_of(&mut self, port: usize) -> Result<Option<i64>, LoadError> {
        Ok(self.ints(port)?.and_then(|list| list.first().copied()))
    }

    /// The options of the operator.
    pub(super) fn options(&self) -> Option<Table<'f>> {
        self.op.options.or(self.op.more_options)
    }

    /// A number among the options.
    pub(super) fn option<T: Scalar>(&self, field: usize, default: T) -> Result<T, LoadError> {
        match self.options() {
            Some(options) => options.get(field, default),
            None => Ok(default),
        }
    }

    /// A flag among the options.
    pub(super) fn flag(&self, field: usize) -> Result<bool, LoadError> {
        Ok(self.option(field, 0_u8)? != 0)
    }

    /// Integers among the options.
    pub(super) fn longs(&self, field: usize) -> Result<Vec<i64>, LoadError> {
        match self.options() {
            Some(options) => Ok(options.list(field)?.unwrap_or_default()),
            None => Ok(Vec::new()),
        }
    }

    /// The node that stands for the operator, under its name.
    pub(super) fn node(
        &mut self,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId, LoadError> {
        self.draft.limits().repeat(self.name.len())?;
        self.draft.one(&self.name, op, inputs)
    }

    /// Such a node with several outputs.
    pub(super) fn nodes(
        &mut self,
        op: Op,
        inputs: &[Option<ValueId>],
        outputs: usize,
    ) -> Result<Vec<ValueId>, LoadError> {
        self.draft.limits().repeat(self.name.len().saturating_mul(outputs))?;
        self.draft.many(&self.name, op, inputs, outputs)
    }

    /// A node beside it, with `label` in its name.
    pub(super) fn step(
        &mut self,
        label: &str,
        op: Op,
        inputs: &[Option<ValueId>],
    ) -> Result<ValueId, LoadError> {
        self.draft.limits().repeat(self.name.len() + label.len())?;
        let name = format!("{}/{label}", self.name);
        self.draft.one(&name, op, inputs)
    }

    /// A value with its axes in another order.
    pub(super) fn turned(&mut self, value: ValueId, order: &[i64]) -> Result<ValueId, LoadError> {
        let op = Op::onnx("Transpose").with("perm", order.to_vec());
        self.step("turned", op, &[Some(value)])
    }

    /// A value in another shape, known as numbers.
    pub(super) fn reshaped(&mut self, value: ValueId, sizes: &[i64]) -> Result<ValueId, LoadError> {
        let sizes = self.draft.ints(sizes)?;
        self.step("shape", Op::onnx("Reshape"), &[Some(value), Some(sizes)])
    }

    /// A value as another type.
    pub(super) fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId, LoadError> {
        let op = Op::onnx("Cast").with("to", i64::from(to.onnx()));
        self.step("type", op, &[Some(value)])
    }

    /// A value as the type that the file gives an output.
    pub(super) fn as_made(&mut self, value: ValueId, port: usize) -> Result<ValueId, LoadError> {
        match self.made(port).and_then(|t| t.dtype) {
            Some(to) if to != DType::I64 => self.cast(value, to),
            _ => Ok(value),
        }
    }

    /// The activation that an operator has in its options.
    pub(super) fn activated(&mut self, value: ValueId, field: usize) -> Result<ValueId, LoadError> {
        let (name, limits) = match self.option(field, 0_i8)? {
            1 => ("Relu", None),
            2 => ("Clip", Some([-1.0_f32, 1.0])),
            3 => ("Clip", Some([0.0, 6.0])),
            4 => ("Tanh", None),
            5 => ("Sign", None),
            _ => return Ok(value),
        };
        let mut op = Op::own("FusedActivation").with("activation", name);
        if let Some([low, high]) = limits {
            op = op.with("low", low).with("high", high);
        }
        self.step(name, op, &[Some(value)])
    }

    /// Whether the products of an operator are of integers though its activations are floats: weights of
    /// 8 or 4 bits, for which the runtime quantises the activations at each call.
    pub(super) fn is_hybrid(&self, x: usize, w: usize) -> bool {
        let small = |d: DType| matches!(d, DType::I8 | DType::U8 | DType::I4 | DType::I2);
        self.dtype(x) == Some(DType::F32) && self.dtype(w).is_some_and(small)
    }
}
