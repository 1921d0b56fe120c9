//! Servers as they are reached: Unix sockets, IPv6, packed answers, redirects, and texts that no good answer has.

use crate::probe::probe;
use crate::run::rooflens;
use crate::server::{Manner, Server};
use std::io::{Read, Write};
use std::net::TcpListener;

const SHORT: [&str; 5] = ["--load", "closed:1", "--seconds", "0.5", "--no-meters"];

/// Gives every request of a connection the same answer.
fn answers(mut stream: impl Read + Write, answer: &[u8]) {
    let mut bytes = [0; 4096];
    while stream.read(&mut bytes).is_ok_and(|n| n > 0) {
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

fn answer(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// Serves one answer at an address of its own; the port.
fn serve(host: &str, answer: Vec<u8>) -> Option<u16> {
    let listener = TcpListener::bind((host, 0)).ok()?;
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), answer.clone());
            std::thread::spawn(move || answers(stream, &answer));
        }
    });
    Some(port)
}

#[test]
#[cfg(unix)]
fn a_server_behind_a_unix_socket_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("server.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answers(stream, &answer("", b"done")));
        }
    });
    let socket = socket.to_str().unwrap();
    for target in [
        format!("http+unix://{socket}:/predict"),
        format!("http+unix://{}/predict", socket.replace('/', "%2F")),
    ] {
        let (_, m) = probe(&target, &[&SHORT[..], &["--expect", "done"]].concat());
        assert!(m["window"]["good"].as_u64() > Some(0), "{}", m["window"]);
        assert_eq!(m["window"]["lost"], 0, "{}", m["errors"]);
        assert_eq!(m["target"]["addresses"][0], format!("unix:{socket}"));
    }
    let run = rooflens(&["probe", "http+unix:///no/such.sock:/", "-o", "/no/such/folder"]);
    assert!(run.code == 2 && run.stderr.contains("unix:/no/such.sock"), "{}", run.stderr);
    let run = rooflens(&["probe", "http+unix://no/such.sock"]);
    assert!(run.stderr.contains("http+unix:///run/server.sock:/predict"), "{}", run.stderr);
}

#[test]
fn a_server_with_an_ipv6_address_is_measured() {
    let Some(port) = serve("::1", answer("", b"done")) else {
        // Some containers have no IPv6 at all, which is no fault of ours.
        assert!(std::net::UdpSocket::bind("[::1]:0").is_err());
        return;
    };
    let (_, m) = probe(&format!("http://[::1]:{port}/x"), &SHORT);
    assert!(m["window"]["good"].as_u64() > Some(0) && m["window"]["lost"] == 0, "{}", m["errors"]);
    assert_eq!(m["target"]["addresses"][0], format!("[::1]:{port}"));
}

/// The body is `the answer is forty-two ` eight times, packed by version 1.2 of Google's encoder.
#[test]
fn answers_that_are_packed_by_brotli_are_read() {
    let packed: &[u8] = &[
        0x1b, 0xbf, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x34, 0x70, 0x8e, 0xc5, 0x64, 0x8d, 0x8a,
        0xcd, 0x32, 0x38, 0x2f, 0x10, 0xb9, 0x22, 0x45, 0xc0, 0x3a, 0xa1, 0x27, 0xd4, 0x2e, 0x7c,
        0xc4, 0x2c, 0x2f, 0x6e, 0x00,
    ];
    let port = serve("127.0.0.1", answer("Content-Encoding: br\r\n", packed)).unwrap();
    let url = format!("http://127.0.0.1:{port}/");
    let wanted = ["--header", "Accept-Encoding: br", "--expect"];
    let (_, m) = probe(&url, &[&SHORT[..], &wanted, &["forty-two the"]].concat());
    assert!(m["window"]["good"].as_u64() > Some(0) && m["window"]["lost"] == 0, "{}", m["errors"]);
    let (_, m) = probe(&url, &[&SHORT[..], &wanted, &["forty-three"]].concat());
    assert!(m["window"]["good"] == 0, "{}", m["window"]);
}

#[test]
fn an_error_behind_a_good_status_is_rejected() {
    let server = Server::start(Manner::Wrong(10, 64));
    let load = ["--load", "closed:1", "--requests", "500", "--warm-up", "0", "--no-meters"];
    let (run, m) = probe(&server.url(), &[&load[..], &["--reject", "BAD!"]].concat());
    let error = &m["errors"][0];
    // The first answer, before the load, is good.
    assert_eq!((error["kind"].as_str(), error["count"].as_u64()), (Some("wrong-answer"), Some(50)));
    assert!(error["message"].as_str().unwrap().contains("contains `BAD!`"), "{error}");
    assert_eq!((m["verdict"]["verdict"].as_str(), run.code), (Some("FAILING"), 1));
}

#[test]
fn a_redirect_is_followed_where_asked() {
    let server = Server::start(Manner::Redirect);
    let follow = ["--follow", "--json", "{}", "--expect", "done"];
    let (_, m) = probe(&server.url(), &[&SHORT[..], &follow].concat());
    assert!(m["window"]["good"].as_u64() > Some(0) && m["window"]["lost"] == 0, "{}", m["errors"]);
    let notes = m["verdict"]["notes"].to_string();
    assert!(notes.contains("redirects to") && notes.contains("/new"), "{notes}");
    // To itself for ever, and one that a client would turn into a GET.
    for (status, location, says) in
        [("308", "/again", "redirects more than 5 times"), ("302", "/new", "without its body")]
    {
        let head = format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        );
        let port = serve("127.0.0.1", head.into_bytes()).unwrap();
        let url = format!("http://127.0.0.1:{port}/");
        let run = rooflens(&["probe", &url, "--follow", "--json", "{}"]);
        assert!(run.code == 2 && run.stderr.contains(says), "{}", run.stderr);
    }
}
