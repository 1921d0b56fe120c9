//! Files of Keras: what Keras itself says of random models, kinds of files, refusals, and hostile bytes.

use super::super::zip::tests::archive;
use crate::analysis::{Analysis, analyze, settle};
use crate::dim::{Bindings, Dim};
use crate::formats::{LoadError, load_bytes};
use crate::ir::{Model, Severity};
use bytes::Bytes;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const H5: &[u8] = include_bytes!("../../../../../tests/fixtures/small.h5");
const KERAS: &[u8] = include_bytes!("../../../../../tests/fixtures/small.keras");

fn read(file: impl Into<Bytes>) -> Result<(Model, Analysis), LoadError> {
    let mut model = load_bytes(&file.into())?;
    settle(&mut model);
    let analysis = analyze(&model, &Bindings::new());
    Ok((model, analysis))
}

fn text(config: &Value) -> Vec<u8> {
    config.to_string().into_bytes()
}

/// A chain of layers of Keras 2 after an input of this shape, the batch not in it.
fn chain(shape: &[usize], layers: &[Value]) -> Value {
    let mut batch = vec![Value::Null];
    batch.extend(shape.iter().map(|n| json!(n)));
    let input =
        json!({"class_name": "InputLayer", "config": {"batch_input_shape": batch, "name": "x"}});
    let layers: Vec<&Value> = [&input].into_iter().chain(layers).collect();
    json!({"class_name": "Sequential", "keras_version": "2.15.0", "config": {"name": "net", "layers": layers}})
}

fn layer(class: &str, config: &Value) -> Value {
    let mut config = config.clone();
    config["name"] = json!(class.to_lowercase());
    config["trainable"] = json!(true);
    json!({"class_name": class, "config": config})
}

fn count(shape: &[usize], layers: &[Value]) -> (String, String) {
    let (_, analysis) = read(text(&chain(shape, layers))).unwrap();
    assert!(analysis.coverage.is_full(), "{layers:?}: {:?}", analysis.diagnostics);
    (analysis.totals.macs.to_string(), analysis.params.to_string())
}

fn refusal(file: impl Into<Bytes>) -> String {
    let error = read(file).map(|_| ()).unwrap_err();
    format!("{error}; {}", error.hint().unwrap_or_default())
}

/// `tests/fixtures/keras_models.py` made these with Keras 3.15.1, and counted products in JAX's trace.
#[test]
fn random_models_are_as_keras_has_them() {
    let cases = include_str!("../../../../../tests/fixtures/keras.json");
    let cases: Vec<Value> = serde_json::from_str(cases).unwrap();
    assert_eq!(cases.len(), 70);
    let batch = [("batch".into(), 1)].into_iter().collect::<Bindings>();
    for (i, case) in cases.iter().enumerate() {
        let mut model = load_bytes(&text(&case["config"]).into()).unwrap();
        settle(&mut model);
        let analysis = analyze(&model, &batch);
        assert!(analysis.coverage.is_full(), "{i}: {:?}", analysis.diagnostics);
        assert_eq!(analysis.params.to_string(), case["parameters"].to_string(), "{i}");
        if !case["macs"].is_null() {
            assert_eq!(analysis.totals.macs.to_string(), case["macs"].to_string(), "{i}");
        }
        for (output, due) in model.graph.outputs.iter().zip(case["outputs"].as_array().unwrap()) {
            let shape = analysis.values[output.index()].shape.clone().unwrap();
            let sizes: Vec<String> = shape.iter().map(Dim::to_string).collect();
            let due: Vec<String> = due.as_array().unwrap().iter().map(Value::to_string).collect();
            // What Keras leaves open on the first axis may be more than the batch.
            assert_eq!(sizes[1..], due[1..], "{i}");
        }
    }
}

/// Keras counts 133 parameters.
#[test]
fn archives_and_hdf5_files_are_read_and_their_weights_confirm_the_configuration() {
    for (file, kind) in [(KERAS, "Keras 3.15.1 (.keras)"), (H5, "Keras 3.15.1 (.h5)")] {
        let (model, analysis) = read(Bytes::from_static(file)).unwrap();
        assert_eq!(model.format, kind);
        assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
        assert_eq!(analysis.params.to_string(), "133");
        assert_eq!(analysis.totals.macs.to_string(), "528·batch", "120 + 2·200 + 8");
        let said: Vec<_> = model.diagnostics.iter().map(ToString::to_string).collect();
        assert!(said.is_empty(), "{said:?}");
    }
}

#[test]
fn stored_weights_of_another_shape_are_a_conflict() {
    let mut file = H5.to_vec();
    let at = |text: &[u8], file: &[u8]| file.windows(text.len()).position(|w| w == text).unwrap();
    let from = at(b"\"units\": 2, \"activation\": \"linear\"", &file);
    file[from + 9] = b'3';
    let (model, _) = read(file).unwrap();
    let conflict = model.diagnostics.iter().find(|d| d.severity == Severity::Conflict);
    let message = &conflict.expect("a conflict").message;
    assert!(message.contains("dense/kernel"), "{message}");
}

#[test]
fn recurrent_layers_have_the_parameters_that_keras_counts() {
    let gru = |after: bool| layer("GRU", &json!({"units": 5, "reset_after": after}));
    assert_eq!(count(&[7, 3], &[gru(true)]), ("840·batch".into(), "150".into()));
    assert_eq!(count(&[7, 3], &[gru(false)]), ("840·batch".into(), "135".into()));
    let lstm = layer("LSTM", &json!({"units": 5}));
    assert_eq!(count(&[7, 3], std::slice::from_ref(&lstm)), ("1120·batch".into(), "180".into()));
    let both = layer("Bidirectional", &json!({"layer": lstm, "merge_mode": "concat"}));
    assert_eq!(count(&[7, 3], &[both]), ("2240·batch".into(), "360".into()));
    let simple = layer("SimpleRNN", &json!({"units": 5}));
    assert_eq!(count(&[7, 3], &[simple]), ("280·batch".into(), "45".into()));
}

/// As JAX's trace of the layer has it: 7 frames, 2 kernels of 16 × 9.
#[test]
fn spectra_are_convolutions() {
    let settings = json!({"mode": "log", "frame_length": 16, "frame_step": 8, "fft_length": 16});
    let counted = count(&[64, 1], &[layer("STFTSpectrogram", &settings)]);
    assert_eq!(counted, ("2016·batch".into(), "288".into()));
}

#[test]
fn mixed_precision_keeps_weights_as_they_are_stored() {
    let policy = json!({"class_name": "Policy", "config": {"name": "mixed_float16"}});
    let dense = layer("Dense", &json!({"units": 5, "dtype": policy}));
    let (model, analysis) = read(text(&chain(&[4], &[dense]))).unwrap();
    let output = model.graph.outputs[0];
    assert_eq!(analysis.values[output.index()].dtype.map(crate::ir::DType::name), Some("f16"));
    assert_eq!(analysis.weight_bytes.to_string(), "100", "25 numbers of four bytes");
}

#[test]
fn a_lambda_is_a_node_of_unknown_cost_with_the_shape_that_is_stated() {
    let code = json!({"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAAA"}},
                      "output_shape": [3]});
    let layers = [layer("Lambda", &code), layer("Dense", &json!({"units": 2}))];
    let (_, analysis) = read(text(&chain(&[4], &layers))).unwrap();
    assert!(!analysis.coverage.is_full());
    assert_eq!(analysis.totals.macs.to_string(), "6·batch");
    assert_eq!(analysis.params.to_string(), "8");
}

#[test]
fn a_layer_that_is_described_twice_is_one() {
    let dense = layer("Dense", &json!({"units": 4}));
    let inner = |id: Option<u32>, name: &str| {
        let mut model = chain(&[4], std::slice::from_ref(&dense));
        model["config"]["name"] = json!(name);
        if let Some(id) = id {
            model["shared_object_id"] = json!(id);
        }
        model
    };
    let params = |models: [Value; 2]| {
        let mut outer = chain(&[4], &[]);
        let wrap = |model: Value, name: &str| json!({"class_name": "TimeDistributed", "config": {"name": name, "layer": model}});
        let [a, b] = models;
        let list = outer["config"]["layers"].as_array_mut().unwrap();
        list.extend([wrap(a, "a"), wrap(b, "b")]);
        outer["config"]["layers"][0]["config"]["batch_input_shape"] = json!([null, 2, 4]);
        read(text(&outer)).unwrap().1.params.to_string()
    };
    assert_eq!(params([inner(None, "m"), inner(Some(5), "m")]), "20");
    assert_eq!(params([inner(None, "m"), inner(None, "m")]), "20", "names of Keras's own");
    assert_eq!(params([inner(None, "m"), inner(None, "n")]), "40");
    assert_eq!(params([inner(Some(4), "m"), inner(Some(5), "m")]), "40");
}

#[test]
fn what_has_no_graph_is_refused_with_what_to_do() {
    let own = json!({"class_name": "my>Net", "config": {"units": 3}});
    assert!(refusal(text(&own)).contains("class `Net`"), "{}", refusal(text(&own)));
    assert!(refusal(text(&own)).contains("model.export("));
    let mut old = chain(&[4], &[layer("Convolution2D", &json!({"nb_filter": 3}))]);
    assert!(refusal(text(&old)).contains("Keras 2"), "{}", refusal(text(&old)));
    old["keras_version"] = json!("1.2.2");
    assert!(refusal(text(&old)).contains("Keras 1.2.2"));
    let weights: &[(&str, &[u8])] =
        &[("metadata.json", b"{}"), ("model.weights.h5", b""), ("no.config.json", b"{}")];
    assert!(refusal(archive(weights, false)).contains("without `config.json`"));
    let shapeless = json!({"class_name": "Sequential", "config": {"name": "s", "layers": [
        layer("Dense", &json!({"units": 2}))]}});
    let said = refusal(text(&shapeless));
    assert!(said.contains("`dense_input` states no shape") && said.contains("--shape"), "{said}");
}

#[test]
fn settings_that_no_layer_has_are_refused() {
    for layer in [
        layer("Dense", &json!({"units": 0})),
        layer("Dense", &json!({"units": 1_u64 << 62})),
        layer("Conv1D", &json!({"filters": 2, "kernel_size": [3, 3]})),
        layer("Conv1D", &json!({"filters": 2, "kernel_size": -1})),
        layer("Reshape", &json!({"target_shape": [-1, -1]})),
        layer("ZeroPadding1D", &json!({"padding": -4})),
    ] {
        let said = refusal(text(&chain(&[4, 4], &[layer])));
        assert!(said.contains("layer `"), "{said}");
    }
    let huge = chain(&[1 << 41], &[layer("Dense", &json!({"units": 2}))]);
    assert!(refusal(text(&huge)).contains("beyond any real tensor"));
}

#[test]
fn models_that_nest_too_deep_or_wait_for_themselves_are_refused() {
    let mut model = chain(&[4], &[layer("Dense", &json!({"units": 4}))]);
    for depth in 0..25 {
        model["config"]["name"] = json!(format!("m{depth}"));
        model = chain(&[4], &[model]);
    }
    assert!(read(text(&model)).is_ok(), "JSON of depth 100");
    let deep = "[".repeat(10_000);
    let deep = format!("{{\"class_name\": \"Sequential\", \"config\": {deep}");
    assert!(refusal(deep.into_bytes()).contains("recursion limit"));
    let node = |from: &str| json!([[[from, 0, 0, {}]]]);
    let dense = |name: &str, from: &str| {
        json!({"class_name": "Dense", "name": name, "inbound_nodes": node(from),
               "config": {"name": name, "units": 4}})
    };
    let circle = json!({"class_name": "Functional", "config": {"name": "f",
        "layers": [dense("a", "b"), dense("b", "a")], "input_layers": [], "output_layers": [["a", 0, 0]]}});
    assert!(refusal(text(&circle)).contains("wait for each other"));
}

/// A model that calls another twice, which calls another twice: twenty deep, a million layers.
#[test]
fn models_that_call_each_other_again_and_again_are_bounded() {
    let call =
        |layer: &mut Value, from: [Value; 2]| layer["inbound_nodes"] = json!([from[0], from[1]]);
    let mut model =
        json!({"class_name": "Dense", "name": "m", "config": {"name": "m", "units": 4}});
    for _ in 0..20 {
        call(&mut model, [json!([["i", 0, 0, {}]]), json!([["m", 0, 0, {}]])]);
        let input = json!({"class_name": "InputLayer", "name": "i", "inbound_nodes": [],
                           "config": {"name": "i", "batch_input_shape": [null, 4]}});
        model = json!({"class_name": "Functional", "name": "m", "config": {"name": "m",
            "layers": [input, model], "input_layers": [["i", 0, 0]], "output_layers": [["m", 1, 0]]}});
    }
    let start = Instant::now();
    let said = refusal(text(&model));
    assert!(said.contains("expand to more than") || said.contains("repeat more than"), "{said}");
    assert!(start.elapsed() < Duration::from_mins(1));
}

#[test]
fn packed_archives_are_unpacked_up_to_a_limit() {
    let config = text(&chain(&[4], &[layer("Dense", &json!({"units": 2}))]));
    let files: &[(&str, &[u8])] =
        &[("metadata.json", b"{\"keras_version\": \"3.5.0\"}"), ("config.json", &config)];
    let (model, analysis) = read(archive(files, true)).unwrap();
    assert_eq!(model.format, "Keras 3.5.0 (.keras)");
    assert_eq!(analysis.params.to_string(), "10");
    let bomb = vec![b' '; (256 << 20) + 1];
    let file = archive(&[("metadata.json", b"{}"), ("config.json", &bomb)], true);
    assert!(file.len() < 1 << 20);
    assert!(refusal(file).contains("unpacks to more than"));
}

/// Every byte of a configuration changed, files cut anywhere, and bytes of HDF5 structures changed: one error
/// or a model, and never a panic or a long wait.
#[test]
fn broken_files_are_refused_in_time() {
    let start = Instant::now();
    for file in [H5, KERAS] {
        for at in (0..file.len()).step_by(397) {
            let _ = read(Bytes::from_static(&file[..at]));
        }
        // Fixed steps, so that every run is the same; the headers come first.
        for at in (0..file.len()).step_by(311) {
            let mut bytes = file.to_vec();
            bytes[at] ^= [0x01, 0x80, 0xff, 0x41][at % 4];
            let _ = read(bytes);
        }
    }
    let config =
        text(&chain(&[4], &[layer("LSTM", &json!({"units": 2})), layer("Flatten", &json!({}))]));
    for at in 0..config.len() {
        let mut bytes = config.clone();
        bytes[at] = b"0\"]-[}"[at % 6];
        let _ = read(bytes);
    }
    assert!(start.elapsed() < Duration::from_mins(2), "{:?}", start.elapsed());
}
