//! Operators that make tensors.

use super::super::super::draft::Op;
use super::super::numbers;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::{Args, Row, near, own, same};
use crate::dim::Dim;
use crate::ir::{DType, Elem, TensorInfo};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("zeros", "ConstantOfShape", zeros), own("ones", "ConstantOfShape", ones), own("empty", "ConstantOfShape", zeros), own("empty_strided", "ConstantOfShape", zeros), own("empty_permuted", "ConstantOfShape", zeros), own("full", "Expand", full), own("zeros_like", "ConstantOfShape", zeros_like), own("ones_like", "ConstantOfShape", ones_like), own("empty_like", "ConstantOfShape", zeros_like), own("full_like", "Expand", full_like), own("new_zeros", "ConstantOfShape", new_zeros), own("new_ones", "ConstantOfShape", new_ones), own("new_empty", "ConstantOfShape", new_zeros), own("new_empty_strided", "ConstantOfShape", new_zeros), own("new_full", "Expand", new_full),
    own("zero", "ConstantOfShape", zeros_like), own("fill", "Expand", fill), own("arange", "Range", arange), own("range", "Range", inclusive), own("linspace", "Range, Mul, Add", linspace), own("logspace", "Range, Mul, Add", linspace), own("eye", "EyeLike", eye), own("scalar_tensor", "a constant", scalar_tensor), own("tensor", "a constant", literal), own("as_tensor", "a constant", literal), own("NumToTensor", "its input", scalar_tensor), own("tril_indices", "ConstantOfShape", triangle), own("triu_indices", "ConstantOfShape", triangle),
    own("rand", "RandomUniformLike", rand), own("randn", "RandomNormalLike", randn), own("rand_like", "RandomUniformLike", rand_like), own("randn_like", "RandomNormalLike", randn_like), own("randint", "RandomUniformLike", randint), own("randint_like", "RandomUniformLike", rand_like), own("randperm", "Range", randperm), own("normal", "RandomNormalLike", normal), own("uniform", "RandomUniformLike", rand_like), own("bernoulli", "Bernoulli", bernoulli), own("multinomial", "Multinomial", multinomial), near(own("exponential", "RandomUniformLike", rand_like)),
    same("dropout"), same("feature_dropout"), same("alpha_dropout"), same("feature_alpha_dropout"), own("native_dropout", "its input", native_dropout), own("hann_window", "HannWindow", hann), own("hamming_window", "HammingWindow", hamming), own("blackman_window", "BlackmanWindow", blackman),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

/// A shape, with its number of axes.
fn shape(site: &mut Site<'_, '_>, arguments: &Args, at: usize) -> Lowered<(Tensor, Option<usize>)> {
    if let Some(Value::Numbers(shape)) = arguments.get(at, "size") {
        return Ok((shape.clone(), None));
    }
    let list = arguments.list(at, "size").or_else(|| match arguments.get(at, "size") {
        Some(Value::Int(_) | Value::Number(..)) => {
            arguments.get(at, "size").map(|v| vec![v.clone()])
        }
        _ => None,
    });
    let Some(list) = list else { return unable("no shape is given") };
    Ok((site.list(&list)?, Some(list.len())))
}

fn constant(
    site: &mut Site<'_, '_>,
    shape: &Tensor,
    rank: Option<usize>,
    number: f64,
    dtype: DType,
) -> Lowered<Value> {
    #[allow(clippy::cast_possible_truncation)]
    let element =
        if dtype.is_float() { Elem::Float(number) } else { Elem::Int(Dim::from(number as i64)) };
    let one = TensorInfo::new(Some(dtype), vec![Dim::ONE]).with_value(vec![element]);
    let made = site.unary(Op::onnx("ConstantOfShape").with("value", one), shape)?;
    tensor(made.ranked(rank).typed(Some(dtype)))
}

fn zeros(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (shape, rank) = shape(site, arguments, 0)?;
    let dtype = arguments.dtype(1, "dtype").unwrap_or(DType::F32);
    constant(site, &shape, rank, 0.0, dtype)
}

fn ones(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (shape, rank) = shape(site, arguments, 0)?;
    let dtype = arguments.dtype(1, "dtype").unwrap_or(DType::F32);
    constant(site, &shape, rank, 1.0, dtype)
}

fn natural(value: Option<&Value>) -> DType {
    match value {
        Some(Value::Int(_)) => DType::I64,
        Some(Value::Bool(_)) => DType::Bool,
        Some(Value::Number(tensor, _)) => tensor.dtype().unwrap_or(DType::F32),
        _ => DType::F32,
    }
}

fn filled(
    site: &mut Site<'_, '_>,
    value: Option<&Value>,
    shape: &Tensor,
    rank: Option<usize>,
    dtype: DType,
) -> Lowered<Value> {
    if let Some(number) = value.and_then(Value::as_float) {
        return constant(site, shape, rank, number, dtype);
    }
    let Some(value) = value else { return unable("no value is given") };
    let number = site.number(value)?;
    let number = site.cast(&number, dtype)?;
    tensor(site.emit(Op::onnx("Expand"), &[Some(&number), Some(shape)])?.ranked(rank))
}

fn full(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (shape, rank) = shape(site, arguments, 0)?;
    let value = arguments.get(1, "fill_value");
    let dtype = arguments.dtype(99, "dtype").unwrap_or_else(|| natural(value));
    filled(site, value, &shape, rank, dtype)
}

fn like(site: &mut Site<'_, '_>, arguments: &Args, number: f64) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(1, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    let shape = site.shape(&x)?;
    constant(site, &shape, x.rank(), number, dtype)
}

fn zeros_like(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    like(site, arguments, 0.0)
}

fn ones_like(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    like(site, arguments, 1.0)
}

fn full_like(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(2, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    let shape = site.shape(&x)?;
    filled(site, arguments.get(1, "fill_value"), &shape, x.rank(), dtype)
}

fn fill(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let shape = site.shape(&x)?;
    let dtype = x.dtype().unwrap_or(DType::F32);
    filled(site, arguments.get(1, "value"), &shape, x.rank(), dtype)
}

fn new(site: &mut Site<'_, '_>, arguments: &Args, number: f64) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(2, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    let (shape, rank) = shape(site, arguments, 1)?;
    constant(site, &shape, rank, number, dtype)
}

fn new_zeros(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    new(site, arguments, 0.0)
}

fn new_ones(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    new(site, arguments, 1.0)
}

fn new_full(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(3, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    let (shape, rank) = shape(site, arguments, 1)?;
    filled(site, arguments.get(2, "fill_value"), &shape, rank, dtype)
}

/// `end`, `start, end` or `start, end, step`, and then the type and more.
fn arange(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let is_number = |value: &&Value| {
        matches!(value, Value::Int(_) | Value::Float(_) | Value::Number(..) | Value::Tensor(_))
    };
    // With four more, they are type, layout, device and whether memory is pinned.
    let more = arguments.positional.len() >= 5;
    let count = if more { arguments.positional.len() - 4 } else { arguments.positional.len() };
    let given: Vec<Value> =
        arguments.positional.iter().take(count).take_while(is_number).cloned().collect();
    let dtype = arguments.dtype(if more { count } else { 99 }, "dtype");
    let named = |name: &str| arguments.get(99, name).cloned();
    let (start, end, step) = match &given[..] {
        [end] => (named("start"), Some(end.clone()), named("step")),
        [start, end] => (Some(start.clone()), Some(end.clone()), named("step")),
        [start, end, step, ..] => (Some(start.clone()), Some(end.clone()), Some(step.clone())),
        [] => (named("start"), named("end"), named("step")),
    };
    let Some(end) = end else { return unable("no end is given") };
    let (start, step) = (start.unwrap_or(Value::Int(0)), step.unwrap_or(Value::Int(1)));
    let mut ends = Vec::new();
    for value in [&start, &end, &step] {
        ends.push(site.number(value)?);
    }
    let float = ends.iter().any(|end| end.dtype().is_some_and(DType::is_float));
    let dtype = dtype.unwrap_or(if float { DType::F32 } else { DType::I64 });
    if float {
        for end in &mut ends {
            *end = site.cast(end, DType::F32)?;
        }
    } else {
        for end in &mut ends {
            *end = site.cast(end, DType::I64)?;
        }
    }
    let inputs: Vec<Option<&Tensor>> = ends.iter().map(Some).collect();
    let made = site.emit(Op::onnx("Range"), &inputs)?.ranked(Some(1));
    tensor(site.cast(&made, dtype)?)
}

/// With its end.
fn inclusive(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let end = arguments.get(1, "end").cloned().unwrap_or(Value::Int(0));
    let step = arguments.get(2, "step").cloned().unwrap_or(Value::Int(1));
    let start = arguments.get(0, "start").cloned().unwrap_or(Value::Int(0));
    let more = numbers::needed(site, "mul", &[step.clone(), Value::Float(1e-6)])?;
    let end = numbers::needed(site, "add", &[end, more])?;
    let dtype = arguments.dtype(3, "dtype").unwrap_or(DType::F32);
    let made = arange(site, &Args::of(vec![start, end, step]))?;
    match made {
        Value::Tensor(made) => tensor(site.cast(&made, dtype)?),
        other => Ok(other),
    }
}

fn linspace(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(steps) = arguments.get(2, "steps").cloned() else {
        return unable("no steps are given");
    };
    let zero = site.int(0)?;
    let one = site.int(1)?;
    let count = site.number(&steps)?;
    let made = site.emit(Op::onnx("Range"), &[Some(&zero), Some(&count), Some(&one)])?;
    let dtype = arguments.dtype(3, "dtype").unwrap_or(DType::F32);
    let made = site.cast(&made.ranked(Some(1)), dtype)?;
    let made = super::operands::with_number(site, "Mul", &made, 1.0)?;
    tensor(super::operands::with_number(site, "Add", &made, 0.0)?)
}

fn eye(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(rows) = arguments.get(0, "n").cloned() else { return unable("no size is given") };
    let columns = match arguments.get(1, "m") {
        Some(value @ (Value::Int(_) | Value::Number(..))) if arguments.positional.len() != 5 => {
            value.clone()
        }
        _ => rows.clone(),
    };
    let dtype = arguments.dtype(99, "dtype").unwrap_or(DType::F32);
    let shape = site.list(&[rows, columns])?;
    constant(site, &shape, Some(2), 0.0, dtype)
}

fn scalar_tensor(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let value = arguments.get(0, "s").cloned();
    let dtype = arguments.dtype(1, "dtype");
    let Some(value) = value else { return unable("no number is given") };
    let number = site.number(&value)?;
    tensor(match dtype {
        Some(dtype) => site.cast(&number, dtype)?,
        None => number,
    })
}

/// A tensor of numbers in lists.
fn literal(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let Some(value) = arguments.get(0, "data").cloned() else { return unable("no data are given") };
    let dtype = arguments.dtype(1, "dtype");
    let made = nested(site, &value, 0)?;
    tensor(match dtype {
        Some(dtype) => site.cast(&made, dtype)?,
        None => made,
    })
}

fn nested(site: &mut Site<'_, '_>, value: &Value, depth: usize) -> Lowered<Tensor> {
    let Some(members) = value.members() else { return site.number(value) };
    if depth > 8 {
        return unable("lists nest too deep");
    }
    if let Some(list) = members.iter().map(Value::as_float).collect::<Option<Vec<f64>>>() {
        let whole = members.iter().all(|value| value.as_int().is_some());
        if whole {
            let list: Vec<i64> = members.iter().filter_map(Value::as_int).collect();
            return site.ints(&list);
        }
        let list: Vec<f32> = list.into_iter().map(super::single).collect();
        return site.floats(&list);
    }
    let mut parts = Vec::new();
    for member in &members {
        let part = nested(site, member, depth + 1)?;
        parts.push(site.unsqueeze(&part, &[0])?);
    }
    let inputs: Vec<Option<&Tensor>> = parts.iter().map(Some).collect();
    site.emit(Op::onnx("Concat").with("axis", 0_i64), &inputs)
}

fn triangle(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (rows, columns) = (arguments.int(0, "row", 0)?, arguments.int(1, "col", 0)?);
    let offset = arguments.int(2, "offset", 0)?;
    let mut count = 0_i64;
    for row in 0..rows.clamp(0, 1 << 20) {
        count = count.saturating_add((row + 1 + offset).clamp(0, columns.max(0)));
    }
    let shape = site.ints(&[2, count])?;
    constant(site, &shape, Some(2), 0.0, DType::I64)
}

fn random(site: &mut Site<'_, '_>, x: &Tensor, op: &str, dtype: DType) -> Lowered<Value> {
    let op = Op::onnx(op).with("dtype", i64::from(dtype.onnx()));
    tensor(site.unary(op, x)?.typed(Some(dtype)))
}

fn drawn(site: &mut Site<'_, '_>, arguments: &Args, op: &str) -> Lowered<Value> {
    let (shape, rank) = shape(site, arguments, 0)?;
    let dtype = arguments.dtype(99, "dtype").unwrap_or(DType::F32);
    match constant(site, &shape, rank, 0.0, dtype)? {
        Value::Tensor(like) => random(site, &like, op, dtype),
        other => Ok(other),
    }
}

fn rand(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    drawn(site, arguments, "RandomUniformLike")
}

fn randn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    drawn(site, arguments, "RandomNormalLike")
}

fn rand_like(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(99, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    random(site, &x, "RandomUniformLike", dtype)
}

fn randn_like(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let dtype = arguments.dtype(99, "dtype").or(x.dtype()).unwrap_or(DType::F32);
    random(site, &x, "RandomNormalLike", dtype)
}

fn randint(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = if arguments.list(1, "size").is_some() { 1 } else { 2 };
    let (shape, rank) = shape(site, arguments, at)?;
    match constant(site, &shape, rank, 0.0, DType::I64)? {
        Value::Tensor(like) => random(site, &like, "RandomUniformLike", DType::I64),
        other => Ok(other),
    }
}

fn randperm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let end = arguments.get(0, "n").cloned().unwrap_or(Value::Int(0));
    arange(site, &Args::of(vec![end]))
}

fn normal(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    match (arguments.get(0, "mean").or_else(|| arguments.get(0, "self")), arguments.get(1, "std")) {
        (Some(Value::Tensor(mean)), Some(Value::Tensor(deviation))) => {
            let wide = super::operands::with(site, "Add", mean, deviation)?;
            random(site, &wide, "RandomNormalLike", wide.dtype().unwrap_or(DType::F32))
        }
        (Some(Value::Tensor(x)), _) | (_, Some(Value::Tensor(x))) => {
            random(site, &x.clone(), "RandomNormalLike", x.dtype().unwrap_or(DType::F32))
        }
        _ => {
            let (shape, rank) = shape(site, arguments, 2)?;
            match constant(site, &shape, rank, 0.0, DType::F32)? {
                Value::Tensor(like) => random(site, &like, "RandomNormalLike", DType::F32),
                other => Ok(other),
            }
        }
    }
}

fn bernoulli(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(site.unary(Op::onnx("Bernoulli"), &arguments.x()?)?)
}

fn multinomial(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let op = Op::onnx("Multinomial").with("sample_size", arguments.int(1, "num_samples", 1)?);
    let op = op.with("dtype", i64::from(DType::I64.onnx()));
    let x = arguments.x()?;
    if x.rank() != Some(1) {
        return tensor(site.unary(op, &x)?.typed(Some(DType::I64)));
    }
    let row = site.unsqueeze(&x, &[0])?;
    let made = site.unary(op, &row)?.typed(Some(DType::I64));
    tensor(site.squeeze(&made, &[0])?)
}

fn native_dropout(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let rest = Value::Absent("the mask of a dropout is read");
    Ok(Value::tuple(vec![Value::Tensor(arguments.x()?), rest]))
}

fn window(site: &mut Site<'_, '_>, arguments: &Args, op: &str) -> Lowered<Value> {
    let length = arguments.get(0, "window_length").cloned().unwrap_or(Value::Int(0));
    let length = site.number(&length)?;
    tensor(site.unary(Op::onnx(op), &length)?.ranked(Some(1)).typed(Some(DType::F32)))
}

fn hann(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    window(site, arguments, "HannWindow")
}

fn hamming(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    window(site, arguments, "HammingWindow")
}

fn blackman(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    window(site, arguments, "BlackmanWindow")
}
