//! Limits and what was found.

use crate::results::{CheckResult, LimitUnit};
use crate::units::si;
use std::fmt::Write;

/// Limits that are kept and broken.
pub fn check(checked: &CheckResult) -> String {
    let mut text = String::new();
    for c in &checked.checks {
        let verdict = if c.ok { "ok" } else { "BREACH" };
        let (found, limit) = match (c.found, c.unit) {
            (None, unit) => ("not known".to_owned(), si(c.limit, unit.name())),
            (Some(found), LimitUnit::Percent) => {
                (format!("{found:.1} %"), format!("{} %", c.limit))
            }
            (Some(found), unit) => (si(found, unit.name()), si(c.limit, unit.name())),
        };
        let (found, limit) = (found.trim_end(), limit.trim_end());
        let _ = writeln!(text, "{verdict:<7} {:<18} {found:>12} of {limit}", c.name);
    }
    for (op, n) in &checked.unknown {
        let _ = writeln!(
            text,
            "unknown: {op} × {n}: not in these numbers (--allow-unknown lets it pass)"
        );
    }
    for line in &checked.assumed {
        let _ = writeln!(text, "assumed: {line}");
    }
    for reason in &checked.inexact {
        let _ = writeln!(text, "BREACH  not exact: {reason}");
    }
    text
}
