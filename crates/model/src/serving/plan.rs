//! A plan: the figures of a model on some devices.

use super::counts::Counts;
use super::figure::{FigureGroup, ModelFormulas, Setting};
use super::{device, parallel};
use crate::hwdb::{CeilingError, Choice, Device};
use crate::roofline::Roof;
use serde::{Deserialize, Serialize};

/// Name and version of the JSON form.
pub const SERVE_PLAN: &str = "rooflens.serve_plan/1";

/// What a device allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceFigures {
    /// The device.
    pub device: String,
    /// The type that multiplies.
    pub dtype: String,
    /// Operations per second at most: π.
    pub peak_flops: f64,
    /// Bytes per second of the main memory at most: β.
    pub bandwidth_bytes_per_second: f64,
    /// The main memory in bytes; null where it is not known.
    pub memory_bytes: Option<u64>,
    /// Figures in groups: memory, one device, and ways to share the model.
    pub groups: Vec<FigureGroup>,
}

/// A plan for a model on some devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ServePlan {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = SERVE_PLAN)))]
    pub schema: String,
    /// The model's file or folder.
    pub model: String,
    /// What the figures are for.
    pub setting: Setting,
    /// The formulas of the graph.
    pub formulas: ModelFormulas,
    /// Sizes that were set to one because nothing was said.
    pub assumed: Vec<String>,
    /// What a reader should know of all figures.
    pub notes: Vec<String>,
    /// A plan for each device.
    pub devices: Vec<DeviceFigures>,
}

impl ServePlan {
    /// The plan of what is counted in `counts`, with those of the model that drafts where there is one.
    pub fn new(
        model: &str,
        counts: &Counts<'_>,
        draft: Option<&Counts<'_>>,
        setting: &Setting,
        devices: &[&Device],
    ) -> Result<Self, CeilingError> {
        let figures = |device: &&Device| -> Result<DeviceFigures, CeilingError> {
            let roof = Roof::of(device, Choice::from(counts.dtype()))?;
            let place = device::Place { counts, draft, setting, device, roof: &roof };
            let mut groups = place.groups();
            groups.extend(parallel::groups(&place));
            Ok(DeviceFigures {
                device: device.name.clone(),
                dtype: roof.dtype.to_string(),
                peak_flops: roof.peak.get(),
                bandwidth_bytes_per_second: roof.bandwidth.get(),
                memory_bytes: device.dram().and_then(|dram| dram.capacity_bytes),
                groups,
            })
        };
        Ok(Self {
            schema: SERVE_PLAN.into(),
            model: model.into(),
            setting: setting.clone(),
            formulas: counts.formulas(),
            assumed: counts.assumed().to_vec(),
            notes: counts.notes(),
            devices: devices.iter().map(figures).collect::<Result<_, _>>()?,
        })
    }
}
