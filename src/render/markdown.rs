//! Results as Markdown.

use crate::ops::Op;
use crate::text::markdown;
use std::fmt::Write;

/// The page of the operators that are understood.
pub fn operators(rows: &[&Op]) -> String {
    let mut text = String::from(
        "# Operators\n\n\
         What each operator costs. Written by `rooflens ops --format markdown`; a test compares.\n\
         `|x|` and `|y|` are the numbers of elements of the first input and output; a multiply–accumulate is two\n\
         operations. Versions are those of the operator set in which the definition changed.\n\n\
         | domain | operator | versions | class | operations |\n| --- | --- | --- | --- | --- |\n",
    );
    for op in rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            markdown(op.operator_set()),
            markdown(op.name),
            super::text::versions(op),
            op.class.name(),
            markdown(op.formula)
        );
    }
    text
}

/// Operators of another format, with what each becomes.
pub fn translations(format: &str, rows: &[(&str, &str)]) -> String {
    let mut text = format!("| {} | becomes |\n| --- | --- |\n", markdown(format));
    for (op, to) in rows {
        let _ = writeln!(text, "| {} | {} |", markdown(op), markdown(to));
    }
    text
}
