//! `rooflens serve-plan`: every form of a plan, and what it refuses.

use crate::cli::follows;
use crate::run::rooflens;
use serde_json::Value;
use std::path::Path;

/// Llama 3.2 1B, as its published configuration says.
const LLAMA: &str = r#"{"model_type":"llama","architectures":["LlamaForCausalLM"],"hidden_size":2048,
    "intermediate_size":8192,"num_hidden_layers":16,"num_attention_heads":32,"num_key_value_heads":8,
    "head_dim":64,"vocab_size":128256,"tie_word_embeddings":true,"hidden_act":"silu","rms_norm_eps":1e-5,
    "torch_dtype":"bfloat16"}"#;

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), LLAMA).unwrap();
    folder
}

fn plan(folder: &Path, extra: &[&str]) -> Value {
    let base = ["serve-plan", folder.to_str().unwrap(), "--on", "l4", "--format", "json"];
    let run = rooflens(&[&base, extra].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let value = serde_json::from_str(&run.stdout).unwrap();
    follows("serve_plan", &value);
    value
}

fn figure(plan: &Value, device: usize, name: &str) -> Value {
    let groups = plan["devices"][device]["groups"].as_array().unwrap();
    let mut all = groups.iter().flat_map(|group| group["figures"].as_array().unwrap());
    all.find(|figure| figure["name"] == name).unwrap().clone()
}

/// 16 layers of 2·8·64 numbers of two bytes a token; 1,235,814,400 parameters in two bytes each, the table once; the
/// L4 has 24 GB at 300 GB/s.
#[test]
fn a_plan_for_two_devices() {
    let folder = folder();
    let own = plan(folder.path(), &["--on", "h100", "--context", "2048", "--concurrency", "4"]);
    assert_eq!(own["devices"].as_array().unwrap().len(), 2);
    assert_eq!(figure(&own, 0, "cache per token")["value"], 32_768.0);
    assert_eq!(figure(&own, 0, "weights")["value"], 2.0 * 1_235_814_400.0);
    let tpot = figure(&own, 0, "TPOT");
    let seconds = (2.0 * 1_235_814_400.0 + 4.0 * 2048.0 * 32_768.0) / 300e9;
    assert!((tpot["value"].as_f64().unwrap() / seconds - 1.0).abs() < 0.01, "{tpot}");
    assert_eq!((&tpot["says"], &tpot["binds"]), (&"at least".into(), &"memory".into()));
    let rate = figure(&own, 0, "tokens/s")["value"].as_f64().unwrap();
    assert!((rate * tpot["value"].as_f64().unwrap() - 4.0).abs() < 1e-9);
    let faster = figure(&own, 1, "TPOT")["value"].as_f64().unwrap();
    assert!(faster < 0.2 * tpot["value"].as_f64().unwrap());
    let half = plan(folder.path(), &["--dtype", "w4a16", "--kv", "f8"]);
    assert_eq!(figure(&half, 0, "cache per token")["value"], 16_384.0);
    // Some bytes more: a table of angles is stored too.
    let weights = figure(&half, 0, "weights")["value"].as_f64().unwrap();
    assert!((weights / (1_235_814_400.0 / 2.0) - 1.0).abs() < 1e-6, "{weights}");
    assert_eq!(half["devices"][0]["dtype"], "f16");
    let shared = plan(folder.path(), &["--devices", "2", "--link", "32G", "--link-latency", "5"]);
    let time = figure(&shared, 0, "link time per step")["value"].as_f64().unwrap();
    // Two sums in 16 layers, each of 2048 numbers of two bytes there and back, and two messages.
    let bytes = 32.0 * 2.0 * 0.5 * 2048.0 * 2.0;
    assert!((time - (bytes / 32e9 + 32.0 * 2.0 * 5e-6)).abs() < 1e-9, "{time}");
}

#[test]
fn a_table_and_markdown() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    let table = rooflens(&["serve-plan", path, "--on", "l4", "--formulas"]).stdout;
    let marked = rooflens(&["serve-plan", path, "--on", "l4", "--format", "markdown"]).stdout;
    for word in ["sequences that fit", "at most", "TTFT", "GiB", "critical batch"] {
        assert!(marked.contains(word), "{word}: {marked}");
        assert!(table.contains(word), "{word}: {table}");
    }
    assert!(table.contains("B / TPOT") && table.contains("F = ") && !marked.contains("B / TPOT"));
    assert!(table.contains("not checked against tensors"), "{table}");
}

#[test]
fn what_cannot_be_planned_is_said() {
    let folder = folder();
    let path = folder.path().to_str().unwrap();
    for (extra, said) in [
        (&["--on", "nothing"][..], "nothing"),
        (&["--on", "l4", "--output-tokens", "5000"], "--output-tokens 5000 of a context of 4096"),
        (&["--on", "l4", "--utilization", "1.5"], "not a share"),
        (&["--on", "l4", "--lora", "0"], "not a rank"),
        (&["--on", "l4", "--context", "1000000000", "--chunk", "1"], "more than 4096 chunks"),
        (&["--on", "l4", "--prefix", "4000"], "--prefix 4000"),
    ] {
        let run = rooflens(&[&["serve-plan", path], extra].concat());
        assert!(run.code == 2 && run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    let run = rooflens(&["serve-plan", "models/resnet50.onnx", "--on", "l4"]);
    assert!(run.code == 2 && run.stderr.contains("keeps no cache"), "{}", run.stderr);
}
