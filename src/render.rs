//! Results as people and programs read them: text, Markdown, JSON and charts, over the types of results. Nothing is
//! computed here that is not in a result, and nothing is printed.
//!
//! Analyses and bounds of models have their text, CSV and Markdown in `report`.

pub mod chart;
pub mod json;
pub mod markdown;
mod table;
pub mod text;

/// The operator set of an operator, under its full name.
pub fn domain(op: &crate::ops::Op) -> &'static str {
    if op.domain.is_empty() { "ai.onnx" } else { op.domain }
}
