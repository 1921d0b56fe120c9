//! rooflens: what a neural network costs on a machine, and what holds it back.
pub mod analysis;
#[cfg(feature = "cli")]
pub mod cli;
pub mod dim;
pub mod formats;
pub mod hwdb;
pub mod ir;
pub mod ops;
pub mod report;
pub mod roofline;
pub mod units;
