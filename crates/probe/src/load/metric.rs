//! The instants of a request and the durations kept of them: one row each, from which records, logs and files
//! follow.

use std::ops::{Index, IndexMut};

/// One request from due to done; all in nanoseconds from the start of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When it was due.
    pub due: u64,
    /// When the sender took it up.
    pub began: u64,
    /// When its first byte was handed to the system, on an open connection.
    pub sent: u64,
    /// When its answer's last byte was there, or it was given up.
    pub ended: u64,
}

/// What arrived of an answer that is streamed, or counts tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// When each piece of text was there, in order, nanoseconds from the start of the run. A piece may hold several
    /// tokens, or a part of one.
    pub instants: Vec<u64>,
    /// Tokens of the request, as the server counts them; `None` where it does not report them.
    pub input: Option<u64>,
    /// Those of them that a cache held.
    pub cached: Option<u64>,
    /// Tokens of the answer, as the server counts them; `None` where it does not report them.
    pub output: Option<u64>,
}

impl Pieces {
    /// From the first piece to the last, nanoseconds; `None` without two tokens.
    fn per_token(&self) -> Option<u64> {
        let (first, last) = (self.instants.first()?, self.instants.last()?);
        last.saturating_sub(*first).checked_div(self.output?.checked_sub(1)?)
    }
}

/// A duration of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// From scheduled to answered: what someone who does not wait for others sees.
    Response,
    /// From sent to answered: server and network.
    Service,
    /// From scheduled to sent: the client's own share, connecting included.
    Lag,
    /// From scheduled to picked up.
    Lateness,
    /// From picked up to answered: the response time without the client's lateness.
    Undelayed,
    /// From scheduled to the first piece of a streamed answer: the time to its first token.
    FirstToken,
    /// Between a piece of a streamed answer and the next: one for each pair of neighbours.
    InterToken,
    /// From the first piece of a streamed answer to its last, by the tokens after the first.
    PerToken,
}

/// What is known of a metric.
struct Row {
    metric: Metric,
    /// Tag in interval logs, and beginning of its columns in measurement files.
    name: &'static str,
    /// Whether failed requests have it too.
    of_failed: bool,
    /// Whether only streamed answers have it: files about others are without it.
    streamed: bool,
    /// Its durations in a request, nanoseconds: one, none, or one for each part of an answer.
    durations: fn(&Sample, &Pieces, &mut dyn FnMut(u64)),
}

/// Every metric, in the order of [`Metric`].
static METRICS: [Row; 8] = [
    Row {
        metric: Metric::Response,
        name: "response",
        of_failed: false,
        streamed: false,
        durations: |s, _, add| add(s.ended.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Service,
        name: "service",
        of_failed: false,
        streamed: false,
        durations: |s, _, add| add(s.ended.saturating_sub(s.sent)),
    },
    Row {
        metric: Metric::Lag,
        name: "lag",
        of_failed: false,
        streamed: false,
        durations: |s, _, add| add(s.sent.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Lateness,
        name: "lateness",
        of_failed: true,
        streamed: false,
        durations: |s, _, add| add(s.began.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Undelayed,
        name: "undelayed",
        of_failed: false,
        streamed: false,
        durations: |s, _, add| add(s.ended.saturating_sub(s.began)),
    },
    Row {
        metric: Metric::FirstToken,
        name: "ttft",
        of_failed: false,
        streamed: true,
        durations: |s, p, add| {
            p.instants.first().into_iter().for_each(|at| add(at.saturating_sub(s.due)));
        },
    },
    Row {
        metric: Metric::InterToken,
        name: "itl",
        of_failed: false,
        streamed: true,
        durations: |_, p, add| {
            p.instants.windows(2).for_each(|pair| add(pair[1].saturating_sub(pair[0])));
        },
    },
    Row {
        metric: Metric::PerToken,
        name: "tpot",
        of_failed: false,
        streamed: true,
        durations: |_, p, add| p.per_token().into_iter().for_each(add),
    },
];

impl Metric {
    /// How many there are.
    pub const COUNT: usize = METRICS.len();

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        METRICS.iter().map(|row| row.metric)
    }

    /// The metric of a name.
    pub fn named(name: &str) -> Option<Self> {
        METRICS.iter().find(|row| row.name == name).map(|row| row.metric)
    }

    /// Tag in interval logs, and beginning of its columns in measurement files.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether failed requests have it too; of others, they count as infinitely slow.
    pub fn of_failed(self) -> bool {
        self.row().of_failed
    }

    /// Whether only streamed answers have it.
    pub fn streamed(self) -> bool {
        self.row().streamed
    }

    /// Hands each of its durations in a request to `add`, nanoseconds.
    pub fn durations(self, sample: &Sample, pieces: &Pieces, add: &mut dyn FnMut(u64)) {
        (self.row().durations)(sample, pieces, add);
    }

    fn row(self) -> &'static Row {
        &METRICS[self as usize]
    }
}

/// Something of each metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PerMetric<T>([T; Metric::COUNT]);

impl<T> PerMetric<T> {
    /// What `of` makes of each metric.
    pub fn new(mut of: impl FnMut(Metric) -> T) -> Self {
        Self(std::array::from_fn(|place| of(METRICS[place].metric)))
    }

    /// All, in the order of [`Metric::all`].
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Metric, &mut T)> {
        Metric::all().zip(&mut self.0)
    }
}

impl<T> Index<Metric> for PerMetric<T> {
    type Output = T;

    fn index(&self, metric: Metric) -> &T {
        &self.0[metric as usize]
    }
}

impl<T> IndexMut<Metric> for PerMetric<T> {
    fn index_mut(&mut self, metric: Metric) -> &mut T {
        &mut self.0[metric as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_and_names_are_apart() {
        for (place, metric) in Metric::all().enumerate() {
            assert_eq!((metric as usize, Metric::named(metric.name())), (place, Some(metric)));
        }
        assert_eq!(Metric::named("x"), None);
    }

    #[test]
    fn durations_of_a_streamed_answer() {
        let sample = Sample { due: 5, began: 6, sent: 7, ended: 99 };
        let of = |metric: Metric, pieces: &Pieces| {
            let mut all = Vec::new();
            metric.durations(&sample, pieces, &mut |n| all.push(n));
            all
        };
        let pieces = Pieces { instants: vec![20, 30, 60], output: Some(5), ..Pieces::default() };
        assert_eq!(of(Metric::FirstToken, &pieces), [15]);
        assert_eq!(of(Metric::InterToken, &pieces), [10, 30]);
        // Five tokens in three pieces: four of them after the first.
        assert_eq!(of(Metric::PerToken, &pieces), [10]);
        for output in [None, Some(0), Some(1)] {
            let pieces = Pieces { output, ..pieces.clone() };
            assert_eq!(of(Metric::PerToken, &pieces), [0; 0], "{output:?}");
        }
        let none = Pieces { output: Some(7), ..Pieces::default() };
        let streamed = Metric::all().filter(|m| m.streamed());
        assert!(streamed.flat_map(|m| of(m, &none)).next().is_none());
    }
}
