//! Operators that treat every element alike: one row each, cost per element in the row.

use super::Class::Elementwise;
use super::context::{OpCx, OpError};
use super::shape::broadcast;
use super::{Effect, Op};
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
    nary!("Add", 2, 2, 1, 0, 0),
    nary!("And", 2, 2, 1, 0, 0),
    unary!("Asin", 0, 1, 0, "|x| transcendental"),
    unary!("Asinh", 0, 1, 0, "|x| transcendental"),
    unary!("Atan", 0, 1, 0, "|x| transcendental"),
    unary!("Atanh", 0, 1, 0, "|x| transcendental"),
    nary!("BitShift", 2, 2, 1, 0, 0).weights("-c"),
    nary!("BitwiseAnd", 2, 2, 1, 0, 0).weights("-c"),
    unary!("BitwiseNot", 1, 0, 0, "|x|"),
    nary!("BitwiseOr", 2, 2, 1, 0, 0),
    nary!("BitwiseXor", 2, 2, 1, 0, 0),
    unary!("Ceil", 1, 0, 0, "|x|"),
    unary!("Celu", 3, 1, 1, "5·|x|, 1 transcendental and 1 comparison each"),
    Op::new("Clip", Elementwise, unary::<0, 0, 2>).inputs(1, 3).formula("2·|x| comparisons").weights(">cc"),
    unary!("Cos", 0, 1, 0, "|x| transcendental").weights("x"),
    unary!("Cosh", 0, 1, 0, "|x| transcendental"),
    nary!("Div", 2, 2, 1, 0, 0),
    Op::new("Dropout", Elementwise, dropout).inputs(1, 3).formula("0 at inference").weights(">cc"),
    unary!("Elu", 2, 1, 1, "4·|x|, 1 transcendental and 1 comparison each"),
    nary!("Equal", 2, 2, 0, 0, 1),
    unary!("Erf", 0, 1, 0, "|x| transcendental"),
    unary!("Exp", 0, 1, 0, "|x| transcendental").weights("f"),
    unary!("Floor", 1, 0, 0, "|x|"),
    Op::new("Gelu", Elementwise, gelu).inputs(1, 1).formula("5·|x| (erf form) or 9·|x| (tanh form), 1 transcendental each"),
    nary!("Greater", 2, 2, 0, 0, 1),
    nary!("GreaterOrEqual", 2, 2, 0, 0, 1),
    unary!("HardSigmoid", 2, 0, 2, "4·|x|, 2 comparisons each"),
    unary!("HardSwish", 3, 0, 2, "5·|x|, 2 comparisons each"),
    unary!("IsInf", 0, 0, 1, "|x| comparisons"),
    unary!("IsNaN", 0, 0, 1, "|x| comparisons"),
    unary!("LeakyRelu", 1, 0, 1, "2·|x|, 1 comparison each"),
    nary!("Less", 2, 2, 0, 0, 1),
    nary!("LessOrEqual", 2, 2, 0, 0, 1),
    unary!("Log", 0, 1, 0, "|x| transcendental"),
    nary!("Max", 1, ANY, 0, 0, 1),
    nary!("Mean", 1, ANY, 1, 0, 0),
    nary!("Min", 1, ANY, 0, 0, 1),
    unary!("Mish", 2, 3, 0, "5·|x|, 3 transcendental each"),
    nary!("Mod", 2, 2, 1, 0, 0),
    nary!("Mul", 2, 2, 1, 0, 0),
    unary!("Neg", 1, 0, 0, "|x|"),
    unary!("Not", 1, 0, 0, "|x|"),
    nary!("Or", 2, 2, 1, 0, 0),
    Op::new("PRelu", Elementwise, prelu).inputs(2, 2).formula("|x| + |x| comparisons").weights("-w"),
    nary!("Pow", 2, 2, 0, 1, 0).weights("-c"),
    unary!("Reciprocal", 1, 0, 0, "|x|"),
    unary!("Relu", 0, 0, 1, "|x| comparisons"),
    unary!("Round", 1, 0, 0, "|x|"),
    unary!("Selu", 3, 1, 1, "5·|x|, 1 transcendental and 1 comparison each"),
    unary!("Shrink", 1, 0, 2, "3·|x|, 2 comparisons each"),
    unary!("Sigmoid", 3, 1, 0, "4·|x|, 1 transcendental each").weights("f"),
    unary!("Sign", 0, 0, 1, "|x| comparisons"),
    unary!("Sin", 0, 1, 0, "|x| transcendental").weights("y"),
    unary!("Sinh", 0, 1, 0, "|x| transcendental"),
    unary!("Softplus", 1, 2, 0, "3·|x|, 2 transcendental each").weights("f"),
    unary!("Softsign", 3, 0, 0, "3·|x|"),
    unary!("Sqrt", 0, 1, 0, "|x| transcendental"),
    nary!("Sub", 2, 2, 1, 0, 0),
    nary!("Sum", 1, ANY, 1, 0, 0),
    Op::new("SwiGLU", Elementwise, nary::<5, 1, 0>).inputs(2, 2).formula("6·|y|, 1 exp each"),
    unary!("Swish", 4, 1, 0, "5·|x|, 1 transcendental each"),
    unary!("Tan", 0, 1, 0, "|x| transcendental"),
    unary!("Tanh", 0, 1, 0, "|x| transcendental").weights("f"),
    unary!("ThresholdedRelu", 0, 0, 1, "|x| comparisons"),
    Op::new("Where", Elementwise, where_).inputs(3, 3).formula("|y| comparisons").weights("coo"),
    nary!("Xor", 2, 2, 1, 0, 0),
];

fn answers_bool(name: &str) -> bool {
    matches!(
        name,
        "And"
            | "Or"
            | "Xor"
            | "Not"
            | "Equal"
            | "Greater"
            | "GreaterOrEqual"
            | "Less"
            | "LessOrEqual"
            | "IsInf"
            | "IsNaN"
    )
}

fn output_dtype(cx: &OpCx<'_>) -> Option<DType> {
    if answers_bool(&cx.node.op_type) { Some(DType::Bool) } else { cx.dtype(0) }
}

fn unary<const OTHER: u32, const T: u32, const C: u32>(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let n = cx.elements(0)?;
    let mut output = TensorInfo::new(output_dtype(cx), cx.shape(0)?.clone());
    if let Some(value) = &cx.input(0)?.value {
        output = output.with_value(value.iter().map(|e| fold_unary(cx, e)).collect());
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
    let integer = cx.dtype(0).is_some_and(|d| !d.is_float());
    let fold_row = |row: Vec<&Elem>| {
        let mut operands = row.into_iter();
        let first = operands.next().cloned().unwrap_or(Elem::Unknown);
        operands.fold(first, |acc, e| fold_binary(cx, integer, &acc, e))
    };
    Some(spread(cx, output)?.into_iter().map(fold_row).collect())
}

fn fold_binary(cx: &OpCx<'_>, integer: bool, a: &Elem, b: &Elem) -> Elem {
    if let (Elem::Int(a), Elem::Int(b), true) = (a, b, integer) {
        return fold_ints(cx, a, b).map_or(Elem::Unknown, Elem::Int);
    }
    let (Some(x), Some(y)) = (a.as_f64(), b.as_f64()) else { return Elem::Unknown };
    let flag = |yes: bool| Elem::Int(Dim::from(i64::from(yes)));
    match &*cx.node.op_type {
        "Add" | "Sum" => Elem::Float(x + y),
        "Sub" => Elem::Float(x - y),
        "Mul" => Elem::Float(x * y),
        "Div" => Elem::Float(x / y),
        "Pow" => Elem::Float(x.powf(y)),
        "Min" => Elem::Float(x.min(y)),
        "Max" => Elem::Float(x.max(y)),
        "Less" => flag(x < y),
        "LessOrEqual" => flag(x <= y),
        "Greater" => flag(x > y),
        "GreaterOrEqual" => flag(x >= y),
        _ => Elem::Unknown,
    }
}

fn fold_ints(cx: &OpCx<'_>, a: &Dim, b: &Dim) -> Option<Dim> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let flag = |yes: bool| Some(Dim::from(i64::from(yes)));
    let consts = a.as_const().zip(b.as_const());
    // `compare` answers "less or equal"; a strict order needs a gap of one.
    let strictly_less = |a: &Dim, b: &Dim| {
        let gap = a.clone() + Dim::ONE;
        match (gap.compare(b), b.compare(a)) {
            (Some(Less | Equal), _) => Some(true),
            (_, Some(Less | Equal)) => Some(false),
            _ => None,
        }
    };
    match &*cx.node.op_type {
        "Add" | "Sum" => Some(a.clone() + b.clone()),
        "Sub" => Some(a.clone() - b.clone()),
        "Mul" => Some(a.clone() * b.clone()),
        // C division truncates towards zero; sizes are not negative, so the floor is the same.
        "Div" => match consts {
            Some((_, 0)) => None,
            Some((x, y)) => Some(Dim::from(x.checked_div(y)?)),
            None if a.lower_bound()? >= 0 && b.lower_bound()? >= 1 => Some(a.floor_div(b)),
            None => None,
        },
        "Mod" if b.lower_bound()? >= 1 => Some(a.modulo(b)),
        "Min" => Some(a.minimum(b)),
        "Max" => Some(a.maximum(b)),
        "Pow" => Some(a.pow(u32::try_from(b.as_const()?).ok().filter(|e| *e <= 16)?)),
        "Equal" if a == b => flag(true),
        "Equal" => {
            let (less, more) = (strictly_less(a, b), strictly_less(b, a));
            (less == Some(true) || more == Some(true)).then_some(Dim::ZERO)
        }
        "Less" => flag(strictly_less(a, b)?),
        "Greater" => flag(strictly_less(b, a)?),
        "LessOrEqual" => flag(!strictly_less(b, a)?),
        "GreaterOrEqual" => flag(match a.compare(b) {
            Some(Greater | Equal) => true,
            _ => !strictly_less(a, b)?,
        }),
        "And" => flag(consts?.0 != 0 && consts?.1 != 0),
        "Or" => flag(consts?.0 != 0 || consts?.1 != 0),
        "Xor" => flag((consts?.0 != 0) != (consts?.1 != 0)),
        _ => None,
    }
}

fn fold_unary(cx: &OpCx<'_>, e: &Elem) -> Elem {
    match (&*cx.node.op_type, e) {
        ("Neg", Elem::Int(d)) => Elem::Int(-d.clone()),
        ("Not", Elem::Int(d)) => match d.as_const() {
            Some(c) => Elem::Int(Dim::from(i64::from(c == 0))),
            None => Elem::Unknown,
        },
        ("Abs" | "Relu", Elem::Int(d)) if d.lower_bound().is_some_and(|l| l >= 0) => e.clone(),
        ("Abs", Elem::Int(d)) => d.as_const().map_or(Elem::Unknown, |c| Elem::Int(c.abs().into())),
        ("Relu", Elem::Int(d)) => Elem::Int(d.maximum(&Dim::ZERO)),
        (name, _) => match (name, e.as_f64(), e) {
            (_, _, Elem::Int(_)) | (_, None, _) => Elem::Unknown,
            ("Neg", Some(x), _) => Elem::Float(-x),
            ("Floor", Some(x), _) => Elem::Float(x.floor()),
            ("Ceil", Some(x), _) => Elem::Float(x.ceil()),
            ("Sqrt", Some(x), _) => Elem::Float(x.sqrt()),
            ("Abs", Some(x), _) => Elem::Float(x.abs()),
            ("Relu", Some(x), _) => Elem::Float(x.max(0.0)),
            ("Reciprocal", Some(x), _) => Elem::Float(1.0 / x),
            ("Round", Some(x), _) => Elem::Float(x.round_ties_even()),
            _ => Elem::Unknown,
        },
    }
}
