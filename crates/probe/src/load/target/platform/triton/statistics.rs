//! Triton's own statistics of a model: `/v2/models/M/stats`, and the same over gRPC.

use crate::grpc::Call;
use crate::target::statistics::{Span, Stats};
use bytes::Bytes;
use prost::Message;
use serde::Deserialize;
use std::collections::BTreeMap;

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
pub(super) fn parse(bytes: &[u8]) -> Result<Stats, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    Ok(sum(answer.model_stats.into_iter()))
}

/// All versions together.
fn sum(models: impl Iterator<Item = Model>) -> Stats {
    let mut all = Stats::default();
    for model in models.take(64) {
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
    all
}

/// `inference.ModelStatisticsRequest`, and `ModelConfigRequest`, which is alike; without a version,
/// all are meant.
#[derive(Clone, PartialEq, Message)]
struct Ask {
    #[prost(string, tag = "1")]
    name: String,
}

/// `inference.ModelStatisticsResponse`.
#[derive(Clone, PartialEq, Message)]
struct StatisticsMessage {
    #[prost(message, repeated, tag = "1")]
    model_stats: Vec<ModelMessage>,
}

/// `inference.ModelStatistics`.
#[derive(Clone, PartialEq, Message)]
struct ModelMessage {
    #[prost(uint64, tag = "4")]
    inference_count: u64,
    #[prost(uint64, tag = "5")]
    execution_count: u64,
    #[prost(message, optional, tag = "6")]
    inference_stats: Option<InferMessage>,
    #[prost(message, repeated, tag = "7")]
    batch_stats: Vec<BatchMessage>,
}

/// `inference.InferStatistics`.
#[derive(Clone, PartialEq, Message)]
struct InferMessage {
    #[prost(message, optional, tag = "1")]
    success: Option<SpanMessage>,
    #[prost(message, optional, tag = "3")]
    queue: Option<SpanMessage>,
    #[prost(message, optional, tag = "4")]
    compute_input: Option<SpanMessage>,
    #[prost(message, optional, tag = "5")]
    compute_infer: Option<SpanMessage>,
    #[prost(message, optional, tag = "6")]
    compute_output: Option<SpanMessage>,
}

/// `inference.InferBatchStatistics`.
#[derive(Clone, PartialEq, Message)]
struct BatchMessage {
    #[prost(uint64, tag = "1")]
    batch_size: u64,
    #[prost(message, optional, tag = "2")]
    compute_input: Option<SpanMessage>,
    #[prost(message, optional, tag = "3")]
    compute_infer: Option<SpanMessage>,
    #[prost(message, optional, tag = "4")]
    compute_output: Option<SpanMessage>,
}

/// `inference.StatisticDuration`.
#[derive(Clone, Copy, PartialEq, Message)]
struct SpanMessage {
    #[prost(uint64, tag = "1")]
    count: u64,
    #[prost(uint64, tag = "2")]
    ns: u64,
}

/// `inference.ModelConfigResponse`.
#[derive(Clone, PartialEq, Message)]
struct ConfigMessage {
    #[prost(message, optional, tag = "1")]
    config: Option<ModelConfig>,
}

/// `inference.ModelConfig`.
#[derive(Clone, PartialEq, Message)]
struct ModelConfig {
    #[prost(message, repeated, tag = "7")]
    instance_group: Vec<InstanceGroup>,
}

/// `inference.ModelInstanceGroup`.
#[derive(Clone, PartialEq, Message)]
struct InstanceGroup {
    #[prost(int32, tag = "2")]
    count: i32,
    #[prost(int32, repeated, tag = "3")]
    gpus: Vec<i32>,
}

/// Asks for the statistics of a model over gRPC.
pub(super) fn statistics(model: &str) -> Call {
    Call::new("/inference.GRPCInferenceService/ModelStatistics", &Ask { name: model.into() })
}

/// Asks for its configuration.
pub(super) fn configuration(model: &str) -> Call {
    Call::new("/inference.GRPCInferenceService/ModelConfig", &Ask { name: model.into() })
}

/// Reads the answer to [`statistics`].
pub(super) fn parse_grpc(message: Bytes) -> Result<Stats, String> {
    let answer = StatisticsMessage::decode(message).map_err(|e| e.to_string())?;
    if answer.model_stats.is_empty() {
        return Err("they name no model".into());
    }
    let span =
        |s: Option<SpanMessage>| s.map_or(Span::default(), |s| Span { count: s.count, ns: s.ns });
    let models = answer.model_stats.into_iter().map(|model| {
        let own = model.inference_stats.unwrap_or_default();
        let spans =
            [own.success, own.queue, own.compute_input, own.compute_infer, own.compute_output];
        let named = STAGES.iter().zip(spans).map(|(name, s)| ((*name).to_owned(), span(s)));
        let batch = |b: BatchMessage| Batch {
            requests: b.batch_size,
            compute_input: span(b.compute_input),
            compute_infer: span(b.compute_infer),
            compute_output: span(b.compute_output),
        };
        Model {
            inference_count: model.inference_count,
            execution_count: model.execution_count,
            inference_stats: named.collect(),
            batch_stats: model.batch_stats.into_iter().map(batch).collect(),
        }
    });
    Ok(sum(models))
}

/// Instances of a model, by its configuration as JSON.
pub(super) fn instances(body: &[u8]) -> Option<u64> {
    let config: serde_json::Value = serde_json::from_slice(body).ok()?;
    let count = |g: &serde_json::Value| {
        let gpus = g["gpus"].as_array().map_or(1, |g| g.len().max(1)) as u64;
        g["count"].as_u64().unwrap_or(1).saturating_mul(gpus)
    };
    let groups = config["instance_group"].as_array()?.iter();
    Some(groups.map(count).fold(0, u64::saturating_add)).filter(|n| *n > 0)
}

/// The same by the answer to [`configuration`].
pub(super) fn instances_grpc(message: Bytes) -> Option<u64> {
    let groups = ConfigMessage::decode(message).ok()?.config?.instance_group;
    let count = |g: &InstanceGroup| {
        u64::try_from(g.count.max(1)).unwrap_or(1).saturating_mul(g.gpus.len().max(1) as u64)
    };
    Some(groups.iter().map(count).fold(0, u64::saturating_add)).filter(|n| *n > 0)
}

/// Any bytes as answers of Triton; for [`crate::fuzz`].
#[cfg(any(test, fuzzing))]
pub(in crate::load) fn fuzz(data: &[u8]) {
    let message = Bytes::copy_from_slice(data);
    let read = [parse(data), parse_grpc(message.clone())];
    for stats in read.into_iter().flatten() {
        assert!(stats.since(&Stats::default()).is_some());
        assert_eq!(stats.since(&stats).map(|s| s.inferences), Some(0));
    }
    let _ = (instances(data), instances_grpc(message));
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
    fn over_grpc_it_is_the_same() {
        let span = |ns: u64| Some(SpanMessage { count: 30, ns: 30 * ns });
        let own = InferMessage {
            success: span(100),
            queue: span(10),
            compute_input: span(5),
            compute_infer: span(80),
            compute_output: span(5),
        };
        let batch = BatchMessage {
            batch_size: 4,
            compute_input: span(5),
            compute_infer: span(80),
            compute_output: span(5),
        };
        let model = ModelMessage {
            inference_count: 120,
            execution_count: 30,
            inference_stats: Some(own),
            batch_stats: vec![batch],
        };
        let message = StatisticsMessage { model_stats: vec![model] }.encode_to_vec();
        assert_eq!(parse_grpc(message.into()).unwrap(), stats(30));
        assert!(parse_grpc(Bytes::from_static(b"\xff\xff")).is_err());
        assert!(parse_grpc(Bytes::new()).is_err());
        let group = |count, gpus: &[i32]| InstanceGroup { count, gpus: gpus.to_vec() };
        let config = ModelConfig { instance_group: vec![group(2, &[0, 1]), group(1, &[])] };
        let message = ConfigMessage { config: Some(config) }.encode_to_vec();
        assert_eq!((instances_grpc(message.into()), instances_grpc(Bytes::new())), (Some(5), None));
        let json = br#"{"instance_group":[{"count":2,"gpus":[0,1]},{"count":1}]}"#;
        assert_eq!((instances(json), instances(b"{}"), instances(b"x")), (Some(5), None, None));
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
