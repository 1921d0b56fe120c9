//! `rooflens plot`: a model under the roofs of devices.

use super::{Exit, emit, hinted};
use crate::chart::{Chart, RoofLine, render_svg};
use crate::report::ModelReport;
use crate::roofline::Roof;
use crate::units::{Bytes, Flops};
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Draw a roofline chart from an analysis and one or more devices.
///
/// Examples:
///   rooflens analyze resnet50.onnx --format json -o resnet.json
///   rooflens plot resnet.json --on v100 --on t4 -o resnet.svg
///   rooflens plot rooflens-report/report.json --on a100 --dtype f16 -o both.png
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// JSON written by `analyze --format json` or `assess`.
    report: PathBuf,
    /// Device whose roof to draw. Repeatable; the first one places the points.
    #[arg(long, value_name = "DEVICE", required = true)]
    on: Vec<String>,
    /// Data type of the ceilings.
    #[arg(long, value_name = "TYPE", default_value = "f32")]
    dtype: String,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// The chart; a name that ends in .png makes a picture, any other an SVG.
    #[arg(short, long, value_name = "FILE", default_value = "roofline.svg")]
    output: PathBuf,
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        let path = self.report.display();
        let text = std::fs::read_to_string(&self.report).map_err(|e| {
            hinted(format!("`{path}` cannot be read: {e}"), "make it with `analyze --format json`")
        })?;
        let report = read(&text).map_err(|e| {
            hinted(format!("`{path}` is not a report: {e}"), "make it with `analyze --format json`")
        })?;
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let mut roofs = Vec::new();
        for name in &self.on {
            let device = super::hw::find(&catalogue, name)?;
            let roof = Roof::of(device, &self.dtype).ok_or_else(|| {
                let types: Vec<&str> = device.peaks.iter().map(|p| p.dtype.as_str()).collect();
                let message = format!("{} has no known {} roof", device.name, self.dtype);
                hinted(message, format!("its types are: {}", types.join(", ")))
            })?;
            roofs.push(roof);
        }
        let first = roofs.first().context("at least one device")?;
        let t = &report.totals;
        let placed =
            first.place(Flops((t.flops + t.int_ops) as f64), Bytes(t.compulsory_bytes as f64));
        let at: Vec<String> = report.bindings.iter().map(|(k, v)| format!("{k} = {v}")).collect();
        let line = |r: &Roof| RoofLine {
            label: format!("{} {}", r.device, r.dtype),
            peak: r.peak.get(),
            bandwidth: r.bandwidth.get(),
            measured: r.measured,
        };
        let chart = Chart {
            title: format!("{} on {}", report.model.file, first.device),
            subtitle: format!(
                "{} bound, at least {} a run {}",
                placed.bound.name(),
                placed.time,
                if at.is_empty() { String::new() } else { format!("at {}", at.join(", ")) }
            ),
            points: super::op_points(&report, first.peak.get(), first.bandwidth.get()),
            model: Some((
                "whole model, at best".into(),
                placed.intensity.get(),
                placed.attainable.get(),
            )),
            roofs: roofs.iter().map(line).collect(),
            measured: Vec::new(),
        };
        let svg = render_svg(&chart)?;
        if self.output.extension().is_some_and(|e| e == "png") {
            super::picture(&svg, &self.output)?;
        } else {
            emit(&svg, Some(&self.output))?;
        }
        Ok(Exit::Good)
    }
}

/// The analysis in a file of either command.
fn read(text: &str) -> Result<ModelReport, serde_json::Error> {
    let value: serde_json::Value = serde_json::from_str(text)?;
    let analysis = value.get("analysis").cloned().unwrap_or(value);
    serde_json::from_value(analysis)
}
