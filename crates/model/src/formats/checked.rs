//! Sizes that a file gives, before they are believed.

use super::LoadError;
use super::error::invalid;
use crate::dim::Dim;
use crate::ir::MAX_RANK;

/// No axis of a real tensor is longer; a longer one is a broken or hostile file.
pub(super) const MAX_DIM: i64 = 1 << 40;

/// Floats decide few shapes — the scales of a resize, the ends of a range — and fill most weights.
pub(super) const MAX_FLOATS: usize = 16;

/// Checks a size that the file gives as a number.
pub(super) fn checked_dim(place: &str, axis: usize, size: i64) -> Result<Dim, LoadError> {
    let message = match size {
        0..=MAX_DIM => return Ok(Dim::from(size)),
        ..0 => format!("axis {axis} has the negative size {size}"),
        _ => format!("axis {axis} has the size {size}, beyond any real tensor"),
    };
    Err(invalid(format!("tensor `{place}`"), message))
}

/// Refuses more axes than any tensor has.
pub(super) fn checked_rank(name: &str, rank: usize) -> Result<(), LoadError> {
    if rank <= MAX_RANK {
        return Ok(());
    }
    let message = format!("has {rank} axes, of at most {MAX_RANK}");
    Err(invalid(format!("tensor `{name}`"), message))
}
