//! The parts of this machine in the schemas of surveys are those of the types; the rest is held by those who make it.

#[path = "../../../schemas/generate.rs"]
mod generate;

use crate::os::nvml::Gpu;
use crate::os::sys::Cache;
use generate::{add_part, hold, stored};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

#[test]
fn the_schemas_are_those_of_the_types() {
    let mut survey = stored(ROOT, "survey");
    add_part::<Cache>(&mut survey, "Cache");
    add_part::<Gpu>(&mut survey, "Gpu");
    hold(ROOT, "rooflens-ground", &[("survey", survey)]);
}
