//! What a person or a machine reads: analyses as JSON, tables, CSV and Markdown.
//!
//! [`ModelReport`] holds numbers at one choice of symbols together with the formulas; every output
//! form is one function over it. Nothing here prints, and nothing here computes a cost.

mod model;
mod text;

pub use model::{
    Assumption, CoverageReport, DiagnosticReport, Formulas, ModelInfo, ModelReport, OpReport,
    ReportError, TensorReport, Totals, TypeReport,
};
pub use text::{count, csv, markdown, table};
