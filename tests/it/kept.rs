//! Nothing that was measured is lost, no server is left behind, and no more is sent than was asked for.

use crate::probe::{probe, read};
use crate::run::{rooflens, steadily};
use crate::server::{Manner, Server};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(args: &[&str], out: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_rooflens"))
        .args(args)
        .arg("-o")
        .arg(out)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until something is so, for some seconds.
fn until(what: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

#[test]
fn a_run_that_is_killed_leaves_what_it_measured() {
    let server = Server::start(Manner::Serve(Duration::ZERO));
    let folder = tempfile::tempdir().unwrap();
    let (out, whole) = (folder.path().join("m"), folder.path().join("whole"));
    let load = ["probe", &server.url(), "--load", "steady:100", "--seconds", "60", "--no-meters"];
    let mut client = start(&load, &out);
    assert!(until(|| out.join("interim/measurement.json").exists()));
    client.kill().unwrap();
    client.wait().unwrap();
    let run = rooflens(&["merge", out.to_str().unwrap(), "-o", whole.to_str().unwrap()]);
    assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
    let m = read(&whole);
    let due: u64 =
        m["intervals"]["rows"].as_array().unwrap().iter().map(|r| r[0].as_u64().unwrap()).sum();
    assert!(due >= 450 && m["run"]["stopped"] == true, "{due}: {}", run.stdout);
}

#[test]
fn a_summary_is_shown_where_no_file_can_be_written() {
    let server = Server::start(Manner::Serve(Duration::ZERO));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m");
    let load = ["probe", &server.url(), "--load", "steady:100", "--seconds", "2", "--no-meters"];
    let client = start(&load, &out);
    assert!(until(|| out.exists()));
    std::fs::remove_dir_all(&out).unwrap();
    let run = client.wait_with_output().unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    assert_eq!(run.status.code(), Some(2), "{text}");
    assert!(text.contains("response") && text.contains("counted"), "{text}");
    assert!(String::from_utf8(run.stderr).unwrap().contains("error: "));
}

/// The probe is killed, so that it cannot end its server itself.
#[test]
#[cfg(target_os = "linux")]
fn no_server_outlives_a_probe_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m");
    // Whatever listens is never asked: it only must not be left.
    let script =
        format!("echo $$ > {}; sleep 300 & sleep 301; wait", folder.path().join("id").display());
    let mut client = start(&["probe", "http://127.0.0.1:9/", "--spawn", &script], &out);
    assert!(until(
        || std::fs::read_to_string(folder.path().join("id")).is_ok_and(|t| !t.is_empty())
    ));
    let id = std::fs::read_to_string(folder.path().join("id")).unwrap();
    let lives = || Path::new(&format!("/proc/{}", id.trim())).exists();
    assert!(lives());
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(until(|| !lives()), "process {id} is left");
}

#[test]
fn patience_covers_a_server_that_does_not_listen_yet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let url = format!("http://127.0.0.1:{port}/");
    let refused = rooflens(&["probe", &url]);
    assert!(refused.code == 2 && refused.stderr.contains("refused"), "{}", refused.stderr);
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(1));
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        for stream in listener.incoming().take(400) {
            let answer = |mut stream: TcpStream| {
                use std::io::{Read, Write};
                let mut bytes = [0; 1024];
                while stream.read(&mut bytes).is_ok_and(|n| n > 0) {
                    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if stream.write_all(text).is_err() {
                        return;
                    }
                }
            };
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(stream));
        }
    });
    let load = ["--load", "closed:1", "--seconds", "0.5", "--patience", "20", "--no-meters"];
    let (_, m) = probe(&url, &load);
    assert!(m["window"]["good"].as_u64() > Some(0), "{}", m["window"]);
    drop(late);
}

#[test]
fn a_number_of_requests_is_sent_and_no_more() {
    steadily(|| {
        let server = Server::start(Manner::Fails(u64::MAX));
        let flags = ["--warm-up", "0", "--no-meters"];
        for load in ["closed:4", "steady:200", "poisson:300"] {
            let before = server.served.load(std::sync::atomic::Ordering::Relaxed);
            let (_, m) = probe(
                &server.url(),
                &[&["--load", load, "--requests", "100"], &flags[..]].concat(),
            );
            // One came before the load.
            let served = server.served.load(std::sync::atomic::Ordering::Relaxed) - before;
            let rows = m["intervals"]["rows"].as_array().unwrap();
            let due: u64 = rows.iter().map(|r| r[0].as_u64().unwrap()).sum();
            assert_eq!((due, served), (100, 101), "{load}: {}", m["window"]);
        }
        let (_, m) = probe(
            &server.url(),
            &[&["--load", "steady:200", "--requests", "100"], &flags[..]].concat(),
        );
        assert!((m["run"]["seconds"].as_f64().unwrap() - 0.5).abs() < 1e-6, "{}", m["run"]);
    });
    let both =
        ["probe", "http://127.0.0.1:1/", "--load", "steady:5", "--requests", "9", "--seconds", "3"];
    assert_eq!(rooflens(&both).code, 2);
}

/// What a server says is shown without what a terminal would take for a command.
#[test]
fn no_control_character_of_a_server_reaches_the_terminal() {
    // Answers of bytes that ring a bell.
    let server = Server::start(Manner::Large(40));
    let load = ["--load", "closed:1", "--seconds", "0.3", "--no-meters", "--expect", "GOOD"];
    let (run, _) = probe(&server.url(), &load);
    assert!(run.stdout.contains("\\u0007") && !run.stdout.contains('\u{7}'), "{}", run.stdout);
}
