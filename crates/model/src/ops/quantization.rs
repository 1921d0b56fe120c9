//! Between float and integer.

use super::Class::Quantization;
use super::context::{OpCx, OpError};
use super::{Effect, Holds, Op, Part, Role};
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("DequantizeLinear", Quantization, dequantize).holds(Holds::Cast).inputs(2, 3).formula("2·|x|").weights("dss").playing(Part::Unpack).role(Role::Dequantization),
    Op::new("DynamicQuantizeLinear", Quantization, dynamic).inputs(1, 1).formula("3·|x| + 2·|x| comparisons").playing(Part::Row),
    Op::new("QuantizeLinear", Quantization, quantize).holds(Holds::Cast).inputs(2, 3).formula("3·|x|").weights(">ss"),
];

pub(super) fn dequantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let output = TensorInfo::new(cx.dtype(1), cx.shape(0)?.clone());
    Ok(Effect::one(output).other(n * Dim::from(2)).integer(false))
}

/// The zero point tells the type; `output_dtype` since opset 21; else u8.
pub(super) fn quantize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let named = cx.attrs().int_or("output_dtype", 0)?;
    let named = i32::try_from(named).ok().and_then(DType::from_onnx);
    let dtype = cx.dtype(2).or(named).or(Some(DType::U8));
    let output = TensorInfo::new(dtype, cx.shape(0)?.clone());
    Ok(Effect::one(output).other(n * Dim::from(3)).integer(false))
}

fn dynamic(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let outputs = vec![
        TensorInfo::new(Some(DType::U8), cx.shape(0)?.clone()),
        TensorInfo::new(Some(DType::F32), Vec::new()),
        TensorInfo::new(Some(DType::U8), Vec::new()),
    ];
    let twice = n.clone() * Dim::from(2);
    Ok(Effect::of(outputs).other(n * Dim::from(3)).comparisons(twice).integer(false))
}
