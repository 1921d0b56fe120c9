//! Operators that treat every element alike.

use super::{Call, Lowered, Row, by, same};
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    same("Abs", "Abs"),
    same("Acos", "Acos"),
    same("Acosh", "Acosh"),
    same("Add", "Add"),
    same("AddN", "Sum"),
    same("AddV2", "Add"),
    same("AccumulateNV2", "Sum"),
    by("Angle", "rooflens.Elementwise", transcendental),
    by("ApproximateEqual", "rooflens.Elementwise", |c| c.each(2, 0, 1)),
    same("Asin", "Asin"),
    same("Asinh", "Asinh"),
    same("Atan", "Atan"),
    by("Atan2", "rooflens.Elementwise", transcendental),
    same("Atanh", "Atanh"),
    by("BesselI0e", "rooflens.Elementwise", transcendental),
    by("BesselI1e", "rooflens.Elementwise", transcendental),
    by("Betainc", "rooflens.Elementwise", transcendental),
    by("BiasAdd", "Add", bias),
    by("BiasAddV1", "Add", bias),
    same("BitwiseAnd", "BitwiseAnd"),
    same("BitwiseOr", "BitwiseOr"),
    same("BitwiseXor", "BitwiseXor"),
    by("Cast", "Cast", convert),
    same("Ceil", "Ceil"),
    by("ClipByValue", "Clip", |c| c.one_of("Clip", 3)),
    by("Complex", "rooflens.Elementwise", |c| c.each(0, 0, 0)),
    by("ComplexAbs", "rooflens.Elementwise", |c| c.each(3, 1, 0)),
    by("Conj", "rooflens.Elementwise", |c| c.each(1, 0, 0)),
    same("Cos", "Cos"),
    same("Cosh", "Cosh"),
    by("Dequantize", "rooflens.Elementwise", |c| c.each(2, 0, 0)),
    by("Digamma", "rooflens.Elementwise", transcendental),
    same("Div", "Div"),
    by("DivNoNan", "rooflens.Elementwise", |c| c.each(1, 0, 1)),
    same("Elu", "Elu"),
    same("Equal", "Equal"),
    same("Erf", "Erf"),
    by("Erfc", "Erf, Sub", |c| c.one_less("Erf", true)),
    by("Erfinv", "rooflens.Elementwise", transcendental),
    same("Exp", "Exp"),
    by("Expm1", "Exp, Sub", |c| c.one_less("Exp", false)),
    same("Floor", "Floor"),
    by("FakeQuantWithMinMaxArgs", "rooflens.Elementwise", fake),
    by("FakeQuantWithMinMaxVars", "rooflens.Elementwise", fake),
    by("FakeQuantWithMinMaxVarsPerChannel", "rooflens.Elementwise", fake),
    by("FloorDiv", "Div, Floor", floor_div),
    by("FloorMod", "Mod", |c| c.remainder(false)),
    same("Greater", "Greater"),
    same("GreaterEqual", "GreaterOrEqual"),
    by("Igamma", "rooflens.Elementwise", transcendental),
    by("Igammac", "rooflens.Elementwise", transcendental),
    by("Imag", "rooflens.Elementwise", |c| c.each(0, 0, 0)),
    same("Inv", "Reciprocal"),
    same("Invert", "BitwiseNot"),
    by("IsFinite", "rooflens.Elementwise", |c| c.each(0, 0, 1)),
    same("IsInf", "IsInf"),
    same("IsNan", "IsNaN"),
    by("LeakyRelu", "LeakyRelu", leaky),
    by("LeftShift", "BitShift", |c| c.shift("LEFT")),
    same("Less", "Less"),
    same("LessEqual", "LessOrEqual"),
    by("Lgamma", "rooflens.Elementwise", transcendental),
    same("Log", "Log"),
    by("Log1p", "Add, Log", log1p),
    same("LogicalAnd", "And"),
    same("LogicalNot", "Not"),
    same("LogicalOr", "Or"),
    same("Maximum", "Max"),
    same("Minimum", "Min"),
    by("Mod", "Mod", |c| c.remainder(true)),
    same("Mul", "Mul"),
    by("MulNoNan", "Mul", |c| c.one_of("Mul", 2)),
    by("Ndtri", "rooflens.Elementwise", transcendental),
    same("Neg", "Neg"),
    by("NextAfter", "rooflens.Elementwise", |c| c.each(1, 0, 0)),
    by("NotEqual", "Equal, Not", not_equal),
    by("OnesLike", "ConstantOfShape", |c| c.filled(1)),
    by("Polygamma", "rooflens.Elementwise", transcendental),
    by("PopulationCount", "rooflens.Elementwise, Cast", population),
    same("Pow", "Pow"),
    by("QuantizeAndDequantizeV2", "rooflens.Elementwise", fake),
    by("QuantizeAndDequantizeV3", "rooflens.Elementwise", fake),
    by("QuantizeAndDequantizeV4", "rooflens.Elementwise", fake),
    by("RandomShuffle", "rooflens.Elementwise", |c| c.each(0, 0, 0)),
    by("Real", "rooflens.Elementwise", |c| c.each(0, 0, 0)),
    same("RealDiv", "Div"),
    same("Reciprocal", "Reciprocal"),
    same("Relu", "Relu"),
    by("Relu6", "Clip", relu6),
    by("RightShift", "BitShift", |c| c.shift("RIGHT")),
    same("Rint", "Round"),
    same("Round", "Round"),
    by("Rsqrt", "Sqrt, Reciprocal", rsqrt),
    by("Select", "Where", select),
    same("SelectV2", "Where"),
    same("Selu", "Selu"),
    same("Sigmoid", "Sigmoid"),
    same("Sign", "Sign"),
    same("Sin", "Sin"),
    same("Sinh", "Sinh"),
    same("Softplus", "Softplus"),
    same("Softsign", "Softsign"),
    same("Sqrt", "Sqrt"),
    by("Square", "Mul", square),
    by("SquaredDifference", "Sub, Mul", squared_difference),
    same("Sub", "Sub"),
    same("Tan", "Tan"),
    same("Tanh", "Tanh"),
    same("TruncateDiv", "Div"),
    by("TruncateMod", "Mod", |c| c.remainder(true)),
    by("Xdivy", "rooflens.Elementwise", |c| c.each(1, 0, 1)),
    by("Xlogy", "rooflens.Elementwise", |c| c.each(1, 1, 0)),
    by("Xlog1py", "rooflens.Elementwise", |c| c.each(2, 1, 0)),
    by("ZerosLike", "ConstantOfShape", |c| c.filled(0)),
    by("Zeta", "rooflens.Elementwise", transcendental),
];

impl Call<'_, '_, '_> {
    /// An operator that ONNX has none for: so many operations an element of what the inputs broadcast to.
    pub(super) fn each(&mut self, other: i64, transcendental: i64, comparison: i64) -> Lowered {
        let mut op = Op::own("Elementwise")
            .with("other", other)
            .with("transcendental", transcendental)
            .with("comparison", comparison);
        if let Some(dtype) = super::dtype(self.def, 0, &self.inputs) {
            op = op.with("dtype", i64::from(dtype.onnx()));
        }
        let (all, rank) = (self.all()?, self.widest());
        Ok(vec![Val::here(self.end(op, &all)?).ranked(rank)])
    }

    /// A number in the type of the first input.
    fn number(&mut self, number: f32) -> Result<crate::ir::ValueId, crate::formats::LoadError> {
        let id = self.cx.draft.float(number)?;
        match self.val(0).dtype.or_else(|| self.def.dtype("T")) {
            None | Some(DType::F32) => Ok(id),
            Some(dtype) => self.put("number", cast(dtype), &[id]),
        }
    }

    /// A function less one, or one less a function.
    fn one_less(&mut self, name: &str, turned: bool) -> Lowered {
        let rank = self.val(0).rank;
        let (x, one) = (self.x(0)?, self.number(1.0)?);
        let y = self.put("function", Op::onnx(name), &[x])?;
        let pair = if turned { [one, y] } else { [y, one] };
        Ok(vec![Val::here(self.end(Op::onnx("Sub"), &pair)?).ranked(rank)])
    }

    fn remainder(&mut self, of_c: bool) -> Lowered {
        let (all, rank) = (self.all()?, self.widest());
        let float = self.val(0).dtype.or_else(|| self.def.dtype("T")).is_some_and(DType::is_float);
        let op = Op::onnx("Mod").with("fmod", of_c || float);
        Ok(vec![Val::here(self.end(op, &all)?).ranked(rank)])
    }

    fn shift(&mut self, direction: &str) -> Lowered {
        let all = self.all()?;
        self.one(Op::onnx("BitShift").with("direction", direction), &all)
    }

    /// As large as the first input, filled with a number.
    fn filled(&mut self, number: i64) -> Lowered {
        let (x, rank) = (self.x(0)?, self.val(0).rank);
        let dtype = self.val(0).dtype.or_else(|| self.def.dtype("T")).unwrap_or(DType::F32);
        let shape = self.put("shape", Op::onnx("Shape"), &[x])?;
        let op = Op::onnx("ConstantOfShape").with("value", super::shapes::fill(dtype, number));
        Ok(vec![Val::here(self.end(op, &[shape])?).ranked(rank)])
    }
}

fn transcendental(call: &mut Call<'_, '_, '_>) -> Lowered {
    call.each(0, 1, 0)
}

/// Quantised and back: scaled, rounded, clipped and scaled again.
fn fake(call: &mut Call<'_, '_, '_>) -> Lowered {
    call.inputs.truncate(1);
    call.each(4, 0, 2)
}

/// Of images with channels second, the bias stands at the second axis.
fn bias(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, mut b, rank) = (call.x(0)?, call.x(1)?, call.val(0).rank);
    let second = call.def.text("data_format").is_some_and(|f| f.starts_with("NC"));
    let after = rank.unwrap_or(4).saturating_sub(2);
    if second && after > 0 {
        let axes: Vec<i64> = (1..=after).filter_map(|n| i64::try_from(n).ok()).collect();
        let axes = call.cx.draft.ints(&axes)?;
        b = call.put("bias", Op::onnx("Unsqueeze"), &[b, axes])?;
    }
    Ok(vec![Val::here(call.end(Op::onnx("Add"), &[x, b])?).ranked(rank)])
}

fn convert(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (from, rank) = (call.val(0), call.val(0).rank);
    let Some(to) = call.def.dtype("DstT") else { return call.foreign() };
    if from.dtype == Some(to) {
        return Ok(vec![from]);
    }
    let x = call.x(0)?;
    Ok(vec![Val::here(call.end(cast(to), &[x])?).ranked(rank)])
}

fn floor_div(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (all, rank) = (call.all()?, call.widest());
    let float = call.val(0).dtype.or_else(|| call.def.dtype("T")).is_none_or(DType::is_float);
    let id = if float {
        let quotient = call.put("quotient", Op::onnx("Div"), &all)?;
        call.end(Op::onnx("Floor"), &[quotient])?
    } else {
        call.end(Op::onnx("Div"), &all)?
    };
    Ok(vec![Val::here(id).ranked(rank)])
}

fn leaky(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    let op = Op::onnx("LeakyRelu").with("alpha", call.def.float("alpha", 0.2));
    Ok(vec![Val::here(call.end(op, &[x])?).ranked(rank)])
}

fn log1p(call: &mut Call<'_, '_, '_>) -> Lowered {
    let rank = call.val(0).rank;
    let (x, one) = (call.x(0)?, call.number(1.0)?);
    let more = call.put("more", Op::onnx("Add"), &[x, one])?;
    Ok(vec![Val::here(call.end(Op::onnx("Log"), &[more])?).ranked(rank)])
}

fn not_equal(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (all, rank) = (call.all()?, call.widest());
    let equal = call.put("equal", Op::onnx("Equal"), &all)?;
    Ok(vec![Val::here(call.end(Op::onnx("Not"), &[equal])?).ranked(rank)])
}

fn relu6(call: &mut Call<'_, '_, '_>) -> Lowered {
    let rank = call.val(0).rank;
    let all = [call.x(0)?, call.number(0.0)?, call.number(6.0)?];
    Ok(vec![Val::here(call.end(Op::onnx("Clip"), &all)?).ranked(rank)])
}

fn rsqrt(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    let root = call.put("root", Op::onnx("Sqrt"), &[x])?;
    Ok(vec![Val::here(call.end(Op::onnx("Reciprocal"), &[root])?).ranked(rank)])
}

fn square(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    Ok(vec![Val::here(call.end(Op::onnx("Mul"), &[x, x])?).ranked(rank)])
}

fn squared_difference(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (all, rank) = (call.all()?, call.widest());
    let difference = call.put("difference", Op::onnx("Sub"), &all)?;
    Ok(vec![Val::here(call.end(Op::onnx("Mul"), &[difference, difference])?).ranked(rank)])
}

/// The number of bits that are set, which fits into a byte.
fn population(call: &mut Call<'_, '_, '_>) -> Lowered {
    let made = call.each(1, 0, 0)?;
    let Some(made) = made.first() else { return call.foreign() };
    let id = call.cx.id(made)?;
    let id = call.put("narrow", cast(DType::U8), &[id])?;
    Ok(vec![Val::here(id).ranked(made.rank).typed(Some(DType::U8))])
}

/// A condition with one axis is one of the first axis.
fn select(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (mut condition, a, b) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let rank = call.val(1).rank;
    if call.val(0).rank == Some(1)
        && let Some(rank) = rank.filter(|rank| *rank > 1)
    {
        let axes: Vec<i64> = (1..rank).filter_map(|axis| i64::try_from(axis).ok()).collect();
        let axes = call.cx.draft.ints(&axes)?;
        condition = call.put("condition", Op::onnx("Unsqueeze"), &[condition, axes])?;
    }
    let id = call.end(Op::onnx("Where"), &[condition, a, b])?;
    Ok(vec![Val::here(id).ranked(rank)])
}
