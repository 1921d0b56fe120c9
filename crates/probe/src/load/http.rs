//! HTTP/1.1 as a load generator needs it: whole requests out, whole answers in, times exact.
//!
//! One request at a time on a connection; a new connection opens when none is idle. Written here,
//! on sockets, because the instants of the first and last byte are the result. Knows no model.

use super::record::Fault;
use super::stream::{Address, Failure, Stream};
use bytes::{Buf, Bytes, BytesMut};
use std::cell::{Cell, RefCell};
use std::fmt::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A request, encoded.
#[derive(Clone, Debug)]
pub struct Request {
    /// Head and body.
    pub bytes: Bytes,
    /// Whether the answer has no body whatever its head says.
    pub head_only: bool,
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
        Self { bytes, head_only: method == "HEAD" }
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
    /// The body.
    pub body: Bytes,
    /// Bytes that arrived, head included.
    pub size: u64,
}

/// The connections of one sender thread.
pub struct Pool {
    address: Address,
    idle: RefCell<Vec<Connection>>,
    largest: usize,
    /// Connections opened so far.
    pub opened: Cell<u64>,
}

struct Connection {
    stream: Stream,
    buffer: BytesMut,
}

impl Pool {
    /// No connection yet; answers longer than `largest` bytes are given up.
    pub fn new(address: Address, largest: usize) -> Self {
        Self { address, idle: RefCell::default(), largest, opened: Cell::new(0) }
    }

    /// Sends and receives; `sent` is called when the first byte is about to go out.
    pub async fn call(&self, request: &Request, sent: impl Fn()) -> Result<Response, Failure> {
        let idle = self.idle.borrow_mut().pop();
        if let Some(connection) = idle {
            match self.exchange(connection, request, &sent).await {
                // A server may close an idle connection at any time, also just now.
                Err((Fault::Closed, _, true)) => {}
                other => return other.map_err(|(fault, text, _)| (fault, text)),
            }
        }
        let stream = self.address.connect().await?;
        self.opened.set(self.opened.get() + 1);
        let connection = Connection { stream, buffer: BytesMut::with_capacity(16 << 10) };
        self.exchange(connection, request, &sent).await.map_err(|(fault, text, _)| (fault, text))
    }

    /// One exchange; the connection goes back when it can serve another. A failure says whether it
    /// came before the first byte of an answer.
    async fn exchange(
        &self,
        mut connection: Connection,
        request: &Request,
        sent: &impl Fn(),
    ) -> Result<Response, (Fault, String, bool)> {
        sent();
        let (stream, buffer) = (&mut connection.stream, &mut connection.buffer);
        buffer.clear();
        let early = |e: std::io::Error| (Fault::Closed, e.to_string(), true);
        stream.write_all(&request.bytes).await.map_err(early)?;
        stream.flush().await.map_err(early)?;
        let mut received = 0;
        let head = 'head: loop {
            buffer.reserve(16 << 10);
            let n = stream
                .read_buf(buffer)
                .await
                .map_err(|e| (Fault::Closed, e.to_string(), received == 0))?;
            if n == 0 {
                let text = format!("the connection ended after {received} bytes of an answer");
                return Err((Fault::Closed, text, received == 0));
            }
            received += n;
            while let Some(head) =
                Head::parse(buffer).map_err(|text| (Fault::Malformed, text, false))?
            {
                // Interim answers say nothing, however many there are.
                if !(100..200).contains(&head.status) || head.status == 101 {
                    break 'head head;
                }
                buffer.advance(head.length);
            }
            if buffer.len() > 64 << 10 {
                return Err((Fault::Malformed, "the head is longer than 64 KiB".into(), false));
            }
        };
        buffer.advance(head.length);
        let (body, reusable, more) = self
            .body(&mut connection, &head, request.head_only)
            .await
            .map_err(|(fault, text)| (fault, text, false))?;
        let size = (received + more) as u64;
        if reusable && head.keep_alive {
            self.idle.borrow_mut().push(connection);
        }
        let Head { status, timing, inference_header, .. } = head;
        Ok(Response { status, timing, inference_header, body, size })
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

fn too_large(length: usize, largest: usize) -> Failure {
    (Fault::TooLarge, format!("the answer has {length} bytes or more; {largest} are allowed"))
}

struct Reader<'a> {
    connection: &'a mut Connection,
    largest: usize,
    read: usize,
}

impl Reader<'_> {
    async fn more(&mut self) -> Result<usize, Failure> {
        let Connection { stream, buffer } = &mut *self.connection;
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

    async fn chunks(&mut self) -> Result<Bytes, Failure> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let text = String::from_utf8_lossy(&line);
            let size = text.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| (Fault::Malformed, format!("a chunk has the size `{size}`")))?;
            if size == 0 {
                while self.line().await?.len() > 2 {}
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
