//! HTTP/1.1 as a load generator needs it: whole requests out, whole answers in, times exact.
//!
//! One request at a time on a connection; a new connection opens when none is idle. Written here,
//! on sockets, because the instants of the first and last byte are the result. Knows no model.

use super::coding::Coding;
use super::record::{Fault, Opened};
use super::stream::{Address, Failure, Stream};
use bytes::{Buf, Bytes, BytesMut};
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// A request, encoded.
#[derive(Clone, Debug)]
pub struct Request {
    /// Head and body.
    pub bytes: Bytes,
    /// Whether the answer has no body whatever its head says.
    pub head_only: bool,
    /// Whether the method asks for something and changes nothing.
    safe: bool,
}

impl Request {
    /// Encodes a request.
    pub fn new(
        method: &str,
        path: &str,
        authority: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Self {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let given = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !given("host") {
            let _ = write!(head, "Host: {authority}\r\n");
        }
        if !given("user-agent") {
            let _ = write!(head, "User-Agent: rooflens/{}\r\n", env!("CARGO_PKG_VERSION"));
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !body.is_empty() || method != "GET" {
            let _ = write!(head, "Content-Length: {}\r\n", body.len());
        }
        head.push_str("\r\n");
        let bytes = [head.as_bytes(), body].concat().into();
        Self { bytes, head_only: method == "HEAD", safe: matches!(method, "GET" | "HEAD") }
    }
}

/// An answer with a status; what the status means is for others to say.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// `Server-Timing`, where there is one.
    pub timing: Option<String>,
    /// `Inference-Header-Content-Length`, where there is one.
    pub inference_header: Option<usize>,
    /// How the body is packed.
    pub coding: Coding,
    /// `Location`, where there is one.
    pub location: Option<String>,
    /// The body.
    pub body: Bytes,
    /// Bytes that arrived, head included.
    pub size: u64,
}

/// Who follows an exchange while it goes on.
pub trait Listener {
    /// The first byte of the request is about to go out.
    fn sent(&self);

    /// Whether the body of a good answer is handed over as it arrives, and not kept.
    fn streams(&self) -> bool {
        false
    }

    /// What just arrived of such a body.
    fn hear(&self, piece: &[u8]) {
        let _ = piece;
    }
}

impl<F: Fn()> Listener for F {
    fn sent(&self) {
        self();
    }
}

/// The connections of one sender thread.
pub struct Pool {
    address: Address,
    /// Connections that serve no request, for each address of the server's name.
    idle: Vec<RefCell<Vec<Connection>>>,
    /// Requests so far: they go to the addresses in turn.
    turn: Cell<usize>,
    largest: usize,
    /// Connections opened so far.
    pub opened: Cell<Opened>,
    /// Whether the server closes connections behind its answers, as far as was seen.
    closes: Closes,
}

/// Whether a server has closed connections behind the first answer that they carried, although nothing in the answer
/// said so. Known to all pools of one server. A request on such a connection may reach the server after that and be
/// dropped unanswered, which nobody can tell from one that was read: each request has a connection of its own then.
#[derive(Clone, Debug, Default)]
pub struct Closes(Arc<AtomicBool>);

impl Closes {
    /// Whether it was seen.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Within this time behind an answer a server closes a connection because of the answer, not because it was idle.
const BEHIND: Duration = Duration::from_millis(50);

struct Connection {
    stream: Stream,
    buffer: BytesMut,
    /// What opening it took: about the time to the server and back.
    opening: Duration,
    /// The address that it is for.
    place: usize,
    /// Answers that it carried.
    answers: u64,
    /// When the last of them ended.
    ended: Instant,
}

/// Why an exchange failed.
struct Broken {
    failure: Failure,
    /// Whether the server certainly never read the request.
    unread: bool,
}

/// How a connection ended on which a request was sent.
enum Ending {
    /// In order, before the first byte of an answer.
    Closed,
    /// By a reset, before the first byte of an answer.
    Reset,
    /// Some other way.
    Unknown,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self { failure, unread: false }
    }
}

/// The largest request that fits into the buffers of a connection whole, so that a server which refuses it has read
/// nothing of it.
const WHOLE: usize = 16 << 10;

impl Pool {
    /// No connection yet; answers longer than `largest` bytes are given up.
    pub fn new(address: Address, largest: usize, closes: Closes) -> Self {
        let idle = address.sockets().iter().map(|_| RefCell::default()).collect();
        Self { address, idle, turn: Cell::default(), largest, opened: Cell::default(), closes }
    }

    /// Waits for a moment whether the server closes the connection of the answer that it just gave. That connection
    /// serves no other request.
    pub async fn watch(&self) {
        let kept = self.idle.iter().find_map(|idle| idle.borrow_mut().pop());
        if let Some(mut connection) = kept.filter(|connection| connection.answers == 1) {
            if connection.stream.ends(BEHIND).await {
                self.closes.set();
            }
        }
    }

    /// Sends and receives; `listener` follows. A request is sent again only where the server had closed an idle
    /// connection before it read it.
    pub async fn call(
        &self,
        request: &Request,
        listener: &impl Listener,
    ) -> Result<Response, Failure> {
        let place = self.turn.get() % self.idle.len().max(1);
        self.turn.set(place + 1);
        if let Some(connection) = self.idle(place).await {
            match self.exchange(connection, request, listener).await {
                Err(Broken { unread: true, .. }) => {
                    self.count(Opened { resent: 1, ..Opened::default() });
                }
                other => return other.map_err(|broken| broken.failure),
            }
        }
        let (stream, opened) = self.address.connect(place).await?;
        self.count(opened);
        let buffer = BytesMut::with_capacity(16 << 10);
        let (opening, ended) = (opened.connect, Instant::now());
        let connection = Connection { stream, buffer, opening, place, answers: 0, ended };
        self.exchange(connection, request, listener).await.map_err(|broken| broken.failure)
    }

    fn count(&self, opened: Opened) {
        let mut sum = self.opened.get();
        sum.add(opened);
        self.opened.set(sum);
    }

    /// A connection for the address of this place that the server has not closed meanwhile.
    async fn idle(&self, place: usize) -> Option<Connection> {
        loop {
            let mut connection = self.idle.get(place)?.borrow_mut().pop()?;
            if connection.stream.is_idle().await {
                return Some(connection);
            }
            if connection.answers == 1 && connection.ended.elapsed() < BEHIND {
                self.closes.set();
            }
        }
    }

    /// One exchange; the connection goes back when it can serve another.
    async fn exchange(
        &self,
        mut connection: Connection,
        request: &Request,
        listener: &impl Listener,
    ) -> Result<Response, Broken> {
        listener.sent();
        connection.buffer.clear();
        let whole = connection.write(&request.bytes).await;
        let (head, received) = match connection.head(&whole).await {
            Ok(head) => head,
            Err((failure, Ending::Unknown)) => return Err(failure.into()),
            // The end of a connection that was closed with something unread in it; a server may also end one so that
            // it has read.
            Err((failure, Ending::Reset)) => return Err(Broken { failure, unread: request.safe }),
            Err((failure, Ending::Closed)) => {
                let refused = || connection.stream.was_refused(2 * connection.opening + REFUSAL);
                let unread = request.bytes.len() <= WHOLE && (whole.is_err() || refused().await);
                return Err(Broken { failure, unread });
            }
        };
        connection.buffer.advance(head.length);
        let good = (200..300).contains(&head.status) && head.coding == Coding::Identity;
        let (body, reusable, more) = if good && listener.streams() && !request.head_only {
            let hear = |piece: &[u8]| listener.hear(piece);
            self.pieces(&mut connection, &head, &hear).await?
        } else {
            self.body(&mut connection, &head, request.head_only).await?
        };
        let size = (received + more) as u64;
        // A server that answers early may not read the rest.
        if reusable && head.keep_alive && matches!(whole, Ok(true)) && !self.closes.seen() {
            (connection.answers, connection.ended) = (connection.answers + 1, Instant::now());
            if let Some(idle) = self.idle.get(connection.place) {
                idle.borrow_mut().push(connection);
            }
        }
        let Head { status, timing, inference_header, location, coding, .. } = head;
        Ok(Response { status, timing, inference_header, coding, location, body, size })
    }

    /// The body, whether the connection ends cleanly behind it, and the bytes read for it.
    async fn body(
        &self,
        connection: &mut Connection,
        head: &Head,
        head_only: bool,
    ) -> Result<(Bytes, bool, usize), Failure> {
        let mut reader = Reader { connection, largest: self.largest, read: 0 };
        if head_only || head.status == 204 || head.status == 304 {
            return Ok((Bytes::new(), true, 0));
        }
        if head.chunked {
            let body = reader.chunks().await?;
            return Ok((body, true, reader.read));
        }
        match head.length_of_body {
            Some(length) => {
                if length > self.largest {
                    return Err(too_large(length, self.largest));
                }
                reader.fill(length).await?;
                let body = reader.connection.buffer.split_to(length).freeze();
                Ok((body, reader.connection.buffer.is_empty(), reader.read))
            }
            None => {
                while reader.more().await? > 0 {}
                Ok((reader.connection.buffer.split().freeze(), false, reader.read))
            }
        }
    }
}

impl Pool {
    /// Hands the body over as it arrives; what is returned of it is empty.
    async fn pieces(
        &self,
        connection: &mut Connection,
        head: &Head,
        hear: &impl Fn(&[u8]),
    ) -> Result<(Bytes, bool, usize), Failure> {
        let mut reader = Reader { connection, largest: self.largest, read: 0 };
        if matches!(head.status, 204 | 304) {
            return Ok((Bytes::new(), true, 0));
        }
        if head.chunked {
            let mut left = self.largest;
            loop {
                let size = reader.size_of_chunk().await?;
                if size == 0 {
                    return Ok((Bytes::new(), true, reader.read));
                }
                left = left.checked_sub(size).ok_or_else(|| too_large(size, left))?;
                reader.pass(size, hear).await?;
                reader.fill(2).await?;
                reader.connection.buffer.advance(2);
            }
        }
        if let Some(length) = head.length_of_body {
            if length > self.largest {
                return Err(too_large(length, self.largest));
            }
            reader.pass(length, hear).await?;
            return Ok((Bytes::new(), reader.connection.buffer.is_empty(), reader.read));
        }
        let mut left = self.largest;
        loop {
            let piece = reader.connection.buffer.split();
            left = left.checked_sub(piece.len()).ok_or_else(|| too_large(piece.len(), left))?;
            if !piece.is_empty() {
                hear(&piece);
            }
            if reader.more().await? == 0 {
                return Ok((Bytes::new(), false, reader.read));
            }
        }
    }
}

fn too_large(length: usize, largest: usize) -> Failure {
    (Fault::TooLarge, format!("the answer has {length} bytes or more; {largest} are allowed"))
}

/// How long a refusal of the system at the other end may take beyond the way there and back.
const REFUSAL: Duration = Duration::from_millis(3);

impl Connection {
    /// Writes a request until it is whole or its answer has begun; says whether it is whole.
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<bool> {
        let mut written = 0;
        while written < bytes.len() {
            let before = self.buffer.len();
            let (stream, buffer) = (&mut self.stream, &mut self.buffer);
            let step = std::future::poll_fn(|cx| {
                if let Poll::Ready(n) = Pin::new(&mut *stream).poll_write(cx, &bytes[written..]) {
                    return Poll::Ready(n.map(Some));
                }
                // The server takes nothing more at present: perhaps it has answered already.
                let mut own = [0; 4096];
                let mut early = ReadBuf::new(&mut own);
                let read = Pin::new(&mut *stream).poll_read(cx, &mut early);
                read.map_ok(|()| {
                    buffer.extend_from_slice(early.filled());
                    None
                })
            });
            match step.await? {
                Some(0) => return Err(ErrorKind::WriteZero.into()),
                Some(n) => written += n,
                None if self.answers(before) => return Ok(false),
                None => {}
            }
        }
        self.stream.flush().await.map(|()| true)
    }

    /// Whether the buffer, which held `before` bytes, holds an answer, something else, or the end of the connection.
    /// Interim answers ask for the rest of a request, and are taken out.
    fn answers(&mut self, before: usize) -> bool {
        if self.buffer.len() == before {
            return true;
        }
        loop {
            match Head::parse(&self.buffer) {
                Ok(Some(head)) if (100..200).contains(&head.status) && head.status != 101 => {
                    self.buffer.advance(head.length);
                }
                Ok(None) => return false,
                _ => return true,
            }
        }
    }

    /// The head of the answer and the bytes received so far, after a request was written as `whole` says.
    async fn head(
        &mut self,
        whole: &std::io::Result<bool>,
    ) -> Result<(Head, usize), (Failure, Ending)> {
        let (stream, buffer) = (&mut self.stream, &mut self.buffer);
        let mut received = buffer.len();
        loop {
            while let Some(head) =
                Head::parse(buffer).map_err(|text| ((Fault::Malformed, text), Ending::Unknown))?
            {
                // Interim answers say nothing, however many there are.
                if !(100..200).contains(&head.status) || head.status == 101 {
                    return Ok((head, received));
                }
                buffer.advance(head.length);
            }
            if buffer.len() > 64 << 10 {
                let text = "the head is longer than 64 KiB".to_owned();
                return Err(((Fault::Malformed, text), Ending::Unknown));
            }
            buffer.reserve(16 << 10);
            let read = stream.read_buf(buffer).await;
            let n = read.map_err(|e| {
                let reset = received == 0 && e.kind() == ErrorKind::ConnectionReset;
                let ending = if reset { Ending::Reset } else { Ending::Unknown };
                ((Fault::Closed, e.to_string()), ending)
            })?;
            if n == 0 {
                let text = match whole {
                    Err(error) => format!("the request could not be sent: {error}"),
                    Ok(_) => format!("the connection ended after {received} bytes of an answer"),
                };
                let ending = if received == 0 { Ending::Closed } else { Ending::Unknown };
                return Err(((Fault::Closed, text), ending));
            }
            received += n;
        }
    }
}

struct Reader<'a> {
    connection: &'a mut Connection,
    largest: usize,
    read: usize,
}

impl Reader<'_> {
    async fn more(&mut self) -> Result<usize, Failure> {
        let Connection { stream, buffer, .. } = &mut *self.connection;
        if buffer.len() > self.largest {
            return Err(too_large(buffer.len(), self.largest));
        }
        buffer.reserve(16 << 10);
        let read = stream.read_buf(buffer).await;
        let n = read.map_err(|e| (Fault::Closed, e.to_string()))?;
        self.read += n;
        Ok(n)
    }

    /// Reads until the buffer holds `length` bytes.
    async fn fill(&mut self, length: usize) -> Result<(), Failure> {
        if length > self.connection.buffer.len() {
            let missing = length - self.connection.buffer.len();
            self.connection.buffer.reserve(missing);
        }
        while self.connection.buffer.len() < length {
            let have = self.connection.buffer.len();
            if self.more().await? == 0 {
                let text = format!("the body ended after {have} of {length} bytes");
                return Err((Fault::Closed, text));
            }
        }
        Ok(())
    }

    async fn line(&mut self) -> Result<BytesMut, Failure> {
        loop {
            if let Some(end) = self.connection.buffer.iter().position(|b| *b == b'\n') {
                return Ok(self.connection.buffer.split_to(end + 1));
            }
            if self.connection.buffer.len() > 16 << 10 {
                return Err((Fault::Malformed, "a line between chunks does not end".into()));
            }
            if self.more().await? == 0 {
                return Err((Fault::Closed, "the connection ended between chunks".into()));
            }
        }
    }

    /// Hands `length` bytes over as they arrive.
    async fn pass(&mut self, length: usize, hear: &impl Fn(&[u8])) -> Result<(), Failure> {
        let mut left = length;
        while left > 0 {
            if self.connection.buffer.is_empty() && self.more().await? == 0 {
                let text = format!("the body ended after {} of {length} bytes", length - left);
                return Err((Fault::Closed, text));
            }
            let piece = self.connection.buffer.split_to(left.min(self.connection.buffer.len()));
            left -= piece.len();
            hear(&piece);
        }
        Ok(())
    }

    /// The size of the next chunk; behind the last, which is empty, the trailers are read too.
    async fn size_of_chunk(&mut self) -> Result<usize, Failure> {
        let line = self.line().await?;
        let text = String::from_utf8_lossy(&line);
        let size = text.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16)
            .map_err(|_| (Fault::Malformed, format!("a chunk has the size `{size}`")))?;
        while size == 0 && self.line().await?.len() > 2 {}
        Ok(size)
    }

    async fn chunks(&mut self) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        loop {
            let size = self.size_of_chunk().await?;
            if size == 0 {
                return Ok(body.freeze());
            }
            if body.len().saturating_add(size) > self.largest {
                return Err(too_large(body.len().saturating_add(size), self.largest));
            }
            self.fill(size + 2).await?;
            body.extend_from_slice(&self.connection.buffer.split_to(size));
            self.connection.buffer.advance(2);
        }
    }
}

struct Head {
    status: u16,
    length: usize,
    length_of_body: Option<usize>,
    chunked: bool,
    keep_alive: bool,
    timing: Option<String>,
    inference_header: Option<usize>,
    location: Option<String>,
    coding: Coding,
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>, String> {
        let mut headers = [httparse::EMPTY_HEADER; 96];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("not an HTTP answer: {error}")),
        };
        let mut head = Self {
            status: parsed.code.unwrap_or(0),
            length,
            length_of_body: None,
            chunked: false,
            keep_alive: parsed.version == Some(1),
            timing: None,
            inference_header: None,
            location: None,
            coding: Coding::Identity,
        };
        for header in parsed.headers.iter() {
            let value = || String::from_utf8_lossy(header.value);
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                let length = value().trim().parse();
                head.length_of_body = Some(length.map_err(|_| "the length is not a number")?);
            } else if is("transfer-encoding") {
                head.chunked = value().to_ascii_lowercase().contains("chunked");
            } else if is("connection") {
                let value = value().to_ascii_lowercase();
                head.keep_alive =
                    !value.contains("close") && (head.keep_alive || value.contains("keep-alive"));
            } else if is("server-timing") {
                let own = head.timing.take().map_or(String::new(), |t| t + ", ");
                head.timing = Some(own + &value());
            } else if is("content-encoding") {
                head.coding = Coding::named(&value());
            } else if is("location") {
                head.location = Some(value().trim().to_owned());
            } else if is("inference-header-content-length") {
                head.inference_header = value().trim().parse().ok();
            }
        }
        Ok(Some(head))
    }
}

/// Stages of a `Server-Timing` header: names with nanoseconds.
pub fn stages(header: &str) -> impl Iterator<Item = (&str, u64)> {
    header.split(',').filter_map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let name = parts.next().filter(|n| !n.is_empty())?;
        let milliseconds = parts.find_map(|p| p.strip_prefix("dur="))?;
        let value = milliseconds.trim_matches('"').parse::<f64>().ok()?;
        // Durations beyond five centuries end there.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        (value.is_finite() && value >= 0.0).then_some((name, (value * 1e6).round() as u64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads() {
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nserver-timing: pre;dur=1.5\r\n\r\nabc";
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.length_of_body, head.keep_alive), (200, Some(3), true));
        assert_eq!(&text[head.length..], b"abc");
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nConte").unwrap().is_none());
        assert!(Head::parse(b"SSH-2.0-OpenSSH\r\n").is_err());
        let old = Head::parse(b"HTTP/1.0 200 OK\r\n\r\n").unwrap().unwrap();
        assert!(!old.keep_alive && old.length_of_body.is_none());
    }

    #[test]
    fn timings() {
        let all: Vec<_> = stages("pre;dur=1.5, infer;desc=\"x\";dur=8, cache, bad;dur=x").collect();
        assert_eq!(all, [("pre", 1_500_000), ("infer", 8_000_000)]);
    }
}
