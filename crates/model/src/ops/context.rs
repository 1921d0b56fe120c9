//! What an operator may look at while it works out its effect.

use super::Effect;
use crate::dim::Dim;
use crate::ir::{AttrError, Attrs, DType, Node, Shape, TensorInfo};
use std::cell::RefCell;
use std::sync::Arc;

/// Why the effect of a node is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpError {
    /// A required input port is empty.
    #[error("input {0} is missing")]
    MissingInput(usize),
    /// The shape or type of an input is not known.
    #[error("{what} of input {port} is not known")]
    UnknownInput {
        /// Which port.
        port: usize,
        /// `shape`, `type` or `contents`.
        what: &'static str,
    },
    /// The inputs contradict the operator's definition.
    #[error("{0}")]
    Invalid(String),
    /// An attribute is missing or of the wrong kind.
    #[error(transparent)]
    Attr(#[from] AttrError),
    /// A case of the operator that is not handled.
    #[error("{0} is not supported")]
    Unsupported(String),
}

/// Two sizes that a node needs to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equality {
    /// One of them.
    pub a: Dim,
    /// The other.
    pub b: Dim,
    /// Whether either may also be one, as where two tensors broadcast.
    pub or_one: bool,
}

/// Runs the body that an attribute names on these inputs: its outputs, and what it costs once.
pub type RunBody<'a> =
    dyn Fn(&str, &[TensorInfo]) -> Result<(Vec<TensorInfo>, super::Inner), OpError> + 'a;

/// A node with what is known of its inputs.
pub struct OpCx<'a> {
    /// The node.
    pub node: &'a Node,
    /// What is known of each input port; `None` where the port is empty.
    pub inputs: Vec<Option<&'a TensorInfo>>,
    /// What the file says of each output: a hint, checked by the walk.
    pub declared: Vec<Option<&'a TensorInfo>>,
    /// Runs a body: analysed outputs and cost, from the infos of its inputs.
    pub run_body: &'a RunBody<'a>,
    /// Equalities that must hold for the result to be right, such as two symbols that broadcast.
    pub constraints: &'a RefCell<Vec<Equality>>,
    /// Makes a symbol that nothing else has, with this stem, for a data-dependent size;
    /// with the most it can be, where that is known.
    pub fresh: &'a dyn Fn(&str, Option<Dim>) -> Dim,
    /// The data-dependent symbol with which data may make a size this number; none where no data do, and
    /// of a size that is not data-dependent.
    pub made_by_data: &'a dyn Fn(&Dim, i128) -> Option<Arc<str>>,
    /// The sum of data-dependent sizes; where it is too long for a formula, a size of its own with
    /// the most that it can be.
    pub sum: &'a dyn Fn(&[Dim]) -> Dim,
    /// What the reader of a report should know, such as which branch was counted.
    pub remarks: &'a RefCell<Vec<String>>,
    /// How many diagnostics there are so far; with a number, later ones are dropped: what bodies said
    /// that were run on trial.
    pub said: &'a dyn Fn(Option<usize>) -> usize,
    /// How many nodes of bodies and ports of theirs have been looked at, in the whole walk.
    pub visits: &'a dyn Fn() -> usize,
}

impl<'a> OpCx<'a> {
    /// The same node with other inputs.
    pub(super) fn with_inputs<'b>(&'b self, inputs: Vec<Option<&'b TensorInfo>>) -> OpCx<'b> {
        OpCx {
            node: self.node,
            inputs,
            declared: self.declared.clone(),
            run_body: self.run_body,
            constraints: self.constraints,
            fresh: self.fresh,
            made_by_data: self.made_by_data,
            remarks: self.remarks,
            sum: self.sum,
            said: self.said,
            visits: self.visits,
        }
    }

    /// Attributes of the node.
    pub fn attrs(&self) -> &'a Attrs {
        &self.node.attrs
    }

    /// Version of the node's operator set.
    pub fn opset(&self) -> i64 {
        self.node.opset
    }

    /// Input `port`, which may be absent.
    pub fn optional(&self, port: usize) -> Option<&'a TensorInfo> {
        self.inputs.get(port).copied().flatten()
    }

    /// Input `port`.
    pub fn input(&self, port: usize) -> Result<&'a TensorInfo, OpError> {
        self.optional(port).ok_or(OpError::MissingInput(port))
    }

    /// Shape of input `port`.
    pub fn shape(&self, port: usize) -> Result<&'a Shape, OpError> {
        let known = self.input(port)?.shape.as_ref();
        known.ok_or(OpError::UnknownInput { port, what: "shape" })
    }

    /// Rank of input `port`.
    pub fn rank(&self, port: usize) -> Result<usize, OpError> {
        Ok(self.shape(port)?.len())
    }

    /// Element type of input `port`; `None` where not known.
    pub fn dtype(&self, port: usize) -> Option<DType> {
        self.optional(port).and_then(|info| info.dtype)
    }

    /// Number of elements of input `port`.
    pub fn elements(&self, port: usize) -> Result<Dim, OpError> {
        Ok(self.shape(port)?.iter().product())
    }

    /// Contents of input `port` as integers, where all are known.
    pub fn ints(&self, port: usize) -> Result<Vec<Dim>, OpError> {
        self.input(port)?.ints().ok_or(OpError::UnknownInput { port, what: "contents" })
    }

    /// Contents of input `port` as integer constants.
    pub fn const_ints(&self, port: usize) -> Result<Vec<i64>, OpError> {
        self.input(port)?.const_ints().ok_or(OpError::UnknownInput { port, what: "contents" })
    }

    /// Integers that early operator sets keep in an attribute and later ones in an input.
    pub fn attr_or_input(&self, name: &str, port: usize) -> Result<Option<Vec<i64>>, OpError> {
        match self.attrs().ints(name)? {
            Some(v) => Ok(Some(v.to_vec())),
            None if self.optional(port).is_some() => self.const_ints(port).map(Some),
            None => Ok(None),
        }
    }

    /// Number of output ports.
    pub fn output_count(&self) -> usize {
        self.node.outputs.len()
    }

    /// The first output, like input 0 in type, with this shape.
    pub fn like(&self, shape: impl Into<Shape>) -> TensorInfo {
        TensorInfo::new(self.dtype(0), shape)
    }

    /// A view of input 0 with another shape: the same contents, no traffic.
    pub fn view(&self, shape: impl Into<Shape>) -> Result<Effect, OpError> {
        let input = self.input(0)?;
        let mut output = TensorInfo::new(input.dtype, shape);
        if let Some(value) = &input.value {
            output = output.with_value(value.to_vec());
        }
        Ok(Effect::one(output).free(self.inputs.len()))
    }

    /// States that two sizes must be equal.
    pub fn require_equal(&self, a: &Dim, b: &Dim) {
        self.require(a, b, false);
    }

    /// States that two sizes must be equal unless one of them is one.
    pub fn require_broadcast(&self, a: &Dim, b: &Dim) {
        self.require(a, b, true);
    }

    fn require(&self, a: &Dim, b: &Dim, or_one: bool) {
        if a != b {
            self.constraints.borrow_mut().push(Equality { a: a.clone(), b: b.clone(), or_one });
        }
    }
}

/// `Err(OpError::Invalid)` with a formatted text.
macro_rules! invalid {
    ($($arg:tt)*) => { Err($crate::ops::OpError::Invalid(format!($($arg)*))) };
}
pub(super) use invalid;
