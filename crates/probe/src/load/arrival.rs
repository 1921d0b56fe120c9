//! When requests are due: seeded streams of instants that do not depend on any answer.
//!
//! A schedule is a function of the load, the seed and the duration alone, so that N machines that
//! each take every N-th arrival send together exactly what one machine would. Knows no clock.

use super::random::{Random, mix};
use super::trace::Trace;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The version of the generators: what a seed means changes only with this.
pub const GENERATOR: &str = "rooflens-schedule/1";

/// What makes requests due.
#[derive(Clone, Debug)]
pub enum Load {
    /// So many requests in flight, each slot sending its next when the last is answered.
    Closed(usize),
    /// Requests due at instants of their own.
    Open(Arrival),
}

/// Shapes of open load; rates in requests a second.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Arrival {
    /// Evenly spaced.
    Steady(f64),
    /// Independent arrivals.
    Poisson(f64),
    /// Poisson at `base`, and at `peak` during the first `duty` of every `period`.
    Burst {
        /// Rate outside bursts.
        base: f64,
        /// Rate in bursts.
        peak: f64,
        /// From burst to burst.
        period: Duration,
        /// Share of the period that is burst, 0 to 1.
        duty: f64,
    },
    /// Poisson with a rate that moves evenly from `from` to `to`.
    Ramp {
        /// Rate at the start.
        from: f64,
        /// Rate at the end.
        to: f64,
    },
    /// Recorded arrivals.
    Trace(Arc<Trace>),
}

/// Every `of`-th arrival, starting with number `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripe {
    /// Which one, from zero.
    pub index: u64,
    /// Of how many.
    pub of: u64,
}

impl Stripe {
    /// All arrivals.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The `worker`-th of `workers` equal parts of this stripe.
    #[must_use]
    pub fn part(self, worker: u64, workers: u64) -> Self {
        Self { index: self.index + worker * self.of, of: self.of * workers }
    }
}

impl Arrival {
    /// The instants, in nanoseconds from the start, that fall in `duration`.
    pub fn schedule(&self, seed: u64, duration: Duration, stripe: Stripe) -> Schedule {
        Schedule {
            arrival: self.clone(),
            random: Random::new(mix(seed ^ 0x0072_6f6f_666c_656e)),
            end: nanoseconds(duration),
            now: 0.0,
            number: 0,
            stripe,
        }
    }

    /// Arrivals a second at `at` nanoseconds of a run of `end` nanoseconds.
    fn rate(&self, at: f64, end: f64) -> f64 {
        match self {
            Self::Steady(rate) | Self::Poisson(rate) => *rate,
            Self::Burst { base, peak, period, duty } => {
                let period = period.as_secs_f64() * 1e9;
                if at % period < duty * period { *peak } else { *base }
            }
            Self::Ramp { from, to } => from + (to - from) * (at / end),
            Self::Trace(_) => 0.0,
        }
    }

    /// The largest rate there is, which thinning starts from.
    fn ceiling(&self) -> f64 {
        match self {
            Self::Steady(rate) | Self::Poisson(rate) => *rate,
            Self::Burst { base, peak, .. } => base.max(*peak),
            Self::Ramp { from, to } => from.max(*to),
            Self::Trace(_) => 0.0,
        }
    }

    /// Whether the rate is meant to stay the same over the run.
    pub fn is_level(&self) -> bool {
        matches!(self, Self::Steady(_) | Self::Poisson(_))
    }
}

/// Instants in order; an iterator of nanoseconds from the start, numbered over all stripes.
#[derive(Clone, Debug)]
pub struct Schedule {
    arrival: Arrival,
    random: Random,
    end: u64,
    now: f64,
    number: u64,
    stripe: Stripe,
}

/// One request that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its number in the whole schedule.
    pub number: u64,
    /// Nanoseconds from the start.
    pub at: u64,
}

impl Schedule {
    /// The next instant of the whole schedule.
    fn step(&mut self) -> Option<u64> {
        let at = match &self.arrival {
            // The product, not a sum, so that rounding does not add up.
            Arrival::Steady(rate) => whole(self.number as f64 * 1e9 / rate),
            Arrival::Trace(trace) => *trace.instants.get(usize::try_from(self.number).ok()?)?,
            other => {
                let (ceiling, end) = (other.ceiling(), self.end as f64);
                // Thinning: Lewis & Shedler, 1979. A level rate accepts every candidate.
                loop {
                    self.now += self.random.exponential() * 1e9 / ceiling;
                    if self.now >= end
                        || other.is_level()
                        || self.random.unit() * ceiling <= other.rate(self.now, end)
                    {
                        break;
                    }
                }
                whole(self.now)
            }
        };
        (at < self.end).then_some(at)
    }
}

impl Iterator for Schedule {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        loop {
            let at = self.step()?;
            let due = Due { number: self.number, at };
            self.number += 1;
            if due.number % self.stripe.of == self.stripe.index {
                return Some(due);
            }
        }
    }
}

/// A fingerprint of arrivals: a sum, so that those of stripes add up to that of the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Adds an arrival.
    pub fn add(&mut self, due: Due) {
        self.0 = self.0.wrapping_add(mix(mix(due.number) ^ due.at));
    }

    /// Adds the arrivals of another stripe.
    pub fn merge(&mut self, other: Self) {
        self.0 = self.0.wrapping_add(other.0);
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(n) => write!(f, "closed:{n}"),
            Self::Open(Arrival::Steady(rate)) => write!(f, "steady:{rate}"),
            Self::Open(Arrival::Poisson(rate)) => write!(f, "poisson:{rate}"),
            Self::Open(Arrival::Burst { base, peak, period, duty }) => {
                write!(f, "burst:{base},{peak},{},{duty}", period.as_secs_f64())
            }
            Self::Open(Arrival::Ramp { from, to }) => write!(f, "ramp:{from},{to}"),
            Self::Open(Arrival::Trace(trace)) => write!(f, "trace:{}", trace.name),
        }
    }
}

pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn whole(nanoseconds: f64) -> u64 {
    nanoseconds as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Arrival> {
        let period = Duration::from_secs(2);
        vec![
            Arrival::Steady(777.0),
            Arrival::Poisson(1000.0),
            Arrival::Burst { base: 100.0, peak: 900.0, period, duty: 0.25 },
            Arrival::Ramp { from: 10.0, to: 500.0 },
        ]
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_does_not() {
        let s = |seed| Arrival::Poisson(100.0).schedule(seed, SECONDS, Stripe::WHOLE);
        assert!(s(7).eq(s(7)));
        assert!(!s(7).eq(s(8)));
    }

    const SECONDS: Duration = Duration::from_secs(10);

    #[test]
    fn stripes_together_are_the_whole() {
        for arrival in all() {
            let whole: Vec<Due> = arrival.schedule(3, SECONDS, Stripe::WHOLE).collect();
            let mut parts: Vec<Due> = Vec::new();
            for index in 0..3 {
                for worker in 0..2 {
                    let stripe = Stripe { index, of: 3 }.part(worker, 2);
                    parts.extend(arrival.schedule(3, SECONDS, stripe));
                }
            }
            parts.sort_by_key(|due| due.number);
            assert_eq!(whole, parts);
            let mut one = Fingerprint::default();
            for due in &whole {
                one.add(*due);
            }
            let mut sum = Fingerprint::default();
            for due in parts.iter().rev() {
                sum.add(*due);
            }
            assert_eq!(one, sum);
        }
    }

    #[test]
    fn rates_are_what_was_asked_for() {
        // Five standard deviations of a Poisson count.
        for (arrival, wanted) in all().into_iter().zip([7770.0, 10_000.0, 3000.0, 2550.0]) {
            let n = arrival.schedule(1, SECONDS, Stripe::WHOLE).count() as f64;
            assert!((n - wanted).abs() < 5.0 * f64::sqrt(wanted), "{arrival:?}: {n}");
        }
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let at: Vec<f64> = Arrival::Poisson(1000.0)
            .schedule(5, Duration::from_mins(1), Stripe::WHOLE)
            .map(|due| due.at as f64 * 1e-6)
            .collect();
        let gaps: Vec<f64> = at.windows(2).map(|w| w[1] - w[0]).collect();
        let n = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / n;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
        // Mean 1 ms, coefficient of variation one.
        assert!((mean - 1.0).abs() < 0.02 && (variance.sqrt() / mean - 1.0).abs() < 0.03);
    }

    #[test]
    fn bursts_lie_where_they_should() {
        let arrival = &all()[2];
        let inside = arrival
            .schedule(1, SECONDS, Stripe::WHOLE)
            .filter(|d| d.at % 2_000_000_000 < 500_000_000);
        let n = inside.count() as f64;
        assert!((n - 2250.0).abs() < 5.0 * f64::sqrt(2250.0), "{n}");
    }
}
