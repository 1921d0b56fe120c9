//! `rooflens hw compare`.

use super::{Exit, Form, catalogue, emit, find, print_json};
use crate::hwdb::{CeilingType, Choice, Device, MemoryLevel, Peak};
use crate::units::{BytesPerSecond, FlopsPerSecond, si};
use anyhow::Result;
use std::fmt::Write;
use std::path::PathBuf;

/// Compare devices, each figure also as a multiple of the first device's.
///
/// Example: rooflens hw compare t4 l4 a10 --dtype f16
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Ids, aliases or names; two or more.
    #[arg(required = true, num_args = 2..)]
    devices: Vec<String>,
    /// Only this data type, such as f32, bf16, i8.
    #[arg(long)]
    dtype: Option<String>,
    /// Form of the output.
    #[arg(long, value_name = "FORM", default_value = "table")]
    format: Form,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let devices: Vec<&Device> =
            self.devices.iter().map(|n| find(&catalogue, n)).collect::<Result<_>>()?;
        let dtypes = dtypes(&devices, self.dtype.as_deref())?;
        if self.format == Form::Json {
            print_json(&devices)?;
        } else {
            emit(&table(&devices, &dtypes), None)?;
        }
        Ok(Exit::Good)
    }
}

/// Types that at least one of the devices has, in the order of first mention.
fn dtypes(devices: &[&Device], wanted: Option<&str>) -> Result<Vec<CeilingType>> {
    let mut all: Vec<CeilingType> = Vec::new();
    for peak in devices.iter().flat_map(|d| &d.peaks) {
        if !all.contains(&peak.dtype) {
            all.push(peak.dtype.clone());
        }
    }
    let Some(wanted) = wanted else { return Ok(all) };
    let wanted = crate::analysis::type_name(wanted).unwrap_or(wanted);
    if let Some(found) = all.iter().find(|t| t.name() == wanted) {
        return Ok(vec![found.clone()]);
    }
    let names: Vec<&str> = all.iter().map(CeilingType::name).collect();
    let message = format!("none of these devices has a peak for `{wanted}`");
    Err(super::hinted(message, format!("their types are: {}", names.join(", "))))
}

/// How a figure is written.
#[derive(Clone, Copy)]
enum Shown {
    /// With a prefix before this unit.
    Prefixed(&'static str),
    /// In whole watts.
    Watts,
}

/// A row: a label, and per device a figure.
struct Row {
    label: String,
    shown: Shown,
    figures: Vec<Option<f64>>,
}

fn rows(devices: &[&Device], dtypes: &[CeilingType]) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |label: String, shown: Shown, figure: &dyn Fn(&Device) -> Option<f64>| {
        let figures: Vec<Option<f64>> = devices.iter().map(|d| figure(d)).collect();
        if figures.iter().any(Option::is_some) {
            rows.push(Row { label, shown, figures });
        }
    };
    for dtype in dtypes {
        let unit = Shown::Prefixed(dtype.unit_of_rate());
        row(format!("{dtype} peak"), unit, &|d| Some(d.peak(dtype.name())?.rate().get()));
        row(format!("{dtype}, f16 sums"), unit, &|d| {
            let narrow = Choice { accumulate: Some("f16"), ..Choice::from(dtype.name()) };
            d.peaks_of(narrow).first().map(|p| p.rate().get())
        });
        row(format!("{dtype}, DLAs"), unit, &|d| {
            let dla = Choice { unit: Some("dla"), ..Choice::from(dtype.name()) };
            d.peaks_of(dla).first().map(|p| p.rate().get())
        });
        row(format!("{dtype} GEMM"), unit, &|d| {
            Some(d.peak(dtype.name())?.attainable_tflops? * 1e12)
        });
    }
    row("bandwidth".into(), Shown::Prefixed("B/s"), &|d| {
        d.dram().and_then(MemoryLevel::rate).map(BytesPerSecond::get)
    });
    row("memory".into(), Shown::Prefixed("B"), &|d| d.dram()?.capacity_bytes.map(|b| b as f64));
    for dtype in dtypes {
        row(format!("{dtype} ridge"), Shown::Prefixed("/B"), &|d| {
            Some((d.peak(dtype.name())?.rate() / d.dram()?.rate()?).get())
        });
    }
    row("power".into(), Shown::Watts, &|d| d.tdp_w);
    for dtype in dtypes {
        let rate = |d: &Device| d.peak(dtype.name()).map(Peak::rate).map(FlopsPerSecond::get);
        row(format!("{dtype} per watt"), Shown::Prefixed("/J"), &|d| Some(rate(d)? / d.tdp_w?));
    }
    rows
}

fn table(devices: &[&Device], dtypes: &[CeilingType]) -> String {
    let mut text = format!("{:<14}", "");
    for d in devices {
        let _ = write!(text, " {:>24}", d.name.chars().take(24).collect::<String>());
    }
    text.push('\n');
    for row in rows(devices, dtypes) {
        let _ = write!(text, "{:<14}", row.label);
        let first = row.figures.first().copied().flatten();
        for (i, figure) in row.figures.iter().enumerate() {
            let cell = figure.map_or("–".to_owned(), |f| {
                let value = match row.shown {
                    Shown::Watts => format!("{f:.0} W"),
                    Shown::Prefixed(unit) => si(f, unit),
                };
                match first.filter(|_| i > 0) {
                    Some(first) => format!("{value} ×{:.2}", f / first),
                    None => value,
                }
            });
            let _ = write!(text, " {cell:>24}");
        }
        text.push('\n');
    }
    text
}
