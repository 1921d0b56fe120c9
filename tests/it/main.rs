//! One test binary: the command as a user runs it, and the shipped models against their sources.
#![allow(missing_docs, clippy::unwrap_used)]

mod cli;
mod corpus;
mod formulas;
mod hw;
mod run;
mod snapshots;
mod suite;
mod wire;
mod zoo;
