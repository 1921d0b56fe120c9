//! Values while a program is evaluated: static ones, which fold, and those of the graph.

use super::super::error::invalid;
use super::super::{LoadError, LoadErrorKind};
use super::stored::Stored;
use crate::ir::{DType, ValueId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// A value.
#[derive(Clone)]
pub(super) enum Value {
    /// No value.
    None,
    /// Truth.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Rc<str>),
    /// A tensor of the graph.
    Tensor(Tensor),
    /// A number of the graph, without axes.
    Number(Tensor, Kind),
    /// A list.
    List(Rc<Items>),
    /// A tuple.
    Tuple(Rc<Items>),
    /// A dictionary: keys and values in turn.
    Dict(Rc<Items>),
    /// A module, or another object.
    Object(Rc<Object>),
    /// A list of tensors whose length is not known: a sequence of the graph.
    Sequence(Tensor),
    /// A list of whole numbers whose length is not known: a tensor of the graph with one axis.
    Numbers(Tensor),
    /// The parts of a tensor along an axis, their number not yet known.
    Pieces(Rc<Pieces>),
    /// A function or class.
    Path(Rc<str>),
    /// A tensor of the file that no graph holds yet.
    Stored(Rc<Stored>),
    /// What has no value where it is read, and why.
    Absent(&'static str),
}

/// What a number of the graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Truth.
    Bool,
}

/// Where the value of a tensor is.
#[derive(Clone)]
pub(super) struct At {
    /// In its graph.
    pub(super) id: ValueId,
    /// Which graph: zero is the whole, others are bodies.
    pub(super) body: usize,
    /// Its name, by which bodies know it.
    pub(super) name: Rc<str>,
}

/// What is known of a tensor.
#[derive(Clone)]
pub(super) struct Known {
    /// Its present value.
    pub(super) at: At,
    /// The number of axes.
    pub(super) rank: Option<usize>,
    /// The element type.
    pub(super) dtype: Option<DType>,
    /// The sizes of a stored tensor.
    pub(super) sizes: Option<Rc<[i64]>>,
    /// The tensor that this is a view of.
    pub(super) root: Option<Tensor>,
    /// How many real numbers a unit stands for, and which number is zero, where it is quantised.
    pub(super) quantized: Option<(f64, i64)>,
}

/// A tensor. Copies are the same tensor: what is written to one is in all.
#[derive(Clone)]
pub(super) struct Tensor(Rc<RefCell<Known>>);

impl Tensor {
    /// A tensor of which no more is known.
    pub(super) fn new(at: At) -> Self {
        Self(Rc::new(RefCell::new(Known {
            at,
            rank: None,
            dtype: None,
            sizes: None,
            root: None,
            quantized: None,
        })))
    }

    /// What is known of it.
    pub(super) fn known(&self) -> std::cell::Ref<'_, Known> {
        self.0.borrow()
    }

    /// Changes what is known.
    pub(super) fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.borrow_mut());
    }

    /// The number of axes.
    pub(super) fn rank(&self) -> Option<usize> {
        self.known().rank
    }

    /// The element type.
    pub(super) fn dtype(&self) -> Option<DType> {
        self.known().dtype
    }

    /// The sizes, of a stored tensor.
    pub(super) fn sizes(&self) -> Option<Rc<[i64]>> {
        self.known().sizes.clone()
    }

    /// The same tensor, with this number of axes.
    pub(super) fn ranked(self, rank: Option<usize>) -> Self {
        self.change(|known| known.rank = rank);
        self
    }

    /// The same tensor, of this type.
    pub(super) fn typed(self, dtype: Option<DType>) -> Self {
        self.change(|known| known.dtype = dtype);
        self
    }

    /// The same tensor, which is a view of another.
    pub(super) fn view_of(self, base: &Self) -> Self {
        let root = base.known().root.clone().unwrap_or_else(|| base.clone());
        if !self.same(base) && !self.same(&root) {
            self.change(|known| known.root = Some(root));
        }
        self
    }

    /// Whether both are one tensor.
    pub(super) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// Whether the type holds fractions.
    pub(super) fn is_float(&self) -> bool {
        self.dtype().is_none_or(DType::is_float)
    }

    /// Whether it holds truths.
    pub(super) fn is_bool(&self) -> bool {
        self.dtype() == Some(DType::Bool)
    }
}

/// What a list holds. It is taken apart without recursion, however deep lists lie in lists.
pub(super) struct Items(RefCell<Vec<Value>>);

impl Items {
    /// A copy of what is in it.
    pub(super) fn all(&self) -> Vec<Value> {
        self.0.borrow().clone()
    }

    /// Changes it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Vec<Value>) -> T) -> T {
        change(&mut self.0.borrow_mut())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// One of them.
    pub(super) fn at(&self, at: usize) -> Option<Value> {
        self.0.borrow().get(at).cloned()
    }
}

impl Drop for Items {
    fn drop(&mut self) {
        let mut rest = self.0.take();
        dismantle(&mut rest);
    }
}

/// An object with its attributes.
pub(super) struct Object {
    /// The class, by its whole name.
    pub(super) class: Rc<str>,
    /// Where it is in the model: `layer1.0.conv`.
    pub(super) path: RefCell<Rc<str>>,
    attributes: RefCell<HashMap<Rc<str>, Value>>,
}

impl Object {
    /// An object without attributes.
    pub(super) fn new(class: &str) -> Self {
        Self {
            class: class.into(),
            path: RefCell::new("".into()),
            attributes: RefCell::new(HashMap::new()),
        }
    }

    /// An attribute.
    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.attributes.borrow().get(name).cloned()
    }

    /// Sets an attribute.
    pub(super) fn set(&self, name: &str, value: Value) {
        let _old = self.attributes.borrow_mut().insert(name.into(), value);
    }

    /// The names of all attributes, sorted.
    pub(super) fn names(&self) -> Vec<Rc<str>> {
        let mut names: Vec<Rc<str>> = self.attributes.borrow().keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        let mut rest: Vec<Value> = self.attributes.take().into_values().collect();
        dismantle(&mut rest);
    }
}

fn dismantle(rest: &mut Vec<Value>) {
    while let Some(value) = rest.pop() {
        match value {
            Value::List(items) | Value::Tuple(items) | Value::Dict(items) => {
                if let Some(items) = Rc::into_inner(items) {
                    rest.append(&mut items.0.take());
                }
            }
            Value::Object(object) => {
                if let Some(object) = Rc::into_inner(object) {
                    rest.extend(object.attributes.take().into_values());
                }
            }
            _ => {}
        }
    }
}

/// The parts of a tensor along an axis.
pub(super) struct Pieces {
    /// What is cut.
    pub(super) whole: Tensor,
    /// Along which axis.
    pub(super) axis: i64,
    /// How long a piece is; none where each is one element without the axis.
    pub(super) size: Option<Value>,
    /// How many there are, as long as each has an element.
    pub(super) most: Option<usize>,
}

impl Value {
    /// A list.
    pub(super) fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(Items(RefCell::new(items))))
    }

    /// A tuple.
    pub(super) fn tuple(items: Vec<Self>) -> Self {
        Self::Tuple(Rc::new(Items(RefCell::new(items))))
    }

    /// A dictionary.
    pub(super) fn dict(entries: Vec<Self>) -> Self {
        Self::Dict(Rc::new(Items(RefCell::new(entries))))
    }

    /// A list of whole numbers.
    pub(super) fn ints(list: &[i64]) -> Self {
        Self::list(list.iter().copied().map(Self::Int).collect())
    }

    /// Tensors, as a tuple.
    pub(super) fn tensors(list: Vec<Tensor>) -> Self {
        Self::tuple(list.into_iter().map(Self::Tensor).collect())
    }

    /// What it is, in words.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::None => "no value",
            Self::Bool(_) | Self::Number(_, Kind::Bool) => "a truth",
            Self::Int(_) | Self::Number(_, Kind::Int) => "a whole number",
            Self::Float(_) | Self::Number(_, Kind::Float) => "a number",
            Self::Text(_) => "a text",
            Self::Tensor(_) | Self::Stored(_) => "a tensor",
            Self::List(_) | Self::Sequence(_) | Self::Numbers(_) | Self::Pieces(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
            Self::Object(_) => "an object",
            Self::Path(_) => "a function",
            Self::Absent(_) => "nothing",
        }
    }

    /// The whole number, where it is static.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(truth) => Some(i64::from(*truth)),
            _ => None,
        }
    }

    /// The number, where it is static.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            _ => self.as_int().map(|number| number as f64),
        }
    }

    /// The members of a list or tuple, where their number is known.
    pub(super) fn members(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) | Self::Tuple(items) => Some(items.all()),
            _ => None,
        }
    }

    /// Whether it is of the graph, itself or what is in it.
    pub(super) fn is_static(&self) -> bool {
        matches!(self, Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Text(_))
    }
}

/// Why an operator or a statement is not written as part of the graph.
pub(super) enum Fault {
    /// The file is refused.
    Load(LoadError),
    /// It is not understood, in a clause.
    Unable(String),
}

/// What lowering returns.
pub(super) type Lowered<T> = Result<T, Fault>;

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

impl From<LoadErrorKind> for Fault {
    fn from(error: LoadErrorKind) -> Self {
        Self::Load(error.into())
    }
}

impl Fault {
    /// The error of the file, where nothing can stand for what is not understood.
    pub(super) fn at(self, place: &str) -> LoadError {
        match self {
            Self::Load(error) => error,
            Self::Unable(why) => invalid(place, why),
        }
    }
}

/// What is not understood, in a clause.
pub(super) fn unable<T>(why: impl Into<String>) -> Lowered<T> {
    Err(Fault::Unable(why.into()))
}
