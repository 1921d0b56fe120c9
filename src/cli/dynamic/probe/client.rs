//! Flags of the client, and of a runtime in this process that takes a server's place.

use super::time;
use anyhow::Result;
use std::path::PathBuf;
use std::time::Duration;

/// Flags of the client.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Client")]
#[group(skip)]
#[allow(clippy::doc_markdown, reason = "the text is for terminals")]
pub(super) struct ClientFlags {
    /// Timeout in seconds, from the scheduled time [default: 10, or 120 for a language model].
    ///
    /// Later answers count as errors. Requests that the client itself picks up after their timeout are not sent.
    #[arg(long, value_name = "S")]
    timeout: Option<f64>,
    /// Seconds to wait for the first answer, before the load [default: 30].
    ///
    /// Where given, also for a server that does not listen yet.
    #[arg(long, value_name = "S")]
    pub(super) patience: Option<f64>,
    /// Use only this address of a host that has several; all are used in turn by default.
    #[arg(long, value_name = "IP")]
    pub(super) address: Option<std::net::IpAddr>,
    /// Sender threads [default: one less than the cores].
    ///
    /// A closed loop of a runtime in this process with at most --instances requests in flight runs the inferences on
    /// its own threads, unless this or --stripe is given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) senders: Option<u16>,
    /// Maximum number of requests in flight; a request beyond it is not sent and counts as dropped.
    #[arg(long, value_name = "N", default_value_t = 4096)]
    max_in_flight: usize,
    /// Concurrent inferences of an in-process runtime.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) instances: u16,
    /// Threads per inference of ort:; tract always uses one.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: u16,
    /// Path of onnxruntime's library, for ort:.
    ///
    /// By default it is searched for in ORT_DYLIB_PATH, in the Python environment (`pip install onnxruntime`), and
    /// among the system's libraries.
    #[arg(long, value_name = "FILE")]
    pub(super) ort_library: Option<PathBuf>,
}

impl ClientFlags {
    /// From when a request is scheduled until it counts as failed; `usual` seconds where that is omitted.
    pub(super) fn timeout(&self, usual: f64) -> Result<Duration> {
        time("--timeout", self.timeout.unwrap_or(usual))
    }

    /// How long the first answer may take.
    pub(super) fn patience(&self) -> Result<Duration> {
        time("--patience", self.patience.unwrap_or(30.0))
    }

    /// Requests in flight, at most.
    pub(super) fn max_in_flight(&self) -> usize {
        self.max_in_flight.max(1)
    }

    /// Sender threads: one core is left for the system, and for the server where it is here.
    pub(super) fn senders(&self) -> usize {
        let cores =
            || std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1));
        self.senders.map_or_else(cores, usize::from)
    }
}
