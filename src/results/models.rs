//! Models on devices, side by side.

use crate::hwdb::Device;
use crate::report::BoundReport;

/// What models are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelMetric {
    /// The fused time of a run.
    Time,
    /// Inferences per second at the fused time.
    Rate,
    /// Joules per inference: design power over the fused time.
    Energy,
    /// Dollars per million inferences at the fused time.
    Cost,
    /// Bytes to hold.
    Memory,
}

/// Models on devices.
#[derive(Clone, Debug)]
pub struct ModelsCompared {
    /// What they are compared by.
    pub metric: ModelMetric,
    /// The devices; figures are multiples of the first one's.
    pub devices: Vec<Device>,
    /// The models, each at every batch in every type.
    pub rows: Vec<ModelRow>,
}

/// A model at one batch in one type.
#[derive(Clone, Debug)]
pub struct ModelRow {
    /// What it is called.
    pub label: String,
    /// The batch, at least 1; none where it was not asked for.
    pub batch: Option<u64>,
    /// The type that it is counted in; none for its own.
    pub dtype: Option<String>,
    /// The type of most of its arithmetic.
    pub main_dtype: String,
    /// What it takes to hold it, in bytes.
    pub memory_bytes: u64,
    /// What each device allows, in their order; none on one that has no ceiling in its type.
    pub bounds: Vec<Option<BoundReport>>,
    /// What was assumed, as clauses.
    pub assumptions: Vec<String>,
    /// How many nodes it has.
    pub nodes: usize,
    /// How many of them are of unknown cost, and in no number.
    pub unknown_nodes: usize,
}

impl ModelsCompared {
    /// The figure of a model on the device at this position; none where it is not known.
    pub fn value(&self, row: &ModelRow, at: usize) -> Option<f64> {
        let (device, bound) = (self.devices.get(at)?, row.bounds.get(at)?.as_ref()?);
        let seconds = Some(bound.fused_seconds).filter(|s| *s > 0.0);
        let inferences = row.batch.unwrap_or(1).max(1) as f64;
        match self.metric {
            ModelMetric::Time => seconds,
            ModelMetric::Rate => seconds.map(|s| inferences / s),
            ModelMetric::Energy => {
                seconds.zip(device.tdp_w).map(|(s, watts)| watts * s / inferences)
            }
            ModelMetric::Cost => {
                let price = device.price();
                seconds.zip(price).map(|(s, p)| p.usd_per_hour / 3600.0 * s / inferences * 1e6)
            }
            ModelMetric::Memory => Some(row.memory_bytes as f64),
        }
    }
}
