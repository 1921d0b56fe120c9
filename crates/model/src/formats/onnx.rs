//! The ONNX reader: protobuf messages to graph, with local functions inlined.

mod blocks;
mod build;
mod census;
mod constants;
mod fill;
mod messages;
mod offsets;
mod tensor;
mod translate;
mod write;

pub use fill::Unfilled;
pub use translate::{Untranslated, translate};
pub use write::Sketch;

use super::error::malformed;
use super::{Given, LoadError, LoadErrorKind, Place, Wanted};
use crate::ir::Model;
use bytes::Bytes;
use prost::Message;
use std::path::Path;

/// As errors and lists name the format.
pub(super) const NAME: &str = "ONNX";

/// Whether it is a file: a protobuf message says nothing of what it is, so that the reader has to find out.
pub(super) fn sniff(place: &Place) -> bool {
    matches!(place, Place::File { .. })
}

/// Reads a model.
pub(super) fn read(place: &Place, wanted: &Wanted<'_>) -> Result<Model, LoadError> {
    match place {
        Place::File { bytes, folder } => file(bytes, folder.as_deref(), &wanted.given),
        Place::Folder(_) => Err(LoadErrorKind::Directory.into()),
    }
}

/// `folder` is where files it names may lie, `given` are inputs whose shape others will set.
fn file(file: &Bytes, folder: Option<&Path>, given: &Given<'_>) -> Result<Model, LoadError> {
    if file.is_empty() {
        return Err(LoadErrorKind::Empty.into());
    }
    census::check(file)?;
    let proto = messages::ModelProto::decode(file.clone())
        .map_err(|error| malformed(NAME, error.to_string()))?;
    let missing = |what: &str| malformed(NAME, format!("it has no {what}"));
    let graph = proto.graph.as_ref().ok_or_else(|| missing("graph"))?;
    if proto.opset_import.is_empty() && graph.node.is_empty() {
        return Err(missing("operator set and no node"));
    }
    build::model(&proto, graph, folder, given, file.len())
}
