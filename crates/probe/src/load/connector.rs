//! Reaching a server: its address, the transport spoken to it, pools of connections for a load, and
//! single exchanges outside one.

use super::Target;
use super::coding::Coding;
use super::grpc::{self, Call};
use super::http::{self, Listener, Request, Response};
use super::local::Queue;
use super::record::{Fault, Opened};
use super::socket::Socket;
use super::stream::{Address, Failure, Trust};
use ::http::HeaderMap;
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What carries requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP/1.1.
    Http,
    /// gRPC, on HTTP/2.
    Grpc,
}

impl Transport {
    /// Its name in the handshake of an encrypted connection (ALPN).
    fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http => b"http/1.1",
            Self::Grpc => b"h2",
        }
    }
}

/// A port of a host.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint<'a> {
    /// Name or address; an IPv6 address is in brackets.
    pub host: &'a str,
    /// TCP port.
    pub port: u16,
    /// Whether connections are encrypted.
    pub secure: bool,
    /// A Unix socket in place of host and port.
    pub unix: Option<&'a Path>,
}

/// A server that was looked up, and how it is spoken to.
#[derive(Clone)]
pub struct Connector {
    address: Address,
    transport: Transport,
    secure: bool,
    metadata: HeaderMap,
    largest: usize,
    closes: http::Closes,
}

impl Connector {
    /// Looks the host up; answers longer than `largest` bytes are given up.
    pub fn new(
        endpoint: Endpoint<'_>,
        transport: Transport,
        trust: &Trust,
        largest: usize,
    ) -> Result<Self, Failure> {
        let Endpoint { host, port, secure, unix } = endpoint;
        let address = match unix {
            Some(path) => Address::local(path.to_owned()),
            None => Address::resolve(host, port, secure.then_some((trust, transport.alpn())))?,
        };
        let (metadata, closes) = (HeaderMap::new(), http::Closes::default());
        Ok(Self { address, transport, secure, metadata, largest, closes })
    }

    /// The addresses of the host, in the order in which requests go to them in turn.
    pub fn sockets(&self) -> &[Socket] {
        self.address.sockets()
    }

    /// The same with one address of the host alone.
    pub fn only(self, ip: std::net::IpAddr) -> Result<Self, Failure> {
        Ok(Self { address: self.address.only(ip)?, ..self })
    }

    /// The same with gRPC metadata of every call.
    #[must_use]
    pub fn with_metadata(self, metadata: HeaderMap) -> Self {
        Self { metadata, ..self }
    }

    /// `host:port`, as it goes into requests.
    pub fn authority(&self) -> &str {
        &self.address.authority
    }

    /// Encodes a request without a body.
    pub fn get(&self, path: &str, headers: &[(String, String)]) -> Encoded {
        Encoded::Http(Request::new("GET", path, self.authority(), headers, b""))
    }

    /// A pool without a connection yet.
    pub(crate) fn client(&self) -> Client {
        let (address, largest) = (self.address.clone(), self.largest);
        match self.transport {
            Transport::Http => Client::Http(http::Pool::new(address, largest, self.closes.clone())),
            Transport::Grpc => {
                let metadata = self.metadata.clone();
                Client::Grpc(grpc::Pool::new(address, self.secure, metadata, largest))
            }
        }
    }

    /// Whether the server closes connections behind an answer without announcing it, as far as was seen.
    pub fn closes(&self) -> bool {
        self.closes.seen()
    }

    /// Where an answer to a request redirects to, with its status; `None` of any other answer.
    pub fn redirect(
        &self,
        request: &Encoded,
        patience: Duration,
    ) -> Result<Option<(u16, String)>, Failure> {
        let (Client::Http(pool), Encoded::Http(request)) = (self.client(), request) else {
            return Ok(None);
        };
        let late = |_| (Fault::Timeout, format!("no answer in {patience:?}"));
        let asked = async { tokio::time::timeout(patience, pool.call(request, &|| {})).await };
        let answer = Exchange::new()?.block(asked).map_err(late)??;
        let status = Some(answer.status).filter(|status| (300..400).contains(status));
        Ok(status.zip(answer.location))
    }

    /// One exchange, over a connection of its own.
    pub fn ask(&self, request: &Encoded, patience: Duration) -> Result<Answer, Failure> {
        Exchange::new()?.ask(&self.client(), request, patience)
    }
}

/// A runtime for exchanges outside a load, one after the other, on the calling thread.
pub(crate) struct Exchange {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
}

impl Exchange {
    pub(crate) fn new() -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| (Fault::Connect, e.to_string()))?;
        Ok(Self { runtime, local: tokio::task::LocalSet::new() })
    }

    pub(crate) fn block<T>(&self, future: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, future)
    }

    /// One exchange; an answer that is not there after `patience` is a failure.
    pub(crate) fn ask(
        &self,
        client: &Client,
        request: &Encoded,
        patience: Duration,
    ) -> Result<Answer, Failure> {
        self.block(async {
            match tokio::time::timeout(patience, client.call(request, &|| {})).await {
                Ok(outcome) => outcome.and_then(|(answer, _)| answer.unpacked(LARGEST)),
                Err(_) => Err((Fault::Timeout, format!("no answer in {patience:?}"))),
            }
        })
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
    /// How the body is packed.
    pub coding: Coding,
    /// Whether the body is the messages of a streamed answer, each behind its prefix.
    pub streamed: bool,
    /// Bytes received.
    pub size: u64,
}

impl Answer {
    /// Messages of a streamed answer; one of any other.
    pub fn responses(&self) -> u64 {
        if self.streamed { grpc::messages(&self.body).count() as u64 } else { 1 }
    }

    /// The same with its body unpacked, of at most `largest` bytes.
    pub fn unpacked(self, largest: usize) -> Result<Self, Failure> {
        if self.coding == Coding::Identity {
            return Ok(self);
        }
        let body = self.coding.decode(&self.body, largest)?;
        Ok(Self { body, coding: Coding::Identity, ..self })
    }
}

/// Bytes of an error's text that are unpacked, at most.
const ERROR: usize = 64 << 10;
/// Bytes of an answer outside a load that are unpacked, at most.
const LARGEST: usize = 256 << 20;

/// The connections of a sender thread.
pub(crate) enum Client {
    Http(http::Pool),
    Grpc(grpc::Pool),
    Local(Queue),
    /// A runtime that this thread itself runs, one inference after the other.
    Inline(Arc<dyn Target + Send + Sync>),
}

/// When a runtime in this process began and ended, by its own clock.
pub(crate) type Span = Option<(Instant, Instant)>;

impl Client {
    /// Sends a request and waits for the whole answer; a status that is not good is a failure. The body of a
    /// good answer is not kept where `listener` takes it as it arrives.
    pub(crate) async fn call(
        &self,
        request: &Encoded,
        listener: &impl Listener,
    ) -> Result<(Answer, Span), Failure> {
        match (self, request) {
            (Self::Http(pool), Encoded::Http(request)) => {
                let Response { status, timing, inference_header, coding, location, body, size } =
                    pool.call(request, listener).await?;
                if !(200..300).contains(&status) {
                    let said = coding
                        .decode(&body, ERROR)
                        .map_or_else(|_| excerpt(&body), |b| excerpt(&b));
                    let to = location.map(|to| format!("to `{}` ", excerpt(to.as_bytes())));
                    return Err((Fault::Http(status), to.unwrap_or_default() + &said));
                }
                let streamed = false;
                Ok((Answer { body, timing, inference_header, coding, streamed, size }, None))
            }
            (Self::Grpc(pool), Encoded::Grpc(call)) => {
                let (body, coding) = pool.call(call, || listener.sent()).await?;
                let streamed = call.streamed;
                let size = body.len() as u64 + if streamed { 0 } else { 5 };
                Ok((Answer { body, coding, streamed, size, ..Answer::default() }, None))
            }
            (Self::Local(queue), Encoded::Local) => {
                listener.sent();
                let span = queue.call().await?;
                Ok((Answer::default(), Some(span)))
            }
            (Self::Inline(runtime), Encoded::Local) => {
                listener.sent();
                runtime.infer().map_err(|e| (Fault::Runtime, e.to_string()))?;
                Ok((Answer::default(), None))
            }
            _ => Err((Fault::Malformed, "the request is for another protocol".into())),
        }
    }

    /// Waits for a moment whether the server closes the connection of the answer that it just gave.
    pub(crate) async fn watch(&self) {
        if let Self::Http(pool) = self {
            pool.watch().await;
        }
    }

    /// Connections opened so far.
    pub(crate) fn opened(&self) -> Opened {
        match self {
            Self::Http(pool) => pool.opened.get(),
            Self::Grpc(pool) => pool.opened.get(),
            Self::Local(_) | Self::Inline(_) => Opened::default(),
        }
    }
}

/// The first characters of a body, on one line.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(160).collect();
    if short.len() < line.len() { short + " …" } else { short }
}
