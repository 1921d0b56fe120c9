//! Running the command.

use std::io::Write;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

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

/// A test that measures this machine: it takes its turn with the others, which would be its noise, and is
/// tried again, four times in all, where it does not hold. Other work of a shared machine may spoil a
/// try, and an interval that covers the truth in 95 of 100 runs misses it in five; a fault spoils all.
///
/// Each repeated try is written to the log past the capture of the test runner, so that a test that passes
/// only at its second try is seen.
pub(crate) fn steadily(test: impl Fn()) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for attempt in 1..TRIES {
        if std::panic::catch_unwind(AssertUnwindSafe(&test)).is_ok() {
            return;
        }
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        let _ = writeln!(std::io::stderr(), "RETRIED {name}: attempt {attempt} of {TRIES} failed");
    }
    test();
}

/// How often a test that measures may be tried.
const TRIES: u32 = 4;
