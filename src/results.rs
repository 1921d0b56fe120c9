//! What commands find, as the JSON that they print; the types of analyses and of files about servers are in `report`
//! and `schema`.

mod check;
mod devices;
mod diff;
mod models;

pub use check::{CHECK, CheckResult, Limit, LimitUnit};
pub use devices::{Detected, GpuSurveys, KnownGpu, SurveyResult};
pub use diff::{DIFF, DiffRow, ModelDiff};
pub use models::{ModelMetric, ModelRow, ModelsCompared};
