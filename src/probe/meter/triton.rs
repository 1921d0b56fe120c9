//! Triton's own statistics of a model: `/v2/models/M/stats`.

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

/// Stages of `inference_stats`; the last three are also those of `batch_stats`.
const STAGES: [&str; 5] = ["success", "queue", "compute_input", "compute_infer", "compute_output"];

#[derive(Deserialize)]
struct Answer {
    model_stats: Vec<Model>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Model {
    inference_count: u64,
    execution_count: u64,
    inference_stats: BTreeMap<String, Span>,
    batch_stats: Vec<Batch>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Batch {
    #[serde(rename = "batch_size")]
    requests: u64,
    compute_input: Span,
    compute_infer: Span,
    compute_output: Span,
}

/// Reads an answer.
pub fn parse(bytes: &[u8]) -> Result<Stats, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let mut all = Stats::default();
    for model in answer.model_stats.iter().take(64) {
        all.inferences = all.inferences.saturating_add(model.inference_count);
        all.executions = all.executions.saturating_add(model.execution_count);
        for name in STAGES {
            let span = model.inference_stats.get(name).copied().unwrap_or_default();
            all.requests.entry(name).or_default().add(span);
        }
        for batch in &model.batch_stats {
            let spans = [batch.compute_input, batch.compute_infer, batch.compute_output];
            for (name, span) in STAGES[2..].iter().zip(spans) {
                all.batches.entry(name).or_default().add(span);
            }
            let own = all.sizes.entry(batch.requests).or_default();
            *own = own.saturating_add(batch.compute_infer.count);
        }
    }
    Ok(all)
}

impl Span {
    fn add(&mut self, other: Self) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(n: u64) -> Stats {
        let span = |ns: u64| format!(r#"{{"count":{n},"ns":{}}}"#, ns * n);
        let text = format!(
            r#"{{"model_stats":[{{"name":"m","version":"1","last_inference":7,
              "inference_count":{},"execution_count":{n},
              "inference_stats":{{"success":{},"fail":{{"count":0,"ns":0}},"queue":{},
              "compute_input":{},"compute_infer":{},"compute_output":{}}},
              "batch_stats":[{{"batch_size":4,"compute_input":{},"compute_infer":{},
              "compute_output":{}}}]}}]}}"#,
            4 * n,
            span(100),
            span(10),
            span(5),
            span(80),
            span(5),
            span(5),
            span(80),
            span(5)
        );
        parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_came_on_top() {
        let delta = stats(30).since(&stats(10)).unwrap();
        assert_eq!((delta.inferences, delta.executions), (80, 20));
        assert_eq!(delta.requests["queue"], Span { count: 20, ns: 200 });
        assert_eq!(delta.batches["compute_infer"], Span { count: 20, ns: 1600 });
        assert_eq!(delta.sizes, BTreeMap::from([(4, 20)]));
        assert!((delta.requests["queue"].mean().unwrap() - 10e-9).abs() < 1e-15);
        // A server that started anew has fewer.
        assert!(stats(10).since(&stats(30)).is_none());
    }

    #[test]
    fn hostile_answers() {
        for text in ["", "{}", "[]", r#"{"model_stats":[{"inference_count":-1}]}"#] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(br#"{"model_stats":[{}]}"#).unwrap().inferences, 0);
        assert_eq!(Stats::default().requests.len(), 0);
    }
}
