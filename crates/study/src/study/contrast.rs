//! Two sides of runs held against each other, on logarithms.
//!
//! A run gives a figure and its own standard error. A side of three runs or more has the variance of its figures, or
//! the mean square of their errors where that is larger; the difference of two sides has Welch's interval. Runs differ
//! more than their parts, so that fewer runs get no verdict.

use super::student;

rooflens_ground::words! {
    /// What became of a figure.
    pub enum Outcome {
        /// Worse: the interval excludes no change, and the change is at least the threshold.
        Worse = "WORSE",
        /// Better, in the same way.
        Better = "better",
        /// The interval excludes no change, and the change is below the threshold.
        Slightly = "slightly",
        /// The interval lies within the threshold on both sides.
        Same = "same",
        /// The interval is too wide.
        CannotTell = "cannot tell",
        /// Fewer than three runs on a side: these runs differ by more than their own errors.
        TheseDiffer = "these runs differ",
        /// Fewer than three runs on a side: their errors explain the difference.
        TheseAgree = "these runs do not differ",
    }
}

/// A figure of one run, above zero, and its standard error on the scale of logarithms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The figure.
    pub value: f64,
    /// Standard error of its logarithm; none where it is not known.
    pub error: Option<f64>,
}

impl Sample {
    /// A figure with its interval of 95 %, where it has one.
    pub fn new(value: f64, low: Option<f64>, high: Option<f64>) -> Option<Self> {
        let ends = low.zip(high).filter(|(low, high)| *low > 0.0 && high >= low);
        let error = ends.map(|(low, high)| (high / low).ln() / (2.0 * 1.96));
        (value > 0.0 && value.is_finite()).then_some(Self { value, error })
    }
}

/// What is compared, and how.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A change below this share is none, above 0.
    pub threshold: f64,
    /// Whether more is worse, as of times.
    pub more_is_worse: bool,
}

/// The change from one side to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Contrast {
    /// Geometric means of both sides.
    pub means: (f64, f64),
    /// The change as a share: 0.1 is 10 % more.
    pub change: f64,
    /// The interval of 95 % of the change; none where no error is known.
    pub interval: Option<(f64, f64)>,
    /// Probability of such a difference between equal sides; 1 where no error is known.
    pub probability: f64,
    /// What became of the figure.
    pub outcome: Outcome,
    /// Runs that each side lacks to say more in most cases, where it cannot.
    pub more_runs: Option<u64>,
}

/// Standard errors of a difference that fit into the threshold where equal sides are called `same` in four cases of
/// five: 2.1 of the interval, and 1.3 of the difference itself.
const REACH: f64 = 3.4;

/// Probability at which sides are held to differ.
const ALPHA: f64 = 0.05;

/// One side in numbers, on the scale of logarithms.
struct Side {
    mean: f64,
    variance: Option<f64>,
    runs: f64,
}

impl Side {
    fn of(samples: &[Sample]) -> Option<Self> {
        let runs = samples.len() as f64;
        let logs: Vec<f64> = samples.iter().map(|s| s.value.ln()).collect();
        let mean = logs.iter().sum::<f64>() / runs;
        let squares: Option<f64> = samples.iter().map(|s| s.error.map(|e| e * e)).sum();
        let own = squares.map(|sum| sum / runs);
        let spread = || logs.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / (runs - 1.0);
        let variance =
            if runs > 1.5 { Some(own.map_or_else(spread, |own| own.max(spread()))) } else { own };
        (!samples.is_empty()).then_some(Self { mean, variance, runs })
    }
}

impl Rule {
    /// The change from `a` to `b`; none where a side has no run.
    pub fn contrast(&self, a: &[Sample], b: &[Sample]) -> Option<Contrast> {
        let (a, b) = (Side::of(a)?, Side::of(b)?);
        let difference = b.mean - a.mean;
        let enough = a.runs > 2.5 && b.runs > 2.5;
        let measured = a.variance.zip(b.variance).map(|(va, vb)| {
            let (ea, eb) = (va / a.runs, vb / b.runs);
            let error = (ea + eb).sqrt();
            // Welch and Satterthwaite; intervals of single runs rest on 31 degrees of freedom.
            let of = |e: f64, runs: f64| e * e / if enough { runs - 1.0 } else { 31.0 };
            let freedom = (ea + eb).powi(2) / (of(ea, a.runs) + of(eb, b.runs));
            (error, if freedom.is_finite() { freedom.max(1.0) } else { 31.0 })
        });
        let interval = measured.map(|(error, freedom)| {
            let half = student::quantile(ALPHA, freedom) * error;
            (difference - half, difference + half)
        });
        let probability = measured.map_or(1.0, |(error, freedom)| {
            if error > 0.0 {
                student::two_sided((difference / error).abs(), freedom)
            } else {
                f64::from(u8::from(difference == 0.0))
            }
        });
        let share = |log: f64| log.exp_m1();
        let mut contrast = Contrast {
            means: (a.mean.exp(), b.mean.exp()),
            change: share(difference),
            interval: interval.map(|(low, high)| (share(low), share(high))),
            probability,
            outcome: Outcome::CannotTell,
            more_runs: None,
        };
        contrast.outcome = self.outcome(&contrast, interval, enough, probability < ALPHA);
        if contrast.outcome == Outcome::CannotTell {
            let pooled = a.variance.zip(b.variance).map(|(a, b)| f64::midpoint(a, b));
            let needed =
                pooled.map(|v| (REACH * (2.0 * v).sqrt() / self.threshold.ln_1p()).powi(2));
            contrast.more_runs = Some(more(needed, a.runs.min(b.runs)));
        }
        Some(contrast)
    }

    /// The first that holds.
    #[allow(clippy::match_same_arms)]
    fn outcome(
        &self,
        contrast: &Contrast,
        interval: Option<(f64, f64)>,
        enough: bool,
        excludes_none: bool,
    ) -> Outcome {
        let log = contrast.change.ln_1p();
        let limit = self.threshold.ln_1p();
        match interval {
            None => Outcome::CannotTell,
            Some(_) if !enough && excludes_none => Outcome::TheseDiffer,
            Some(_) if !enough => Outcome::TheseAgree,
            Some(_) if excludes_none && log.abs() >= limit => {
                if (log > 0.0) == self.more_is_worse {
                    Outcome::Worse
                } else {
                    Outcome::Better
                }
            }
            Some(_) if excludes_none => Outcome::Slightly,
            Some((low, high)) if low > -limit && high < limit => Outcome::Same,
            Some(_) => Outcome::CannotTell,
        }
    }

    /// The outcomes of several headline figures together, by Holm's rule: each is held to differ only where the
    /// smallest of them would be among so many.
    pub fn together(rules: &[Self], contrasts: &mut [Contrast]) {
        let mut order: Vec<usize> = (0..contrasts.len()).collect();
        order.sort_by(|a, b| contrasts[*a].probability.total_cmp(&contrasts[*b].probability));
        let mut holds = true;
        for (rank, at) in order.iter().enumerate() {
            let among = (order.len() - rank) as f64;
            holds &= contrasts[*at].probability < ALPHA / among;
            let sure = matches!(
                contrasts[*at].outcome,
                Outcome::Worse | Outcome::Better | Outcome::Slightly
            );
            if sure && !holds {
                let limit = rules.get(*at).map_or(0.05, |rule| rule.threshold);
                let inside = contrasts[*at].interval.is_some_and(|(low, high)| {
                    low.ln_1p() > -limit.ln_1p() && high.ln_1p() < limit.ln_1p()
                });
                contrasts[*at].outcome = if inside { Outcome::Same } else { Outcome::CannotTell };
                contrasts[*at].more_runs = (!inside).then_some(1);
            }
        }
    }
}

/// Runs that a side lacks; at least one, as it could not tell.
fn more(needed: Option<f64>, runs: f64) -> u64 {
    let needed = needed.filter(|n| n.is_finite()).map_or(3.0, |n| n.ceil().clamp(3.0, 1e6));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 1e6")]
    let lacking = (needed - runs).max(1.0) as u64;
    lacking
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Normal deviates by Box and Muller, of a generator of its own: the same in each run.
    struct Noise(u64);

    impl Noise {
        fn uniform(&mut self) -> f64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            let (u, v) = (self.uniform(), self.uniform());
            (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
        }

        /// A run of a server: 3 % between runs; inside, 32 batches that depend on each other (AR(1), 0.3), whose mean
        /// is the figure and whose spread is its error, as of batches taken for independent.
        fn run(&mut self, level: f64) -> Sample {
            let centre = level.ln() + 0.03 * self.normal();
            let mut state = self.normal();
            let batches: Vec<f64> = (0..32)
                .map(|_| {
                    state = 0.3 * state + (1.0f64 - 0.09).sqrt() * self.normal();
                    centre + 0.05 * state
                })
                .collect();
            let mean = batches.iter().sum::<f64>() / 32.0;
            let variance = batches.iter().map(|b| (b - mean).powi(2)).sum::<f64>() / 31.0;
            let half = 2.0395 * (variance / 32.0).sqrt();
            Sample::new(mean.exp(), Some((mean - half).exp()), Some((mean + half).exp())).unwrap()
        }

        fn side(&mut self, level: f64, runs: usize) -> Vec<Sample> {
            (0..runs).map(|_| self.run(level)).collect()
        }
    }

    const TIMES: Rule = Rule { threshold: 0.05, more_is_worse: true };
    const RATES: Rule = Rule { threshold: 0.05, more_is_worse: false };

    fn changed(outcome: Outcome) -> bool {
        matches!(outcome, Outcome::Worse | Outcome::Better)
    }

    #[test]
    fn a_server_against_itself_is_called_changed_in_few_of_a_thousand() {
        let mut noise = Noise(7);
        for runs in [3, 5, 8] {
            let mut found = 0;
            for _ in 0..1000 {
                let (a, b) = (noise.side(20.0, runs), noise.side(20.0, runs));
                let (x, y) = (noise.side(100.0, runs), noise.side(100.0, runs));
                let mut both = [TIMES.contrast(&a, &b).unwrap(), RATES.contrast(&x, &y).unwrap()];
                Rule::together(&[TIMES, RATES], &mut both);
                found += i32::from(both.iter().any(|c| changed(c.outcome)));
            }
            assert!(found <= 60, "{runs} runs a side: {found} of 1000");
        }
    }

    #[test]
    fn a_server_that_is_ten_percent_slower_is_found() {
        let mut noise = Noise(11);
        let mut found = 0;
        for _ in 0..1000 {
            let (a, b) = (noise.side(20.0, 5), noise.side(22.0, 5));
            found += i32::from(TIMES.contrast(&a, &b).unwrap().outcome == Outcome::Worse);
        }
        assert!(found >= 900, "{found} of 1000");
    }

    /// As many runs as it asks for are enough in most cases to say that nothing changed.
    #[test]
    fn the_runs_that_it_asks_for_are_enough() {
        let mut noise = Noise(5);
        let (mut asked, mut decided) = (0u32, 0u32);
        for _ in 0..200 {
            let few = TIMES.contrast(&noise.side(20.0, 3), &noise.side(20.0, 3)).unwrap();
            let Some(more) = few.more_runs.filter(|_| few.outcome == Outcome::CannotTell) else {
                continue;
            };
            let runs = 3 + usize::try_from(more).unwrap();
            let again = TIMES.contrast(&noise.side(20.0, runs), &noise.side(20.0, runs)).unwrap();
            asked += 1;
            decided += u32::from(again.outcome != Outcome::CannotTell);
        }
        assert!(asked > 50 && decided * 10 >= asked * 5, "{decided} of {asked}");
    }

    #[test]
    fn words_follow_from_interval_and_threshold() {
        let side = |values: [f64; 3]| values.map(|v| Sample::new(v, None, None).unwrap());
        let of = |rule: Rule, a, b| rule.contrast(&side(a), &side(b)).unwrap().outcome;
        let base = [10.0, 10.01, 9.99];
        assert_eq!(of(TIMES, base, [12.0, 12.01, 11.99]), Outcome::Worse);
        assert_eq!(of(RATES, base, [12.0, 12.01, 11.99]), Outcome::Better);
        assert_eq!(of(TIMES, base, [10.2, 10.21, 10.19]), Outcome::Slightly);
        assert_eq!(of(TIMES, base, [10.0, 10.01, 9.99]), Outcome::Same);
        assert_eq!(of(TIMES, [8.0, 10.0, 12.0], [9.0, 11.0, 13.0]), Outcome::CannotTell);
        let two = |v| vec![Sample::new(v, Some(v * 0.99), Some(v * 1.01)).unwrap(); 2];
        assert_eq!(TIMES.contrast(&two(10.0), &two(13.0)).unwrap().outcome, Outcome::TheseDiffer);
        assert_eq!(TIMES.contrast(&two(10.0), &two(10.1)).unwrap().outcome, Outcome::TheseAgree);
        let bare = [Sample::new(10.0, None, None).unwrap()];
        assert_eq!(TIMES.contrast(&bare, &bare).unwrap().outcome, Outcome::CannotTell);
        assert!(TIMES.contrast(&[], &bare).is_none());
        assert!(
            Sample::new(0.0, None, None).is_none() && Sample::new(f64::NAN, None, None).is_none()
        );
    }

    /// Of two figures, one at 4 % probability is not held to have changed: one of two such is found by chance more often.
    #[test]
    fn two_figures_are_judged_together() {
        let contrast = |probability: f64| Contrast {
            means: (1.0, 1.1),
            change: 0.1,
            interval: Some((0.001, 0.21)),
            probability,
            outcome: Outcome::Worse,
            more_runs: None,
        };
        let mut both = [contrast(0.04), contrast(0.5)];
        both[1].outcome = Outcome::CannotTell;
        Rule::together(&[TIMES, RATES], &mut both);
        assert_eq!(both[0].outcome, Outcome::CannotTell);
        let mut both = [contrast(0.04), contrast(0.01)];
        Rule::together(&[TIMES, RATES], &mut both);
        assert_eq!(both[0].outcome, Outcome::Worse, "after the smaller one holds");
    }
}
