//! Measurements of servers as points under a roof.

use super::super::hinted;
use crate::chart::MeasuredPoint;
use crate::roofline::Roof;
use crate::units::Intensity;
use anyhow::Result;
use serde_json::Value;
use std::path::Path;

/// What `probe` found of a server whose model's costs it knew.
pub(super) struct Measurement {
    label: String,
    intensity: f64,
    achieved: f64,
    /// The model's file, without its folder.
    pub(super) file: String,
}

impl Measurement {
    /// From a `measurement.json`.
    pub(super) fn new(path: &Path, value: &Value) -> Result<Self> {
        let shown = path.display();
        let model = &value["model"];
        if model.is_null() {
            return Err(hinted(
                format!("`{shown}` does not say what its model costs"),
                "measure with `rooflens probe … --model FILE`",
            ));
        }
        let positive = |v: &Value| v.as_f64().filter(|n| *n > 0.0 && n.is_finite());
        let (Some(achieved), Some(intensity)) =
            (positive(&model["achieved_flops"]), positive(&model["intensity_flop_per_byte"]))
        else {
            return Err(hinted(
                format!("`{shown}` has no point on a roofline: no good answers, or no FLOPs"),
                "its `model` needs achieved_flops and intensity_flop_per_byte above zero",
            ));
        };
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let file = text(&model["file"]);
        let name = Path::new(&file).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let batch = value["target"]["batch"].as_i64().filter(|b| *b > 1);
        let verdict = text(&value["verdict"]["verdict"]);
        let label = format!(
            "{}{}: {:.1}/s{},",
            text(&value["plan"]["load"]),
            batch.map_or(String::new(), |b| format!(", batch {b}")),
            value["window"]["inferences_per_second"].as_f64().unwrap_or_default(),
            if verdict == "VALID" { String::new() } else { format!(" ({verdict})") },
        );
        Ok(Self { label, intensity, achieved, file: name })
    }

    /// Its point, under what the roof allows.
    pub(super) fn point(&self, roof: &Roof) -> MeasuredPoint {
        MeasuredPoint {
            label: self.label.clone(),
            intensity: self.intensity,
            achieved: self.achieved,
            attainable: roof.attainable(Intensity(self.intensity)).get(),
        }
    }
}
