//! Verdicts against servers whose truth is known: a true alarm is raised, and a healthy run is VALID.

use crate::probe::probe;
use crate::run::{rooflens, steadily};
use crate::server::{Manner, Server};
use std::time::Duration;

#[test]
fn a_server_that_fails_many_requests_is_failing() {
    steadily(|| {
        for (manner, load, kind) in [
            (Manner::Fails(3), "closed:4", "http-500"),
            (Manner::Fails(3), "steady:200", "http-500"),
            // Gone for the last quarter.
            (Manner::Die(Duration::from_secs(3)), "steady:200", "refused"),
        ] {
            let server = Server::start(manner);
            let (run, m) = probe(&server.url(), &["--load", load, "--seconds", "4"]);
            let verdict = &m["verdict"];
            let evidence = verdict["findings"].to_string();
            assert!(evidence.contains("FAILING") && run.code == 1, "{verdict}");
            assert_eq!(verdict["verdict"], "FAILING", "{verdict}");
            assert!(evidence.contains(kind) && evidence.contains("more than 1 %"), "{evidence}");
        }
    });
}

#[test]
fn a_few_failures_are_no_verdict() {
    steadily(|| {
        let server = Server::start(Manner::Fails(300));
        let (_, m) = probe(&server.url(), &["--load", "steady:400", "--seconds", "5"]);
        assert_ne!(m["verdict"]["verdict"], "FAILING", "{}", m["verdict"]);
        assert!(m["window"]["lost"].as_u64() > Some(0), "{}", m["window"]);
    });
}

#[test]
fn a_percentile_that_is_not_known_as_closely_as_asked_is_not_valid() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(5)));
        // Near saturation the tail of a queue is not known to 0.1 % in three seconds.
        let load = ["--load", "poisson:150", "--seconds", "4", "--until", "0.1%"];
        let (run, m) = probe(&server.url(), &load);
        let findings = m["verdict"]["findings"].to_string();
        assert!(findings.contains("was not known to ±0.1 %"), "{findings}");
        assert_ne!((m["verdict"]["verdict"].as_str(), run.code), (Some("VALID"), 0));
    });
}

#[test]
fn a_rate_is_over_the_schedule() {
    let server = Server::start(Manner::Serve(Duration::ZERO));
    let load = ["--load", "steady:10", "--seconds", "3", "--warm-up", "0", "--no-meters"];
    let (_, m) = probe(&server.url(), &load);
    let window = &m["window"];
    let rate = window["offered_per_second"].as_f64().unwrap();
    assert!((rate - 10.0).abs() < 1e-9, "{window}");
    assert_eq!((window["due"].as_u64(), window["seconds"].as_f64()), (Some(30), Some(3.0)));
}

/// Little's law holds for inferences of some microseconds too, whose end is seen only when a task wakes.
#[test]
fn short_inferences_in_this_process_keep_the_books() {
    steadily(|| {
        for load in ["poisson:1000", "steady:500", "closed:2"] {
            let (_, m) = probe(
                "tract:tests/models/recurrent.onnx",
                &["--load", load, "--seconds", "2", "--no-meters"],
            );
            let findings = m["verdict"]["findings"].to_string();
            assert!(!findings.contains("Little"), "{load}: {findings}");
            assert!(m["window"]["little_gap"].as_f64().unwrap() < 0.02, "{load}: {}", m["window"]);
        }
    });
}

/// A server of 5 ms, Poisson arrivals: the p90 is 20 ms, four service times, at 0.694 of its rate of 200/s (M/D/1).
#[test]
fn the_highest_rate_is_that_of_the_queue() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(5)));
        let load = ["--load", "max", "--slo", "p90=20ms", "--seconds", "4", "--no-meters"];
        let (run, m) = probe(&server.url(), &load);
        let notes = m["verdict"]["notes"].to_string();
        let found = notes.split("meets the objective: ").nth(1).and_then(|t| t.split("/s").next());
        let found: f64 = found.and_then(|t| t.parse().ok()).unwrap_or_else(|| panic!("{notes}"));
        // Sleeps of the server that are too long take away some of its rate, and the upper end of the percentile's
        // interval must meet the objective, not its middle.
        assert!((0.7..1.1).contains(&(found / TRUTH)), "{found}: {}", run.stdout);
        assert_eq!(m["slo"]["outcome"], "pass", "{}", run.stdout);
    });
}
const TRUTH: f64 = 0.694 * 200.0;

#[test]
fn a_search_that_cannot_support_its_percentile_says_so_at_once() {
    let server = Server::start(Manner::Serve(Duration::from_millis(50)));
    let slo = ["--load", "max", "--slo", "p99.9=1s", "--budget", "60"];
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m");
    let run =
        rooflens(&[&["probe", &server.url(), "-o", out.to_str().unwrap()], &slo[..]].concat());
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(
        run.stderr.contains("takes") && run.stderr.contains("--slo p90=TIME"),
        "{}",
        run.stderr
    );
}
