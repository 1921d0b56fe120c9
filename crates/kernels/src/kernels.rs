//! The loops that are timed: arithmetic in registers, a real matrix product, and passes over memory.
//!
//! They know neither clocks nor threads.

pub mod arithmetic;
pub mod product;
pub mod streams;
