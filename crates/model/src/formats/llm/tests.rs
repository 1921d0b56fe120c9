//! Configurations of published models against their published numbers; headers and files made here against each
//! other, cut short and with bytes changed.

use super::config::Config;
use super::tensors::{Kind, Tensor, Tensors};
use super::{gguf, safetensors, written};
use crate::analysis::{Analysis, analyze};
use crate::dim::Bindings;
use crate::formats::{LoadError, Wanted, load_bytes, load_bytes_for};
use crate::ir::{DType, Model, Severity};
use bytes::Bytes;

fn at(model: &Model, sizes: &[(&str, i128)]) -> Analysis {
    let bindings: Bindings = sizes.iter().map(|(name, n)| ((*name).into(), *n)).collect();
    analyze(model, &bindings)
}

fn number(dim: &crate::dim::Dim) -> i128 {
    dim.eval(&Bindings::new()).unwrap()
}

/// Parameters and MACs with logits at one position.
#[track_caller]
fn counted(model: &Model, batch: i128, seq: i128, past: i128) -> (i128, i128) {
    let sizes = [
        ("batch", batch),
        ("seq", seq),
        ("past", past),
        ("logits", 1),
        ("encoder_seq", seq),
        ("images", 1),
    ];
    let analysis = at(model, &sizes);
    assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
    (number(&analysis.params), number(&analysis.totals.macs))
}

fn of(config: &str) -> Model {
    load_bytes(&Bytes::copy_from_slice(config.as_bytes())).unwrap()
}

/// Parameters as the cards of the models state them.
#[rustfmt::skip]
const PUBLISHED: &[(i128, &str)] = &[
    (8_030_261_248, r#"{"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,"num_key_value_heads":8,"vocab_size":128256}"#),
    (7_241_732_096, r#"{"model_type":"mistral","sliding_window":4096}"#),
    (46_702_792_704, r#"{"model_type":"mixtral"}"#),
    (7_615_616_512, r#"{"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,"num_key_value_heads":4,"vocab_size":152064}"#),
    (30_532_122_624, r#"{"model_type":"qwen3_moe","num_hidden_layers":48,"num_experts":128,"head_dim":128}"#),
    (2_614_341_888, r#"{"model_type":"gemma2"}"#),
    (2_779_683_840, r#"{"model_type":"phi","hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":32}"#),
    (3_821_079_552, r#"{"model_type":"phi3","sliding_window":2047}"#),
    (124_439_808, r#"{"model_type":"gpt2"}"#),
    (20_554_567_680, r#"{"model_type":"gpt_neox"}"#),
    (331_196_416, r#"{"model_type":"opt","hidden_size":1024,"ffn_dim":4096,"num_hidden_layers":24,"num_attention_heads":16,"word_embed_proj_dim":512,"do_layer_norm_before":false}"#),
    (559_214_592, r#"{"model_type":"bloom","n_embed":1024,"n_layer":24,"num_attention_heads":16}"#),
    (6_921_720_704, r#"{"model_type":"falcon"}"#),
    (6_649_286_656, r#"{"model_type":"mpt","d_model":4096,"n_heads":32,"n_layers":32,"vocab_size":50432}"#),
    (671_026_404_352, r#"{"model_type":"deepseek_v3"}"#),
    (20_914_757_184, r#"{"model_type":"gpt_oss","num_hidden_layers":24,"num_local_experts":32}"#),
    (7_298_617_344, r#"{"model_type":"olmo2","vocab_size":100352}"#),
    (7_272_665_088, r#"{"model_type":"falcon_mamba","hidden_size":4096,"intermediate_size":8192,"num_hidden_layers":64,"time_step_rank":256,"vocab_size":65024,"tie_word_embeddings":false}"#),
    (2_702_599_680, r#"{"model_type":"mamba2","hidden_size":2560,"num_heads":80,"n_groups":1,"vocab_size":50288,"tie_word_embeddings":true}"#),
    (51_570_323_328, r#"{"model_type":"jamba"}"#),
    (79_674_391_296, r#"{"model_type":"qwen3_next"}"#),
    (109_482_240, r#"{"model_type":"bert"}"#),
    (149_014_272, r#"{"model_type":"modernbert"}"#),
    (60_506_624, r#"{"model_type":"t5"}"#),
    (247_577_856, r#"{"model_type":"t5","d_model":768,"d_ff":2048,"num_layers":12,"num_heads":12,"feed_forward_proj":"gated-gelu","tie_word_embeddings":false}"#),
    (139_420_416, r#"{"model_type":"bart","d_model":768,"encoder_layers":6,"decoder_layers":6,"encoder_attention_heads":12,"decoder_attention_heads":12,"encoder_ffn_dim":3072,"decoder_ffn_dim":3072}"#),
    (37_760_640, r#"{"model_type":"whisper"}"#),
    (151_277_313, r#"{"model_type":"clip","text_config":{},"vision_config":{}}"#),
    (4_300_079_472, r#"{"model_type":"gemma3","text_config":{"hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":34,"model_type":"gemma3_text"},"vision_config":{"hidden_size":1152,"image_size":896,"intermediate_size":4304,"model_type":"siglip_vision_model","num_attention_heads":16,"num_hidden_layers":27,"patch_size":14}}"#),
    (8_292_166_656, r#"{"model_type":"qwen2_5_vl","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,"num_key_value_heads":4,"vision_config":{"model_type":"qwen2_5_vl","hidden_size":1280}}"#),
    (4_437_815_808, r#"{"model_type":"qwen3_vl","tie_word_embeddings":true,"text_config":{"model_type":"qwen3_vl_text","hidden_size":2560,"intermediate_size":9728,"num_hidden_layers":36,"num_key_value_heads":8,"tie_word_embeddings":true},"vision_config":{"model_type":"qwen3_vl","depth":24,"hidden_size":1024,"intermediate_size":4096,"out_hidden_size":2560,"deepstack_visual_indexes":[5,11,17]}}"#),
    (7_063_427_072, r#"{"model_type":"llava","text_config":{"model_type":"llama","vocab_size":32064},"vision_config":{"model_type":"clip_vision_model","hidden_size":1024,"intermediate_size":4096,"num_hidden_layers":24,"num_attention_heads":16,"image_size":336,"patch_size":14}}"#),
];

#[test]
fn published_models_have_their_published_parameters() {
    for (published, config) in PUBLISHED {
        let (params, macs) = counted(&of(config), 1, 2, 1);
        assert_eq!(params, *published, "{config}");
        assert!(macs > 0);
    }
}

const TINY: &str = r#"{"model_type":"llama","hidden_size":64,"intermediate_size":128,"num_hidden_layers":2,
    "num_attention_heads":4,"num_key_value_heads":2,"vocab_size":160,"torch_dtype":"bfloat16"}"#;

/// MACs of `TINY`: 2 layers of 2·64·64 + 2·32·64 + 3·128·64 numbers, scores and values of 4 heads of 16 numbers,
/// and a head of 160·64 for one position.
fn tiny_macs(batch: i128, seq: i128, past: i128) -> i128 {
    let linear = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64);
    let scores = 2 * 4 * seq * (past + seq) * 32;
    batch * (seq * linear + scores + 160 * 64)
}

#[test]
fn a_decoder_costs_its_matrices_and_its_scores() {
    let model = of(TINY);
    for (batch, seq, past) in [(1, 128, 0), (1, 1, 1023), (3, 17, 300)] {
        assert_eq!(counted(&model, batch, seq, past).1, tiny_macs(batch, seq, past));
    }
    let checked = |d: &crate::ir::Diagnostic| d.message.contains("not checked against tensors");
    assert!(model.diagnostics.iter().any(checked));
    // Keys and values of two layers and two heads of 16, in two bytes, for 1024 positions.
    let cache = at(&model, &[("batch", 1), ("seq", 1), ("past", 1023), ("logits", 1)]).cache;
    assert_eq!(number(&cache.bytes), 2 * 2 * 2 * 16 * 2 * 1024);
    assert_eq!(analyze(&model, &Bindings::new()).cache.past.as_deref(), Some("past"));
}

#[test]
fn windows_bound_keys_and_cache() {
    let config = TINY.replace("llama", "gemma3_text").replace(
        "\"hidden_size\"",
        "\"sliding_window\":8,\"sliding_window_pattern\":2,\"head_dim\":16,\"hidden_size\"",
    );
    let model = of(&config);
    let cache = at(&model, &[("batch", 1), ("seq", 1), ("past", 99), ("logits", 1)]).cache;
    // One layer keeps 7 positions, the other 100.
    assert_eq!(number(&cache.bytes), 2 * 2 * 16 * 2 * (7 + 100));
    assert_eq!(analyze(&model, &Bindings::new()).cache.past.as_deref(), Some("past"));
    let (_, near) = counted(&model, 1, 1, 7);
    let (_, far) = counted(&model, 1, 1, 99);
    assert_eq!(
        far - near,
        4 * (99 - 7) * 32,
        "the layer without a window sees more, the other does not"
    );
}

#[test]
fn a_class_stands_for_a_type() {
    for (class, kind) in
        [("GPT2LMHeadModel", "gpt2"), ("Qwen2ForCausalLM", "qwen2"), ("BertModel", "bert")]
    {
        let named = of(&format!(r#"{{"architectures":["{class}"]}}"#));
        let typed = of(&format!(r#"{{"model_type":"{kind}"}}"#));
        assert_eq!(counted(&named, 1, 1, 1), counted(&typed, 1, 1, 1));
    }
}

#[test]
fn parts_are_chosen_by_name() {
    let config = Bytes::from_static(br#"{"model_type":"t5"}"#);
    let part = |name| {
        let wanted = Wanted { signature: Some(name), ..Wanted::default() };
        load_bytes_for(&config, &wanted)
    };
    let (whole, _) = counted(&load_bytes(&config).unwrap(), 1, 1, 1);
    for name in ["encoder", "decoder"] {
        assert_eq!(counted(&part(name).unwrap(), 1, 1, 1).0, whole, "{name}");
    }
    assert!(part("head").is_err());
}

/// A plain tensor.
fn plain(name: &str, dtype: DType, shape: &[u64]) -> (String, Tensor) {
    let bytes = shape.iter().product::<u64>() * u64::from(dtype.bits()) / 8;
    (name.to_owned(), Tensor { kind: Kind::Plain(dtype), shape: shape.to_vec(), bytes })
}

/// The tensors of `TINY` as transformers saves them; `quantised` matrices of layers as AWQ packs them.
fn tiny_tensors(quantised: bool) -> Vec<(String, Tensor)> {
    let half = DType::BF16;
    let mut all = vec![
        plain("model.embed_tokens.weight", half, &[160, 64]),
        plain("model.norm.weight", half, &[64]),
        plain("lm_head.weight", half, &[160, 64]),
    ];
    let matrices = [
        ("self_attn.q_proj", 64, 64),
        ("self_attn.k_proj", 32, 64),
        ("self_attn.v_proj", 32, 64),
        ("self_attn.o_proj", 64, 64),
        ("mlp.gate_proj", 128, 64),
        ("mlp.up_proj", 128, 64),
        ("mlp.down_proj", 64, 128),
    ];
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            all.push(plain(&format!("model.layers.{layer}.{norm}.weight"), half, &[64]));
        }
        for (name, n, k) in matrices {
            let base = format!("model.layers.{layer}.{name}");
            if quantised {
                all.push(plain(&format!("{base}.qweight"), DType::I32, &[k, n / 8]));
                all.push(plain(&format!("{base}.qzeros"), DType::I32, &[k / 32, n / 8]));
                all.push(plain(&format!("{base}.scales"), DType::F16, &[k / 32, n]));
            } else {
                all.push(plain(&format!("{base}.weight"), half, &[n, k]));
            }
        }
    }
    all
}

fn with(config: &str, tensors: Vec<(String, Tensor)>) -> Result<Model, LoadError> {
    let config = Config::parse(config.as_bytes())?;
    written(&config, Tensors::of(tensors), super::Layout::default(), &Wanted::default())
}

fn stored(tensors: &[(String, Tensor)]) -> i128 {
    tensors.iter().map(|(_, tensor)| i128::from(tensor.bytes)).sum()
}

#[test]
fn every_tensor_is_accounted_for() {
    let tensors = tiny_tensors(false);
    let model = with(TINY, tensors.clone()).unwrap();
    let account = model.tensors.as_deref().unwrap();
    assert_eq!((account.matched.tensors, account.percent()), (21, 100.0));
    assert!(model.diagnostics.is_empty(), "{:?}", model.diagnostics);
    assert_eq!(counted(&model, 1, 1, 1), (94_528, tiny_macs(1, 1, 1)));
    assert_eq!(number(&at(&model, &[]).weight_bytes), stored(&tensors));

    // A layer more than the configuration has, a table twice, and one that nobody knows.
    let mut more = tensors.clone();
    more.push(plain("model.layers.2.eh_proj.weight", DType::BF16, &[64, 128]));
    more.push(plain("model.layers.0.extra.weight", DType::BF16, &[64, 4]));
    let tied = TINY.replace("\"vocab_size\"", "\"tie_word_embeddings\":true,\"vocab_size\"");
    let model = with(&tied, more.clone()).unwrap();
    let account = model.tensors.as_deref().unwrap();
    assert_eq!((account.idle.tensors, account.unknown.tensors), (2, 1));
    assert!(account.percent() < 100.0);
    assert_eq!(counted(&model, 1, 1, 1).0, 94_528 - 160 * 64);
    assert_eq!(number(&at(&model, &[]).weight_bytes), stored(&more));

    let fewer = tensors.iter().filter(|(name, _)| !name.contains("down_proj")).cloned().collect();
    let model = with(TINY, fewer).unwrap();
    assert_eq!(model.tensors.as_deref().unwrap().missing, 2);
    assert!(model.diagnostics.iter().any(|d| d.severity == Severity::Incomplete));

    let model = with(&TINY.replace("128", "96"), tensors).unwrap();
    assert_eq!(model.tensors.as_deref().unwrap().mismatched.tensors, 6);
    assert!(model.diagnostics.iter().any(|d| d.severity == Severity::Conflict));
}

#[test]
fn packed_matrices_count_their_numbers_and_the_bytes_of_the_file() {
    let tensors = tiny_tensors(true);
    let packing =
        r#""quantization_config":{"quant_method":"awq","bits":4,"group_size":32},"vocab_size""#;
    let config = TINY.replace("\"vocab_size\"", packing);
    let model = with(&config, tensors.clone()).unwrap();
    assert!(model.diagnostics.is_empty(), "{:?}", model.diagnostics);
    assert_eq!(counted(&model, 3, 17, 300), (94_528, tiny_macs(3, 17, 300)));
    assert_eq!(number(&at(&model, &[]).weight_bytes), stored(&tensors));
    // The configuration alone says as much.
    assert_eq!(counted(&of(&config), 3, 17, 300), (94_528, tiny_macs(3, 17, 300)));
}

#[test]
fn unknown_families_are_read_as_plain_decoders_where_the_tensors_are() {
    let config = TINY.replace("\"llama\"", "\"novel\"");
    let model = with(&config, tiny_tensors(false)).unwrap();
    assert!(model.diagnostics.iter().any(|d| d.severity == Severity::Warning));
    assert_eq!(counted(&model, 1, 1, 1), (94_528, tiny_macs(1, 1, 1)));
    assert!(with(&config, Vec::new()).is_err());
}

/// A safetensors file with these tensors and no weights but zeros.
fn safetensors_file(tensors: &[(&str, &str, &[u64], u64)]) -> Vec<u8> {
    let mut at = 0;
    let mut entries = Vec::new();
    for (name, dtype, shape, bytes) in tensors {
        let end = at + bytes;
        entries.push(format!(
            "\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{at},{end}]}}"
        ));
        at = end;
    }
    let header = format!("{{\"__metadata__\":{{\"format\":\"pt\"}},{}}}", entries.join(","));
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.resize(file.len() + usize::try_from(at).unwrap(), 0);
    file
}

#[test]
fn headers_are_held_against_themselves_and_the_file() {
    let good: &[(&str, &str, &[u64], u64)] =
        &[("a", "BF16", &[3, 5], 30), ("b", "F32", &[], 4), ("c", "F4", &[6], 3)];
    let file = safetensors_file(good);
    let read = safetensors::read(&file).unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!((read[0].0.as_str(), &read[0].1.shape[..]), ("a", &[3, 5][..]));
    let message = |file: &[u8]| safetensors::read(file).unwrap_err().to_string();
    assert!(message(&file[..file.len() - 7]).contains("end 7 bytes before"));
    assert!(message(b"version https://git-lfs.github.com/spec/v1").contains("LFS"));
    assert!(message(&u64::MAX.to_le_bytes()).contains("at most"));
    for wrong in [
        ("a", "BF16", &[3, 5][..], 31),
        ("a", "Q7", &[1][..], 1),
        ("a", "F32", &[u64::MAX, 2][..], 8),
    ] {
        assert!(safetensors::read(&safetensors_file(&[wrong])).is_err());
    }
    assert!(
        safetensors::read(&safetensors_file(&[good[1], good[1]])).is_err(),
        "a name that is repeated"
    );
    for cut in 0..file.len() {
        assert!(safetensors::read(&file[..cut]).is_err());
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x41;
        let _ = safetensors::read(&changed);
    }
}

/// Writes numbers of a GGUF file in one byte order and version.
struct Writer {
    out: Vec<u8>,
    big: bool,
    version: u32,
}

impl Writer {
    fn u32(&mut self, n: u32) {
        self.out.extend(if self.big { n.to_be_bytes() } else { n.to_le_bytes() });
    }

    fn u64(&mut self, n: u64) {
        self.out.extend(if self.big { n.to_be_bytes() } else { n.to_le_bytes() });
    }

    fn count(&mut self, n: u64) {
        if self.version == 1 { self.u32(u32::try_from(n).unwrap()) } else { self.u64(n) }
    }

    fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.out.extend(text.bytes());
    }
}

/// `TINY` as llama.cpp keeps it; matrices in blocks of 32 numbers in 18 bytes where `packed`.
fn tiny_gguf(version: u32, big: bool, packed: bool) -> Vec<u8> {
    let mut w = Writer { out: gguf::MAGIC.to_vec(), big, version };
    let names: Vec<(String, Vec<u64>)> = tiny_tensors(false)
        .into_iter()
        .map(|(name, tensor)| {
            let renamed = [
                ("model.embed_tokens", "token_embd"),
                ("lm_head", "output"),
                ("model.layers.", "blk."),
                ("model.norm", "output_norm"),
                ("input_layernorm", "attn_norm"),
                ("post_attention_layernorm", "ffn_norm"),
                ("self_attn.q_proj", "attn_q"),
                ("self_attn.k_proj", "attn_k"),
                ("self_attn.v_proj", "attn_v"),
                ("self_attn.o_proj", "attn_output"),
                ("mlp.gate_proj", "ffn_gate"),
                ("mlp.up_proj", "ffn_up"),
                ("mlp.down_proj", "ffn_down"),
            ];
            (renamed.iter().fold(name, |name, (from, to)| name.replace(from, to)), tensor.shape)
        })
        .collect();
    let keys: &[(&str, u32)] = &[
        ("block_count", 2),
        ("embedding_length", 64),
        ("feed_forward_length", 128),
        ("context_length", 2048),
        ("attention.head_count", 4),
        ("attention.head_count_kv", 2),
    ];
    w.u32(version);
    w.count(names.len() as u64);
    w.count(keys.len() as u64 + 2);
    w.text("general.architecture");
    w.u32(8);
    w.text("llama");
    w.text("tokenizer.ggml.tokens");
    w.u32(9);
    w.u32(8);
    w.count(3);
    for token in ["a", "bc", ""] {
        w.text(token);
    }
    for (key, value) in keys {
        w.text(&format!("llama.{key}"));
        w.u32(4);
        w.u32(*value);
    }
    let mut offset = 0;
    for (name, shape) in &names {
        w.text(name);
        w.u32(u32::try_from(shape.len()).unwrap());
        shape.iter().rev().for_each(|size| w.count(*size));
        let blocks = packed && shape.len() == 2;
        w.u32(if blocks { 2 } else { 0 });
        w.u64(offset);
        let numbers: u64 = shape.iter().product();
        offset += if blocks { numbers / 32 * 18 } else { numbers * 4 };
    }
    let data = w.out.len().next_multiple_of(32) + usize::try_from(offset).unwrap();
    w.out.resize(data, 0);
    w.out
}

#[test]
fn a_gguf_file_costs_what_the_folder_does() {
    let load = |file: Vec<u8>| load_bytes(&Bytes::from(file)).unwrap();
    for (version, big, packed) in
        [(1, false, false), (2, false, true), (3, false, true), (3, true, true)]
    {
        let model = load(tiny_gguf(version, big, packed));
        assert!(model.diagnostics.is_empty(), "{:?}", model.diagnostics);
        assert_eq!(counted(&model, 3, 17, 300), (94_528, tiny_macs(3, 17, 300)));
        let matrices = 94_528 - 5 * 64;
        let bytes = if packed { matrices / 32 * 18 } else { matrices * 4 } + 5 * 64 * 4;
        assert_eq!(number(&at(&model, &[]).weight_bytes), bytes);
    }
}

#[test]
fn broken_gguf_files_are_one_error() {
    let file = tiny_gguf(3, false, true);
    let head = file.len() - (94_208 / 32 * 18 + 5 * 64 * 4);
    for cut in (0..file.len()).step_by(7) {
        assert!(gguf::read(&file[..cut]).is_err(), "{cut}");
    }
    for at in 0..head {
        for bits in [0x01, 0x80] {
            let mut changed = file.clone();
            changed[at] ^= bits;
            if let Err(error) = load_bytes(&Bytes::from(changed)) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn sizes_beyond_any_model_are_refused() {
    for config in [
        r#"{"model_type":"llama","num_hidden_layers":1000000}"#,
        r#"{"model_type":"mixtral","num_local_experts":1000000}"#,
        r#"{"model_type":"llama","hidden_size":0,"vocab_size":-3,"num_attention_heads":9223372036854775807}"#,
        r#"{"model_type":"llama","hidden_size":8,"num_attention_heads":64}"#,
        r#"{"model_type":"llama","num_key_value_heads":64}"#,
        r#"{"architectures":[7]}"#,
        r#"{"model_type":"bert","vocab_size":"many","hidden_size":[]}"#,
    ] {
        let read = load_bytes(&Bytes::copy_from_slice(config.as_bytes()));
        assert!(read.is_err() || config.contains("many"), "{config}");
    }
    // Products of the largest sizes are refused as tensors, and not taken around.
    let wide = r#"{"model_type":"llama","hidden_size":2147483648,"intermediate_size":2147483648,"num_hidden_layers":1}"#;
    if let Ok(model) = load_bytes(&Bytes::copy_from_slice(wide.as_bytes())) {
        assert!(number(&analyze(&model, &Bindings::new()).params) > 1 << 60);
    }
}

/// Each query sees what is kept and the new keys up to its own, at most as many as a window is wide: pairs counted
/// one by one.
#[test]
fn what_a_causal_mask_hides_does_not_count_as_effective() {
    let sizes = r#""hidden_size":64,"intermediate_size":96,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":100"#;
    for (kind, window) in [(r#""llama""#, None), (r#""mistral","sliding_window":6"#, Some(6))] {
        let model = of(&format!(r#"{{"model_type":{kind},{sizes}}}"#));
        for (seq, past) in [(1, 0), (1, 9), (5, 3), (4, 0), (9, 0), (9, 7)] {
            let [batch, layers, heads, depth] = [2, 3, 4, 32];
            let kept = window.map_or(past, |w: i128| past.min(w - 1));
            let seen = |i: i128| window.map_or(kept + i + 1, |w| w.min(kept + i + 1));
            let hidden: i128 = (0..seq).map(|i| kept + seq - seen(i)).sum();
            let given = [("batch", batch), ("seq", seq), ("past", past), ("logits", 1)];
            let totals = at(&model, &given).totals;
            let spared = number(&totals.macs) - number(&totals.effective_macs);
            assert_eq!(spared, batch * layers * heads * depth * hidden, "{kind} {seq} {past}");
        }
    }
}
