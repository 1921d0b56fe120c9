//! The measured half of `report.json`, which `rooflens assess` writes; the counted half is the analysis.

use super::{HostPart, PercentilePart, VerdictPart};
use serde::{Deserialize, Serialize};

/// A machine and its ceilings as measured, in 32-bit floating point.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MachinePart {
    /// Name of the processor.
    pub cpu: String,
    /// Threads that the ceilings of all threads are of, at least 1.
    pub threads: usize,
    /// The vector instructions that arithmetic was measured with.
    pub simd: String,
    /// Arithmetic of one thread in FLOP/s.
    pub peak_flops_one_thread: f64,
    /// Arithmetic of all threads in FLOP/s.
    pub peak_flops_all_threads: f64,
    /// Memory traffic of one thread in bytes per second.
    pub triad_bytes_per_second_one_thread: f64,
    /// Memory traffic of all threads in bytes per second.
    pub triad_bytes_per_second_all_threads: f64,
    /// What to check before trusting the ceilings, as sentences.
    pub doubts: Vec<String>,
    /// Which machine it was; null in reports of versions that did not say.
    #[serde(default)]
    pub host: Option<HostPart>,
}

rooflens_ground::words! {
    /// What keeps a runtime from running a model.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum RefusalKind {
        /// The runtime is not in this build, or its library is not on the machine.
        Runtime = "runtime",
        /// The model is not ONNX, and a node of it has no counterpart there.
        Translation = "translation",
        /// Weights or inputs need more memory than there is.
        Memory = "memory",
        /// No contents can be generated for an input.
        Input = "input",
        /// The runtime does not have an operator.
        Operator = "operator",
        /// The runtime cannot settle the shapes.
        Shapes = "shapes",
        /// The runtime panicked.
        Panic = "panic",
        /// The runtime refuses a node for another reason, or fails at it.
        Node = "node",
        /// Another reason, which the runtime's own message gives.
        Other = "other",
    }
}

/// Why a runtime did not run the model.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RefusalPart {
    /// `tract`, `ort`, or `any` where no runtime was asked.
    pub runtime: String,
    /// The kind of reason.
    pub kind: RefusalKind,
    /// The node at which it stopped, of the main graph; null where none is named.
    pub node: Option<String>,
    /// The operator of that node, or the operator that is missing; null where none is named.
    pub operator: Option<String>,
    /// The reason as a clause.
    pub reason: String,
    /// What the runtime itself said, cut where it is long; null where it said nothing.
    pub message: Option<String>,
}

/// A closed loop: each worker begins its next inference when the last one ends, so that times are service times
/// without queueing.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoopPart {
    /// What it is called.
    pub name: String,
    /// Inferences in flight, at least 1.
    pub workers: usize,
    /// Successful inferences that began in the time that counts.
    pub count: u64,
    /// Inferences that failed.
    pub errors: u64,
    /// What the first failure said; null where none failed.
    pub first_error: Option<String>,
    /// Whether it was stopped before its time.
    pub interrupted: bool,
    /// Whether the median and the throughput can be trusted, and why not; null in reports of versions that gave none.
    pub verdict: Option<VerdictPart>,
    /// Successful inferences per second; one that reaches beyond the time that counts is counted by its share in it.
    pub throughput_per_second: f64,
    /// Mean time of an inference in seconds; 0 where none was successful.
    pub mean_seconds: f64,
    /// Median time of an inference; null where none was successful.
    pub p50_seconds: Option<f64>,
    /// 90th percentile; null where fewer than ten inferences lie beyond it.
    pub p90_seconds: Option<f64>,
    /// 95th percentile; null where fewer than ten inferences lie beyond it.
    pub p95_seconds: Option<f64>,
    /// 99th percentile; null where fewer than ten inferences lie beyond it.
    pub p99_seconds: Option<f64>,
    /// Longest time of an inference in seconds; 0 where none was successful.
    pub max_seconds: f64,
    /// All percentiles with their intervals, from the lowest to the highest quantile; empty in reports of versions that
    /// gave no intervals.
    #[serde(default)]
    pub percentiles: Vec<PercentilePart>,
    /// Operations per second: throughput times those of an inference; null where these are not known.
    pub achieved_flops: Option<f64>,
    /// What the roof of as many threads allows, in FLOP/s.
    pub attainable_flops: f64,
    /// How far the loop is below that roof; null where `achieved_flops` is null or zero.
    pub gap: Option<GapPart>,
}

/// How far a run is below its roof, and what that factor is made of: `total` = `traffic` × `kernels`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct GapPart {
    /// Attainable over achieved FLOP/s.
    pub total: f64,
    /// The part that goes when nodes pass their results on in cache: the time of all nodes, each reading and writing
    /// memory, over the time of the model at best.
    pub traffic: f64,
    /// The rest: kernels that stay below the ceilings, and what the runtime does between them.
    pub kernels: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `assess` wrote it before there were verdicts and intervals.
    #[test]
    fn older_loops_are_read() {
        let text = r#"{"name": "single stream", "workers": 1, "count": 165, "errors": 0, "first_error": null,
            "interrupted": false, "throughput_per_second": 55.0, "mean_seconds": 0.018, "p50_seconds": 0.018,
            "p90_seconds": 0.019, "p95_seconds": null, "p99_seconds": null, "max_seconds": 0.02,
            "achieved_flops": 3.4e10, "attainable_flops": 1.7e11,
            "gap": {"total": 5.0, "traffic": 2.5, "kernels": 2.0}}"#;
        let one: LoopPart = serde_json::from_str(text).unwrap();
        assert_eq!((one.count, one.verdict, one.percentiles.len()), (165, None, 0));
    }
}
