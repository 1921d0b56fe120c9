//! The dynamic half of rooflens: a server or a runtime under load, and whether the numbers can be trusted.
//!
//! [`schema`] is the files about servers, as types; with the feature `load`, the rest is a load generator
//! whose modules stand here: schedules, senders, protocols and platforms, records, verdicts, meters and
//! studies. Nothing here knows a graph or a cost.

#[cfg(feature = "load")]
mod load;
pub mod schema;

#[cfg(feature = "load")]
pub use load::*;
