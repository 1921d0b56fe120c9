//! The highest rate that meets an objective: bracket, bisect, confirm.
//!
//! Rates are of a fixed grid, so that searches that begin elsewhere end at the same ones. Knows no server: an attempt
//! is a function of the rate.

use crate::schema::SloOutcome;
use std::collections::BTreeSet;

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
const ATTEMPTS: usize = 24;
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

/// Searches from `start`; `attempt` takes a rate, and whether that passed before, and returns `None` to give up: what
/// was found so far counts.
pub fn search(start: f64, mut attempt: impl FnMut(f64, bool) -> Option<SloOutcome>) -> Found {
    let (mut passed, mut failed) = (BTreeSet::<i32>::new(), BTreeSet::<i32>::new());
    let mut attempts: Vec<(f64, SloOutcome)> = Vec::new();
    let (first, mut confirmed, mut stride, mut doubt) = (step(start), false, 0, 1);
    let mut now = first;
    while attempts.len() < ATTEMPTS && now > first - LOWEST {
        let again = passed.contains(&now);
        let Some(answer) = attempt(rate(now), again) else { break };
        attempts.push((rate(now), answer));
        match answer {
            SloOutcome::Pass if again => {
                confirmed = true;
                break;
            }
            SloOutcome::Pass => {
                passed.insert(now);
            }
            // What passed by luck is no ground to stand on, and what passed close below it is little better: ever
            // more is taken back.
            _ => {
                let lowest = if again { now + 1 - doubt } else { now };
                doubt *= if again { 2 } else { 1 };
                passed.retain(|step| *step < lowest);
                failed.insert(lowest);
            }
        }
        let mut stretch = || {
            let step = STRIDES[stride.min(STRIDES.len() - 1)];
            stride += 1;
            step
        };
        let good = passed.last().copied();
        let bad = failed.range(good.map_or(i32::MIN, |good| good + 1)..).next().copied();
        now = match (good, bad) {
            (None, bad) => bad.unwrap_or(now) - stretch(),
            (Some(good), None) => good + stretch(),
            (Some(good), Some(bad)) if bad - good <= 1 => good,
            (Some(good), Some(bad)) => i32::midpoint(good, bad),
        };
    }
    let good = passed.last().copied();
    let above = failed.range(good.map_or(i32::MIN, |good| good + 1)..).next();
    Found {
        rate: good.map_or(0.0, rate),
        above: above.map(|step| rate(*step)),
        attempts,
        confirmed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::judge::tests::{case, queue, true_quantile};
    use crate::measurement::met;

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
            Some(if rate < 40.0 || rate < 65.0 && !again {
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
                let seed = 2 * seed + u64::from(again);
                let record = queue(rate, 1_000_000, 20.0, 20.0, 77 + seed);
                Some(met(&judge(&case(&record, 20.0)), 0.99, 8e-3))
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
