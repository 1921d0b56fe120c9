//! Families of decoders and encoders: a row for each, with what its configuration does not say.

use super::config::Config;
use super::names::{self, Names};
use super::spec::{HeadNorm, Norm};

/// Whether linear layers have a bias.
#[derive(Clone, Copy)]
pub(super) enum Bias {
    No,
    Yes,
    /// As the configuration says at this key.
    At(&'static str),
    /// The other way round.
    Not(&'static str),
}

impl Bias {
    pub(super) fn of(self, config: &Config) -> bool {
        match self {
            Self::No => false,
            Self::Yes => true,
            Self::At(key) => config.flag(key),
            Self::Not(key) => !config.flag(key),
        }
    }
}

/// Which layers see a window only, where no list says it.
#[derive(Clone, Copy)]
pub(super) enum Windows {
    /// None.
    Never,
    /// All, where a window is said.
    All,
    /// All but each of so many.
    Period(usize),
    /// Those from `max_window_layers` on, if `use_sliding_window`.
    Switched,
    /// All but each third, the first among them, to both sides.
    Sides,
}

/// Where the second Mamba's or other mixers' layers are.
#[derive(Clone, Copy)]
pub(super) enum Mixers {
    Attention,
    Latent,
    Mamba,
    Mamba2,
    /// As lists of the configuration say, Mamba of this version elsewhere.
    Hybrid(u8),
    Delta,
    /// One mixer a layer, in letters.
    Letters,
}

/// A family.
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts of a family, each independent of the others"
)]
pub(super) struct Row {
    /// Names of types of models.
    pub(super) types: &'static [&'static str],
    pub(super) names: &'static Names,
    pub(super) norm: Norm,
    pub(super) norm_bias: bool,
    /// Which of the four norms there are.
    pub(super) norms: [bool; 4],
    pub(super) parallel: bool,
    pub(super) after: bool,
    pub(super) causal: bool,
    pub(super) qkv: Bias,
    pub(super) out: Bias,
    pub(super) mlp: Bias,
    pub(super) fused: bool,
    pub(super) gated: bool,
    pub(super) gate_up: bool,
    pub(super) head_norm: HeadNorm,
    /// Whether positions rotate queries and keys.
    pub(super) rotary: bool,
    /// Rows of the table of positions beyond the context; none without a table.
    pub(super) positions: Option<i64>,
    pub(super) embed_norm: bool,
    pub(super) final_norm: bool,
    pub(super) windows: Windows,
    pub(super) mixers: Mixers,
    pub(super) sinks: bool,
    pub(super) head_bias: bool,
    pub(super) shared_gate: bool,
    pub(super) stacked: bool,
    pub(super) act: &'static str,
}

const PLAIN: Row = Row {
    types: &[],
    names: &names::LLAMA,
    norm: Norm::Rms,
    norm_bias: false,
    norms: [true, false, true, false],
    parallel: false,
    after: false,
    causal: true,
    qkv: Bias::At("attention_bias"),
    out: Bias::At("attention_bias"),
    mlp: Bias::At("mlp_bias"),
    fused: false,
    gated: true,
    gate_up: false,
    head_norm: HeadNorm::None,
    rotary: true,
    positions: None,
    embed_norm: false,
    final_norm: true,
    windows: Windows::Never,
    mixers: Mixers::Attention,
    sinks: false,
    head_bias: false,
    shared_gate: false,
    stacked: false,
    act: "Swish",
};

const QWEN2: Row = Row { qkv: Bias::Yes, out: Bias::No, windows: Windows::Switched, ..PLAIN };
const QWEN3: Row = Row { head_norm: HeadNorm::Head, windows: Windows::Switched, ..PLAIN };
const QWEN_NEXT: Row = Row {
    names: &names::QWEN_MOE,
    head_norm: HeadNorm::Head,
    mixers: Mixers::Delta,
    shared_gate: true,
    ..PLAIN
};
const GEMMA2: Row = Row {
    names: &names::GEMMA2,
    norms: [true; 4],
    windows: Windows::Period(2),
    act: "Gelu",
    ..PLAIN
};
const LAYER_NORM: Row =
    Row { norm: Norm::Layer, norm_bias: true, gated: false, act: "Gelu", ..PLAIN };
const GPT2: Row = Row {
    names: &names::GPT2,
    qkv: Bias::Yes,
    out: Bias::Yes,
    mlp: Bias::Yes,
    fused: true,
    rotary: false,
    positions: Some(0),
    ..LAYER_NORM
};
const BERT: Row = Row {
    names: &names::BERT,
    qkv: Bias::Yes,
    out: Bias::Yes,
    mlp: Bias::Yes,
    norms: [false, true, false, true],
    after: true,
    causal: false,
    rotary: false,
    positions: Some(0),
    embed_norm: true,
    final_norm: false,
    ..LAYER_NORM
};
const COHERE: Row =
    Row { norm: Norm::Layer, norms: [true, false, false, false], parallel: true, ..PLAIN };
const LATENT: Row = Row { mixers: Mixers::Latent, ..PLAIN };

/// All families.
pub(super) static ROWS: &[Row] = &[
    Row { types: &["llama", "ministral3", "smollm3", "granite", "seed_oss"], ..PLAIN },
    Row { types: &["mistral"], windows: Windows::All, ..PLAIN },
    Row { types: &["mixtral"], names: &names::MIXTRAL, windows: Windows::All, ..PLAIN },
    Row {
        types: &["minimax_m2"],
        names: &names::MIXTRAL,
        head_norm: HeadNorm::Whole,
        qkv: Bias::No,
        out: Bias::No,
        ..PLAIN
    },
    Row {
        types: &["phimoe"],
        names: &names::MIXTRAL,
        norm: Norm::Layer,
        norm_bias: true,
        windows: Windows::All,
        head_bias: true,
        ..PLAIN
    },
    Row { types: &["qwen2", "qwen2_vl_text", "qwen2_5_vl_text"], ..QWEN2 },
    Row { types: &["qwen2_moe"], names: &names::QWEN_MOE, shared_gate: true, ..QWEN2 },
    Row { types: &["qwen3", "qwen3_vl_text"], ..QWEN3 },
    Row { types: &["qwen3_moe", "qwen3_vl_moe_text"], ..QWEN3 },
    Row { types: &["qwen3_next"], ..QWEN_NEXT },
    Row { types: &["qwen3_5_text", "qwen3_5_moe_text"], ..QWEN_NEXT },
    Row { types: &["gemma"], act: "Gelu", ..PLAIN },
    Row { types: &["gemma2"], ..GEMMA2 },
    Row {
        types: &["gemma3_text", "gemma3"],
        head_norm: HeadNorm::Head,
        windows: Windows::Period(6),
        ..GEMMA2
    },
    Row {
        types: &["phi3"],
        fused: true,
        gate_up: true,
        windows: Windows::All,
        qkv: Bias::No,
        out: Bias::No,
        ..PLAIN
    },
    Row {
        types: &["phi"],
        names: &names::PHI,
        norms: [true, false, false, false],
        parallel: true,
        qkv: Bias::Yes,
        out: Bias::Yes,
        mlp: Bias::Yes,
        head_bias: true,
        ..LAYER_NORM
    },
    Row { types: &["gpt2"], ..GPT2 },
    Row { types: &["gpt_bigcode"], names: &names::GPT_BIGCODE, ..GPT2 },
    Row { types: &["gpt_neo"], names: &names::GPT_NEO, fused: false, qkv: Bias::No, ..GPT2 },
    Row {
        types: &["gptj"],
        names: &names::GPTJ,
        norms: [true, false, false, false],
        parallel: true,
        qkv: Bias::No,
        out: Bias::No,
        mlp: Bias::Yes,
        head_bias: true,
        ..LAYER_NORM
    },
    Row {
        types: &["gpt_neox"],
        names: &names::GPT_NEOX,
        parallel: true,
        fused: true,
        mlp: Bias::Yes,
        ..LAYER_NORM
    },
    Row {
        types: &["falcon", "RefinedWebModel", "RefinedWeb"],
        names: &names::FALCON,
        fused: true,
        qkv: Bias::At("bias"),
        out: Bias::At("bias"),
        mlp: Bias::At("bias"),
        ..LAYER_NORM
    },
    Row {
        types: &["bloom"],
        names: &names::BLOOM,
        fused: true,
        qkv: Bias::Yes,
        out: Bias::Yes,
        mlp: Bias::Yes,
        rotary: false,
        embed_norm: true,
        ..LAYER_NORM
    },
    Row {
        types: &["mpt"],
        names: &names::MPT,
        norm_bias: false,
        fused: true,
        qkv: Bias::Not("no_bias"),
        out: Bias::Not("no_bias"),
        mlp: Bias::Not("no_bias"),
        rotary: false,
        ..LAYER_NORM
    },
    Row {
        types: &["opt"],
        names: &names::OPT,
        qkv: Bias::At("enable_bias"),
        out: Bias::At("enable_bias"),
        mlp: Bias::At("enable_bias"),
        rotary: false,
        positions: Some(2),
        act: "Relu",
        ..LAYER_NORM
    },
    Row {
        types: &["starcoder2"],
        names: &names::STARCODER2,
        qkv: Bias::At("use_bias"),
        out: Bias::At("use_bias"),
        mlp: Bias::At("use_bias"),
        windows: Windows::All,
        ..LAYER_NORM
    },
    Row {
        types: &["stablelm"],
        norm: Norm::Layer,
        norm_bias: true,
        qkv: Bias::At("use_qkv_bias"),
        out: Bias::No,
        ..PLAIN
    },
    Row { types: &["nemotron"], act: "Relu", rotary: true, ..LAYER_NORM },
    Row { types: &["cohere"], ..COHERE },
    Row { types: &["cohere2"], windows: Windows::Period(4), ..COHERE },
    Row { types: &["deepseek_v2", "deepseek_v3", "kimi_k2"], ..LATENT },
    Row {
        types: &["gpt_oss"],
        names: &names::GPT_OSS,
        windows: Windows::Period(2),
        sinks: true,
        stacked: true,
        mlp: Bias::At("attention_bias"),
        ..PLAIN
    },
    Row { types: &["llama4_text"], names: &names::LLAMA4, stacked: true, ..PLAIN },
    Row { types: &["olmo"], norm: Norm::Bare, ..PLAIN },
    Row {
        types: &["olmo2"],
        names: &names::OLMO2,
        norms: [false, true, false, true],
        head_norm: HeadNorm::Whole,
        ..PLAIN
    },
    Row {
        types: &["olmo3"],
        names: &names::OLMO2,
        norms: [false, true, false, true],
        head_norm: HeadNorm::Whole,
        windows: Windows::Period(4),
        ..PLAIN
    },
    Row {
        types: &["exaone4"],
        names: &names::OLMO2,
        norms: [false, true, false, true],
        head_norm: HeadNorm::Head,
        windows: Windows::Period(4),
        ..PLAIN
    },
    Row { types: &["olmoe"], head_norm: HeadNorm::Whole, ..PLAIN },
    Row { types: &["granitemoe"], names: &names::GRANITE_MOE, stacked: true, ..PLAIN },
    Row {
        types: &["granitemoehybrid"],
        names: &names::GRANITE_MOE,
        stacked: true,
        gate_up: true,
        mixers: Mixers::Hybrid(2),
        ..PLAIN
    },
    Row {
        types: &["glm4"],
        names: &names::GLM4,
        norms: [true; 4],
        gate_up: true,
        qkv: Bias::At("attention_bias"),
        out: Bias::No,
        ..PLAIN
    },
    Row { types: &["glm4_moe"], out: Bias::No, ..PLAIN },
    Row {
        types: &["ernie4_5_moe", "ernie4_5"],
        qkv: Bias::At("use_bias"),
        out: Bias::At("use_bias"),
        mlp: Bias::At("use_bias"),
        ..PLAIN
    },
    Row {
        types: &["mamba", "falcon_mamba"],
        names: &names::MAMBA,
        norms: [true, false, false, false],
        mixers: Mixers::Mamba,
        rotary: false,
        ..PLAIN
    },
    Row {
        types: &["mamba2"],
        names: &names::MAMBA,
        norms: [true, false, false, false],
        mixers: Mixers::Mamba2,
        rotary: false,
        ..PLAIN
    },
    Row {
        types: &["jamba"],
        names: &names::JAMBA,
        mixers: Mixers::Hybrid(1),
        rotary: false,
        ..PLAIN
    },
    Row {
        types: &["nemotron_h"],
        names: &names::NEMOTRON_H,
        norms: [true, false, false, false],
        gated: false,
        mixers: Mixers::Letters,
        rotary: false,
        act: "Relu",
        ..PLAIN
    },
    Row { types: &["bert", "electra"], ..BERT },
    Row { types: &["roberta", "xlm-roberta", "camembert", "mpnet"], ..BERT },
    Row { types: &["distilbert"], names: &names::DISTILBERT, ..BERT },
    Row {
        types: &["modernbert"],
        names: &names::MODERNBERT,
        norm: Norm::Layer,
        norm_bias: false,
        fused: true,
        gate_up: true,
        causal: false,
        embed_norm: true,
        windows: Windows::Sides,
        act: "Gelu",
        ..PLAIN
    },
];

/// The row of a type.
pub(super) fn find(family: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.types.contains(&family))
}

/// That of a plain decoder, for types that have none.
pub(super) static UNKNOWN: &Row = &PLAIN;
