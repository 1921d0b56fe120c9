//! Random contents for weights that a model's file does not hold.

use crate::formats::Unfilled;
use crate::os::proc::Proc;
use crate::probe::ProbeError;
use crate::probe::random::Random;
use std::borrow::Cow;

/// Where the weights of a measured model come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightsOrigin {
    /// The model file.
    File,
    /// Random numbers, because the file that holds them is not there.
    Random {
        /// Tensors filled in.
        tensors: usize,
        /// Their bytes.
        bytes: u64,
    },
}

/// The file, with random contents in place of weights that lie in another file; `seed` decides them.
pub fn with_weights(file: &[u8], seed: u64) -> Result<(Cow<'_, [u8]>, WeightsOrigin), ProbeError> {
    let Some(unfilled) = Unfilled::of(file) else {
        return Ok((Cow::Borrowed(file), WeightsOrigin::File));
    };
    let available = Proc::default().memory().and_then(|m| m.available).unwrap_or(8 << 30);
    if unfilled.bytes > available / 2 {
        return Err(ProbeError::Memory(unfilled.bytes));
    }
    let mut random = Random::new(seed);
    let broken = || ProbeError::Load("the file is broken".into());
    let filled = unfilled.fill(&mut || random.symmetric()).ok_or_else(broken)?;
    let origin = WeightsOrigin::Random { tensors: unfilled.tensors, bytes: unfilled.bytes };
    Ok((Cow::Owned(filled), origin))
}
