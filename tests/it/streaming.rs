//! Language models that stream their answers: times and counts against a server of known ones.

use crate::probe::probe;
use crate::run::{rooflens, steadily};
use crate::streamer::{Script, Streamer, TEMPLATE, Trouble};
use serde_json::Value;
use std::time::Duration;

fn percentile(m: &Value, metric: &str, q: f64) -> f64 {
    let all = m["tokens"][metric]["percentiles"].as_array().unwrap();
    let one = all.iter().find(|p| (p["quantile"].as_f64().unwrap() - q).abs() < 1e-9).unwrap();
    one["seconds"].as_f64().unwrap()
}

fn kinds(m: &Value) -> Vec<&str> {
    m["errors"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect()
}

/// Within a share of the truth, and half a millisecond of a machine with other work.
fn close(found: f64, truth: f64) -> bool {
    (found - truth).abs() <= 0.05 * truth + 5e-4
}

#[test]
fn times_and_tokens_are_those_of_the_server() {
    steadily(|| {
        let server = Streamer::start(Script {
            first: Duration::from_millis(40),
            gap: Duration::from_millis(20),
            tokens: 4,
            ..Script::default()
        });
        let asked = ["--prompt-tokens", "100", "--output-tokens", "24", "--no-meters"];
        let load = ["--load", "closed:2", "--seconds", "6", "--slo", "ttft_p50=60ms,tpot_p50=6ms"];
        let (run, m) = probe(&server.url(), &[asked.as_slice(), &load].concat());
        assert!(kinds(&m).is_empty(), "{}", run.stdout);
        let (ttft, itl) = (percentile(&m, "ttft", 0.5), percentile(&m, "itl", 0.5));
        assert!(close(ttft, 0.040) && close(itl, 0.020), "{ttft} {itl}");
        // Six pieces of four tokens: five gaps for the 23 tokens after the first.
        let tpot = percentile(&m, "tpot", 0.5);
        assert!(close(tpot, 0.100 / 23.0), "{tpot}");
        let tokens = &m["tokens"];
        let good = m["window"]["good"].as_u64().unwrap();
        let of = |name: &str| tokens[name].as_u64().unwrap();
        assert_eq!((of("output"), of("input"), of("pieces")), (24 * good, 100 * good, 6 * good));
        assert_eq!((of("reported"), of("cached")), (good, 0));
        // Two at a time, each 0.14 s long.
        let rate = tokens["output_per_second"].as_f64().unwrap();
        assert!((rate / (2.0 * 24.0 / 0.14) - 1.0).abs() < 0.1, "{rate}");
        let objectives = m["objectives"].as_array().unwrap();
        assert!(objectives.iter().all(|o| o["outcome"] == "pass"), "{objectives:?}");
        assert_eq!(
            (&objectives[1]["metric"], m["slo"]["outcome"].as_str()),
            (&"tpot".into(), Some("pass"))
        );
        let goodput = tokens["goodput_per_second"].as_f64().unwrap();
        assert!(goodput > 0.9 * m["window"]["goodput_per_second"].as_f64().unwrap(), "{goodput}");
        for word in ["ttft", "itl", "tpot", "24.0 each", "in 6.0 pieces", "100.0 each", "goodput"] {
            assert!(run.stdout.contains(word), "{word}: {}", run.stdout);
        }
        assert_eq!(m["target"]["encoding"], "prompt");
    });
}

/// Objectives are judged by themselves, and the worst is that of the run.
#[test]
fn an_objective_that_is_missed_fails_the_run() {
    steadily(|| {
        let server = Streamer::start(Script::default());
        let load = ["--load", "closed:1", "--seconds", "4", "--output-tokens", "8", "--no-meters"];
        let (run, m) =
            probe(&server.url(), &[&load[..], &["--slo", "p50=5s,ttft_p50=10ms"]].concat());
        let outcomes: Vec<&str> = m["objectives"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o["outcome"].as_str().unwrap())
            .collect();
        assert_eq!((outcomes, run.code), (vec!["pass", "fail"], 1), "{}", run.stdout);
        assert_eq!((&m["slo"]["metric"], &m["slo"]["outcome"]), (&"ttft".into(), &"fail".into()));
        assert_eq!(m["tokens"]["goodput_per_second"], 0.0);
        assert!(run.stdout.contains("ttft p50 ≤ 10.0 ms: FAIL"), "{}", run.stdout);
    });
}

#[test]
fn what_goes_wrong_in_a_stream_is_counted_as_what_it_is() {
    let cases = [
        (Trouble::EarlyEnd, "unfinished"),
        (Trouble::NoDone, "unfinished"),
        (Trouble::ErrorEvent, "error-event"),
        (Trouble::Killed, "closed"),
        (Trouble::Empty, "wrong-answer"),
    ];
    for (trouble, kind) in cases {
        let server = Streamer::start(Script {
            first: Duration::from_millis(2),
            gap: Duration::from_millis(1),
            every: 4,
            trouble,
            ..Script::default()
        });
        let load = ["--load", "closed:1", "--requests", "40", "--output-tokens", "6"];
        let (run, m) =
            probe(&server.url(), &[&load[..], &["--warm-up", "0", "--no-meters"]].concat());
        assert_eq!(kinds(&m), [kind], "{trouble:?}: {}", run.stdout);
        // The one before the load was the first; the fourth, eighth and so on of those after it fail.
        assert_eq!(m["errors"][0]["count"], 10, "{trouble:?}: {}", run.stdout);
        let findings = m["verdict"]["findings"].to_string();
        assert!(findings.contains("10 of 40") && findings.contains(kind), "{findings}");
    }
}

/// A pause in the middle is no failure: it is one gap of its length in each such answer.
#[test]
fn a_stall_is_a_gap() {
    steadily(|| {
        let long = Duration::from_millis(300);
        let server = Streamer::start(Script {
            gap: Duration::from_millis(5),
            every: 5,
            trouble: Trouble::Stall(long),
            ..Script::default()
        });
        let load = ["--load", "closed:1", "--requests", "40", "--output-tokens", "11"];
        let (run, m) =
            probe(&server.url(), &[&load[..], &["--warm-up", "0", "--no-meters"]].concat());
        assert!(kinds(&m).is_empty(), "{}", run.stdout);
        // 40 answers of ten gaps; eight of them, which is 2 %, are the stall.
        let (p50, p99) = (percentile(&m, "itl", 0.5), percentile(&m, "itl", 0.99));
        assert!(close(p50, 0.005) && close(p99, 0.305), "{p50} {p99}");
        assert!(m["tokens"]["itl"]["max_seconds"].as_f64().unwrap() < 0.33);
        // Longer than a time-out, it is one.
        let late = [&load[..], &["--warm-up", "0", "--no-meters", "--timeout", "0.2"]].concat();
        let (run, m) = probe(&server.url(), &late);
        assert_eq!(kinds(&m), ["timeout"], "{}", run.stdout);
    });
}

/// Without a count of the server's there are pieces, and no number of tokens.
#[test]
fn tokens_that_are_not_reported_are_unknown() {
    let server = Streamer::start(Script { usage: false, ..Script::default() });
    let load = ["--load", "closed:1", "--requests", "10", "--output-tokens", "6", "--no-meters"];
    let (run, m) = probe(&server.url(), &[&load[..], &["--warm-up", "0"]].concat());
    assert!(kinds(&m).is_empty(), "{}", run.stdout);
    let tokens = &m["tokens"];
    assert!(tokens["output"].is_null() && tokens["output_per_second"].is_null(), "{tokens}");
    assert_eq!((&tokens["pieces"], &tokens["reported"]), (&60.into(), &0.into()));
    assert!(tokens["tpot"]["percentiles"][0]["seconds"].is_null());
    assert!(run.stdout.contains("the server did not report them"), "{}", run.stdout);
}

fn prompts(server: &Streamer) -> Vec<String> {
    let bodies = server.bodies.lock().unwrap();
    let content = |body: &String| {
        let body: Value = serde_json::from_str(body).unwrap();
        body["messages"][0]["content"].as_str().unwrap().to_owned()
    };
    bodies.iter().map(content).collect()
}

/// No cache of prefixes finds more than what is shared on purpose.
#[test]
fn prompts_are_new_in_every_request() {
    let server =
        Streamer::start(Script { first: Duration::ZERO, gap: Duration::ZERO, ..Script::default() });
    let load = ["--load", "closed:4", "--requests", "30", "--output-tokens", "2", "--no-meters"];
    let common = |prompts: &[String]| {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut all: Vec<Vec<String>> = prompts.iter().map(|p| words(p)).collect();
        all.sort();
        let alike =
            |pair: &[Vec<String>]| pair[0].iter().zip(&pair[1]).take_while(|(a, b)| a == b).count();
        all.windows(2).map(alike).max().unwrap()
    };
    let (_, m) = probe(&server.url(), &[&load[..], &["--prompt-tokens", "60"]].concat());
    let sent = prompts(&server);
    assert!(sent.len() > 30 && common(&sent) < 6, "{}", common(&sent));
    assert!(sent.iter().all(|p| p.split(' ').count() as u64 + TEMPLATE == 60));
    let each = m["tokens"]["input"].as_f64().unwrap() / m["tokens"]["reported"].as_f64().unwrap();
    assert!((each - 60.0).abs() < 1e-9, "{each}");
    let server =
        Streamer::start(Script { first: Duration::ZERO, gap: Duration::ZERO, ..Script::default() });
    let shared = ["--prompt-tokens", "60", "--shared-tokens", "45"];
    let _ = probe(&server.url(), &[&load[..], &shared].concat());
    let common = common(&prompts(&server));
    assert!((40..46).contains(&common), "{common}");
}

#[test]
fn a_trace_gives_sizes_and_a_file_gives_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.csv");
    std::fs::write(
        &trace,
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.0,30,3\n2023-11-16 18:15:46.2,90,7\n",
    )
    .unwrap();
    let quick = Script { first: Duration::ZERO, gap: Duration::ZERO, ..Script::default() };
    let server = Streamer::start(quick);
    let load = format!("trace:{}", trace.display());
    let own = ["--warm-up", "0", "--no-meters"];
    let (run, m) = probe(&server.url(), &[&["--load", &load, "--seconds", "1"], &own[..]].concat());
    let of = |name: &str| m["tokens"][name].as_u64().unwrap();
    assert_eq!((of("input"), of("output"), of("pieces")), (120, 10, 10), "{}", run.stdout);
    let lines = folder.path().join("prompts.jsonl");
    std::fs::write(
        &lines,
        "{\"messages\":[{\"role\":\"user\",\"content\":\"one two three\"}],\"max_tokens\":4}\n\n{\"prompt\":\"x\"}\n",
    )
    .unwrap();
    let server = Streamer::start(quick);
    let file = lines.to_str().unwrap();
    let given = ["--prompts", file, "--output-tokens", "2", "--json", r#"{"temperature":0}"#];
    let (run, m) = probe(&server.url(), &[&["--requests", "6"], &given[..], &own].concat());
    assert!(kinds(&m).is_empty(), "{}", run.stdout);
    let sent = server.bodies.lock().unwrap().clone();
    assert!(sent.iter().all(|body| body.contains("\"temperature\":0")), "{sent:?}");
    assert_eq!(
        sent.iter()
            .filter(|body| body.contains("one two three") && body.contains("\"max_tokens\":4"))
            .count(),
        4
    );
    std::fs::write(&lines, "{\"text\":1}\n").unwrap();
    let run = rooflens(&["probe", &server.url(), "--prompts", file]);
    assert!(run.code == 2 && run.stderr.contains("line 1: it has neither"), "{}", run.stderr);
}

#[test]
fn embeddings_count_their_prompts() {
    let server = Streamer::start(Script::default());
    let url = format!("{}/v1/embeddings", server.url());
    let (run, m) =
        probe(&url, &["--requests", "8", "--prompt-tokens", "20", "--warm-up", "0", "--no-meters"]);
    assert!(kinds(&m).is_empty(), "{}", run.stdout);
    let tokens = &m["tokens"];
    assert_eq!(
        (&tokens["input"], &tokens["output"], &tokens["pieces"]),
        (&160.into(), &Value::Null, &0.into())
    );
    assert!(!run.stdout.contains("ttft"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_asked_is_told() {
    let server = Streamer::start(Script::default());
    for (extra, said) in [
        (&["--prompt-tokens", "4"][..], "the server's template alone has 5 tokens"),
        (
            &["--prompt-tokens", "20", "--shared-tokens", "30"],
            "--shared-tokens 30 of prompts of 20",
        ),
        (&["--batch", "4"], "has one prompt"),
        (&["--slo", "ttft_q9=1s"], "is not an SLO"),
        (&["--slo", "p99=1s,ttft_p42=1s"], "p42 is beside p99"),
        (&["--json", "[1]"], "not a JSON object"),
    ] {
        let run = rooflens(&[&["probe", &server.url()], extra].concat());
        assert!(run.code == 2 && run.stderr.contains(said), "{said}: {}", run.stderr);
    }
    let plain = crate::server::Server::start(crate::server::Manner::Status(404));
    let url = plain.url().replace("http://", "openai+http://");
    let run = rooflens(&["probe", &url]);
    assert!(run.code == 2 && run.stderr.contains("does not list its models"), "{}", run.stderr);
}
