//! Runs of a server or runtime, as measurement files have them.

use super::schema::{RatePart, RunPart, StageTime};
use rooflens_probe::schema::{
    ENERGY, LoopPart, MeasurementFile, ModelPart, PercentilePart, Verdict, VerdictPart,
};

/// Batches of intervals that the interval of a rate comes from, as those of percentiles do.
const BATCHES: usize = 32;
/// Student's t at 0.975 with 31 degrees of freedom.
const T: f64 = 2.0395;

/// A run, called `label`.
pub fn run(label: &str, file: &MeasurementFile) -> RunPart {
    let shape = |slot: &rooflens_probe::schema::SlotPart| {
        let sizes: Vec<String> = slot.shape.iter().map(ToString::to_string).collect();
        format!("{}:{}:{}", slot.name, slot.dtype, sizes.join("x"))
    };
    let energy = file.meters.iter().find(|m| m.name == ENERGY).and_then(|m| m.value);
    RunPart {
        label: label.to_owned(),
        started_unix_seconds: file.run.started_unix_seconds,
        target: file.target.url.clone(),
        platform: file.target.platform.clone(),
        load: file.plan.load.clone(),
        open: file.plan.open,
        batch: file.target.batch,
        inputs: file.target.inputs.iter().map(shape).collect(),
        planned_seconds: file.plan.seconds,
        seconds: file.window.seconds,
        schedule_fingerprint: file.run.schedule_fingerprint.clone(),
        headline_quantile: file
            .slo
            .as_ref()
            .map_or(file.plan.headline_quantile, |slo| slo.quantile),
        slo: file.slo.clone(),
        verdict: file.verdict.clone(),
        good: file.window.good,
        failed: file.window.lost,
        offered_per_second: file.window.offered_per_second,
        percentiles: file.response.percentiles.clone(),
        service_percentiles: file.service.percentiles.clone(),
        rate: rate(file),
        energy_joules: energy.filter(|e| *e > 0.0),
        stages: stages(file),
        meters: file.meters.iter().filter(|m| m.value.is_some()).cloned().collect(),
        model: file.model.clone(),
    }
}

/// A closed loop of an assessment, of the model that `model` says the costs of.
pub fn closed_loop(part: &LoopPart, runtime: &str, model: Option<ModelPart>) -> RunPart {
    let rate = RatePart { per_second: part.throughput_per_second, low: None, high: None };
    let nothing = VerdictPart { verdict: Verdict::Valid, findings: Vec::new(), notes: Vec::new() };
    RunPart {
        label: part.name.clone(),
        started_unix_seconds: 0.0,
        target: runtime.to_owned(),
        platform: runtime.to_owned(),
        load: format!("closed:{}", part.workers),
        open: false,
        batch: 1,
        inputs: Vec::new(),
        planned_seconds: 0.0,
        seconds: if rate.per_second > 0.0 { part.count as f64 / rate.per_second } else { 0.0 },
        schedule_fingerprint: String::new(),
        headline_quantile: 0.99,
        slo: None,
        verdict: part.verdict.clone().unwrap_or(nothing),
        good: part.count,
        failed: part.errors,
        offered_per_second: rate.per_second,
        percentiles: part.percentiles.clone(),
        service_percentiles: part.percentiles.clone(),
        rate,
        energy_joules: None,
        stages: Vec::new(),
        meters: Vec::new(),
        model,
    }
}

/// Inferences per second with an interval from the means of batches in time; no interval where the run is too short.
fn rate(file: &MeasurementFile) -> RatePart {
    const GOOD: &str = "good";
    let per_second = file.window.inferences_per_second;
    let none = RatePart { per_second, low: None, high: None };
    let rows = &file.intervals;
    let Some(column) = rows.columns.iter().position(|c| c == GOOD) else { return none };
    let step = rows.step_nanoseconds as f64 * 1e-9;
    if step <= 0.0 {
        return none;
    }
    let start = |row: usize| row as f64 * step;
    let end = file.window.from_seconds + file.window.seconds;
    let counts: Vec<f64> = (0..rows.rows.len())
        .filter(|row| start(*row) + 1e-9 >= file.window.from_seconds && start(*row) < end)
        .filter_map(|row| rows.rows.get(row)?.get(column).map(|n| *n as f64))
        .collect();
    let each = counts.len() / BATCHES;
    if each == 0 {
        return none;
    }
    let means: Vec<f64> = counts[counts.len() - each * BATCHES..]
        .chunks(each)
        .map(|part| part.iter().sum::<f64>())
        .collect();
    let n = BATCHES as f64;
    let mean = means.iter().sum::<f64>() / n;
    if mean <= 0.0 {
        return none;
    }
    let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = per_second * T * (variance / n).sqrt() / mean;
    RatePart { per_second, low: Some((per_second - half).max(0.0)), high: Some(per_second + half) }
}

/// The parts of a request's way whose times are known.
fn stages(file: &MeasurementFile) -> Vec<StageTime> {
    let parts = file.pipeline.parts.iter();
    parts
        .filter_map(|part| {
            Some(StageTime {
                role: part.role,
                stage: part.stage.clone(),
                seconds: part.seconds?,
                utilisation: part.utilisation,
            })
        })
        .collect()
}

impl RunPart {
    /// The percentile of the response time at this quantile.
    pub fn percentile(&self, quantile: f64) -> Option<&PercentilePart> {
        PercentilePart::find(&self.percentiles, quantile)
    }
}
