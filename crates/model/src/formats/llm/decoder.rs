//! A whole decoder or encoder: table, layers, head, and the tensors that a run leaves alone.

use super::blocks::{At, Kept};
use super::spec::{Ffn, Head, Layer, Mixer, Norm, Spec};
use super::writer::{Form, Matrix, Writer};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, TensorInfo, ValueId};

/// A graph's outputs, with their names.
pub(super) type Outputs = Vec<(ValueId, String)>;

/// An input of integers.
pub(super) fn integers(
    w: &mut Writer<'_, '_>,
    name: &str,
    shape: &[&str],
) -> Result<ValueId, LoadError> {
    let shape: Vec<Dim> = shape.iter().map(|symbol| Dim::symbol(symbol)).collect();
    w.draft.input(name, TensorInfo::new(Some(DType::I64), shape))
}

/// The name of a layer's parts.
pub(super) fn layer_prefix(names: &super::names::Names, i: usize) -> String {
    names.layer.replacen("{}", &i.to_string(), 1)
}

/// A decoder that keeps a cache, or an encoder, over tokens.
pub(super) fn write(w: &mut Writer<'_, '_>, spec: &Spec) -> Result<Outputs, LoadError> {
    let ids = integers(w, "input_ids", &["batch", "seq"])?;
    let rotates = spec.layers.iter().any(|layer| match &layer.mixer {
        Mixer::Attention(a) => a.rotary,
        Mixer::Latent(_) => true,
        _ => false,
    });
    let positions = if rotates || spec.positions.is_some() {
        Some(integers(w, "position_ids", &["batch", "seq"])?)
    } else {
        None
    };
    let (x, table) = embedded(w, spec, ids, positions)?;
    let mut kept = Kept::new();
    let x = layers(w, spec, x, positions, &mut kept)?;
    let mut outputs = headed(w, spec, x, &table)?;
    outputs.extend(kept);
    Ok(outputs)
}

/// Rows of the tables, added up.
fn embedded(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    ids: ValueId,
    positions: Option<ValueId>,
) -> Result<(ValueId, Matrix), LoadError> {
    let names = spec.names;
    let width = spec.width.unwrap_or(spec.hidden);
    let table = w.matrix(names.embed, spec.vocab, width, Form::Table)?;
    let mut x = w.rows("embeddings", &table, ids, [spec.vocab, width])?;
    if spec.width.is_some() {
        x = w.linear(names.project_in, x, [spec.hidden, width], false, Form::Usual)?;
    }
    let tables = [(names.positions, spec.positions, positions), (names.types, spec.types, None)];
    for (name, rows, at) in tables {
        let Some(rows) = rows else { continue };
        // Files hold as many rows as they hold: models count positions in different ways.
        let stored =
            w.tensors.find(&format!("{name}.weight")).and_then(|table| table.shape.first());
        let rows = stored.and_then(|n| i64::try_from(*n).ok()).unwrap_or(rows);
        let at = match at {
            Some(at) => at,
            None => integers(w, "token_type_ids", &["batch", "seq"])?,
        };
        let more = w.matrix(name, rows, spec.hidden, Form::Table)?;
        let more = w.rows(&format!("{name}/rows"), &more, at, [rows, spec.hidden])?;
        x = w.node(&format!("{name}/sum"), "Add", &[x, more])?;
    }
    let base = names.embed_norm;
    let there = !base.is_empty() && w.tensors.find(&format!("{base}.weight")).is_some();
    if there || (spec.embed_norm && !w.tensors.files()) {
        x = w.norm(base, x, spec.hidden, spec.norm, spec.norm_bias)?;
    }
    Ok((x, table))
}

/// All layers.
pub(super) fn layers(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    x: ValueId,
    positions: Option<ValueId>,
    kept: &mut Kept,
) -> Result<ValueId, LoadError> {
    let mut x = x;
    for (number, layer) in spec.layers.iter().enumerate() {
        let at = At {
            names: spec.names,
            layer: layer_prefix(spec.names, number),
            number,
            hidden: spec.hidden,
            positions,
            rotary: spec.rotary,
            causal: spec.causal,
            norm: spec.norm,
            act: spec.act,
        };
        x = one(w, spec, &at, layer, x, kept)?;
    }
    Ok(x)
}

/// A norm of a layer, if it has one.
fn normed(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    at: &At<'_>,
    layer: &Layer,
    which: usize,
    x: ValueId,
) -> Result<ValueId, LoadError> {
    let role = at.names.norms[which];
    let base = at.name(role);
    let there = !role.is_empty() && w.tensors.find(&format!("{base}.weight")).is_some();
    // Those of a norm without weights are nowhere in the files.
    let wanted = layer.norms[which] && !role.is_empty();
    if there || (wanted && (spec.norm == Norm::Bare || !w.tensors.files())) {
        return w.norm(&base, x, spec.hidden, spec.norm, spec.norm_bias);
    }
    if wanted {
        w.tensors.miss(&format!("{base}.weight"));
    }
    Ok(x)
}

fn one(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    at: &At<'_>,
    layer: &Layer,
    x: ValueId,
    kept: &mut Kept,
) -> Result<ValueId, LoadError> {
    if layer.after {
        return after(w, spec, at, layer, x, kept);
    }
    let y = normed(w, spec, at, layer, 0, x)?;
    let shared = y;
    let Some(y) = mixed(w, at, layer, y, kept)? else { return rest(w, spec, at, layer, x, x) };
    let y = normed(w, spec, at, layer, 1, y)?;
    if layer.parallel && !layer.ffn.is_empty() {
        let own = at.names.norms[2];
        let apart = layer.norms[2] && !own.is_empty()
            || w.tensors.find(&format!("{}.weight", at.name(own))).is_some();
        let input = if apart { normed(w, spec, at, layer, 2, x)? } else { shared };
        let z = fed(w, at, layer, input)?;
        let sum = w.node(&at.name("both"), "Add", &[y, z])?;
        return w.node(&at.name("sum"), "Add", &[x, sum]);
    }
    let x = w.node(&at.name("mixer_sum"), "Add", &[x, y])?;
    rest(w, spec, at, layer, x, x)
}

/// The feed-forward part behind a mixer.
fn rest(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    at: &At<'_>,
    layer: &Layer,
    x: ValueId,
    input: ValueId,
) -> Result<ValueId, LoadError> {
    if layer.ffn.is_empty() {
        return Ok(x);
    }
    let which = if matches!(layer.mixer, Mixer::None) { 0 } else { 2 };
    let y = normed(w, spec, at, layer, which, input)?;
    let y = fed(w, at, layer, y)?;
    let y = normed(w, spec, at, layer, 3, y)?;
    w.node(&at.name("sum"), "Add", &[x, y])
}

/// A layer whose norms are behind its sums.
fn after(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    at: &At<'_>,
    layer: &Layer,
    x: ValueId,
    kept: &mut Kept,
) -> Result<ValueId, LoadError> {
    let mut x = x;
    let [first, second] = if at.names.norms[1].is_empty() { [0, 2] } else { [1, 3] };
    if let Some(y) = mixed(w, at, layer, x, kept)? {
        x = w.node(&at.name("mixer_sum"), "Add", &[x, y])?;
        x = normed(w, spec, at, layer, first, x)?;
    }
    let y = fed(w, at, layer, x)?;
    let x = w.node(&at.name("sum"), "Add", &[x, y])?;
    normed(w, spec, at, layer, second, x)
}

fn mixed(
    w: &mut Writer<'_, '_>,
    at: &At<'_>,
    layer: &Layer,
    x: ValueId,
    kept: &mut Kept,
) -> Result<Option<ValueId>, LoadError> {
    Ok(Some(match &layer.mixer {
        Mixer::None => return Ok(None),
        Mixer::Attention(a) => w.attention(at, x, a, kept)?,
        Mixer::Latent(a) => w.latent(at, x, a, kept)?,
        Mixer::Scan(s) => w.scanned(at, x, s, kept)?,
        Mixer::Delta(d) => w.delta(at, x, d, kept)?,
    }))
}

/// The feed-forward parts of a layer, added up.
fn fed(
    w: &mut Writer<'_, '_>,
    at: &At<'_>,
    layer: &Layer,
    x: ValueId,
) -> Result<ValueId, LoadError> {
    let names = at.names;
    let mut sum = None;
    for part in &layer.ffn {
        let y = match part {
            Ffn::Mlp(m) => w.mlp(at, [names.gate_up, names.gate, names.up, names.down], x, m)?,
            Ffn::Moe(m) => w.moe(at, x, m)?,
        };
        sum = Some(match sum {
            Some(sum) => w.node(&at.name("parts"), "Add", &[sum, y])?,
            None => y,
        });
    }
    Ok(sum.unwrap_or(x))
}

/// Logits at the positions that are asked for, or hidden states.
fn headed(
    w: &mut Writer<'_, '_>,
    spec: &Spec,
    x: ValueId,
    table: &Matrix,
) -> Result<Outputs, LoadError> {
    let names = spec.names;
    let mut x = x;
    let Head::Logits { tied, bias } = spec.head else {
        if spec.final_norm {
            x = w.norm(names.norm, x, spec.hidden, spec.norm, spec.norm_bias)?;
        }
        let mut outputs = vec![(x, "last_hidden_state".to_owned())];
        let there = w.tensors.any("pooler.dense.");
        if there || (spec.pooler && !w.tensors.files()) {
            outputs.push((pooled(w, x, "pooler.dense", spec.hidden)?, "pooler_output".to_owned()));
        }
        return Ok(outputs);
    };
    let at = integers(w, "logits_positions", &["logits"])?;
    let gather = Op::onnx("Gather").with("axis", 1_i64);
    x = w.draft.one("last_positions", gather, &[Some(x), Some(at)])?;
    let width = spec.width.unwrap_or(spec.hidden);
    if spec.final_norm {
        x = w.norm(names.norm, x, spec.hidden, spec.norm, spec.norm_bias)?;
    }
    if spec.width.is_some() {
        x = w.linear(names.project_out, x, [width, spec.hidden], false, Form::Usual)?;
    }
    let own = w.tensors.any(&format!("{}.", names.head));
    let shares = if w.tensors.files() { tied || !own } else { tied };
    let logits = if shares {
        shared_head(w, table, x, [spec.vocab, width])?
    } else {
        let matrix = w.matrix(names.head, spec.vocab, width, Form::Usual)?;
        w.product("logits", x, &matrix, spec.vocab, width)?
    };
    let logits = w.biased(names.head, logits, spec.vocab, bias)?;
    Ok(vec![(logits, "logits".to_owned())])
}

/// Logits by the table of the input.
pub(super) fn shared_head(
    w: &mut Writer<'_, '_>,
    table: &Matrix,
    x: ValueId,
    [rows, width]: [i64; 2],
) -> Result<ValueId, LoadError> {
    let table = match table {
        Matrix::Plain(table) => {
            let op = Op::onnx("Transpose").with("perm", vec![1, 0]);
            Matrix::Plain(w.draft.one("table/turned", op, &[Some(*table)])?)
        }
        packed @ Matrix::Packed { .. } => packed.clone(),
    };
    w.product("logits", x, &table, rows, width)
}

/// The first position, through a layer of the same width.
fn pooled(
    w: &mut Writer<'_, '_>,
    x: ValueId,
    base: &str,
    hidden: i64,
) -> Result<ValueId, LoadError> {
    let first = w.int(0)?;
    let gather = Op::onnx("Gather").with("axis", 1_i64);
    let x = w.draft.one("first_position", gather, &[Some(x), Some(first)])?;
    let y = w.linear(base, x, [hidden, hidden], true, Form::Usual)?;
    w.node("pooler/act", "Tanh", &[y])
}
