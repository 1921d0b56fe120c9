//! Layers that multiply by weights: products, look-ups and recurrences.

use super::decode::Layer;
use super::net::{Blob, Net, Row, row};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::error::invalid;
use crate::ir::ValueId;

pub(super) const ROWS: &[Row] = &[
    row("Embed", "Gather, Add", embed),
    row("InnerProduct", "Reshape, MatMul, Add", inner_product),
    row("LSTM", "LSTM", lstm),
    row("RNN", "RNN, MatMul, Tanh", rnn),
];

fn outputs(layer: &Layer, param: &str) -> Result<i64, LoadError> {
    let count = layer.param(param).int("num_output").filter(|n| *n > 0);
    count.ok_or_else(|| invalid(format!("layer `{}`", layer.name), "has no `num_output`"))
}

/// An axis, counted from the end where it is negative and the rank is known.
pub(super) fn axis(given: i64, x: Blob) -> usize {
    let rank = x.rank.and_then(|r| i64::try_from(r).ok()).unwrap_or(4);
    usize::try_from(if given < 0 { given + rank } else { given }).unwrap_or(0)
}

/// `x` with its axes from `axis` on as one.
pub(super) fn flat(
    net: &mut Net<'_, '_>,
    layer: &Layer,
    x: Blob,
    axis: usize,
) -> Result<ValueId, LoadError> {
    let mut shape = vec![0; axis];
    shape.push(-1);
    let shape = net.draft.ints(&shape)?;
    net.step(layer, "flat", Op::onnx("Reshape"), &[Some(x.id), Some(shape)])
}

fn inner_product(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("inner_product_param");
    let (n, biased) = (outputs(layer, "inner_product_param")?, param.flag("bias_term"));
    for at in 0..layer.bottoms.len().max(1) {
        let x = net.bottom(layer, at)?;
        let from = axis(param.int("axis").unwrap_or(1), x);
        let first = i64::try_from(from).unwrap_or(1);
        let flattened = flat(net, layer, x, from)?;
        let w = net.weight(layer, 0, x, (&[0, n], &[first, 0]), &[("flat", first)])?;
        let mut y = net.step(layer, "", Op::onnx("MatMul"), &[Some(flattened), Some(w)])?;
        if biased.unwrap_or(true) {
            let b = net.weight(layer, 1, x, (&[n], &[0]), &[])?;
            y = net.step(layer, "bias", Op::onnx("Add"), &[Some(y), Some(b)])?;
        }
        net.top(layer, at, y, Some(from + 1));
    }
    Ok(())
}

fn embed(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let param = layer.param("embed_param");
    let x = net.bottom(layer, 0)?;
    let n = outputs(layer, "embed_param")?;
    let rows = param.int("input_dim").filter(|n| *n > 0);
    let rows =
        rows.ok_or_else(|| invalid(format!("layer `{}`", layer.name), "has no `input_dim`"))?;
    let table = net.weight(layer, 0, x, (&[rows, n], &[0, 0]), &[])?;
    let whole = Op::onnx("Cast").with("to", i64::from(crate::ir::DType::I64.onnx()));
    let ids = net.step(layer, "ids", whole, &[Some(x.id)])?;
    let mut y = net.step(layer, "", Op::onnx("Gather"), &[Some(table), Some(ids)])?;
    if param.flag("bias_term").unwrap_or(true) {
        let b = net.weight(layer, 1, x, (&[n], &[0]), &[])?;
        y = net.step(layer, "bias", Op::onnx("Add"), &[Some(y), Some(b)])?;
    }
    net.top(layer, 0, y, x.rank.map(|r| r + 1));
    Ok(())
}

/// `x: [T, N, …]` with what follows the sequences as one axis.
fn sequence(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(Blob, ValueId), LoadError> {
    let x = net.bottom(layer, 0)?;
    let flattened = flat(net, layer, x, 2)?;
    Ok((x, flattened))
}

/// A bias of `gates · u` numbers in the place of the two that ONNX's operator adds.
fn gates_bias(net: &mut Net<'_, '_>, layer: &Layer, x: Blob, n: i64) -> Result<ValueId, LoadError> {
    let bias = net.weight(layer, 1, x, (&[1, n], &[0, 0]), &[])?;
    let shape = net.draft.ints(&[1, n])?;
    let none = net.step(layer, "none", Op::onnx("ConstantOfShape"), &[Some(shape)])?;
    let both = Op::onnx("Concat").with("axis", 1_i64);
    net.step(layer, "biases", both, &[Some(bias), Some(none)])
}

/// `Y: [T, 1, N, U]` of one direction as `[T, N, U]`.
fn squeezed(net: &mut Net<'_, '_>, layer: &Layer, y: ValueId) -> Result<ValueId, LoadError> {
    let axes = net.draft.ints(&[1])?;
    net.step(layer, "squeeze", Op::onnx("Squeeze"), &[Some(y), Some(axes)])
}

fn lstm(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let u = outputs(layer, "recurrent_param")?;
    let (x, input) = sequence(net, layer)?;
    let n = u.saturating_mul(4);
    let w = net.weight(layer, 0, x, (&[1, n, 0], &[0, 0, 2]), &[("flat", 2)])?;
    let r = net.weight(layer, 2, x, (&[1, n, u], &[0, 0, 0]), &[])?;
    let b = gates_bias(net, layer, x, n)?;
    let op = Op::onnx("LSTM").with("hidden_size", u);
    let y = net.draft.many(&layer.name, op, &[Some(input), Some(w), Some(r), Some(b)], 1)?;
    let y = squeezed(net, layer, y[0])?;
    net.top(layer, 0, y, Some(3));
    Ok(())
}

/// A recurrence whose output is a product of the state with a matrix of its own.
fn rnn(net: &mut Net<'_, '_>, layer: &Layer) -> Result<(), LoadError> {
    let u = outputs(layer, "recurrent_param")?;
    let (x, input) = sequence(net, layer)?;
    let w = net.weight(layer, 0, x, (&[1, u, 0], &[0, 0, 2]), &[("flat", 2)])?;
    let r = net.weight(layer, 2, x, (&[1, u, u], &[0, 0, 0]), &[])?;
    let b = gates_bias(net, layer, x, u)?;
    let op = Op::onnx("RNN").with("hidden_size", u);
    let y = net.draft.many(&layer.name, op, &[Some(input), Some(w), Some(r), Some(b)], 1)?;
    let state = squeezed(net, layer, y[0])?;
    let w = net.weight(layer, 3, x, (&[u, u], &[0, 0]), &[])?;
    let b = net.weight(layer, 4, x, (&[u], &[0]), &[])?;
    let y = net.step(layer, "output", Op::onnx("MatMul"), &[Some(state), Some(w)])?;
    let y = net.step(layer, "bias", Op::onnx("Add"), &[Some(y), Some(b)])?;
    let y = net.step(layer, "tanh", Op::onnx("Tanh"), &[Some(y)])?;
    net.top(layer, 0, y, Some(3));
    Ok(())
}
