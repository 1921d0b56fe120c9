//! gRPC as a load generator needs it: unary calls on HTTP/2 streams, messages encoded beforehand.
//!
//! A call is a path, a length-prefixed message and a status in the trailers; that is all there is
//! here. Several connections are used, since one that carries many streams delays them. The head of
//! a request is built once for each method, the message once for each variant.

use super::coding::Coding;
use super::record::{Fault, Opened};
use super::stream::{Address, Failure};
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Method, Version};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// Streams on a connection before another opens.
const STREAMS: usize = 32;
/// What the peer may send before it must wait: enough that the network sets the pace.
const WINDOW: u32 = 16 << 20;
/// Between two tries of a call that a server does not take.
const WAIT: Duration = Duration::from_millis(1);
/// Looks at a new connection before the looks are a pause apart.
const EAGER: u32 = 200;

/// Bytes before a message: whether it is packed, and its length.
const PREFIX: usize = 5;

/// The bytes before a message of a length that is not packed.
fn prefix(length: usize) -> [u8; PREFIX] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [0, a, b, c, d]
}

/// How the messages of an answer are packed that say they are.
fn packing(headers: &HeaderMap) -> Option<Coding> {
    let name = headers.get("grpc-encoding")?;
    Some(Coding::named(&String::from_utf8_lossy(name.as_bytes())))
}

/// A call, encoded.
#[derive(Clone, Debug)]
pub struct Call {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// With the five bytes before it.
    pub message: Bytes,
    /// Whether the answer is any number of messages, each with its five bytes before it, and not one.
    pub streamed: bool,
}

impl Call {
    /// Encodes a call.
    pub fn new(path: &'static str, message: &impl prost::Message) -> Self {
        let length = message.encoded_len();
        let mut bytes = Vec::with_capacity(PREFIX + length);
        bytes.extend_from_slice(&prefix(length));
        // A vector grows as needed.
        let _ = message.encode(&mut bytes);
        Self { path, message: bytes.into(), streamed: false }
    }

    /// The same with any number of messages as its answer.
    #[must_use]
    pub fn streamed(self) -> Self {
        Self { streamed: true, ..self }
    }

    /// The same with further fields of its message.
    #[must_use]
    pub fn with(&self, fields: &impl prost::Message) -> Self {
        let own = self.message.get(PREFIX..).unwrap_or_default();
        let length = fields.encoded_len() + own.len();
        let mut bytes = Vec::with_capacity(PREFIX + length);
        bytes.extend_from_slice(&prefix(length));
        // A vector grows as needed.
        let _ = fields.encode(&mut bytes);
        bytes.extend_from_slice(own);
        Self { message: bytes.into(), ..self.clone() }
    }
}

/// The connections of one sender thread.
pub struct Pool {
    address: Address,
    secure: bool,
    metadata: HeaderMap,
    connections: RefCell<Vec<Rc<Connection>>>,
    /// Calls so far: they go to the addresses of the server's name in turn.
    turn: Cell<usize>,
    largest: usize,
    /// Heads of requests, by path.
    heads: RefCell<Vec<(&'static str, http::Request<()>)>>,
    /// Connections opened so far.
    pub opened: Cell<Opened>,
}

struct Connection {
    sender: SendRequest<Bytes>,
    streams: Cell<usize>,
    broken: Rc<Cell<bool>>,
    /// The address of the server's name that it is for.
    place: usize,
}

impl Pool {
    /// No connection yet; answers longer than `largest` bytes are given up.
    pub fn new(address: Address, secure: bool, metadata: HeaderMap, largest: usize) -> Self {
        let (connections, heads, opened) =
            (RefCell::default(), RefCell::default(), Cell::default());
        let turn = Cell::default();
        Self { address, secure, metadata, connections, turn, largest, heads, opened }
    }

    /// Calls; `sent` is called when the request is about to go out. Returns the message, and how it is packed. A call
    /// that the server certainly did not take is sent again: behind its last stream of a connection that it drains,
    /// or beyond its limit of streams.
    pub async fn call(&self, call: &Call, sent: impl Fn()) -> Result<(Bytes, Coding), Failure> {
        let place = self.turn.get() % self.address.sockets().len().max(1);
        self.turn.set(place + 1);
        let mut refusals = 0;
        loop {
            let connection = self.connection(place).await?;
            connection.streams.set(connection.streams.get() + 1);
            let guard = Leave(&connection);
            let outcome = self.exchange(guard.0, call, &sent).await;
            match outcome {
                Err(Lost::Untaken { drains }) => {
                    connection.broken.set(connection.broken.get() || drains);
                    self.count(Opened { resent: 1, ..Opened::default() });
                }
                Err(Lost::Failed(failure)) => {
                    if failure.0 == Fault::Closed {
                        connection.broken.set(true);
                    }
                    return Err(failure);
                }
                Ok(answer) => return Ok(answer),
            }
            drop(guard);
            // A server that takes nothing is not asked a million times; the time-out of the request ends this.
            refusals += 1;
            if refusals > 1 {
                tokio::time::sleep(WAIT).await;
            }
        }
    }

    fn count(&self, opened: Opened) {
        let mut sum = self.opened.get();
        sum.add(opened);
        self.opened.set(sum);
    }

    async fn connection(&self, place: usize) -> Result<Rc<Connection>, Failure> {
        self.connections.borrow_mut().retain(|c| !c.broken.get());
        let free =
            self.connections.borrow().iter().find(|c| c.place == place && c.is_free()).cloned();
        if let Some(connection) = free {
            return Ok(connection);
        }
        let (stream, opened) = self.address.connect(place).await?;
        let (sender, driver) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .initial_max_send_streams(0)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(|e| (Fault::Malformed, format!("not an HTTP/2 server: {e}")))?;
        self.count(opened);
        let broken = Rc::new(Cell::new(false));
        let flag = broken.clone();
        tokio::task::spawn_local(async move {
            // How it ended shows in the calls on it.
            let _ = driver.await;
            flag.set(true);
        });
        let connection = Rc::new(Connection { sender, streams: Cell::new(0), broken, place });
        connection.settled().await;
        self.connections.borrow_mut().push(connection.clone());
        Ok(connection)
    }

    /// The head of a call to `path`.
    fn head(&self, path: &'static str) -> Result<http::Request<()>, Failure> {
        if let Some((_, head)) = self.heads.borrow().iter().find(|(own, _)| *own == path) {
            return Ok(head.clone());
        }
        let scheme = if self.secure { "https" } else { "http" };
        let mut head = http::Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("{scheme}://{}{path}", self.address.authority))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|e| (Fault::Malformed, e.to_string()))?;
        head.headers_mut().extend(self.metadata.clone());
        self.heads.borrow_mut().push((path, head.clone()));
        Ok(head)
    }

    async fn exchange(
        &self,
        connection: &Connection,
        call: &Call,
        sent: &impl Fn(),
    ) -> Result<(Bytes, Coding), Lost> {
        let mut sender = connection.sender.clone().ready().await?;
        let request = self.head(call.path)?;
        sent();
        let (response, mut stream) = sender.send_request(request, false)?;
        // A stream that has ended meanwhile says why where its answer is waited for.
        let whole = stream.send_data(call.message.clone(), true);
        let response = response.await?;
        whole?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            let status = Fault::Http(head.status.as_u16());
            return Err((status, "the answer is not gRPC".to_owned()).into());
        }
        // Errors may come with the head alone.
        if let Some(failure) = status(&head.headers) {
            return Err(failure.into());
        }
        // Most answers are one frame, which is kept as it is.
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        while let Some(data) = body.data().await {
            let data = data?;
            let _ = body.flow_control().release_capacity(data.len());
            if first.len().max(more.len()) + data.len() > self.largest {
                let text = format!("the answer has more than {} bytes", self.largest);
                return Err((Fault::TooLarge, text).into());
            }
            if first.is_empty() {
                first = data;
                continue;
            }
            if more.is_empty() {
                more.extend_from_slice(&first);
            }
            more.extend_from_slice(&data);
        }
        let message = if more.is_empty() { first } else { more.freeze() };
        let trailers = body.trailers().await?.unwrap_or_default();
        if let Some(failure) = status(&trailers) {
            return Err(failure.into());
        }
        if trailers.get("grpc-status").or(head.headers.get("grpc-status")).is_none() {
            return Err((Fault::Malformed, "the answer has no gRPC status".to_owned()).into());
        }
        if call.streamed {
            return Ok((unpacked(message, &head.headers, self.largest)?, Coding::Identity));
        }
        Ok(unframed(&message, &head.headers)?)
    }
}

/// The messages of a streamed answer, each behind its five bytes.
pub(crate) fn messages(body: &Bytes) -> impl Iterator<Item = Result<Bytes, Failure>> {
    let mut rest = body.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = rest.get(1..PREFIX).and_then(|bytes| bytes.try_into().ok());
        let length = length.and_then(|bytes| usize::try_from(u32::from_be_bytes(bytes)).ok());
        let whole = length.and_then(|length| length.checked_add(PREFIX));
        let Some(whole) = whole.filter(|whole| *whole <= rest.len()) else {
            let text = format!("{} bytes at the end are not a message", rest.len());
            rest = Bytes::new();
            return Some(Err((Fault::Malformed, text)));
        };
        Some(Ok(rest.split_to(whole).split_off(PREFIX)))
    })
}

/// The messages of a streamed answer with those unpacked that are packed, of `largest` bytes in all.
fn unpacked(body: Bytes, headers: &HeaderMap, largest: usize) -> Result<Bytes, Failure> {
    let (mut at, mut packed) = (0, false);
    for message in messages(&body) {
        packed |= body.get(at) != Some(&0);
        at += PREFIX + message?.len();
    }
    if !packed {
        return Ok(body);
    }
    let coding = packing(headers);
    let mut whole = BytesMut::new();
    let mut at = 0;
    for message in messages(&body) {
        let (message, packed) = (message?, body.get(at) == Some(&1));
        at += PREFIX + message.len();
        let message = match &coding {
            Some(coding) if packed => {
                coding.decode(&message, largest.saturating_sub(whole.len()))?
            }
            _ => message,
        };
        whole.extend_from_slice(&prefix(message.len()));
        whole.extend_from_slice(&message);
    }
    Ok(whole.freeze())
}

/// The message behind its five bytes, and how it is packed.
fn unframed(message: &Bytes, headers: &HeaderMap) -> Result<(Bytes, Coding), Failure> {
    let packed = message.first() == Some(&1);
    let coding = packing(headers).filter(|_| packed).unwrap_or(Coding::Identity);
    let whole = message.len() >= PREFIX
        && (message[0] == 0 || packed && coding != Coding::Identity)
        && message[1..PREFIX] == prefix(message.len() - PREFIX)[1..];
    if !whole {
        let text = format!("{} bytes are not one message", message.len());
        return Err((Fault::Malformed, text));
    }
    Ok((message.slice(PREFIX..), coding))
}

/// Why a call got no answer.
enum Lost {
    /// The server did not take it; whether that is because it drains the connection.
    Untaken { drains: bool },
    /// Some other way.
    Failed(Failure),
}

impl From<Failure> for Lost {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<h2::Error> for Lost {
    /// Streams behind the last one that a server names when it goes away, and refused streams, were not looked at:
    /// RFC 9113, 6.8 and 8.7.
    fn from(error: h2::Error) -> Self {
        let reason = error.reason().filter(|_| error.is_remote());
        if error.is_go_away() && reason == Some(h2::Reason::NO_ERROR) {
            return Self::Untaken { drains: true };
        }
        if error.is_reset() && reason == Some(h2::Reason::REFUSED_STREAM) {
            return Self::Untaken { drains: false };
        }
        Self::Failed((Fault::Closed, format!("the connection failed: {error}")))
    }
}

impl Connection {
    /// Whether another stream may be opened: by our own limit, and by the server's.
    fn is_free(&self) -> bool {
        self.streams.get() < STREAMS.min(self.sender.current_max_send_streams().max(1))
    }

    /// Waits for the server's settings, which limit the streams.
    async fn settled(&self) {
        for turn in 0u32.. {
            if self.broken.get() || self.sender.current_max_send_streams() > 0 {
                return;
            }
            if turn < EAGER {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(WAIT).await;
            }
        }
    }
}

/// Frees the stream's place also when the call is given up.
struct Leave<'a>(&'a Connection);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get().saturating_sub(1));
    }
}

/// The failure that headers or trailers tell of.
fn status(headers: &HeaderMap) -> Option<Failure> {
    let text = |name| headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
    let code: u32 = text("grpc-status")?.parse().unwrap_or(2);
    let message = text("grpc-message").unwrap_or_default().replace("%20", " ");
    (code != 0).then_some((Fault::Grpc(code), message.chars().take(200).collect()))
}

#[cfg(test)]
mod tests;
