//! The files that rooflens writes about servers and runtimes, as types: `measurement.json`, `sweep.json`,
//! `start_up.json`, `batching.json`, and the measured half of the `report.json` of `assess`.
//!
//! What is here is read and written and nothing else: no clock, no socket, no judgement. The JSON Schemas in
//! `schemas/` are generated from these types and their comments by a test of this module. Words that mean one of a
//! few things are enums, so that no reader compares texts.

mod assessment;
mod batching;
mod machine;
mod measurement;
mod meters;
mod pipeline;
mod start_up;
mod sweep;
#[cfg(test)]
mod tests;

pub use assessment::{GapPart, LoopPart, MachinePart, RefusalKind, RefusalPart};
pub use batching::{
    Against, BATCHING, BatchingFile, CellPart, Column, LossKind, LossPart, PlateauPart,
};
pub use machine::HostPart;
pub use measurement::{
    BodyEncoding, ErrorPart, FindingPart, InputOrder, InputsPart, InputsSent, IntervalsPart,
    LeastPart, MEASUREMENT, MeasurementFile, MeetingPart, MetricPart, ModelPart, PercentilePart,
    PhaseName, PhasePart, PlanPart, RunPart, SenderPart, SloMetric, SloOutcome, SloPart, SlotPart,
    StageRows, TargetPart, TokensPart, Verdict, VerdictPart, WindowPart, percentile,
};
pub use meters::{
    ENERGY, MeterCovers, MeterPart, MeterRole, MeterUnit, ScrapePart, SeriesKind, SeriesPart,
    SourcePart,
};
pub use pipeline::{BottleneckPart, PipePart, PipelinePart, Role, StagePart, StageSource};
pub use start_up::{
    CachePart, DefinitionPart, FigureUnit, PageCache, PollsPart, START_UP, SpreadPart, StartPart,
    StartUpFile, StartUpPart,
};
pub use sweep::{SWEEP, SweepFile, SweepRow};

/// The program and its version, for the `tool` of every file.
pub const TOOL: &str = concat!("rooflens ", env!("CARGO_PKG_VERSION"));
