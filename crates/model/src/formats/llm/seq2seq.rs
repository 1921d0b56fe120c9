//! Encoders with a decoder that attends to them: T5, BART and Whisper.
//!
//! Whole, such a model encodes an input and decodes new tokens. As `encoder` or `decoder` it is one of both;
//! the decoder then takes keys and values of the encoder's states from a cache.

use super::blocks::{At, Kept};
use super::config::Config;
use super::decoder::{Outputs, integers, layer_prefix, shared_head};
use super::names::{self, Names};
use super::spec::{Attention, Mlp, Norm};
use super::writer::{Form, Matrix, Writer};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, TensorInfo, ValueId};

/// Which part of a model is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Encoder,
    Decoder,
}

/// Names of a decoder's attention to the encoder: norm, queries, keys, values, output.
type Cross = [&'static str; 5];

/// A family of such models.
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts of a family, each independent of the others"
)]
struct Row {
    types: &'static [&'static str],
    encoder: &'static Names,
    decoder: &'static Names,
    cross: Cross,
    norm: Norm,
    bias: bool,
    /// Whether keys have one.
    key_bias: bool,
    /// Whether norms come behind the sums.
    after: bool,
    final_norm: bool,
    /// Rows of the tables of positions beyond the context; none without tables.
    positions: Option<i64>,
    /// Whether scores get a bias by distance.
    distances: bool,
    /// Whether the encoder hears sound.
    sound: bool,
    act: &'static str,
}

const T5: Row = Row {
    types: &["t5", "mt5", "umt5"],
    encoder: &names::T5_ENCODER,
    decoder: &names::T5_DECODER,
    cross: [
        "layer.1.layer_norm",
        "layer.1.EncDecAttention.q",
        "layer.1.EncDecAttention.k",
        "layer.1.EncDecAttention.v",
        "layer.1.EncDecAttention.o",
    ],
    norm: Norm::Rms,
    bias: false,
    key_bias: false,
    after: false,
    final_norm: true,
    positions: None,
    distances: true,
    sound: false,
    act: "Relu",
};

const BART: Row = Row {
    types: &["bart"],
    encoder: &names::BART_ENCODER,
    decoder: &names::BART_DECODER,
    cross: [
        "encoder_attn_layer_norm",
        "encoder_attn.q_proj",
        "encoder_attn.k_proj",
        "encoder_attn.v_proj",
        "encoder_attn.out_proj",
    ],
    norm: Norm::Layer,
    bias: true,
    key_bias: true,
    after: true,
    final_norm: false,
    positions: Some(2),
    distances: false,
    sound: false,
    act: "Gelu",
};

static ROWS: &[Row] = &[
    T5,
    BART,
    Row { types: &["mbart"], after: false, final_norm: true, ..BART },
    Row {
        types: &["whisper"],
        key_bias: false,
        after: false,
        final_norm: true,
        positions: Some(0),
        sound: true,
        ..BART
    },
];

/// Whether a type of model is one of these.
pub(super) fn knows(family: &str) -> bool {
    ROWS.iter().any(|row| row.types.contains(&family))
}

/// One side: its names and sizes.
struct Side<'a> {
    row: &'a Row,
    names: &'static Names,
    layers: usize,
    hidden: i64,
    attention: Attention,
    mlp: Mlp,
    decodes: bool,
}

fn side<'a>(config: &Config, row: &'a Row, decodes: bool) -> Result<Side<'a>, LoadError> {
    let hidden = config.need("hidden_size")?;
    let own =
        |name: &str| config.int(&format!("{}_{name}", if decodes { "decoder" } else { "encoder" }));
    let usual = config.int("num_hidden_layers");
    let layers = match (own("layers"), decodes) {
        (Some(n), _) => Some(n),
        (None, true) => config.int("num_decoder_layers").or(usual),
        (None, false) => usual,
    };
    let layers = layers.filter(|n| *n <= 1024).and_then(|n| usize::try_from(n).ok());
    let heads = match own("attention_heads") {
        Some(heads) => heads,
        None => config.need("num_attention_heads")?,
    };
    let d = config.int("head_dim").unwrap_or(hidden / heads).max(1);
    let inner =
        own("ffn_dim").or(config.int("intermediate_size")).unwrap_or(hidden.saturating_mul(4));
    let gated = config.word("feed_forward_proj").is_some_and(|kind| kind.starts_with("gated"));
    Ok(Side {
        row,
        names: if decodes { row.decoder } else { row.encoder },
        layers: layers.unwrap_or(1),
        hidden,
        attention: Attention {
            heads,
            shared: heads,
            d,
            bias: row.bias,
            key_bias: row.key_bias,
            out_bias: row.bias,
            ..Attention::default()
        },
        mlp: Mlp { inner, gated, fused: false, bias: row.bias },
        decodes,
    })
}

/// A whole model or a part of it.
pub(super) fn write(
    w: &mut Writer<'_, '_>,
    config: &Config,
    part: Part,
) -> Result<Outputs, LoadError> {
    let Some(row) = ROWS.iter().find(|row| row.types.contains(&config.family.as_str())) else {
        return Ok(Vec::new());
    };
    let (encoder, decoder) = (side(config, row, false)?, side(config, row, true)?);
    let vocab = config.need("vocab_size")?;
    let needs_table = part != Part::Encoder || !row.sound;
    let table = if needs_table {
        Some(w.matrix(&table_name(w, row), vocab, encoder.hidden, Form::Table)?)
    } else {
        None
    };
    let mut outputs = Outputs::new();
    let states = match part {
        Part::Decoder => {
            w.apart(&mut |w| encoded(w, config, &encoder, None, vocab).map(drop))?;
            None
        }
        _ => Some(encoded(w, config, &encoder, table.as_ref(), vocab)?),
    };
    if let (Part::Encoder, Some(states)) = (part, states) {
        w.apart(&mut |w| {
            let x = w.draft.input(
                "states",
                TensorInfo::new(
                    Some(w.dtype),
                    vec![
                        Dim::symbol("batch"),
                        Dim::symbol("encoder_seq"),
                        Dim::from(encoder.hidden),
                    ],
                ),
            )?;
            let table = match &table {
                Some(table) => table.clone(),
                None => w.matrix(&table_name(w, row), vocab, encoder.hidden, Form::Table)?,
            };
            decoded(w, config, &decoder, &table, Some(x), &mut Kept::new(), vocab).map(drop)
        })?;
        return Ok(vec![(states, "last_hidden_state".to_owned())]);
    }
    let Some(table) = table else { return Ok(outputs) };
    let mut kept = Kept::new();
    let y = decoded(w, config, &decoder, &table, states, &mut kept, vocab)?;
    outputs.push((y, "logits".to_owned()));
    outputs.extend(kept);
    Ok(outputs)
}

/// The table of tokens has one of several names.
fn table_name(w: &Writer<'_, '_>, row: &Row) -> String {
    let names = ["shared", "decoder.embed_tokens", "encoder.embed_tokens"];
    let there = names.iter().find(|name| w.tensors.find(&format!("{name}.weight")).is_some());
    (*there.unwrap_or(&names[usize::from(row.sound)])).to_owned()
}

/// A table of positions, added to `x` by its rows.
fn placed(
    w: &mut Writer<'_, '_>,
    config: &Config,
    s: &Side<'_>,
    x: ValueId,
    ids: &str,
    symbol: &str,
) -> Result<ValueId, LoadError> {
    let Some(more) = s.row.positions else { return Ok(x) };
    let key = if s.row.sound { "max_target_positions" } else { "max_position_embeddings" };
    let rows = config.need(key)?.saturating_add(more);
    let at = integers(w, ids, &["batch", symbol])?;
    let table = w.matrix(s.names.positions, rows, s.hidden, Form::Table)?;
    let rows = w.rows(&format!("{}/rows", s.names.positions), &table, at, [rows, s.hidden])?;
    let x = w.node(&format!("{}/sum", s.names.positions), "Add", &[x, rows])?;
    if s.names.embed_norm.is_empty() || s.row.sound {
        Ok(x)
    } else {
        w.norm(s.names.embed_norm, x, s.hidden, s.row.norm, s.row.bias)
    }
}

fn encoded(
    w: &mut Writer<'_, '_>,
    config: &Config,
    s: &Side<'_>,
    table: Option<&Matrix>,
    vocab: i64,
) -> Result<ValueId, LoadError> {
    let x = match table {
        _ if s.row.sound => heard(w, config, s)?,
        None => {
            let shape = vec![Dim::symbol("batch"), Dim::symbol("encoder_seq"), Dim::from(s.hidden)];
            let x = w.draft.input("embeddings", TensorInfo::new(Some(w.dtype), shape))?;
            w.mask = distances(w, config, s, x, None)?;
            placed(w, config, s, x, "position_ids", "encoder_seq")?
        }
        Some(table) => {
            let ids = integers(w, "input_ids", &["batch", "encoder_seq"])?;
            let x = w.rows("encoder/embeddings", table, ids, [vocab, s.hidden])?;
            w.mask = distances(w, config, s, ids, None)?;
            placed(w, config, s, x, "position_ids", "encoder_seq")?
        }
    };
    let mut x = x;
    for number in 0..s.layers {
        x = layer(w, s, number, x, None, &mut Kept::new())?;
    }
    w.mask = None;
    if s.row.final_norm { w.norm(s.names.norm, x, s.hidden, s.row.norm, s.row.bias) } else { Ok(x) }
}

/// Two convolutions over features of sound, and a table of positions for all of it.
fn heard(w: &mut Writer<'_, '_>, config: &Config, s: &Side<'_>) -> Result<ValueId, LoadError> {
    let (bins, positions) = (config.need("num_mel_bins")?, config.need("max_source_positions")?);
    let shape = vec![Dim::symbol("batch"), Dim::from(bins), Dim::from(positions.saturating_mul(2))];
    let mut x = w.draft.input("input_features", TensorInfo::new(Some(w.dtype), shape))?;
    for (number, channels, stride) in [(1, bins, 1_i64), (2, s.hidden, 2)] {
        let base = format!("encoder.conv{number}");
        let weight = w.tensor(&format!("{base}.weight"), true, &[s.hidden, channels, 3])?;
        let bias = w.tensor(&format!("{base}.bias"), true, &[s.hidden])?;
        let op = Op::onnx("Conv").with("strides", vec![stride]).with("pads", vec![1, 1]);
        x = w.draft.one(&base, op, &[Some(x), weight, bias])?;
        x = w.activation(&format!("{base}/act"), "Gelu", x)?;
    }
    let x = w.draft.one(
        "encoder/turned",
        Op::onnx("Transpose").with("perm", vec![0, 2, 1]),
        &[Some(x)],
    )?;
    let table = w.tensor("encoder.embed_positions.weight", true, &[positions, s.hidden])?;
    match table {
        Some(table) => w.node("encoder.embed_positions/sum", "Add", &[x, table]),
        None => Ok(x),
    }
}

/// A bias of scores by distance: rows of a table of the first layer. The arithmetic that finds the row of a
/// distance is on sizes and left out.
fn distances(
    w: &mut Writer<'_, '_>,
    config: &Config,
    s: &Side<'_>,
    ids: ValueId,
    mask: Option<ValueId>,
) -> Result<Option<ValueId>, LoadError> {
    if !s.row.distances {
        return Ok(None);
    }
    let label = if s.decodes { "decoder" } else { "encoder" };
    let buckets = config.int("relative_attention_num_buckets").unwrap_or(32);
    let base = format!("{}layer.0.SelfAttention.relative_attention_bias", layer_prefix(s.names, 0));
    let Some(table) = w.tensor(&format!("{base}.weight"), true, &[buckets, s.attention.heads])?
    else {
        return Ok(None);
    };
    let size = |w: &mut Writer<'_, '_>, name: &str, of: ValueId| {
        let op = Op::onnx("Shape").with("start", 1_i64).with("end", 2_i64);
        let list = w.draft.one(&format!("{label}/{name}"), op, &[Some(of)])?;
        let axes = w.ints(&[0])?;
        w.node(&format!("{label}/{name}/number"), "Squeeze", &[list, axes])
    };
    let new = size(w, "new", ids)?;
    let (zero, step) = (w.int(0)?, w.int(1)?);
    let (start, end) = match mask {
        Some(mask) => {
            let all = size(w, "all", mask)?;
            (w.node(&format!("{label}/before"), "Sub", &[all, new])?, all)
        }
        None => (zero, new),
    };
    let keys = w.node(&format!("{label}/keys"), "Range", &[zero, end, step])?;
    let queries = w.node(&format!("{label}/queries"), "Range", &[start, end, step])?;
    let column = w.ints(&[1])?;
    let queries = w.node(&format!("{label}/queries/column"), "Unsqueeze", &[queries, column])?;
    let apart = w.node(&format!("{label}/distances"), "Sub", &[keys, queries])?;
    let most = w.int(buckets - 1)?;
    let apart = w.node(&format!("{label}/distances/size"), "Abs", &[apart])?;
    let bucket = w.node(&format!("{label}/buckets"), "Min", &[apart, most])?;
    let bias = w.node(&format!("{label}/bias"), "Gather", &[table, bucket])?;
    let bias = w.draft.one(
        &format!("{label}/bias/heads"),
        Op::onnx("Transpose").with("perm", vec![2, 0, 1]),
        &[Some(bias)],
    )?;
    let first = w.ints(&[0])?;
    w.node(&format!("{label}/bias/all"), "Unsqueeze", &[bias, first]).map(Some)
}

fn decoded(
    w: &mut Writer<'_, '_>,
    config: &Config,
    s: &Side<'_>,
    table: &Matrix,
    states: Option<ValueId>,
    kept: &mut Kept,
    vocab: i64,
) -> Result<ValueId, LoadError> {
    let ids = integers(w, "decoder_input_ids", &["batch", "seq"])?;
    let x = w.rows("decoder/embeddings", table, ids, [vocab, s.hidden])?;
    let mut x = placed(w, config, s, x, "decoder_position_ids", "seq")?;
    if s.row.distances {
        let all = vec![Dim::symbol("batch"), Dim::symbol("past") + Dim::symbol("seq")];
        let info = TensorInfo::new(Some(DType::I64), all);
        let mask = w.draft.input("decoder_attention_mask", info)?;
        w.mask = distances(w, config, s, ids, Some(mask))?;
    }
    for number in 0..s.layers {
        x = layer(w, s, number, x, states, kept)?;
    }
    w.mask = None;
    let at = integers(w, "logits_positions", &["logits"])?;
    let gather = Op::onnx("Gather").with("axis", 1_i64);
    x = w.draft.one("last_positions", gather, &[Some(x), Some(at)])?;
    if s.row.final_norm {
        x = w.norm(s.names.norm, x, s.hidden, s.row.norm, s.row.bias)?;
    }
    // Some files have a head of their own whatever the configuration says.
    let own = ["lm_head", "proj_out"].into_iter().find(|name| w.tensors.any(&format!("{name}.")));
    let untied = !w.tensors.files() && !config.flag_or("tie_word_embeddings", true);
    match own.or(untied.then_some("lm_head")).filter(|_| !s.row.sound) {
        Some(head) => {
            let matrix = w.matrix(head, vocab, s.hidden, Form::Usual)?;
            w.product("logits", x, &matrix, vocab, s.hidden)
        }
        None => shared_head(w, table, x, [vocab, s.hidden]),
    }
}

/// One layer; a decoder takes the `states` of the encoder, or none where their keys are kept.
fn layer(
    w: &mut Writer<'_, '_>,
    s: &Side<'_>,
    number: usize,
    x: ValueId,
    states: Option<ValueId>,
    kept: &mut Kept,
) -> Result<ValueId, LoadError> {
    let at = At {
        names: s.names,
        layer: layer_prefix(s.names, number),
        number,
        hidden: s.hidden,
        positions: None,
        rotary: None,
        causal: s.decodes,
        norm: s.row.norm,
        act: s.row.act,
    };
    let mut x = x;
    let norm = |w: &mut Writer<'_, '_>, x, role: &str| {
        w.norm(&at.name(role), x, s.hidden, s.row.norm, s.row.bias)
    };
    let add =
        |w: &mut Writer<'_, '_>,
         x: ValueId,
         what: &str,
         role: &str,
         part: &mut dyn FnMut(&mut Writer<'_, '_>, ValueId) -> Result<ValueId, LoadError>| {
            let input = if s.row.after { x } else { norm(w, x, role)? };
            let y = part(w, input)?;
            let sum = w.node(&at.name(what), "Add", &[x, y])?;
            if s.row.after { norm(w, sum, role) } else { Ok(sum) }
        };
    let mut more = Kept::new();
    x = add(w, x, "mixer_sum", s.names.norms[0], &mut |w, x| {
        w.attention(&at, x, &s.attention, &mut more)
    })?;
    if s.decodes {
        let [role, ..] = s.row.cross;
        x = add(w, x, "cross_sum", role, &mut |w, x| cross(w, &at, s, x, states))?;
    }
    kept.extend(more);
    let names = s.names;
    let second = format!("{}_1", names.up);
    let up = if s.mlp.gated { &second } else { names.up };
    add(w, x, "sum", names.norms[2], &mut |w, x| {
        w.mlp(&at, ["", names.gate, up, names.down], x, &s.mlp)
    })
}

/// Attention to what was encoded.
fn cross(
    w: &mut Writer<'_, '_>,
    at: &At<'_>,
    s: &Side<'_>,
    x: ValueId,
    states: Option<ValueId>,
) -> Result<ValueId, LoadError> {
    let a = &s.attention;
    let wide = a.heads.saturating_mul(a.d);
    let [_, q, k, v, o] = s.row.cross;
    let q = w.linear(&at.name(q), x, [wide, s.hidden], a.bias, Form::Usual)?;
    let mut both = Vec::new();
    for (role, what, bias) in [(k, "key", a.key_bias), (v, "value", a.bias)] {
        both.push(match states {
            Some(states) => {
                w.linear(&at.name(role), states, [wide, s.hidden], bias, Form::Usual)?
            }
            None => {
                w.apart(&mut |w| {
                    w.matrix(&at.name(role), wide, s.hidden, Form::Usual)?;
                    w.tensor(&format!("{}.bias", at.name(role)), bias, &[wide]).map(drop)
                })?;
                let sizes = [Dim::from(a.heads), Dim::symbol("encoder_seq"), Dim::from(a.d)];
                w.past(at, &format!("encoder.{what}"), w.dtype, &sizes)?
            }
        });
    }
    let op = Op::at("Attention", super::OPSET)
        .with("q_num_heads", a.heads)
        .with("kv_num_heads", a.heads);
    let y =
        w.draft.one(&at.name("cross_attention"), op, &[Some(q), Some(both[0]), Some(both[1])])?;
    w.linear(&at.name(o), y, [s.hidden, wide], a.bias, Form::Usual)
}
