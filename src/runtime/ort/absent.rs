//! In place of onnxruntime in a build without the feature `ort`.

use super::{Feed, Loaded, RuntimeOptions};
use crate::probe::ProbeError;

pub(super) fn loaded(_: &[u8], _: &[Feed], _: &RuntimeOptions) -> Result<Loaded, ProbeError> {
    Err(ProbeError::Runtime {
        message: "this build cannot load onnxruntime".into(),
        hint: "build with the feature `ort`, or use tract",
    })
}
