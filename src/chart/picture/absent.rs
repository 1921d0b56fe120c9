//! In place of pictures in a build without the feature `png`.

use super::ChartError;

/// Whether this build makes pictures.
pub const MAKES_PNG: bool = false;

/// Fails: this build makes no pictures.
pub fn render_png(_: &str) -> Result<Vec<u8>, ChartError> {
    Err(ChartError::NoPictures)
}
