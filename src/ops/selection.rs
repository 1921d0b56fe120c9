//! Operators that pick elements by their values or positions, and those that write some.

use super::Class::{Movement, Reduction};
use super::context::{OpCx, OpError, invalid};
use super::shape::axis;
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, Elem, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("BitCast", Movement, bit_cast).inputs(1, 1).formula("0; a view"),
    Op::new("Compress", Movement, compress).inputs(2, 2).formula("0; reads only what it keeps"),
    Op::new("EyeLike", Movement, eye_like).inputs(1, 1).weights("c"),
    Op::new("Hardmax", Reduction, hardmax).inputs(1, 1).formula("|x| comparisons"),
    Op::new("NonZero", Movement, non_zero).inputs(1, 1).formula("|x| comparisons"),
    Op::new("ReverseSequence", Movement, same).inputs(2, 2),
    Op::new("Scatter", Movement, scatter).inputs(3, 3).formula("0").weights(">c>"),
    Op::new("ScatterElements", Movement, scatter).inputs(3, 3).formula("0; 1 an update where it reduces").weights(">c>"),
    Op::new("TensorScatter", Movement, tensor_scatter).inputs(2, 3).formula("0; reads and writes only the update").weights(">>c"),
    Op::new("TopK", Reduction, top_k).inputs(1, 2).formula("≤ |x|·⌈log2 k⌉ comparisons"),
    Op::new("Unique", Reduction, unique).inputs(1, 1).formula("≤ |x|·⌈log2 |x|⌉ comparisons"),
];

/// `⌈log2 n⌉`, at least one; forty, which no size exceeds, where `n` is not a number.
pub(super) fn log2(n: &Dim) -> Dim {
    match n.as_const().and_then(|n| u128::try_from(n).ok()) {
        Some(n) => Dim::from(n.max(2).next_power_of_two().ilog2()),
        None => Dim::from(40),
    }
}

fn same(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())))
}

/// Elements of another width share the bytes of the last axis.
fn bit_cast(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let to = cx.attrs().int("to")?.and_then(|n| i32::try_from(n).ok()).and_then(DType::from_onnx);
    let to = to.ok_or_else(|| OpError::Unsupported("a cast to this type".into()))?;
    let output = TensorInfo::new(Some(to), cx.shape(0)?.clone());
    Ok(Effect::one(output).free(1))
}

/// Flattened first where no axis is given.
fn compress(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = cx.attrs().int("axis")?.map(|a| axis(a, shape.len())).transpose()?;
    let whole = at.map_or_else(|| shape.iter().product(), |a| shape[a].clone());
    let kept = match cx.const_ints(1) {
        Ok(flags) => Dim::from(flags.iter().filter(|f| **f != 0).count()),
        Err(_) => (cx.fresh)("kept", Some(whole)),
    };
    let mut output = shape.clone();
    match at {
        Some(a) => output[a] = kept,
        None => output = vec![kept],
    }
    let output = cx.like(output);
    let read = output.bytes().unwrap_or_default();
    Ok(Effect::one(output).reads(0, read))
}

fn eye_like(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let named = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    let dtype = named.and_then(DType::from_onnx).or(cx.dtype(0));
    Ok(Effect::one(TensorInfo::new(dtype, cx.shape(0)?.clone())).reads(0, Dim::ZERO))
}

fn hardmax(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(same(cx)?.comparisons(cx.elements(0)?))
}

/// `[rank, n]`, n the elements that are not zero.
fn non_zero(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (rank, all) = (cx.rank(0)?, cx.elements(0)?);
    let zero = |e: &Elem| match e {
        Elem::Int(d) => d.as_const().map(|c| c == 0),
        Elem::Float(x) => Some(*x == 0.0),
        Elem::Unknown => None,
    };
    let value = cx.input(0)?.value.as_ref();
    let flags: Option<Vec<bool>> = value.and_then(|v| v.iter().map(zero).collect());
    let count = match flags {
        Some(flags) => Dim::from(flags.iter().filter(|z| !**z).count()),
        None => (cx.fresh)("nonzero", Some(all.clone())),
    };
    let output = TensorInfo::new(Some(DType::I64), vec![Dim::from(rank.max(1)), count]);
    Ok(Effect::one(output).comparisons(all))
}

/// Copies the data, then writes the updates.
fn scatter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let reduces = cx.attrs().str("reduction")?.is_some_and(|r| r != "none");
    let updates = if reduces { cx.elements(2)? } else { Dim::ZERO };
    Ok(same(cx)?.other(updates))
}

/// Opset 24. A cache that is written in place.
fn tensor_scatter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let update = cx.input(1)?.bytes().unwrap_or_default();
    Ok(same(cx)?.reads(0, Dim::ZERO).writes(update))
}

/// Before opset 10, `k` is an attribute.
fn top_k(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", -1)?, shape.len())?;
    let k = match cx.attrs().int("k")? {
        Some(k) => Dim::from(k),
        None => match cx.ints(1)?.first() {
            Some(k) => k.clone(),
            None => return invalid!("k is empty"),
        },
    };
    let mut output = shape.clone();
    output[at] = k.clone();
    let values = cx.like(output);
    let indices = TensorInfo { dtype: Some(DType::I64), ..values.clone() };
    let compared = cx.elements(0)? * log2(&k);
    Ok(Effect::of(vec![values, indices]).comparisons(compared).reads(1, Dim::ZERO).bound())
}

/// Values, first positions, where each went, and counts.
fn unique(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = cx.attrs().int("axis")?.map(|a| axis(a, shape.len())).transpose()?;
    let whole = at.map_or_else(|| shape.iter().product(), |a| shape[a].clone());
    let value = cx.input(0)?.value.as_ref();
    let count = match value.and_then(|v| distinct(v, shape, at)) {
        Some(n) => Dim::from(n),
        None => (cx.fresh)("unique", Some(whole.clone())),
    };
    let mut output = shape.clone();
    match at {
        Some(a) => output[a] = count.clone(),
        None => output = vec![count.clone()],
    }
    let list = |n: &Dim| TensorInfo::new(Some(DType::I64), vec![n.clone()]);
    let mut outputs = vec![cx.like(output), list(&count), list(&whole), list(&count)];
    outputs.truncate(cx.output_count().max(1));
    let all = cx.elements(0)?;
    let compared = all.clone() * log2(&whole);
    Ok(Effect::of(outputs).comparisons(compared).bound())
}

/// How many slices along the axis differ, where every element is known.
fn distinct(value: &[Elem], shape: &[Dim], at: Option<usize>) -> Option<usize> {
    let bits: Vec<u64> =
        value.iter().map(|e| Some(e.as_f64()?.to_bits())).collect::<Option<_>>()?;
    let Some(at) = at else {
        return Some(bits.into_iter().collect::<std::collections::BTreeSet<_>>().len());
    };
    let sizes: Vec<usize> = shape.iter().map(Dim::as_usize).collect::<Option<_>>()?;
    let inner: usize = sizes[at + 1..].iter().product();
    let mut slices = vec![Vec::new(); sizes[at]];
    for (i, b) in bits.into_iter().enumerate() {
        slices[i / inner.max(1) % sizes[at]].push(b);
    }
    Some(slices.into_iter().collect::<std::collections::BTreeSet<_>>().len())
}
