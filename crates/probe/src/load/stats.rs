//! What can be said of a percentile, a trend or a warm-up from intervals in order.
//!
//! Durations of neighbouring requests are alike, so that formulas for independent samples promise
//! far too narrow intervals; everything here works on means of batches instead.

use super::metric::Metric;
use super::record::{Interval, Record};
use std::ops::Range;

/// Batches that a steady window is divided into.
pub const BATCHES: usize = 32;
/// Student's t at 0.975 with 31 degrees of freedom.
const T_975_31: f64 = 2.0395;

/// A percentile with the interval in which the true one lies in about 95 of 100 runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percentile {
    /// The share below it, 0 to 1.
    pub q: f64,
    /// Its value in nanoseconds; `None`: it falls on requests that were never answered.
    pub value: Option<u64>,
    /// The interval, where the window can be divided into batches. `None` as an end: unanswered.
    pub interval: Option<(u64, Option<u64>)>,
    /// Independent samples that would say as much.
    pub effective: f64,
    /// Von Neumann's ratio as a normal deviate: above 1.64, batches depend on each other and the
    /// interval is too narrow.
    pub dependence: f64,
    /// Requests beyond the percentile.
    pub beyond: f64,
}

/// Equal runs of intervals: as many as fit, the rest left out at the start.
pub fn batches(window: &Range<usize>, n: usize) -> Option<Vec<Range<usize>>> {
    let each = window.len() / n;
    let start = window.end - each * n;
    (each > 0).then(|| (0..n).map(|i| start + i * each..start + (i + 1) * each).collect())
}

/// A steady window, added up once: as a whole and in batches.
#[derive(Clone, Debug)]
pub struct Window {
    /// The sum.
    pub sum: Interval,
    /// Sums of [`BATCHES`] equal parts; none if there are fewer intervals than that.
    pub batches: Vec<Interval>,
}

impl Window {
    /// Adds up the intervals of `range`.
    pub fn new(record: &Record, range: &Range<usize>) -> Self {
        let parts = batches(range, BATCHES).into_iter().flatten();
        Self { sum: record.sum(range.clone()), batches: parts.map(|p| record.sum(p)).collect() }
    }
}

/// The percentile `q` of `metric` over `window`.
///
/// Indicator method: in each batch the share of requests above the percentile is a mean, and the
/// spread of those means gives the half width in probability; the interval is read off the
/// distribution there. No density is estimated.
pub fn percentile(window: &Window, metric: Metric, q: f64) -> Percentile {
    let missing = |i: &Interval| if metric.of_failed() { 0 } else { i.lost };
    let (counts, lost) = (&window.sum.durations[metric], missing(&window.sum));
    let n = (counts.len() + lost) as f64;
    let value = counts.quantile(q, lost);
    let mut out = Percentile {
        q,
        value,
        interval: None,
        effective: 0.0,
        dependence: f64::INFINITY,
        beyond: n * (1.0 - q),
    };
    if n == 0.0 || window.batches.is_empty() {
        return out;
    }
    let (mut size, mut above) = (Vec::new(), Vec::new());
    for batch in &window.batches {
        let (counts, lost) = (&batch.durations[metric], missing(batch));
        size.push((counts.len() + lost) as f64);
        above.push((value.map_or(0, |v| counts.above(v)) + lost) as f64);
    }
    let b = BATCHES as f64;
    let mean_size = size.iter().sum::<f64>() / b;
    let share = above.iter().sum::<f64>() / size.iter().sum::<f64>();
    // Ratio estimator: batches are equal in time, not in requests.
    let deviations: Vec<f64> =
        above.iter().zip(&size).map(|(a, s)| (a - share * s) / mean_size).collect();
    let variance = deviations.iter().map(|d| d * d).sum::<f64>() / (b - 1.0);
    let iid = q * (1.0 - q) / n;
    let half = T_975_31 * (variance / b).max(iid).sqrt();
    let low = counts.quantile((q - half).max(0.0), lost).unwrap_or(counts.max);
    let high = if q + half >= 1.0 {
        (lost == 0).then_some(counts.max)
    } else {
        counts.quantile(q + half, lost)
    };
    out.interval = Some((low, high));
    out.effective = if variance > 0.0 { n.min(b * q * (1.0 - q) / variance) } else { n };
    out.dependence = von_neumann(&deviations);
    out
}

/// Von Neumann's ratio of successive differences, as a standard normal deviate.
fn von_neumann(deviations: &[f64]) -> f64 {
    let n = deviations.len() as f64;
    let mean = deviations.iter().sum::<f64>() / n;
    let squares: f64 = deviations.iter().map(|d| (d - mean).powi(2)).sum();
    if squares == 0.0 {
        return 0.0;
    }
    let steps: f64 = deviations.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum();
    (1.0 - steps / (2.0 * squares)) * ((n * n - 1.0) / (n - 2.0)).sqrt()
}

/// How many of `values` to leave out at the start: White's MSER, here on means of five intervals.
///
/// White, *An effective truncation heuristic for bias reduction in simulation output*, 1997.
/// `None` when the best cut lies in the second half: the values never settled.
pub fn mser(values: &[f64]) -> Option<usize> {
    let n = values.len();
    let (mut sum, mut squares, mut best) = (0.0, 0.0, (f64::INFINITY, 0));
    for d in (0..n).rev() {
        sum += values[d];
        squares += values[d] * values[d];
        let kept = (n - d) as f64;
        let score = (squares - sum * sum / kept).max(0.0) / (kept * kept);
        // The last few values always look settled.
        if n - d >= 5 && score <= best.0 {
            best = (score, d);
        }
    }
    (2 * best.1 <= n).then_some(best.1)
}

/// Where a warm-up ends: at MSER's cut, but not past the first return to the steady band.
///
/// The band is the median of the second half ± 3 robust standard deviations. Without that limit a
/// stall in the first half of a run would be cut away as if it were warm-up.
pub fn warm_up(values: &[f64]) -> Option<usize> {
    let cut = mser(values);
    let half = &values[values.len() / 2..];
    let (median, spread) = (median(half), deviation(half));
    let settled = |v: &f64| (v - median).abs() <= 3.0 * spread + 0.02 * median.abs();
    let back = values.windows(3).position(|w| w.iter().all(settled));
    match (cut, back) {
        (Some(cut), Some(back)) => Some(cut.min(back)),
        (None, Some(back)) if 2 * back <= values.len() => Some(back),
        _ => cut,
    }
}

/// The median; zero of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => 0.0,
        (n, half) if n % 2 == 0 => f64::midpoint(sorted[half - 1], sorted[half]),
        (_, half) => sorted[half],
    }
}

/// The median absolute deviation, scaled to the standard deviation of a normal distribution.
fn deviation(values: &[f64]) -> f64 {
    let centre = median(values);
    1.4826 * median(&values.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>())
}

/// Mann & Kendall's trend test as a standard normal deviate: positive when `values` rise.
pub fn mann_kendall(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mut score = 0.0;
    for (i, a) in values.iter().enumerate() {
        for b in &values[i + 1..] {
            score += match b.total_cmp(a) {
                std::cmp::Ordering::Greater => 1.0,
                std::cmp::Ordering::Equal => 0.0,
                std::cmp::Ordering::Less => -1.0,
            };
        }
    }
    let spread = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    if spread == 0.0 {
        0.0
    } else {
        (score - f64::signum(score) * f64::from(score != 0.0)) / spread
    }
}

/// Least squares line through `values` at 0, 1, 2 …: slope, and slope over its standard error.
pub fn slope(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let (mx, my) = ((n - 1.0) / 2.0, values.iter().sum::<f64>() / n);
    let (mut sxx, mut sxy, mut syy) = (0.0, 0.0, 0.0);
    for (i, y) in values.iter().enumerate() {
        let (x, y) = (i as f64 - mx, y - my);
        (sxx, sxy, syy) = (sxx + x * x, sxy + x * y, syy + y * y);
    }
    if values.len() < 3 {
        return (0.0, 0.0);
    }
    let slope = sxy / sxx;
    let residual = (syy - slope * sxy).max(0.0) / (n - 2.0);
    (
        slope,
        if residual > 0.0 {
            slope / (residual / sxx).sqrt()
        } else {
            slope.signum() * 1e9 * f64::from(slope != 0.0)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn a_slow_start_is_cut_and_a_late_stall_is_not() {
        let mut random = Random::new(4);
        let mut noise = |level: f64| level + random.exponential();
        let slow: Vec<f64> = (0..120)
            .map(|i| if i < 15 { noise(40.0 - f64::from(i)) } else { noise(10.0) })
            .collect();
        assert!((13..=20).contains(&warm_up(&slow).unwrap()), "{:?}", warm_up(&slow));
        let stall: Vec<f64> =
            (0..120).map(|i| noise(if (30..36).contains(&i) { 500.0 } else { 10.0 })).collect();
        assert!(mser(&stall).unwrap() >= 36);
        assert!(warm_up(&stall).unwrap() < 3);
        let late: Vec<f64> =
            (0..120).map(|i| noise(if (90..96).contains(&i) { 500.0 } else { 10.0 })).collect();
        assert!(mser(&late).is_none() && warm_up(&late).unwrap() < 3);
    }

    #[test]
    fn trends_are_told_from_noise() {
        let mut random = Random::new(9);
        let flat: Vec<f64> = (0..32).map(|_| random.exponential()).collect();
        assert!(mann_kendall(&flat).abs() < 2.576 && slope(&flat).1.abs() < 3.0);
        let up: Vec<f64> = (0..32).map(|i| f64::from(i) / 5.0 + random.exponential()).collect();
        assert!(mann_kendall(&up) > 2.576 && slope(&up).1 > 3.0);
        assert!((slope(&[1.0, 3.0, 5.0, 7.0]).0 - 2.0).abs() < 1e-12);
        assert!(mann_kendall(&[2.0; 20]).abs() < 1e-12);
    }

    #[test]
    fn batches_are_equal_and_end_with_the_window() {
        let all = batches(&(7..110), 10).unwrap();
        assert_eq!((all[0].clone(), all[9].clone()), (10..20, 100..110));
        assert!(batches(&(0..31), BATCHES).is_none());
    }
}
