//! The load generator against servers of known behaviour, as a user runs it.

use crate::run::{Run, rooflens, steadily};
use crate::server::{Manner, Server};
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) fn read(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("measurement.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    check(&value, "measurement");
    value
}

/// Holds a value against one of the schemas.
pub(crate) fn check(value: &Value, schema: &str) {
    let path = format!("{}/schemas/{schema}.schema.json", crate::run::ROOT);
    let schema = std::fs::read_to_string(path).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<String> =
        validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// Probes and returns the run with its measurement.
pub(crate) fn probe(target: &str, extra: &[&str]) -> (Run, Value) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("m");
    let run = rooflens(&[&["probe", target, "-o", out.to_str().unwrap()], extra].concat());
    assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
    let value = read(&out);
    assert!(run.stdout.contains(value["verdict"]["verdict"].as_str().unwrap()), "{}", run.stdout);
    (run, value)
}

fn percentile(m: &Value, metric: &str, q: f64) -> Value {
    let all = m[metric]["percentiles"].as_array().unwrap();
    all.iter().find(|p| (p["quantile"].as_f64().unwrap() - q).abs() < 1e-9).unwrap().clone()
}

#[test]
fn a_stall_is_in_the_percentile() {
    steadily(|| {
        let (from, to) = (Duration::from_secs(6), Duration::from_secs(9));
        let server = Server::start(Manner::Stall(from, to));
        // Nothing is cut at the start, so that the number of requests is known in advance.
        let load = ["--load", "steady:60", "--seconds", "18", "--warm-up", "0"];
        let (_, m) = probe(&server.url(), &load);
        // Of n requests the n/100-th slowest was due n/100 gaps after the stall began.
        let n = m["window"]["due"].as_f64().unwrap();
        let truth = 3.0 - (n * 0.01).ceil() / 60.0;
        let p99 = percentile(&m, "response", 0.99)["seconds"].as_f64().unwrap();
        assert!((p99 - truth).abs() < 0.05 * truth, "{p99} is not {truth}");
        // A client that waits for answers would have sent fewer requests.
        assert!(n > 1000.0, "{n}");
    });
}

/// Server of 5 ms, Poisson arrivals at half its rate. M/D/1 at load 0.5: 99 % wait at most 2.92
/// service times, so that the p99 of the response time is 3.92 × 5 ms.
#[test]
fn the_interval_contains_the_truth_of_a_real_queue() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(5)));
        let (_, m) = probe(&server.url(), &["--load", "poisson:100", "--seconds", "14"]);
        let p99 = percentile(&m, "response", 0.99);
        let (low, high) =
            (p99["low_seconds"].as_f64().unwrap(), p99["high_seconds"].as_f64().unwrap());
        // A machine with other work adds to each time; 2 ms is generous for a loopback and two wake-ups.
        assert!(low - 0.002 <= 0.0196 && 0.0196 <= high, "{low} to {high}");
        assert!(m["window"]["little_gap"].as_f64().unwrap() < 0.05);
    });
}

#[test]
fn more_than_the_server_can_do_is_overload() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(5)));
        let load = ["--load", "steady:230", "--seconds", "6", "--slo", "p90=10ms"];
        let (run, m) = probe(&server.url(), &load);
        let findings = m["verdict"]["findings"].to_string();
        assert!(findings.contains("OVERLOADED") && findings.contains("queue grows"), "{findings}");
        // Thirty a second more than the 200 that it can do, or a little more where sleeps are long.
        let growth = m["window"]["in_flight_growth_per_second"].as_f64().unwrap();
        assert!((20.0..60.0).contains(&growth), "{growth}");
        assert_eq!((run.code, m["slo"]["outcome"].as_str()), (1, Some("fail")));
    });
}

#[test]
fn a_run_may_end_when_its_percentile_is_known() {
    steadily(|| {
        // Long enough for the moods of a shared machine to be a small part of each time.
        let server = Server::start(Manner::Serve(Duration::from_millis(6)));
        let load = ["--load", "poisson:50", "--seconds", "40", "--until", "50%", "--slo", "p90=1s"];
        let (run, m) = probe(&server.url(), &load);
        let seconds = m["run"]["seconds"].as_f64().unwrap();
        // The first look comes after 80 of the 400 intervals, and the second must agree.
        assert!(seconds < 39.0 && seconds > 15.0, "{seconds}: {}", run.stdout);
        assert!(
            m["verdict"]["notes"].to_string().contains("at two checks in a row"),
            "{}",
            run.stdout
        );
        assert_eq!(m["run"]["stopped"], false);
        // What was due is what the schedule has up to the end, and all of it was answered.
        let due = m["window"]["due"].as_f64().unwrap();
        let window = m["window"]["seconds"].as_f64().unwrap();
        assert!((due / window / 50.0 - 1.0).abs() < 0.15, "{due} in {window}");
    });
}

#[test]
fn more_than_the_client_can_do_is_named() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::ZERO));
        let load = ["--load=steady:200000", "--seconds=1", "--senders=1", "--max-in-flight=32"];
        let (run, m) = probe(&server.url(), &load);
        assert_eq!((m["verdict"]["verdict"].as_str(), run.code), (Some("CLIENT-LIMITED"), 1));
    });
}

/// A client that stood still for two seconds gives up what was due more than its time-out ago, and is in
/// time again with the rest.
#[test]
#[cfg(target_os = "linux")]
fn a_client_behind_its_time_out_catches_up() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::ZERO));
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("m");
        let client = std::process::Command::new(env!("CARGO_BIN_EXE_rooflens"))
            .args(["probe", &server.url(), "--load", "steady:200", "--seconds", "5"])
            .args(["--timeout", "0.3", "--no-meters", "--warm-up", "0", "-o"])
            .arg(&out)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        for (signal, then) in [("-STOP", 1), ("-CONT", 0)] {
            std::thread::sleep(Duration::from_secs(1));
            let id = client.id().to_string();
            assert!(
                std::process::Command::new("kill").args([signal, &id]).status().unwrap().success()
            );
            std::thread::sleep(Duration::from_secs(then));
        }
        let run = client.wait_with_output().unwrap();
        let (text, m) = (String::from_utf8(run.stdout).unwrap(), read(&out));
        assert_eq!(m["verdict"]["verdict"], "CLIENT-LIMITED", "{text}");
        assert_eq!(run.status.code(), Some(1));
        assert!(
            text.contains("further behind than the time-out") && text.contains("unsent"),
            "{text}"
        );
        // Of two seconds all but the last 0.3: 340 requests.
        let late = m["errors"].as_array().unwrap().iter().find(|e| e["kind"] == "late").unwrap();
        let count = late["count"].as_u64().unwrap();
        assert!((330..600).contains(&count), "{late}");
        let rows = m["intervals"]["rows"].as_array().unwrap();
        let good: u64 = rows.iter().map(|r| r[1].as_u64().unwrap()).sum();
        assert!(good > 300, "{text}");
        let last = rows.iter().rev().take(50);
        assert!(last.clone().any(|r| r[1].as_u64() > Some(0)), "{text}");
    });
}

/// A client that must share its core with others of a higher priority.
#[test]
#[cfg(target_os = "linux")]
fn a_starved_client_is_named() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::ZERO));
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("m");
        let mut others: Vec<_> = (0..2)
            .map(|_| {
                let mut other = std::process::Command::new("taskset");
                // It ends by itself, whatever becomes of the test.
                other.args(["-c", "0", "sh", "-c", "ulimit -t 20; while :; do :; done"]);
                other.spawn().unwrap()
            })
            .collect();
        let run = std::process::Command::new("taskset")
            .args(["-c", "0", "nice", "-n", "19", env!("CARGO_BIN_EXE_rooflens"), "probe"])
            .args([&server.url(), "--load", "steady:500", "--seconds", "3", "--no-meters", "-o"])
            .arg(&out)
            .output()
            .unwrap();
        for other in &mut others {
            other.kill().unwrap();
            other.wait().unwrap();
        }
        let m = read(&out);
        assert_eq!(m["verdict"]["verdict"], "CLIENT-LIMITED", "{m}");
        assert_eq!(run.status.code(), Some(1));
        let findings = m["verdict"]["findings"].to_string();
        assert!(findings.contains("client lag: "), "{findings}");
        // The schedule was kept all the same: no request is missing.
        let due: u64 =
            m["intervals"]["rows"].as_array().unwrap().iter().map(|r| r[0].as_u64().unwrap()).sum();
        assert!((1499..=1501).contains(&due), "{due}");
    });
}

#[test]
fn what_is_no_grpc_is_refused_with_a_hint() {
    for manner in [Manner::Noise, Manner::Serve(Duration::ZERO)] {
        let server = Server::start(manner);
        for scheme in ["kserve+grpc", "tfs+grpc"] {
            let target = format!("{scheme}://127.0.0.1:{}/m", server.port);
            let began = Instant::now();
            let run = rooflens(&["probe", &target, "--patience", "2"]);
            assert!(began.elapsed() < Duration::from_secs(6), "{target}: {:?}", began.elapsed());
            assert!(run.code == 2 && run.stderr.contains("\n\nhint: "), "{target}: {}", run.stderr);
        }
    }
}

#[test]
fn stripes_merge_into_the_schedule_of_one_machine() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_micros(100)));
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let load = ["--load", "poisson:300", "--seed", "5", "--seconds", "3"];
        let start =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
                + 2;
        let (url, start) = (server.url(), start.to_string());
        std::thread::scope(|scope| {
            for k in 0..3 {
                let (out, stripe) = (path(&format!("part-{k}")), format!("{k}/3"));
                let (url, start) = (&url, &start);
                scope.spawn(move || {
                    let own = ["probe", url, "-o", &out, "--stripe", &stripe, "--start-at", start];
                    assert!(rooflens(&[&own, load.as_slice()].concat()).code < 2);
                });
            }
        });
        let parts = [path("part-2"), path("part-0"), path("part-1")];
        let args: Vec<&str> =
            ["merge"].into_iter().chain(parts.iter().map(String::as_str)).collect();
        let whole = path("whole");
        let run = rooflens(&[args.as_slice(), &["-o", &whole]].concat());
        assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
        let merged = read(Path::new(&whole));
        // The fingerprint is a function of every number and instant of the schedule.
        let dry = rooflens(&[&["probe", &url, "--dry-run"], load.as_slice()].concat()).stdout;
        let fingerprint = merged["run"]["schedule_fingerprint"].as_str().unwrap();
        assert!(dry.contains(fingerprint), "{fingerprint} is not in {dry}");
        let due: u64 = merged["intervals"]["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r[0].as_u64().unwrap())
            .sum();
        assert!(dry.contains(&format!(" {due} requests")), "{due}: {dry}");
        assert_eq!(merged["plan"]["stripes"], serde_json::json!([0, 1, 2]));
        assert!(merged["run"]["start_spread_seconds"].as_f64().unwrap() < 1.0);

        let twice = rooflens(&["merge", &parts[0], &parts[0], "-o", &whole]);
        assert_eq!(twice.code, 2);
        assert!(
            twice.stderr.contains("is a duplicate") && twice.stderr.contains("hint: "),
            "{}",
            twice.stderr
        );

        // A file that no run wrote: counts beyond any run's, and more stripes than there are.
        let file = Path::new(&parts[1]).join("measurement.json");
        let good = read(Path::new(&parts[1]));
        for (pointer, value) in [
            ("/intervals/rows/0/0", serde_json::json!(u64::MAX)),
            ("/run/bytes_sent", serde_json::json!(u64::MAX)),
            ("/plan/stripes_of", serde_json::json!(0)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value;
            std::fs::write(&file, bad.to_string()).unwrap();
            let run = rooflens(&["merge", &parts[0], &parts[1], "-o", &whole]);
            assert_eq!(run.code, 2, "{pointer}: {}", run.stderr);
            assert!(!run.stderr.contains("panicked"), "{pointer}: {}", run.stderr);
        }
    });
}

#[test]
fn every_fault_ends_and_is_named() {
    steadily(|| {
        let cases: [(Manner, &str); 7] = [
            (Manner::Status(500), "http-500"),
            (Manner::Status(503), "http-503"),
            (Manner::Truncate, "closed"),
            (Manner::Drip, "timeout"),
            (Manner::Noise, "malformed"),
            (Manner::Die(Duration::from_millis(400)), "refused"),
            (Manner::Kserve(2), "wrong-answer"),
        ];
        for (manner, kind) in cases {
            let server = Server::start(manner);
            let target = match manner {
                Manner::Kserve(_) => format!("kserve+http://127.0.0.1:{}/m", server.port),
                _ => server.url(),
            };
            let began = Instant::now();
            let load =
                ["--load", "steady:50", "--seconds", "1", "--timeout", "0.5", "--patience", "0.3"];
            let (run, m) = probe(&target, &load);
            // One second of load, half a second of time-outs, and as much again for a slow machine.
            assert!(
                began.elapsed() < Duration::from_secs(6),
                "{manner:?} took {:?}",
                began.elapsed()
            );
            let errors = m["errors"].as_array().unwrap();
            let count: u64 = errors
                .iter()
                .filter(|e| e["kind"] == kind || kind == "refused")
                .map(|e| e["count"].as_u64().unwrap())
                .sum();
            assert!(count >= 15, "{manner:?}: {errors:?}");
            assert_eq!(run.code, 1, "{}", run.stdout);
            assert_ne!(m["verdict"]["verdict"], "VALID", "{}", run.stdout);
        }
    });
}

#[test]
fn good_answers_of_the_inference_protocol_and_large_ones() {
    steadily(|| {
        let server = Server::start(Manner::Kserve(3));
        let target = format!("kserve+http://127.0.0.1:{}/m", server.port);
        let (_, m) = probe(&target, &["--load", "steady:100", "--seconds", "1"]);
        assert_eq!(
            (m["errors"].as_array().unwrap().len(), &m["target"]["encoding"]),
            (0, &"JSON".into())
        );
        assert_eq!(m["target"]["inputs"][0]["shape"], serde_json::json!([1, 4]));
        // Rows that are given are the batch, unless another one is asked for.
        let rows = ["--input", "x=5x4", "--load", "steady:100", "--seconds", "1"];
        let (_, m) = probe(&target, &rows);
        assert_eq!((&m["target"]["batch"], m["errors"].as_array().unwrap().len()), (&5.into(), 0));
        let rate = |key: &str| m["window"][key].as_f64().unwrap();
        let inferences = rate("inferences_per_second") / rate("goodput_per_second");
        assert!((inferences - 5.0).abs() < 1e-9, "{inferences}");
        for (batch, told) in [("1", "--input has 5 rows"), ("3", "no input accepts 3 rows")] {
            let run = rooflens(&["probe", &target, "--input", "x=5x4", "--batch", batch]);
            assert!(run.code == 2 && run.stderr.contains(told), "{}", run.stderr);
        }
        let missing = rooflens(&["probe", &format!("kserve+http://127.0.0.1:{}/n", server.port)]);
        assert!(missing.code == 2 && missing.stderr.contains("no model `n`"), "{}", missing.stderr);

        let server = Server::start(Manner::Interim);
        let expect = ["--load", "steady:50", "--seconds", "1", "--expect", "done"];
        let (_, m) = probe(&server.url(), &expect);
        assert_eq!(m["errors"], serde_json::json!([]));

        let server = Server::start(Manner::Large(10 << 20));
        let (_, m) = probe(&server.url(), &["--load", "closed:2", "--seconds", "1"]);
        assert!(
            m["errors"].as_array().unwrap().is_empty()
                && m["run"]["bytes_received"].as_u64().unwrap() > 10 << 20,
            "{m}"
        );
    });
}

#[test]
fn wrong_words_are_refused_with_a_hint() {
    let target = "http://127.0.0.1:1/";
    let cases: [(&[&str], &str); 14] = [
        (&["probe", "resnet"], "is not a target"),
        (&["probe", "resnet.onnx"], "tract:resnet.onnx runs it"),
        (&["probe", "gopher://x/"], "is not a known scheme"),
        (&["probe", "kserve+http://127.0.0.1:1"], "names no model"),
        (&["probe", target], "refused"),
        (&["probe", "http://no-such-host.invalid/"], "resolve"),
        (&["probe", target, "--load", "posson:3"], "is not a load"),
        (&["probe", target, "--load", "steady:0"], "is not a load"),
        (&["probe", target, "--load", "max"], "needs an SLO"),
        (&["probe", target, "--slo", "p99"], "is not an SLO"),
        (&["probe", target, "--stripe", "3/3"], "they count from zero"),
        (&["probe", target, "--seconds", "0"], "is not a time"),
        (&["probe", target, "--input", "x"], "is not NAME=SPEC"),
        (&["probe", target, "--until", "never"], "is not a share"),
    ];
    for (args, message) in cases {
        let run = rooflens(args);
        assert_eq!(run.code, 2, "{args:?}: {}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains(message) && run.stderr.contains("\n\nhint: "),
            "{args:?}: {}",
            run.stderr
        );
        assert!(run.stdout.is_empty());
    }
}

/// A closed loop of a runtime in this process has no queue unless more are in flight than it has instances, or
/// `--senders` asks for it.
#[test]
fn a_closed_loop_in_this_process_hands_nothing_over() {
    steadily(|| {
        let (target, load) =
            ("tract:tests/models/recurrent.onnx", ["--seconds", "1", "--no-meters"]);
        let with = |extra: &[&str]| probe(target, &[extra, load.as_slice()].concat()).1;
        let queued = |m: &Value| {
            let stages: Vec<&str> = m["stages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s["name"].as_str().unwrap())
                .collect();
            assert!(stages.contains(&"compute") && m["window"]["good"].as_u64() > Some(0), "{m}");
            assert_eq!(stages.contains(&"queue"), m["run"]["senders"] != serde_json::json!([]));
            stages.contains(&"queue")
        };
        let one = with(&[]);
        assert!(
            !queued(&one) && one["verdict"]["verdict"] != "CLIENT-LIMITED",
            "{}",
            one["verdict"]
        );
        assert!(!queued(&with(&["--load", "closed:2", "--instances", "2"])));
        assert!(queued(&with(&["--load", "closed:2"])));
        assert!(queued(&with(&["--senders", "1"])));
    });
}
