//! The files that rooflens writes about servers and runtimes, as types: `measurement.json`, `sweep.json`,
//! `start_up.json`, `batching.json`, and the measured half of the `report.json` of `assess`.
//!
//! What is here is read and written and nothing else: no clock, no socket, no judgement. The JSON Schemas in
//! `schemas/` are generated from these types and their comments by a test of this module. Words that mean one of a
//! few things are enums, so that no reader compares texts.

/// An enum whose variants are words on the wire: the word is given once, for serde, [`Display`](std::fmt::Display)
/// and readers alike.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
        )]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum $name {
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The word as files and people read it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

mod assessment;
mod batching;
mod measurement;
mod meters;
mod pipeline;
mod start_up;
mod sweep;
#[cfg(test)]
mod tests;

pub use assessment::{GapPart, LoopPart, MachinePart};
pub use batching::{
    Against, BATCHING, BatchingFile, CellPart, Column, LossKind, LossPart, PlateauPart,
};
pub use measurement::{
    BodyEncoding, ErrorPart, FindingPart, IntervalsPart, MEASUREMENT, MeasurementFile, MetricPart,
    ModelPart, PercentilePart, PlanPart, RunPart, SenderPart, SloOutcome, SloPart, SlotPart,
    StageRows, TargetPart, Verdict, VerdictPart, WindowPart,
};
pub use meters::{MeterPart, SERVER_CPU, ScrapePart, SeriesKind, SeriesPart};
pub use pipeline::{BottleneckPart, PipePart, PipelinePart, Role, StagePart, StageSource};
pub use start_up::{
    CachePart, DefinitionPart, FigureUnit, PageCache, PollsPart, START_UP, SpreadPart, StartPart,
    StartUpFile, StartUpPart,
};
pub use sweep::{SWEEP, SweepFile, SweepRow};

/// The program and its version, for the `tool` of every file.
pub const TOOL: &str = concat!("rooflens ", env!("CARGO_PKG_VERSION"));
