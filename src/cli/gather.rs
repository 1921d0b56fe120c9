//! Files of any command, read by what is in them: models of every format, analyses, assessments and measurements.

use super::hinted;
use super::sizes::{Names, Sizes};
use crate::assess::{ASSESSMENT_SCHEMA, Assessment};
use crate::hwdb::Device;
use crate::ir::Model;
use crate::report::{BoundReport, ModelReport};
use crate::roofline::{Hierarchy, Roof};
use crate::schema::{LoopPart, MEASUREMENT, MeasurementFile, ModelPart, TOOL};
use crate::study::{CasePart, DevicePart, RunPart, STUDY, StudyFile, SubjectPart};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A model that was counted: from its file, or in a report.
pub(super) struct Counted {
    pub(super) report: ModelReport,
    /// The model in the types that it was counted in; none where only a report was given.
    pub(super) model: Option<Model>,
    /// What `assess` found, where it was its report.
    pub(super) assessment: Option<Assessment>,
}

/// A run that was measured.
pub(super) struct Run {
    /// Its folder, or its file where that is called otherwise.
    pub(super) label: String,
    pub(super) file: MeasurementFile,
}

/// What was in the files.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) models: Vec<Counted>,
    pub(super) runs: Vec<Run>,
}

/// The files that runs and assessments are in, in their folders.
const IN_FOLDERS: [&str; 2] = ["measurement.json", "report.json"];

impl Gathered {
    /// Reads files, each by what is in it; models at these sizes.
    pub(super) fn read(paths: &[PathBuf], sizes: &Sizes) -> Result<Self> {
        let mut all = Self::default();
        let mut models = Vec::new();
        for path in paths {
            match json_of(path) {
                Some(file) => all.json(&file)?,
                None => models.push(path),
            }
        }
        if let (Some(counted), Some(flag)) = (all.models.first(), sizes.asked()) {
            let file = &counted.report.model.file;
            let message =
                format!("{flag} is given, but `{file}` was counted when its report was written");
            return Err(hinted(message, "give the model's file instead of its report"));
        }
        if let [only] = models[..] {
            let (model, report) = sizes.counted(only)?;
            all.models.push(Counted { report, model: Some(model), assessment: None });
            return Ok(all);
        }
        let mut known = Names::default();
        for path in &models {
            let ((model, report), names) = sizes.shared(path)?;
            known = known.and(names);
            all.models.push(Counted { report, model: Some(model), assessment: None });
        }
        if !models.is_empty() {
            sizes.used(known, "no model")?;
        }
        Ok(all)
    }

    fn json(&mut self, path: &Path) -> Result<()> {
        let mut counted = |report: ModelReport, assessment: Option<Assessment>| {
            self.models.push(Counted { report, model: None, assessment });
        };
        let (form, written) = written(path)?;
        match written {
            Written::Measurement(file) => self.runs.push(Run { label: label(path), file: *file }),
            Written::Assessment(assessment) => {
                counted(assessment.analysis.clone(), Some(*assessment));
            }
            Written::Other(text) if form == crate::report::ANALYSIS => {
                counted(text.report()?, None);
            }
            Written::Other(_) => {
                let shown = path.display();
                let message = format!("`{shown}` is of the form `{form}`, which is not read here");
                let forms = [MEASUREMENT, ASSESSMENT_SCHEMA, crate::report::ANALYSIS].join(", ");
                return Err(hinted(message, format!("read are models, and JSON of {forms}")));
            }
        }
        Ok(())
    }

    /// Everything in one study, under these devices and the machines of assessments.
    pub(super) fn study(&self, devices: &[Device]) -> Result<StudyFile> {
        let subjects: Vec<SubjectPart> = self.models.iter().map(Counted::subject).collect();
        let mut parts: Vec<DevicePart> = devices.iter().filter_map(crate::study::device).collect();
        let mut cases = Vec::new();
        for (at, counted) in self.models.iter().enumerate() {
            for device in devices {
                let place = parts.iter().position(|p| p.id == device.id);
                let bound = place.and_then(|place| Some((place, counted.bound(device)?)));
                cases.extend(
                    bound.map(|(place, b)| crate::study::case((at, place), &counted.report, &b)),
                );
            }
            if let Some(assessment) = &counted.assessment {
                parts.push(crate::study::machine(&assessment.machine));
                let case: CasePart =
                    crate::study::case((at, parts.len() - 1), &counted.report, &assessment.bound);
                cases.push(case);
            }
        }
        if cases.is_empty() {
            if let (Some(counted), Some(device)) = (self.models.first(), devices.first()) {
                let why = Roof::of(device, counted.report.main_dtype()).err();
                return Err(why.map_or_else(
                    || hinted("no model has a case on these devices", "name others with --on"),
                    |e| super::hw::no_roof(&e),
                ));
            }
        }
        let runs = self.runs.iter().map(|r| crate::study::run(&r.label, &r.file));
        let loops = self.models.iter().flat_map(Counted::loops);
        let runs: Vec<RunPart> = loops.chain(runs).collect();
        let tool = TOOL.to_owned();
        Ok(StudyFile { schema: STUDY.to_owned(), tool, subjects, devices: parts, runs, cases })
    }
}

impl Counted {
    fn subject(&self) -> SubjectPart {
        match &self.model {
            Some(model) => crate::study::formulas(model, &self.report),
            None => crate::study::counted(&self.report),
        }
    }

    /// What was measured in an assessment.
    fn loops(&self) -> Vec<RunPart> {
        let Some(a) = &self.assessment else { return Vec::new() };
        let t = &self.report.totals;
        let cost = |part: &LoopPart| {
            Some(ModelPart {
                file: self.report.model.file.clone(),
                flops_per_request: t.operations()? as f64,
                compulsory_bytes_per_request: t.compulsory_bytes? as f64,
                intensity_flop_per_byte: a.bound.intensity_flop_per_byte,
                achieved_flops: part.achieved_flops?,
                phases: Vec::new(),
            })
        };
        let one = |part: &LoopPart| {
            crate::study::closed_loop(part, a.runtime.as_deref().unwrap_or_default(), cost(part))
        };
        a.measured.iter().map(one).collect()
    }

    /// The model under the roof of a device; none where that has no ceiling of its type.
    pub(super) fn bound(&self, device: &Device) -> Option<BoundReport> {
        let h = Hierarchy::of(device, self.report.main_dtype()).ok()?;
        let bound = BoundReport::new(&h.roof, &self.report);
        Some(bound.with_device(device, &h.roof, &self.report))
    }
}

/// The file of ours that a path names: itself, where it is JSON of a known form, or one in the folder.
fn json_of(path: &Path) -> Option<PathBuf> {
    use std::io::Read;
    if path.is_dir() {
        return IN_FOLDERS.iter().map(|name| path.join(name)).find(|file| file.is_file());
    }
    let mut start = Vec::new();
    std::fs::File::open(path).ok()?.take(4096).read_to_end(&mut start).ok()?;
    let text = String::from_utf8_lossy(&start);
    let ours = text.trim_start().starts_with('{') && text.contains("\"rooflens.");
    ours.then(|| path.to_owned())
}

/// What a command wrote.
pub(super) enum Written {
    Measurement(Box<MeasurementFile>),
    Assessment(Box<Assessment>),
    /// An analysis, or something else.
    Other(Text),
}

/// JSON of a file.
pub(super) struct Text {
    text: String,
    shown: String,
}

impl Text {
    /// What it is as the type of its form.
    fn parsed<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_str(&self.text)
            .map_err(|e| hinted(format!("`{}` is not a report: {e}", self.shown), ADVICE))
    }

    /// The analysis that it is.
    pub(super) fn report(&self) -> Result<ModelReport> {
        self.parsed()
    }
}

/// How to get a file that is read.
const ADVICE: &str = "make it with `rooflens analyze MODEL --format json -o FILE`";

/// What is in a file of any command, and the name of its form.
pub(super) fn written(path: &Path) -> Result<(String, Written)> {
    let shown = path.display().to_string();
    let text =
        text_of(path).map_err(|e| hinted(format!("`{shown}` cannot be read: {e}"), ADVICE))?;
    let text = Text { text, shown };
    let form = text.parsed::<Header>()?.schema;
    let written = match form.as_str() {
        MEASUREMENT => Written::Measurement(text.parsed()?),
        ASSESSMENT_SCHEMA => Written::Assessment(text.parsed()?),
        _ => Written::Other(text),
    };
    Ok((form, written))
}

/// The folders of runs that a path holds: itself, or those in it by name; none where it is something else.
pub(super) fn folders_of_runs(path: &Path) -> Option<Vec<PathBuf>> {
    let [run, _] = IN_FOLDERS;
    if !path.is_dir() {
        let measured = || {
            let text = text_of(path).ok()?;
            let header: Header = serde_json::from_str(&text).ok()?;
            (header.schema == MEASUREMENT).then(|| vec![path.to_owned()])
        };
        return json_of(path).and_then(|_| measured());
    }
    if path.join(run).is_file() {
        return Some(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).ok()?.filter_map(|e| e.ok().map(|e| e.path()));
    let mut folders: Vec<PathBuf> = entries.filter(|folder| folder.join(run).is_file()).collect();
    folders.sort();
    (!folders.is_empty()).then_some(folders)
}

/// What a run is called: its folder, or its file where that has a name of its own.
fn label(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned());
    if IN_FOLDERS.contains(&name.as_str()) { folder.unwrap_or(name) } else { name }
}

/// The text of a file, which may be a pipe but does not go on without end.
fn text_of(path: &Path) -> std::io::Result<String> {
    const LARGEST: u64 = 1 << 30;
    crate::files::text(path, LARGEST)
}

/// What all our files have in common.
#[derive(serde::Deserialize)]
struct Header {
    /// Name and version of the file's form.
    schema: String,
}
