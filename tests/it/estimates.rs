//! Estimates of a model's time on a device whose calibration is written by hand: every figure of it
//! can be worked out from the analysis.

use crate::cli::follows;
use crate::run::{Run, rooflens};
use serde_json::Value;
use std::fmt::Write;
use std::path::Path;

/// Shares of the ceilings at which the kinds of kernels run, whatever their shape.
const KINDS: &[(&str, usize, f64)] = &[
    ("conv", 4, 0.5),
    ("pointwise", 4, 0.25),
    ("gemm", 3, 0.125),
    ("elementwise", 1, 2.0),
    ("global-pool", 1, 0.5),
];

const HEAD: &str = r#"
    id = "box"
    name = "Box"
    vendor = "somebody"
    kind = "cpu"
    confidence = "measured"
    sources = ["HOST"]
    peaks = [{ dtype = "f32", unit = "vector", dense_tflops = 0.1, kind = "measured" }]
    memory = [{ level = "DRAM", bandwidth_gb_s = 20.0, kind = "measured" }]
    [[calibrations]]
    runtime = "tract"
    version = "tract 1.2.3"
    threads = 1
    peak_tflops = 0.1
    bandwidth_gb_s = 20.0
    weights_gb_s = 1000.0
    per_run_us = 100.0
    per_kernel_us = 2.0
    sum_after_convolution = 3.0
    sum_after_product = 1.0
    held_out_error = 0.12
    benchmarks = 5
"#;

fn calibration() -> String {
    let mut text = HEAD.to_owned();
    for (class, axes, efficiency) in KINDS {
        let shape = vec!["10.0"; *axes].join(", ");
        let _ = writeln!(
            text,
            "[[calibrations.points]]\nname = \"{class}\"\nclass = \"{class}\"\nshape = [{shape}]\n\
             efficiency = {efficiency}\nkernel_us = 1.0"
        );
    }
    text
}

fn analyze(folder: &Path, more: &[&str]) -> Run {
    let hwdb = folder.to_str().unwrap();
    let args = ["analyze", "tests/models/resnet18.onnx", "--on", "box", "--hwdb", hwdb];
    rooflens(&[&args[..], more].concat())
}

#[test]
fn an_estimate_is_the_sum_of_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("box.toml"), calibration()).unwrap();
    let run = analyze(folder.path(), &["--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    follows("analysis", &report);

    let (mut seconds, mut kernels) = (100e-6, 0);
    for op in report["ops"].as_array().unwrap() {
        let number = |name: &str| op[name].as_f64().unwrap();
        let bytes = number("bytes_read") + number("bytes_written");
        let share = |class: &str| KINDS.iter().find(|k| k.0 == class).unwrap().2;
        let pointwise = op["inputs"].as_array().unwrap().get(1).is_some_and(|w| {
            w["shape"].as_array().is_some_and(|s| s.len() == 4 && s[2] == 1 && s[3] == 1)
        });
        seconds += match op["op_type"].as_str().unwrap() {
            "Conv" if pointwise => number("flops") / 0.1e12 / share("pointwise"),
            "Conv" => number("flops") / 0.1e12 / share("conv"),
            "Gemm" => number("flops") / 0.1e12 / share("gemm"),
            // Sums of residuals, which follow convolutions.
            "Add" => bytes / 20e9 / share("elementwise") * 3.0,
            "GlobalAveragePool" => bytes / 20e9 / share("global-pool"),
            // Not calibrated: at the roof.
            "MaxPool" => bytes / 20e9,
            "Relu" | "Flatten" | "Identity" => continue,
            other => panic!("{other}"),
        };
        kernels += 1;
    }
    seconds += f64::from(kernels) * 2e-6;
    let estimate = &report["bounds"][0]["estimates"][0];
    assert_eq!(estimate["kernels"], kernels);
    assert_eq!(estimate["uncalibrated"], 1);
    assert_eq!(estimate["uncalibrated_types"], serde_json::json!(["MaxPool"]));
    let found = estimate["seconds"].as_f64().unwrap();
    assert!((found / seconds - 1.0).abs() < 1e-9, "{found} {seconds}");

    let text = analyze(folder.path(), &[]).stdout;
    assert!(text.contains("± 12 % (median leave-one-out error), tract 1.2.3, 1 thread"), "{text}");
    assert!(text.contains("1 of 31 kernels are of kinds that were not calibrated"), "{text}");
    assert!(text.contains("count at the roof: MaxPool"), "{text}");
    assert!(text.contains("of it conv ") && text.contains(" % in 17, "), "{text}");
}

#[test]
fn weights_that_no_cache_keeps_bound_an_estimate() {
    let folder = tempfile::tempdir().unwrap();
    let seconds = |text: &str| {
        std::fs::write(folder.path().join("box.toml"), text).unwrap();
        let run = analyze(folder.path(), &["--format", "json"]);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        report["bounds"][0]["estimates"][0]["seconds"].as_f64().unwrap()
    };
    let slow = calibration().replace("weights_gb_s = 1000.0", "weights_gb_s = 0.01");
    let kept = slow.replace("benchmarks = 5", "benchmarks = 5\ncache_bytes = 1000000000");
    // 46.8 MB of weights at 10 MB a second.
    assert!(seconds(&slow) > 4.6, "{}", seconds(&slow));
    assert!((seconds(&kept) - seconds(&calibration())).abs() < 1e-9);
}

/// The embedding of GPT-2 is also its last product: 154 MB that tract lays out anew in each run. What
/// the other products weigh, nobody shares.
#[test]
fn weights_of_two_nodes_cost_their_layout_in_each_run() {
    let folder = tempfile::tempdir().unwrap();
    let laid_out = "benchmarks = 5\nshared_weights_gb_s = 0.1";
    let hwdb = folder.path().to_str().unwrap();
    for (model, seconds) in [("models/gpt2.onnx", 1.543_895), ("models/resnet50.onnx", 0.0)] {
        let [without, with] = ["benchmarks = 5", laid_out].map(|line| {
            let text = calibration().replace("benchmarks = 5", line);
            std::fs::write(folder.path().join("box.toml"), text).unwrap();
            let run =
                rooflens(&["analyze", model, "--on", "box", "--hwdb", hwdb, "--format", "json"]);
            let report: Value = serde_json::from_str(&run.stdout).unwrap();
            let estimate = &report["bounds"][0]["estimates"][0];
            let parts = estimate["parts"].as_array().unwrap().iter();
            let sum: f64 = parts.map(|p| p["seconds"].as_f64().unwrap()).sum();
            let all = estimate["seconds"].as_f64().unwrap();
            assert!(
                (sum + 100e-6 - all).abs() < 1e-9 * all,
                "parts are the whole without a run's own"
            );
            all
        });
        assert!((with - without - seconds).abs() < 1e-6, "{model}: {with} {without}");
    }
}

#[test]
fn impossible_calibrations_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    for (good, bad) in [
        ("efficiency = 0.5", "efficiency = nan"),
        ("efficiency = 0.5", "efficiency = -0.5"),
        ("per_run_us = 100.0", "per_run_us = -1.0"),
        ("held_out_error = 0.12", "held_out_error = inf"),
        ("weights_gb_s = 1000.0", "weights_gb_s = 0.0"),
        ("shape = [10.0]", "shape = [1e9]"),
    ] {
        let text = calibration();
        assert!(text.contains(good), "{good}");
        std::fs::write(folder.path().join("box.toml"), text.replacen(good, bad, 1)).unwrap();
        let run = analyze(folder.path(), &[]);
        assert_eq!(run.code, 2, "{bad}: {}", run.stdout);
        let place = run.stderr.contains("line ") && run.stderr.contains("box.toml");
        assert!(place, "{bad}: {}", run.stderr);
    }
}
