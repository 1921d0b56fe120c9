//! The runtimes that models are run with in this process, behind one interface.

mod feed;
#[cfg_attr(not(feature = "ort"), path = "runtime/ort/absent.rs")]
pub mod ort;
mod refusal;
#[cfg_attr(not(feature = "tract"), path = "runtime/tract/absent.rs")]
pub mod tract;
pub mod weights;

use crate::probe::{ProbeError, Target};
pub use feed::{Feed, Number};
pub use refusal::{refusal, untranslated};
use std::path::PathBuf;
use std::sync::Arc;
pub use weights::WeightsOrigin;

rooflens_ground::words! {
    /// Who runs a model, by the word for arguments and files.
    pub enum Runtime {
        /// tract, which is part of the binary.
        Tract = "tract",
        /// onnxruntime, from a library that is on the machine.
        Ort = "ort",
    }
}

impl Runtime {
    /// The runtime of this name.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Tract, Self::Ort].into_iter().find(|r| r.name() == word)
    }

    /// What people call it.
    pub fn product(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "onnxruntime",
        }
    }
}

/// How a model is loaded.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Who runs it.
    pub runtime: Runtime,
    /// onnxruntime's library; looked for where left out.
    pub library: Option<PathBuf>,
    /// Threads of each inference; tract always has one.
    pub threads: usize,
    /// Inferences at a time.
    pub instances: usize,
    /// Of random weights and inputs.
    pub seed: u64,
}

impl RuntimeOptions {
    /// One inference at a time, on one thread.
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime, library: None, threads: 1, instances: 1, seed: 1 }
    }
}

/// A model in a runtime, ready to run.
pub struct Loaded {
    /// The model.
    pub target: Arc<dyn Target + Send + Sync>,
    /// The runtime and its version, for people.
    pub name: String,
    /// Where its weights come from.
    pub weights: WeightsOrigin,
    /// Reading, optimising and planning, in seconds.
    pub load_seconds: f64,
    /// The first inference, in seconds.
    pub first_seconds: f64,
}

impl Loaded {
    /// Loads the ONNX model `file`, its inputs fed with `feeds` (in the model's order).
    pub fn new(file: &[u8], feeds: &[Feed], options: &RuntimeOptions) -> Result<Self, ProbeError> {
        match options.runtime {
            Runtime::Tract => tract::loaded(file, feeds, options),
            Runtime::Ort => ort::loaded(file, feeds, options),
        }
    }
}
