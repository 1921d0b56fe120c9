//! Operations that read at places: slices, indices, and Python's indexing, which has both.

use super::super::super::super::draft::Op;
use super::super::super::json::integer;
use super::super::super::site::{Site, T};
use super::{Asked, LoadError, Maybe, Row, at, one, row};
use crate::ir::{DType, ValueId};
use serde_json::Value;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("GetItem", "Slice, Squeeze, Unsqueeze", get_item),
    row("Slice", "Slice", slice),
    row("Take", "Gather", take),
    row("TakeAlongAxis", "GatherElements", take_along),
    row("TfSlice", "Slice", slice),
    row("TfStridedSlice", "Slice", strided),
];

fn take<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(mut x) = asked.x(site)? else { return Ok(None) };
    let indices = match asked.arg(1, &["indices"]) {
        Some(super::Arg::Tensor(t)) => t,
        Some(super::Arg::Plain(value)) => {
            let like = T { dtype: Some(DType::I64), ..x };
            match super::constant(site, value, Some(like))? {
                Some(t) => t,
                None => return Ok(None),
            }
        }
        _ => return Ok(None),
    };
    let indices = match indices.dtype {
        Some(dtype) if dtype.is_float() => site.cast(indices, DType::I64)?,
        _ => indices,
    };
    let axis = match asked.int(2, &["axis"]) {
        Some(axis) => axis,
        // TensorFlow takes the first axis, and numpy all as one.
        None if asked.modern => {
            x = site.reshape("flat", x, &[-1])?;
            0
        }
        None => 0,
    };
    let op = Op::onnx("Gather").with("axis", axis);
    let id = site.one("", op, &[Some(x.id), Some(indices.id)])?;
    let rank = x.rank.zip(indices.rank).and_then(|(x, i)| (x + i).checked_sub(1));
    one(x.ranked(rank).like(id))
}

fn take_along<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let (Some(x), Some(indices)) = (asked.x(site)?, asked.tensor(site, 1, &["indices"])?) else {
        return Ok(None);
    };
    let Some(axis) = asked.int(2, &["axis"]) else { return Ok(None) };
    let op = Op::onnx("GatherElements").with("axis", axis);
    one(x.like(site.one("", op, &[Some(x.id), Some(indices.id)])?))
}

/// What an index does to an axis.
enum Pick {
    Range(i64, i64, i64),
    One(i64),
    Many(ValueId, Option<usize>),
    New,
    Rest,
}

fn pick<'j>(
    site: &mut Site<'_, '_, 'j>,
    arg: &super::Arg<'j, T>,
) -> Result<Option<Pick>, LoadError> {
    let value = match arg {
        super::Arg::Tensor(t) => return Ok(Some(Pick::Many(t.id, t.rank))),
        super::Arg::Plain(value) => *value,
        _ => return Ok(None),
    };
    if value.is_null() {
        return Ok(Some(Pick::New));
    }
    if let Some(n) = integer(value) {
        return Ok(Some(Pick::One(n)));
    }
    if let Some(list) = super::integers(value) {
        return Ok(Some(Pick::Many(site.draft.ints(&list)?, Some(1))));
    }
    let class = value.get("class_name").and_then(Value::as_str).unwrap_or("slice");
    if class.to_lowercase().contains("ellipsis") || value.as_str() == Some("...") {
        return Ok(Some(Pick::Rest));
    }
    let config = value.get("config").unwrap_or(value);
    let bound = |key: &str| match config.get(key) {
        None | Some(Value::Null) => Some(None),
        Some(n) => integer(n).map(Some),
    };
    let (Some(start), Some(stop), Some(step)) = (bound("start"), bound("stop"), bound("step"))
    else {
        return Ok(None);
    };
    let step = step.unwrap_or(1);
    let (first, last) = if step < 0 { (-1, -i64::MAX) } else { (0, i64::MAX) };
    Ok((step != 0).then(|| Pick::Range(start.unwrap_or(first), stop.unwrap_or(last), step)))
}

/// Python's indexing.
fn get_item<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["tensor", "x"])? else { return Ok(None) };
    let keys = match asked.arg(1, &["slice_spec", "key"]) {
        Some(super::Arg::List(list)) => list,
        Some(super::Arg::Plain(Value::Array(list))) => list.iter().map(super::Arg::Plain).collect(),
        Some(one) => vec![one],
        None => match asked.inputs.args.get(1) {
            Some(one) => vec![one.clone()],
            None => return Ok(None),
        },
    };
    let mut picks = Vec::new();
    for key in &keys {
        match pick(site, key)? {
            Some(pick) => picks.push(pick),
            None => return Ok(None),
        }
    }
    indexed(site, x, &picks)
}

/// Slices first, then single places, then new axes; behind `...` axes are counted from the last.
fn indexed(site: &mut Site<'_, '_, '_>, x: T, picks: &[Pick]) -> Maybe {
    let rest = picks.iter().position(|pick| matches!(pick, Pick::Rest));
    let takes =
        |list: &[Pick]| list.iter().filter(|p| !matches!(p, Pick::New | Pick::Rest)).count();
    let gives =
        |list: &[Pick]| list.iter().filter(|p| !matches!(p, Pick::One(_) | Pick::Rest)).count();
    let (mut bounds, mut gone, mut new, mut gathered) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, pick) in picks.iter().enumerate() {
        let behind = rest.is_some_and(|rest| i > rest);
        let axis = if behind { -at(takes(&picks[i..])) } else { at(takes(&picks[..i])) };
        let place = if behind { -at(gives(&picks[i..])) } else { at(gives(&picks[..i])) };
        match pick {
            Pick::Range(0, i64::MAX, 1) | Pick::Rest => {}
            Pick::Range(start, stop, step) => bounds.push((axis, *start, *stop, *step)),
            Pick::One(n) => {
                let end = if *n == -1 { i64::MAX } else { n + 1 };
                bounds.push((axis, *n, end, 1));
                gone.push(axis);
            }
            Pick::Many(ids, rank) => gathered.push((axis, *ids, *rank)),
            Pick::New => new.push(place),
        }
    }
    let mut y = x;
    if !bounds.is_empty() {
        y = site.slice(if gone.is_empty() && new.is_empty() { "" } else { "slice" }, y, &bounds)?;
    }
    match gathered[..] {
        [] => {}
        [(axis, ids, rank)] => {
            let id = site.one(
                "gather",
                Op::onnx("Gather").with("axis", axis),
                &[Some(y.id), Some(ids)],
            )?;
            if rank != Some(1) && !(gone.is_empty() && new.is_empty()) {
                return Ok(None);
            }
            let rank = y.rank.zip(rank).and_then(|(a, b)| (a + b).checked_sub(1));
            y = y.ranked(rank).like(id);
        }
        _ => return Ok(None),
    }
    if !gone.is_empty() {
        y = site.axes("squeeze", "Squeeze", y, &gone)?;
    }
    if !new.is_empty() {
        y = site.axes("", "Unsqueeze", y, &new)?;
    }
    one(y)
}

/// From places, of so many elements; −1 are all that are left.
fn slice<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["inputs", "input_", "input"])? else { return Ok(None) };
    let starts = asked.ints(1, &["start_indices", "begin"]);
    let sizes = asked.ints(2, &["shape", "size"]);
    let (Some(starts), Some(sizes)) = (starts, sizes) else { return Ok(None) };
    if starts.len() != sizes.len() {
        return Ok(None);
    }
    let pair = |(axis, (start, size)): (usize, (&i64, &i64))| {
        (at(axis), *start, if *size < 0 { i64::MAX } else { start.saturating_add(*size) }, 1)
    };
    let bounds: Vec<_> = starts.iter().zip(&sizes).enumerate().map(pair).collect();
    one(site.slice("", x, &bounds)?)
}

/// Ranges with masks, of which none but those that leave bounds open are taken.
fn strided<'j>(site: &mut Site<'_, '_, 'j>, asked: &Asked<'_, 'j>) -> Maybe {
    let Some(x) = asked.tensor(site, 0, &["input_", "input"])? else { return Ok(None) };
    let list = |i: usize, name: &str| asked.ints(i, &[name]);
    let (Some(begin), Some(end)) = (list(1, "begin"), list(2, "end")) else { return Ok(None) };
    let strides = list(3, "strides").unwrap_or_else(|| vec![1; begin.len()]);
    let mask = |name: &str| asked.int(usize::MAX, &[name]).unwrap_or(0);
    if mask("ellipsis_mask") != 0
        || begin.len() != end.len()
        || begin.len() != strides.len()
        || begin.len() > 60
    {
        return Ok(None);
    }
    let set = |name: &str, i: usize| mask(name) >> i & 1 == 1;
    let picks: Vec<Pick> = (0..begin.len())
        .map(|i| {
            let start = if set("begin_mask", i) { 0 } else { begin[i] };
            let stop = if set("end_mask", i) { i64::MAX } else { end[i] };
            match (set("new_axis_mask", i), set("shrink_axis_mask", i)) {
                (true, _) => Pick::New,
                (false, true) => Pick::One(begin[i]),
                (false, false) => Pick::Range(start, stop, strides[i].max(1)),
            }
        })
        .collect();
    indexed(site, x, &picks)
}
