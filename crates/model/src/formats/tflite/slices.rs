//! Regions of tensors: begins and sizes, or begins, ends and steps with masks that say which of them count.

use super::site::{Made, Site};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{MAX_RANK, ValueId};

/// Beyond the end of any axis.
const FAR: i64 = i32::MAX as i64;

/// The first element, and how many: −1 for all that are left.
pub(super) fn slice(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, begin, size) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let (Some(begins), Some(sizes)) = (site.ints(1)?, site.ints(2)?) else {
        let op = Op::own("DynamicSlice");
        return Ok(Some(vec![site.node(op, &[Some(x), Some(begin), Some(size)])?]));
    };
    let end = |(begin, size): (&i64, &i64)| match size {
        -1 => FAR,
        size => begin.saturating_add(*size),
    };
    let ends: Vec<i64> = begins.iter().zip(&sizes).map(end).collect();
    let (begins, ends) = (site.draft.ints(&begins)?, site.draft.ints(&ends)?);
    let op = Op::onnx("Slice");
    Ok(Some(vec![site.node(op, &[Some(x), Some(begins), Some(ends)])?]))
}

/// Begins, ends and steps are in the options.
pub(super) fn slice_by_option(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let (begins, ends, steps) = (site.longs(0)?, site.longs(1)?, site.longs(2)?);
    let axes: Vec<i64> = (0..).take(begins.len()).collect();
    let steps = if steps.is_empty() { vec![1; begins.len()] } else { steps };
    let mut inputs = vec![Some(x)];
    for list in [begins, ends, axes, steps] {
        inputs.push(Some(site.draft.ints(&list)?));
    }
    Ok(Some(vec![site.node(Op::onnx("Slice"), &inputs)?]))
}

/// x and a single number for each axis; sizes are in the options.
pub(super) fn dynamic_slice(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, begin, sizes) = (site.input(0)?, site.optional(1)?, site.longs(0)?);
    let Some(begin) = begin else { return Ok(Some(vec![x])) };
    let op = Op::own("DynamicSlice").with("sizes", sizes);
    Ok(Some(vec![site.node(op, &[Some(x), Some(begin)])?]))
}

/// What becomes of one axis.
enum Axis {
    /// All of it.
    Whole,
    /// A new axis of one element.
    New,
    /// One element, whose axis goes: entry so-and-so of the begins.
    Picked(usize),
    /// A part: entry so-and-so of begins and ends, and whether these count.
    Part { entry: usize, begin: bool, end: bool },
}

/// What each axis of x, and each that is new, becomes; none where the masks do not fit its rank.
fn axes(site: &Site<'_, '_, '_>, entries: usize) -> Result<Option<Vec<Axis>>, LoadError> {
    let mask = |field: usize| site.option(field, 0_i32);
    let (begin, end, ellipsis) = (mask(0)?, mask(1)?, mask(2)?);
    let (new, shrink) = (mask(3)?, mask(4)?);
    let has = |mask: i32, entry: usize| entry < 32 && mask & (1 << entry) != 0;
    let rank = site.rank(0);
    let own = |entry: &usize| !has(ellipsis, *entry) && !has(new, *entry);
    let named = (0..entries).filter(own).count();
    let Some(left) = rank.checked_sub(named) else { return Ok(None) };
    let mut axes = Vec::new();
    let mut spread = false;
    for entry in 0..entries {
        if has(ellipsis, entry) {
            let wholes = if spread { 0 } else { left };
            axes.extend((0..wholes).map(|_| Axis::Whole));
            spread = true;
        } else if has(new, entry) {
            axes.push(Axis::New);
        } else if has(shrink, entry) {
            axes.push(Axis::Picked(entry));
        } else {
            let (begin, end) = (!has(begin, entry), !has(end, entry));
            axes.push(Axis::Part { entry, begin, end });
        }
    }
    if !spread {
        axes.extend((0..left).map(|_| Axis::Whole));
    }
    Ok(Some(axes))
}

/// Lists for a slice that are partly known.
#[derive(Default)]
struct Bounds {
    axes: Vec<i64>,
    steps: Vec<i64>,
    begins: Vec<Bound>,
    ends: Vec<Bound>,
}

/// One entry of a list.
#[derive(Clone, Copy)]
enum Bound {
    Known(i64),
    /// An entry of the operator's own list at this port.
    Entry(usize, usize),
}

/// x, begins, ends, steps.
pub(super) fn strided_slice(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let Some(steps) = site.ints(3)? else { return Ok(None) };
    let (begins, ends) = (site.ints(1)?, site.ints(2)?);
    if steps.len() > MAX_RANK {
        return Ok(None);
    }
    let Some(axes) = axes(site, steps.len())? else { return Ok(None) };
    // The end counts from the begin.
    let offset = site.flag(5)?;
    let mut bounds = Bounds::default();
    let (mut gone, mut new, mut picked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut own, mut made) = (0_i64, 0_i64);
    for axis in axes {
        match axis {
            Axis::New => new.push(made),
            Axis::Whole => own += 1,
            Axis::Picked(entry) => {
                match begins.as_ref().and_then(|list| list.get(entry)) {
                    Some(&at) => {
                        let end = if at == -1 { FAR } else { at.saturating_add(1) };
                        bounds.push(own, 1, Bound::Known(at), Bound::Known(end));
                        gone.push(own);
                    }
                    None => picked.push((own, entry)),
                }
                own += 1;
                continue;
            }
            Axis::Part { entry, begin, end } => {
                let step = steps[entry];
                let (first, last) = if step < 0 { (FAR, -FAR - 1) } else { (0, FAR) };
                let known = |list: &Option<Vec<i64>>, port| {
                    let number = list.as_ref().and_then(|list| list.get(entry).copied());
                    number.map_or(Bound::Entry(port, entry), Bound::Known)
                };
                let from = if begin { known(&begins, 1) } else { Bound::Known(first) };
                let mut to = if end { known(&ends, 2) } else { Bound::Known(last) };
                if offset && end {
                    to = match (from, to) {
                        (Bound::Known(a), Bound::Known(b)) => Bound::Known(a.saturating_add(b)),
                        _ => return Ok(None),
                    };
                }
                let whole = matches!((from, to), (Bound::Known(0), Bound::Known(FAR))) && step == 1;
                if !whole {
                    bounds.push(own, step, from, to);
                }
                own += 1;
            }
        }
        made += 1;
    }
    let y = sliced(site, x, &bounds)?;
    reshaped(site, y, &picked, &gone, new)
}

/// Takes out axes, those that an entry picks from and those of one element that are `gone`, and puts in `new` ones.
fn reshaped(
    site: &mut Site<'_, '_, '_>,
    mut y: ValueId,
    picked: &[(i64, usize)],
    gone: &[i64],
    new: Vec<i64>,
) -> Made {
    for (axis, entry) in picked.iter().rev() {
        let at = entry_of(site, 1, *entry, true)?;
        let op = Op::onnx("Gather").with("axis", *axis);
        y = site.step("picked", op, &[Some(y), Some(at)])?;
    }
    // The axes that went before those that are squeezed are gone already.
    let before = |axis: &i64| picked.iter().filter(|(p, _)| p < axis).count();
    let gone: Vec<i64> = gone.iter().map(|a| a - i64::try_from(before(a)).unwrap_or(0)).collect();
    for (op, list) in [("Squeeze", gone), ("Unsqueeze", new)] {
        if !list.is_empty() {
            let list = site.draft.ints(&list)?;
            y = site.step("axes", Op::onnx(op), &[Some(y), Some(list)])?;
        }
    }
    Ok(Some(vec![y]))
}

impl Bounds {
    fn push(&mut self, axis: i64, step: i64, begin: Bound, end: Bound) {
        self.axes.push(axis);
        self.steps.push(step);
        self.begins.push(begin);
        self.ends.push(end);
    }
}

fn sliced(site: &mut Site<'_, '_, '_>, x: ValueId, bounds: &Bounds) -> Result<ValueId, LoadError> {
    if bounds.axes.is_empty() {
        return Ok(x);
    }
    let begins = list(site, &bounds.begins)?;
    let ends = list(site, &bounds.ends)?;
    let (axes, steps) = (site.draft.ints(&bounds.axes)?, site.draft.ints(&bounds.steps)?);
    site.node(Op::onnx("Slice"), &[x, begins, ends, axes, steps].map(Some))
}

/// A list as a value: a constant, or put together of entries that are known when the model runs.
fn list(site: &mut Site<'_, '_, '_>, bounds: &[Bound]) -> Result<ValueId, LoadError> {
    let known = |bound: &Bound| match bound {
        Bound::Known(number) => Some(*number),
        Bound::Entry(..) => None,
    };
    if let Some(numbers) = bounds.iter().map(known).collect::<Option<Vec<_>>>() {
        return site.draft.ints(&numbers);
    }
    let mut parts = Vec::new();
    for bound in bounds {
        parts.push(Some(match bound {
            Bound::Known(number) => site.draft.ints(&[*number])?,
            Bound::Entry(port, entry) => {
                let entry = entry_of(site, *port, *entry, false)?;
                site.cast(entry, crate::ir::DType::I64)?
            }
        }));
    }
    site.step("bounds", Op::onnx("Concat").with("axis", 0_i64), &parts)
}

/// An entry of the list at a port: one number, with or without an axis.
fn entry_of(
    site: &mut Site<'_, '_, '_>,
    port: usize,
    entry: usize,
    single: bool,
) -> Result<ValueId, LoadError> {
    let all = site.input(port)?;
    let at = i64::try_from(entry).unwrap_or(i64::MAX);
    let at = if single { site.draft.int(at)? } else { site.draft.ints(&[at])? };
    site.step("entry", Op::onnx("Gather").with("axis", 0_i64), &[Some(all), Some(at)])
}
