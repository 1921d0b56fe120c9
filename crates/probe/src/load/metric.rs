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
}

/// What is known of a metric.
struct Row {
    metric: Metric,
    /// Tag in interval logs, and beginning of its columns in measurement files.
    name: &'static str,
    /// Whether failed requests have it too.
    of_failed: bool,
    /// Its durations in a request, nanoseconds: one, none, or one for each part of an answer.
    durations: fn(&Sample, &mut dyn FnMut(u64)),
}

/// Every metric, in the order of [`Metric`].
static METRICS: [Row; 5] = [
    Row {
        metric: Metric::Response,
        name: "response",
        of_failed: false,
        durations: |s, add| add(s.ended.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Service,
        name: "service",
        of_failed: false,
        durations: |s, add| add(s.ended.saturating_sub(s.sent)),
    },
    Row {
        metric: Metric::Lag,
        name: "lag",
        of_failed: false,
        durations: |s, add| add(s.sent.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Lateness,
        name: "lateness",
        of_failed: true,
        durations: |s, add| add(s.began.saturating_sub(s.due)),
    },
    Row {
        metric: Metric::Undelayed,
        name: "undelayed",
        of_failed: false,
        durations: |s, add| add(s.ended.saturating_sub(s.began)),
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

    /// Hands each of its durations in a request to `add`, nanoseconds.
    pub fn durations(self, sample: &Sample, add: &mut dyn FnMut(u64)) {
        (self.row().durations)(sample, add);
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
}
