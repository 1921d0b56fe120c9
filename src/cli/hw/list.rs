//! `rooflens hw list`.

use super::{Exit, Form, catalogue, hinted};
use crate::hwdb::Device;
use crate::render::text;
use crate::units::parse_si;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// List the known devices.
///
/// Examples:
///   rooflens hw list jetson
///   rooflens hw list --vendor nvidia --dtype bf16 --min-peak 300T --min-memory 80G
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// Only devices whose name, vendor or kind contains this, ignoring case.
    filter: Option<String>,
    /// Only devices of this vendor.
    #[arg(long)]
    vendor: Option<String>,
    /// Only devices of this kind: cpu, gpu, npu, soc.
    #[arg(long)]
    kind: Option<String>,
    /// Only devices with a peak for this data type, such as f32, bf16, i8.
    #[arg(long)]
    dtype: Option<String>,
    /// Only devices whose dense peak for --dtype is at least this, such as 100T.
    #[arg(long, value_name = "OPS", requires = "dtype")]
    min_peak: Option<String>,
    /// Only devices with at least this much main memory, such as 40G.
    #[arg(long, value_name = "BYTES")]
    min_memory: Option<String>,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    format: Form,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let catalogue = catalogue(self.hwdb.as_deref())?;
        let all: Vec<&Device> = catalogue.iter().collect();
        let vendor = known("vendor", self.vendor.as_deref(), all.iter().map(|d| &*d.vendor))?;
        let kind = known("kind", self.kind.as_deref(), all.iter().map(|d| d.kind.name()))?;
        let types = all.iter().flat_map(|d| &d.peaks).map(|p| p.dtype.name());
        let named = self.dtype.as_deref().map(|t| crate::analysis::type_name(t).unwrap_or(t));
        let dtype = known("dtype", named, types)?;
        let min_peak = number("--min-peak", self.min_peak.as_deref(), "FLOP/s")?;
        let min_memory = number("--min-memory", self.min_memory.as_deref(), "B")?;
        let filter = self.filter.unwrap_or_default().to_lowercase();
        let matches = |d: &&Device| {
            let text = format!("{} {} {} {}", d.id, d.name, d.vendor, d.kind).to_lowercase();
            let peak =
                |t: &str| d.peak(t).is_some_and(|p| p.rate().get() >= min_peak.unwrap_or(0.0));
            let memory = d.dram().and_then(|m| m.capacity_bytes);
            text.contains(&filter)
                && vendor.is_none_or(|v| d.vendor == v)
                && kind.is_none_or(|k| d.kind.name() == k)
                && dtype.is_none_or(peak)
                && min_memory.is_none_or(|least| memory.is_some_and(|m| m as f64 >= least))
        };
        let devices: Vec<&Device> = all.iter().copied().filter(matches).collect();
        self.format.emit(&devices, || text::device_list(&devices, dtype))?;
        Ok(Exit::Good)
    }
}

/// The value meant, in the spelling of the files; an error that names all when there is none.
fn known<'a>(
    option: &str,
    wanted: Option<&str>,
    values: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>> {
    let Some(wanted) = wanted else { return Ok(None) };
    let values: BTreeSet<&str> = values.collect();
    let found = values.iter().copied().find(|v| v.eq_ignore_ascii_case(wanted));
    let all = || values.iter().copied().collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| {
        hinted(format!("no device has the {option} `{wanted}`"), format!("one of: {}", all()))
    })
}

fn number(option: &str, given: Option<&str>, unit: &str) -> Result<Option<f64>> {
    let Some(text) = given else { return Ok(None) };
    let value = parse_si(text, unit).filter(|v| *v >= 0.0);
    let hint = format!("for example {option} 100G; prefixes are decimal: k, M, G, T, P");
    value.map(Some).ok_or_else(|| hinted(format!("`{option}` is not a number: `{text}`"), hint))
}
