//! NVIDIA Triton Inference Server: its metrics, its statistics of a model, and its batching.

mod batching;
mod statistics;

pub use batching::{Batching, Setting};

use super::{Control, CounterStage, OwnBatching, Page, Platform, Row};
use crate::connector::{Connector, Encoded, Transport};
use crate::target::Remote;
use crate::target::kserve::model_path;
use crate::target::question::{Kind, PATIENCE, Question};
use bytes::Bytes;
#[cfg(any(test, fuzzing))]
pub(in crate::load) use statistics::fuzz as fuzz_triton;

pub(super) static ROW: Row = Row {
    platform: Platform::Triton,
    says: Some("triton"),
    page: Some(Page {
        port: |_| 8002,
        path: "/metrics",
        hint: "give --metrics URL, if Triton has another port",
    }),
    statistics: Some(question),
    batching: OwnBatching {
        control: Control::Reload,
        note: Some(
            "Triton's own batching is as it was found; --server-batching varies it (kserve+http, \
             --model-control-mode=explicit)",
        ),
    },
    histograms: &[],
    counters: &[
        stage("nv_inference_request_duration_us", "total", false),
        stage("nv_inference_queue_duration_us", "queue", false),
        stage("nv_inference_compute_input_duration_us", "compute_input", true),
        stage("nv_inference_compute_infer_duration_us", "compute_infer", true),
        stage("nv_inference_compute_output_duration_us", "compute_output", true),
    ],
};

/// A stage of requests, or of executions that several share.
const fn stage(metric: &'static str, stage: &'static str, shared: bool) -> CounterStage {
    CounterStage {
        metric,
        requests: "nv_inference_request_success",
        executions: if shared { Some("nv_inference_exec_count") } else { None },
        model_label: "model",
        stage,
        unit: 1e-6,
    }
}

/// The statistics of the model, over the transport of the target.
fn question(remote: &Remote) -> Option<Question> {
    let model = remote.model()?;
    let own = |kind, url, call| Question {
        kind: Kind::Statistics(kind),
        url,
        call,
        headers: remote.headers.clone(),
        trust: remote.trust.clone(),
        hint: "--metrics http://HOST:8002/metrics reports the same stages",
        model: Some(model.clone()),
        address: remote.first_address(),
        instances: instances(
            &remote.connector,
            remote.url.protocol.transport(),
            &model,
            &remote.headers,
        ),
    };
    Some(match remote.url.protocol.transport() {
        Transport::Http => {
            let path = format!("{}/stats", model_path(&model, None));
            let read = |body: Bytes| statistics::parse(&body);
            own(read, remote.url.page(remote.url.port, &path), None)
        }
        Transport::Grpc => {
            let call = statistics::statistics(&model);
            own(statistics::parse_grpc, remote.url.clone(), Some(call))
        }
    })
}

/// Instances of the model, by its configuration.
fn instances(
    connector: &Connector,
    transport: Transport,
    model: &str,
    headers: &[(String, String)],
) -> Option<u64> {
    match transport {
        Transport::Http => {
            let request = connector.get(&configuration(model), headers);
            statistics::instances(&connector.ask(&request, PATIENCE).ok()?.body)
        }
        Transport::Grpc => {
            let request = Encoded::Grpc(statistics::configuration(model));
            statistics::instances_grpc(connector.ask(&request, PATIENCE).ok()?.body)
        }
    }
}

/// Where the configuration of a model is.
fn configuration(model: &str) -> String {
    format!("{}/config", model_path(model, None))
}
