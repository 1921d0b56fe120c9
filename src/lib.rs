//! What a neural network costs on a machine, and what holds it back.
//!
//! A model file is read into a graph ([`formats`], [`ir`]); a walk asks every operator what it does
//! to shapes and what it costs ([`ops`], [`analysis`]); the sums stand under the ceilings of a
//! device ([`hwdb`], [`roofline`]).
//!
//! ```
//! use rooflens::{analysis::analyze, dim::Bindings, formats::load};
//!
//! let model = load("models/resnet50.onnx".as_ref())?;
//! let analysis = analyze(&model, &Bindings::new());
//! assert_eq!(analysis.totals.macs.to_string(), "4089184256·batch");
//! # Ok::<(), rooflens::formats::LoadError>(())
//! ```
//!
//! The modules listed here are the library. The others are public only for the `rooflens` command and its tests: they are
//! not documented here and may change in any version.

#[doc(hidden)]
pub mod assess;
#[cfg(feature = "load")]
#[doc(hidden)]
pub mod calibrate;
#[doc(hidden)]
pub mod chart;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod host;
#[doc(hidden)]
pub mod render;
#[doc(hidden)]
pub mod results;
#[cfg(feature = "load")]
#[doc(hidden)]
pub mod runtime;
#[cfg(test)]
mod schemas;
#[doc(hidden)]
pub mod views;

pub use rooflens_ground::{files, os, text, units};
use rooflens_kernels::kernels;
pub use rooflens_model::{analysis, dim, formats, hwdb, ir, ops, report, roofline, serving};
pub use rooflens_probe as probe;
pub use rooflens_probe::schema;
pub use rooflens_study::study;
