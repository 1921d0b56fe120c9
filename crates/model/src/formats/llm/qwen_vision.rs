//! Towers of the Qwen-VL models: patches of images and videos, four of which become a token of the decoder.

use super::blocks::{At, Kept};
use super::config::Config;
use super::decoder::{Outputs, layer_prefix};
use super::names::{self, Names};
use super::spec::{Attention, Mlp, Norm};
use super::writer::{Form, Writer};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::ir::{TensorInfo, ValueId};

/// What all names of a tower begin with.
const START: &str = "visual.";

/// A kind of these towers.
struct Row {
    family: &'static str,
    names: &'static Names,
    norm: Norm,
    gated: bool,
    patch_bias: bool,
    /// Norm, first and second matrix of what joins patches.
    merger: [&'static str; 3],
}

static ROWS: &[Row] = &[
    Row {
        family: "qwen2_vl_vision",
        names: &names::QWEN2_VISION,
        norm: Norm::Layer,
        gated: false,
        patch_bias: false,
        merger: ["merger.ln_q", "merger.mlp.0", "merger.mlp.2"],
    },
    Row {
        family: "qwen2_5_vl_vision",
        names: &names::QWEN2_5_VISION,
        norm: Norm::Rms,
        gated: true,
        patch_bias: false,
        merger: ["merger.ln_q", "merger.mlp.0", "merger.mlp.2"],
    },
    Row {
        family: "qwen3_vl_vision",
        names: &names::QWEN3_VISION,
        norm: Norm::Layer,
        gated: false,
        patch_bias: true,
        merger: ["merger.norm", "merger.linear_fc1", "merger.linear_fc2"],
    },
];

/// Whether a tower is one of these.
pub(super) fn knows(family: &str) -> bool {
    ROWS.iter().any(|row| row.family == family)
}

/// Sizes of a tower.
struct Sizes {
    hidden: i64,
    out: i64,
    heads: i64,
    mlp: Mlp,
    /// Patches that become a token.
    joined: i64,
}

fn sizes(vision: &Config, row: &Row) -> Result<Sizes, LoadError> {
    let older = row.family == "qwen2_vl_vision";
    let hidden = vision.need(if older { "embed_dim" } else { "hidden_size" })?;
    let out = vision.need(if older { "hidden_size" } else { "out_hidden_size" })?;
    let inner = if older {
        hidden.saturating_mul(vision.int("mlp_ratio").unwrap_or(4))
    } else {
        vision.need("intermediate_size")?
    };
    let edge = vision.int("spatial_merge_size").unwrap_or(2);
    Ok(Sizes {
        hidden,
        out,
        heads: vision.need("num_attention_heads")?,
        mlp: Mlp { inner, gated: row.gated, fused: false, bias: true },
        joined: edge.saturating_mul(edge),
    })
}

/// The patches of one image as tokens of the decoder.
pub(super) fn write(w: &mut Writer<'_, '_>, vision: &Config) -> Result<Outputs, LoadError> {
    let Some(row) = ROWS.iter().find(|row| row.family == vision.family) else {
        return Ok(Vec::new());
    };
    let s = sizes(vision, row)?;
    let mut x = patches(w, vision, row, &s)?;
    let attention = Attention {
        heads: s.heads,
        shared: s.heads,
        d: (s.hidden / s.heads).max(1),
        bias: true,
        key_bias: true,
        out_bias: true,
        fused: true,
        ..Attention::default()
    };
    let mut outputs = Outputs::new();
    for number in 0..vision.layers("num_hidden_layers")? {
        let at = At {
            names: row.names,
            layer: format!("{START}{}", layer_prefix(row.names, number)),
            number,
            hidden: s.hidden,
            positions: None,
            rotary: None,
            causal: false,
            norm: row.norm,
            act: if row.gated { "Swish" } else { "Gelu" },
        };
        let bias = row.norm == Norm::Layer;
        let y = w.norm(&at.name(row.names.norms[0]), x, s.hidden, row.norm, bias)?;
        let y = w.attention(&at, y, &attention, &mut Kept::new())?;
        x = w.node(&at.name("mixer_sum"), "Add", &[x, y])?;
        let y = w.norm(&at.name(row.names.norms[2]), x, s.hidden, row.norm, bias)?;
        let y = w.mlp(&at, ["", row.names.gate, row.names.up, row.names.down], y, &s.mlp)?;
        x = w.node(&at.name("sum"), "Add", &[x, y])?;
        if let Some(order) = deep(vision, number) {
            let start = format!("deepstack_merger_list.{order}.");
            let roles = [
                format!("{start}norm"),
                format!("{start}linear_fc1"),
                format!("{start}linear_fc2"),
            ];
            let y = merged(w, row, &s, x, [&roles[0], &roles[1], &roles[2]], true)?;
            outputs.push((y, format!("deep_features.{order}")));
        }
    }
    let y = merged(w, row, &s, x, row.merger, false)?;
    outputs.insert(0, (y, "image_features".to_owned()));
    Ok(outputs)
}

/// Which of the lists of features that go to early layers of the decoder a layer gives.
fn deep(vision: &Config, number: usize) -> Option<usize> {
    (0..16).find(|order| {
        let at =
            vision.item("deepstack_visual_indexes", *order).and_then(serde_json::Value::as_u64);
        at.is_some_and(|at| usize::try_from(at).ok() == Some(number))
    })
}

/// Patches, flat as the processor gives them, through one matrix, with their positions.
fn patches(
    w: &mut Writer<'_, '_>,
    vision: &Config,
    row: &Row,
    s: &Sizes,
) -> Result<ValueId, LoadError> {
    let edge = vision.int("patch_size").unwrap_or(14);
    let (frames, channels) =
        (vision.int("temporal_patch_size").unwrap_or(2), vision.int("in_channels").unwrap_or(3));
    let flat = edge.saturating_mul(edge).saturating_mul(frames).saturating_mul(channels);
    // Tokens of a whole number of patches.
    let count = Dim::symbol("image_tokens") * Dim::from(s.joined);
    let shape = vec![Dim::symbol("images"), count, Dim::from(flat)];
    let pixels = w.draft.input("pixel_values", TensorInfo::new(Some(w.dtype), shape))?;
    let base = format!("{START}patch_embed.proj");
    let mut x = w.linear(&base, pixels, [s.hidden, flat], row.patch_bias, Form::Usual)?;
    if let Some(rows) = vision.int("num_position_embeddings") {
        let name = format!("{START}pos_embed");
        let table = w.matrix(&name, rows, s.hidden, Form::Table)?;
        let shape = vec![Dim::symbol("images"), Dim::symbol("image_tokens") * Dim::from(s.joined)];
        let at = w
            .draft
            .input("patch_positions", TensorInfo::new(Some(crate::ir::DType::I64), shape))?;
        let places = w.rows(&format!("{name}/rows"), &table, at, [rows, s.hidden])?;
        x = w.node(&format!("{name}/sum"), "Add", &[x, places])?;
    }
    Ok(x)
}

/// Neighbouring patches joined and put through two matrices; `late` where the norm comes behind the joining.
fn merged(
    w: &mut Writer<'_, '_>,
    row: &Row,
    s: &Sizes,
    x: ValueId,
    roles: [&str; 3],
    late: bool,
) -> Result<ValueId, LoadError> {
    let [norm, first, second] = roles.map(|role| format!("{START}{role}"));
    let wide = s.hidden.saturating_mul(s.joined);
    let bias = row.norm == Norm::Layer;
    let join =
        |w: &mut Writer<'_, '_>, x| w.reshaped(&format!("{first}/joined"), x, &[0, -1, wide]);
    let x = if late {
        let x = join(w, x)?;
        w.norm(&norm, x, wide, row.norm, bias)?
    } else {
        let x = w.norm(&norm, x, s.hidden, row.norm, bias)?;
        join(w, x)?
    };
    let y = w.linear(&first, x, [wide, wide], true, Form::Usual)?;
    let y = w.activation(&format!("{first}/act"), "Gelu", y)?;
    w.linear(&second, y, [s.out, wide], true, Form::Usual)
}
