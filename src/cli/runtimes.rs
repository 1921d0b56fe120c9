//! Which runtime of this process is meant, as flags say it.

/// A runtime in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RuntimeName {
    /// tract, which is built in.
    Tract,
    /// An installed onnxruntime.
    Ort,
}

#[cfg(feature = "load")]
impl From<RuntimeName> for crate::runtime::Runtime {
    fn from(name: RuntimeName) -> Self {
        match name {
            RuntimeName::Tract => Self::Tract,
            RuntimeName::Ort => Self::Ort,
        }
    }
}
