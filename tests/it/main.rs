//! One test binary: the command as a user runs it, and the shipped models against their sources.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agreement;
mod answers;
mod assess;
mod batching;
mod bodies;
mod bounds;
mod caches;
mod cli;
mod contrib;
mod corpus;
mod data_dependent;
mod decisions;
mod documents;
mod estimates;
mod exports;
mod formulas;
mod fusion;
mod gates;
mod hostile;
mod hw;
mod inputs;
#[cfg(target_os = "linux")]
mod kept;
mod limits;
mod loops;
mod meters;
mod networks;
mod oracles;
mod parameters;
mod probe;
mod reach;
mod regressions;
mod run;
#[allow(dead_code)]
mod scale;
mod schemas;
mod serve_plan;
mod server;
mod servers;
mod snapshots;
mod source;
mod startup;
mod streamer;
mod streaming;
mod stripes;
mod study;
mod suite;
mod suite_sizes;
mod tidy;
mod tokens;
mod verdicts;
mod wire;
mod wording;
mod zoo;
