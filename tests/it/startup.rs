//! Servers that the probe starts itself, of known phases; loads of several batches; interruptions.

use crate::probe::{check, probe};
use crate::run::{ROOT, rooflens, steadily};
use crate::server::{Manner, Server};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// Phases of the server below, in milliseconds, as PORT,LISTEN,LOAD,LOG.
const SCRIPT: &str = "ROOFLENS_TEST_SERVER";

fn unix() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Not a test: the server that the tests start. It listens, is live at once, and ready after a while;
/// the first ten answers take 20 ms, the others 1 ms. It writes down when each phase began.
#[test]
#[ignore = "a server, for the tests in this file"]
fn scripted_server() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let parts: Vec<&str> = script.split(',').collect();
    let number = |i: usize| parts[i].parse::<u64>().unwrap();
    std::thread::sleep(Duration::from_millis(number(1)));
    let listener = TcpListener::bind(("127.0.0.1", u16::try_from(number(0)).unwrap())).unwrap();
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open(parts[3]).unwrap();
    writeln!(log, "port {}", unix()).unwrap();
    let ready = Instant::now() + Duration::from_millis(number(2));
    let at = unix() + number(2) as f64 * 1e-3;
    writeln!(log, "ready {at}").unwrap();
    let served = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for stream in listener.incoming() {
            let served = &served;
            scope.spawn(move || serve(stream.unwrap(), ready, served));
        }
    });
}

fn serve(mut stream: TcpStream, ready: Instant, served: &std::sync::atomic::AtomicU64) {
    let mut buffer = [0; 4096];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        let health = buffer[..n].starts_with(b"GET /health");
        let status = if Instant::now() < ready { "503 Loading" } else { "200 OK" };
        if !health && Instant::now() >= ready {
            let n = served.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(if n < 10 { 20 } else { 1 }));
        }
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// A command that starts [`scripted_server`].
fn command(port: u16, listen: u64, load: u64, log: &Path) -> String {
    let own = std::env::current_exe().unwrap();
    format!(
        "{SCRIPT}={port},{listen},{load},{} exec '{}' --ignored --exact startup::scripted_server --nocapture",
        log.display(),
        own.display()
    )
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Processes whose command line or environment holds `mark`.
fn alive(mark: &str) -> usize {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let holds = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.parse::<u32>().is_ok_and(|pid| pid != std::process::id())
            && std::fs::read(path.join("environ"))
                .is_ok_and(|b| String::from_utf8_lossy(&b).contains(mark))
    };
    all.filter(|entry| holds(entry.path())).count()
}

#[test]
fn phases_of_a_start_are_those_that_the_server_wrote_down() {
    steadily(|| {
        let folder = tempfile::tempdir().unwrap();
        let (port, log) = (free_port(), folder.path().join("log"));
        let (url, spawn) = (format!("http://127.0.0.1:{port}/"), command(port, 200, 500, &log));
        let own = [
            "--spawn",
            &spawn,
            "--ready-path",
            "/health",
            "--repeats",
            "3",
            "--page-cache",
            "warm",
        ];
        let load = ["--warm-seconds", "1", "--load", "closed:1", "--seconds", "2"];
        let (run, m) = probe(&url, &[own.as_slice(), &load].concat());
        let text = std::fs::read_to_string(&log).unwrap();
        let logged = |name: &str| -> Vec<f64> {
            text.lines()
                .filter_map(|l| l.strip_prefix(name))
                .map(|v| v.trim().parse().unwrap())
                .collect()
        };
        let (ports, readies) = (logged("port "), logged("ready "));
        let starts = m["start_up"]["starts"].as_array().unwrap();
        assert_eq!((starts.len(), ports.len()), (4, 4), "one that does not count, and three");
        let (mut errors, mut warms) = (Vec::new(), Vec::new());
        for (i, start) in starts.iter().enumerate() {
            let number =
                |key: &str| start[key].as_f64().unwrap_or_else(|| panic!("{key}: {start}"));
            let spawned = number("spawned_unix_seconds");
            for (key, truth) in [
                ("port_seconds", ports[i] - spawned),
                ("live_seconds", ports[i] - spawned),
                ("ready_seconds", readies[i] - spawned),
                ("model_ready_seconds", readies[i] - spawned),
                ("first_answer_seconds", readies[i] + 0.020 - spawned),
            ] {
                let error = number(key) - truth;
                assert!(error > -0.001, "{key} before it was true: {error}");
                errors.push(error);
            }
            assert!(
                (0.015..0.2)
                    .contains(&(number("first_latency_seconds") - number("warm_median_seconds")))
            );
            // Nine more answers of 20 ms come before the fast ones.
            let warm = number("warm_seconds") - number("first_answer_seconds");
            assert!(warm > 0.1, "{warm}");
            warms.push(warm);
            assert!(number("peak_rss_bytes") > 1e5 && number("polls") > 50.0);
        }
        // The median does not see a moment in which the machine was busy with something else.
        errors.sort_by(f64::total_cmp);
        assert!(errors[errors.len() / 2] < 0.010, "{errors:?}");
        warms.sort_by(f64::total_cmp);
        assert!(warms[warms.len() / 2] < 0.5, "{warms:?}");
        let spread = m["start_up"]["summary"].as_array().unwrap();
        let cold =
            spread.iter().find(|s| s["name"] == "cold start" && s["page_cache"] == "warm").unwrap();
        assert!(cold["min"].as_f64().unwrap() >= 0.72 && cold["count"] == 3, "{cold}");
        assert!(run.stdout.contains("3 warm starts"), "{}", run.stdout);
        assert_eq!(alive(&log.display().to_string()), 0, "a process was left behind");
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    });
}

#[test]
fn cold_starts_find_their_files_out_of_memory() {
    steadily(|| {
        // In the repository: the temporary folder may be memory itself.
        let folder = tempfile::tempdir_in(ROOT).unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("weights"), vec![1; 8 << 20]).unwrap();
        let (port, log) = (free_port(), folder.path().join("log"));
        let spawn = format!("cat {} > /dev/null; {}", path("weights"), command(port, 1, 1, &log));
        let (url, out) = (format!("http://127.0.0.1:{port}/"), path("m"));
        let own =
            ["probe", &url, "--spawn", &spawn, "--repeats", "1", "--start-up-only", "-o", &out];
        let weights = path("weights");
        let run =
            rooflens(&[own.as_slice(), &["--evict", &weights, "--warm-seconds", "0.5"]].concat());
        assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
        let text = std::fs::read_to_string(folder.path().join("m/start_up.json")).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        check(&value, "start_up");
        let starts = value["start_up"]["starts"].as_array().unwrap();
        let states: Vec<&str> = starts.iter().filter_map(|s| s["page_cache"].as_str()).collect();
        assert_eq!(states, ["unknown", "cold", "warm"]);
        let share = |i: usize| {
            let cache = &starts[i]["cache"];
            assert!(cache["bytes"].as_u64().unwrap() >= 8 << 20, "{cache}");
            cache["resident_bytes"].as_f64().unwrap() / cache["bytes"].as_f64().unwrap()
        };
        // What other processes have mapped stays, and is said; the file of our own leaves.
        let resident = |i: usize| starts[i]["cache"]["resident_bytes"].as_u64().unwrap();
        assert!(resident(2) >= resident(1) + (8 << 20), "{starts:#?}");
        assert_eq!(share(1) > 0.05, starts[1]["unverified"].is_string());
        assert_eq!(alive(&log.display().to_string()), 0);
    });
}

/// Runs a probe that cannot start its server: exit code 2, and these words.
fn refused(spawn: &str, port: u16, patience: &str, words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (url, out) = (format!("http://127.0.0.1:{port}/"), folder.path().join("m"));
    let run = rooflens(&[
        "probe",
        &url,
        "--spawn",
        spawn,
        "--patience",
        patience,
        "--ready-path",
        "/health",
        "-o",
        out.to_str().unwrap(),
    ]);
    assert_eq!(run.code, 2, "{}{}", run.stdout, run.stderr);
    for word in words.iter().chain(&["hint: "]) {
        assert!(run.stderr.contains(word), "`{word}` is not in {}", run.stderr);
    }
}

#[test]
fn servers_that_do_not_start_are_named_and_ended() {
    steadily(|| {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let words = ["ended with exit code 7", "no such model", "start-0.log"];
        refused("echo loading; echo 'no such model' >&2; exit 7", free_port(), "5", &words);
        refused("kill -9 $$", free_port(), "5", &["by signal 9", "printed nothing"]);
        let port = free_port();
        refused("sleep 60", port, "0.3", &["accepts no connection", "--patience"]);
        let slow = command(port, 0, 60_000, &log);
        refused(&slow, port, "0.5", &["is not ready", "--patience"]);
        assert_eq!(alive(&log.display().to_string()), 0, "a process was left behind");
        let server = Server::start(Manner::Serve(Duration::ZERO));
        refused("sleep 60", server.port, "5", &["already in use"]);
        let run = rooflens(&["probe", "tract:x.onnx", "--spawn", "true"]);
        assert_eq!(run.code, 2);
    });
}

/// Sends a signal to a probe that has run for a while; returns its exit code and output.
pub(crate) fn interrupted(args: &[&str], after: Duration, signal: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_rooflens"))
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
fn an_interruption_keeps_what_was_measured() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(2)));
        for (i, signal) in ["-INT", "-TERM"].iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            let out = folder.path().join("m");
            let (url, to) = (server.url(), out.to_str().unwrap());
            let args = ["probe", &url, "--load", "steady:100", "--seconds", "600", "-o", to];
            let begin = Instant::now();
            let (code, text) = interrupted(&args, Duration::from_secs(3), signal);
            assert!(begin.elapsed() < Duration::from_secs(20), "run {i} did not end");
            assert!(code.is_some_and(|c| c < 2), "{code:?} {text}");
            let text = std::fs::read_to_string(out.join("measurement.json")).unwrap();
            let m: Value = serde_json::from_str(&text).unwrap();
            check(&m, "measurement");
            assert_eq!(m["run"]["stopped"], true);
            assert!(m["window"]["good"].as_u64().unwrap() > 50, "{}", m["window"]);
        }
    });
}

/// A process that is killed while requests are open: what came before counts, the rest is named.
#[test]
fn a_killed_server_leaves_results_and_an_error_table() {
    steadily(|| {
        let folder = tempfile::tempdir().unwrap();
        let (port, log) = (free_port(), folder.path().join("log"));
        let mut server = Command::new("sh")
            .args(["-c", &command(port, 0, 0, &log)])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "the server did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(2));
            // SIGKILL: the process cannot say goodbye.
            server.kill().unwrap();
            server.wait().unwrap()
        });
        let begin = Instant::now();
        let load = ["--load", "steady:100", "--seconds", "4", "--timeout", "1", "--warm-up", "0"];
        let (run, m) = probe(&format!("http://127.0.0.1:{port}/"), &load);
        assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
        let status = killer.join().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        let count = |key: &str| m["window"][key].as_u64().unwrap();
        assert_eq!((count("due"), count("good") + count("lost")), (400, 400));
        assert!((50..=250).contains(&count("good")), "{}", m["window"]);
        let errors = m["errors"].as_array().unwrap();
        let kinds: Vec<&str> = errors.iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert!(kinds.contains(&"refused"), "{errors:?}");
        assert!(kinds.iter().all(|k| ["refused", "closed", "connect"].contains(k)), "{errors:?}");
        let sum: u64 = errors.iter().map(|e| e["count"].as_u64().unwrap()).sum();
        assert_eq!(sum, count("lost"));
        let first = errors.iter().map(|e| e["first_seconds"].as_f64().unwrap()).fold(9.0, f64::min);
        assert!((0.5..2.5).contains(&first), "{errors:?}");
        assert_eq!(run.code, 1, "{}", run.stdout);
        assert_ne!(m["verdict"]["verdict"], "VALID");
    });
}

#[test]
fn an_interruption_ends_the_server_too() {
    steadily(|| {
        let folder = tempfile::tempdir().unwrap();
        let (port, log) = (free_port(), folder.path().join("log"));
        let (url, spawn) = (format!("http://127.0.0.1:{port}/"), command(port, 0, 60_000, &log));
        let out = folder.path().join("m");
        let args = [
            "probe",
            &url,
            "--spawn",
            &spawn,
            "--ready-path",
            "/health",
            "-o",
            out.to_str().unwrap(),
        ];
        let (code, text) = interrupted(&args, Duration::from_secs(1), "-INT");
        assert!(code.is_some_and(|c| c > 0), "{code:?} {text}");
        assert!(log.exists(), "it had started");
        assert_eq!(alive(&log.display().to_string()), 0, "a process was left behind");
    });
}

#[test]
fn batches_are_measured_in_turn_and_compared() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(2)));
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("s");
        let (url, to) = (server.url(), out.to_str().unwrap());
        let load = ["--load", "steady:100", "--seconds", "3", "--batch", "1,4"];
        let body = ["--json", "[{{row}}[1,2,3]{{/row}}]"];
        let run = rooflens(&[&["probe", &url, "-o", to], load.as_slice(), &body].concat());
        assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
        let text = std::fs::read_to_string(out.join("sweep.json")).unwrap();
        let sweep: Value = serde_json::from_str(&text).unwrap();
        check(&sweep, "sweep");
        let rows = sweep["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 2);
        for (row, batch) in rows.iter().zip([1, 4]) {
            let name = row["folder"].as_str().unwrap();
            let text = std::fs::read_to_string(out.join(name).join("measurement.json")).unwrap();
            let m: Value = serde_json::from_str(&text).unwrap();
            check(&m, "measurement");
            assert_eq!(
                (m["target"]["batch"].as_i64(), row["batch"].as_i64()),
                (Some(batch), Some(batch))
            );
            let rate = row["inferences_per_second"].as_f64().unwrap() / batch as f64;
            assert!((rate - 100.0).abs() < 5.0, "{row}");
            assert!(row["p50_seconds"].as_f64().unwrap() >= 0.002, "{row}");
        }
        assert!(run.stdout.contains("inferences/s"), "{}", run.stdout);
    });
}

#[test]
fn measurements_are_points_under_a_roof() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(2)));
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (url, model) = (server.url(), format!("{ROOT}/models/mobilenet_v2.onnx"));
        let integer = format!("{ROOT}/tests/models/resnet18_qdq.onnx");
        let runs =
            [("a", ["--model", &model]), ("b", ["--seed", "2"]), ("c", ["--model", &integer])];
        for (out, extra) in runs {
            let load = ["--load", "steady:100", "--seconds", "2", "-o", &path(out)];
            let run = rooflens(&[&["probe", &url], load.as_slice(), &extra].concat());
            assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
        }
        let file = |name: &str| path(&format!("{name}/measurement.json"));
        let text = std::fs::read_to_string(file("a")).unwrap();
        let m: Value = serde_json::from_str(&text).unwrap();
        let number = |part: &str, key: &str| m[part][key].as_f64().unwrap();
        // Integer operations count like others: 1.8 G multiply–adds.
        let text = std::fs::read_to_string(file("c")).unwrap();
        let quantized: Value = serde_json::from_str(&text).unwrap();
        let operations = quantized["model"]["flops_per_request"].as_f64().unwrap();
        assert!((3.6e9..4.0e9).contains(&operations), "{operations}");
        let product = number("window", "goodput_per_second") * number("model", "flops_per_request");
        assert!((number("model", "achieved_flops") / product - 1.0).abs() < 1e-9);
        let svg = path("roof.svg");
        let run = rooflens(&["plot", &file("a"), &file("a"), "--on", "t4", "-o", &svg]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let svg = std::fs::read_to_string(svg).unwrap();
        // 8.1 TFLOP/s of the device over what was achieved; both runs have their arrow.
        let factor = format!("×{:.0}", 8.1e12 / product);
        assert_eq!(svg.matches("steady:100").count(), 2, "each run is named");
        assert!(svg.contains(&format!(">{factor}<")), "{factor}");
        assert!(svg.contains("measured, under the roof of") && svg.contains("GFLOP/s"), "{svg}");
        let none = rooflens(&["plot", &file("b"), "--on", "t4", "-o", &path("no.svg")]);
        assert_eq!(none.code, 2);
        assert!(none.stderr.contains("does not say what its model costs"), "{}", none.stderr);
        let roofless = rooflens(&["plot", &file("a"), "-o", &path("no.svg")]);
        assert!(roofless.stderr.contains("alone has no roof"), "{}", roofless.stderr);
    });
}
