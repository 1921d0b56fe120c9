//! The highest rate that meets a demand: bracket, bisect, confirm.
//!
//! Knows no server: an attempt is a function of the rate.

use crate::schema::SloOutcome;

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

/// Rates closer than this share are not told apart: a finer answer would be fiction.
pub const TOLERANCE: f64 = 0.05;
/// Attempts, at most.
const ATTEMPTS: usize = 20;

/// Searches from `start`; `attempt` returns `None` to give up, and what was found so far counts.
pub fn search(start: f64, mut attempt: impl FnMut(f64) -> Option<SloOutcome>) -> Found {
    let (mut good, mut bad) = (0.0, None::<f64>);
    let mut attempts: Vec<(f64, SloOutcome)> = Vec::new();
    let mut confirmed = false;
    let mut rate = start;
    while attempts.len() < ATTEMPTS && rate > start * 1e-3 {
        let Some(answer) = attempt(rate) else { break };
        attempts.push((rate, answer));
        let repeated = good > 0.0 && (rate - good).abs() < 1e-9 * good;
        match answer {
            SloOutcome::Pass if repeated => {
                confirmed = true;
                break;
            }
            SloOutcome::Pass => good = rate,
            // What passed by luck is no ground to stand on: begin below it.
            _ if repeated => {
                bad = Some(rate);
                good = 0.0;
            }
            _ => bad = Some(rate),
        }
        rate = match (good, bad) {
            (0.0, Some(bad)) => bad / 2.0,
            (good, None) => good * 2.0,
            (good, Some(bad)) if bad / good - 1.0 <= TOLERANCE => good,
            (good, Some(bad)) => (good * bad).sqrt(),
        };
    }
    Found { rate: good, above: bad, attempts, confirmed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_to_the_tolerance() {
        for limit in [3.0, 97.0, 1234.0, 20_000.0] {
            let found = search(100.0, |rate| {
                Some(if rate <= limit { SloOutcome::Pass } else { SloOutcome::Fail })
            });
            assert!(found.confirmed && found.rate <= limit, "{found:?}");
            assert!(found.rate >= limit / (1.0 + TOLERANCE) * 0.999, "{found:?}");
        }
    }

    #[test]
    fn nothing_passes_or_the_search_is_stopped() {
        let found = search(100.0, |_| Some(SloOutcome::Fail));
        assert_eq!((found.rate, found.confirmed), (0.0, false));
        assert_eq!(search(100.0, |_| None).attempts.len(), 0);
    }

    #[test]
    fn a_lucky_pass_is_not_confirmed() {
        let mut seen = 0;
        let found = search(64.0, |rate| {
            seen += u32::from((rate - 64.0).abs() < 1e-9);
            Some(if rate < 40.0 || rate < 65.0 && seen == 1 {
                SloOutcome::Pass
            } else {
                SloOutcome::Fail
            })
        });
        assert!(found.confirmed && found.rate < 40.0, "{found:?}");
    }
}
