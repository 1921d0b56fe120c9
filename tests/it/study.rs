//! Studies, comparisons and pages as the command makes them.

use crate::cli::follows;
use crate::run::{ROOT, Run, rooflens};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const RESNET: &str = "models/resnet50.onnx";
const BERT: &str = "models/bert_base.onnx";

fn study(args: &[&str]) -> Value {
    let run = rooflens(&[&["study"], args].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let study = serde_json::from_str(&run.stdout).unwrap();
    follows("study", &study);
    study
}

#[test]
fn a_study_follows_its_schema_and_says_what_analyze_says() {
    let study = study(&[RESNET, BERT, "--on", "v100", "--on", "t4", "--dim", "seq=128"]);
    assert_eq!(study["subjects"].as_array().unwrap().len(), 2);
    assert_eq!(study["cases"].as_array().unwrap().len(), 4);
    let run = rooflens(&["analyze", RESNET, "--on", "v100", "--format", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let (case, bound) = (&study["cases"][0], &report["bounds"][0]);
    assert_eq!(case["fused"]["seconds"], bound["fused_seconds"]);
    assert_eq!(case["unfused"]["seconds"], bound["node_by_node_seconds"]);
    assert_eq!(case["at_best"]["seconds"], bound["lower_bound_seconds"]);
}

/// A measurement of a runtime in process: real, short, and valid or not.
fn measured() -> &'static (Value, String) {
    static MEASURED: OnceLock<(Value, String)> = OnceLock::new();
    MEASURED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("run");
        let args = ["probe", "tract:models/mobilenet_v2.onnx", "--requests", "3", "-o"];
        let run = rooflens(&[&args[..], &[into.to_str().unwrap()]].concat());
        assert!(run.code < 2, "{}", run.stderr);
        let text = std::fs::read_to_string(into.join("measurement.json")).unwrap();
        (serde_json::from_str(&text).unwrap(), text)
    })
}

/// The same measurement with another percentile and rate; a side of the comparison.
fn side(root: &Path, name: &str, from: &Value, factors: &[f64]) {
    for (at, factor) in factors.iter().enumerate() {
        let mut run = from.clone();
        run["verdict"] = json!({ "verdict": "VALID", "findings": [], "notes": [] });
        run["run"]["started_unix_seconds"] = (1e9 + 100.0 * at as f64).into();
        for p in run["response"]["percentiles"].as_array_mut().unwrap() {
            let seconds = 0.02 * factor * (1.0 + p["quantile"].as_f64().unwrap());
            p["seconds"] = seconds.into();
            p["low_seconds"] = (seconds * 0.985).into();
            p["high_seconds"] = (seconds * 1.015).into();
            p["supported"] = true.into();
        }
        run["window"]["inferences_per_second"] = 100.0.into();
        let folder = root.join(name).join(format!("run-{at}"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("measurement.json"), run.to_string()).unwrap();
    }
}

fn compared(root: &Path, args: &[&str]) -> Run {
    let sides = ["a", "b"].map(|side| root.join(side).to_str().unwrap().to_owned());
    rooflens(&[&["compare", &*sides[0], &*sides[1]], args].concat())
}

#[test]
fn runs_are_held_against_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (base, _) = measured();
    let root = folder.path();
    let noise = [1.0, 1.01, 0.99, 1.005, 0.995];
    side(root, "a", base, &noise);
    side(root, "b", base, &noise.map(|f| 1.15 * f));
    let worse = compared(root, &[]);
    assert_eq!(worse.code, 1, "{}{}", worse.stdout, worse.stderr);
    assert!(worse.stdout.contains("WORSE") && worse.stdout.contains("p99"), "{}", worse.stdout);
    let json = compared(root, &["--format", "json"]);
    let file: Value = serde_json::from_str(&json.stdout).unwrap();
    follows("comparison", &file);
    assert_eq!(file["comparisons"][0]["worse"], true);
    let markdown = compared(root, &["--format", "markdown"]).stdout;
    assert!(markdown.lines().count() <= 40 && markdown.contains("**WORSE**"), "{markdown}");

    side(root, "b", base, &noise);
    let same = compared(root, &[]);
    assert_eq!((same.code, same.stdout.contains("same within 5 %")), (0, true), "{}", same.stdout);
    // Spread that hides ten percent: it cannot be told, and how many more runs it takes is said.
    side(root, "b", base, &[0.8, 1.25, 1.0, 1.3, 0.85]);
    let open = compared(root, &["--strict"]);
    assert_eq!(open.code, 1, "{}", open.stdout);
    assert!(
        open.stdout.contains("cannot tell:") && open.stdout.contains("a side"),
        "{}",
        open.stdout
    );
    assert_eq!(compared(root, &[]).code, 0, "only --strict fails on it");
}

#[test]
fn runs_that_are_not_alike_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (base, text) = measured();
    let root = folder.path();
    side(root, "a", base, &[1.0; 3]);
    let refused = |change: &dyn Fn(&mut Value), why: &str| {
        let mut other = base.clone();
        change(&mut other);
        side(root, "b", &other, &[1.0; 3]);
        if why == "OVERLOADED" {
            let path = root.join("b/run-0/measurement.json");
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replace("\"VALID\"", "\"OVERLOADED\"")).unwrap();
        }
        let run = compared(root, &[]);
        assert_eq!(run.code, 2, "{why}: {}", run.stdout);
        assert!(run.stderr.contains(why) && run.stderr.contains("hint:"), "{}", run.stderr);
    };
    refused(&|run| run["plan"]["load"] = "closed:2".into(), "different loads");
    refused(&|run| run["target"]["batch"] = 8.into(), "different batches");
    refused(&|_| {}, "OVERLOADED");
    let one = rooflens(&["compare", root.join("a").to_str().unwrap()]);
    assert!(one.code == 2 && one.stderr.contains("one side only"), "{}", one.stderr);
    // A file that ends in the middle.
    let path = root.join("b/run-1/measurement.json");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    assert_eq!(compared(root, &[]).code, 2);
}

/// Figures of the specification: a ResNet-50 on a V100 takes 541 µs, 93 % of it arithmetic.
#[test]
fn models_are_compared_on_devices() {
    let args = ["compare", RESNET, "--on", "v100", "--on", "t4", "--batch", "1,8"];
    let run = rooflens(&args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("resnet50  batch 8") && run.stdout.contains('×'), "{}", run.stdout);
    assert!(run.stdout.contains("µs A  9"), "{}", run.stdout);
    let markdown = rooflens(&[&args[..], &["--format", "markdown"]].concat());
    assert!(markdown.stdout.contains("| resnet50  batch 1 |"), "{}", markdown.stdout);
    let json = rooflens(&[&args[..], &["--format", "json"]].concat());
    follows("study", &serde_json::from_str(&json.stdout).unwrap());
    for (args, why) in [
        (&["compare", RESNET][..], "on devices"),
        (&["compare", RESNET, "--on", "no-such-device"], "no-such-device"),
        (&["compare", "no-such-file.onnx", "--on", "t4"], "no-such-file"),
    ] {
        let run = rooflens(args);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(why), "{}", run.stderr);
    }
}

#[test]
fn devices_are_recommended() {
    let args =
        ["recommend", RESNET, "--slo", "p99=50ms", "--qps", "200", "--on", "t4", "--on", "l4"];
    let run = rooflens(&args);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("Tesla T4") && run.stdout.contains('–'), "{}", run.stdout);
    let json = rooflens(&[&args[..], &["--format", "json"]].concat());
    follows("recommendation", &serde_json::from_str(&json.stdout).unwrap());
    let narrow = rooflens(&["recommend", RESNET, "--slo", "p99=1us", "--qps", "1", "--on", "t4"]);
    assert!(narrow.stdout.contains("NO "), "{}", narrow.stdout);
    for (slo, qps, why) in [("rate=5", "1", "--slo"), ("p99=50ms", "0", "--qps")] {
        let run = rooflens(&["recommend", RESNET, "--slo", slo, "--qps", qps]);
        assert!(run.code == 2 && run.stderr.contains(why), "{}", run.stderr);
    }
}

/// The script of a page, in node, gives what Rust gives: at the sizes of the study and at others.
#[test]
fn the_script_of_a_page_counts_as_the_command_does() {
    let names = ["batch", "seq"];
    for (model, sizes) in [(RESNET, vec![[8u64, 0]]), (BERT, vec![[1, 128], [7, 300]])] {
        let base = study(&[model, "--on", "t4", "--on", "v100"]);
        for size in sizes {
            let dims: Vec<String> = names
                .iter()
                .zip(size)
                .filter(|(_, n)| *n > 0)
                .map(|(name, n)| format!("{name}={n}"))
                .collect();
            let mut args = vec![model, "--on", "t4", "--on", "v100"];
            for dim in &dims {
                args.extend(["--dim", dim]);
            }
            let wanted = study(&args);
            let script = format!(
                "const r = require('{ROOT}/src/render/page/model.js');
                 const [base, wanted] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
                 const sizes = Object.fromEntries(wanted.subjects[0].symbols.map((s) => [s.name, s.at]));
                 const found = wanted.cases.map((c) => r.times(base.subjects[0], base.devices[c.device], {{ ceiling: c.dtype, bits: null }}, sizes));
                 console.log(JSON.stringify(found.map((t) => [t.at_best, t.fused, t.unfused])));"
            );
            let mut node = Command::new("node")
                .args(["-e", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("node is installed");
            let mut input = node.stdin.take().unwrap();
            input.write_all(json!([base, wanted]).to_string().as_bytes()).unwrap();
            drop(input);
            let output = node.wait_with_output().unwrap();
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            for (case, found) in
                wanted["cases"].as_array().unwrap().iter().zip(found.as_array().unwrap())
            {
                for (at, name) in ["at_best", "fused", "unfused"].iter().enumerate() {
                    for field in
                        ["seconds", "operations_per_second", "intensity", "compute", "memory"]
                    {
                        let (a, b) = (
                            case[name][field].as_f64().unwrap(),
                            found[at][field].as_f64().unwrap(),
                        );
                        assert!(
                            (a - b).abs() <= 1e-9 * a.abs().max(1e-12),
                            "{model} {dims:?} {name} {field}: {a} {b}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_page_needs_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let path = path.to_str().unwrap();
    let run = rooflens(&["report", RESNET, "--on", "v100", "--on", "t4", "-o", path]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page.len() < 300_000, "{}", page.len());
    assert!(
        page.contains("Content-Security-Policy")
            && page.contains("<svg")
            && page.contains("of the fused time")
    );
    for outside in
        ["https://", "src=", "@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "eval("]
    {
        assert!(!page.contains(outside), "{outside}");
    }
    let again = rooflens(&["report", RESNET, "--on", "v100", "-o", path]);
    assert!(again.code == 2 && again.stderr.contains("--force"), "{}", again.stderr);
}

/// A model whose names are markup and formulas of spreadsheets: they are text wherever they stand.
#[test]
fn names_with_markup_are_inert() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("<img src=x onerror=alert(1)>.onnx");
    std::fs::copy(Path::new(ROOT).join("models/mobilenet_v2.onnx"), &file).unwrap();
    let file = file.to_str().unwrap();
    let page = rooflens(&["report", file, "--on", "t4", "-o", "-"]).stdout;
    assert!(!page.contains("<img") && page.contains("&lt;img"), "escaped");
    let svg = rooflens(&["plot", file, "--as", "kernels", "--on", "t4", "-o", "-"]).stdout;
    assert!(!svg.contains("<img") && svg.contains("&lt;img"), "{svg}");
    let markdown = rooflens(&["compare", file, "--on", "t4", "--format", "markdown"]).stdout;
    assert!(!markdown.contains("<img") && markdown.contains("&lt;img"), "{markdown}");
}

#[test]
fn pictures_of_models_of_any_format() {
    let folder = tempfile::tempdir().unwrap();
    for (picture, ending) in
        [("models", "svg"), ("kernels", "png"), ("devices", "svg"), ("batch", "svg")]
    {
        let path = folder.path().join(format!("{picture}.{ending}"));
        let path = path.to_str().unwrap();
        let args = ["plot", RESNET, "--as", picture, "--on", "v100", "--on", "t4", "-o", path];
        let run = rooflens(&args);
        assert_eq!(run.code, 0, "{picture}: {}", run.stderr);
        assert!(std::fs::metadata(path).unwrap().len() > 2_000, "{picture}");
    }
    for (args, why) in [
        (&["plot", RESNET, "--as", "kernels", "-o", "-"][..], "no roof"),
        (&["plot", RESNET, "--as", "latency", "--on", "t4", "-o", "-"], "percentiles"),
        (&["plot", RESNET, "--as", "load", "--on", "t4", "-o", "-"], "open loads"),
    ] {
        let run = rooflens(args);
        assert!(run.code == 2 && run.stderr.contains(why), "{args:?}: {}", run.stderr);
    }
}

/// The page in a real Chromium: nothing on the console, one request, a size that is changed gives what the command gives,
/// search, sort, links, the keyboard, a phone, print, contrast, and no JavaScript.
#[test]
#[ignore = "needs Chromium, and playwright-core in NODE_PATH"]
fn page_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let (page, at_eight) = (folder.path().join("report.html"), folder.path().join("8.json"));
    let (page, at_eight) = (page.to_str().unwrap(), at_eight.to_str().unwrap());
    let devices = ["--on", "v100", "--on", "t4", "--on", "raspberry-pi-5"];
    let run = rooflens(&[&["report", RESNET, "-o", page][..], &devices].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let args = ["study", RESNET, "--batch", "8", "-o", at_eight];
    assert_eq!(rooflens(&[&args[..], &devices].concat()).code, 0);
    let script = format!("{ROOT}/tests/page/page.js");
    let looked = Command::new("node").args([&script, page, at_eight]).output().expect("node");
    let said = String::from_utf8_lossy(&looked.stdout);
    let errors = String::from_utf8_lossy(&looked.stderr);
    assert!(looked.status.success() && said.trim_end().ends_with("ok"), "{said}{errors}");
}
