//! This machine, detected or measured.

use super::{Side, Table};
use crate::host::{Figure, Survey, Waited};
use crate::hwdb::{Calibration, CeilingType};
use crate::results::{Detected, GpuSurveys, KnownGpu, SurveyResult};
use crate::units::si;
use std::fmt::Write;
use std::path::PathBuf;

/// What this machine is.
pub fn detected(d: &Detected) -> String {
    let mut text = String::new();
    let mut row = |label: &str, value: String| {
        let _ = writeln!(text, "{label:<12} {value}");
    };
    let cpu = &d.cpu;
    let vendor = cpu.vendor.as_ref().map_or(String::new(), |v| format!(", {v}"));
    row("CPU", format!("{} ({}{vendor})", cpu.name, cpu.arch));
    let cores = cpu.cores.map_or(String::new(), |c| format!(" on {c} cores"));
    row("threads", format!("{}{cores}", cpu.threads));
    row("SIMD", if cpu.simd.is_empty() { "unknown".into() } else { cpu.simd.join(", ") });
    for cache in &cpu.caches {
        let size = if cache.bytes >= 1 << 20 {
            format!("{} MiB", cache.bytes >> 20)
        } else {
            format!("{} KiB", cache.bytes >> 10)
        };
        let shared = match cache.shared_by {
            1 => "one per thread".to_owned(),
            n => format!("shared by {n} threads"),
        };
        row(&format!("L{} cache", cache.level), format!("{size}, {shared}"));
    }
    if cpu.caches.is_empty() {
        row("caches", "unknown".into());
    }
    row("memory", cpu.memory_bytes.map_or("unknown".into(), |b| si(b as f64, "B")));
    if let Some(clock) = cpu.max_clock_mhz {
        row("clock", format!("max {clock:.0} MHz"));
    }
    if cpu.virtual_machine == Some(true) {
        row("virtual", "yes: other virtual machines may share caches and memory".into());
    }
    for known in &d.gpus {
        row(&format!("GPU {}", known.gpu.index), gpu(known));
    }
    match (&d.no_gpus_because, d.gpus.is_empty()) {
        (Some(reason), _) => row("GPU", reason.clone()),
        (None, true) => row("GPU", "none found by the NVIDIA driver".into()),
        (None, false) => {}
    }
    text
}

fn gpu(known: &KnownGpu) -> String {
    let g = &known.gpu;
    let parts = [
        g.memory_bytes.map(|b| si(b as f64, "B")),
        g.compute_capability.as_ref().map(|c| format!("compute {c}")),
        g.max_clock_mhz.map(|c| format!("max {c} MHz")),
        g.power_limit_w.map(|w| format!("{w:.0} W")),
        g.pcie_generation.zip(g.pcie_lanes).map(|(g, l)| format!("PCIe {g} x{l}")),
        known.device.as_ref().map(|d| format!("device {d}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    format!("{}: {}", g.name, parts.join(", "))
}

/// The measured ceilings of this machine, and the files that were `written`.
pub fn surveyed(result: &SurveyResult<'_>, written: &[PathBuf]) -> String {
    let mut text = processor(result.survey);
    text.push_str(&gpus(result.gpus));
    for path in written {
        let _ = writeln!(text, "written: {}", path.display());
    }
    text + &calibrated(result.calibrations) + &quiet(result.waited, result.not_saved)
}

fn processor(s: &Survey) -> String {
    let mut text = format!("{}, {} threads\n", s.cpu.name, s.cpu.threads);
    let head = ["one thread", "±", "all threads", "±"].map(|name| (name, Side::Right));
    let mut table = Table::new([("", Side::Left)].into_iter().chain(head));
    let mut names: Vec<String> = Vec::new();
    for r in &s.readings {
        let name = r.subject.name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    for name in names {
        let of = |threads: usize| {
            let mut same = s.readings.iter().filter(|r| r.subject.name() == name);
            let found = same.find(|r| r.threads == threads);
            found.map_or([String::new(), String::new()], |r| {
                let half = 50.0 * r.per_second.spread();
                [si(r.per_second.median, r.subject.unit()), format!("{half:.1} %")]
            })
        };
        let figures = of(1).into_iter().chain(of(s.cpu.threads));
        table.row([name.clone()].into_iter().chain(figures));
    }
    table.write("", &mut text);
    let [before, after] = s.clock_hz.map(|c| c * 1e-9);
    let _ = writeln!(text, "clock: {before:.2} GHz before, {after:.2} GHz after");
    for absent in &s.absent {
        let _ = writeln!(text, "not measured: {absent}");
    }
    for warning in &s.doubts {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

/// GPUs as they were measured.
fn gpus(all: &GpuSurveys) -> String {
    let mut text = String::new();
    if let Some(reason) = &all.no_gpus_because {
        let _ = writeln!(text, "GPU: {reason}");
    }
    for s in &all.gpus {
        let _ = writeln!(text, "\nGPU {}: {}", s.gpu.index, s.gpu.name);
        let mut row = |name: &str, figure: Option<Figure>, unit: &str| {
            if let Some(f) = figure {
                let half = 50.0 * f.spread();
                let _ = writeln!(text, "{name:<24} {:>14} {half:>5.1}%", si(f.median, unit));
            }
        };
        for p in &s.products {
            let unit = CeilingType::from(p.dtype).unit_of_rate();
            row(&format!("{} GEMM of {}", p.dtype, p.size), Some(p.per_second), unit);
        }
        row("copy", s.copy, "B/s");
        row("host to device", s.to_device, "B/s");
        row("device to host", s.from_device, "B/s");
        row("launches", s.launches, "/s");
        let loaded = [
            s.loaded.clock_mhz.map(|c| format!("{c} MHz")),
            s.loaded.power_w.map(|w| format!("{w:.0} W")),
            s.loaded.temperature_c.map(|t| format!("{t} °C")),
        ];
        let loaded: Vec<String> = loaded.into_iter().flatten().collect();
        if !loaded.is_empty() {
            let _ = writeln!(text, "under load: {}", loaded.join(", "));
        }
        for absent in &s.absent {
            let _ = writeln!(text, "not measured: {absent}");
        }
        for doubt in &s.doubts {
            let _ = writeln!(text, "warning: {doubt}");
        }
    }
    text
}

fn calibrated(calibrations: &[Calibration]) -> String {
    let mut text = String::new();
    for c in calibrations {
        let _ = writeln!(
            text,
            "calibrated: {}, {} micro-benchmarks; median error {:.1} % of {} validation networks, {:.1} % of single \
             kernels; {} per run, {} per kernel",
            c.version,
            c.benchmarks,
            100.0 * c.held_out_error,
            c.networks.len(),
            100.0 * c.kernel_error,
            si(c.per_run_us * 1e-6, "s"),
            si(c.per_kernel_us * 1e-6, "s"),
        );
        for n in &c.networks {
            let [estimated, measured] =
                [n.estimated_us, n.measured_us].map(|us| si(us * 1e-6, "s"));
            let error = 100.0 * (n.estimated_us / n.measured_us - 1.0);
            let _ =
                writeln!(text, "  {:<32} {estimated:>9} for {measured:>9}, {error:+.0} %", n.name);
        }
        if !c.settled {
            let _ = writeln!(
                text,
                "warning: the machine was restless: {} timings did not settle, and the error is wider for it",
                c.disturbed
            );
        }
        for omitted in &c.left_out {
            let _ = writeln!(text, "omitted: {omitted}");
        }
    }
    text
}

/// What a person should know of the wait, and why nothing was kept.
fn quiet(waited: Option<&Waited>, not_saved: &[String]) -> String {
    let mut text = String::new();
    if let Some(waited) = waited.filter(|w| !w.reasons.is_empty()) {
        let _ = writeln!(
            text,
            "warning: measured on a busy machine, after {} s: {}",
            waited.looks,
            waited.reasons.join("; ")
        );
    }
    if !not_saved.is_empty() {
        let count = not_saved.len();
        let _ = writeln!(
            text,
            "not kept: {count} ceilings varied by more than 10 % between repeats; stop other work and measure \
             again, or keep them with --anyway"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_and_what_was_not_kept_are_said() {
        let calm = Waited { looks: 1, reasons: Vec::new() };
        assert_eq!(quiet(Some(&calm), &[]), "");
        let busy = Waited { looks: 60, reasons: vec!["a core is 40 % slower".into()] };
        let text = quiet(Some(&busy), &["DRAM read varied".into()]);
        assert!(text.contains("after 60 s: a core is 40 % slower"), "{text}");
        assert!(text.contains("not kept: 1 ceilings") && text.contains("--anyway"), "{text}");
    }
}
