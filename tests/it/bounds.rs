//! What binds a model on a device, and which sizes and types the numbers are of.

use crate::cli::follows;
use crate::gates::{weight, weighted};
use crate::run::{Run, rooflens};
use crate::wire::{self, Message};
use serde_json::{Value, json};

const RESNET: &str = "models/resnet50.onnx";
const MOBILENET: &str = "models/mobilenet_v2.onnx";

#[track_caller]
fn ends(args: &[&str], code: i32) -> Run {
    let run = rooflens(args);
    assert_eq!(run.code, code, "{args:?}: {}{}", run.stdout, run.stderr);
    run
}

#[track_caller]
fn analyzed(args: &[&str]) -> Value {
    let run = ends(&[&["analyze"], args, &["--format", "json"]].concat(), 0);
    let report = serde_json::from_str(&run.stdout).unwrap();
    follows("analysis", &report);
    report
}

/// `MobileNetV2` lies right of the V100's ridge by its compulsory traffic, but most of the time of its fused
/// kernels goes to those that memory binds.
#[test]
fn what_binds_is_a_share_of_the_time() {
    let report = analyzed(&[MOBILENET, "--on", "v100"]);
    let bound = &report["bounds"][0];
    let number = |v: &Value| v.as_f64().unwrap();
    assert!(number(&bound["intensity_flop_per_byte"]) > number(&bound["ridge_flop_per_byte"]));
    assert_eq!(bound["bound"], "memory");
    let runs = bound["runs"].as_array().unwrap();
    assert_eq!(
        runs.iter().map(|r| r["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["at best", "fused", "unfused"]
    );
    assert_eq!(runs[0]["bound"], "compute");
    let share = number(&runs[1]["shares"]["memory"]);
    assert!((0.6..0.95).contains(&share), "{share}");
    for (run, key) in
        runs.iter().zip(["lower_bound_seconds", "fused_seconds", "node_by_node_seconds"])
    {
        let (sum, seconds) = (number(&run["seconds"]), number(&bound[key]));
        assert!((sum / seconds - 1.0).abs() < 1e-9, "{key}: {sum} and {seconds}");
        let shares = ["compute", "memory", "launches"].map(|s| number(&run["shares"][s]));
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{shares:?}");
    }
    // Each row has a time of its own, and none is faster than the one above.
    assert!(runs.windows(2).all(|w| number(&w[0]["seconds"]) <= number(&w[1]["seconds"])));
    let text = rooflens(&["analyze", MOBILENET, "--on", "v100", "--by", "total"]).stdout;
    assert!(text.contains(" of the fused time, unless caches hold the activations"), "{text}");
    assert_eq!(analyzed(&[RESNET, "--on", "v100"])["bounds"][0]["bound"], "compute");
}

#[test]
fn a_model_fits_or_does_not() {
    // 25.6 M parameters of four bytes, activations and 16 GB or more of memory.
    let report = analyzed(&[RESNET, "--on", "t4"]);
    let fit = &report["bounds"][0]["memory"];
    assert_eq!(fit["fits"], true, "{fit}");
    let m = &report["memory"];
    let sum: u64 =
        ["weight_bytes", "peak_activation_bytes"].iter().map(|k| m[*k].as_u64().unwrap()).sum();
    assert_eq!(fit["needed_bytes"], sum);
    let large = ["--batch", "100000", "--on", "t4"];
    let report = analyzed(&[&[RESNET], &large[..]].concat());
    assert_eq!(report["bounds"][0]["memory"]["fits"], false);
    let text = ends(&[&["analyze", RESNET], &large[..]].concat(), 0).stdout;
    assert!(text.contains("device memory     does not fit: "), "{text}");
}

/// No other type's roof stands in for one that a device lacks, and a type has one name in all commands.
#[test]
fn types_that_a_device_lacks_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resnet.json");
    let path = path.to_str().unwrap();
    ends(&["analyze", RESNET, "--format", "json", "-o", path], 0);
    for args in [
        &["analyze", RESNET, "--on", "v100", "--dtype", "bfloat16"][..],
        &["check", RESNET, "--on", "v100", "--dtype", "bf16", "--max-latency", "1s"],
        &["plot", path, "--on", "v100", "--dtype", "BF16", "-o", "-"],
        &["plot", path, "--on", "v100", "--dtype", "f32", "--dtype", "bf16", "-o", "-"],
    ] {
        let run = ends(args, 2);
        assert!(run.stderr.contains("has no known bf16 roof"), "{args:?}: {}", run.stderr);
    }
    let of = |name: &str| analyzed(&[RESNET, "--dtype", name, "--on", "t4"])["bounds"][0].clone();
    for name in ["fp16", "half", "float16"] {
        assert_eq!(of(name), of("f16"), "{name}");
    }
    let tf32 = analyzed(&[RESNET, "--dtype", "tf32", "--on", "a100"]);
    assert_eq!(tf32["bounds"][0]["dtype"], "tf32");
    assert_eq!(tf32["totals"], analyzed(&[RESNET])["totals"], "tf32 is stored as f32");
    ends(&["analyze", RESNET, "--dtype", "f15"], 2);
}

/// A chart in another type is that of the model counted in it.
#[test]
fn a_plot_counts_again_in_its_type() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (f32, f16) = (file("f32.json"), file("f16.json"));
    ends(&["analyze", RESNET, "--batch", "2", "--format", "json", "-o", &f32], 0);
    let half = ["--batch", "2", "--dtype", "half", "--format", "json", "-o", &f16];
    ends(&[&["analyze", RESNET], &half[..]].concat(), 0);
    let plot = |path: &str| ends(&["plot", path, "--on", "v100", "--dtype", "fp16", "-o", "-"], 0);
    let (again, own) = (plot(&f32).stdout, plot(&f16).stdout);
    assert!(again.starts_with("<svg"), "{again}");
    assert_eq!(again, own);
    // Without the file there is nothing to count.
    let text = std::fs::read_to_string(&f32).unwrap();
    let gone = file("gone.json");
    std::fs::write(&gone, text.replace(RESNET, "no/such/model.onnx")).unwrap();
    let run = ends(&["plot", &gone, "--on", "v100", "--dtype", "f16", "-o", "-"], 2);
    assert!(run.stderr.contains("cannot be counted again in f16"), "{}", run.stderr);
    let wrong = ends(&["plot", &f32, "--on", "v100", "-o", &file("chart.jpg")], 2);
    assert!(wrong.stderr.contains("neither an .svg nor a .png"), "{}", wrong.stderr);
    let chart = file("chart.svg");
    let said = ends(&["plot", &f32, "--on", "v100", "-o", &chart], 0).stdout;
    assert_eq!(said, format!("wrote {chart}\n"));
}

/// A recurrence over `[steps, batch, features]` whose sizes are not called so.
fn recurrent(folder: &std::path::Path, sizes: &[&str], layout: i64) -> String {
    let layout = Message::default().bytes(1, "layout").int(20, 2).int(3, layout);
    let hidden = Message::default().bytes(1, "hidden_size").int(20, 2).int(3, 4);
    let lstm = wire::node("LSTM", &["x", "w", "r"], &["y"]).message(5, &layout).message(5, &hidden);
    let bytes = weighted(
        &[lstm],
        &[weight("w", &[1, 16, 8]), weight("r", &[1, 16, 4])],
        &[wire::value("x", sizes)],
        &[wire::value("y", &["p", "q", "r", "s"])],
    );
    let path = folder.join("recurrent.onnx");
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_batch_is_no_time_axis() {
    let folder = tempfile::tempdir().unwrap();
    let path = recurrent(folder.path(), &["a", "b", "8"], 0);
    let report = analyzed(&[&path, "--batch", "4", "--dim", "a=7"]);
    assert_eq!(report["model"]["inputs"][0]["shape"], json!([7, 4, 8]));
    let path = recurrent(folder.path(), &["a", "b", "8"], 1);
    let report = analyzed(&[&path, "--batch", "4", "--dim", "b=7"]);
    assert_eq!(report["model"]["inputs"][0]["shape"], json!([4, 7, 8]));
    // The batch is fixed: the other size is none.
    let path = recurrent(folder.path(), &["a", "3", "8"], 0);
    let run = ends(&["analyze", &path, "--batch", "4"], 2);
    assert!(run.stderr.contains("as in --dim a=8"), "{}", run.stderr);

    // Nothing says which of two open sizes is the batch, and a name says which is not.
    let product = |sizes: &[&str]| {
        let nodes = [wire::node("MatMul", &["x", "w"], &["y"])];
        let (x, y) = (wire::value("x", sizes), wire::value("y", sizes));
        let path = folder.path().join("product.onnx");
        std::fs::write(&path, weighted(&nodes, &[weight("w", &[8, 8])], &[x], &[y])).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let path = product(&["a", "b", "8"]);
    let report = analyzed(&[&path, "--batch", "4", "--dim", "b=1"]);
    assert_eq!(report["model"]["inputs"][0]["shape"], json!([4, 1, 8]));
    let warned = |d: &Value| d["severity"] == "warning" && d["place"] == "a";
    assert!(report["diagnostics"].as_array().unwrap().iter().any(warned));
    ends(&["analyze", &product(&["seq_len", "8"]), "--batch", "4"], 2);
    let one = analyzed(&[&product(&["n", "8"]), "--batch", "4"]);
    assert_eq!((&one["diagnostics"], &one["totals"]["macs"]), (&json!([]), &json!(4 * 8 * 8)));
}

#[test]
fn sizes_that_were_not_given_are_said_before_the_numbers() {
    let text = ends(&["analyze", "models/bert_base.onnx"], 0).stdout;
    let warning = text.find("warning: `seq` is not given and taken as 1").expect(&text);
    let assumed = text.find("assumed: batch = 1").expect(&text);
    let first = text.find("MACs").unwrap();
    assert!(warning < first && assumed < first, "{text}");
    let given = ["analyze", "models/bert_base.onnx", "--batch", "1", "--dim", "seq=128"];
    let text = ends(&given, 0).stdout;
    assert!(!text.contains("warning") && !text.contains("assumed: batch"), "{text}");
    ends(&[&given[..], &["--strict"]].concat(), 0);
    let strict = ends(&["analyze", RESNET, "--strict"], 1);
    assert!(strict.stderr.contains("strict: batch = 1 is assumed"), "{}", strict.stderr);
    ends(&["check", RESNET, "--max-params", "26M", "--strict"], 1);
    ends(&["check", RESNET, "--max-params", "26M", "--strict", "--batch", "1"], 0);
    let detector = ["analyze", "tests/models/ssdlite.onnx", "--strict"];
    assert!(ends(&detector, 1).stderr.contains("data-dependent: an upper bound is used"));

    // A prefill of one token is none: 128, unless a length was given.
    let decoder = ["tests/models/decoder.onnx", "--batch", "1"];
    let phases = analyzed(&decoder)["phases"].clone();
    let given = analyzed(&[&decoder[..], &["--dim", "seq=128", "--dim", "past=128"]].concat());
    assert_eq!(phases[0]["assumed"], json!({"seq": 128}));
    for phase in [0, 1] {
        assert_eq!(phases[phase]["flops"], given["phases"][phase]["flops"]);
    }
    assert_eq!(given["phases"][0]["assumed"], json!({}));
}

#[test]
fn a_size_of_zero_is_remarked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zero.onnx");
    let nodes = [wire::node("MatMul", &["x", "w"], &["y"])];
    let (x, y) = (wire::value("x", &["0", "8"]), wire::value("y", &["rows", "8"]));
    std::fs::write(&path, weighted(&nodes, &[weight("w", &[8, 8])], &[x], &[y])).unwrap();
    let path = path.to_str().unwrap();
    let report = analyzed(&[path]);
    let warned = |d: &Value| d["severity"] == "warning" && d["place"] == "x";
    assert!(report["diagnostics"].as_array().unwrap().iter().any(warned), "{report}");
    let text = ends(&["analyze", path], 0).stdout;
    assert!(text.find("warning: `x` has a size of 0") < text.find("MACs"), "{text}");
    assert_eq!(analyzed(&[path, "--shape", "x=2x8"])["diagnostics"], json!([]));
}

#[test]
fn a_check_has_limits_of_memory_and_time() {
    let on = ["check", MOBILENET, "--batch", "1", "--on", "v100"];
    let limits = |extra: &[&str], code| ends(&[&on[..], extra].concat(), code).stdout;
    limits(&["--max-latency", "1ms", "--max-memory", "1GB", "--strict"], 0);
    assert!(limits(&["--max-latency", "1us"], 1).contains("BREACH  time at best, nvidia-v100"));
    assert!(limits(&["--max-memory", "1MB"], 1).contains("BREACH  memory"));
    // Half the bytes of weights and activations.
    let weights = ["--max-weights", "8MB"];
    limits(&weights, 1);
    limits(&[&weights[..], &["--dtype", "f16"]].concat(), 0);
    ends(&["check", MOBILENET, "--max-latency", "1ms"], 2);
    // A device whose capacity is not known, with a limit and without.
    let on = ["check", MOBILENET, "--batch", "1", "--on", "aws-graviton2"];
    let assumed = "assumed: fits into the memory of aws-graviton2, whose capacity is not known\n";
    assert!(ends(&[&on[..], &["--max-memory", "1G"]].concat(), 0).stdout.contains(assumed));
    ends(&on, 2);
    let json = limits(&["--max-latency", "1ms", "--strict", "--format", "json"], 0);
    follows("check", &serde_json::from_str(&json).unwrap());
}

#[test]
fn differences_are_at_the_same_sizes_and_types() {
    let diff = |extra: &[&str]| -> Value {
        let args = ["diff", RESNET, MOBILENET, "--format", "json"];
        let value = serde_json::from_str(&ends(&[&args[..], extra].concat(), 0).stdout).unwrap();
        follows("diff", &value);
        value
    };
    let row = |diff: &Value, name: &str| {
        diff["totals"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap()["a"].clone()
    };
    let (full, half) = (diff(&[]), diff(&["--dtype", "f16"]));
    assert_eq!(row(&full, "weights").as_u64(), row(&half, "weights").as_u64().map(|n| 2 * n));
    let large = diff(&["--shape", "input=1x3x448x448"]);
    // Convolutions grow fourfold, the classifier of 2,048,000 MACs does not.
    let macs = |d: &Value| row(d, "MACs").as_u64().unwrap() - 2_048_000;
    assert_eq!(macs(&large), 4 * macs(&full));
    let wrong = ends(&["diff", RESNET, MOBILENET, "--shape", "inptu=1x3x8x8"], 2);
    assert!(wrong.stderr.contains("neither model has an input `inptu`"), "{}", wrong.stderr);
}

/// Other forms carry what the table carries.
#[test]
fn markdown_and_csv_carry_bounds_formulas_and_assumptions() {
    let args = ["analyze", "models/bert_base.onnx", "--on", "t4", "--format"];
    let markdown = ends(&[&args[..], &["markdown"]].concat(), 0).stdout;
    for part in
        ["- assumed: batch = 1", "- warning: \\`seq\\`", "### on ", "- FLOPs = ", "| fused |"]
    {
        assert!(markdown.contains(part), "`{part}` is not in: {markdown}");
    }
    let csv = ends(&[&args[..], &["csv", "--by", "total"]].concat(), 0).stdout;
    for part in ["\nmacs,", "\nsize batch,1,,,assumed\n", "\nseconds fused,", "batch·seq"] {
        assert!(csv.contains(part), "`{part}` is not in: {csv}");
    }
    let nodes = ends(&[&args[..], &["csv"]].concat(), 0).stdout;
    assert!(nodes.lines().next().unwrap().contains("unfused seconds on "), "{nodes}");
}

/// One number for one time: with launches, where a device file says how long they take.
#[test]
fn times_hold_launches_wherever_they_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let device = rooflens(&["hw", "show", "v100", "--format", "toml"]).stdout;
    let file = device.replacen("id = \"", "launch_us = 1000.0\nid = \"own-", 1);
    let id =
        file.lines().find_map(|l| l.strip_prefix("id = ")).unwrap().trim_matches('"').to_owned();
    std::fs::write(folder.path().join("own.toml"), file).unwrap();
    let own = folder.path().to_str().unwrap();
    let args = ["analyze", "models/resnet50.onnx", "--on", &id, "--hwdb", own, "--format", "json"];
    let run = rooflens(&args);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
    let bound = &report["bounds"][0];
    for (run, key) in [(1, "fused_seconds"), (2, "node_by_node_seconds")] {
        assert_eq!(bound["runs"][run]["seconds"], bound[key]);
        assert!(bound[key].as_f64().unwrap() > 0.05, "fifty kernels of a millisecond: {bound}");
    }
}

/// A model in int8 on a device without: the error names flags, and they work.
#[test]
fn a_type_that_a_device_lacks_is_counted_in_one_that_it_has() {
    let model = "tests/models/resnet18_qdq.onnx";
    let run = rooflens(&["analyze", model, "--on", "v100"]);
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("; --dtype f16 or --dtype f32"), "{}", run.stderr);
    let cast = rooflens(&["analyze", model, "--on", "v100", "--dtype", "f16"]);
    assert_eq!(cast.code, 0, "{}", cast.stderr);
    assert!(cast.stdout.contains(" in f16 ("), "{}", cast.stdout);
}
