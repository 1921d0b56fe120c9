//! Comparisons as text and as Markdown.

mod models;
mod runs;

pub use models::{models_markdown, models_text};
pub use runs::{runs_markdown, runs_text};
