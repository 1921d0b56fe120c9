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
    /// The operators of another format, with what each becomes: tf, keras, tflite.
    #[arg(long, value_name = "FORMAT")]
    domain: Option<String>,
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
        if let Some(name) = self.domain {
            return of_format(&name, &filter, self.format);
        }
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

/// Lists what is understood of the operators of a format.
fn of_format(name: &str, filter: &str, form: Form) -> anyhow::Result<Exit> {
    let own = |format: &&crate::formats::Format| format.domain == name;
    let known = crate::formats::FORMATS.iter().filter(|format| !format.domain.is_empty());
    let Some(format) = known.clone().find(own) else {
        let names: Vec<&str> = known.map(|format| format.domain).collect();
        let message = format!("no format has operators of a domain `{name}`");
        return Err(super::hinted(message, format!("there are: {}", names.join(", "))));
    };
    let mut rows = (format.operators)();
    rows.retain(|(op, _)| op.to_lowercase().contains(filter));
    rows.sort_unstable();
    let text = match form {
        Form::Json => {
            let row = |(op, to): &(&str, &str)| serde_json::json!({ "name": op, "becomes": to });
            serde_json::to_string_pretty(&rows.iter().map(row).collect::<Vec<_>>())? + "\n"
        }
        Form::Table => rows.iter().fold(String::new(), |mut text, (op, to)| {
            let _ = writeln!(text, "{op:<40} {to}");
            text
        }),
        Form::Markdown => {
            let head = format!("| {} | becomes |\n| --- | --- |\n", format.name);
            rows.iter().fold(head, |mut text, (op, to)| {
                let _ = writeln!(text, "| {op} | {} |", to.replace('|', "\\|"));
                text
            })
        }
    };
    emit(&text, None)?;
    Ok(Exit::Good)
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
