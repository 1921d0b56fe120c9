//! What is probed: a server by its URL, its model's signature, requests encoded before the clock
//! starts, and how an answer is told from a wrong one.

mod asker;
mod events;
mod expect;
mod kserve;
mod maker;
mod messages;
pub mod openai;
mod plain;
pub mod platform;
mod protocol;
pub mod question;
mod readiness;
mod redirect;
pub(crate) mod requests;
pub mod statistics;
pub mod tensor;
mod tfs;
mod url;
mod values;

use super::Target as InProcess;
use super::coding::Coding;
use super::connector::{Answer, Client, Connector, Encoded, Exchange, Transport};
use super::local::Queue;
use super::record::Fault;
use super::socket::Socket;
use super::stream::{Failure, Trust};
use crate::schema::BodyEncoding;
use asker::Asker;
use bytes::Bytes;
use expect::{Expected, Wanted};
use openai::Language;
use platform::Platform;
use protocol::{Health, Row};
pub(crate) use protocol::{Heard, Reader, State, Step};
pub(crate) use readiness::Readiness;
pub use requests::DataSet;
pub(crate) use requests::Requests;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tensor::{Given, Slot, Tensor};
pub use url::{Protocol, Url};

/// Every protocol; the order is that of messages, and plain HTTP is the first.
static PROTOCOLS: [&Row; 6] =
    [&plain::HTTP, &kserve::HTTP, &kserve::GRPC, &tfs::HTTP, &tfs::GRPC, &openai::HTTP];

impl Protocol {
    /// Any HTTP server.
    const PLAIN: Self = Self(0);

    fn row(self) -> &'static Row {
        PROTOCOLS[self.0]
    }

    /// The protocol of a scheme, whether it is encrypted, and its usual port.
    fn of(scheme: &str) -> Option<(Self, bool, u16)> {
        let find = |row: &Row| row.schemes.iter().position(|s| *s == scheme);
        PROTOCOLS.iter().enumerate().find_map(|(place, row)| match find(row)? {
            0 => Some((Self(place), false, row.port)),
            _ => Some((Self(place), true, 443)),
        })
    }

    /// All schemes, as URLs begin with them.
    fn schemes() -> String {
        let all = PROTOCOLS.iter().flat_map(|row| row.schemes);
        all.map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" ")
    }

    /// What carries its requests.
    pub fn transport(self) -> Transport {
        self.row().transport
    }

    /// Whether a URL names a model, whose inputs and outputs are tensors; plain HTTP has none.
    pub fn names_model(self) -> bool {
        self.row().models
    }

    /// Whether it is any HTTP server, of whose requests and answers nothing is known.
    pub fn is_plain(self) -> bool {
        self == Self::PLAIN
    }

    /// Whether what answers is a language model, whose requests and answers are counted in tokens.
    pub fn counts_tokens(self) -> bool {
        self.row().tokens
    }

    fn prepare(self, asker: &Asker<'_>) -> Result<Found, TargetError> {
        (self.row().prepare)(asker)
    }

    fn check(self, answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
        (self.row().check)(answer, wanted)
    }

    /// Refuses what only other protocols have.
    fn can(self, options: &Options) -> Result<(), TargetError> {
        let refused = |flag: &str| {
            Err(TargetError::new(
                format!("{flag} is of Triton's gRPC: {} has none", self.row().schemes[0]),
                "kserve+grpc://HOST:8001/MODEL is that of Triton",
            ))
        };
        if options.follow && !self.is_plain() {
            return Err(TargetError::new(
                format!("--follow is for plain HTTP, not {}", self.row().schemes[0]),
                "give the URL that answers",
            ));
        }
        let sequences = self.row().sequence.is_some();
        match options {
            Options { sequence: Some(_), .. } if !sequences => refused("--sequence"),
            Options { shared_memory: true, .. } if !sequences => refused("--shared-memory"),
            _ => Ok(()),
        }
    }

    fn health(self) -> &'static Health {
        &self.row().health
    }
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
#[allow(clippy::struct_excessive_bools, reason = "what a user asks for, each by itself")]
pub struct Options {
    /// Headers, or gRPC metadata, of every request.
    pub headers: Vec<(String, String)>,
    /// Inputs by name, with the shape or the contents that the user gave.
    pub inputs: Vec<(String, Given)>,
    /// What requests are made of, in place of generated inputs and bodies.
    pub data: Option<DataSet>,
    /// Size of the first axis where that is dynamic, 1 or more.
    pub batch: i64,
    /// Seed of generated contents.
    pub seed: u64,
    /// The number of different requests, 1 or more, that are encoded beforehand and sent in turn.
    pub variants: u64,
    /// How the Open Inference Protocol sends tensors over HTTP.
    pub encoding: Encoding,
    /// The body of plain HTTP requests; `None` sends none.
    pub body: Option<Body>,
    /// Method of plain HTTP requests; POST with a body and GET without where omitted.
    pub method: Option<String>,
    /// Text that every correct answer of a plain HTTP server contains.
    pub expect: Option<String>,
    /// Text that no correct answer of a plain HTTP server contains.
    pub reject: Option<String>,
    /// Whether the load goes where a plain HTTP server redirects to.
    pub follow: bool,
    /// Expected values of outputs, or of members of the JSON answers of a plain HTTP server.
    pub expected: Vec<(String, Given)>,
    /// The number of requests in a sequence, for models with a state; `None` sends requests on their own.
    pub sequence: Option<u64>,
    /// Whether inputs are in memory that the server maps.
    pub shared_memory: bool,
    /// The only address of the host that is used; all in turn where omitted.
    pub address: Option<std::net::IpAddr>,
    /// Answers to the same request differ, as those of models with a random part do.
    pub answers_vary: bool,
    /// Outputs of a batch may have any number of rows, as those of detectors do.
    pub any_rows: bool,
    /// Largest distance from the expected values, relative for values above one and absolute below.
    pub tolerance: f64,
    /// Certificates that a server is checked against.
    pub trust: Trust,
    /// Prompts to a language model.
    pub language: Language,
    /// Largest answer in bytes; a larger one is a failed request.
    pub largest: usize,
    /// Longest wait for each answer before the load, the first inference among them.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            inputs: Vec::new(),
            data: None,
            batch: 1,
            seed: 1,
            variants: 4,
            encoding: Encoding::Auto,
            body: None,
            method: None,
            expect: None,
            reject: None,
            follow: false,
            expected: Vec::new(),
            sequence: None,
            shared_memory: false,
            address: None,
            answers_vary: false,
            any_rows: false,
            tolerance: 1e-4,
            trust: Trust::default(),
            language: Language::default(),
            largest: 256 << 20,
            patience: Duration::from_secs(30),
        }
    }
}

/// A target, ready to be loaded.
#[derive(Clone)]
pub struct Prepared {
    /// As typed.
    pub text: String,
    /// The URL that a redirect led to, where one was followed.
    pub redirected: Option<String>,
    /// What the server says it is.
    pub platform: String,
    /// How tensors travel.
    pub encoding: BodyEncoding,
    /// What the model takes, with the sizes that are sent.
    pub inputs: Vec<Slot>,
    /// What it gives, as the server declares, or as is expected of it where the server does not tell.
    pub outputs: Vec<Slot>,
    /// What is sent.
    pub(crate) requests: Requests,
    /// The first axis of the inputs.
    pub batch: i64,
    /// Which of the known platforms that is.
    pub serving: Platform,
    /// Answers to the same request differ.
    pub answers_vary: bool,
    /// Requests of a sequence, where they are sent in sequences.
    pub sequence: Option<u64>,
    any_rows: bool,
    reader: Option<NewReader>,
    place: Place,
    /// What a good answer of a plain HTTP server contains, and what it does not.
    contains: Option<String>,
    rejects: Option<String>,
    expected: Vec<Expected>,
    patience: Duration,
}

/// Makes what reads an answer as it arrives.
type NewReader = fn() -> Box<dyn Reader>;

#[derive(Clone)]
enum Place {
    Remote(Box<Remote>),
    Local(Queue),
    Inline(Arc<dyn InProcess + Send + Sync>),
}

/// A server, and how it is reached.
#[derive(Clone)]
struct Remote {
    url: Url,
    connector: Connector,
    headers: Vec<(String, String)>,
    trust: Trust,
    /// Bytes of an answer, at most.
    largest: usize,
}

impl Remote {
    /// The first address that requests go to.
    fn first_address(&self) -> Option<std::net::IpAddr> {
        self.connector.sockets().first().and_then(Socket::ip)
    }

    /// The model's name, for the protocols that have one.
    fn model(&self) -> Option<String> {
        let url = &self.url;
        url.protocol.names_model().then(|| url.model().ok()).flatten().map(|(name, _)| name)
    }
}

/// What a protocol's module finds out.
struct Found {
    platform: String,
    encoding: BodyEncoding,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    /// Rows of a request.
    batch: i64,
    requests: Requests,
    reader: Option<NewReader>,
}

impl Prepared {
    /// Looks up the server, asks it for the model's signature, and encodes requests.
    pub fn remote(url: &Url, options: &Options) -> Result<Self, TargetError> {
        let expected =
            |(name, given): &(String, Given)| Expected::new(name, given, options.tolerance);
        let expected = options.expected.iter().map(expected).collect::<Result<Vec<_>, _>>()?;
        let followed = if options.follow && url.protocol.is_plain() {
            Some(redirect::follow(url, options, plain::first)?)
        } else {
            None
        };
        let typed = &url.text;
        let (url, options) = followed.as_ref().map_or((url, options), |f| (&f.url, &f.options));
        let asker = Asker::new(url, options)?;
        url.protocol.can(options)?;
        let mut found = url.protocol.prepare(&asker)?;
        if url.protocol.names_model() {
            if found.outputs.is_empty() {
                found.outputs = expected.iter().map(Expected::slot).collect();
            }
            expected.iter().try_for_each(|e| e.known(&found.outputs))?;
        }
        let serving = Platform::named(&found.platform);
        let (headers, trust) = (options.headers.clone(), options.trust.clone());
        let largest = options.largest;
        let remote =
            Remote { url: url.clone(), connector: asker.connector, headers, trust, largest };
        Ok(Self {
            text: typed.clone(),
            redirected: (url.text != *typed).then(|| url.text.clone()),
            platform: found.platform,
            serving,
            encoding: found.encoding,
            inputs: found.inputs,
            outputs: found.outputs,
            requests: found.requests,
            batch: found.batch,
            place: Place::Remote(Box::new(remote)),
            sequence: options.sequence,
            contains: options.expect.clone(),
            rejects: options.reject.clone(),
            expected,
            answers_vary: options.answers_vary,
            any_rows: options.any_rows,
            reader: found.reader,
            patience: options.patience,
        })
    }

    /// A runtime in this process behind a queue, with threads of its own for `instances` inferences at a time.
    pub fn local(
        text: &str,
        platform: &str,
        runtime: &Arc<dyn InProcess + Send + Sync>,
        instances: usize,
        batch: i64,
    ) -> Self {
        let queue = Queue::new(runtime, instances.max(1));
        Self::in_process(text, platform, Place::Local(queue), batch)
    }

    /// A runtime in this process that the sender threads themselves run: no hand-over between threads is part of
    /// what is measured. For closed loops with one request in flight per sender.
    pub fn inline(
        text: &str,
        platform: &str,
        runtime: &Arc<dyn InProcess + Send + Sync>,
        batch: i64,
    ) -> Self {
        Self::in_process(text, platform, Place::Inline(runtime.clone()), batch)
    }

    fn in_process(text: &str, platform: &str, place: Place, batch: i64) -> Self {
        Self {
            text: text.into(),
            redirected: None,
            platform: platform.into(),
            encoding: BodyEncoding::None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            requests: Requests::variants(vec![Encoded::Local]),
            batch,
            serving: Platform::Unknown,
            place,
            contains: None,
            rejects: None,
            sequence: None,
            expected: Vec::new(),
            answers_vary: false,
            any_rows: false,
            reader: None,
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

    /// The same with answers read by another reader.
    #[cfg(test)]
    pub(crate) fn with_reader(self, reader: fn() -> Box<dyn Reader>) -> Self {
        Self { reader: Some(reader), ..self }
    }

    /// The addresses that requests go to in turn; none in this process.
    pub fn addresses(&self) -> Vec<String> {
        let sockets = self.remote_parts().map_or(&[][..], |remote| remote.connector.sockets());
        sockets.iter().map(ToString::to_string).collect()
    }

    /// Whether client and server share this process.
    pub fn is_local(&self) -> bool {
        self.remote_parts().is_none()
    }

    /// Whether the sender threads run the inferences, so that a request occupies its sender until it ends.
    pub(crate) fn is_inline(&self) -> bool {
        matches!(self.place, Place::Inline(_))
    }

    fn remote_parts(&self) -> Option<&Remote> {
        match &self.place {
            Place::Remote(remote) => Some(remote),
            Place::Local(_) | Place::Inline(_) => None,
        }
    }

    /// What reads an answer as it arrives, where answers are read so.
    pub(crate) fn reader(&self) -> Option<Box<dyn Reader>> {
        self.reader.map(|new| new())
    }

    /// Connections of one sender thread.
    pub(crate) fn client(&self) -> Client {
        match &self.place {
            Place::Remote(remote) => remote.connector.client(),
            Place::Local(queue) => Client::Local(queue.clone()),
            Place::Inline(runtime) => Client::Inline(runtime.clone()),
        }
    }

    /// Whether each request opens a connection of its own, because the server closes them behind its answers without
    /// announcing it.
    pub fn opens_each(&self) -> bool {
        self.remote_parts().is_some_and(|remote| remote.connector.closes())
    }

    /// A request as a step of a sequence, where the protocol has sequences.
    pub(crate) fn step(&self, request: &Encoded, step: Step) -> Encoded {
        let sequence = self.remote_parts().and_then(|r| r.url.protocol.row().sequence);
        sequence.map_or_else(|| request.clone(), |sequence| sequence(request, step))
    }

    /// Whether an answer is what the signature promises.
    pub fn check(&self, answer: &Answer) -> Result<(), Failure> {
        let Some(remote) = self.remote_parts() else { return Ok(()) };
        let wanted = Wanted {
            declared: &self.outputs,
            batch: self.batch,
            any_rows: self.any_rows,
            expected: &self.expected,
            contains: self.contains.as_deref(),
            rejects: self.rejects.as_deref(),
        };
        if answer.coding == Coding::Identity {
            return remote.url.protocol.check(answer, &wanted);
        }
        let answer = answer.clone().unpacked(remote.largest)?;
        remote.url.protocol.check(&answer, &wanted)
    }

    /// Sends the first request and checks its answer.
    pub fn try_once(&self) -> Result<(Answer, Duration), Failure> {
        let request = self.requests.first();
        let (exchange, client) = (Exchange::new()?, self.client());
        let start = Instant::now();
        let answer = exchange.ask(&client, request, self.patience)?;
        let took = start.elapsed();
        exchange.block(client.watch());
        self.check(&answer)?;
        Ok((answer, took))
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
        Fault::Http(300..=399) => {
            "give the URL that it redirects to as the target, or follow it with --follow".to_owned()
        }
        Fault::Http(404) | Fault::Grpc(5) => "check the path or the model's name".to_owned(),
        _ => "check the model's inputs with --input, or the body".to_owned(),
    };
    let what = match fault {
        Fault::Resolve | Fault::Refused | Fault::Connect | Fault::Tls => {
            "could not be connected to"
        }
        Fault::Timeout | Fault::Closed => "gave no response",
        _ => "gave an unexpected response",
    };
    TargetError::new(format!("`{}` {what}: {fault}: {text}", url.text), hint)
}

/// Any text as a `Location`.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_location(text: &str) {
    redirect::fuzz(text);
}

/// Any bytes as a record of a data set.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_record(data: &[u8]) {
    values::fuzz(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_of_one_protocol() {
        let schemes: Vec<&str> = PROTOCOLS.iter().flat_map(|row| row.schemes).collect();
        for scheme in &schemes {
            assert_eq!(schemes.iter().filter(|s| *s == scheme).count(), 1, "{scheme}");
            let (protocol, secure, _) = Protocol::of(scheme).unwrap();
            assert_eq!(protocol.row().schemes[usize::from(secure)], *scheme);
        }
        assert!(Protocol::of("gopher").is_none());
        assert!(!Protocol::PLAIN.names_model());
    }
}
