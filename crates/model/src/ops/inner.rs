//! What bodies cost that run inside a node, and which of their runs make it up.

use super::Cost;
use crate::dim::Dim;

/// One way in which a body ran: the walk keeps what it found under the number of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which call of the walk it was, counted from zero for each node.
    pub call: usize,
    /// How often the body runs so.
    pub times: Dim,
    /// Whether this is one of several of which only one runs.
    pub alternative: bool,
    /// The symbol of the number of the run, from zero, where its sizes depend on it.
    pub round: Option<Dim>,
}

/// The cost of bodies inside a node, with the runs that it is the sum of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inner {
    /// The sum over all runs; the larger, count by count, of alternatives.
    pub cost: Cost,
    /// The runs.
    pub runs: Vec<Run>,
}

impl std::ops::Deref for Inner {
    type Target = Cost;

    fn deref(&self) -> &Cost {
        &self.cost
    }
}

/// Work between the steps of an operator, which no body does.
impl From<Cost> for Inner {
    fn from(cost: Cost) -> Self {
        Self { cost, runs: Vec::new() }
    }
}

impl Inner {
    /// One run of a body, which was this call of the walk.
    pub fn once(call: usize, cost: Cost) -> Self {
        Self { cost, runs: vec![Run { call, times: Dim::ONE, alternative: false, round: None }] }
    }

    /// Adds other runs to these; runs of one call are one run more often.
    pub fn add(&mut self, other: &Self) {
        self.cost.add(&other.cost);
        for run in &other.runs {
            match self.runs.last_mut() {
                Some(last) if last.call == run.call && last.alternative == run.alternative => {
                    last.times = std::mem::take(&mut last.times) + run.times.clone();
                }
                _ => self.runs.push(run.clone()),
            }
        }
    }

    /// The same runs `count` times.
    #[must_use]
    pub fn times(&self, count: &Dim) -> Self {
        let again = |run: &Run| Run { times: run.times.clone() * count.clone(), ..run.clone() };
        Self { cost: self.cost.times(count), runs: self.runs.iter().map(again).collect() }
    }

    /// Either of two, of which the larger is counted.
    #[must_use]
    pub fn most(&self, other: &Self) -> Self {
        let runs = self.runs.iter().chain(&other.runs);
        let runs = runs.map(|run| Run { alternative: true, ..run.clone() }).collect();
        Self { cost: self.cost.most(&other.cost), runs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rounds_are_one_run_more_often() {
        let mut all = Inner::default();
        for call in [0, 0, 1] {
            all.add(&Inner::once(call, Cost::default()));
        }
        let run = |call, times: i64| Run {
            call,
            times: Dim::from(times),
            alternative: false,
            round: None,
        };
        assert_eq!(all.runs, [run(0, 2), run(1, 1)]);
        assert_eq!(all.times(&Dim::from(3)).runs, [run(0, 6), run(1, 3)]);
        let either = Inner::once(0, Cost::default()).most(&Inner::once(1, Cost::default()));
        assert!(either.runs.len() == 2 && either.runs.iter().all(|r| r.alternative));
    }
}
