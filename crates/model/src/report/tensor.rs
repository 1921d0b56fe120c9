//! Tensors of a report that several nodes have at their ports.

use super::TensorReport;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

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
