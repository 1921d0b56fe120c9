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

pub mod assess;
#[cfg(feature = "load")]
pub mod calibrate;
pub mod chart;
#[cfg(feature = "cli")]
pub mod cli;
pub mod host;
pub mod page;
pub mod render;
pub mod results;
#[cfg(feature = "load")]
pub mod runtime;
pub mod views;

pub use rooflens_ground::{os, text, units};
use rooflens_kernels::kernels;
pub use rooflens_model::{analysis, dim, formats, hwdb, ir, ops, report, roofline};
pub use rooflens_probe as probe;
pub use rooflens_probe::schema;
pub use rooflens_study::study;
