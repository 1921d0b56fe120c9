//! How often which duration was seen: a sparse histogram with three significant digits.
//!
//! Buckets are those of `HdrHistogram` at three digits from one nanosecond, so that counts go into
//! its files and come back unchanged, and adding two of them loses nothing. What is no longer being
//! filled is packed to about a byte a bucket; both forms are read alike, and at once.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// Durations in nanoseconds, to 0.1 %; sum and maximum are exact.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By number of the bucket; what came since the last packing.
    fresh: BTreeMap<u32, u64>,
    packed: Packed,
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
        *self.fresh.entry(bucket(nanoseconds)).or_default() += 1;
        self.total += 1;
        self.sum = self.sum.saturating_add(nanoseconds);
        self.max = self.max.max(nanoseconds);
    }

    /// Counts everything that `other` counted.
    pub fn add(&mut self, other: &Self) {
        for (bucket, n) in other.buckets() {
            *self.fresh.entry(bucket).or_default() += n;
        }
        self.total += other.total;
        self.sum = self.sum.saturating_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// Takes less memory from here on; nothing else changes.
    pub fn pack(&mut self) {
        if !self.fresh.is_empty() {
            self.packed = Packed::new(self.buckets());
            self.fresh = BTreeMap::new();
        }
    }

    /// Bytes that it takes on the heap, nearly.
    #[cfg(test)]
    pub(crate) fn heap(&self) -> usize {
        // Leaves of eleven pairs, half full where they were split.
        self.packed.0.len() + self.fresh.len() * 2 * size_of::<(u32, u64)>()
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
        let own = bucket(nanoseconds);
        self.buckets().filter(|(bucket, _)| *bucket > own).map(|(_, n)| n).sum()
    }

    /// The `rank`-th smallest, from one, as the top of its bucket; `None` beyond the last.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        let (bucket, _) = self.buckets().find(|(_, n)| {
            seen += n;
            seen >= rank
        })?;
        Some((bottom(bucket + 1) - 1).min(self.max))
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
        for (bucket, n) in self.buckets() {
            // Within bounds by `bucket`.
            let _ = histogram.record_n(bottom(bucket), n);
        }
        histogram
    }

    /// From such a histogram; `sum` and `max` are what the histogram can tell.
    pub fn from_hdr(histogram: &Histogram<u64>) -> Self {
        let mut counts = Self::default();
        for value in histogram.iter_recorded() {
            let (at, n) = (value.value_iterated_to(), value.count_at_value());
            *counts.fresh.entry(bucket(at)).or_default() += n;
            counts.total += n;
            counts.sum = counts.sum.saturating_add(at.saturating_mul(n));
            counts.max = counts.max.max(at);
        }
        counts.pack();
        counts
    }

    /// Buckets in order with what they hold, which is never zero.
    fn buckets(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let mut packed = self.packed.iter().peekable();
        let mut fresh = self.fresh.iter().map(|(bucket, n)| (*bucket, *n)).peekable();
        std::iter::from_fn(move || match (packed.peek().copied(), fresh.peek().copied()) {
            (Some((a, n)), Some((b, m))) if a == b => {
                packed.next();
                fresh.next();
                Some((a, n + m))
            }
            (Some((a, _)), Some((b, _))) if a > b => fresh.next(),
            (Some(_), _) => packed.next(),
            (None, _) => fresh.next(),
        })
    }
}

/// Whether they hold the same, packed or not.
impl PartialEq for Counts {
    fn eq(&self, other: &Self) -> bool {
        (self.total, self.sum, self.max) == (other.total, other.sum, other.max)
            && self.buckets().eq(other.buckets())
    }
}

impl Eq for Counts {}

/// Buckets in order: each begins with a byte of two halves, the step from the bucket before and the
/// count. A half of zero says that the number follows, seven bits a byte, the lowest first.
#[derive(Clone, Debug, Default)]
struct Packed(Box<[u8]>);

impl Packed {
    fn new(buckets: impl Iterator<Item = (u32, u64)>) -> Self {
        let (mut bytes, mut last) = (Vec::new(), 0);
        let half = |n: u64| u8::try_from(n).ok().filter(|n| *n < 16).unwrap_or(0);
        for (bucket, n) in buckets {
            let step = u64::from(bucket - last);
            let halves = [half(step), half(n)];
            bytes.push(halves[0] << 4 | halves[1]);
            for (half, mut rest) in halves.into_iter().zip([step, n]) {
                if half != 0 {
                    continue;
                }
                loop {
                    bytes.push(rest.to_le_bytes()[0] & 0x7f | u8::from(rest > 0x7f) << 7);
                    rest >>= 7;
                    if rest == 0 {
                        break;
                    }
                }
            }
            last = bucket;
        }
        Self(bytes.into())
    }

    fn iter(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        let (mut bytes, mut bucket) = (self.0.iter().copied(), 0u32);
        std::iter::from_fn(move || {
            let halves = bytes.next()?;
            let mut number = |half: u8| {
                if half != 0 {
                    return u64::from(half);
                }
                let (mut n, mut shift) = (0, 0);
                loop {
                    let byte = bytes.next().unwrap_or(0);
                    n |= u64::from(byte & 0x7f) << shift;
                    shift += 7;
                    if byte < 0x80 {
                        break;
                    }
                }
                n
            };
            let step = number(halves >> 4);
            bucket += u32::try_from(step).unwrap_or(0);
            Some((bucket, number(halves & 0xf)))
        })
    }
}

/// An empty histogram of the bounds that all use.
pub(crate) fn empty_hdr() -> Histogram<u64> {
    let made = Histogram::new_with_bounds(1, LIMIT, 3);
    made.unwrap_or_else(|_| unreachable!("the bounds are constant and valid"))
}

/// Number of the bucket: eleven significant bits, so that the first 2048 hold one value each, the
/// next 1024 two, and so on.
fn bucket(nanoseconds: u64) -> u32 {
    let value = nanoseconds.clamp(1, LIMIT);
    let shift = (64 - value.leading_zeros()).saturating_sub(11);
    // Below 2048 by the shift.
    shift * 1024 + u32::try_from(value >> shift).unwrap_or(u32::MAX)
}

/// Lowest value of a bucket.
fn bottom(bucket: u32) -> u64 {
    let shift = (bucket / 1024).saturating_sub(1);
    u64::from(bucket - shift * 1024) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn buckets_are_those_of_hdrhistogram() {
        let hdr = empty_hdr();
        let mut random = Random::new(1);
        for _ in 0..20_000 {
            let value = (random.next() >> (random.next() % 42 + 22)).max(1);
            if value < LIMIT {
                let own = bucket(value);
                assert_eq!(bottom(own), hdr.lowest_equivalent(value), "{value}");
                assert_eq!(bottom(own + 1) - 1, hdr.highest_equivalent(value), "{value}");
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
        assert!(back.buckets().eq(counts.buckets()));
        assert_eq!(back.total, counts.total);
    }

    #[test]
    fn packed_now_and_then_is_the_same() {
        let (mut random, mut plain, mut packed) =
            (Random::new(3), Counts::default(), Counts::default());
        for i in 0..40_000u64 {
            // Steps and counts of one byte, and of several: some values come thousands of times.
            let value = match i % 3 {
                0 => random.next() >> (random.next() % 42 + 22),
                1 => 1_000_000 + random.next() % 200_000,
                _ => 77 << (random.next() % 30),
            };
            plain.record(value);
            packed.record(value);
            if i % 1777 == 0 {
                packed.pack();
            }
        }
        assert_eq!(packed, plain);
        packed.pack();
        assert_eq!(packed, plain);
        assert!(packed.fresh.is_empty() && packed.to_hdr() == plain.to_hdr());
        for rank in [1, 2, 777, 20_000, 39_999, 40_000, 40_001] {
            assert_eq!(packed.at_rank(rank), plain.at_rank(rank));
        }
        let mut twice = packed.clone();
        twice.add(&packed);
        plain.add(&plain.clone());
        assert_eq!(twice, plain);
        assert!(packed != plain);
    }
}
