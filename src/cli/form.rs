//! Forms that output is written in.

/// A form for people, or one for programs. Variants have no comments: help lists the words alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Form {
    Table,
    Json,
}
