//! `TorchServe`, of `PyTorch`, which is known by its metrics alone: it speaks plain HTTP.

use super::{CounterStage, Platform, Row, UNKNOWN};

pub(super) static ROW: Row = Row {
    platform: Platform::TorchServe,
    says: None,
    page: None,
    statistics: None,
    batching: UNKNOWN,
    histograms: &[],
    counters: &[
        stage("ts_queue_latency_microseconds", "queue"),
        stage("ts_inference_latency_microseconds", "compute"),
    ],
};

const fn stage(metric: &'static str, stage: &'static str) -> CounterStage {
    CounterStage {
        metric,
        requests: "ts_inference_requests_total",
        executions: None,
        model_label: "model_name",
        stage,
        unit: 1e-6,
    }
}
