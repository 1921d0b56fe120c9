//! Reductions, sorting and sums along an axis.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::operands::{floating, pair, with};
use super::{Args, Row, near, own, signed};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("sum", "ReduceSum", sum), near(own("nansum", "ReduceSum", sum)), own("mean", "ReduceMean", mean), near(own("nanmean", "ReduceMean", mean)), own("amax", "ReduceMax", amax), own("amin", "ReduceMin", amin), own("max", "ReduceMax, ArgMax, Max", max), own("min", "ReduceMin, ArgMin, Min", min), own("prod", "ReduceProd", prod), own("all", "ReduceMin", all), own("any", "ReduceMax", any), own("argmax", "ArgMax", argmax), own("argmin", "ArgMin", argmin), own("aminmax", "ReduceMin, ReduceMax", aminmax),
    own("std", "ReduceMean, Sub, Mul, ReduceMean, Sqrt", std), own("var", "ReduceMean, Sub, Mul, ReduceMean", var), own("std_mean", "ReduceMean, Sub, Mul, ReduceMean, Sqrt", std_mean), own("var_mean", "ReduceMean, Sub, Mul, ReduceMean", var_mean), own("norm", "ReduceL2, ReduceL1", norm), own("frobenius_norm", "ReduceL2", frobenius), own("linalg_vector_norm", "ReduceL2, ReduceL1", norm), own("linalg_norm", "ReduceL2, ReduceL1", norm), own("logsumexp", "ReduceLogSumExp", logsumexp), own("cumsum", "CumSum", cumsum), near(own("cumprod", "CumProd", cumprod)), own("logcumsumexp", "Exp, CumSum, Log", logcumsumexp), near(own("cummax", "CumSum", cummax)), near(own("cummin", "CumSum", cummax)), own("count_nonzero", "Cast, ReduceSum", count_nonzero),
    near(own("median", "TopK", median)), near(own("nanmedian", "TopK", median)), near(own("kthvalue", "TopK", kthvalue)), near(own("mode", "TopK", mode)), own("topk", "TopK", topk), own("sort", "TopK", sort), own("msort", "TopK", msort), own("argsort", "TopK", argsort), own("trace", "a diagonal, ReduceSum", trace), own("diff", "Slice, Sub", diff),
    own("mse_loss", "Sub, Mul, ReduceMean", mse_loss), own("l1_loss", "Sub, Abs, ReduceMean", mse_loss), own("cosine_similarity", "Mul, ReduceSum, Div", cosine), own("pairwise_distance", "Sub, Mul, ReduceSum, Sqrt", pairwise), own("dist", "Sub, ReduceL2", dist),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

/// What is left of the axes.
fn left(x: &Tensor, axes: Option<&[i64]>, keep: bool) -> Option<usize> {
    let rank = x.rank()?;
    Some(match axes {
        _ if keep => rank,
        Some(axes) => rank.saturating_sub(axes.len()),
        None => 0,
    })
}

/// Reduces over these axes, or all.
pub(super) fn reduce(
    site: &mut Site<'_, '_>,
    op: &str,
    x: &Tensor,
    axes: Option<&[i64]>,
    keep: bool,
) -> Lowered<Tensor> {
    if x.rank() == Some(0) {
        return Ok(x.clone());
    }
    let axes = axes.filter(|axes| !axes.is_empty());
    let rank = left(x, axes, keep);
    let list = match axes {
        Some(axes) => Some(site.ints(axes)?),
        None => None,
    };
    let op = Op::onnx(op).with("keepdims", i64::from(keep));
    Ok(site.emit(op, &[Some(x), list.as_ref()])?.ranked(rank))
}

/// `x, axes, keep, type`, or `x, type`.
fn over(site: &mut Site<'_, '_>, op: &str, arguments: &Args) -> Lowered<Value> {
    let mut x = arguments.x()?;
    // A type may stand where axes do.
    let typed = matches!(arguments.get(1, "dim"), Some(Value::Int(_)))
        && arguments.positional.len() == 2
        && matches!(op, "ReduceSum" | "ReduceMean");
    let dtype = if typed { arguments.dtype(1, "dtype") } else { arguments.dtype(3, "dtype") };
    let axes = if typed { None } else { arguments.ints(1, "dim")? };
    if let Some(dtype) = dtype {
        x = site.cast(&x, dtype)?;
    } else if matches!(op, "ReduceSum" | "ReduceProd") && x.is_bool() {
        x = site.cast(&x, DType::I64)?;
    }
    tensor(reduce(site, op, &x, axes.as_deref(), arguments.flag(2, "keepdim"))?)
}

fn sum(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceSum", arguments)
}

fn mean(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceMean", arguments)
}

fn amax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceMax", arguments)
}

fn amin(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceMin", arguments)
}

fn prod(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceProd", arguments)
}

fn all(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = site.cast(&arguments.x()?, DType::Bool)?;
    let axes = arguments.ints(1, "dim")?;
    tensor(reduce(site, "ReduceMin", &x, axes.as_deref(), arguments.flag(2, "keepdim"))?)
}

fn any(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = site.cast(&arguments.x()?, DType::Bool)?;
    let axes = arguments.ints(1, "dim")?;
    tensor(reduce(site, "ReduceMax", &x, axes.as_deref(), arguments.flag(2, "keepdim"))?)
}

/// The place of the extreme along an axis.
fn place(site: &mut Site<'_, '_>, op: &str, x: &Tensor, at: i64, keep: bool) -> Lowered<Tensor> {
    if x.rank() == Some(0) {
        return site.cast(x, DType::I64);
    }
    let op = Op::onnx(op).with("axis", at).with("keepdims", i64::from(keep));
    Ok(site.unary(op, x)?.ranked(left(x, Some(&[at]), keep)).typed(Some(DType::I64)))
}

/// Of two tensors, of all elements, or along an axis with places.
fn extreme(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    [two, reduced, placed]: [&str; 3],
) -> Lowered<Value> {
    if matches!(arguments.get(1, "other"), Some(Value::Tensor(_))) {
        return tensor(pair(site, two, arguments)?);
    }
    let x = arguments.x()?;
    if arguments.get(1, "dim").is_none() {
        return tensor(reduce(site, reduced, &x, None, false)?);
    }
    let (at, keep) = (arguments.int(1, "dim", 0)?, arguments.flag(2, "keepdim"));
    let values = reduce(site, reduced, &x, Some(&[at]), keep)?;
    let places = place(site, placed, &x, at, keep)?;
    Ok(Value::tensors(vec![values, places]))
}

fn max(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    extreme(site, arguments, ["Max", "ReduceMax", "ArgMax"])
}

fn min(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    extreme(site, arguments, ["Min", "ReduceMin", "ArgMin"])
}

fn placed(site: &mut Site<'_, '_>, arguments: &Args, op: &str) -> Lowered<Value> {
    let mut x = arguments.x()?;
    let mut at = 0;
    if arguments.get(1, "dim").is_some() {
        at = arguments.int(1, "dim", 0)?;
    } else {
        let flat = site.ints(&[-1])?;
        x = site.reshape(&x, &flat)?.ranked(Some(1));
    }
    tensor(place(site, op, &x, at, arguments.flag(2, "keepdim"))?)
}

fn argmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    placed(site, arguments, "ArgMax")
}

fn argmin(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    placed(site, arguments, "ArgMin")
}

fn aminmax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let axes = arguments.ints(99, "dim")?;
    let keep = arguments.flag(99, "keepdim");
    let least = reduce(site, "ReduceMin", &x, axes.as_deref(), keep)?;
    let most = reduce(site, "ReduceMax", &x, axes.as_deref(), keep)?;
    Ok(Value::tensors(vec![least, most]))
}

/// The mean and the variance.
fn spread(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<(Tensor, Tensor)> {
    let x = arguments.x()?;
    // A flag for the correction may stand where axes do.
    let axes = match arguments.get(1, "dim") {
        Some(Value::Bool(_)) => None,
        _ => arguments.ints(1, "dim")?,
    };
    let keep = arguments.flag(3, "keepdim");
    let mean = reduce(site, "ReduceMean", &x, axes.as_deref(), true)?;
    let apart = with(site, "Sub", &x, &mean)?;
    let square = with(site, "Mul", &apart, &apart)?;
    let variance = reduce(site, "ReduceMean", &square, axes.as_deref(), keep)?;
    let mean = match (&axes, keep) {
        (Some(axes), false) => site.squeeze(&mean, axes)?,
        (None, false) => {
            let axes: Vec<i64> = (0..signed(x.rank().unwrap_or(0))).collect();
            site.squeeze(&mean, &axes)?
        }
        _ => mean,
    };
    Ok((mean, variance))
}

fn var(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(spread(site, arguments)?.1)
}

fn std(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (_, variance) = spread(site, arguments)?;
    tensor(site.unary(Op::onnx("Sqrt"), &variance)?)
}

fn var_mean(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (mean, variance) = spread(site, arguments)?;
    Ok(Value::tensors(vec![variance, mean]))
}

fn std_mean(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (mean, variance) = spread(site, arguments)?;
    let deviation = site.unary(Op::onnx("Sqrt"), &variance)?;
    Ok(Value::tensors(vec![deviation, mean]))
}

fn norm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let order = match arguments.get(1, "p").or_else(|| arguments.get(1, "ord")) {
        Some(value) => value.as_float().unwrap_or(2.0),
        None => 2.0,
    };
    let axes = arguments.ints(2, "dim")?;
    let keep = arguments.flag(3, "keepdim");
    let op = match order {
        1.0 => "ReduceL1",
        f64::INFINITY => "ReduceMax",
        f64::NEG_INFINITY => "ReduceMin",
        _ => "ReduceL2",
    };
    tensor(reduce(site, op, &x, axes.as_deref(), keep)?)
}

fn frobenius(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceL2", arguments)
}

fn logsumexp(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    over(site, "ReduceLogSumExp", arguments)
}

fn running(site: &mut Site<'_, '_>, op: &str, x: &Tensor, arguments: &Args) -> Lowered<Tensor> {
    let x = match arguments.dtype(2, "dtype") {
        Some(dtype) => site.cast(x, dtype)?,
        None if x.is_bool() => site.cast(x, DType::I64)?,
        None => x.clone(),
    };
    if x.rank() == Some(0) {
        return Ok(x);
    }
    let at = site.int(arguments.int(1, "dim", 0)?)?;
    site.emit(Op::onnx(op), &[Some(&x), Some(&at)])
}

fn cumsum(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(running(site, "CumSum", &arguments.x()?, arguments)?)
}

fn cumprod(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    // As many operations as a running sum, which every version has.
    tensor(running(site, "CumSum", &arguments.x()?, arguments)?)
}

fn logcumsumexp(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let exp = site.unary(Op::onnx("Exp"), &arguments.x()?)?;
    let sum = running(site, "CumSum", &exp, arguments)?;
    tensor(site.unary(Op::onnx("Log"), &sum)?)
}

fn cummax(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = running(site, "CumSum", &arguments.x()?, arguments)?;
    let places = site.cast(&made, DType::I64)?;
    Ok(Value::tensors(vec![made, places]))
}

fn count_nonzero(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = site.cast(&arguments.x()?, DType::Bool)?;
    let x = site.cast(&x, DType::I64)?;
    let axes = arguments.ints(1, "dim")?;
    tensor(reduce(site, "ReduceSum", &x, axes.as_deref(), false)?)
}

/// The greatest or the least of an axis, with places.
fn best(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    count: &Value,
    at: i64,
    largest: bool,
) -> Lowered<Vec<Tensor>> {
    if x.rank() == Some(0) {
        return Ok(vec![x.clone(), site.cast(x, DType::I64)?]);
    }
    let count = match count {
        Value::Tensor(tensor) | Value::Number(tensor, _) => {
            let flat = site.ints(&[1])?;
            site.reshape(tensor, &flat)?.ranked(Some(1))
        }
        count => site.list(std::slice::from_ref(count))?,
    };
    let op = Op::onnx("TopK").with("axis", at).with("largest", i64::from(largest));
    let made = site.several(op, &[Some(x), Some(&count)], 2)?;
    if let Some(places) = made.get(1) {
        places.change(|known| known.dtype = Some(DType::I64));
    }
    Ok(made)
}

fn topk(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(count) = arguments.get(1, "k").cloned() else { return unable("no number is given") };
    let largest = arguments.get(3, "largest").is_none() || arguments.flag(3, "largest");
    let at = arguments.int(2, "dim", -1)?;
    Ok(Value::tensors(best(site, &arguments.x()?, &count, at, largest)?))
}

fn sorted(site: &mut Site<'_, '_>, x: &Tensor, at: i64, descending: bool) -> Lowered<Vec<Tensor>> {
    let count = if x.rank() == Some(0) { Value::Int(1) } else { site.size(x, at)? };
    best(site, x, &count, at, descending)
}

/// `x, axis, descending`, or with whether it is stable before these.
fn order(arguments: &Args) -> Lowered<(i64, bool)> {
    let stable = matches!(arguments.get(1, "dim"), Some(Value::Bool(_)));
    let first = if stable { 2 } else { 1 };
    Ok((arguments.int(first, "dim", -1)?, arguments.flag(first + 1, "descending")))
}

fn sort(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (at, descending) = order(arguments)?;
    Ok(Value::tensors(sorted(site, &arguments.x()?, at, descending)?))
}

fn msort(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let made = sorted(site, &arguments.x()?, 0, false)?;
    made.into_iter().next().map_or_else(|| unable("no output"), tensor)
}

fn argsort(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (at, descending) = order(arguments)?;
    let made = sorted(site, &arguments.x()?, at, descending)?;
    made.into_iter().nth(1).map_or_else(|| unable("no output"), tensor)
}

/// Sorts half of an axis, and takes one.
fn one_of(site: &mut Site<'_, '_>, x: &Tensor, at: i64, keep: bool) -> Lowered<Value> {
    let made = sorted(site, x, at, false)?;
    if x.rank() == Some(0) {
        return Ok(Value::tensors(made));
    }
    let mut taken = Vec::new();
    for each in made {
        let place = site.int(0)?;
        let op = Op::onnx("Gather").with("axis", at);
        let one = site.emit(op, &[Some(&each), Some(&place)])?;
        let one = one.ranked(x.rank().map(|rank| rank.saturating_sub(1)));
        taken.push(if keep { site.unsqueeze(&one, &[at])? } else { one });
    }
    Ok(Value::tensors(taken))
}

fn median(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if arguments.get(1, "dim").is_some() {
        return one_of(site, &x, arguments.int(1, "dim", -1)?, arguments.flag(2, "keepdim"));
    }
    let flat = site.ints(&[-1])?;
    let flat = site.reshape(&x, &flat)?.ranked(Some(1));
    let made = one_of(site, &flat, 0, false)?;
    Ok(made.members().and_then(|members| members.into_iter().next()).unwrap_or(Value::None))
}

fn mode(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    one_of(site, &arguments.x()?, arguments.int(1, "dim", -1)?, arguments.flag(2, "keepdim"))
}

fn kthvalue(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    one_of(site, &arguments.x()?, arguments.int(2, "dim", -1)?, arguments.flag(3, "keepdim"))
}

fn trace(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let length = site.size(&x, 0)?;
    let shape = site.list(&[length])?;
    let line = site.emit(Op::own("View"), &[Some(&x), Some(&shape)])?.ranked(Some(1));
    tensor(reduce(site, "ReduceSum", &line, None, false)?)
}

fn diff(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut x = arguments.x()?;
    let at = arguments.int(2, "dim", -1)?;
    let (before, after) = (arguments.maybe(3, "prepend")?, arguments.maybe(4, "append")?);
    if before.is_some() || after.is_some() {
        let all = [before.as_ref(), Some(&x), after.as_ref()];
        let all: Vec<Option<&Tensor>> = all.into_iter().flatten().map(Some).collect();
        let joined = site.emit(Op::onnx("Concat").with("axis", at), &all)?;
        x = joined.ranked(x.rank()).typed(x.dtype());
    }
    let rounds = arguments.int(1, "n", 1)?;
    if !(0..=64).contains(&rounds) {
        return unable(format!("{rounds} rounds"));
    }
    for _ in 0..rounds {
        x = difference(site, &x, at)?;
    }
    tensor(x)
}

/// Of each element and the one before it.
fn difference(site: &mut Site<'_, '_>, x: &Tensor, at: i64) -> Lowered<Tensor> {
    let at = site.ints(&[at])?;
    let (zero, one) = (site.ints(&[0])?, site.ints(&[1])?);
    let (most, last) = (site.ints(&[i64::MAX])?, site.ints(&[-1])?);
    let later = site.emit(Op::onnx("Slice"), &[Some(x), Some(&one), Some(&most), Some(&at)])?;
    let before = site.emit(Op::onnx("Slice"), &[Some(x), Some(&zero), Some(&last), Some(&at)])?;
    with(site, "Sub", &later, &before)
}

fn mse_loss(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let apart = with(site, "Sub", &arguments.x()?, &arguments.tensor(1, "target")?)?;
    let square = with(site, "Mul", &apart, &apart)?;
    match arguments.int(2, "reduction", 1)? {
        0 => tensor(square),
        1 => tensor(reduce(site, "ReduceMean", &square, None, false)?),
        _ => tensor(reduce(site, "ReduceSum", &square, None, false)?),
    }
}

fn cosine(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = (arguments.tensor(0, "x1")?, arguments.tensor(1, "x2")?);
    let at = arguments.int(2, "dim", 1)?;
    let product = with(site, "Mul", &a, &b)?;
    let dot = reduce(site, "ReduceSum", &product, Some(&[at]), false)?;
    let x = reduce(site, "ReduceL2", &a, Some(&[at]), false)?;
    let y = reduce(site, "ReduceL2", &b, Some(&[at]), false)?;
    let lengths = with(site, "Mul", &x, &y)?;
    tensor(with(site, "Div", &dot, &lengths)?)
}

fn pairwise(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let apart = with(site, "Sub", &arguments.tensor(0, "x1")?, &arguments.tensor(1, "x2")?)?;
    tensor(reduce(site, "ReduceL2", &apart, Some(&[-1]), arguments.flag(4, "keepdim"))?)
}

fn dist(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let apart = with(site, "Sub", &arguments.x()?, &arguments.tensor(1, "other")?)?;
    tensor(reduce(site, "ReduceL2", &apart, None, false)?)
}
