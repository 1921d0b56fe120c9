//! `rooflens hw check`.

use super::{Exit, Form, catalogue, emit, hinted, print_json};
use crate::hwdb::{Catalogue, Device, Disagreement, PeakCheck, Verdict};
use crate::units::si;
use anyhow::Result;
use serde::Serialize;
use std::fmt::Write;
use std::path::PathBuf;

/// Multiply every peak back from units × clock × width, and say what does not hold.
///
/// Exit code 1 when a file has a problem. Figures that sources disagree on are shown, both, and
/// are no problem.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Device files, or ids of known devices.
    #[arg(conflicts_with = "all", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// All known devices.
    #[arg(long)]
    all: bool,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

/// What is said of a device.
#[derive(Serialize)]
struct Checked {
    id: String,
    name: String,
    peaks: Vec<PeakCheck>,
    disagreements: Vec<Disagreement>,
    problems: Vec<String>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if self.files.is_empty() && !self.all {
            return Err(hinted("nothing to check", "name a device file, or say --all"));
        }
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let checked: Vec<Checked> = if self.all {
            catalogue.iter().map(|d| checked(&catalogue, d)).collect()
        } else {
            self.files.iter().map(|f| one(&catalogue, f)).collect::<Result<_>>()?
        };
        if self.format == Form::Json {
            print_json(&checked)?;
        } else {
            emit(&table(&checked), None)?;
        }
        let good = checked.iter().all(|c| c.problems.is_empty());
        Ok(if good { Exit::Good } else { Exit::Failed })
    }
}

/// A file, checked among the known devices; or a known device, where there is no such file.
fn one(catalogue: &Catalogue, file: &std::path::Path) -> Result<Checked> {
    if !file.exists() {
        if let Ok(device) = catalogue.find(&file.display().to_string()) {
            return Ok(checked(catalogue, device));
        }
    }
    let mut with = catalogue.clone();
    let device = with
        .load_file(file)
        .map_err(|e| {
            hinted(e.to_string(), "`rooflens hw show t4 --format toml` prints a good one")
        })?
        .clone();
    let mut checked = checked(&with, &device);
    let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
    if stem.as_deref() != Some(device.id.as_str()) {
        checked.problems.push(format!("the id `{}` is not the file's name", device.id));
    }
    Ok(checked)
}

fn checked(catalogue: &Catalogue, device: &Device) -> Checked {
    Checked {
        id: device.id.clone(),
        name: device.name.clone(),
        peaks: device.checks(),
        disagreements: device.disagreements(),
        problems: catalogue.problems(device),
    }
}

fn table(checked: &[Checked]) -> String {
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

fn summary(checked: &[Checked]) -> String {
    let peaks = || checked.iter().flat_map(|c| &c.peaks);
    let count = |is: fn(&Verdict) -> bool| peaks().filter(|p| is(&p.verdict)).count();
    let counts = [
        (count(|v| *v == Verdict::Within), "within 3.5 %"),
        (count(|v| matches!(v, Verdict::Explained(_))), "off with a reason"),
        (count(|v| *v == Verdict::Off), "off without one"),
        (count(|v| *v == Verdict::Circular), "with a clock inferred from the peak"),
        (count(|v| *v == Verdict::Measured), "measured"),
        (count(|v| matches!(v, Verdict::Unknown(_))), "that lack a factor"),
    ];
    let said: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let plural = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    format!(
        "{}, {}: {}; {}, {}",
        plural(checked.len(), "device"),
        plural(peaks().count(), "peak"),
        said.join(", "),
        plural(checked.iter().map(|c| c.disagreements.len()).sum(), "disagreement"),
        plural(checked.iter().map(|c| c.problems.len()).sum(), "problem"),
    )
}
