//! Measurements of servers as points under a roof.

use super::super::hinted;
use crate::chart::MeasuredPoint;
use crate::render::chart::Under;
use crate::roofline::Roof;
use crate::schema::{HostPart, MeasurementFile, Verdict};
use crate::units::Intensity;
use anyhow::Result;
use std::path::Path;

/// What `probe` found of a server whose model's costs it knew.
pub(super) struct Measurement {
    points: Vec<Point>,
    /// Where it ran, where that is known: the client's machine is the server's in the same process alone.
    machines: Vec<HostPart>,
    /// The model's file, without its folder.
    pub(super) file: String,
}

/// What was achieved, and at which intensity.
struct Point {
    label: String,
    intensity: f64,
    achieved: f64,
}

impl Measurement {
    /// From the `measurement.json` at `path`.
    pub(super) fn new(path: &Path, measured: &MeasurementFile) -> Result<Self> {
        let shown = path.display();
        let Some(model) = &measured.model else {
            return Err(hinted(
                format!("`{shown}` does not say what its model costs"),
                "measure with `rooflens probe … --model FILE`",
            ));
        };
        let (achieved, intensity) = (model.achieved_flops, model.intensity_flop_per_byte);
        if ![achieved, intensity].iter().all(|n| *n > 0.0 && n.is_finite()) {
            return Err(hinted(
                format!("`{shown}` has no point on a roofline: no successful answers, or no FLOPs"),
                "its `model` needs achieved_flops and intensity_flop_per_byte above zero",
            ));
        }
        let name = Path::new(&model.file).file_name().unwrap_or_default();
        let batch = Some(measured.target.batch).filter(|b| *b > 1);
        let label = format!(
            "{}{}: {:.1}/s{},",
            measured.plan.load,
            batch.map_or(String::new(), |b| format!(", batch {b}")),
            measured.window.inferences_per_second,
            match measured.verdict.verdict {
                Verdict::Valid => String::new(),
                other => format!(" ({other})"),
            },
        );
        // The phases of a language model are two points: together they are none of a roofline.
        let phases = model.phases.iter().map(|phase| Point {
            label: format!("{label} {},", phase.name),
            intensity: phase.intensity_flop_per_byte,
            achieved: phase.achieved_flops,
        });
        let mut points: Vec<Point> = phases.collect();
        if points.is_empty() {
            points.push(Point { label, intensity, achieved });
        }
        let known = measured.target.in_process;
        let machines = if known { measured.run.machines.clone() } else { Vec::new() };
        Ok(Self { points, machines, file: name.to_string_lossy().into_owned() })
    }

    /// Its points, under what the roof of `under` allows.
    pub(super) fn points(&self, roof: &Roof, under: &Under) -> impl Iterator<Item = MeasuredPoint> {
        self.points.iter().map(move |point| MeasuredPoint {
            label: point.label.clone(),
            intensity: point.intensity,
            achieved: point.achieved,
            attainable: roof.attainable(Intensity(point.intensity)).get(),
            standing: under.standing(&self.machines),
        })
    }
}
