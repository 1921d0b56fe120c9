//! A language model of known times: the truth that measurements of streams are held against.

use crate::server::request;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What goes wrong in the middle of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// Nothing comes for so long before the third piece.
    Stall(Duration),
    /// The answer ends in order behind its third piece.
    EarlyEnd,
    /// All of it but the end of the stream.
    NoDone,
    /// An error behind the third piece, in a good stream.
    ErrorEvent,
    /// The connection ends behind the third piece.
    Killed,
    /// No piece has text.
    Empty,
}

/// How it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script {
    /// From a request to the first piece.
    pub(crate) first: Duration,
    /// Between two pieces.
    pub(crate) gap: Duration,
    /// Tokens in a piece.
    pub(crate) tokens: u64,
    /// Every so many-th answer has trouble.
    pub(crate) every: u64,
    pub(crate) trouble: Trouble,
    /// Whether tokens are reported.
    pub(crate) usage: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(20),
            gap: Duration::from_millis(5),
            tokens: 1,
            every: 1,
            trouble: Trouble::None,
            usage: true,
        }
    }
}

/// A running server; it ends with this value.
pub(crate) struct Streamer {
    pub(crate) port: u16,
    /// Bodies of the requests for streams, in the order in which they came.
    pub(crate) bodies: Arc<std::sync::Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
}

/// Tokens that its template adds to the words of a prompt.
pub(crate) const TEMPLATE: u64 = 5;

impl Streamer {
    pub(crate) fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let over = Arc::new(AtomicBool::new(false));
        let bodies = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (ended, served, seen) = (over.clone(), Arc::new(AtomicU64::new(0)), bodies.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(mut stream), served, seen) = (stream, served.clone(), seen.clone()) else {
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let own = move || {
                    let mut buffer = Vec::new();
                    while let Some((path, body)) = request(&mut stream, &mut buffer) {
                        if answer(&mut stream, &path, &body, &script, &served, &seen).is_none() {
                            return;
                        }
                    }
                };
                std::thread::Builder::new().stack_size(64 << 10).spawn(own).unwrap();
            }
        });
        Self { port, bodies, over }
    }

    pub(crate) fn url(&self) -> String {
        format!("openai+http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Streamer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Words of the prompt of a request.
fn words(body: &str) -> u64 {
    let prompt = body.split("\"content\":\"").nth(1).or(body.split("\"input\":\"").nth(1));
    let text = prompt.and_then(|rest| rest.split('"').next()).unwrap_or_default();
    text.split_whitespace().count() as u64
}

fn member(body: &str, name: &str) -> Option<u64> {
    let rest = body.split(&format!("\"{name}\":")).nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// `None` when the connection ends with this answer.
fn answer(
    stream: &mut TcpStream,
    path: &str,
    body: &str,
    script: &Script,
    served: &AtomicU64,
    seen: &std::sync::Mutex<Vec<String>>,
) -> Option<()> {
    let begin = Instant::now();
    if path == "/v1/models" {
        let list =
            r#"{"object":"list","data":[{"id":"clock","object":"model","owned_by":"tests"}]}"#;
        return whole(stream, list);
    }
    let input = TEMPLATE + words(body);
    let usage = |output: u64| {
        format!(
            r#""usage":{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{}}}"#,
            input + output
        )
    };
    if path == "/v1/embeddings" {
        return whole(
            stream,
            &format!(r#"{{"data":[{{"embedding":[0.5],"index":0}}],{}}}"#, usage(0)),
        );
    }
    if !body.contains("\"stream\":true") {
        return whole(stream, &format!(r#"{{"choices":[{{"text":"x"}}],{}}}"#, usage(1)));
    }
    seen.lock().unwrap().push(body.to_owned());
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    let number = served.fetch_add(1, Ordering::Relaxed);
    // The first request is that before the load.
    let troubled = number > 0 && number.is_multiple_of(script.every);
    let trouble = if troubled { script.trouble } else { Trouble::None };
    let output = member(body, "max_tokens").unwrap_or(8);
    event(
        stream,
        r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
    )?;
    let pieces = output.div_ceil(script.tokens);
    let mut at = begin + script.first;
    for piece in 0..pieces {
        match trouble {
            Trouble::Stall(long) if piece == 2 => at += long,
            Trouble::EarlyEnd if piece == 3 => return chunk(stream, ""),
            Trouble::Killed if piece == 3 => {
                let _ = stream.write_all(b"2f\r\ndata: {\"choi");
                return None;
            }
            Trouble::ErrorEvent if piece == 3 => {
                event(
                    stream,
                    r#"{"error":{"message":"out of memory","type":"server_error","code":500}}"#,
                )?;
                return chunk(stream, "");
            }
            _ => {}
        }
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let text = if trouble == Trouble::Empty { "" } else { "word " };
        event(
            stream,
            &format!(
                r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
            ),
        )?;
        at += script.gap;
    }
    event(stream, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#)?;
    if script.usage {
        event(stream, &format!(r#"{{"choices":[],{}}}"#, usage(output)))?;
    }
    if trouble != Trouble::NoDone {
        event(stream, "[DONE]")?;
    }
    chunk(stream, "")
}

fn event(stream: &mut TcpStream, data: &str) -> Option<()> {
    chunk(stream, &format!("data: {data}\n\n"))
}

/// One chunk; the empty one ends the body.
fn chunk(stream: &mut TcpStream, text: &str) -> Option<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).ok()
}

fn whole(stream: &mut TcpStream, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).ok()
}
