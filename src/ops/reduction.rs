//! Operators that fold axes away.

use super::Class::Reduction;
use super::context::{OpCx, OpError};
use super::shape::{axes, axis};
use super::{Effect, Op};
use crate::dim::Dim;
use crate::ir::{DType, Elem, Shape, TensorInfo};

/// A reduction: besides its |x|−|y| steps, `in_other` arithmetic and `in_t` transcendentals an
/// input element, `out_other` and `out_t` an output element.
macro_rules! reduce {
    ($name:literal, $in_o:literal, $in_t:literal, $out_o:literal, $out_t:literal, $formula:literal) => {
        Op::new($name, Reduction, reduce::<$in_o, $in_t, $out_o, $out_t>)
            .inputs(1, 2)
            .formula($formula)
    };
}

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("ArgMax", Reduction, arg_extreme).inputs(1, 1).formula("|x| − |y| comparisons"),
    Op::new("ArgMin", Reduction, arg_extreme).inputs(1, 1).formula("|x| − |y| comparisons"),
    Op::new("CumProd", Reduction, cumulative).inputs(2, 2).formula("|x| − |x|/n"),
    Op::new("CumSum", Reduction, cumulative).inputs(2, 2).formula("|x| − |x|/n"),
    reduce!("ReduceL1", 1, 0, 0, 0, "2·|x| − |y|"),
    reduce!("ReduceL2", 1, 0, 0, 1, "2·|x| − |y| + |y| sqrt"),
    reduce!("ReduceLogSum", 0, 0, 0, 1, "|x| − |y| + |y| log"),
    reduce!("ReduceLogSumExp", 1, 1, 0, 1, "3·|x| − |y| + |y| log"),
    reduce!("ReduceMax", 0, 0, 0, 0, "|x| − |y| comparisons"),
    reduce!("ReduceMean", 0, 0, 1, 0, "|x|"),
    reduce!("ReduceMin", 0, 0, 0, 0, "|x| − |y| comparisons"),
    reduce!("ReduceProd", 0, 0, 0, 0, "|x| − |y|"),
    reduce!("ReduceSum", 0, 0, 0, 0, "|x| − |y|"),
    reduce!("ReduceSumSquare", 1, 0, 0, 0, "2·|x| − |y|"),
];

/// `axes` is an attribute, and since opset 13 (`ReduceSum`) or 18 (the others) an input.
fn reduce<const IN_O: u32, const IN_T: u32, const OUT_O: u32, const OUT_T: u32>(
    cx: &OpCx<'_>,
) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let given = cx.attr_or_input("axes", 1)?.unwrap_or_default();
    if given.is_empty() && cx.attrs().flag("noop_with_empty_axes")? {
        return Ok(Effect::one(cx.input(0)?.clone()).free(cx.inputs.len()));
    }
    let reduced =
        if given.is_empty() { (0..shape.len()).collect() } else { axes(&given, shape.len())? };
    let keep = cx.attrs().int_or("keepdims", 1)? != 0;
    let mut output = cx.like(fold_axes(shape, &reduced, keep));
    if let Some(value) = fold_value(cx, &reduced) {
        output = output.with_value(vec![value]);
    }
    let (x, y) = (cx.elements(0)?, output.elements().unwrap_or_default());
    let steps = x.clone() - y.clone();
    let compares = matches!(&*cx.node.op_type, "ReduceMax" | "ReduceMin");
    let extra = x.clone() * Dim::from(IN_O) + y.clone() * Dim::from(OUT_O);
    let effect = Effect::one(output).transcendentals(x * Dim::from(IN_T) + y * Dim::from(OUT_T));
    Ok(if compares { effect.comparisons(steps).other(extra) } else { effect.other(steps + extra) })
}

fn fold_axes(shape: &Shape, reduced: &[usize], keep: bool) -> Shape {
    let kept = shape.iter().enumerate().filter_map(|(i, d)| {
        if reduced.contains(&i) { keep.then_some(Dim::ONE) } else { Some(d.clone()) }
    });
    kept.collect()
}

/// The single number that a followed vector reduces to.
fn fold_value(cx: &OpCx<'_>, reduced: &[usize]) -> Option<Elem> {
    let input = cx.optional(0)?;
    if reduced.len() != input.rank()? {
        return None;
    }
    let Some(dims) = input.ints() else {
        let numbers: Vec<f64> =
            input.value.as_ref()?.iter().map(Elem::as_f64).collect::<Option<_>>()?;
        return Some(Elem::Float(match &*cx.node.op_type {
            "ReduceProd" => numbers.iter().product(),
            "ReduceSum" => numbers.iter().sum(),
            "ReduceMax" => numbers.into_iter().reduce(f64::max)?,
            "ReduceMin" => numbers.into_iter().reduce(f64::min)?,
            _ => return None,
        }));
    };
    Some(Elem::Int(match &*cx.node.op_type {
        "ReduceProd" => dims.iter().product(),
        "ReduceSum" => dims.iter().sum(),
        "ReduceMax" => dims.iter().skip(1).fold(dims.first()?.clone(), |a, b| a.maximum(b)),
        "ReduceMin" => dims.iter().skip(1).fold(dims.first()?.clone(), |a, b| a.minimum(b)),
        _ => return None,
    }))
}

fn arg_extreme(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", 0)?, shape.len())?;
    let keep = cx.attrs().int_or("keepdims", 1)? != 0;
    let output = TensorInfo::new(Some(DType::I64), fold_axes(shape, &[at], keep));
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).comparisons(cx.elements(0)? - n))
}

fn cumulative(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let first = match cx.const_ints(1).as_deref() {
        Ok([a]) => n.floor_div(&shape[axis(*a, shape.len())?]),
        _ => Dim::ZERO,
    };
    Ok(Effect::one(cx.like(shape.clone())).other(n - first))
}
