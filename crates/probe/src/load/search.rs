//! The highest rate that meets an objective: bracket, bisect, and look again at both ends of what is left.
//!
//! Rates are of a fixed grid, so that searches that begin elsewhere end at the same ones. Knows no server: an attempt
//! is a function of the rate.

use crate::schema::SloOutcome;
use std::collections::{BTreeMap, BTreeSet};

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The highest rate that passed, and passed again; zero if none did.
    pub rate: f64,
    /// The lowest rate above it that did not pass.
    pub above: Option<f64>,
    /// All attempts in order.
    pub attempts: Vec<(f64, SloOutcome)>,
    /// Whether the rate passed a second time.
    pub confirmed: bool,
}

/// Neighbouring rates of the grid differ by this share: a finer answer would be fiction.
pub const TOLERANCE: f64 = 0.05;
/// Attempts, at most.
const ATTEMPTS: usize = 32;
/// Steps of the grid up or down while there is no bracket, each the double of the one before: ×1.4, ×2, ×4.
const STRIDES: [i32; 3] = [7, 14, 28];
/// Steps below the start at which the search gives up: a thousandth of it.
const LOWEST: i32 = 142;

/// The rate of a step of the grid, in three significant digits.
fn rate(step: i32) -> f64 {
    let exact = (f64::from(step) * TOLERANCE.ln_1p()).exp();
    let scale = 10f64.powi(2 - whole(exact.log10().floor()));
    (exact * scale).round() / scale
}

/// The step of the grid that is closest to a rate.
fn step(rate: f64) -> i32 {
    whole((rate.max(1e-6).ln() / TOLERANCE.ln_1p()).round())
}

#[allow(clippy::cast_possible_truncation, reason = "logarithms of rates are small")]
fn whole(number: f64) -> i32 {
    number as i32
}

/// What is known of the steps that were tried.
#[derive(Default)]
struct Known {
    passed: BTreeSet<i32>,
    /// With how often they did not pass.
    failed: BTreeMap<i32, u32>,
    /// Steps that are taken back when one that passed does not pass again.
    doubt: i32,
    /// Attempts of each step.
    tries: BTreeMap<i32, u32>,
}

impl Known {
    /// The highest step that passed, and the lowest above it that did not.
    fn bracket(&self) -> (Option<i32>, Option<i32>) {
        let good = self.passed.last().copied();
        let above = good.map_or(i32::MIN, |good| good + 1);
        (good, self.failed.range(above..).next().map(|(step, _)| *step))
    }

    /// Whether the highest step that passed has passed again.
    fn add(&mut self, step: i32, answer: SloOutcome) -> bool {
        *self.tries.entry(step).or_default() += 1;
        let again = self.passed.contains(&step);
        match answer {
            SloOutcome::Pass => {
                // Something else held up the attempt that failed here.
                self.failed.remove(&step);
                self.passed.insert(step);
                again
            }
            // What passed by luck is no ground to stand on, and what passed close below it is little better: ever
            // more is taken back.
            _ => {
                let lowest = if again { step - self.doubt } else { step };
                if again {
                    self.doubt = 2 * self.doubt + 1;
                }
                self.passed.retain(|passed| *passed < lowest);
                *self.failed.entry(lowest).or_default() += if again { SETTLED } else { 1 };
                false
            }
        }
    }
}

/// Failures that settle a step, all but one of them when it has become an end of the bracket. Where a neighbour on the
/// machine fails every tenth attempt, 95 of 100 simulated searches end within two steps of the truth with three, and
/// within twelve with two.
const SETTLED: u32 = 3;

/// Searches from `start`; `attempt` takes a rate, and how often that was tried before, and returns `None` to give up:
/// what was found so far counts. The lowest rate that failed is tried again before the highest that passed is.
pub fn search(start: f64, mut attempt: impl FnMut(f64, u32) -> Option<SloOutcome>) -> Found {
    let mut known = Known::default();
    let mut attempts: Vec<(f64, SloOutcome)> = Vec::new();
    let (first, mut confirmed, mut stride) = (step(start), false, 0);
    let mut now = first;
    while attempts.len() < ATTEMPTS && now > first - LOWEST && !confirmed {
        let tries = known.tries.get(&now).copied().unwrap_or_default();
        let Some(answer) = attempt(rate(now), tries) else { break };
        attempts.push((rate(now), answer));
        confirmed = known.add(now, answer);
        let mut stretch = || {
            let step = STRIDES[stride.min(STRIDES.len() - 1)];
            stride += 1;
            step
        };
        now = match known.bracket() {
            (None, bad) => bad.unwrap_or(now) - stretch(),
            (Some(good), None) => good + stretch(),
            (Some(good), Some(bad)) if bad - good > 1 => i32::midpoint(good, bad),
            (Some(_), Some(bad)) if known.failed[&bad] < SETTLED => bad,
            (Some(good), Some(_)) => good,
        };
    }
    let (good, above) = known.bracket();
    Found { rate: good.map_or(0.0, rate), above: above.map(rate), attempts, confirmed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::judge::tests::{case, queue, true_quantile};
    use crate::measurement::{Objective, met};
    use crate::schema::SloMetric;

    #[test]
    fn the_limit_is_found_to_the_tolerance() {
        for limit in [3.0, 97.0, 1234.0, 20_000.0] {
            let found = search(100.0, |rate, _| {
                Some(if rate <= limit { SloOutcome::Pass } else { SloOutcome::Fail })
            });
            assert!(found.confirmed && found.rate <= limit, "{found:?}");
            assert!(found.rate >= limit / (1.0 + TOLERANCE) * 0.99, "{found:?}");
            assert!(found.above.is_some_and(|above| above > limit), "{found:?}");
        }
    }

    #[test]
    fn searches_from_anywhere_end_at_the_same_rate() {
        let from = |start| {
            search(start, |rate, _| {
                Some(if rate <= 321.0 { SloOutcome::Pass } else { SloOutcome::Fail })
            })
            .rate
        };
        let rates = [1.0, 70.0, 290.0, 333.0, 5000.0].map(from);
        assert!(rates.iter().all(|rate| (rate - rates[0]).abs() < 1e-9), "{rates:?}");
    }

    /// A neighbour on the machine fails every tenth attempt, whatever its rate.
    #[test]
    fn attempts_that_something_else_failed_do_not_hide_the_rate() {
        let mut random = crate::random::Random::new(5);
        let mut once = |start: f64| {
            let found = search(start, |rate, _| {
                let held_up = random.unit() < 0.1;
                Some(if rate <= 321.0 && !held_up { SloOutcome::Pass } else { SloOutcome::Fail })
            });
            found.rate / 321.0
        };
        let mut shares: Vec<f64> = (0..100).map(|i| once(20.0 + 10.0 * f64::from(i))).collect();
        shares.sort_by(f64::total_cmp);
        assert!(shares[99] <= 1.0 && shares[7] > 0.9, "{shares:?}");
    }

    #[test]
    fn nothing_passes_or_the_search_is_stopped() {
        let found = search(100.0, |_, _| Some(SloOutcome::Fail));
        assert_eq!((found.rate, found.confirmed), (0.0, false));
        assert!(found.attempts.len() < 12, "{found:?}");
        assert_eq!(search(100.0, |_, _| None).attempts.len(), 0);
    }

    #[test]
    fn a_lucky_pass_is_not_confirmed() {
        let found = search(64.0, |rate, again| {
            Some(if rate < 40.0 || rate < 65.0 && again == 0 {
                SloOutcome::Pass
            } else {
                SloOutcome::Fail
            })
        });
        assert!(found.confirmed && found.rate < 40.0, "{found:?}");
    }

    /// A queue of 1 ms service whose p99 should be at most 8 ms, 20 s to an attempt: the limit is known.
    #[test]
    fn repeats_against_a_queue_agree_and_are_close_to_the_truth() {
        let (mut low, mut high) = (0.1, 0.99);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if true_quantile(0.99, middle) <= 8.0 { low = middle } else { high = middle }
        }
        let truth = 1000.0 * low;
        let once = |seed: u64| {
            let found = search(600.0 + 20.0 * seed as f64, |rate, again| {
                let seed = 40 * seed + u64::from(again);
                let record = queue(rate, 1_000_000, 20.0, 20.0, 77 + seed);
                let objective =
                    Objective { metric: SloMetric::Response, quantile: 0.99, seconds: 8e-3 };
                Some(met(&judge(&case(&record, 20.0)), objective))
            });
            assert!(found.confirmed, "{found:?}");
            found.rate
        };
        let rates: Vec<f64> = (0..5).map(once).collect();
        let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let most = rates.iter().copied().fold(0.0, f64::max);
        assert!(most / least <= 1.11, "{rates:?}, truly {truth}");
        assert!(least > 0.85 * truth && most < 1.05 * truth, "{rates:?}, truly {truth}");
    }
}
