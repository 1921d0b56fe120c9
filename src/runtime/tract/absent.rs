//! In place of tract in a build without the feature `tract`.

use super::{Feed, Loaded, RuntimeOptions};
use crate::probe::ProbeError;

pub(super) fn loaded(_: &[u8], _: &[Feed], _: &RuntimeOptions) -> Result<Loaded, ProbeError> {
    Err(ProbeError::Runtime {
        message: "this build has no tract in it".into(),
        hint: "build with the feature `tract`, or use onnxruntime",
    })
}
