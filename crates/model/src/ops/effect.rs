//! What an operator does: what it gives out, and what that takes.

use super::fast::Share;
use super::{Inner, Status};
use crate::dim::Dim;
use crate::ir::TensorInfo;

/// What an operator does: its outputs, and its arithmetic. Bytes are filled in by the walk —
/// every input read once, every output written once — unless overridden here.
#[derive(Clone, Debug)]
pub struct Effect {
    pub(crate) outputs: Vec<TensorInfo>,
    pub(crate) macs: Dim,
    /// MACs that can change the result, where not all.
    pub(crate) effective: Option<Dim>,
    /// What the fastest known algorithm leaves of the MACs, on floats and on integers.
    pub(crate) fast: [Share; 2],
    /// Arithmetic besides MACs, transcendentals and comparisons.
    pub(crate) other: Dim,
    pub(crate) transcendentals: Dim,
    pub(crate) comparisons: Dim,
    /// Bytes read of an input port, where not all of it.
    pub(crate) reads: Vec<(usize, Dim)>,
    /// Bytes written in all, where not every output whole.
    pub(crate) writes: Option<Dim>,
    pub(crate) status: Status,
    /// Whether arithmetic is on integers, where the outputs do not tell.
    pub(crate) integer: Option<bool>,
    /// Cost of bodies run inside, already whole.
    pub(crate) inner: Option<Box<Inner>>,
}

impl Effect {
    /// An operator with these outputs that does no arithmetic.
    pub fn of(outputs: impl Into<Vec<TensorInfo>>) -> Self {
        Self {
            outputs: outputs.into(),
            macs: Dim::ZERO,
            effective: None,
            fast: [Share::ALL; 2],
            other: Dim::ZERO,
            transcendentals: Dim::ZERO,
            comparisons: Dim::ZERO,
            reads: Vec::new(),
            writes: None,
            status: Status::Exact,
            integer: None,
            inner: None,
        }
    }

    /// An operator with this one output.
    pub fn one(output: TensorInfo) -> Self {
        Self::of(vec![output])
    }

    /// Sets multiply–accumulates.
    #[must_use]
    pub fn macs(mut self, macs: Dim) -> Self {
        self.macs = macs;
        self
    }

    /// Sets the multiply–accumulates that can change the result, where not all can.
    #[must_use]
    pub fn effective(mut self, macs: Option<Dim>) -> Self {
        self.effective = macs;
        self
    }

    /// States what the fastest known algorithm leaves of the MACs, on floats and on integers.
    #[must_use]
    pub(crate) fn fast(mut self, left: [Share; 2]) -> Self {
        self.fast = left;
        self
    }

    /// Sets arithmetic besides MACs, transcendentals and comparisons.
    #[must_use]
    pub fn other(mut self, other: Dim) -> Self {
        self.other = other;
        self
    }

    /// Sets transcendental evaluations.
    #[must_use]
    pub fn transcendentals(mut self, count: Dim) -> Self {
        self.transcendentals = count;
        self
    }

    /// Sets comparisons.
    #[must_use]
    pub fn comparisons(mut self, count: Dim) -> Self {
        self.comparisons = count;
        self
    }

    /// Overrides the bytes read of input `port`.
    #[must_use]
    pub fn reads(mut self, port: usize, bytes: Dim) -> Self {
        self.reads.push((port, bytes));
        self
    }

    /// Overrides the bytes written.
    #[must_use]
    pub fn writes(mut self, bytes: Dim) -> Self {
        self.writes = Some(bytes);
        self
    }

    /// Marks a view: nothing is read or written.
    #[must_use]
    pub fn free(self, ports: usize) -> Self {
        (0..ports).fold(self.writes(Dim::ZERO), |e, port| e.reads(port, Dim::ZERO))
    }

    /// Marks the cost as an upper bound.
    #[must_use]
    pub fn bound(mut self) -> Self {
        self.status = Status::Bound;
        self
    }

    /// States whether the arithmetic is on integers.
    #[must_use]
    pub fn integer(mut self, integer: bool) -> Self {
        self.integer = Some(integer);
        self
    }

    /// Adds the cost of bodies that ran inside.
    #[must_use]
    pub fn inner(mut self, cost: impl Into<Inner>) -> Self {
        self.inner = Some(Box::new(cost.into()));
        self
    }
}
