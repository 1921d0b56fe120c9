//! From bytes to what a file says: tensors, operators, subgraphs, signatures.

use super::NAME;
use super::flat::{Flat, Table};
use super::schema::{CUSTOM, OPERATORS, dtype};
use crate::formats::LoadError;
use crate::formats::checked::checked_rank;
use crate::formats::error::{invalid, malformed};
use crate::ir::DType;
use std::sync::Arc;

/// A subgraph has no more inputs, nor outputs.
const MAX_PORTS: usize = 10_000;

/// What a file says.
pub(super) struct File<'a> {
    pub(super) version: u32,
    /// What the converter says of itself.
    pub(super) description: String,
    pub(super) graphs: Vec<Subgraph<'a>>,
    pub(super) signatures: Vec<Signature>,
}

/// One computation; the first is the model.
pub(super) struct Subgraph<'a> {
    pub(super) name: String,
    pub(super) tensors: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<usize>,
    pub(super) outputs: Vec<usize>,
    pub(super) operators: Vec<Operator<'a>>,
}

/// A tensor of a subgraph.
pub(super) struct Tensor<'a> {
    pub(super) name: String,
    pub(super) dtype: Option<DType>,
    /// Sizes, where one stands for those that are not fixed.
    pub(super) shape: Vec<i32>,
    /// Sizes with −1 for those that are not fixed; absent where all are, and in early files.
    pub(super) signature: Option<Vec<i32>>,
    /// Whether the file says that the rank is known; early files do not.
    pub(super) ranked: bool,
    /// Kept between calls.
    pub(super) variable: bool,
    pub(super) contents: Contents<'a>,
    pub(super) quantization: Quantization,
    pub(super) sparse: Option<Sparsity>,
}

/// Where the contents of a tensor are.
#[derive(Clone, Copy)]
pub(super) enum Contents<'a> {
    /// An operator makes it, or it is an input.
    Computed,
    /// Stored: the number of its buffer, and its bytes.
    Stored(usize, &'a [u8]),
    /// Stored in another file.
    Elsewhere,
}

/// Scales and zero points.
#[derive(Default)]
pub(super) struct Quantization {
    /// The first scale; zero where there is none.
    pub(super) scale: f32,
    pub(super) zero: i64,
    /// One, or one for each slice along an axis.
    pub(super) scales: usize,
}

/// What of a sparse tensor is stored besides its elements.
pub(super) struct Sparsity {
    pub(super) index_bytes: usize,
}

/// A step of a subgraph.
pub(super) struct Operator<'a> {
    /// Name of the runtime, or of its own.
    pub(super) name: Arc<str>,
    pub(super) custom: bool,
    pub(super) inputs: Vec<Option<usize>>,
    pub(super) outputs: Vec<usize>,
    pub(super) options: Option<Table<'a>>,
    /// Options of operators that came when the first union was full.
    pub(super) more_options: Option<Table<'a>>,
    /// Options of an operator of its own.
    pub(super) custom_options: &'a [u8],
}

/// A name of a subgraph, with names for its inputs and outputs.
pub(super) struct Signature {
    pub(super) key: String,
    pub(super) graph: usize,
    pub(super) inputs: Vec<(String, usize)>,
    pub(super) outputs: Vec<(String, usize)>,
}

/// What tensors and operators refer to by number.
struct Shared<'a> {
    buffers: Vec<Buffer<'a>>,
    codes: Vec<(Arc<str>, bool)>,
}

#[derive(Clone, Copy)]
enum Buffer<'a> {
    Empty,
    Here(&'a [u8]),
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Reads a file whose contents `flat` is a cursor over.
pub(super) fn decode<'a>(flat: &'a Flat<'a>) -> Result<File<'a>, LoadError> {
    let model = flat.root()?;
    let codes = model.tables(1)?.iter().map(code).collect::<Result<_, _>>()?;
    let buffers = model.tables(4)?.iter().map(|b| buffer(flat, b)).collect::<Result<_, _>>()?;
    let shared = Shared { buffers, codes };
    let graphs = model.tables(2)?;
    let graphs = graphs.iter().map(|g| subgraph(g, &shared)).collect::<Result<Vec<_>, _>>()?;
    if graphs.is_empty() {
        return Err(malformed(NAME, "it has no subgraph"));
    }
    let signatures = model.tables(7)?.iter().map(signature).collect::<Result<Vec<_>, _>>()?;
    for signature in &signatures {
        let graph = graphs.get(signature.graph);
        let tensors = graph.map_or(0, |graph| graph.tensors.len());
        let mut named = signature.inputs.iter().chain(&signature.outputs);
        if graph.is_none() || named.any(|(_, tensor)| *tensor >= tensors) {
            let place = format!("signature `{}`", signature.key);
            return Err(invalid(place, "names a subgraph or tensor that is not there"));
        }
    }
    Ok(File { version: model.get(0, 0_u32)?, description: model.text(3)?, graphs, signatures })
}

/// The name of an operator, and whether it is not of the runtime. Early files have the code in one byte alone.
fn code(table: &Table<'_>) -> Result<(Arc<str>, bool), LoadError> {
    let early = i32::from(table.get(0, 0_i8)?);
    let code = early.max(table.get(3, 0_i32)?);
    let name = usize::try_from(code).ok().and_then(|code| OPERATORS.get(code));
    Ok(match name {
        Some(&CUSTOM) => (table.text(1)?.into(), true),
        Some(name) => ((*name).into(), false),
        None => (format!("operator {code}").into(), true),
    })
}

fn buffer<'a>(flat: &Flat<'a>, table: &Table<'a>) -> Result<Buffer<'a>, LoadError> {
    let here = table.bytes(0)?;
    // Of files beyond 2 GB the contents lie behind the tables.
    let (at, length) = (table.get(1, 0_u64)?, table.get(2, 0_u64)?);
    Ok(match here {
        [] if at > 1 => Buffer::Here(flat.part(at, length)?),
        [] => Buffer::Empty,
        here => Buffer::Here(here),
    })
}

fn subgraph<'a>(table: &Table<'a>, shared: &Shared<'a>) -> Result<Subgraph<'a>, LoadError> {
    let name = table.text(4)?;
    let tensors = table.tables(0)?;
    let tensors = tensors.iter().map(|t| tensor(t, shared)).collect::<Result<Vec<_>, _>>()?;
    let refused = |message: String| invalid(format!("subgraph `{name}`"), message);
    let ports = |field: usize| -> Result<Vec<usize>, LoadError> {
        let list = table.list::<i32>(field)?.unwrap_or_default();
        if list.len() > MAX_PORTS {
            let message = format!("has {} inputs or outputs, of at most {MAX_PORTS}", list.len());
            return Err(refused(message));
        }
        Ok(list.into_iter().map(|i| index(i.into())).collect())
    };
    let (inputs, outputs) = (ports(1)?, ports(2)?);
    let operators = table.tables(3)?;
    let operators = operators.iter().map(|o| operator(o, shared)).collect::<Result<Vec<_>, _>>()?;
    let mut used = inputs.iter().chain(&outputs).chain(operators.iter().flat_map(|o| {
        let inputs = o.inputs.iter().flatten();
        inputs.chain(&o.outputs)
    }));
    if let Some(beyond) = used.find(|i| **i >= tensors.len()) {
        let last = tensors.len();
        return Err(refused(format!("refers to tensor {beyond} of {last}")));
    }
    drop(used);
    Ok(Subgraph { name, tensors, inputs, outputs, operators })
}

fn tensor<'a>(table: &Table<'a>, shared: &Shared<'a>) -> Result<Tensor<'a>, LoadError> {
    let name = table.text(3)?;
    let shape: Vec<i32> = table.list(0)?.unwrap_or_default();
    checked_rank(&name, shape.len())?;
    let signature: Option<Vec<i32>> = table.list(7)?;
    let signature = signature.filter(|s| s.len() == shape.len() && s.contains(&-1));
    let number = index(table.get(2, 0_u32)?.into());
    let contents = match shared.buffers.get(number) {
        Some(Buffer::Here(bytes)) => Contents::Stored(number, bytes),
        _ if table.get(10, 0_u32)? > 0 => Contents::Elsewhere,
        Some(Buffer::Empty) => Contents::Computed,
        None => return Err(invalid(format!("tensor `{name}`"), "has a buffer that is not there")),
    };
    let sparse = match table.table(6)? {
        Some(sparse) => Some(sparsity(&sparse)?),
        None => None,
    };
    let quantization = match table.table(4)? {
        Some(quantization) => self::quantization(&quantization)?,
        None => Quantization::default(),
    };
    Ok(Tensor {
        name,
        dtype: dtype(table.get(1, 0_i8)?),
        shape,
        signature,
        ranked: table.flag(8)?,
        variable: table.flag(5)?,
        contents,
        quantization,
        sparse,
    })
}

fn quantization(table: &Table<'_>) -> Result<Quantization, LoadError> {
    let scales = table.length(2, 4)?.unwrap_or(0);
    let first = |list: Option<Vec<f32>>| list.and_then(|l| l.first().copied()).unwrap_or(0.0);
    // Many scales are counted and not read.
    let scale = if scales == 1 { first(table.list(2)?) } else { 0.0 };
    let zero = match table.length(3, 8)? {
        Some(1) => table.list::<i64>(3)?.and_then(|l| l.first().copied()).unwrap_or(0),
        _ => 0,
    };
    Ok(Quantization { scale, zero, scales })
}

/// The bytes that say where the elements of a sparse tensor belong.
fn sparsity(table: &Table<'_>) -> Result<Sparsity, LoadError> {
    let mut index_bytes = 0_usize;
    for axis in table.tables(2)? {
        for (kind, vector) in [(2, 3), (4, 5)] {
            let width = match axis.get(kind, 0_u8)? {
                1 => 4,
                2 => 2,
                3 => 1,
                _ => continue,
            };
            let length = match axis.table(vector)? {
                Some(vector) => vector.length(0, width)?.unwrap_or(0),
                None => 0,
            };
            index_bytes = index_bytes.saturating_add(length.saturating_mul(width));
        }
    }
    Ok(Sparsity { index_bytes })
}

fn operator<'a>(table: &Table<'a>, shared: &Shared<'a>) -> Result<Operator<'a>, LoadError> {
    let number = index(table.get(0, 0_u32)?.into());
    let Some((name, custom)) = shared.codes.get(number) else {
        let last = shared.codes.len();
        return Err(malformed(NAME, format!("an operator has code {number} of {last}")));
    };
    let list = |field: usize| -> Result<Vec<i32>, LoadError> {
        Ok(table.list(field)?.unwrap_or_default())
    };
    let port = |i: i32| (i >= 0).then(|| index(i.into()));
    Ok(Operator {
        name: name.clone(),
        custom: *custom,
        inputs: list(1)?.into_iter().map(port).collect(),
        outputs: list(2)?.into_iter().map(|i| index(i.into())).collect(),
        options: table.table(4)?,
        more_options: table.table(12)?,
        custom_options: table.bytes(5)?,
    })
}

fn signature(table: &Table<'_>) -> Result<Signature, LoadError> {
    let map = |field: usize| -> Result<Vec<(String, usize)>, LoadError> {
        let named = table.tables(field)?;
        named.iter().map(|t| Ok((t.text(0)?, index(t.get(1, 0_u32)?.into())))).collect()
    };
    Ok(Signature {
        key: table.text(2)?,
        graph: index(table.get(4, 0_u32)?.into()),
        inputs: map(0)?,
        outputs: map(1)?,
    })
}
