//! What a person or a machine reads: analyses and assessments as JSON, tables, CSV and Markdown.
//!
//! [`ModelReport`] holds numbers at one choice of symbols together with the formulas; every output
//! form is one function over it. Nothing here prints, and nothing here computes a cost.

mod agreement;
mod batch;
mod beside;
mod bodies;
mod bound;
mod caveats;
mod estimate;
mod kernels;
mod levels;
mod model;
mod names;
mod numbers;
mod phases;
mod tensor;
mod text;

pub use batch::{BatchSymbol, batch_symbol};
pub use bound::{Binds, BoundReport, FitReport, RunKind, RunReport, Shares, op_time, place};
pub use caveats::inexact;
pub use estimate::{EstimatePart, EstimateReport, efficiency};
pub use kernels::{Follows, Kernel, KernelClass, kernels};
pub use levels::{LevelReport, op_level};
pub use model::{
    Assumption, CoverageReport, DiagnosticReport, Formulas, GroupReport, MemoryReport, ModelInfo,
    ModelReport, OpReport, ReportError, TensorReport, Totals, TypeReport,
};
pub use phases::{PhaseKind, PhaseReport};
pub use tensor::SharedTensor;
pub use text::{Listing, assumptions, bounds, ceilings, count, csv, markdown, table};
