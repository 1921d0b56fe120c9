//! From a configuration and the row of its family to the sizes of every layer.

use super::config::Config;
use super::families::{Mixers, Row, Windows};
use super::names::{self, Names};
use super::spec::{Attention, Delta, Ffn, Head, Latent, Layer, Mixer, Mlp, Moe, Norm, Scan, Spec};
use crate::formats::LoadError;
use crate::formats::error::invalid;

/// What a library's own layout says beyond the configuration, such as that matrices are fused in files of
/// llama.cpp.
#[derive(Clone, Copy, Default)]
pub(super) struct Layout {
    /// Whose names count, where not the family's.
    pub(super) names: Option<&'static Names>,
    /// Whether the model is only to give hidden states.
    pub(super) headless: bool,
}

/// The sizes of a whole decoder or encoder.
pub(super) fn describe(
    config: &Config,
    row: &'static Row,
    layout: Layout,
) -> Result<Spec, LoadError> {
    let hidden = config.need("hidden_size")?;
    let count = config.layers("num_hidden_layers")?;
    let names = layout.names.unwrap_or(falcon_names(config, row));
    let layers = (0..count).map(|i| layer(config, row, i, hidden)).collect::<Result<_, _>>()?;
    let head = if row.causal && !layout.headless {
        Head::Logits {
            tied: config.flag("tie_word_embeddings"),
            bias: row.head_bias && config.flag_or("lm_head_bias", true),
        }
    } else {
        Head::None
    };
    let width = config.int("word_embed_proj_dim").filter(|width| *width != hidden);
    let positions = match row.positions {
        Some(more) => Some(config.need("max_position_embeddings")?.saturating_add(more)),
        None => None,
    };
    Ok(Spec {
        names,
        hidden,
        vocab: config.need("vocab_size")?,
        layers,
        norm: row.norm,
        norm_bias: row.norm_bias && row.norm == Norm::Layer && !config.flag("norm_no_bias"),
        positions,
        types: config.int("type_vocab_size").filter(|_| !names.types.is_empty()),
        embed_norm: row.embed_norm,
        final_norm: row.final_norm && config.flag_or("do_layer_norm_before", true),
        width,
        causal: row.causal,
        head,
        pooler: !row.causal
            && config.class().is_none_or(|class| class.ends_with("Model"))
            && !names.types.is_empty(),
        rotary: row.rotary.then(|| rotary(config, hidden)).flatten(),
        act: row.act,
    })
}

/// Layers of the newer kind of Falcon have two norms.
fn falcon_names(config: &Config, row: &'static Row) -> &'static Names {
    if config.flag("new_decoder_architecture") && config.int("num_ln_in_parallel_attn") != Some(1) {
        &names::FALCON2
    } else {
        row.names
    }
}

/// Dimensions of a head that positions rotate.
fn rotary(config: &Config, hidden: i64) -> Option<i64> {
    let d = match config.int("head_dim") {
        Some(d) => d,
        None => hidden / config.int("num_attention_heads")?,
    };
    let share = config.real("partial_rotary_factor").or_else(|| config.real("rotary_pct"));
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a part of a head's size"
    )]
    let turned = share
        .filter(|share| (0.0..=1.0).contains(share))
        .map_or(d, |share| (d as f64 * share) as i64);
    Some(
        config
            .int("rotary_dim")
            .or(config.int("qk_rope_head_dim"))
            .unwrap_or(turned)
            .clamp(2, d.max(2)),
    )
}

fn layer(config: &Config, row: &Row, i: usize, hidden: i64) -> Result<Layer, LoadError> {
    let mixer = mixer(config, row, i, hidden)?;
    let ffn = match (&mixer, row.mixers) {
        (_, Mixers::Mamba | Mixers::Mamba2) => Vec::new(),
        (_, Mixers::Letters) => match letter(config, i) {
            Some('E') => vec![Ffn::Moe(moe(config, row, hidden)?)],
            Some('-') => vec![Ffn::Mlp(mlp(config, row, i, hidden))],
            _ => Vec::new(),
        },
        _ if is_moe(config, i)? => vec![Ffn::Moe(moe(config, row, hidden)?)],
        _ => vec![Ffn::Mlp(mlp(config, row, i, hidden))],
    };
    let (parallel, norms) = sides(config, row);
    let mut norms = norms;
    if matches!(row.mixers, Mixers::Letters) || ffn.is_empty() {
        norms = [true, false, false, false];
    }
    // The first layer of ModernBERT has none before its attention: the table has one.
    if matches!(row.windows, Windows::Sides) && i == 0 {
        norms[0] = false;
    }
    let after = row.after || !config.flag_or("do_layer_norm_before", true);
    Ok(Layer { mixer, ffn, norms, parallel, after })
}

/// Whether both parts of a layer read the same input, and its norms.
fn sides(config: &Config, row: &Row) -> (bool, [bool; 4]) {
    if config.flag("new_decoder_architecture") {
        let two = config.int("num_ln_in_parallel_attn") != Some(1);
        return (true, [true, false, two, false]);
    }
    if config.says("parallel_attn") || row.types.contains(&"falcon") {
        let parallel = config.flag("parallel_attn");
        return (parallel, [true, false, !parallel, false]);
    }
    let parallel = if row.types.contains(&"gpt_neox") {
        config.flag_or("use_parallel_residual", true)
    } else {
        row.parallel || config.flag("use_parallel_residual")
    };
    (parallel, row.norms)
}

/// The letter of a layer in a pattern such as `M-M*E`.
fn letter(config: &Config, i: usize) -> Option<char> {
    if let Some(word) = config.item("layer_types", i).and_then(|v| v.as_str()) {
        return Some(match word {
            "mamba" => 'M',
            "attention" => '*',
            "moe" => 'E',
            _ => '-',
        });
    }
    config.word("hybrid_override_pattern")?.chars().nth(i)
}

fn mixer(config: &Config, row: &Row, i: usize, hidden: i64) -> Result<Mixer, LoadError> {
    let said = config.item("layer_types", i).and_then(|v| v.as_str());
    Ok(match row.mixers {
        Mixers::Attention => Mixer::Attention(attention(config, row, i, hidden)?),
        Mixers::Latent => Mixer::Latent(latent(config)?),
        Mixers::Mamba => Mixer::Scan(scan(config, 1, hidden)?),
        Mixers::Mamba2 => Mixer::Scan(scan(config, 2, hidden)?),
        Mixers::Hybrid(version) => {
            let period = config.int("attn_layer_period").and_then(|n| usize::try_from(n).ok());
            let offset = config.signed("attn_layer_offset").and_then(|n| usize::try_from(n).ok());
            let attends = match (said, period) {
                (Some(word), _) => word.contains("attention"),
                (None, Some(period)) => i % period == offset.unwrap_or(0) % period,
                (None, None) => config.lists("attn_layer_indices", i).unwrap_or(true),
            };
            if attends {
                Mixer::Attention(attention(config, row, i, hidden)?)
            } else {
                Mixer::Scan(scan(config, version, hidden)?)
            }
        }
        Mixers::Delta => {
            let period =
                config.int("full_attention_interval").and_then(|n| usize::try_from(n).ok());
            let full = said.map_or((i + 1).is_multiple_of(period.unwrap_or(4)), |word| {
                !word.contains("linear")
            });
            if full {
                let whole = attention(config, row, i, hidden)?;
                Mixer::Attention(Attention { gated: true, ..whole })
            } else {
                Mixer::Delta(delta(config)?)
            }
        }
        Mixers::Letters => match letter(config, i) {
            Some('*') => Mixer::Attention(attention(config, row, i, hidden)?),
            Some('M') => Mixer::Scan(scan(config, 2, hidden)?),
            _ => Mixer::None,
        },
    })
}

/// How many heads of keys and values there are.
fn shared_heads(config: &Config, i: usize, heads: i64) -> i64 {
    if config.flag("new_decoder_architecture") {
        return config.at("num_key_value_heads", i).unwrap_or(heads);
    }
    if config.flag("multi_query") {
        return 1;
    }
    let inner = config.within("attn_config", "kv_n_heads").and_then(serde_json::Value::as_i64);
    inner.filter(|n| *n > 0).or(config.at("num_key_value_heads", i)).unwrap_or(heads)
}

fn attention(config: &Config, row: &Row, i: usize, hidden: i64) -> Result<Attention, LoadError> {
    let Some(heads) = config.at("num_attention_heads", i) else {
        return Err(invalid("configuration", "says no `num_attention_heads`"));
    };
    let shared = shared_heads(config, i, heads);
    let d = config.at("head_dim", i).unwrap_or(hidden / heads);
    if d < 1 || shared > heads {
        let message =
            format!("says {heads} heads, {shared} of them with keys, for a width of {hidden}");
        return Err(invalid("configuration", message));
    }
    let norm = if config.flag_or("use_qk_norm", true) && config.flag_or("qk_layernorm", true) {
        row.head_norm
    } else {
        super::spec::HeadNorm::None
    };
    let bias = if config.says("qkv_bias") { config.flag("qkv_bias") } else { row.qkv.of(config) };
    Ok(Attention {
        heads,
        shared,
        d,
        bias,
        key_bias: bias,
        out_bias: row.out.of(config),
        fused: row.fused,
        norm,
        window: window(config, row, i),
        rotary: row.rotary && !config.flag("alibi"),
        sinks: row.sinks,
        gated: false,
    })
}

/// How many positions a query of this layer sees.
fn window(config: &Config, row: &Row, i: usize) -> Option<i64> {
    if let Some(word) = config.item("layer_types", i).and_then(|v| v.as_str()) {
        return match word {
            "sliding_attention" => config.int("sliding_window"),
            "chunked_attention" => config.int("attention_chunk_size"),
            _ => None,
        };
    }
    if let Some(chunk) = config.int("attention_chunk_size") {
        let interval = config.int("no_rope_layer_interval").and_then(|n| usize::try_from(n).ok());
        return (!(i + 1).is_multiple_of(interval.unwrap_or(4))).then_some(chunk);
    }
    let window = config.int("sliding_window")?;
    let slides = match row.windows {
        Windows::Never | Windows::Sides => false,
        Windows::All => true,
        Windows::Period(usual) => {
            let said = config.int("sliding_window_pattern").and_then(|n| usize::try_from(n).ok());
            !(i + 1).is_multiple_of(said.unwrap_or(usual))
        }
        Windows::Switched => {
            let from = config.signed("max_window_layers").and_then(|n| usize::try_from(n).ok());
            config.flag("use_sliding_window") && i >= from.unwrap_or(0)
        }
    };
    slides.then_some(window)
}

fn latent(config: &Config) -> Result<Latent, LoadError> {
    Ok(Latent {
        heads: config.need("num_attention_heads")?,
        q_rank: config.int("q_lora_rank"),
        rank: config.need("kv_lora_rank")?,
        plain: config.need("qk_nope_head_dim")?,
        turned: config.need("qk_rope_head_dim")?,
        v: config.need("v_head_dim")?,
        bias: config.flag("attention_bias"),
    })
}

fn scan(config: &Config, version: u8, hidden: i64) -> Result<Scan, LoadError> {
    let expanded = hidden.saturating_mul(config.int("expand").unwrap_or(2));
    let base = Scan {
        state: config.need("state_size")?,
        taps: config.int("conv_kernel").unwrap_or(4),
        bias: config.flag("use_bias") || config.flag("mamba_proj_bias"),
        conv_bias: config.flag_or("use_conv_bias", true),
        ..Scan::default()
    };
    if version == 1 {
        let rank = config.int("time_step_rank").unwrap_or((hidden + 15) / 16);
        let jamba = config.says("attn_layer_period") || config.family == "jamba";
        let inner =
            if jamba { expanded } else { config.int("intermediate_size").unwrap_or(expanded) };
        return Ok(Scan { inner, rank: Some(rank), norms: jamba, ..base });
    }
    let heads = config.int("mamba_num_heads").or(config.int("num_heads")).unwrap_or(1);
    let size = config
        .int("mamba_head_dim")
        .or(config.int("head_dim").filter(|_| config.family == "mamba2"));
    let inner = size.map_or(expanded, |size| size.saturating_mul(heads));
    let inner = config.int("mamba_d_ssm").unwrap_or(inner);
    let groups = config.int("n_groups").unwrap_or(1);
    Ok(Scan {
        inner,
        heads: Some((heads, groups)),
        gated_norm: config.flag_or("mamba_rms_norm", true),
        ..base
    })
}

fn delta(config: &Config) -> Result<Delta, LoadError> {
    Ok(Delta {
        k_heads: config.need("linear_num_key_heads")?,
        k: config.need("linear_key_head_dim")?,
        v_heads: config.need("linear_num_value_heads")?,
        v: config.need("linear_value_head_dim")?,
        taps: config.int("linear_conv_kernel_dim").unwrap_or(4),
        fused: !config.family.starts_with("qwen3_5"),
    })
}

fn mlp(config: &Config, row: &Row, i: usize, hidden: i64) -> Mlp {
    let four = hidden.saturating_mul(4);
    let said = config.at("intermediate_size_mlp", i).or_else(|| config.at("intermediate_size", i));
    let ratio = config.int("expansion_ratio").map(|n| hidden.saturating_mul(n));
    let inner = said.or(ratio).unwrap_or(four);
    let shared = config
        .int("shared_expert_intermediate_size")
        .filter(|_| row.types.contains(&"granitemoehybrid"));
    Mlp {
        inner: shared.unwrap_or(inner),
        gated: row.gated,
        fused: row.gate_up,
        bias: row.mlp.of(config),
    }
}

/// Whether a layer has experts.
fn is_moe(config: &Config, i: usize) -> Result<bool, LoadError> {
    if config.experts()?.is_none() {
        return Ok(false);
    }
    let size = |key: &str| config.signed(key).and_then(|n| usize::try_from(n).ok());
    if let Some(list) = config.lists("moe_layers", i) {
        return Ok(list);
    }
    if config.lists("mlp_only_layers", i) == Some(true)
        || size("first_k_dense_replace").is_some_and(|k| i < k)
    {
        return Ok(false);
    }
    if let Some(listed) = config.item("moe_layer_freq", i).and_then(serde_json::Value::as_i64) {
        return Ok(listed != 0);
    }
    if let Some(first) = size("moe_layer_start_index") {
        let last = config
            .signed("moe_layer_end_index")
            .filter(|n| *n >= 0)
            .and_then(|n| usize::try_from(n).ok());
        let every = size("moe_layer_interval").filter(|n| *n > 0).unwrap_or(1);
        return Ok(i >= first
            && last.is_none_or(|last| i <= last)
            && (i + 1).is_multiple_of(every));
    }
    let every = |key: &str| size(key).filter(|n| *n > 0);
    if let Some(period) = every("expert_layer_period") {
        return Ok(i % period == size("expert_layer_offset").unwrap_or(0) % period);
    }
    let step = every("decoder_sparse_step").or(every("interleave_moe_layer_step")).unwrap_or(1);
    let frequency = every("moe_layer_freq").unwrap_or(1);
    Ok((i + 1).is_multiple_of(step) && i.is_multiple_of(frequency))
}

fn moe(config: &Config, row: &Row, hidden: i64) -> Result<Moe, LoadError> {
    let own = config.int("moe_intermediate_size").or_else(|| config.int("intermediate_size"));
    let inner = own.unwrap_or(hidden.saturating_mul(4));
    let experts = config.experts()?.unwrap_or(1);
    let chosen = config.int("num_experts_per_tok").unwrap_or(1).min(experts);
    let several = config.int("n_shared_experts").map(|n| n.saturating_mul(inner));
    let llama4 = row.types.contains(&"llama4_text").then_some(inner);
    let shared = config.int("shared_expert_intermediate_size").or(several).or(llama4);
    Ok(Moe {
        experts,
        chosen,
        inner,
        gated: row.gated,
        bias: row.sinks,
        router_bias: row.sinks,
        stacked: row.stacked,
        shared,
        shared_gate: row.shared_gate,
    })
}
