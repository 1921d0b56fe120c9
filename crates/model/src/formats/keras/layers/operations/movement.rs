//! Operations that move data, and those that make it.

use super::super::super::super::draft::Op;
use super::super::super::json::integer;
use super::super::super::site::{Site, T};
use super::arithmetic::promoted;
use super::{Asked, LoadError, Maybe, Row, at, dtype, one, row};
use crate::ir::DType;
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Append", "Concat", append),
    row("Arange", "Range", arange),
    row("Argsort", "TopK", sort),
    row("BroadcastTo", "Expand", broadcast),
    row("Cast", "Cast", cast),
    row("Concatenate", "Concat", concatenate),
    row("ExpandDims", "Unsqueeze", expand_dims),
    row("Flip", "Slice", flip),
    row("Full", "Expand", full),
    row("FullLike", "Expand", like),
    row("Hstack", "Concat", concatenate),
    row("Moveaxis", "Transpose", move_axis),
    row("OneHot", "OneHot", one_hot),
    row("OnesLike", "Expand", like),
    row("Pad", "Pad", pad),
    row("Ravel", "Reshape", ravel),
    row("Repeat", "Unsqueeze, Expand, Reshape", repeat),
    row("Reshape", "Reshape", reshape),
    row("Roll", "Slice, Concat", roll),
    row("Shape", "Shape", shape),
    row("Sort", "TopK", sort),
    row("Split", "Split", split),
    row("Squeeze", "Squeeze", squeeze),
    row("Stack", "Unsqueeze, Concat", stack),
    row("Swapaxes", "Transpose", swap_axes),
    row("Tile", "Tile", tile),
    row("TopK", "TopK", top_k),
    row("Transpose", "Transpose", transpose),
    row("Tril", "Trilu", triangle),
    row("Triu", "Trilu", triangle),
    row("Unstack", "Gather", unstack),
    row("Where", "Where", choose),
    row("ZerosLike", "Expand", like),
];

/// More outputs than this are not split off.
const MAX_PARTS: i64 = 4096;

/// Names of the new shape.
const NEW_SHAPE: &[&str] = &["newshape", "shape", "new_shape"];

fn reshape<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    if let Some(to) = asked.ints(1, NEW_SHAPE) {
        if to.iter().filter(|size| **size < 0).count() > 1 {
            return Ok(None);
        }
        return one(site.reshape("", x, &to)?);
    }
    let Some(to) = asked.tensor(site, 1, NEW_SHAPE)? else { return Ok(None) };
    one(x.ranked(None).like(site.one("", Op::onnx("Reshape"), &[Some(x.id), Some(to.id)])?))
}

fn ravel<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    one(site.reshape("", x, &[-1])?)
}

fn transpose<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let order = match (asked.ints(1, &["axes", "perm"]), x.rank) {
        (Some(order), _) => order,
        (None, Some(rank)) => (0..at(rank)).rev().collect(),
        (None, None) => return Ok(None),
    };
    ordered(site, x, &order)
}

/// With axes in an order that may count them from the last.
fn ordered(site: &mut Site<'_, '_, '_>, x: T, order: &[i64]) -> Maybe {
    let rank = at(order.len());
    let order: Vec<i64> =
        order.iter().map(|axis| if *axis < 0 { axis + rank } else { *axis }).collect();
    one(site.transpose("", x, &order)?)
}

fn move_axis<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let (from, to) = (asked.ints(1, &["source"]), asked.ints(2, &["destination"]));
    let (Some(rank), Some(from), Some(to)) = (x.rank, from, to) else { return Ok(None) };
    let from: Option<Vec<usize>> = from.iter().map(|axis| x.axis(*axis)).collect();
    let to: Option<Vec<usize>> = to.iter().map(|axis| x.axis(*axis)).collect();
    let (Some(from), Some(to)) = (from, to) else { return Ok(None) };
    let mut rest = (0..rank).filter(|axis| !from.contains(axis));
    let order: Vec<i64> = (0..rank)
        .filter_map(|place| match to.iter().position(|to| *to == place) {
            Some(i) => from.get(i).copied(),
            None => rest.next(),
        })
        .map(at)
        .collect();
    if order.len() != rank {
        return Ok(None);
    }
    ordered(site, x, &order)
}

fn swap_axes<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axis = |i: usize, name: &str| asked.int(i, &[name]).and_then(|axis| x.axis(axis));
    let (Some(rank), Some(a), Some(b)) = (x.rank, axis(1, "axis1"), axis(2, "axis2")) else {
        return Ok(None);
    };
    let mut order: Vec<i64> = (0..at(rank)).collect();
    order.swap(a, b);
    ordered(site, x, &order)
}

fn expand_dims<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(axes) = asked.ints(1, &["axis"]) else { return Ok(None) };
    one(site.axes("", "Unsqueeze", x, &axes)?)
}

fn squeeze<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    match asked.ints(1, &["axis", "squeeze_dims"]) {
        Some(axes) if !axes.is_empty() => one(site.axes("", "Squeeze", x, &axes)?),
        _ => one(x.ranked(None).like(site.one("", Op::onnx("Squeeze"), &[Some(x.id)])?)),
    }
}

/// Several tensors in one type.
fn alike(site: &mut Site<'_, '_, '_>, list: Vec<T>) -> Result<Vec<T>, LoadError> {
    let Some(mut first) = list.first().copied() else { return Ok(list) };
    for t in &list {
        first = promoted(site, first, *t)?.0;
    }
    let Some(dtype) = first.dtype else { return Ok(list) };
    let known = list.iter().all(|t| t.dtype.is_some());
    if !known {
        return Ok(list);
    }
    list.into_iter().map(|t| site.cast(t, dtype)).collect()
}

const LISTS: &[&str] = &["values", "xs", "arrays", "x", "inputs", "tensors", "xi"];

fn concatenate<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let list = asked.list(site, 0, LISTS)?;
    if list.is_empty() {
        return Ok(None);
    }
    let axis = if asked.name == "Hstack" { 1 } else { asked.int(1, &["axis"]).unwrap_or(0) };
    let list = alike(site, list)?;
    one(site.concat("", &list, axis)?)
}

fn append<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(a), Some(b)) = (asked.tensor(site, 0, &["x1"])?, asked.tensor(site, 1, &["x2"])?)
    else {
        return Ok(None);
    };
    let (mut a, mut b) = promoted(site, a, b)?;
    let axis = match asked.int(2, &["axis"]) {
        Some(axis) => axis,
        None => {
            a = site.reshape("flat", a, &[-1])?;
            b = site.reshape("flat", b, &[-1])?;
            0
        }
    };
    one(site.concat("", &[a, b], axis)?)
}

fn stack<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let list = asked.list(site, 0, LISTS)?;
    if list.is_empty() {
        return Ok(None);
    }
    let axis = asked.int(1, &["axis"]).unwrap_or(0);
    let mut wide = Vec::new();
    for t in alike(site, list)? {
        wide.push(site.axes("row", "Unsqueeze", t, &[axis])?);
    }
    one(site.concat("", &wide, axis)?)
}

/// Parts of the same size, or parts up to these places.
fn split<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["x", "value"])? else { return Ok(None) };
    let axis = asked.int(2, &["axis"]).unwrap_or(0);
    let sizes = asked.ints(1, &["num_or_size_splits"]);
    let places = asked.plain(1, &["indices_or_sections"]);
    let op = Op::onnx("Split").with("axis", axis);
    let (op, list, count) = match (places, sizes) {
        (Some(Value::Array(_)), _) => {
            let Some(places) = asked.ints(1, &["indices_or_sections"]) else { return Ok(None) };
            return parts(site, x, axis, &places);
        }
        (Some(count), _) => (op, None, integer(count).unwrap_or(0)),
        (None, Some(sizes))
            if asked.plain(1, &["num_or_size_splits"]).is_some_and(Value::is_array) =>
        {
            let count = at(sizes.len());
            (op, Some(site.draft.ints(&sizes)?), count)
        }
        (None, Some(sizes)) => (op, None, sizes.first().copied().unwrap_or(0)),
        (None, None) => return Ok(None),
    };
    if !(1..=MAX_PARTS).contains(&count) {
        return Ok(None);
    }
    let op = if list.is_none() { op.with("num_outputs", count) } else { op };
    let count = usize::try_from(count).unwrap_or(1);
    let outputs = site.many("", op, &[Some(x.id), list], count)?;
    Ok(Some(outputs.into_iter().map(|id| x.like(id)).collect()))
}

/// Parts that end at these places, and the rest.
fn parts(site: &mut Site<'_, '_, '_>, x: T, axis: i64, places: &[i64]) -> Maybe {
    let mut parts = Vec::new();
    let starts = [0].into_iter().chain(places.iter().copied());
    let ends = places.iter().copied().chain([i64::MAX]);
    for (start, end) in starts.zip(ends) {
        parts.push(site.slice("", x, &[(axis, start, end, 1)])?);
    }
    Ok(Some(parts))
}

fn unstack<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axis = asked.int(2, &["axis"]).unwrap_or(0);
    // Those that are read: how many there are, the shape says.
    let count = at(asked.outputs);
    if !(1..=MAX_PARTS).contains(&count) {
        return Ok(None);
    }
    let mut outputs = Vec::new();
    for part in 0..count {
        let index = site.draft.int(part)?;
        let op = Op::onnx("Gather").with("axis", axis);
        let id = site.one("", op, &[Some(x.id), Some(index)])?;
        outputs.push(x.ranked(x.rank.and_then(|rank| rank.checked_sub(1))).like(id));
    }
    Ok(Some(outputs))
}

fn tile<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let Some(mut times) = asked.ints(1, &["repeats", "multiples"]) else { return Ok(None) };
    let Some(rank) = x.rank else { return Ok(None) };
    if times.len() > rank {
        let axes: Vec<i64> = (0..at(times.len() - rank)).collect();
        x = site.axes("spread", "Unsqueeze", x, &axes)?;
    }
    while times.len() < rank {
        times.insert(0, 1);
    }
    let list = site.draft.ints(&times)?;
    one(x.like(site.one("", Op::onnx("Tile"), &[Some(x.id), Some(list)])?))
}

/// Each element as often, along an axis.
fn repeat<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let Some(times) = asked.int(1, &["repeats"]) else { return Ok(None) };
    let axis = match asked.int(2, &["axis"]) {
        Some(axis) => axis,
        None => {
            x = site.reshape("flat", x, &[-1])?;
            0
        }
    };
    let (Some(rank), Some(place)) = (x.rank, x.axis(axis)) else { return Ok(None) };
    if times < 1 {
        return Ok(None);
    }
    let each = site.axes("each", "Unsqueeze", x, &[at(place) + 1])?;
    let mut sizes = vec![1; rank + 1];
    sizes[place + 1] = times;
    let sizes = site.draft.ints(&sizes)?;
    let wide = site.one("spread", Op::onnx("Expand"), &[Some(each.id), Some(sizes)])?;
    let mut lists = Vec::new();
    if place > 0 {
        lists.push(site.sizes_of(x, 0, Some(at(place)))?);
    }
    lists.push(site.draft.ints(&[-1])?);
    if place + 1 < rank {
        lists.push(site.sizes_of(x, at(place) + 1, None)?);
    }
    let shape = site.joined(&lists)?;
    one(x.like(site.one("", Op::onnx("Reshape"), &[Some(wide), Some(shape)])?))
}

fn pad<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(value) = asked.plain(1, &["pad_width", "paddings"]) else { return Ok(None) };
    let mode = asked.text(2, &["mode"]).unwrap_or("constant").to_lowercase();
    let mode = match mode.as_str() {
        "constant" => "constant",
        "reflect" | "symmetric" => "reflect",
        _ => return Ok(None),
    };
    let Some(list) = value.as_array() else { return Ok(None) };
    let pair = |value: &Value| match super::integers(value)?[..] {
        [before, behind] => Some((before, behind)),
        [both] => Some((both, both)),
        _ => None,
    };
    let pairs: Option<Vec<(i64, i64)>> = if list.first().is_some_and(Value::is_array) {
        list.iter().map(pair).collect()
    } else {
        pair(value).and_then(|pair| Some(vec![pair; x.rank?]))
    };
    let Some(pairs) = pairs else { return Ok(None) };
    let pads: Vec<i64> = pairs.iter().map(|p| p.0).chain(pairs.iter().map(|p| p.1)).collect();
    let pads = site.draft.ints(&pads)?;
    let op = Op::onnx("Pad").with("mode", mode);
    one(x.like(site.one("", op, &[Some(x.id), Some(pads)])?))
}

fn flip<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let axes = match (asked.ints(1, &["axis"]), x.rank) {
        (Some(axes), _) => axes,
        (None, Some(rank)) => (0..at(rank)).collect(),
        (None, None) => return Ok(None),
    };
    let bounds: Vec<_> = axes.iter().map(|axis| (*axis, -1, -i64::MAX, -1)).collect();
    one(site.slice("", x, &bounds)?)
}

/// What is moved beyond the end comes to the start.
fn roll<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let (Some(shifts), Some(axes)) = (asked.ints(1, &["shift"]), asked.ints(2, &["axis"])) else {
        return Ok(None);
    };
    if shifts.len() != axes.len() {
        return Ok(None);
    }
    for (shift, axis) in shifts.iter().zip(&axes) {
        if *shift == 0 {
            continue;
        }
        let end = site.slice("end", x, &[(*axis, -shift, i64::MAX, 1)])?;
        let start = site.slice("start", x, &[(*axis, 0, -shift, 1)])?;
        x = site.concat("", &[end, start], *axis)?;
    }
    one(x)
}

fn broadcast<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(shape) = asked.ints(1, &["shape"]) else { return Ok(None) };
    // What is left open stays as it is.
    let sizes: Vec<i64> = shape.iter().map(|size| if *size < 0 { 1 } else { *size }).collect();
    let list = site.draft.ints(&sizes)?;
    let id = site.one("", Op::onnx("Expand"), &[Some(x.id), Some(list)])?;
    one(x.ranked(x.rank.map(|rank| rank.max(sizes.len()))).like(id))
}

fn choose<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let condition = asked.tensor(site, 0, &["condition"])?;
    let a = asked.arg(1, &["x1", "x"]);
    let b = asked.arg(2, &["x2", "y"]);
    let (Some(condition), Some(a), Some(b)) = (condition, a, b) else { return Ok(None) };
    let tensor = |arg: &super::Arg<'j, T>| match arg {
        super::Arg::Tensor(t) => Some(*t),
        _ => None,
    };
    let like = tensor(&a).or_else(|| tensor(&b));
    let like = like.or(Some(condition.typed(DType::F32)));
    let (a, b) = (super::tensor(site, &a, like)?, super::tensor(site, &b, like)?);
    let (Some(a), Some(b)) = (a, b) else { return Ok(None) };
    let (a, b) = promoted(site, a, b)?;
    let condition = site.cast(condition, DType::Bool)?;
    let id = site.one("", Op::onnx("Where"), &[Some(condition.id), Some(a.id), Some(b.id)])?;
    let rank = [condition.rank, a.rank, b.rank]
        .into_iter()
        .try_fold(0, |most, rank| Some(most.max(rank?)));
    one(a.ranked(rank).like(id))
}

fn cast<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let Some(to) = asked.text(1, &["dtype"]).and_then(dtype) else { return Ok(None) };
    one(site.cast(x, to)?)
}

/// A tensor of one number, of another's shape.
fn like<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let x = match asked.text(usize::MAX, &["dtype"]).and_then(dtype) {
        Some(dtype) => x.typed(dtype),
        None => x,
    };
    let number = match asked.name {
        "OnesLike" => 1.0,
        "ZerosLike" => 0.0,
        _ => asked.float(1, &["fill_value"]).unwrap_or(0.0),
    };
    let number = site.number(number, x)?;
    let shape = site.sizes_of(x, 0, None)?;
    one(x.like(site.one("", Op::onnx("Expand"), &[Some(number.id), Some(shape)])?))
}

fn full<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(shape) = asked.ints(0, &["shape", "dims"]) else { return Ok(None) };
    let Some(number) = asked.tensor(site, usize::MAX, &["fill_value", "value"])? else {
        return Ok(None);
    };
    let list = site.draft.ints(&shape)?;
    let id = site.one("", Op::onnx("Expand"), &[Some(number.id), Some(list)])?;
    one(number.ranked(Some(shape.len())).like(id))
}

fn arange<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let start = asked.tensor(site, 0, &["start"])?;
    let stop = asked.tensor(site, 1, &["stop", "limit"])?;
    let step = asked.tensor(site, 2, &["step", "delta"])?;
    let Some(start) = start else { return Ok(None) };
    let kind = start.typed(start.dtype.unwrap_or(DType::I64));
    let (start, stop) = match stop {
        Some(stop) => (start, stop),
        None => (site.number(0.0, kind)?, start),
    };
    let step = match step {
        Some(step) => step,
        None => site.number(1.0, kind)?,
    };
    let id = site.one("", Op::onnx("Range"), &[Some(start.id), Some(stop.id), Some(step.id)])?;
    one(kind.ranked(Some(1)).like(id))
}

fn one_hot<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["x", "indices"])? else { return Ok(None) };
    let Some(depth) = asked.int(1, &["num_classes", "depth"]) else { return Ok(None) };
    let axis = asked.int(2, &["axis"]).unwrap_or(-1);
    let x = if x.dtype.is_some_and(DType::is_float) { site.cast(x, DType::I64)? } else { x };
    let (depth, values) = (site.draft.int(depth)?, site.draft.floats(&[0.0, 1.0])?);
    let op = Op::onnx("OneHot").with("axis", axis);
    let id = site.one("", op, &[Some(x.id), Some(depth), Some(values)])?;
    one(T { id, rank: x.rank.map(|rank| rank + 1), dtype: Some(DType::F32) })
}

fn shape<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let id = site.one("", Op::onnx("Shape"), &[Some(x.id)])?;
    one(T { id, rank: Some(1), dtype: Some(DType::I64) })
}

fn triangle<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let k = site.draft.int(asked.int(1, &["k"]).unwrap_or(0))?;
    let op = Op::onnx("Trilu").with("upper", asked.name == "Triu");
    one(x.like(site.one("", op, &[Some(x.id), Some(k)])?))
}

fn top_k<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.x(site)? else { return Ok(None) };
    let k = site.draft.ints(&[asked.int(1, &["k"]).unwrap_or(1)])?;
    let op = Op::onnx("TopK").with("axis", -1_i64);
    let outputs = site.many("", op, &[Some(x.id), Some(k)], 2)?;
    Ok(Some(vec![x.like(outputs[0]), x.typed(DType::I64).like(outputs[1])]))
}

fn sort<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["x", "values"])? else { return Ok(None) };
    let axis = asked.int(1, &["axis"]).unwrap_or(-1);
    let end = if axis == -1 { None } else { Some(axis + 1) };
    let size = site.sizes_of(x, axis, end)?;
    let op = Op::onnx("TopK").with("axis", axis).with("largest", 0_i64);
    let outputs = site.many("", op, &[Some(x.id), Some(size)], 2)?;
    if asked.name == "Argsort" {
        return one(x.typed(DType::I64).like(outputs[1]));
    }
    one(x.like(outputs[0]))
}
