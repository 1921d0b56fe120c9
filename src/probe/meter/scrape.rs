//! What the server tells of itself beside the load: Prometheus metrics and Triton's statistics.

use super::prometheus::{self, Change, Exposition, Labels};
use super::triton::{self, Stats};
use crate::probe::grpc::{self, Call};
use crate::probe::http::{self, Request};
use crate::probe::measurement::{ScrapePart, SeriesPart, StagePart};
use crate::probe::record::Fault;
use crate::probe::stream::{Address, Failure, Trust};
use crate::probe::target::{Client, Encoded, Url};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A page of metrics.
    Metrics,
    /// Triton's statistics of a model.
    Triton,
    /// The same over gRPC.
    TritonGrpc,
}

/// A page that is asked for before, during and after the load.
#[derive(Clone, Debug)]
pub struct Question {
    /// What it holds.
    pub kind: Kind,
    /// Where it is: HTTP, or gRPC.
    pub url: Url,
    /// Of every request.
    pub headers: Vec<(String, String)>,
    /// Certificates.
    pub trust: Trust,
    /// What to do if it does not answer.
    pub hint: String,
    /// The model, as labels name it.
    pub model: Option<String>,
    /// Model instances, where the server tells.
    pub instances: Option<u64>,
}

/// Bytes of a page, at most; and how long it may take.
const LARGEST: usize = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(2);
/// Series that a measurement keeps.
const KEPT: usize = 200;

/// A connection to ask over.
pub struct Asker {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
    client: Client,
    request: Encoded,
}

impl Asker {
    /// Looks the server up.
    pub fn new(url: &Url, headers: &[(String, String)], trust: &Trust) -> Result<Self, Failure> {
        let secure = url.secure.then_some((trust, b"http/1.1".as_slice()));
        let address = Address::resolve(&url.host, url.port, secure)?;
        let path = if url.path.is_empty() { "/" } else { &url.path };
        let request = Request::new("GET", path, &address.authority, headers, b"");
        let client = Client::Http(http::Pool::new(address, LARGEST));
        Self::with(client, Encoded::Http(request))
    }

    /// Looks a gRPC server up.
    pub fn grpc(url: &Url, call: Call, trust: &Trust) -> Result<Self, Failure> {
        let secure = url.secure.then_some((trust, b"h2".as_slice()));
        let address = Address::resolve(&url.host, url.port, secure)?;
        let pool = grpc::Pool::new(address, url.secure, ::http::HeaderMap::new(), LARGEST);
        Self::with(Client::Grpc(pool), Encoded::Grpc(call))
    }

    fn with(client: Client, request: Encoded) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| (Fault::Connect, e.to_string()))?;
        Ok(Self { runtime, local: tokio::task::LocalSet::new(), client, request })
    }

    /// The page, or the message.
    pub fn ask(&self) -> Result<bytes::Bytes, Failure> {
        self.local.block_on(&self.runtime, async {
            let call = self.client.call(&self.request, || {});
            match tokio::time::timeout(PATIENCE, call).await {
                Ok(outcome) => outcome.map(|(answer, _)| answer.body),
                Err(_) => Err((Fault::Timeout, format!("no answer in {PATIENCE:?}"))),
            }
        })
    }
}

/// One question with its answers so far.
pub(super) struct Asked {
    question: Question,
    asker: Option<Asker>,
    answers: Answers,
}

/// What was answered, by seconds since the session began.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    question: Question,
    metrics: Vec<(f64, Exposition)>,
    stats: Vec<(f64, Stats)>,
    failure: Option<String>,
}

impl Asked {
    pub(super) fn new(question: Question) -> Self {
        let Question { url, headers, trust, model, .. } = &question;
        let asker = if question.kind == Kind::TritonGrpc {
            let call = triton::statistics(model.as_deref().unwrap_or_default());
            Asker::grpc(url, call, trust)
        } else {
            Asker::new(url, headers, trust)
        };
        let failure = asker.as_ref().err().map(|f| f.1.clone());
        let answers =
            Answers { question: question.clone(), metrics: Vec::new(), stats: Vec::new(), failure };
        Self { question, asker: asker.ok(), answers }
    }

    /// Asks once, and says whether answers were thinned out; one that never answered is not asked
    /// again.
    pub(super) fn ask(&mut self, now: f64) -> bool {
        let Some(asker) = &self.asker else { return false };
        let none = self.answers.metrics.is_empty() && self.answers.stats.is_empty();
        match asker.ask() {
            Ok(body) if self.question.kind == Kind::Metrics => {
                let page = prometheus::parse(&String::from_utf8_lossy(&body));
                if page.series.is_empty() {
                    self.answers.failure = Some("the page holds no metrics".into());
                } else {
                    self.answers.metrics.push((now, page));
                }
            }
            Ok(body) => match self.statistics(body) {
                Ok(stats) => self.answers.stats.push((now, stats)),
                Err(why) => self.answers.failure = Some(format!("not Triton's statistics: {why}")),
            },
            Err((fault, text)) => self.answers.failure = Some(format!("{fault}: {text}")),
        }
        if none && self.answers.failure.is_some() {
            self.asker = None;
        }
        thin(&mut self.answers.metrics) | thin(&mut self.answers.stats)
    }

    fn statistics(&self, body: bytes::Bytes) -> Result<Stats, String> {
        match self.question.kind {
            Kind::TritonGrpc => triton::parse_grpc(body),
            _ => triton::parse(&body),
        }
    }

    pub(super) fn finish(self) -> Answers {
        self.answers
    }
}

/// Answers that are kept: every other one is dropped beyond that.
const ANSWERS: usize = 32;

fn thin<T>(answers: &mut Vec<(f64, T)>) -> bool {
    let many = answers.len() > ANSWERS;
    if many {
        let mut odd = false;
        answers.retain(|_| {
            odd = !odd;
            odd
        });
    }
    many
}

/// What the answers say of a part of the run.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Pages, with what changed.
    pub scrapes: Vec<ScrapePart>,
    /// Stages of the server.
    pub stages: Vec<StagePart>,
    /// Questions without an answer: where, and what to do.
    pub silent: Vec<(String, String)>,
}

/// The first answer in a window and the last one; those around it where there are fewer than two.
fn edges<'a, T>(answers: &'a [(f64, T)], window: &Range<f64>) -> Option<[&'a (f64, T); 2]> {
    let first = answers.iter().find(|a| a.0 >= window.start);
    let last = answers.iter().rev().find(|a| a.0 <= window.end);
    match (first, last) {
        (Some(first), Some(last)) if last.0 - first.0 > 0.5 * (window.end - window.start) => {
            Some([first, last])
        }
        _ => {
            let before = answers.iter().rev().find(|a| a.0 <= window.start).or(answers.first())?;
            let after = answers.iter().find(|a| a.0 >= window.end).or(answers.last())?;
            (after.0 > before.0).then_some([before, after])
        }
    }
}

/// Joins answers to a part of the run.
pub(super) fn join(all: &[Answers], window: &Range<f64>) -> Told {
    let mut told = Told::default();
    for answers in all {
        let question = &answers.question;
        let place = question.url.text.clone();
        if let Some([(from, before), (to, after)]) = edges(&answers.metrics, window) {
            let changes = prometheus::changes(before, after);
            let seconds = to - from;
            told.stages.extend(stages(&changes, question, seconds));
            told.scrapes.push(page(&place, *from - window.start, seconds, after.skipped, &changes));
        } else if let Some([(from, before), (to, after)]) = edges(&answers.stats, window) {
            match after.since(before) {
                Some(delta) => {
                    told.stages.extend(triton_stages(&delta, to - from, question.instances));
                    told.scrapes.push(triton_page(&place, *from - window.start, to - from, &delta));
                }
                None => told.silent.push((place, "the server was started anew".into())),
            }
        } else {
            let why = answers.failure.clone().unwrap_or_else(|| "answered only once".into());
            told.silent.push((place, format!("{why}; {}", question.hint)));
        }
    }
    // Triton's statistics and its metrics tell the same stages; the first are exact.
    let exact = told.stages.iter().any(|s| s.source == TRITON);
    told.stages.retain(|s| !exact || s.source != METRICS);
    told
}

const TRITON: &str = "Triton statistics";
const METRICS: &str = "server metrics";

fn page(
    url: &str,
    from: f64,
    seconds: f64,
    skipped: u64,
    changes: &BTreeMap<(String, Labels), Change>,
) -> ScrapePart {
    let mut series: Vec<SeriesPart> = Vec::new();
    let mut left_out = 0;
    for ((name, labels), change) in changes {
        let mut part = SeriesPart {
            name: name.clone(),
            labels: labels.iter().cloned().collect(),
            ..SeriesPart::default()
        };
        match change {
            Change::Counter(increase) if *increase > 0.0 && increase.is_finite() => {
                (part.kind, part.value) = ("counter".into(), *increase);
            }
            Change::Gauge(value) if value.is_finite() => {
                (part.kind, part.value) = ("gauge".into(), *value);
            }
            Change::Histogram(spread) if spread.count > 0.0 && spread.mean().is_finite() => {
                (part.kind, part.value) = ("histogram".into(), spread.count);
                part.mean = Some(spread.mean());
                part.p50 = spread.quantile(0.5);
                part.p99 = spread.quantile(0.99);
            }
            _ => continue,
        }
        // What moved comes before what merely is.
        if series.len() >= KEPT && part.kind == "gauge" {
            left_out += 1;
        } else {
            series.push(part);
        }
    }
    series.sort_by_key(|s| s.kind == "gauge");
    left_out += series.len().saturating_sub(KEPT) as u64;
    series.truncate(KEPT);
    ScrapePart { url: url.into(), from_seconds: from, seconds, series, left_out, skipped }
}

fn triton_page(url: &str, from: f64, seconds: f64, delta: &Stats) -> ScrapePart {
    let counter = |name: &str, label: Option<u64>, value: u64| SeriesPart {
        name: name.into(),
        kind: "counter".into(),
        labels: label.map(|size| ("batch_size".into(), size.to_string())).into_iter().collect(),
        value: value as f64,
        ..SeriesPart::default()
    };
    let mut series = vec![
        counter("inference_count", None, delta.inferences),
        counter("execution_count", None, delta.executions),
    ];
    series.extend(delta.sizes.iter().map(|(size, n)| counter("executions", Some(*size), *n)));
    let left_out = series.len().saturating_sub(KEPT) as u64;
    series.truncate(KEPT);
    ScrapePart { url: url.into(), from_seconds: from, seconds, series, left_out, skipped: 0 }
}

/// Mean of what a request sees, and share of the time in which an instance was at it.
fn triton_stages(delta: &Stats, seconds: f64, instances: Option<u64>) -> Vec<StagePart> {
    let names = [
        ("success", "total"),
        ("queue", "queue"),
        ("compute_input", "compute_input"),
        ("compute_infer", "compute_infer"),
        ("compute_output", "compute_output"),
    ];
    let stage = |(key, name): (&str, &str)| {
        let span = delta.requests.get(key)?;
        // Of a queue and of the whole: the mean number in it.
        let busy = delta.batches.get(key).unwrap_or(span);
        Some(StagePart {
            name: name.into(),
            source: TRITON.into(),
            count: span.count,
            mean_seconds: span.mean()?,
            busy_share: busy.ns as f64 * 1e-9 / seconds,
            servers: instances.filter(|_| key.starts_with("compute")),
        })
    };
    names.into_iter().filter_map(stage).collect()
}

/// A stage that a server times in a histogram or a summary.
struct HistogramStage {
    metric: &'static str,
    /// The label that names the model; empty where there is none.
    model_label: &'static str,
    stage: &'static str,
    /// Seconds in a unit of the metric.
    unit: f64,
}

/// A stage that a server times in a counter, beside counters of what was timed.
struct CounterStage {
    metric: &'static str,
    /// The counter of requests.
    requests: &'static str,
    /// The counter of executions, where several requests share one and each counts its whole time.
    executions: Option<&'static str>,
    /// The label that names the model.
    model_label: &'static str,
    stage: &'static str,
    /// Seconds in a unit of the metric.
    unit: f64,
}

const HISTOGRAMS: [HistogramStage; 6] = [
    HistogramStage {
        metric: ":tensorflow:serving:request_latency",
        model_label: "model_name",
        stage: "total",
        unit: 1e-6,
    },
    HistogramStage {
        metric: ":tensorflow:serving:runtime_latency",
        model_label: "model_name",
        stage: "compute",
        unit: 1e-6,
    },
    HistogramStage {
        metric: ":tensorflow:serving:batching_session:queuing_latency",
        model_label: "",
        stage: "queue",
        unit: 1e-6,
    },
    HistogramStage {
        metric: "rest_server_request_duration_seconds",
        model_label: "",
        stage: "total",
        unit: 1.0,
    },
    HistogramStage {
        metric: "grpc_server_handling_seconds",
        model_label: "",
        stage: "total",
        unit: 1.0,
    },
    // MLServer's duration of an inference includes the wait for its batching and its workers.
    HistogramStage {
        metric: "model_infer_request_duration",
        model_label: "model",
        stage: "infer",
        unit: 1.0,
    },
];

/// A stage as Triton counts it: requests that waited, or executions that they shared.
const fn triton(metric: &'static str, stage: &'static str, shared: bool) -> CounterStage {
    CounterStage {
        metric,
        requests: "nv_inference_request_success",
        executions: if shared { Some("nv_inference_exec_count") } else { None },
        model_label: "model",
        stage,
        unit: 1e-6,
    }
}

/// A stage as `TorchServe` counts it.
const fn torchserve(metric: &'static str, stage: &'static str) -> CounterStage {
    CounterStage {
        metric,
        requests: "ts_inference_requests_total",
        executions: None,
        model_label: "model_name",
        stage,
        unit: 1e-6,
    }
}

const COUNTERS: [CounterStage; 7] = [
    triton("nv_inference_request_duration_us", "total", false),
    triton("nv_inference_queue_duration_us", "queue", false),
    triton("nv_inference_compute_input_duration_us", "compute_input", true),
    triton("nv_inference_compute_infer_duration_us", "compute_infer", true),
    triton("nv_inference_compute_output_duration_us", "compute_output", true),
    torchserve("ts_queue_latency_microseconds", "queue"),
    torchserve("ts_inference_latency_microseconds", "compute"),
];

fn stages(
    changes: &BTreeMap<(String, Labels), Change>,
    question: &Question,
    seconds: f64,
) -> Vec<StagePart> {
    let of = |labels: &Labels, label: &str| {
        let named = labels.iter().find(|l| l.0 == label).map(|l| l.1.as_str());
        match (&question.model, named) {
            (Some(model), Some(named)) => named == model,
            _ => true,
        }
    };
    // Servers time questions for metadata and readiness too.
    let inference = |labels: &Labels| {
        labels.iter().all(|(name, value)| match name.as_str() {
            "path" => value.ends_with("/infer"),
            "grpc_method" => value == "ModelInfer",
            _ => true,
        })
    };
    let mut found = Vec::new();
    let mut add = |name: &str, count: f64, total: f64, busy: f64| {
        if count >= 1.0 && total.is_finite() && total >= 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            found.push(StagePart {
                name: name.into(),
                source: METRICS.into(),
                count: count as u64,
                mean_seconds: total / count,
                busy_share: busy / seconds,
                servers: None,
            });
        }
    };
    for known in &HISTOGRAMS {
        let (mut count, mut sum) = (0.0, 0.0);
        for ((name, labels), change) in changes {
            let ours = name == known.metric && of(labels, known.model_label) && inference(labels);
            if let (true, Change::Histogram(spread)) = (ours, change) {
                count += spread.count;
                sum += spread.sum;
            }
        }
        add(known.stage, count, sum * known.unit, sum * known.unit);
    }
    for known in &COUNTERS {
        let sum = |wanted: &str| -> f64 {
            let own = changes.iter().filter(|((n, l), _)| n == wanted && of(l, known.model_label));
            own.map(|(_, c)| if let Change::Counter(v) = c { *v } else { 0.0 }).sum()
        };
        let (total, count) = (sum(known.metric) * known.unit, sum(known.requests));
        // Each request of a batch counts the whole of it.
        let share = known.executions.map_or(1.0, |executions| sum(executions) / count.max(1.0));
        if changes.keys().any(|(name, _)| name == known.metric) {
            add(known.stage, count, total, total * share.min(1.0));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            kind: Kind::Metrics,
            url: Url::parse("http://127.0.0.1:1/metrics").unwrap(),
            headers: Vec::new(),
            trust: Trust::default(),
            hint: "start it".into(),
            model: Some("m".into()),
            instances: None,
        }
    }

    /// What two pages, two seconds apart, say of the second in the middle.
    fn between(first: &str, last: &str) -> Told {
        let answers = Answers {
            question: question(),
            metrics: vec![(0.0, prometheus::parse(first)), (2.0, prometheus::parse(last))],
            stats: Vec::new(),
            failure: None,
        };
        join(&[answers], &(0.5..1.5))
    }

    /// 100 requests of m in 25 executions: each waited 2 ms and saw its batch's 8 ms.
    #[test]
    fn stages_of_triton_metrics_are_of_the_model_and_of_executions() {
        let text = |k: u32| {
            let row = |name: &str, m: u32| {
                format!(
                    "# TYPE {name} counter\n{name}{{model=\"m\",version=\"1\"}} {}\n{name}{{model=\"other\"}} {}\n",
                    m * k,
                    9 * k
                )
            };
            [
                row("nv_inference_request_success", 100),
                row("nv_inference_exec_count", 25),
                row("nv_inference_queue_duration_us", 200_000),
                row("nv_inference_compute_infer_duration_us", 800_000),
            ]
            .concat()
        };
        let told = between(&text(1), &text(2));
        let find = |name: &str| told.stages.iter().find(|s| s.name == name).unwrap();
        assert!((find("queue").mean_seconds - 2e-3).abs() < 1e-12);
        let infer = find("compute_infer");
        assert!((infer.mean_seconds - 8e-3).abs() < 1e-12 && infer.count == 100);
        // 25 executions of 8 ms in two seconds.
        assert!((infer.busy_share - 0.1).abs() < 1e-12);
        assert_eq!(told.scrapes[0].series.len(), 8);
    }

    /// As `MLServer` writes it: 50 inferences of 8 ms, in requests of 10 ms, beside those for readiness.
    #[test]
    fn stages_of_mlserver_are_of_inferences_and_of_the_model() {
        let text = |k: u32| {
            let rest = |path: &str, seconds: f64| {
                format!(
                    "rest_server_request_duration_seconds_count{{method=\"POST\",path=\"{path}\"}} {}\n\
                     rest_server_request_duration_seconds_sum{{method=\"POST\",path=\"{path}\"}} {}\n",
                    50 * k,
                    50.0 * f64::from(k) * seconds
                )
            };
            let model = |name: &str, seconds: f64| {
                format!(
                    "model_infer_request_duration_count{{model=\"{name}\",version=\"None\"}} {}\n\
                     model_infer_request_duration_sum{{model=\"{name}\",version=\"None\"}} {}\n",
                    50 * k,
                    50.0 * f64::from(k) * seconds
                )
            };
            [
                "# TYPE rest_server_request_duration_seconds histogram\n".into(),
                rest("/v2/models/{model_name}/infer", 0.010),
                rest("/v2/models/{model_name}/ready", 0.001),
                "# TYPE model_infer_request_duration summary\n".into(),
                model("m", 0.008),
                model("other", 1.0),
            ]
            .concat()
        };
        let told = between(&text(1), &text(2));
        let found: Vec<(&str, u64)> =
            told.stages.iter().map(|s| (s.name.as_str(), s.count)).collect();
        assert_eq!(found, [("total", 50), ("infer", 50)]);
        assert!((told.stages[0].mean_seconds - 0.010).abs() < 1e-9);
        assert!((told.stages[1].mean_seconds - 0.008).abs() < 1e-9);
        assert!((told.stages[1].busy_share - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_latest_answers_within_the_window_count() {
        let answers: Vec<(f64, u8)> = (0..10).map(|i| (f64::from(i), i)).collect();
        let pair = |window: Range<f64>| edges(&answers, &window).map(|[a, b]| (a.1, b.1));
        assert_eq!(pair(2.5..8.5), Some((3, 8)));
        assert_eq!(pair(2.5..3.4), Some((2, 4)));
        assert_eq!(pair(20.0..30.0), None);
    }

    #[test]
    fn a_server_that_does_not_answer_is_named_with_a_way_out() {
        let mut asked = Asked::new(question());
        asked.ask(0.0);
        let told = join(&[asked.finish()], &(0.0..1.0));
        assert!(told.silent[0].1.ends_with("; start it"), "{told:?}");
        assert!(told.stages.is_empty() && told.scrapes.is_empty());
    }
}
