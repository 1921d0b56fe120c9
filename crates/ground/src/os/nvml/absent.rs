//! In place of the driver's library in a build without the feature `nvml`.

use super::{DriverError, Gpu, State};

/// A driver that is never there.
#[derive(Debug)]
pub struct Driver(std::convert::Infallible);

impl Driver {
    /// An error that names the feature.
    pub fn open() -> Result<Self, DriverError> {
        Err(DriverError::NotBuilt)
    }

    /// All GPUs, in the driver's order.
    pub fn gpus(&self) -> Result<Vec<Gpu>, DriverError> {
        match self.0 {}
    }

    /// What the GPU at a position of the driver's order does now.
    pub fn state(&self, _: u32) -> State {
        match self.0 {}
    }
}
