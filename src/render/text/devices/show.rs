//! One device.

use crate::hwdb::{ALL_UNITS, Catalogue, Choice, Device, MemoryLevel, Peak};
use crate::roofline::Hierarchy;
use crate::units::si;
use std::fmt::Write;

/// A device: ceilings, ridge points, sources, a small roofline.
pub fn device(catalogue: &Catalogue, d: &Device) -> String {
    let mut text = format!("{}  ({}, {})\n", d.name, d.vendor, d.id);
    if let Some(parent) = &d.variant_of {
        let _ = writeln!(text, "variant of {parent}");
    }
    text.push('\n');
    rates(&mut text, d);
    operation(&mut text, d);
    text.push_str(&picture(d));
    provenance(&mut text, catalogue, d);
    text
}

/// Compute ceilings, memory levels, links, and the clock that bounds are taken at.
fn rates(text: &mut String, d: &Device) {
    for peak in &d.peaks {
        let _ = writeln!(text, "{}", peak_line(d, peak));
    }
    for dtype in d.types() {
        let all = Choice { unit: Some(ALL_UNITS), ..Choice::from(dtype.name()) };
        if let Some(c) = d.ceiling(all).ok().filter(|c| c.unit.contains('+')) {
            let rate = si(c.rate.get(), dtype.unit_of_rate());
            let _ = writeln!(
                text,
                "{dtype:<5} {:<8} {rate:>14}  {} at once (--unit all)",
                "all", c.unit
            );
        }
    }
    for level in &d.memory {
        let size =
            level.capacity_bytes.map_or(String::new(), |b| format!("  {}", si(b as f64, "B")));
        let rate = level.rate().map_or("unknown".to_owned(), |b| b.to_string());
        let _ = writeln!(text, "{:<14} {rate:>14}{size}  {}", level.level, level.kind);
    }
    for link in &d.links {
        let rate = si(link.bandwidth_gb_s * 1e9, "B/s");
        let _ = writeln!(text, "{:<14} {rate:>14}  {}  {}", link.name, link.direction, link.kind);
    }
    if let (Some(clock), Some(boost)) = (d.clock_mhz, d.boost_mhz) {
        let source = d.boost_source.as_deref().unwrap_or("no source");
        let most = format!("{boost:.0} MHz");
        let _ = writeln!(
            text,
            "{:<14} {most:>14}  highest clock, of bounds; peaks are listed at {clock:.0} MHz  ({source})",
            "boost"
        );
    }
}

/// Power, launches and prices.
fn operation(text: &mut String, d: &Device) {
    if let Some(tdp) = d.tdp_w {
        let _ = writeln!(text, "{:<14} {:>14}", "power", format!("{tdp:.0} W"));
    }
    for mode in &d.power_modes {
        let tops = mode
            .sparse_i8_tops
            .map_or(String::new(), |t| format!("  {} i8, sparse, all units", si(t * 1e12, "OP/s")));
        let note = mode.note.as_ref().map_or(String::new(), |n| format!("  {n}"));
        let _ = writeln!(
            text,
            "{:<14} {:>14}{tops}{note}",
            "power mode",
            format!("{} W", mode.limit_w)
        );
    }
    if let Some(us) = d.launch_us {
        let _ = writeln!(text, "{:<14} {:>14}", "launch", format!("{us} µs"));
    }
    for p in &d.prices {
        let rate = format!("${:.2}/h", p.usd_per_hour);
        let _ = writeln!(
            text,
            "{:<14} {rate:>14}  {}, {}  ({})",
            "price", p.provider, p.date, p.source
        );
    }
}

/// How sure the numbers are, and where they come from.
fn provenance(text: &mut String, catalogue: &Catalogue, d: &Device) {
    let _ = writeln!(text, "\nconfidence: {}", d.confidence);
    for key in &d.sources {
        let _ =
            writeln!(text, "source {key}: {}", catalogue.source(key).unwrap_or("not described"));
    }
    if let Some(notes) = &d.notes {
        let _ = writeln!(text, "note: {notes}");
    }
    for disagreement in d.disagreements() {
        let _ = writeln!(text, "disagree: {}: {}", disagreement.what, disagreement.figures);
    }
}

fn peak_line(d: &Device, peak: &Peak) -> String {
    let unit = peak.dtype.unit_of_rate();
    let rate = d.dram().and_then(MemoryLevel::rate);
    let ridge = rate
        .map_or(String::new(), |b| format!("  ridge at {:.1} per byte", (peak.rate() / b).get()));
    let sparse =
        peak.sparse_tflops.map_or(String::new(), |s| format!("  ({} sparse)", si(s * 1e12, unit)));
    let attained = peak
        .attainable_tflops
        .map_or(String::new(), |t| format!("  (GEMM {})", si(t * 1e12, unit)));
    let sums = peak.accumulate.as_ref().map_or(String::new(), |t| format!("  sums in {t}"));
    let boosted = d.rate(peak);
    let boost = d.boost_mhz.filter(|_| boosted.get() > 1.0001 * peak.rate().get());
    let boost = boost.map_or(String::new(), |_| format!("  at boost {}", si(boosted.get(), unit)));
    let confidence = peak.confidence.as_ref().map_or(String::new(), |c| format!(", {c}"));
    format!(
        "{:<5} {:<8} {:>14}{sums}{sparse}{boost}{attained}{ridge}  {}{confidence}",
        peak.dtype,
        peak.unit,
        si(peak.rate().get(), unit),
        peak.kind
    )
}

const WIDTH: usize = 56;
const HEIGHT: usize = 12;

/// A roofline in letters, both axes logarithmic: the slopes of all memory levels up to the f32
/// peak, and the slope of main memory up to the highest; nothing where a ceiling is not known.
fn picture(d: &Device) -> String {
    let fastest = d.peaks.iter().max_by(|a, b| a.dense_tflops.total_cmp(&b.dense_tflops));
    let base = Hierarchy::of(d, "f32").ok();
    let base = base.or_else(|| Hierarchy::of(d, fastest?.dtype.name()).ok());
    let (Some(fastest), Some(base)) = (fastest, base) else { return String::new() };
    let top = fastest.rate().get();
    let low = base.roof.peak.get();
    let dram = base.roof.bandwidth.get();
    // One decade of intensity left of the first ridge, half a decade right of the last.
    let first = base.ridges().map(|(_, i)| i.get()).fold(f64::INFINITY, f64::min) / 10.0;
    let last = (top / dram).max(low / dram) * 3.0;
    let x = |column: usize| first * (last / first).powf(column as f64 / (WIDTH - 1) as f64);
    let bottom = dram * first;
    let row = |rate: f64| {
        let share = (rate / bottom).log10() / (top / bottom).log10().max(1e-9);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let up = (share.clamp(0.0, 1.0) * (HEIGHT - 1) as f64).round() as usize;
        HEIGHT - 1 - up
    };
    let mut cells = [[' '; WIDTH]; HEIGHT];
    let mut labels = vec![String::new(); HEIGHT];
    let mut roof = |peak: f64, bandwidth: f64| {
        for (column, slope) in (0..WIDTH).map(|c| (c, bandwidth * x(c))) {
            cells[row(slope.min(peak))][column] = if slope < peak { '/' } else { '-' };
        }
    };
    for level in &base.levels {
        roof(low, level.bandwidth.get());
    }
    roof(top, dram);
    for (dtype, rate) in [(&fastest.dtype, top), (&base.roof.dtype, low)] {
        let label = format!("{dtype} {}", si(rate, ""));
        let row = &mut labels[row(rate)];
        if !row.contains(&label) {
            *row = if row.is_empty() { label } else { format!("{row}, {label}") };
        }
    }
    let mut text = String::from("\n");
    for (cells, label) in cells.iter().zip(labels) {
        let line: String = cells.iter().collect();
        let _ = writeln!(text, "  |{}", format!("{line} {label}").trim_end());
    }
    let _ = writeln!(text, "  +{}", "-".repeat(WIDTH));
    let left = format!("{first:.2}");
    let right = format!("{last:.0} per byte");
    let _ = writeln!(text, "   {left}{right:>width$}", width = WIDTH.saturating_sub(left.len()));
    text
}
