//! The static half of rooflens: what a neural network costs, and what a device allows.
//!
//! A model file is read into a graph ([`formats`], [`ir`]); a walk asks every operator what it does
//! to shapes and what it costs ([`ops`], [`analysis`]), as formulas in open sizes ([`dim`]); the sums
//! stand under the ceilings of a device ([`hwdb`], [`roofline`]) in a [`report`]. Nothing here runs a
//! model, opens a socket or starts a runtime.

pub mod analysis;
pub mod dim;
pub mod formats;
pub mod hwdb;
pub mod ir;
pub mod ops;
pub mod report;
pub mod roofline;
pub mod serving;

#[cfg(test)]
mod schemas;
