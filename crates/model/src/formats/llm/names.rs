//! What the tensors of each library are called: a row for each way of naming, a name for each role.
//!
//! Names are without `.weight`, and without what wraps the model. Those of a layer follow [`Names::layer`], whose
//! braces stand for its number; those of an expert follow [`Names::expert`] and its number.

/// Names by role; empty where a library has no such tensor.
pub(super) struct Names {
    /// Whether matrices are stored as they multiply from the right, `[K, N]`, and not `[N, K]`.
    pub(super) turned: bool,
    /// What stands before the names of a layer; braces stand for its number.
    pub(super) layer: &'static str,
    /// Embedding of tokens.
    pub(super) embed: &'static str,
    /// Embedding of positions.
    pub(super) positions: &'static str,
    /// Embedding of token types.
    pub(super) types: &'static str,
    /// Norm behind the embeddings.
    pub(super) embed_norm: &'static str,
    /// From the width of the embeddings to that of the layers, where the two differ.
    pub(super) project_in: &'static str,
    /// Back from the width of the layers to that of the embeddings.
    pub(super) project_out: &'static str,
    /// Norm behind the last layer.
    pub(super) norm: &'static str,
    /// Product that gives the logits.
    pub(super) head: &'static str,
    /// Before the mixer, behind it, before the feed-forward part, behind it.
    pub(super) norms: [&'static str; 4],
    /// Queries, keys and values in one product.
    pub(super) qkv: &'static str,
    /// Queries.
    pub(super) q: &'static str,
    /// Keys.
    pub(super) k: &'static str,
    /// Values.
    pub(super) v: &'static str,
    /// Product behind the attention.
    pub(super) o: &'static str,
    /// Norm of the queries of each head.
    pub(super) q_norm: &'static str,
    /// Norm of the keys of each head.
    pub(super) k_norm: &'static str,
    /// With its suffix: it is no matrix.
    pub(super) sinks: &'static str,
    /// Latent attention: queries to their low rank.
    pub(super) q_a: &'static str,
    /// Norm of the queries of low rank.
    pub(super) q_a_norm: &'static str,
    /// Queries from their low rank.
    pub(super) q_b: &'static str,
    /// Latent attention: keys and values to their low rank, with the part of keys that is rotated.
    pub(super) kv_a: &'static str,
    /// Norm of keys and values of low rank.
    pub(super) kv_a_norm: &'static str,
    /// Keys and values from their low rank.
    pub(super) kv_b: &'static str,
    /// Gate and up in one product.
    pub(super) gate_up: &'static str,
    /// Gate of the feed-forward part.
    pub(super) gate: &'static str,
    /// Up of the feed-forward part: to its inner width.
    pub(super) up: &'static str,
    /// Down of the feed-forward part: back to the width of the layers.
    pub(super) down: &'static str,
    /// Product that chooses among experts.
    pub(super) router: &'static str,
    /// What stands before the number of an expert.
    pub(super) expert: &'static str,
    /// Of one expert: gate, up and down.
    pub(super) experts: [&'static str; 3],
    /// Of all experts together: gate and up in one, gate, up and down.
    pub(super) stacks: [&'static str; 4],
    /// Of the experts that every token takes: gate, up and down.
    pub(super) shared: [&'static str; 3],
    /// Gate of the shared expert: one number for each token.
    pub(super) shared_gate: &'static str,
    /// In, convolution, steps and vectors, steps, logarithms of decays, skip, norm, out.
    pub(super) scan: [&'static str; 8],
    /// Norms of steps and vectors.
    pub(super) scan_norms: [&'static str; 3],
    /// Added to steps.
    pub(super) step_bias: &'static str,
    /// Of linear attention: queries to gates in one, then steps and rates in one; or each by itself.
    pub(super) delta: [&'static str; 6],
}

/// As most models of the library transformers.
pub(super) const LLAMA: Names = Names {
    turned: false,
    layer: "layers.{}.",
    embed: "embed_tokens",
    positions: "",
    types: "",
    embed_norm: "",
    project_in: "",
    project_out: "",
    norm: "norm",
    head: "lm_head",
    norms: ["input_layernorm", "", "post_attention_layernorm", ""],
    qkv: "self_attn.qkv_proj",
    q: "self_attn.q_proj",
    k: "self_attn.k_proj",
    v: "self_attn.v_proj",
    o: "self_attn.o_proj",
    q_norm: "self_attn.q_norm",
    k_norm: "self_attn.k_norm",
    sinks: "self_attn.sinks",
    q_a: "self_attn.q_a_proj",
    q_a_norm: "self_attn.q_a_layernorm",
    q_b: "self_attn.q_b_proj",
    kv_a: "self_attn.kv_a_proj_with_mqa",
    kv_a_norm: "self_attn.kv_a_layernorm",
    kv_b: "self_attn.kv_b_proj",
    gate_up: "mlp.gate_up_proj",
    gate: "mlp.gate_proj",
    up: "mlp.up_proj",
    down: "mlp.down_proj",
    router: "mlp.gate",
    expert: "mlp.experts.",
    experts: ["gate_proj", "up_proj", "down_proj"],
    stacks: [
        "mlp.experts.gate_up_proj",
        "mlp.experts.gate_proj",
        "mlp.experts.up_proj",
        "mlp.experts.down_proj",
    ],
    shared: [
        "mlp.shared_experts.gate_proj",
        "mlp.shared_experts.up_proj",
        "mlp.shared_experts.down_proj",
    ],
    shared_gate: "",
    scan: [
        "mamba.in_proj",
        "mamba.conv1d",
        "mamba.x_proj",
        "mamba.dt_proj",
        "mamba.A_log",
        "mamba.D",
        "mamba.norm",
        "mamba.out_proj",
    ],
    scan_norms: ["mamba.dt_layernorm", "mamba.b_layernorm", "mamba.c_layernorm"],
    step_bias: "mamba.dt_bias",
    delta: [
        "linear_attn.in_proj_qkvz",
        "linear_attn.in_proj_ba",
        "linear_attn.in_proj_qkv",
        "linear_attn.in_proj_z",
        "linear_attn.in_proj_b",
        "linear_attn.in_proj_a",
    ],
};

/// Norms behind both parts as well.
pub(super) const GEMMA2: Names = Names {
    norms: [
        "input_layernorm",
        "post_attention_layernorm",
        "pre_feedforward_layernorm",
        "post_feedforward_layernorm",
    ],
    ..LLAMA
};

/// Norms behind both parts alone.
pub(super) const OLMO2: Names =
    Names { norms: ["", "post_attention_layernorm", "", "post_feedforward_layernorm"], ..LLAMA };

pub(super) const GLM4: Names = Names {
    norms: [
        "input_layernorm",
        "post_self_attn_layernorm",
        "post_attention_layernorm",
        "post_mlp_layernorm",
    ],
    ..LLAMA
};

pub(super) const MIXTRAL: Names = Names {
    router: "block_sparse_moe.gate",
    expert: "block_sparse_moe.experts.",
    experts: ["w1", "w3", "w2"],
    stacks: ["", "", "", ""],
    ..LLAMA
};

pub(super) const QWEN_MOE: Names = Names {
    shared: [
        "mlp.shared_expert.gate_proj",
        "mlp.shared_expert.up_proj",
        "mlp.shared_expert.down_proj",
    ],
    shared_gate: "mlp.shared_expert_gate",
    scan: [
        "",
        "linear_attn.conv1d",
        "",
        "",
        "linear_attn.A_log",
        "",
        "linear_attn.norm",
        "linear_attn.out_proj",
    ],
    step_bias: "linear_attn.dt_bias",
    ..LLAMA
};

pub(super) const GPT_OSS: Names = Names { router: "mlp.router", ..LLAMA };

pub(super) const LLAMA4: Names = Names {
    gate_up: "feed_forward.gate_up_proj",
    gate: "feed_forward.gate_proj",
    up: "feed_forward.up_proj",
    down: "feed_forward.down_proj",
    router: "feed_forward.router",
    expert: "feed_forward.experts.",
    stacks: ["feed_forward.experts.gate_up_proj", "", "", "feed_forward.experts.down_proj"],
    shared: [
        "feed_forward.shared_expert.gate_proj",
        "feed_forward.shared_expert.up_proj",
        "feed_forward.shared_expert.down_proj",
    ],
    ..LLAMA
};

pub(super) const GRANITE_MOE: Names = Names {
    router: "block_sparse_moe.router.layer",
    expert: "",
    stacks: ["block_sparse_moe.input_linear", "", "", "block_sparse_moe.output_linear"],
    shared: ["shared_mlp.input_linear", "", "shared_mlp.output_linear"],
    ..LLAMA
};

pub(super) const JAMBA: Names = Names {
    norm: "final_layernorm",
    norms: ["input_layernorm", "", "pre_ff_layernorm", ""],
    gate: "feed_forward.gate_proj",
    up: "feed_forward.up_proj",
    down: "feed_forward.down_proj",
    router: "feed_forward.router",
    expert: "feed_forward.experts.",
    stacks: ["", "", "", ""],
    ..LLAMA
};

pub(super) const MAMBA: Names = Names {
    embed: "embeddings",
    norm: "norm_f",
    norms: ["norm", "", "", ""],
    scan: [
        "mixer.in_proj",
        "mixer.conv1d",
        "mixer.x_proj",
        "mixer.dt_proj",
        "mixer.A_log",
        "mixer.D",
        "mixer.norm",
        "mixer.out_proj",
    ],
    step_bias: "mixer.dt_bias",
    ..LLAMA
};

/// One mixer a layer, of three kinds.
pub(super) const NEMOTRON_H: Names = Names {
    q: "mixer.q_proj",
    k: "mixer.k_proj",
    v: "mixer.v_proj",
    o: "mixer.o_proj",
    norms: ["norm", "", "", ""],
    up: "mixer.up_proj",
    down: "mixer.down_proj",
    router: "mixer.gate",
    expert: "mixer.experts.",
    shared: ["", "mixer.shared_experts.up_proj", "mixer.shared_experts.down_proj"],
    ..MAMBA
};

pub(super) const GPT2: Names = Names {
    turned: true,
    layer: "h.{}.",
    embed: "wte",
    positions: "wpe",
    norm: "ln_f",
    norms: ["ln_1", "", "ln_2", ""],
    qkv: "attn.c_attn",
    o: "attn.c_proj",
    up: "mlp.c_fc",
    down: "mlp.c_proj",
    ..LLAMA
};

pub(super) const GPT_BIGCODE: Names = Names { turned: false, ..GPT2 };

pub(super) const GPT_NEO: Names = Names {
    turned: false,
    q: "attn.attention.q_proj",
    k: "attn.attention.k_proj",
    v: "attn.attention.v_proj",
    o: "attn.attention.out_proj",
    ..GPT2
};

pub(super) const GPTJ: Names = Names {
    turned: false,
    positions: "",
    norms: ["ln_1", "", "", ""],
    q: "attn.q_proj",
    k: "attn.k_proj",
    v: "attn.v_proj",
    o: "attn.out_proj",
    up: "mlp.fc_in",
    down: "mlp.fc_out",
    ..GPT2
};

pub(super) const GPT_NEOX: Names = Names {
    embed: "gpt_neox.embed_in",
    layer: "gpt_neox.layers.{}.",
    norm: "gpt_neox.final_layer_norm",
    head: "embed_out",
    qkv: "attention.query_key_value",
    o: "attention.dense",
    up: "mlp.dense_h_to_4h",
    down: "mlp.dense_4h_to_h",
    ..LLAMA
};

pub(super) const FALCON: Names = Names {
    layer: "h.{}.",
    embed: "word_embeddings",
    norm: "ln_f",
    qkv: "self_attention.query_key_value",
    o: "self_attention.dense",
    up: "mlp.dense_h_to_4h",
    down: "mlp.dense_4h_to_h",
    ..LLAMA
};

/// A norm for each of both parts, side by side.
pub(super) const FALCON2: Names = Names { norms: ["ln_attn", "", "ln_mlp", ""], ..FALCON };

pub(super) const BLOOM: Names = Names { embed_norm: "word_embeddings_layernorm", ..FALCON };

pub(super) const MPT: Names = Names {
    layer: "blocks.{}.",
    embed: "wte",
    norm: "norm_f",
    norms: ["norm_1", "", "norm_2", ""],
    qkv: "attn.Wqkv",
    o: "attn.out_proj",
    up: "ffn.up_proj",
    down: "ffn.down_proj",
    ..LLAMA
};

pub(super) const OPT: Names = Names {
    layer: "decoder.layers.{}.",
    embed: "decoder.embed_tokens",
    positions: "decoder.embed_positions",
    project_in: "decoder.project_in",
    project_out: "decoder.project_out",
    norm: "decoder.final_layer_norm",
    norms: ["self_attn_layer_norm", "", "final_layer_norm", ""],
    o: "self_attn.out_proj",
    up: "fc1",
    down: "fc2",
    ..LLAMA
};

pub(super) const PHI: Names = Names {
    norm: "final_layernorm",
    norms: ["input_layernorm", "", "", ""],
    o: "self_attn.dense",
    up: "mlp.fc1",
    down: "mlp.fc2",
    q_norm: "self_attn.q_layernorm",
    k_norm: "self_attn.k_layernorm",
    ..LLAMA
};

pub(super) const STARCODER2: Names = Names { up: "mlp.c_fc", down: "mlp.c_proj", ..LLAMA };

pub(super) const BERT: Names = Names {
    layer: "encoder.layer.{}.",
    embed: "embeddings.word_embeddings",
    positions: "embeddings.position_embeddings",
    types: "embeddings.token_type_embeddings",
    embed_norm: "embeddings.LayerNorm",
    norm: "",
    norms: ["", "attention.output.LayerNorm", "", "output.LayerNorm"],
    q: "attention.self.query",
    k: "attention.self.key",
    v: "attention.self.value",
    o: "attention.output.dense",
    up: "intermediate.dense",
    down: "output.dense",
    ..LLAMA
};

pub(super) const DISTILBERT: Names = Names {
    layer: "layer.{}.",
    types: "",
    norms: ["", "sa_layer_norm", "", "output_layer_norm"],
    q: "attention.q_lin",
    k: "attention.k_lin",
    v: "attention.v_lin",
    o: "attention.out_lin",
    up: "ffn.lin1",
    down: "ffn.lin2",
    ..BERT
};

pub(super) const MODERNBERT: Names = Names {
    embed: "embeddings.tok_embeddings",
    embed_norm: "embeddings.norm",
    norm: "final_norm",
    norms: ["attn_norm", "", "mlp_norm", ""],
    qkv: "attn.Wqkv",
    o: "attn.Wo",
    gate_up: "mlp.Wi",
    down: "mlp.Wo",
    ..LLAMA
};

/// Layers of CLIP and of `SigLIP`, of either tower.
pub(super) const CLIP: Names = Names {
    layer: "encoder.layers.{}.",
    embed: "embeddings.token_embedding",
    positions: "embeddings.position_embedding",
    norm: "final_layer_norm",
    norms: ["layer_norm1", "", "layer_norm2", ""],
    o: "self_attn.out_proj",
    up: "mlp.fc1",
    down: "mlp.fc2",
    ..LLAMA
};

pub(super) const QWEN2_VISION: Names = Names {
    layer: "blocks.{}.",
    norms: ["norm1", "", "norm2", ""],
    qkv: "attn.qkv",
    o: "attn.proj",
    gate: "",
    up: "mlp.fc1",
    down: "mlp.fc2",
    ..LLAMA
};

pub(super) const QWEN2_5_VISION: Names =
    Names { gate: "mlp.gate_proj", up: "mlp.up_proj", down: "mlp.down_proj", ..QWEN2_VISION };

pub(super) const QWEN3_VISION: Names =
    Names { up: "mlp.linear_fc1", down: "mlp.linear_fc2", ..QWEN2_VISION };

pub(super) const T5_ENCODER: Names = Names {
    layer: "encoder.block.{}.",
    norm: "encoder.final_layer_norm",
    norms: ["layer.0.layer_norm", "", "layer.1.layer_norm", ""],
    qkv: "",
    q: "layer.0.SelfAttention.q",
    k: "layer.0.SelfAttention.k",
    v: "layer.0.SelfAttention.v",
    o: "layer.0.SelfAttention.o",
    gate: "layer.1.DenseReluDense.wi_0",
    up: "layer.1.DenseReluDense.wi",
    down: "layer.1.DenseReluDense.wo",
    ..LLAMA
};

pub(super) const T5_DECODER: Names = Names {
    layer: "decoder.block.{}.",
    norm: "decoder.final_layer_norm",
    norms: ["layer.0.layer_norm", "", "layer.2.layer_norm", ""],
    gate: "layer.2.DenseReluDense.wi_0",
    up: "layer.2.DenseReluDense.wi",
    down: "layer.2.DenseReluDense.wo",
    ..T5_ENCODER
};

pub(super) const BART_ENCODER: Names = Names {
    layer: "encoder.layers.{}.",
    positions: "encoder.embed_positions",
    embed_norm: "encoder.layernorm_embedding",
    norm: "encoder.layer_norm",
    norms: ["self_attn_layer_norm", "", "final_layer_norm", ""],
    o: "self_attn.out_proj",
    up: "fc1",
    down: "fc2",
    ..LLAMA
};

pub(super) const BART_DECODER: Names = Names {
    layer: "decoder.layers.{}.",
    positions: "decoder.embed_positions",
    embed_norm: "decoder.layernorm_embedding",
    norm: "decoder.layer_norm",
    ..BART_ENCODER
};

/// As llama.cpp calls them.
pub(super) const GGUF: Names = Names {
    layer: "blk.{}.",
    embed: "token_embd",
    positions: "position_embd",
    types: "token_types",
    embed_norm: "token_embd_norm",
    norm: "output_norm",
    head: "output",
    norms: ["attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"],
    qkv: "attn_qkv",
    q: "attn_q",
    k: "attn_k",
    v: "attn_v",
    o: "attn_output",
    q_norm: "attn_q_norm",
    k_norm: "attn_k_norm",
    sinks: "attn_sinks.weight",
    q_a: "attn_q_a",
    q_a_norm: "attn_q_a_norm",
    q_b: "attn_q_b",
    kv_a: "attn_kv_a_mqa",
    kv_a_norm: "attn_kv_a_norm",
    kv_b: "attn_kv_b",
    gate_up: "ffn_up",
    gate: "ffn_gate",
    up: "ffn_up",
    down: "ffn_down",
    router: "ffn_gate_inp",
    expert: "",
    stacks: ["ffn_gate_up_exps", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps"],
    shared: ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"],
    shared_gate: "ffn_gate_inp_shexp",
    scan: ["ssm_in", "ssm_conv1d", "ssm_x", "ssm_dt", "ssm_a", "ssm_d", "ssm_norm", "ssm_out"],
    scan_norms: ["ssm_dt_norm", "ssm_b_norm", "ssm_c_norm"],
    step_bias: "ssm_dt.bias",
    delta: ["ssm_in", "ssm_ba", "attn_qkv", "attn_gate", "ssm_beta", "ssm_alpha"],
    ..LLAMA
};

/// One norm before both parts of a layer, whatever the second is called.
pub(super) const GGUF_POST: Names =
    Names { norms: ["attn_norm", "", "post_attention_norm", ""], ..GGUF };

pub(super) const GGUF_BERT: Names =
    Names { norms: ["", "attn_output_norm", "", "layer_output_norm"], norm: "", ..GGUF };

pub(super) const GGUF_FALCON: Names = Names { norms: ["attn_norm_2", "", "attn_norm", ""], ..GGUF };
