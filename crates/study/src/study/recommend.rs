//! Whether a device holds a demand, and with how many copies: proved, likely or open.
//!
//! A verdict is NO where a bound proves it, YES where the slow end of a range holds everything that is asked for, and MAYBE
//! otherwise. Without a slow end nothing is YES, and without a price nothing costs 0.

mod decide;
mod file;
mod queue;

pub use decide::{
    Candidate, Demand, Missing, Proof, Ranking, Span, Verdict, copies, decide, dollars_per_million,
    joules_per_request, ranks,
};
pub use file::{Answer, ChoicePart, RECOMMENDATION, RecommendationFile};
pub use queue::{Answers, response, simulate};
