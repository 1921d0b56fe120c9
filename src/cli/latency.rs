//! Percentiles and times of latency as people type them.

/// The quantile of `p99`, to a millionth; none where it is no percentile above 0 and below 100.
pub(super) fn quantile(text: &str) -> Option<f64> {
    let percent: f64 = text.strip_prefix('p')?.parse().ok()?;
    (percent > 0.0 && percent < 100.0).then(|| (percent * 1e4).round() / 1e6)
}

/// The seconds of `50ms`; none where it is no time above 0.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let units = [("ms", 1e-3), ("us", 1e-6), ("µs", 1e-6), ("s", 1.0)];
    let (digits, scale) =
        units.into_iter().find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let seconds = digits.trim().parse::<f64>().ok()? * scale;
    (seconds > 0.0 && seconds.is_finite()).then_some(seconds)
}
