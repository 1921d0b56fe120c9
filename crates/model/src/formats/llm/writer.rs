//! Linear layers, tables and norms: each takes its tensors, in whatever packing the files have them, and writes a
//! node for each matrix as it is stored.

use super::config::Packing;
use super::spec::Norm;
use super::tensors::{Kind, Taken, Tensor, Tensors};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::checked::{checked_dim, checked_rank};
use crate::formats::draft::{Draft, Op};
use crate::formats::limits::Limits;
use crate::ir::{DType, Elem, TensorInfo, ValueId, Weight};
use std::collections::HashMap;

/// A graph that is being written, and the tensors it is written from.
pub(super) struct Writer<'w, 'l> {
    pub(super) draft: &'w mut Draft<'l>,
    pub(super) tensors: &'w mut Tensors,
    /// How a configuration without files says that matrices are packed.
    pub(super) packing: Option<Packing>,
    /// Of activations and caches, and of weights that no file shows.
    pub(super) dtype: DType,
    /// Sines and cosines of positions, by how many dimensions they rotate.
    pub(super) angles: HashMap<i64, (ValueId, ValueId)>,
    /// What is added to the scores of attention.
    pub(super) mask: Option<ValueId>,
    /// Learned numbers so far, and their bytes.
    pub(super) numbers: u64,
    pub(super) bytes: u64,
}

/// A matrix or table as it is stored.
#[derive(Clone)]
pub(super) enum Matrix {
    /// Floats, one by one.
    Plain(ValueId),
    /// Packed, with what belongs to the packing.
    Packed { main: ValueId, beside: Vec<ValueId>, layout: String },
}

/// Ends of names under which packed numbers are stored.
const MAINS: &[&str] = &["qweight", "weight_packed", "weight"];

impl Writer<'_, '_> {
    /// A tensor as a value: its name in the file, type, shape as the graph has it, and bytes.
    pub(super) fn store(
        &mut self,
        name: &str,
        dtype: DType,
        shape: &[i64],
        bytes: Option<u64>,
    ) -> Result<ValueId, LoadError> {
        checked_rank(name, shape.len())?;
        let sizes = shape.iter().enumerate().map(|(axis, n)| checked_dim(name, axis, *n));
        let info = TensorInfo::new(Some(dtype), sizes.collect::<Result<Vec<Dim>, _>>()?);
        let mut weight = Weight::of(&info);
        if let Some(bytes) = bytes.and_then(|bytes| i64::try_from(bytes).ok()) {
            weight.bytes = Dim::from(bytes);
        }
        let stored =
            weight.bytes.as_const().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
        self.bytes = self.bytes.saturating_add(stored);
        if dtype.is_float() && dtype.bits() >= 16 && stored > 0 {
            self.numbers = self.numbers.saturating_add(product(shape));
        }
        self.draft.stored(name, info, weight)
    }

    /// Accounts for a part of the model that this graph does not run: its tensors are stored and learned.
    pub(super) fn apart(
        &mut self,
        write: &mut dyn FnMut(&mut Writer<'_, '_>) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let mut limits = Limits::of(0);
        let mut draft = Draft::new("apart", &mut limits);
        let mut scratch = Writer {
            draft: &mut draft,
            tensors: &mut *self.tensors,
            packing: self.packing.clone(),
            dtype: self.dtype,
            angles: HashMap::new(),
            mask: None,
            numbers: 0,
            bytes: 0,
        };
        write(&mut scratch)?;
        let (numbers, bytes) = (scratch.numbers, scratch.bytes);
        self.tensors.set_apart(numbers);
        if bytes > 0 {
            let size = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.store("apart", DType::U8, &[size], Some(bytes))?;
        }
        Ok(())
    }

    /// A stored tensor in its own shape; what is packed is a list of bytes.
    pub(super) fn raw(&mut self, name: &str, tensor: &Tensor) -> Result<ValueId, LoadError> {
        let sizes: Vec<i64> =
            tensor.shape.iter().map(|n| i64::try_from(*n).unwrap_or(i64::MAX)).collect();
        match tensor.kind {
            Kind::Plain(dtype) => self.store(name, dtype, &sizes, Some(tensor.bytes)),
            Kind::Packed(_) => {
                let bytes = i64::try_from(tensor.bytes).unwrap_or(i64::MAX);
                self.store(name, DType::U8, &[bytes], Some(tensor.bytes))
            }
        }
    }

    /// Integers that no file stores, such as a shape: they take no bytes of the model.
    pub(super) fn ints(&mut self, list: &[i64]) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::I64), vec![Dim::from(list.len())]);
        let info = info.with_value(list.iter().map(|n| Elem::Int(Dim::from(*n))).collect());
        let weight = Weight { bytes: Dim::ZERO, ..Weight::of(&info) };
        self.draft.stored("constant", info, weight)
    }

    /// One integer without axes, likewise.
    pub(super) fn int(&mut self, number: i64) -> Result<ValueId, LoadError> {
        let info = TensorInfo::new(Some(DType::I64), Vec::new());
        let info = info.with_value(vec![Elem::Int(Dim::from(number))]);
        let weight = Weight { bytes: Dim::ZERO, ..Weight::of(&info) };
        self.draft.stored("constant", info, weight)
    }

    /// Floats that follow from the configuration, likewise; their numbers do not matter to what a run costs.
    pub(super) fn floats(&mut self, name: &str, shape: &[i64]) -> Result<ValueId, LoadError> {
        self.store(name, DType::F32, shape, Some(0))
    }

    /// A tensor of this whole name, if it is there or, without files, `wanted`. One that is wanted and missing is
    /// taken as the configuration has it.
    pub(super) fn tensor(
        &mut self,
        name: &str,
        wanted: bool,
        shape: &[i64],
    ) -> Result<Option<ValueId>, LoadError> {
        if name.is_empty() {
            return Ok(None);
        }
        if let Some(Taken { name, tensor }) = self.tensors.take(name, Some(shape)) {
            return self.raw(&name, &tensor).map(Some);
        }
        if !wanted {
            return Ok(None);
        }
        self.tensors.miss(name);
        self.store(name, self.dtype, shape, None).map(Some)
    }

    /// A vector that a block needs.
    pub(super) fn vector(&mut self, name: &str, size: i64) -> Result<Option<ValueId>, LoadError> {
        self.tensor(name, true, &[size])
    }

    /// The matrix `[n, k]` of this name; `turned` where it is stored as `[k, n]`. It is given as `[k, n]`, or as
    /// it is stored with `table`.
    pub(super) fn matrix(
        &mut self,
        base: &str,
        n: i64,
        k: i64,
        form: Form,
    ) -> Result<Matrix, LoadError> {
        let shape = if form == Form::Table { [n, k] } else { [k, n] };
        let main = MAINS
            .iter()
            .map(|end| format!("{base}.{end}"))
            .find(|name| self.tensors.find(name).is_some());
        let Some(main) = main else { return self.absent(base, n, k, shape) };
        let found = self.tensors.find(&main).cloned();
        if let Some(Tensor { kind: Kind::Plain(dtype), .. }) = found {
            if dtype.is_float() && dtype.bits() >= 16 {
                let stored = if form == Form::Turned { [k, n] } else { [n, k] };
                let Some(taken) = self.tensors.take(&main, Some(&stored)) else {
                    return self.absent(base, n, k, shape);
                };
                let shape = Self::as_stored(&taken, stored, shape);
                let value = self.store(&taken.name, dtype, &shape, Some(taken.tensor.bytes))?;
                return Ok(Matrix::Plain(value));
            }
        }
        self.packed(base, &main, n, k)
    }

    /// The shape that a matrix has in the graph: of one that the configuration does not agree with, the file's.
    fn as_stored(taken: &Taken, wanted: [i64; 2], given: [i64; 2]) -> Vec<i64> {
        let sizes: Vec<i64> =
            taken.tensor.shape.iter().filter_map(|n| i64::try_from(*n).ok()).collect();
        match sizes[..] {
            [a, b] if [a, b] != wanted => {
                if given == wanted {
                    vec![a, b]
                } else {
                    vec![b, a]
                }
            }
            _ => given.to_vec(),
        }
    }

    /// A packed matrix with all that is stored beside it.
    fn packed(&mut self, base: &str, main: &str, n: i64, k: i64) -> Result<Matrix, LoadError> {
        let Some(taken) = self.tensors.take(main, None) else {
            return self.absent(base, n, k, [k, n]);
        };
        let layout = self.layout(&taken.tensor);
        self.holds(&taken, n.saturating_mul(k));
        self.numbers = self.numbers.saturating_add(product(&[n, k]));
        let value = self.raw(&taken.name, &taken.tensor)?;
        let start = format!("{base}.");
        let mut beside = Vec::new();
        for end in self.tensors.ends(&start) {
            let name = format!("{start}{end}");
            if end == "bias" || name == main {
                continue;
            }
            if let Some(Taken { name, tensor }) = self.tensors.take(&name, None) {
                beside.push(self.raw(&name, &tensor)?);
            }
        }
        Ok(Matrix::Packed { main: value, beside, layout })
    }

    /// What a packing is called.
    pub(super) fn layout(&self, tensor: &Tensor) -> String {
        match (tensor.kind, &self.packing) {
            (Kind::Packed(name), _) => name.to_owned(),
            (_, Some(packing)) => format!("{} {} bit", packing.method, packing.bits),
            (Kind::Plain(dtype), None) => dtype.name().to_owned(),
        }
    }

    /// Notes where a packed tensor cannot hold so many numbers.
    pub(super) fn holds(&mut self, taken: &Taken, numbers: i64) {
        let Ok(wanted) = u64::try_from(numbers) else { return };
        let tensor = &taken.tensor;
        let fits = match tensor.kind {
            Kind::Packed(_) => tensor.elements() == Some(wanted),
            Kind::Plain(dtype) if dtype.bits() == 8 && tensor.elements() == Some(wanted) => true,
            Kind::Plain(_) => {
                let bits = u128::from(tensor.bytes) * 8;
                let each = self.packing.as_ref().and_then(|p| u128::try_from(p.bits).ok());
                let least = u128::from(wanted) * each.unwrap_or(1);
                // Rows may be padded to whole words.
                let most = u128::from(wanted) * each.unwrap_or(8);
                bits >= least && bits <= most + most / 8 + 4096
            }
        };
        if !fits {
            let (name, bytes) = (&taken.name, tensor.bytes);
            let text =
                format!("`{name}` has {bytes} bytes, and the configuration says {wanted} numbers");
            self.tensors.disagree(|| text);
        }
    }

    /// A matrix that no file shows.
    fn absent(&mut self, base: &str, n: i64, k: i64, shape: [i64; 2]) -> Result<Matrix, LoadError> {
        let name = format!("{base}.weight");
        self.tensors.miss(&name);
        let packing = self.packing.clone().filter(|packing| packing.packs(base));
        let Some(packing) = packing else {
            return Ok(Matrix::Plain(self.store(&name, self.dtype, &shape, None)?));
        };
        let (main, scales) = sizes(&packing, n, k);
        let main = self.store(&name, DType::U8, &main, None)?;
        let dtype = if packing.scale_bits == 8 { DType::U8 } else { DType::F16 };
        let scales = self.store(&format!("{base}.scales"), dtype, &scales, None)?;
        let layout = format!("{} {} bit", packing.method, packing.bits);
        Ok(Matrix::Packed { main, beside: vec![scales], layout })
    }

    /// The product of `x` and a matrix.
    pub(super) fn product(
        &mut self,
        name: &str,
        x: ValueId,
        matrix: &Matrix,
        n: i64,
        k: i64,
    ) -> Result<ValueId, LoadError> {
        match matrix {
            Matrix::Plain(weight) => {
                self.draft.one(name, Op::onnx("MatMul"), &[Some(x), Some(*weight)])
            }
            Matrix::Packed { main, beside, layout } => {
                let op = Op::own("QuantizedMatMul").with("N", n).with("K", k);
                let op = op.with("layout", layout.as_str());
                let inputs: Vec<Option<ValueId>> =
                    [x, *main].into_iter().chain(beside.iter().copied()).map(Some).collect();
                self.draft.one(name, op, &inputs)
            }
        }
    }

    /// A linear layer of the names `base.weight` and `base.bias`.
    pub(super) fn linear(
        &mut self,
        base: &str,
        x: ValueId,
        [n, k]: [i64; 2],
        bias: bool,
        form: Form,
    ) -> Result<ValueId, LoadError> {
        let matrix = self.matrix(base, n, k, form)?;
        let y = self.product(base, x, &matrix, n, k)?;
        self.biased(base, y, n, bias)
    }

    /// With the bias of a linear layer added, if it has one.
    pub(super) fn biased(
        &mut self,
        base: &str,
        y: ValueId,
        n: i64,
        wanted: bool,
    ) -> Result<ValueId, LoadError> {
        match self.tensor(&format!("{base}.bias"), wanted, &[n])? {
            Some(bias) => {
                self.draft.one(&format!("{base}/bias"), Op::onnx("Add"), &[Some(y), Some(bias)])
            }
            None => Ok(y),
        }
    }

    /// Rows of a table.
    pub(super) fn rows(
        &mut self,
        name: &str,
        table: &Matrix,
        ids: ValueId,
        [rows, width]: [i64; 2],
    ) -> Result<ValueId, LoadError> {
        match table {
            Matrix::Plain(weight) => {
                self.draft.one(name, Op::onnx("Gather"), &[Some(*weight), Some(ids)])
            }
            Matrix::Packed { main, beside, layout } => {
                let op = Op::own("QuantizedGather").with("rows", rows).with("width", width);
                let op =
                    op.with("dtype", i64::from(self.dtype.onnx())).with("layout", layout.as_str());
                let inputs: Vec<Option<ValueId>> =
                    [*main, ids].into_iter().chain(beside.iter().copied()).map(Some).collect();
                self.draft.one(name, op, &inputs)
            }
        }
    }

    /// A norm over the last axis, of this size, with the names `base.weight` and `base.bias`.
    pub(super) fn norm(
        &mut self,
        base: &str,
        x: ValueId,
        size: i64,
        norm: Norm,
        bias: bool,
    ) -> Result<ValueId, LoadError> {
        let weight = match norm {
            Norm::Bare => None,
            _ => self.vector(&format!("{base}.weight"), size)?,
        };
        let bias = self.tensor(&format!("{base}.bias"), bias, &[size])?;
        let weight = match weight {
            Some(weight) => weight,
            None => self.floats(&format!("{base}.ones"), &[size])?,
        };
        match (norm, bias) {
            (Norm::Rms, None) => {
                self.draft.one(base, Op::onnx("RMSNormalization"), &[Some(x), Some(weight)])
            }
            (_, bias) => {
                let op = Op::onnx("LayerNormalization").with("axis", -1_i64);
                let inputs = [Some(x), Some(weight), bias];
                self.draft.one(base, op, if bias.is_some() { &inputs } else { &inputs[..2] })
            }
        }
    }

    /// A node of the standard with one or two inputs.
    pub(super) fn node(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[ValueId],
    ) -> Result<ValueId, LoadError> {
        let inputs: Vec<Option<ValueId>> = inputs.iter().copied().map(Some).collect();
        self.draft.one(name, Op::onnx(op), &inputs)
    }

    /// `x` in another shape, in which 0 stands for the size that it has there.
    pub(super) fn reshaped(
        &mut self,
        name: &str,
        x: ValueId,
        shape: &[i64],
    ) -> Result<ValueId, LoadError> {
        let shape = self.ints(shape)?;
        self.node(name, "Reshape", &[x, shape])
    }

    /// Parts of the last axis.
    pub(super) fn split(
        &mut self,
        name: &str,
        x: ValueId,
        sizes: &[i64],
    ) -> Result<Vec<ValueId>, LoadError> {
        let list = self.ints(sizes)?;
        let op = Op::onnx("Split").with("axis", -1_i64);
        self.draft.many(name, op, &[Some(x), Some(list)], sizes.len())
    }

    /// An activation by its name in ONNX, or what it is a product of.
    pub(super) fn activation(
        &mut self,
        name: &str,
        act: &str,
        x: ValueId,
    ) -> Result<ValueId, LoadError> {
        let op = if act == "Swish" { Op::at("Swish", 24) } else { Op::onnx(act) };
        self.draft.one(name, op, &[Some(x)])
    }
}

/// How a matrix is stored, and given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[n, k]`, given as `[k, n]`: as it multiplies from the right.
    Usual,
    /// Stored as it multiplies from the right.
    Turned,
    /// `[n, k]`, given as it is: rows are gathered.
    Table,
}

/// Shapes of a packed matrix and its scales, as far as a configuration tells them.
pub(super) fn sizes(packing: &Packing, n: i64, k: i64) -> ([i64; 2], [i64; 2]) {
    let packed = k.saturating_mul(packing.bits).saturating_add(7) / 8;
    let groups = packing.group.map_or(1, |group| (k + group - 1) / group);
    ([n, packed], [n, groups])
}

/// How many numbers a tensor of this shape holds.
fn product(shape: &[i64]) -> u64 {
    shape.iter().fold(1_u64, |n, size| n.saturating_mul(u64::try_from(*size).unwrap_or(0)))
}
