//! The report of an assessment: what a model costs, what a machine allows, what was reached.

use super::{BoundReport, ModelReport};
use serde::{Deserialize, Serialize};

/// Version of the JSON form, in its `schema` field.
pub const ASSESSMENT_SCHEMA: &str = "rooflens.assessment/1";

/// `report.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Assessment {
    /// Name and version of this form.
    pub schema: String,
    /// The machine and its measured ceilings.
    pub machine: Machine,
    /// What all threads allow.
    pub bound: BoundReport,
    /// What was reached.
    pub measured: Vec<Measured>,
    /// The program that ran the model.
    pub runtime: String,
    /// Where the weights came from.
    pub weights: String,
    /// Reading, optimising and planning.
    pub load_seconds: f64,
    /// The first inference.
    pub first_inference_seconds: f64,
    /// What the model costs.
    pub analysis: ModelReport,
}

/// A machine and its measured ceilings, f32.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Machine {
    pub cpu: String,
    pub threads: usize,
    pub simd: String,
    pub peak_flops_one_thread: f64,
    pub peak_flops_all_threads: f64,
    pub triad_bytes_per_second_one_thread: f64,
    pub triad_bytes_per_second_all_threads: f64,
    /// What makes the figures doubtful.
    pub doubts: Vec<String>,
}

/// A closed loop; times are seconds an inference.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Measured {
    pub name: String,
    pub workers: usize,
    pub count: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    pub interrupted: bool,
    pub throughput_per_second: f64,
    pub mean_seconds: f64,
    /// Quantiles are absent where fewer than ten samples lie beyond them.
    pub p50_seconds: Option<f64>,
    pub p90_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    pub p99_seconds: Option<f64>,
    pub max_seconds: f64,
    /// Inferences a second times the model's FLOPs.
    pub achieved_flops: Option<f64>,
    /// What the roof of as many threads allows.
    pub attainable_flops: f64,
    pub gap: Option<Gap>,
}

/// How far a run is below its roof, and what that factor is made of: `total = traffic × kernels`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Gap {
    /// Attainable over achieved.
    pub total: f64,
    /// The part that goes when nodes pass their results on in cache: the time of all nodes, each
    /// reading and writing memory, over the time of the model at best.
    pub traffic: f64,
    /// The rest: kernels that stay below the ceilings, and what the runtime does between them.
    pub kernels: f64,
}

impl Gap {
    /// The gap of a run that achieves `achieved` FLOP/s under `bound`.
    pub fn new(achieved: f64, bound: &BoundReport) -> Option<Self> {
        if achieved <= 0.0 || bound.direct_seconds <= 0.0 {
            return None;
        }
        let total = bound.attainable_flops / achieved;
        // Caches may do better than node by node; the traffic's part is then the whole gap.
        let traffic = (bound.node_by_node_seconds / bound.direct_seconds).min(total).max(1.0);
        Some(Self { total, traffic, kernels: total / traffic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_gap_multiply_to_the_whole() {
        let mut bound = BoundReport {
            attainable_flops: 1e11,
            least_seconds: 0.005,
            direct_seconds: 0.01,
            node_by_node_seconds: 0.02,
            ..BoundReport::default()
        };
        let gap = Gap::new(1e10, &bound).unwrap();
        assert!((gap.total - 10.0).abs() < 1e-9 && (gap.traffic - 2.0).abs() < 1e-9);
        assert!((gap.traffic * gap.kernels - gap.total).abs() < 1e-9);
        bound.node_by_node_seconds = 1.0;
        let gap = Gap::new(1e10, &bound).unwrap();
        assert!((gap.traffic - 10.0).abs() < 1e-9 && (gap.kernels - 1.0).abs() < 1e-9);
        assert!(Gap::new(0.0, &bound).is_none());
    }
}
