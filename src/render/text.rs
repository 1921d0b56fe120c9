//! Results as text for a terminal.

mod assessment;
mod batching;
mod check;
mod devices;
mod diff;
mod machine;
mod measurement;
mod start_up;
mod sweep;

pub use assessment::assessment;
pub use batching::batching;
pub use check::check;
pub use devices::{compare, device, device_checks, device_list};
pub use diff::diff;
pub use machine::{detected, surveyed};
pub use measurement::measurement;
pub use start_up::{start_up, start_up_part};
pub use sweep::sweep;

use super::table::{Side, Table};
use crate::formats::Format;
use crate::ops::Op;
use std::fmt::Write;

/// The operators that are understood.
pub fn operators(rows: &[&Op]) -> String {
    let head = ["domain", "operator", "versions", "class", "operations"];
    let mut table = Table::new(head.map(|name| (name, Side::Left)));
    for op in rows {
        let versions = versions(op);
        table.row([op.operator_set(), op.name, &versions, op.class.name(), op.formula]);
    }
    let mut text = String::new();
    table.write("", &mut text);
    text
}

/// Operators of another format, with what each becomes.
pub fn translations(rows: &[(&str, &str)]) -> String {
    let mut table = Table::new([("operator", Side::Left), ("becomes", Side::Left)]);
    for (op, to) in rows {
        table.row([op, to]);
    }
    let mut text = String::new();
    table.write("", &mut text);
    text
}

/// Versions of the operator set in which the definition of an operator changed.
pub(super) fn versions(op: &Op) -> String {
    let all: Vec<String> = op.versions().iter().map(ToString::to_string).collect();
    if all.is_empty() { "–".into() } else { all.join(" ") }
}

/// The formats of model files that are read.
pub fn formats(rows: &[Format]) -> String {
    let mut text = String::new();
    for format in rows {
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
            ("select by", choices.join(", ")),
        ];
        for (name, what) in rows.iter().filter(|(_, what)| !what.is_empty()) {
            let _ = writeln!(text, "  {name:<10} {what}");
        }
    }
    text
}
