//! `rooflens ops`: the operators whose cost is known.

use super::{Exit, emit};
use crate::ops;
use std::fmt::Write;

/// List the operators that are understood, and what each costs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only operators whose name contains this, in any case.
    filter: Option<String>,
}

impl Args {
    pub(super) fn run(self) -> anyhow::Result<Exit> {
        let filter = self.filter.unwrap_or_default().to_lowercase();
        let mut rows: Vec<&ops::Op> =
            ops::all().filter(|op| op.name.to_lowercase().contains(&filter)).collect();
        rows.sort_by_key(|op| (op.domain, op.name));
        let mut text = format!("{:<12} {:<28} {:<15} operations\n", "domain", "operator", "class");
        for op in rows {
            let domain = if op.domain.is_empty() { "ai.onnx" } else { op.domain };
            let _ = writeln!(
                text,
                "{domain:<12} {:<28} {:<15} {}",
                op.name,
                op.class.name(),
                op.formula
            );
        }
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}
