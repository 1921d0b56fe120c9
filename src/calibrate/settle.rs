//! What a micro-benchmark takes on an undisturbed machine, from timings on a restless one. A pure function of samples,
//! each taken between two looks at the machine's pace.
//!
//! A neighbour makes a machine slower for a while and never faster. Where enough samples lie between two looks at full
//! pace, the least of them counts. Where too few do, every mean time is divided by how slow the machine was around it, and
//! the middle counts, unless a run was faster: a least of quotients would pick the sample whose looks were slower than
//! its runs.

/// How fast the machine was at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Multiply–adds in registers, operations a second.
    pub(super) compute: f64,
    /// Reading from main memory, bytes a second.
    pub(super) memory: f64,
}

/// A timing between two looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// Seconds of a run: the lower quartile of those in a row.
    pub(super) seconds: f64,
    /// Their mean.
    pub(super) mean: f64,
    pub(super) before: Pace,
    pub(super) after: Pace,
}

/// What is concluded from the samples of a micro-benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(clippy::struct_field_names)]
pub(super) struct Settled {
    /// Seconds of a run on an undisturbed machine.
    pub(super) seconds: f64,
    /// By how much samples that should be alike differ, as a share of the time.
    pub(super) spread: f64,
    /// Whether undisturbed samples agree.
    pub(super) settled: bool,
}

/// Share by which arithmetic may be slower than at full pace in an undisturbed sample.
const COMPUTE: f64 = 0.05;
/// The same for memory, whose pace varies more by itself.
const MEMORY: f64 = 0.12;
/// Undisturbed samples that must agree.
const ENOUGH: usize = 2;
/// Share by which they may differ.
const ALIKE: f64 = 0.05;
/// Quantile of all looks that counts as full pace: the few above it are errors of the looks themselves.
const FULL: f64 = 0.97;

/// The full pace of a machine that was looked at again and again, and that has shown `least` before.
pub(super) fn full(paces: &[Pace], least: Pace) -> Pace {
    let at = |of: fn(&Pace) -> f64| {
        let mut all: Vec<f64> = paces.iter().map(of).filter(|x| x.is_finite()).collect();
        all.sort_by(f64::total_cmp);
        quantile(&all, FULL)
    };
    Pace {
        compute: at(|p| p.compute).max(least.compute),
        memory: at(|p| p.memory).max(least.memory),
    }
}

/// The value of sorted ones below which a share of them lies; 0 where there is none.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a small positive index"
    )]
    let at = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(at).copied().unwrap_or(0.0)
}

impl Sample {
    /// By which factor arithmetic and memory were slower around it than at full pace: 1 or more.
    fn slowdown(&self, full: Pace) -> [f64; 2] {
        let of = |full: f64, before: f64, after: f64| {
            let factor = f64::midpoint(full / before, full / after);
            if factor.is_finite() { factor.max(1.0) } else { 1.0 }
        };
        [
            of(full.compute, self.before.compute, self.after.compute),
            of(full.memory, self.before.memory, self.after.memory),
        ]
    }

    fn undisturbed(&self, full: Pace) -> bool {
        let kept = |full: f64, at: f64, share: f64| at >= (1.0 - share) * full;
        [self.before, self.after].iter().all(|at| {
            kept(full.compute, at.compute, COMPUTE) && kept(full.memory, at.memory, MEMORY)
        })
    }

    /// Its mean time at full pace, where a share of the work is arithmetic and the rest memory.
    fn at_full_pace(&self, full: Pace, arithmetic: f64) -> f64 {
        let [compute, memory] = self.slowdown(full);
        self.mean / (arithmetic * compute + (1.0 - arithmetic) * memory)
    }
}

/// What a micro-benchmark takes at `full` pace; `arithmetic` is the share of its time that multiplying takes, 0 to 1.
/// Nothing without samples.
pub(super) fn settle(samples: &[Sample], full: Pace, arithmetic: f64) -> Option<Settled> {
    let sound = samples.iter().filter(|s| s.seconds > 0.0 && s.seconds.is_finite());
    let (calm, restless): (Vec<&Sample>, Vec<&Sample>) = sound.partition(|s| s.undisturbed(full));
    let mut least: Vec<f64> = calm.iter().map(|s| s.seconds).collect();
    least.sort_by(f64::total_cmp);
    if least.len() >= ENOUGH {
        let spread = least[ENOUGH - 1] / least[0] - 1.0;
        return Some(Settled { seconds: least[0], spread, settled: spread <= ALIKE });
    }
    let all: Vec<&Sample> = calm.into_iter().chain(restless).collect();
    // Nothing makes a run faster than it is.
    let fastest = all.iter().map(|s| s.seconds).fold(f64::INFINITY, f64::min);
    let mut all: Vec<f64> = all.iter().map(|s| s.at_full_pace(full, arithmetic)).collect();
    all.sort_by(f64::total_cmp);
    let middle = quantile(&all, 0.5);
    let spread = (quantile(&all, 0.75) - quantile(&all, 0.25)) / middle / 2.0;
    // Half the distance of the quartiles of fewer than four says nothing.
    let spread = if all.len() < 4 { spread.max(ALIKE) } else { spread };
    (!all.is_empty()).then_some(Settled { seconds: middle.min(fastest), spread, settled: false })
}

/// Whether another sample is worth its time.
pub(super) fn open(samples: &[Sample], full: Pace) -> bool {
    !settle(samples, full, 1.0).is_some_and(|s| s.settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::random::Random;

    const FULL_PACE: Pace = Pace { compute: 1e11, memory: 1e10 };
    const NOTHING: Pace = Pace { compute: 0.0, memory: 0.0 };
    const COUNT: usize = 60;

    /// A neighbour that works a share of the time in turns, and makes arithmetic and memory slower by these factors
    /// while it does.
    struct Neighbour {
        share: f64,
        factors: [f64; 2],
        /// Instants at which it begins or ends, and whether it begins.
        turns: Vec<(f64, bool)>,
    }

    impl Neighbour {
        /// Works `share` of the time; `period` seconds from one beginning to the next in the mean.
        fn new(share: f64, period: f64, random: &mut Random) -> Self {
            let (mut at, mut turns, mut busy) = (0.0, Vec::new(), false);
            while at < 500.0 {
                turns.push((at, busy));
                let mean = if busy { share * period } else { (1.0 - share) * period };
                at += (mean * random.exponential()).max(1e-4);
                busy = !busy;
            }
            Self { share, factors: [1.6, 1.4], turns }
        }

        fn busy(&self, at: f64) -> bool {
            let next = self.turns.partition_point(|(from, _)| *from <= at);
            self.share >= 1.0 || self.share > 0.0 && next > 0 && self.turns[next - 1].1
        }

        /// The mean factors by which arithmetic and memory are slower between two instants.
        fn slowdown(&self, from: f64, seconds: f64) -> [f64; 2] {
            let steps = 16;
            let at = |i: i32| from + seconds * f64::from(i) / f64::from(steps);
            let slow = (0..steps).filter(|i| self.busy(at(*i))).count();
            self.factors.map(|factor| 1.0 + (factor - 1.0) * slow as f64 / f64::from(steps))
        }
    }

    /// A simulated clock beside a neighbour, on which looks and runs take their time.
    struct World<'n> {
        neighbour: &'n Neighbour,
        random: &'n mut Random,
        now: f64,
    }

    impl World<'_> {
        fn noise(&mut self, size: f64) -> f64 {
            1.0 + size * f64::from(self.random.symmetric())
        }

        fn look(&mut self) -> Pace {
            let [compute, _] = self.neighbour.slowdown(self.now, 1e-3);
            let [_, memory] = self.neighbour.slowdown(self.now + 1e-3, 1e-3);
            self.now += 2e-3;
            Pace {
                compute: FULL_PACE.compute / compute * self.noise(0.01),
                memory: FULL_PACE.memory / memory * self.noise(0.04),
            }
        }

        /// 25 ms of runs of `seconds` each, of which a share is arithmetic; of short runs, thirty.
        fn sample(&mut self, (seconds, arithmetic): (f64, f64)) -> Sample {
            const SLICE: f64 = 0.025;
            let before = self.look();
            let mut runs: Vec<f64> = Vec::new();
            let end = self.now + SLICE;
            while self.now < end || runs.len() < 2 {
                let [compute, memory] = self.neighbour.slowdown(self.now, seconds);
                let factor = arithmetic * compute + (1.0 - arithmetic) * memory;
                let run = seconds * factor * self.noise(0.015).max(0.995);
                self.now += run.max(SLICE / 30.0);
                runs.push(run);
            }
            runs.sort_by(f64::total_cmp);
            let mean = runs.iter().sum::<f64>() / runs.len() as f64;
            Sample { seconds: runs[runs.len() / 4], mean, before, after: self.look() }
        }
    }

    /// The median and the 95th percentile of the errors of micro-benchmarks from 10 µs to 100 ms, and how many settled, as
    /// a calibration of ten rounds finds them.
    fn errors(neighbour: &Neighbour, least: Pace, random: &mut Random) -> (f64, f64, usize) {
        let truths: Vec<(f64, f64)> =
            (0..COUNT).map(|_| (1e-5 * 1e4f64.powf(random.unit()), random.unit())).collect();
        let mut world = World { neighbour, random, now: 0.0 };
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); COUNT];
        let mut paces = Vec::new();
        for round in 0..10 {
            let full = full(&paces, least);
            for (samples, truth) in samples.iter_mut().zip(&truths) {
                if round >= 3 && !open(samples, full) {
                    continue;
                }
                let sample = world.sample(*truth);
                paces.extend([sample.before, sample.after]);
                samples.push(sample);
            }
        }
        let full = full(&paces, least);
        let settled = samples.iter().zip(&truths);
        let settled: Vec<Settled> =
            settled.map(|(samples, (_, share))| settle(samples, full, *share).unwrap()).collect();
        let error = |(s, (truth, _)): (&Settled, &(f64, f64))| (s.seconds / truth - 1.0).abs();
        let mut errors: Vec<f64> = settled.iter().zip(&truths).map(error).collect();
        errors.sort_by(f64::total_cmp);
        let count = settled.iter().filter(|s| s.settled).count();
        (quantile(&errors, 0.5), quantile(&errors, 0.95), count)
    }

    #[test]
    fn a_quiet_machine_settles_at_the_truth() {
        let random = &mut Random::new(7);
        let quiet = Neighbour::new(0.0, 1.0, random);
        let (middle, most, settled) = errors(&quiet, NOTHING, random);
        assert!(middle < 0.02 && most < 0.03 && settled == COUNT, "{middle} {most} {settled}");
    }

    /// The aim beside a neighbour that takes a core half of the time is 12 % for whole models, of which the timings may
    /// have no more than a half; for turns of a millisecond to half a minute.
    #[test]
    fn half_a_core_of_a_neighbour_changes_little() {
        for seed in [1, 2] {
            for period in [2e-3, 0.02, 0.2, 2.0, 30.0] {
                let random = &mut Random::new(seed);
                let neighbour = Neighbour::new(0.5, period, random);
                let (middle, most, settled) = errors(&neighbour, NOTHING, random);
                assert!(
                    middle < 0.06 && most < 0.25,
                    "seed {seed}, {period} s: {middle:.3} {most:.3}, {settled} settled"
                );
            }
        }
    }

    /// A neighbour that rests a tenth of the time, or never: what full pace is shows in the rests, or in the ceilings.
    #[test]
    fn a_neighbour_that_hardly_rests_is_seen_and_taken_out() {
        for (share, least) in [(0.9, NOTHING), (1.0, FULL_PACE)] {
            let random = &mut Random::new(3);
            let neighbour = Neighbour::new(share, 0.5, random);
            let (middle, most, settled) = errors(&neighbour, least, random);
            assert!(settled < COUNT / 3, "{settled} settled beside {share}");
            assert!(middle < 0.06 && most < 0.15, "{share}: {middle:.3} {most:.3}");
        }
    }

    #[test]
    fn times_between_restless_looks_are_divided_by_the_slowdown() {
        let slow = Pace { compute: 0.5e11, memory: 1e10 };
        let sample = |mean| Sample { seconds: mean, mean, before: slow, after: slow };
        let samples = [sample(2.0), sample(2.1), sample(1.9), sample(8.0)];
        let all = settle(&samples, FULL_PACE, 1.0).unwrap();
        assert!((all.seconds - 1.05).abs() < 1e-9 && !all.settled, "{all:?}");
        // Memory was at full pace: what waits for memory alone is as it was timed; no slower than a run of it.
        let memory = settle(&samples, FULL_PACE, 0.0).unwrap();
        assert!((memory.seconds - 1.9).abs() < 1e-9 && !memory.settled, "{memory:?}");
    }

    #[test]
    fn odd_samples_are_no_times() {
        assert_eq!(settle(&[], FULL_PACE, 1.0), None);
        let zero = Pace { compute: 0.0, memory: f64::NAN };
        let odd = Sample { seconds: f64::NAN, mean: f64::NAN, before: zero, after: zero };
        assert_eq!(settle(&[odd], FULL_PACE, 1.0), None);
        let good = Sample { seconds: 1.0, mean: 1.0, ..odd };
        let found = settle(&[good, good], full(&[zero], NOTHING), 0.5).unwrap();
        assert!(found.seconds.is_finite(), "{found:?}");
    }
}
