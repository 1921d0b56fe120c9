//! gRPC as a load generator needs it: unary calls on HTTP/2 streams, messages encoded beforehand.
//!
//! A call is a path, a length-prefixed message and a status in the trailers; that is all there is
//! here. Several connections are used, since one that carries many streams delays them. The head of
//! a request is built once for each method, the message once for each variant.

use super::record::{Fault, Opened};
use super::stream::{Address, Failure};
use bytes::{Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Method, Version};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Streams on a connection before another opens.
const STREAMS: usize = 32;
/// What the peer may send before it must wait: enough that the network sets the pace.
const WINDOW: u32 = 16 << 20;

/// A call, encoded.
#[derive(Clone, Debug)]
pub struct Call {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// With the five bytes before it.
    pub message: Bytes,
}

impl Call {
    /// Encodes a call.
    pub fn new(path: &'static str, message: &impl prost::Message) -> Self {
        let length = message.encoded_len();
        let mut bytes = Vec::with_capacity(5 + length);
        bytes.push(0);
        bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        // A vector grows as needed.
        let _ = message.encode(&mut bytes);
        Self { path, message: bytes.into() }
    }
}

/// The connections of one sender thread.
pub struct Pool {
    address: Address,
    secure: bool,
    metadata: HeaderMap,
    connections: RefCell<Vec<Rc<Connection>>>,
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
}

impl Pool {
    /// No connection yet; answers longer than `largest` bytes are given up.
    pub fn new(address: Address, secure: bool, metadata: HeaderMap, largest: usize) -> Self {
        let (connections, heads, opened) =
            (RefCell::default(), RefCell::default(), Cell::default());
        Self { address, secure, metadata, connections, largest, heads, opened }
    }

    /// Calls; `sent` is called when the request is about to go out. Returns the message.
    pub async fn call(&self, call: &Call, sent: impl Fn()) -> Result<Bytes, Failure> {
        let connection = self.connection().await?;
        connection.streams.set(connection.streams.get() + 1);
        let guard = Leave(&connection);
        let outcome = self.exchange(guard.0, call, sent).await;
        if matches!(&outcome, Err((Fault::Closed, _))) {
            connection.broken.set(true);
        }
        outcome
    }

    async fn connection(&self) -> Result<Rc<Connection>, Failure> {
        self.connections.borrow_mut().retain(|c| !c.broken.get());
        let free = self.connections.borrow().iter().find(|c| c.streams.get() < STREAMS).cloned();
        if let Some(connection) = free {
            return Ok(connection);
        }
        let (stream, opened) = self.address.connect().await?;
        let (sender, driver) = h2::client::Builder::new()
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(|e| (Fault::Malformed, format!("not an HTTP/2 server: {e}")))?;
        let mut sum = self.opened.get();
        sum.add(opened);
        self.opened.set(sum);
        let broken = Rc::new(Cell::new(false));
        let flag = broken.clone();
        tokio::task::spawn_local(async move {
            // How it ended shows in the calls on it.
            let _ = driver.await;
            flag.set(true);
        });
        let connection = Rc::new(Connection { sender, streams: Cell::new(0), broken });
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
        sent: impl Fn(),
    ) -> Result<Bytes, Failure> {
        let closed = |e: h2::Error| (Fault::Closed, format!("the connection failed: {e}"));
        let mut sender = connection.sender.clone().ready().await.map_err(closed)?;
        let request = self.head(call.path)?;
        sent();
        let (response, mut stream) = sender.send_request(request, false).map_err(closed)?;
        stream.send_data(call.message.clone(), true).map_err(closed)?;
        let response = response.await.map_err(closed)?;
        let (head, mut body) = response.into_parts();
        if !head.status.is_success() {
            return Err((Fault::Http(head.status.as_u16()), "the answer is not gRPC".into()));
        }
        // Errors may come with the head alone.
        if let Some(failure) = status(&head.headers) {
            return Err(failure);
        }
        // Most answers are one frame, which is kept as it is.
        let (mut first, mut more) = (Bytes::new(), BytesMut::new());
        while let Some(data) = body.data().await {
            let data = data.map_err(closed)?;
            let _ = body.flow_control().release_capacity(data.len());
            if first.len().max(more.len()) + data.len() > self.largest {
                let text = format!("the answer has more than {} bytes", self.largest);
                return Err((Fault::TooLarge, text));
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
        let trailers = body.trailers().await.map_err(closed)?.unwrap_or_default();
        if let Some(failure) = status(&trailers) {
            return Err(failure);
        }
        if trailers.get("grpc-status").or(head.headers.get("grpc-status")).is_none() {
            return Err((Fault::Malformed, "the answer has no gRPC status".into()));
        }
        let whole = message.len() >= 5
            && message[0] == 0
            && message[1..5] == u32::try_from(message.len() - 5).unwrap_or(u32::MAX).to_be_bytes();
        if !whole {
            let text = format!("{} bytes are not one uncompressed message", message.len());
            return Err((Fault::Malformed, text));
        }
        Ok(message.slice(5..))
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
