//! Results as JSON: the types themselves, and rows of the tables of operators and formats.

use crate::formats::Format;
use crate::ops::Op;
use crate::report::OperatorReport;
use serde::Serialize;

/// Data as indented JSON with a line break at the end.
pub fn pretty<T: Serialize + ?Sized>(data: &T) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(data)? + "\n")
}

/// The operators that are understood.
pub fn operators(rows: &[&Op]) -> serde_json::Result<String> {
    pretty(&rows.iter().map(|op| OperatorReport::new(op)).collect::<Vec<_>>())
}

/// Operators of another format, with what each becomes.
pub fn translations(rows: &[(&str, &str)]) -> serde_json::Result<String> {
    let row = |(op, to): &(&str, &str)| serde_json::json!({ "name": op, "becomes": to });
    pretty(&rows.iter().map(row).collect::<Vec<_>>())
}

/// The formats of model files that are read.
pub fn formats(rows: &[Format]) -> serde_json::Result<String> {
    let row = |format: &Format| {
        serde_json::json!({
            "name": format.name,
            "files": format.files,
            "read": format.read_of_it,
            "not_read": format.not_read,
            "signatures": format.signatures,
            "output_nodes": format.outputs,
            "operators": (format.operators)().len(),
        })
    };
    pretty(&rows.iter().map(row).collect::<Vec<_>>())
}
