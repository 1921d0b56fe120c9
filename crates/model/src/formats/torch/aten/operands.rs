//! Operands of arithmetic: numbers become constants, types are promoted as torch does, and sizes broadcast.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::Args;
use crate::ir::DType;

/// Whole numbers as `f32`.
pub(super) fn floating(site: &mut Site<'_, '_>, x: &Tensor) -> Lowered<Tensor> {
    if x.is_float() { Ok(x.clone()) } else { site.cast(x, DType::F32) }
}

/// An operand: a tensor, or a constant of a type that suits the other.
pub(super) fn operand(
    site: &mut Site<'_, '_>,
    value: Option<&Value>,
    other: Option<DType>,
) -> Lowered<Tensor> {
    match value {
        Some(Value::Tensor(tensor) | Value::Number(tensor, _)) => Ok(tensor.clone()),
        Some(Value::Int(number)) if other.is_some_and(|d| !d.is_float() && d != DType::Bool) =>
        {
            #[allow(clippy::cast_precision_loss)]
            site.scalar(*number as f64, other.unwrap_or(DType::I64))
        }
        Some(value) => match value.as_float() {
            Some(number) => {
                let dtype = other.filter(|dtype| dtype.is_float()).unwrap_or(DType::F32);
                site.scalar(number, dtype)
            }
            None => unable(format!("{} stands where a tensor is needed", value.what())),
        },
        None => unable("an operand is not given"),
    }
}

pub(super) fn dtype_of(value: Option<&Value>) -> Option<DType> {
    match value {
        Some(Value::Tensor(tensor) | Value::Number(tensor, _)) => tensor.dtype(),
        _ => None,
    }
}

/// The type of the result of arithmetic.
pub(super) fn promoted(a: &Tensor, b: &Tensor) -> Option<DType> {
    let (x, y) = (a.dtype()?, b.dtype()?);
    if x == y {
        return Some(x);
    }
    let class = |dtype: DType| match dtype {
        DType::C64 | DType::C128 => 3,
        DType::Bool => 0,
        dtype if dtype.is_float() => 2,
        _ => 1,
    };
    // A number without axes decides only where it is of a higher class.
    let scalar = |tensor: &Tensor| tensor.rank() == Some(0);
    Some(match (class(x), class(y)) {
        (a, b) if a > b => x,
        (a, b) if a < b => y,
        _ if scalar(a) && !scalar(b) => y,
        _ if scalar(b) && !scalar(a) => x,
        (2, _) if x.bits() == y.bits() => DType::F32,
        _ if x.bits() >= y.bits() => x,
        _ => y,
    })
}

pub(super) fn wider(a: &Tensor, b: &Tensor) -> Option<usize> {
    a.rank().zip(b.rank()).map(|(a, b)| a.max(b))
}

/// Two tensors that broadcast.
pub(super) fn binary(
    site: &mut Site<'_, '_>,
    op: Op,
    a: &Tensor,
    b: &Tensor,
    compares: bool,
) -> Lowered<Tensor> {
    let dtype = promoted(a, b);
    let mut a = a.clone();
    if let (Some(dtype), false) = (dtype, compares)
        && a.dtype() != Some(dtype)
    {
        a = site.cast(&a, dtype)?;
    }
    let rank = wider(&a, b);
    Ok(site.emit(op, &[Some(&a), Some(b)])?.ranked(rank).typed(dtype))
}

/// Both operands of a call.
pub(super) fn both(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<(Tensor, Tensor)> {
    let first = arguments.get(0, "self").or_else(|| arguments.get(0, "input"));
    let second = arguments.get(1, "other").or_else(|| arguments.get(1, "exponent"));
    let a = operand(site, first, dtype_of(second))?;
    let b = operand(site, second, a.dtype())?;
    Ok((a, b))
}

pub(super) fn pair(site: &mut Site<'_, '_>, op: &str, arguments: &Args) -> Lowered<Tensor> {
    pair_of(site, op, arguments, false)
}

pub(super) fn pair_of(
    site: &mut Site<'_, '_>,
    op: &str,
    arguments: &Args,
    compares: bool,
) -> Lowered<Tensor> {
    let (a, b) = both(site, arguments)?;
    let op = match op {
        "Mod" if a.is_float() => Op::onnx("Mod").with("fmod", 1_i64),
        "BitShift" => Op::onnx("BitShift").with("direction", "LEFT"),
        op => Op::onnx(op),
    };
    binary(site, op, &a, &b, compares)
}

/// The same with an operator's name.
pub(super) fn with(site: &mut Site<'_, '_>, op: &str, a: &Tensor, b: &Tensor) -> Lowered<Tensor> {
    binary(site, Op::onnx(op), a, b, false)
}

/// A tensor and a number.
pub(super) fn with_number(
    site: &mut Site<'_, '_>,
    op: &str,
    a: &Tensor,
    number: f64,
) -> Lowered<Tensor> {
    let number = site.scalar(number, a.dtype().filter(|d| d.is_float()).unwrap_or(DType::F32))?;
    with(site, op, a, &number)
}
