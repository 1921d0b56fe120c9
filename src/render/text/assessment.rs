//! An assessment in a few lines.

use crate::assess::Assessment;
use crate::schema::{GapPart, LoopPart, PercentilePart, RefusalKind};
use crate::units::si;
use std::fmt::Write;
use std::path::Path;

/// An assessment, and the folder it was written to.
pub fn assessment(a: &Assessment, folder: &Path) -> String {
    let mut out = format!("{}\n", a.analysis.model.file);
    model(a, &mut out);
    machine(a, &mut out);
    match (&a.runtime, &a.not_measured) {
        (_, Some(why)) => not_measured(a, why, &mut out),
        (Some(runtime), None) => {
            let _ = writeln!(out, "\nmeasured with {runtime}, closed loop");
            for one in &a.measured {
                closed_loop(one, &mut out);
            }
            refusals(a, &mut out);
        }
        (None, None) => {}
    }
    let folder = folder.display().to_string();
    let folder = crate::text::shown(&folder);
    let _ = writeln!(out, "\nreport in {folder}/\nopen {folder}/report.html");
    out
}

fn row(out: &mut String, label: &str, text: &str) {
    let _ = writeln!(out, "  {label:<10} {text}");
}

/// What the model costs, and what was assumed for it.
fn model(a: &Assessment, out: &mut String) {
    let t = &a.analysis.totals;
    let costs = format!(
        "{} parameters; per run {} and {} compulsory; compulsory intensity {:.1} FLOP/B",
        crate::report::count(t.params),
        t.operations().map_or("unknown work".into(), |n| si(n as f64, "FLOP")),
        t.compulsory_bytes.map_or("unknown traffic".into(), |n| si(n as f64, "B")),
        a.bound.intensity_flop_per_byte
    );
    row(out, "costs", &costs);
    let coverage = &a.analysis.coverage;
    row(out, "coverage", &format!("{:.1} % of {} nodes", coverage.percent, coverage.nodes));
    if let Some(weights) = &a.weights {
        row(out, "weights", weights);
    }
    for line in crate::report::assumptions(&a.analysis) {
        row(out, "assumed", &line);
    }
}

/// What the machine allows.
fn machine(a: &Assessment, out: &mut String) {
    let (m, b) = (&a.machine, &a.bound);
    row(out, "machine", &format!("{}, {} threads, {}", m.cpu, m.threads, m.simd));
    row(out, "ceilings", &crate::report::ceilings(b, ", measured"));
    for doubt in &m.doubts {
        row(out, "noisy", doubt);
    }
    let (best, unfused) = (si(b.lower_bound_seconds, "s"), si(b.node_by_node_seconds, "s"));
    row(out, "bound by", &format!("{}: {best} per run at best, {unfused} unfused", b.bound));
}

/// Why no number was measured, and how it can be.
fn not_measured(a: &Assessment, why: &str, out: &mut String) {
    let _ = writeln!(out, "\nnot measured: {why}");
    refusals(a, out);
    let _ = writeln!(out, "costs and ceilings hold all the same");
    if let Some(advice) = &a.advice {
        let _ = writeln!(out, "to measure it, serve it and run: {advice}");
    }
}

/// The runtimes that did not run the model.
fn refusals(a: &Assessment, out: &mut String) {
    for refusal in &a.refusals {
        let label = if refusal.kind == RefusalKind::Runtime { "missing" } else { "refused" };
        row(out, label, &refusal.reason);
        if let Some(message) = &refusal.message {
            row(out, "", &format!("it says: {}", end_of(message)));
        }
    }
}

/// The end of a long text, where runtimes name the cause.
fn end_of(text: &str) -> String {
    const LONGEST: usize = 150;
    let Some(over) = text.chars().count().checked_sub(LONGEST) else { return text.to_owned() };
    let end: String = text.chars().skip(over).collect();
    let word = end.find(' ').map_or(0, |at| at + 1);
    format!("… {}", &end[word..])
}

/// What was reached, whether that can be trusted, and what is missing to the roof.
fn closed_loop(one: &LoopPart, out: &mut String) {
    let mut row = |label: &str, text: &str| {
        let _ = writeln!(out, "  {label:<14} {text}");
    };
    let p50 = one.p50_seconds.map_or(String::new(), |p| {
        let median = PercentilePart::find(&one.percentiles, 0.5).filter(|p| p.supported);
        format!("p50 {}{}, ", si(p, "s"), median.and_then(interval).unwrap_or_default())
    });
    let tail = tail(one);
    let flops = one.achieved_flops.map_or("FLOP/s not known".into(), |a| si(a, "FLOP/s"));
    row(&one.name, &format!("{:>7.1}/s  {p50}{tail}; {flops}", one.throughput_per_second));
    if let Some(gap) = &one.gap {
        row("", &gap_in_words(gap, one.attainable_flops));
    }
    if let Some(judged) = &one.verdict {
        if judged.findings.is_empty() {
            row("", judged.verdict.name());
        }
        for finding in &judged.findings {
            row("", &format!("{}: {}", finding.verdict, finding.evidence));
        }
        for note in &judged.notes {
            row("", &format!("note: {note}"));
        }
    }
    if let Some(error) = &one.first_error {
        row("", &format!("failed: {error}"));
    }
    if one.interrupted {
        row("", &format!("interrupted: {} runs counted", one.count));
    }
}

/// The highest percentile that the inferences support.
fn tail(one: &LoopPart) -> String {
    let tails = [(99, one.p99_seconds), (95, one.p95_seconds), (90, one.p90_seconds)];
    let found = tails.into_iter().find_map(|(q, seconds)| Some((q, seconds?)));
    found.map_or("too few runs for p90".into(), |(q, seconds)| format!("p{q} {}", si(seconds, "s")))
}

/// The interval of a percentile, where it has both ends.
fn interval(p: &PercentilePart) -> Option<String> {
    Some(format!(" ({} to {})", si(p.low_seconds?, "s"), si(p.high_seconds?, "s")))
}

/// How far from the roof, and why.
fn gap_in_words(gap: &GapPart, attainable: f64) -> String {
    if gap.total < 1.0 {
        return "above the measured roof: the ceilings are too low".into();
    }
    format!(
        "×{:.1} below the {} attainable: ×{:.1} traffic between nodes, ×{:.1} kernels and runtime",
        gap.total,
        si(attainable, "FLOP/s"),
        gap.traffic,
        gap.kernels
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_before_a_word() {
        assert_eq!(end_of("short"), "short");
        let cut = end_of(&format!("{}the cause", "é word ".repeat(99)));
        assert!(cut.starts_with("… ") && cut.ends_with(" word the cause"), "{cut}");
        assert!(cut.chars().count() <= 152, "{cut}");
    }
}
