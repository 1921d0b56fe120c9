//! Real serving platforms, which `tests/servers/start.sh` starts; a server that is missing is a
//! failure.

use crate::probe::{probe, turn};

const LOAD: [&str; 4] = ["--load", "poisson:20", "--seconds", "5"];

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn mlserver_over_http_and_grpc() {
    let _turn = turn();
    for target in ["kserve+http://127.0.0.1:18102/small", "kserve+grpc://127.0.0.1:18103/small"] {
        for batch in ["1", "4"] {
            let (run, m) = probe(target, &[&LOAD, ["--batch", batch].as_slice()].concat());
            assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
            assert!(m["window"]["good"].as_u64().unwrap() > 40, "{}", run.stdout);
            assert_eq!(m["target"]["inputs"][0]["shape"][0].to_string(), batch);
            assert_eq!(m["target"]["outputs"][0]["name"], "y");
        }
    }
}

#[test]
#[ignore = "needs tests/servers/start.sh"]
fn fastapi_tells_its_stages() {
    let _turn = turn();
    let pixels = vec!["{{random}}"; 3 * 32 * 32].join(",");
    let body = format!("{{\"x\":[{pixels}]}}");
    let extra = ["--json", &body, "--expect", "\"scores\""];
    let (run, m) = probe("http://127.0.0.1:18101/predict", &[&LOAD, extra.as_slice()].concat());
    assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
    let stages: Vec<&str> =
        m["stages"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap()).collect();
    assert_eq!(stages, ["infer", "post", "pre"]);
}

/// The wheel of the environment that `start.sh` made.
#[test]
#[cfg(feature = "ort")]
#[ignore = "needs tests/servers/start.sh"]
fn onnxruntime_in_process_gives_what_the_model_promises() {
    use rooflens::probe::{OrtTarget, Runtime, RuntimeOptions, Target, WeightsOrigin};
    let options = RuntimeOptions { instances: 2, ..RuntimeOptions::new(Runtime::Ort) };
    let model = |name: &str| std::fs::read(format!("{}/{name}", crate::run::ROOT)).unwrap();
    let (bytes, shapes) = (model("models/mobilenet_v2.onnx"), [vec![1, 3, 224, 224]]);
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
    let wrong = OrtTarget::load(&bytes, &[vec![1, 3, 224, 0]], &options);
    assert!(wrong.is_err(), "an image without pixels");
    assert!(OrtTarget::load(b"no model", &[], &options).is_err());

    let _turn = turn();
    let (run, m) = probe("ort:models/mobilenet_v2.onnx", &["--seconds", "3"]);
    assert!(m["errors"].as_array().unwrap().is_empty(), "{}", run.stdout);
    assert!(m["window"]["good"].as_u64().unwrap() > 10, "{}", run.stdout);
    assert!(m["target"]["platform"].as_str().unwrap().starts_with("onnxruntime 1."), "{m}");
}
