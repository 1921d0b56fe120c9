//! Towers that look at images, and CLIP and `SigLIP`, which hold one beside an encoder of texts.

use super::blocks::{At, Kept};
use super::config::Config;
use super::decoder::{Outputs, integers, layer_prefix};
use super::spec::{Attention, Mlp, Norm};
use super::writer::{Form, Writer};
use super::{names, qwen_vision};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{TensorInfo, ValueId};

/// Types of towers that are read, and whether they have a class token, a bias of patches, and a norm before.
fn is_clip(family: &str) -> Option<bool> {
    match family {
        "clip_vision_model" => Some(true),
        "siglip_vision_model" => Some(false),
        _ => None,
    }
}

/// Whether the tower that this configuration describes is read.
pub(super) fn knows(vision: &Config) -> bool {
    is_clip(&vision.family).is_some() || qwen_vision::knows(&vision.family)
}

/// A tower as sizes.
struct Tower {
    start: String,
    hidden: i64,
    attention: Attention,
    mlp: Mlp,
    /// Layers that run.
    run: usize,
    /// Pixels of an edge, and of a patch's.
    image: i64,
    patch: i64,
    clip: bool,
}

/// Sizes of the layers of either tower.
fn sizes(config: &Config) -> Result<(i64, Attention, Mlp), LoadError> {
    let hidden = config.need("hidden_size")?;
    let heads = config.need("num_attention_heads")?;
    let attention = Attention {
        heads,
        shared: heads,
        d: (hidden / heads).max(1),
        bias: true,
        key_bias: true,
        out_bias: true,
        ..Attention::default()
    };
    let inner = config.int("intermediate_size").unwrap_or(hidden.saturating_mul(4));
    Ok((hidden, attention, Mlp { inner, gated: false, fused: false, bias: true }))
}

fn tower(
    w: &Writer<'_, '_>,
    vision: &Config,
    starts: &[&str],
    run: Option<i64>,
) -> Result<Tower, LoadError> {
    let (hidden, attention, mlp) = sizes(vision)?;
    let layers = vision.layers("num_hidden_layers")?;
    let there = starts.iter().find(|start| w.tensors.any(&format!("{start}embeddings.")));
    let left = run.filter(|n| *n < 0).and_then(|n| usize::try_from(-1 - n).ok()).unwrap_or(0);
    let square = |key: &str| vision.int(key);
    Ok(Tower {
        start: (*there.unwrap_or(&starts[0])).to_owned(),
        hidden,
        attention,
        mlp,
        run: layers.saturating_sub(left),
        image: square("image_size").unwrap_or(224),
        patch: square("patch_size").unwrap_or(16),
        clip: is_clip(&vision.family).unwrap_or(true),
    })
}

/// Patches of images through all layers that run, `[images, patches, width]`, and their number.
fn seen(w: &mut Writer<'_, '_>, t: &Tower) -> Result<(ValueId, i64), LoadError> {
    let side = t.image / t.patch.max(1);
    let count = side.saturating_mul(side);
    let shape = vec![Dim::symbol("images"), Dim::from(3), Dim::from(t.image), Dim::from(t.image)];
    let pixels = w.draft.input("pixel_values", TensorInfo::new(Some(w.dtype), shape))?;
    let base = format!("{}embeddings.patch_embedding", t.start);
    let weight = w.tensor(&format!("{base}.weight"), true, &[t.hidden, 3, t.patch, t.patch])?;
    let bias = w.tensor(&format!("{base}.bias"), !t.clip, &[t.hidden])?;
    let op = Op::onnx("Conv").with("strides", vec![t.patch, t.patch]);
    let x = w.draft.one(&base, op, &[Some(pixels), weight, bias])?;
    let x = w.reshaped(&format!("{base}/flat"), x, &[0, t.hidden, count])?;
    let op = Op::onnx("Transpose").with("perm", vec![0, 2, 1]);
    let mut x = w.draft.one(&format!("{base}/turned"), op, &[Some(x)])?;
    if t.clip {
        x = classed(w, t, pixels, x)?;
    }
    let count = if t.clip { count + 1 } else { count };
    let base = format!("{}embeddings.position_embedding", t.start);
    if let Some(table) = w.tensor(&format!("{base}.weight"), true, &[count, t.hidden])? {
        x = w.node(&base, "Add", &[x, table])?;
    }
    if t.clip {
        // So the library spells it.
        x = w.norm(&format!("{}pre_layrnorm", t.start), x, t.hidden, Norm::Layer, true)?;
    }
    let x = stacked(
        w,
        &t.start,
        [t.hidden, i64::try_from(t.run).unwrap_or(0)],
        (&t.attention, &t.mlp),
        x,
    )?;
    Ok((x, count))
}

/// With a token for the whole image before its patches.
fn classed(
    w: &mut Writer<'_, '_>,
    t: &Tower,
    pixels: ValueId,
    x: ValueId,
) -> Result<ValueId, LoadError> {
    let name = format!("{}embeddings.class_embedding", t.start);
    let Some(token) = w.tensor(&name, true, &[t.hidden])? else { return Ok(x) };
    let op = Op::onnx("Shape").with("start", 0_i64).with("end", 1_i64);
    let images = w.draft.one(&format!("{name}/images"), op, &[Some(pixels)])?;
    let rest = w.ints(&[1, t.hidden])?;
    let join = |axis: i64| Op::onnx("Concat").with("axis", axis);
    let shape = w.draft.one(&format!("{name}/shape"), join(0), &[Some(images), Some(rest)])?;
    let all = w.node(&format!("{name}/expanded"), "Expand", &[token, shape])?;
    w.draft.one(&format!("{name}/joined"), join(1), &[Some(all), Some(x)])
}

/// Layers with norms before their parts.
fn stacked(
    w: &mut Writer<'_, '_>,
    start: &str,
    [hidden, layers]: [i64; 2],
    (attention, mlp): (&Attention, &Mlp),
    x: ValueId,
) -> Result<ValueId, LoadError> {
    let mut x = x;
    for number in 0..usize::try_from(layers).unwrap_or(0) {
        let at = At {
            names: &names::CLIP,
            layer: format!("{start}{}", layer_prefix(&names::CLIP, number)),
            number,
            hidden,
            positions: None,
            rotary: None,
            causal: false,
            norm: Norm::Layer,
            act: "Gelu",
        };
        let role = |w: &mut Writer<'_, '_>, x, role: usize| {
            w.norm(&at.name(names::CLIP.norms[role]), x, hidden, Norm::Layer, true)
        };
        let y = role(w, x, 0)?;
        let y = w.attention(&at, y, attention, &mut Kept::new())?;
        x = w.node(&at.name("mixer_sum"), "Add", &[x, y])?;
        let y = role(w, x, 2)?;
        let y = w.mlp(&at, ["", "", names::CLIP.up, names::CLIP.down], y, mlp)?;
        x = w.node(&at.name("sum"), "Add", &[x, y])?;
    }
    Ok(x)
}

/// The tower beside a decoder, with what makes tokens of its patches; with `all`, for the account, what is
/// stored and not run as well.
pub(super) fn beside(
    w: &mut Writer<'_, '_>,
    whole: &Config,
    vision: &Config,
    text: i64,
    all: bool,
) -> Result<Outputs, LoadError> {
    if qwen_vision::knows(&vision.family) {
        return qwen_vision::write(w, vision);
    }
    let layer = whole.signed("vision_feature_layer").filter(|_| !all);
    let starts =
        ["vision_tower.vision_model.", "vision_tower.", "vision_model.", "model.vision_tower."];
    let t = tower(w, vision, &starts, layer)?;
    let (mut x, _) = seen(w, &t)?;
    // What is taken before the last layer goes through no norm behind it.
    let early = whole.signed("vision_feature_layer").is_some_and(|n| n < -1);
    let norm = format!("{}post_layernorm", t.start);
    if !early {
        x = w.norm(&norm, x, t.hidden, Norm::Layer, true)?;
    } else if all {
        w.norm(&norm, x, t.hidden, Norm::Layer, true)?;
    }
    let tokens = projected(w, whole, &t, x, text)?;
    Ok(vec![(tokens, "image_features".to_owned())])
}

/// Patches, averaged in squares, as tokens of the decoder.
fn pooled(
    w: &mut Writer<'_, '_>,
    whole: &Config,
    t: &Tower,
    x: ValueId,
    text: i64,
) -> Result<ValueId, LoadError> {
    let side = t.image / t.patch.max(1);
    let pooled = whole.int("mm_tokens_per_image").unwrap_or(256);
    let name = "multi_modal_projector";
    let edge = (1..=side).find(|n| n.saturating_mul(*n) >= pooled).unwrap_or(1);
    let turned = w.draft.one(
        &format!("{name}.turned"),
        Op::onnx("Transpose").with("perm", vec![0, 2, 1]),
        &[Some(x)],
    )?;
    let map = w.reshaped(&format!("{name}.map"), turned, &[0, t.hidden, side, side])?;
    let step = (side / edge.max(1)).max(1);
    let op = Op::onnx("AveragePool")
        .with("kernel_shape", vec![step, step])
        .with("strides", vec![step, step]);
    let small = w.draft.one(&format!("{name}.pooled"), op, &[Some(map)])?;
    let flat =
        w.reshaped(&format!("{name}.flat"), small, &[0, t.hidden, edge.saturating_mul(edge)])?;
    let back = w.draft.one(
        &format!("{name}.back"),
        Op::onnx("Transpose").with("perm", vec![0, 2, 1]),
        &[Some(flat)],
    )?;
    let y = w.norm(&format!("{name}.mm_soft_emb_norm"), back, t.hidden, Norm::Rms, false)?;
    match w.tensor(&format!("{name}.mm_input_projection_weight"), true, &[t.hidden, text])? {
        Some(weight) => w.node(&format!("{name}.mm_input_projection"), "MatMul", &[y, weight]),
        None => Ok(y),
    }
}

/// Patches as tokens of the decoder.
fn projected(
    w: &mut Writer<'_, '_>,
    whole: &Config,
    t: &Tower,
    x: ValueId,
    text: i64,
) -> Result<ValueId, LoadError> {
    match whole.family.as_str() {
        "gemma3" => pooled(w, whole, t, x, text),
        "paligemma" => {
            w.linear("multi_modal_projector.linear", x, [text, t.hidden], true, Form::Usual)
        }
        _ => {
            let patches = if t.clip {
                let list = [[1], [i64::MAX], [1]].map(|list| w.ints(&list));
                let [start, end, axis] = list;
                w.node("multi_modal_projector.patches", "Slice", &[x, start?, end?, axis?])?
            } else {
                x
            };
            let bias = whole.flag_or("multimodal_projector_bias", true);
            let y = w.linear(
                "multi_modal_projector.linear_1",
                patches,
                [text, t.hidden],
                bias,
                Form::Usual,
            )?;
            let y = w.activation("multi_modal_projector.act", "Gelu", y)?;
            w.linear("multi_modal_projector.linear_2", y, [text, text], bias, Form::Usual)
        }
    }
}

/// Whether a type of model is a pair of towers.
pub(super) fn is_pair(family: &str) -> bool {
    family == "clip"
}

/// CLIP: images and texts as vectors, and how alike they are.
pub(super) fn pair(w: &mut Writer<'_, '_>, whole: &Config) -> Result<Outputs, LoadError> {
    let missing =
        |part: &str| crate::formats::error::invalid("configuration", format!("says no `{part}`"));
    let vision = whole.part("vision_config").ok_or_else(|| missing("vision_config"))?;
    let text = whole.part("text_config").ok_or_else(|| missing("text_config"))?;
    let t = tower(w, &vision, &["vision_model."], None)?;
    let (x, _) = seen(w, &t)?;
    let first = w.int(0)?;
    let gather = || Op::onnx("Gather").with("axis", 1_i64);
    let class = w.draft.one("vision_model.class", gather(), &[Some(x), Some(first)])?;
    let class = w.norm("vision_model.post_layernorm", class, t.hidden, Norm::Layer, true)?;
    let wide = whole.int("projection_dim").unwrap_or(512);
    let image = w.linear("visual_projection", class, [wide, t.hidden], false, Form::Usual)?;
    let (hidden, attention, mlp) = sizes(&text)?;
    let ids = integers(w, "input_ids", &["batch", "seq"])?;
    let at = integers(w, "position_ids", &["batch", "seq"])?;
    let vocab = text.need("vocab_size")?;
    let table = w.matrix("text_model.embeddings.token_embedding", vocab, hidden, Form::Table)?;
    let x = w.rows("text_model.embeddings", &table, ids, [vocab, hidden])?;
    let rows = text.need("max_position_embeddings")?;
    let places = w.matrix("text_model.embeddings.position_embedding", rows, hidden, Form::Table)?;
    let places = w.rows("text_model.positions", &places, at, [rows, hidden])?;
    let x = w.node("text_model.embeddings/sum", "Add", &[x, places])?;
    let layers = i64::try_from(text.layers("num_hidden_layers")?).unwrap_or(0);
    let x = stacked(w, "text_model.", [hidden, layers], (&attention, &mlp), x)?;
    let x = w.norm("text_model.final_layer_norm", x, hidden, Norm::Layer, true)?;
    let last = w.int(-1)?;
    let end = w.draft.one("text_model.end", gather(), &[Some(x), Some(last)])?;
    let words = w.linear("text_projection", end, [wide, hidden], false, Form::Usual)?;
    let turned = w.draft.one(
        "image_embeds.turned",
        Op::onnx("Transpose").with("perm", vec![1, 0]),
        &[Some(image)],
    )?;
    let mut alike = w.node("likeness", "MatMul", &[words, turned])?;
    if let Some(scale) = w.tensor("logit_scale", true, &[])? {
        let scale = w.node("scale", "Exp", &[scale])?;
        alike = w.node("likeness/scaled", "Mul", &[alike, scale])?;
    }
    Ok(vec![
        (alike, "logits_per_text".to_owned()),
        (words, "text_embeds".to_owned()),
        (image, "image_embeds".to_owned()),
    ])
}
