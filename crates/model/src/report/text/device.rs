//! What devices allow, as text.

use super::{align, bytes};
use crate::report::{
    Binds, BoundReport, EstimateReport, LevelCeiling, LevelReport, ModelReport, RunKind, RunReport,
};
use rooflens_ground::units::si;
use std::fmt::Write;

/// The bounds on devices, for people.
pub fn bounds(report: &ModelReport) -> String {
    let mut out = String::new();
    for b in &report.bounds {
        let _ = writeln!(out, "\n{}", title(b));
        let mut lines = lines(report, b).into_iter();
        if let Some([label, text]) = lines.next() {
            let _ = writeln!(out, "{label:<17} {text}");
        }
        align(&mut out, &runs(b));
        for [label, text] in lines {
            let _ = writeln!(out, "{label:<17} {text}");
        }
    }
    out
}

/// The device, the type, and where its ceilings come from.
pub(super) fn title(b: &BoundReport) -> String {
    let kind = if b.measured { "measured" } else { "datasheet" };
    format!("on {} in {} ({kind} ceilings{})", b.device, b.dtype, basis(b))
}

/// Both ceilings, with a word on them, and the intensity at which they cross.
pub fn ceilings(b: &BoundReport, note: &str) -> String {
    let (peak, memory) = (si(b.peak_flops, "FLOP/s"), si(b.bandwidth_bytes_per_second, "B/s"));
    format!("{peak} and {memory}{note}; ridge at {:.1} FLOP/B", b.ridge_flop_per_byte)
}

/// What the compute ceiling is of, where a device has several.
fn basis(b: &BoundReport) -> String {
    let sums = b.accumulate.as_ref().filter(|t| **t != b.dtype);
    let sums = sums.map_or(String::new(), |t| format!(", sums in {t}"));
    let units = if b.unit.contains('+') { format!(", {}", b.unit) } else { String::new() };
    let boost = b.boost_mhz.map_or(String::new(), |m| format!(", at up to {m:.0} MHz"));
    sums + &units + &boost
}

/// Three ways to run the model, a row each.
pub(super) fn runs(b: &BoundReport) -> Vec<Vec<String>> {
    let head = ["least time", "per run", "FLOP/s", "FLOP/B", "bound by"];
    let mut rows = vec![head.map(String::from).to_vec()];
    for run in &b.runs {
        let traffic = if run.name == RunKind::AtBest { " (compulsory)" } else { "" };
        let name = format!("  {}{traffic}", run.name);
        let known = |text: String| if run.seconds > 0.0 { text } else { "not known".into() };
        rows.push(vec![
            name,
            known(si(run.seconds, "s")),
            known(si(run.flops_per_second, "").trim_end().to_owned()),
            run.flop_per_byte.map_or_else(|| super::DASH.to_owned(), |i| format!("{i:.1}")),
            shares(run),
        ]);
    }
    rows
}

/// What binds a run, with its share where it does not bind all of it.
fn shares(run: &RunReport) -> String {
    let s = run.shares;
    let mut parts = vec![("compute", s.compute), ("memory", s.memory), ("launches", s.launches)];
    parts.retain(|(_, share)| *share >= 0.005);
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    match &parts[..] {
        [] => super::DASH.to_owned(),
        [(name, _)] => (*name).to_owned(),
        _ => {
            let part = |(name, share): &(&str, f64)| format!("{} {:.0} %", name, 100.0 * share);
            parts.iter().map(part).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The verdict, and what else is to be said of a device: label and text, the verdict first.
pub(super) fn lines(report: &ModelReport, b: &BoundReport) -> Vec<[String; 2]> {
    let mut lines = vec![["bound by".to_owned(), verdict(report, b)]];
    let mut line = |label: &str, text: String| lines.push([label.to_owned(), text]);
    line("ceilings", ceilings(b, ""));
    if report.totals.bound_ops > 0 {
        let n = super::count(report.totals.bound_ops);
        line(
            "upper bounds",
            format!("fused and unfused hold {n} data-dependent operations, at best none"),
        );
    }
    if b.lower_bound_seconds < b.direct_seconds {
        line(
            "convolutions",
            format!(
                "at best by fast algorithms (Winograd, FFT): {} of {}; {} if they multiply tap by tap",
                si(b.lower_bound_operations, "FLOP"),
                si(report.totals.operations().unwrap_or(0) as f64, "FLOP"),
                si(b.direct_seconds, "s")
            ),
        );
    }
    if b.cached_bytes > 0 {
        let cached = bytes(b.cached_bytes);
        line(
            "caches",
            format!("{cached} of the compulsory bytes may stay there: \"at best\" moves the rest"),
        );
    }
    if let Some(fit) = &b.memory {
        line("device memory", fits(report, fit));
    }
    if let Some(rate) = b.tokens_per_second {
        line("decode", format!("{} tokens/s at best", si(rate, "").trim_end()));
    }
    for e in &b.estimates {
        estimate(e, &mut line);
    }
    // Where a cache holds some node's data.
    let cached = |l: &LevelReport| !matches!(l.ceiling, LevelCeiling::Compute | LevelCeiling::Dram);
    if b.levels.iter().any(cached) {
        let level =
            |l: &LevelReport| format!("{} {} ({})", l.ceiling, l.nodes.len(), si(l.seconds, "s"));
        let levels: Vec<String> = b.levels.iter().map(level).collect();
        line("nodes bound by", format!("{}; data in caches that hold them", levels.join(", ")));
    }
    if let (Some(n), Some(symbol)) = (b.critical_batch, &report.model.batch_symbol) {
        let text = format!("{symbol} ≥ {n}: bound by compute at best");
        line("critical batch", text);
    }
    lines
}

/// What takes most of the fused time, and whether caches could change that.
fn verdict(report: &ModelReport, b: &BoundReport) -> String {
    let fused = b.runs.iter().find(|run| run.name == RunKind::Fused);
    let best = b.runs.iter().find(|run| run.name == RunKind::AtBest);
    let (Some(fused), Some(best)) = (fused, best) else { return b.bound.to_string() };
    if b.bound == Binds::Unknown {
        return super::NOT_KNOWN.to_owned();
    }
    let share = match b.bound {
        Binds::Compute => Some(fused.shares.compute),
        Binds::Memory => Some(fused.shares.memory),
        Binds::Launches => Some(fused.shares.launches),
        Binds::Mixed | Binds::Unknown => None,
    };
    let mut text = match share {
        Some(share) => format!("{}: {:.0} % of the fused time", b.bound, 100.0 * share),
        None => format!("mixed: {} of the fused time", shares(fused)),
    };
    if best.bound != b.bound && best.bound == Binds::Compute {
        text.push_str(", unless caches hold the activations");
    }
    if report.totals.bound_ops > 0 {
        text.push_str(", data-dependent work at its upper bound");
    }
    if !report.is_complete() {
        text.push_str("; known nodes only");
    }
    text
}

fn fits(report: &ModelReport, fit: &crate::report::FitReport) -> String {
    let word = match fit.fits {
        Some(true) => "fits",
        Some(false) => "does not fit",
        None => "not known whether it fits",
    };
    let m = &report.memory;
    let cache = match m.kv_cache_bytes {
        Some(0) => String::new(),
        n => format!(" with a KV cache of {}", super::or_dash(n, bytes)),
    };
    format!(
        "{word}: {} of {} (weights {} + peak {}{cache})",
        bytes(fit.needed_bytes),
        bytes(fit.device_bytes),
        bytes(m.weight_bytes),
        super::or_dash(m.peak_activation_bytes, bytes)
    )
}

fn estimate(e: &EstimateReport, line: &mut dyn FnMut(&str, String)) {
    let threads = if e.threads == 1 { "1 thread".into() } else { format!("{} threads", e.threads) };
    let (time, error) = (si(e.seconds, "s"), 100.0 * e.held_out_error);
    let of = match e.held_out_networks {
        0 => "median leave-one-out error".to_owned(),
        n => format!("median error of {n} validation networks"),
    };
    line("estimate", format!("{time} ± {error:.0} % ({of}), {}, {threads}", e.version));
    if !e.settled {
        line("", "the machine was restless during calibration: the error is wider for it".into());
    }
    let most = e.parts.iter().take(4).filter(|p| p.seconds >= 0.02 * e.seconds);
    let share = |p: &crate::report::EstimatePart| {
        format!("{} {:.0} % in {}", p.kind, 100.0 * p.seconds / e.seconds, p.kernels)
    };
    let most: Vec<String> = most.map(share).collect();
    if !most.is_empty() {
        line("", format!("of it {}", most.join(", ")));
    }
    if e.uncalibrated > 0 {
        let types = e.uncalibrated_types.iter().cloned().collect::<Vec<_>>().join(", ");
        line(
            "",
            format!(
                "{} of {} kernels are of kinds that were not calibrated and count at the roof: {types}",
                e.uncalibrated, e.kernels
            ),
        );
    }
}
