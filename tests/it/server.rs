//! A server of known behaviour: the truth that measurements are held against.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// One at a time, each so long.
    Serve(Duration),
    /// At once, but nothing between two instants after the first request.
    Stall(Duration, Duration),
    /// A status.
    Status(u16),
    /// Status 500 for every so many-th request, the others at once.
    Fails(u64),
    /// Every so many-th answer is `BAD!` and the others are `GOOD`, each with so many blanks behind it.
    Wrong(u64, usize),
    /// Of each connection, the so many-th request is read and gets no answer: the connection ends.
    Drops(u64),
    /// A connection ends behind its so many-th answer, which does not say so.
    Closes(u64),
    /// A connection takes no more behind each answer, which does not say so; what still comes is read and dropped.
    Lingers,
    /// Status 413 as soon as the head is there; the body is never read.
    Early,
    /// Status 307 to another path of this server, which is good.
    Redirect,
    /// The Open Inference Protocol over HTTP, with so many rows of an output whose first axis is open.
    Boxes(usize),
    /// The same for a model of images with three channels and no batch.
    Channels,
    /// Half of the body, then the connection ends.
    Truncate,
    /// A byte now and then.
    Drip,
    /// So many bytes.
    Large(usize),
    /// Gone so long after the first request.
    Die(Duration),
    /// Two interim answers, then the answer, at once or in pieces.
    Interim,
    /// No HTTP at all.
    Noise,
    /// Two stages, one request at a time in each, told by `Server-Timing`; `/metrics` counts.
    Stages(Duration, Duration),
    /// The Open Inference Protocol over HTTP, with JSON outputs of so many values.
    Kserve(usize),
    /// The same with as many rows as are sent, one request at a time: so long, and so long for each row.
    Batched(Duration, Duration),
}

/// A running server; it ends with this value.
pub(crate) struct Server {
    pub(crate) port: u16,
    /// What was served, or dropped, where the manner counts it.
    pub(crate) served: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

struct Shared {
    manner: Manner,
    begin: Mutex<Option<Instant>>,
    free: Mutex<Instant>,
    second: Mutex<Instant>,
    served: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let served = Arc::new(AtomicU64::new(0));
        let shared = Arc::new(Shared {
            manner,
            begin: Mutex::new(None),
            free: Mutex::new(Instant::now()),
            second: Mutex::new(Instant::now()),
            served: served.clone(),
            over: over.clone(),
        });
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.over.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else { continue };
                std::thread::Builder::new()
                    .stack_size(64 << 10)
                    .spawn(move || shared.connection(stream))
                    .unwrap();
            }
        });
        Self { port, served, over }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    /// Answers until the peer leaves. Errors are the peer's leaving.
    fn connection(&self, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        if self.manner == Manner::Early {
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(
                b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 9\r\n\r\ntoo large",
            );
            return;
        }
        let (mut buffer, mut own) = (Vec::new(), 0);
        while let Some((path, body)) = request(&mut stream, &mut buffer) {
            own += 1;
            if matches!(self.manner, Manner::Drops(n) if own == n) {
                self.served.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let over = self.answer(&mut stream, &path, &body).is_none();
            if self.manner == Manner::Lingers {
                let _ = stream.shutdown(std::net::Shutdown::Write);
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
                return;
            }
            if over || matches!(self.manner, Manner::Closes(n) if own == n) {
                return;
            }
        }
    }

    /// `None` when the connection ends with this answer.
    #[allow(clippy::too_many_lines, reason = "a case for each path that the tests ask for")]
    fn answer(&self, stream: &mut TcpStream, path: &str, body: &str) -> Option<()> {
        let now = Instant::now();
        let begin = *self.begin.lock().unwrap().get_or_insert(now);
        match self.manner {
            Manner::Serve(each) => {
                until(turn(&self.free, now, each));
                ok(stream, "text/plain", b"done")
            }
            Manner::Stages(..) if path == "/metrics" => {
                let n = self.served.load(Ordering::Relaxed);
                let text = format!(
                    "# TYPE :own:requests counter\n:own:requests{{kind=\"good\"}} {n}\n# TYPE latency \
                     histogram\nlatency_bucket{{le=\"8\"}} 0\nlatency_bucket{{le=\"16\"}} {n}\n\
                     latency_bucket{{le=\"+Inf\"}} {n}\nlatency_sum {}\nlatency_count {n}\n",
                    12 * n
                );
                ok(stream, "text/plain", text.as_bytes())
            }
            Manner::Stages(first, second) => {
                until(turn(&self.second, turn(&self.free, now, first), second));
                self.served.fetch_add(1, Ordering::Relaxed);
                let ms = |d: Duration| d.as_secs_f64() * 1e3;
                let head = format!(
                    "HTTP/1.1 200 OK\r\nServer-Timing: pre;dur={:.3}, infer;dur={:.3}\r\n\
                     Content-Length: 4\r\n\r\ndone",
                    ms(first),
                    ms(second)
                );
                stream.write_all(head.as_bytes()).ok()
            }
            Manner::Stall(from, to) => {
                if (begin + from..begin + to).contains(&now) {
                    until(begin + to);
                }
                ok(stream, "text/plain", b"done")
            }
            Manner::Status(status) => {
                let text = format!("HTTP/1.1 {status} Trouble\r\nContent-Length: 7\r\n\r\ntrouble");
                stream.write_all(text.as_bytes()).ok()
            }
            Manner::Fails(every) => {
                if self.served.fetch_add(1, Ordering::Relaxed) % every == every - 1 {
                    let text = "HTTP/1.1 500 Trouble\r\nContent-Length: 7\r\n\r\ntrouble";
                    return stream.write_all(text.as_bytes()).ok();
                }
                ok(stream, "text/plain", b"done")
            }
            Manner::Wrong(every, size) => {
                let number = self.served.fetch_add(1, Ordering::Relaxed);
                let word = if number % every == every - 1 { "BAD!" } else { "GOOD" };
                ok(stream, "text/plain", format!("{word}{:size$}", "").as_bytes())
            }
            Manner::Drops(_) | Manner::Closes(_) | Manner::Lingers | Manner::Early => {
                ok(stream, "text/plain", b"done")
            }
            Manner::Redirect if path == "/new" => ok(stream, "text/plain", b"done"),
            Manner::Redirect => stream
                .write_all(b"HTTP/1.1 307 Elsewhere\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n")
                .ok(),
            Manner::Truncate => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
                None
            }
            Manner::Drip => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
                for _ in 0..100 {
                    std::thread::sleep(Duration::from_millis(100));
                    stream.write_all(b".").ok()?;
                }
                Some(())
            }
            Manner::Large(bytes) => ok(stream, "application/octet-stream", &vec![7; bytes]),
            Manner::Die(after) => {
                if now > begin + after {
                    self.over.store(true, Ordering::Relaxed);
                    return None;
                }
                ok(stream, "text/plain", b"done")
            }
            Manner::Interim => interim(stream, self.served.fetch_add(1, Ordering::Relaxed)),
            Manner::Noise => {
                let _ = stream.write_all(b"220 mail.example ready\r\n\r\n");
                None
            }
            Manner::Channels => {
                let body = match path {
                    "/v2" => r#"{"name":"fake","version":"1","extensions":[]}"#,
                    _ => {
                        r#"{"name":"m","platform":"test","inputs":[{"name":"x","datatype":"FP32","shape":[3,-1,-1]}],"outputs":[{"name":"y","datatype":"FP32","shape":[10]}]}"#
                    }
                };
                ok(stream, "application/json", body.as_bytes())
            }
            Manner::Kserve(_) | Manner::Batched(..) | Manner::Boxes(_) => {
                let rows = body.split("\"shape\":[").nth(1).and_then(|s| s.split(',').next());
                let rows = rows.map_or(1, |n| n.parse::<u32>().unwrap());
                let rows = match self.manner {
                    Manner::Boxes(n) => u32::try_from(n).unwrap(),
                    _ => rows,
                };
                let values = match self.manner {
                    Manner::Kserve(values) => values,
                    _ => 3,
                };
                if let (Manner::Batched(fixed, each), true) = (self.manner, path.ends_with("infer"))
                {
                    until(turn(&self.free, now, fixed + each * rows));
                }
                let data = vec!["0.5"; values * rows as usize].join(",");
                let body = match path {
                    "/v2" => r#"{"name":"fake","version":"1","extensions":[]}"#.to_owned(),
                    "/v2/models/m" => r#"{"name":"m","platform":"test","inputs":[{"name":"x","datatype":"FP32","shape":[-1,4]}],"outputs":[{"name":"y","datatype":"FP32","shape":[-1,3]}]}"#.to_owned(),
                    "/v2/models/m/infer" => format!(r#"{{"outputs":[{{"name":"y","datatype":"FP32","shape":[{rows},{values}],"data":[{data}]}}]}}"#),
                    _ => return stream.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").ok(),
                };
                ok(stream, "application/json", body.as_bytes())
            }
        }
    }
}

/// When one that comes at `from` and takes so long is done, by what does one at a time and is next `free`.
fn turn(free: &Mutex<Instant>, from: Instant, each: Duration) -> Instant {
    let mut free = free.lock().unwrap();
    *free = (*free).max(from) + each;
    *free
}

/// Two interim answers and the answer, in one piece or in several.
fn interim(stream: &mut TcpStream, number: u64) -> Option<()> {
    let text = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n\
                HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone";
    for piece in text.as_bytes().chunks(if number.is_multiple_of(2) { text.len() } else { 30 }) {
        stream.write_all(piece).ok()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(())
}

fn until(instant: Instant) {
    std::thread::sleep(instant.saturating_duration_since(Instant::now()));
}

fn ok(stream: &mut TcpStream, kind: &str, body: &[u8]) -> Option<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()
}

/// The path and the body of the next request.
pub(crate) fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    let mut chunk = [0; 8192];
    loop {
        if let Some(head) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            let length = text.lines().find_map(|l| l.strip_prefix("Content-Length: "));
            let whole = head + 4 + length.map_or(0, |l| l.trim().parse::<usize>().unwrap());
            if buffer.len() >= whole {
                let body = String::from_utf8_lossy(&buffer[head + 4..whole]).into_owned();
                buffer.drain(..whole);
                return text.split(' ').nth(1).map(|path| (path.to_owned(), body));
            }
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
