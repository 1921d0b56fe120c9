//! Operators that move elements.

use super::super::super::draft::Op;
use super::super::numbers;
use super::super::site::Site;
use super::super::value::{Lowered, Pieces, Tensor, Value, unable};
use super::operands::operand;
use super::{Args, Row, axis, own, signed};
use crate::ir::DType;
use std::rc::Rc;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("cat", "Concat", cat), own("concat", "Concat", cat), own("concatenate", "Concat", cat), own("stack", "Unsqueeze, Concat", stack), own("hstack", "Concat", hstack), own("vstack", "Concat", vstack), own("dstack", "Concat", dstack), own("column_stack", "Concat", hstack),
    own("split", "Split", split), own("unsafe_split", "Split", split), own("split_with_sizes", "Split", split), own("unsafe_split_with_sizes", "Split", split), own("split_with_sizes_copy", "Split", split), own("split_copy", "Split", split), own("chunk", "Split", chunk), own("unsafe_chunk", "Split", chunk), own("tensor_split", "Split", chunk), own("hsplit", "Split", chunk), own("unbind", "Gather", unbind), own("unbind_copy", "Gather", unbind),
    own("slice", "Slice", slice), own("slice_copy", "Slice", slice), own("narrow", "Slice", narrow), own("narrow_copy", "Slice", narrow), own("select", "Gather", select), own("select_copy", "Gather", select),
    own("repeat", "Tile", repeat), own("tile", "Tile", repeat), own("repeat_interleave", "Unsqueeze, Tile, Reshape", repeat_interleave), own("roll", "Slice, Concat", roll), own("flip", "Slice", flip), own("fliplr", "Slice", flip_of::<1>), own("flipud", "Slice", flip_of::<0>), own("rot90", "Transpose, Slice", rot90),
    own("pad", "Pad", pad), own("constant_pad_nd", "Pad", constant_pad), own("reflection_pad1d", "Pad", reflect), own("reflection_pad2d", "Pad", reflect), own("reflection_pad3d", "Pad", reflect), own("replication_pad1d", "Pad", replicate), own("replication_pad2d", "Pad", replicate), own("replication_pad3d", "Pad", replicate), own("_pad_circular", "Pad", circular), own("_pad_enum", "Pad", constant_pad),
    own("tril", "Trilu", tril), own("triu", "Trilu", triu), own("meshgrid", "Expand", meshgrid), own("cartesian_prod", "Expand, Concat", meshgrid), own("unfold", "Slice, Concat", unfold), own("unfold_copy", "Slice, Concat", unfold), own("as_strided", "a view with given sizes", as_strided), own("as_strided_copy", "a view with given sizes", as_strided),
    own("diagonal", "a diagonal", diagonal), own("diag", "a diagonal", diagonal), own("diag_embed", "a matrix of a diagonal", diag_embed), own("copy", "the other tensor", copy), own("_to_copy", "Cast", to), own("to", "Cast", to), own("type_as", "Cast", type_as), own("_autocast_to_reduced_precision", "Cast", to), own("_autocast_to_full_precision", "its input", first), own("type", "Cast", to),
    own("float", "Cast", cast_f32), own("half", "Cast", cast_f16), own("double", "Cast", cast_f64), own("bfloat16", "Cast", cast_bf16), own("int", "Cast", cast_i32), own("long", "Cast", cast_i64), own("bool", "Cast", cast_bool), own("short", "Cast", cast_i16), own("char", "Cast", cast_i8), own("byte", "Cast", cast_u8),
    own("_cast_Float", "Cast", cast_f32), own("_cast_Half", "Cast", cast_f16), own("_cast_Long", "Cast", cast_i64), own("_cast_Int", "Cast", cast_i32), own("convert_element_type", "Cast", to),
];

// What most rows end with.
#[allow(clippy::unnecessary_wraps)]
fn tensor(made: Tensor) -> Lowered<Value> {
    Ok(Value::Tensor(made))
}

fn joined(site: &mut Site<'_, '_>, all: &[Tensor], at: i64) -> Lowered<Tensor> {
    // Empty tensors of one axis may stand among others.
    let most = all.iter().filter_map(Tensor::rank).max();
    let dtype = all.iter().find_map(Tensor::dtype);
    let inputs: Vec<Option<&Tensor>> = all
        .iter()
        .filter(|each| {
            each.rank() != Some(1) || most == Some(1) || each.sizes().as_deref() != Some(&[0])
        })
        .map(Some)
        .collect();
    Ok(site.emit(Op::onnx("Concat").with("axis", at), &inputs)?.ranked(most).typed(dtype))
}

fn sequence(arguments: &Args) -> Option<Tensor> {
    match arguments.get(0, "tensors") {
        Some(Value::Sequence(list)) => Some(list.clone()),
        _ => None,
    }
}

fn listed(arguments: &Args) -> Lowered<Vec<Tensor>> {
    arguments.tensors(0, "tensors")
}

fn cat(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = arguments.int(1, "dim", 0)?;
    if let Some(list) = sequence(arguments) {
        let op = Op::onnx("ConcatFromSequence").with("axis", at).with("new_axis", 0_i64);
        return tensor(site.unary(op, &list)?);
    }
    if let Some(Value::Pieces(pieces)) = arguments.get(0, "tensors") {
        return tensor(pieces.whole.clone());
    }
    let all = listed(arguments)?;
    tensor(joined(site, &all, at)?)
}

fn stack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = arguments.int(1, "dim", 0)?;
    if let Some(list) = sequence(arguments) {
        let op = Op::onnx("ConcatFromSequence").with("axis", at).with("new_axis", 1_i64);
        let rank = list.rank().map(|rank| rank + 1);
        return tensor(site.unary(op, &list)?.ranked(rank));
    }
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(site.unsqueeze(&each, &[at])?);
    }
    tensor(joined(site, &all, at)?)
}

fn hstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let all = listed(arguments)?;
    let at = i64::from(all.first().and_then(Tensor::rank) != Some(1));
    tensor(joined(site, &all, at)?)
}

fn vstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(if each.rank() == Some(1) { site.unsqueeze(&each, &[0])? } else { each });
    }
    tensor(joined(site, &all, 0)?)
}

fn dstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(if each.rank() == Some(2) { site.unsqueeze(&each, &[2])? } else { each });
    }
    tensor(joined(site, &all, 2)?)
}

fn split(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let at = arguments.int(2, "dim", 0)?;
    let size = arguments.get(1, "split_size").or_else(|| arguments.get(1, "split_sizes"));
    let Some(size) = size else { return unable("no size of the parts is given") };
    let Some(sizes) = size.members() else {
        return Ok(Value::Pieces(Rc::new(Pieces { whole: x, axis: at, size: Some(size.clone()) })));
    };
    let count = sizes.len();
    let sizes = site.list(&sizes)?;
    let op = Op::onnx("Split").with("axis", at);
    let made = site.several(op, &[Some(&x), Some(&sizes)], count)?;
    Ok(Value::list(made.into_iter().map(|part| Value::Tensor(part.view_of(&x))).collect()))
}

fn chunk(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let count = arguments.int(1, "chunks", 1).or_else(|_| arguments.int(1, "sections", 1))?;
    let at = arguments.int(2, "dim", 0)?;
    let outputs = usize::try_from(count).ok().filter(|count| (1..=4096).contains(count));
    let Some(outputs) = outputs else { return unable(format!("{count} parts")) };
    let op = Op::onnx("Split").with("axis", at).with("num_outputs", count);
    let made = site.several(op, &[Some(&x)], outputs)?;
    Ok(Value::list(made.into_iter().map(|part| Value::Tensor(part.view_of(&x))).collect()))
}

fn unbind(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = arguments.int(1, "dim", 0)?;
    Ok(Value::Pieces(Rc::new(Pieces { whole: arguments.x()?, axis: at, size: None })))
}

/// All parts of a tensor, which are so many.
pub(in super::super) fn pieces(
    site: &mut Site<'_, '_>,
    pieces: &Pieces,
    count: usize,
) -> Lowered<Vec<Tensor>> {
    let mut made = Vec::new();
    if let Some(size) = &pieces.size {
        let mut sizes = vec![size.clone(); count.saturating_sub(1)];
        let whole = site.size(&pieces.whole, pieces.axis)?;
        let before = Value::Int(signed(count.saturating_sub(1)));
        let before = numbers::needed(site, "mul", &[size.clone(), before])?;
        sizes.push(numbers::needed(site, "sub", &[whole, before])?);
        let sizes = site.list(&sizes)?;
        let op = Op::onnx("Split").with("axis", pieces.axis);
        made = site.several(op, &[Some(&pieces.whole), Some(&sizes)], count)?;
    } else {
        for at in 0..signed(count) {
            made.push(piece(site, pieces, &Value::Int(at))?);
        }
    }
    Ok(made.into_iter().map(|part| part.view_of(&pieces.whole)).collect())
}

/// One part of a tensor.
pub(in super::super) fn piece(
    site: &mut Site<'_, '_>,
    pieces: &Pieces,
    at: &Value,
) -> Lowered<Tensor> {
    let Some(size) = &pieces.size else {
        return picked(site, &pieces.whole, pieces.axis, at);
    };
    let start = numbers::needed(site, "mul", &[at.clone(), size.clone()])?;
    let end = numbers::needed(site, "add", &[start.clone(), size.clone()])?;
    cut(site, &pieces.whole, pieces.axis, &start, &end, 1)
}

fn picked(site: &mut Site<'_, '_>, x: &Tensor, at: i64, index: &Value) -> Lowered<Tensor> {
    let index = site.number(index)?;
    let made = site.emit(Op::onnx("Gather").with("axis", at), &[Some(x), Some(&index)])?;
    let rank = x.rank().map(|rank| (rank + index.rank().unwrap_or(0)).saturating_sub(1));
    Ok(made.ranked(rank).view_of(x))
}

fn cut(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    at: i64,
    start: &Value,
    end: &Value,
    step: i64,
) -> Lowered<Tensor> {
    let start = site.list(std::slice::from_ref(start))?;
    let end = site.list(std::slice::from_ref(end))?;
    let (axes, steps) = (site.ints(&[at])?, site.ints(&[step])?);
    let inputs = [Some(x), Some(&start), Some(&end), Some(&axes), Some(&steps)];
    Ok(site.emit(Op::onnx("Slice"), &inputs)?.view_of(x))
}

fn slice(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let at = arguments.int(1, "dim", 0)?;
    let start = arguments.get(2, "start").cloned().unwrap_or(Value::Int(0));
    let end = arguments.get(3, "end").cloned().unwrap_or(Value::Int(i64::MAX));
    let step = arguments.int(4, "step", 1)?;
    if start.as_int() == Some(0) && end.as_int() == Some(i64::MAX) && step == 1 {
        return Ok(Value::Tensor(x));
    }
    tensor(cut(site, &x, at, &start, &end, step)?)
}

fn narrow(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let at = arguments.int(1, "dim", 0)?;
    let number = |value: Option<&Value>| match value {
        Some(Value::Tensor(tensor)) => {
            Value::Number(tensor.clone(), super::super::value::Kind::Int)
        }
        Some(value) => value.clone(),
        None => Value::Int(0),
    };
    let start = number(arguments.get(2, "start"));
    let length = number(arguments.get(3, "length"));
    let end = numbers::needed(site, "add", &[start.clone(), length])?;
    tensor(cut(site, &x, at, &start, &end, 1)?)
}

fn select(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let index = arguments.get(2, "index").cloned().unwrap_or(Value::Int(0));
    tensor(picked(site, &x, arguments.int(1, "dim", 0)?, &index)?)
}

fn repeat(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let times = arguments.shape(1, "repeats").or_else(|| arguments.shape(1, "dims"));
    let Some(mut times) = times else { return unable("no numbers of repeats are given") };
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    let mut x = x;
    if times.len() > rank {
        let axes: Vec<i64> = (0..signed(times.len() - rank)).collect();
        x = site.unsqueeze(&x, &axes)?;
    }
    while times.len() < rank {
        times.insert(0, Value::Int(1));
    }
    let rank = times.len();
    let times = site.list(&times)?;
    tensor(site.emit(Op::onnx("Tile"), &[Some(&x), Some(&times)])?.ranked(Some(rank)))
}

/// Each element so often, one after the other.
fn repeat_interleave(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut x = arguments.x()?;
    let Some(times) = arguments.get(1, "repeats").cloned() else {
        return unable("how often is known only while the model runs");
    };
    if matches!(times, Value::Tensor(_)) {
        return unable("how often is known only while the model runs");
    }
    let at = if arguments.get(2, "dim").is_some() {
        axis(arguments.int(2, "dim", 0)?, x.rank())?
    } else {
        let flat = site.ints(&[-1])?;
        x = site.reshape(&x, &flat)?.ranked(Some(1));
        0
    };
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    let wide = site.unsqueeze(&x, &[signed(at) + 1])?;
    let mut counts = vec![Value::Int(1); rank + 1];
    counts[at + 1] = times;
    let counts = site.list(&counts)?;
    let wide = site.emit(Op::onnx("Tile"), &[Some(&wide), Some(&counts)])?;
    let mut sizes = Vec::new();
    for axis in 0..rank {
        sizes.push(if axis == at { Value::Int(-1) } else { site.size(&x, signed(axis))? });
    }
    let shape = site.list(&sizes)?;
    tensor(site.reshape(&wide, &shape)?.ranked(Some(rank)))
}

fn roll(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut x = arguments.x()?;
    let Some(shifts) =
        arguments.list(1, "shifts").or_else(|| arguments.get(1, "shifts").map(|v| vec![v.clone()]))
    else {
        return unable("no shifts are given");
    };
    let axes = arguments.ints(2, "dims")?.unwrap_or_default();
    let start = Value::Int(0);
    for (shift, at) in shifts.iter().zip(axes) {
        let end = Value::Int(i64::MAX);
        let middle = numbers::needed(site, "neg", std::slice::from_ref(shift))?;
        let back = cut(site, &x, at, &middle, &end, 1)?;
        let front = cut(site, &x, at, &start, &middle, 1)?;
        x = joined(site, &[back, front], at)?;
    }
    tensor(x)
}

fn flipped(site: &mut Site<'_, '_>, x: &Tensor, axes: &[i64]) -> Lowered<Tensor> {
    let starts = site.ints(&vec![-1; axes.len()])?;
    let ends = site.ints(&vec![i64::MIN + 1; axes.len()])?;
    let steps = site.ints(&vec![-1; axes.len()])?;
    let axes = site.ints(axes)?;
    site.emit(Op::onnx("Slice"), &[Some(x), Some(&starts), Some(&ends), Some(&axes), Some(&steps)])
}

fn flip(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let axes = arguments.ints(1, "dims")?.unwrap_or_default();
    let x = arguments.x()?;
    if axes.is_empty() { tensor(x) } else { tensor(flipped(site, &x, &axes)?) }
}

fn flip_of<const AXIS: i64>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(flipped(site, &arguments.x()?, &[AXIS])?)
}

fn rot90(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let turns = arguments.int(1, "k", 1)?.rem_euclid(4);
    let axes = arguments.sizes(2, "dims", 2, 0)?;
    let (Some(rank), [a, b]) = (x.rank(), &axes[..]) else { return unable("two axes are needed") };
    let made = match turns {
        0 => return tensor(x),
        2 => flipped(site, &x, &[*a, *b])?,
        _ => {
            let mut order: Vec<i64> = (0..signed(rank)).collect();
            order.swap(axis(*a, Some(rank))?, axis(*b, Some(rank))?);
            let turned = site.transpose(&x, &order)?;
            flipped(site, &turned, &[*a])?
        }
    };
    tensor(made)
}

/// Pads from the last axis on, before and after in turn.
fn padded(
    site: &mut Site<'_, '_>,
    x: &Tensor,
    pads: &[Value],
    mode: &str,
    value: Option<&Value>,
) -> Lowered<Value> {
    if !pads.len().is_multiple_of(2) {
        return unable("an odd number of pads");
    }
    let (mut begins, mut ends, mut axes) = (Vec::new(), Vec::new(), Vec::new());
    for (at, pair) in pads.chunks_exact(2).enumerate() {
        begins.push(pair[0].clone());
        ends.push(pair[1].clone());
        axes.push(-1 - signed(at));
    }
    let pads = site.list(&[begins, ends].concat())?;
    let axes = site.ints(&axes)?;
    let value = match value {
        Some(value) if mode == "constant" => Some(operand(site, Some(value), x.dtype())?),
        _ => None,
    };
    let op = Op::onnx("Pad").with("mode", mode);
    tensor(site.emit(op, &[Some(x), Some(&pads), value.as_ref(), Some(&axes)])?)
}

fn pads(arguments: &Args) -> Lowered<Vec<Value>> {
    let given = arguments.list(1, "pad").or_else(|| arguments.list(1, "padding"));
    given.map_or_else(|| unable("no pads are given"), Ok)
}

fn pad(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mode = match arguments.text(2, "mode").unwrap_or("constant") {
        "replicate" => "edge",
        "circular" => "wrap",
        "reflect" => "reflect",
        _ => "constant",
    };
    padded(site, &arguments.x()?, &pads(arguments)?, mode, arguments.get(3, "value"))
}

fn constant_pad(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    padded(site, &arguments.x()?, &pads(arguments)?, "constant", arguments.get(2, "value"))
}

fn reflect(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    padded(site, &arguments.x()?, &pads(arguments)?, "reflect", None)
}

fn replicate(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    padded(site, &arguments.x()?, &pads(arguments)?, "edge", None)
}

fn circular(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    padded(site, &arguments.x()?, &pads(arguments)?, "wrap", None)
}

fn triangle(site: &mut Site<'_, '_>, arguments: &Args, upper: i64) -> Lowered<Value> {
    let x = arguments.x()?;
    let k = match arguments.get(1, "diagonal") {
        Some(value) => Some(site.number(value)?),
        None => None,
    };
    tensor(site.emit(Op::onnx("Trilu").with("upper", upper), &[Some(&x), k.as_ref()])?)
}

fn tril(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    triangle(site, arguments, 0)
}

fn triu(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    triangle(site, arguments, 1)
}

fn meshgrid(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let all = arguments.tensors(0, "tensors")?;
    let turned = arguments.text(1, "indexing") == Some("xy") && all.len() >= 2;
    let mut sizes = Vec::new();
    for each in &all {
        sizes.push(site.size(each, 0)?);
    }
    if turned {
        sizes.swap(0, 1);
    }
    let shape = site.list(&sizes)?;
    let mut made = Vec::new();
    for (at, each) in all.iter().enumerate() {
        let place = match (turned, at) {
            (true, 0) => 1,
            (true, 1) => 0,
            _ => at,
        };
        let mut own = vec![1; all.len()];
        own[place] = -1;
        let own = site.ints(&own)?;
        let own = site.reshape(each, &own)?;
        let wide = site.emit(Op::onnx("Expand"), &[Some(&own), Some(&shape)])?;
        made.push(Value::Tensor(wide.ranked(Some(all.len()))));
    }
    Ok(Value::list(made))
}

/// Windows along an axis, as a last axis.
fn unfold(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let op = Op::own("Unfold")
        .with("axis", arguments.int(1, "dimension", 0)?)
        .with("size", arguments.int(2, "size", 1)?)
        .with("step", arguments.int(3, "step", 1)?);
    tensor(site.unary(op, &x)?.ranked(x.rank().map(|rank| rank + 1)))
}

fn as_strided(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(sizes) = arguments.list(1, "size") else { return unable("no sizes are given") };
    let rank = sizes.len();
    let shape = site.list(&sizes)?;
    let made = site.emit(Op::own("View"), &[Some(&x), Some(&shape)])?.ranked(Some(rank));
    tensor(made.view_of(&x))
}

fn diagonal(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    if rank == 1 {
        return diag_embed(site, arguments);
    }
    let a = axis(arguments.int(2, "dim1", 0)?, Some(rank))?;
    let b = axis(arguments.int(3, "dim2", 1)?, Some(rank))?;
    let (first, second) = (site.size(&x, signed(a))?, site.size(&x, signed(b))?);
    let length = numbers::needed(site, "min", &[first, second])?;
    let mut sizes = Vec::new();
    for at in (0..rank).filter(|at| *at != a && *at != b) {
        sizes.push(site.size(&x, signed(at))?);
    }
    sizes.push(length);
    let shape = site.list(&sizes)?;
    tensor(site.emit(Op::own("View"), &[Some(&x), Some(&shape)])?.ranked(Some(rank - 1)))
}

fn diag_embed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    let mut sizes = Vec::new();
    for at in 0..rank {
        sizes.push(site.size(&x, signed(at))?);
    }
    sizes.extend(sizes.last().cloned());
    let shape = site.list(&sizes)?;
    let column = site.unsqueeze(&x, &[-1])?;
    tensor(site.emit(Op::onnx("Expand"), &[Some(&column), Some(&shape)])?.ranked(Some(rank + 1)))
}

/// The other tensor in the type and shape of the first.
fn copy(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let source = operand(site, arguments.get(1, "src"), x.dtype())?;
    let source = match x.dtype() {
        Some(dtype) => site.cast(&source, dtype)?,
        None => source,
    };
    let shape = site.shape(&x)?;
    tensor(site.emit(Op::onnx("Expand"), &[Some(&source), Some(&shape)])?.ranked(x.rank()))
}

/// Another type, device or layout, in whichever order.
fn to(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if let Some(dtype) = arguments.dtype(99, "dtype") {
        return tensor(site.cast(&x, dtype)?);
    }
    for value in arguments.positional.iter().skip(1) {
        match value {
            Value::Int(number) => {
                return match super::types::dtype(*number) {
                    Some(dtype) => tensor(site.cast(&x, dtype)?),
                    None => tensor(x),
                };
            }
            Value::Tensor(other) => {
                return match other.dtype() {
                    Some(dtype) => tensor(site.cast(&x, dtype)?),
                    None => tensor(x),
                };
            }
            Value::Bool(_) => break,
            _ => {}
        }
    }
    tensor(x)
}

fn first(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    tensor(arguments.x()?)
}

fn type_as(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    to(site, arguments)
}

macro_rules! casts {
    ($($name:ident = $dtype:ident,)*) => {$(
        fn $name(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
            tensor(site.cast(&arguments.x()?, DType::$dtype)?)
        }
    )*};
}

casts! {
    cast_f32 = F32,
    cast_f16 = F16,
    cast_f64 = F64,
    cast_bf16 = BF16,
    cast_i64 = I64,
    cast_i32 = I32,
    cast_i16 = I16,
    cast_i8 = I8,
    cast_u8 = U8,
    cast_bool = Bool,
}
