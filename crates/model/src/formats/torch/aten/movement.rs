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
    own("cat", "Concat", cat), own("concat", "Concat", cat), own("concatenate", "Concat", cat), own("stack", "Unsqueeze, Concat", stack), own("hstack", "Concat", hstack), own("vstack", "Concat", vstack), own("dstack", "Concat", dstack), own("column_stack", "Unsqueeze, Concat", column_stack),
    own("split", "Split", split), own("unsafe_split", "Split", split), own("split_with_sizes", "Split", split), own("unsafe_split_with_sizes", "Split", split), own("split_with_sizes_copy", "Split", split), own("split_copy", "Split", split), own("chunk", "Split", chunk), own("unsafe_chunk", "Split", chunk), own("tensor_split", "Slice", tensor_split), own("hsplit", "Slice", tensor_split_of::<1>), own("vsplit", "Slice", tensor_split_of::<0>), own("dsplit", "Slice", tensor_split_of::<2>), own("unbind", "Gather", unbind), own("unbind_copy", "Gather", unbind),
    own("slice", "Slice", slice), own("slice_copy", "Slice", slice), own("narrow", "Slice", narrow), own("narrow_copy", "Slice", narrow), own("select", "Gather", select), own("select_copy", "Gather", select),
    own("repeat", "Tile", repeat), own("tile", "Tile", repeat), own("repeat_interleave", "Unsqueeze, Tile, Reshape", repeat_interleave), own("roll", "Slice, Concat", roll), own("flip", "Slice", flip), own("fliplr", "Slice", flip_of::<1>), own("flipud", "Slice", flip_of::<0>), own("rot90", "Transpose, Slice", rot90),
    own("pad", "Pad", pad), own("constant_pad_nd", "Pad", constant_pad), own("reflection_pad1d", "Pad", reflect), own("reflection_pad2d", "Pad", reflect), own("reflection_pad3d", "Pad", reflect), own("replication_pad1d", "Pad", replicate), own("replication_pad2d", "Pad", replicate), own("replication_pad3d", "Pad", replicate), own("_pad_circular", "Pad", circular), own("_pad_enum", "Pad", constant_pad),
    own("tril", "Trilu", tril), own("triu", "Trilu", triu), own("meshgrid", "Expand", meshgrid), own("cartesian_prod", "Expand, Concat", cartesian), own("unfold", "Slice, Concat", unfold), own("unfold_copy", "Slice, Concat", unfold), own("as_strided", "a view with given sizes", as_strided), own("as_strided_copy", "a view with given sizes", as_strided),
    own("diagonal", "a diagonal", diagonal), own("diagonal_copy", "a diagonal", diagonal), own("linalg_diagonal", "a diagonal", linalg_diagonal), own("diag", "a diagonal", diagonal), own("diag_embed", "Expand, a write of the diagonal", diag_embed), own("copy", "the other tensor", copy), own("_to_copy", "Cast", to), own("to", "Cast", to), own("type_as", "Cast", type_as), own("_autocast_to_reduced_precision", "Cast", reduced), own("_autocast_to_full_precision", "Cast", full), own("type", "Cast", to),
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

/// With at least so many axes, which come first.
fn at_least(site: &mut Site<'_, '_>, x: Tensor, rank: usize) -> Lowered<Tensor> {
    let missing = rank.saturating_sub(x.rank().unwrap_or(rank));
    let axes: Vec<i64> = (0..signed(missing)).collect();
    if axes.is_empty() { Ok(x) } else { site.unsqueeze(&x, &axes) }
}

fn hstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(at_least(site, each, 1)?);
    }
    let at = i64::from(all.first().and_then(Tensor::rank) != Some(1));
    tensor(joined(site, &all, at)?)
}

/// Vectors as columns.
fn column_stack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(match each.rank() {
            Some(0) => site.unsqueeze(&each, &[0, 1])?,
            Some(1) => site.unsqueeze(&each, &[1])?,
            _ => each,
        });
    }
    tensor(joined(site, &all, 1)?)
}

fn vstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        all.push(at_least(site, each, 2)?);
    }
    tensor(joined(site, &all, 0)?)
}

fn dstack(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let mut all = Vec::new();
    for each in listed(arguments)? {
        let each = at_least(site, each, 2)?;
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
        let size = Some(size.clone());
        return Ok(Value::Pieces(Rc::new(Pieces { whole: x, axis: at, size, most: None })));
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
    let most = usize::try_from(count).ok().filter(|count| (1..=4096).contains(count));
    if most.is_none() {
        return unable(format!("{count} parts"));
    }
    let length = site.size(&x, at)?;
    let size = Some(numbers::parts(site, &length, &Value::Int(count))?);
    Ok(Value::Pieces(Rc::new(Pieces { whole: x, axis: at, size, most })))
}

/// The arguments, in which parts whose number is known are a list.
pub(super) fn apart(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Option<Args>> {
    let known = |value: &Value| matches!(value, Value::Pieces(pieces) if pieces.most.is_some());
    if !arguments.positional.iter().any(known) {
        return Ok(None);
    }
    let mut positional = Vec::new();
    for value in &arguments.positional {
        positional.push(match value {
            Value::Pieces(parts) => match parts.most {
                Some(most) => {
                    let made = pieces(site, parts, most)?;
                    Value::list(made.into_iter().map(Value::Tensor).collect())
                }
                None => value.clone(),
            },
            other => other.clone(),
        });
    }
    Ok(Some(Args { positional, named: arguments.named.clone() }))
}

/// Parts of nearly one size, the first ones longer by one; or between these places.
fn tensor_split(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = arguments.int(2, "dim", 0)?;
    split_at(site, &arguments.x()?, arguments, at)
}

fn tensor_split_of<const AXIS: i64>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    // A vector is split along its only axis.
    let at = if AXIS == 1 && x.rank() == Some(1) { 0 } else { AXIS };
    split_at(site, &x, arguments, at)
}

fn split_at(site: &mut Site<'_, '_>, x: &Tensor, arguments: &Args, at: i64) -> Lowered<Value> {
    let places =
        arguments.list(1, "indices").or_else(|| arguments.list(1, "tensor_indices_or_sections"));
    let mut ends = match places {
        Some(places) => places,
        None => {
            let count = arguments.int(1, "sections", 1)?;
            if !(1..=4096).contains(&count) {
                return unable(format!("{count} parts"));
            }
            let size = site.size(x, at)?;
            let each = numbers::needed(site, "floordiv", &[size.clone(), Value::Int(count)])?;
            let longer = numbers::needed(site, "mod", &[size, Value::Int(count)])?;
            let mut ends = Vec::new();
            for part in 1..count {
                let even = numbers::needed(site, "mul", &[each.clone(), Value::Int(part)])?;
                let more = numbers::needed(site, "min", &[longer.clone(), Value::Int(part)])?;
                ends.push(numbers::needed(site, "add", &[even, more])?);
            }
            ends
        }
    };
    ends.push(Value::Int(i64::MAX));
    let mut start = Value::Int(0);
    let mut made = Vec::new();
    for end in ends {
        made.push(Value::Tensor(cut(site, x, at, &start, &end, 1)?));
        start = end;
    }
    Ok(Value::list(made))
}

fn unbind(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let at = arguments.int(1, "dim", 0)?;
    let whole = arguments.x()?;
    Ok(Value::Pieces(Rc::new(Pieces { whole, axis: at, size: None, most: None })))
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
    let length = number(arguments.get(3, "length"));
    if let (Some(Value::Tensor(_)), Some(rank)) = (arguments.get(2, "start"), x.rank()) {
        // Where it begins is data, how much it is, is not.
        let place = axis(at, Some(rank))?;
        let mut sizes = Vec::new();
        for other in 0..rank {
            sizes.push(if other == place { length.clone() } else { site.size(&x, signed(other))? });
        }
        let shape = site.list(&sizes)?;
        let made = site.emit(Op::own("View"), &[Some(&x), Some(&shape)])?;
        return tensor(made.ranked(Some(rank)).view_of(&x));
    }
    let start = number(arguments.get(2, "start"));
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
    let mut axes = arguments.ints(2, "dims")?.unwrap_or_default();
    let shape = if axes.is_empty() { Some(site.shape(&x)?) } else { None };
    let rank = x.rank();
    if shape.is_some() {
        // Without axes, all elements are one row.
        let flat = site.ints(&[-1])?;
        x = site.reshape(&x, &flat)?.ranked(Some(1));
        axes.push(0);
    }
    let start = Value::Int(0);
    for (shift, at) in shifts.iter().zip(axes) {
        let end = Value::Int(i64::MAX);
        let middle = numbers::needed(site, "neg", std::slice::from_ref(shift))?;
        let back = cut(site, &x, at, &middle, &end, 1)?;
        let front = cut(site, &x, at, &start, &middle, 1)?;
        x = joined(site, &[back, front], at)?;
    }
    tensor(match shape {
        Some(shape) => site.reshape(&x, &shape)?.ranked(rank),
        None => x,
    })
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
        sizes.push(if each.rank() == Some(0) { Value::Int(1) } else { site.size(each, 0)? });
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

/// All combinations of elements, a row each.
fn cartesian(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    if let [only] = &arguments.tensors(0, "tensors")?[..] {
        return tensor(only.clone());
    }
    let column = site.ints(&[-1, 1])?;
    let mut all = Vec::new();
    for each in meshgrid(site, arguments)?.members().unwrap_or_default() {
        if let Value::Tensor(each) = each {
            all.push(site.reshape(&each, &column)?.ranked(Some(2)));
        }
    }
    tensor(joined(site, &all, 1)?)
}

/// Windows along an axis, as a last axis.
fn unfold(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if x.rank() == Some(0) {
        return tensor(site.unsqueeze(&x, &[0])?);
    }
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
    let offset = offset(arguments)?;
    let (mut first, mut second) = (site.size(&x, signed(a))?, site.size(&x, signed(b))?);
    if offset < 0 {
        first = numbers::needed(site, "add", &[first, Value::Int(offset)])?;
    } else if offset > 0 {
        second = numbers::needed(site, "sub", &[second, Value::Int(offset)])?;
    }
    let length = numbers::needed(site, "min", &[first, second])?;
    let mut sizes = Vec::new();
    for at in (0..rank).filter(|at| *at != a && *at != b) {
        sizes.push(site.size(&x, signed(at))?);
    }
    sizes.push(length);
    let shape = site.list(&sizes)?;
    tensor(site.emit(Op::own("View"), &[Some(&x), Some(&shape)])?.ranked(Some(rank - 1)))
}

/// How far a diagonal is from the main one.
fn offset(arguments: &Args) -> Lowered<i64> {
    let named = arguments.get(99, "diagonal").is_some();
    arguments.int(1, if named { "diagonal" } else { "offset" }, 0)
}

fn linalg_diagonal(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let number = |at, name, default| arguments.int(at, name, default).map(Value::Int);
    let (offset, a, b) = (number(1, "offset", 0)?, number(2, "dim1", -2)?, number(3, "dim2", -1)?);
    diagonal(site, &Args::of(vec![Value::Tensor(arguments.tensor(0, "A")?), offset, a, b]))
}

fn diag_embed(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    let mut sizes = Vec::new();
    for at in 0..rank {
        sizes.push(site.size(&x, signed(at))?);
    }
    let offset = offset(arguments)?;
    let Some(length) = sizes.pop() else { return unable("a number has no diagonal") };
    let side = numbers::needed(site, "add", &[length, Value::Int(offset.saturating_abs())])?;
    let (a, b) = if arguments.get(2, "dim1").is_some() || arguments.get(3, "dim2").is_some() {
        let place = |at| axis(at, Some(rank + 1));
        (place(arguments.int(2, "dim1", -2)?)?, place(arguments.int(3, "dim2", -1)?)?)
    } else {
        (rank - 1, rank)
    };
    let mut rest = sizes.into_iter();
    let shape: Vec<Value> =
        (0..=rank)
            .map(|at| {
                if at == a || at == b { side.clone() } else { rest.next().unwrap_or(side.clone()) }
            })
            .collect();
    let shape = site.list(&shape)?;
    let zero = site.scalar(0.0, x.dtype().unwrap_or(DType::F32))?;
    let whole = site.emit(Op::onnx("Expand"), &[Some(&zero), Some(&shape)])?;
    let made = site.emit(Op::own("Overwrite"), &[Some(&whole), Some(&x)])?;
    tensor(made.ranked(Some(rank + 1)).typed(x.dtype()))
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

/// `x, whether on CUDA, whether on the CPU, type there, type here`.
fn reduced(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let at = if arguments.flag(2, "cpu_enabled") { 4 } else { 3 };
    let dtype = arguments.dtype(at, if at == 4 { "cpu_dtype" } else { "cuda_dtype" });
    match dtype {
        Some(dtype) if x.dtype().is_none_or(|known| known == DType::F32) => {
            tensor(site.cast(&x, dtype)?)
        }
        _ => tensor(x),
    }
}

fn full(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    match x.dtype() {
        Some(DType::F16 | DType::BF16) => tensor(site.cast(&x, DType::F32)?),
        _ => tensor(x),
    }
}

fn type_as(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    match arguments.tensor(1, "other")?.dtype() {
        Some(dtype) => tensor(site.cast(&x, dtype)?),
        None => tensor(x),
    }
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
