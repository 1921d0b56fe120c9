//! Readings in time, and what a part of a run makes of them.

pub(super) mod joules;

use super::MeterPart;
use super::scrape::{self, Answers, Reported};
use crate::schema::{MeterCovers, MeterRole, MeterUnit, SourcePart};
use joules::Amount;
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::SystemTime;

/// How readings of a column become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Of a counter: its increase, a second.
    Rate,
    /// Of a counter: its increase.
    Total,
    /// The mean of the readings.
    Mean,
    /// The largest reading.
    Peak,
}

/// What a column is to those who look for more than a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing more.
    Plain,
    /// The processor time of the server.
    ServerCpu,
    /// The share of time in which a board ran kernels.
    Busy,
    /// A counter of energy, J, or a sensor of power, W, of what it covers.
    Energy(MeterCovers),
    /// Whether the hardware of the board of this name lowered its clocks: 1 or 0.
    Slowed(String),
}

/// What a meter reads again and again.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) unit: MeterUnit,
    pub(super) show: Show,
    pub(super) note: String,
    /// Its upper bound.
    pub(super) of: Option<f64>,
    pub(super) role: Role,
    /// Where it is read.
    pub(super) source: Option<SourcePart>,
    /// Whether values come seldom and in large steps, as those of batteries: then the steps that are seen are its
    /// resolution, and some must be seen.
    pub(super) coarse: bool,
    /// Why there is no number, where the meter gave no reason.
    pub(super) missing: &'static str,
}

impl Column {
    /// The mean of a number without an upper bound.
    pub(super) fn new(name: &str, unit: MeterUnit) -> Self {
        Self {
            name: name.into(),
            unit,
            show: Show::Mean,
            note: String::new(),
            of: None,
            role: Role::Plain,
            source: None,
            coarse: false,
            missing: "the system does not report it",
        }
    }
}

/// What cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Absent {
    pub(super) name: &'static str,
    pub(super) unit: MeterUnit,
    pub(super) why: String,
}

/// A row of readings is kept for so many instants; then every other one is dropped.
const ROWS: usize = 8192;

/// Readings in time.
#[derive(Clone, Debug)]
pub struct Log {
    pub(super) began: SystemTime,
    pub(super) columns: Vec<Column>,
    pub(super) absent: Vec<Absent>,
    /// Seconds since the session began, and one reading for each column; NaN where there is none.
    pub(super) rows: Vec<(f64, Vec<f64>)>,
    /// Why readings of a column are missing, by its place.
    pub(super) failures: BTreeMap<usize, String>,
    pub(super) answers: Vec<Answers>,
    /// Seconds of processor time that reading took; NaN where the system does not account threads.
    pub(super) cpu: f64,
    /// Seconds between two readings.
    pub(super) every: f64,
}

/// A larger share of slowed readings makes a run THROTTLED.
const SLOWED: f64 = 0.02;

impl Log {
    /// Seconds of the log at which a run that started then was at `from` and `from + seconds`.
    pub fn window(&self, started: SystemTime, from: f64, seconds: f64) -> Range<f64> {
        let lead = match started.duration_since(self.began) {
            Ok(later) => later.as_secs_f64(),
            Err(earlier) => -earlier.duration().as_secs_f64(),
        };
        lead + from..lead + from + seconds
    }

    /// A meter a column, and one for each that cannot be read.
    pub fn readings(&self, window: &Range<f64>) -> Vec<MeterPart> {
        let columns = self.columns.iter().enumerate();
        let mut all: Vec<MeterPart> = columns.map(|(i, c)| self.reading(i, c, window)).collect();
        all.extend(self.absent.iter().map(|a| unmeasured(a.name, a.unit, &a.why)));
        let wall = self.rows.last().map_or(0.0, |r| r.0);
        let share = (self.cpu.is_finite() && wall > 0.0).then_some(self.cpu / wall);
        all.push(MeterPart {
            name: "meters themselves".into(),
            unit: MeterUnit::Cores,
            value: share,
            unmeasured: share.is_none().then(|| "the system does not account threads".into()),
            note: share.map(|_| format!("{} readings, one in {} s", self.rows.len(), self.every)),
            ..MeterPart::default()
        });
        all
    }

    fn reading(&self, i: usize, column: &Column, window: &Range<f64>) -> MeterPart {
        let value = self.value(i, window);
        let why = self.failures.get(&i).map_or(column.missing, String::as_str);
        let source = column
            .source
            .clone()
            .map(|s| SourcePart { resolution: joules::resolution(self, i), ..s });
        MeterPart {
            name: column.name.clone(),
            unit: column.unit,
            value,
            of: value.and(column.of),
            unmeasured: value.is_none().then(|| why.into()),
            note: value.is_some().then(|| format!("{}{}", column.note, self.gaps(i))),
            source,
            role: match column.role {
                Role::ServerCpu => MeterRole::ServerCpu,
                Role::Busy => MeterRole::GpuBusy,
                Role::Plain | Role::Energy(_) | Role::Slowed(_) => MeterRole::Plain,
            },
            ..MeterPart::default()
        }
    }

    /// What is to be said of readings of a column that are missing; nothing where none is.
    fn gaps(&self, column: usize) -> String {
        let Some(why) = self.failures.get(&column) else { return String::new() };
        let missing = self.rows.iter().filter(|(_, row)| !row[column].is_finite()).count();
        let last = self.rows.last().is_some_and(|(_, row)| row[column].is_finite());
        if last {
            format!("; {missing} of {} readings are missing: {why}", self.rows.len())
        } else {
            format!("; not read to the end: {why}")
        }
    }

    /// Keeps a row of readings; every other one is dropped where there are too many.
    pub(super) fn keep(&mut self, now: f64, row: Vec<f64>) {
        self.rows.push((now, row));
        if self.rows.len() > ROWS {
            let mut odd = false;
            self.rows.retain(|_| {
                odd = !odd;
                odd
            });
        }
    }

    /// What the server reported of itself in a part of the log.
    pub fn reported(&self, window: &Range<f64>) -> Reported {
        scrape::join(&self.answers, window)
    }

    /// Evidence that a GPU lowered its clocks for heat or supply in a part of the log.
    pub fn throttled(&self, window: &Range<f64>) -> Option<String> {
        self.columns.iter().enumerate().find_map(|(i, column)| {
            let Role::Slowed(board) = &column.role else { return None };
            let share = self.value(i, window).filter(|s| *s > SLOWED)?;
            Some(format!(
                "{board} ran with clocks lowered by heat or supply {:.0} % of the time",
                100.0 * share
            ))
        })
    }

    /// The places of columns that give power or energy, and what they include.
    pub(super) fn energies(&self) -> impl Iterator<Item = (usize, &Column, MeterCovers)> {
        self.columns.iter().enumerate().filter_map(|(i, c)| match c.role {
            Role::Energy(covers) => Some((i, c, covers)),
            _ => None,
        })
    }

    /// Whether there is a source of power or energy that is read to the end.
    pub fn has_energy(&self) -> bool {
        let last = self.rows.last();
        self.energies().any(|(i, ..)| last.is_some_and(|(_, row)| row[i].is_finite()))
    }

    /// W over the whole log by source, of those that give it.
    pub fn watts(&self) -> Vec<(String, Amount)> {
        let (Some(first), Some(last)) = (self.rows.first(), self.rows.last()) else {
            return Vec::new();
        };
        let (window, seconds) = (first.0..last.0, last.0 - first.0);
        let of = |(i, column, _): (usize, &Column, MeterCovers)| {
            let joules = joules::joules(self, i, &window).ok()?;
            Some((column.name.clone(), joules.times(1.0 / seconds)))
        };
        if seconds > 0.0 { self.energies().filter_map(of).collect() } else { Vec::new() }
    }

    pub(super) fn value(&self, column: usize, window: &Range<f64>) -> Option<f64> {
        let seconds = window.end - window.start;
        if seconds <= 0.0 {
            return None;
        }
        let inside = || {
            let rows = self.rows.iter().filter(|(t, _)| window.contains(t));
            rows.map(|(_, row)| row[column]).filter(|v| v.is_finite())
        };
        match self.columns.get(column)?.show {
            Show::Total | Show::Rate => {
                let increase = self.at(column, window.end)? - self.at(column, window.start)?;
                let rate = self.columns[column].show == Show::Rate;
                Some(if rate { increase / seconds } else { increase })
            }
            Show::Mean => {
                let (sum, n) = inside().fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
                (n > 0.0).then_some(sum / n)
            }
            Show::Peak => inside().reduce(f64::max),
        }
    }

    /// A counter between two readings, as if it had moved evenly.
    fn at(&self, column: usize, time: f64) -> Option<f64> {
        let after = self.rows.partition_point(|(t, _)| *t < time);
        let near = |i: usize| self.rows.get(i).map(|(t, row)| (*t, row[column]));
        let value = match (after.checked_sub(1).and_then(near), near(after)) {
            (Some((t0, a)), Some((t1, b))) if t1 > t0 => a + (b - a) * (time - t0) / (t1 - t0),
            (Some((t, v)), None) | (None, Some((t, v))) if (time - t).abs() <= 2.0 * self.every => {
                v
            }
            (_, Some((t, v))) if (time - t).abs() < 1e-9 => v,
            _ => f64::NAN,
        };
        value.is_finite().then_some(value)
    }
}

/// A meter that could not be read.
pub fn unmeasured(name: &str, unit: MeterUnit, why: &str) -> MeterPart {
    MeterPart { name: name.into(), unit, unmeasured: Some(why.into()), ..MeterPart::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(unit: MeterUnit, show: Show, points: &[(f64, f64)]) -> Log {
        Log {
            began: SystemTime::UNIX_EPOCH,
            columns: vec![Column {
                show,
                role: Role::Energy(MeterCovers::Processor),
                ..Column::new("x", unit)
            }],
            absent: Vec::new(),
            rows: points.iter().map(|(t, v)| (*t, vec![*v])).collect(),
            failures: BTreeMap::new(),
            answers: Vec::new(),
            cpu: 0.0,
            every: 1.0,
        }
    }

    #[test]
    fn counters_join_a_window_between_readings() {
        let points = [(0.0, 10.0), (1.0, 14.0), (2.0, 24.0), (3.0, 24.0)];
        let log = log(MeterUnit::Joules, Show::Total, &points);
        // Half of four, and half of ten.
        assert!((log.value(0, &(0.5..1.5)).unwrap() - 7.0).abs() < 1e-9);
        let all = log.watts();
        assert!((all[0].1.value - 14.0 / 3.0).abs() < 1e-9, "{all:?}");
        assert_eq!(log.value(0, &(0.5..90.0)), None);
        assert_eq!(log.value(0, &(1.0..1.0)), None);
    }

    #[test]
    fn readings_that_are_not_there_are_not_zero() {
        let log = log(MeterUnit::Cores, Show::Rate, &[(0.0, f64::NAN), (1.0, f64::NAN)]);
        let all = log.readings(&(0.0..1.0));
        assert_eq!(all[0].value, None);
        assert!(all[0].unmeasured.is_some());
    }
}
