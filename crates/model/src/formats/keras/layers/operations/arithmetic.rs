//! Arithmetic on elements, and reductions.

use super::super as layers;
use super::super::super::super::draft::Op;
use super::super::super::site::{Site, T};
use super::{Asked, LoadError, Maybe, Row, X, one, row};
use crate::ir::DType;

macro_rules! rows {
    ($($write:ident: $($name:literal => $op:literal),+;)+) => {
        /// Operations whose operator of ONNX is their row's second name.
        const NAMES: &[(&str, &str)] = &[$($(($name, $op),)+)+];
        pub(super) const ROWS: &[Row] = &[$($(row($name, $op, $write),)+)+];
    };
}

rows! {
    unary: "Abs" => "Abs", "Absolute" => "Abs", "Arccos" => "Acos", "Arccosh" => "Acosh", "Arcsin" => "Asin",
        "Arcsinh" => "Asinh", "Arctan" => "Atan", "Arctanh" => "Atanh", "Bitwise_not" => "BitwiseNot", "Ceil" => "Ceil",
        "Cos" => "Cos", "Cosh" => "Cosh", "Erf" => "Erf", "Exp" => "Exp", "Floor" => "Floor", "Log" => "Log",
        "Negative" => "Neg", "Reciprocal" => "Reciprocal", "Round" => "Round", "Sign" => "Sign", "Sin" => "Sin",
        "Sinh" => "Sinh", "Sqrt" => "Sqrt", "Tan" => "Tan";
    test: "Isnan" => "IsNaN", "Isinf" => "IsInf", "LogicalNot" => "Not";
    same: "Copy" => "nothing", "Identity" => "nothing", "StopGradient" => "nothing", "Dropout" => "nothing",
        "Real" => "nothing", "Conjugate" => "nothing", "Conj" => "nothing", "NanToNum" => "nothing";
    composed: "Expm1" => "Exp, Sub", "Log1p" => "Add, Log", "Log2" => "Log, Div", "Log10" => "Log, Div",
        "Rsqrt" => "Sqrt, Reciprocal", "Square" => "Mul", "Exp2" => "Pow", "Logaddexp" => "Exp, Add, Log",
        "SquaredDifference" => "Sub, Mul", "Deg2rad" => "Mul", "Rad2deg" => "Mul", "Isfinite" => "IsInf, Not",
        "Trunc" => "Floor", "Fix" => "Floor";
    binary: "Add" => "Add", "Subtract" => "Sub", "Multiply" => "Mul", "Divide" => "Div", "TrueDivide" => "Div",
        "Power" => "Pow", "Maximum" => "Max", "Minimum" => "Min", "Mod" => "Mod", "FloorDivide" => "Div",
        "DivideNoNan" => "Div", "BitwiseAnd" => "BitwiseAnd", "BitwiseOr" => "BitwiseOr", "BitwiseXor" => "BitwiseXor",
        "Arctan2" => "Atan";
    compare: "Equal" => "Equal", "NotEqual" => "Equal", "Greater" => "Greater", "GreaterEqual" => "GreaterOrEqual",
        "Less" => "Less", "LessEqual" => "LessOrEqual", "LogicalAnd" => "And", "LogicalOr" => "Or",
        "LogicalXor" => "Xor";
    reduce: "Max" => "ReduceMax", "Amax" => "ReduceMax", "Min" => "ReduceMin", "Amin" => "ReduceMin",
        "Mean" => "ReduceMean", "Sum" => "ReduceSum", "Prod" => "ReduceProd", "Logsumexp" => "ReduceLogSumExp",
        "Average" => "ReduceMean", "Nansum" => "ReduceSum", "Nanmean" => "ReduceMean", "Nanmax" => "ReduceMax",
        "Nanmin" => "ReduceMin";
    logical: "All" => "ReduceMin", "Any" => "ReduceMax";
    moments: "Std" => "ReduceMean", "Var" => "ReduceMean", "Moments" => "ReduceMean";
    extreme: "Argmax" => "ArgMax", "Argmin" => "ArgMin";
    norm: "Norm" => "ReduceL2", "Normalize" => "LpNormalization";
    clip: "Clip" => "Clip";
    nonzero: "CountNonzero" => "ReduceSum";
    sum_all: "AddN" => "Sum";
    cumulative: "Cumsum" => "CumSum";
}

fn op(asked: &Asked<'_, '_>) -> &'static str {
    NAMES.iter().find(|(name, _)| *name == asked.name).map_or("Identity", |(_, op)| op)
}

fn unary<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    one(site.map("", op(asked), x)?)
}

fn test<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let x = if op(asked) == "Not" { site.cast(x, DType::Bool)? } else { x };
    one(site.map("", op(asked), x)?.typed(DType::Bool))
}

fn same<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    Ok(asked.x(site)?.map(|x| vec![x]))
}

fn composed<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let y = match asked.name {
        "Square" => site.binary("", "Mul", x, x)?,
        "Rsqrt" => {
            let root = site.map("sqrt", "Sqrt", x)?;
            site.map("", "Reciprocal", root)?
        }
        "Expm1" => {
            let exp = site.map("exp", "Exp", x)?;
            let one = site.number(1.0, x)?;
            site.binary("", "Sub", exp, one)?
        }
        "Log1p" => {
            let one = site.number(1.0, x)?;
            let sum = site.binary("plus", "Add", x, one)?;
            site.map("", "Log", sum)?
        }
        "Log2" | "Log10" => {
            let log = site.map("log", "Log", x)?;
            let base =
                site.number(if asked.name == "Log2" { 2_f64.ln() } else { 10_f64.ln() }, x)?;
            site.binary("", "Div", log, base)?
        }
        "Deg2rad" | "Rad2deg" => {
            let factor = site.number(std::f64::consts::PI / 180.0, x)?;
            site.binary("", if asked.name == "Deg2rad" { "Mul" } else { "Div" }, x, factor)?
        }
        "Exp2" => {
            let two = site.number(2.0, x)?;
            let id = site.one("", Op::onnx("Pow"), &[Some(two.id), Some(x.id)])?;
            x.like(id)
        }
        "Trunc" | "Fix" => site.map("", "Floor", x)?,
        "Isfinite" => {
            let infinite = site.map("infinite", "IsInf", x)?.typed(DType::Bool);
            site.map("", "Not", infinite)?
        }
        _ => {
            let Some(y) = asked.tensor(site, 1, &["x2", "y", "b"])? else { return Ok(None) };
            if asked.name == "SquaredDifference" {
                let difference = site.binary("difference", "Sub", x, y)?;
                site.binary("", "Mul", difference, difference)?
            } else {
                let (a, b) = (site.map("exp", "Exp", x)?, site.map("exp", "Exp", y)?);
                let sum = site.binary("sum", "Add", a, b)?;
                site.map("", "Log", sum)?
            }
        }
    };
    one(y)
}

/// The two operands, of one type.
fn operands<'j>(
    site: &mut Site<'_, '_, 'j>,
    asked: &Asked<'_, 'j>,
) -> Result<Option<(T, T)>, LoadError> {
    let second = &["x2", "y", "b"];
    let (Some(a), Some(b)) = (asked.x(site)?, asked.tensor(site, 1, second)?) else {
        return Ok(None);
    };
    promoted(site, a, b).map(Some)
}

/// Two tensors in the wider type of both.
pub(super) fn promoted(site: &mut Site<'_, '_, '_>, a: T, b: T) -> Result<(T, T), LoadError> {
    let (Some(left), Some(right)) = (a.dtype, b.dtype) else { return Ok((a, b)) };
    if left == right {
        return Ok((a, b));
    }
    let rank = |dtype: DType| (dtype.is_float(), dtype != DType::Bool, dtype.bits());
    if rank(left) >= rank(right) {
        Ok((a, site.cast(b, left)?))
    } else {
        Ok((site.cast(a, right)?, b))
    }
}

fn binary<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((mut a, mut b)) = operands(site, asked)? else { return Ok(None) };
    let op = op(asked);
    let divides = matches!(asked.name, "Divide" | "TrueDivide" | "DivideNoNan");
    if divides && a.dtype.is_some_and(|dtype| !dtype.is_float()) {
        (a, b) = (site.cast(a, DType::F32)?, site.cast(b, DType::F32)?);
    }
    let floats = a.dtype.is_none_or(DType::is_float);
    if op == "Mod" {
        let op = Op::onnx("Mod").with("fmod", floats);
        let id = site.one("", op, &[Some(a.id), Some(b.id)])?;
        return one(a.ranked(a.rank.zip(b.rank).map(|(a, b)| a.max(b))).like(id));
    }
    let y = site.binary(
        if op == "Atan" { "ratio" } else { "" },
        if op == "Atan" { "Div" } else { op },
        a,
        b,
    )?;
    match asked.name {
        "Arctan2" => one(site.map("", "Atan", y)?),
        "FloorDivide" if floats => one(site.map("floor", "Floor", y)?),
        _ => one(y),
    }
}

fn compare<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some((mut a, mut b)) = operands(site, asked)? else { return Ok(None) };
    if asked.name.starts_with("Logical") {
        (a, b) = (site.cast(a, DType::Bool)?, site.cast(b, DType::Bool)?);
    }
    let y = site.binary(if asked.name == "NotEqual" { "equal" } else { "" }, op(asked), a, b)?;
    let y = y.typed(DType::Bool);
    if asked.name == "NotEqual" { one(site.map("", "Not", y)?) } else { one(y) }
}

/// The axes of a reduction; all if there are none.
fn axes(asked: &Asked<'_, '_>) -> Vec<i64> {
    asked.ints(1, &["axis", "axes", "reduction_indices", "dim"]).unwrap_or_default()
}

fn keeps(asked: &Asked<'_, '_>) -> bool {
    asked.flag(2, &["keepdims", "keep_dims"])
}

fn reduce<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let floats = matches!(asked.name, "Mean" | "Average" | "Logsumexp");
    let x = if floats && x.dtype.is_some_and(|dtype| !dtype.is_float()) {
        site.cast(x, DType::F32)?
    } else {
        x
    };
    one(site.reduce("", op(asked), x, &axes(asked), keeps(asked))?)
}

fn logical<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let x = site.cast(x, DType::Bool)?;
    one(site.reduce("", op(asked), x, &axes(asked), keeps(asked))?)
}

fn moments<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axes = axes(asked);
    let mean = site.reduce("mean", "ReduceMean", x, &axes, true)?;
    let centred = site.binary("centre", "Sub", x, mean)?;
    let square = site.binary("square", "Mul", centred, centred)?;
    let variance = site.reduce(
        if asked.name == "Std" { "variance" } else { "" },
        "ReduceMean",
        square,
        &axes,
        keeps(asked),
    )?;
    match asked.name {
        "Std" => one(site.map("", "Sqrt", variance)?),
        "Moments" => {
            let mean = if keeps(asked) { mean } else { site.axes("mean", "Squeeze", mean, &axes)? };
            Ok(Some(vec![mean, variance]))
        }
        _ => one(variance),
    }
}

fn extreme<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let axis = match asked.int(1, &["axis", "dimension"]) {
        Some(axis) => axis,
        None => {
            x = site.reshape("flat", x, &[-1])?;
            0
        }
    };
    let op = Op::onnx(op(asked)).with("axis", axis).with("keepdims", keeps(asked));
    let id = site.one("", op, &[Some(x.id)])?;
    let rank = if keeps(asked) { x.rank } else { x.rank.map(|rank| rank.saturating_sub(1)) };
    one(x.ranked(rank).typed(DType::I64).like(id))
}

fn norm<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axes = asked.ints(1, &["axis", "dim"]);
    if asked.name == "Norm" {
        return one(site.reduce("", "ReduceL2", x, &axes.unwrap_or_default(), keeps(asked))?);
    }
    let axis = axes.and_then(|axes| axes.first().copied()).unwrap_or(-1);
    let op = Op::onnx("LpNormalization").with("axis", axis).with("p", 2_i64);
    one(x.like(site.one("", op, &[Some(x.id)])?))
}

fn clip<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["x", "t", "input"])? else { return Ok(None) };
    let low = asked.tensor(site, 1, &["x_min", "clip_value_min", "min_value"])?;
    let high = asked.tensor(site, 2, &["x_max", "clip_value_max", "max_value"])?;
    let id =
        site.one("", Op::onnx("Clip"), &[Some(x.id), low.map(|t| t.id), high.map(|t| t.id)])?;
    one(x.like(id))
}

fn nonzero<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let set = site.cast(x, DType::Bool)?;
    let ones = site.cast(set, DType::I64)?;
    one(site.reduce("", "ReduceSum", ones, &axes(asked), keeps(asked))?)
}

fn sum_all<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let list = asked.list(site, 0, X)?;
    let Some(first) = list.first().copied() else { return Ok(None) };
    let all: Vec<_> = list.iter().map(|t| Some(t.id)).collect();
    one(first.like(site.one("", Op::onnx("Sum"), &all)?))
}

fn cumulative<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let axis = match asked.int(1, &["axis"]) {
        Some(axis) => axis,
        None => {
            x = site.reshape("flat", x, &[-1])?;
            0
        }
    };
    let axis = site.draft.int(axis)?;
    one(x.like(site.one("", Op::onnx("CumSum"), &[Some(x.id), Some(axis)])?))
}

/// An activation by the name of its operation.
pub(super) fn activation(
    site: &mut Site<'_, '_, '_>,
    name: &str,
    x: T,
) -> Result<Option<T>, LoadError> {
    layers::named_if_known(site, name, x)
}
