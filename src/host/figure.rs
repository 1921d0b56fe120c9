//! A measured figure: what several repeats say, and how sure they are.

use serde::Serialize;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// A figure over several repeats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Figure {
    /// Middle of the repeats.
    pub median: f64,
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub most: f64,
}

impl Figure {
    pub(super) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |i: usize| samples.get(i).copied().unwrap_or(0.0);
        let last = samples.len().saturating_sub(1);
        Self { median: at(last / 2), least: at(0), most: at(last) }
    }

    /// `(most − least) / median`.
    pub fn spread(&self) -> f64 {
        (self.most - self.least) / self.median
    }
}

/// Runs `work` on `threads` threads that start together, `repeats` times; each reports how much it
/// did. The figure is the sum over the time from the common start to the last end. The first run
/// warms up and does not count.
pub(super) fn together<W>(
    threads: usize,
    repeats: usize,
    make: impl Fn(usize) -> W + Sync,
) -> Figure
where
    W: FnMut() -> f64,
{
    let barrier = Barrier::new(threads);
    let run = |index: usize| {
        let mut work = make(index);
        work();
        (0..repeats)
            .map(|_| {
                barrier.wait();
                let start = Instant::now();
                let done = work();
                (start, done, Instant::now())
            })
            .collect::<Vec<_>>()
    };
    let results: Vec<Vec<(Instant, f64, Instant)>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|i| scope.spawn(move || run(i))).collect();
        handles.into_iter().filter_map(|h| h.join().ok()).collect()
    });
    let rate = |repeat: usize| {
        let rows = results.iter().filter_map(|r| r.get(repeat));
        let (mut first, mut last, mut done) = (None::<Instant>, None::<Instant>, 0.0);
        for (start, amount, end) in rows {
            first = Some(first.map_or(*start, |f| f.min(*start)));
            last = Some(last.map_or(*end, |l| l.max(*end)));
            done += amount;
        }
        let time = last.zip(first).map_or(Duration::ZERO, |(l, f)| l - f);
        done / time.as_secs_f64()
    };
    Figure::of((0..repeats).map(rate).collect())
}

/// Repetitions of `work` that fill `slice`: `work(n)` does `n` of them.
pub(super) fn repetitions(slice: Duration, mut work: impl FnMut(u32)) -> u32 {
    let mut trial = 1;
    loop {
        let start = Instant::now();
        work(trial);
        let time = start.elapsed();
        if time * 20 >= slice || trial > u32::MAX / 4 {
            let fill = f64::from(trial) * slice.as_secs_f64() / time.as_secs_f64().max(1e-9);
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            return fill.clamp(1.0, f64::from(u32::MAX)) as u32;
        }
        trial *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_extremes() {
        let figure = Figure::of(vec![3.0, 1.0, 2.0]);
        assert_eq!(figure, Figure { median: 2.0, least: 1.0, most: 3.0 });
        assert!((figure.spread() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn all_threads_report() {
        let figure = together(3, 2, |_| {
            || {
                std::thread::sleep(Duration::from_millis(1));
                1.0
            }
        });
        assert!(figure.least > 0.0 && figure.most <= 3000.0, "{figure:?}");
    }
}
