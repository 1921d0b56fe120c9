//! How often which duration was seen: a sparse histogram with three significant digits.
//!
//! Buckets are those of `HdrHistogram` at three digits from one nanosecond, so that counts go into
//! its files and come back unchanged, and adding two of them loses nothing.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Durations in nanoseconds, to 0.1 %; sum and maximum are exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    buckets: BTreeMap<u64, u64>,
    total: u64,
    /// Sum of all durations.
    pub sum: u64,
    /// The longest.
    pub max: u64,
}

/// Longest duration that the files can hold: an hour.
const LIMIT: u64 = 3_600_000_000_000;

impl Counts {
    /// Counts one duration.
    pub fn record(&mut self, nanoseconds: u64) {
        *self.buckets.entry(floor(nanoseconds)).or_default() += 1;
        self.total += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// Counts everything that `other` counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, n) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += n;
        }
        self.total += other.total;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether none was counted.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Mean in nanoseconds; zero when nothing was counted.
    pub fn mean(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum as f64 / self.total as f64 }
    }

    /// How many lie in a higher bucket than `nanoseconds`.
    pub fn above(&self, nanoseconds: u64) -> u64 {
        self.buckets.range(floor(nanoseconds) + 1..).map(|(_, n)| n).sum()
    }

    /// The `rank`-th smallest, from one, as the top of its bucket; `None` beyond the last.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        let (bucket, _) = self.buckets.iter().find(|(_, n)| {
            seen += **n;
            seen >= rank
        })?;
        Some(top(*bucket).min(self.max))
    }

    /// The quantile `q` when `lost` more values lie above all others; `None` if it falls on those.
    pub fn quantile(&self, q: f64, lost: u64) -> Option<u64> {
        let n = (self.total + lost) as f64;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rank = (q * n).ceil().max(1.0) as u64;
        self.at_rank(rank)
    }

    /// As the histogram that other tools read.
    pub fn to_hdr(&self) -> Histogram<u64> {
        let mut histogram = empty_hdr();
        for (bucket, n) in &self.buckets {
            // Within bounds by `floor`.
            let _ = histogram.record_n((*bucket).max(1), *n);
        }
        histogram
    }

    /// From such a histogram; `sum` and `max` are what the histogram can tell.
    pub fn from_hdr(histogram: &Histogram<u64>) -> Self {
        let mut counts = Self::default();
        for value in histogram.iter_recorded() {
            let (at, n) = (value.value_iterated_to(), value.count_at_value());
            *counts.buckets.entry(floor(at)).or_default() += n;
            counts.total += n;
            counts.sum = counts.sum.saturating_add(at.saturating_mul(n));
            counts.max = counts.max.max(at);
        }
        counts
    }
}

/// An empty histogram of the bounds that all use.
pub(crate) fn empty_hdr() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, LIMIT, 3);
    made.unwrap_or_else(|_| unreachable!("the bounds are constant and valid"))
}

/// Lowest value of the bucket: eleven significant bits.
fn floor(nanoseconds: u64) -> u64 {
    let value = nanoseconds.clamp(1, LIMIT);
    let shift = (64 - value.leading_zeros()).saturating_sub(11);
    value >> shift << shift
}

/// Highest value of the bucket that starts at `bucket`.
fn top(bucket: u64) -> u64 {
    let shift = (64 - bucket.leading_zeros()).saturating_sub(11);
    bucket + (1 << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::random::Random;

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let hdr = empty_hdr();
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let value = (random.next() >> (random.next() % 42 + 22)).max(1);
            if value < LIMIT {
                assert_eq!(floor(value), hdr.lowest_equivalent(value), "{value}");
                assert_eq!(top(floor(value)), hdr.highest_equivalent(value), "{value}");
            }
        }
    }

    #[test]
    fn quantiles_count_the_lost_as_infinite() {
        let mut counts = Counts::default();
        for i in 1..=98 {
            counts.record(i);
        }
        assert_eq!(counts.quantile(0.5, 2), Some(50));
        assert_eq!(counts.quantile(0.98, 2), Some(98));
        assert_eq!(counts.quantile(0.99, 2), None);
        assert_eq!((counts.above(97), counts.above(0), counts.mean()), (1, 97, 49.5));
    }

    #[test]
    fn through_hdrhistogram_and_back() {
        let (mut random, mut counts) = (Random::new(2), Counts::default());
        for _ in 0..5000 {
            counts.record(random.next() >> 30);
        }
        let back = Counts::from_hdr(&counts.to_hdr());
        assert_eq!(back.buckets, counts.buckets);
        assert_eq!(back.total, counts.total);
    }
}
