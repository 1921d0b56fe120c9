//! Fourier transforms. A complex tensor is a real one with a last axis of two while it is transformed.

use super::super::super::draft::Op;
use super::super::numbers;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::elementwise::{as_complex, as_real};
use super::operands::floating;
use super::{Args, Row, own, signed};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("fft_fft", "DFT", one::<COMPLEX>), own("fft_ifft", "DFT", one::<INVERSE>), own("fft_rfft", "DFT", one::<REAL>), own("fft_irfft", "DFT", one::<TO_REAL>),
    own("fft_fft2", "DFT", two::<COMPLEX>), own("fft_ifft2", "DFT", two::<INVERSE>), own("fft_rfft2", "DFT", two::<REAL>), own("fft_irfft2", "DFT", two::<TO_REAL>),
    own("fft_fftn", "DFT", all::<COMPLEX>), own("fft_ifftn", "DFT", all::<INVERSE>), own("fft_rfftn", "DFT", all::<REAL>), own("fft_irfftn", "DFT", all::<TO_REAL>),
    own("_fft_r2c", "DFT", from_real), own("_fft_c2c", "DFT", between), own("_fft_c2r", "DFT", to_real), own("stft", "STFT", stft),
];

/// Kinds of transforms.
const COMPLEX: u8 = 0;
const INVERSE: u8 = 1;
/// Of real numbers: half of what it makes is kept.
const REAL: u8 = 2;
/// Back to real numbers.
const TO_REAL: u8 = 3;

/// A transform along one axis, to this length.
struct Along {
    axis: i64,
    length: Option<Value>,
    inverse: bool,
    half: bool,
}

fn is_complex(x: &Tensor) -> bool {
    matches!(x.dtype(), Some(DType::C64 | DType::C128))
}

/// The two parts of each number, or one of a real one, along a last axis.
fn taken_apart(site: &mut Site<'_, '_>, x: &Tensor) -> Lowered<Tensor> {
    if is_complex(x) {
        return match as_real(site, &Args::of(vec![Value::Tensor(x.clone())]))? {
            Value::Tensor(x) => Ok(x.clone().ranked(x.rank())),
            _ => unable("no parts"),
        };
    }
    let x = floating(site, x)?;
    site.unsqueeze(&x, &[-1])
}

fn transformed(site: &mut Site<'_, '_>, x: &Tensor, along: &Along) -> Lowered<Tensor> {
    // There is one axis more, the last.
    let axis = if along.axis < 0 { along.axis - 1 } else { along.axis };
    let axis = site.int(axis)?;
    let length = along.length.as_ref().map(|length| site.number(length)).transpose()?;
    let op = Op::onnx("DFT")
        .with("inverse", i64::from(along.inverse))
        .with("onesided", i64::from(along.half));
    site.emit(op, &[Some(x), length.as_ref(), Some(&axis)])
}

/// Along these axes, the last first where half is kept, and last where the result is real.
fn over(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    kind: u8,
    axes: &[i64],
    lengths: &[Value],
) -> Lowered<Tensor> {
    let rank = x.rank();
    let Some(last) = axes.len().checked_sub(1) else { return Ok(x.clone()) };
    let mut parts = taken_apart(site, x)?;
    let mut order: Vec<usize> = (0..axes.len()).collect();
    if kind == REAL {
        order.reverse();
    }
    for at in order {
        let half = at == last && matches!(kind, REAL | TO_REAL);
        let mut length = lengths.get(at).filter(|size| size.as_int() != Some(-1)).cloned();
        if half && kind == TO_REAL && length.is_none() {
            let size = site.size(x, axes[at])?;
            let size = numbers::needed(site, "sub", &[size, Value::Int(1)])?;
            length = Some(numbers::needed(site, "mul", &[size, Value::Int(2)])?);
        }
        let inverse = matches!(kind, INVERSE | TO_REAL);
        parts = transformed(site, &parts, &Along { axis: axes[at], length, inverse, half })?;
    }
    let wide = rank.map(|rank| rank + 1);
    if kind == TO_REAL {
        return Ok(site.squeeze(&parts.ranked(wide), &[-1])?.ranked(rank));
    }
    match as_complex(site, &Args::of(vec![Value::Tensor(parts.ranked(wide))]))? {
        Value::Tensor(made) => Ok(made.ranked(rank)),
        _ => unable("no complex numbers"),
    }
}

fn one<const KIND: u8>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = [arguments.int(2, "dim", -1)?];
    let lengths: Vec<Value> = arguments.get(1, "n").cloned().into_iter().collect();
    Ok(Value::Tensor(over(site, &arguments.x()?, KIND, &axes, &lengths)?))
}

fn two<const KIND: u8>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = arguments.ints(2, "dim")?.unwrap_or_else(|| vec![-2, -1]);
    let lengths = arguments.list(1, "s").unwrap_or_default();
    Ok(Value::Tensor(over(site, &arguments.x()?, KIND, &axes, &lengths)?))
}

fn all<const KIND: u8>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let lengths = arguments.list(1, "s").unwrap_or_default();
    let axes = match (arguments.ints(2, "dim")?, x.rank()) {
        (Some(axes), _) => axes,
        (None, _) if !lengths.is_empty() => (-signed(lengths.len())..0).collect(),
        (None, Some(rank)) => (0..signed(rank)).collect(),
        (None, None) => return unable("the number of axes is not known"),
    };
    Ok(Value::Tensor(over(site, &x, KIND, &axes, &lengths)?))
}

/// `x, axes, how it is scaled, whether half is kept`.
fn from_real(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = arguments.ints(1, "dim")?.unwrap_or_default();
    let kind = if arguments.flag(3, "onesided") { REAL } else { COMPLEX };
    Ok(Value::Tensor(over(site, &arguments.x()?, kind, &axes, &[])?))
}

/// `x, axes, how it is scaled, whether forward`.
fn between(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = arguments.ints(1, "dim")?.unwrap_or_default();
    let kind = if arguments.flag(3, "forward") { COMPLEX } else { INVERSE };
    Ok(Value::Tensor(over(site, &arguments.x()?, kind, &axes, &[])?))
}

/// `x, axes, how it is scaled, last size`.
fn to_real(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = arguments.ints(1, "dim")?.unwrap_or_default();
    let mut lengths = vec![Value::Int(-1); axes.len().saturating_sub(1)];
    lengths.extend(arguments.get(3, "last_dim_size").cloned());
    Ok(Value::Tensor(over(site, &arguments.x()?, TO_REAL, &axes, &lengths)?))
}

/// `x, length, step, length of the window, window, scaled, half, complex`; what is padded around a signal is padded
/// before.
fn stft(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    if matches!(arguments.get(6, "pad_mode"), Some(Value::Text(_))) {
        return unable("it pads the signal itself");
    }
    let x = floating(site, &arguments.x()?)?;
    let Some(length) = arguments.get(1, "n_fft").cloned() else {
        return unable("no length is given");
    };
    let step = match arguments.get(2, "hop_length") {
        Some(step) => step.clone(),
        None => numbers::needed(site, "floordiv", &[length.clone(), Value::Int(4)])?,
    };
    let half = arguments.get(6, "onesided").is_none() || arguments.flag(6, "onesided");
    let single = x.rank() == Some(1);
    let signals = if single { site.unsqueeze(&x, &[0])? } else { x };
    let (step, length) = (site.number(&step)?, site.number(&length)?);
    let window = arguments.maybe(4, "window")?;
    let op = Op::onnx("STFT").with("onesided", i64::from(half));
    // The last input gives the length; a shorter window is as if it were padded.
    let made = site.emit(op, &[Some(&signals), Some(&step), window.as_ref(), Some(&length)])?;
    let mut made = site.transpose(&made.ranked(Some(4)), &[0, 2, 1, 3])?;
    if single {
        made = site.squeeze(&made, &[0])?;
    }
    let made = Value::Tensor(made);
    if arguments.flag(7, "return_complex") {
        as_complex(site, &Args::of(vec![made]))
    } else {
        Ok(made)
    }
}
