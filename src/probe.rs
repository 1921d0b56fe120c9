//! How fast a model really runs: a runtime or a server under load, its latencies as a distribution.
//!
//! [`arrival`] says when requests are scheduled, [`drive`] sends them to a [`target`], which is a server or a
//! runtime in this process, and never waits for an answer before the next, [`record`] counts them by the instant
//! at which they were scheduled, and [`judge`] says whether the numbers can be trusted. Knows servers and time,
//! never graphs or costs.

#[cfg(feature = "serve")]
pub mod arrival;
#[cfg(feature = "serve")]
pub mod connector;
#[cfg(feature = "serve")]
pub mod counts;
#[cfg(feature = "serve")]
pub mod drive;
#[cfg(feature = "serve")]
pub mod enough;
#[cfg(all(feature = "serve", any(test, fuzzing)))]
pub mod fuzz;
#[cfg(feature = "serve")]
pub mod grpc;
#[cfg(feature = "serve")]
pub mod hlog;
#[cfg(feature = "serve")]
pub mod http;
#[cfg(feature = "serve")]
pub mod judge;
#[cfg(feature = "serve")]
mod local;
#[cfg(feature = "serve")]
pub mod measurement;
#[cfg(feature = "serve")]
pub mod meter;
#[cfg(feature = "serve")]
pub mod metric;
#[cfg(feature = "serve")]
mod pacer;
#[cfg(feature = "serve")]
pub mod pipeline;
pub(crate) mod random;
#[cfg(feature = "serve")]
pub mod record;
#[cfg(feature = "serve")]
pub mod search;
#[cfg(feature = "serve")]
pub mod startup;
#[cfg(feature = "serve")]
pub mod stats;
#[cfg(feature = "serve")]
pub mod stream;
#[cfg(feature = "serve")]
pub mod study;
#[cfg(feature = "serve")]
pub mod target;
#[cfg(feature = "serve")]
pub mod trace;

/// Why a measurement could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The runtime refused the model.
    #[error("the runtime cannot load the model: {0}")]
    Load(String),
    /// The runtime failed on an inference.
    #[error("an inference failed: {0}")]
    Infer(String),
    /// Too much memory would be needed.
    #[error("filling in missing weights would take {0} bytes, more than half of the free memory")]
    Memory(u64),
    /// The runtime itself is not there.
    #[error("{message}")]
    Runtime {
        /// What is missing.
        message: String,
        /// What to do about it.
        hint: &'static str,
    },
}

impl ProbeError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Runtime { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

/// Something in this process that answers inferences; used from several threads at a time.
pub trait Target: Sync {
    /// Runs one inference to its end.
    fn infer(&self) -> Result<(), ProbeError>;
}
