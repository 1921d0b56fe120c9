//! What a server is asked of itself beside the load, again and again.

use super::statistics::Stats;
use super::{Failure, Url};
use crate::connector::{Client, Connector, Encoded, Exchange, Transport};
use crate::grpc::Call;
use crate::socket::Socket;
use crate::stream::Trust;
use bytes::Bytes;
use std::net::IpAddr;
use std::time::Duration;

/// What an answer holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A page of metrics, in the text format of Prometheus.
    Metrics,
    /// Statistics of a model, and how they are read.
    Statistics(fn(Bytes) -> Result<Stats, String>),
}

/// A page that is asked for before, during and after the load.
#[derive(Clone, Debug)]
pub struct Question {
    /// What it holds.
    pub kind: Kind,
    /// Where it is.
    pub url: Url,
    /// The gRPC call that asks for it; it is a page of HTTP where there is none.
    pub call: Option<Call>,
    /// Headers, or gRPC metadata, of every request.
    pub headers: Vec<(String, String)>,
    /// Certificates.
    pub trust: Trust,
    /// What to do if it does not answer.
    pub hint: &'static str,
    /// The model, as labels name it.
    pub model: Option<String>,
    /// Instances of the model, where the server reports them.
    pub instances: Option<u64>,
    /// The address of the host that is asked: counters of several servers do not belong together. The first where
    /// omitted.
    pub address: Option<IpAddr>,
}

/// Bytes of an answer, at most; and how long it may take.
const LARGEST: usize = 8 << 20;
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// A connection that one question goes over.
pub(crate) struct Line {
    exchange: Exchange,
    client: Client,
    request: Encoded,
}

impl Question {
    /// Looks the server up.
    pub(crate) fn line(&self) -> Result<Line, Failure> {
        let transport = if self.call.is_some() { Transport::Grpc } else { Transport::Http };
        let connector = Connector::new(self.url.endpoint(), transport, &self.trust, LARGEST)?;
        let first = connector.sockets().first().and_then(Socket::ip);
        let connector =
            self.address.or(first).map_or(Ok(connector.clone()), |ip| connector.only(ip))?;
        let (connector, request) = match &self.call {
            Some(call) => {
                let metadata = super::metadata(&self.headers).unwrap_or_default();
                (connector.with_metadata(metadata), Encoded::Grpc(call.clone()))
            }
            None => {
                let path = if self.url.path.is_empty() { "/" } else { &self.url.path };
                let request = connector.get(path, &self.headers);
                (connector, request)
            }
        };
        Ok(Line { exchange: Exchange::new()?, client: connector.client(), request })
    }
}

impl Line {
    /// Asks once: the page, or the message.
    pub(crate) fn ask(&self) -> Result<Bytes, Failure> {
        let answer = self.exchange.ask(&self.client, &self.request, PATIENCE)?;
        Ok(answer.body)
    }
}
