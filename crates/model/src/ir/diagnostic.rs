//! What reading and analysis could not settle, said in one place each.

use std::fmt;

rooflens_ground::words! {
    /// How much a diagnostic matters.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Severity {
        /// A choice made for the user, such as a symbol taken as one.
        Assumption = "assumption",
        /// The numbers are right, but of sizes that are hardly what is meant.
        Warning = "warning",
        /// Something is missing from the numbers; coverage falls.
        Incomplete = "incomplete",
        /// The file contradicts itself.
        Conflict = "conflict",
    }
}

/// One remark on a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// The node, value or file it is about.
    pub place: String,
    /// One clause, lower case, without a full stop.
    pub message: String,
    /// What would settle it, where something would.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.name(), self.place, self.message)
    }
}
