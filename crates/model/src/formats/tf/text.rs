//! The text form of `TensorFlow`'s messages, written out in the binary form and read like it.

use super::NAME;
use crate::formats::LoadError;
use crate::formats::prototext::{self, Message, Value};
use crate::formats::wire::put;
use prost::encoding::encode_varint;

/// What a field of the text holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Int,
    Float,
    /// A [`DataType`](super::tensor::TYPES) by its name.
    Type,
    Message(&'static [Field]),
    /// Numbers that the binary form packs.
    Ints,
    Floats,
    Doubles,
}

/// Name, number and kind of a field.
pub(super) type Field = (&'static str, u64, Kind);

use Kind::{Doubles, Float, Floats, Int, Ints, Text, Type};

static SHAPE: [Field; 2] =
    [("dim", 2, Kind::Message(&[("size", 1, Int)])), ("unknown_rank", 3, Int)];

static TENSOR: [Field; 11] = [
    ("dtype", 1, Type),
    ("tensor_shape", 2, Kind::Message(&SHAPE)),
    ("tensor_content", 4, Text),
    ("float_val", 5, Floats),
    ("double_val", 6, Doubles),
    ("int_val", 7, Ints),
    ("int64_val", 10, Ints),
    ("bool_val", 11, Ints),
    ("half_val", 13, Ints),
    ("uint32_val", 16, Ints),
    ("uint64_val", 17, Ints),
];

static FUNC: [Field; 1] = [("name", 1, Text)];

static LIST: [Field; 7] = [
    ("s", 2, Text),
    ("i", 3, Ints),
    ("f", 4, Floats),
    ("b", 5, Ints),
    ("type", 6, Type),
    ("shape", 7, Kind::Message(&SHAPE)),
    ("func", 9, Kind::Message(&FUNC)),
];

static VALUE: [Field; 9] = [
    ("list", 1, Kind::Message(&LIST)),
    ("s", 2, Text),
    ("i", 3, Int),
    ("f", 4, Float),
    ("b", 5, Int),
    ("type", 6, Type),
    ("shape", 7, Kind::Message(&SHAPE)),
    ("tensor", 8, Kind::Message(&TENSOR)),
    ("func", 10, Kind::Message(&FUNC)),
];

static ATTR: [Field; 2] = [("key", 1, Text), ("value", 2, Kind::Message(&VALUE))];

static NODE: [Field; 4] =
    [("name", 1, Text), ("op", 2, Text), ("input", 3, Text), ("attr", 5, Kind::Message(&ATTR))];

static ARG: [Field; 1] = [("name", 1, Text)];

static OP: [Field; 3] = [
    ("name", 1, Text),
    ("input_arg", 2, Kind::Message(&ARG)),
    ("output_arg", 3, Kind::Message(&ARG)),
];

static PAIR: [Field; 2] = [("key", 1, Text), ("value", 2, Text)];

static FUNCTION: [Field; 3] = [
    ("signature", 1, Kind::Message(&OP)),
    ("node_def", 3, Kind::Message(&NODE)),
    ("ret", 4, Kind::Message(&PAIR)),
];

static LIBRARY: [Field; 1] = [("function", 1, Kind::Message(&FUNCTION))];

/// A graph.
pub(super) static GRAPH: [Field; 3] = [
    ("node", 1, Kind::Message(&NODE)),
    ("library", 2, Kind::Message(&LIBRARY)),
    ("versions", 4, Kind::Message(&[("producer", 1, Int)])),
];

static SPARSE: [Field; 3] = [
    ("values_tensor_name", 1, Text),
    ("indices_tensor_name", 2, Text),
    ("dense_shape_tensor_name", 3, Text),
];

static PORT: [Field; 4] = [
    ("name", 1, Text),
    ("dtype", 2, Type),
    ("tensor_shape", 3, Kind::Message(&SHAPE)),
    ("coo_sparse", 4, Kind::Message(&SPARSE)),
];

static PORT_ENTRY: [Field; 2] = [("key", 1, Text), ("value", 2, Kind::Message(&PORT))];

static SIGNATURE: [Field; 2] =
    [("inputs", 1, Kind::Message(&PORT_ENTRY)), ("outputs", 2, Kind::Message(&PORT_ENTRY))];

static INFO: [Field; 2] = [("tags", 4, Text), ("tensorflow_version", 5, Text)];

/// A graph with its signatures.
pub(super) static META_GRAPH: [Field; 3] = [
    ("meta_info_def", 1, Kind::Message(&INFO)),
    ("graph_def", 2, Kind::Message(&GRAPH)),
    (
        "signature_def",
        5,
        Kind::Message(&[("key", 1, Text), ("value", 2, Kind::Message(&SIGNATURE))]),
    ),
];

/// A `SavedModel`.
pub(super) static SAVED_MODEL: [Field; 2] =
    [("saved_model_schema_version", 1, Int), ("meta_graphs", 2, Kind::Message(&META_GRAPH))];

/// The binary form of a text that is a message with these fields; fields that are not known are left out.
pub(super) fn binary(text: &[u8], fields: &[Field]) -> Result<Vec<u8>, LoadError> {
    let mut out = Vec::new();
    encode(&prototext::parse(text, NAME)?, fields, &mut out);
    Ok(out)
}

fn encode(message: &Message, fields: &[Field], out: &mut Vec<u8>) {
    for (name, value) in &message.0 {
        let Some((_, number, kind)) = fields.iter().find(|(known, ..)| known == name) else {
            continue;
        };
        match (kind, value) {
            (Text, Value::Text(text)) => put(*number, text.as_bytes(), out),
            (Text, Value::Bytes(bytes)) => put(*number, bytes, out),
            (Kind::Message(inner), Value::Message(message)) => {
                let mut contents = Vec::new();
                encode(message, inner, &mut contents);
                put(*number, &contents, out);
            }
            (Int | Type, Value::Word(word)) => {
                encode_varint(number << 3, out);
                encode_varint(whole(word), out);
            }
            (Ints, Value::Word(word)) => {
                let mut packed = Vec::new();
                encode_varint(whole(word), &mut packed);
                put(*number, &packed, out);
            }
            (Float, Value::Word(word)) => {
                encode_varint(number << 3 | 5, out);
                out.extend(prototext::float(word).unwrap_or(0.0).to_le_bytes());
            }
            (Floats, Value::Word(word)) => {
                put(*number, &prototext::float(word).unwrap_or(0.0).to_le_bytes(), out);
            }
            (Doubles, Value::Word(word)) => {
                let number_of = word.parse::<f64>().unwrap_or(0.0);
                put(*number, &number_of.to_le_bytes(), out);
            }
            _ => {}
        }
    }
}

/// A whole number, a truth value or the name of a type, as the binary form has it.
fn whole(word: &str) -> u64 {
    if let Some(number) = prototext::integer(word) {
        return number.cast_unsigned();
    }
    match word {
        "true" | "True" | "t" => 1,
        _ => super::tensor::type_number(word).map_or(0, |n| i64::from(n).cast_unsigned()),
    }
}
