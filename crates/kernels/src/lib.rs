//! What is timed to find the ceilings of a processor.
//!
//! A crate of its own, because debug builds optimise it and none of the others: a ceiling must not measure the
//! compiler's settings.

pub mod kernels;
