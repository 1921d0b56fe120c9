//! rooflens: what a neural network costs on a machine, and what holds it back.
pub mod analysis;
pub mod dim;
pub mod formats;
pub mod ir;
pub mod ops;
pub mod units;
