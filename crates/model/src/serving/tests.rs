//! Figures against those that follow from published configurations by hand.

#![allow(clippy::float_cmp)]

use super::counts::Experts;
use super::*;
use crate::analysis::{Analysis, analyze};
use crate::dim::Bindings;
use crate::hwdb::Catalogue;
use crate::ir::Model;

/// A model of a configuration alone.
fn model(config: &str) -> (Model, Analysis) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let model = crate::formats::load(folder.path()).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    (model, analysis)
}

/// Llama 3.1 8B, as its published configuration says.
const LLAMA: &str = r#"{"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":4096,
    "intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
    "vocab_size":128256,"max_position_embeddings":131072,"tie_word_embeddings":false,"hidden_act":"silu",
    "rms_norm_eps":1e-5,"torch_dtype":"bfloat16"}"#;
/// Mixtral 8x7B.
const MIXTRAL: &str = r#"{"model_type":"mixtral","architectures":["MixtralForCausalLM"],"hidden_size":4096,
    "intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,
    "vocab_size":32000,"num_local_experts":8,"num_experts_per_tok":2,"hidden_act":"silu",
    "rms_norm_eps":1e-5,"sliding_window":null,"torch_dtype":"bfloat16"}"#;
/// A layer pattern of Gemma 3: windows of 512 on five of six layers.
const GEMMA: &str = r#"{"model_type":"gemma3_text","architectures":["Gemma3ForCausalLM"],"hidden_size":1152,
    "intermediate_size":6912,"num_hidden_layers":26,"num_attention_heads":4,"num_key_value_heads":1,
    "head_dim":256,"vocab_size":262144,"sliding_window":512,"sliding_window_pattern":6,
    "torch_dtype":"bfloat16"}"#;
/// `DeepSeek` V3: latent vectors of 512 and 64 rotated numbers a token and layer, 256 experts.
const DEEPSEEK: &str = r#"{"model_type":"deepseek_v3","architectures":["DeepseekV3ForCausalLM"],
    "hidden_size":7168,"intermediate_size":18432,"moe_intermediate_size":2048,"num_hidden_layers":61,
    "num_attention_heads":128,"num_key_value_heads":128,"kv_lora_rank":512,"q_lora_rank":1536,
    "qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,"n_routed_experts":256,
    "n_shared_experts":1,"num_experts_per_tok":8,"first_k_dense_replace":3,"vocab_size":129280,
    "torch_dtype":"bfloat16"}"#;
/// GPT-NeoX, whose attention and MLP run side by side.
const NEOX: &str = r#"{"model_type":"gpt_neox","architectures":["GPTNeoXForCausalLM"],"hidden_size":512,
    "intermediate_size":2048,"num_hidden_layers":6,"num_attention_heads":8,"vocab_size":50304,
    "use_parallel_residual":true,"torch_dtype":"float16"}"#;

fn figures(plan: &ServePlan, group: usize) -> &FigureGroup {
    &plan.devices[0].groups[group]
}

fn figure(group: &FigureGroup, name: FigureName) -> &Figure {
    group.figures.iter().find(|f| f.name == name).unwrap()
}

#[track_caller]
fn value(group: &FigureGroup, name: FigureName) -> f64 {
    figure(group, name).value.unwrap()
}

#[track_caller]
fn near(found: f64, wanted: f64, share: f64) {
    assert!((found / wanted - 1.0).abs() <= share, "{found} is not {wanted}");
}

fn plan(config: &str, setting: &Setting, device: &str) -> ServePlan {
    let (model, analysis) = model(config);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), setting.kv_bits).unwrap();
    let catalogue = Catalogue::builtin().unwrap();
    let device = catalogue.find(device).unwrap();
    ServePlan::new("m", &counts, None, setting, &[device]).unwrap()
}

/// By hand: κ = 2·8·128·2·32 bytes; all weights but the table of 128256·4096 numbers are read in a step, and one row
/// of it; (0.9·80 − 16.06)/1.0737 sequences.
#[test]
fn llama_on_an_h100() {
    let setting = Setting { context: 1024, prompt: 1000, output: 24, ..Setting::default() };
    let own = plan(LLAMA, &setting, "h100");
    let (memory, time) = (figures(&own, 0), figures(&own, 1));
    assert_eq!(value(memory, FigureName::TokenCache), 131_072.0);
    assert_eq!(value(memory, FigureName::Weights), 16_060_522_496.0);
    let tpot = figure(time, FigureName::Tpot);
    near(tpot.value.unwrap(), 4.52e-3, 1e-3);
    assert_eq!((tpot.says, tpot.binds), (Says::AtLeast, Some(Limit::Memory)));
    near(value(time, FigureName::Tokens), 1.0 / 4.5208e-3, 1e-3);
    let (model, analysis) = model(LLAMA);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None).unwrap();
    let step = Step { batch: 1, new: 1, past: 0 };
    near(counts.bytes(step, Experts::Fewest), 15.01e9, 1e-3);
    let free: f64 = 0.9 * 80e9 - counts.weights();
    assert_eq!((free / counts.cache(8192)).floor(), 52.0);
    // With what a chunk of 2048 tokens takes at least, a sequence less.
    let long = Setting { context: 8192, prompt: 8000, output: 192, ..Setting::default() };
    let fits = value(figures(&plan(LLAMA, &long, "h100"), 0), FigureName::Fits);
    assert!((51.0..=52.0).contains(&fits), "{fits}");
    let f8 = Setting { kv_bits: Some(8), ..long };
    let half = plan(LLAMA, &f8, "h100");
    assert_eq!(value(figures(&half, 0), FigureName::TokenCache), 65_536.0);
    assert!(value(figures(&half, 0), FigureName::Fits) >= 2.0 * fits);
}

/// At few kept tokens the critical batch is W/(F·β/π): the ridge by two bytes and two operations a number, and by what
/// of the weights a step reads. At many, the cache takes longer to read than its operations take, whatever the batch.
#[test]
fn the_critical_batch_of_llama() {
    let short = Setting { context: 2, prompt: 1, output: 1, ..Setting::default() };
    let own = plan(LLAMA, &short, "h100");
    let ridge = own.devices[0].peak_flops / own.devices[0].bandwidth_bytes_per_second;
    let batch = value(figures(&own, 1), FigureName::CriticalBatch);
    // At 1830 MHz the ridge is 295.
    near(ridge, 295.3 * 1980.0 / 1830.0, 2e-2);
    near(batch, ridge, 3e-2);
    let long = Setting { context: 131_072, prompt: 131_000, output: 72, ..Setting::default() };
    let own = plan(LLAMA, &long, "h100");
    let critical = figure(figures(&own, 1), FigureName::CriticalBatch);
    assert!(critical.value.is_none() && critical.note.contains("never bound by compute"));
}

/// A prompt of S tokens sees S·(S + 1)/2 pairs, in two products of 32·128 numbers a layer.
#[test]
fn scores_behind_a_token_are_not_part_of_a_bound() {
    let (model, analysis) = model(LLAMA);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None).unwrap();
    let of = |new| counts.operations(Step { batch: 1, new, past: 0 });
    let pairs = |s: f64| s * (s + 1.0) / 2.0 * (2.0 * 2.0 * 4096.0 + 6.0 * 32.0) * 32.0;
    for new in [512_u64, 8192] {
        let without = of(1) - pairs(1.0);
        let head = 2.0 * 128_256.0 * 4096.0;
        let rest = (of(new) - pairs(new as f64) - head) / (new as f64 * (without - head));
        near(rest, 1.0, 2e-3);
    }
    // The same in chunks, but for the head of each.
    let parts = counts.operations(Step { batch: 1, new: 512, past: 0 })
        + counts.operations(Step { batch: 1, new: 512, past: 512 });
    near(parts, of(1024), 2e-3);
}

/// Eight experts of 3·4096·14336 numbers in 32 layers: two of them are read for one token, and 2·(1 − ¾²)… for two.
#[test]
fn mixtral_reads_the_experts_that_are_chosen() {
    let (model, analysis) = model(MIXTRAL);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None).unwrap();
    let mixture = counts.mixture().unwrap();
    assert_eq!((mixture.layers, mixture.chosen, mixture.ratio), (32.0, 2.0, 4.0));
    let expert = 3.0 * 4096.0 * 14336.0 * 2.0 * 32.0;
    let at = |batch, experts| counts.bytes(Step { batch, new: 1, past: 0 }, experts);
    for (batch, experts) in [(1_u64, 2.0), (2, 8.0 * (1.0 - 0.75_f64.powi(2))), (64, 8.0)] {
        let more = at(batch, Experts::Even) - at(batch, Experts::Fewest);
        near(more + 1.0, (experts - 2.0) * expert + 1.0, 1e-3);
    }
    let own = plan(MIXTRAL, &Setting { concurrency: 8, devices: 2, ..Setting::default() }, "h200");
    let time = figures(&own, 1);
    assert!(value(time, FigureName::Tpot) < value(time, FigureName::TpotExpected));
    let titles: Vec<&str> = own.devices[0].groups.iter().map(|g| g.title.as_str()).collect();
    assert!(titles[4].contains("expert parallel"), "{titles:?}");
    // Two ways, eight sequences, two experts, 4096 numbers of two bytes, 32 layers; half of it leaves, by two links.
    let bytes = value(figures(&own, 4), FigureName::LinkBytes);
    near(bytes, 2.0 * 8.0 * 2.0 * 4096.0 * 2.0 * 32.0 / 2.0 / 2.0, 1e-9);
}

/// 256 experts, 8 a token: 163 of them are expected for 32 tokens. The cache is 576 numbers a layer and token.
#[test]
fn deepseek_keeps_latent_vectors() {
    let (model, analysis) = model(DEEPSEEK);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None).unwrap();
    assert_eq!(counts.cache(2) - counts.cache(1), 576.0 * 2.0 * 61.0);
    let mixture = counts.mixture().unwrap();
    assert_eq!((mixture.layers, mixture.chosen, mixture.ratio), (58.0, 8.0, 32.0));
    let at = |experts| counts.bytes(Step { batch: 32, new: 1, past: 0 }, experts);
    let expert = 3.0 * 7168.0 * 2048.0 * 2.0 * 58.0;
    near((at(Experts::Even) - at(Experts::Fewest)) / expert + 8.0, 163.0, 5e-3);
    // Split over devices, each keeps all latent vectors.
    let setting = Setting { devices: 16, utilization: 1.0, context: 1024, ..Setting::default() };
    let own = plan(DEEPSEEK, &setting, "h200");
    let fits = value(figures(&own, 2), FigureName::Fits);
    let free = 141e9 - counts.weights() / 16.0 - value(figures(&own, 0), FigureName::Activations);
    near(fits, (free / counts.cache(1024)).floor(), 0.02);
}

/// 22 layers keep 511 tokens, four keep all: 2·256·2 bytes a token and layer.
#[test]
fn windows_keep_no_more_than_they_see() {
    let (model, analysis) = model(GEMMA);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None).unwrap();
    assert_eq!(counts.cache(4096), 1024.0 * (22.0 * 511.0 + 4.0 * 4096.0));
    assert_eq!(counts.cache(100), 1024.0 * 26.0 * 100.0);
    // Behind the window each token of a prompt takes as much as the one before it, on these layers.
    let of = |new| counts.operations(Step { batch: 1, new, past: 0 });
    let (a, b) = (of(4096), of(8192));
    let full = 4.0 * (8192.0 * 8193.0 - 4096.0 * 4097.0) / 2.0 * 4.0 * (4.0 * 256.0 + 6.0);
    let linear = (b - a - full) / 4096.0;
    near(
        of(16_384)
            - b
            - 4.0 * (16_384.0 * 16_385.0 - 8192.0 * 8193.0) / 2.0 * 4.0 * (4.0 * 256.0 + 6.0),
        8192.0 * linear,
        2e-2,
    );
}

/// Two sums over devices in a layer, and one where both parts run side by side; each moves 2·(n − 1)/n of 2·h bytes.
#[test]
fn sums_over_devices() {
    for (config, layers, hidden, sums) in [(LLAMA, 32.0, 4096.0, 2.0), (NEOX, 6.0, 512.0, 1.0)] {
        let own =
            plan(config, &Setting { devices: 4, concurrency: 3, ..Setting::default() }, "h100");
        let tensor = figures(&own, 2);
        let bytes = layers * sums * 1.5 * 3.0 * hidden * 2.0;
        near(value(tensor, FigureName::LinkBytes), bytes, 1e-9);
        assert!(figure(tensor, FigureName::LinkTime).value.is_some());
        let alone = value(figures(&own, 1), FigureName::Tpot);
        assert!(value(tensor, FigureName::Tpot) < alone);
        let pipeline = figures(&own, 3);
        assert!(value(pipeline, FigureName::Latency) >= alone);
        near(
            value(pipeline, FigureName::Tokens),
            4.0 * value(figures(&own, 1), FigureName::Tokens),
            1e-9,
        );
    }
}

#[test]
fn what_more_is_asked_for() {
    let (llama, analysis) = model(LLAMA);
    let counts = Counts::new(&llama, &analysis, &Bindings::new(), None).unwrap();
    let (small, small_analysis) = model(NEOX);
    let draft = Counts::new(&small, &small_analysis, &Bindings::new(), None).unwrap();
    let catalogue = Catalogue::builtin().unwrap();
    let device = catalogue.find("h100").unwrap();
    let setting = Setting {
        prefix: Some(3000),
        lora: Some([16, 2]),
        draft: Some((0.8, 4)),
        ..Setting::default()
    };
    let own = ServePlan::new("m", &counts, Some(&draft), &setting, &[device]).unwrap();
    let (memory, time) = (figures(&own, 0), figures(&own, 1));
    // Rank 16 on q, k, v, o, gate, up and down of 32 layers, two bytes a number, two adapters.
    let sides = 2.0 * (4096.0 + 4096.0) + 2.0 * (4096.0 + 1024.0) + 3.0 * (4096.0 + 14336.0);
    near(value(memory, FigureName::Adapters), 16.0 * sides * 32.0 * 2.0 * 2.0, 1e-9);
    assert!(value(time, FigureName::TtftPrefix) < 0.3 * value(time, FigureName::Ttft));
    let fast = value(time, FigureName::TokensSpeculative) / value(time, FigureName::Tokens);
    // (1 − 0.8^5)/(1 − 0.8) = 3.36 tokens a step, which takes little longer, and four drafts.
    assert!((2.5..3.36).contains(&fast), "{fast}");
    for text in [table(&own, true), markdown(&own, true)] {
        for word in ["at least", "at most", "TPOT", "κ = K(C + 1)", "131072·past", "GiB"] {
            assert!(text.contains(word), "{word}: {text}");
        }
    }
    assert!(!table(&own, false).contains("κ = K"));
}

#[test]
fn what_is_no_decoder_is_told() {
    let bert = r#"{"model_type":"bert","architectures":["BertModel"],"hidden_size":64,"num_hidden_layers":1,
        "num_attention_heads":2,"intermediate_size":128,"vocab_size":100}"#;
    let (model, analysis) = model(bert);
    let counts = Counts::new(&model, &analysis, &Bindings::new(), None);
    assert_eq!(counts.err(), Some(CountsError::NoCache));
}
