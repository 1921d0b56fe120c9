//! The JSON Schemas of analyses, devices, operators and plans of serving in `schemas/` are those of the types.

#[path = "../../../schemas/generate.rs"]
mod generate;

use crate::hwdb::{Device, DeviceCheck};
use crate::report::{ModelReport, OperatorReport};
use crate::serving::ServePlan;
use generate::{add_part, hold, schema, stored};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_schemas_are_those_of_the_types() {
    // The rest of an assessment is held by those who make it.
    let mut assessment = stored(ROOT, "assessment");
    add_part::<ModelReport>(&mut assessment, "ModelReport");
    let all = [
        ("analysis", schema::<ModelReport>("rooflens analyze --format json")),
        ("devices", schema::<Vec<Device>>("rooflens devices")),
        ("hw_check", schema::<Vec<DeviceCheck>>("rooflens hw check --format json")),
        ("operators", schema::<Vec<OperatorReport>>("rooflens ops --format json")),
        ("serve_plan", schema::<ServePlan>("rooflens serve-plan")),
        ("assessment", assessment),
    ];
    hold(ROOT, "rooflens-model", &all);
}
