//! Waiting for a quiet machine.

use crate::host::{Waited, look, wait};

/// Looks at most; each takes one second.
const LOOKS: u32 = 60;

/// Waits until the machine is quiet, a minute at most; says on standard error what it waits for.
pub(super) fn wait_for_quiet() -> Waited {
    let bar = crate::cli::progress_bar("looking whether the machine is quiet");
    let mut said = false;
    let waited = wait(LOOKS, &mut look, &mut |looks, reasons| {
        let line = format!("waiting for a quiet machine: {}", reasons.join("; "));
        if bar.is_hidden() && !said {
            crate::cli::remark(&format!("{line} (up to {LOOKS} s; --anyway does not wait)"));
            said = true;
        }
        bar.set_message(line);
        bar.set_position(crate::cli::permille(f64::from(looks) / f64::from(LOOKS)));
    });
    bar.finish_and_clear();
    waited
}
