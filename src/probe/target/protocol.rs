//! The protocols that servers speak: one row each, whose functions are all in one file.

use super::expect::Wanted;
use super::{Asker, Failure, Found, TargetError, kserve, plain, tfs};
use crate::probe::connector::{Answer, Encoded, Transport};
use bytes::Bytes;
use std::fmt;

/// Every protocol; the order is that of messages.
const PROTOCOLS: [&Row; 5] = [&plain::HTTP, &kserve::HTTP, &kserve::GRPC, &tfs::HTTP, &tfs::GRPC];

/// How a server is spoken to.
#[derive(Clone, Copy)]
pub struct Protocol(&'static Row);

/// What is known of a protocol.
pub(super) struct Row {
    /// Schemes of its URLs, without encryption and with it.
    pub(super) schemes: [&'static str; 2],
    /// The usual port without encryption; with it, 443 is.
    pub(super) port: u16,
    pub(super) transport: Transport,
    /// Whether a URL names a model, whose inputs and outputs are tensors.
    pub(super) models: bool,
    /// Asks for the model's signature and encodes requests.
    pub(super) prepare: fn(&Asker<'_>) -> Result<Found, TargetError>,
    /// Whether an answer is a good one.
    pub(super) check: fn(&Answer, &Wanted<'_>) -> Result<(), Failure>,
    pub(super) health: Health,
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

impl Protocol {
    /// Any HTTP server.
    pub(super) const PLAIN: Self = Self(&plain::HTTP);

    /// The protocol of a scheme, whether it is encrypted, and its usual port.
    pub(super) fn of(scheme: &str) -> Option<(Self, bool, u16)> {
        let find = |row: &&'static Row| row.schemes.iter().position(|s| *s == scheme);
        PROTOCOLS.iter().find_map(|row| match find(row)? {
            0 => Some((Self(row), false, row.port)),
            _ => Some((Self(row), true, 443)),
        })
    }

    /// All schemes, as URLs begin with them.
    pub(super) fn schemes() -> String {
        let all = PROTOCOLS.iter().flat_map(|row| row.schemes);
        all.map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" ")
    }

    /// What carries its requests.
    pub fn transport(self) -> Transport {
        self.0.transport
    }

    /// Whether a URL names a model, whose inputs and outputs are tensors; plain HTTP has none.
    pub fn names_model(self) -> bool {
        self.0.models
    }

    pub(super) fn prepare(self, asker: &Asker<'_>) -> Result<Found, TargetError> {
        (self.0.prepare)(asker)
    }

    pub(super) fn check(self, answer: &Answer, wanted: &Wanted<'_>) -> Result<(), Failure> {
        (self.0.check)(answer, wanted)
    }

    pub(super) fn health(self) -> &'static Health {
        &self.0.health
    }
}

impl PartialEq for Protocol {
    fn eq(&self, other: &Self) -> bool {
        self.0.schemes == other.0.schemes
    }
}

impl Eq for Protocol {}

impl fmt::Debug for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.schemes[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_is_of_one_protocol() {
        let schemes: Vec<&str> = PROTOCOLS.iter().flat_map(|row| row.schemes).collect();
        for scheme in &schemes {
            assert_eq!(schemes.iter().filter(|s| *s == scheme).count(), 1, "{scheme}");
            let (protocol, secure, _) = Protocol::of(scheme).unwrap();
            assert_eq!(protocol.0.schemes[usize::from(secure)], *scheme);
        }
        assert!(Protocol::of("gopher").is_none());
    }
}
