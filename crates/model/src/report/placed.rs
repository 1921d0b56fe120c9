//! A counted model under the roof of a device.

use super::levels::levels;
use super::{
    Binds, BoundReport, EstimateReport, FitReport, ModelReport, OpReport, PhaseKind, RunKind,
    RunReport, Shares,
};
use crate::dim::Bindings;
use crate::hwdb::{CeilingType, Device};
use crate::ops::Status;
use crate::roofline::{Hierarchy, Placement, Roof};
use rooflens_ground::units::{Bytes, Flops, Seconds};

impl FitReport {
    /// Of `report` on a device with this much memory.
    pub fn new(report: &ModelReport, device_bytes: u64) -> Self {
        let needed_bytes = report.memory_bytes();
        let known = report.is_complete() && report.memory.is_complete();
        let fits = (known || needed_bytes > device_bytes).then_some(needed_bytes <= device_bytes);
        Self { needed_bytes, device_bytes, fits }
    }
}

impl BoundReport {
    /// The same with likely times on `device`, where a runtime was calibrated there in the roof's type.
    #[must_use]
    pub fn with_estimates(mut self, device: &Device, report: &ModelReport) -> Self {
        let calibrations = device
            .calibrations
            .iter()
            .filter(|_| CeilingType::from(self.dtype.as_str()) == CeilingType::F32);
        self.estimates = calibrations.map(|c| EstimateReport::new(c, report)).collect();
        self
    }

    /// The same with what else is known of `device`: whether the model fits, and the share of launches.
    #[must_use]
    pub fn with_device(mut self, device: &Device, roof: &Roof, report: &ModelReport) -> Self {
        let memory = device.dram().and_then(|d| d.capacity_bytes);
        self.memory = memory.map(|bytes| FitReport::new(report, bytes));
        if let Some(microseconds) = device.launch_us {
            self.runs = runs(roof, report, self.lower_bound_seconds, microseconds * 1e-6);
            self.bound = verdict(&self.runs);
            self.fused_seconds = seconds(&self.runs, RunKind::Fused);
            self.node_by_node_seconds = seconds(&self.runs, RunKind::Unfused);
        }
        self.with_estimates(device, report)
    }

    /// Places `report` under `roof`.
    pub fn new(roof: &Roof, report: &ModelReport) -> Self {
        let whole = place(roof, report);
        let least =
            |macs| roof.least(Flops(work_of(report, macs)), lower_bound_bytes(report)).get();
        let lower_bound_seconds = least(report.totals.lower_bound_macs);
        let runs = runs(roof, report, lower_bound_seconds, 0.0);
        Self {
            device: roof.device.clone(),
            dtype: roof.dtype.to_string(),
            accumulate: roof.accumulate.as_ref().map(CeilingType::to_string),
            unit: roof.unit.clone(),
            boost_mhz: roof.boost_mhz,
            measured: roof.measured,
            peak_flops: roof.peak.get(),
            bandwidth_bytes_per_second: roof.bandwidth.get(),
            ridge_flop_per_byte: roof.ridge().get(),
            intensity_flop_per_byte: whole.intensity.get(),
            attainable_flops: whole.attainable.get(),
            bound: verdict(&runs),
            fused_seconds: seconds(&runs, RunKind::Fused),
            node_by_node_seconds: seconds(&runs, RunKind::Unfused),
            runs,
            cached_bytes: cached(roof, report),
            memory: None,
            tokens_per_second: tokens_per_second(roof, report),
            levels: Vec::new(),
            critical_batch: critical_batch(roof, report),
            lower_bound_seconds,
            lower_bound_operations: least_work(report),
            direct_seconds: least(report.totals.effective_macs),
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

/// The time of one way to run a model.
fn seconds(runs: &[RunReport], name: RunKind) -> f64 {
    runs.iter().find(|run| run.name == name).map_or(0.0, |run| run.seconds)
}

/// What the fused kernels say.
fn verdict(runs: &[RunReport]) -> Binds {
    let fused = runs.iter().find(|run| run.name == RunKind::Fused);
    fused.map_or(Binds::Unknown, |run| run.shares.verdict())
}

/// The model at best, fused and unfused; a kernel takes no less than `launch` seconds.
fn runs(roof: &Roof, report: &ModelReport, least: f64, launch: f64) -> Vec<RunReport> {
    let t = &report.totals;
    let (least_work, lower_bound_bytes) = (least_work(report), lower_bound_bytes(report));
    let arithmetic = least_work / roof.peak.get();
    let shares = match (least > 0.0, arithmetic >= least) {
        (false, _) => Shares::default(),
        (true, true) => Shares::of(1.0, 0.0, 0.0),
        (true, false) => Shares::of(0.0, 1.0, 0.0),
    };
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    let moved = |work: f64, bytes: f64| (bytes > 0.0).then(|| work / bytes);
    let at_best = RunReport {
        name: RunKind::AtBest,
        seconds: least,
        flops_per_second: ratio(least_work, least),
        flop_per_byte: moved(least_work, lower_bound_bytes.get()),
        bound: shares.verdict(),
        shares,
    };
    let sum = |name: RunKind, kernels: &mut dyn Iterator<Item = (u64, u64)>, bytes: Option<u64>| {
        let (mut compute, mut memory, mut launches) = (0.0, 0.0, 0.0);
        for (work, bytes) in kernels {
            let placed = roof.place(Flops(work as f64), Bytes(bytes as f64));
            match placed.bound {
                _ if placed.time.get() < launch => launches += launch,
                crate::roofline::Bound::Compute => compute += placed.time.get(),
                crate::roofline::Bound::Memory => memory += placed.time.get(),
            }
        }
        let (seconds, shares) =
            (compute + memory + launches, Shares::of(compute, memory, launches));
        RunReport {
            name,
            seconds,
            flops_per_second: ratio(work(report), seconds),
            flop_per_byte: moved(work(report), bytes.unwrap_or(0) as f64),
            bound: shares.verdict(),
            shares,
        }
    };
    let mut groups = report.groups.iter().filter_map(|g| Some((g.operations()?, g.bytes()?)));
    let fused = sum(RunKind::Fused, &mut groups, t.fused_bytes);
    // The rows of bodies are part of the rows around them.
    let nodes = report.nodes().filter(|op| op.status != Status::Folded);
    let mut nodes = nodes.filter_map(|op| Some((op.operations()?, op.bytes()?)));
    vec![at_best, fused, sum(RunKind::Unfused, &mut nodes, t.bytes())]
}

/// Of the compulsory bytes, those that caches keep.
fn cached(roof: &Roof, report: &ModelReport) -> u64 {
    let moved =
        report.totals.compulsory_bytes.unwrap_or(0).saturating_sub(report.totals.bound_bytes);
    let kept = roof.cached.get().min(moved as f64);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to `moved`")]
    let kept = kept.max(0.0) as u64;
    kept
}

/// Of a decoder: sequences of the batch over the least time of a decode step.
fn tokens_per_second(roof: &Roof, report: &ModelReport) -> Option<f64> {
    let step = report.phases.iter().find(|phase| phase.name == PhaseKind::Decode)?;
    let (work, moved) = (step.lower_bound_operations as f64, step.lower_bound_bytes as f64);
    let seconds = roof.least(Flops(work), Bytes(moved)).get();
    let named = report.model.batch_symbol.as_ref().and_then(|s| report.bindings.get(s)).copied();
    let ids = report.model.inputs.iter().find(|t| t.shape.as_ref().is_some_and(|s| s.len() == 2));
    let first = || ids.and_then(|t| *t.shape.as_ref()?.first()?);
    (seconds > 0.0).then(|| named.or_else(first).unwrap_or(1) as f64 / seconds)
}

/// The least batch whose compulsory intensity reaches the ridge: it grows with the batch, because weights
/// move once.
fn critical_batch(roof: &Roof, report: &ModelReport) -> Option<u64> {
    const MOST: u64 = 1 << 20;
    let symbol = report.model.batch_symbol.as_deref()?;
    let needed = ["flops", "int_ops", "compulsory_bytes"];
    if report.formulas.elsewhere.iter().any(|name| needed.contains(&name.as_str())) {
        return None;
    }
    let counts = report.counts.as_ref()?;
    let at = |batch: u64| -> Option<bool> {
        let mut bindings: Bindings =
            report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
        bindings.insert(symbol.into(), batch.into());
        let work = counts.work.eval(&bindings).ok()?;
        let bytes = counts.compulsory_bytes.eval(&bindings).ok()?;
        Some(work as f64 / bytes as f64 >= roof.ridge().get())
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

/// The same without what a kernel may skip: padding, scores that a mask hides, products that fast
/// convolutions spare, and data-dependent work.
fn least_work(report: &ModelReport) -> f64 {
    work_of(report, report.totals.lower_bound_macs)
}

/// The same with `macs` of the multiply–accumulates.
fn work_of(report: &ModelReport, macs: Option<u64>) -> f64 {
    let skipped = report.totals.macs.unwrap_or(0).saturating_sub(macs.unwrap_or(0));
    (work(report) - report.totals.bound_ops as f64 - 2.0 * skipped as f64).max(0.0)
}

fn lower_bound_bytes(report: &ModelReport) -> Bytes {
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

/// The least time of one node that reads and writes memory.
pub fn op_time(roof: &Roof, op: &OpReport) -> Seconds {
    let work = Flops(op.operations().unwrap_or(0) as f64);
    roof.place(work, Bytes(op.bytes().unwrap_or(0) as f64)).time
}
