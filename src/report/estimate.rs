//! How long a model is likely to take in a runtime that was calibrated on the device.
//!
//! Σ over kernels of max(F/(π·ηc), Q/(β·ηm)), and overheads; η of a kernel comes from measured
//! kernels of its class that are nearest in shape.

use super::{ModelReport, OpReport};
use crate::hwdb::{Calibration, CalibrationPoint};
use serde::{Deserialize, Serialize};

/// A likely time, apart from any bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EstimateReport {
    /// `tract` or `ort`.
    pub runtime: String,
    /// Its version.
    pub version: String,
    /// Threads of the inference.
    pub threads: u32,
    /// Seconds of one run.
    pub seconds: f64,
    /// Median relative error on micro-benchmarks that were left out of the fit.
    pub held_out_error: f64,
    /// Kernels that the sum is of.
    pub kernels: usize,
    /// Kernels of kinds that were not calibrated, which count at the roof.
    pub uncalibrated: usize,
}

/// What a kernel does, as far as its time depends on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    /// `conv`, `pointwise`, `depthwise`, `gemm`, `batched`, `elementwise`, `norm`, `softmax`,
    /// `reduction`, `movement`.
    pub class: &'static str,
    /// Operations.
    pub work: f64,
    /// Bytes read and written.
    pub bytes: f64,
    /// Transcendental functions of an epilogue or of element-wise work.
    pub transcendentals: f64,
    /// log2 of what its efficiency depends on: rows, columns and depth of a product; bytes else.
    pub shape: Vec<f64>,
}

impl Kernel {
    fn is_product(&self) -> bool {
        self.shape.len() > 1
    }

    /// Least time under the calibration's ceilings.
    pub fn least(&self, c: &Calibration) -> f64 {
        let bytes = self.bytes / (c.bandwidth_gb_s * 1e9);
        if self.is_product() { self.work / (c.peak_tflops * 1e12) } else { bytes }
    }
}

/// The kernels of a model, in a runtime that has decomposed norms as one kernel or not.
pub fn kernels(report: &ModelReport, fuses_norms: bool) -> Vec<Kernel> {
    let mut all = Vec::new();
    for group in &report.groups {
        let ops: Vec<&OpReport> = group.nodes.iter().filter_map(|n| report.ops.get(*n)).collect();
        let bytes = group.bytes_read as f64 + group.bytes_written as f64;
        let anchor = ops.iter().find(|op| product(op).is_some());
        let reduces = ops.iter().filter(|op| op.class == "reduction").count();
        match anchor {
            Some(anchor) if group.rule != "attention" => {
                let (class, shape) = product(anchor).unwrap_or_default();
                let epilogue = ops.iter().map(|op| op.transcendentals as f64).sum();
                let work = (anchor.flops + anchor.int_ops) as f64;
                all.push(Kernel { class, work, bytes, transcendentals: epilogue, shape });
            }
            None if fuses_norms && reduces >= 2 => {
                all.push(plain("norm", 0.0, bytes));
            }
            _ => all.extend(ops.iter().map(|op| single(op))),
        }
    }
    all
}

fn plain(class: &'static str, transcendentals: f64, bytes: f64) -> Kernel {
    Kernel { class, work: 0.0, bytes, transcendentals, shape: vec![bytes.max(1.0).log2()] }
}

fn single(op: &OpReport) -> Kernel {
    let bytes = op.bytes_read as f64 + op.bytes_written as f64;
    if let Some((class, shape)) = product(op) {
        let work = (op.flops + op.int_ops) as f64;
        return Kernel { class, work, bytes, transcendentals: 0.0, shape };
    }
    match op.class.as_str() {
        "normalization" if op.op_type.contains("Softmax") => plain("softmax", 0.0, bytes),
        "normalization" => plain("norm", 0.0, bytes),
        "reduction" | "pooling" => plain("reduction", 0.0, bytes),
        "element-wise" | "quantization" => plain("elementwise", op.transcendentals as f64, bytes),
        _ => plain("movement", 0.0, bytes),
    }
}

/// Class and log2 of rows, columns and depth of a convolution or matrix product.
fn product(op: &OpReport) -> Option<(&'static str, Vec<f64>)> {
    if op.macs == 0 {
        return None;
    }
    let size = |t: Option<&super::TensorReport>| -> Option<Vec<f64>> {
        t?.shape.as_ref()?.iter().map(|d| d.map(|d| d.max(1) as f64)).collect()
    };
    let output = size(op.outputs.first())?;
    let weight = size(op.inputs.get(1))?;
    let elements: f64 = output.iter().product();
    let logs = |m: f64, n: f64, k: f64| vec![m.log2(), n.log2(), k.max(1.0).log2()];
    let depth = op.macs as f64 / elements;
    match op.class.as_str() {
        "convolution" => {
            let channels = *output.get(1)?;
            let pixels = elements / channels;
            let window: f64 = weight.iter().skip(2).product();
            let class = match (weight.get(1).copied(), window) {
                (Some(1.0), _) if channels > 1.0 && depth > 1.0 && depth <= window => "depthwise",
                (_, 1.0) => "pointwise",
                _ => "conv",
            };
            Some((class, logs(channels, pixels, depth)))
        }
        "matrix product" => {
            let columns = *output.last()?;
            if weight.len() > 2 {
                let rows = output.iter().rev().nth(1).copied().unwrap_or(1.0);
                return Some(("batched", logs(rows, columns, depth)));
            }
            Some(("gemm", logs(elements / columns, columns, depth)))
        }
        _ => None,
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

/// Seconds of a kernel, and whether its class was calibrated.
pub fn kernel_seconds(c: &Calibration, kernel: &Kernel) -> (f64, bool) {
    let points: Vec<&CalibrationPoint> =
        c.points.iter().filter(|p| p.class == kernel.class).collect();
    let found = efficiency(&points, &kernel.shape);
    let extra = kernel.transcendentals * c.transcendental_ns * 1e-9;
    let seconds = kernel.least(c) / found.unwrap_or(1.0) + c.per_kernel_us * 1e-6 + extra;
    (seconds, found.is_some())
}

impl EstimateReport {
    /// The estimate of `report` by a calibration.
    pub fn new(c: &Calibration, report: &ModelReport) -> Self {
        let kernels = kernels(report, c.fuses_norms);
        let times: Vec<(f64, bool)> = kernels.iter().map(|k| kernel_seconds(c, k)).collect();
        Self {
            runtime: c.runtime.clone(),
            version: c.version.clone(),
            threads: c.threads,
            seconds: c.per_run_us * 1e-6 + times.iter().map(|t| t.0).sum::<f64>(),
            held_out_error: c.held_out_error,
            kernels: kernels.len(),
            uncalibrated: times.iter().filter(|t| !t.1).count(),
        }
    }
}
