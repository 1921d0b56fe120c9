//! `rooflens formats`: the model files that are read.

use super::form::Form;
use super::{Exit, emit};
use crate::formats::FORMATS;
use std::fmt::Write;

/// List the formats of model files that are read.
///
/// The format is recognized by the content of the file, never by its name. Weights are mapped, not read.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let text = match self.format {
            Form::Table => table(),
            Form::Json => json()?,
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

fn table() -> String {
    let mut text = String::new();
    for format in FORMATS {
        let _ = writeln!(text, "{}", format.name);
        let mut choices = Vec::new();
        if format.signatures {
            choices.push("--signature NAME");
        }
        if format.outputs {
            choices.push("--output-node NODE");
        }
        let rows = [
            ("files", format.files.to_owned()),
            ("read", format.read_of_it.to_owned()),
            ("not read", format.not_read.to_owned()),
            ("choose by", choices.join(", ")),
        ];
        for (name, what) in rows.iter().filter(|(_, what)| !what.is_empty()) {
            let _ = writeln!(text, "  {name:<10} {what}");
        }
    }
    text
}

fn json() -> serde_json::Result<String> {
    let row = |format: &crate::formats::Format| {
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
    Ok(serde_json::to_string_pretty(&FORMATS.iter().map(row).collect::<Vec<_>>())? + "\n")
}
