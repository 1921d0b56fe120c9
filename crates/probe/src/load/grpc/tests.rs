//! Calls against HTTP/2 servers that drain connections, refuse streams or pack answers.

use super::*;
use crate::connector::Exchange;
use h2::server::{Builder, SendResponse};
use http::{HeaderValue, Response};
use tokio::net::TcpListener;

/// What a server does with its connections.
#[derive(Clone, Copy)]
struct Manner {
    /// Ends a connection in order behind this many calls.
    drains: usize,
    /// Streams at a time.
    limit: u32,
    /// Whether answers are packed.
    packed: bool,
}

/// Answers a call after a moment.
async fn answer(mut respond: SendResponse<Bytes>, packed: bool) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    let mut head = Response::new(());
    let plain = b"an answer";
    let (flag, message) = if packed {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gzip, plain).unwrap();
        head.headers_mut().insert("grpc-encoding", HeaderValue::from_static("gzip"));
        (1, gzip.finish().unwrap())
    } else {
        (0, plain.to_vec())
    };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let bytes = [&[flag][..], &length, &message].concat();
    let Ok(mut body) = respond.send_response(head, false) else { return };
    let _ = body.send_data(bytes.into(), false);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let _ = body.send_trailers(trailers);
}

async fn serve(listener: TcpListener, manner: Manner) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::task::spawn_local(async move {
            let mut builder = Builder::new();
            builder.max_concurrent_streams(manner.limit);
            let Ok(mut connection) = builder.handshake::<_, Bytes>(stream).await else { return };
            let mut calls = 0;
            while let Some(Ok((_, respond))) = connection.accept().await {
                tokio::task::spawn_local(answer(respond, manner.packed));
                calls += 1;
                if calls == manner.drains {
                    connection.graceful_shutdown();
                }
            }
        });
    }
}

/// Sends calls from several tasks at once; what failed, and what was counted.
fn load(manner: Manner, tasks: usize, each: usize) -> (Vec<Failure>, Opened) {
    Exchange::new().unwrap().block(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::task::spawn_local(serve(listener, manner));
        let address = Address::resolve("127.0.0.1", port, None).unwrap();
        let pool = Rc::new(Pool::new(address, false, HeaderMap::new(), 1 << 20));
        let failures = Rc::new(RefCell::new(Vec::new()));
        let all: Vec<_> = (0..tasks)
            .map(|_| {
                let (pool, failures) = (pool.clone(), failures.clone());
                tokio::task::spawn_local(async move {
                    for _ in 0..each {
                        match pool.call(&Call::new("/package.Service/Method", &()), || ()).await {
                            Ok((body, coding)) => {
                                assert_eq!(coding.decode(&body, 100).unwrap(), "an answer");
                            }
                            Err(failure) => failures.borrow_mut().push(failure),
                        }
                    }
                })
            })
            .collect();
        for task in all {
            task.await.unwrap();
        }
        (failures.take(), pool.opened.get())
    })
}

#[test]
fn connections_that_the_server_drains_lose_no_call() {
    let (failures, opened) = load(Manner { drains: 20, limit: 100, packed: false }, 8, 50);
    assert!(failures.is_empty(), "{failures:?}");
    assert!(opened.count >= 10, "{opened:?}");
}

#[test]
fn calls_beyond_the_limit_of_streams_wait() {
    let (failures, opened) = load(Manner { drains: usize::MAX, limit: 2, packed: false }, 8, 20);
    assert!(failures.is_empty(), "{failures:?}");
    assert!(opened.count >= 4, "{opened:?}");
}

#[test]
fn packed_answers_are_read() {
    let (failures, _) = load(Manner { drains: usize::MAX, limit: 100, packed: true }, 2, 5);
    assert!(failures.is_empty(), "{failures:?}");
}
