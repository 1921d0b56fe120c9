//! Arithmetic on numbers: folded where all are static, nodes on tensors without axes where they are not.

use super::super::draft::Op;
use super::site::Site;
use super::value::{Kind, Lowered, Tensor, Value, unable};
use crate::ir::DType;

/// Whether two static values are equal; none where one is not static.
pub(super) fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (a, b) {
        (Value::None, Value::None) => Some(true),
        (Value::None, _) | (_, Value::None) => Some(false),
        (Value::Text(a), Value::Text(b)) => Some(a == b),
        (Value::Int(a), Value::Int(b)) => Some(a == b),
        (Value::Object(a), Value::Object(b)) => Some(std::rc::Rc::ptr_eq(a, b)),
        (Value::Tensor(a), Value::Tensor(b)) => Some(a.same(b)),
        _ => a.as_float().zip(b.as_float()).map(|(a, b)| a.total_cmp(&b).is_eq()),
    }
}

/// The result, where all operands are numbers and the operation is one on numbers.
pub(super) fn of(site: &mut Site<'_, '_>, name: &str, given: &[Value]) -> Lowered<Option<Value>> {
    match given {
        [a] => one(site, name, a),
        [a, b] if is_number(a) && is_number(b) => two(site, name, a, b),
        // Of tensors, it is asked for each element.
        [Value::Tensor(_), _] | [_, Value::Tensor(_)] => Ok(None),
        [a, b] if matches!(name, "eq" | "ne") => {
            Ok(equal(a, b).map(|same| Value::Bool(same == (name == "eq"))))
        }
        [start, end, step] if name == "__range_length" => length(site, start, end, step).map(Some),
        [at, start, step] if name == "__derive_index" => {
            let offset = needed(site, "mul", &[at.clone(), step.clone()])?;
            needed(site, "add", &[start.clone(), offset]).map(Some)
        }
        _ => Ok(None),
    }
}

/// The same, where nothing else can be meant.
pub(super) fn needed(site: &mut Site<'_, '_>, name: &str, given: &[Value]) -> Lowered<Value> {
    match of(site, name, given)? {
        Some(value) => Ok(value),
        None => unable(format!("`{name}` of {}", given.first().map_or("nothing", Value::what))),
    }
}

/// How many steps a range has.
fn length(site: &mut Site<'_, '_>, start: &Value, end: &Value, step: &Value) -> Lowered<Value> {
    let span = needed(site, "sub", &[end.clone(), start.clone()])?;
    let count = parts(site, &span, step)?;
    needed(site, "max", &[count, Value::Int(0)])
}

/// How many parts of this size there are, the last of which may be smaller.
pub(super) fn parts(site: &mut Site<'_, '_>, whole: &Value, size: &Value) -> Lowered<Value> {
    let more = needed(site, "sub", &[size.clone(), Value::Int(1)])?;
    let whole = needed(site, "add", &[whole.clone(), more])?;
    needed(site, "floordiv", &[whole, size.clone()])
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Number(..))
}

fn kind(value: &Value) -> Kind {
    match value {
        Value::Float(_) => Kind::Float,
        Value::Bool(_) => Kind::Bool,
        Value::Number(_, kind) => *kind,
        _ => Kind::Int,
    }
}

/// The kind of a number with this type.
pub(super) fn kind_of(dtype: Option<DType>) -> Kind {
    match dtype {
        Some(DType::Bool) => Kind::Bool,
        Some(dtype) if dtype.is_integer() => Kind::Int,
        _ => Kind::Float,
    }
}

#[allow(clippy::cast_possible_truncation)]
fn rounded(number: f64) -> Value {
    Value::Int(number as i64)
}

fn one(site: &mut Site<'_, '_>, name: &str, a: &Value) -> Lowered<Option<Value>> {
    if let Value::Tensor(tensor) = a {
        return taken(site, name, tensor);
    }
    if !is_number(a) {
        return Ok(match (name, a) {
            ("__not__", Value::None) => Some(Value::Bool(true)),
            ("bool", other) => other.members().map(|members| Value::Bool(!members.is_empty())),
            _ => None,
        });
    }
    if let Some(folded) = fold_one(name, a) {
        return Ok(Some(folded));
    }
    let Value::Number(tensor, kind) = a else { return Ok(None) };
    let unary = |site: &mut Site<'_, '_>, op: &str| site.unary(Op::onnx(op), tensor);
    Ok(Some(match name {
        "float" | "Float" => Value::Number(site.cast(tensor, DType::F32)?, Kind::Float),
        "bool" | "Bool" => Value::Number(site.cast(tensor, DType::Bool)?, Kind::Bool),
        "Scalar" | "item" => a.clone(),
        "NumToTensor" | "tensor" | "scalar_tensor" | "as_tensor" => Value::Tensor(tensor.clone()),
        "neg" => Value::Number(unary(site, "Neg")?, *kind),
        "abs" => Value::Number(unary(site, "Abs")?, *kind),
        "__not__" => Value::Number(unary(site, "Not")?, Kind::Bool),
        "sqrt" | "exp" | "log" if *kind != Kind::Int => {
            let op = match name {
                "sqrt" => "Sqrt",
                "exp" => "Exp",
                _ => "Log",
            };
            Value::Number(unary(site, op)?, Kind::Float)
        }
        "sqrt" => {
            let number = site.cast(tensor, DType::F32)?;
            Value::Number(site.unary(Op::onnx("Sqrt"), &number)?, Kind::Float)
        }
        "floor" | "ceil" | "round" | "trunc" if *kind == Kind::Int => a.clone(),
        "floor" | "ceil" => {
            let made = unary(site, if name == "floor" { "Floor" } else { "Ceil" })?;
            Value::Number(site.cast(&made, DType::I64)?, Kind::Int)
        }
        "int" | "Int" | "trunc" => Value::Number(site.cast(tensor, DType::I64)?, Kind::Int),
        "round" => Value::Number(unary(site, "Round")?, Kind::Float),
        _ => return Ok(None),
    }))
}

fn fold_one(name: &str, a: &Value) -> Option<Value> {
    let number = a.as_float()?;
    Some(match (name, a) {
        ("int" | "Int" | "floor" | "ceil", Value::Int(_)) | ("Scalar" | "item", _) => a.clone(),
        ("float" | "Float", _) => Value::Float(number),
        ("bool" | "Bool", _) => Value::Bool(number != 0.0),
        ("neg", Value::Int(int)) => Value::Int(int.wrapping_neg()),
        ("neg", _) => Value::Float(-number),
        ("abs", Value::Int(int)) => Value::Int(int.wrapping_abs()),
        ("abs", _) => Value::Float(number.abs()),
        ("__not__", _) => Value::Bool(number == 0.0),
        ("sqrt", _) => Value::Float(number.sqrt()),
        ("exp", _) => Value::Float(number.exp()),
        ("log", _) => Value::Float(number.ln()),
        ("floor", _) => rounded(number.floor()),
        ("ceil", _) => rounded(number.ceil()),
        ("trunc" | "int" | "Int", _) => rounded(number.trunc()),
        ("round", _) => Value::Float(number.round_ties_even()),
        _ => return None,
    })
}

/// A number out of a tensor.
fn taken(site: &mut Site<'_, '_>, name: &str, tensor: &Tensor) -> Lowered<Option<Value>> {
    let name = name.strip_suffix("Implicit").unwrap_or(name);
    let dtype = match name {
        "int" | "Int" => DType::I64,
        "float" | "Float" => DType::F32,
        "bool" | "Bool" | "is_nonzero" => DType::Bool,
        "item" | "Scalar" | "_local_scalar_dense" => tensor.dtype().unwrap_or(DType::F32),
        _ => return Ok(None),
    };
    let number = if tensor.rank() == Some(0) {
        tensor.clone()
    } else {
        let shape = site.draft.ints(&[])?;
        let shape = site.tensor(shape).ranked(Some(1)).typed(Some(DType::I64));
        site.reshape(tensor, &shape)?.ranked(Some(0))
    };
    let number = site.cast(&number, dtype)?;
    Ok(Some(Value::Number(number, kind_of(Some(dtype)))))
}

fn two(site: &mut Site<'_, '_>, name: &str, a: &Value, b: &Value) -> Lowered<Option<Value>> {
    if let Some(folded) = fold_two(name, a, b) {
        return Ok(Some(folded));
    }
    if a.is_static() && b.is_static() {
        return Ok(None);
    }
    let (op, truth) = match name {
        "add" => ("Add", false),
        "sub" => ("Sub", false),
        "mul" => ("Mul", false),
        "div" | "truediv" | "floordiv" | "floor_divide" => ("Div", false),
        "remainder" | "fmod" | "mod" => ("Mod", false),
        "pow" => ("Pow", false),
        "min" | "sym_min" => ("Min", false),
        "max" | "sym_max" => ("Max", false),
        "eq" | "ne" => ("Equal", true),
        "lt" => ("Less", true),
        "le" => ("LessOrEqual", true),
        "gt" => ("Greater", true),
        "ge" => ("GreaterOrEqual", true),
        "__and__" | "bitwise_and" => ("And", true),
        "__or__" | "bitwise_or" => ("Or", true),
        "__xor__" => ("Xor", true),
        _ => return Ok(None),
    };
    let float = matches!(name, "div" | "truediv")
        || kind(a) == Kind::Float
        || kind(b) == Kind::Float
        || name == "pow" && b.as_int().is_some_and(|power| power < 0);
    let (mut x, mut y) = (site.number(a)?, site.number(b)?);
    if float {
        (x, y) = (site.cast(&x, DType::F32)?, site.cast(&y, DType::F32)?);
    } else if kind(a) != kind(b) {
        (x, y) = (site.cast(&x, DType::I64)?, site.cast(&y, DType::I64)?);
    }
    let mut made = site.emit(Op::onnx(op), &[Some(&x), Some(&y)])?;
    if truth {
        made = made.typed(Some(DType::Bool));
        if name == "ne" {
            made = site.unary(Op::onnx("Not"), &made)?;
        }
        return Ok(Some(Value::Number(made, Kind::Bool)));
    }
    if float && matches!(name, "floordiv" | "floor_divide") {
        made = site.unary(Op::onnx("Floor"), &made)?;
    }
    Ok(Some(Value::Number(made, if float { Kind::Float } else { Kind::Int })))
}

fn fold_two(name: &str, a: &Value, b: &Value) -> Option<Value> {
    if let (Some(x), Some(y)) = (a.as_int(), b.as_int()) {
        let folded = match name {
            "add" => x.checked_add(y).map(Value::Int),
            "sub" => x.checked_sub(y).map(Value::Int),
            "mul" => x.checked_mul(y).map(Value::Int),
            "floordiv" | "floor_divide" => {
                let quotient = x.checked_div(y)?;
                let down = x % y != 0 && (x < 0) != (y < 0);
                Some(Value::Int(quotient - i64::from(down)))
            }
            "remainder" | "mod" => {
                let rest = x.checked_rem(y)?;
                let other = rest != 0 && (rest < 0) != (y < 0);
                Some(Value::Int(if other { rest + y } else { rest }))
            }
            "fmod" => x.checked_rem(y).map(Value::Int),
            "pow" if y >= 0 => x.checked_pow(u32::try_from(y).ok()?).map(Value::Int),
            "min" | "sym_min" => Some(Value::Int(x.min(y))),
            "max" | "sym_max" => Some(Value::Int(x.max(y))),
            "__and__" | "bitwise_and" => Some(logic(a, b, x & y)),
            "__or__" | "bitwise_or" => Some(logic(a, b, x | y)),
            "__xor__" => Some(logic(a, b, x ^ y)),
            _ => None,
        };
        if folded.is_some() {
            return folded;
        }
    }
    let (x, y) = (a.as_float()?, b.as_float()?);
    Some(match name {
        "add" => Value::Float(x + y),
        "sub" => Value::Float(x - y),
        "mul" => Value::Float(x * y),
        "div" | "truediv" => Value::Float(x / y),
        "floordiv" | "floor_divide" => Value::Float((x / y).floor()),
        "remainder" | "mod" => Value::Float(x.rem_euclid(y)),
        "pow" => Value::Float(x.powf(y)),
        "min" => Value::Float(x.min(y)),
        "max" => Value::Float(x.max(y)),
        "eq" => Value::Bool(x.total_cmp(&y).is_eq()),
        "ne" => Value::Bool(x.total_cmp(&y).is_ne()),
        "lt" => Value::Bool(x < y),
        "le" => Value::Bool(x <= y),
        "gt" => Value::Bool(x > y),
        "ge" => Value::Bool(x >= y),
        _ => return None,
    })
}

fn logic(a: &Value, b: &Value, number: i64) -> Value {
    if matches!((a, b), (Value::Bool(_), Value::Bool(_))) {
        Value::Bool(number != 0)
    } else {
        Value::Int(number)
    }
}
