//! How a server starts: from its spawn over every state that it tells of to its first good answer,
//! and on until it is as fast as it will be.
//!
//! States are found by asking: connections every millisecond, questions every two, each given up
//! after 250 ms. Servers that say that they are ready before the model is loaded exist, so that the
//! first good answer is the only instant that compares between servers.

pub mod group;

use super::connector::{Client, Exchange};
use super::record::Fault;
use super::socket::Socket;
use super::stats::median;
use super::target::{Options, Prepared, Readiness, State, TargetError, Url, explain};
use crate::schema::{CachePart, PageCache, PollsPart, StartPart};
use group::Group;
use rooflens_ground::os::page_cache::{self, Cached};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

const CONNECT: Duration = Duration::from_millis(1);
const REQUEST: Duration = Duration::from_millis(2);
const TIMEOUT: Duration = Duration::from_millis(250);
/// How long a server that has ended may hold its port.
const RELEASE: Duration = Duration::from_secs(10);
/// Requests whose mean is looked at together.
const TOGETHER: usize = 5;
/// Requests after the first answer, at least and at most.
const WARM: (usize, usize) = (40, 1000);

/// How often a server is asked.
pub const POLLS: PollsPart =
    PollsPart { connect_seconds: 0.001, request_seconds: 0.002, timeout_seconds: 0.25 };

/// What is started, and how it is spoken to.
#[derive(Clone, Debug)]
pub struct Spec {
    /// For `sh -c`.
    pub command: String,
    /// Where it will listen.
    pub url: Url,
    /// How requests are made; its patience is the longest a start may take.
    pub options: Options,
    /// A path that answers with 2xx when the server is ready; for plain HTTP.
    pub ready_path: Option<String>,
    /// How long requests are sent after the first answer, at most.
    pub warm: Duration,
}

/// Why a start was not measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The server or the target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Whoever watched had enough.
    #[error("interrupted")]
    Interrupted,
}

/// A server that has started.
pub struct Started {
    /// Ends with this value.
    pub group: Group,
    /// Its times.
    pub start: StartPart,
    /// Ready to be loaded.
    pub prepared: Prepared,
}

fn failed(message: impl Into<String>, hint: impl Into<String>) -> StartError {
    TargetError { message: message.into(), hint: hint.into() }.into()
}

/// Starts the server once and follows it until it is warm. `known` are files it reads; `prepared`
/// spares the questions for the model's signature.
pub fn start(
    spec: &Spec,
    log: &Path,
    cache: PageCache,
    known: &[PathBuf],
    prepared: Option<&Prepared>,
    stop: &AtomicBool,
) -> Result<Started, StartError> {
    let url = &spec.url;
    let sockets = resolve(url)?;
    // The server of the start before may need a moment to give its port back.
    let patience = if prepared.is_some() { RELEASE } else { Duration::ZERO };
    if !released(&sockets, patience, stop) {
        return Err(failed(
            format!("{} is already in use", url.place()),
            "stop the server that listens there, or use another port",
        ));
    }
    let (seen, unverified) = bring_page_cache(cache, known);
    let spawned = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut watch = Watch::launch(spec, log, stop)?;
    let port = watch.until("accepts no connection", CONNECT, |_| Ok(connects(&sockets)))?;
    let readiness = Readiness::new(url, &spec.options, spec.ready_path.as_deref())?;
    let [live, ready, model] = watch.reach(&readiness)?;
    let mut usage = model.or(ready).and_then(|_| watch.group.usage());
    let prepared = match prepared {
        Some(prepared) => prepared.clone(),
        None => Prepared::remote(url, &spec.options)?,
    };
    let client = prepared.client();
    let first = watch.first_answer(&client, &prepared)?;
    usage = usage.or_else(|| watch.group.usage());
    let samples = watch.warm(&client, &prepared)?;
    let settled = settle(&samples);
    let end = watch.group.usage();
    let read = end.and_then(|u| u.read_bytes);
    let unverified = if cache == PageCache::Warm { not_warm(seen, read) } else { unverified };
    let start = StartPart {
        page_cache: cache,
        counted: cache != PageCache::Unknown,
        spawned_unix_seconds: spawned.as_secs_f64(),
        port_seconds: port,
        live_seconds: live,
        ready_seconds: ready,
        model_ready_seconds: model.or(ready).unwrap_or(first.seconds),
        first_answer_seconds: first.seconds,
        warm_seconds: settled.as_ref().ok().map(|s| s.0),
        warm_unknown: settled.as_ref().err().cloned(),
        first_latency_seconds: first.latency.as_secs_f64(),
        warm_median_seconds: settled.ok().map(|s| s.1),
        failed_answers: first.failures,
        polls: watch.polls,
        cpu_seconds: usage.map(|u| u.cpu_seconds),
        peak_rss_bytes: end.map(|u| u.peak_rss_bytes),
        read_bytes: read,
        cache: seen.map(cache_part),
        unverified,
    };
    Ok(Started { group: watch.group, start, prepared })
}

fn cache_part(seen: Cached) -> CachePart {
    let Cached { files, bytes, resident_bytes } = seen;
    CachePart { files, bytes, resident_bytes }
}

/// The first good answer.
struct First {
    /// Since the spawn.
    seconds: f64,
    /// Of its request alone.
    latency: Duration,
    /// Answers before it that were none.
    failures: u64,
}

/// The server while it starts.
struct Watch<'a> {
    spec: &'a Spec,
    begin: Instant,
    group: Group,
    log: &'a Path,
    stop: &'a AtomicBool,
    exchange: Exchange,
    polls: u64,
}

impl<'a> Watch<'a> {
    fn launch(spec: &'a Spec, log: &'a Path, stop: &'a AtomicBool) -> Result<Self, StartError> {
        let exchange = Exchange::new().map_err(|(_, text)| failed(text, "close other programs"))?;
        let begin = Instant::now();
        let group = Group::spawn(&spec.command, log).map_err(|e| {
            failed(format!("`{}` cannot be started: {e}", spec.command), "check the command")
        })?;
        Ok(Self { spec, begin, group, log, stop, exchange, polls: 0 })
    }

    /// Seconds from the spawn to each state, where the protocol reports it.
    fn reach(&mut self, readiness: &Readiness) -> Result<[Option<f64>; 3], StartError> {
        let mut reached = [None; 3];
        for (slot, state) in reached.iter_mut().zip([State::Live, State::Ready, State::Model]) {
            if readiness.reports(state) {
                let ask = |w: &Self| {
                    let asked = async { tokio::time::timeout(TIMEOUT, readiness.ask(state)).await };
                    Ok(w.exchange.block(asked).unwrap_or(false))
                };
                *slot = Some(self.until(missing(state), REQUEST, ask)?);
            }
        }
        Ok(reached)
    }

    /// Sends the first request until it gets a good answer.
    fn first_answer(&mut self, client: &Client, prepared: &Prepared) -> Result<First, StartError> {
        let (url, patience) = (&self.spec.url, self.spec.options.patience);
        let request = prepared.requests.first();
        let (mut last, mut latency, mut failures) = (None, Duration::ZERO, 0);
        let outcome = self.until("gives no successful answer", REQUEST, |w| {
            let left = patience.saturating_sub(w.begin.elapsed()).max(TIMEOUT);
            let sent = Instant::now();
            let answer = w.exchange.ask(client, request, left);
            latency = sent.elapsed();
            let checked = answer.and_then(|answer| prepared.check(&answer));
            let Err(failure) = checked else { return Ok(true) };
            failures += 1;
            // These do not pass with time.
            if matches!(failure.0, Fault::Http(400 | 401 | 403 | 405 | 411 | 413 | 415 | 422)) {
                return Err(explain(url, &failure).into());
            }
            last = Some(failure);
            Ok(false)
        });
        match (outcome, last) {
            (Err(StartError::Target(error)), Some((fault, text)))
                if self.group.ended().is_none() =>
            {
                let message = format!("{}; the last was {fault}: {text}", error.message);
                Err(TargetError { message, hint: error.hint }.into())
            }
            (outcome, _) => Ok(First { seconds: outcome?, latency, failures }),
        }
    }

    /// Seconds from the spawn to the first time that `is` says so.
    fn until(
        &mut self,
        what: &str,
        gap: Duration,
        mut is: impl FnMut(&Self) -> Result<bool, StartError>,
    ) -> Result<f64, StartError> {
        loop {
            self.polls += 1;
            if is(self)? {
                return Ok(self.begin.elapsed().as_secs_f64());
            }
            self.check(what)?;
            std::thread::sleep(gap);
        }
    }

    /// Whether it is worth to go on.
    fn check(&self, what: &str) -> Result<(), StartError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(StartError::Interrupted);
        }
        if let Some(how) = self.group.ended() {
            return Err(failed(
                format!("the server ended {how} before it was ready{}", self.words()),
                format!("run it by itself: {}", self.spec.command),
            ));
        }
        let patience = self.spec.options.patience;
        if self.begin.elapsed() > patience {
            return Err(failed(
                format!(
                    "the server {what} at `{}` in {:.0} s{}",
                    self.spec.url.text,
                    patience.as_secs_f64(),
                    self.words()
                ),
                "check the port and the path; --patience waits longer",
            ));
        }
        Ok(())
    }

    /// The last lines that the server printed.
    fn words(&self) -> String {
        let bytes = std::fs::read(self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(4096)..]).into_owned();
        let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(8)..];
        if last.is_empty() {
            return "; it printed nothing".into();
        }
        let clean =
            |line: &&str| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
        format!("; its last words:\n  {}", last.iter().map(clean).collect::<Vec<_>>().join("\n  "))
    }

    /// Requests one after the other: when each was sent, since the spawn, and how long it took.
    fn warm(&self, client: &Client, prepared: &Prepared) -> Result<Vec<(f64, f64)>, StartError> {
        let (mut samples, begin) = (Vec::new(), Instant::now());
        for number in 0.. {
            if samples.len() >= WARM.1 || begin.elapsed() >= self.spec.warm {
                break;
            }
            self.check_alive()?;
            let Ok(request) = prepared.requests.make(number) else { continue };
            let sent = Instant::now();
            let answer = self.exchange.ask(client, &request, self.spec.options.patience);
            let good = answer.is_ok_and(|answer| prepared.check(&answer).is_ok());
            if good {
                let at = sent.duration_since(self.begin).as_secs_f64();
                samples.push((at, sent.elapsed().as_secs_f64()));
            }
        }
        Ok(samples)
    }

    fn check_alive(&self) -> Result<(), StartError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(StartError::Interrupted);
        }
        Ok(())
    }
}

/// When a server was warm and how fast it is then, from requests in order with when they were sent
/// and how long they took: the warm state is the second half.
fn settle(samples: &[(f64, f64)]) -> Result<(f64, f64), String> {
    if samples.len() < WARM.0 {
        let n = samples.len();
        return Err(format!("{n} successful answers are too few; --warm-seconds waits for more"));
    }
    let half = &samples[samples.len() / 2..];
    let times: Vec<f64> = half.iter().map(|s| s.1).collect();
    let mean = |batch: &[(f64, f64)]| batch.iter().map(|s| s.1).sum::<f64>() / batch.len() as f64;
    let means: Vec<f64> = half.chunks_exact(TOGETHER).map(mean).collect();
    let middle = median(&means);
    let away: Vec<f64> = means.iter().map(|m| (m - middle).abs()).collect();
    let band = middle + 3.0 * median(&away);
    let first = samples.chunks_exact(TOGETHER).find(|batch| mean(batch) <= band);
    let at = first.and_then(|batch| batch.first()).map(|s| s.0);
    at.map(|at| (at, median(&times))).ok_or_else(|| "it was never steady".into())
}

fn resolve(url: &Url) -> Result<Vec<Socket>, StartError> {
    let sockets = url.sockets().map_err(|f| explain(url, &f))?;
    let loopback = |s: &Socket| s.ip().is_some_and(|ip| ip.is_loopback());
    if let Some(far) = sockets.iter().find(|s| !loopback(s) && !s.is_own()) {
        return Err(failed(
            format!("`{}` ({far}) is not this machine", url.host),
            "a spawned server is probed where it runs; for example http://localhost:8000/",
        ));
    }
    Ok(sockets)
}

/// What a server does as long as it has not reached a state.
fn missing(state: State) -> &'static str {
    match state {
        State::Live => "is not live",
        State::Ready => "is not ready",
        State::Model => "has no ready model",
    }
}

/// Whether nobody listens, or stops to within `patience`.
fn released(sockets: &[Socket], patience: Duration, stop: &AtomicBool) -> bool {
    let begin = Instant::now();
    while connects(sockets) {
        if begin.elapsed() >= patience || stop.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

fn connects(sockets: &[Socket]) -> bool {
    sockets.iter().any(|s| s.listens(TIMEOUT))
}

/// Brings the page cache into a state: what was seen of it, and why it is not sure.
fn bring_page_cache(cache: PageCache, known: &[PathBuf]) -> (Option<Cached>, Option<String>) {
    if cache == PageCache::Cold {
        page_cache::evict(known);
    }
    let seen = page_cache::look(known);
    if cache == PageCache::Unknown {
        return (seen, None);
    }
    let Some(part) = seen else {
        return (None, Some("no file of the server is known, or mincore is not available".into()));
    };
    let share = part.resident_bytes as f64 / part.bytes as f64;
    let unverified = match cache {
        PageCache::Cold if share > 0.05 => Some(format!(
            "{:.0} % of the known files stayed in memory: other processes use them, or mincore is not available",
            100.0 * share
        )),
        _ => None,
    };
    (seen, unverified)
}

/// Why it is not sure that a start found its files in memory: some are never read whole, so that what
/// was fetched from storage tells, not what is there.
fn not_warm(seen: Option<Cached>, read: Option<u64>) -> Option<String> {
    let Some(read) = read else { return Some("/proc does not report what was read".into()) };
    let known = seen.map_or(0, |s| s.bytes);
    let many = read > (known / 20).max(1 << 20);
    many.then(|| format!("{read} bytes came from storage all the same"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_is_where_times_fall_into_the_band() {
        // Twenty slow requests of 50 ms, then 1 ms with a ripple.
        let mut at = 0.0;
        let mut samples = Vec::new();
        for i in 0..200 {
            let took = if i < 20 { 0.05 } else { 0.001 + 0.0001 * f64::from(i % 3) };
            samples.push((at, took));
            at += took;
        }
        let (warm, median) = settle(&samples).unwrap();
        assert!((warm - 1.0).abs() < 0.01, "{warm}");
        assert!((median - 0.0011).abs() < 1e-9, "{median}");
        assert!(settle(&samples[..30]).is_err());
        // Equal times have no spread; the first batch is inside.
        assert_eq!(settle(&vec![(1.0, 0.5); 50]).unwrap(), (1.0, 0.5));
    }
}
