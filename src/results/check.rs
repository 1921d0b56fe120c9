//! Limits on what a model may cost, and what was found.

use serde::Serialize;
use std::collections::BTreeMap;

/// Name and version of the form of [`CheckResult`].
pub const CHECK: &str = "rooflens.check/1";

rooflens_ground::words! {
    /// The unit of a limit.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum LimitUnit {
        /// None: a count.
        Count = "",
        /// Bytes.
        Bytes = "B",
        /// Seconds.
        Seconds = "s",
        /// Percent.
        Percent = "%",
    }
}

/// A limit and what was found.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Limit {
    /// What is limited.
    pub name: String,
    /// The unit of both numbers.
    pub unit: LimitUnit,
    /// What was found; null where nothing is known.
    pub found: Option<f64>,
    /// The limit: a maximum, of shares in percent a minimum.
    pub limit: f64,
    /// Whether the limit is kept.
    pub ok: bool,
}

/// What `rooflens check` prints.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckResult {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = CHECK)))]
    pub schema: &'static str,
    /// The model's file.
    pub file: String,
    /// Whether all limits are kept.
    pub ok: bool,
    /// The limits.
    pub checks: Vec<Limit>,
    /// Operators whose cost is not in the numbers, and how many nodes of each.
    #[cfg_attr(test, schemars(with = "BTreeMap<String, std::num::NonZeroUsize>"))]
    pub unknown: BTreeMap<String, usize>,
    /// What was assumed.
    pub assumed: Vec<String>,
    /// Why the numbers are not exact, with `--strict`; each is a breach.
    pub inexact: Vec<String>,
}
