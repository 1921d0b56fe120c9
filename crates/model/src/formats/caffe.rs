//! Caffe: networks as text (`.prototxt`) and with weights (`.caffemodel`), of all three generations.
//!
//! No file states shapes but those of inputs: everything follows from the layers, weights by
//! `Parameter` nodes. Of stored weights only the sizes are read, and held against what follows.

mod activation;
mod combine;
mod decode;
mod detection;
mod lower;
mod net;
mod product;
mod reshape;
mod schema;
#[cfg(test)]
mod tests;
mod window;

use super::limits::Limits;
use super::{LoadError, LoadErrorKind, Place, Wanted, prototext, wire};
use crate::ir::Model;

/// As errors and lists name the format.
pub(super) const NAME: &str = "Caffe";

/// What begins a network's text.
const FIRST: [&str; 7] =
    ["name", "layer", "layers", "input", "input_dim", "state", "force_backward"];

/// Whether a file is a network, as text or not.
pub(super) fn sniff(place: &Place) -> bool {
    let Some(bytes) = place.bytes() else { return false };
    is_text(bytes) || is_binary(bytes)
}

fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1 << 16)];
    let Some((name, mark)) = prototext::first_name(head) else { return false };
    let first = FIRST.contains(&name) || name == "input_shape";
    // Other texts begin with a name, too: a network has layers of its own.
    first && matches!(mark, b':' | b'{') && !head.contains(&0) && has_layers(head)
}

fn has_layers(head: &[u8]) -> bool {
    let has = |word: &[u8]| head.windows(word.len()).any(|part| part == word);
    has(b"layer") && (has(b"top") || has(b"bottom") || has(b"type"))
}

/// A name, if any, that is plain text, and layers: field 100, or field 2 in files of before 2014.
fn is_binary(bytes: &[u8]) -> bool {
    let mut layers = false;
    for field in wire::fields(bytes).take(64) {
        let Some(field) = field else { break };
        let contents = field.contents.unwrap_or_default();
        match field.number {
            1 if !field.delimited || !plain(contents) => return false,
            2 | 100 if !field.delimited => return false,
            2 => match contents.first() {
                Some(0x0a | 0x12 | 0x1a | 0x22) if !layers && nested(contents) => layers = true,
                _ if layers => {}
                _ => return false,
            },
            100 => layers = true,
            1 | 3..=8 => {}
            _ => return false,
        }
    }
    layers
}

fn plain(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|t| !t.is_empty() && !t.chars().any(char::is_control))
}

/// Whether the first field of a layer of before 2014 is what it should be: texts, but for a layer inside.
fn nested(layer: &[u8]) -> bool {
    let Some(Some(first)) = wire::fields(layer).next() else { return false };
    let contents = first.contents.unwrap_or_default();
    first.number == 1 || plain(contents)
}

/// Reads a network.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let bytes = place.bytes().ok_or(LoadErrorKind::Directory)?;
    let text = is_text(bytes);
    let file = if text { decode::text(bytes)? } else { decode::binary(bytes)? };
    let mut limits = Limits::of(bytes.len());
    let (graph, stated) = lower::write(&file, &mut limits, wanted)?;
    let kind = if text { "prototxt" } else { "caffemodel" };
    Ok(Model {
        graph,
        format: format!("{NAME} {kind}"),
        opsets: [(String::new(), super::draft::OPSET)].into_iter().collect(),
        stated,
        diagnostics: limits.diagnostics,
        ..Model::default()
    })
}

/// The layers that are understood, and what they become.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    lower::rows().map(|row| (row.name, row.becomes)).collect()
}
