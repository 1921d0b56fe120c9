//! Which runtime of this process is meant, as flags say it.

/// A runtime in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RuntimeName {
    /// tract, which is built in.
    Tract,
    /// An installed onnxruntime.
    Ort,
}
