//! Recurrent layers: batches first, as Keras has them.

use super::super::super::LoadError;
use super::super::super::draft::Op;
use super::super::inputs::{Arg, Call, Inputs};
use super::super::json::Layer;
use super::super::site::{Site, Size, T};
use super::conv::{Window, apply, turned};
use super::wrap::inner;
use super::{Context, Row, Written, activate, at, call_inner, row, spatial};
use crate::ir::{TensorInfo, ValueId};
use serde_json::Value;
use std::collections::HashMap;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    row("Bidirectional", "the layer inside, in both directions", bidirectional),
    row("ConvLSTM1D", "Scan over Conv", conv_lstm),
    row("ConvLSTM2D", "Scan over Conv", conv_lstm),
    row("ConvLSTM3D", "Scan over Conv", conv_lstm),
    row("CuDNNGRU", "GRU", own_cell),
    row("CuDNNLSTM", "LSTM", own_cell),
    row("GRU", "GRU", own_cell),
    row("GRUV2", "GRU", own_cell),
    row("LSTM", "LSTM", own_cell),
    row("LSTMV2", "LSTM", own_cell),
    row("RNN", "LSTM, GRU or RNN for each cell", cells),
    row("SimpleRNN", "RNN", own_cell),
];

/// What one cell does, and its operator.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Lstm,
    Gru,
    Simple,
}

impl Kind {
    fn of(class: &str) -> Option<Self> {
        Some(match class {
            "LSTM" | "LSTMV2" | "CuDNNLSTM" | "LSTMCell" => Self::Lstm,
            "GRU" | "GRUV2" | "CuDNNGRU" | "GRUCell" => Self::Gru,
            "SimpleRNN" | "SimpleRNNCell" => Self::Simple,
            _ => return None,
        })
    }

    fn op(self) -> Op {
        match self {
            Self::Lstm => Op::onnx("LSTM"),
            Self::Gru => Op::onnx("GRU"),
            Self::Simple => Op::onnx("RNN"),
        }
    }

    fn gates(self) -> i64 {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Simple => 1,
        }
    }

    fn states(self) -> usize {
        if self == Self::Lstm { 2 } else { 1 }
    }
}

/// How a layer runs its cells.
#[derive(Clone, Copy)]
struct Run {
    backwards: bool,
    /// Whether steps come before samples.
    steps_first: bool,
}

impl Run {
    fn of(layer: &Layer<'_>) -> Self {
        Self {
            backwards: layer.flag("go_backwards", false),
            steps_first: layer.flag("time_major", false),
        }
    }
}

/// What a cell returns: all steps, and its states after the last.
struct Ran {
    steps: T,
    states: Vec<T>,
}

/// The tensor that a layer is called with, and the states that it begins with.
fn start(layer: &Layer<'_>, inputs: &Inputs<'_>) -> Result<(T, Vec<T>), LoadError> {
    let mut first = Vec::new();
    if let Some(arg) = inputs.args.first() {
        arg.tensors(&mut first);
    }
    let mut states = Vec::new();
    if let Some(arg) = inputs.arg(1, &["initial_state"]) {
        arg.tensors(&mut states);
    }
    let x = **first.first().ok_or_else(|| layer.error("is called with no tensor"))?;
    // Keras 2 has them behind the input, in one list.
    let states = first.into_iter().skip(1).chain(states).copied();
    Ok((x, states.collect()))
}

/// The result of a layer: all steps or the last, and the states where they are asked for.
fn finish(layer: &Layer<'_>, ran: &Ran, states: Vec<T>) -> Vec<T> {
    let last = ran.states.first().copied();
    let y = match (layer.flag("return_sequences", false), last) {
        (false, Some(last)) => last,
        _ => ran.steps,
    };
    let mut outputs = vec![y];
    if layer.flag("return_state", false) {
        outputs.extend(states);
    }
    outputs
}

/// A layer that is its cell.
fn own_cell<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, states) = start(layer, inputs)?;
    let kind = Kind::of(layer.class).ok_or_else(|| layer.error("has no cell"))?;
    let mut cell = layer.clone();
    if !layer.class.starts_with("CuDNN") {
        cell = layer.part("cell", &layer.name);
        site.state.part(layer, &cell, "cell");
    }
    let ran = run(site, &cell, kind, x, &states, Run::of(layer))?;
    let states = ran.states.clone();
    Ok(finish(layer, &ran, states))
}

/// A layer around a cell, or around several that follow each other.
fn cells<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let (x, mut given) = start(layer, inputs)?;
    let cell = inner(site, layer, "cell")?;
    let list = match cell.class {
        "StackedRNNCells" => {
            let list = cell.get("cells").and_then(Value::as_array);
            list.ok_or_else(|| cell.error("has no cells"))?.iter().collect()
        }
        _ => Vec::new(),
    };
    let mut members = Vec::new();
    for (i, value) in list.into_iter().enumerate() {
        let part = snake_cell(value, i, &members);
        let member = site.state.inner(&cell, value, &part)?;
        members.push(member);
    }
    if members.is_empty() {
        members.push(cell);
    }
    let kinds: Option<Vec<Kind>> = members.iter().map(|m| Kind::of(m.class)).collect();
    let Some(kinds) = kinds else {
        let mut all: Vec<ValueId> = inputs.tensors().iter().map(|t| t.id).collect();
        all.extend(site.stored(layer)?);
        let class = members.iter().find(|m| Kind::of(m.class).is_none()).map_or("RNN", |m| m.class);
        let outputs = site.unknown(class, &all, context.outputs)?;
        let rank = if layer.flag("return_sequences", false) { x.rank } else { Some(2) };
        return Ok(outputs.into_iter().map(|id| x.ranked(rank).like(id)).collect());
    };
    let mut steps = x;
    let mut states = Vec::new();
    let mut last = None;
    let name = site.name.clone();
    let how = Run::of(layer);
    for (i, (member, kind)) in members.iter().zip(kinds).enumerate() {
        let count = kind.states().min(given.len());
        let begin: Vec<T> = given.drain(..count).collect();
        site.name = if members.len() == 1 { name.clone() } else { format!("{name}/{i}") };
        let how = Run { backwards: how.backwards && i == 0, ..how };
        let ran = run(site, member, kind, steps, &begin, how)?;
        steps = ran.steps;
        states.extend(ran.states.clone());
        last = ran.states.first().copied();
    }
    site.name = name;
    Ok(finish(layer, &Ran { steps, states: last.into_iter().collect() }, states))
}

/// Where the weights of one of several cells are stored.
fn snake_cell(value: &Value, at: usize, before: &[Layer<'_>]) -> String {
    let class = value.get("class_name").and_then(Value::as_str).unwrap_or("cell");
    let stem = match class {
        "LSTMCell" => "lstm_cell",
        "GRUCell" => "gru_cell",
        "SimpleRNNCell" => "simple_rnn_cell",
        other => return format!("cells/{at}_{}", other.len()),
    };
    let same = before.iter().filter(|b| b.class == class).count();
    if same == 0 { format!("cells/{stem}") } else { format!("cells/{stem}_{same}") }
}

/// The variables of a cell as ONNX has them: `[1, gates·units, in]`, `[1, gates·units, units]`, and biases.
fn weights<'j>(
    site: &mut Site<'_, '_, 'j>,
    cell: &Layer<'j>,
    kind: Kind,
    x: T,
) -> Result<(T, T, Option<T>), LoadError> {
    let units = cell.size("units")?;
    let wide = units.saturating_mul(kind.gates());
    let kernel = site.variable(cell, "kernel", x, &[Size::Axis(-1), Size::Is(wide)])?;
    let again = site.variable(cell, "recurrent_kernel", x, &[Size::Is(units), Size::Is(wide)])?;
    let row = |site: &mut Site<'_, '_, 'j>, t: T| {
        let t = site.transpose("turned", t, &[1, 0])?;
        site.axes("weights", "Unsqueeze", t, &[0])
    };
    let (w, r) = (row(site, kernel)?, row(site, again)?);
    if !cell.flag("use_bias", true) {
        return Ok((w, r, None));
    }
    let cudnn = cell.class.starts_with("CuDNN");
    let both = cudnn || kind == Kind::Gru && reset_after(site, cell);
    let sizes = match (both, cudnn) {
        (true, true) => vec![Size::Is(2 * wide)],
        (true, false) => vec![Size::Is(2), Size::Is(wide)],
        (false, _) => vec![Size::Is(wide)],
    };
    let bias = site.variable(cell, "bias", x, &sizes)?;
    let bias = if both {
        bias
    } else {
        // ONNX has a second list, for the states, which Keras has not.
        let zeros = site.filled(0.0, &[wide], bias)?;
        site.concat("biases", &[bias, zeros], 0)?
    };
    Ok((w, r, Some(site.reshape("bias_row", bias, &[1, -1])?)))
}

/// Whether the gate is applied after the product: what holds where a configuration is silent changed with Keras 2.
fn reset_after(site: &Site<'_, '_, '_>, cell: &Layer<'_>) -> bool {
    cell.class.starts_with("CuDNN") || cell.flag("reset_after", site.state.major >= 3)
}

/// Writes one cell over all steps.
fn run<'j>(
    site: &mut Site<'_, '_, 'j>,
    cell: &Layer<'j>,
    kind: Kind,
    x: T,
    states: &[T],
    how: Run,
) -> Result<Ran, LoadError> {
    let units = cell.size("units")?;
    let (w, r, bias) = weights(site, cell, kind, x)?;
    let layout = i64::from(!how.steps_first);
    let mut op = kind.op().with("hidden_size", units).with("layout", layout);
    if how.backwards {
        op = op.with("direction", "reverse");
    }
    if kind == Kind::Gru {
        op = op.with("linear_before_reset", reset_after(site, cell));
    }
    if let Some(names) = activations(site, cell, kind) {
        op = op.with("activations", names);
    }
    let mut inputs = vec![Some(x.id), Some(w.id), Some(r.id), bias.map(|b| b.id)];
    if states.len() >= kind.states() {
        inputs.push(None);
        let place = i64::from(!how.steps_first);
        for state in states.iter().take(kind.states()) {
            inputs.push(Some(site.axes("state", "Unsqueeze", *state, &[place])?.id));
        }
    }
    let outputs = site.many("", op, &inputs, kind.states() + 1)?;
    let place = if how.steps_first { 1 } else { 2 };
    let steps = site.axes("steps", "Squeeze", x.ranked(Some(4)).like(outputs[0]), &[place])?;
    let place = i64::from(!how.steps_first);
    let mut last = Vec::new();
    for state in &outputs[1..] {
        last.push(site.axes("last", "Squeeze", x.ranked(Some(3)).like(*state), &[place])?);
    }
    Ok(Ran { steps, states: last })
}

/// ONNX's names of a cell's functions, where these are not the usual ones and it has them.
fn activations(site: &Site<'_, '_, '_>, cell: &Layer<'_>, kind: Kind) -> Option<Vec<String>> {
    let name = |key: &str, usual: &'static str| {
        let text = match cell.get(key) {
            Some(Value::String(text)) => text.as_str(),
            Some(object) => object.get("config").and_then(Value::as_str).unwrap_or(usual),
            None => usual,
        };
        Some(match text {
            "tanh" => "Tanh",
            "sigmoid" => "Sigmoid",
            "relu" => "Relu",
            "elu" => "Elu",
            "softsign" => "Softsign",
            "softplus" => "Softplus",
            "hard_sigmoid" => "HardSigmoid",
            "linear" => "Affine",
            _ => return None,
        })
    };
    // Standard Keras before version 2.3 had another one for gates.
    let gate = if site.state.major >= 2 { "sigmoid" } else { "hard_sigmoid" };
    let (inner, gate) = (name("activation", "tanh")?, name("recurrent_activation", gate)?);
    let list = match kind {
        Kind::Lstm => vec![gate, inner, inner],
        Kind::Gru => vec![gate, inner],
        Kind::Simple => vec![inner],
    };
    let usual = inner == "Tanh" && (gate == "Sigmoid" || kind == Kind::Simple);
    (!usual).then(|| list.into_iter().map(str::to_owned).collect())
}

/// The layer inside forwards, and itself or another backwards.
fn bidirectional<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    context: &Context,
) -> Written {
    let value = layer.get("layer").ok_or_else(|| layer.error("has no layer inside"))?;
    let mut forward = site.state.inner(layer, value, "forward_layer")?;
    let mut backward = match layer.get("backward_layer") {
        Some(value) => site.state.inner(layer, value, "backward_layer")?,
        None => forward.part("backward_layer", &forward.name),
    };
    if backward.name == forward.name {
        // The one backwards is a copy: names of both come from that of the layer inside.
        let name = forward.name.strip_prefix("forward_").unwrap_or(&forward.name).to_owned();
        forward.name = format!("forward_{name}");
        backward.name = format!("backward_{name}");
        site.state.part(layer, &forward, "forward_layer");
        site.state.part(layer, &backward, "backward_layer");
    }
    let (x, states) = start(layer, inputs)?;
    let half = states.len() / 2;
    let given = |states: &[T]| {
        let mut call = Call::one(x);
        if !states.is_empty() {
            let list = states.iter().map(|t| Arg::Tensor(*t)).collect();
            call.named.push(("initial_state", Arg::List(list)));
        }
        call
    };
    let inside = Context { outputs: context.outputs, sizes: context.sizes.clone() };
    let ahead = call_inner(site, &forward, &given(&states[..half]), &inside)?;
    let back = call_inner(site, &backward, &given(&states[half..]), &inside)?;
    let (Some(a), Some(b)) = (ahead.first().copied(), back.first().copied()) else {
        return Err(layer.error("has a layer inside without output"));
    };
    let mode = match layer.config.get("merge_mode") {
        Some(Value::Null) => None,
        Some(Value::String(mode)) => Some(mode.as_str()),
        _ => Some("concat"),
    };
    let mut outputs = match mode {
        None => vec![a, b],
        Some("sum") => vec![site.binary("", "Add", a, b)?],
        Some("mul") => vec![site.binary("", "Mul", a, b)?],
        Some("ave") => {
            let id = site.one("", Op::onnx("Mean"), &[Some(a.id), Some(b.id)])?;
            vec![a.like(id)]
        }
        Some("concat") => vec![site.concat("", &[a, b], -1)?],
        Some(other) => return Err(layer.error(format!("merges by `{other}`"))),
    };
    outputs.extend(ahead.into_iter().skip(1).chain(back.into_iter().skip(1)));
    Ok(outputs)
}

/// Steps of images: each is convolved, as is the state before it.
fn conv_lstm<'j>(
    site: &mut Site<'_, '_, 'j>,
    layer: &Layer<'j>,
    inputs: &Inputs<'j>,
    _: &Context,
) -> Written {
    let (x, given) = start(layer, inputs)?;
    let n = spatial(layer);
    let filters = layer.size("filters")?;
    let window = Window {
        kernel: layer.sizes("kernel_size", n, 1)?,
        strides: layer.sizes("strides", n, 1)?,
        dilations: layer.sizes("dilation_rate", n, 1)?,
        padding: layer.text("padding", "valid").to_lowercase(),
        first: layer.channels_first(),
    };
    let cell = layer.part("cell", &layer.name);
    site.state.part(layer, &cell, "cell");
    let wide = filters.saturating_mul(4);
    let channels = if window.first { 2 } else { -1 };
    let sizes = |of: Size| -> Vec<Size> {
        window.kernel.iter().map(|k| Size::Is(*k)).chain([of, Size::Is(wide)]).collect()
    };
    let kernel = site.variable(&cell, "kernel", x, &sizes(Size::Axis(channels)))?;
    let again = site.variable(&cell, "recurrent_kernel", x, &sizes(Size::Is(filters)))?;
    let (kernel, again) = (turned(site, kernel, n)?, turned(site, again, n)?);
    let bias = if layer.flag("use_bias", true) {
        Some(site.variable(&cell, "bias", x, &[Size::Is(wide)])?)
    } else {
        None
    };
    let states = match given[..] {
        [h, c, ..] => [h, c],
        _ => {
            let zero = zeros(site, x, &window, filters)?;
            [zero, zero]
        }
    };
    let captured = [Some(kernel), Some(again), bias];
    let names = captured.map(|t| t.map(|t| (site.draft.name(t.id).to_owned(), t)));
    let cell = Cell { layer, window, rank: n + 2 };
    let body = body(site, &cell, x, &names)?;
    let op = Op::onnx("Scan")
        .with("body", body)
        .with("num_scan_inputs", 1_i64)
        .with("scan_input_axes", vec![1_i64])
        .with("scan_output_axes", vec![1_i64])
        .with("scan_input_directions", vec![i64::from(layer.flag("go_backwards", false))]);
    let inputs = [Some(states[0].id), Some(states[1].id), Some(x.id)];
    let outputs = site.many("", op, &inputs, 3)?;
    let state = |i: usize| states[0].like(outputs[i]);
    let ran = Ran { steps: x.ranked(Some(n + 3)).like(outputs[2]), states: vec![state(0)] };
    Ok(finish(layer, &ran, vec![state(0), state(1)]))
}

/// A state of zeros, of the size that a step has after its convolution.
fn zeros(site: &mut Site<'_, '_, '_>, x: T, window: &Window, filters: i64) -> Result<T, LoadError> {
    let n = at(window.kernel.len());
    let from = if window.first { 3 } else { 2 };
    let batch = site.sizes_of(x, 0, Some(1))?;
    let sizes = site.sizes_of(x, from, Some(from + n))?;
    let reach = |i: usize| (window.kernel[i] - 1).saturating_mul(window.dilations[i]) + 1;
    let less: Vec<i64> = (0..window.kernel.len())
        .map(|i| if window.padding == "same" { 1 } else { reach(i) })
        .collect();
    // Both paddings give ⌊(size − reach) / stride⌋ + 1, where padding makes the reach 1.
    let less = site.draft.ints(&less)?;
    let rest = site.one("rest", Op::onnx("Sub"), &[Some(sizes), Some(less)])?;
    let strides = site.draft.ints(&window.strides)?;
    let steps = site.one("places", Op::onnx("Div"), &[Some(rest), Some(strides)])?;
    let one = site.draft.ints(&[1])?;
    let places = site.one("places", Op::onnx("Add"), &[Some(steps), Some(one)])?;
    let channels = site.draft.ints(&[filters])?;
    let parts = if window.first { [batch, channels, places] } else { [batch, places, channels] };
    let shape = site.joined(&parts)?;
    Ok(site.fill(0.0, shape, x)?.ranked(Some(window.kernel.len() + 2)))
}

/// A convolutional cell.
struct Cell<'a, 'j> {
    layer: &'a Layer<'j>,
    window: Window,
    rank: usize,
}

/// One step: `h, c, x → h, c, h`.
fn body<'j>(
    site: &mut Site<'_, '_, 'j>,
    cell: &Cell<'_, 'j>,
    x: T,
    captured: &[Option<(String, T)>; 3],
) -> Result<crate::ir::Graph, LoadError> {
    let Site { draft, state, name, compute, keep, .. } = site;
    let (compute, keep) = (*compute, *keep);
    draft.body(name, |draft| {
        let info = TensorInfo { dtype: x.dtype, ..TensorInfo::default() };
        let rank = Some(cell.rank);
        let mut enter =
            |name: &str| draft.input(name, info.clone()).map(|id| T { id, rank, dtype: x.dtype });
        let (h, c, step) = (enter("h")?, enter("c")?, enter("x")?);
        let outer = |draft: &mut super::super::super::draft::Draft<'_>, i: usize| {
            captured[i].as_ref().map(|(name, t)| t.like(draft.outer(name)))
        };
        let (kernel, again, bias) = (outer(draft, 0), outer(draft, 1), outer(draft, 2));
        let (Some(kernel), Some(again)) = (kernel, again) else {
            return Err(cell.layer.error("has no kernel"));
        };
        let (name, counted) = (String::from("step"), HashMap::new());
        let mut site = Site { draft, state, name, counted, compute, keep };
        let (h, c) = gates(&mut site, cell, (h, c, step), (kernel, again, bias))?;
        let out = site.map("out", "Identity", h)?;
        Ok(vec![h.id, c.id, out.id])
    })
}

fn gates<'j>(
    site: &mut Site<'_, '_, 'j>,
    cell: &Cell<'_, 'j>,
    (h, c, x): (T, T, T),
    (kernel, again, bias): (T, T, Option<T>),
) -> Result<(T, T), LoadError> {
    let window = &cell.window;
    let ones = vec![1; window.kernel.len()];
    let inner = Window {
        kernel: window.kernel.clone(),
        strides: ones.clone(),
        dilations: ones,
        padding: "same".to_owned(),
        first: window.first,
    };
    let of_x = apply(site, "input", (x, kernel, bias.map(|b| b.id)), window, 1)?;
    let of_h = apply(site, "state", (h, again, None), &inner, 1)?;
    let all = site.binary("sum", "Add", of_x, of_h)?;
    let axis = window.channels();
    let op = Op::onnx("Split").with("axis", axis).with("num_outputs", 4_i64);
    let parts = site.many("gates", op, &[Some(all.id)], 4)?;
    let gate = |site: &mut Site<'_, '_, 'j>, i: usize, key: &str, usual: &str| {
        let t = all.like(parts[i]);
        if cell.layer.get(key).is_some() {
            activate(site, cell.layer, key, t)
        } else {
            super::activation::named(site, usual, t)
        }
    };
    let input = gate(site, 0, "recurrent_activation", "sigmoid")?;
    let forget = gate(site, 1, "recurrent_activation", "sigmoid")?;
    let new = gate(site, 2, "activation", "tanh")?;
    let output = gate(site, 3, "recurrent_activation", "sigmoid")?;
    let kept = site.binary("kept", "Mul", forget, c)?;
    let added = site.binary("added", "Mul", input, new)?;
    let c = site.binary("c", "Add", kept, added)?;
    let shown = if cell.layer.get("activation").is_some() {
        activate(site, cell.layer, "activation", c)?
    } else {
        super::activation::named(site, "tanh", c)?
    };
    let h = site.binary("h", "Mul", output, shown)?;
    Ok((h, c))
}
