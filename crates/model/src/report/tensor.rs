//! Tensors of a report, and what became of those of files that hold no graph.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// A tensor; sizes that are not known are null.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TensorReport {
    /// Name as the file gives it.
    pub name: String,
    /// Element type, such as `f32`; null where it is not known.
    pub dtype: Option<String>,
    /// Sizes along each axis, outermost first; null where the number of axes is not known.
    pub shape: Option<Vec<Option<u64>>>,
    /// The shape in the model's symbols.
    pub symbolic: String,
}

/// A tensor that is held once for all its readers; as text it is a [`TensorReport`].
#[derive(Debug, Clone)]
pub struct SharedTensor(Arc<TensorReport>);

impl SharedTensor {
    /// The tensor, to be changed here alone.
    pub fn make_mut(&mut self) -> &mut TensorReport {
        Arc::make_mut(&mut self.0)
    }
}

impl From<TensorReport> for SharedTensor {
    fn from(tensor: TensorReport) -> Self {
        Self(tensor.into())
    }
}

impl std::ops::Deref for SharedTensor {
    type Target = TensorReport;
    fn deref(&self) -> &TensorReport {
        &self.0
    }
}

impl Serialize for SharedTensor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SharedTensor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TensorReport::deserialize(deserializer).map(Self::from)
    }
}

/// So many tensors, elements as stored, and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TallyReport {
    /// How many tensors.
    pub tensors: u64,
    /// Their elements as stored: packed numbers count as the file counts them.
    pub elements: u64,
    /// Their bytes as stored.
    pub bytes: u64,
}

impl From<crate::ir::Tally> for TallyReport {
    fn from(tally: crate::ir::Tally) -> Self {
        Self { tensors: tally.tensors, elements: tally.elements, bytes: tally.bytes }
    }
}

/// What became of the tensors of files that hold no graph.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AccountReport {
    /// Whether there are files, and not a configuration alone.
    pub checked: bool,
    /// All that the files store.
    pub stored: TallyReport,
    /// Asked for and found.
    pub matched: TallyReport,
    /// Found, in another shape than the configuration says.
    pub mismatched: TallyReport,
    /// Asked for and in no file.
    pub missing: u64,
    /// Stored, and known not to be part of a run.
    pub idle: TallyReport,
    /// Stored, and asked for by no part of the model.
    pub unknown: TallyReport,
}

impl AccountReport {
    /// Of a model's tensors.
    pub(super) fn of(account: &crate::ir::TensorAccount) -> Self {
        Self {
            checked: account.files,
            stored: account.stored.into(),
            matched: account.matched.into(),
            mismatched: account.mismatched.into(),
            missing: account.missing,
            idle: account.idle.into(),
            unknown: account.unknown.into(),
        }
    }
}
