//! Operators that draw numbers.

use super::Class::Random;
use super::context::{OpCx, OpError, invalid};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, TensorInfo};

const DRAWS: &str = "the generator's; |y| counted";

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Bernoulli", Random, like).inputs(1, 1).formula("|y| comparisons"),
    Op::new("Multinomial", Random, multinomial).inputs(1, 1).formula("|x| exp, ≤ |y|·classes comparisons"),
    Op::new("RandomNormal", Random, shaped).inputs(0, 0).formula(DRAWS),
    Op::new("RandomNormalLike", Random, like).inputs(1, 1).formula(DRAWS),
    Op::new("RandomUniform", Random, shaped).inputs(0, 0).formula(DRAWS),
    Op::new("RandomUniformLike", Random, like).inputs(1, 1).formula(DRAWS),
];

fn named(cx: &OpCx<'_>, default: Option<DType>) -> Result<Option<DType>, OpError> {
    let given = cx.attrs().int("dtype")?.and_then(|n| i32::try_from(n).ok());
    Ok(given.and_then(DType::from_onnx).or(default))
}

fn like(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let output = TensorInfo::new(named(cx, cx.dtype(0))?, cx.shape(0)?.clone());
    let n = cx.elements(0)?;
    if &*cx.node.op_type == "Bernoulli" {
        return Ok(Effect::one(output).comparisons(n));
    }
    Ok(Effect::one(output).other(n).reads(0, Dim::ZERO))
}

fn shaped(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.attrs().dims("shape")?;
    let shape = shape.ok_or_else(|| crate::ir::AttrError::Missing("shape".into()))?;
    let output = TensorInfo::new(named(cx, Some(DType::F32))?, shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n).integer(false))
}

fn multinomial(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let [batch, classes] = &shape[..] else { return invalid!("scores of rank {}", shape.len()) };
    let drawn = Dim::from(cx.attrs().int_or("sample_size", 1)?);
    let output = TensorInfo::new(named(cx, Some(DType::I32))?, vec![batch.clone(), drawn.clone()]);
    let compared = batch.clone() * drawn * classes.clone();
    Ok(Effect::one(output).transcendentals(cx.elements(0)?).comparisons(compared).bound())
}
