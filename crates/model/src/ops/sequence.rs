//! Sequences and optionals: lists of tensors that are handed on, not copied.

use super::Class::{Movement, View};
use super::context::{OpCx, OpError, invalid};
use super::shape::axis;
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, Elem, Sequence, TensorInfo};
use std::sync::Arc;

/// Sequences of more elements are followed as one element and a length.
const MAX_ELEMENTS: usize = 256;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("ConcatFromSequence", Movement, concat).inputs(1, 1),
    Op::new("Optional", View, optional).inputs(0, 1),
    Op::new("OptionalGetElement", View, get).inputs(1, 1),
    Op::new("OptionalHasElement", View, has).inputs(0, 1),
    Op::new("SequenceAt", View, at).inputs(2, 2),
    Op::new("SequenceConstruct", View, construct).inputs(1, usize::MAX).weights(">"),
    Op::new("SequenceEmpty", View, empty).inputs(0, 0),
    Op::new("SequenceErase", View, erase).inputs(1, 2),
    Op::new("SequenceInsert", View, insert).inputs(2, 3).weights(">>c"),
    Op::new("SequenceLength", View, length).inputs(1, 1),
    Op::new("SplitToSequence", Movement, split).inputs(1, 2),
];

/// The sequence at input `port`.
pub(super) fn sequence(cx: &OpCx<'_>, port: usize) -> Result<Arc<Sequence>, OpError> {
    let known = cx.input(port)?.sequence.clone();
    known.ok_or(OpError::UnknownInput { port, what: "sequence" })
}

/// A position in a sequence, counted from the front; the last one where the input is absent.
fn position(cx: &OpCx<'_>, port: usize, length: usize, end: usize) -> Option<usize> {
    let Some(info) = cx.optional(port) else { return Some(end) };
    let [given] = info.const_ints()?[..] else { return None };
    let length = i64::try_from(length).ok()?;
    usize::try_from(if given < 0 { given + length } else { given }).ok()
}

fn view(cx: &OpCx<'_>, output: TensorInfo) -> Effect {
    Effect::one(output).free(cx.inputs.len())
}

fn construct(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let elements = (0..cx.inputs.len()).map(|p| cx.input(p).cloned());
    Ok(view(cx, TensorInfo::sequence_of(elements.collect::<Result<_, _>>()?)))
}

fn empty(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let named = cx.attrs().int_or("dtype", 1)?;
    let dtype = i32::try_from(named).ok().and_then(DType::from_onnx);
    let element = TensorInfo { dtype, ..TensorInfo::default() };
    let none = Sequence { elements: Some(Vec::new()), element, length: Dim::ZERO };
    Ok(view(cx, none.into()))
}

fn length(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let length = sequence(cx, 0)?.length.clone();
    let scalar = TensorInfo::new(Some(DType::I64), Vec::new());
    Ok(view(cx, scalar.with_value(vec![Elem::Int(length)])))
}

fn at(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let s = sequence(cx, 0)?;
    let Some(elements) = &s.elements else { return Ok(view(cx, s.element.clone())) };
    let Some(i) = position(cx, 1, elements.len(), 0) else {
        return Ok(view(cx, s.element.clone()));
    };
    match elements.get(i) {
        Some(element) => Ok(view(cx, element.clone())),
        None => invalid!("element {i} of a sequence of {}", elements.len()),
    }
}

fn insert(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (s, new) = (sequence(cx, 0)?, cx.input(1)?);
    if let Some(elements) = s.elements.as_ref().filter(|e| e.len() < MAX_ELEMENTS) {
        if let Some(i) = position(cx, 2, elements.len(), elements.len()) {
            let mut elements = elements.clone();
            if i > elements.len() {
                return invalid!("insertion at {i} of a sequence of {}", elements.len());
            }
            elements.insert(i, new.clone());
            return Ok(view(cx, TensorInfo::sequence_of(elements)));
        }
    }
    let element = if s.length.is_zero() { new.clone() } else { s.element.join(new) };
    let length = s.length.clone() + Dim::ONE;
    Ok(view(cx, Sequence { elements: None, element, length }.into()))
}

fn erase(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let s = sequence(cx, 0)?;
    if let Some(elements) = &s.elements {
        let last = elements.len().saturating_sub(1);
        if let Some(i) = position(cx, 1, elements.len(), last) {
            let mut elements = elements.clone();
            if i >= elements.len() {
                return invalid!("erasure at {i} of a sequence of {}", elements.len());
            }
            elements.remove(i);
            return Ok(view(cx, TensorInfo::sequence_of(elements)));
        }
    }
    let length = s.length.clone() - Dim::ONE;
    Ok(view(cx, Sequence { elements: None, element: s.element.clone(), length }.into()))
}

/// Pieces along `axis`: of size one (and the axis dropped, unless `keepdims`) or as `split` says.
fn split(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", 0)?, shape.len())?;
    let piece = |size: Option<Dim>| {
        let mut piece = shape.clone();
        match size {
            Some(size) => piece[at] = size,
            None => drop(piece.remove(at)),
        }
        cx.like(piece)
    };
    let whole = &shape[at];
    let sizes: Option<Vec<Option<Dim>>> = match cx.optional(1) {
        None => {
            let size = (cx.attrs().int_or("keepdims", 1)? != 0).then_some(Dim::ONE);
            let count = whole.as_usize().filter(|n| *n <= MAX_ELEMENTS);
            let Some(count) = count else {
                let element = piece(size);
                let all = Sequence { elements: None, element, length: whole.clone() };
                return Ok(Effect::one(all.into()));
            };
            Some(vec![size; count])
        }
        Some(info) if info.rank() == Some(0) => {
            let [chunk] = cx
                .ints(1)?
                .try_into()
                .map_err(|_| OpError::Unsupported("splitting by this".into()))?;
            let parts = whole.as_usize().zip(chunk.as_usize().filter(|c| *c > 0));
            match parts {
                Some((n, c)) if n.div_ceil(c) <= MAX_ELEMENTS => {
                    Some((0..n.div_ceil(c)).map(|i| Some(Dim::from(c.min(n - i * c)))).collect())
                }
                _ => {
                    let length = whole.ceil_div(&chunk);
                    let element = piece(Some(chunk));
                    return Ok(Effect::one(Sequence { elements: None, element, length }.into()));
                }
            }
        }
        Some(_) => Some(cx.ints(1)?.into_iter().map(Some).collect()),
    };
    let elements = sizes.unwrap_or_default().into_iter().map(piece).collect();
    Ok(Effect::one(TensorInfo::sequence_of(elements)).reads(1, Dim::ZERO))
}

/// Along `axis`, or stacked on a new one.
fn concat(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let s = sequence(cx, 0)?;
    let unknown = OpError::UnknownInput { port: 0, what: "shape" };
    let shapes: Vec<_> = match &s.elements {
        Some(elements) => elements.iter().map(|e| e.shape.clone()).collect(),
        None => vec![s.element.shape.clone()],
    };
    let first = shapes.first().cloned().flatten().ok_or_else(|| unknown.clone())?;
    let stack = cx.attrs().flag("new_axis")?;
    let given = cx.attrs().int_or("axis", 0)?;
    let at = axis(given, first.len() + usize::from(stack))?;
    let mut output = first;
    if stack {
        output.insert(at, s.length.clone());
    } else if s.elements.is_some() {
        let sizes = shapes.iter().map(|shape| shape.as_ref()?.get(at).cloned());
        output[at] = sizes.sum::<Option<Dim>>().ok_or(unknown)?;
    } else {
        output[at] = output[at].clone() * s.length.clone();
    }
    Ok(Effect::one(TensorInfo::new(s.element.dtype.or(cx.dtype(0)), output)))
}

#[allow(clippy::unnecessary_wraps)] // The table's signature.
fn optional(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = match cx.optional(0) {
        Some(info) => TensorInfo { present: Some(true), ..info.clone() },
        None => TensorInfo { present: Some(false), ..TensorInfo::default() },
    };
    Ok(view(cx, output))
}

fn get(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    match cx.input(0)? {
        TensorInfo { present: Some(false), .. } => invalid!("the optional is empty"),
        info => Ok(view(cx, TensorInfo { present: None, ..info.clone() })),
    }
}

/// A tensor or sequence that is not an optional counts as present.
#[allow(clippy::unnecessary_wraps)] // The table's signature.
fn has(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let scalar = TensorInfo::new(Some(DType::Bool), Vec::new());
    let known = match cx.optional(0) {
        None => Some(false),
        Some(info) => info.present,
    };
    let value = known.map(|k| Elem::Int(Dim::from(i64::from(k))));
    Ok(view(cx, scalar.with_value(value.into_iter().collect())))
}
