//! Operators that treat every element alike: one row each, cost per element in the row.

use super::Class::Elementwise;
use super::context::{OpCx, OpError};
use super::folding::{Arithmetic, compares};
use super::shape::broadcast;
use super::{Effect, KernelClass, Op, Role};
use crate::dim::Dim;
use crate::ir::{DType, Elem, Shape, TensorInfo};

/// A unary row: `other` arithmetic, `t` transcendentals and `c` comparisons per element.
macro_rules! unary {
    ($name:literal, $other:literal, $t:literal, $c:literal, $formula:literal) => {
        Op::new($name, Elementwise, unary::<$other, $t, $c>).inputs(1, 1).formula($formula)
    };
}

/// A broadcasting row, cost per output element and per input beyond the first.
macro_rules! nary {
    ($name:literal, $least:literal, $most:expr, $other:literal, $t:literal, $c:literal) => {
        Op::new($name, Elementwise, nary::<$other, $t, $c>).inputs($least, $most).formula(
            if $t > 0 {
                "|y| transcendental"
            } else if $c > 0 {
                "|y| comparisons"
            } else {
                "|y|"
            },
        )
    };
}

const ANY: usize = usize::MAX;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    unary!("Abs", 1, 0, 0, "|x|"),
    unary!("Acos", 0, 1, 0, "|x| transcendental"),
    unary!("Acosh", 0, 1, 0, "|x| transcendental"),
    nary!("Add", 2, 2, 1, 0, 0).role(Role::Sum),
    nary!("And", 2, 2, 1, 0, 0),
    unary!("Asin", 0, 1, 0, "|x| transcendental"),
    unary!("Asinh", 0, 1, 0, "|x| transcendental"),
    unary!("Atan", 0, 1, 0, "|x| transcendental"),
    unary!("Atanh", 0, 1, 0, "|x| transcendental"),
    nary!("BitShift", 2, 2, 1, 0, 0).weights("-c").role(Role::Bits),
    nary!("BitwiseAnd", 2, 2, 1, 0, 0).weights("-c").role(Role::Bits),
    unary!("BitwiseNot", 1, 0, 0, "|x|"),
    nary!("BitwiseOr", 2, 2, 1, 0, 0),
    nary!("BitwiseXor", 2, 2, 1, 0, 0),
    unary!("Ceil", 1, 0, 0, "|x|"),
    unary!("Celu", 3, 1, 1, "5·|x|, 1 transcendental and 1 comparison each"),
    Op::new("Clip", Elementwise, unary::<0, 0, 2>).inputs(1, 3).formula("2·|x| comparisons").weights(">cc").role(Role::Clamp),
    unary!("Cos", 0, 1, 0, "|x| transcendental").weights("x"),
    unary!("Cosh", 0, 1, 0, "|x| transcendental"),
    nary!("Div", 2, 2, 1, 0, 0).role(Role::Quotient),
    Op::new("Dropout", Elementwise, dropout).inputs(1, 3).formula("0 at inference").weights(">cc"),
    unary!("Elu", 2, 1, 1, "4·|x|, 1 transcendental and 1 comparison each"),
    nary!("Equal", 2, 2, 0, 0, 1),
    unary!("Erf", 0, 1, 0, "|x| transcendental").role(Role::Erf).kernel(KernelClass::Erf),
    unary!("Exp", 0, 1, 0, "|x| transcendental").weights("f").kernel(KernelClass::Exp),
    unary!("Floor", 1, 0, 0, "|x|"),
    Op::new("Gelu", Elementwise, gelu).inputs(1, 1).formula("5·|x| (erf form) or 9·|x| (tanh form), 1 transcendental each").kernel(KernelClass::Gelu),
    nary!("Greater", 2, 2, 0, 0, 1),
    nary!("GreaterOrEqual", 2, 2, 0, 0, 1),
    unary!("HardSigmoid", 2, 0, 2, "4·|x|, 2 comparisons each").role(Role::HardSigmoid).kernel(KernelClass::Unary),
    unary!("HardSwish", 3, 0, 2, "5·|x|, 2 comparisons each").kernel(KernelClass::HardSwish),
    unary!("IsInf", 0, 0, 1, "|x| comparisons"),
    unary!("IsNaN", 0, 0, 1, "|x| comparisons"),
    unary!("LeakyRelu", 1, 0, 1, "2·|x|, 1 comparison each").role(Role::Clamp),
    nary!("Less", 2, 2, 0, 0, 1),
    nary!("LessOrEqual", 2, 2, 0, 0, 1),
    unary!("Log", 0, 1, 0, "|x| transcendental"),
    nary!("Max", 1, ANY, 0, 0, 1).role(Role::Clamp),
    nary!("Mean", 1, ANY, 1, 0, 0),
    nary!("Min", 1, ANY, 0, 0, 1).role(Role::Clamp),
    unary!("Mish", 2, 3, 0, "5·|x|, 3 transcendental each"),
    nary!("Mod", 2, 2, 1, 0, 0),
    nary!("Mul", 2, 2, 1, 0, 0).role(Role::Product),
    unary!("Neg", 1, 0, 0, "|x|").role(Role::Negation),
    unary!("Not", 1, 0, 0, "|x|"),
    nary!("Or", 2, 2, 1, 0, 0),
    Op::new("PRelu", Elementwise, prelu).inputs(2, 2).formula("|x| + |x| comparisons").weights("-w"),
    nary!("Pow", 2, 2, 0, 1, 0).weights("-c").role(Role::Power),
    unary!("Reciprocal", 1, 0, 0, "|x|"),
    unary!("Relu", 0, 0, 1, "|x| comparisons").role(Role::Clamp),
    unary!("Round", 1, 0, 0, "|x|"),
    unary!("Selu", 3, 1, 1, "5·|x|, 1 transcendental and 1 comparison each"),
    unary!("Shrink", 1, 0, 2, "3·|x|, 2 comparisons each"),
    unary!("Sigmoid", 3, 1, 0, "4·|x|, 1 transcendental each").weights("f").role(Role::Sigmoid).kernel(KernelClass::Sigmoid),
    unary!("Sign", 0, 0, 1, "|x| comparisons"),
    unary!("Sin", 0, 1, 0, "|x| transcendental").weights("y"),
    unary!("Sinh", 0, 1, 0, "|x| transcendental"),
    unary!("Softplus", 1, 2, 0, "3·|x|, 2 transcendental each").weights("f"),
    unary!("Softsign", 3, 0, 0, "3·|x|"),
    unary!("Sqrt", 0, 1, 0, "|x| transcendental").role(Role::Root),
    nary!("Sub", 2, 2, 1, 0, 0).role(Role::Difference),
    nary!("Sum", 1, ANY, 1, 0, 0),
    Op::new("SwiGLU", Elementwise, nary::<5, 1, 0>).inputs(2, 2).formula("6·|y|, 1 exp each"),
    unary!("Swish", 4, 1, 0, "5·|x|, 1 transcendental each"),
    unary!("Tan", 0, 1, 0, "|x| transcendental"),
    unary!("Tanh", 0, 1, 0, "|x| transcendental").weights("f").role(Role::Tanh).kernel(KernelClass::Tanh),
    unary!("ThresholdedRelu", 0, 0, 1, "|x| comparisons"),
    Op::new("Where", Elementwise, where_).inputs(3, 3).formula("|y| comparisons").weights("coo").kernel(KernelClass::Elementwise),
    nary!("Xor", 2, 2, 1, 0, 0),
];

fn output_dtype(cx: &OpCx<'_>) -> Option<DType> {
    if compares(&cx.node.op_type) { Some(DType::Bool) } else { cx.dtype(0) }
}

fn unary<const OTHER: u32, const T: u32, const C: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let mut output = TensorInfo::new(output_dtype(cx), cx.shape(0)?.clone());
    if let Some(value) = &cx.input(0)?.value {
        output = output.with_value(fold_unary(cx, value));
    }
    Ok(Effect::one(output)
        .other(n.clone() * Dim::from(OTHER))
        .transcendentals(n.clone() * Dim::from(T))
        .comparisons(n * Dim::from(C)))
}

/// Opset 20. `approximate`: `none` is x·½(1 + erf(x/√2)), `tanh` the cubic form.
fn gelu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    match cx.attrs().str("approximate")?.unwrap_or("none") {
        "tanh" => unary::<8, 1, 0>(cx),
        _ => unary::<4, 1, 0>(cx),
    }
}

/// The slope broadcasts to the input; before opset 7, `[C]` is the slope of each channel.
fn prelu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    Ok(Effect::one(cx.like(cx.shape(0)?.clone())).other(n.clone()).comparisons(n))
}

fn dropout(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let input = cx.input(0)?;
    let mut outputs = vec![input.clone()];
    if cx.output_count() > 1 {
        let dtype = if cx.opset() >= 10 { Some(DType::Bool) } else { input.dtype };
        outputs.push(TensorInfo::new(dtype, cx.shape(0)?.clone()));
    }
    Ok(Effect::of(outputs).free(cx.inputs.len()))
}

fn nary<const OTHER: u32, const T: u32, const C: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = operand_shape(cx)?;
    let n: Dim = shape.iter().product();
    let steps = Dim::from(cx.inputs.len().saturating_sub(1));
    let mut other = n.clone() * steps.clone() * Dim::from(OTHER);
    if &*cx.node.op_type == "Mean" {
        other = other + n.clone();
    }
    let mut output = TensorInfo::new(output_dtype(cx), shape);
    if let Some(value) = fold_nary(cx, &output) {
        output = output.with_value(value);
    }
    Ok(Effect::one(output)
        .other(other)
        .transcendentals(n.clone() * steps.clone() * Dim::from(T))
        .comparisons(n * steps * Dim::from(C)))
}

/// Broadcast shape of all operands; before opset 7, `axis` aligns the second at the left.
fn operand_shape(cx: &OpCx<'_>) -> Result<Shape, OpError> {
    if cx.opset() < 7 && cx.attrs().has("broadcast") {
        return Ok(cx.shape(0)?.clone());
    }
    let shapes = (0..cx.inputs.len()).map(|port| cx.shape(port)).collect::<Result<Vec<_>, _>>()?;
    broadcast(cx, shapes.iter().map(|s| s.as_slice()))
}

fn where_(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = operand_shape(cx)?;
    let n: Dim = shape.iter().product();
    let mut output = TensorInfo::new(cx.dtype(1), shape);
    if let Some(picked) = spread(cx, &output) {
        let pick = |row: &[&Elem]| match row {
            [Elem::Int(c), yes, no] => match c.as_const() {
                Some(0) => (*no).clone(),
                Some(_) => (*yes).clone(),
                None => Elem::Unknown,
            },
            [_, yes, no] if yes == no => (*yes).clone(),
            _ => Elem::Unknown,
        };
        output = output.with_value(picked.iter().map(|row| pick(row)).collect());
    }
    Ok(Effect::one(output).comparisons(n))
}

/// The operands' elements, broadcast to the output: one row an output element.
fn spread<'a>(cx: &OpCx<'a>, output: &TensorInfo) -> Option<Vec<Vec<&'a Elem>>> {
    let shape: Vec<usize> =
        output.shape.as_ref()?.iter().map(Dim::as_usize).collect::<Option<_>>()?;
    let total = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    if total > crate::ir::MAX_TRACKED {
        return None;
    }
    let mut columns = Vec::new();
    for port in 0..cx.inputs.len() {
        let info = cx.optional(port)?;
        let value = info.value.as_ref()?;
        let dims: Vec<usize> =
            info.shape.as_ref()?.iter().map(Dim::as_usize).collect::<Option<_>>()?;
        columns.push((value, dims));
    }
    let at = |flat: usize, dims: &[usize]| {
        let (mut rest, mut index, mut stride) = (flat, 0, 1);
        for (i, size) in shape.iter().enumerate().rev() {
            let coordinate = rest % size;
            rest /= size;
            if let Some(own) = (i + dims.len()).checked_sub(shape.len()).and_then(|k| dims.get(k)) {
                index += if *own == 1 { 0 } else { coordinate * stride };
                stride *= own;
            }
        }
        index
    };
    (0..total)
        .map(|flat| columns.iter().map(|(value, dims)| value.get(at(flat, dims))).collect())
        .collect()
}

fn fold_nary(cx: &OpCx<'_>, output: &TensorInfo) -> Option<Vec<Elem>> {
    let op = &*cx.node.op_type;
    let mut arithmetic = Arithmetic::on(cx.dtype(0));
    arithmetic.c_remainder = cx.attrs().flag("fmod").unwrap_or(false);
    let count = arithmetic.whole(cx.inputs.len());
    let fold_row = |row: Vec<&Elem>| {
        let folded = row.into_iter().cloned().reduce(|a, b| arithmetic.binary(op, &a, &b));
        match folded.unwrap_or(Elem::Unknown) {
            sum if op == "Mean" => arithmetic.binary("Div", &sum, &count),
            result => result,
        }
    };
    Some(spread(cx, output)?.into_iter().map(fold_row).collect())
}

/// The least and the greatest that `Clip` lets through; before opset 11 they are attributes.
fn limits(cx: &OpCx<'_>) -> [Option<Elem>; 2] {
    [("min", 1), ("max", 2)].map(|(name, port)| match cx.attrs().float(name) {
        Ok(Some(x)) => Some(Elem::Float(x.into())),
        _ => cx.optional(port).map(|info| {
            let first = info.value.as_ref().and_then(|v| v.first().cloned());
            first.unwrap_or(Elem::Unknown)
        }),
    })
}

fn fold_unary(cx: &OpCx<'_>, elements: &[Elem]) -> Vec<Elem> {
    let (op, arithmetic) = (&*cx.node.op_type, Arithmetic::on(cx.dtype(0)));
    if op != "Clip" {
        return elements.iter().map(|e| arithmetic.unary(op, e)).collect();
    }
    let [least, most] = limits(cx);
    let bounded = |e: &Elem, op: &str, limit: &Option<Elem>| match limit {
        Some(limit) => arithmetic.binary(op, e, limit),
        None => e.clone(),
    };
    let clipped = |e| bounded(&bounded(e, "Max", &least), "Min", &most);
    elements.iter().map(clipped).collect()
}
