//! When a run has seen enough: its headline percentile is known as closely as was asked for.
//!
//! The run is looked at after a first span and at every doubling of it, as a function of what was
//! counted alone; knows no clock, no thread and no server. An interval that is narrow once may be so
//! by luck, which is why two looks in a row must agree: in simulated M/D/1 and M/M/1 queues this
//! raises the coverage of a nominal 95 % from about 83 to about 91 in 100.

use super::judge::{self, Case, same};
use super::metric::Metric;
use crate::schema::{Verdict, percentile};
use std::time::Duration;

/// Intervals of the record before the first look.
const FIRST: f64 = 80.0;
/// Looks in a row that must agree.
const AGREE: u32 = 2;

/// The rule, and how far it has come.
#[derive(Clone, Debug)]
pub struct Enough {
    /// Half of the interval's width, as a share of the percentile.
    tolerance: f64,
    next: f64,
    agreed: u32,
    /// Half width at the last look, as a share of the percentile; `None` where it has no end.
    pub width: Option<f64>,
}

impl Enough {
    /// A rule for a record with intervals of `step`.
    pub fn new(tolerance: f64, step: Duration) -> Self {
        Self { tolerance, next: FIRST * step.as_secs_f64(), agreed: 0, width: None }
    }

    /// Seconds after which it wants to look next.
    pub fn next(&self) -> f64 {
        self.next
    }

    /// Looks at a run, and says whether it may end.
    pub fn look(&mut self, case: &Case<'_>) -> bool {
        self.next *= 2.0;
        let j = judge::judge(case);
        let head = j.quantiles[Metric::Response].iter().find(|p| same(p.q, case.headline));
        self.width = head.and_then(|p| {
            let ((low, high), value) = (p.interval?, p.value? as f64);
            Some((high? as f64 - low as f64) / 2.0 / value.max(1.0))
        });
        let narrow = self.width.is_some_and(|w| w <= self.tolerance);
        // What says that the percentile means nothing yet; a late client is no reason to go on.
        let doubtful = j.findings.iter().any(|f| {
            matches!(
                f.verdict,
                Verdict::TooFewSamples | Verdict::NotStationary | Verdict::Overloaded
            )
        });
        self.agreed = if narrow && !doubtful { self.agreed + 1 } else { 0 };
        self.reached()
    }

    /// Whether the percentile is known as closely as was asked for.
    pub fn reached(&self) -> bool {
        self.agreed >= AGREE
    }

    /// What is said of a run that ended after `seconds`, by the rule or at its longest.
    pub fn shortfall(&self, headline: f64, seconds: f64) -> String {
        let (name, wanted) = (percentile(headline), 100.0 * self.tolerance);
        let width = self.width.map_or("no interval".into(), |w| format!("±{:.1} %", 100.0 * w));
        if self.reached() {
            format!(
                "ended after {seconds:.1} s, when {name} was known to {width} at two checks in a row"
            )
        } else {
            format!(
                "{name} was not known to ±{wanted:.1} % in {seconds:.1} s: {width} at the last look"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::{case, queue, true_quantile};

    /// Looks at a queue of 1 ms service at growing times, until the rule or the cap ends it.
    fn run(load: f64, tolerance: f64, cap: f64, seed: u64) -> (f64, bool, Enough) {
        let step = crate::record::Record::new(Duration::from_secs_f64(cap)).step;
        let mut rule = Enough::new(tolerance, Duration::from_nanos(step));
        loop {
            let seconds = rule.next().min(cap);
            let record = queue(load * 1000.0, 1_000_000, seconds, cap, seed);
            let over = rule.look(&case(&record, seconds));
            if over || seconds >= cap {
                return (seconds, over, rule);
            }
        }
    }

    #[test]
    fn it_ends_early_where_it_can_and_then_the_interval_holds() {
        let truth = true_quantile(0.99, 0.5) * 1e6;
        let (mut ended, mut covered) = (0, 0);
        for seed in 0..30 {
            let (seconds, over, _) = run(0.5, 0.10, 400.0, seed);
            ended += u32::from(over);
            let record = queue(500.0, 1_000_000, seconds, 400.0, seed);
            let j = judge::judge(&case(&record, seconds));
            let p99 = j.quantiles[Metric::Response].iter().find(|p| same(p.q, 0.99)).unwrap();
            let (low, high) = p99.interval.unwrap();
            covered += u32::from(low as f64 <= truth && truth <= high.unwrap() as f64);
        }
        assert!(ended >= 27, "{ended} of 30 ended by the rule");
        assert!(covered >= 25, "{covered} of 30 covered");
    }

    #[test]
    fn near_saturation_it_says_that_it_does_not_know() {
        let (_, over, rule) = run(0.98, 0.02, 60.0, 3);
        assert!(!over);
        assert!(
            rule.shortfall(0.99, 60.0).contains("was not known to ±2.0 %"),
            "{}",
            rule.shortfall(0.99, 60.0)
        );
    }
}
