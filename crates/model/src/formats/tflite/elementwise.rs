//! Element by element: what takes several steps in ONNX, or attributes.

use super::site::{Made, Site};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, ValueId};

fn one(value: Result<ValueId, LoadError>) -> Made {
    Ok(Some(vec![value?]))
}

/// Between two numbers.
fn between(site: &mut Site<'_, '_, '_>, low: f32, high: f32) -> Made {
    let x = site.input(0)?;
    let (low, high) = (site.draft.float(low)?, site.draft.float(high)?);
    one(site.node(Op::onnx("Clip"), &[Some(x), Some(low), Some(high)]))
}

pub(super) fn relu6(site: &mut Site<'_, '_, '_>) -> Made {
    between(site, 0.0, 6.0)
}

pub(super) fn relu_around_zero(site: &mut Site<'_, '_, '_>) -> Made {
    between(site, -1.0, 1.0)
}

pub(super) fn relu_to_one(site: &mut Site<'_, '_, '_>) -> Made {
    between(site, 0.0, 1.0)
}

/// The least, x, the greatest.
pub(super) fn clamp(site: &mut Site<'_, '_, '_>) -> Made {
    let (low, x, high) = (site.input(0)?, site.input(1)?, site.input(2)?);
    one(site.node(Op::onnx("Clip"), &[Some(x), Some(low), Some(high)]))
}

/// One operator after the other on one input.
fn chain(site: &mut Site<'_, '_, '_>, first: &str, then: &str) -> Made {
    let inputs = site.inputs()?;
    let x = site.node(Op::onnx(first), &inputs)?;
    one(site.step(then, Op::onnx(then), &[Some(x)]))
}

pub(super) fn rsqrt(site: &mut Site<'_, '_, '_>) -> Made {
    chain(site, "Sqrt", "Reciprocal")
}

pub(super) fn not_equal(site: &mut Site<'_, '_, '_>) -> Made {
    chain(site, "Equal", "Not")
}

pub(super) fn floor_div(site: &mut Site<'_, '_, '_>) -> Made {
    if site.dtype(0).is_some_and(DType::is_float) {
        return chain(site, "Div", "Floor");
    }
    let inputs = site.inputs()?;
    one(site.node(Op::onnx("Div"), &inputs))
}

/// The remainder; of floats by their own rule.
pub(super) fn remainder(site: &mut Site<'_, '_, '_>) -> Made {
    let float = site.dtype(0).is_some_and(DType::is_float);
    let inputs = site.inputs()?;
    one(site.node(Op::onnx("Mod").with("fmod", float), &inputs))
}

pub(super) fn square(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    one(site.node(Op::onnx("Mul"), &[Some(x), Some(x)]))
}

pub(super) fn squared_difference(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let apart = site.step("difference", Op::onnx("Sub"), &inputs)?;
    one(site.node(Op::onnx("Mul"), &[Some(apart), Some(apart)]))
}

pub(super) fn gelu(site: &mut Site<'_, '_, '_>) -> Made {
    let form = if site.flag(0)? { "tanh" } else { "none" };
    let x = site.input(0)?;
    one(site.node(Op::onnx("Gelu").with("approximate", form), &[Some(x)]))
}

pub(super) fn leaky_relu(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, slope) = (site.input(0)?, site.option(0, 0.0_f32)?);
    one(site.node(Op::onnx("LeakyRelu").with("alpha", slope), &[Some(x)]))
}

/// A condition with one axis chooses rows.
pub(super) fn select(site: &mut Site<'_, '_, '_>) -> Made {
    let (mut condition, yes, no) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let rank = site.rank(1);
    if site.rank(0) == 1 && rank > 1 && rank <= crate::ir::MAX_RANK {
        let mut sizes = vec![1; rank];
        sizes[0] = -1;
        condition = site.reshaped(condition, &sizes)?;
    }
    one(site.node(Op::onnx("Where"), &[Some(condition), Some(yes), Some(no)]))
}

pub(super) fn shift_right(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::onnx("BitShift").with("direction", "RIGHT"), &inputs))
}

pub(super) fn shift_left(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::onnx("BitShift").with("direction", "LEFT"), &inputs))
}

/// Of flags or of bits.
fn logical(site: &mut Site<'_, '_, '_>, flags: &str, bits: &str) -> Made {
    let op = if site.dtype(0) == Some(DType::Bool) { flags } else { bits };
    let inputs = site.inputs()?;
    one(site.node(Op::onnx(op), &inputs))
}

pub(super) fn and(site: &mut Site<'_, '_, '_>) -> Made {
    logical(site, "And", "BitwiseAnd")
}

pub(super) fn or(site: &mut Site<'_, '_, '_>) -> Made {
    logical(site, "Or", "BitwiseOr")
}

pub(super) fn xor(site: &mut Site<'_, '_, '_>) -> Made {
    logical(site, "Xor", "BitwiseXor")
}

/// How two numbers are compared, in the options.
pub(super) fn compare(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let op = match site.option(0, 0_u32)? {
        0 => "Equal",
        1 => return not_equal(site),
        2 => "GreaterOrEqual",
        3 => "Greater",
        4 => "LessOrEqual",
        5 => "Less",
        _ => return Ok(None),
    };
    one(site.node(Op::onnx(op), &inputs))
}

pub(super) fn cube_root(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, third) = (site.input(0)?, site.draft.float(1.0 / 3.0)?);
    one(site.node(Op::onnx("Pow"), &[Some(x), Some(third)]))
}

/// `Beta` scales what goes in.
pub(super) fn softmax(site: &mut Site<'_, '_, '_>) -> Made {
    let (mut x, beta) = (site.input(0)?, site.option(0, 0.0_f32)?);
    if (beta - 1.0).abs() > f32::EPSILON && beta > 0.0 {
        let beta = site.draft.float(beta)?;
        x = site.step("beta", Op::onnx("Mul"), &[Some(x), Some(beta)])?;
    }
    one(site.node(Op::onnx("Softmax").with("axis", -1_i64), &[Some(x)]))
}

pub(super) fn log_softmax(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    one(site.node(Op::onnx("LogSoftmax").with("axis", -1_i64), &[Some(x)]))
}

pub(super) fn l2_normalization(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let op = Op::onnx("LpNormalization").with("axis", -1_i64).with("p", 2_i64);
    let y = site.node(op, &[Some(x)])?;
    one(site.activated(y, 0))
}

pub(super) fn lrn(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let size = i64::from(site.option(0, 0_i32)?).saturating_mul(2).saturating_add(1);
    let op = Op::own("LRN").with("size", size.max(1)).with("bias", site.option(1, 0.0_f32)?);
    let op = op.with("alpha", site.option(2, 0.0_f32)?).with("beta", site.option(3, 0.0_f32)?);
    one(site.node(op, &[Some(x)]))
}

/// A reduction over the axes of input 1.
fn reduce(site: &mut Site<'_, '_, '_>, op: &str) -> Made {
    let (x, mut axes) = (site.input(0)?, site.input(1)?);
    if let Some(list) = site.ints(1)? {
        axes = site.draft.ints(&list)?;
        if list.is_empty() {
            return one(Ok(x));
        }
    }
    let op = Op::onnx(op).with("keepdims", site.flag(0)?);
    one(site.node(op, &[Some(x), Some(axes)]))
}

pub(super) fn sum(site: &mut Site<'_, '_, '_>) -> Made {
    reduce(site, "ReduceSum")
}

pub(super) fn mean(site: &mut Site<'_, '_, '_>) -> Made {
    reduce(site, "ReduceMean")
}

/// The greatest, and of flags whether any is set.
pub(super) fn most(site: &mut Site<'_, '_, '_>) -> Made {
    reduce(site, "ReduceMax")
}

/// The least, and of flags whether all are set.
pub(super) fn least(site: &mut Site<'_, '_, '_>) -> Made {
    reduce(site, "ReduceMin")
}

pub(super) fn product(site: &mut Site<'_, '_, '_>) -> Made {
    reduce(site, "ReduceProd")
}

fn extreme(site: &mut Site<'_, '_, '_>, op: &str) -> Made {
    let (x, Some(axis)) = (site.input(0)?, site.int_of(1)?) else { return Ok(None) };
    let op = Op::onnx(op).with("axis", axis).with("keepdims", false);
    let place = site.node(op, &[Some(x)])?;
    one(site.as_made(place, 0))
}

pub(super) fn arg_max(site: &mut Site<'_, '_, '_>) -> Made {
    extreme(site, "ArgMax")
}

pub(super) fn arg_min(site: &mut Site<'_, '_, '_>) -> Made {
    extreme(site, "ArgMin")
}

pub(super) fn cumsum(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let op = Op::onnx("CumSum").with("exclusive", site.flag(0)?);
    one(site.node(op.with("reverse", site.flag(1)?), &inputs))
}

pub(super) fn segments(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::own("SegmentReduce"), &inputs))
}

pub(super) fn bucketize(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let count = match site.options() {
        Some(options) => options.length(0, 4)?.unwrap_or(0),
        None => 0,
    };
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    one(site.node(Op::own("Bucketize").with("boundaries", count), &[Some(x)]))
}

/// Boxes, scores, how many at most, and limits; `soft` also gives scores.
fn suppression(site: &mut Site<'_, '_, '_>, soft: bool) -> Made {
    let inputs = site.inputs()?;
    let op = Op::own("PaddedSuppression").with("soft", soft);
    site.nodes(op, &inputs, if soft { 3 } else { 2 }).map(Some)
}

pub(super) fn suppression_hard(site: &mut Site<'_, '_, '_>) -> Made {
    suppression(site, false)
}

pub(super) fn suppression_soft(site: &mut Site<'_, '_, '_>) -> Made {
    suppression(site, true)
}

/// A reduction whose body is a subgraph of one operator.
pub(super) fn general_reduction(site: &mut Site<'_, '_, '_>) -> Made {
    let axes = site.longs(0)?;
    let body = usize::try_from(site.option(1, 0_i32)?).unwrap_or(usize::MAX);
    let body = site.shared.file.graphs.get(body).map(|graph| &graph.operators[..]);
    let Some([only]) = body else { return Ok(None) };
    let name = only.name.strip_prefix("STABLEHLO_").unwrap_or(&only.name);
    let op = match name {
        "ADD" => "ReduceSum",
        "MULTIPLY" | "MUL" => "ReduceProd",
        "MAXIMUM" | "OR" | "LOGICAL_OR" => "ReduceMax",
        "MINIMUM" | "AND" | "LOGICAL_AND" => "ReduceMin",
        _ => return Ok(None),
    };
    if site.op.outputs.len() != 1 {
        return Ok(None);
    }
    let (x, axes) = (site.input(0)?, site.draft.ints(&axes)?);
    one(site.node(Op::onnx(op).with("keepdims", false), &[Some(x), Some(axes)]))
}
