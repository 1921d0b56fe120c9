//! Parts of the file from what was recorded and judged.

use super::{COUNTED, ErrorPart, PercentilePart, SenderPart, SlotPart, StagePart, StageRows};
use crate::probe::judge::{Health, Judgement, TAIL};
use crate::probe::record::{Fault, FaultRow, Record, Stage};
use crate::probe::stats::Percentile;
use crate::probe::target::tensor::Slot;
use std::collections::BTreeMap;

impl SlotPart {
    pub(super) fn new(slot: &Slot) -> Self {
        Self { name: slot.name.clone(), dtype: slot.dtype.name().into(), shape: slot.shape.clone() }
    }
}

impl SenderPart {
    pub(super) fn new(h: &Health) -> Self {
        Self { wall_seconds: h.wall, cpu_seconds: h.cpu, waited_seconds: h.waited }
    }

    pub(super) fn health(&self) -> Health {
        Health { wall: self.wall_seconds, cpu: self.cpu_seconds, waited: self.waited_seconds }
    }
}

impl PercentilePart {
    pub(super) fn new(p: &Percentile) -> Self {
        let seconds = |n: u64| n as f64 * 1e-9;
        Self {
            quantile: p.q,
            seconds: p.value.map(seconds),
            low_seconds: p.interval.map(|(low, _)| seconds(low)),
            high_seconds: p.interval.and_then(|(_, high)| high.map(seconds)),
            supported: p.beyond >= TAIL,
            effective_samples: p.effective,
        }
    }
}

impl ErrorPart {
    pub(super) fn new(fault: &Fault, row: &FaultRow) -> Self {
        Self {
            kind: fault.to_string(),
            count: row.count,
            first_seconds: row.first as f64 * 1e-9,
            message: row.message.clone(),
        }
    }
}

impl StagePart {
    /// The stage is busy for its share of the time that requests stay, as many of which as were in
    /// flight within the window: those that are still open at its end count with what is in it.
    pub(super) fn new(name: &str, stage: Stage, j: &Judgement, in_process: bool) -> Self {
        let share = stage.nanoseconds as f64 / (j.sum.stay as f64).max(1.0);
        Self {
            name: name.into(),
            source: COUNTED[usize::from(!in_process)].into(),
            count: stage.count,
            mean_seconds: stage.nanoseconds as f64 * 1e-9 / (stage.count as f64).max(1.0),
            busy_share: share * j.in_flight,
            servers: None,
        }
    }
}

impl StageRows {
    /// All stages of a record, in time.
    pub(super) fn all(record: &Record) -> Vec<Self> {
        let mut all: BTreeMap<&str, Vec<[u64; 3]>> = BTreeMap::new();
        for (index, interval) in (0..).zip(&record.intervals) {
            for (name, stage) in &interval.stages {
                all.entry(name).or_default().push([index, stage.count, stage.nanoseconds]);
            }
        }
        all.into_iter().map(|(name, rows)| Self { name: name.into(), rows }).collect()
    }
}
