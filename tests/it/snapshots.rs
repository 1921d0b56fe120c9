//! What is printed, word for word. `INSTA_UPDATE=always cargo test` accepts a change.

use crate::run::rooflens;

#[test]
fn printed_text() {
    for (name, args) in [
        ("analyze_resnet50", &["analyze", "models/resnet50.onnx", "--on", "v100"][..]),
        ("analyze_bert_ops", &["analyze", "models/bert_base.onnx", "--by", "op", "--top", "5"]),
        (
            "analyze_gpt2_markdown",
            &["analyze", "models/gpt2.onnx", "--dim", "seq=128", "--format", "markdown"],
        ),
        ("hw_show_t4", &["hw", "show", "t4"]),
        ("hw_list_epyc", &["hw", "list", "epyc"]),
        ("ops_attention", &["ops", "attention"]),
        ("help", &["--help"]),
        ("help_analyze", &["analyze", "--help"]),
        ("help_plot", &["plot", "--help"]),
        ("help_batching", &["batching", "--help"]),
    ] {
        let run = rooflens(args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        insta::assert_snapshot!(name, run.stdout);
    }
    for (name, args) in [
        ("error_device", &["hw", "show", "h10"][..]),
        ("error_symbol", &["analyze", "models/resnet50.onnx", "--dim", "bacth=8"]),
        ("error_directory", &["analyze", "models"]),
        ("error_argument", &["analyze", "--on"]),
    ] {
        let run = rooflens(args);
        assert_eq!(run.code, 2, "{}", run.stdout);
        insta::assert_snapshot!(name, run.stderr);
    }
}

/// `rooflens ops --format markdown > docs/operators.md` brings it up to date.
#[test]
fn the_table_of_operators_is_fresh() {
    let path = format!("{}/docs/operators.md", crate::run::ROOT);
    let run = rooflens(&["ops", "--format", "markdown"]);
    assert_eq!(std::fs::read_to_string(path).unwrap(), run.stdout);
}
