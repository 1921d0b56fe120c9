//! Devices whose files were checked.

use crate::hwdb::{DeviceCheck, Verdict};
use crate::units::si;
use std::fmt::Write;

/// Peaks against units × clock × width, and what is wrong.
pub fn device_checks(checked: &[DeviceCheck]) -> String {
    let mut text = String::new();
    for c in checked {
        let _ = writeln!(text, "{}  ({})", c.name, c.id);
        for p in &c.peaks {
            let listed = si(p.listed_tflops * 1e12, "");
            let computed = match (p.computed_tflops, p.clock_mhz, p.off()) {
                (Some(computed), Some(clock), Some(off)) => {
                    format!("{} at {clock:.0} MHz, {:+.1} %", si(computed * 1e12, ""), 100.0 * off)
                }
                _ => String::new(),
            };
            let _ = writeln!(
                text,
                "  {:<5} {:<10} {listed:>7}  {computed:<26} {}",
                p.dtype, p.unit, p.verdict
            );
        }
        for d in &c.disagreements {
            let _ = writeln!(text, "  disagree: {}: {}", d.what, d.figures);
        }
        for p in &c.problems {
            let _ = writeln!(text, "  PROBLEM: {p}");
        }
    }
    let _ = writeln!(text, "\n{}", summary(checked));
    text
}

fn summary(checked: &[DeviceCheck]) -> String {
    let peaks = || checked.iter().flat_map(|c| &c.peaks);
    let count = |is: fn(&Verdict) -> bool| peaks().filter(|p| is(&p.verdict)).count();
    let counts = [
        (count(|v| *v == Verdict::Within), "within 3.5 %"),
        (count(|v| matches!(v, Verdict::Explained(_))), "off with a reason"),
        (count(|v| *v == Verdict::Off), "off without one"),
        (count(|v| *v == Verdict::Circular), "with a clock inferred from the peak"),
        (count(|v| *v == Verdict::Measured), "measured"),
        (count(|v| matches!(v, Verdict::Unknown(_))), "lacking a factor"),
    ];
    let parts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}, {}: {}; {}, {}",
        plural(checked.len(), "device"),
        plural(peaks().count(), "peak"),
        parts.join(", "),
        plural(checked.iter().map(|c| c.disagreements.len()).sum(), "disagreement"),
        plural(checked.iter().map(|c| c.problems.len()).sum(), "problem"),
    )
}
