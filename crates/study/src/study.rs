//! The one data model that pictures, pages and comparisons read, `rooflens.study/1`: what models cost as formulas in
//! their sizes, what devices allow, what runs measured, and cases of a model on a device.
//!
//! Counting is done in the analysis and its reports; what is here says it again in a form that a page can evaluate at
//! other sizes and types. Nothing here reads a file, prints, or draws.

mod case;
mod columns;
pub mod contrast;
mod device;
pub mod formula;
mod help;
pub mod recommend;
mod runs;
mod schema;
mod student;
mod subject;
mod times;
mod verdict;
mod versus;

pub use case::case;
pub use device::{device, machine};
pub use help::{Help, helps};
pub use runs::{closed_loop, run};
pub use schema::{
    AtBestPart, COMPARISON, CasePart, Columns, ComparisonFile, ComparisonPart, DevicePart,
    EstimatePart, FigurePart, LevelPart, MemoryPart, PeakPart, PricePart, RatePart, RemarkPart,
    RunPart, STUDY, SidePart, StageTime, StudyFile, SubjectPart, SymbolPart, SymbolRole, TimePart,
};
pub use subject::{counted, formulas, label};
pub use times::{KernelRow, Sizes, Times, Types, rows, times};
pub use verdict::{verdict, what_binds};
pub use versus::{Refusal, Side, Terms, named, versus};

#[cfg(test)]
mod tests;
