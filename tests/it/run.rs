//! Running the command.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The repository, which tests read models from.
pub(crate) const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What a run of the command left behind.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `rooflens` from the repository root, without the user's own device files.
pub(crate) fn rooflens(args: &[&str]) -> Run {
    rooflens_with(&[("XDG_CONFIG_HOME", Path::new("/no-such-folder"))], args)
}

/// The same with these variables set.
pub(crate) fn rooflens_with(variables: &[(&str, &Path)], args: &[&str]) -> Run {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_rooflens"))
        .args(args)
        .current_dir(ROOT)
        .env("NO_COLOR", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    Run {
        code: status.code().expect("no signal"),
        stdout: String::from_utf8(stdout).unwrap(),
        stderr: String::from_utf8(stderr).unwrap(),
    }
}

/// Timed runs, and those that measure this machine, take turns: two at a time would be each other's noise.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
