//! Which open size of a model is its batch: by its name, else by what operators do along it, else the
//! first open axis of an input, unless that is known to be something else.

use crate::analysis::{Analysis, analyze};
use crate::dim::{Bindings, Dim};
use crate::ir::{Model, Node};
use crate::ops::{self, Class, Role};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The batch of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSymbol {
    /// Its symbol.
    pub symbol: Arc<str>,
    /// Whether that is only a convention: the first open axis, where other sizes are open too and neither
    /// a name nor an operator says which of them is the batch.
    pub by_convention: bool,
}

/// The batch of `model`; `None` where no size is open, or where none can be said to be the batch.
pub fn batch_symbol(model: &Model) -> Option<BatchSymbol> {
    named(model).or_else(|| {
        shapes(model).flatten().find_map(Dim::as_symbol)?;
        shown(model, &analyze(model, &Bindings::new()))
    })
}

/// The same where the analysis is there already.
pub(super) fn batch_of(model: &Model, analysis: &Analysis) -> Option<BatchSymbol> {
    named(model).or_else(|| shown(model, analysis))
}

fn shapes(model: &Model) -> impl Iterator<Item = &[Dim]> {
    let inputs = model.graph.inputs.iter();
    inputs.filter_map(|id| model.graph.value(*id).info.shape.as_deref())
}

/// A size of an input that is called a batch.
fn named(model: &Model) -> Option<BatchSymbol> {
    const ENDS: [&str; 2] = ["batch", "batch_size"];
    let called = |name: &&str| {
        let name = name.to_ascii_lowercase();
        let begins = name.starts_with(ENDS[0]);
        begins || ENDS.iter().any(|end| name.ends_with(end))
    };
    let found = shapes(model).flatten().filter_map(Dim::as_symbol).find(called)?;
    Some(BatchSymbol { symbol: found.into(), by_convention: false })
}

/// Parts of names that are given to sizes which are no batch.
const NO_BATCH: &[&str] =
    &["seq", "len", "time", "step", "frame", "token", "past", "position", "height", "width"];

/// The batch as operators show it, else the first open axis that may be one.
fn shown(model: &Model, analysis: &Analysis) -> Option<BatchSymbol> {
    let open: Vec<&str> = shapes(model).flatten().filter_map(Dim::as_symbol).collect();
    let evidence = Evidence::of(model, analysis);
    let excluded = |s: &str| evidence.other.contains(s);
    let shown = evidence.batch.iter().find(|s| !excluded(s) && open.contains(&&***s));
    if let Some(symbol) = shown {
        return Some(BatchSymbol { symbol: symbol.clone(), by_convention: false });
    }
    let may = |s: &&str| {
        let name = s.to_ascii_lowercase();
        !excluded(s) && !NO_BATCH.iter().any(|part| name.contains(part))
    };
    let found = shapes(model).find_map(|s| s.first()?.as_symbol().filter(may))?;
    let by_convention = open.iter().any(|s| *s != found && may(s));
    Some(BatchSymbol { symbol: found.into(), by_convention })
}

/// Symbols along which operators work, in the order that the nodes run.
#[derive(Default)]
struct Evidence {
    /// Along which they do the same for each entry.
    batch: Vec<Arc<str>>,
    /// Time, positions, or the width and height of an image.
    other: BTreeSet<Arc<str>>,
}

impl Evidence {
    fn of(model: &Model, analysis: &Analysis) -> Self {
        let mut found = Self::default();
        for id in &analysis.order {
            let node = model.graph.node(*id);
            let Some(axes) = axes(node) else { continue };
            let input = node.inputs.first().copied().flatten();
            let shape = input.and_then(|v| analysis.values[v.index()].shape.as_deref());
            let Some(shape) = shape else { continue };
            let symbol = |axis: usize| shape.get(axis)?.as_symbol().map(Arc::from);
            found.batch.extend(axes.batch(shape.len()).and_then(symbol));
            found.other.extend(axes.others(shape.len()).filter_map(symbol));
        }
        found
    }
}

/// What an operator does along the axes of its first input.
enum Axes {
    /// Steps along one axis, the same for each entry of the other: `[steps, batch, …]`, or
    /// `[batch, steps, …]`.
    Recurrent { batch: usize, steps: usize },
    /// `[batch, channels, sizes …]`.
    Image,
    /// `[batch, …, positions, features]`.
    Attention,
    /// Weighs along one axis, counted from the end where negative.
    Weighs(i64),
}

impl Axes {
    fn batch(&self, rank: usize) -> Option<usize> {
        match self {
            Self::Recurrent { batch, .. } => Some(*batch),
            Self::Image | Self::Attention => (rank > 2).then_some(0),
            Self::Weighs(_) => None,
        }
    }

    fn others(&self, rank: usize) -> std::ops::Range<usize> {
        let one = |axis: usize| axis..axis.saturating_add(1);
        match self {
            Self::Recurrent { steps, .. } => one(*steps),
            Self::Image => 2..rank,
            Self::Attention => rank.checked_sub(2).filter(|a| *a > 0).map_or(0..0, one),
            Self::Weighs(axis) => {
                let from_end = i64::try_from(rank).map_or(0, |rank| rank + axis);
                let axis = if *axis < 0 { from_end } else { *axis };
                usize::try_from(axis).map_or(0..0, one)
            }
        }
    }
}

fn axes(node: &Node) -> Option<Axes> {
    let op = ops::find(&node.domain, &node.op_type)?;
    match op.class {
        Class::Recurrent => {
            let first = node.attrs.int_or("layout", 0).ok()? == 1;
            let (batch, steps) = if first { (0, 1) } else { (1, 0) };
            Some(Axes::Recurrent { batch, steps })
        }
        Class::Convolution | Class::Pooling => Some(Axes::Image),
        Class::Attention => Some(Axes::Attention),
        _ if op.role == Role::Softmax => Some(Axes::Weighs(node.attrs.int_or("axis", -1).ok()?)),
        _ => None,
    }
}
