//! The report of an assessment: what a model costs, what a machine allows, what was reached; and the programme that makes it.

#[cfg(feature = "load")]
pub mod program;

use crate::report::{BoundReport, ModelReport, place};
use crate::roofline::Roof;
use crate::schema::{GapPart, LoopPart, MachinePart, MeasurementFile, PercentilePart, RefusalPart};
#[cfg(test)]
use crate::schemas::elsewhere;
use serde::{Deserialize, Serialize};

/// Version of the JSON form, in its `schema` field.
pub const ASSESSMENT_SCHEMA: &str = "rooflens.assessment/1";

/// `report.json` of `rooflens assess`: rates in FLOP/s and bytes per second, times in seconds per inference.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Assessment {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = ASSESSMENT_SCHEMA)))]
    pub schema: String,
    /// The machine and its measured ceilings.
    #[cfg_attr(test, schemars(with = "elsewhere::MachinePart"))]
    pub machine: MachinePart,
    /// What all threads allow.
    #[cfg_attr(test, schemars(with = "elsewhere::BoundReport"))]
    pub bound: BoundReport,
    /// What was reached; empty where nothing was measured.
    #[cfg_attr(test, schemars(with = "Vec<elsewhere::LoopPart>"))]
    pub measured: Vec<LoopPart>,
    /// Why nothing was measured, as a sentence; null where something was.
    #[serde(default)]
    pub not_measured: Option<String>,
    /// The runtimes that did not run the model, and why, in the order in which they were tried.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<elsewhere::RefusalPart>"))]
    pub refusals: Vec<RefusalPart>,
    /// The command that measures the model where nothing here does; null where something was measured.
    #[serde(default)]
    pub advice: Option<String>,
    /// The program that ran the model; null where none did.
    pub runtime: Option<String>,
    /// Where the weights came from; null where the model was not run.
    pub weights: Option<String>,
    /// Reading, optimising and planning the model, in seconds; null where the model was not run.
    pub load_seconds: Option<f64>,
    /// The first inference, in seconds; null where the model was not run.
    pub first_inference_seconds: Option<f64>,
    /// What the model costs.
    #[cfg_attr(test, schemars(with = "elsewhere::ModelReport"))]
    pub analysis: ModelReport,
}

/// The closed loop `name` of `workers` workers, as measured in `file`, under the roof of as many threads.
pub fn loop_part(
    name: &str,
    workers: usize,
    file: &MeasurementFile,
    roof: &Roof,
    report: &ModelReport,
) -> LoopPart {
    let at = |q: f64| {
        let found = PercentilePart::find(&file.response.percentiles, q);
        found.filter(|p| p.supported || q <= 0.5).and_then(|p| p.seconds)
    };
    let throughput = file.window.goodput_per_second;
    let achieved = report.totals.operations().map(|work| throughput * work as f64);
    let first = file.errors.iter().min_by(|a, b| a.first_seconds.total_cmp(&b.first_seconds));
    LoopPart {
        name: name.to_owned(),
        workers,
        count: file.window.good,
        errors: file.errors.iter().map(|e| e.count).sum(),
        first_error: first.map(|e| e.message.clone()),
        interrupted: file.run.stopped,
        verdict: Some(file.verdict.clone()),
        throughput_per_second: throughput,
        mean_seconds: file.response.mean_seconds,
        p50_seconds: at(0.5),
        p90_seconds: at(0.9),
        p95_seconds: at(0.95),
        p99_seconds: at(0.99),
        max_seconds: file.response.max_seconds,
        percentiles: file.response.percentiles.clone(),
        achieved_flops: achieved,
        attainable_flops: place(roof, report).attainable.get(),
        gap: achieved.and_then(|a| gap_part(a, &BoundReport::new(roof, report))),
    }
}

/// The gap of a run that achieves `achieved` FLOP/s under `bound`.
pub fn gap_part(achieved: f64, bound: &BoundReport) -> Option<GapPart> {
    if achieved <= 0.0 || bound.direct_seconds <= 0.0 {
        return None;
    }
    let total = bound.attainable_flops / achieved;
    // Caches may do better than node by node; the traffic's part is then the whole gap.
    let traffic = (bound.node_by_node_seconds / bound.direct_seconds).min(total).max(1.0);
    Some(GapPart { total, traffic, kernels: total / traffic })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_gap_multiply_to_the_whole() {
        let mut bound = BoundReport {
            attainable_flops: 1e11,
            lower_bound_seconds: 0.005,
            direct_seconds: 0.01,
            node_by_node_seconds: 0.02,
            ..BoundReport::default()
        };
        let gap = gap_part(1e10, &bound).unwrap();
        assert!((gap.total - 10.0).abs() < 1e-9 && (gap.traffic - 2.0).abs() < 1e-9);
        assert!((gap.traffic * gap.kernels - gap.total).abs() < 1e-9);
        bound.node_by_node_seconds = 1.0;
        let gap = gap_part(1e10, &bound).unwrap();
        assert!((gap.traffic - 10.0).abs() < 1e-9 && (gap.kernels - 1.0).abs() < 1e-9);
        assert!(gap_part(0.0, &bound).is_none());
    }
}
