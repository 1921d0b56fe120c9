//! The device files against the figures of their sources, and `rooflens hw` as a user runs it.

use crate::run::{ROOT, Run, rooflens, rooflens_with, steadily};
use rooflens::hwdb::{Catalogue, CeilingError, Choice, Device};
use rooflens::roofline::Roof;
use std::path::Path;

/// Figures taken from the sources apart from the shipped files; the form is told at its head.
const FACTS: &str = include_str!("hw_facts.txt");

fn number(word: &str) -> Option<f64> {
    (word != "-").then(|| word.parse().unwrap())
}

fn close(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-3
}

/// Both absent, or both the same.
fn same(ours: Option<f64>, theirs: Option<f64>) -> bool {
    match (ours, theirs) {
        (Some(a), Some(b)) => close(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

#[test]
fn peaks_bandwidths_and_ridges_reproduce_the_sources() {
    let catalogue = Catalogue::builtin().unwrap();
    let mut device = Device::default();
    let mut left = 0;
    let (mut devices, mut peaks) = (0, 0);
    for line in FACTS.lines().filter(|l| !l.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "device" {
            assert_eq!(left, 0, "{}: peaks that the sources do not give", device.id);
            device = catalogue.find(words[1]).unwrap().clone();
            left = device.peaks.len();
            devices += 1;
            let dram = device.dram();
            let capacity = dram.and_then(|d| d.capacity_bytes).map(|b| b as f64);
            assert!(same(capacity, number(words[2])), "{line}");
            assert!(same(dram.and_then(|d| d.bandwidth_gb_s), number(words[3])), "{line}");
            assert!(same(device.tdp_w, number(words[4])), "{line}");
            continue;
        }
        let [dtype, unit, dense, sparse, ridge] = words[..] else { panic!("{line}") };
        let dense = number(dense).unwrap();
        let mut found =
            device.peaks.iter().filter(|p| p.dtype.name() == dtype && p.unit.name() == unit);
        let peak = found.find(|p| close(p.dense_tflops, dense));
        let peak = peak.unwrap_or_else(|| panic!("{}: {line}", device.id));
        assert!(same(peak.sparse_tflops, number(sparse)), "{}: {line}", device.id);
        let rate = device.dram().and_then(rooflens::hwdb::MemoryLevel::rate);
        let crossing = rate.map(|b| (peak.rate() / b).get());
        assert!(same(crossing, number(ridge)), "{}: {line}", device.id);
        (left, peaks) = (left - 1, peaks + 1);
    }
    assert_eq!((devices, peaks), (77, 322));
}

fn roof(device: &str, choice: Choice<'_>) -> Result<Roof, CeilingError> {
    Roof::of(Catalogue::builtin().unwrap().find(device).unwrap(), choice)
}

#[test]
fn the_roof_takes_the_highest_dense_peak() {
    for (name, dtype, ridge) in [("v100", "f16", 138.889), ("t4", "f16", 203.125)] {
        let roof = roof(name, dtype.into()).unwrap();
        assert!(close(roof.ridge().get(), ridge), "{name}: {}", roof.ridge());
    }
}

/// Ceilings in 10^12 per second at the clock that bounds are of: units × operations per unit and clock, as
/// NVIDIA's white papers of GA102, AD102 and GB202 have them, × the highest clock that nvidia-smi prints.
#[test]
fn sums_in_f32_and_the_boost_clock_are_the_default() {
    for (name, dtype, f32_sums, f16_sums) in [
        ("2080ti", "f16", 68.0 * 512.0 * 2.1e-3, 68.0 * 1024.0 * 2.1e-3),
        ("3090", "f16", 82.0 * 512.0 * 2.1e-3, 82.0 * 1024.0 * 2.1e-3),
        ("4090", "f16", 128.0 * 512.0 * 3.105e-3, 128.0 * 1024.0 * 3.105e-3),
        ("5090", "f8", 170.0 * 1024.0 * 3.09e-3, 170.0 * 2048.0 * 3.09e-3),
    ] {
        let name = format!("nvidia-rtx{name}");
        let default = roof(&name, dtype.into()).unwrap();
        assert!(close(default.peak.get(), f32_sums * 1e12), "{name}: {}", default.peak);
        assert_eq!(default.accumulate, Some("f32".into()));
        let narrow = Choice { accumulate: Some("f16"), ..dtype.into() };
        assert!(close(roof(&name, narrow).unwrap().peak.get(), f16_sums * 1e12), "{name}");
    }
    // 132 SMs × 4096 × 1.98 GHz; 4 cores × 8 × 1.8 GHz; 56 cores × 64 × 3 GHz on all cores.
    for (name, dtype, peak) in
        [("h100", "bf16", 1070.5), ("rpi4", "f32", 0.0576), ("intel-xeon-8480plus", "f32", 10.752)]
    {
        let found = roof(name, dtype.into()).unwrap().peak.get();
        assert!(close(found, peak * 1e12), "{name}: {found}");
    }
}

/// AGX Orin: 275 sparse TOPS are 170 of the GPU and 105 of two DLAs; half of each is dense (NVIDIA's
/// Deep-Learning-Accelerator-SW README). Orin NX: 60 and 40.
#[test]
fn accelerators_beside_the_gpu_are_an_engine_of_their_own() {
    for (name, gpu, dla) in [("orin", 85.0, 52.5), ("orin-nx", 30.1, 20.0)] {
        let peak = |unit: Option<&str>| {
            roof(name, Choice { unit, ..Choice::from("i8") }).unwrap().peak.get() / 1e12
        };
        assert!(close(peak(None), gpu) && close(peak(Some("dla")), dla), "{name}");
        assert!(close(peak(Some("all")), gpu + dla), "{name}");
    }
    let shown = rooflens(&["hw", "show", "orin"]).stdout;
    assert!(shown.contains("tensor + dla at once"), "{shown}");
    assert!(rooflens(&["hw", "show", "4090"]).stdout.contains("sums in f16"));
}

#[test]
fn a_type_that_a_device_lacks_is_an_error_that_names_its_types() {
    let missing = roof("rpi4", "f16".into()).unwrap_err();
    assert_eq!(missing.to_string(), "Raspberry Pi 4 (BCM2711) has no known f16 roof");
    assert_eq!(missing.hint(), "its types are: f32");
    let analyze = |device: &str, dtype: &str| {
        let model = "models/mobilenet_v2.onnx";
        rooflens(&["analyze", model, "--batch", "1", "--on", device, "--dtype", dtype])
    };
    for (device, dtype, said) in [
        ("rpi4", "int8", "has no known i8 roof"),
        ("v100", "bf16", "has no known bf16 roof"),
        ("v100", "tf32", "its types are: f16, f32, f64"),
        ("google-edgetpu", "int8", "the memory bandwidth of Coral Edge TPU is not known"),
    ] {
        refused(&analyze(device, dtype), said);
    }
}

/// Products of f32 in tf32: the arithmetic is faster, the bytes are the same. Weights in four bits and
/// activations in f16 compute in f16.
#[test]
fn tf32_and_mixed_types_choose_their_ceiling() {
    let bound = |dtype: &str| -> serde_json::Value {
        let model = "models/vgg16.onnx";
        let args = [
            "analyze", model, "--batch", "64", "--on", "a100", "--dtype", dtype, "--format", "json",
        ];
        serde_json::from_str(&rooflens(&args).stdout).unwrap()
    };
    let (f32, tf32) = (bound("f32"), bound("tf32"));
    assert_eq!(f32["totals"]["bytes_read"], tf32["totals"]["bytes_read"]);
    assert_eq!(tf32["bounds"][0]["dtype"], "tf32");
    assert_eq!(tf32["bounds"][0]["peak_flops"], 156e12);
    assert_eq!(bound("w4a16")["bounds"][0]["dtype"], "f16");
}

/// VGG-16 in f32, 32 images on a V100: `MXNet` with `cuDNN` 7 took 45.2 ms (NVIDIA's own table of 2018), less
/// than its nominal arithmetic takes at the peak, because cuDNN convolves by Winograd's algorithm.
#[test]
fn fast_convolutions_lower_the_bound_and_not_the_count() {
    let args = ["analyze", "models/vgg16.onnx", "--batch", "32", "--on", "v100"];
    let run = rooflens(&[&args[..], &["--format", "json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let (totals, bound) = (&report["totals"], &report["bounds"][0]);
    let number = |v: &serde_json::Value| v.as_f64().unwrap();
    assert_eq!(totals["macs"], 32u64 * 15_470_264_320);
    assert!(number(&bound["lower_bound_seconds"]) < 0.045_170_3);
    assert!(number(&bound["direct_seconds"]) > 0.045_170_3);
    // All convolutions are 3×3 with a stride of one: 16 of 81 products remain, all of the rest.
    let dense = 32.0 * f64::from(25_088 * 4096 + 4096 * 4096 + 4096 * 1000);
    let left = (number(&totals["effective_macs"]) - dense) * 16.0 / 81.0 + dense;
    assert!(close(number(&totals["lower_bound_macs"]), left), "{totals}");
    let said = rooflens(&args).stdout;
    assert!(said.contains("by fast algorithms (Winograd, FFT)"), "{said}");
    // Products of matrices have no such algorithm.
    let bert = ["analyze", "models/bert_base.onnx", "--on", "v100", "--format", "json"];
    let report: serde_json::Value = serde_json::from_str(&rooflens(&bert).stdout).unwrap();
    assert_eq!(report["totals"]["lower_bound_macs"], report["totals"]["effective_macs"]);
    assert_eq!(report["bounds"][0]["lower_bound_seconds"], report["bounds"][0]["direct_seconds"]);
}

#[test]
fn every_number_has_a_kind_a_source_and_a_confidence() {
    let catalogue = Catalogue::builtin().unwrap();
    for d in catalogue.iter() {
        assert_eq!(catalogue.problems(d), Vec::<String>::new(), "{}", d.id);
        assert!(!d.confidence.name().is_empty() && !d.sources.is_empty(), "{}", d.id);
        for peak in &d.peaks {
            // A vendor's sparse figure is at least 1.9 times a dense one of the same unit: none
            // stands in a dense field beside its own half.
            let sparse = peak.sparse_tflops.unwrap_or(f64::INFINITY);
            assert!(sparse >= 1.9 * peak.dense_tflops, "{} {}", d.id, peak.dtype);
            assert!(peak.attainable_tflops.is_none_or(|a| a < peak.dense_tflops), "{}", d.id);
        }
    }
}

#[test]
fn gigabytes_are_decimal_unless_the_file_says_otherwise() {
    for d in Catalogue::builtin().unwrap().iter() {
        let Some(dram) = d.dram() else { continue };
        let decimal = dram.capacity_bytes.is_none_or(|b| b % 1_000_000_000 == 0);
        let said = dram.note.as_ref().is_some_and(|n| n.contains("GiB"));
        assert!(decimal || said, "{}: {:?}", d.id, dram.capacity_bytes);
    }
}

#[test]
fn variants_are_of_the_same_maker_and_no_variant_has_variants() {
    let catalogue = Catalogue::builtin().unwrap();
    let mut variants = 0;
    for d in catalogue.iter() {
        let Some(parent) = &d.variant_of else { continue };
        let parent = catalogue.find(parent).unwrap();
        assert_eq!((&parent.vendor, &parent.variant_of), (&d.vendor, &None), "{}", d.id);
        variants += 1;
    }
    assert!(variants >= 13, "{variants}");
}

#[test]
fn check_all_finds_no_problem_and_shows_both_bases() {
    let run = rooflens(&["hw", "check", "--all"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("f32 vector, f64 tensor at 1980 MHz"), "{}", run.stdout);
    assert!(run.stdout.contains("77 devices, 322 peaks"), "{}", run.stdout);
    assert!(run.stdout.trim_end().ends_with("0 problems"), "{}", run.stdout);
}

#[test]
fn a_device_file_has_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.toml");
    std::fs::File::create(&path).unwrap().set_len((1 << 20) + 1).unwrap();
    let mut catalogue = Catalogue::default();
    let alone = catalogue.load_file(&path).unwrap_err().to_string();
    let in_folder = catalogue.load(folder.path()).unwrap_err().to_string();
    assert!(alone.ends_with("large.toml` cannot be read: it is larger than 1 MiB"), "{alone}");
    assert_eq!(alone, in_folder);
}

#[test]
fn check_says_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(Path::new(ROOT).join("hwdb/nvidia-t4.toml")).unwrap();
    let check = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        rooflens(&["hw", "check", path.to_str().unwrap()])
    };
    assert_eq!(check("nvidia-t4.toml", &good).code, 0);
    let off = check("nvidia-t4.toml", &good.replace("clock_mhz = 1590.0", "clock_mhz = 1000.0"));
    assert_eq!(off.code, 1, "{}", off.stderr);
    assert!(off.stdout.contains("PROBLEM: f32 vector: 58.2 % off"), "{}", off.stdout);
    let renamed = check("my-t4.toml", &good);
    assert!(renamed.stdout.contains("the id `nvidia-t4` is not the file's name"));
    assert_eq!(renamed.code, 1);
    let misspelt = check("nvidia-t4.toml", &good.replace("vendor", "vender"));
    assert_eq!(misspelt.code, 2);
    assert!(misspelt.stderr.contains("unknown field `vender`"), "{}", misspelt.stderr);
}

#[test]
fn impossible_numbers_are_refused_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    let good = std::fs::read_to_string(Path::new(ROOT).join("hwdb/nvidia-t4.toml")).unwrap();
    let path = folder.path().join("nvidia-t4.toml");
    let hwdb = folder.path().to_str().unwrap();
    let line = good.lines().position(|l| l.starts_with("tdp_w")).unwrap() + 1;
    for bad in ["nan", "-nan", "inf", "-70.0", "0.0", "-0.0", "1e400", "1e30", "\"70\"", "[70.0]"] {
        let was = good.lines().nth(line - 1).unwrap();
        std::fs::write(&path, good.replace(was, &format!("tdp_w = {bad}"))).unwrap();
        let commands: [&[&str]; 4] = [
            &["hw", "show", "t4", "--hwdb", hwdb],
            &["hw", "list", "--hwdb", hwdb],
            &["analyze", "models/mobilenet_v2.onnx", "--batch", "1", "--on", "t4", "--hwdb", hwdb],
            &["hw", "check", path.to_str().unwrap()],
        ];
        for command in commands {
            let run = rooflens(command);
            refused(&run, &format!("line {line}"));
            assert!(run.stderr.contains("nvidia-t4.toml"), "{bad}: {}", run.stderr);
        }
    }
    for (was, bad) in [
        ("capacity_bytes = ", "capacity_bytes = -"),
        ("dense_tflops = ", "dense_tflops = -"),
        ("bandwidth_gb_s = ", "bandwidth_gb_s = -"),
        ("[[peaks]]", "[[peaks"),
        ("id = ", "\u{0}id = "),
    ] {
        std::fs::write(&path, good.replace(was, bad)).unwrap();
        refused(&rooflens(&["hw", "show", "t4", "--hwdb", hwdb]), "line ");
    }
    std::fs::write(&path, [0xFF, 0xFE, 0x00]).unwrap();
    refused(&rooflens(&["hw", "show", "t4", "--hwdb", hwdb]), "nvidia-t4.toml` cannot be read");
    refused(&rooflens(&["hw", "show", "t4", "--hwdb", "no-such-folder"]), "no-such-folder");
}

fn refused(run: &Run, said: &str) {
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert!(run.stderr.contains(said) && run.stderr.contains("hint: "), "{}", run.stderr);
}

#[test]
fn wrong_arguments_are_refused_with_advice() {
    refused(&rooflens(&["hw", "check"]), "pass --all");
    refused(&rooflens(&["hw", "check", "no-such.toml"]), "cannot be read");
    refused(&rooflens(&["hw", "list", "--vendor", "acme"]), "one of: AMD, AWS, Apple");
    refused(&rooflens(&["hw", "list", "--dtype", "f17"]), "no device has the dtype `f17`");
    refused(&rooflens(&["hw", "list", "--min-memory", "much"]), "is not a number: `much`");
    refused(&rooflens(&["hw", "compare", "t4", "zzzzzz"]), "no device is called `zzzzzz`");
    refused(&rooflens(&["hw", "compare", "t4", "l4", "--dtype", "f6"]), "they have: f16");
    refused(&rooflens(&["hw", "measure", "-o", "box.json"]), "does not end in .toml");
    refused(&rooflens(&["hw", "measure", "-o", "nowhere/box.toml"]), "no such folder");
    refused(&rooflens(&["hw", "measure", "--repeats", "2"]), "3 to 1000");
    refused(&rooflens(&["hw", "show", "host"]), "has not been measured");
}

#[test]
fn list_filters() {
    let ids = |args: &[&str]| -> Vec<String> {
        let run = rooflens(&[&["hw", "list", "--format", "json"], args].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let devices: Vec<Device> = serde_json::from_str(&run.stdout).unwrap();
        devices.into_iter().map(|d| d.id).collect()
    };
    assert_eq!(ids(&["--vendor", "aws", "--kind", "npu"]).len(), 4);
    assert_eq!(
        ids(&["--dtype", "bf16", "--min-peak", "2.2P", "--min-memory", "250G"]),
        ["amd-mi355x", "nvidia-b300-sxm", "nvidia-gb300-gpu"]
    );
    assert_eq!(ids(&["jetson"]).len(), 5);
    assert!(ids(&["nothing-like-this"]).is_empty());
}

#[test]
fn compare_gives_multiples_of_the_first() {
    let run = rooflens(&["hw", "compare", "t4", "l4", "--dtype", "f16"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("×1.86"), "{}", run.stdout);
    let both = rooflens(&["hw", "compare", "4090", "orin"]).stdout;
    for row in ["f16 peak", "f16, f16 sums", "i8, DLAs"] {
        assert!(both.contains(row), "{both}");
    }
    let json = rooflens(&["hw", "compare", "t4", "l4", "--format", "json"]);
    let devices: Vec<Device> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(devices.len(), 2);
}

#[test]
fn detect_describes_this_machine() {
    let run = rooflens(&["hw", "detect", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let found: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(found["cpu"]["threads"].as_u64().unwrap() > 0);
    let gpus = found["gpus"].as_array().unwrap();
    // Either there are GPUs, or it is said why there are none.
    assert!(!gpus.is_empty() || found["no_gpus_because"].is_string() || run.stdout.contains("[]"));
}

#[test]
fn devices_of_ones_own_win_over_the_shipped_ones() {
    let config = tempfile::tempdir().unwrap();
    let own = config.path().join("rooflens/hwdb");
    std::fs::create_dir_all(&own).unwrap();
    let good = std::fs::read_to_string(Path::new(ROOT).join("hwdb/nvidia-t4.toml")).unwrap();
    std::fs::write(own.join("nvidia-t4.toml"), good.replace("Tesla T4", "my T4")).unwrap();
    std::fs::write(own.join("sources.toml"), "MINE = \"a label on the card\"\n").unwrap();
    let show = |args: &[&str]| {
        rooflens_with(
            &[("XDG_CONFIG_HOME", config.path())],
            &[&["hw", "show", "t4"], args].concat(),
        )
    };
    assert!(show(&[]).stdout.starts_with("my T4"), "{}", show(&[]).stderr);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nvidia-t4.toml"), good.replace("Tesla T4", "their T4"))
        .unwrap();
    let shown = show(&["--hwdb", folder.path().to_str().unwrap()]);
    assert!(shown.stdout.starts_with("their T4"), "{}", shown.stderr);
}

#[test]
fn nodes_are_bound_by_the_level_that_holds_their_data() {
    let folder = tempfile::tempdir().unwrap();
    let device = r#"
        id = "two-levels"
        name = "Two levels"
        vendor = "somebody"
        kind = "cpu"
        confidence = "measured"
        sources = ["HOST"]
        peaks = [{ dtype = "f32", unit = "vector", dense_tflops = 0.2, kind = "measured" }]
        memory = [
            { level = "DRAM", bandwidth_gb_s = 20.0, kind = "measured" },
            { level = "L2", capacity_bytes = 1000000, bandwidth_gb_s = 100.0, kind = "measured" },
        ]"#;
    std::fs::write(folder.path().join("two-levels.toml"), device).unwrap();
    let hwdb = folder.path().to_str().unwrap();
    let args = ["analyze", "models/mobilenet_v2.onnx", "--batch", "1", "--hwdb", hwdb];
    let run = rooflens(&[&args[..], &["--on", "two-levels"]].concat());
    assert!(run.stdout.contains("nodes bound by    compute "), "{}{}", run.stdout, run.stderr);
    let json = rooflens(&[&args[..], &["--on", "two-levels", "--format", "json"]].concat());
    let report: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    let bound = &report["bounds"][0];
    let levels = bound["levels"].as_array().unwrap();
    let mut seen = std::collections::BTreeSet::new();
    let mut seconds = 0.0;
    for level in levels {
        seconds += level["seconds"].as_f64().unwrap();
        for node in level["nodes"].as_array().unwrap() {
            assert!(seen.insert(node.as_u64()), "{node} twice");
            let op = &report["ops"][usize::try_from(node.as_u64().unwrap()).unwrap()];
            let number = |name: &str| op[name].as_f64().unwrap();
            let (work, bytes) = (
                number("flops") + number("int_ops"),
                number("bytes_read") + number("bytes_written"),
            );
            let bandwidth = if bytes <= 1e6 { 100e9 } else { 20e9 };
            let name = if bytes <= 1e6 { "L2" } else { "DRAM" };
            let expected = if work / 0.2e12 >= bytes / bandwidth { "compute" } else { name };
            assert_eq!(level["ceiling"], expected, "{}", op["name"]);
        }
    }
    let names: Vec<&str> = levels.iter().map(|l| l["ceiling"].as_str().unwrap()).collect();
    assert_eq!(names, ["compute", "L2", "DRAM"]);
    assert!(seconds < bound["node_by_node_seconds"].as_f64().unwrap());
    assert!(seconds >= bound["lower_bound_seconds"].as_f64().unwrap());
}

/// What cannot be calibrated is told, before minutes of measurements.
#[test]
fn a_runtime_that_is_missing_is_told_at_once() {
    let config = tempfile::tempdir().unwrap();
    let args = ["hw", "measure", "--calibrate", "--runtime", "tract", "--runtime", "ort"];
    let own = ["--save", "--ort-library", "/no/such/library.so"];
    let run =
        rooflens_with(&[("XDG_CONFIG_HOME", config.path())], &[&args[..], own.as_slice()].concat());
    assert_eq!(run.code, 2, "{}", run.stdout);
    assert!(run.stderr.contains("/no/such/library.so"), "{}", run.stderr);
    assert!(run.stderr.contains("hint: ") && run.stdout.is_empty(), "{}", run.stdout);
}

#[test]
fn a_measured_machine_is_a_device_like_any_other() {
    steadily(|| {
        let config = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| rooflens_with(&[("XDG_CONFIG_HOME", config.path())], args);
        let measured =
            run(&["hw", "measure", "--save", "--anyway", "--repeats", "3", "--format", "json"]);
        assert_eq!(measured.code, 0, "{}", measured.stderr);
        let survey: serde_json::Value = serde_json::from_str(&measured.stdout).unwrap();
        assert!(survey["readings"].as_array().unwrap().len() >= 8);
        // Either GPUs were measured, or it is said why none was.
        let gpus = survey["gpus"].as_array().unwrap();
        assert_eq!(gpus.is_empty(), survey["no_gpus_because"].is_string(), "{survey}");
        let files = std::fs::read_dir(config.path().join("rooflens/hwdb")).unwrap().count();
        assert!((2..=2 + gpus.len()).contains(&files), "{files}");
        for name in ["host", "host-one-thread"] {
            assert_eq!(run(&["hw", "show", name]).code, 0);
            assert_eq!(run(&["hw", "check", name]).code, 0);
            let on = run(&["analyze", "models/mobilenet_v2.onnx", "--batch", "1", "--on", name]);
            assert_eq!(on.code, 0, "{}", on.stderr);
        }
    });
}

/// Beside a neighbour that works half of the time on every processor: it is waited for, and said; ceilings are kept where
/// they did not vary, and else only with --anyway, and then the device says so.
#[test]
#[ignore = "takes two minutes, one of them waiting"]
fn a_busy_machine_is_waited_for_and_ceilings_that_vary_are_not_kept() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let (config, stop) = (tempfile::tempdir().unwrap(), AtomicBool::new(false));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let start = std::time::Instant::now();
            while start.elapsed().as_millis() < 70 {}
            std::thread::sleep(std::time::Duration::from_millis(70));
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().unwrap().get();
        (0..threads).for_each(|_| drop(scope.spawn(work)));
        let run = |args: &[&str]| rooflens_with(&[("XDG_CONFIG_HOME", config.path())], args);
        let measure = ["hw", "measure", "--save", "--repeats", "3", "--format", "json"];
        let busy = run(&measure);
        let text: serde_json::Value = serde_json::from_str(&busy.stdout).unwrap();
        assert_eq!(text["waited"]["looks"], 60, "{}", busy.stderr);
        assert!(busy.stderr.contains("waiting for a quiet machine"), "{}", busy.stderr);
        let file = config.path().join("rooflens/hwdb/host.toml");
        let steady = text["not_saved"].as_array().unwrap().is_empty();
        assert_eq!((busy.code, file.exists()), (i32::from(!steady), steady));
        let anyway = run(&[&measure[..], &["--anyway"]].concat());
        assert_eq!(anyway.code, 0, "{}", anyway.stderr);
        let text: serde_json::Value = serde_json::from_str(&anyway.stdout).unwrap();
        let device: Device = toml::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(text["waited"], serde_json::Value::Null);
        assert_eq!(device.machine.as_deref(), text["machine"]["id"].as_str());
        let varied = text["doubts"].as_array().unwrap();
        let varied = varied.iter().any(|d| d.as_str().unwrap().contains("between repeats"));
        assert_eq!(device.restless, varied);
        stop.store(true, Ordering::Relaxed);
    });
}
