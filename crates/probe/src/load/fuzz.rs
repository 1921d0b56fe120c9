//! Ways in for the fuzz targets below `fuzz/`: any bytes as what a server or a file of a user says, through
//! the code that reads it. Built only for fuzzing and tests, which run the seeds.

use super::grpc;
use super::hlog;
use super::http::{Closes, Pool, Request, stages};
use super::measurement::{FILES, Measured};
use super::meter::prometheus;
use super::metric::Metric;
use super::record::Interval;
use super::stream::Address;
use super::target::openai::fuzz_answer;
use super::target::platform::fuzz_triton;
use super::target::tensor::{Given, Tensor, npy, numbers};
use super::trace::{Scale, Trace};
use ::http::{HeaderMap, HeaderValue, Response};
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that an answer may have.
const LARGEST: usize = 1 << 20;
/// What an exchange may take; the bytes are there at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// A server of one connection in this thread, and a client of it.
fn exchange<S: Future, C: Future>(
    server: impl FnOnce(TcpStream) -> S,
    client: impl FnOnce(Address) -> C,
) -> Option<C::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.ok()?;
        let port = listener.local_addr().ok()?.port();
        let address = Address::resolve("127.0.0.1", port, None).ok()?;
        let served = async {
            if let Ok((stream, _)) = listener.accept().await {
                server(stream).await;
            }
        };
        let (client, server) = (client(address), served);
        tokio::pin!(client, server);
        let both = async {
            tokio::select! {
                answer = &mut client => answer,
                () = &mut server => (&mut client).await,
            }
        };
        let answer = tokio::time::timeout(PATIENCE, both).await;
        assert!(answer.is_ok(), "the client waits for ever");
        answer.ok()
    })
}

/// An HTTP/1.1 answer, head and body, and the stages in its head.
pub fn http(data: &[u8]) {
    let request = Request::new("POST", "/", "server", &[], b"x");
    let server = |mut stream: TcpStream| async move {
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(data).await;
        let _ = stream.shutdown().await;
    };
    let client = |address| async move {
        let pool = Pool::new(address, LARGEST, Closes::default());
        pool.call(&request, &|| ()).await
    };
    if let Some(Ok(answer)) = exchange(server, client) {
        assert!(answer.body.len() <= LARGEST && answer.body.len() as u64 <= answer.size);
        for (name, _) in stages(answer.timing.as_deref().unwrap_or_default()) {
            assert!(!name.is_empty());
        }
    }
}

/// A gRPC answer: the first byte says where the status stands and how long the frames are, the second is
/// the status; the rest is the message with its prefix.
pub fn grpc(data: &[u8]) {
    let [how, status, message @ ..] = data else { return };
    let (in_head, in_trailers) = (how & 1 != 0, how & 2 != 0);
    let frame = 1 + usize::from(how >> 2);
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(&[*status]) {
        headers.insert("grpc-status", value);
    }
    let trailers = headers.clone();
    let server = |stream: TcpStream| async move {
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        let Some(Ok((_, mut respond))) = connection.accept().await else { return };
        let mut head = Response::new(());
        if in_head {
            *head.headers_mut() = headers;
        }
        let Ok(mut body) = respond.send_response(head, false) else { return };
        for part in message.chunks(frame) {
            let _ = body.send_data(Bytes::copy_from_slice(part), false);
        }
        let _ = if in_trailers {
            body.send_trailers(trailers)
        } else {
            body.send_data(Bytes::new(), true)
        };
        while connection.accept().await.is_some() {}
    };
    let client = |address| async move {
        let pool = grpc::Pool::new(address, false, HeaderMap::new(), LARGEST);
        pool.call(&grpc::Call::new("/package.Service/Method", &()), || ()).await
    };
    if let Some(Ok((answer, _))) = exchange(server, client) {
        assert_eq!(answer.len() + 5, message.len());
    }
    // The same as a streamed answer.
    let whole: Vec<_> = grpc::messages(&Bytes::copy_from_slice(message)).collect();
    let bytes: usize = whole.iter().flatten().map(|m| m.len() + 5).sum();
    assert!(bytes <= message.len());
}

/// A file of JSON Lines as a data set, read from its last record to its first.
pub fn data_set(data: &[u8]) {
    let path = std::env::temp_dir().join(format!("rooflens-fuzz-{}.jsonl", std::process::id()));
    let written = std::fs::write(&path, data);
    assert!(written.is_ok(), "{}: {written:?}", path.display());
    super::data::fuzz(&path);
}

/// A record of a data set as an input: the first byte says which.
pub fn record(data: &[u8]) {
    super::target::fuzz_record(data);
}

/// A `Location`, and the URL it leads to.
pub fn location(data: &[u8]) {
    super::target::fuzz_location(&String::from_utf8_lossy(data));
}

/// Two pages of Prometheus text, apart by a zero byte, and what changed between them.
pub fn prometheus(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (before, after) = text.split_once('\0').unwrap_or(("", &text));
    let (before, after) = (prometheus::parse(before), prometheus::parse(after));
    for change in prometheus::changes(&before, &after).values() {
        if let prometheus::Change::Histogram(spread) = change {
            let _ = (spread.mean(), spread.quantile(0.5), spread.quantile(0.99));
        }
    }
}

/// A `.npy` file, and its contents in every form in which they are sent.
pub fn npy_file(data: &[u8]) {
    let Ok(Given::Contents(dtype, shape, data)) = npy(data) else { return };
    let values = numbers(dtype, &data).map_or(0, |v| v.len());
    let tensor = Tensor { name: "x".into(), dtype, shape, data };
    if let Some(json) = tensor.json() {
        assert_eq!(json.len(), values);
        let _ = tensor.nested();
    }
}

/// An interval log, read and written again.
pub fn log(data: &[u8]) {
    let mut record = super::record::Record::with_step(50_000_000);
    record.intervals = vec![Interval::default(); 64];
    if hlog::read(data, record.step, &mut record.intervals).is_ok() {
        for interval in &record.intervals {
            let _ = interval.durations[Metric::Response].quantile(0.99, 0);
        }
        let _ = hlog::write(&record, SystemTime::UNIX_EPOCH);
    }
}

/// Triton's statistics and configuration, as JSON and as messages, and what changed since.
pub fn triton_answers(data: &[u8]) {
    fuzz_triton(data);
}

/// The streamed answer of a language model; the first byte says where it is cut in two.
pub fn events(data: &[u8]) {
    fuzz_answer(data);
}

/// A trace, whose arrivals are in order.
pub fn trace(data: &[u8]) {
    let Ok(trace) = Trace::read("fuzz", data, Scale::default(), 1) else { return };
    assert!(trace.instants.is_sorted() && trace.instants.first() == Some(&0));
    assert!(trace.dispersion() >= 0.0);
}

/// A measurement: its JSON and its interval log, apart by a zero byte; merged with itself, too.
pub fn measurement(data: &[u8]) {
    let at = data.iter().position(|b| *b == 0).unwrap_or(data.len());
    let (json, log) = data.split_at(at);
    let folder = std::env::temp_dir().join(format!("rooflens-fuzz-{}", std::process::id()));
    let put = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes);
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| put(FILES[0], json))
        .and_then(|()| put(FILES[1], log.get(1..).unwrap_or_default()));
    assert!(written.is_ok(), "{}: {written:?}", folder.display());
    if let Ok(read) = Measured::load(&folder) {
        let _ = Measured::merge(&[read.clone(), read.clone()]);
        let _ = Measured::merge(&[read]);
    }
}

#[cfg(test)]
mod tests {
    /// Seeds below `fuzz/seeds`, and what reads them.
    type Parser = fn(&[u8]);
    const SEEDS: [(&str, Parser); 12] = [
        ("http", super::http),
        ("grpc", super::grpc),
        ("prometheus", super::prometheus),
        ("npy", super::npy_file),
        ("hlog", super::log),
        ("triton", super::triton_answers),
        ("events", super::events),
        ("trace", super::trace),
        ("data_set", super::data_set),
        ("record", super::record),
        ("location", super::location),
        ("measurement", super::measurement),
    ];

    #[test]
    fn seeds_are_read() {
        for (folder, read) in SEEDS {
            let folder = format!("{}/../../fuzz/seeds/{folder}", env!("CARGO_MANIFEST_DIR"));
            let mut seeds = 0;
            for entry in std::fs::read_dir(&folder).unwrap() {
                read(&std::fs::read(entry.unwrap().path()).unwrap());
                seeds += 1;
            }
            assert!(seeds > 0, "{folder}");
        }
    }
}
