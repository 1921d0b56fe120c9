//! The runtimes that models are run with in this process, behind one interface.

#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "probe")]
mod tract;
mod weights;

use crate::probe::{ProbeError, Target};
#[cfg(feature = "ort")]
pub use ort::{OrtTarget, Output, find_library};
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "probe")]
pub use tract::TractTarget;
pub use weights::WeightsOrigin;

/// Who runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// tract, which is part of the binary.
    Tract,
    /// onnxruntime, from a library that is on the machine.
    Ort,
}

impl Runtime {
    /// The word for arguments and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tract => "tract",
            Self::Ort => "ort",
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

/// What tract is called, with the version that this crate asks for.
#[cfg(feature = "probe")]
const TRACT: &str = "tract 0.23";

impl Loaded {
    /// Loads the ONNX model `file`, its inputs at `shapes` (in the model's order).
    pub fn new(
        file: &[u8],
        shapes: &[Vec<usize>],
        options: &RuntimeOptions,
    ) -> Result<Self, ProbeError> {
        match options.runtime {
            Runtime::Tract => Self::tract(file, shapes, options),
            Runtime::Ort => Self::ort(file, shapes, options),
        }
    }

    #[cfg(feature = "probe")]
    fn tract(
        file: &[u8],
        shapes: &[Vec<usize>],
        options: &RuntimeOptions,
    ) -> Result<Self, ProbeError> {
        let target = TractTarget::load(file, shapes, options.seed)?;
        Ok(Self {
            weights: target.weights,
            load_seconds: target.load_seconds,
            first_seconds: target.first_seconds,
            target: Arc::new(target),
            name: TRACT.into(),
        })
    }

    #[cfg(not(feature = "probe"))]
    fn tract(_: &[u8], _: &[Vec<usize>], _: &RuntimeOptions) -> Result<Self, ProbeError> {
        Err(ProbeError::Runtime {
            message: "this build has no tract in it".into(),
            hint: "build with the feature `probe`, or use onnxruntime",
        })
    }

    #[cfg(feature = "ort")]
    fn ort(
        file: &[u8],
        shapes: &[Vec<usize>],
        options: &RuntimeOptions,
    ) -> Result<Self, ProbeError> {
        let target = OrtTarget::load(file, shapes, options)?;
        Ok(Self {
            weights: target.weights,
            load_seconds: target.load_seconds,
            first_seconds: target.first_seconds,
            name: format!("onnxruntime {}", target.version),
            target: Arc::new(target),
        })
    }

    #[cfg(not(feature = "ort"))]
    fn ort(_: &[u8], _: &[Vec<usize>], _: &RuntimeOptions) -> Result<Self, ProbeError> {
        Err(ProbeError::Runtime {
            message: "this build cannot load onnxruntime".into(),
            hint: "build with the feature `ort`, or use tract",
        })
    }
}
