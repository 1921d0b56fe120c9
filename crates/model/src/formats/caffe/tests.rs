//! Networks written here, as text and encoded: their counts are worked out by hand in the comments.

use super::schema::{Kind, MESSAGES};
use crate::analysis::{Analysis, analyze, settle};
use crate::dim::Bindings;
use crate::formats::prototext::{Message, Value, parse};
use crate::formats::{Given, LoadError, Wanted, load_bytes_for};
use crate::ir::Model;

fn load(file: &[u8]) -> Result<Model, LoadError> {
    let mut model = load_bytes_for(&file.to_vec().into(), &Wanted::default())?;
    settle(&mut model);
    Ok(model)
}

fn counted(file: &[u8]) -> (Model, Analysis) {
    let model = load(file).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    assert!(analysis.coverage.is_full(), "{:?}", analysis.diagnostics);
    (model, analysis)
}

/// A message as a binary file has it.
fn encoded(message: &Message, name: &str) -> Vec<u8> {
    use prost::encoding::encode_varint;
    let (_, fields) = MESSAGES.iter().find(|(n, _)| *n == name).unwrap();
    let mut out = Vec::new();
    for (field, value) in &message.0 {
        let (number, _, kind) = fields.iter().find(|f| f.1 == field).unwrap();
        let mut key = |wire: u64| encode_varint(u64::from(*number) << 3 | wire, &mut out);
        let bytes = match (kind, value) {
            (Kind::Message(inner), Value::Message(message)) => encoded(message, inner),
            (Kind::Text, Value::Text(text) | Value::Word(text)) => text.as_bytes().to_vec(),
            (Kind::Float, Value::Word(word)) => {
                key(5);
                out.extend(word.parse::<f32>().unwrap().to_le_bytes());
                continue;
            }
            (_, Value::Word(word)) => {
                key(0);
                let number = match word.as_str() {
                    "true" | "TEST" | "AVE" => 1,
                    "false" | "TRAIN" | "MAX" => 0,
                    other => other.parse().unwrap(),
                };
                encode_varint(number, &mut out);
                continue;
            }
            other => panic!("{field}: {:?}", other.1),
        };
        key(2);
        encode_varint(bytes.len() as u64, &mut out);
        out.extend(bytes);
    }
    out
}

/// Convolution 3×3 of 2 to 8 channels in 2 groups on 10×10 (padded): 8·1·9·100 = 7,200; pooled rounding up from 10
/// to 5; product of 200 by 4: 800. Parameters: 72 + 8; mean, variance and factor 17; scale and shift 16; 800 + 4.
const NET: &str = r#"
name: "net"
input: "data" input_shape { dim: 3 dim: 2 dim: 10 dim: 10 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 group: 2 } }
layer { name: "n" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "f" type: "InnerProduct" bottom: "p" top: "f" inner_product_param { num_output: 4 } }
layer { name: "d" type: "Dropout" bottom: "f" top: "f" include { phase: TRAIN } }
layer { name: "out" type: "Softmax" bottom: "f" top: "out" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "f" bottom: "label" top: "loss" include { phase: TRAIN } }
"#;

#[test]
fn a_text_is_counted() {
    let (model, analysis) = counted(NET.as_bytes());
    assert_eq!(analysis.totals.macs.to_string(), "8000·batch");
    assert_eq!(analysis.params.to_string(), "917");
    assert_eq!(model.stated.get("batch"), Some(&3));
    let output = model.graph.outputs[0];
    assert_eq!(model.graph.value(output).name, "out");
    assert_eq!(analysis.values[output.index()].to_string(), "f32[batch,4]");
}

#[test]
fn a_binary_file_is_the_same() {
    let message = parse(NET.as_bytes(), "Caffe").unwrap();
    let (_, analysis) = counted(&encoded(&message, "NetParameter"));
    assert_eq!(analysis.totals.macs.to_string(), "8000·batch");
    assert_eq!(analysis.params.to_string(), "917");
}

/// Layers of 2013: a type by its word in capitals, parameters by their names.
#[test]
fn older_generations_are_the_same() {
    let text = r#"
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" convolution_param { num_output: 5 kernel_size: 3 } }
layers { name: "f" type: INNER_PRODUCT bottom: "c" top: "f" inner_product_param { num_output: 7 } }
"#;
    // 5·3·9·36 = 4,860 and 180·7 = 1,260.
    assert_eq!(counted(text.as_bytes()).1.totals.macs.to_string(), "6120·batch");
    let text = r#"
input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "pad" }
layers { layer { name: "c" type: "conv" num_output: 5 kernelsize: 3 biasterm: false } bottom: "pad" top: "c" }
"#;
    let (_, analysis) = counted(text.as_bytes());
    assert_eq!(analysis.totals.macs.to_string(), "8640·batch");
    assert_eq!(analysis.params.to_string(), "135");
}

#[test]
fn weights_are_shared_by_name() {
    let text = r#"
input: "a" input: "b" input_shape { dim: 1 dim: 6 }
layer { name: "x" type: "InnerProduct" bottom: "a" top: "x" param { name: "w" } param { name: "v" } inner_product_param { num_output: 3 } }
layer { name: "y" type: "InnerProduct" bottom: "b" top: "y" param { name: "w" } param { name: "v" } inner_product_param { num_output: 3 } }
"#;
    let (model, analysis) = counted(text.as_bytes());
    assert_eq!((analysis.params.to_string(), model.graph.outputs.len()), ("21".to_owned(), 2));
    assert_eq!(analysis.totals.macs.to_string(), "36·batch");
}

#[test]
fn a_source_of_unknown_shape_asks_for_one() {
    let text = r#"
layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 9 } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "a" type: "Accuracy" bottom: "c" bottom: "label" top: "a" }
"#;
    let error = load(text.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("`data` states no shape"), "{error}");
    let given = Given { names: &["data"], first: 0, ranks: &[] };
    let wanted = Wanted { given, ..Wanted::default() };
    assert!(load_bytes_for(&text.as_bytes().to_vec().into(), &wanted).is_ok());
}

#[test]
fn stored_weights_that_contradict_the_layer_are_told() {
    let text = NET.replace(
        "name: \"f\"",
        "name: \"f\" blobs { shape { dim: 4 dim: 200 } } blobs { shape { dim: 5 } }",
    );
    let (model, _) = counted(text.as_bytes());
    let diagnostic = model.diagnostics.iter().find(|d| d.place.contains("`f`")).unwrap();
    assert!(diagnostic.message.contains("[5] where [4]"), "{diagnostic}");
}

#[test]
fn an_unknown_layer_lowers_the_coverage() {
    let text = NET.replace("type: \"ReLU\"", "type: \"Mystery\"");
    let model = load(text.as_bytes()).unwrap();
    let analysis = analyze(&model, &Bindings::new());
    assert!(!analysis.coverage.is_full());
}

#[test]
fn broken_files_are_errors() {
    let binary = encoded(&parse(NET.as_bytes(), "Caffe").unwrap(), "NetParameter");
    for file in [NET.as_bytes(), &binary] {
        for end in (0..file.len()).step_by(7) {
            let _ = load(&file[..end]);
        }
        for at in (0..file.len()).step_by(5) {
            let mut changed = file.to_vec();
            changed[at] = changed[at].wrapping_add(0x41);
            if let Ok(model) = load(&changed) {
                let _ = analyze(&model, &Bindings::new());
            }
        }
    }
}
