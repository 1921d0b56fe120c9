//! Recurrences as runtimes of small devices have them: weights by gate, projections, peepholes, single steps.

use crate::dim::Dim;
use crate::ir::OWN_DOMAIN;
use crate::ir::{Shape, TensorInfo};
use crate::ops::Class::Recurrent;
use crate::ops::context::{OpCx, OpError, invalid};
use crate::ops::{Effect, Op};

#[rustfmt::skip]
pub(in crate::ops) const OPS: &[Op] = &[
    Op::new("LSTMStep", Recurrent, step).domain(OWN_DOMAIN).inputs(5, 5).formula("2·B·4H·(I+H) + pointwise").weights("-cwwc"),
    Op::new("SVDF", Recurrent, svdf).domain(OWN_DOMAIN).inputs(3, 5).formula("2·B·F·(I+M)").weights("-wwwc"),
    Op::new("SequenceGRU", Recurrent, gru).domain(OWN_DOMAIN).inputs(6, 6).formula("2·T·B·3H·(I+H) + pointwise").weights("-cwwww"),
    Op::new("SequenceLSTM", Recurrent, lstm).domain(OWN_DOMAIN).inputs(13, 24).formula("2·T·B·gates·H·(I+P) + 2·T·B·H·P projection + pointwise").weights("-wwwwwwwwwwwwwwwwwccwwww"),
    Op::new("SequenceRNN", Recurrent, rnn).domain(OWN_DOMAIN).inputs(3, 9).formula("2·T·B·H·(I+H) + pointwise").weights("-wwwc"),
];

/// Steps times batch, the size of an input, and the shape around it.
fn steps(cx: &OpCx<'_>) -> Result<(Dim, Dim, Shape), OpError> {
    let shape = cx.shape(0)?;
    match shape.split_last() {
        Some((size, around)) if !around.is_empty() => {
            Ok((around.iter().product(), size.clone(), around.to_vec()))
        }
        _ => invalid!("recurrence of rank {}", shape.len()),
    }
}

/// The size of the weights at `port` along an axis.
fn size(cx: &OpCx<'_>, port: usize, axis: usize) -> Result<Dim, OpError> {
    let shape = cx.shape(port)?;
    match shape.get(axis) {
        Some(size) => Ok(size.clone()),
        None => invalid!("weights of rank {} at input {port}", shape.len()),
    }
}

/// What is around, with another size at the end.
fn ended(cx: &OpCx<'_>, around: &[Dim], last: Dim) -> TensorInfo {
    cx.like(around.iter().cloned().chain([last]).collect::<Shape>())
}

/// 0 x, 1–4 weights of the input for input, forget, cell and output gate (the first absent where input and forget
/// gate are coupled), 5–8 of what recurs, 9–11 peepholes, 12–15 biases, 16–17 projection, 18–19 states, 20–23
/// norms of the gates. What recurs may be a diagonal alone.
fn lstm(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (count, input, around) = steps(cx)?;
    let hidden = size(cx, 2, 0)?;
    let diagonal = cx.rank(6)? < 2;
    let recurs = if diagonal { hidden.clone() } else { size(cx, 6, 1)? };
    let gates = Dim::from(if cx.optional(1).is_some() { 4 } else { 3 });
    let given = |ports: std::ops::Range<usize>| ports.filter(|p| cx.optional(*p).is_some()).count();
    let width = gates.clone() * hidden.clone();
    let mut macs = width.clone() * input;
    let mut other = width.clone() * Dim::from(6);
    if diagonal {
        other = other + width * Dim::from(2);
    } else {
        macs = macs + width * recurs.clone();
    }
    if cx.optional(16).is_some() {
        macs = macs + hidden.clone() * size(cx, 16, 0)?;
    }
    other = other + hidden.clone() * Dim::from(2 * given(9..12) + 7 * given(20..24));
    let output = match cx.optional(16) {
        Some(_) => size(cx, 16, 0)?,
        None => recurs,
    };
    let curves = hidden * (gates + Dim::ONE);
    Ok(Effect::one(ended(cx, &around, output))
        .macs(count.clone() * macs)
        .other(count.clone() * other)
        .transcendentals(count * curves))
}

/// 0 x `[B, I]`, 1 the last output, 2 the weights `[4H, I + H]` of both, 3 biases, 4 the last state. Outputs: output,
/// state, both inputs side by side, the gates.
fn step(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (count, _, around) = steps(cx)?;
    let (width, both) = (size(cx, 2, 0)?, size(cx, 2, 1)?);
    let hidden = width.floor_div(&Dim::from(4));
    let made = [hidden.clone(), hidden.clone(), both.clone(), width.clone()];
    let outputs = made.map(|last| ended(cx, &around, last));
    let units = count.clone() * hidden;
    Ok(Effect::of(outputs.to_vec())
        .macs(count * width * both)
        .other(units.clone() * Dim::from(24))
        .transcendentals(units * Dim::from(5)))
}

/// 0 x, 1 weights of the input `[H, I]`, 2 of what recurs `[H, H]`, 3 biases, 4 the state.
fn rnn(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (count, input, around) = steps(cx)?;
    let (hidden, recurs) = (size(cx, 1, 0)?, size(cx, 2, 1)?);
    let units = count * hidden.clone();
    Ok(Effect::one(ended(cx, &around, hidden))
        .macs(units.clone() * (input + recurs))
        .other(units.clone() * Dim::from(2))
        .transcendentals(units))
}

/// 0 x `[T, B, I]`, 1 the state, 2–3 the weights `[2H, I + H]` of both gates and their biases, 4–5 those of the
/// candidate `[H, I + H]`. Outputs: all states and the last.
fn gru(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (count, _, around) = steps(cx)?;
    let (gates, hidden, both) = (size(cx, 2, 0)?, size(cx, 4, 0)?, size(cx, 4, 1)?);
    let state = ended(cx, &around[around.len() - 1..], hidden.clone());
    let units = count.clone() * hidden.clone();
    Ok(Effect::of(vec![ended(cx, &around, hidden.clone()), state])
        .macs(count * (gates + hidden) * both)
        .other(units.clone() * Dim::from(16))
        .transcendentals(units * Dim::from(3)))
}

/// A layer of rank `rank` whose memory is M steps long: x `[B, I]`, features `[F, I]`, time `[F, M]`, biases, state.
fn svdf(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (count, input, around) = steps(cx)?;
    let (filters, memory) = (size(cx, 1, 0)?, size(cx, 2, 1)?);
    let rank = match cx.attrs().int_or("rank", 1)? {
        rank if rank < 1 => return invalid!("a rank of {rank}"),
        rank => Dim::from(rank),
    };
    let output = ended(cx, &around, filters.floor_div(&rank));
    let made = output.elements().unwrap_or_default();
    let biased = if cx.optional(3).is_some() { made.clone() } else { Dim::ZERO };
    let rows = count.clone() * filters.clone() - made;
    Ok(Effect::one(output).macs(count * filters * (input + memory)).other(rows + biased))
}
