//! The batching study against servers whose batches are known to pay or to lose.

use crate::probe::check;
use crate::run::{Run, rooflens, steadily};
use crate::server::{Manner, Server};
use crate::startup::interrupted;
use serde_json::Value;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) fn read(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("batching.json")).unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    check(&value, "batching");
    value
}

/// A study, its picture and its `batching.json`.
pub(crate) fn study(target: &str, extra: &[&str]) -> (Run, Value, String) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("b");
    let run = rooflens(&[&["batching", target, "-o", out.to_str().unwrap()], extra].concat());
    assert!(run.code < 2, "{}{}", run.stdout, run.stderr);
    let svg = std::fs::read_to_string(out.join("batching.svg")).unwrap();
    (run, read(&out), svg)
}

/// Two batches at half of the highest throughput of a server of known times.
fn known(fixed: f64, each: f64, extra: &[&str]) -> (Run, Value, String) {
    let [fixed, each] = [fixed, each].map(|ms| Duration::from_secs_f64(ms * 1e-3));
    let server = Server::start(Manner::Batched(fixed, each));
    let target = format!("kserve+http://127.0.0.1:{}/m", server.port);
    let load = ["--batch", "4,1", "--loads", "0.5", "--seconds", "4", "--in-flight", "4"];
    study(&target, &[&load, extra].concat())
}

fn cell(file: &Value, batch: i64) -> &Value {
    file["cells"].as_array().unwrap().iter().find(|c| c["batch"] == batch).unwrap()
}

/// One alone takes 8.25 ms and four together 9 ms: 121 and 444 a second. Half of 444 is more than can
/// be done one by one.
#[test]
fn batching_pays_where_a_request_costs_more_than_its_rows() {
    steadily(|| {
        let (run, file, svg) = known(8.0, 0.25, &[]);
        for (plateau, most) in file["plateaus"].as_array().unwrap().iter().zip([121.2, 444.4]) {
            let rate = plateau["inferences_per_second"].as_f64().unwrap();
            assert!((0.8..1.03).contains(&(rate / most)), "{rate} is not {most}");
        }
        assert_eq!(file["reference"], serde_json::json!({"batch": 1, "server": null}));
        let (one, four) = (cell(&file, 1), cell(&file, 4));
        assert_eq!((&one["overloaded"], &one["against"]), (&true.into(), &"reference".into()));
        assert_eq!(four["against"], "better", "{}", run.stdout);
        assert!(file["findings"].as_array().unwrap().is_empty(), "{}", run.stdout);
        assert!(run.stdout.contains("batching helps with batch 4"), "{}", run.stdout);
        assert!(run.stdout.contains("batching hurts nowhere"), "{}", run.stdout);
        assert!(svg.contains(">overloaded<") && svg.contains("to collect"), "{svg}");
        assert_eq!(run.code, 0);
    });
}

/// Each row takes 3 ms however many are sent: a batch of four takes four times as long, and must be
/// gathered first.
#[test]
fn batching_loses_where_rows_are_all_that_a_request_costs() {
    steadily(|| {
        // One row that is given stands for the batch.
        let (run, file, svg) = known(0.0, 3.0, &["--input", "x=1x4"]);
        let four = cell(&file, 4);
        assert_eq!(four["against"], "worse", "{}", run.stdout);
        let found = file["findings"].as_array().unwrap();
        assert!(found.iter().any(|f| f["kind"] == "slower" && f["batch"] == 4), "{found:?}");
        let wanted = four["wanted_inferences_per_second"].as_f64().unwrap();
        let gather = four["gather_seconds"].as_f64().unwrap();
        assert!((gather * wanted - 3.0).abs() < 1e-9, "three more requests are waited for");
        assert!(run.stdout.contains("batching hurts with batch 4: p"), "{}", run.stdout);
        assert!(svg.contains(">slower, "), "{svg}");
        assert_eq!(run.code, 0, "what loses was measured well");
    });
}

#[test]
fn an_interrupted_study_keeps_what_was_measured() {
    steadily(|| {
        let server = Server::start(Manner::Batched(Duration::ZERO, Duration::from_millis(1)));
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("b");
        let (url, to) =
            (format!("kserve+http://127.0.0.1:{}/m", server.port), out.to_str().unwrap());
        let args = ["batching", &url, "--seconds", "2", "--batch", "1,2,4", "-o", to];
        let begin = Instant::now();
        let (code, text) = interrupted(&args, Duration::from_secs(5), "-INT");
        assert!(begin.elapsed() < Duration::from_secs(20));
        assert_eq!(code, Some(1), "{text}");
        let file = read(&out);
        assert_eq!(file["stopped"], true);
        let plateaus = file["plateaus"].as_array().unwrap().len();
        assert!((1..=2).contains(&plateaus) && file["cells"] == serde_json::json!([]), "{text}");
        assert!(text.contains("what was measured until then is kept"), "{text}");
    });
}

#[test]
fn wrong_words_are_refused_with_a_hint() {
    let target = "kserve+http://127.0.0.1:1/m";
    // Flags of `probe` that a study has no use for are none of its own.
    for (flag, value) in
        [("--load", "closed:1"), ("--spawn", "true"), ("--slo", "p99=1ms"), ("--pid", "1")]
    {
        let run = rooflens(&["batching", target, flag, value]);
        let refused = run.stderr.contains(&format!("unexpected argument '{flag}'"));
        assert!(run.code == 2 && refused && run.stdout.is_empty(), "{}", run.stderr);
    }
    let cases: [(&[&str], &str); 3] = [
        (&["--loads", "7"], "0.01 to 2"),
        (&["--server-batching", "on"], "is not a setting"),
        (&[], "refused"),
    ];
    for (args, message) in cases {
        let run = rooflens(&[&["batching", target], args].concat());
        assert_eq!(run.code, 2, "{args:?}: {}{}", run.stdout, run.stderr);
        let refused = run.stderr.contains(message) && run.stderr.contains("\n\nhint: ");
        assert!(refused && run.stdout.is_empty(), "{args:?}: {}", run.stderr);
    }
    // What a server cannot do is said before anything is measured.
    let server = Server::start(Manner::Kserve(3));
    let target = format!("kserve+http://127.0.0.1:{}/m", server.port);
    let run = rooflens(&["batching", &target, "--server-batching", "off"]);
    assert!(run.code == 2 && run.stderr.contains("only Triton's own"), "{}", run.stderr);
    let run = rooflens(&["batching", &target, "--batch", "4,4"]);
    assert!(run.code == 2 && run.stderr.contains("batch 4 alone"), "{}", run.stderr);
}
