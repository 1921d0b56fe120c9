//! A tensor that a file stores, as long as no graph holds it.

use crate::ir::TensorInfo;
use std::cell::RefCell;
use std::rc::Rc;

/// A tensor that the file stores, before it is part of a graph.
pub(super) struct Stored {
    /// Its name in the model: that of the first attribute that holds it.
    pub(super) name: RefCell<Rc<str>>,
    /// Type, sizes and, where they are few, elements.
    pub(super) info: TensorInfo,
    /// Its sizes.
    pub(super) sizes: Vec<i64>,
    /// What tells it from others: where it lies, and how.
    pub(super) key: Key,
    /// Scale and zero of a quantised tensor; those of the first channel where each has its own.
    pub(super) quantized: Option<(f64, i64)>,
}

/// Where a tensor lies: its storage, the first element, sizes and strides.
pub(super) type Key = (Rc<str>, i64, Vec<i64>, Vec<i64>);
