//! Whether a server that starts is live and ready and has its model.

use super::protocol::{Questions, State};
use super::{Asker, Options, Protocol, TargetError, Url};
use crate::connector::Client;
use crate::record::Fault;

/// Questions for each state, and the connections they go over.
pub(crate) struct Readiness {
    protocol: Protocol,
    client: Client,
    questions: Questions,
}

impl Readiness {
    /// Looks the server up; `path` is one that answers with 2xx when the server is ready, for plain
    /// HTTP.
    pub(crate) fn new(
        url: &Url,
        options: &Options,
        path: Option<&str>,
    ) -> Result<Self, TargetError> {
        let asker = Asker::new(url, options)?;
        let questions = (url.protocol.health().questions)(&asker, path)?;
        Ok(Self { protocol: url.protocol, client: asker.connector.client(), questions })
    }

    /// Whether the protocol has a question for a state.
    pub(crate) fn reports(&self, state: State) -> bool {
        self.questions[state as usize].is_some()
    }

    /// Asks once; `true` when the server says that it has reached the state.
    pub(crate) async fn ask(&self, state: State) -> bool {
        let Some(question) = &self.questions[state as usize] else { return true };
        let health = self.protocol.health();
        match self.client.call(question, &|| {}).await {
            Ok((answer, _)) => (health.reached)(state, answer.body),
            Err((Fault::Http(_) | Fault::Grpc(2..=13 | 15 | 16), _)) => {
                state == State::Live && health.live_on_error
            }
            Err(_) => false,
        }
    }
}
