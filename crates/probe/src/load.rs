//! How fast a model really runs: a runtime or a server under load, its latencies as a distribution.
//!
//! [`arrival`] says when requests are scheduled, [`drive`] sends them to a [`target`], which is a server or a
//! runtime in this process, and never waits for an answer before the next, [`record`] counts them by the instant
//! at which they were scheduled, and [`judge`] says whether the numbers can be trusted. Knows servers and time,
//! never graphs or costs.

#[cfg(not(unix))]
compile_error!(
    "the feature `load` needs Linux or macOS; `--no-default-features --features cli` builds the analyser alone"
);

pub mod arrival;
pub mod coding;
pub mod connector;
pub mod counts;
pub mod data;
pub mod drive;
pub mod enough;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod grpc;
pub mod hlog;
pub mod http;
pub mod judge;
pub(crate) mod local;
pub mod measurement;
pub mod meeting;
pub mod meter;
pub mod metric;
pub(crate) mod pacer;
pub mod pipeline;
pub mod random;
pub mod record;
pub mod search;
pub mod socket;
pub mod startup;
pub mod stats;
pub mod stream;
pub mod study;
pub mod target;
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
    /// No contents can be generated for an input.
    #[error("{0}")]
    Input(String),
    /// The runtime panicked.
    #[error("the runtime panicked: {0}")]
    Panic(String),
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
