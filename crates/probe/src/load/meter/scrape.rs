//! What the server reports of itself beside the load: Prometheus metrics and its statistics of a model.

use super::prometheus::{self, Change, Exposition, Labels};
use crate::schema::{ScrapePart, SeriesKind, SeriesPart, StagePart, StageSource};
use crate::target::platform;
use crate::target::question::{Kind, Line, Question};
use crate::target::statistics::Stats;
use std::collections::BTreeMap;
use std::ops::Range;

/// Series that a measurement keeps.
const KEPT: usize = 200;

/// One question with its answers so far.
pub(super) struct Asked {
    line: Option<Line>,
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
        let line = question.line();
        let failure = line.as_ref().err().map(|f| f.1.clone());
        let answers = Answers { question, metrics: Vec::new(), stats: Vec::new(), failure };
        Self { line: line.ok(), answers }
    }

    /// Asks once, and says whether answers were thinned out; one that never answered is not asked
    /// again.
    pub(super) fn ask(&mut self, now: f64) -> bool {
        let Some(line) = &self.line else { return false };
        let none = self.answers.metrics.is_empty() && self.answers.stats.is_empty();
        let answer = line.ask().map_err(|(fault, text)| format!("{fault}: {text}"));
        if let Err(why) = answer.and_then(|body| self.answers.take(now, body)) {
            self.answers.failure = Some(why);
        }
        if none && self.answers.failure.is_some() {
            self.line = None;
        }
        thin(&mut self.answers.metrics) | thin(&mut self.answers.stats)
    }

    pub(super) fn finish(self) -> Answers {
        self.answers
    }
}

impl Answers {
    /// Reads an answer; says what is wrong with it.
    fn take(&mut self, now: f64, body: bytes::Bytes) -> Result<(), String> {
        match self.question.kind {
            Kind::Metrics => {
                let page = prometheus::parse(&String::from_utf8_lossy(&body));
                if page.series.is_empty() {
                    return Err("the page holds no metrics".into());
                }
                self.metrics.push((now, page));
            }
            Kind::Statistics(read) => {
                let stats = read(body).map_err(|why| format!("not Triton's statistics: {why}"))?;
                self.stats.push((now, stats));
            }
        }
        Ok(())
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
pub struct Reported {
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
pub(super) fn join(all: &[Answers], window: &Range<f64>) -> Reported {
    let mut reported = Reported::default();
    for answers in all {
        let question = &answers.question;
        let place = question.url.text.clone();
        if let Some([(from, before), (to, after)]) = edges(&answers.metrics, window) {
            let changes = prometheus::changes(before, after);
            let seconds = to - from;
            reported.stages.extend(stages(&changes, question, seconds));
            reported.scrapes.push(page(
                &place,
                *from - window.start,
                seconds,
                after.skipped,
                &changes,
            ));
        } else if let Some([(from, before), (to, after)]) = edges(&answers.stats, window) {
            match after.since(before) {
                Some(delta) => {
                    reported.stages.extend(statistics_stages(
                        &delta,
                        to - from,
                        question.instances,
                    ));
                    reported.scrapes.push(statistics_page(
                        &place,
                        *from - window.start,
                        to - from,
                        &delta,
                    ));
                }
                None => reported.silent.push((place, "the server was restarted".into())),
            }
        } else {
            let why = answers.failure.clone().unwrap_or_else(|| "answered only once".into());
            reported.silent.push((place, format!("{why}; {}", question.hint)));
        }
    }
    // Triton's statistics and its metrics report the same stages; the first are exact.
    let exact = reported.stages.iter().any(|s| s.source == StageSource::TritonStatistics);
    reported.stages.retain(|s| !exact || s.source != StageSource::ServerMetrics);
    reported
}

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
                (part.kind, part.value) = (SeriesKind::Counter, *increase);
            }
            Change::Gauge(value) if value.is_finite() => {
                (part.kind, part.value) = (SeriesKind::Gauge, *value);
            }
            Change::Histogram(spread) if spread.count > 0.0 && spread.mean().is_finite() => {
                (part.kind, part.value) = (SeriesKind::Histogram, spread.count);
                part.mean = Some(spread.mean());
                part.p50 = spread.quantile(0.5);
                part.p99 = spread.quantile(0.99);
            }
            _ => continue,
        }
        // What moved comes before what merely is.
        if series.len() >= KEPT && part.kind == SeriesKind::Gauge {
            left_out += 1;
        } else {
            series.push(part);
        }
    }
    series.sort_by_key(|s| s.kind == SeriesKind::Gauge);
    left_out += series.len().saturating_sub(KEPT) as u64;
    series.truncate(KEPT);
    ScrapePart { url: url.into(), from_seconds: from, seconds, series, left_out, skipped }
}

fn statistics_page(url: &str, from: f64, seconds: f64, delta: &Stats) -> ScrapePart {
    let counter = |name: &str, label: Option<u64>, value: u64| SeriesPart {
        name: name.into(),
        kind: SeriesKind::Counter,
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
fn statistics_stages(delta: &Stats, seconds: f64, instances: Option<u64>) -> Vec<StagePart> {
    let names = [
        ("success", "total", false),
        ("queue", "queue", false),
        ("compute_input", "compute_input", true),
        ("compute_infer", "compute_infer", true),
        ("compute_output", "compute_output", true),
    ];
    let stage = |(key, name, on_an_instance): (&str, &str, bool)| {
        let span = delta.requests.get(key)?;
        // Of a queue and of the whole: the mean number in it.
        let busy = delta.batches.get(key).unwrap_or(span);
        Some(StagePart {
            name: name.into(),
            source: StageSource::TritonStatistics,
            count: span.count,
            mean_seconds: span.mean()?,
            busy_share: busy.ns as f64 * 1e-9 / seconds,
            servers: instances.filter(|_| on_an_instance),
        })
    };
    names.into_iter().filter_map(stage).collect()
}

fn stages(
    changes: &BTreeMap<(String, Labels), Change>,
    question: &Question,
    seconds: f64,
) -> Vec<StagePart> {
    let of = |labels: &Labels, label: Option<&str>| {
        let named = labels.iter().find(|l| Some(l.0.as_str()) == label).map(|l| l.1.as_str());
        match (&question.model, named) {
            (Some(model), Some(named)) => named == model,
            _ => true,
        }
    };
    let inference = |labels: &Labels, only: Option<(&str, &str)>| {
        let Some((label, end)) = only else { return true };
        labels.iter().all(|(name, value)| name != label || value.ends_with(end))
    };
    let mut found = Vec::new();
    let mut add = |name: &str, count: f64, total: f64, busy: f64| {
        if count >= 1.0 && total.is_finite() && total >= 0.0 {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            found.push(StagePart {
                name: name.into(),
                source: StageSource::ServerMetrics,
                count: count as u64,
                mean_seconds: total / count,
                busy_share: busy / seconds,
                servers: None,
            });
        }
    };
    for known in platform::histogram_stages() {
        let (mut count, mut sum) = (0.0, 0.0);
        for ((name, labels), change) in changes {
            let ours = name == known.metric
                && of(labels, known.model_label)
                && inference(labels, known.inference);
            if let (true, Change::Histogram(spread)) = (ours, change) {
                count += spread.count;
                sum += spread.sum;
            }
        }
        add(known.stage, count, sum * known.unit, sum * known.unit);
    }
    for known in platform::counter_stages() {
        let sum = |wanted: &str| -> f64 {
            let own =
                changes.iter().filter(|((n, l), _)| n == wanted && of(l, Some(known.model_label)));
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
    use crate::stream::Trust;
    use crate::target::Url;

    fn question() -> Question {
        Question {
            kind: Kind::Metrics,
            url: Url::parse("http://127.0.0.1:1/metrics").unwrap(),
            call: None,
            headers: Vec::new(),
            trust: Trust::default(),
            hint: "start it",
            model: Some("m".into()),
            instances: None,
            address: None,
        }
    }

    /// What two pages, two seconds apart, say of the second in the middle.
    fn between(first: &str, last: &str) -> Reported {
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
        let reported = between(&text(1), &text(2));
        let find = |name: &str| reported.stages.iter().find(|s| s.name == name).unwrap();
        assert!((find("queue").mean_seconds - 2e-3).abs() < 1e-12);
        let infer = find("compute_infer");
        assert!((infer.mean_seconds - 8e-3).abs() < 1e-12 && infer.count == 100);
        // 25 executions of 8 ms in two seconds.
        assert!((infer.busy_share - 0.1).abs() < 1e-12);
        assert_eq!(reported.scrapes[0].series.len(), 8);
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
        let reported = between(&text(1), &text(2));
        let found: Vec<(&str, u64)> =
            reported.stages.iter().map(|s| (s.name.as_str(), s.count)).collect();
        assert_eq!(found, [("total", 50), ("infer", 50)]);
        assert!((reported.stages[0].mean_seconds - 0.010).abs() < 1e-9);
        assert!((reported.stages[1].mean_seconds - 0.008).abs() < 1e-9);
        assert!((reported.stages[1].busy_share - 0.2).abs() < 1e-9);
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
        let reported = join(&[asked.finish()], &(0.0..1.0));
        assert!(reported.silent[0].1.ends_with("; start it"), "{reported:?}");
        assert!(reported.stages.is_empty() && reported.scrapes.is_empty());
    }
}
