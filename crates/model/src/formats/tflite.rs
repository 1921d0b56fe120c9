//! The `TFLite` reader: a flatbuffer to subgraphs, and the one that is wanted to a graph.

mod contraction;
mod control;
mod custom;
mod elementwise;
mod file;
mod flat;
mod lower;
mod movement;
mod quantized;
mod recurrent;
mod rows;
mod schema;
mod site;
mod slices;
mod stablehlo;
mod state;
mod subgraph;
#[cfg(test)]
mod tests;

use super::error::malformed;
use super::limits::Limits;
use super::{LoadError, Place, Wanted};
use crate::ir::Model;

pub(super) const NAME: &str = "TFLite";
/// The mark behind the first offset.
const MARK: &[u8] = b"TFL3";
/// The only version that files of this mark have.
const VERSION: u32 = 3;

/// Whether a place holds a file of this format.
pub(super) fn sniff(place: &Place) -> bool {
    place.bytes().is_some_and(|bytes| bytes.get(4..8) == Some(MARK))
}

/// The operators that are understood, and what they become.
pub(super) fn operators() -> Vec<(&'static str, &'static str)> {
    rows::ROWS.iter().chain(rows::CUSTOM).map(|row| (row.name, row.becomes)).collect()
}

/// Reads a model.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    let bytes = place.bytes().ok_or_else(|| malformed(NAME, "it is a folder"))?;
    let flat = flat::Flat::new(bytes);
    let file = file::decode(&flat)?;
    if file.version != VERSION {
        return Err(malformed(NAME, format!("its version is {}, not {VERSION}", file.version)));
    }
    let mut limits = Limits::of(bytes.len());
    let graph = lower::graph(&file, wanted, &mut limits)?;
    Ok(Model {
        graph,
        format: format!("{NAME} {VERSION}"),
        producer: file.description.clone(),
        opsets: std::iter::once((String::new(), super::draft::OPSET)).collect(),
        diagnostics: std::mem::take(&mut limits.diagnostics),
        ..Model::default()
    })
}
