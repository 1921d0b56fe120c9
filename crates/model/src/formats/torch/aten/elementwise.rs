//! Operators on every element.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value};
use super::operands::{
    binary, both, dtype_of, floating, operand, pair, pair_of, promoted, wider, with, with_number,
};
use super::{Args, Row, compare, each, float, near, own, same, single, two};
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    each("abs", "Abs"), each("absolute", "Abs"), float("acos", "Acos"), float("acosh", "Acosh"), float("asin", "Asin"), float("asinh", "Asinh"), float("atan", "Atan"), float("atanh", "Atanh"),
    float("arccos", "Acos"), float("arcsin", "Asin"), float("arctan", "Atan"),
    each("ceil", "Ceil"), float("cos", "Cos"), float("cosh", "Cosh"), float("erf", "Erf"), float("exp", "Exp"), each("floor", "Floor"), float("log", "Log"), each("neg", "Neg"), each("negative", "Neg"),
    float("reciprocal", "Reciprocal"), each("relu", "Relu"), each("round", "Round"), float("sigmoid", "Sigmoid"), each("sign", "Sign"), each("sgn", "Sign"), float("sin", "Sin"), float("sinh", "Sinh"), float("sqrt", "Sqrt"),
    float("tan", "Tan"), float("tanh", "Tanh"), each("mish", "Mish"), each("softsign", "Softsign"), each("bitwise_not", "BitwiseNot"),
    own("special_expit", "Sigmoid", sigmoid), own("special_erf", "Erf", erf),
    own("add", "Add, Mul", add), own("sub", "Sub, Mul", subtract), own("subtract", "Sub, Mul", subtract), own("rsub", "Sub", reversed), own("__radd__", "Add", add),
    two("mul", "Mul"), two("multiply", "Mul"), own("div", "Div, Floor", divide), own("divide", "Div, Floor", divide), own("true_divide", "Div", divide), own("floor_divide", "Div, Floor", floor_divide),
    own("pow", "Pow, Mul", power), own("float_power", "Pow", float_power), two("maximum", "Max"), two("minimum", "Min"), two("fmax", "Max"), two("fmin", "Min"), two("fmod", "Mod"), two("remainder", "Mod"),
    compare("eq", "Equal"), own("ne", "Equal, Not", not_equal), own("not_equal", "Equal, Not", not_equal), compare("lt", "Less"), compare("less", "Less"), compare("le", "LessOrEqual"), compare("less_equal", "LessOrEqual"),
    compare("gt", "Greater"), compare("greater", "Greater"), compare("ge", "GreaterOrEqual"), compare("greater_equal", "GreaterOrEqual"), near(own("isclose", "Sub, Abs, Less", close)),
    compare("logical_and", "And"), compare("logical_or", "Or"), compare("logical_xor", "Xor"), own("logical_not", "Not", not),
    own("bitwise_and", "And, BitwiseAnd", and), own("bitwise_or", "Or, BitwiseOr", or), own("bitwise_xor", "Xor, BitwiseXor", xor), own("__and__", "And, BitwiseAnd", and), own("__or__", "Or, BitwiseOr", or), own("__xor__", "Xor, BitwiseXor", xor),
    two("bitwise_left_shift", "BitShift"), two("bitwise_right_shift", "BitShift"), two("__lshift__", "BitShift"), two("__rshift__", "BitShift"),
    own("isnan", "IsNaN", is_nan), own("isinf", "IsInf", is_inf), own("isfinite", "IsInf, IsNaN, Or, Not", is_finite), own("where", "Where", choose), own("elu", "Elu", elu), each("selu", "Selu"), own("celu", "Celu", celu),
    own("leaky_relu", "LeakyRelu", leaky), own("rrelu", "LeakyRelu", leaky), own("prelu", "PRelu", prelu), own("_prelu_kernel", "PRelu", prelu), own("softplus", "Softplus", softplus), own("hardsigmoid", "HardSigmoid", hard_sigmoid), each("hardswish", "HardSwish"),
    own("gelu", "Gelu", gelu), own("silu", "Sigmoid, Mul", silu), own("clamp", "Clip", clamp), own("clip", "Clip", clamp), own("clamp_min", "Clip", clamp_min), own("clamp_max", "Clip", clamp_max), own("hardtanh", "Clip", hard_tanh), own("relu6", "Clip", relu6),
    own("addcmul", "Mul, Add", addcmul), own("addcdiv", "Div, Add", addcdiv), own("rsqrt", "Sqrt, Reciprocal", rsqrt), own("square", "Mul", square), own("exp2", "Pow", exp2), own("expm1", "Exp, Sub", expm1), own("log2", "Log, Div", log2), own("log10", "Log, Div", log2), own("log1p", "Add, Log", log1p),
    own("erfc", "Erf, Sub", erfc), near(float("erfinv", "Erf")), near(float("lgamma", "Log")), near(float("digamma", "Log")), own("sinc", "Sin, Div", sinc), own("logit", "Div, Log", logit), each("trunc", "Floor"), each("fix", "Floor"), own("frac", "Floor, Sub", frac),
    own("lerp", "Sub, Mul, Add", lerp), own("atan2", "Div, Atan", atan2), own("arctan2", "Div, Atan", atan2), own("hypot", "Mul, Add, Sqrt", hypot), own("tanhshrink", "Tanh, Sub", tanh_shrink), own("hardshrink", "Shrink", shrink), own("softshrink", "Shrink", shrink), own("threshold", "Greater, Where", threshold),
    own("log_sigmoid", "Sigmoid, Log", log_sigmoid), own("log_sigmoid_forward", "Sigmoid, Log", log_sigmoid_forward), own("logaddexp", "Exp, Add, Log", log_add), own("logaddexp2", "Exp, Add, Log", log_add), own("xlogy", "Log, Mul", xlogy), near(each("nan_to_num", "Clip")), near(two("copysign", "Mul")), near(own("heaviside", "Greater, Cast", heaviside)),
    own("masked_fill", "Where", masked_fill), own("glu", "Split, Sigmoid, Mul", glu), own("signbit", "Less", sign_bit), own("deg2rad", "Mul", degrees), own("rad2deg", "Mul", degrees), each("conj", "Identity"), same("_conj"), same("resolve_conj"), same("resolve_neg"), each("_conj_physical", "Neg"), each("conj_physical", "Neg"),
    own("real", "half of a complex number", real), own("imag", "half of a complex number", real), own("view_as_real", "a last axis of 2", as_real), own("view_as_complex", "without the last axis", as_complex), near(own("complex", "Concat", complex)), near(own("polar", "Cos, Sin, Mul", complex)), near(own("angle", "Atan", real)),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

fn scaled(site: &mut Site<'_, '_>, arguments: &Args, b: Tensor) -> Lowered<Tensor> {
    match arguments.get(2, "alpha").and_then(Value::as_float) {
        None => Ok(b),
        Some(alpha) if alpha.total_cmp(&1.0).is_eq() => Ok(b),
        Some(alpha) => with_number(site, "Mul", &b, alpha),
    }
}

fn add(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let b = scaled(site, arguments, b)?;
    tensor(with(site, "Add", &a, &b)?)
}

fn subtract(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let b = scaled(site, arguments, b)?;
    tensor(with(site, "Sub", &a, &b)?)
}

fn reversed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let a = scaled(site, arguments, a)?;
    tensor(with(site, "Sub", &b, &a)?)
}

fn divide(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let mode = arguments.text(2, "rounding_mode");
    let a = if mode.is_none() { floating(site, &a)? } else { a };
    let made = with(site, "Div", &a, &b)?;
    tensor(if mode.is_some() && made.is_float() {
        site.unary(Op::onnx("Floor"), &made)?
    } else {
        made
    })
}

fn floor_divide(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let made = with(site, "Div", &a, &b)?;
    tensor(if made.is_float() { site.unary(Op::onnx("Floor"), &made)? } else { made })
}

fn power(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let power = arguments.get(1, "exponent").and_then(Value::as_float);
    if power.is_some_and(|power| power.total_cmp(&2.0).is_eq()) {
        return tensor(with(site, "Mul", &a, &a)?);
    }
    if power.is_some_and(|power| power.total_cmp(&0.5).is_eq()) {
        let a = floating(site, &a)?;
        return tensor(site.unary(Op::onnx("Sqrt"), &a)?);
    }
    tensor(with(site, "Pow", &a, &b)?)
}

fn float_power(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let (a, b) = (site.cast(&a, DType::F64)?, site.cast(&b, DType::F64)?);
    tensor(with(site, "Pow", &a, &b)?)
}

fn heaviside(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let values = arguments.tensor(1, "values")?;
    let above = binary(site, Op::onnx("Greater"), &x, &values, true)?.typed(Some(DType::Bool));
    tensor(site.cast(&above, x.dtype().unwrap_or(DType::F32))?)
}

fn sign_bit(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let zero = site.scalar(0.0, x.dtype().unwrap_or(DType::F32))?;
    tensor(binary(site, Op::onnx("Less"), &x, &zero, true)?.typed(Some(DType::Bool)))
}

fn degrees(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    tensor(with_number(site, "Mul", &x, 1.0_f64.to_radians())?)
}

fn not_equal(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let equal = pair_of(site, "Equal", arguments, true)?.typed(Some(DType::Bool));
    tensor(site.unary(Op::onnx("Not"), &equal)?)
}

fn close(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let apart = pair(site, "Sub", arguments)?;
    let apart = site.unary(Op::onnx("Abs"), &apart)?;
    let limit = site.scalar(1e-5, DType::F32)?;
    tensor(binary(site, Op::onnx("Less"), &apart, &limit, true)?.typed(Some(DType::Bool)))
}

fn not(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = site.cast(&arguments.x()?, DType::Bool)?;
    tensor(site.unary(Op::onnx("Not"), &x)?)
}

fn bits(site: &mut Site<'_, '_>, arguments: &Args, truth: &str, number: &str) -> Lowered<Value> {
    let (a, _) = both(site, arguments)?;
    let op = if a.is_bool() || a.dtype().is_none() { truth } else { number };
    tensor(pair(site, op, arguments)?)
}

fn and(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    bits(site, arguments, "And", "BitwiseAnd")
}

fn or(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    bits(site, arguments, "Or", "BitwiseOr")
}

fn xor(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    bits(site, arguments, "Xor", "BitwiseXor")
}

fn is_nan(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("IsNaN"), &arguments.x()?)?.typed(Some(DType::Bool)))
}

fn is_inf(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("IsInf"), &arguments.x()?)?.typed(Some(DType::Bool)))
}

fn is_finite(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let a = site.unary(Op::onnx("IsInf"), &x)?.typed(Some(DType::Bool));
    let b = site.unary(Op::onnx("IsNaN"), &x)?.typed(Some(DType::Bool));
    let either = with(site, "Or", &a, &b)?;
    tensor(site.unary(Op::onnx("Not"), &either)?)
}

fn choose(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let condition = arguments.tensor(0, "condition")?;
    if arguments.get(1, "self").is_none() {
        return super::index::places(site, &condition);
    }
    let (yes, no) = (arguments.get(1, "self"), arguments.get(2, "other"));
    let a = operand(site, yes, dtype_of(no))?;
    let b = operand(site, no, a.dtype())?;
    let rank = wider(&a, &b).zip(condition.rank()).map(|(a, b)| a.max(b));
    let dtype = promoted(&a, &b);
    let made = site.emit(Op::onnx("Where"), &[Some(&condition), Some(&a), Some(&b)])?;
    tensor(made.ranked(rank).typed(dtype.or(a.dtype())))
}

fn masked_fill(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let mask = arguments.tensor(1, "mask")?;
    let value = operand(site, arguments.get(2, "value"), x.dtype())?;
    let rank = wider(&x, &mask);
    let made = site.emit(Op::onnx("Where"), &[Some(&mask), Some(&value), Some(&x)])?;
    tensor(made.ranked(rank).typed(x.dtype()))
}

fn with_attribute(
    site: &mut Site<'_, '_>,
    arguments: &Args,
    op: &str,
    attribute: &str,
    value: f64,
) -> Lowered<Value> {
    let x = arguments.x()?;
    tensor(site.unary(Op::onnx(op).with(attribute, single(value)), &x)?)
}

fn elu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    with_attribute(site, arguments, "Elu", "alpha", arguments.float(1, "alpha", 1.0))
}

fn celu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    with_attribute(site, arguments, "Celu", "alpha", arguments.float(1, "alpha", 1.0))
}

fn leaky(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let slope = arguments.float(1, "negative_slope", 0.01);
    with_attribute(site, arguments, "LeakyRelu", "alpha", slope)
}

fn prelu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, weight) = (arguments.x()?, arguments.tensor(1, "weight")?);
    tensor(site.emit(Op::onnx("PRelu"), &[Some(&x), Some(&weight)])?)
}

fn softplus(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("Softplus"), &arguments.x()?)?)
}

fn hard_sigmoid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    with_attribute(site, arguments, "HardSigmoid", "alpha", 1.0 / 6.0)
}

fn gelu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let approximate = arguments.text(1, "approximate").unwrap_or("none");
    let op = Op::onnx("Gelu").with("approximate", approximate);
    tensor(site.unary(op, &arguments.x()?)?)
}

fn silu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let gate = site.unary(Op::onnx("Sigmoid"), &x)?;
    tensor(with(site, "Mul", &x, &gate)?)
}

fn sigmoid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("Sigmoid"), &arguments.x()?)?)
}

fn erf(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("Erf"), &arguments.x()?)?)
}

fn clipped(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    least: Option<&Value>,
    most: Option<&Value>,
) -> Lowered<Value> {
    let mut limit = |value: Option<&Value>| match value {
        Some(value) => operand(site, Some(value), x.dtype()).map(Some),
        None => Ok(None),
    };
    let (least, most) = (limit(least)?, limit(most)?);
    let wide = |limit: &Option<Tensor>| limit.as_ref().is_some_and(|limit| limit.rank() != Some(0));
    if wide(&least) || wide(&most) {
        // A limit for each element.
        let mut x = x.clone();
        if let Some(least) = &least {
            x = with(site, "Max", &x, least)?;
        }
        if let Some(most) = &most {
            x = with(site, "Min", &x, most)?;
        }
        return tensor(x);
    }
    tensor(site.emit(Op::onnx("Clip"), &[Some(x), least.as_ref(), most.as_ref()])?)
}

fn clamp(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    clipped(site, &arguments.x()?, arguments.get(1, "min"), arguments.get(2, "max"))
}

fn clamp_min(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    clipped(site, &arguments.x()?, arguments.get(1, "min"), None)
}

fn clamp_max(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    clipped(site, &arguments.x()?, None, arguments.get(1, "max"))
}

fn hard_tanh(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let least = Value::Float(arguments.float(1, "min_val", -1.0));
    let most = Value::Float(arguments.float(2, "max_val", 1.0));
    clipped(site, &arguments.x()?, Some(&least), Some(&most))
}

fn relu6(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    clipped(site, &arguments.x()?, Some(&Value::Float(0.0)), Some(&Value::Float(6.0)))
}

fn added(site: &mut Site<'_, '_>, arguments: &Args, op: &str) -> Lowered<Value> {
    let x = arguments.x()?;
    let (a, b) = (arguments.tensor(1, "tensor1")?, arguments.tensor(2, "tensor2")?);
    let product = with(site, op, &a, &b)?;
    let value = arguments.float(3, "value", 1.0);
    let product = if value.total_cmp(&1.0).is_eq() {
        product
    } else {
        with_number(site, "Mul", &product, value)?
    };
    tensor(with(site, "Add", &x, &product)?)
}

fn addcmul(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    added(site, arguments, "Mul")
}

fn addcdiv(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    added(site, arguments, "Div")
}

fn rsqrt(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let root = site.unary(Op::onnx("Sqrt"), &x)?;
    tensor(site.unary(Op::onnx("Reciprocal"), &root)?)
}

fn square(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    tensor(with(site, "Mul", &x, &x)?)
}

fn exp2(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    tensor(with_number(site, "Pow", &x, 2.0)?)
}

fn expm1(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let exp = site.unary(Op::onnx("Exp"), &x)?;
    tensor(with_number(site, "Sub", &exp, 1.0)?)
}

fn log2(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let log = site.unary(Op::onnx("Log"), &x)?;
    tensor(with_number(site, "Div", &log, std::f64::consts::LN_2)?)
}

fn log1p(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let more = with_number(site, "Add", &x, 1.0)?;
    tensor(site.unary(Op::onnx("Log"), &more)?)
}

fn erfc(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let erf = site.unary(Op::onnx("Erf"), &arguments.x()?)?;
    tensor(with_number(site, "Sub", &erf, 1.0)?)
}

fn sinc(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let sine = site.unary(Op::onnx("Sin"), &x)?;
    tensor(with(site, "Div", &sine, &x)?)
}

fn logit(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = floating(site, &arguments.x()?)?;
    let rest = with_number(site, "Sub", &x, 1.0)?;
    let odds = with(site, "Div", &x, &rest)?;
    tensor(site.unary(Op::onnx("Log"), &odds)?)
}

fn frac(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let whole = site.unary(Op::onnx("Floor"), &x)?;
    tensor(with(site, "Sub", &x, &whole)?)
}

fn lerp(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, end) = (arguments.x()?, arguments.tensor(1, "end")?);
    let weight = operand(site, arguments.get(2, "weight"), x.dtype())?;
    let apart = with(site, "Sub", &end, &x)?;
    let part = with(site, "Mul", &apart, &weight)?;
    tensor(with(site, "Add", &x, &part)?)
}

fn atan2(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let slope = pair(site, "Div", arguments)?;
    tensor(site.unary(Op::onnx("Atan"), &slope)?)
}

fn hypot(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let (a, b) = (with(site, "Mul", &a, &a)?, with(site, "Mul", &b, &b)?);
    let sum = with(site, "Add", &a, &b)?;
    tensor(site.unary(Op::onnx("Sqrt"), &sum)?)
}

fn tanh_shrink(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let tanh = site.unary(Op::onnx("Tanh"), &x)?;
    tensor(with(site, "Sub", &x, &tanh)?)
}

fn shrink(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    with_attribute(site, arguments, "Shrink", "lambd", arguments.float(1, "lambd", 0.5))
}

fn threshold(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let least = operand(site, arguments.get(1, "threshold"), x.dtype())?;
    let value = operand(site, arguments.get(2, "value"), x.dtype())?;
    let above = binary(site, Op::onnx("Greater"), &x, &least, true)?.typed(Some(DType::Bool));
    let made = site.emit(Op::onnx("Where"), &[Some(&above), Some(&x), Some(&value)])?;
    tensor(made.ranked(x.rank()).typed(x.dtype()))
}

fn log_sigmoid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let gate = site.unary(Op::onnx("Sigmoid"), &arguments.x()?)?;
    tensor(site.unary(Op::onnx("Log"), &gate)?)
}

fn log_sigmoid_forward(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let rest = Value::Absent("what a function keeps for its gradient is read");
    Ok(Value::tuple(vec![log_sigmoid(site, arguments)?, rest]))
}

fn log_add(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let (a, b) = (site.unary(Op::onnx("Exp"), &a)?, site.unary(Op::onnx("Exp"), &b)?);
    let sum = with(site, "Add", &a, &b)?;
    tensor(site.unary(Op::onnx("Log"), &sum)?)
}

fn xlogy(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = both(site, arguments)?;
    let b = floating(site, &b)?;
    let log = site.unary(Op::onnx("Log"), &b)?;
    tensor(with(site, "Mul", &a, &log)?)
}

fn glu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let op =
        Op::onnx("Split").with("axis", arguments.int(1, "dim", -1)?).with("num_outputs", 2_i64);
    let halves = site.several(op, &[Some(&x)], 2)?;
    let gate = site.unary(Op::onnx("Sigmoid"), &halves[1])?;
    tensor(with(site, "Mul", &halves[0], &gate)?)
}

fn real_type(dtype: Option<DType>) -> Option<DType> {
    match dtype {
        Some(DType::C64) => Some(DType::F32),
        Some(DType::C128) => Some(DType::F64),
        other => other,
    }
}

fn real(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    match real_type(x.dtype()) {
        Some(dtype) if Some(dtype) != x.dtype() => tensor(site.cast(&x, dtype)?),
        _ => tensor(x),
    }
}

/// Each number as two, along a last axis.
pub(super) fn as_real(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = real_type(x.dtype()).unwrap_or(DType::F32);
    let part = site.cast(&x, dtype)?;
    let part = site.unsqueeze(&part, &[-1])?;
    let made = site.emit(Op::onnx("Concat").with("axis", -1_i64), &[Some(&part), Some(&part)])?;
    tensor(made.typed(Some(dtype)))
}

/// Two numbers along the last axis as one.
pub(super) fn as_complex(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let zero = site.int(0)?;
    let part = site.emit(Op::onnx("Gather").with("axis", -1_i64), &[Some(&x), Some(&zero)])?;
    let part = part.ranked(x.rank().map(|rank| rank.saturating_sub(1)));
    let dtype = if x.dtype() == Some(DType::F64) { DType::C128 } else { DType::C64 };
    tensor(site.cast(&part, dtype)?)
}

fn complex(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let a = arguments.tensor(0, "real").or_else(|_| arguments.tensor(0, "abs"))?;
    let b = arguments.tensor(1, "imag").or_else(|_| arguments.tensor(1, "angle"))?;
    let both = with(site, "Mul", &a, &b)?;
    tensor(site.cast(&both, DType::C64)?)
}
