//! What the messages of a graph take once decoded.

use super::NAME;
use crate::formats::{LoadError, census};

/// Decoded messages may take this many words of three pointers: about a gigabyte.
const MOST: u64 = 40 << 20;

/// The messages that a file is made of, as far as they are decoded before they are looked at one by one.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    SavedModel,
    MetaGraph,
    Graph,
    Library,
    Function,
    Node,
    Entry,
    Other,
}

impl census::Kind for Kind {
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::SavedModel, 2) => Self::MetaGraph,
            (Self::MetaGraph, 2) => Self::Graph,
            (Self::Graph, 1) | (Self::Function, 3) => Self::Node,
            (Self::Graph, 2) => Self::Library,
            (Self::Library, 1) => Self::Function,
            (Self::Node, 5) => Self::Entry,
            // Signatures have messages in messages; whatever is not one of these looks like a text.
            (Self::MetaGraph, 1 | 5) | (Self::Function, 1 | 4) | (Self::Other, 1 | 2 | 3 | 5) => {
                Self::Other
            }
            _ => return None,
        })
    }

    /// Words that an empty one takes, with the graph's own copy.
    fn words(self) -> u64 {
        match self {
            Self::Node => 24,
            Self::Entry => 4,
            Self::Other => 8,
            _ => 16,
        }
    }

    /// Values of attributes stay bytes.
    fn leaf(self, _: u64, _: usize) -> u64 {
        if matches!(self, Self::Entry) { 2 } else { 3 }
    }
}

/// Refuses a file that would take too much memory once decoded.
pub(super) fn check(file: &[u8], kind: Kind) -> Result<(), LoadError> {
    census::check(file, kind, MOST, NAME)
}
