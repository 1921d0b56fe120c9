//! What a protocol consists of; each is a row with its functions in a file of its own.

use super::expect::Wanted;
use super::{Asker, Failure, Found, TargetError};
use crate::connector::{Answer, Encoded, Transport};
use crate::metric::Pieces;
use bytes::Bytes;

/// What is known of a protocol.
pub(super) struct Row {
    /// Schemes of its URLs, without encryption and with it.
    pub(super) schemes: [&'static str; 2],
    /// The usual port without encryption; with it, 443 is.
    pub(super) port: u16,
    pub(super) transport: Transport,
    /// Whether a URL names a model, whose inputs and outputs are tensors.
    pub(super) models: bool,
    /// Whether what answers is a language model.
    pub(super) tokens: bool,
    /// Asks for the model's signature and encodes requests.
    pub(super) prepare: fn(&Asker<'_>) -> Result<Found, TargetError>,
    /// Whether an answer is a good one.
    pub(super) check: fn(&Answer, &Wanted<'_>) -> Result<(), Failure>,
    pub(super) health: Health,
    /// Makes a request a step of a sequence, where the protocol has sequences.
    pub(super) sequence: Option<fn(&Encoded, Step) -> Encoded>,
}

/// Reads an answer as it arrives.
pub(crate) trait Reader {
    /// Takes what arrived at `now`, nanoseconds from the start of the run.
    fn hear(&mut self, piece: &[u8], now: u64);

    /// What the whole answer said, and what is wrong with it.
    fn end(self: Box<Self>) -> Heard;

    /// What it said so far that it failed with, for an answer that ends in the middle.
    fn failure(&self) -> Option<Failure>;
}

/// What an answer said that was read as it arrived.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) pieces: Pieces,
    /// Stages that the server timed, with nanoseconds.
    pub(crate) stages: Vec<(&'static str, u64)>,
    pub(crate) fault: Option<Failure>,
}

/// How a server reports how far it has started.
pub(super) struct Health {
    /// A request for each state, in the order of [`State`], where the protocol has one. The path is
    /// one that the user named.
    pub(super) questions: fn(&Asker<'_>, Option<&str>) -> Result<Questions, TargetError>,
    /// Whether the body of a good answer says that the state is reached.
    pub(super) reached: fn(State, Bytes) -> bool,
    /// Whether a server that answers with an error is live, as the protocol has no question for that.
    pub(super) live_on_error: bool,
}

/// A request for each state.
pub(super) type Questions = [Option<Encoded>; 3];

/// A state on the way from the start of a server to its first answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It answers.
    Live,
    /// It takes requests.
    Ready,
    /// It has the model.
    Model,
}

/// The place of a request in a sequence, of which a model with a state keeps the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// The sequence, not 0.
    pub(crate) id: i64,
    /// Whether it is the first.
    pub(crate) starts: bool,
    /// Whether it is the last.
    pub(crate) ends: bool,
}
