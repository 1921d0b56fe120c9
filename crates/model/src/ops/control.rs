//! Operators that run bodies: branches, loops, scans.
//!
//! A body's cost comes from walking it with the infos of its inputs. What changes evenly from one round to
//! the next is a formula in the number of the round; what does not is followed round by round, where
//! it is known when the loop ends, or else widened until it no longer changes: sizes that differ
//! become symbols of data-dependent sizes.

use super::Class::Control;
use super::context::{OpCx, OpError, invalid};
use super::rounds::{self, Pattern, ROUND, Round};
use super::sequence::sequence;
use super::shape::axis;
use super::{Bodies, Effect, Inner, Op};
use crate::dim::Dim;
use crate::ir::{DType, Elem, Sequence, TensorInfo};
use std::cell::RefCell;

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("If", Control, if_).runs(Bodies::Branches).inputs(1, 1).formula("the branch taken; the larger of both where that is not known"),
    Op::new("Loop", Control, loop_).runs(Bodies::Rounds).inputs(2, usize::MAX).formula("trips × body"),
    Op::new("Scan", Control, scan).runs(Bodies::Slices).inputs(1, usize::MAX).formula("length × body"),
    Op::new("SequenceMap", Control, sequence_map).runs(Bodies::Elements).inputs(1, usize::MAX).formula("elements × body"),
];

/// As many rounds that differ are kept one by one.
const MAX_SHOWN: i128 = 32;
/// Loops are followed round by round for no more rounds.
const MAX_FOLLOWED: i128 = 100_000;
/// And for as long as their bodies take no more looks at nodes and ports.
const MAX_LOOKS: usize = 150_000;
/// Widening settles after at most this many rounds, or the sizes are given up.
const MAX_WIDENING: usize = 6;

/// A flag's contents, where known.
fn flag(info: Option<&TensorInfo>) -> Option<bool> {
    let value = info?.value.as_ref()?;
    Some(value.first()?.as_const()? != 0)
}

fn scalar(dtype: DType, value: Option<Dim>) -> TensorInfo {
    let info = TensorInfo::new(Some(dtype), Vec::new());
    match value {
        Some(v) => info.with_value(vec![Elem::Int(v)]),
        None => info,
    }
}

/// What becomes of sizes in which two tensors differ.
#[derive(Clone, Copy)]
enum Widening<'a> {
    /// They are at most the larger of both.
    Either,
    /// They are anything, in rounds that nobody follows; these symbols already are.
    Any(&'a RefCell<Vec<Dim>>),
}

/// A size that is `x` or `y`, or anything.
fn size(cx: &OpCx<'_>, x: &Dim, y: &Dim, widening: Widening<'_>) -> Dim {
    match widening {
        _ if x == y => x.clone(),
        Widening::Either => (cx.fresh)("size", Some(x.maximum(y))),
        Widening::Any(made) if made.borrow().contains(x) => x.clone(),
        Widening::Any(made) => {
            let any = (cx.fresh)("size", None);
            made.borrow_mut().push(any.clone());
            any
        }
    }
}

/// What is true of both; a size in which they differ becomes a symbol.
fn widen(cx: &OpCx<'_>, a: &TensorInfo, b: &TensorInfo, widening: Widening<'_>) -> TensorInfo {
    let mut joined = a.join(b);
    if let (None, Some(x), Some(y)) = (&joined.shape, &a.shape, &b.shape) {
        if x.len() == y.len() {
            let size = |(x, y): (&Dim, &Dim)| size(cx, x, y, widening);
            joined.shape = Some(x.iter().zip(y).map(size).collect());
        }
    }
    if let (None, Some(x), Some(y)) = (&joined.sequence, &a.sequence, &b.sequence) {
        let holds_nothing =
            |s: &Sequence| s.length.is_zero() || s.element.elements().is_some_and(|n| n.is_zero());
        let element = match (holds_nothing(x), holds_nothing(y)) {
            (true, _) => y.element.clone(),
            (_, true) => x.element.clone(),
            _ => widen(cx, &x.element, &y.element, widening),
        };
        let length = size(cx, &x.length, &y.length, widening);
        joined = Sequence { elements: None, element, length }.into();
    }
    joined.present = None;
    joined
}

fn if_(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    if let Some(taken) = flag(cx.optional(0)) {
        let branch = if taken { "then_branch" } else { "else_branch" };
        let (outputs, cost) = (cx.run_body)(branch, &[])?;
        return Ok(Effect::of(outputs).inner(cost).free(1));
    }
    let (yes, yes_cost) = (cx.run_body)("then_branch", &[])?;
    let (no, no_cost) = (cx.run_body)("else_branch", &[])?;
    if yes.len() != no.len() {
        return invalid!("the branches give {} and {} values", yes.len(), no.len());
    }
    cx.remarks.borrow_mut().push(format!(
        "which branch is taken is not known: then costs {} FLOPs, else {}; the larger is counted",
        yes_cost.flops, no_cost.flops
    ));
    let outputs: Vec<_> =
        yes.iter().zip(&no).map(|(a, b)| widen(cx, a, b, Widening::Either)).collect();
    Ok(Effect::of(outputs).inner(yes_cost.most(&no_cost)).free(1).bound())
}

/// Inputs: most trips, whether to begin, carried values. The body takes the round's number, the
/// condition and the carried values, and gives the condition, the carried values and the rows of the
/// scan outputs.
fn loop_(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let initial = |p: usize| cx.input(p).map(|i| TensorInfo { constant: false, ..i.clone() });
    let carried: Vec<TensorInfo> = (2..cx.inputs.len()).map(initial).collect::<Result<_, _>>()?;
    let most = match cx.optional(0) {
        Some(info) => info.ints().and_then(|v| v.first().cloned()),
        None => None,
    };
    let begin = match cx.optional(1) {
        Some(info) => flag(Some(info)),
        None => Some(true),
    };
    let endless = cx.optional(0).is_none();
    let most = most.map(|m| m.maximum(&Dim::ZERO));
    let condition = scalar(DType::Bool, Some(Dim::ONE));
    let round = |number: &Dim, state: &[TensorInfo]| {
        let mut inputs = vec![scalar(DType::I64, Some(number.clone())), condition.clone()];
        inputs.extend_from_slice(state);
        (cx.run_body)("body", &inputs)
    };
    let known = most.as_ref().and_then(Dim::as_const);
    if begin == Some(false) || known == Some(0) {
        return none(cx, carried, &round);
    }
    let number = (cx.fresh)(ROUND, most.clone());
    let found = match known {
        // One round says nothing about the next.
        Some(1) => None,
        _ => rounds::pattern(cx, &carried, 1, &number, &round).ok().flatten(),
    };
    let forever = |p: &Pattern| {
        let mut all = p.first.iter().chain([&p.each]);
        begin == Some(true) && all.all(|(given, _)| flag(given.first()) == Some(true))
    };
    // A few rounds that differ are shown one by one.
    let few = known.is_some_and(|n| n <= MAX_SHOWN);
    let whole = |p: &Pattern| !p.coarse && forever(p) && !(few && p.varies());
    if let (Some(p), Some(most)) = (found.as_ref().filter(|p| whole(p)), &most) {
        return Ok(followed(cx, p, most));
    }
    if let Some(effect) = unrolled(cx, &carried, most.as_ref(), begin, endless, &round)? {
        return Ok(effect);
    }
    if let Some(p) = &found {
        return Ok(match &most {
            Some(most) if forever(p) => followed(cx, p, most),
            _ => followed(cx, p, &trips(cx, most)),
        });
    }
    widened(cx, carried, most, begin)
}

/// A loop of rounds that follow no pattern: one stands for all, its state widened until it no longer changes.
fn widened(
    cx: &OpCx<'_>,
    carried: Vec<TensorInfo>,
    most: Option<Dim>,
    begin: Option<bool>,
) -> Result<Effect, OpError> {
    let anywhere = |state: &[TensorInfo]| {
        let mut inputs = vec![scalar(DType::I64, None), scalar(DType::Bool, Some(Dim::ONE))];
        inputs.extend_from_slice(state);
        (cx.run_body)("body", &inputs)
    };
    let (state, (outputs, cost)) = settle(cx, carried, 1, anywhere)?;
    let forever = flag(outputs.first()) == Some(true) && begin == Some(true);
    let trips = most.clone().filter(|_| forever).unwrap_or_else(|| trips(cx, most));
    let rows = outputs.get(1 + state.len()..).unwrap_or(&[]);
    let mut results = state;
    results.extend(rows.iter().map(|row| stacked(row, 0, &trips)));
    Ok(Effect::of(results).inner(cost.times(&trips)).free(cx.inputs.len()))
}

/// How often a loop runs whose end is data-dependent.
fn trips(cx: &OpCx<'_>, most: Option<Dim>) -> Dim {
    let trips = (cx.fresh)("trips", most);
    if trips.as_const().is_none() {
        cx.remarks.borrow_mut().push("how often the loop runs is not known".into());
    }
    trips
}

/// A loop that does not run: what is carried comes out as it went in, and no rows.
fn none(
    cx: &OpCx<'_>,
    carried: Vec<TensorInfo>,
    round: &rounds::RunRound<'_>,
) -> Result<Effect, OpError> {
    let rows = cx.output_count().saturating_sub(carried.len());
    let mut results = carried;
    if rows > 0 {
        let (outputs, _) = round(&Dim::ZERO, &results)?;
        let given = outputs.iter().skip(1 + results.len()).take(rows);
        let stacked: Vec<_> = given.map(|row| stacked(row, 0, &Dim::ZERO)).collect();
        results.extend(stacked);
    }
    Ok(Effect::of(results).free(cx.inputs.len()))
}

/// A loop whose rounds follow a pattern, run this often.
fn followed(cx: &OpCx<'_>, pattern: &Pattern, trips: &Dim) -> Effect {
    let all = pattern.rounds(cx, trips);
    let mut results = ended(cx, all.state, &all.earlier);
    let carried = cx.inputs.len().saturating_sub(2);
    for i in 0..cx.output_count().saturating_sub(carried) {
        results.push(stacked(&pattern.row(1 + carried + i), 0, trips));
    }
    let effect = Effect::of(results).inner(all.cost).free(cx.inputs.len());
    if all.bound { effect.bound() } else { effect }
}

/// What a loop leaves that may end as in `last` or in one of `earlier`.
fn ended(cx: &OpCx<'_>, last: Vec<TensorInfo>, earlier: &[&[TensorInfo]]) -> Vec<TensorInfo> {
    let either = |(a, b): (&TensorInfo, &TensorInfo)| widen(cx, a, b, Widening::Either);
    let both =
        |all: Vec<TensorInfo>, other: &&[TensorInfo]| all.iter().zip(*other).map(either).collect();
    earlier.iter().fold(last, both)
}

/// The rounds one by one, where their number and each round's condition are known.
fn unrolled(
    cx: &OpCx<'_>,
    carried: &[TensorInfo],
    most: Option<&Dim>,
    begin: Option<bool>,
    endless: bool,
    run: &rounds::RunRound<'_>,
) -> Result<Option<Effect>, OpError> {
    let limit = match most.and_then(Dim::as_const) {
        Some(n) => n,
        None if endless => MAX_FOLLOWED,
        None => return Ok(None),
    };
    let Some(mut go) = begin else { return Ok(None) };
    let (said, looks) = ((cx.said)(None), (cx.visits)());
    let give_up = || {
        (cx.said)(Some(said));
        Ok(None)
    };
    let (mut state, mut cost) = (carried.to_vec(), Inner::default());
    let mut rows: Option<Vec<TensorInfo>> = None;
    let mut round = 0;
    while go && round < limit {
        if round >= MAX_FOLLOWED || (cx.visits)() - looks > MAX_LOOKS {
            return give_up();
        }
        let (outputs, once) = run(&Dim::from(round), &state)?;
        let Some(again) = flag(outputs.first()) else { return give_up() };
        let Some((next, row)) = outputs.get(1..).and_then(|o| o.split_at_checked(state.len()))
        else {
            return invalid!("the body gives {} values for {} carried", outputs.len(), state.len());
        };
        rows = Some(match rows {
            None => row.to_vec(),
            Some(rows) => rows.iter().zip(row).map(|(a, b)| a.join(b)).collect(),
        });
        state = next.to_vec();
        cost.add(&once);
        (go, round) = (again, round + 1);
    }
    let count = cx.output_count().saturating_sub(state.len());
    let (trips, rows) = (Dim::from(round), rows.unwrap_or_default());
    for i in 0..count {
        state.push(stacked(&rows.get(i).cloned().unwrap_or_default(), 0, &trips));
    }
    Ok(Some(Effect::of(state).inner(cost).free(cx.inputs.len())))
}

/// Runs rounds until the state no longer changes; the body's outputs begin with `skip` values that
/// are not state.
fn settle(
    cx: &OpCx<'_>,
    mut state: Vec<TensorInfo>,
    skip: usize,
    round: impl Fn(&[TensorInfo]) -> Result<Round, OpError>,
) -> Result<(Vec<TensorInfo>, Round), OpError> {
    let made = RefCell::default();
    for step in 0..=MAX_WIDENING {
        let (outputs, cost) = round(&state)?;
        let next = outputs.get(skip..skip + state.len());
        let Some(next) = next else {
            return invalid!("the body gives {} values for {} carried", outputs.len(), state.len());
        };
        let last = step == MAX_WIDENING;
        let merge = |(old, new): (&TensorInfo, &TensorInfo)| {
            if last {
                TensorInfo { shape: None, value: None, ..old.join(new) }
            } else {
                widen(cx, old, new, Widening::Any(&made))
            }
        };
        let merged: Vec<TensorInfo> = state.iter().zip(next).map(merge).collect();
        if merged == state {
            return Ok((merged, (outputs, cost)));
        }
        if last {
            // Sizes of a state that still changes say nothing of the other rounds.
            let found = round(&merged)?;
            return Ok((merged, found));
        }
        state = merged;
    }
    Err(OpError::Unsupported("a loop whose sizes do not settle".into()))
}

/// Rows put together along a new axis.
fn stacked(row: &TensorInfo, at: usize, count: &Dim) -> TensorInfo {
    let shape = row.shape.as_ref().map(|shape| {
        let mut shape = shape.clone();
        shape.insert(at.min(shape.len()), count.clone());
        shape
    });
    TensorInfo { dtype: row.dtype, shape, ..TensorInfo::default() }
}

/// Inputs: states, then what is scanned. Opset 8 puts sequence lengths first and a batch axis before
/// every other.
fn scan(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let early = cx.opset() < 9;
    let offset = usize::from(early);
    let scanned = usize::try_from(cx.attrs().int_or("num_scan_inputs", 0)?).unwrap_or(usize::MAX);
    let Some(states) = cx.inputs.len().checked_sub(offset + scanned).filter(|_| scanned > 0) else {
        return invalid!("{scanned} of {} inputs are scanned", cx.inputs.len());
    };
    let output_axes = cx.attrs().ints("scan_output_axes")?.unwrap_or(&[]);
    let Scanned { batch, length, state, slices } = scanned_inputs(cx, offset, states)?;
    let round = |_: &Dim, state: &[TensorInfo]| {
        let inputs: Vec<TensorInfo> = state.iter().chain(&slices).cloned().collect();
        let (mut outputs, cost) = (cx.run_body)("body", &inputs)?;
        for (old, new) in state.iter().zip(&mut outputs) {
            kept(cx, old, new)?;
        }
        Ok((outputs, cost))
    };
    let number = (cx.fresh)(ROUND, Some(length.clone()));
    let found = rounds::pattern(cx, &state, 0, &number, &round)?;
    let count = state.len();
    let (state, row, cost, bound): (Vec<_>, Box<dyn Fn(usize) -> TensorInfo>, _, _) = match &found {
        Some(pattern) => {
            let all = pattern.rounds(cx, &length);
            let state = ended(cx, all.state, &all.earlier);
            (state, Box::new(|port| pattern.row(port)), all.cost, all.bound)
        }
        None => {
            let each = |state: &[TensorInfo]| round(&Dim::ZERO, state);
            let (state, (outputs, cost)) = settle(cx, state, 0, each)?;
            let row = move |port: usize| outputs.get(port).cloned().unwrap_or_default();
            (state, Box::new(row), cost.times(&length), false)
        }
    };
    let batched = |info: &TensorInfo| if early { stacked(info, 0, &batch) } else { info.clone() };
    let mut results: Vec<TensorInfo> = state.iter().map(batched).collect();
    for i in 0..cx.output_count().saturating_sub(count) {
        let row = row(count + i);
        let rank = row.rank().unwrap_or(0) + 1;
        let at = if early { 0 } else { axis(output_axes.get(i).copied().unwrap_or(0), rank)? };
        results.push(batched(&stacked(&row, at, &length)));
    }
    let effect = Effect::of(results).inner(cost.times(&batch)).free(cx.inputs.len());
    Ok(if bound { effect.bound() } else { effect })
}

/// What a scan reads.
struct Scanned {
    batch: Dim,
    /// How many slices each of its inputs has.
    length: Dim,
    state: Vec<TensorInfo>,
    /// One slice of each input that is scanned.
    slices: Vec<TensorInfo>,
}

/// The inputs of a scan from port `offset`, the first `states` of which are its state.
fn scanned_inputs(cx: &OpCx<'_>, offset: usize, states: usize) -> Result<Scanned, OpError> {
    let early = cx.opset() < 9;
    let axes = cx.attrs().ints("scan_input_axes")?.unwrap_or(&[]);
    let without = |info: &TensorInfo, at: usize| TensorInfo {
        shape: info.shape.as_ref().map(|s| {
            let mut s = s.clone();
            s.remove(at);
            s
        }),
        dtype: info.dtype,
        ..TensorInfo::default()
    };
    let (mut batch, mut length) = (Dim::ONE, None::<Dim>);
    let mut state = Vec::new();
    for port in offset..offset + states {
        let info = cx.input(port)?;
        if early {
            let Some(first) = cx.shape(port)?.first() else {
                return invalid!("input {port} has no batch axis");
            };
            batch = first.clone();
            state.push(without(info, 0));
        } else {
            state.push(TensorInfo { constant: false, ..info.clone() });
        }
    }
    let mut slices = Vec::new();
    for port in offset + states..cx.inputs.len() {
        let shape = cx.shape(port)?;
        let given = axes.get(port - offset - states).copied().unwrap_or(0);
        let at = if early { 1 } else { axis(given, shape.len())? };
        let Some(size) = shape.get(at) else { return invalid!("input {port} has no axis {at}") };
        match &length {
            Some(known) => cx.require_equal(known, size),
            None => length = Some(size.clone()),
        }
        let slice = without(cx.input(port)?, at);
        if early {
            batch = shape[0].clone();
        }
        slices.push(if early { without(&slice, 0) } else { slice });
    }
    Ok(Scanned { batch, length: length.unwrap_or_default(), state, slices })
}

/// The state of a scan has the same shape in every round, whatever names its sizes have.
fn kept(cx: &OpCx<'_>, old: &TensorInfo, new: &mut TensorInfo) -> Result<(), OpError> {
    let (Some(before), Some(after)) = (&old.shape, &mut new.shape) else { return Ok(()) };
    if before.len() != after.len() {
        return invalid!("a state of rank {} becomes one of rank {}", before.len(), after.len());
    }
    for (before, after) in before.iter().zip(after) {
        match (before.as_const(), after.as_const()) {
            (Some(a), Some(b)) if a != b => return invalid!("a state's size of {a} becomes {b}"),
            _ => cx.require_equal(before, after),
        }
        after.clone_from(before);
    }
    Ok(())
}

/// The body once for every element of the first sequence; other sequences go along with it.
fn sequence_map(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let first = sequence(cx, 0)?;
    let at = |i: Option<usize>| -> Result<Vec<TensorInfo>, OpError> {
        let pick = |port: usize| -> Result<TensorInfo, OpError> {
            let info = cx.input(port)?;
            let Some(s) = &info.sequence else { return Ok(info.clone()) };
            let element = i.and_then(|i| s.elements.as_ref()?.get(i));
            Ok(element.unwrap_or(&s.element).clone())
        };
        (0..cx.inputs.len()).map(pick).collect()
    };
    if let Some(elements) = &first.elements {
        let mut cost = Inner::default();
        let mut columns: Vec<Vec<TensorInfo>> = vec![Vec::new(); cx.output_count()];
        for i in 0..elements.len() {
            let (outputs, once) = (cx.run_body)("body", &at(Some(i))?)?;
            cost.add(&once);
            for (column, output) in columns.iter_mut().zip(outputs) {
                column.push(output);
            }
        }
        let results: Vec<_> = columns.into_iter().map(TensorInfo::sequence_of).collect();
        return Ok(Effect::of(results).inner(cost).free(cx.inputs.len()));
    }
    let (outputs, cost) = (cx.run_body)("body", &at(None)?)?;
    let length = &first.length;
    let all = |element: TensorInfo| -> TensorInfo {
        Sequence { elements: None, element, length: length.clone() }.into()
    };
    let results: Vec<TensorInfo> = outputs.into_iter().map(all).collect();
    Ok(Effect::of(results).inner(cost.times(length)).free(cx.inputs.len()))
}
