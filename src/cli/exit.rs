//! Exit codes.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Good,
    /// Assessed, and a check such as `--strict` failed.
    Failed,
    /// Could not assess.
    Error,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Good => Self::from(0),
            Exit::Failed => Self::from(1),
            Exit::Error => Self::from(2),
        }
    }
}
