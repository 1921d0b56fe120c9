//! Variables that a runtime keeps between calls, other scales for integers, and tensors that are moved in ways that
//! only their reader knows.

use crate::dim::Dim;
use crate::ir::OWN_DOMAIN;
use crate::ir::{DType, Shape, TensorInfo};
use crate::ops::Class::{Elementwise, Movement, Quantization, Reduction};
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::shape::axis;
use crate::ops::{Effect, Holds, Op, Part};

#[rustfmt::skip]
pub(in crate::ops) const OPS: &[Op] = &[
    Op::new("AssignVariable", Movement, assign).domain(OWN_DOMAIN).inputs(2, 2).formula("0; writes the variable").weights("c>"),
    Op::new("Dequantize", Movement, dequantize).domain(OWN_DOMAIN).holds(Holds::Cast).inputs(2, 3).formula("2·|x|; once, of constants").weights("dss").playing(Part::Unpack),
    Op::new("DynamicSlice", Movement, dynamic_slice).domain(OWN_DOMAIN).holds(Holds::Moved).inputs(2, 3).formula("0; reads only the region").playing(Part::Map),
    Op::new("FusedActivation", Elementwise, activation).domain(OWN_DOMAIN).inputs(1, 1).formula("as the activation it names, within the kernel of what it reads: moves no bytes"),
    Op::new("Moved", Movement, moved).domain(OWN_DOMAIN).inputs(1, usize::MAX).formula("0, or a number per element that its reader states; reads as much as it writes"),
    Op::new("ReadVariable", Movement, copy).domain(OWN_DOMAIN).inputs(1, 1).formula("0; a copy"),
    Op::new("Requantize", Quantization, requantize).domain(OWN_DOMAIN).holds(Holds::Cast).inputs(1, 1).formula("3·|x| integer").weights(">"),
    Op::new("Sort", Reduction, sort).domain(OWN_DOMAIN).inputs(1, usize::MAX).formula("≤ |x|·⌈log2 n⌉ comparisons").playing(Part::Alone),
    Op::new("State", Movement, state).domain(OWN_DOMAIN).inputs(0, 1).formula("0: kept between calls"),
    Op::new("UpdateSlice", Movement, update).domain(OWN_DOMAIN).holds(Holds::Updated(1)).inputs(2, usize::MAX).formula("0; writes only the update").weights(">>c"),
];

/// The tensor that the attributes `sizes` and `dtype` describe; the type of input 0 where they name none.
fn described(cx: &OpCx<'_>) -> Result<TensorInfo, OpError> {
    let sizes = cx.attrs().dims("sizes")?;
    let sizes: Shape = sizes.ok_or_else(|| crate::ir::AttrError::Missing("sizes".into()))?;
    let named = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    Ok(TensorInfo::new(named.and_then(DType::from_onnx).or(cx.dtype(0)), sizes))
}

/// What a variable holds when a call begins. Its input is only what makes it no constant.
fn state(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(described(cx)?).free(1))
}

fn copy(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())))
}

/// The variable, and what it holds from now on.
fn assign(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.input(1)?.clone()).reads(0, Dim::ZERO))
}

/// What a kernel does to its results before it writes them.
fn activation(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let effect = Effect::one(cx.like(cx.shape(0)?.clone())).free(1);
    Ok(match cx.attrs().str("activation")?.unwrap_or_default() {
        "Relu" | "Sign" => effect.comparisons(n),
        "Clip" => effect.comparisons(n * Dim::from(2)),
        "Tanh" => effect.transcendentals(n),
        other => return Err(OpError::Unsupported(format!("the activation `{other}`"))),
    })
}

/// Its elements as floats, at once where they are constants.
fn dequantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = TensorInfo::new(cx.dtype(1), cx.shape(0)?.clone());
    Ok(Effect::one(output).other(cx.elements(0)? * Dim::from(2)).integer(false))
}

/// The same numbers in other steps.
fn requantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let named = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    let dtype = named.and_then(DType::from_onnx).or(cx.dtype(0));
    let output = TensorInfo::new(dtype, cx.shape(0)?.clone());
    Ok(Effect::one(output).other(cx.elements(0)? * Dim::from(3)).integer(true))
}

/// A region of known size anywhere in x: input 2 or the attribute `sizes`, of which −1 is all from a start that is
/// known.
fn dynamic_slice(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let sizes = match cx.attrs().dims("sizes")? {
        Some(sizes) => sizes,
        None => cx.ints(2)?,
    };
    if sizes.len() != shape.len() {
        return invalid!("{} sizes of rank {}", sizes.len(), shape.len());
    }
    let mut output = Shape::with_capacity(shape.len());
    for (i, size) in sizes.into_iter().enumerate() {
        output.push(match size.as_const() {
            Some(-1) => {
                let starts = cx.ints(1)?;
                let start = starts.get(i).cloned().ok_or(OpError::MissingInput(1))?;
                shape[i].clone() - start
            }
            _ => size,
        });
    }
    let output = cx.like(output);
    let read = output.bytes().unwrap_or_default();
    Ok(Effect::one(output).reads(0, read).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

/// x, the part that is written into it, and where.
fn update(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let written = cx.input(1)?.bytes().unwrap_or_default();
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).reads(0, Dim::ZERO).writes(written))
}

/// A tensor of known sizes that is made of parts of x, with `each` operations an element, and at most `of_each` an
/// element of x.
fn moved(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = described(cx)?;
    let each = Dim::from(cx.attrs().int_or("each", 0)?.max(0));
    let (n, read) = (output.elements().unwrap_or_default(), output.bytes().unwrap_or_default());
    let all = cx.input(0)?.bytes();
    if let Some(of_each) = cx.attrs().int("of_each")? {
        let work = n * each + cx.elements(0)? * Dim::from(of_each.max(0));
        return Ok(Effect::one(output).other(work).bound());
    }
    let read = all.map_or(read.clone(), |all| all.minimum(&read));
    Ok(Effect::one(output).other(n * each).reads(0, read))
}

/// All inputs in the order of the first, along `axis`.
fn sort(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let along = shape[axis(cx.attrs().int_or("axis", -1)?, shape.len())?].clone();
    let outputs = (0..cx.inputs.len())
        .map(|port| Ok(TensorInfo::new(cx.dtype(port), cx.shape(port)?.clone())))
        .collect::<Result<Vec<_>, OpError>>()?;
    Ok(Effect::of(outputs).comparisons(cx.elements(0)? * along.ceil_log2()).bound())
}
