//! What was sent is what is counted, and what came back is looked at: batches, wrong answers, dropped requests.

use crate::probe::probe;
use crate::run::{rooflens, steadily};
use crate::server::{Manner, Server};
use serde_json::Value;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn count(m: &Value, kind: &str) -> u64 {
    let errors = m["errors"].as_array().unwrap();
    errors.iter().filter(|e| e["kind"] == kind).filter_map(|e| e["count"].as_u64()).sum()
}

#[test]
fn every_wrong_answer_is_found_however_large() {
    steadily(|| {
        let server = Server::start(Manner::Wrong(10, 8192));
        let load = ["--load", "steady:200", "--seconds", "3", "--expect", "GOOD", "--warm-up", "0"];
        let (run, m) = probe(&server.url(), &load);
        // One answer more came before the load.
        let wrong = count(&m, "wrong-answer");
        assert!((59..=61).contains(&wrong), "{wrong}: {}", m["errors"]);
        let findings = m["verdict"]["findings"].to_string();
        assert!(findings.contains("FAILING") && run.code == 1, "{findings}");
        assert_eq!(m["run"]["answers_unchecked"], 0, "{}", m["run"]);
        assert!(m["run"]["answers_checked"].as_u64() < Some(20), "{}", m["run"]);
    });
}

#[test]
fn a_batch_over_plain_http_is_in_the_body_or_refused() {
    let server = Server::start(Manner::Serve(Duration::ZERO));
    let load = ["--load", "closed:1", "--seconds", "0.5", "--no-meters"];
    let same = ["--json", r#"{"x":1}"#, "--batch", "8"];
    for command in ["probe", "batching"] {
        let run = rooflens(&[command, &server.url(), "--json", r#"{"x":1}"#, "--batch", "1,8"]);
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains("rows") && run.stderr.contains("{{row}}"), "{}", run.stderr);
    }
    let run = rooflens(&[&["probe", &server.url()], &same[..]].concat());
    assert_eq!(run.code, 2, "{}", run.stdout);
    let run = rooflens(&["probe", &server.url(), "--load", "multi-stream:8"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    let bytes = |batch: &str| {
        let body = ["--json", r#"{"x":[{{row}}[12345678]{{/row}}]}"#, "--batch", batch];
        let (_, m) = probe(&server.url(), &[&load[..], &body].concat());
        assert_eq!(m["target"]["batch"].to_string(), batch);
        m["target"]["request_bytes"].as_u64().unwrap()
    };
    // Seven rows of ten characters and a comma.
    assert_eq!(bytes("8") - bytes("1"), 77);
}

/// A model whose input has three channels is no batch of three.
#[test]
fn a_fixed_first_axis_is_no_batch() {
    let server = Server::start(Manner::Channels);
    let target = format!("kserve+http://127.0.0.1:{}/m", server.port);
    let run = rooflens(&["probe", &target, "--batch", "3", "--input", "x=3x4x4"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("no input accepts"), "{}", run.stderr);
}

#[test]
fn any_number_of_boxes_is_right_for_one_image() {
    for rows in [0, 17] {
        let server = Server::start(Manner::Boxes(rows));
        let target = format!("kserve+http://127.0.0.1:{}/m", server.port);
        let load = ["--load", "closed:1", "--seconds", "0.5", "--no-meters"];
        let (_, m) = probe(&target, &load);
        assert_eq!(m["errors"], serde_json::json!([]), "{rows}");
        let batch = ["--batch", "4"];
        let (_, m) = probe(&target, &[&load[..], &batch].concat());
        assert!(count(&m, "wrong-answer") > 0 && m.to_string().contains("--any-rows"), "{m}");
        let (_, m) = probe(&target, &[&load[..], &batch, &["--any-rows"]].concat());
        assert_eq!(m["errors"], serde_json::json!([]), "{rows}");
    }
}

/// A request that the server read may have been processed: it is not sent again, and its loss is a failure.
#[test]
fn a_dropped_request_is_a_failure_and_not_sent_again() {
    steadily(|| {
        for extra in [&["--json", "{}"][..], &[]] {
            let server = Server::start(Manner::Drops(10));
            let load = ["--load", "closed:2", "--seconds", "1", "--no-meters"];
            let (_, m) = probe(&server.url(), &[&load[..], extra].concat());
            let dropped = server.served.load(Ordering::Relaxed);
            assert!(dropped > 10, "{dropped}");
            assert_eq!(count(&m, "closed"), dropped, "{}", m["errors"]);
            assert_eq!(m["run"]["resent"], 0, "{}", m["run"]);
        }
    });
}

/// Servers end connections after some requests without saying so; no request is lost with that.
#[test]
fn a_connection_that_ends_between_requests_loses_none() {
    steadily(|| {
        let server = Server::start(Manner::Closes(10));
        let load = ["--load", "closed:4", "--seconds", "1", "--no-meters"];
        let (_, m) = probe(&server.url(), &load);
        assert_eq!(m["errors"], serde_json::json!([]), "{}", m["run"]);
        assert!(m["run"]["connections"].as_u64() > Some(20), "{}", m["run"]);
    });
}

/// What reaches such a connection behind its answer is dropped, and nobody can tell: each request opens its own.
#[test]
fn a_server_that_closes_behind_each_answer_is_noticed_at_the_first() {
    steadily(|| {
        let server = Server::start(Manner::Lingers);
        let load = ["--load", "closed:2", "--seconds", "1", "--no-meters", "--json", "{}"];
        let (_, m) = probe(&server.url(), &load);
        assert_eq!(m["errors"], serde_json::json!([]), "{}", m["run"]);
        let requests = m["window"]["good"].as_u64().unwrap();
        assert!(
            requests > 20 && m["run"]["connections"].as_u64() >= Some(requests),
            "{}",
            m["run"]
        );
        assert!(m["verdict"]["notes"].to_string().contains("without announcing it"), "{m}");
    });
}

#[test]
fn an_answer_that_comes_before_the_body_is_sent_keeps_its_status() {
    let server = Server::start(Manner::Early);
    let folder = tempfile::tempdir().unwrap();
    let body = folder.path().join("body.bin");
    std::fs::write(&body, vec![7; 8 << 20]).unwrap();
    let run = rooflens(&["probe", &server.url(), "--body", body.to_str().unwrap()]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("http-413: too large"), "{}", run.stderr);
}

#[test]
fn a_redirect_says_where_to() {
    let server = Server::start(Manner::Redirect);
    let run = rooflens(&["probe", &server.url()]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("http-307: to `/new`"), "{}", run.stderr);
}

/// Time for connections is not the client's own.
#[test]
fn connecting_is_a_stage_of_its_own() {
    let server = Server::start(Manner::Closes(1));
    let (run, m) = probe(&server.url(), &["--load", "steady:100", "--seconds", "1", "--no-meters"]);
    let parts = m["pipeline"]["parts"].as_array().unwrap();
    let connect = parts.iter().find(|p| p["role"] == "connect").unwrap();
    assert!(connect["seconds"].as_f64() > Some(0.0), "{connect}");
    assert!(m["run"]["connect_seconds"].as_f64() > Some(0.0), "{}", m["run"]);
    assert!(run.stdout.contains("connected"), "{}", run.stdout);
    assert!(m["pipeline"]["bottleneck"].is_null(), "{}", m["pipeline"]);
}
