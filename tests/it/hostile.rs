//! Small files that ask for a great deal: each answers, with an analysis or with one error that names the
//! limit; and names that say more to a terminal than to a reader.

use crate::oracles::{ints, with};
use crate::run::{Run, rooflens};
use crate::wire::{Message, graph, node, typed, value};
use std::time::{Duration, Instant};

/// Debug builds on busy machines are slow; what is quadratic is slower by far.
const LONGEST: Duration = Duration::from_mins(1);

fn run(file: &[u8], args: &[&str]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("made.onnx");
    std::fs::write(&path, file).unwrap();
    let start = Instant::now();
    let run = rooflens(&[&["analyze", path.to_str().unwrap()], args].concat());
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
    run
}

fn model(nodes: &[Message], inputs: &[Message], output: &str) -> Vec<u8> {
    crate::wire::model(nodes, inputs, &[Message::default().bytes(1, output)])
}

/// Functions `F0` to `Fn`, each of which calls the one before it so many times.
fn towers(levels: usize, calls: usize, bottom: &[Message]) -> Vec<u8> {
    let set = |domain: &str, version| Message::default().bytes(1, domain).int(2, version);
    let function = |level: usize, nodes: &[Message]| {
        let head = Message::default().bytes(1, format!("F{level}")).bytes(4, "a").bytes(5, "b");
        let body = nodes.iter().fold(head, |f, n| f.message(7, n));
        body.message(9, &set("", 17)).message(9, &set("f", 1)).bytes(10, "f")
    };
    let call = |level: usize, from: &str, to: &str| {
        node(&format!("F{level}"), &[from], &[to]).bytes(7, "f")
    };
    let body = graph(
        &[call(levels, "x", "y")],
        &[value("x", &["4"])],
        &[Message::default().bytes(1, "y")],
    );
    let mut file = Message::default().int(1, 8).message(7, &body);
    file = file.message(8, &set("", 17)).message(8, &set("f", 1)).message(25, &function(0, bottom));
    for level in 1..=levels {
        let names: Vec<String> = (0..calls).map(|i| format!("t{i}")).collect();
        let mut nodes = Vec::new();
        let mut from = "a";
        for name in &names {
            nodes.push(call(level - 1, from, name));
            from = name;
        }
        nodes.push(node("Relu", &[from], &["b"]));
        file = file.message(25, &function(level, &nodes));
    }
    file.0
}

#[test]
fn functions_expand_within_bounds() {
    // 10^7 nodes of a few hundred bytes.
    let many = run(&towers(7, 10, &[node("Relu", &["a"], &["b"])]), &[]);
    assert_eq!(many.code, 2);
    assert!(many.stderr.contains("functions expand to more than 100"), "{}", many.stderr);
    // A function of nothing is called as often.
    let none = run(&towers(9, 10, &[]), &[]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("its functions"), "{}", none.stderr);
    // Ten thousand nodes are as good as written out.
    assert_eq!(run(&towers(4, 10, &[node("Relu", &["a"], &["b"])]), &[]).code, 0);
}

#[test]
fn kernels_are_found_in_linear_time() {
    let x = [value("x0", &["b", "8"]), value("w", &["8", "8"])];
    let name = |i: usize| format!("x{i}");
    let chain: Vec<Message> =
        (0..30_000).map(|i| node("Relu", &[&name(i)], &[&name(i + 1)])).collect();
    assert_eq!(run(&model(&chain, &x, "x30000"), &[]).code, 0);
    // One value with many readers, all of which one node reads.
    let spread: Vec<String> = (0..10_000).map(|i| format!("a{i}")).collect();
    let mut fan: Vec<Message> = spread.iter().map(|a| node("Relu", &["m"], &[a])).collect();
    fan.insert(0, node("MatMul", &["x0", "w"], &["m"]));
    fan.push(node("Sum", &spread.iter().map(String::as_str).collect::<Vec<_>>(), &["y"]));
    assert_eq!(run(&model(&fan, &x, "y"), &[]).code, 0);
    // One node that reads one value many times.
    let wide = node("Concat", &vec!["x0"; 60_000], &["y"]);
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    assert_eq!(run(&model(&[with(wide, &[axis])], &x, "y"), &[]).code, 0);
    // Attention, again and again.
    let mut heads = Vec::new();
    for i in 0..3_000 {
        let n = |kind: &str| format!("{kind}{i}");
        let perm = [ints("perm", &[1, 0])];
        heads.push(with(node("Transpose", &[&name(i)], &[&n("t")]), &perm));
        heads.push(node("MatMul", &[&name(i), &n("t")], &[&n("s")]));
        heads.push(node("Softmax", &[&n("s")], &[&n("p")]));
        heads.push(node("MatMul", &[&n("p"), &name(i)], &[&name(i + 1)]));
    }
    assert_eq!(run(&model(&heads, &x, "x3000"), &[]).code, 0);
}

#[test]
fn formulas_do_not_grow_without_end() {
    // Lengths add up to a sum of 400 symbols, and then to itself, 4,000 times.
    let names: Vec<String> = (0..400).map(|i| format!("x{i}")).collect();
    let inputs: Vec<Message> =
        names.iter().enumerate().map(|(i, n)| value(n, &[&format!("s{i}"), "w"])).collect();
    let axis = || Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let join = |from: &[&str], to: &str| with(node("Concat", from, &[to]), &[axis()]);
    let mut nodes = vec![join(&names.iter().map(String::as_str).collect::<Vec<_>>(), "c0")];
    for i in 0..4_000 {
        nodes.push(join(&[&format!("c{i}"), &names[i % 400]], &format!("c{}", i + 1)));
    }
    let grown = run(&model(&nodes, &inputs, "c4000"), &["--format", "json"]);
    assert_eq!(grown.code, 0, "{}", grown.stderr);
    // 400 ones, and 4,000 more; `w` is one.
    let report: serde_json::Value = serde_json::from_str(&grown.stdout).unwrap();
    assert_eq!(report["outputs"][0]["shape"], serde_json::json!([4400, 1]));
}

#[test]
fn a_tensor_has_at_most_64_axes() {
    let sizes = vec!["1"; 3_000];
    let tall = run(&model(&[node("Relu", &["x"], &["y"])], &[value("x", &sizes)], "y"), &[]);
    assert_eq!(tall.code, 2);
    assert!(tall.stderr.contains("has 3000 axes, of at most 64"), "{}", tall.stderr);
}

/// Where every name is a trap: nothing but newlines below 0x20, and nothing that turns the text around,
/// reaches a terminal, a document or a table; JSON has the names as they are.
#[test]
fn names_are_shown_and_not_obeyed() {
    let evil = "a\u{1b}[2J\u{7}\r\n|`<b>\u{202e}\u{200b}\u{9b}\u{7f}\t";
    let nodes = [
        node("Relu", &["x"], &["=cmd()"]).bytes(3, evil),
        node(evil, &["=cmd()"], &[evil]).bytes(3, "@sum"),
    ];
    let file = model(&nodes, &[typed("x", 1, &[evil, "4"])], evil);
    let hidden = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{200b}".contains(c);
    for form in ["table", "csv", "markdown", "json"] {
        for by in ["op", "type"] {
            let shown = run(&file, &["--by", by, "--format", form, "--strict"]);
            let all = format!("{}{}", shown.stdout, shown.stderr);
            assert!(!all.contains(hidden), "{form}: {all:?}");
            if form == "json" {
                let report: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
                assert_eq!(report["outputs"][0]["name"], evil);
            }
            if form == "csv" && by == "op" {
                assert!(shown.stdout.contains("\n'@sum,"), "{}", shown.stdout);
                assert_eq!(shown.stdout.lines().count(), 3, "{}", shown.stdout);
            }
            if form == "markdown" {
                assert!(!shown.stdout.contains("<b>"), "{}", shown.stdout);
            }
        }
    }
    let wrong = run(&file, &["--dim", "no=1"]);
    assert!(wrong.code == 2 && !wrong.stderr.contains(hidden), "{:?}", wrong.stderr);
}

/// In a document no name is a link, a picture, code or emphasis, in a table or outside.
#[test]
fn names_are_no_markdown() {
    let evil = "[x](http://evil)`![i](www.e/p.png)`_*e*_";
    let nodes = [node("Abs", &["x"], &["o"]).bytes(3, evil), node(evil, &["x"], &["z"])];
    let file = model(&nodes, &[typed("x", 1, &[evil, "4"])], "o");
    let text = run(&file, &["--format", "markdown"]).stdout;
    assert!(text.contains("- unknown:") && text.contains("- incomplete:"), "{text}");
    for part in ["[x]", "![", "http://", "www.", "`_", "_*", "e*"] {
        assert!(!text.contains(part), "{part}: {text}");
    }
}

/// A format string pads to 65,535 characters at most and panics beyond; names may be longer than that.
#[test]
fn a_long_name_does_not_widen_a_table_without_end() {
    let long = "A".repeat(70_000);
    let nodes = [
        node("Relu", &["x"], &["h"]).bytes(3, long.as_str()),
        node("Relu", &["h"], &["i"]).bytes(3, "short"),
        node(&long, &["i"], &["y"]),
    ];
    let file = model(&nodes, &[value("x", &["4"])], "y");
    for by in ["op", "type"] {
        let run = run(&file, &["--by", by]);
        assert_eq!(run.code, 0, "{}", run.stderr.chars().take(300).collect::<String>());
        let others = run.stdout.lines().filter(|line| !line.contains(&long));
        assert!(others.map(|line| line.chars().count()).all(|width| width < 1_000), "{by}");
    }
}

#[test]
fn a_path_with_a_line_break_is_one_line() {
    let missing = rooflens(&["analyze", "no\nsuch\u{1b}[31m.onnx"]);
    assert_eq!(missing.code, 2);
    let first = missing.stderr.lines().next().unwrap();
    assert!(first.starts_with("error: `no\\nsuch\\u001b[31m.onnx` cannot be read"), "{first}");
}

/// One limit for every flag that gives a size.
#[test]
fn a_size_beyond_any_tensor_is_refused_alike() {
    let size = ((1u64 << 40) + 1).to_string();
    let (dim, shape) = (format!("batch={size}"), format!("input_ids={size}x8"));
    let long = format!("batch={}", "9".repeat(40));
    for (flag, text) in [("--dim", &dim), ("--shape", &shape), ("--batch", &size), ("--dim", &long)]
    {
        let run = rooflens(&["analyze", "models/bert_base.onnx", flag, text]);
        assert_eq!(run.code, 2, "{flag} {text}");
        for said in ["is beyond any real tensor", "sizes go up to 2^40"] {
            assert!(run.stderr.contains(said), "{flag}: {}", run.stderr);
        }
    }
}

/// A device file with numbers that no device has is refused in one line that names it.
#[test]
fn a_device_file_of_impossible_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (number, said) in [
        ("nan", "is not a positive number"),
        ("inf", "is too large"),
        ("-1.0", "is not a positive number"),
        ("1e308", "`1e308` is too large"),
        ("1e-320", "is too small"),
    ] {
        let file = format!(
            "id = \"made\"\nname = \"Made\"\nvendor = \"x\"\nkind = \"cpu\"\nconfidence = \"estimated\"\n\
             [[peaks]]\ndtype = \"f32\"\nunit = \"vector\"\nkind = \"theoretical\"\ndense_tflops = {number}\n"
        );
        std::fs::write(folder.path().join("made.toml"), file).unwrap();
        let run = rooflens(&[
            "analyze",
            "models/resnet50.onnx",
            "--on",
            "made",
            "--hwdb",
            folder.path().to_str().unwrap(),
        ]);
        let first = run.stderr.lines().next().unwrap_or_default();
        assert_eq!(run.code, 2, "{number}: {}", run.stderr);
        let place = format!("line 10, `dense_tflops = {number}`");
        assert!(first.contains(&place) && first.contains(said), "{number}: {first}");
    }
}

/// What is not a report is refused in one line, and a file that never ends is not read to the end.
#[test]
fn a_report_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let whole = rooflens(&["analyze", "models/vgg16.onnx", "--format", "json"]).stdout;
    let (cut, negative) =
        (&whole[..whole.len() / 2], whole.replacen("\"macs\": ", "\"macs\": -", 1));
    let deep = "[".repeat(100_000);
    let other = r#"{"schema":"rooflens.measurement/1"}"#;
    for text in [cut, &*negative, &*deep, other, "null", ""] {
        std::fs::write(&path, text).unwrap();
        let run = rooflens(&["plot", path.to_str().unwrap(), "--on", "t4", "-o", "-"]);
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.starts_with("error: `"), "{}", run.stderr);
    }
}

/// Products of long sums, and tensors of very many axes, over and over.
#[test]
fn counts_of_long_formulas_stay_cheap() {
    // A size of twenty symbols, squared: 210 terms in every count of 2,000 nodes.
    let names: Vec<String> = (0..20).map(|i| format!("x{i}")).collect();
    let inputs: Vec<Message> =
        names.iter().enumerate().map(|(i, n)| value(n, &[&format!("s{i}"), "1"])).collect();
    let axis = Message::default().bytes(1, "axis").int(20, 2).int(3, 0);
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut nodes = vec![
        with(node("Concat", &all, &["c"]), &[axis]),
        with(node("Transpose", &["c"], &["t"]), &[ints("perm", &[1, 0])]),
        node("MatMul", &["c", "t"], &["m0"]),
    ];
    for i in 0..1_000 {
        let (m, r, next) = (format!("m{i}"), format!("r{i}"), format!("m{}", i + 1));
        nodes.push(node("Relu", &[&m], &[&r]));
        nodes.push(node("MatMul", &[&r, &m], &[&next]));
    }
    let squared = run(&model(&nodes, &inputs, "m1000"), &["--format", "json"]);
    assert_eq!(squared.code, 0, "{}", squared.stderr);
    // At sizes of 1: a product of 20 × 1 × 20, and a thousand of 20 × 20 × 20.
    let report: serde_json::Value = serde_json::from_str(&squared.stdout).unwrap();
    assert_eq!(report["totals"]["macs"], 400 + 1_000 * 8_000);
    // Sixty axes, each a symbol.
    let axes: Vec<String> = (0..60).map(|i| format!("s{i}")).collect();
    let x = value("x0", &axes.iter().map(String::as_str).collect::<Vec<_>>());
    let chain: Vec<Message> =
        (0..2_000).map(|i| node("Relu", &[&format!("x{i}")], &[&format!("x{}", i + 1)])).collect();
    assert_eq!(run(&model(&chain, &[x], "x2000"), &[]).code, 0);
}
