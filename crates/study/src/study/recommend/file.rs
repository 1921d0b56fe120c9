//! What `rooflens recommend --format json` prints.

use super::decide::Verdict;
use serde::Serialize;

/// Name and version of the form of [`RecommendationFile`].
pub const RECOMMENDATION: &str = "rooflens.recommendation/1";

/// Devices for a model and a demand, best first.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecommendationFile {
    /// Name and version of this form.
    #[cfg_attr(test, schemars(extend("const" = RECOMMENDATION)))]
    pub schema: String,
    /// Name and version of the program that wrote the file.
    pub tool: String,
    /// The model's file.
    pub model: String,
    /// The quantile of the response time that has a limit.
    pub quantile: f64,
    /// The limit, in seconds.
    pub limit_seconds: f64,
    /// Requests per second, as a Poisson process.
    pub rate: f64,
    /// The largest share of the time in which a copy may be busy.
    pub busy: f64,
    /// What a reader should know before using a number.
    pub warnings: Vec<String>,
    /// A device in a type each.
    pub choices: Vec<ChoicePart>,
}

rooflens_ground::words! {
    /// Whether a device holds a demand.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Answer {
        /// The slow end of the likely range holds everything.
        Yes = "YES",
        /// Neither proved nor likely.
        Maybe = "MAYBE",
        /// A bound proves that it does not.
        No = "NO",
    }
}

impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes(_) => Self::Yes,
            Verdict::Maybe(_) => Self::Maybe,
            Verdict::No(_) => Self::No,
        }
    }
}

/// A device in a type.
#[derive(Clone, Debug, Serialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChoicePart {
    /// Whether it holds the demand.
    pub verdict: Answer,
    /// The best place that it may take; null where it is not ranked.
    pub first: Option<usize>,
    /// The worst place that it may take.
    pub last: Option<usize>,
    /// Id of the device.
    pub device: String,
    /// Its name.
    pub name: String,
    /// The type counted in.
    pub dtype: String,
    /// Copies that hold the demand at the slow end; null where that is not known.
    pub copies: Option<u64>,
    /// Seconds below which no run is.
    pub proved_seconds: f64,
    /// Likely seconds of a run at the fast end.
    pub low_seconds: Option<f64>,
    /// Likely seconds of a run at the slow end.
    pub high_seconds: Option<f64>,
    /// The response time at the quantile with these copies, at the fast end.
    pub low_response_seconds: Option<f64>,
    /// The response time at the quantile with these copies, at the slow end.
    pub high_response_seconds: Option<f64>,
    /// Dollars per million requests at the rate; null without a price.
    pub dollars_per_million: Option<f64>,
    /// Joules per request at three tenths of the design power.
    pub low_joules: Option<f64>,
    /// Joules per request at the design power.
    pub high_joules: Option<f64>,
    /// Published rows that the range rests on; null where it rests on none.
    pub rows: Option<usize>,
    /// What decides.
    pub reason: String,
}
