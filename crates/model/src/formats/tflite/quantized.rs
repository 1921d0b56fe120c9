//! Between floats and integers, and between integers of other scales.

use super::site::{Made, Site};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, Elem, TensorInfo, ValueId};

impl Site<'_, '_, '_> {
    /// The scale and the zero point of a tensor: one, or one for each slice.
    fn steps_of(
        &mut self,
        tensor: Option<&super::file::Tensor<'_>>,
        zero: Option<DType>,
    ) -> Result<[Option<ValueId>; 2], LoadError> {
        let Some(quantization) = tensor.map(|t| &t.quantization) else { return Ok([None; 2]) };
        let scale = match quantization.scales {
            0 | 1 => self.draft.float(quantization.scale)?,
            many => {
                let info = TensorInfo::new(Some(DType::F32), vec![Dim::from(many)]);
                self.draft.small(info)?
            }
        };
        let zero = match zero {
            Some(dtype) if quantization.scales < 2 => {
                let info = TensorInfo::new(Some(dtype), Vec::new());
                let zero = vec![Elem::Int(Dim::from(quantization.zero))];
                Some(self.draft.small(info.with_value(zero))?)
            }
            _ => None,
        };
        Ok([Some(scale), zero])
    }
}

/// To integers; from integers, to others.
pub(super) fn quantize(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, to) = (site.input(0)?, site.made(0).and_then(|t| t.dtype));
    let Some(to) = to else { return Ok(None) };
    if !site.dtype(0).is_some_and(DType::is_float) {
        let op = Op::own("Requantize").with("dtype", i64::from(to.onnx()));
        return Ok(Some(vec![site.node(op, &[Some(x)])?]));
    }
    let [scale, zero] = site.steps_of(site.made(0), Some(to))?;
    let op = Op::onnx("QuantizeLinear");
    let op = if zero.is_none() { op.with("output_dtype", i64::from(to.onnx())) } else { op };
    Ok(Some(vec![site.node(op, &[Some(x), scale, zero])?]))
}

/// To floats: of constants once, at load; halves are only written otherwise.
pub(super) fn dequantize(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    if site.dtype(0).is_some_and(DType::is_float) {
        return super::movement::cast(site);
    }
    let [scale, zero] = site.steps_of(site.tensor(0), site.dtype(0))?;
    let op = if site.draft.info(x).constant {
        Op::own("Dequantize")
    } else {
        Op::onnx("DequantizeLinear")
    };
    Ok(Some(vec![site.node(op, &[Some(x), scale, zero])?]))
}

/// There and back, in floats.
pub(super) fn fake(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, scale) = (site.input(0)?, site.draft.float(1.0)?);
    let there = site.step("there", Op::onnx("QuantizeLinear"), &[Some(x), Some(scale)])?;
    let back = Op::onnx("DequantizeLinear");
    Ok(Some(vec![site.node(back, &[Some(there), Some(scale)])?]))
}

/// A stored tensor with its zeros put back.
pub(super) fn densify(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    Ok(Some(vec![site.node(Op::onnx("Identity"), &[Some(x)])?]))
}
