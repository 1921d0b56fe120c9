//! Reading model files into [`Model`]s.
//!
//! Files are untrusted: every reader answers a malformed, truncated or hostile file with one
//! [`LoadError`] that names the place. Weights are mapped, never read. This floor sees the graph's
//! types and knows nothing of what operators do or cost.

mod bytes;
mod error;
mod onnx;

pub use error::{LoadError, LoadErrorKind};
pub use onnx::{Sketch, Unfilled};

use crate::ir::Model;
use std::path::Path;

/// Reads the model at `path`.
pub fn load(path: &Path) -> Result<Model, LoadError> {
    load_for(path, &[])
}

/// Reads a model whose inputs named in `given` will get shapes from the caller: sizes of −1, which some
/// exporters write where they mean any, are then no error in these, and no hint elsewhere.
pub fn load_for(path: &Path, given: &[&str]) -> Result<Model, LoadError> {
    let file = bytes::map(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    read(&file, Some(folder), given).map_err(|error| error.in_file(path))
}

/// Reads a model from memory; contents kept in other files are then not available.
pub fn load_bytes(bytes: &::bytes::Bytes) -> Result<Model, LoadError> {
    read(bytes, None, &[])
}

fn read(file: &::bytes::Bytes, folder: Option<&Path>, given: &[&str]) -> Result<Model, LoadError> {
    if let Some(what) = bytes::other_format(file) {
        return Err(LoadErrorKind::NotAModel(what).into());
    }
    onnx::read(file, folder, given)
}
