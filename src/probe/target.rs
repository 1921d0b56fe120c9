//! What is probed: a server by its URL, its model's signature, requests encoded before the clock
//! starts, and how an answer is told from a wrong one.

mod expect;
mod kserve;
mod messages;
mod plain;
pub mod repository;
pub mod tensor;
mod tfs;

use super::grpc::Call;
use super::http::{self, Request, Response};
use super::record::Fault;
use super::stream::{Address, Failure, Trust};
use super::{Target as InProcess, grpc};
use bytes::Bytes;
use expect::{Expected, Wanted};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tensor::{Given, Slot, Tensor, elements};

/// How a server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Any HTTP server: a path and a body.
    Http,
    /// Open Inference Protocol over HTTP: Triton, `MLServer`, `KServe`.
    KserveHttp,
    /// The same over gRPC.
    KserveGrpc,
    /// TensorFlow Serving over HTTP.
    TfsHttp,
    /// The same over gRPC.
    TfsGrpc,
}

/// Schemes with their protocol, whether they are encrypted, and the port that is usual.
const SCHEMES: &[(&str, Protocol, bool, u16)] = &[
    ("http", Protocol::Http, false, 80),
    ("https", Protocol::Http, true, 443),
    ("kserve+http", Protocol::KserveHttp, false, 8000),
    ("kserve+https", Protocol::KserveHttp, true, 443),
    ("kserve+grpc", Protocol::KserveGrpc, false, 8001),
    ("kserve+grpcs", Protocol::KserveGrpc, true, 443),
    ("tfs+http", Protocol::TfsHttp, false, 8501),
    ("tfs+https", Protocol::TfsHttp, true, 443),
    ("tfs+grpc", Protocol::TfsGrpc, false, 8500),
    ("tfs+grpcs", Protocol::TfsGrpc, true, 443),
];

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As typed.
    pub text: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Whether connections are encrypted.
    pub secure: bool,
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// From the first `/` on, with the query; may be empty.
    pub path: String,
}

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

impl Url {
    /// Reads a URL.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let known = SCHEMES.iter().map(|s| format!("{}://", s.0)).collect::<Vec<_>>().join(" ");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| {
            let hint = if std::path::Path::new(text).extension().is_some_and(|e| e == "onnx") {
                format!("tract:{text} runs it in this process; a server's URL begins with one of: {known}")
            } else {
                format!("a target is tract:MODEL, ort:MODEL or a URL with one of: {known}")
            };
            TargetError::new(format!("`{text}` is not a target"), hint)
        })?;
        let (_, protocol, secure, port) =
            *SCHEMES.iter().find(|s| s.0 == scheme).ok_or_else(|| {
                TargetError::new(
                    format!("`{scheme}` is not a known scheme"),
                    format!("use one of: {known}"),
                )
            })?;
        let split = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(split);
        if authority.contains('@') {
            return Err(TargetError::new(
                "a password does not belong in a URL",
                "send it with --header 'Authorization: …' or --token",
            ));
        }
        let bad_port = || {
            TargetError::new(
                format!("`{authority}` has no valid port"),
                "for example localhost:8000",
            )
        };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| bad_port())?)
            }
            _ => (authority, port),
        };
        if host.is_empty() {
            return Err(TargetError::new(
                format!("`{text}` names no host"),
                "for example kserve+http://localhost:8000/MODEL",
            ));
        }
        Ok(Self { text: text.into(), protocol, secure, host: host.into(), port, path: path.into() })
    }

    /// Model and version in the path, for the protocols that have them.
    pub(crate) fn model(&self) -> Result<(String, Option<String>), TargetError> {
        let parts: Vec<&str> = self.path.split('/').filter(|p| !p.is_empty()).collect();
        let found = match parts.as_slice() {
            [model] | ["v1" | "v2", "models", model] => Some((*model, None)),
            [model, version]
            | [model, "versions", version]
            | ["v1" | "v2", "models", model, "versions", version] => Some((*model, Some(*version))),
            _ => None,
        };
        found.map(|(m, v)| (m.trim_end_matches(":predict").to_owned(), v.map(ToOwned::to_owned))).ok_or_else(|| {
            TargetError::new(
                format!("`{}` names no model", self.text),
                "put it behind the host: kserve+http://localhost:8000/MODEL or …/MODEL/versions/2",
            )
        })
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
        let Found { platform, encoding, inputs, outputs, requests, check } = found;
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

/// What the modules of protocols use to ask the server.
struct Asker<'a> {
    url: &'a Url,
    prepared: &'a Prepared,
    options: &'a Options,
}

impl Asker<'_> {
    /// A GET of `path`; `None` when the server says that there is no such thing.
    fn get(&self, path: &str) -> Result<Option<Bytes>, TargetError> {
        let request = Request::new("GET", path, &self.authority(), &self.options.headers, b"");
        match self.prepared.ask(&Encoded::Http(request)) {
            Ok(answer) => Ok(Some(answer.body)),
            Err((Fault::Http(404 | 405 | 501), _)) => Ok(None),
            Err(failure) => Err(explain(self.url, &failure)),
        }
    }

    /// A gRPC call with an answer of type `M`.
    fn call<M: prost::Message + Default>(&self, call: Call) -> Result<Option<M>, TargetError> {
        match self.prepared.ask(&Encoded::Grpc(call)) {
            Ok(answer) => M::decode(answer.body).map(Some).map_err(|e| {
                explain(
                    self.url,
                    &(Fault::Malformed, format!("not the message that was asked for: {e}")),
                )
            }),
            Err((Fault::Grpc(5 | 12), _)) => Ok(None),
            Err(failure) => Err(explain(self.url, &failure)),
        }
    }

    fn authority(&self) -> String {
        match &self.prepared.place {
            Place::Remote { address, .. } => address.authority.clone(),
            Place::Local(_) => String::new(),
        }
    }

    /// Inputs for each variant, from the signature and what was said on the command line.
    fn tensors(&self, declared: &[Slot]) -> Result<Vec<Vec<Tensor>>, TargetError> {
        let options = self.options;
        let mut slots = declared.to_vec();
        for (name, given) in &options.inputs {
            if !slots.is_empty() && !declared.iter().any(|s| s.name == *name) {
                let names: Vec<&str> = declared.iter().map(|s| s.name.as_str()).collect();
                return Err(TargetError::new(
                    format!("the model has no input `{name}`"),
                    format!("its inputs: {}", names.join(" ")),
                ));
            }
            if declared.is_empty() {
                let dtype = match given {
                    Given::Shape(dtype, _) => dtype.or(tensor::Dtype::find("FP32")),
                    Given::Contents(dtype, ..) => Some(*dtype),
                };
                slots.extend(dtype.map(|dtype| Slot {
                    name: name.clone(),
                    dtype,
                    shape: Vec::new(),
                }));
            }
        }
        if slots.is_empty() {
            return Err(TargetError::new(
                "the server does not tell the model's inputs",
                "name them: --input NAME=FP32:1x3x224x224",
            ));
        }
        (0..options.variants.max(1))
            .map(|v| slots.iter().zip(1..).map(|(s, n)| self.tensor(s, v * 1000 + n)).collect())
            .collect()
    }

    fn tensor(&self, slot: &Slot, salt: u64) -> Result<Tensor, TargetError> {
        let given = self.options.inputs.iter().find(|(n, _)| *n == slot.name).map(|(_, g)| g);
        let shape = match given {
            Some(Given::Contents(dtype, shape, data)) => {
                if *dtype != slot.dtype {
                    return Err(TargetError::new(
                        format!(
                            "input `{}` takes {}, the file has {}",
                            slot.name,
                            slot.dtype.name(),
                            dtype.name()
                        ),
                        "convert the file with numpy's astype",
                    ));
                }
                return Ok(Tensor {
                    name: slot.name.clone(),
                    dtype: *dtype,
                    shape: shape.clone(),
                    data: data.clone(),
                });
            }
            Some(Given::Shape(_, shape)) => shape.clone(),
            None => slot.shape.clone(),
        };
        let mut sized = shape.clone();
        if let Some(first) = sized.first_mut().filter(|d| **d < 0) {
            *first = self.options.batch;
        } else if self.options.batch > 1 && given.is_none() {
            return Err(TargetError::new(
                format!(
                    "input `{}` has a fixed first axis of {}, so that --batch {} does not fit",
                    slot.name,
                    sized.first().copied().unwrap_or(1),
                    self.options.batch
                ),
                "leave --batch out, or export the model with an open batch axis",
            ));
        }
        if sized.iter().any(|d| *d < 0) {
            return Err(TargetError::new(
                format!("input `{}` has open sizes: {}", slot.name, show(&shape)),
                format!(
                    "give them: --input {}={}",
                    slot.name,
                    show(&sized.iter().map(|d| if *d < 0 { 128 } else { *d }).collect::<Vec<_>>())
                ),
            ));
        }
        let too_large = || {
            TargetError::new(
                format!("input `{}` of {} is beyond any request", slot.name, show(&sized)),
                "give smaller sizes with --input",
            )
        };
        if elements(&sized).is_none() {
            return Err(too_large());
        }
        Tensor::random(slot, sized.clone(), self.options.seed ^ (salt << 32)).ok_or_else(too_large)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = Url::parse("kserve+http://localhost:9000/resnet/versions/2").unwrap();
        assert_eq!(
            (url.protocol, url.port, url.host.as_str()),
            (Protocol::KserveHttp, 9000, "localhost")
        );
        assert_eq!(url.model().unwrap(), ("resnet".into(), Some("2".into())));
        assert_eq!(Url::parse("tfs+grpc://h/m").unwrap().port, 8500);
        let six = Url::parse("http://[::1]:80/x?y=1").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.path.as_str()), ("[::1]", 80, "/x?y=1"));
        assert_eq!(Url::parse("http://[::1]/").unwrap().port, 80);
        for wrong in ["resnet.onnx", "gopher://x/", "http://:80/", "http://h:x/", "http://u:p@h/"] {
            assert!(Url::parse(wrong).is_err(), "{wrong}");
        }
        assert!(Url::parse("kserve+grpc://h:1").unwrap().model().is_err());
    }
}
