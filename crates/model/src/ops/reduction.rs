//! Operators that fold axes away.

use super::Class::Reduction;
use super::context::{OpCx, OpError};
use super::folding::Arithmetic;
use super::shape::{axes, axis};
use super::{Effect, KernelClass, Op, Role, values};
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
    reduce!("ReduceL1", 1, 0, 0, 0, "2·|x| − |y|").kernel(KernelClass::Reduction),
    reduce!("ReduceL2", 1, 0, 0, 1, "2·|x| − |y| + |y| sqrt").kernel(KernelClass::Reduction),
    reduce!("ReduceLogSum", 0, 0, 0, 1, "|x| − |y| + |y| log").kernel(KernelClass::Reduction),
    reduce!("ReduceLogSumExp", 1, 1, 0, 1, "3·|x| − |y| + |y| log").kernel(KernelClass::Reduction),
    reduce!("ReduceMax", 0, 0, 0, 0, "|x| − |y| comparisons").kernel(KernelClass::Reduction),
    reduce!("ReduceMean", 0, 0, 1, 0, "|x|").role(Role::Mean).kernel(KernelClass::Reduction),
    reduce!("ReduceMin", 0, 0, 0, 0, "|x| − |y| comparisons").kernel(KernelClass::Reduction),
    reduce!("ReduceProd", 0, 0, 0, 0, "|x| − |y|").kernel(KernelClass::Reduction),
    reduce!("ReduceSum", 0, 0, 0, 0, "|x| − |y|").kernel(KernelClass::Reduction),
    reduce!("ReduceSumSquare", 1, 0, 0, 0, "2·|x| − |y|").kernel(KernelClass::Reduction),
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
    output = values::filled(output, fold_value(cx, &reduced));
    let (x, y) = (cx.elements(0)?, output.elements().unwrap_or_default());
    let steps = fewer(&x, &y);
    let compares = matches!(&*cx.node.op_type, "ReduceMax" | "ReduceMin");
    let extra = x.clone() * Dim::from(IN_O) + y.clone() * Dim::from(OUT_O);
    let effect = Effect::one(output).transcendentals(x * Dim::from(IN_T) + y * Dim::from(OUT_T));
    Ok(if compares { effect.comparisons(steps).other(extra) } else { effect.other(steps + extra) })
}

/// `|x| − |y|` steps; none where x is empty, and y is made of nothing.
pub(super) fn fewer(x: &Dim, y: &Dim) -> Dim {
    let steps = x.clone() - y.clone();
    if steps.as_const().is_some_and(|c| c < 0) { Dim::ZERO } else { steps }
}

fn fold_axes(shape: &Shape, reduced: &[usize], keep: bool) -> Shape {
    let kept = shape.iter().enumerate().filter_map(|(i, d)| {
        if reduced.contains(&i) { keep.then_some(Dim::ONE) } else { Some(d.clone()) }
    });
    kept.collect()
}

/// The contents of a reduction of followed ones.
fn fold_value(cx: &OpCx<'_>, reduced: &[usize]) -> Option<Vec<Elem>> {
    let input = cx.optional(0)?;
    let (value, sizes) = (input.value.as_ref()?, values::sizes(input.shape.as_ref()?)?);
    let arithmetic = Arithmetic::on(input.dtype);
    let (before, step, after) = match &*cx.node.op_type {
        "ReduceL1" => (Some("Abs"), "Add", None),
        "ReduceL2" => (Some("Square"), "Add", Some("Sqrt")),
        "ReduceLogSum" => (None, "Add", Some("Log")),
        "ReduceLogSumExp" => (Some("Exp"), "Add", Some("Log")),
        "ReduceMax" => (None, "Max", None),
        "ReduceMean" => (None, "Add", Some("Share")),
        "ReduceMin" => (None, "Min", None),
        "ReduceProd" => (None, "Mul", None),
        "ReduceSum" => (None, "Add", None),
        "ReduceSumSquare" => (Some("Square"), "Add", None),
        _ => return None,
    };
    let prepared = |at: usize| {
        let e = value.get(at)?;
        Some(match before {
            Some("Square") => arithmetic.binary("Mul", e, e),
            Some(op) => arithmetic.unary(op, e),
            None => e.clone(),
        })
    };
    let fold = |line: Vec<usize>| {
        let count = line.len();
        let elements: Vec<Elem> = line.into_iter().map(prepared).collect::<Option<_>>()?;
        let nothing = || match step {
            "Add" => Some(arithmetic.whole(0)),
            "Mul" => Some(arithmetic.whole(1)),
            _ => None,
        };
        let whole = elements.into_iter().reduce(|a, b| arithmetic.binary(step, &a, &b));
        let whole = whole.or_else(nothing)?;
        Some(match after {
            Some("Share") => arithmetic.binary("Div", &whole, &arithmetic.whole(count)),
            Some(op) => arithmetic.unary(op, &whole),
            None => whole,
        })
    };
    values::lines(&sizes, reduced).into_iter().map(fold).collect()
}

fn arg_extreme(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", 0)?, shape.len())?;
    let keep = cx.attrs().int_or("keepdims", 1)? != 0;
    let last = cx.attrs().flag("select_last_index")?;
    let output = TensorInfo::new(Some(DType::I64), fold_axes(shape, &[at], keep));
    let output = values::filled(output, extremes(cx.input(0)?, at, &cx.node.op_type, last));
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).comparisons(fewer(&cx.elements(0)?, &n)))
}

/// Where along the axis the extremes of known numbers lie: the first of equals, or the last.
fn extremes(input: &TensorInfo, at: usize, op: &str, last: bool) -> Option<Vec<Elem>> {
    let value = input.value.as_ref()?;
    let sizes = values::sizes(input.shape.as_ref()?)?;
    let better = |new: f64, old: f64| match op {
        "ArgMax" => new > old || (last && new >= old),
        _ => new < old || (last && new <= old),
    };
    let place = |line: Vec<usize>| {
        let mut best: Option<(usize, f64)> = None;
        for (i, at) in line.into_iter().enumerate() {
            let x = value.get(at)?.as_f64()?;
            if best.is_none_or(|(_, old)| better(x, old)) {
                best = Some((i, x));
            }
        }
        Some(Elem::Int(Dim::from(best?.0)))
    };
    values::lines(&sizes, &[at]).into_iter().map(place).collect()
}

fn cumulative(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let n = cx.elements(0)?;
    let first = match cx.const_ints(1).as_deref() {
        Ok([a]) => n.floor_div(&shape[axis(*a, shape.len())?]),
        _ => Dim::ZERO,
    };
    let output = values::filled(cx.like(shape.clone()), running(cx));
    Ok(Effect::one(output).other(n - first))
}

/// Running sums or products of followed contents along one axis.
fn running(cx: &OpCx<'_>) -> Option<Vec<Elem>> {
    let input = cx.optional(0)?;
    let mut value = input.value.as_ref()?.to_vec();
    let sizes = values::sizes(input.shape.as_ref()?)?;
    let [at] = cx.const_ints(1).ok()?[..] else { return None };
    let at = axis(at, sizes.len()).ok()?;
    let (exclusive, reverse) =
        (cx.attrs().flag("exclusive").ok()?, cx.attrs().flag("reverse").ok()?);
    let arithmetic = Arithmetic::on(input.dtype);
    let (step, neutral) = if &*cx.node.op_type == "CumProd" { ("Mul", 1) } else { ("Add", 0) };
    for mut line in values::lines(&sizes, &[at]) {
        if reverse {
            line.reverse();
        }
        let mut so_far = arithmetic.whole(neutral);
        for at in line {
            let slot = value.get_mut(at)?;
            let next = arithmetic.binary(step, &so_far, slot);
            *slot = if exclusive { so_far } else { next.clone() };
            so_far = next;
        }
    }
    Some(value)
}
