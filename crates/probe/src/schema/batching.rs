//! `batching.json`: batch sizes and settings of the server's own batching, against loads.

use super::{FindingPart, PercentilePart, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Name and version of the form of [`BatchingFile`].
pub const BATCHING: &str = "rooflens.batching/1";

/// What `rooflens batching` writes as `batching.json`: batches that the client sends, or settings of the server's own
/// batching, against loads.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BatchingFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = BATCHING)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// The target as typed.
    pub target: String,
    /// Name and version of the serving platform as it reports itself.
    pub platform: String,
    /// Length of each run's schedule in seconds.
    pub seconds: f64,
    /// Seed of the schedules and of generated inputs.
    pub seed: u64,
    /// The column that the others are compared with.
    pub reference: Column,
    /// The highest quantile that every run in a steady state supports; null where there is none.
    pub quantile: Option<f64>,
    /// The highest throughput of each column.
    pub plateaus: Vec<PlateauPart>,
    /// The runs of each column at each load.
    pub cells: Vec<CellPart>,
    /// Where batching does harm.
    pub findings: Vec<LossPart>,
    /// The results in sentences.
    pub summary: Vec<String>,
    /// Whether the study ended before all runs were made.
    pub stopped: bool,
    /// What was varied, what was not, and what went wrong.
    pub notes: Vec<String>,
}

impl BatchingFile {
    /// The columns, in the order in which they were measured.
    pub fn columns(&self) -> Vec<Column> {
        self.plateaus.iter().map(|p| p.column.clone()).collect()
    }

    /// The loads of the cells, from the lowest.
    pub fn loads(&self) -> Vec<f64> {
        let mut loads: Vec<f64> = self.cells.iter().map(|c| c.load).collect();
        loads.sort_by(f64::total_cmp);
        loads.dedup();
        loads
    }

    /// The highest plateau.
    pub fn most(&self) -> f64 {
        self.plateaus.iter().map(|p| p.inferences_per_second).fold(0.0, f64::max)
    }

    /// The cell of a column at a load.
    pub fn cell(&self, column: &Column, load: f64) -> Option<&CellPart> {
        self.cells.iter().find(|c| c.column == *column && (c.load - load).abs() < 1e-9)
    }
}

/// What a study varies: the batch that the client sends, and the setting of the server's own batching.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Column {
    /// Inferences in a request, at least 1.
    pub batch: i64,
    /// The setting of the server's own batching; null where that was not varied.
    pub server: Option<String>,
}

impl Column {
    /// As it is named beside others: what the columns have in common is omitted.
    pub fn name(&self, all: &[Self]) -> String {
        let batches: BTreeSet<i64> = all.iter().map(|c| c.batch).collect();
        match &self.server {
            Some(server) if batches.len() < 2 => server.clone(),
            Some(server) => format!("{server}, batch {}", self.batch),
            None => format!("batch {}", self.batch),
        }
    }
}

/// The highest throughput of a column, with a fixed number of requests always in flight.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PlateauPart {
    /// The column.
    #[serde(flatten)]
    pub column: Column,
    /// Requests always in flight.
    pub in_flight: u64,
    /// Successful inferences per second.
    pub inferences_per_second: f64,
    /// Inferences per execution that the server counted during the run; null where it does not report them.
    pub executed_batch_mean: Option<f64>,
    /// The run's verdict.
    pub verdict: Verdict,
}

/// A run of a column at a load.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CellPart {
    /// The column.
    #[serde(flatten)]
    pub column: Column,
    /// The load as a share of the highest plateau of all columns.
    pub load: f64,
    /// The load in inferences per second: that share times the highest plateau.
    pub wanted_inferences_per_second: f64,
    /// Successful inferences per second.
    pub inferences_per_second: f64,
    /// The mean time that the first request of a batch waits until the batch is full, (batch − 1) / wanted rate. The
    /// percentiles of the response time do not contain it.
    pub gather_seconds: f64,
    /// Percentiles of the response time.
    pub percentiles: Vec<PercentilePart>,
    /// Inferences per execution that the server counted during the run; null where it does not report them.
    pub executed_batch_mean: Option<f64>,
    /// The run's verdict.
    pub verdict: Verdict,
    /// What speaks against the run, worst first.
    pub findings: Vec<FindingPart>,
    /// Whether more came in than went out: by the verdict, or beside another verdict where more was wanted than the
    /// column's plateau.
    pub overloaded: bool,
    /// How the run compares with the reference at the same load.
    pub against: Against,
    /// Requests scheduled in the run's window.
    pub due: u64,
    /// Those of them that failed.
    pub lost: u64,
}

impl CellPart {
    /// Whether its percentiles, where they are supported, are those of the server in a steady state.
    pub fn sound(&self) -> bool {
        !self.overloaded && matches!(self.verdict, Verdict::Valid | Verdict::TooFewSamples)
    }

    /// A percentile of the response time, where enough requests lie beyond it.
    pub fn at(&self, q: f64) -> Option<&PercentilePart> {
        PercentilePart::find(&self.percentiles, q).filter(|p| p.supported)
    }

    /// The percentile `q` with what its requests wait for a batch, where it means something.
    pub fn seconds(&self, q: f64) -> Option<f64> {
        let part = self.at(q).filter(|_| self.sound())?;
        Some(part.seconds? + q * self.gather_seconds)
    }
}

rooflens_ground::words! {
    /// How a run compares with the reference at the same load, by the study's percentile with what its requests wait
    /// for a batch: `quantile × gather_seconds`. A run whose client was late counts only as the faster one.
    #[derive(Default)]
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Against {
        /// It is the reference itself.
        Reference = "reference",
        /// Faster: the intervals are apart and the percentiles differ by 5 %; or in a steady state where the reference
        /// is overloaded.
        Better = "better",
        /// The percentiles differ by less than 5 %.
        Same = "same",
        /// Slower: the intervals are apart and the percentiles differ by 5 %; or overloaded where the reference is not.
        Worse = "worse",
        /// Both are overloaded.
        Overloaded = "overloaded",
        /// The intervals overlap, or one of the runs cannot be trusted.
        #[default]
        Undecided = "undecided",
    }
}

impl Against {
    /// Whether two runs could be compared.
    pub fn is_decided(self) -> bool {
        matches!(self, Self::Better | Self::Same | Self::Worse)
    }
}

rooflens_ground::words! {
    /// How batching does harm.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum LossKind {
        /// The throughput is lower than with the next smaller batch.
        ThroughputFalls = "throughput-falls",
        /// The throughput is lower than the reference's.
        ThroughputBelowReference = "throughput-below-reference",
        /// The percentile is higher than the reference's at the same load.
        Slower = "slower",
        /// It is overloaded at a load that the reference carries.
        OverloadedFirst = "overloaded-first",
        /// The percentile falls with more load: requests are held back to fill batches.
        HeldAtLowLoad = "held-at-low-load",
    }
}

/// A place where batching does harm.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LossPart {
    /// How it does harm.
    pub kind: LossKind,
    /// The column.
    #[serde(flatten)]
    pub column: Column,
    /// The load as a share of the highest plateau; null where it is about the throughput.
    pub load: Option<f64>,
    /// What was observed, with its numbers, as a sentence.
    pub evidence: String,
}
