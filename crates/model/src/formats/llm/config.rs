//! What a configuration says, under the names that libraries have for it, with what each family leaves out.
//!
//! A key that is absent has the family's default; one that is null has none, and its size is derived.

use crate::formats::LoadError;
use crate::formats::checked::MAX_DIM;
use crate::formats::error::invalid;
use crate::ir::DType;
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// Names of the same size in configurations of different libraries; the first is used here.
#[rustfmt::skip]
static ALIASES: &[&[&str]] = &[
    &["hidden_size", "n_embd", "d_model", "n_embed", "dim"],
    &["num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth"],
    &["num_attention_heads", "n_head", "n_heads", "num_heads", "attention_heads"],
    &["num_key_value_heads", "num_kv_heads", "n_head_kv", "kv_n_heads"],
    &["head_dim", "d_kv", "attention_head_dim"],
    &["intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff", "hidden_dim"],
    &["num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"],
    &["num_experts_per_tok", "experts_per_token", "num_experts_per_token", "top_k_experts", "moe_top_k", "moe_topk", "moe_k"],
    &["moe_intermediate_size", "expert_ffn_hidden_size"],
    &["n_shared_experts", "num_shared_experts", "moe_num_shared_experts"],
    &["shared_expert_intermediate_size", "moe_shared_expert_intermediate_size", "shared_intermediate_size"],
    &["max_position_embeddings", "n_positions", "seq_length", "max_seq_len", "model_max_length"],
    &["sliding_window", "attention_window_size", "window_size"],
    &["layer_types", "layers_block_type"],
    &["dtype", "torch_dtype"],
    &["conv_kernel", "mamba_d_conv"],
    &["state_size", "mamba_d_state", "ssm_state_size"],
    &["mamba_num_heads", "mamba_n_heads"],
    &["mamba_head_dim", "mamba_d_head"],
    &["n_groups", "mamba_n_groups"],
    &["expand", "mamba_expand"],
    &["time_step_rank", "mamba_dt_rank"],
    &["use_conv_bias", "mamba_conv_bias"],
];

/// Parts of a configuration that describe the text model, of which the first that is there counts.
const TEXTS: &[&str] = &["text_config", "llm_config", "language_config"];
/// No real model has more layers.
const MAX_LAYERS: i64 = 1024;
/// No real layer has more experts.
const MAX_EXPERTS: i64 = 2048;
/// Sizes beyond this are of no real layer; products of two stay whole numbers.
const MAX_SIZE: i64 = 1 << 31;

/// A configuration, or a part of one.
#[derive(Clone)]
pub(super) struct Config {
    /// What is said, the innermost part first.
    levels: Vec<Map<String, Value>>,
    /// What the family leaves out.
    defaults: Map<String, Value>,
    /// The type of the model, as the innermost part names it.
    pub(super) family: String,
}

/// What the table of defaults says of a type.
fn defaults(family: &str) -> Option<Map<String, Value>> {
    static TABLE: OnceLock<hashbrown::HashMap<&str, &str>> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let lines = include_str!("defaults.txt").lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| line.split_once(' ')).collect()
    });
    let pairs = table.get(family)?.split(' ').filter_map(|pair| pair.split_once('='));
    Some(
        pairs
            .filter_map(|(key, value)| Some((key.to_owned(), serde_json::from_str(value).ok()?)))
            .collect(),
    )
}

/// The type of a model of this class, as `llama` of `LlamaForCausalLM`; the class where it has none.
fn type_of(class: &str) -> String {
    let bare = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    let ends = ["For", "LMHead", "Model"].iter().filter_map(|end| class.find(end));
    let stem = bare(&class[..ends.min().unwrap_or(class.len())]);
    let types = include_str!("defaults.txt").lines().filter_map(|line| line.split(' ').next());
    let found = types.into_iter().find(|name| bare(name) == stem && !stem.is_empty());
    found.unwrap_or(class).to_owned()
}

impl Config {
    /// The configuration of a whole model.
    pub(super) fn parse(text: &[u8]) -> Result<Self, LoadError> {
        let whole: Value = serde_json::from_slice(text)
            .map_err(|error| invalid("configuration", format!("is no JSON: {error}")))?;
        let Value::Object(whole) = whole else {
            return Err(invalid("configuration", "is no JSON object"));
        };
        Ok(Self::of(whole))
    }

    /// One whose keys are these.
    pub(super) fn of(whole: Map<String, Value>) -> Self {
        let text = |key: &str| whole.get(key).and_then(Value::as_str);
        let class = || whole.get("architectures")?.as_array()?.first()?.as_str();
        let family = match text("model_type") {
            Some(family) => family.to_owned(),
            None => type_of(class().unwrap_or_default()),
        };
        let defaults = defaults(&family).unwrap_or_default();
        Self { levels: vec![whole], defaults, family }
    }

    /// One whose keys are these and that leaves nothing to its family.
    pub(super) fn complete(whole: Map<String, Value>) -> Self {
        Self { defaults: Map::new(), ..Self::of(whole) }
    }

    /// The part at `key`, alone; what it leaves out is the default of its own type.
    pub(super) fn part(&self, key: &str) -> Option<Self> {
        let Value::Object(inner) = self.levels.last()?.get(key)? else {
            return None;
        };
        let named = inner.get("model_type").and_then(Value::as_str);
        let usual = self.defaults.get(&format!("{key}.model_type")).and_then(Value::as_str);
        // Some wrappers give their parts the type of the whole.
        let named = named.filter(|name| *name != self.family || usual.is_none());
        let family = named.or(usual).unwrap_or_default().to_owned();
        // A wrapper may give its part a type that stands for the wrapper's own kind of part.
        let own = defaults(&family).or_else(|| usual.and_then(defaults)).unwrap_or_default();
        Some(Self { levels: vec![inner.clone()], defaults: own, family })
    }

    /// The part that describes the text model, before the whole of which it is a part; the whole where it is none.
    pub(super) fn text(&self) -> Self {
        let thinker = self.part("thinker_config");
        let outer = thinker.as_ref().unwrap_or(self);
        let Some(mut inner) = TEXTS.iter().find_map(|key| outer.part(key)) else {
            let family = format!("{}_text", self.family);
            return match defaults(&family).filter(|_| !self.defaults.is_empty()) {
                Some(defaults) => Self { levels: self.levels.clone(), defaults, family },
                None => self.clone(),
            };
        };
        if inner.family.is_empty() {
            inner.family = format!("{}_text", outer.family);
            inner.defaults = defaults(&inner.family).unwrap_or_default();
        }
        inner.levels.extend(outer.levels.iter().cloned());
        inner
    }

    /// What is said of a key under any of its names, null included; the default where nothing is.
    fn value(&self, key: &str) -> Option<&Value> {
        let one = [key];
        let group = ALIASES.iter().find(|group| group.contains(&key));
        // A name that is not the first of its group is meant literally.
        let names: &[&str] = group.filter(|group| group[0] == key).copied().unwrap_or(&one);
        let said =
            self.levels.iter().find_map(|level| names.iter().find_map(|name| level.get(*name)));
        said.or_else(|| names.iter().find_map(|name| self.defaults.get(*name)))
    }

    /// The class of the whole model, where it is named.
    pub(super) fn class(&self) -> Option<&str> {
        self.value("architectures")?.as_array()?.first()?.as_str()
    }

    /// Whether the configuration itself says something of a key, and not the family.
    pub(super) fn says(&self, key: &str) -> bool {
        self.levels.iter().any(|level| level.get(key).is_some_and(|value| !value.is_null()))
    }

    /// Something of a part that is not a model by itself, such as `attn_config`.
    pub(super) fn within(&self, part: &str, key: &str) -> Option<&Value> {
        self.levels.iter().find_map(|level| level.get(part)?.get(key))
    }

    /// A size, of this layer where the key lists one for each; none where it is null, zero or not said.
    pub(super) fn at(&self, key: &str, layer: usize) -> Option<i64> {
        let value = match self.value(key)? {
            Value::Array(list) => list.get(layer)?,
            value => value,
        };
        whole(value)
    }

    /// A size that holds for all layers; the largest of a list.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.value(key)? {
            Value::Array(list) => list.iter().filter_map(whole).max(),
            value => whole(value),
        }
    }

    /// A number that may be zero or negative.
    pub(super) fn signed(&self, key: &str) -> Option<i64> {
        self.value(key)?.as_i64()
    }

    /// A size that no model of its kind does without.
    pub(super) fn need(&self, key: &str) -> Result<i64, LoadError> {
        self.int(key).ok_or_else(|| invalid("configuration", format!("says no `{key}`")))
    }

    /// A number that is no integer.
    pub(super) fn real(&self, key: &str) -> Option<f64> {
        self.value(key)?.as_f64()
    }

    /// A flag; false where nothing is said.
    pub(super) fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    /// A flag.
    pub(super) fn flag_or(&self, key: &str, otherwise: bool) -> bool {
        self.value(key).and_then(Value::as_bool).unwrap_or(otherwise)
    }

    /// A text.
    pub(super) fn word(&self, key: &str) -> Option<&str> {
        self.value(key)?.as_str()
    }

    /// What a list says at a place.
    pub(super) fn item(&self, key: &str, at: usize) -> Option<&Value> {
        self.value(key)?.as_array()?.get(at)
    }

    /// Whether a list of numbers holds this one; none where there is no list.
    pub(super) fn lists(&self, key: &str, number: usize) -> Option<bool> {
        let list = self.value(key)?.as_array()?;
        Some(list.iter().any(|n| n.as_u64().and_then(|n| usize::try_from(n).ok()) == Some(number)))
    }

    /// The number of layers at a key.
    pub(super) fn layers(&self, key: &str) -> Result<usize, LoadError> {
        let n = self.need(key)?;
        if n > MAX_LAYERS {
            return Err(invalid(
                "configuration",
                format!("says {n} layers, of at most {MAX_LAYERS}"),
            ));
        }
        Ok(usize::try_from(n).unwrap_or(0))
    }

    /// The number of experts of a layer, where it has some.
    pub(super) fn experts(&self) -> Result<Option<i64>, LoadError> {
        match self.int("num_local_experts") {
            Some(n) if n > MAX_EXPERTS => {
                Err(invalid("configuration", format!("says {n} experts, of at most {MAX_EXPERTS}")))
            }
            n => Ok(n),
        }
    }

    /// The type in which weights are stored and products computed, where it is said.
    pub(super) fn dtype(&self) -> Option<DType> {
        let word = self.word("dtype")?;
        match word.strip_prefix("torch.").unwrap_or(word) {
            "bfloat16" => Some(DType::BF16),
            "float16" => Some(DType::F16),
            "float32" => Some(DType::F32),
            _ => None,
        }
    }

    /// How matrices are packed, where the configuration says that they are.
    pub(super) fn packing(&self) -> Option<Packing> {
        let said = |level: &Map<String, Value>| {
            ["quantization_config", "quantization"].iter().find_map(|key| level.get(*key).cloned())
        };
        Packing::of(&self.levels.iter().find_map(said)?)
    }
}

/// A size; none of what is no positive integer, or beyond any real layer.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().filter(|n| (1..=MAX_SIZE.min(MAX_DIM)).contains(n))
}

/// How the matrices of a model are packed.
#[derive(Clone, Debug)]
pub(super) struct Packing {
    /// What the library calls it.
    pub(super) method: String,
    /// Bits of a number.
    pub(super) bits: i64,
    /// Numbers that share a scale; none where a row does.
    pub(super) group: Option<i64>,
    /// Bits of a scale.
    pub(super) scale_bits: i64,
    /// Parts of names of matrices that are not packed.
    plain: Vec<String>,
}

impl Packing {
    fn of(said: &Value) -> Option<Self> {
        let method = said.get("quant_method").and_then(Value::as_str).unwrap_or("mlx").to_owned();
        let groups = said.get("config_groups").and_then(Value::as_object);
        let inner = groups.and_then(|groups| groups.values().next()?.get("weights"));
        let number = |keys: &[&str]| {
            let places = [Some(said), inner];
            places
                .into_iter()
                .flatten()
                .find_map(|at| keys.iter().find_map(|key| at.get(*key)?.as_i64()))
        };
        let set = |key: &str| said.get(key).and_then(Value::as_bool).unwrap_or(false);
        let algorithm = said.get("quant_algo").and_then(Value::as_str).unwrap_or_default();
        let bits = number(&["bits", "w_bit", "num_bits"]).unwrap_or(match method.as_str() {
            "mxfp4" => 4,
            "bitsandbytes" if !set("load_in_8bit") => 4,
            _ if algorithm.contains('4') => 4,
            _ => 8,
        });
        let group =
            number(&["group_size", "q_group_size"]).filter(|n| *n > 0).or(match method.as_str() {
                "mxfp4" => Some(32),
                "bitsandbytes" => Some(64),
                _ if algorithm.contains("NVFP4") => Some(16),
                _ => None,
            });
        let names = ["modules_to_not_convert", "ignore", "llm_int8_skip_modules", "ignored_layers"];
        let lists = names.iter().filter_map(|name| said.get(*name)?.as_array());
        let plain = lists.flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let scale_bits = if method == "mxfp4" || algorithm.contains("NVFP4") { 8 } else { 16 };
        (1..=16).contains(&bits).then_some(Self { method, bits, group, scale_bits, plain })
    }

    /// Whether a matrix of this name is packed, tables and heads aside.
    pub(super) fn packs(&self, name: &str) -> bool {
        if name.contains("lm_head") || name.contains("embed") || name.ends_with("router") {
            return false;
        }
        !self.plain.iter().any(|part| {
            let part =
                super::tensors::plain(part.trim_start_matches("re:").trim_matches(['.', '*']));
            let mut pieces = part.split('*');
            !part.is_empty() && pieces.all(|piece| name.contains(piece.trim_matches('.')))
        })
    }
}
