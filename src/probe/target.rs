//! What is probed: a server by its URL, its model's signature, requests encoded before the clock
//! starts, and how an answer is told from a wrong one.

mod asker;
mod expect;
mod kserve;
mod messages;
mod plain;
pub mod repository;
pub mod tensor;
mod tfs;
mod url;

use super::grpc::Call;
use super::http::{self, Request, Response};
use super::record::Fault;
use super::stream::{Address, Failure, Trust};
use super::{Target as InProcess, grpc};
use asker::Asker;
use bytes::Bytes;
use expect::{Expected, Wanted};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tensor::{Given, Slot, Tensor};
pub use url::{Protocol, Url};

/// Why a target cannot be probed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TargetError {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl TargetError {
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: hint.into() }
    }
}

/// How tensors travel in HTTP bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Binary where the server says that it can.
    #[default]
    Auto,
    /// Numbers as text.
    Json,
    /// The binary extension.
    Binary,
}

/// A body of a plain HTTP request.
#[derive(Clone, Debug)]
pub struct Body {
    /// Its type.
    pub content_type: String,
    /// Contents; in text, `{{i}}` becomes the number of the variant and `{{random}}` a number
    /// between 0 and 1.
    pub bytes: Bytes,
}

/// How requests are made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Headers, or gRPC metadata, of every request.
    pub headers: Vec<(String, String)>,
    /// What was said of inputs.
    pub inputs: Vec<(String, Given)>,
    /// The first axis, where the model leaves it open.
    pub batch: i64,
    /// Of made-up contents.
    pub seed: u64,
    /// Different requests that are encoded beforehand and sent in turn.
    pub variants: u64,
    /// For the Open Inference Protocol over HTTP.
    pub encoding: Encoding,
    /// Of plain HTTP requests.
    pub body: Option<Body>,
    /// Method of plain HTTP requests; POST with a body and GET without where left out.
    pub method: Option<String>,
    /// What a good answer of a plain HTTP server contains.
    pub expect: Option<String>,
    /// Values of outputs, or of members of the JSON answers of a plain HTTP server.
    pub expected: Vec<(String, Given)>,
    /// How far from them is still right, relative to their size where that is above one.
    pub tolerance: f64,
    /// Certificates.
    pub trust: Trust,
    /// Bytes of an answer, at most.
    pub largest: usize,
    /// For questions before the load, and the first answer.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            inputs: Vec::new(),
            batch: 1,
            seed: 1,
            variants: 4,
            encoding: Encoding::Auto,
            body: None,
            method: None,
            expect: None,
            expected: Vec::new(),
            tolerance: 1e-4,
            trust: Trust::default(),
            largest: 256 << 20,
            patience: Duration::from_secs(30),
        }
    }
}

/// A request, encoded.
#[derive(Clone, Debug)]
pub enum Encoded {
    /// For HTTP/1.1.
    Http(Request),
    /// For gRPC.
    Grpc(Call),
    /// In this process; the runtime holds its inputs.
    Local,
}

impl Encoded {
    /// Bytes that are handed to the system.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        match self {
            Self::Http(request) => request.bytes.len() as u64,
            Self::Grpc(call) => call.message.len() as u64,
            Self::Local => 0,
        }
    }
}

/// An answer, before it is looked into.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The body or the message.
    pub body: Bytes,
    /// `Server-Timing`.
    pub timing: Option<String>,
    /// Where tensors begin in the body.
    pub inference_header: Option<usize>,
    /// Bytes received.
    pub size: u64,
}

/// How answers are checked.
#[derive(Clone, Debug)]
enum Check {
    /// The status alone, or a text in the body.
    Text(Option<String>),
    KserveHttp,
    KserveGrpc,
    TfsHttp,
    TfsGrpc,
}

/// A target, ready to be loaded.
#[derive(Clone)]
pub struct Prepared {
    /// As typed.
    pub text: String,
    /// What the server says it is.
    pub platform: String,
    /// How tensors travel.
    pub encoding: &'static str,
    /// What the model takes, with the sizes that are sent.
    pub inputs: Vec<Slot>,
    /// What it gives, as the server declares, or as is expected of it where the server does not tell.
    pub outputs: Vec<Slot>,
    /// Sent in turn.
    pub requests: Vec<Encoded>,
    /// The first axis of the inputs.
    pub batch: i64,
    place: Place,
    check: Check,
    expected: Vec<Expected>,
    largest: usize,
    patience: Duration,
}

#[derive(Clone)]
enum Place {
    Remote { address: Address, secure: bool, metadata: ::http::HeaderMap },
    Local(super::local::Queue),
}

/// What a protocol's module finds out.
struct Found {
    platform: String,
    encoding: &'static str,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    /// Rows of a request.
    batch: i64,
    requests: Vec<Encoded>,
    check: Check,
}

impl Prepared {
    /// Looks up the server, asks it for the model's signature, and encodes requests.
    pub fn remote(url: &Url, options: &Options) -> Result<Self, TargetError> {
        let grpc = matches!(url.protocol, Protocol::KserveGrpc | Protocol::TfsGrpc);
        let protocol: &[u8] = if grpc { b"h2" } else { b"http/1.1" };
        let secure = url.secure.then_some((&options.trust, protocol));
        let address =
            Address::resolve(&url.host, url.port, secure).map_err(|f| explain(url, &f))?;
        let place =
            Place::Remote { address, secure: url.secure, metadata: metadata(&options.headers)? };
        let mut prepared = Self {
            text: url.text.clone(),
            platform: String::new(),
            encoding: "",
            inputs: Vec::new(),
            outputs: Vec::new(),
            requests: Vec::new(),
            batch: options.batch,
            place,
            check: Check::Text(None),
            expected: Vec::new(),
            largest: options.largest,
            patience: options.patience,
        };
        for (name, given) in &options.expected {
            prepared.expected.push(Expected::new(name, given, options.tolerance)?);
        }
        let asker = Asker { url, prepared: &prepared, options };
        let found = match url.protocol {
            Protocol::Http => Ok(plain::prepare(&asker)),
            Protocol::KserveHttp => kserve::prepare_http(&asker),
            Protocol::KserveGrpc => kserve::prepare_grpc(&asker),
            Protocol::TfsHttp => tfs::prepare_http(&asker),
            Protocol::TfsGrpc => tfs::prepare_grpc(&asker),
        }?;
        let Found { platform, encoding, inputs, outputs, batch, requests, check } = found;
        prepared.batch = batch;
        (prepared.platform, prepared.encoding) = (platform, encoding);
        (prepared.inputs, prepared.outputs) = (inputs, outputs);
        (prepared.requests, prepared.check) = (requests, check);
        if !matches!(prepared.check, Check::Text(_)) {
            if prepared.outputs.is_empty() {
                prepared.outputs = prepared.expected.iter().map(Expected::slot).collect();
            }
            prepared.expected.iter().try_for_each(|e| e.known(&prepared.outputs))?;
        }
        Ok(prepared)
    }

    /// A runtime in this process, `instances` inferences at a time.
    pub fn local(
        text: &str,
        platform: &str,
        runtime: &Arc<dyn InProcess + Send + Sync>,
        instances: usize,
        batch: i64,
    ) -> Self {
        Self {
            text: text.into(),
            platform: platform.into(),
            encoding: "none",
            inputs: Vec::new(),
            outputs: Vec::new(),
            requests: vec![Encoded::Local],
            batch,
            place: Place::Local(super::local::Queue::new(runtime, instances.max(1))),
            check: Check::Text(None),
            expected: Vec::new(),
            largest: usize::MAX,
            patience: Duration::from_mins(1),
        }
    }

    /// A target that nothing is sent to.
    #[cfg(test)]
    pub(crate) fn for_test() -> Self {
        struct Nothing;
        impl InProcess for Nothing {
            fn infer(&self) -> Result<(), super::ProbeError> {
                Ok(())
            }
        }
        let runtime: Arc<dyn InProcess + Send + Sync> = Arc::new(Nothing);
        Self::local("test:", "nothing", &runtime, 1, 1)
    }

    /// Whether client and server share this process.
    pub fn is_local(&self) -> bool {
        matches!(self.place, Place::Local(_))
    }

    /// Connections of one sender thread.
    pub(crate) fn client(&self) -> Client {
        match &self.place {
            Place::Remote { address, secure, metadata } => match self.check {
                Check::KserveGrpc | Check::TfsGrpc => Client::Grpc(grpc::Pool::new(
                    address.clone(),
                    *secure,
                    metadata.clone(),
                    self.largest,
                )),
                _ => Client::Http(http::Pool::new(address.clone(), self.largest)),
            },
            Place::Local(queue) => Client::Local(queue.clone()),
        }
    }

    /// Whether an answer is what the signature promises.
    pub fn check(&self, answer: &Answer) -> Result<(), Failure> {
        let wanted =
            Wanted { declared: &self.outputs, batch: self.batch, expected: &self.expected };
        match &self.check {
            Check::Text(text) => {
                let found =
                    |t: &String| answer.body.windows(t.len().max(1)).any(|w| w == t.as_bytes());
                if let Some(text) = text.as_ref().filter(|t| !found(t)) {
                    return Err((
                        Fault::WrongAnswer,
                        format!("the answer does not contain `{text}`: {}", excerpt(&answer.body)),
                    ));
                }
                self.expected.iter().try_for_each(|e| e.in_json(&answer.body))
            }
            Check::KserveHttp => kserve::check_http(answer, &wanted),
            Check::KserveGrpc => kserve::check_grpc(answer, &wanted),
            Check::TfsHttp => tfs::check_http(answer, &wanted),
            Check::TfsGrpc => tfs::check_grpc(answer, &wanted),
        }
    }

    /// Sends the first request and checks its answer.
    pub fn try_once(&self) -> Result<(Answer, Duration), Failure> {
        let request = self.requests.first().ok_or((Fault::Malformed, "no request".to_owned()))?;
        let start = Instant::now();
        let answer = self.ask(request)?;
        let took = start.elapsed();
        self.check(&answer)?;
        Ok((answer, took))
    }

    /// One exchange outside a load.
    fn ask(&self, request: &Encoded) -> Result<Answer, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| (Fault::Connect, e.to_string()))?;
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let client = self.client_for(request);
            let call = client.call(request, || {});
            match tokio::time::timeout(self.patience, call).await {
                Ok(outcome) => outcome.map(|(answer, _)| answer),
                Err(_) => Err((Fault::Timeout, format!("no answer in {:?}", self.patience))),
            }
        })
    }

    fn client_for(&self, request: &Encoded) -> Client {
        match (&self.place, request) {
            (Place::Remote { address, secure, metadata }, Encoded::Grpc(_)) => Client::Grpc(
                grpc::Pool::new(address.clone(), *secure, metadata.clone(), self.largest),
            ),
            (Place::Remote { address, .. }, _) => {
                Client::Http(http::Pool::new(address.clone(), self.largest))
            }
            _ => self.client(),
        }
    }
}

/// The connections of a sender thread.
pub(crate) enum Client {
    Http(http::Pool),
    Grpc(grpc::Pool),
    Local(super::local::Queue),
}

/// When a runtime in this process began and ended, by its own clock.
pub(crate) type Span = Option<(Instant, Instant)>;

impl Client {
    /// Sends a request and waits for the whole answer; a status that is not good is a failure.
    pub(crate) async fn call(
        &self,
        request: &Encoded,
        sent: impl Fn(),
    ) -> Result<(Answer, Span), Failure> {
        match (self, request) {
            (Self::Http(pool), Encoded::Http(request)) => {
                let Response { status, timing, inference_header, body, size } =
                    pool.call(request, sent).await?;
                if !(200..300).contains(&status) {
                    return Err((Fault::Http(status), excerpt(&body)));
                }
                Ok((Answer { body, timing, inference_header, size }, None))
            }
            (Self::Grpc(pool), Encoded::Grpc(call)) => {
                let body = pool.call(call, sent).await?;
                let size = body.len() as u64 + 5;
                Ok((Answer { body, size, ..Answer::default() }, None))
            }
            (Self::Local(queue), Encoded::Local) => {
                sent();
                let span = queue.call().await?;
                Ok((Answer::default(), Some(span)))
            }
            _ => Err((Fault::Malformed, "the request is for another protocol".into())),
        }
    }

    /// Connections opened so far.
    pub(crate) fn opened(&self) -> u64 {
        match self {
            Self::Http(pool) => pool.opened.get(),
            Self::Grpc(pool) => pool.opened.get(),
            Self::Local(_) => 0,
        }
    }
}

/// `1x3x224x224`, open sizes as −1.
pub(crate) fn show(shape: &[i64]) -> String {
    shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x")
}

/// Slots with the sizes that are sent.
fn sent(tensors: &[Vec<Tensor>]) -> Vec<Slot> {
    let slot = |t: &Tensor| Slot { name: t.name.clone(), dtype: t.dtype, shape: t.shape.clone() };
    tensors.first().into_iter().flatten().map(slot).collect()
}

/// gRPC metadata of headers.
pub(crate) fn metadata(headers: &[(String, String)]) -> Result<::http::HeaderMap, TargetError> {
    let mut map = ::http::HeaderMap::new();
    for (name, value) in headers {
        let pair = ::http::HeaderName::try_from(name.as_str())
            .ok()
            .zip(::http::HeaderValue::try_from(value.as_str()).ok());
        let (name, value) = pair.ok_or_else(|| {
            TargetError::new(
                format!("`{name}` is not a valid header"),
                "for example --header 'X-Key: 7'",
            )
        })?;
        map.append(name, value);
    }
    Ok(map)
}

/// The first characters of a body, on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(160).collect();
    if short.len() < line.len() { short + " …" } else { short }
}

/// What a failure before the load means to a user.
pub fn explain(url: &Url, (fault, text): &Failure) -> TargetError {
    let hint = match fault {
        Fault::Resolve => "check the spelling of the host".to_owned(),
        Fault::Refused => "start the server, or check the port".to_owned(),
        Fault::Connect | Fault::Closed => {
            "check that the server speaks this protocol on this port".to_owned()
        }
        Fault::Timeout => "the server may still be loading; --patience waits longer".to_owned(),
        Fault::Tls => "trust the server's certificate with --ca FILE".to_owned(),
        Fault::Malformed => "check the scheme: the port may speak another protocol".to_owned(),
        Fault::Http(401 | 403) | Fault::Grpc(7 | 16) => {
            "send credentials with --token or --header".to_owned()
        }
        Fault::Http(404) | Fault::Grpc(5) => "check the path or the model's name".to_owned(),
        _ => "check the model's inputs with --input, or the body".to_owned(),
    };
    TargetError::new(format!("`{}` does not answer as it should: {fault}: {text}", url.text), hint)
}
