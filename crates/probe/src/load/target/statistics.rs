//! What a server counts of a model since it started: inferences, executions and the time of stages.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A number of times, and nanoseconds in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Span {
    /// How often.
    pub count: u64,
    /// Nanoseconds in all.
    pub ns: u64,
}

/// Statistics since the server started, all versions of the model together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Inferences; a batch counts for each of its items.
    pub inferences: u64,
    /// Times the model was run.
    pub executions: u64,
    /// What each request spent, by stage: what the batch took counts for each of its requests.
    pub requests: BTreeMap<&'static str, Span>,
    /// What each execution took, by stage.
    pub batches: BTreeMap<&'static str, Span>,
    /// Executions by batch size.
    pub sizes: BTreeMap<u64, u64>,
}

impl Span {
    pub(super) fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.ns = self.ns.saturating_add(other.ns);
    }

    fn since(self, before: Self) -> Option<Self> {
        Some(Self {
            count: self.count.checked_sub(before.count)?,
            ns: self.ns.checked_sub(before.ns)?,
        })
    }

    /// Seconds each, in the mean.
    pub fn mean(self) -> Option<f64> {
        (self.count > 0).then(|| self.ns as f64 * 1e-9 / self.count as f64)
    }
}

impl Stats {
    /// What came on top of `before`; `None` when the server was started anew in between.
    pub fn since(&self, before: &Self) -> Option<Self> {
        let spans = |own: &BTreeMap<&'static str, Span>, was: &BTreeMap<&'static str, Span>| {
            own.iter()
                .map(|(name, span)| {
                    Some((*name, span.since(was.get(name).copied().unwrap_or_default())?))
                })
                .collect::<Option<BTreeMap<_, _>>>()
        };
        let mut sizes = BTreeMap::new();
        for (size, count) in &self.sizes {
            let more = count.checked_sub(before.sizes.get(size).copied().unwrap_or(0))?;
            if more > 0 {
                sizes.insert(*size, more);
            }
        }
        Some(Self {
            inferences: self.inferences.checked_sub(before.inferences)?,
            executions: self.executions.checked_sub(before.executions)?,
            requests: spans(&self.requests, &before.requests)?,
            batches: spans(&self.batches, &before.batches)?,
            sizes,
        })
    }
}
