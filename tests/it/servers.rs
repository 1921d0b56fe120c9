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
