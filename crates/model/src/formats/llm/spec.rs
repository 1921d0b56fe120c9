//! A decoder or encoder as plain sizes: what a configuration and the row of its family say, and what the blocks write.

use super::names::Names;

/// A stack of layers between a table and a head.
#[allow(clippy::struct_excessive_bools, reason = "facts of a file, each independent of the others")]
pub(super) struct Spec {
    pub(super) names: &'static Names,
    pub(super) hidden: i64,
    pub(super) vocab: i64,
    pub(super) layers: Vec<Layer>,
    pub(super) norm: Norm,
    /// Whether norms have a bias.
    pub(super) norm_bias: bool,
    /// Rows of a table of positions.
    pub(super) positions: Option<i64>,
    /// Rows of a table of kinds of tokens.
    pub(super) types: Option<i64>,
    pub(super) embed_norm: bool,
    pub(super) final_norm: bool,
    /// Width of the table, where it is not that of the layers.
    pub(super) width: Option<i64>,
    /// Whether keys of later positions are masked, and a cache is kept.
    pub(super) causal: bool,
    pub(super) head: Head,
    /// Whether the first position goes through one more layer.
    pub(super) pooler: bool,
    /// Dimensions of each head that positions rotate.
    pub(super) rotary: Option<i64>,
    /// What is between the matrices of feed-forward parts.
    pub(super) act: &'static str,
}

/// What is behind the last layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
    /// Nothing: hidden states are the output.
    None,
    /// Logits.
    Logits {
        /// Of the table of the input, unless the files hold another.
        tied: bool,
        bias: bool,
    },
}

/// How a layer's activations are normalised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Norm {
    /// By their mean square.
    Rms,
    /// By mean and variance.
    Layer,
    /// By mean and variance, with nothing learned.
    Bare,
}

/// One layer.
pub(super) struct Layer {
    pub(super) mixer: Mixer,
    /// Feed-forward parts, side by side.
    pub(super) ffn: Vec<Ffn>,
    /// Which of its four norms the configuration asks for.
    pub(super) norms: [bool; 4],
    /// Whether both parts read the same input.
    pub(super) parallel: bool,
    /// Whether norms come behind the sum, as in BERT.
    pub(super) after: bool,
}

/// What mixes positions.
pub(super) enum Mixer {
    None,
    Attention(Attention),
    Latent(Latent),
    Scan(Scan),
    Delta(Delta),
}

/// Attention with heads that share keys.
#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a part that a family has or has not")]
pub(super) struct Attention {
    pub(super) heads: i64,
    pub(super) shared: i64,
    pub(super) d: i64,
    pub(super) bias: bool,
    pub(super) key_bias: bool,
    pub(super) out_bias: bool,
    pub(super) fused: bool,
    pub(super) norm: HeadNorm,
    /// Positions that a query sees, its own among them.
    pub(super) window: Option<i64>,
    pub(super) rotary: bool,
    pub(super) sinks: bool,
    /// Whether queries come with a gate of the output.
    pub(super) gated: bool,
}

/// How queries and keys are normalised.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum HeadNorm {
    #[default]
    None,
    /// Each head, by the same weights.
    Head,
    /// All heads together.
    Whole,
}

/// Attention over latent vectors, as in DeepSeek-V2.
pub(super) struct Latent {
    pub(super) heads: i64,
    pub(super) q_rank: Option<i64>,
    pub(super) rank: i64,
    pub(super) plain: i64,
    pub(super) turned: i64,
    pub(super) v: i64,
    pub(super) bias: bool,
}

/// A selective scan, of the first or the second Mamba.
#[derive(Clone, Default)]
#[allow(clippy::struct_excessive_bools, reason = "facts of a file, each independent of the others")]
pub(super) struct Scan {
    pub(super) inner: i64,
    pub(super) state: i64,
    pub(super) taps: i64,
    /// Of the first Mamba.
    pub(super) rank: Option<i64>,
    /// Heads and groups, of the second.
    pub(super) heads: Option<(i64, i64)>,
    pub(super) bias: bool,
    pub(super) conv_bias: bool,
    /// Whether steps and vectors are normalised, as in Jamba.
    pub(super) norms: bool,
    /// Whether the output is normalised.
    pub(super) gated_norm: bool,
}

/// Gated `DeltaNet`: heads of keys and of values with their sizes.
pub(super) struct Delta {
    pub(super) k_heads: i64,
    pub(super) k: i64,
    pub(super) v_heads: i64,
    pub(super) v: i64,
    pub(super) taps: i64,
    /// Whether queries to gates are one matrix.
    pub(super) fused: bool,
}

/// A feed-forward part.
pub(super) enum Ffn {
    Mlp(Mlp),
    Moe(Moe),
}

/// One or two matrices up, one down.
#[derive(Clone)]
pub(super) struct Mlp {
    pub(super) inner: i64,
    pub(super) gated: bool,
    /// Whether gate and up are one matrix.
    pub(super) fused: bool,
    pub(super) bias: bool,
}

/// Experts of which each token takes some.
#[allow(clippy::struct_excessive_bools, reason = "facts of a file, each independent of the others")]
pub(super) struct Moe {
    pub(super) experts: i64,
    pub(super) chosen: i64,
    pub(super) inner: i64,
    pub(super) gated: bool,
    pub(super) bias: bool,
    pub(super) router_bias: bool,
    /// Whether experts are stacked in one tensor.
    pub(super) stacked: bool,
    /// Inner size of an expert that all tokens take.
    pub(super) shared: Option<i64>,
    pub(super) shared_gate: bool,
}
