//! Meters and the pipeline, against servers and processes of known behaviour.

use crate::probe::{probe, read};
use crate::run::{rooflens, steadily};
use crate::server::{Manner, Server};
use serde_json::Value;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// 100 a second: pre-processing is busy 90 % of the time, inference 20 %.
const STAGES: Manner = Manner::Stages(Duration::from_millis(9), Duration::from_millis(2));
const LOAD: [&str; 4] = ["--load", "steady:100", "--seconds", "5"];

fn meter<'a>(m: &'a Value, name: &str) -> &'a Value {
    let all = m["meters"].as_array().unwrap();
    all.iter().find(|m| m["name"] == name).unwrap_or_else(|| panic!("no {name} in {all:#?}"))
}

fn part<'a>(m: &'a Value, role: &str) -> &'a Value {
    m["pipeline"]["parts"].as_array().unwrap().iter().find(|p| p["role"] == role).unwrap()
}

#[test]
fn the_bottleneck_is_named_and_moves_with_workers() {
    steadily(|| {
        let server = Server::start(STAGES);
        let page = format!("{}metrics", server.url());
        let (run, m) = probe(&server.url(), &[&LOAD, ["--metrics", &page].as_slice()].concat());
        let found = &m["pipeline"]["bottleneck"];
        assert_eq!((&found["role"], &found["stage"]), (&"pre-processing".into(), &"pre".into()));
        let pre = part(&m, "pre-processing")["utilisation"].as_f64().unwrap();
        let infer = part(&m, "compute")["utilisation"].as_f64().unwrap();
        assert!((pre - 0.9).abs() < 0.03 && (infer - 0.2).abs() < 0.02, "{pre} {infer}");
        assert!((found["gain_if_doubled"].as_f64().unwrap() - 2.0).abs() < 1e-9);
        assert!(part(&m, "queue")["not_reported"].is_string(), "{m:#}");
        assert!(run.stdout.contains("bottleneck pre-processing: `pre` is busy"), "{}", run.stdout);

        // The server's own count over the seconds between its first and last page within the window.
        let scrape = &m["scrapes"][0];
        let series = |name: &str| {
            scrape["series"].as_array().unwrap().iter().find(|s| s["name"] == name).unwrap()
        };
        let rate = series(":own:requests")["value"].as_f64().unwrap()
            / scrape["seconds"].as_f64().unwrap();
        assert!((rate - 100.0).abs() < 10.0, "{scrape:#}");
        assert!((series("latency")["mean"].as_f64().unwrap() - 12.0).abs() < 1e-9);
        assert!((series("latency")["p50"].as_f64().unwrap() - 12.0).abs() < 1e-9);

        let (_, m) =
            probe(&server.url(), &[&LOAD, ["--stage-servers", "pre=4"].as_slice()].concat());
        let pre = part(&m, "pre-processing")["utilisation"].as_f64().unwrap();
        assert!((pre - 0.225).abs() < 0.01, "{pre}");
        assert_ne!(m["pipeline"]["bottleneck"]["role"], "pre-processing", "{:#}", m["pipeline"]);
    });
}

#[test]
fn meters_and_pipeline_survive_a_merge() {
    steadily(|| {
        let server = Server::start(STAGES);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let (url, parts) = (server.url(), [path("0"), path("1")]);
        for (k, out) in parts.iter().enumerate() {
            let stripe = format!("{k}/2");
            let own = ["probe", &url, "-o", out, "--stripe", &stripe];
            assert!(rooflens(&[&own, LOAD.as_slice()].concat()).code < 2);
        }
        let whole = path("whole");
        let run = rooflens(&["merge", &parts[0], &parts[1], "-o", &whole]);
        assert!(run.code < 2, "{}", run.stderr);
        let m = read(std::path::Path::new(&whole));
        let pre = part(&m, "pre-processing")["utilisation"].as_f64().unwrap();
        assert!((pre - 0.9).abs() < 0.03, "{pre}");
        assert_eq!(m["pipeline"]["bottleneck"]["role"], "pre-processing");
        assert!(meter(&m, "stripe 0: host CPU")["value"].is_number());
        assert!(meter(&m, "stripe 1: host CPU")["value"].is_number());
    });
}

#[test]
fn what_cannot_be_read_says_so_and_is_never_zero() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(1)));
        let extra = ["--region", "fra", "--idle-seconds", "0", "--metrics", "http://127.0.0.1:1/x"];
        let (run, m) = probe(&server.url(), &[&LOAD, extra.as_slice()].concat());
        for meter in m["meters"].as_array().unwrap() {
            assert_eq!(meter["value"].is_null(), meter["unmeasured"].is_string(), "{meter}");
        }
        let page = meter(&m, "server metrics")["unmeasured"].as_str().unwrap();
        assert!(page.contains("127.0.0.1:1/x") && page.contains("curl"), "{page}");
        // Of the server nothing is known; of the client something is, if it was full or late by most of the time.
        let late = m["verdict"]["findings"].to_string().contains("CLIENT-LIMITED");
        let found = &m["pipeline"]["bottleneck"];
        assert!(found.is_null() || late && found["role"] == "client", "{found}");
        assert!(m["pipeline"]["notes"].to_string().contains("Server-Timing"), "{}", run.stdout);
        let none = meter(&m, "carbon per inference");
        assert!(none["value"].is_number() || none["unmeasured"].is_string());
        let own = meter(&m, "meters themselves")["value"].as_f64().unwrap();
        assert!(own > 0.0 && own < 0.05, "the meters use {own} cores");

        let (_, m) = probe(&server.url(), &[&LOAD, ["--no-meters"].as_slice()].concat());
        assert!(m["meters"].as_array().unwrap().is_empty());
    });
}

#[test]
fn flags_that_cannot_be_meant() {
    for (flags, word) in [
        (["--region", "XYZ"], "FRA (France)"),
        (["--pue", "0.5"], "--pue 1.3"),
        (["--carbon-intensity", "-3"], "--carbon-intensity 56"),
        (["--stage-servers", "pre"], "pre=4"),
        (["--metrics", "kserve+http://x/m"], "8002/metrics"),
        (["--meter-every", "0"], "0.25"),
    ] {
        let flag = format!("{}={}", flags[0], flags[1]);
        let run = rooflens(&["probe", "http://127.0.0.1:1/", &flag]);
        assert_eq!(run.code, 2, "{flags:?}: {}", run.stdout);
        assert!(run.stderr.contains("hint: ") && run.stderr.contains(word), "{}", run.stderr);
    }
}

/// A process that is busy in a child of its own; it ends with this value.
struct Busy(Child);

impl Busy {
    fn start() -> Self {
        let script = "ulimit -t 60; (while :; do :; done) & trap 'kill $!; exit' TERM; wait";
        Self(Command::new("sh").args(["-c", script]).spawn().unwrap())
    }

    /// Ticks of the process and of its children, as `/proc` has them.
    fn ticks(&self) -> u64 {
        let list = format!("/proc/{0}/task/{0}/children", self.0.id());
        let children = std::fs::read_to_string(list).unwrap();
        let own = self.0.id().to_string();
        let pids = std::iter::once(own.as_str()).chain(children.split_whitespace());
        pids.map(|pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let rest = text.rsplit_once(')').unwrap().1;
            let fields: Vec<&str> = rest.split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

/// The CPU of a process tree beside what `/proc` has of the same processes meanwhile.
#[test]
fn a_busy_process_is_measured_with_its_children() {
    steadily(|| {
        let server = Server::start(Manner::Serve(Duration::from_millis(1)));
        let busy = Busy::start();
        let pid = busy.0.id().to_string();
        std::thread::sleep(Duration::from_millis(300));
        let (begin, before) = (Instant::now(), busy.ticks());
        let load = ["--load", "steady:50", "--seconds", "4", "--warm-up", "0", "--pid", &pid];
        let (_, m) = probe(&server.url(), &load);
        let truth = (busy.ticks() - before) as f64 / 100.0 / begin.elapsed().as_secs_f64();
        let cores = meter(&m, "server CPU")["value"].as_f64().unwrap();
        // The window is a part of the time over which the truth is taken.
        assert!((cores - truth).abs() < 0.2 * truth + 0.02, "{cores} is not {truth}");
        assert!(meter(&m, "server CPU")["note"].as_str().unwrap().contains("2 processes"));
    });
}
