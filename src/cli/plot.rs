//! `rooflens plot`: models and measurements under the roofs of devices.

mod measured;

use super::{Exit, charts, hinted};
use crate::chart::{Chart, RoofLine};
use crate::report::{Assessment, ModelReport};
use crate::roofline::Roof;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond};
use anyhow::Result;
use measured::Measurement;
use std::path::{Path, PathBuf};

/// Draw a roofline chart from analyses, assessments or measurements, and devices.
///
/// One report shows its operators; several are compared as whole models. A report of `assess` brings
/// the roofs of its machine and what was measured there. A measurement.json of `probe --model` is a
/// point: the FLOP/s that the server achieved, with an arrow to what the roof allows.
///
/// Examples:
///   rooflens plot rooflens-report/report.json
///   rooflens analyze resnet50.onnx --format json -o resnet.json
///   rooflens plot resnet.json --on v100 --on t4 -o resnet.png
///   rooflens plot resnet.json bert.json --on a100 --dtype f16 -o both.svg
///   rooflens plot rooflens-probe/measurement.json --on t4
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// JSON written by `analyze --format json`, `assess` or `probe --model`.
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Device whose roof to draw. Repeatable; the first one places the points.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Data type of a compute ceiling. Repeatable; the first one places the points. Left out: the
    /// model's own with several devices, all that are known with one.
    #[arg(long, value_name = "TYPE")]
    dtype: Vec<String>,
    /// A folder of your own device files; they win over the shipped ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// The chart; a name that ends in .png makes a picture, any other an SVG.
    #[arg(short, long, value_name = "FILE", default_value = "roofline.svg")]
    output: PathBuf,
    /// Replace the file if it is there.
    #[arg(long)]
    force: bool,
}

/// A model, by `analyze` or `assess`.
struct Source {
    analysis: ModelReport,
    assessment: Option<Assessment>,
}

/// A file of any command.
enum Loaded {
    Source(Box<Source>),
    Measurement(Measurement),
}

impl Args {
    pub(super) fn run(self) -> Result<Exit> {
        if self.output.exists() && !self.force {
            let message = format!("`{}` is already there", self.output.display());
            return Err(hinted(message, "choose another with -o, or replace it with --force"));
        }
        let (mut sources, mut measurements) = (Vec::new(), Vec::new());
        for path in &self.reports {
            match read(path)? {
                Loaded::Source(source) => sources.push(*source),
                Loaded::Measurement(measurement) => measurements.push(measurement),
            }
        }
        let own = sources.first().map_or("f32", |s: &Source| s.analysis.main_dtype());
        let dtype = self.dtype.first().map_or(own, String::as_str);
        let (lines, roof) = if self.on.is_empty() {
            let machine = sources.iter().find_map(|s| s.assessment.as_ref());
            let Some(machine) = machine else {
                let hint = "name a device with --on; `rooflens hw list` shows them";
                return Err(hinted("an analysis or a measurement alone has no roof", hint));
            };
            machine_roof(machine)
        } else {
            self.device_roofs(dtype)?
        };
        let one = sources.len() == 1;
        let label = |s: &Source| if one { "whole model, at best".into() } else { short(s) };
        let files = sources.iter().map(|s| charts::file_name(&s.analysis));
        let mut files: Vec<String> =
            files.chain(measurements.iter().map(|m| m.file.clone())).collect();
        files.dedup();
        let at = sources.iter().flat_map(|s| s.analysis.given());
        let at: Vec<String> = at.map(|(k, v)| format!("{k} = {v}")).collect();
        let points = sources.iter().filter(|_| one);
        let points = points.flat_map(|s| charts::op_points(&s.analysis, &roof)).collect();
        let mut notes = vec![if one {
            "a point is an operator, its area the share of the time bound"
        } else if sources.is_empty() {
            "what was achieved in inferences/s and FLOP/s, where inputs, weights and outputs move once"
        } else {
            "full: weights, inputs and outputs move once; hollow: every node reads and writes memory"
        }
        .to_owned()];
        notes.extend((one && !at.is_empty()).then(|| at.join(", ")));
        let mut devices: Vec<&str> = lines.iter().map(|l| l.label.as_str()).collect();
        if self.on.len() < 2 {
            devices = vec![&roof.device];
        }
        let chart = Chart {
            title: if sources.is_empty() {
                let (files, devices) = (files.join(", "), devices.join(", "));
                format!("{files}, measured, under the roof of {devices}")
            } else {
                format!("{} on {}", files.join(", "), devices.join(", "))
            },
            subtitle: format!("points in {}; {}", roof.dtype, notes.join("; ")),
            roofs: lines.clone(),
            points,
            models: sources
                .iter()
                .map(|s| charts::model_point(&label(s), &s.analysis, &roof))
                .collect(),
            measured: sources
                .iter()
                .filter_map(|s| s.assessment.as_ref())
                .flat_map(charts::measured)
                .chain(measurements.iter().map(|m| m.point(&roof)))
                .collect(),
        };
        charts::write(&chart, &self.output)?;
        Ok(Exit::Good)
    }

    /// The lines of the devices asked for, and the roof that places points.
    fn device_roofs(&self, dtype: &str) -> Result<(Vec<RoofLine>, Roof)> {
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let mut lines = Vec::new();
        let mut first = None;
        for name in &self.on {
            let device = super::hw::find(&catalogue, name)?;
            let known: Vec<&str> = device.peaks.iter().map(|p| p.dtype.as_str()).collect();
            let missing = || {
                let message = format!("{} has no known {dtype} roof", device.name);
                hinted(message, format!("its types are: {}; choose with --dtype", known.join(", ")))
            };
            let mut dtypes =
                if self.dtype.is_empty() { vec![dtype.to_owned()] } else { self.dtype.clone() };
            if self.dtype.is_empty() && self.on.len() == 1 {
                for other in &known {
                    if !dtypes.iter().any(|d| d == other) {
                        dtypes.push((*other).to_owned());
                    }
                }
            }
            let roof = Roof::of(device, dtype).ok_or_else(missing)?;
            let label = if self.on.len() == 1 { "" } else { &device.name };
            lines.push(charts::device_roof(device, &dtypes, label).ok_or_else(missing)?);
            first.get_or_insert(roof);
        }
        first.map(|roof| (lines, roof)).ok_or_else(|| hinted("no device", "name one with --on"))
    }
}

fn machine_roof(a: &Assessment) -> (Vec<RoofLine>, Roof) {
    let roof = Roof {
        device: a.machine.cpu.clone(),
        dtype: "f32".into(),
        peak: FlopsPerSecond(a.machine.peak_flops_all_threads),
        bandwidth: BytesPerSecond(a.machine.triad_bytes_per_second_all_threads),
        measured: true,
        // Points are placed here; least times are `assess`'s.
        cached: Bytes(0.0),
    };
    (charts::machine_roofs(a), roof)
}

/// A model's file without folder and ending, and its batch.
fn short(source: &Source) -> String {
    let file = Path::new(&source.analysis.model.file);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let at: Vec<String> = source.analysis.given().map(|(k, v)| format!("{k}={v}")).collect();
    if at.is_empty() { stem } else { format!("{stem} ({})", at.join(", ")) }
}

/// What is in a file of any command.
fn read(path: &Path) -> Result<Loaded> {
    let advice = "make it with `rooflens analyze MODEL --format json -o FILE`";
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| hinted(format!("`{shown}` cannot be read: {e}"), advice))?;
    let not = |e: serde_json::Error| hinted(format!("`{shown}` is not a report: {e}"), advice);
    let value: serde_json::Value = serde_json::from_str(&text).map_err(not)?;
    if value["schema"].as_str().is_some_and(|s| s.starts_with("rooflens.measurement/")) {
        return Measurement::new(path, &value).map(Loaded::Measurement);
    }
    let parse = || -> serde_json::Result<Source> {
        if value.get("analysis").is_some() {
            let assessment: Assessment = serde_json::from_value(value)?;
            let analysis = assessment.analysis.clone();
            return Ok(Source { analysis, assessment: Some(assessment) });
        }
        Ok(Source { analysis: serde_json::from_value(value)?, assessment: None })
    };
    parse().map(|source| Loaded::Source(Box::new(source))).map_err(not)
}
