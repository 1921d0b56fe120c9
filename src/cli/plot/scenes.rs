//! `plot --as`: pictures of a study.

use super::super::gather::Gathered;
use super::super::sizes::Sizes;
use super::super::{charts, hinted};
use crate::analysis::Precision;
use crate::chart::scene::{Scene, Theme};
use crate::study::{CasePart, StudyFile, Types};
use crate::views;
use anyhow::Result;
use std::path::PathBuf;

/// Pictures by what they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Picture {
    /// Several models under the roofs of one device, with a table.
    Models,
    /// One model: the roof, and below it where the time goes.
    Kernels,
    /// One model on several devices.
    Devices,
    /// Time and throughput by batch.
    Batch,
    /// Percentiles of runs.
    Latency,
    /// Response times and goodput by load.
    Load,
}

/// Colours of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Colors {
    /// Light, and in an SVG dark where the reader prefers that.
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Colors {
    /// Of a file that is an SVG or not.
    pub(super) fn theme(self, svg: bool) -> Theme {
        match self {
            Self::Auto if svg => Theme::Both,
            Self::Auto | Self::Light => Theme::Light,
            Self::Dark => Theme::Dark,
        }
    }
}

/// What a picture is made of.
pub(super) struct Asked<'a> {
    pub(super) files: &'a [PathBuf],
    pub(super) on: &'a [String],
    pub(super) dtypes: &'a [String],
    pub(super) sizes: Sizes,
    pub(super) hwdb: Option<&'a std::path::Path>,
}

impl Asked<'_> {
    /// Lays the picture out.
    pub(super) fn scene(&self, picture: Picture) -> Result<Scene> {
        let gathered = Gathered::read(self.files, &self.sizes)?;
        let study = gathered.study(&super::super::hw::devices(self.on, self.hwdb)?)?;
        let scene = match picture {
            Picture::Models => {
                views::models(&study, device(&study)?, &self.types()?).map(|p| p.scene())
            }
            Picture::Kernels => views::kernels(&study, first(&study)?).map(|p| p.scene()),
            Picture::Devices => views::devices(&study, first(&study)?.subject).map(|p| p.scene()),
            Picture::Batch => views::batch(&study, first(&study)?).map(|p| p.scene()),
            Picture::Latency => views::latency(&study.runs).map(|p| p.scene()),
            Picture::Load => views::load(&study.runs).map(|p| p.scene()),
        };
        scene.ok_or_else(|| lacking(&study, picture))
    }

    /// Types that models are counted in beside their own.
    fn types(&self) -> Result<Vec<Types>> {
        let of = |name: &String| {
            let precision: Precision = name.parse().map_err(|_| {
                hinted(format!("models are not counted in `{name}`"), "for example --dtype f16")
            })?;
            let bits =
                (f64::from(precision.weights.bits()), f64::from(precision.activations.bits()));
            Ok(Types { ceiling: name.clone(), bits: Some(bits) })
        };
        self.dtypes.iter().map(of).collect()
    }
}

/// The first case; an error that says what is missing where there is none.
fn first(study: &StudyFile) -> Result<&CasePart> {
    study.cases.first().ok_or_else(|| {
        let (what, hint) = if study.subjects.is_empty() {
            ("there is no model", "name a model's file, or JSON of `analyze` or `assess`")
        } else {
            ("a model alone has no roof", "name a device with --on; `rooflens hw list` shows them")
        };
        hinted(what, hint)
    })
}

fn device(study: &StudyFile) -> Result<usize> {
    first(study).map(|case| case.device)
}

/// Why there is no picture.
fn lacking(study: &StudyFile, picture: Picture) -> anyhow::Error {
    let subject = study.subjects.first();
    let (why, hint): (String, &str) = match picture {
        Picture::Latency => (
            "no run has percentiles that its samples bear".into(),
            "name folders of `rooflens probe`, measured long enough",
        ),
        Picture::Load => (
            "there are no two open loads of different rates".into(),
            "name several folders of `rooflens probe --load poisson:RATE`",
        ),
        Picture::Batch => (
            match subject.and_then(|s| s.fixed.as_ref()) {
                Some(fixed) => format!("there is no curve by batch: {fixed}"),
                None => {
                    "there is no curve by batch: no open size can be said to be the batch".into()
                }
            },
            "`rooflens compare MODEL --on DEVICE --batch 1,8,32` counts each batch",
        ),
        Picture::Models | Picture::Kernels | Picture::Devices => {
            ("a count of the model is not known".into(), "`rooflens analyze` says which")
        }
    };
    hinted(why, hint)
}

/// Writes a picture where the name says, in the form that its ending says.
pub(super) fn write(scene: &Scene, path: &std::path::Path, colors: Colors) -> Result<()> {
    if charts::to_stdout(path) {
        return super::super::emit(&scene.svg(colors.theme(true)), None);
    }
    charts::write_svg(&|svg| scene.svg(colors.theme(svg)), path)
}
