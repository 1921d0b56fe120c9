//! Studies: programs of runs that answer one question. One run with everything read beside it ([`Run`]), the search
//! for the highest rate ([`highest`]), either of them for one target ([`Single`]), batches in turn ([`Sweep`]), starts
//! of a server (`start_up`), batching against loads (`batching`), and a runtime in this process under closed loops
//! ([`InProcess`]).
//!
//! A study takes a plan, tells an [`Observer`] how far it is, and returns what it found or a typed error. It knows no
//! flags and prints nothing.

mod batching;
mod highest;
mod in_process;
mod interim;
mod meters;
mod run;
mod single;
mod start_up;
mod sweep;
mod until;

use super::measurement::FileError;
use super::meeting::MeetingError;
use super::record::Fault;
use super::target::{self, Prepared, TargetError, Url};
pub use batching::{BatchingStudy, Row};
pub use highest::{Search, highest};
pub use in_process::{ClosedLoop, InProcess};
pub use meters::Meters;
pub use run::Run;
pub use single::{Goal, Single};
pub use start_up::{StartUps, Starts};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
pub use sweep::{Sweep, Swept};

/// Set from outside to end a study; what was measured until then is kept.
pub type Switch = AtomicBool;

/// Who watches a study.
pub trait Observer {
    /// A part that takes a while begins: a run, a start, a measurement of power.
    fn begin(&mut self, what: &str);
    /// The share of the part that is done, from 0 to 1.
    fn progress(&mut self, share: f64);
    /// What a run did lately; comes about twice a second.
    fn recent(&mut self, recent: &Recent);
    /// The part has ended.
    fn end(&mut self);
}

/// What a run did since the last look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recent {
    /// Successful answers per second.
    pub per_second: f64,
    /// The 99th percentile of their response times in seconds; `None` where there was no answer.
    pub p99_seconds: Option<f64>,
    /// Requests that failed since the run began.
    pub failed: u64,
}

/// Nobody watches.
impl Observer for () {
    fn begin(&mut self, _: &str) {}
    fn progress(&mut self, _: f64) {}
    fn recent(&mut self, _: &Recent) {}
    fn end(&mut self) {}
}

/// Why a study could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The server or the target.
    #[error("{}", .0.message)]
    Target(#[from] TargetError),
    /// The client's threads, timers or sockets.
    #[error("the load generator failed: {0}")]
    Load(std::io::Error),
    /// The thread that reads meters.
    #[error("no thread for the meters: {0}")]
    Meters(std::io::Error),
    /// Stripes did not meet.
    #[error(transparent)]
    Meeting(#[from] MeetingError),
    /// A measurement could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// No request was successful, so that there is nothing to compare loads with.
    #[error("no request was successful under load")]
    NoAnswer,
    /// The search for the highest rate ended before its first attempt.
    #[error("no attempt was made")]
    NoAttempt,
    /// The search for the highest rate does not fit into its time.
    #[error("{message}")]
    TooLong {
        /// What it takes.
        message: String,
        /// What would fit.
        hint: String,
    },
}

impl StudyError {
    /// What to do about it.
    pub fn hint(&self) -> &str {
        match self {
            Self::Target(error) => &error.hint,
            Self::Load(_) => "lower --senders or --max-in-flight",
            Self::Meters(_) => "--no-meters measures without them",
            Self::Meeting(error) => error.hint(),
            Self::File(_) => "choose another folder with --output",
            Self::NoAnswer => "see why with `rooflens probe … --load closed:1`",
            Self::NoAttempt => "run it again, and let the first attempt end",
            Self::TooLong { hint, .. } => hint,
        }
    }
}

/// How long a server that is full is asked again before it is measured all the same.
const FULL: Duration = Duration::from_secs(5);

/// The first request: proves that the target answers as it should, or says why not. A server that is full for the
/// moment is asked again for some seconds; one that fails for reasons of its own is measured all
/// the same.
pub fn first_answer(prepared: &Prepared) -> Result<Option<Duration>, TargetError> {
    let begin = Instant::now();
    let answer = loop {
        let answer = prepared.try_once();
        let full = matches!(answer, Err((Fault::Http(429) | Fault::Grpc(8), _)));
        if !full || begin.elapsed() > FULL {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(200));
    };
    match answer {
        Ok((_, took)) => Ok(Some(took)),
        Err((
            Fault::Http(429 | 500..)
            | Fault::Grpc(8 | 14)
            | Fault::WrongAnswer
            | Fault::TooLarge
            | Fault::Closed
            | Fault::Malformed
            | Fault::Timeout,
            _,
        )) if !prepared.is_local() => Ok(None),
        Err(failure) => Err(match Url::parse(&prepared.text) {
            Ok(url) => target::explain(&url, &failure),
            Err(_) => TargetError {
                message: failure.1,
                hint: "`rooflens analyze` works without running the model".into(),
            },
        }),
    }
}
