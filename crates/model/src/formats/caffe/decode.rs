//! From a file, text or binary, to layers: one spelling for three generations of the format, in the TEST phase.

use super::NAME;
use super::schema::{Field, Kind, MESSAGES, V1_TYPES};
use crate::formats::error::{invalid, malformed};
use crate::formats::limits::MAX_NODES;
use crate::formats::prototext::{self, Message, Value};
use crate::formats::{LoadError, wire};
use std::collections::HashMap;
use std::sync::OnceLock;

/// Messages of a binary file nest no deeper.
const MAX_DEPTH: usize = 16;

/// A network as its file has it.
pub(super) struct Net {
    pub(super) name: String,
    /// Inputs that stand outside of layers, with their sizes.
    pub(super) inputs: Vec<(String, Vec<i64>)>,
    pub(super) layers: Vec<Layer>,
}

/// A layer.
pub(super) struct Layer {
    pub(super) name: String,
    /// The present name of its type.
    pub(super) kind: String,
    pub(super) bottoms: Vec<String>,
    pub(super) tops: Vec<String>,
    /// Names under which its parameters are shared, by their place.
    pub(super) shared: Vec<String>,
    /// The shapes of its stored parameters.
    pub(super) blobs: Vec<Vec<i64>>,
    /// All its fields.
    pub(super) fields: Message,
}

impl Layer {
    /// One of its messages, such as `convolution_param`; empty where it has none.
    pub(super) fn param(&self, name: &str) -> Message {
        self.fields.message(name).cloned().unwrap_or_default()
    }
}

/// The network of a text.
pub(super) fn text(bytes: &[u8]) -> Result<Net, LoadError> {
    net(&prototext::parse(bytes, NAME)?)
}

/// The network of a binary file.
pub(super) fn binary(bytes: &[u8]) -> Result<Net, LoadError> {
    let mut count = 0;
    net(&message(bytes, "NetParameter", 0, &mut count)?)
}

fn fields_of(name: &str) -> &'static HashMap<u64, Field> {
    type Tables = HashMap<&'static str, HashMap<u64, Field>>;
    static TABLES: OnceLock<Tables> = OnceLock::new();
    static NONE: OnceLock<HashMap<u64, Field>> = OnceLock::new();
    let tables = TABLES.get_or_init(|| {
        let table = |(name, fields): &(&'static str, &[Field])| {
            (*name, fields.iter().map(|f| (u64::from(f.0), *f)).collect())
        };
        MESSAGES.iter().map(table).collect()
    });
    tables.get(name).unwrap_or_else(|| NONE.get_or_init(HashMap::new))
}

/// A message of this type as the text form would have it. Fields without a name are stepped over.
fn message(
    bytes: &[u8],
    name: &str,
    depth: usize,
    count: &mut usize,
) -> Result<Message, LoadError> {
    if depth > MAX_DEPTH {
        return Err(malformed(NAME, "messages nest too deep"));
    }
    let table = fields_of(name);
    let mut read = Message::default();
    for field in wire::fields(bytes) {
        let field = field.ok_or_else(|| malformed(NAME, format!("a {name} is cut short")))?;
        let Some((_, name, kind)) = table.get(&field.number) else { continue };
        let values = match (kind, field.contents) {
            (Kind::Message(inner), Some(bytes)) => {
                vec![Value::Message(message(bytes, inner, depth + 1, count)?)]
            }
            _ => plain(name, *kind, &field)?,
        };
        *count += values.len();
        if *count > MAX_NODES {
            return Err(malformed(NAME, "it has more fields than any real model"));
        }
        read.0.extend(values.into_iter().map(|value| ((*name).to_owned(), value)));
    }
    Ok(read)
}

/// The numbers or the text of a field.
fn plain(name: &str, kind: Kind, field: &wire::Field<'_>) -> Result<Vec<Value>, LoadError> {
    let word = |text: String| Value::Word(text);
    Ok(match (kind, field.contents, field.varint) {
        (Kind::Int, _, Some(n)) => vec![number(n.cast_signed())],
        (Kind::Int, Some(packed), None) if field.delimited => {
            let mut rest = packed;
            let mut values = Vec::new();
            while !rest.is_empty() {
                let n = prost::encoding::decode_varint(&mut rest)
                    .map_err(|_| malformed(NAME, format!("`{name}` is cut short")))?;
                values.push(number(n.cast_signed()));
                if values.len() > MAX_NODES {
                    return Err(malformed(
                        NAME,
                        format!("`{name}` has more numbers than any model"),
                    ));
                }
            }
            values
        }
        (Kind::Float, Some(packed), _) => {
            let (chunks, _) = packed.as_chunks::<4>();
            chunks.iter().map(|bytes| word(f32::from_le_bytes(*bytes).to_string())).collect()
        }
        (Kind::Text, Some(text), _) => {
            vec![Value::Text(String::from_utf8_lossy(text).into_owned())]
        }
        _ => return Err(malformed(NAME, format!("`{name}` has another wire type"))),
    })
}

fn number(n: i64) -> Value {
    Value::Word(n.to_string())
}

fn net(file: &Message) -> Result<Net, LoadError> {
    let owned = |name: &str| file.texts(name).map(str::to_owned).collect::<Vec<_>>();
    let names = owned("input");
    let dims: Vec<i64> = file.ints("input_dim").collect();
    let shapes: Vec<Vec<i64>> =
        file.messages("input_shape").map(|shape| shape.ints("dim").collect()).collect();
    let shape = |at: usize| {
        let old = || dims.get(4 * at..4 * at + 4).map(<[i64]>::to_vec);
        shapes.get(at).or(shapes.first()).cloned().or_else(old).unwrap_or_default()
    };
    let inputs = names.into_iter().enumerate().map(|(at, name)| (name, shape(at))).collect();
    let stages: Vec<String> =
        file.messages("state").flat_map(|s| s.texts("stage")).map(str::to_owned).collect();
    let mut layers = Vec::new();
    let mut padding: HashMap<String, (i64, String)> = HashMap::new();
    for (_, value) in file.0.iter().filter(|(name, _)| name == "layer" || name == "layers") {
        let Value::Message(fields) = value else {
            return Err(invalid("layer", "is no message"));
        };
        let outer = fields;
        let upgraded = fields.message("layer").map(|inner| v0(inner, outer));
        let fields = upgraded.as_ref().unwrap_or(fields);
        if !in_test(fields, &stages) {
            continue;
        }
        let mut layer = layer(fields)?;
        // A layer that only pads, of the first generation, is part of the convolution after it.
        if layer.kind == "Padding" {
            let pad = layer.param("convolution_param").int("pad").unwrap_or(0);
            if let (Some(top), Some(bottom)) = (layer.tops.first(), layer.bottoms.first()) {
                padding.insert(top.clone(), (pad, bottom.clone()));
            }
            continue;
        }
        if let Some((pad, bottom)) = layer.bottoms.first().and_then(|b| padding.get(b)).cloned() {
            layer.bottoms[0] = bottom;
            let mut param = layer.param("convolution_param");
            param.0.push(("pad".into(), number(pad)));
            layer.fields.0.push(("convolution_param".into(), Value::Message(param)));
        }
        layers.push(layer);
    }
    Ok(Net { name: file.text("name").unwrap_or_default().to_owned(), inputs, layers })
}

fn layer(fields: &Message) -> Result<Layer, LoadError> {
    let list = |name: &str| fields.texts(name).map(str::to_owned).collect::<Vec<_>>();
    let name = fields.text("name").unwrap_or_default().to_owned();
    let word = fields.text("type").unwrap_or_default();
    let old = V1_TYPES
        .iter()
        .find(|(number, old, _)| *old == word || prototext::integer(word) == Some(*number));
    let kind = old.map_or(word, |(_, _, name)| name).to_owned();
    if kind.is_empty() {
        return Err(invalid(format!("layer `{name}`"), "has no type"));
    }
    // Since 2014 a message each; before, only the name.
    let shared = fields.all("param").map(|value| match value {
        Value::Text(name) | Value::Word(name) => name.clone(),
        Value::Message(param) => param.text("name").unwrap_or_default().to_owned(),
        Value::Bytes(_) => String::new(),
    });
    let blob = |blob: &Message| -> Vec<i64> {
        match blob.message("shape") {
            Some(shape) => shape.ints("dim").collect(),
            None => ["num", "channels", "height", "width"]
                .iter()
                .filter_map(|name| blob.int(name))
                .collect(),
        }
    };
    Ok(Layer {
        shared: shared.collect(),
        blobs: fields.messages("blobs").map(blob).collect(),
        bottoms: list("bottom"),
        tops: list("top"),
        fields: fields.clone(),
        name,
        kind,
    })
}

/// Whether a layer is there in the TEST phase, at level 0, in these stages.
fn in_test(fields: &Message, stages: &[String]) -> bool {
    let holds = |rule: &Message| {
        let phase = rule.text("phase").is_none_or(|p| p == "TEST" || p == "1");
        let has = |stage: &str| stages.iter().any(|s| s == stage);
        phase
            && rule.int("min_level").is_none_or(|n| n <= 0)
            && rule.int("max_level").is_none_or(|n| n >= 0)
            && rule.texts("stage").all(has)
            && !rule.texts("not_stage").any(has)
    };
    let included =
        fields.messages("include").next().is_none() || fields.messages("include").any(holds);
    included && !fields.messages("exclude").any(holds)
}

/// The types of layers of the first generation.
const V0_TYPES: &[(&str, &str)] = &[
    ("accuracy", "Accuracy"),
    ("bnll", "BNLL"),
    ("concat", "Concat"),
    ("conv", "Convolution"),
    ("data", "Data"),
    ("dropout", "Dropout"),
    ("euclidean_loss", "EuclideanLoss"),
    ("flatten", "Flatten"),
    ("hdf5_data", "HDF5Data"),
    ("hinge_loss", "HingeLoss"),
    ("im2col", "Im2col"),
    ("images", "ImageData"),
    ("infogain_loss", "InfogainLoss"),
    ("innerproduct", "InnerProduct"),
    ("lrn", "LRN"),
    ("multinomial_logistic_loss", "MultinomialLogisticLoss"),
    ("padding", "Padding"),
    ("pool", "Pooling"),
    ("relu", "ReLU"),
    ("sigmoid", "Sigmoid"),
    ("softmax", "Softmax"),
    ("softmax_loss", "SoftmaxWithLoss"),
    ("split", "Split"),
    ("tanh", "TanH"),
    ("window_data", "WindowData"),
];

/// Fields of that generation under other names.
const V0_FIELDS: &[(&str, &str)] = &[
    ("biasterm", "bias_term"),
    ("kernelsize", "kernel_size"),
    ("batchsize", "batch_size"),
    ("cropsize", "crop_size"),
];

/// A layer of the first generation, whose parameters stand side by side, in the present spelling.
fn v0(inner: &Message, outer: &Message) -> Message {
    let word = inner.text("type").unwrap_or_default();
    let kind = V0_TYPES.iter().find(|(old, _)| *old == word).map_or(word, |(_, kind)| kind);
    let mut fields = Message::default();
    let mut own = Message::default();
    for (name, value) in &inner.0 {
        let name =
            V0_FIELDS.iter().find(|(old, _)| old == name).map_or(name.as_str(), |(_, new)| new);
        match name {
            "name" | "blobs" => fields.0.push((name.to_owned(), value.clone())),
            "type" => {}
            _ => own.0.push((name.to_owned(), value.clone())),
        }
    }
    fields.0.push(("type".into(), Value::Text(kind.to_owned())));
    for (name, value) in outer.0.iter().filter(|(name, _)| name != "layer") {
        fields.0.push((name.clone(), value.clone()));
    }
    let param = match kind {
        "Convolution" | "Padding" => "convolution_param",
        "InnerProduct" => "inner_product_param",
        "Pooling" => "pooling_param",
        "LRN" => "lrn_param",
        "Concat" => "concat_param",
        "ImageData" => "image_data_param",
        "WindowData" => "window_data_param",
        "HDF5Data" => "hdf5_data_param",
        _ => "data_param",
    };
    fields.0.push((param.into(), Value::Message(own)));
    fields
}
