//! Forms that output is written in.

use anyhow::Result;
use serde::Serialize;

/// A form for people, or one for programs. Variants have no comments: help lists the words alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Form {
    Table,
    Json,
}

impl Form {
    /// Prints data: as JSON, or as the `text` that people read.
    pub(in crate::cli) fn emit<T: Serialize + ?Sized>(
        self,
        data: &T,
        text: impl FnOnce() -> String,
    ) -> Result<()> {
        let text = match self {
            Self::Json => crate::render::json::pretty(data)?,
            Self::Table => text(),
        };
        super::emit(&text, None)
    }
}
