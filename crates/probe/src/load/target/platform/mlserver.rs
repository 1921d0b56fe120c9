//! Seldon's `MLServer`.

use super::{Control, HistogramStage, OwnBatching, Page, Platform, Row};

pub(super) static ROW: Row = Row {
    platform: Platform::MlServer,
    says: Some("mlserver"),
    page: Some(Page {
        port: |_| 8082,
        path: "/metrics",
        hint: "give --metrics URL, if MLServer has another port",
    }),
    statistics: None,
    batching: OwnBatching {
        control: Control::Fixed {
            message: "MLServer reads max_batch_size and max_batch_time only from model-settings.json",
            hint: "change the file and restart the server, and run the study once for each",
        },
        note: None,
    },
    histograms: &[
        // Questions for metadata and readiness are timed too.
        HistogramStage {
            inference: Some(("path", "/infer")),
            ..stage("rest_server_request_duration_seconds", None, "total")
        },
        HistogramStage {
            inference: Some(("grpc_method", "ModelInfer")),
            ..stage("grpc_server_handling_seconds", None, "total")
        },
        // The wait for its batching and its workers is in it.
        stage("model_infer_request_duration", Some("model"), "infer"),
    ],
    counters: &[],
};

const fn stage(
    metric: &'static str,
    model_label: Option<&'static str>,
    stage: &'static str,
) -> HistogramStage {
    HistogramStage { metric, model_label, inference: None, stage, unit: 1.0 }
}
