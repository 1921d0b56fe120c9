//! Energy of a source in a part of a log, with the interval that its readings allow.
//!
//! A counter only rises, so that its value at an instant lies between the readings before and after it. A sensor of
//! power is read now and then: what lies between is as uncertain as the means of parts of the window differ, and no
//! value is finer than the sensor's steps.

use super::{Log, Show};
use std::ops::Range;

/// A number with the interval in which the true one lies; no interval where nothing gives one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amount {
    /// Best estimate.
    pub value: f64,
    /// Lower and upper end.
    pub bounds: Option<(f64, f64)>,
}

impl Amount {
    fn around(value: f64, half: f64) -> Self {
        Self { value, bounds: Some((value - half, value + half)) }
    }

    /// The amount multiplied by a factor of at least zero.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let bounds = self.bounds.map(|(low, high)| (low * factor, high * factor));
        Self { value: self.value * factor, bounds }
    }

    /// The sum; its interval is as wide as both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let bounds = self.bounds.zip(other.bounds);
        let bounds = bounds.map(|((a, b), (c, d))| (a + c, b + d));
        Self { value: self.value + other.value, bounds }
    }

    /// The difference; its interval is as wide as both together.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        let bounds = self.bounds.zip(other.bounds);
        let bounds = bounds.map(|((a, b), (c, d))| (a - d, b - c));
        Self { value: self.value - other.value, bounds }
    }

    /// Half of the interval, relative to the value; infinite where there is none.
    pub(in super::super) fn error(self) -> f64 {
        let half = self.bounds.map_or(f64::INFINITY, |(low, high)| (high - low) / 2.0);
        if self.value > 0.0 { half / self.value } else { f64::INFINITY }
    }
}

/// A window that lacks more of its readings than this share has no energy.
const GAPS: f64 = 0.1;
/// Parts of a window, at most, whose means are compared.
const PARTS: usize = 16;
/// Fewer parts give no interval.
const FEWEST: usize = 4;
/// Student's t at 0.975 for 3 to 15 degrees of freedom.
const T_975: [f64; PARTS - FEWEST + 1] =
    [3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131];

/// Energy of a column of counted joules or sampled watts, J, or why it is not known.
pub(in super::super) fn joules(
    log: &Log,
    column: usize,
    window: &Range<f64>,
) -> Result<Amount, String> {
    let found = match log.columns[column].show {
        Show::Total | Show::Rate => counted(log, column, window),
        Show::Mean | Show::Peak => sampled(log, column, window),
    };
    found.map_err(|seen| {
        let own = log.failures.get(&column).cloned();
        own.unwrap_or_else(|| seen.unwrap_or_else(|| log.columns[column].missing.into()))
    })
}

/// The readings of a column that there are, with their times.
fn points(log: &Log, column: usize) -> Vec<(f64, f64)> {
    let all = log.rows.iter().map(|(t, row)| (*t, row[column]));
    all.filter(|(_, v)| v.is_finite()).collect()
}

/// Smallest difference between two values of a column: as documented, else the smallest that was seen of a source for
/// which that says something.
pub(super) fn resolution(log: &Log, column: usize) -> Option<f64> {
    let own = &log.columns[column];
    let documented = own.source.as_ref().and_then(|s| s.resolution);
    // The rise of a fine counter between two readings says nothing of its steps.
    let tells = own.coarse || matches!(own.show, Show::Mean | Show::Peak);
    documented.or_else(|| {
        let points = points(log, column);
        let steps = points.windows(2).map(|w| (w[1].1 - w[0].1).abs());
        steps.filter(|s| *s > 0.0 && tells).reduce(f64::min)
    })
}

/// Of a counter. `Err(None)`: the column has no reading there.
fn counted(log: &Log, column: usize, window: &Range<f64>) -> Result<Amount, Option<String>> {
    let value = log.value(column, window).ok_or(None)?;
    let (own, points) = (&log.columns[column], points(log, column));
    let before = |t: f64| points.iter().rev().find(|p| p.0 <= t).or(points.first());
    let after = |t: f64| points.iter().find(|p| p.0 >= t).or(points.last());
    let ends = (before(window.start), after(window.start), before(window.end), after(window.end));
    let (Some(a), Some(b), Some(c), Some(d)) = ends else { return Err(None) };
    let step = resolution(log, column);
    if own.coarse && step.is_none() {
        return Err(Some(format!(
            "{} did not move in the window: its steps are too coarse for it; measure longer, --seconds 600",
            own.name
        )));
    }
    let refreshed = own.source.as_ref().and_then(|s| s.refreshed_seconds).unwrap_or(0.0);
    let late = value / (window.end - window.start) * refreshed;
    let slack = late + step.unwrap_or(0.0);
    let (low, high) = ((c.1 - b.1 - slack).max(0.0), d.1 - a.1 + slack);
    Ok(Amount { value, bounds: Some((low.min(value), high.max(value))) })
}

/// Of a sensor of power: its mean, times the length of the window.
fn sampled(log: &Log, column: usize, window: &Range<f64>) -> Result<Amount, Option<String>> {
    let seconds = window.end - window.start;
    let points = points(log, column);
    let rows = log.rows.iter().filter(|(t, _)| window.contains(t)).count() as f64;
    let inside: Vec<f64> =
        points.iter().filter(|(t, _)| window.contains(t)).map(|(_, v)| *v).collect();
    let near = 2.0 * log.every.max(1e-3);
    let reaches = |p: Option<&(f64, f64)>, to: f64, sign: f64| {
        p.is_some_and(|(t, _)| sign * (t - to) <= near)
    };
    let whole =
        reaches(points.first(), window.start, 1.0) && reaches(points.last(), window.end, -1.0);
    if seconds <= 0.0 || !whole || (inside.len() as f64) < (1.0 - GAPS) * rows || inside.is_empty()
    {
        return Err(None);
    }
    let watts = mean(&points, window);
    let changes = inside.windows(2).filter(|w| (w[0] - w[1]).abs() > 0.0).count();
    let (own, step) = (&log.columns[column], resolution(log, column));
    if own.coarse && changes + 1 < FEWEST {
        return Err(Some(format!(
            "{} had {} values in the window, {FEWEST} are needed; measure longer, --seconds 120",
            own.name,
            changes + 1
        )));
    }
    let spread = spread(&inside, PARTS.min(changes + 1));
    // A sensor that stands still is known to its steps, where these are.
    let half = match (spread, step) {
        (Some(spread), step) => Some(spread + step.unwrap_or(0.0)),
        (None, Some(step)) if changes == 0 => Some(step),
        _ => None,
    };
    let amount = half.map_or(Amount { value: watts, bounds: None }, |h| Amount::around(watts, h));
    Ok(amount.times(seconds))
}

/// The mean of readings over a window, as if they had moved evenly between them.
fn mean(points: &[(f64, f64)], window: &Range<f64>) -> f64 {
    let at = |t: f64| {
        let after = points.partition_point(|p| p.0 < t);
        match (after.checked_sub(1).and_then(|i| points.get(i)), points.get(after)) {
            (Some((t0, a)), Some((t1, b))) if t1 > t0 => a + (b - a) * (t - t0) / (t1 - t0),
            (_, Some((_, v))) | (Some((_, v)), None) => *v,
            (None, None) => f64::NAN,
        }
    };
    let inner = points.iter().copied().filter(|(t, _)| window.start < *t && *t < window.end);
    let mut all = vec![(window.start, at(window.start))];
    all.extend(inner);
    all.push((window.end, at(window.end)));
    let area: f64 = all.windows(2).map(|w| (w[1].0 - w[0].0) * (w[0].1 + w[1].1) / 2.0).sum();
    area / (window.end - window.start)
}

/// Half the width of the interval of a mean, by the means of so many parts in order.
fn spread(values: &[f64], parts: usize) -> Option<f64> {
    let parts = parts.min(values.len());
    let t = T_975.get(parts.checked_sub(FEWEST)?)?;
    let each = values.len() / parts;
    let means: Vec<f64> = values[values.len() - each * parts..]
        .chunks(each)
        .map(|part| part.iter().sum::<f64>() / part.len() as f64)
        .collect();
    let n = means.len() as f64;
    let mean = means.iter().sum::<f64>() / n;
    let variance = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some(t * (variance / n).sqrt())
}
