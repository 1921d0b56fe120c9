//! Results as people and programs read them: text, Markdown, JSON, charts and pages, over the types of results. Nothing is
//! computed here that is not in a result, and nothing is printed.
//!
//! Analyses and bounds of models have their text, CSV and Markdown in `report`.

pub mod chart;
pub mod comparison;
pub mod json;
pub mod markdown;
pub mod page;
pub mod recommendation;
mod table;
pub mod text;
