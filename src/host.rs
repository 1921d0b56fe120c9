//! This machine: what it is, and the ceilings it reaches when measured.
//!
//! [`measure`] takes the two figures that a roofline needs in a few seconds; [`survey()`] takes all:
//! arithmetic by type, a real matrix product, and the bandwidth of every memory level; [`wait`] looks whether
//! the machine is quiet first. Knows no models.

mod cpu;
mod device;
mod figure;
mod gpu;
mod quick;
mod quiet;
mod survey;

pub use crate::kernels::streams::Pattern;
pub use cpu::{Cache, Cpu, cpu, cpu_name, threads};
pub use device::{HOST, HOST_ONE_THREAD};
pub use figure::Figure;
pub use gpu::{Gpu, GpuError, GpuProduct, GpuState, GpuSurvey, gpu_surveys, gpus};
pub use quick::{Gauge, HostCeilings, MeasurePlan, measure};
pub use quiet::{Unrest, Waited, look, wait};
pub use survey::{Reading, Subject, Survey, SurveyPlan, survey};
