//! What serving a language model takes on a device, and what it can give at most: memory by part, sequences that
//! fit, least times to the first token and per token, and what more devices change.
//!
//! Nothing is counted here anew: work, traffic and cache are the formulas of the one graph, at batches, new tokens
//! and kept tokens of a serving engine. Every figure names its formula and says whether it is exact, a bound, or
//! expected under an assumption.

mod counts;
mod device;
mod figure;
mod parallel;
mod plan;
mod text;

pub use counts::{Counts, CountsError, Step};
pub use figure::{Figure, FigureGroup, FigureName, Limit, ModelFormulas, Says, Setting, Unit};
pub use plan::{DeviceFigures, SERVE_PLAN, ServePlan};
pub use text::{markdown, table};

#[cfg(test)]
mod tests;
