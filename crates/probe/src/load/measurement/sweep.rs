//! Runs that differ in their batch alone.

use super::same;
use crate::schema::{MeasurementFile, SweepRow};

impl SweepRow {
    /// Of a measurement in `folder`.
    pub fn new(file: &MeasurementFile, folder: &str) -> Self {
        let at = |q: f64| {
            let all = file.response.percentiles.iter();
            all.filter(|p| p.supported).find(|p| same(p.quantile, q)).and_then(|p| p.seconds)
        };
        Self {
            batch: file.target.batch,
            folder: folder.into(),
            verdict: file.verdict.verdict,
            requests_per_second: file.window.goodput_per_second,
            inferences_per_second: file.window.inferences_per_second,
            p50_seconds: at(0.5),
            p95_seconds: at(0.95),
            p99_seconds: at(0.99),
            due: file.window.due,
            lost: file.window.lost,
        }
    }
}
