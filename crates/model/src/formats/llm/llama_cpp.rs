//! Files of llama.cpp: their keys as a configuration, and their parts as one model.

use super::config::Config;
use super::describe::Layout;
use super::gguf::{self, File, Value};
use super::names::{self, Names};
use super::tensors::Tensors;
use crate::formats::error::{invalid, malformed};
use crate::formats::{LoadError, LoadErrorKind, bytes};
use serde_json::{Map, Value as Json, json};
use std::path::Path;

/// Architectures of llama.cpp that have another name in the library transformers, or other names of tensors.
#[rustfmt::skip]
static ARCHITECTURES: &[(&str, &str, &Names)] = &[
    ("bert", "bert", &names::GGUF_BERT),
    ("command-r", "cohere", &names::GGUF),
    ("deepseek2", "deepseek_v3", &names::GGUF),
    ("ernie4_5-moe", "ernie4_5_moe", &names::GGUF),
    ("glm4moe", "glm4_moe", &names::GGUF_POST),
    ("gpt-oss", "gpt_oss", &names::GGUF_POST),
    ("gptneox", "gpt_neox", &names::GGUF),
    ("granitehybrid", "granitemoehybrid", &names::GGUF),
    ("llama4", "llama4_text", &names::GGUF),
    ("minimax-m2", "minimax_m2", &names::GGUF),
    ("mistral3", "ministral3", &names::GGUF),
    ("modern-bert", "modernbert", &names::GGUF),
    ("phi2", "phi", &names::GGUF),
    ("qwen2moe", "qwen2_moe", &names::GGUF),
    ("qwen2vl", "qwen2_vl_text", &names::GGUF),
    ("qwen35", "qwen3_5_text", &names::GGUF_POST),
    ("qwen35moe", "qwen3_5_moe_text", &names::GGUF_POST),
    ("qwen3moe", "qwen3_moe", &names::GGUF),
    ("qwen3next", "qwen3_next", &names::GGUF_POST),
    ("qwen3vl", "qwen3_vl_text", &names::GGUF),
    ("qwen3vlmoe", "qwen3_vl_moe_text", &names::GGUF),
    ("starcoder", "gpt_bigcode", &names::GGUF),
];

/// Keys of an architecture, and what configurations call them.
#[rustfmt::skip]
static KEYS: &[(&str, &str)] = &[
    ("embedding_length", "hidden_size"),
    ("feed_forward_length", "intermediate_size"),
    ("context_length", "max_position_embeddings"),
    ("vocab_size", "vocab_size"),
    ("attention.head_count", "num_attention_heads"),
    ("attention.head_count_kv", "num_key_value_heads"),
    ("attention.key_length", "head_dim"),
    ("attention.sliding_window", "sliding_window"),
    ("attention.kv_lora_rank", "kv_lora_rank"),
    ("attention.q_lora_rank", "q_lora_rank"),
    ("rope.dimension_count", "rotary_dim"),
    ("expert_count", "num_local_experts"),
    ("expert_used_count", "num_experts_per_tok"),
    ("expert_feed_forward_length", "moe_intermediate_size"),
    ("expert_shared_count", "n_shared_experts"),
    ("expert_shared_feed_forward_length", "shared_expert_intermediate_size"),
    ("full_attention_interval", "full_attention_interval"),
    ("use_parallel_residual", "use_parallel_residual"),
    ("ssm.conv_kernel", "conv_kernel"),
    ("ssm.state_size", "state_size"),
    ("ssm.group_count", "n_groups"),
];

/// What a file is that holds no model, by what it says of itself.
const OTHERS: &[(&str, &str)] = &[
    ("adapter", "a GGUF file of an adapter: changes to a model that is elsewhere"),
    ("imatrix", "a GGUF file of an importance matrix"),
    ("vocab", "a GGUF file of a vocabulary without a model"),
    ("mmproj", "a GGUF file of the vision part beside a model"),
];

/// A model with its configuration and layout.
pub(super) struct Found {
    pub(super) config: Config,
    pub(super) tensors: Tensors,
    pub(super) layout: Layout,
    /// For people: version and architecture.
    pub(super) format: String,
    pub(super) name: String,
}

/// Reads a file with all that belong to it.
pub(super) fn read(file: &[u8], folder: Option<&Path>) -> Result<Found, LoadError> {
    let mut first = gguf::read(file)?;
    refuse(&first)?;
    let parts = first.int("split.count").unwrap_or(1);
    if parts > 1 {
        first = joined(file, first, folder, parts)?;
    }
    let Some(architecture) = first.text("general.architecture").map(str::to_owned) else {
        return Err(malformed(gguf::NAME, "it says no `general.architecture`"));
    };
    if architecture == "clip" {
        return Err(LoadErrorKind::Refused {
            what: OTHERS[3].1.to_owned(),
            instead: "give the file of the model beside it".to_owned(),
        }
        .into());
    }
    let row = ARCHITECTURES.iter().find(|row| row.0 == architecture);
    let (family, names) = row.map_or((architecture.as_str(), &names::GGUF), |row| (row.1, row.2));
    let tensors = std::mem::take(&mut first.tensors);
    let tensors = Tensors::of(tensors);
    let config = config(&first, &architecture, family, &tensors)?;
    let two = tensors.any("blk.0.attn_norm_2.");
    let names = if two && architecture == "falcon" { &names::GGUF_FALCON } else { names };
    Ok(Found {
        config,
        tensors,
        layout: Layout { names: Some(names), headless: false },
        format: format!("{} {} {architecture}", gguf::NAME, first.version),
        name: first.text("general.name").unwrap_or_default().to_owned(),
    })
}

fn refuse(file: &File) -> Result<(), LoadError> {
    let kind = file.text("general.type").unwrap_or("model");
    match OTHERS.iter().find(|(name, _)| *name == kind) {
        Some((_, what)) => {
            let instead = "give the file of the model that it belongs to".to_owned();
            Err(LoadErrorKind::Refused { what: (*what).to_owned(), instead }.into())
        }
        None => Ok(()),
    }
}

/// All files of a model that is split, of which this is one.
fn joined(file: &[u8], this: File, folder: Option<&Path>, parts: i64) -> Result<File, LoadError> {
    let missing = |what: String| invalid("split file", what);
    let number = this.int("split.no").unwrap_or(0);
    if !(0..parts).contains(&number) || parts > 4096 {
        return Err(missing(format!("says it is part {number} of {parts}")));
    }
    let folder = folder
        .ok_or_else(|| missing(format!("is one of {parts}, and the others are not at hand")))?;
    let end = |i: i64| format!("-{:05}-of-{parts:05}.gguf", i + 1);
    let length = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let entries = std::fs::read_dir(folder).into_iter().flatten().take(65_536).flatten();
    let mut stems = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let stem = name.strip_suffix(&end(number))?.to_owned();
        (entry.metadata().ok()?.len() == length).then_some(stem)
    });
    let stem = stems.find(|stem| {
        let mapped = bytes::map(&folder.join(format!("{stem}{}", end(number))));
        let head = file.len().min(4096);
        mapped.is_ok_and(|other| other.get(..head) == file.get(..head))
    });
    let stem = stem
        .ok_or_else(|| missing(format!("is not called like one, as in `NAME{}`", end(number))))?;
    let mut all = File { version: this.version, keys: this.keys, tensors: Vec::new() };
    for i in 0..parts {
        let path = folder.join(format!("{stem}{}", end(i)));
        let part = gguf::read(&bytes::map(&path)?).map_err(|error| error.in_file(&path))?;
        all.tensors.extend(part.tensors);
        if i == 0 {
            all.keys = part.keys;
        }
    }
    if let Some(count) = all.int("split.tensors.count") {
        if usize::try_from(count).ok() != Some(all.tensors.len()) {
            return Err(missing(format!(
                "says {count} tensors in all, and its parts have {}",
                all.tensors.len()
            )));
        }
    }
    Ok(all)
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Int(n) => json!(n),
        Value::Real(x) => json!(x),
        Value::Bool(flag) => json!(flag),
        Value::Text(text) => json!(text),
        Value::List(list) => Json::Array(list.iter().map(plain).collect()),
        Value::Length(_) => Json::Null,
    }
}

/// The keys of a file under the names of configurations.
fn config(
    file: &File,
    architecture: &str,
    family: &str,
    tensors: &Tensors,
) -> Result<Config, LoadError> {
    let key = |key: &str| file.keys.get(&format!("{architecture}.{key}"));
    let int = |name: &str| match key(name) {
        Some(Value::Int(n)) => Some(*n),
        _ => None,
    };
    let mut said = Map::new();
    for (from, to) in KEYS {
        if let Some(value) = key(from) {
            said.insert((*to).to_owned(), plain(value));
        }
    }
    let blocks = int("block_count").ok_or_else(|| invalid("key `block_count`", "is not there"))?;
    let layers = blocks - int("nextn_predict_layers").unwrap_or(0);
    said.insert("num_hidden_layers".to_owned(), json!(layers));
    said.insert("model_type".to_owned(), json!(family));
    said.insert("tie_word_embeddings".to_owned(), json!(!tensors.any("output.")));
    let rows = tensors.find("token_embd.weight").and_then(|table| table.shape.first().copied());
    if let Some(rows) = rows {
        said.insert("vocab_size".to_owned(), json!(rows));
    } else if let Some(Value::Length(n)) = file.keys.get("tokenizer.ggml.tokens") {
        said.entry("vocab_size").or_insert(json!(n));
    }
    match key("attention.sliding_window_pattern") {
        Some(Value::List(list)) => {
            let word = |slides: bool| if slides { "sliding_attention" } else { "full_attention" };
            let kinds = list
                .iter()
                .map(|v| word(matches!(v, Value::Bool(true)) || matches!(v, Value::Int(1))));
            said.insert("layer_types".to_owned(), kinds.collect());
        }
        Some(Value::Int(n)) => drop(said.insert("sliding_window_pattern".to_owned(), json!(n))),
        _ => {}
    }
    if architecture == "llama4" {
        said.insert("attention_chunk_size".to_owned(), json!(8192));
    }
    if architecture == "falcon" {
        said.insert("parallel_attn".to_owned(), json!(true));
    }
    latent(&mut said, &int);
    states(&mut said, &int, family);
    by_layer(&mut said, layers, tensors, family);
    Ok(Config::complete(said))
}

/// Sizes of attention over latent vectors.
fn latent(said: &mut Map<String, Json>, int: &dyn Fn(&str) -> Option<i64>) {
    if int("attention.kv_lora_rank").is_none() {
        return;
    }
    let turned = int("rope.dimension_count").unwrap_or(64);
    let key =
        int("attention.key_length_mla").or_else(|| int("attention.key_length")).unwrap_or(192);
    let value =
        int("attention.value_length_mla").or_else(|| int("attention.value_length")).unwrap_or(128);
    said.insert("qk_rope_head_dim".to_owned(), json!(turned));
    said.insert("qk_nope_head_dim".to_owned(), json!(key - turned));
    said.insert("v_head_dim".to_owned(), json!(value));
}

/// Sizes of scans and of linear attention.
fn states(said: &mut Map<String, Json>, int: &dyn Fn(&str) -> Option<i64>, family: &str) {
    let Some(inner) = int("ssm.inner_size") else { return };
    let rank = int("ssm.time_step_rank");
    if family.starts_with("qwen3") {
        let state = int("ssm.state_size").unwrap_or(128);
        said.insert("linear_num_key_heads".to_owned(), json!(int("ssm.group_count")));
        said.insert("linear_key_head_dim".to_owned(), json!(state));
        said.insert("linear_num_value_heads".to_owned(), json!(rank));
        said.insert("linear_value_head_dim".to_owned(), json!(inner / rank.unwrap_or(1).max(1)));
        said.insert("linear_conv_kernel_dim".to_owned(), json!(int("ssm.conv_kernel")));
        return;
    }
    said.insert("mamba_d_ssm".to_owned(), json!(inner));
    match family {
        "mamba" => {
            said.insert("intermediate_size".to_owned(), json!(inner));
            said.insert("time_step_rank".to_owned(), json!(rank));
        }
        "jamba" => {
            said.insert("attn_layer_period".to_owned(), json!(1));
            said.insert("time_step_rank".to_owned(), json!(rank));
        }
        _ => drop(said.insert("mamba_num_heads".to_owned(), json!(rank))),
    }
}

/// What the tensors of each layer say that it is.
fn by_layer(said: &mut Map<String, Json>, layers: i64, tensors: &Tensors, family: &str) {
    let layers = layers.clamp(0, 1024);
    let has = |i: i64, role: &str| tensors.any(&format!("blk.{i}.{role}"));
    if said.contains_key("num_local_experts") {
        let dense = (0..layers).filter(|i| !has(*i, "ffn_gate_inp."));
        said.insert("mlp_only_layers".to_owned(), dense.collect());
    }
    let scans = (0..layers).any(|i| has(i, "ssm_"));
    let hybrid = ["jamba", "granitemoehybrid", "nemotron_h"].contains(&family);
    if !scans || !(hybrid || family.starts_with("qwen3")) {
        return;
    }
    let kind = |i: i64| match () {
        () if has(i, "ssm_") && family.starts_with("qwen3") => "linear_attention",
        () if has(i, "ssm_") => "mamba",
        () if has(i, "attn_q") => "attention",
        () if has(i, "ffn_gate_inp.") => "moe",
        () => "mlp",
    };
    said.insert("layer_types".to_owned(), (0..layers).map(kind).collect());
    // Sizes that are zero on layers without a part are those of the others there.
    for key in ["num_attention_heads", "num_key_value_heads", "intermediate_size"] {
        if let Some(Json::Array(list)) = said.get_mut(key) {
            let most = list.iter().filter_map(Json::as_i64).max().unwrap_or(0);
            list.iter_mut().filter(|n| n.as_i64() == Some(0)).for_each(|n| *n = json!(most));
        }
    }
}
