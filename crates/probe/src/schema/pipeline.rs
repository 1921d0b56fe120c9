//! Where a request's time goes: the server's stages, the parts of a request's way, and the bottleneck.

use serde::{Deserialize, Serialize};

rooflens_ground::words! {
    /// Who reported a stage.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum StageSource {
        /// The runtime in this process, with each answer.
        InProcess = "in process",
        /// The server's `Server-Timing` header or gRPC metadata, with each answer.
        ServerTiming = "Server-Timing",
        /// Triton's statistics of the model, between two readings.
        TritonStatistics = "Triton statistics",
        /// A page of the server's own metrics, between two scrapes.
        ServerMetrics = "server metrics",
    }
}

impl StageSource {
    /// Whether the stage comes with each answer, so that it is counted in the record of the run.
    pub const fn with_each_answer(self) -> bool {
        matches!(self, Self::InProcess | Self::ServerTiming)
    }
}

/// A stage that the server reported.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct StagePart {
    /// The stage as the server names it.
    pub name: String,
    /// Who reported it.
    pub source: StageSource,
    /// Requests that went through it.
    pub count: u64,
    /// Mean time that a request spends in it.
    pub mean_seconds: f64,
    /// Seconds per second in which its workers were at it, all of them together; above 1 where several were.
    pub busy_share: f64,
    /// Number of its workers; null where it is not known.
    #[serde(default)]
    pub servers: Option<u64>,
}

rooflens_ground::words! {
    /// A part of a request's way, in the order in which a request passes them.
    #[cfg_attr(test, derive(schemars::JsonSchema))]
    pub enum Role {
        /// Encoding the request in the client.
        Encode = "client encode",
        /// Waiting in the client, from scheduled to picked up.
        Client = "client",
        /// Opening a connection, or waiting for a free stream on one.
        Connect = "connect",
        /// The TLS handshake of a connection that is opened.
        Handshake = "TLS handshake",
        /// The network, and whatever the server does not report.
        Transmission = "transmission",
        /// Waiting in the server's queue.
        Queue = "queue",
        /// The server's work before the model: decoding, resizing, tokenising.
        Pre = "pre-processing",
        /// The model itself.
        Compute = "compute",
        /// The server's work after the model.
        Post = "post-processing",
        /// A stage of another kind.
        Other = "other",
        /// Decoding the answer in the client, after the response time.
        Decode = "client decode",
        /// All processors of the server's machine; of a bottleneck only, never a part.
        ServerCpu = "server CPU",
    }
}

/// Where a request's time goes, and which stage limits the rate.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PipelinePart {
    /// The parts of a request's way, in order.
    pub parts: Vec<PipePart>,
    /// What limits the rate; null where nothing is full, or it is not known.
    pub bottleneck: Option<BottleneckPart>,
    /// The part of the response time that takes longest; null where no part is known.
    pub longest: Option<Role>,
    /// What the reader should know of these numbers.
    pub notes: Vec<String>,
}

/// A part of a request's way.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PipePart {
    /// What the part is.
    pub role: Role,
    /// The stage as the server names it; null for parts that are no stage of the server.
    pub stage: Option<String>,
    /// Who reported it, or how it was computed.
    pub source: String,
    /// Mean time of a request; null where it is not reported.
    pub seconds: Option<f64>,
    /// Share of the mean response time; null where it is not known or the part comes after the response.
    pub share_of_response: Option<f64>,
    /// Share of the time in which its workers are busy, `busy_share / servers`; null for queues and parts without
    /// workers.
    pub utilisation: Option<f64>,
    /// Number of workers that `utilisation` is of; null as that is.
    pub servers: Option<u64>,
    /// Whether that number is known; otherwise it is the least number that fits.
    pub servers_known: bool,
    /// Why `seconds` is not reported; null where it is.
    #[serde(alias = "untold")]
    pub not_reported: Option<String>,
}

/// What limits the rate, and an upper bound on what doubling it gains.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BottleneckPart {
    /// The part that is full.
    pub role: Role,
    /// The stage as the server names it; null where it is no stage of the server.
    pub stage: Option<String>,
    /// What was observed, with its numbers, as sentences.
    pub evidence: Vec<String>,
    /// Upper bound on the factor that the rate gains with twice the workers of this stage, from 1 to 2; null where it
    /// is not known.
    pub gain_if_doubled: Option<f64>,
    /// Upper bound on the factor that the rate gains when the stage's time is halved and all stages share their
    /// workers; null where workers are known not to be shared.
    pub gain_if_shared: Option<f64>,
    /// The part that is full next, before twice the rate; null where there is none.
    pub then: Option<Role>,
}
