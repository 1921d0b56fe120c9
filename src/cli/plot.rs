//! `rooflens plot`: models and measurements under the roofs of devices.

mod measured;
mod scenes;

use super::gather::{self, Written};
use super::sizes::{Open, Sizes};
use super::{Exit, charts, emit, hinted};
use crate::analysis::{Precision, type_name};
use crate::assess::Assessment;
use crate::chart::{Chart, RoofLine};
use crate::formats::{Given, Wanted};
use crate::ir::{Model, ValueId};
use crate::render;
use crate::render::chart::Under;
use crate::report::ModelReport;
use crate::roofline::Roof;
use crate::units::{Bytes, BytesPerSecond, FlopsPerSecond};
use anyhow::Result;
use measured::Measurement;
use std::path::{Path, PathBuf};

/// Draw a roofline chart from analyses, assessments or measurements, and devices.
///
/// One report shows its operators; several are compared as whole models. A report of `assess` includes
/// the roofs of its machine and what was measured there. A measurement.json of `probe --model` is a
/// point: the FLOP/s that the server achieved, with an arrow to the roof.
///
/// Examples:
///   rooflens plot rooflens-report/report.json
///   rooflens analyze resnet50.onnx --format json -o resnet.json
///   rooflens plot resnet.json --on v100 --on t4 -o resnet.png
///   rooflens plot resnet.json bert.json --on a100 --dtype f16 -o both.svg
///   rooflens plot rooflens-probe/measurement.json --on t4
///   rooflens plot models/*.onnx --as models --on v100 --dtype f16 --dim seq=128 -o ten.svg
///   rooflens plot models/resnet50.onnx --as kernels --on v100 -o kernels.png
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Args {
    /// JSON written by `analyze --format json`, `assess` or `probe --model`; with --as also models and folders.
    #[arg(required = true, value_name = "FILES")]
    reports: Vec<PathBuf>,
    /// Device whose roof to draw. Repeatable; the first one places the points.
    #[arg(long, value_name = "DEVICE")]
    on: Vec<String>,
    /// Data type of a compute ceiling. Repeatable.
    ///
    /// Models are counted in the first one. By default, with one device all its types, with several the model's own.
    #[arg(long, value_name = "TYPE")]
    dtype: Vec<String>,
    /// Draw another picture than the roofline: several models under one device, one model's kernels and where the time
    /// goes, one model on several devices, time by batch, percentiles of runs, or response times by load. FILES are then
    /// also models of every format that is read.
    #[arg(long = "as", value_name = "PICTURE")]
    picture: Option<scenes::Picture>,
    /// With --as: colours; `auto` is light, and in an SVG dark where the reader prefers that.
    #[arg(long, value_name = "THEME", default_value = "auto", requires = "picture")]
    theme: scenes::Colors,
    /// With --as: give a symbol of a model a value: SYMBOL=N. Repeatable.
    #[arg(long, value_name = "SYMBOL=N", requires = "picture")]
    dim: Vec<String>,
    /// With --as: give the batch a value.
    #[arg(long, value_name = "N", requires = "picture")]
    batch: Option<u64>,
    /// With --as: fix the shape of an input. Repeatable.
    #[arg(long, value_name = "[NAME=]DIMS", requires = "picture")]
    shape: Vec<String>,
    /// Folder of your own device files, which override the built-in ones.
    #[arg(long, value_name = "DIR")]
    hwdb: Option<PathBuf>,
    /// Chart to write, .svg or .png; `-` writes SVG to standard output.
    #[arg(short, long, value_name = "FILE", default_value = "roofline.svg")]
    output: PathBuf,
    /// Overwrite an existing file.
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
        let to_stdout = charts::to_stdout(&self.output);
        charts::writable(&self.output)?;
        if !to_stdout && self.output.exists() && !self.force {
            let message = format!("`{}` already exists", self.output.display());
            return Err(hinted(message, "choose another with -o, or overwrite it with --force"));
        }
        if let Some(picture) = self.picture {
            return self.scene(picture);
        }
        let (mut sources, mut measurements) = (Vec::new(), Vec::new());
        for path in &self.reports {
            match read(path)? {
                Loaded::Source(source) => sources.push(*source),
                Loaded::Measurement(measurement) => measurements.push(measurement),
            }
        }
        let dtypes = self.dtypes()?;
        let own = sources.first().map_or("f32", |s: &Source| s.analysis.main_dtype()).to_owned();
        let dtype = dtypes.first().map_or(own.as_str(), String::as_str);
        let (lines, roof, under) = if self.on.is_empty() {
            let machine = sources.iter().find_map(|s| s.assessment.as_ref());
            let Some(machine) = machine else {
                let hint = "name a device with --on; `rooflens hw list` shows them";
                return Err(hinted("an analysis or a measurement alone has no roof", hint));
            };
            machine_roof(machine)
        } else {
            self.device_roofs(dtype, &dtypes)?
        };
        if !self.on.is_empty() {
            in_type(&mut sources, measurements.is_empty(), roof.dtype.name())?;
        }
        let drawn =
            Drawn { sources: &sources, measurements: &measurements, roof: &roof, under: &under };
        let devices = match self.on.len() {
            0 | 1 => roof.device.clone(),
            _ => lines.iter().map(|l| l.label.as_str()).collect::<Vec<_>>().join(", "),
        };
        let chart = drawn.chart(lines, &devices);
        if to_stdout {
            emit(&charts::svg(&chart)?, None)?;
            return Ok(Exit::Good);
        }
        charts::write(&chart, &self.output)?;
        charts::wrote(&self.output)?;
        Ok(Exit::Good)
    }

    /// Draws a picture of a study.
    fn scene(&self, picture: scenes::Picture) -> Result<Exit> {
        let open = Open {
            dim: self.dim.clone(),
            batch: self.batch,
            shape: self.shape.clone(),
            ..Open::default()
        };
        let sizes = Sizes { open, ..Sizes::default() };
        let dtypes = self.dtypes()?;
        let asked = scenes::Asked {
            files: &self.reports,
            on: &self.on,
            dtypes: &dtypes,
            sizes,
            hwdb: self.hwdb.as_deref(),
        };
        scenes::write(&asked.scene(picture)?, &self.output, self.theme)?;
        if !charts::to_stdout(&self.output) {
            charts::wrote(&self.output)?;
        }
        Ok(Exit::Good)
    }

    /// The types asked for, as device files name them.
    fn dtypes(&self) -> Result<Vec<String>> {
        let known = |text: &String| {
            type_name(text).map(str::to_owned).ok_or_else(|| {
                let message = format!("`--dtype {text}` is not a data type");
                hinted(message, "for example f32, tf32, f16, bf16, f8, i8")
            })
        };
        self.dtype.iter().map(known).collect()
    }

    /// The lines of the devices asked for, and the roof that places points.
    fn device_roofs(&self, dtype: &str, asked: &[String]) -> Result<(Vec<RoofLine>, Roof, Under)> {
        let catalogue = super::hw::catalogue(self.hwdb.as_deref())?;
        let mut lines = Vec::new();
        let mut first = None;
        for name in &self.on {
            let device = super::hw::find(&catalogue, name)?;
            let known: Vec<&str> = device.peaks.iter().map(|p| p.dtype.name()).collect();
            for other in asked {
                Roof::of(device, other.as_str()).map_err(|e| super::hw::no_roof(&e))?;
            }
            let mut dtypes = if asked.is_empty() { vec![dtype.to_owned()] } else { asked.to_vec() };
            if asked.is_empty() && self.on.len() == 1 {
                for other in &known {
                    if !dtypes.iter().any(|d| d == other) {
                        dtypes.push((*other).to_owned());
                    }
                }
            }
            let roof = Roof::of(device, dtype).map_err(|e| super::hw::no_roof(&e))?;
            let label = if self.on.len() == 1 { "" } else { &device.name };
            lines.extend(render::chart::device_roof(device, &dtypes, label));
            first.get_or_insert((roof, Under::device(device)));
        }
        first
            .map(|(roof, under)| (lines, roof, under))
            .ok_or_else(|| hinted("no device", "name one with --on"))
    }
}

/// What is drawn under a roof.
struct Drawn<'a> {
    sources: &'a [Source],
    measurements: &'a [Measurement],
    /// Places the points.
    roof: &'a Roof,
    /// Whose it is.
    under: &'a Under,
}

impl Drawn<'_> {
    /// The chart under `roofs`, which are those of `devices`.
    fn chart(&self, roofs: Vec<RoofLine>, devices: &str) -> Chart {
        let (sources, roof) = (self.sources, self.roof);
        let one = sources.len() == 1;
        let label = |s: &Source| if one { "whole model, at best".into() } else { short(s) };
        let points = sources.iter().filter(|_| one);
        let assessed = sources.iter().filter_map(|s| s.assessment.as_ref());
        let models = sources.iter();
        Chart {
            title: self.title(devices),
            subtitle: format!("points in {}; {}", roof.dtype, self.notes().join("; ")),
            roofs,
            points: points.flat_map(|s| render::chart::op_points(&s.analysis, roof)).collect(),
            models: models
                .map(|s| render::chart::model_point(&label(s), &s.analysis, roof))
                .collect(),
            measured: assessed
                .flat_map(|a| render::chart::measured(a, self.under))
                .chain(self.measurements.iter().flat_map(|m| m.points(roof, self.under)))
                .collect(),
        }
    }

    fn title(&self, devices: &str) -> String {
        let files = self.sources.iter().map(|s| render::chart::file_name(&s.analysis));
        let mut files: Vec<String> =
            files.chain(self.measurements.iter().map(|m| m.file.clone())).collect();
        files.dedup();
        let files = files.join(", ");
        if self.sources.is_empty() {
            format!("{files}, measured, under the roof of {devices}")
        } else {
            format!("{files} on {devices}")
        }
    }

    /// How the points are to be read, and the sizes that one model is counted at.
    fn notes(&self) -> Vec<String> {
        let how = match self.sources {
            [_] => "a point is an operator, unfused, its area the share of the time bound",
            [] => "what was achieved in inferences/s and FLOP/s, at the compulsory intensity",
            _ => "full: compulsory intensity; hollow: unfused",
        };
        let mut notes = vec![how.to_owned()];
        if let [only] = self.sources {
            let at: Vec<String> =
                only.analysis.given().map(|(k, v)| format!("{k} = {v}")).collect();
            notes.extend((!at.is_empty()).then(|| at.join(", ")));
        }
        notes
    }
}

fn machine_roof(a: &Assessment) -> (Vec<RoofLine>, Roof, Under) {
    let roof = Roof {
        device: a.machine.cpu.clone(),
        dtype: "f32".into(),
        accumulate: None,
        unit: String::new(),
        boost_mhz: None,
        peak: FlopsPerSecond(a.machine.peak_flops_all_threads),
        bandwidth: BytesPerSecond(a.machine.triad_bytes_per_second_all_threads),
        measured: true,
        // Points are placed here; least times are `assess`'s.
        cached: Bytes(0.0),
    };
    (render::chart::machine_roofs(a), roof, Under::assessed(a))
}

/// Counts every model again in the type of the roof, where that is not its own: bytes and ceilings of two
/// types do not belong together. What was measured cannot be counted again: `alone` where no measurement
/// stands beside the models.
fn in_type(sources: &mut [Source], alone: bool, dtype: &str) -> Result<()> {
    for source in sources.iter_mut() {
        let own = source.analysis.main_dtype().to_owned();
        if own == dtype {
            continue;
        }
        if source.assessment.is_some() || !alone {
            let message =
                format!("{} was measured in {own}, not in {dtype}", source.analysis.model.file);
            return Err(hinted(message, format!("draw it with --dtype {own}")));
        }
        source.analysis = again(&source.analysis, dtype)?;
    }
    Ok(())
}

/// The analysis of the same file at the same sizes in another type. Refuses where the file is not the one
/// that was analysed.
fn again(report: &ModelReport, dtype: &str) -> Result<ModelReport> {
    let file = &report.model.file;
    let refuse = |why: &str| {
        let message = format!("`{file}` cannot be counted again in {dtype}: {why}");
        let hint =
            format!("write its analysis with `rooflens analyze … --dtype {dtype} --format json`");
        hinted(message, hint)
    };
    let precision: Precision = dtype.parse().map_err(|_| refuse("models are not cast to it"))?;
    let names: Vec<&str> = report.model.inputs.iter().map(|t| t.name.as_str()).collect();
    let ranks: Vec<usize> =
        report.model.inputs.iter().map(|t| t.shape.as_ref().map_or(0, Vec::len)).collect();
    let given = Given { names: &names, first: 0, ranks: &ranks };
    let wanted = Wanted { given, ..Wanted::default() };
    let mut model = super::given::loaded(Path::new(file), &wanted)
        .map_err(|e| refuse(&format!("it cannot be read: {e}")))?;
    if model.file_bytes != report.model.file_bytes {
        return Err(refuse("the file has changed"));
    }
    let sizes = |t: &crate::report::TensorReport| -> Option<Vec<u64>> {
        t.shape.as_ref()?.iter().copied().collect()
    };
    let mut given: Vec<(ValueId, Vec<u64>)> = Vec::new();
    for tensor in &report.model.inputs {
        let id = super::given::input(&model, &tensor.name)?;
        given.extend(sizes(tensor).map(|sizes| (id, sizes)));
    }
    super::given::set_sizes(&mut model, &given, "the analysis")?;
    let own: crate::dim::Bindings =
        report.bindings.iter().map(|(k, v)| (k.as_str().into(), i128::from(*v))).collect();
    let count =
        |model: &Model| ModelReport::new(model, file, &own).map_err(|e| refuse(&e.to_string()));
    // Whatever else was given, such as values of inputs, is not in the analysis.
    let same = match &report.model.precision {
        None => count(&model)?.totals.bytes() == report.totals.bytes(),
        Some(_) => false,
    };
    if !same {
        return Err(refuse("its analysis was made with other flags"));
    }
    let mut counted = count(&crate::analysis::recast(&model, precision))?;
    counted.model.precision = Some(precision.to_string());
    counted.bindings.clone_from(&report.bindings);
    Ok(counted)
}

/// A model's file without folder and ending, and its batch.
fn short(source: &Source) -> String {
    let file = Path::new(&source.analysis.model.file);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let at: Vec<String> = source.analysis.given().map(|(k, v)| format!("{k}={v}")).collect();
    if at.is_empty() { stem } else { format!("{stem} ({})", at.join(", ")) }
}

/// What is in a file of any command; what has no known form is read as an analysis.
fn read(path: &Path) -> Result<Loaded> {
    let (analysis, assessment) = match gather::written(path)?.1 {
        Written::Measurement(file) => {
            return Ok(Loaded::Measurement(Measurement::new(path, &file)?));
        }
        Written::Assessment(assessment) => (assessment.analysis.clone(), Some(*assessment)),
        Written::Other(text) => (text.report()?, None),
    };
    Ok(Loaded::Source(Box::new(Source { analysis, assessment })))
}
