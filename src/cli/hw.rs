//! `rooflens hw`: devices and their ceilings.

use super::{Exit, emit, hinted};
use crate::hwdb::{Catalogue, Device, HwdbError};
use crate::roofline::Roof;
use crate::units::si;
use anyhow::Result;
use clap::Subcommand;
use std::fmt::Write;
use std::path::PathBuf;

/// List devices, show one, or check the files.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: HwCommand,
}

#[derive(Debug, Subcommand)]
enum HwCommand {
    /// List the known devices.
    List(List),
    /// Show a device: ceilings, ridge points, sources.
    Show(Show),
    /// Measure the ceilings of this machine, in about five seconds.
    Measure(Measure),
    /// Recompute every peak from units × clock × width, and say where it disagrees.
    Check,
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only devices whose name, vendor or kind contains this, in any case.
    filter: Option<String>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = ["table", "json"])]
    format: String,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// Id, alias or name, such as `v100`, `t4`, `rtx 2080 ti`.
    device: String,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table", value_parser = ["table", "json", "toml"])]
    format: String,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Measure {
    /// Write the device file here; `--hwdb` of other commands takes its folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// The shipped devices and those of `folder`.
pub(super) fn catalogue(folder: Option<&std::path::Path>) -> Result<Catalogue> {
    let mut catalogue = Catalogue::builtin()?;
    if let Some(folder) = folder {
        catalogue
            .load(folder)
            .map_err(|e| hinted(e.to_string(), "hwdb/README.md describes device files"))?;
    }
    Ok(catalogue)
}

/// The device called `name`.
pub(super) fn find<'c>(catalogue: &'c Catalogue, name: &str) -> Result<&'c Device> {
    catalogue.find(name).map_err(|error| match &error {
        HwdbError::NotFound { nearest, .. } if !nearest.is_empty() => {
            hinted(error.to_string(), format!("did you mean `{}`?", nearest.join("`, `")))
        }
        _ => hinted(error.to_string(), "`rooflens hw list` shows all"),
    })
}

/// The roof for `dtype` of the device called `name`; for f32 where the device has none for it.
pub(super) fn roof(name: &str, dtype: &str, folder: Option<&std::path::Path>) -> Result<Roof> {
    let catalogue = catalogue(folder)?;
    let device = find(&catalogue, name)?;
    Roof::of(device, dtype).or_else(|| Roof::of(device, "f32")).ok_or_else(|| {
        let types: Vec<&str> = device.peaks.iter().map(|p| p.dtype.as_str()).collect();
        let message = format!("{} has no known {dtype} roof", device.name);
        hinted(message, format!("its types are: {}", types.join(", ")))
    })
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        match self.command {
            HwCommand::List(args) => args.run(),
            HwCommand::Show(args) => args.run(),
            HwCommand::Measure(args) => args.run(),
            HwCommand::Check => check(),
        }
    }
}

impl List {
    fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let filter = self.filter.unwrap_or_default().to_lowercase();
        let matches = |d: &&Device| {
            let text = format!("{} {} {} {}", d.id, d.name, d.vendor, d.kind).to_lowercase();
            text.contains(&filter)
        };
        let devices: Vec<&Device> = catalogue.iter().filter(matches).collect();
        if self.format == "json" {
            emit(&(serde_json::to_string_pretty(&devices)? + "\n"), None)?;
            return Ok(Exit::Good);
        }
        let mut text = format!(
            "{:<28} {:<32} {:<5} {:>14} {:>14} {:>12} {:>7}\n",
            "id", "name", "kind", "f32", "f16/bf16", "bandwidth", "power"
        );
        for d in devices {
            let rate = |dtypes: &[&str]| {
                let best = dtypes.iter().filter_map(|t| d.peak(t)).map(|p| p.rate().get());
                best.reduce(f64::max).map_or("–".to_owned(), |p| si(p, "FLOP/s"))
            };
            let bandwidth = d.dram().and_then(crate::hwdb::MemoryLevel::rate);
            let bandwidth = bandwidth.map_or("–".to_owned(), |b| b.to_string());
            let power = d.tdp_w.map_or("–".to_owned(), |w| format!("{w:.0} W"));
            let _ = writeln!(
                text,
                "{:<28} {:<32} {:<5} {:>14} {:>14} {bandwidth:>12} {power:>7}",
                d.id,
                d.name.chars().take(32).collect::<String>(),
                d.kind,
                rate(&["f32"]),
                rate(&["f16", "bf16"])
            );
        }
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

impl Measure {
    fn run(self) -> Result<Exit> {
        let bar = super::progress_bar("measuring this machine");
        let ceilings = crate::host::measure(&crate::host::MeasurePlan::default(), &mut |done| {
            bar.set_position(super::permille(done));
        });
        bar.finish_and_clear();
        if let Some(path) = &self.output {
            emit(&toml::to_string_pretty(&ceilings.device())?, Some(path))?;
        }
        emit(&measured(&ceilings), None)?;
        Ok(Exit::Good)
    }
}

/// The measured ceilings, for people.
pub(super) fn measured(c: &crate::host::HostCeilings) -> String {
    let mut text = format!("{}, {} threads, {}\n", c.cpu, c.threads, c.simd);
    let rows = [
        ("peak f32, one thread", &c.flops_one, "FLOP/s"),
        ("peak f32, all threads", &c.flops_all, "FLOP/s"),
        ("DRAM triad, one thread", &c.triad_one, "B/s"),
        ("DRAM triad, all threads", &c.triad_all, "B/s"),
    ];
    for (label, figure, unit) in rows {
        let _ = writeln!(
            text,
            "{label:<24} {:>14}  ({} to {})",
            si(figure.median, unit),
            si(figure.least, unit),
            si(figure.most, unit)
        );
    }
    for doubt in c.doubts() {
        let _ = writeln!(text, "noisy: {doubt}");
    }
    text
}

impl Show {
    fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let device = find(&catalogue, &self.device)?;
        let text = match self.format.as_str() {
            "json" => serde_json::to_string_pretty(device)? + "\n",
            "toml" => toml::to_string_pretty(device)?,
            _ => describe(device),
        };
        emit(&text, None)?;
        Ok(Exit::Good)
    }
}

fn describe(d: &Device) -> String {
    let mut text = format!("{}  ({}, {})\n\n", d.name, d.vendor, d.id);
    for peak in &d.peaks {
        let unit = if peak.dtype.starts_with('i') { "OP/s" } else { "FLOP/s" };
        let ridge = Roof::of(d, &peak.dtype).map(|_| ());
        let bandwidth =
            d.dram().and_then(crate::hwdb::MemoryLevel::rate).filter(|_| ridge.is_some());
        let ridge = bandwidth.map_or(String::new(), |b| {
            format!("  ridge at {:.1} per byte", (peak.rate() / b).get())
        });
        let sparse = peak
            .sparse_tflops
            .map_or(String::new(), |s| format!("  ({} sparse)", si(s * 1e12, unit)));
        let _ = writeln!(
            text,
            "{:<5} {:<8} {:>14}{sparse}{ridge}  {}",
            peak.dtype,
            peak.unit,
            si(peak.dense_tflops * 1e12, unit),
            peak.kind
        );
    }
    for level in &d.memory {
        let size =
            level.capacity_bytes.map_or(String::new(), |b| format!("  {}", si(b as f64, "B")));
        let rate = level.rate().map_or("unknown".to_owned(), |b| b.to_string());
        let _ = writeln!(text, "{:<14} {rate:>14}{size}  {}", level.level, level.kind);
    }
    if let Some(tdp) = d.tdp_w {
        let _ = writeln!(text, "{:<14} {:>14}", "power", format!("{tdp:.0} W"));
    }
    let _ = writeln!(text, "\nconfidence: {}; sources: {}", d.confidence, d.sources.join(", "));
    if let Some(notes) = &d.notes {
        let _ = writeln!(text, "note: {notes}");
    }
    text
}

fn check() -> Result<Exit> {
    let catalogue = Catalogue::builtin()?;
    let mut text = String::new();
    let mut bad = 0;
    for device in catalogue.iter() {
        let problems = device.problems();
        bad += problems.len();
        let verdict = if problems.is_empty() { "ok".to_owned() } else { problems.join("; ") };
        let circular =
            if device.crosscheck_circular { " (clock inferred from the peak)" } else { "" };
        let _ = writeln!(text, "{:<28} {verdict}{circular}", device.id);
    }
    emit(&text, None)?;
    Ok(if bad == 0 { Exit::Good } else { Exit::Failed })
}
