//! Spectra and the windows before them.

use super::Class::{Elementwise, MatrixProduct, Movement};
use super::context::{OpCx, OpError, invalid};
use super::shape::axis;
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("BlackmanWindow", Elementwise, window).inputs(1, 1).formula("6·n, 2 transcendental each"),
    Op::new("DFT", MatrixProduct, dft).inputs(1, 3).formula("5·|x|·⌈log2 n⌉ per complex signal, half for real").weights("-cc"),
    Op::new("HammingWindow", Elementwise, window).inputs(1, 1).formula("4·n, 1 transcendental each"),
    Op::new("HannWindow", Elementwise, window).inputs(1, 1).formula("4·n, 1 transcendental each"),
    Op::new("MelWeightMatrix", Movement, mel).inputs(5, 5).formula("≤ 4·|y|").weights("c"),
    Op::new("STFT", MatrixProduct, stft).inputs(2, 4).formula("frames × (window + DFT)").weights("-ccc"),
];

fn output_dtype(cx: &OpCx<'_>, name: &str) -> Result<Option<DType>, OpError> {
    let named = cx.attrs().int_or(name, 1)?;
    Ok(i32::try_from(named).ok().and_then(DType::from_onnx))
}

fn size(cx: &OpCx<'_>, port: usize) -> Result<Dim, OpError> {
    match &cx.ints(port)?[..] {
        [n] => Ok(n.clone()),
        _ => invalid!("input {port} is not one number"),
    }
}

fn window(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = size(cx, 0)?;
    let output = TensorInfo::new(output_dtype(cx, "output_datatype")?, vec![n.clone()]);
    let terms = if &*cx.node.op_type == "BlackmanWindow" { 2 } else { 1 };
    let arithmetic = n.clone() * Dim::from(terms + 2);
    Ok(Effect::one(output).other(arithmetic).transcendentals(n * Dim::from(terms)).integer(false))
}

/// Cooley–Tukey: 5·n·log2 n for n complex points.
fn fft(points: Dim, n: &Dim, real: bool) -> Dim {
    let work = points * n.ceil_log2() * Dim::from(5);
    if real { work.floor_div(&Dim::from(2)) } else { work }
}

/// `[…, n, 1 or 2]`: real or complex last. Before opset 20 the axis is an attribute.
fn dft(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let given = match cx.optional(2) {
        Some(_) => cx.const_ints(2)?.first().copied().unwrap_or(-2),
        None => cx.attrs().int_or("axis", if cx.opset() < 20 { 1 } else { -2 })?,
    };
    let at = axis(given, shape.len())?;
    let (last, real) = (shape.len() - 1, shape.last().is_some_and(Dim::is_one));
    let inverse = cx.attrs().flag("inverse")?;
    let onesided = cx.attrs().flag("onesided")?;
    let n = match cx.optional(1) {
        Some(_) => size(cx, 1)?,
        None => shape[at].clone(),
    };
    let mut output = shape.clone();
    output[last] = Dim::from(if inverse && onesided { 1 } else { 2 });
    output[at] = match (onesided, inverse) {
        (true, false) => n.floor_div(&Dim::from(2)) + Dim::ONE,
        // A one-sided spectrum of n/2 + 1 values; the length tells odd from even.
        (true, true) if cx.optional(1).is_none() => (n.clone() - Dim::ONE) * Dim::from(2),
        _ => n.clone(),
    };
    let mut signals = shape.clone();
    signals[last] = Dim::ONE;
    signals[at] = n.clone();
    let work = fft(signals.iter().product(), &n, real);
    Ok(Effect::one(cx.like(output)).other(work).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

/// `[B, n]` or `[B, n, 1 or 2]` → `[B, frames, bins, 2]`.
fn stft(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let (Some(batch), Some(n)) = (shape.first(), shape.get(1)) else {
        return invalid!("a signal of rank {}", shape.len());
    };
    let step = size(cx, 1)?;
    let length = match (cx.optional(3), cx.optional(2)) {
        (Some(_), _) => size(cx, 3)?,
        (None, Some(_)) => cx.shape(2)?.first().cloned().unwrap_or_default(),
        (None, None) => return Err(OpError::MissingInput(3)),
    };
    let free = n.clone() - length.clone();
    if free.as_const().is_some_and(|free| free < 0) {
        return invalid!("a frame of {length} does not fit into a signal of {n}");
    }
    if step.as_const().is_some_and(|step| step < 1) {
        return invalid!("a step of {step} between frames");
    }
    let frames = free.floor_div(&step) + Dim::ONE;
    let onesided = cx.attrs().int_or("onesided", 1)? != 0;
    let bins = if onesided { length.floor_div(&Dim::from(2)) + Dim::ONE } else { length.clone() };
    let real = shape.get(2).is_none_or(Dim::is_one);
    let points = batch.clone() * frames.clone() * length.clone();
    let windowed = if cx.optional(2).is_some() { points.clone() } else { Dim::ZERO };
    let output = cx.like(vec![batch.clone(), frames, bins, Dim::from(2)]);
    Ok(Effect::one(output).other(windowed + fft(points, &length, real)))
}

fn mel(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (bins, length) = (size(cx, 0)?, size(cx, 1)?);
    let shape = vec![length.floor_div(&Dim::from(2)) + Dim::ONE, bins];
    let output = TensorInfo::new(output_dtype(cx, "output_datatype")?, shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(4)).bound().integer(false))
}
