//! vLLM: a language model, whose requests it times in histograms.

use super::{HistogramStage, Page, Platform, Row, UNKNOWN};

pub(super) static ROW: Row = Row {
    platform: Platform::Vllm,
    says: Some("vllm"),
    page: Some(Page {
        port: |url| url.port,
        path: "/metrics",
        hint: "give --metrics URL, if vLLM shows its metrics elsewhere",
    }),
    statistics: None,
    batching: UNKNOWN,
    histograms: &[
        stage("vllm:e2e_request_latency_seconds", "total"),
        stage("vllm:request_queue_time_seconds", "queue"),
        stage("vllm:request_prefill_time_seconds", "prefill"),
        stage("vllm:request_decode_time_seconds", "generation"),
    ],
    counters: &[],
};

const fn stage(metric: &'static str, stage: &'static str) -> HistogramStage {
    HistogramStage { metric, model_label: Some("model_name"), inference: None, stage, unit: 1.0 }
}
