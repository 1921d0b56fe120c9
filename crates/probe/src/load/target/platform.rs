//! The serving platforms: what is known of each beyond its protocol, one row and one file each.

mod llama_cpp;
mod mlserver;
mod tensorflow;
mod torchserve;
mod triton;
mod vllm;

use super::question::{Kind, Question};
use super::statistics::Stats;
use super::{Prepared, Remote, Url};
use crate::connector::Transport;
#[cfg(any(test, fuzzing))]
pub(in crate::load) use triton::fuzz_triton;
pub use triton::{Batching, Setting};

/// What serves a model, as far as its metadata say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// NVIDIA Triton Inference Server.
    Triton,
    /// Seldon's `MLServer`.
    MlServer,
    /// TensorFlow Serving.
    TensorFlowServing,
    /// `TorchServe`, of `PyTorch`.
    TorchServe,
    /// vLLM.
    Vllm,
    /// The server of llama.cpp.
    LlamaCpp,
    /// Anything else.
    Unknown,
}

/// Every known platform.
const PLATFORMS: [&Row; 6] =
    [&triton::ROW, &mlserver::ROW, &tensorflow::ROW, &torchserve::ROW, &vllm::ROW, &llama_cpp::ROW];

/// What is known of a platform.
struct Row {
    platform: Platform,
    /// Part of what the server says it is, in lower case.
    says: Option<&'static str>,
    /// Its page of metrics, where it has one without being told to.
    page: Option<Page>,
    /// Asks for the statistics that it keeps of a model, beside its metrics.
    statistics: Option<fn(&Remote) -> Option<Question>>,
    batching: OwnBatching,
    histograms: &'static [HistogramStage],
    counters: &'static [CounterStage],
}

/// Where a platform shows metrics.
struct Page {
    port: fn(&Url) -> u16,
    path: &'static str,
    /// What to do if it does not answer.
    hint: &'static str,
}

/// How the batching of the server itself is changed.
struct OwnBatching {
    control: Control,
    /// What to say where a study leaves it as it is.
    note: Option<&'static str>,
}

/// Whether it can be changed while the server runs.
enum Control {
    /// By loading the model again, over HTTP.
    Reload,
    /// Not from here.
    Fixed { message: &'static str, hint: &'static str },
}

/// A stage that a server times in a histogram or a summary.
pub(crate) struct HistogramStage {
    pub(crate) metric: &'static str,
    /// The label that names the model, where there is one.
    pub(crate) model_label: Option<&'static str>,
    /// A label, and how its value ends where an inference was timed and not another question.
    pub(crate) inference: Option<(&'static str, &'static str)>,
    pub(crate) stage: &'static str,
    /// Seconds in a unit of the metric.
    pub(crate) unit: f64,
}

/// A stage that a server times in a counter, beside counters of what was timed.
pub(crate) struct CounterStage {
    pub(crate) metric: &'static str,
    /// The counter of requests.
    pub(crate) requests: &'static str,
    /// The counter of executions, where several requests share one and each counts its whole time.
    pub(crate) executions: Option<&'static str>,
    /// The label that names the model.
    pub(crate) model_label: &'static str,
    pub(crate) stage: &'static str,
    /// Seconds in a unit of the metric.
    pub(crate) unit: f64,
}

/// What servers without a row are like.
const UNKNOWN: OwnBatching = OwnBatching {
    control: Control::Fixed {
        message: "only Triton's own batching can be changed from here",
        hint: "omit --server-batching; --batch varies what the client sends",
    },
    note: None,
};

/// What a study notes of servers that have models and no row.
const FROM_FILES: &str = "the server's own batching is as it was found: its settings are read from \
                          files, so run the study once for each";

/// Stages in the metrics of any platform: names of metrics are unique among them.
pub(crate) fn histogram_stages() -> impl Iterator<Item = &'static HistogramStage> {
    PLATFORMS.iter().flat_map(|row| row.histograms)
}

/// The same of stages in counters.
pub(crate) fn counter_stages() -> impl Iterator<Item = &'static CounterStage> {
    PLATFORMS.iter().flat_map(|row| row.counters)
}

impl Platform {
    /// By what a server says it is.
    pub(super) fn named(server: &str) -> Self {
        let server = server.to_ascii_lowercase();
        let known = |row: &&&Row| row.says.is_some_and(|name| server.contains(name));
        PLATFORMS.iter().find(known).map_or(Self::Unknown, |row| row.platform)
    }

    fn row(self) -> Option<&'static Row> {
        PLATFORMS.iter().find(|row| row.platform == self).copied()
    }

    fn batching(self) -> &'static OwnBatching {
        self.row().map_or(const { &UNKNOWN }, |row| &row.batching)
    }
}

impl Prepared {
    /// What the server is asked of itself: its platform's statistics of the model, and `page` or the
    /// platform's own page of metrics.
    pub fn questions(&self, page: Option<Url>) -> Vec<Question> {
        let Some(remote) = self.remote_parts() else { return Vec::new() };
        let row = self.serving.row();
        let statistics = row.and_then(|row| row.statistics?(remote));
        let own = row.and_then(|row| row.page.as_ref());
        let page = match (page, own) {
            (Some(url), _) => Some((url, "check the URL with curl")),
            (None, Some(own)) => {
                let url = remote.url.page((own.port)(&remote.url), own.path);
                Some((url, own.hint))
            }
            (None, None) => None,
        };
        let page = page.map(|(url, hint)| Question {
            kind: Kind::Metrics,
            // Credentials go to the host that they are for, and to no other.
            headers: if url.host == remote.url.host { remote.headers.clone() } else { Vec::new() },
            address: remote.first_address().filter(|_| url.host == remote.url.host),
            url,
            call: None,
            trust: remote.trust.clone(),
            hint,
            model: remote.model(),
            instances: None,
        });
        statistics.into_iter().chain(page).collect()
    }

    /// What the server has counted of the model since it started, where its platform keeps that.
    pub fn statistics(&self) -> Option<Stats> {
        let question = self.serving.row()?.statistics?(self.remote_parts()?)?;
        let Kind::Statistics(read) = question.kind else { return None };
        read(question.line().ok()?.ask().ok()?).ok()
    }

    /// What is to be said where a study leaves the server's own batching as it is.
    pub fn batching_note(&self) -> Option<&'static str> {
        let models = self.remote_parts()?.url.protocol.names_model();
        self.serving.batching().note.or(models.then_some(FROM_FILES))
    }
}

/// The port of the target where that speaks HTTP, and else another.
fn http_port(url: &Url, other: u16) -> u16 {
    if url.protocol.transport() == Transport::Http { url.port } else { other }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_known_by_the_name_of_its_server() {
        assert_eq!(Platform::named("Triton 2.57.0 onnxruntime_onnx"), Platform::Triton);
        assert_eq!(Platform::named("TensorFlow Serving REST"), Platform::TensorFlowServing);
        assert_eq!(Platform::named("mlserver"), Platform::MlServer);
        assert_eq!(Platform::named("OpenVINO Model Server"), Platform::Unknown);
        assert_eq!(Platform::named("vllm, OpenAI-compatible"), Platform::Vllm);
        assert_eq!(Platform::named("llamacpp, OpenAI-compatible"), Platform::LlamaCpp);
        assert_eq!(Platform::named(""), Platform::Unknown);
    }

    #[test]
    fn each_metric_is_of_one_stage() {
        let mut names: Vec<&str> = histogram_stages().map(|s| s.metric).collect();
        names.extend(counter_stages().map(|s| s.metric));
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
