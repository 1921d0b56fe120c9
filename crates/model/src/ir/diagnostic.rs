//! What reading and analysis could not settle, said in one place each.

use std::fmt;

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A choice made for the user, such as a symbol taken as one.
    Assumption,
    /// The numbers are right, but of sizes that are hardly what is meant.
    Warning,
    /// Something is missing from the numbers; coverage falls.
    Incomplete,
    /// The file contradicts itself.
    Conflict,
}

impl Severity {
    /// The word printed before the message.
    pub fn word(self) -> &'static str {
        match self {
            Self::Assumption => "assumption",
            Self::Warning => "warning",
            Self::Incomplete => "incomplete",
            Self::Conflict => "conflict",
        }
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
        write!(f, "{}: {}: {}", self.severity.word(), self.place, self.message)
    }
}
