//! How much memory a file would take once decoded, told from its wire format before it is.

use super::NAME;
use crate::formats::error::malformed;
use crate::formats::{LoadError, wire};

/// Decoded messages may take this many words of three pointers: about a gigabyte.
const MOST: u64 = 40 << 20;
/// Messages nest no deeper; the decoder has a limit of its own.
const DEEPEST: usize = 100;

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

impl Kind {
    /// What lies in a field, where it is a message.
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
}

/// Refuses a file that would take too much memory once decoded.
pub(super) fn check(file: &[u8], kind: Kind) -> Result<(), LoadError> {
    let mut words = 0;
    walk(file, kind, 0, &mut words);
    if words > MOST {
        let why = "it has more parts than any real model; decoding them would fill the memory";
        return Err(malformed(NAME, why));
    }
    Ok(())
}

/// Adds up the words of a message; stops at bytes that are no message, which the decoder names.
fn walk(message: &[u8], kind: Kind, depth: usize, words: &mut u64) {
    if depth >= DEEPEST {
        return;
    }
    for field in wire::fields(message) {
        let Some(field) = field.filter(|_| *words <= MOST) else { return };
        let Some(contents) = field.contents else {
            *words += 1;
            continue;
        };
        match kind.child(field.number) {
            Some(child) => {
                *words += child.words();
                walk(contents, child, depth + 1, words);
            }
            // Values of attributes stay bytes.
            None if matches!(kind, Kind::Entry) => *words += 2,
            None => *words += 3,
        }
    }
}
