//! What a value of the file is while it is lowered.

use super::tensor::Constant;
use crate::ir::{DType, TensorInfo, ValueId, Weight};
use std::cell::Cell;
use std::rc::Rc;

/// Integers that follow from constants alone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ints {
    pub(super) dims: Vec<usize>,
    pub(super) list: Vec<i64>,
}

impl Ints {
    pub(super) fn scalar(number: i64) -> Self {
        Self { dims: Vec::new(), list: vec![number] }
    }

    pub(super) fn vector(list: Vec<i64>) -> Self {
        Self { dims: vec![list.len()], list }
    }
}

/// A stored tensor: a constant or a variable.
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) info: TensorInfo,
    pub(super) weight: Weight,
    /// The graph in which it was stored last, and there.
    pub(super) made: Cell<Option<(usize, ValueId)>>,
}

/// Where a value is.
#[derive(Clone)]
pub(super) enum Place {
    /// In the graph that is being written.
    Here(ValueId),
    /// In a graph around it, under this name.
    Outer(Rc<str>),
    /// Not yet in a graph.
    Stored(Rc<Stored>),
    /// Nowhere: it carries no data, or nobody needs it.
    Nothing,
}

/// A value with what is known of it without shapes.
#[derive(Clone)]
pub(super) struct Val {
    pub(super) place: Place,
    pub(super) dtype: Option<DType>,
    pub(super) rank: Option<usize>,
    /// The first size, where the number is known.
    pub(super) length: Option<usize>,
    pub(super) known: Option<Rc<Ints>>,
    /// Whether it is a handle to a variable, whose contents it stands for.
    pub(super) handle: bool,
}

impl Val {
    pub(super) fn here(id: ValueId) -> Self {
        Self::at(Place::Here(id))
    }

    pub(super) fn nothing() -> Self {
        Self::at(Place::Nothing)
    }

    fn at(place: Place) -> Self {
        Self { place, dtype: None, rank: None, length: None, known: None, handle: false }
    }

    /// A tensor that the file stores.
    pub(super) fn stored(name: &str, constant: Constant) -> Self {
        let Constant { info, weight } = constant;
        let sizes = info.shape.as_ref();
        let length = sizes.and_then(|s| s.first()).and_then(crate::dim::Dim::as_usize);
        let (dtype, rank) = (info.dtype, info.rank());
        let known = ints(&info).map(Rc::new);
        let name = name.to_owned();
        let stored = Stored { name, info, weight, made: Cell::new(None) };
        Self { dtype, rank, length, known, ..Self::at(Place::Stored(Rc::new(stored))) }
    }

    pub(super) fn typed(self, dtype: Option<DType>) -> Self {
        Self { dtype, ..self }
    }

    pub(super) fn ranked(self, rank: impl Into<Option<usize>>) -> Self {
        Self { rank: rank.into(), ..self }
    }

    /// The integers in it, where they are known.
    pub(super) fn ints(&self) -> Option<&[i64]> {
        self.known.as_deref().map(|k| &k.list[..])
    }

    /// The single integer in it.
    pub(super) fn int(&self) -> Option<i64> {
        match self.ints()? {
            [one] => Some(*one),
            _ => None,
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self.place, Place::Nothing)
    }
}

fn ints(info: &TensorInfo) -> Option<Ints> {
    if !info.dtype.is_some_and(|d| d.is_integer() || d == DType::Bool) {
        return None;
    }
    let dims = info.shape.as_ref()?.iter().map(crate::dim::Dim::as_usize);
    Some(Ints { dims: dims.collect::<Option<_>>()?, list: info.const_ints()? })
}
