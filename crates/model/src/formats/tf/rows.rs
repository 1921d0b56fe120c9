//! A row for each operator: its name in `TensorFlow`, what it becomes, and how.

mod data;
mod elementwise;
mod images;
mod lists;
mod moves;
mod products;
mod reductions;
mod shapes;
mod various;

use super::control::cast;
use super::cx::Cx;
use super::program::Def;
use super::tensor;
use super::value::{Place, Val};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::error::invalid;
use crate::ir::{DType, TensorInfo, ValueId};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The outputs of a node.
type Lowered = Result<Vec<Val>, LoadError>;

/// How an operator is lowered.
#[derive(Clone, Copy)]
enum How {
    /// To one node, of the standard's operator of this name, that reads the same.
    Same(&'static str),
    By(fn(&mut Call<'_, '_, '_>) -> Lowered),
}

/// A row of the table.
struct Row {
    name: &'static str,
    /// For people: what it becomes.
    to: &'static str,
    how: How,
}

const fn same(name: &'static str, to: &'static str) -> Row {
    Row { name, to, how: How::Same(to) }
}

const fn by(
    name: &'static str,
    to: &'static str,
    lower: fn(&mut Call<'_, '_, '_>) -> Lowered,
) -> Row {
    Row { name, to, how: How::By(lower) }
}

static TABLES: [&[Row]; 9] = [
    data::ROWS,
    elementwise::ROWS,
    images::ROWS,
    lists::ROWS,
    moves::ROWS,
    products::ROWS,
    reductions::ROWS,
    shapes::ROWS,
    various::ROWS,
];

/// Operators that stand for their first input.
const PASSED: [&str; 20] = [
    "CheckNumerics",
    "CheckNumericsV2",
    "Copy",
    "CopyHost",
    "DebugIdentity",
    "DebugIdentityV2",
    "EnsureShape",
    "Enter",
    "Exit",
    "Identity",
    "LoopCond",
    "NextIteration",
    "OptimizationBarrier",
    "PlaceholderWithDefault",
    "PlugAndPlayIdentity",
    "PreventGradient",
    "ReadVariableOp",
    "Snapshot",
    "StopGradient",
    "_MklToTf",
];

/// Operators that the reader follows itself, and what becomes of them.
const FOLLOWED: [(&str, &str); 14] = [
    ("Case", "If"),
    ("Const", "a stored tensor"),
    ("If", "If"),
    ("PartitionedCall", "inlined"),
    ("Placeholder", "an input"),
    ("PlaceholderV2", "an input"),
    ("StatefulPartitionedCall", "inlined"),
    ("StatelessCase", "If"),
    ("StatelessIf", "If"),
    ("StatelessWhile", "Loop"),
    ("VarHandleOp", "a stored tensor"),
    ("Variable", "a stored tensor"),
    ("VariableV2", "a stored tensor"),
    ("While", "Loop"),
];

/// Every operator that is understood, with what it becomes.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    let rows = TABLES.iter().flat_map(|t| t.iter()).map(|row| (row.name, row.to));
    let passed = PASSED.iter().map(|name| (*name, "its input"));
    let mut all: Vec<_> = rows.chain(passed).chain(FOLLOWED).collect();
    all.sort_unstable();
    all
}

/// Whether an operator stands for its first input.
pub(super) fn passes(op: &str) -> bool {
    PASSED.contains(&op)
}

fn find(op: &str) -> Option<&'static Row> {
    static INDEX: OnceLock<HashMap<&str, &Row>> = OnceLock::new();
    let all = || TABLES.iter().flat_map(|t| t.iter()).map(|row| (row.name, row)).collect();
    INDEX.get_or_init(all).get(op).copied()
}

/// Lowers a node.
pub(super) fn lower(call: &mut Call<'_, '_, '_>) -> Lowered {
    match find(&call.def.op).map(|row| row.how) {
        Some(How::Same(name)) => {
            let rank = call.widest();
            let all = call.all()?;
            let id = call.end(Op::onnx(name), &all)?;
            Ok(vec![Val::here(id).ranked(rank)])
        }
        Some(How::By(lower)) => lower(call),
        None => call.foreign(),
    }
}

/// Operators whose output is a truth value.
const TRUTHS: [&str; 16] = [
    "All",
    "Any",
    "ApproximateEqual",
    "Equal",
    "Greater",
    "GreaterEqual",
    "InTopK",
    "InTopKV2",
    "IsFinite",
    "IsInf",
    "IsNan",
    "Less",
    "LessEqual",
    "LogicalAnd",
    "LogicalNot",
    "NotEqual",
];

/// Attributes that say the type of what a node makes, the more particular first.
const KINDS: [&str; 10] = [
    "DstT",
    "output_type",
    "out_type",
    "dtype",
    "element_dtype",
    "Tout",
    "Tparams",
    "output_dtype",
    "internal_type",
    "T",
];

/// The type of an output, as far as the file says.
pub(super) fn dtype(def: &Def, port: usize, inputs: &[Val]) -> Option<DType> {
    let op = def.op.as_str();
    if TRUTHS.contains(&op) || op == "LogicalOr" {
        return Some(DType::Bool);
    }
    let list = op.starts_with("TensorList")
        && ["Reserve", "FromTensor", "SetItem", "PushBack", "Resize"]
            .iter()
            .any(|e| op.ends_with(e));
    if list || op == "EmptyTensorList" {
        return None;
    }
    match (op, port) {
        (
            "TopK" | "TopKV2" | "Unique" | "UniqueV2" | "UniqueWithCounts" | "MaxPoolWithArgmax",
            1..,
        ) => {
            let kind = ["index_type", "out_idx", "Targmax"];
            return kind.iter().find_map(|k| def.dtype(k)).or(Some(DType::I32));
        }
        ("Shape" | "ShapeN" | "Size" | "Rank", _) => {
            return def.dtype("out_type").or(Some(DType::I32));
        }
        ("ArgMax" | "ArgMin", _) => return def.dtype("output_type").or(Some(DType::I64)),
        ("Where" | "TensorListLength", _) => {
            return Some(if op == "Where" { DType::I64 } else { DType::I32 });
        }
        ("Range", _) => return def.dtype("Tidx").or(Some(DType::I32)),
        _ => {}
    }
    let stated = KINDS.iter().find_map(|kind| def.type_number(kind));
    match stated {
        Some(number) => tensor::dtype(number),
        None => inputs.first().and_then(|v| v.dtype),
    }
}

/// Operators whose output has the rank of their first input.
pub(super) fn rank(def: &Def, port: usize, inputs: &[Val]) -> Option<usize> {
    let keeps = [
        "BiasAdd",
        "Cast",
        "ConcatV2",
        "Pad",
        "PadV2",
        "MirrorPad",
        "Softmax",
        "LogSoftmax",
        "Slice",
        "ReverseV2",
        "Tile",
        "Transpose",
        "Roll",
        "Cumsum",
        "Split",
        "SplitV",
        "Relu6",
        "LeakyRelu",
    ];
    let first = inputs.first()?;
    match def.op.as_str() {
        "Split" => inputs.get(1)?.rank,
        "Shape" | "Range" | "Size" if def.op != "Size" => Some(1),
        "Size" | "Rank" => Some(0),
        "MatMul" => Some(2),
        "Reshape" => inputs.get(1)?.length,
        "ExpandDims" | "Pack" => Some(first.rank? + 1),
        "GatherV2" | "Gather" if def.int("batch_dims").unwrap_or(0) == 0 => {
            Some((first.rank? + inputs.get(1)?.rank?).checked_sub(1)?)
        }
        op if port == 0 && keeps.contains(&op) => first.rank,
        op if port == 0 && op.starts_with("BatchMatMul") => {
            Some(first.rank?.max(inputs.get(1)?.rank?))
        }
        _ => None,
    }
}

/// A node that is lowered.
pub(super) struct Call<'a, 'c, 'l> {
    pub(super) cx: &'a mut Cx<'c, 'l>,
    pub(super) def: &'a Def,
    pub(super) inputs: Vec<Val>,
    /// Outputs up to the last that is needed.
    pub(super) outputs: usize,
}

impl Call<'_, '_, '_> {
    /// Input `port`, which may be absent.
    fn val(&self, port: usize) -> Val {
        self.inputs.get(port).cloned().unwrap_or_else(Val::nothing)
    }

    fn fault(&self, message: impl Into<String>) -> LoadError {
        invalid(format!("node `{}`", self.def.name), message)
    }

    /// Input `port` in the graph.
    fn x(&mut self, port: usize) -> Result<ValueId, LoadError> {
        let val = self.val(port);
        if val.is_nothing() {
            return Err(self.fault(format!("has no data at input {port}")));
        }
        self.cx.id(&val)
    }

    /// All inputs in the graph.
    fn all(&mut self) -> Result<Vec<ValueId>, LoadError> {
        (0..self.inputs.len()).map(|port| self.x(port)).collect()
    }

    /// The rank of what the inputs broadcast to.
    fn widest(&self) -> Option<usize> {
        let ranks = self.inputs.iter().map(|v| v.rank);
        ranks.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Input `port` as a list of `i64`, as ONNX has shapes and axes.
    fn list(&mut self, port: usize) -> Result<ValueId, LoadError> {
        let val = self.val(port);
        if let Some(ints) = val.ints() {
            return self.cx.draft.ints(ints);
        }
        let id = self.whole(port)?;
        if val.rank != Some(0) {
            return Ok(id);
        }
        let shape = self.cx.draft.ints(&[1])?;
        self.put("list", Op::onnx("Reshape"), &[id, shape])
    }

    /// Input `port` as `i64`.
    fn whole(&mut self, port: usize) -> Result<ValueId, LoadError> {
        let val = self.val(port);
        match (val.int(), val.rank) {
            (Some(number), Some(0)) => return self.cx.draft.int(number),
            _ if val.ints().is_some() && val.rank == Some(1) => {
                return self.cx.draft.ints(val.ints().unwrap_or_default());
            }
            _ => {}
        }
        let id = self.x(port)?;
        if val.dtype == Some(DType::I64) {
            return Ok(id);
        }
        self.put("whole", cast(DType::I64), &[id])
    }

    /// A node on the way, whose name begins with that of the file's.
    fn put(&mut self, label: &str, op: Op, inputs: &[ValueId]) -> Result<ValueId, LoadError> {
        self.cx.one(&format!("{}/{label}", self.def.name), op, inputs)
    }

    /// The node that makes the output, with the file's name.
    fn end(&mut self, op: Op, inputs: &[ValueId]) -> Result<ValueId, LoadError> {
        self.cx.one(&self.def.name, op, inputs)
    }

    fn one(&mut self, op: Op, inputs: &[ValueId]) -> Lowered {
        Ok(vec![Val::here(self.end(op, inputs)?)])
    }

    /// A value in the type that the node states, where an operator of ONNX makes another.
    fn typed(&mut self, id: ValueId, made: DType) -> Lowered {
        let wanted = dtype(self.def, 0, &self.inputs).unwrap_or(made);
        let id = if wanted == made { id } else { self.end(cast(wanted), &[id])? };
        Ok(vec![Val::here(id).typed(Some(wanted))])
    }

    /// The standard's operator on the first inputs.
    fn one_of(&mut self, name: &str, inputs: usize) -> Lowered {
        let rank = self.val(0).rank;
        let all: Vec<_> = (0..inputs).map(|port| self.x(port)).collect::<Result<_, _>>()?;
        Ok(vec![Val::here(self.end(Op::onnx(name), &all)?).ranked(rank)])
    }

    /// One that no row tells about: kept under its name, with what the file says of its outputs.
    fn foreign(&mut self) -> Lowered {
        let inputs: Vec<Option<ValueId>> = (0..self.inputs.len())
            .map(|port| if self.val(port).is_nothing() { Ok(None) } else { self.x(port).map(Some) })
            .collect::<Result<_, _>>()?;
        let op = Op::foreign("tf", &self.def.op);
        let made = self.cx.draft.many(&self.def.name, op, &inputs, self.outputs)?;
        let mut shapes = self.def.shapes("_output_shapes");
        if shapes.is_empty() {
            shapes = self.def.shapes("output_shapes");
        }
        let types = self.def.types("Tout").unwrap_or_default();
        let mut found = Vec::with_capacity(made.len());
        for (port, id) in made.into_iter().enumerate() {
            let stated = types.get(port).and_then(|t| tensor::dtype(*t));
            let dtype = stated.or_else(|| dtype(self.def, port, &self.inputs));
            let sizes = tensor::sizes(&self.def.name, shapes.get(port))?;
            if let (Some(sizes), true) = (&sizes, dtype.is_some()) {
                let name = self.cx.draft.name(id).to_owned();
                let size = |(axis, n): (usize, &i64)| match n {
                    0.. => Dim::from(*n),
                    _ => Dim::symbol(&format!("{name}.{axis}")),
                };
                let shape: Vec<Dim> = sizes.iter().enumerate().map(size).collect();
                self.cx.draft.hint(id, TensorInfo::new(dtype, shape));
            }
            let rank = sizes.map(|s| s.len());
            found.push(Val { place: Place::Here(id), ..Val::nothing().typed(dtype).ranked(rank) });
        }
        Ok(found)
    }
}
