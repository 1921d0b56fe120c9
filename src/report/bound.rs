//! A counted model under the roof of a device.

use super::levels::{LevelReport, levels};
use super::{EstimateReport, GroupReport, ModelReport, OpReport};
use crate::dim::{Bindings, Dim};
use crate::hwdb::Device;
use crate::roofline::{Hierarchy, Placement, Roof};
use crate::units::{Bytes, Flops, Seconds};
use serde::{Deserialize, Serialize};

/// What a device allows a model at best.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundReport {
    /// The device.
    pub device: String,
    /// Data type of the compute ceiling.
    pub dtype: String,
    /// Whether the ceilings were measured; from datasheets otherwise.
    pub measured: bool,
    /// Compute ceiling in FLOP/s.
    pub peak_flops: f64,
    /// Memory ceiling in B/s.
    pub bandwidth_bytes_per_second: f64,
    /// Where the ceilings cross.
    pub ridge_flop_per_byte: f64,
    /// Operations a byte when inputs, weights and outputs move once.
    pub intensity_flop_per_byte: f64,
    /// FLOP/s allowed at that intensity.
    pub attainable_flops: f64,
    /// `compute` or `memory`.
    pub bound: String,
    /// What binds the nodes, where the device's memory levels were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<LevelReport>,
    /// The least batch at which the model is bound by compute, where there is one below 2^20.
    pub critical_batch: Option<u64>,
    /// max(F/π, (Q − C)/β) of the whole model: F without padding and masked scores, Q its compulsory
    /// bytes, both without what data may spare, C what the caches keep from one run to the next.
    pub least_seconds: f64,
    /// Σ max(F/π, Q/β) over kernels that take their epilogues, chains, norms and attention along.
    pub fused_seconds: f64,
    /// Σ max(F/π, Q/β) over nodes, each reading its inputs from memory and writing its outputs there.
    pub node_by_node_seconds: f64,
    /// Likely times, in runtimes that were calibrated on the device; no bounds.
    #[serde(default)]
    pub estimates: Vec<EstimateReport>,
}

impl BoundReport {
    /// The same with likely times on `device`, where a runtime was calibrated there in the roof's type.
    #[must_use]
    pub fn with_estimates(mut self, device: &Device, report: &ModelReport) -> Self {
        let calibrations = device.calibrations.iter().filter(|_| self.dtype == "f32");
        self.estimates = calibrations.map(|c| EstimateReport::new(c, report)).collect();
        self
    }

    /// Places `report` under `roof`.
    pub fn new(roof: &Roof, report: &ModelReport) -> Self {
        let whole = place(roof, report);
        Self {
            device: roof.device.clone(),
            dtype: roof.dtype.clone(),
            measured: roof.measured,
            peak_flops: roof.peak.get(),
            bandwidth_bytes_per_second: roof.bandwidth.get(),
            ridge_flop_per_byte: roof.ridge().get(),
            intensity_flop_per_byte: whole.intensity.get(),
            attainable_flops: whole.attainable.get(),
            bound: whole.bound.name().to_owned(),
            levels: Vec::new(),
            critical_batch: critical_batch(roof, report),
            least_seconds: roof.least(Flops(least_work(report)), least_bytes(report)).get(),
            fused_seconds: report.groups.iter().map(|g| group_time(roof, g).get()).sum(),
            node_by_node_seconds: report.ops.iter().map(|op| op_time(roof, op).get()).sum(),
            estimates: Vec::new(),
        }
    }
}

impl BoundReport {
    /// The same with what binds each node, level by level.
    #[must_use]
    pub fn with_levels(self, hierarchy: &Hierarchy, report: &ModelReport) -> Self {
        Self { levels: levels(hierarchy, report), ..self }
    }
}

/// The least batch whose intensity reaches the ridge: the intensity grows with the batch, because
/// weights move once.
fn critical_batch(roof: &Roof, report: &ModelReport) -> Option<u64> {
    const MOST: u64 = 1 << 20;
    let symbol = report.model.batch_symbol.as_deref()?;
    let needed = ["flops", "int_ops", "compulsory_bytes"];
    if report.formulas.elsewhere.iter().any(|name| needed.contains(&name.as_str())) {
        return None;
    }
    let formula = |text: &str| text.parse::<Dim>().ok();
    let text = |text: &Option<String>| formula(text.as_deref()?);
    let (flops, ints) = (text(&report.formulas.flops)?, text(&report.formulas.int_ops)?);
    let bytes = text(&report.formulas.compulsory_bytes)?;
    let at = |batch: u64| -> Option<bool> {
        let mut bindings: Bindings =
            report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
        bindings.insert(symbol.into(), batch.into());
        let work = flops.eval(&bindings).ok()? + ints.eval(&bindings).ok()?;
        let intensity = work as f64 / bytes.eval(&bindings).ok()? as f64;
        Some(intensity >= roof.ridge().get())
    };
    let (mut low, mut high) = (0, MOST);
    if !at(high)? {
        return None;
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        *(if at(middle)? { &mut high } else { &mut low }) = middle;
    }
    Some(high)
}

/// Arithmetic of a whole model, float and integer.
fn work(report: &ModelReport) -> f64 {
    report.totals.operations().unwrap_or(0) as f64
}

/// The same without what a kernel may skip: padding, scores that a mask hides, and whatever nodes do of
/// which only the data decide how much.
fn least_work(report: &ModelReport) -> f64 {
    let counted = |n: Option<u64>| n.unwrap_or(0);
    let (macs, effective) = (report.totals.macs, report.totals.effective_macs);
    let skipped = counted(macs).saturating_sub(counted(effective));
    (work(report) - report.totals.bound_ops as f64 - 2.0 * skipped as f64).max(0.0)
}

fn least_bytes(report: &ModelReport) -> Bytes {
    Bytes(report.totals.compulsory_bytes.unwrap_or(0).saturating_sub(report.totals.bound_bytes)
        as f64)
}

fn compulsory(report: &ModelReport) -> Bytes {
    Bytes(report.totals.compulsory_bytes.unwrap_or(0) as f64)
}

/// The whole model under `roof`, moving its compulsory bytes.
pub fn place(roof: &Roof, report: &ModelReport) -> Placement {
    roof.place(Flops(work(report)), compulsory(report))
}

/// The least time of one kernel.
pub(super) fn group_time(roof: &Roof, group: &GroupReport) -> Seconds {
    let work = Flops(group.operations().unwrap_or(0) as f64);
    roof.place(work, Bytes(group.bytes().unwrap_or(0) as f64)).time
}

/// The least time of one node that reads and writes memory.
pub fn op_time(roof: &Roof, op: &OpReport) -> Seconds {
    let work = Flops(op.operations().unwrap_or(0) as f64);
    roof.place(work, Bytes(op.bytes().unwrap_or(0) as f64)).time
}
