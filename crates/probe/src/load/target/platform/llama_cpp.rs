//! llama.cpp's server: a language model, which times both of its phases with each answer.

use super::{Page, Platform, Row, UNKNOWN};

pub(super) static ROW: Row = Row {
    platform: Platform::LlamaCpp,
    says: Some("llamacpp"),
    page: Some(Page {
        port: |url| url.port,
        path: "/metrics",
        hint: "start the server with --metrics",
    }),
    statistics: None,
    batching: UNKNOWN,
    histograms: &[],
    counters: &[],
};
