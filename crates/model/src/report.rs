//! What a person or a machine reads: analyses and assessments as JSON, tables, CSV and Markdown.
//!
//! [`ModelReport`] holds numbers at one choice of symbols together with the formulas; every output
//! form is one function over it. Nothing here prints, and nothing here computes a cost.

mod agreement;
mod batch;
mod beside;
mod bodies;
mod bound;
mod build;
mod caveats;
mod estimate;
mod kernels;
mod levels;
mod model;
mod names;
mod numbers;
mod operators;
mod phases;
mod placed;
mod tensor;
mod text;

pub use batch::{BatchSymbol, batch_symbol};
pub use bound::{
    Binds, BoundReport, EstimatePart, EstimateReport, FitReport, LevelCeiling, LevelReport,
    RunKind, RunReport, Shares,
};
pub use caveats::inexact;
pub use estimate::efficiency;
pub use kernels::{Follows, Kernel, kernels};
pub use levels::op_level;
pub use model::{
    ANALYSIS, Assumption, CoverageReport, DiagnosticReport, Formulas, GroupReport, MemoryReport,
    ModelInfo, ModelReport, OpReport, ReportError, Totals, TypeReport,
};
pub use operators::{InputCount, OperatorReport};
pub use phases::{PhaseKind, PhaseReport};
pub use placed::{op_time, place};
pub use tensor::{AccountReport, SharedTensor, TallyReport, TensorReport};
pub use text::{Listing, assumptions, bounds, ceilings, count, csv, markdown, table};
