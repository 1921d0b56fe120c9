//! TensorFlow Serving.

use super::{Control, HistogramStage, OwnBatching, Page, Platform, Row, http_port};

pub(super) static ROW: Row = Row {
    platform: Platform::TensorFlowServing,
    says: Some("tensorflow serving"),
    page: Some(Page {
        port: |url| http_port(url, 8501),
        path: "/monitoring/prometheus/metrics",
        hint: "start TensorFlow Serving with --monitoring_config_file and \
               prometheus_config { enable: true }, or give --metrics URL",
    }),
    statistics: None,
    batching: OwnBatching {
        control: Control::Fixed {
            message: "TensorFlow Serving reads its batching parameters only when it starts",
            hint: "start it with --enable_batching --batching_parameters_file=FILE, and run the \
                   study once for each file",
        },
        note: Some(
            "TensorFlow Serving's own batching is as it was found: it reads its parameters only \
             when it starts (--enable_batching --batching_parameters_file), so run the study once \
             for each",
        ),
    },
    histograms: &[
        stage(":tensorflow:serving:request_latency", Some("model_name"), "total"),
        stage(":tensorflow:serving:runtime_latency", Some("model_name"), "compute"),
        stage(":tensorflow:serving:batching_session:queuing_latency", None, "queue"),
    ],
    counters: &[],
};

const fn stage(
    metric: &'static str,
    model_label: Option<&'static str>,
    stage: &'static str,
) -> HistogramStage {
    HistogramStage { metric, model_label, inference: None, stage, unit: 1e-6 }
}
