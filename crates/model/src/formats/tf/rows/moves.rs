//! Operators that pick, place and join.

use super::{Call, Lowered, Row, by};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::{DType, ValueId};

/// As ends of slices: up to the end.
const END: i64 = i64::MAX;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("Bitcast", "BitCast", bit_cast),
    by("Concat", "Concat", |c| join(c, 0)),
    by("ConcatV2", "Concat", |c| join(c, c.inputs.len().saturating_sub(1))),
    by("Gather", "Gather", gather),
    by("GatherNd", "GatherND", gather_nd),
    by("GatherV2", "Gather", gather),
    by("IdentityN", "its inputs", |c| Ok(c.inputs.clone())),
    by("MirrorPad", "Pad", |c| pad(c, true)),
    by("OneHot", "OneHot", one_hot),
    by("Pad", "Pad", |c| pad(c, false)),
    by("PadV2", "Pad", |c| pad(c, false)),
    by("RefSwitch", "its input", switch),
    by("ResourceGather", "Gather", gather),
    by("ResourceGatherNd", "GatherND", gather_nd),
    by("ReverseSequence", "ReverseSequence", reverse_sequence),
    by("ReverseV2", "Slice", reverse),
    by("ScatterNd", "ScatterND", scatter),
    by("Slice", "Slice", slice),
    by("Split", "Split", split),
    by("SplitV", "Split", split_sizes),
    by("StridedSlice", "Slice, Squeeze, Unsqueeze", strided_slice),
    by("Switch", "its input", switch),
    by("TensorScatterAdd", "ScatterND", |c| update(c, "add")),
    by("TensorScatterMax", "ScatterND", |c| update(c, "max")),
    by("TensorScatterMin", "ScatterND", |c| update(c, "min")),
    by("TensorScatterSub", "ScatterND", |c| update(c, "add")),
    by("TensorScatterUpdate", "ScatterND", |c| update(c, "none")),
    by("Tile", "Tile", tile),
    by("Transpose", "Transpose", transpose),
    by("ConjugateTranspose", "Transpose", transpose),
    by("Where", "NonZero, Transpose", places),
];

/// The side that is not taken is never read where it matters.
// One signature for all rows.
#[allow(clippy::unnecessary_wraps)]
fn switch(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.val(0);
    Ok(vec![x.clone(), x])
}

fn bit_cast(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let Some(to) = call.def.dtype("type") else { return call.foreign() };
    let op = Op::onnx("BitCast").with("to", i64::from(to.onnx()));
    let from = call.val(0).dtype.unwrap_or(to);
    let (wide, narrow) = (from.bits().max(to.bits()), from.bits().min(to.bits()));
    if wide == narrow || narrow == 0 {
        return Ok(vec![Val::here(call.end(op, &[x])?).typed(Some(to))]);
    }
    // The parts of a number are a last axis.
    let cast = call.put("bits", op, &[x])?;
    let rank = call.val(0).rank;
    let (shape, rank) = if from.bits() == wide {
        let whole = call.put("shape", Op::onnx("Shape"), &[x])?;
        let parts = call.cx.draft.ints(&[i64::from(wide / narrow)])?;
        let op = Op::onnx("Concat").with("axis", 0_i64);
        (call.put("sizes", op, &[whole, parts])?, rank.map(|rank| rank + 1))
    } else {
        let op = Op::onnx("Shape").with("end", -1_i64);
        (call.put("shape", op, &[x])?, rank.map(|rank| rank.saturating_sub(1)))
    };
    let id = call.end(Op::own("View"), &[cast, shape])?;
    Ok(vec![Val::here(id).ranked(rank).typed(Some(to))])
}

fn join(call: &mut Call<'_, '_, '_>, axis: usize) -> Lowered {
    let Some(at) = call.val(axis).int() else { return call.foreign() };
    let mut parts = Vec::new();
    let mut length = Some(0_usize);
    for port in (0..call.inputs.len()).filter(|port| *port != axis) {
        let part = call.val(port);
        length = length.zip(part.length).and_then(|(a, b)| a.checked_add(b));
        parts.push(call.x(port)?);
    }
    let rank = call.val(usize::from(axis == 0)).rank;
    if let [one] = parts[..] {
        return Ok(vec![Val::here(one).ranked(rank)]);
    }
    let id = call.end(Op::onnx("Concat").with("axis", at), &parts)?;
    let length = if rank == Some(1) { length } else { None };
    Ok(vec![Val { length, ..Val::here(id).ranked(rank) }])
}

fn gather(call: &mut Call<'_, '_, '_>) -> Lowered {
    let axis = if call.inputs.len() > 2 { call.val(2).int() } else { Some(0) };
    let batch = call.def.int("batch_dims").unwrap_or(0);
    let Some(axis) = axis else { return call.foreign() };
    let (x, indices) = (call.x(0)?, call.x(1)?);
    if batch == 0 {
        return call.one(Op::onnx("Gather").with("axis", axis), &[x, indices]);
    }
    if axis != batch {
        return call.foreign();
    }
    let last = call.cx.draft.ints(&[-1])?;
    let indices = call.put("indices", Op::onnx("Unsqueeze"), &[indices, last])?;
    let indices = long(call, indices, 1)?;
    call.one(Op::onnx("GatherND").with("batch_dims", batch), &[x, indices])
}

/// Indices as `i64`, which some operators of ONNX want.
fn long(call: &mut Call<'_, '_, '_>, id: ValueId, port: usize) -> Result<ValueId, LoadError> {
    if call.val(port).dtype == Some(DType::I64) {
        return Ok(id);
    }
    call.put("long", cast(DType::I64), &[id])
}

fn gather_nd(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, indices) = (call.x(0)?, call.x(1)?);
    let indices = long(call, indices, 1)?;
    let batch = call.def.int("batch_dims").unwrap_or(0);
    call.one(Op::onnx("GatherND").with("batch_dims", batch), &[x, indices])
}

/// Inputs: what is hot, how many there may be, and the numbers for hot and cold.
fn one_hot(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, depth) = (call.x(0)?, call.list(1)?);
    let (on, off) = (call.x(2)?, call.x(3)?);
    let one = call.cx.draft.ints(&[1])?;
    let off = call.put("off", Op::onnx("Reshape"), &[off, one])?;
    let on = call.put("on", Op::onnx("Reshape"), &[on, one])?;
    let values = call.put("values", Op::onnx("Concat").with("axis", 0_i64), &[off, on])?;
    let axis = call.def.int("axis").unwrap_or(-1);
    let rank = call.val(0).rank.map(|r| r + 1);
    let dtype = call.val(2).dtype;
    let id = call.end(Op::onnx("OneHot").with("axis", axis), &[x, depth, values])?;
    Ok(vec![Val::here(id).ranked(rank).typed(dtype)])
}

/// Paddings are pairs of before and after for each axis.
fn pad(call: &mut Call<'_, '_, '_>, mirrored: bool) -> Lowered {
    let x = call.x(0)?;
    let known = call.val(1).ints().map(|pairs| {
        let end = |end: usize| pairs.iter().copied().skip(end).step_by(2);
        end(0).chain(end(1)).collect::<Vec<i64>>()
    });
    let pads = match known {
        Some(pads) => call.cx.draft.ints(&pads)?,
        None => {
            let pairs = call.whole(1)?;
            let turned = Op::onnx("Transpose").with("perm", vec![1_i64, 0]);
            let pairs = call.put("sides", turned, &[pairs])?;
            let flat = call.cx.draft.ints(&[-1])?;
            call.put("pads", Op::onnx("Reshape"), &[pairs, flat])?
        }
    };
    let mut inputs = vec![x, pads];
    if !mirrored && call.inputs.len() > 2 {
        inputs.push(call.x(2)?);
    }
    // A border that is mirrored with its own edge has no counterpart; its size is the same.
    let mode = match (mirrored, call.def.text("mode").as_deref()) {
        (false, _) => "constant",
        (true, Some("SYMMETRIC")) => "edge",
        (true, _) => "reflect",
    };
    call.one(Op::onnx("Pad").with("mode", mode), &inputs)
}

fn reverse(call: &mut Call<'_, '_, '_>) -> Lowered {
    let Some(axes) = call.val(1).ints().map(<[i64]>::to_vec) else { return call.foreign() };
    if axes.is_empty() {
        return Ok(vec![call.val(0)]);
    }
    let x = call.x(0)?;
    let steps = vec![-1; axes.len()];
    let starts = call.cx.draft.ints(&steps)?;
    let ends = call.cx.draft.ints(&vec![-END; axes.len()])?;
    let axes = call.cx.draft.ints(&axes)?;
    let steps = call.cx.draft.ints(&steps)?;
    call.one(Op::onnx("Slice"), &[x, starts, ends, axes, steps])
}

fn reverse_sequence(call: &mut Call<'_, '_, '_>) -> Lowered {
    let inputs = [call.x(0)?, call.whole(1)?];
    let op = Op::onnx("ReverseSequence").with("time_axis", call.def.int("seq_dim").unwrap_or(1));
    call.one(op.with("batch_axis", call.def.int("batch_dim").unwrap_or(0)), &inputs)
}

/// Inputs: indices, updates, and the shape of what they are put into, which begins as zeros.
fn scatter(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (indices, updates, shape) = (call.x(0)?, call.x(1)?, call.list(2)?);
    let dtype = call.val(1).dtype.or_else(|| call.def.dtype("T")).unwrap_or(DType::F32);
    let zeros = Op::onnx("ConstantOfShape").with("value", super::shapes::fill(dtype, 0));
    let zeros = call.put("zeros", zeros, &[shape])?;
    let indices = long(call, indices, 0)?;
    let rank = call.val(2).length;
    let op = Op::onnx("ScatterND").with("reduction", "add");
    Ok(vec![Val::here(call.end(op, &[zeros, indices, updates])?).ranked(rank).typed(Some(dtype))])
}

fn update(call: &mut Call<'_, '_, '_>, reduction: &str) -> Lowered {
    let (x, indices, updates) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let indices = long(call, indices, 1)?;
    call.one(Op::onnx("ScatterND").with("reduction", reduction), &[x, indices, updates])
}

/// Sizes of −1 are whatever is left.
fn slice(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let (begin, sizes) = (call.val(1), call.val(2));
    let known = begin.ints().zip(sizes.ints()).map(|(begin, sizes)| {
        let end = |(b, s): (&i64, &i64)| if *s < 0 { END } else { b.saturating_add(*s) };
        begin.iter().zip(sizes).map(end).collect::<Vec<i64>>()
    });
    let starts = call.list(1)?;
    let ends = match (known, sizes.ints()) {
        (Some(ends), _) => call.cx.draft.ints(&ends)?,
        (None, Some(sizes)) => {
            let far = i64::from(i32::MAX);
            let sizes: Vec<i64> = sizes.iter().map(|s| if *s < 0 { far } else { *s }).collect();
            let sizes = call.cx.draft.ints(&sizes)?;
            call.put("ends", Op::onnx("Add"), &[starts, sizes])?
        }
        (None, None) => {
            let sizes = call.list(2)?;
            call.put("ends", Op::onnx("Add"), &[starts, sizes])?
        }
    };
    call.one(Op::onnx("Slice"), &[x, starts, ends])
}

fn split(call: &mut Call<'_, '_, '_>) -> Lowered {
    let Some(axis) = call.val(0).int() else { return call.foreign() };
    let (x, rank) = (call.x(1)?, call.val(1).rank);
    let count = call.def.int("num_split").and_then(|n| usize::try_from(n).ok());
    let count = count.unwrap_or(call.outputs).max(1);
    if count == 1 {
        return Ok(vec![call.val(1)]);
    }
    let op = Op::onnx("Split").with("axis", axis);
    let op = op.with("num_outputs", i64::try_from(count).unwrap_or(1));
    let made = call.cx.draft.many(&call.def.name, op, &[Some(x)], count)?;
    let dtype = call.val(1).dtype;
    Ok(made.into_iter().map(|id| Val::here(id).ranked(rank).typed(dtype)).collect())
}

/// One of the sizes may be −1: what is left.
fn split_sizes(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (Some(axis), Some(sizes)) = (call.val(2).int(), call.val(1).ints().map(<[i64]>::to_vec))
    else {
        return call.foreign();
    };
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    let Some(open) = sizes.iter().position(|n| *n < 0) else {
        let parts = call.cx.draft.ints(&sizes)?;
        let op = Op::onnx("Split").with("axis", axis);
        let inputs = [Some(x), Some(parts)];
        let made = call.cx.draft.many(&call.def.name, op, &inputs, sizes.len())?;
        return Ok(made.into_iter().map(|id| Val::here(id).ranked(rank)).collect());
    };
    let mut found = Vec::new();
    for at in 0..sizes.len().min(call.outputs) {
        // Positions before what is left count from the front, those behind it from the end.
        let before = |end: usize| sizes[..end].iter().fold(0_i64, |a, n| a.saturating_add(*n));
        let after = |start: usize| sizes[start..].iter().fold(0_i64, |a, n| a.saturating_add(*n));
        let start = if at <= open { before(at) } else { after(at).saturating_neg() };
        let end = match at {
            _ if at < open => before(at + 1),
            _ if after(at + 1) == 0 => END,
            _ => after(at + 1).saturating_neg(),
        };
        let start = call.cx.draft.ints(&[start])?;
        let end = call.cx.draft.ints(&[end])?;
        let axes = call.cx.draft.ints(&[axis])?;
        found.push(Val::here(call.end(Op::onnx("Slice"), &[x, start, end, axes])?).ranked(rank));
    }
    Ok(found)
}

fn tile(call: &mut Call<'_, '_, '_>) -> Lowered {
    let inputs = [call.x(0)?, call.list(1)?];
    call.one(Op::onnx("Tile"), &inputs)
}

fn transpose(call: &mut Call<'_, '_, '_>) -> Lowered {
    let rank = call.val(0).rank;
    let reversed = || {
        let rank = i64::try_from(rank?).ok()?;
        (rank <= 2).then(|| (0..rank).rev().collect::<Vec<i64>>())
    };
    let Some(order) = call.val(1).ints().map(<[i64]>::to_vec).or_else(reversed) else {
        return call.foreign();
    };
    let x = call.x(0)?;
    let rank = Some(order.len());
    Ok(vec![Val::here(call.end(Op::onnx("Transpose").with("perm", order), &[x])?).ranked(rank)])
}

/// Where something is true, a row for each place.
fn places(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let found = call.put("places", Op::onnx("NonZero"), &[x])?;
    let op = Op::onnx("Transpose").with("perm", vec![1_i64, 0]);
    Ok(vec![Val::here(call.end(op, &[found])?).ranked(2).typed(Some(DType::I64))])
}

/// What a strided slice does to one axis of its input.
struct Axis {
    /// Of the input; behind an ellipsis counted from the end.
    at: i64,
    /// Which entry of begin, end and strides.
    entry: usize,
    shrinks: bool,
}

/// A strided slice put together from its masks.
#[derive(Default)]
struct Spec {
    axes: Vec<Axis>,
    /// Axes of one that are added, by their places in the output.
    added: Vec<i64>,
}

impl Spec {
    fn of(call: &Call<'_, '_, '_>, entries: usize) -> Self {
        let mask = |name: &str| call.def.int(name).unwrap_or(0);
        let has = |mask: i64, entry: usize| entry < 63 && mask >> entry & 1 == 1;
        let (ellipsis, new) = (mask("ellipsis_mask"), mask("new_axis_mask"));
        let shrink = mask("shrink_axis_mask");
        let middle = (0..entries).find(|e| has(ellipsis, *e));
        let mut spec = Self::default();
        // Input and output axes so far, from the front; then, behind an ellipsis, from the end.
        let (mut read, mut kept) = (0_i64, 0_i64);
        for entry in 0..middle.unwrap_or(entries) {
            if has(new, entry) {
                spec.added.push(kept);
                kept += 1;
                continue;
            }
            let shrinks = has(shrink, entry);
            spec.axes.push(Axis { at: read, entry, shrinks });
            read += 1;
            kept += i64::from(!shrinks);
        }
        let (mut read, mut kept) = (0_i64, 0_i64);
        for entry in (middle.map_or(entries, |m| m + 1)..entries).rev() {
            if has(new, entry) {
                kept += 1;
                spec.added.push(-kept);
                continue;
            }
            let shrinks = has(shrink, entry);
            read += 1;
            spec.axes.push(Axis { at: -read, entry, shrinks });
            kept += i64::from(!shrinks);
        }
        spec
    }
}

fn strided_slice(call: &mut Call<'_, '_, '_>) -> Lowered {
    let strides = call.val(3);
    let entries = strides.length.or(call.val(1).length).or(call.val(2).length);
    let Some(entries) = entries.filter(|n| *n < 63) else { return call.foreign() };
    let spec = Spec::of(call, entries);
    let mut y = call.x(0)?;
    let mask = |name: &str| call.def.int(name).unwrap_or(0);
    let (begin_mask, end_mask) = (mask("begin_mask"), mask("end_mask"));
    let step = |entry: usize| strides.ints().map_or(1, |s| s.get(entry).copied().unwrap_or(1));
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    let (mut axes, mut steps) = (Vec::new(), Vec::new());
    for axis in &spec.axes {
        let (entry, step) = (axis.entry, step(axis.entry));
        let masked = |mask: i64| mask >> entry & 1 == 1 && !axis.shrinks;
        let whole = step == 1 && masked(begin_mask) && masked(end_mask);
        if whole {
            continue;
        }
        let first = if step > 0 { 0 } else { END };
        starts.push(if masked(begin_mask) { Bound::Number(first) } else { Bound::Entry(1, entry) });
        ends.push(match axis.shrinks {
            true => Bound::After(entry),
            false if masked(end_mask) => Bound::Number(if step > 0 { END } else { -END }),
            false => Bound::Entry(2, entry),
        });
        axes.push(axis.at);
        steps.push(step);
    }
    if !axes.is_empty() {
        let starts = bounds(call, "starts", &starts)?;
        let ends = bounds(call, "ends", &ends)?;
        let axes = call.cx.draft.ints(&axes)?;
        let steps = call.cx.draft.ints(&steps)?;
        let inputs = [y, starts, ends, axes, steps];
        let last = spec.added.is_empty() && !spec.axes.iter().any(|a| a.shrinks);
        let op = Op::onnx("Slice");
        y = if last { call.end(op, &inputs)? } else { call.put("slice", op, &inputs)? };
    }
    let gone: Vec<i64> = spec.axes.iter().filter(|a| a.shrinks).map(|a| a.at).collect();
    if !gone.is_empty() {
        let axes = call.cx.draft.ints(&gone)?;
        let op = Op::onnx("Squeeze");
        let last = spec.added.is_empty();
        y = if last { call.end(op, &[y, axes])? } else { call.put("squeeze", op, &[y, axes])? };
    }
    if !spec.added.is_empty() {
        let axes = call.cx.draft.ints(&spec.added)?;
        y = call.end(Op::onnx("Unsqueeze"), &[y, axes])?;
    }
    let rank = call.val(0).rank.and_then(|r| (r + spec.added.len()).checked_sub(gone.len()));
    Ok(vec![Val::here(y).ranked(rank)])
}

/// Where a slice of an axis begins or ends.
#[derive(Clone, Copy)]
enum Bound {
    Number(i64),
    /// This entry of an input.
    Entry(usize, usize),
    /// One behind the entry at which it begins.
    After(usize),
}

/// Begins or ends as one list: of numbers, or of entries of what is worked out.
fn bounds(call: &mut Call<'_, '_, '_>, label: &str, list: &[Bound]) -> Result<ValueId, LoadError> {
    let numbers = list.iter().map(|bound| number_of(call, bound)).collect::<Option<Vec<i64>>>();
    if let Some(numbers) = numbers {
        return call.cx.draft.ints(&numbers);
    }
    // All entries in order are the input itself.
    if let [Bound::Entry(port, 0), ..] = list {
        let port = *port;
        let same =
            |(at, b): (usize, &Bound)| matches!(b, Bound::Entry(p, e) if *p == port && *e == at);
        if call.val(port).length == Some(list.len()) && list.iter().enumerate().all(same) {
            return call.list(port);
        }
    }
    let mut parts = Vec::new();
    for bound in list {
        parts.push(match (number_of(call, bound), bound) {
            (Some(n), _) => call.cx.draft.ints(&[n])?,
            (None, Bound::Entry(port, at)) => picked(call, label, *port, *at)?,
            (None, Bound::After(at)) => {
                let start = picked(call, label, 1, *at)?;
                let one = call.cx.draft.ints(&[1])?;
                call.put(label, Op::onnx("Add"), &[start, one])?
            }
            (None, Bound::Number(n)) => call.cx.draft.ints(&[*n])?,
        });
    }
    match parts[..] {
        [one] => Ok(one),
        _ => call.put(label, Op::onnx("Concat").with("axis", 0_i64), &parts),
    }
}

fn number_of(call: &Call<'_, '_, '_>, bound: &Bound) -> Option<i64> {
    match bound {
        Bound::Number(n) => Some(*n),
        Bound::Entry(port, at) => call.val(*port).ints()?.get(*at).copied(),
        Bound::After(at) => {
            let start = call.val(1).ints()?.get(*at).copied()?;
            Some(if start == -1 { END } else { start.saturating_add(1) })
        }
    }
}

/// One entry of a list, as a list.
fn picked(
    call: &mut Call<'_, '_, '_>,
    label: &str,
    port: usize,
    at: usize,
) -> Result<ValueId, LoadError> {
    let list = call.list(port)?;
    let at = call.cx.draft.ints(&[i64::try_from(at).unwrap_or(0)])?;
    call.put(label, Op::onnx("Gather").with("axis", 0_i64), &[list, at])
}
