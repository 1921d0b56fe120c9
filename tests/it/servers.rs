//! Real serving platforms, which `tests/servers/start.sh` starts; a server that is missing is a
//! failure. Their answers are held against what onnxruntime makes of the same inputs.

use crate::batching::study;
use crate::probe::probe;
use crate::run::{rooflens, steadily};
use serde_json::Value;

const LOAD: [&str; 4] = ["--load", "poisson:20", "--seconds", "5"];

/// A file in the folder of the servers.
fn file(name: &str) -> String {
    let folder = std::env::var("SERVERS").expect("tests/servers/start.sh sets SERVERS");
    format!("{folder}/{name}")
}

/// Probes with an input of known contents, and demands the right outputs.
fn right(target: &str, batch: u8, extra: &[&str]) -> Value {
    let (input, output) = (
        format!("x={}", file(&format!("x{batch}.npy"))),
        format!("y={}", file(&format!("y{batch}.npy"))),
    );
    let batch = batch.to_string();
    let given = ["--input", &input, "--expect-output", &output, "--batch", &batch];
    let (run, m) = probe(target, &[&LOAD, given.as_slice(), extra].concat());
    assert!(m["errors"].as_array().unwrap().is_empty(), "{target}: {}", run.stdout);
    assert!(m["window"]["good"].as_u64().unwrap() > 40, "{target}: {}", run.stdout);
    assert_eq!(m["target"]["inputs"][0]["shape"][0].to_string(), batch);
    assert_eq!(m["target"]["outputs"][0]["name"], "y");
    m
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn mlserver_over_http_and_grpc() {
    steadily(|| {
        for target in ["kserve+http://127.0.0.1:18102/small", "kserve+grpc://127.0.0.1:18103/small"]
        {
            for batch in [1, 4] {
                let m = right(target, batch, &[]);
                assert!(m["target"]["platform"].as_str().unwrap().starts_with("mlserver "), "{m}");
            }
        }
    });
}

const TRITON_STAGES: [&str; 5] =
    ["total", "queue", "compute_input", "compute_infer", "compute_output"];

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn triton_over_http_and_grpc() {
    steadily(|| {
        let http = "kserve+http://127.0.0.1:18105/small";
        for (target, extra, encoding) in [
            (http, [].as_slice(), "binary"),
            (http, &["--encoding", "json"], "JSON"),
            ("kserve+grpc://127.0.0.1:18106/small", &[], "binary"),
        ] {
            for batch in [1, 4] {
                let m = right(target, batch, extra);
                assert_eq!(m["target"]["encoding"], encoding);
                assert!(m["target"]["platform"].as_str().unwrap().starts_with("triton "), "{m}");
                // Its statistics come the way that the requests go.
                let reported = m["stages"].as_array().unwrap();
                assert_eq!(names(&m), TRITON_STAGES, "{target}");
                assert!(
                    reported.iter().all(|s| s["source"] == "Triton statistics"),
                    "{reported:?}"
                );
                let infer = &reported[3];
                assert_eq!(infer["servers"], 1, "{infer}");
                // Requests count once whatever their batch; readings lie a second apart.
                let (count, good) = (infer["count"].as_f64().unwrap(), &m["window"]["good"]);
                assert!((count / good.as_f64().unwrap() - 1.0).abs() < 0.6, "{count} of {good}");
                assert!(infer["mean_seconds"].as_f64() < m["service"]["mean_seconds"].as_f64());
                assert_eq!(m["scrapes"][0]["series"][0]["name"], "inference_count");
            }
        }
    });
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn tensorflow_serving_over_http_and_grpc() {
    steadily(|| {
        for target in ["tfs+http://127.0.0.1:18112/small", "tfs+grpc://127.0.0.1:18113/small"] {
            for batch in [1, 4] {
                right(target, batch, &[]);
            }
            let run = rooflens(&["probe", &target.replace("small", "large")]);
            assert!(run.code == 2 && run.stderr.contains("no model `large`"), "{}", run.stderr);
        }
    });
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn other_values_are_wrong_answers() {
    steadily(|| {
        let output = format!("y={}", file("y1.npy"));
        for target in [
            "kserve+http://127.0.0.1:18105/small",
            "kserve+grpc://127.0.0.1:18106/small",
            "tfs+http://127.0.0.1:18112/small",
            "tfs+grpc://127.0.0.1:18113/small",
        ] {
            // Random inputs have other outputs.
            let (run, m) = probe(target, &["--seconds", "1", "--expect-output", &output]);
            assert_eq!(m["errors"][0]["kind"], "wrong-answer", "{}", run.stdout);
            assert_eq!(m["window"]["good"], 0, "{}", run.stdout);
        }
        let unknown = format!("z={}", file("y1.npy"));
        let run =
            rooflens(&["probe", "tfs+grpc://127.0.0.1:18113/small", "--expect-output", &unknown]);
        assert!(run.code == 2 && run.stderr.contains("no output `z`"), "{}", run.stderr);
    });
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn certificates_of_ones_own() {
    steadily(|| {
        let certificate = file("certificate.pem");
        let trust = ["--ca", &certificate];
        for host in ["localhost", "127.0.0.1"] {
            right(&format!("tfs+grpcs://{host}:18114/small"), 1, &trust);
        }
        let docs = "https://localhost:18111/docs";
        let (run, m) = probe(docs, &[&LOAD, trust.as_slice()].concat());
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        for target in [docs, "tfs+grpcs://localhost:18114/small"] {
            let run = rooflens(&["probe", target]);
            assert!(run.code == 2 && run.stderr.contains("hint: trust"), "{}", run.stderr);
        }
    });
}

/// The answer to a GET, with its head.
fn get(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Triton holds requests back for 60 ms to fill a batch of eight, which at this load are never there:
/// slower than without, and put back as it was found.
#[test]
#[ignore = "needs tests/servers/start.sh"]
fn batching_of_triton_is_changed_measured_and_put_back() {
    steadily(|| {
        let config = || get(18105, "/v2/models/small/config");
        let before = config();
        let settings = ["--server-batching", "delay=60ms", "--server-batching", "off"];
        let load = ["--loads", "0.01", "--seconds", "5", "--in-flight", "8"];
        let (run, file, _) =
            study("kserve+http://127.0.0.1:18105/small", &[&settings[..], &load].concat());
        let cells = file["cells"].as_array().unwrap();
        assert_eq!(cells.len(), 2, "{}", run.stdout);
        assert_eq!(
            (&cells[0]["server"], &cells[1]["server"]),
            (&"off".into(), &"delay=60ms".into())
        );
        assert_eq!(cells[1]["against"], "worse", "{}", run.stdout);
        let mean = |c: &Value| c["executed_batch_mean"].as_f64().unwrap();
        assert!((mean(&cells[0]) - 1.0).abs() < 1e-9 && mean(&cells[1]) > 1.2, "{}", run.stdout);
        let p50 = |c: &Value| c["percentiles"][0]["seconds"].as_f64().unwrap();
        assert!(p50(&cells[1]) > 0.02 && p50(&cells[0]) < 0.02, "{}", run.stdout);
        let body = |text: &str| text.split("\r\n\r\n").nth(1).unwrap().to_owned();
        assert!(before.contains("\"max_queue_delay_microseconds\":500"), "{before}");
        assert_eq!(body(&before), body(&config()));

        for (target, reason) in [
            ("kserve+http://127.0.0.1:18102/small", "model-settings.json"),
            ("kserve+grpc://127.0.0.1:18106/small", "over HTTP"),
            ("tfs+http://127.0.0.1:18112/small", "only when it starts"),
        ] {
            let run = rooflens(&["batching", target, "--server-batching", "off"]);
            assert!(run.code == 2 && run.stderr.contains(reason), "{}", run.stderr);
        }
    });
}

/// What `MLServer` counts of itself: inferences within requests.
#[test]
#[ignore = "needs tests/servers/start.sh"]
fn mlserver_tells_its_time_for_inference() {
    steadily(|| {
        let page = ["--metrics", "http://127.0.0.1:18104/metrics"];
        for target in ["kserve+http://127.0.0.1:18102/small", "kserve+grpc://127.0.0.1:18103/small"]
        {
            let (run, m) = probe(target, &[&LOAD[..], &page].concat());
            let stage = |name: &str| {
                let all = m["stages"].as_array().unwrap();
                let found =
                    all.iter().find(|s| s["name"] == name && s["source"] == "server metrics");
                found.unwrap_or_else(|| panic!("{}", run.stdout))["mean_seconds"].as_f64().unwrap()
            };
            let service = m["service"]["mean_seconds"].as_f64().unwrap();
            let (infer, total) = (stage("infer"), stage("total"));
            assert!(0.0 < infer && infer < total && total < 1.05 * service, "{}", run.stdout);
            let parts = m["pipeline"]["parts"].as_array().unwrap();
            let compute = parts.iter().find(|p| p["role"] == "compute").unwrap();
            assert_eq!(compute["stage"], "infer", "{}", run.stdout);
        }
    });
}

fn names(m: &Value) -> Vec<String> {
    let all = m["stages"].as_array().unwrap();
    all.iter().map(|s| s["name"].as_str().unwrap().into()).collect()
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn fastapi_and_flask_tell_their_stages() {
    steadily(|| {
        let pixels = vec!["{{random}}"; 3 * 32 * 32].join(",");
        let body = format!("{{\"x\":[{pixels}]}}");
        let extra = ["--json", &body, "--expect", "\"scores\""];
        let (run, m) = probe("http://127.0.0.1:18101/predict", &[&LOAD, extra.as_slice()].concat());
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        assert_eq!(names(&m), ["infer", "post", "pre"]);

        let (input, output) = (file("x4.npy"), format!("scores={}", file("y4.npy")));
        let extra = ["--body", &input, "--expect-output", &output];
        let (run, m) = probe("http://127.0.0.1:18108/predict", &[&LOAD, extra.as_slice()].concat());
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        assert_eq!(names(&m), ["infer", "post", "pre"]);
    });
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn more_workers_that_prepare_images_move_the_bottleneck() {
    steadily(|| {
        let (photo, output) = (file("photo.jpg"), format!("scores={}", file("photo.npy")));
        let servers = [("18109", "pre=1", "pre-processing"), ("18110", "pre=2", "compute")];
        for (port, workers, expected) in servers {
            let target = format!("http://127.0.0.1:{port}/classify");
            let load = ["--load", "closed:6", "--seconds", "8", "--body", &photo];
            let known = ["--expect-output", &output];
            let servers = ["--stage-servers", workers, "--stage-servers", "infer=1"];
            let (run, m) = probe(&target, &[&load[..], &known, &servers].concat());
            assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
            assert_eq!(names(&m).len(), 5, "{}", run.stdout);
            assert_eq!(m["pipeline"]["bottleneck"]["role"], expected, "{}", run.stdout);
        }
    });
}

/// The wheel of the environment that `start.sh` made.
#[test]
#[ignore = "needs tests/servers/start.sh"]
fn onnxruntime_in_process_gives_what_the_model_promises() {
    use rooflens::probe::Target;
    use rooflens::runtime::ort::OrtTarget;
    use rooflens::runtime::{Runtime, RuntimeOptions, WeightsOrigin};
    let options = RuntimeOptions { instances: 2, ..RuntimeOptions::new(Runtime::Ort) };
    let model = |name: &str| std::fs::read(format!("{}/{name}", crate::run::ROOT)).unwrap();
    let (bytes, shapes) = (model("models/mobilenet_v2.onnx"), [vec![1, 3, 224, 224].into()]);
    let target = OrtTarget::load(&bytes, &shapes, &options).unwrap();
    assert!(matches!(target.weights, WeightsOrigin::Random { tensors: 258, .. }));
    assert_eq!(target.outputs.len(), 1);
    assert_eq!(target.outputs[0].shape, [1, 1000]);
    assert_eq!(target.outputs[0].finite, Some(true));
    std::thread::scope(|s| {
        for _ in 0..2 {
            s.spawn(|| (0..3).for_each(|_| target.infer().unwrap()));
        }
    });
    let wrong = OrtTarget::load(&bytes, &[vec![1, 3, 224, 0].into()], &options);
    assert!(wrong.is_err(), "an image without pixels");
    assert!(OrtTarget::load(b"no model", &[], &options).is_err());

    steadily(|| {
        let (run, m) = probe("ort:models/mobilenet_v2.onnx", &["--seconds", "3"]);
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        assert!(m["window"]["good"].as_u64().unwrap() > 10, "{}", run.stdout);
        assert!(m["target"]["platform"].as_str().unwrap().starts_with("onnxruntime 1."), "{m}");
    });
}

/// What a client in Python measures of llama.cpp's server, and what the server says of itself.
#[test]
#[ignore = "needs tests/servers/start.sh"]
fn llama_cpp_streams() {
    steadily(|| {
        let asked = ["--prompt-tokens", "180", "--output-tokens", "48", "--no-meters"];
        let load = ["--requests", "40", "--warm-up", "0"];
        let (run, m) = probe("openai+http://127.0.0.1:18115", &[asked.as_slice(), &load].concat());
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        let client = std::process::Command::new(file("llama-venv/bin/python"))
            .arg(format!("{}/tests/servers/stream_client.py", crate::run::ROOT))
            .args(["18115", "40", "34", "48"])
            .output()
            .unwrap();
        let client: Value = serde_json::from_slice(&client.stdout).unwrap();
        let of = |name: &str| client[name].as_f64().unwrap();
        let tokens = &m["tokens"];
        let (good, total) = (m["window"]["good"].as_f64().unwrap(), tokens["output"].as_f64());
        assert_eq!((total.unwrap() / good, of("tokens")), (48.0, 48.0));
        // Words of four letters are made of bytes here: prompts are as long as asked but for half a word.
        let input = tokens["input"].as_f64().unwrap() / good;
        assert!((input - 180.0).abs() < 4.0, "{input}");
        let median = |part: &Value| {
            let all = part["percentiles"].as_array().unwrap();
            all.iter().find(|p| p["quantile"] == 0.5).unwrap()["seconds"].as_f64().unwrap()
        };
        // The machine is shared by both and the server, and the prompts are not of one length.
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 0.35;
        for (own, theirs) in [
            (median(&tokens["ttft"]), of("ttft") * input / of("input")),
            (median(&tokens["tpot"]), of("tpot")),
        ] {
            assert!(near(own, theirs), "{own} {theirs}: {} {client}", run.stdout);
        }
        // The server times each of its phases: together nearly what the client waits for.
        let stage = |name: &str| {
            let all = m["stages"].as_array().unwrap();
            all.iter().find(|s| s["name"] == name).unwrap()["mean_seconds"].as_f64().unwrap()
        };
        let server = stage("prefill") + stage("generation");
        let service = m["service"]["mean_seconds"].as_f64().unwrap();
        assert!(server < service && near(server, service), "{server} {service}");
        assert_eq!(m["target"]["platform"], "llamacpp, OpenAI-compatible");
        let (run, m) = probe(
            "openai+http://127.0.0.1:18115/v1/completions",
            &[&["--requests", "10", "--shared-tokens", "150"], asked.as_slice()].concat(),
        );
        assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
        let series = m["scrapes"].as_array().unwrap();
        assert!(series.is_empty() || !series[0]["series"].as_array().unwrap().is_empty());
        // From the second request on of each slot, the shared part comes from its cache.
        let share =
            m["tokens"]["cached"].as_f64().unwrap() / m["tokens"]["input"].as_f64().unwrap();
        assert!((0.2..0.9).contains(&share), "{share}");
    });
}
