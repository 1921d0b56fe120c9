//! `rooflens ops`: the operators whose cost is known.

use super::{Exit, emit};
use crate::ops::{self, Op};
use std::fmt::Write;

/// List the operators that are understood, and what each costs.
///
/// |x| and |y| are the elements of the first input and output; one multiply–accumulate is two
/// operations. Versions are those of the operator set in which the definition changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only operators whose name or domain contains this, in any case.
    filter: Option<String>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Form {
    Table,
    Json,
    Markdown,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.unwrap_or_default().to_lowercase();
        let matches =
            |op: &&Op| format!("{}.{}", domain(op), op.name).to_lowercase().contains(&filter);
        let mut rows: Vec<&Op> = ops::all().filter(matches).collect();
        if rows.is_empty() {
            let names: Vec<&str> = ops::all().map(|op| op.name).collect();
            let message = format!("no operator that is understood is called `{filter}`");
            let hint = match super::nearest(&filter, names) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`rooflens ops` lists them all".to_owned(),
            };
            return Err(super::hinted(message, hint));
        }
        rows.sort_by_key(|op| (op.domain, op.name));
        let text = match self.format {
            Form::Json => json(&rows)?,
            Form::Markdown => markdown(&rows),
            Form::Table => table(&rows),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

fn domain(op: &Op) -> &'static str {
    if op.domain.is_empty() { "ai.onnx" } else { op.domain }
}

fn versions(op: &Op) -> String {
    let all: Vec<String> = op.versions().iter().map(ToString::to_string).collect();
    if all.is_empty() { "–".into() } else { all.join(" ") }
}

fn table(rows: &[&Op]) -> String {
    let (domains, names, sets) = (16, 34, 30);
    let mut text = format!(
        "{:<domains$} {:<names$} {:<sets$} {:<15} operations\n",
        "domain", "operator", "versions", "class"
    );
    for op in rows {
        let (domain, versions, class) = (domain(op), versions(op), op.class.name());
        let _ = writeln!(
            text,
            "{domain:<domains$} {:<names$} {versions:<sets$} {class:<15} {}",
            op.name, op.formula
        );
    }
    text
}

fn json(rows: &[&Op]) -> serde_json::Result<String> {
    let row = |op: &&Op| {
        serde_json::json!({
            "domain": domain(op),
            "name": op.name,
            "versions": op.versions(),
            "class": op.class.name(),
            "inputs": { "least": op.inputs.0, "most": (op.inputs.1 != usize::MAX).then_some(op.inputs.1) },
            "formula": op.formula,
        })
    };
    Ok(serde_json::to_string_pretty(&rows.iter().map(row).collect::<Vec<_>>())? + "\n")
}

fn markdown(rows: &[&Op]) -> String {
    let mut text = String::from(
        "# Operators\n\n\
         What each operator costs. Written by `rooflens ops --format markdown`; a test compares.\n\
         `|x|` and `|y|` are the elements of the first input and output; a multiply–accumulate is two\n\
         operations. Versions are those of the operator set in which the definition changed.\n\n\
         | domain | operator | versions | class | operations |\n| --- | --- | --- | --- | --- |\n",
    );
    for op in rows {
        let formula = op.formula.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {formula} |",
            domain(op),
            op.name,
            versions(op),
            op.class.name()
        );
    }
    text
}
