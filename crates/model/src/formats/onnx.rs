//! The ONNX reader: protobuf messages to graph, with local functions inlined.

mod blocks;
mod build;
mod census;
mod constants;
mod fill;
mod messages;
mod offsets;
mod tensor;
mod wire;
mod write;

pub use fill::Unfilled;
pub use write::Sketch;

use super::{LoadError, LoadErrorKind};
use crate::ir::Model;
use bytes::Bytes;
use prost::Message;
use std::path::Path;

/// Reads a model; `folder` is where files it names may lie, `given` are inputs whose shape others will set.
pub(super) fn read(
    file: &Bytes,
    folder: Option<&Path>,
    given: &[&str],
) -> Result<Model, LoadError> {
    if file.is_empty() {
        return Err(LoadErrorKind::Empty.into());
    }
    census::check(file)?;
    let proto = messages::ModelProto::decode(file.clone())
        .map_err(|error| LoadErrorKind::Malformed(error.to_string()))?;
    let missing = |what: &str| LoadErrorKind::Malformed(format!("it has no {what}"));
    let graph = proto.graph.as_ref().ok_or_else(|| missing("graph"))?;
    if proto.opset_import.is_empty() && graph.node.is_empty() {
        return Err(missing("operator set and no node").into());
    }
    let mut model = build::model(&proto, graph, folder, given, file.len())?;
    model.file_bytes = u64::try_from(file.len()).unwrap_or(u64::MAX);
    Ok(model)
}
