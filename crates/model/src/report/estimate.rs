//! How long a model is likely to take in a runtime that was calibrated on the device.
//!
//! Σ over kernels of max(F/(π·ηc), W/βw) or Q/(β·ηm), and overheads; η of a kernel comes from
//! measured kernels of its class that are nearest in shape, W are weights that no cache keeps from
//! one run to the next. Weights that two nodes read may be laid out anew in each run.

use super::kernels::{Follows, Kernel, kernels};
use super::{EstimatePart, EstimateReport, ModelReport};
use crate::hwdb::{Calibration, CalibrationPoint};
use crate::ops::KernelClass;
use std::collections::BTreeMap;

impl Kernel {
    /// Least time under the calibration's ceilings, of what its efficiency is a share of.
    pub fn least(&self, c: &Calibration) -> f64 {
        let (work, bytes) =
            (self.work / (c.peak_tflops * 1e12), self.bytes / (c.bandwidth_gb_s * 1e9));
        match self.class {
            None => work.max(bytes),
            Some(class) if class.is_product() => work,
            Some(_) => bytes,
        }
    }

    /// Seconds in the calibrated runtime, and whether its class was calibrated; `cold` where weights
    /// come from main memory in each run.
    pub fn seconds(&self, c: &Calibration, cold: bool) -> (f64, bool) {
        let class = self.class.map(KernelClass::name);
        let same = c.points.iter().filter(|p| Some(p.class.as_str()) == class);
        let found = efficiency(&same.collect::<Vec<_>>(), &self.shape);
        let mut seconds = self.least(c) / found.unwrap_or(1.0);
        if cold {
            seconds = seconds.max(self.weight_bytes / (c.weights_gb_s * 1e9));
        }
        if let Some(rate) = c.shared_weights_gb_s.filter(|_| self.shared) {
            seconds += self.weight_bytes / (rate * 1e9);
        }
        match self.follows {
            Some(Follows::Convolution) => seconds *= c.sum_after_convolution,
            Some(Follows::Product) => seconds *= c.sum_after_product,
            None => {}
        }
        (seconds + c.per_kernel_us * 1e-6, found.is_some())
    }
}

/// The efficiency of a kernel: of measured ones of its class, the nearest in shape weigh most.
pub fn efficiency(points: &[&CalibrationPoint], shape: &[f64]) -> Option<f64> {
    const NEAREST: usize = 4;
    let distance = |p: &CalibrationPoint| -> f64 {
        p.shape.iter().zip(shape).map(|(a, b)| (a - b) * (a - b)).sum()
    };
    let mut near: Vec<(f64, f64)> = points
        .iter()
        .filter(|p| p.shape.len() == shape.len() && p.efficiency > 0.0)
        .map(|p| (distance(p), p.efficiency.ln()))
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.truncate(NEAREST);
    let weight = |d: f64| 1.0 / (d * d + 0.01);
    let total: f64 = near.iter().map(|(d, _)| weight(*d)).sum();
    let sum: f64 = near.iter().map(|(d, e)| weight(*d) * e).sum();
    (total > 0.0).then(|| (sum / total).exp())
}

impl EstimateReport {
    /// The estimate of `report` by a calibration.
    pub fn new(c: &Calibration, report: &ModelReport) -> Self {
        let kernels = kernels(report);
        // What a run goes through again and again stays in a cache only as a whole.
        let weights: f64 = kernels.iter().map(|k| k.weight_bytes).sum();
        let cold = c.cache_bytes.is_none_or(|cache| weights > cache as f64);
        let times: Vec<(f64, bool)> = kernels.iter().map(|k| k.seconds(c, cold)).collect();
        let without = || kernels.iter().zip(&times).filter(|(_, t)| !t.1).map(|(k, _)| k);
        Self {
            runtime: c.runtime.clone(),
            version: c.version.clone(),
            threads: c.threads,
            seconds: c.per_run_us * 1e-6 + times.iter().map(|t| t.0).sum::<f64>(),
            held_out_error: c.held_out_error,
            held_out_networks: c.networks.len(),
            settled: c.settled,
            kernels: kernels.len(),
            uncalibrated: without().count(),
            uncalibrated_types: without().map(|k| k.op_type.clone()).collect(),
            parts: parts(&kernels, &times),
        }
    }
}

/// The sums of `times` by kind of kernel.
fn parts(kernels: &[Kernel], times: &[(f64, bool)]) -> Vec<EstimatePart> {
    let mut kinds: BTreeMap<&str, (usize, f64)> = BTreeMap::new();
    for (kernel, (seconds, _)) in kernels.iter().zip(times) {
        let kind = kernel.class.as_ref().map_or(kernel.op_type.as_str(), |class| class.name());
        let (count, sum) = kinds.entry(kind).or_default();
        (*count, *sum) = (*count + 1, *sum + seconds);
    }
    let part = |(kind, (kernels, seconds)): (&str, _)| EstimatePart {
        kind: kind.into(),
        kernels,
        seconds,
    };
    let mut parts: Vec<EstimatePart> = kinds.into_iter().map(part).collect();
    parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    parts
}
