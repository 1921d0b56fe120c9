//! Recurrent layers: a node for each layer, with both directions.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::{Args, Row, own, signed};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("lstm", "LSTM", lstm), own("gru", "GRU", gru), own("rnn_tanh", "RNN", rnn), own("rnn_relu", "RNN", rnn), own("quantized_lstm", "LSTM", lstm), own("lstm_cell", "LSTM", lstm_cell), own("gru_cell", "GRU", gru_cell), own("rnn_tanh_cell", "RNN", rnn_cell), own("rnn_relu_cell", "RNN", rnn_cell), own("mkldnn_rnn_layer", "LSTM", mkldnn_layer),
];

/// What a call says of its layers.
struct Layers {
    op: &'static str,
    states: Vec<Tensor>,
    parameters: Vec<Tensor>,
    biases: bool,
    count: usize,
    both_ways: bool,
    batch_first: bool,
}

fn split(site: &mut Site<'_, '_>, x: &Tensor, count: usize) -> Lowered<Vec<Tensor>> {
    if count == 1 {
        return Ok(vec![x.clone()]);
    }
    let op = Op::onnx("Split").with("axis", 0_i64).with("num_outputs", signed(count));
    site.several(op, &[Some(x)], count)
}

fn stacked(site: &mut Site<'_, '_>, parts: &[&Tensor]) -> Lowered<Tensor> {
    let mut all = Vec::new();
    for part in parts {
        all.push(site.unsqueeze(part, &[0])?);
    }
    let [only] = &all[..] else {
        let inputs: Vec<Option<&Tensor>> = all.iter().map(Some).collect();
        return site.emit(Op::onnx("Concat").with("axis", 0_i64), &inputs);
    };
    Ok(only.clone())
}

/// Both biases of a direction, one after the other.
fn biases(site: &mut Site<'_, '_>, parts: &[&Tensor]) -> Lowered<Tensor> {
    let mut all = Vec::new();
    for pair in parts.chunks_exact(2) {
        let joined =
            site.emit(Op::onnx("Concat").with("axis", 0_i64), &[Some(pair[0]), Some(pair[1])])?;
        all.push(joined);
    }
    stacked(site, &all.iter().collect::<Vec<_>>())
}

/// One layer: what it makes, and its states at the end.
fn one(
    site: &mut Site<'_, '_>,
    sequence: &Tensor,
    layers: &Layers,
    parameters: &[Tensor],
    states: Vec<Option<&Tensor>>,
) -> Lowered<(Tensor, Vec<Tensor>)> {
    let each = if layers.biases { 4 } else { 2 };
    let of =
        |offset: usize| -> Vec<&Tensor> { parameters.iter().skip(offset).step_by(each).collect() };
    let (w, r) = (stacked(site, &of(0))?, stacked(site, &of(1))?);
    let b = if layers.biases {
        let pairs: Vec<&Tensor> = of(2).into_iter().zip(of(3)).flat_map(|(a, b)| [a, b]).collect();
        Some(biases(site, &pairs)?)
    } else {
        None
    };
    let hidden = of(1).first().and_then(|r| r.sizes()).and_then(|sizes| sizes.get(1).copied());
    let mut op = Op::onnx(layers.op);
    if let Some(hidden) = hidden {
        op = op.with("hidden_size", hidden);
    }
    if layers.both_ways {
        op = op.with("direction", "bidirectional");
    }
    if layers.op == "GRU" {
        op = op.with("linear_before_reset", 1_i64);
    }
    let mut inputs = vec![Some(sequence), Some(&w), Some(&r), b.as_ref(), None];
    inputs.extend(states);
    let made = site.several(op, &inputs, 1 + layers.states.len())?;
    let mut made = made.into_iter();
    let Some(y) = made.next() else { return unable("no output") };
    // [T, directions, B, H] to [T, B, directions · H].
    let y = y.ranked(Some(4));
    let sequence = if layers.both_ways {
        let turned = site.transpose(&y, &[0, 2, 1, 3])?;
        let shape = site.ints(&[0, 0, -1])?;
        site.emit(Op::onnx("Reshape"), &[Some(&turned), Some(&shape)])?.ranked(Some(3))
    } else {
        site.squeeze(&y, &[1])?
    };
    Ok((sequence, made.collect()))
}

/// All layers, and the states at the end.
fn run(site: &mut Site<'_, '_>, x: &Tensor, layers: &Layers) -> Lowered<Value> {
    let directions = if layers.both_ways { 2 } else { 1 };
    let each = if layers.biases { 4 } else { 2 };
    let projected = layers.parameters.len() == layers.count * directions * (each + 1);
    let each = if projected { each + 1 } else { each };
    if layers.parameters.len() != layers.count * directions * each {
        return unable(format!("{} weights for {} layers", layers.parameters.len(), layers.count));
    }
    if projected {
        return unable("a projection of the state");
    }
    let unbatched = x.rank() == Some(2);
    let mut sequence = if unbatched {
        site.unsqueeze(x, &[1])?
    } else if layers.batch_first {
        site.transpose(x, &[1, 0, 2])?.ranked(Some(3))
    } else {
        x.clone()
    };
    let mut initial = Vec::new();
    for state in &layers.states {
        let state = if unbatched { site.unsqueeze(state, &[1])? } else { state.clone() };
        initial.push(split(site, &state, layers.count)?);
    }
    let mut last: Vec<Vec<Tensor>> = vec![Vec::new(); layers.states.len()];
    for layer in 0..layers.count {
        let at = layer * directions * each;
        let parameters = &layers.parameters[at..at + directions * each];
        let states = initial.iter().map(|all| all.get(layer)).collect();
        let (made, ends) = one(site, &sequence, layers, parameters, states)?;
        sequence = made;
        for (all, state) in last.iter_mut().zip(ends) {
            all.push(state);
        }
    }
    let output = if unbatched {
        site.squeeze(&sequence, &[1])?
    } else if layers.batch_first {
        site.transpose(&sequence, &[1, 0, 2])?
    } else {
        sequence
    };
    let mut all = vec![Value::Tensor(output.ranked(x.rank()))];
    for states in last {
        let inputs: Vec<Option<&Tensor>> = states.iter().map(Some).collect();
        let joined = if inputs.len() == 1 {
            states[0].clone()
        } else {
            site.emit(Op::onnx("Concat").with("axis", 0_i64), &inputs)?
        };
        let joined = joined.ranked(Some(3));
        all.push(Value::Tensor(if unbatched { site.squeeze(&joined, &[1])? } else { joined }));
    }
    Ok(Value::tuple(all))
}

/// `x, states, parameters, biases, layers, dropout, train, both ways, batch first`; of packed sequences,
/// `data, sizes of batches, states, …`.
fn layers(arguments: &Args, op: &'static str) -> Lowered<Layers> {
    let packed = usize::from(
        arguments.get(99, "batch_sizes").is_some()
            || matches!(
                (arguments.get(1, "hx"), arguments.get(2, "hx")),
                (Some(Value::Tensor(t)), Some(Value::List(_) | Value::Tensor(_))) if t.rank() == Some(1)
            ),
    );
    if packed == 1 {
        return unable("packed sequences");
    }
    let states = match arguments.get(1, "hx") {
        Some(Value::Tensor(state)) => vec![state.clone()],
        Some(_) => arguments.tensors(1, "hx")?,
        None => return unable("no state is given"),
    };
    Ok(Layers {
        op,
        states,
        parameters: arguments.tensors(2, "params")?,
        biases: arguments.flag(3, "has_biases"),
        count: usize::try_from(arguments.int(4, "num_layers", 1)?).unwrap_or(1).clamp(1, 1024),
        both_ways: arguments.flag(7, "bidirectional"),
        batch_first: arguments.flag(8, "batch_first"),
    })
}

fn lstm(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    run(site, &arguments.x()?, &layers(arguments, "LSTM")?)
}

fn gru(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    run(site, &arguments.x()?, &layers(arguments, "GRU")?)
}

fn rnn(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    run(site, &arguments.x()?, &layers(arguments, "RNN")?)
}

/// One step, as a sequence of length one.
fn step(site: &mut Site<'_, '_>, arguments: &Args, op: &'static str) -> Lowered<Value> {
    let x = arguments.x()?;
    let states = match arguments.get(1, "hx") {
        Some(Value::Tensor(state)) => vec![state.clone()],
        _ => arguments.tensors(1, "hx")?,
    };
    let mut parameters = vec![arguments.tensor(2, "w_ih")?, arguments.tensor(3, "w_hh")?];
    let biases = arguments.maybe(4, "b_ih")?.zip(arguments.maybe(5, "b_hh")?);
    let with_biases = biases.is_some();
    parameters.extend(biases.into_iter().flat_map(|(a, b)| [a, b]));
    let single = x.rank() == Some(1);
    let sequence = site.unsqueeze(&x, if single { &[0, 1] } else { &[0] })?;
    let mut wide = Vec::new();
    for state in &states {
        wide.push(site.unsqueeze(state, if single { &[0, 1] } else { &[0] })?);
    }
    let layers = Layers {
        op,
        states: wide,
        parameters,
        biases: with_biases,
        count: 1,
        both_ways: false,
        batch_first: false,
    };
    let made = run(site, &sequence, &layers)?.members().unwrap_or_default();
    let mut states = Vec::new();
    for state in made.into_iter().skip(1) {
        if let Value::Tensor(state) = state {
            let axes: &[i64] = if single { &[0, 1] } else { &[0] };
            states.push(site.squeeze(&state, axes)?);
        }
    }
    if states.len() == 1 {
        return Ok(states.into_iter().next().map_or(Value::None, Value::Tensor));
    }
    Ok(Value::tensors(states))
}

fn lstm_cell(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    step(site, arguments, "LSTM")
}

fn gru_cell(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    step(site, arguments, "GRU")
}

fn rnn_cell(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    step(site, arguments, "RNN")
}

/// `x, w_ih, w_hh, b_ih, b_hh, hx, cx, reverse, …, mode, hidden, layers, biases, both ways, batch first`.
fn mkldnn_layer(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let names = ["weight0", "weight1", "weight2", "weight3"];
    let mut parameters = Vec::new();
    for (at, name) in names.iter().enumerate() {
        parameters.push(arguments.tensor(1 + at, name)?);
    }
    let layers = Layers {
        op: "LSTM",
        states: vec![arguments.tensor(5, "hx_")?, arguments.tensor(6, "cx_")?],
        parameters,
        biases: true,
        count: 1,
        both_ways: false,
        batch_first: false,
    };
    run(site, &x, &layers)
}
