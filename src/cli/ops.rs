//! `rooflens ops`: the operators whose cost is known.

use super::{Exit, emit};
use crate::ops::{self, Op};
use crate::render::{json, markdown, text};

/// List the supported operators and what each costs.
///
/// |x| and |y| are the numbers of elements of the first input and output; one multiply–accumulate is two
/// operations. Versions are those of the operator set in which the definition changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only operators whose name or domain contains this, ignoring case.
    filter: Option<String>,
    /// List the operators of another format and what each is translated to: tf, keras, tflite, aten, caffe
    #[arg(long, value_name = "FORMAT")]
    domain: Option<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
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
        let matches = |op: &&Op| {
            format!("{}.{}", op.operator_set(), op.name).to_lowercase().contains(&filter)
        };
        let mut rows: Vec<&Op> = ops::all().filter(matches).collect();
        if rows.is_empty() {
            let names: Vec<&str> = ops::all().map(|op| op.name).collect();
            let message = format!("no supported operator matches `{filter}`");
            let hint = match super::nearest(&filter, names) {
                Some(close) => format!("did you mean `{close}`?"),
                None => "`rooflens ops` lists them all".to_owned(),
            };
            return Err(super::hinted(message, hint));
        }
        rows.sort_by_key(|op| (op.domain, op.name));
        let text = match self.format {
            Form::Json => json::operators(&rows)?,
            Form::Markdown => markdown::operators(&rows),
            Form::Table => text::operators(&rows),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

/// Lists the supported operators of a format.
fn of_format(name: &str, filter: &str, form: Form) -> anyhow::Result<Exit> {
    let own = |format: &&crate::formats::Format| format.domain == name;
    let known = crate::formats::FORMATS.iter().filter(|format| !format.domain.is_empty());
    let Some(format) = known.clone().find(own) else {
        let names: Vec<&str> = known.map(|format| format.domain).collect();
        let message = format!("no format has operators of the domain `{name}`");
        return Err(super::hinted(message, format!("one of: {}", names.join(", "))));
    };
    let mut rows = (format.operators)();
    rows.retain(|(op, _)| op.to_lowercase().contains(filter));
    rows.sort_unstable();
    let text = match form {
        Form::Json => json::translations(&rows)?,
        Form::Table => text::translations(&rows),
        Form::Markdown => markdown::translations(format.name, &rows),
    };
    emit(&text, None)?;
    Ok(Exit::Good)
}
