//! How much memory a file would take once decoded, told from its wire format before it is.
//!
//! Empty messages and strings take two bytes in a file and a hundred in memory, so that a hostile
//! file of a few megabytes could fill the machine. Payloads of tensors are stepped over, not read.

use crate::formats::LoadError;
use crate::formats::error::malformed;
use crate::formats::wire;

/// Decoded messages may take this many words of three pointers: 1.5 GB.
const MOST: u64 = 64 << 20;
/// Messages nest no deeper; the decoder has a limit of its own.
const DEEPEST: usize = 100;

/// The messages that a file is made of, as far as they can multiply.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Function,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
}

impl Kind {
    /// What lies in a field, where it is a message of the above.
    fn child(self, field: u64) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph | Self::Attribute, 5) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22) => Self::Sparse,
            (Self::Graph, 11..=13) => Self::Value,
            (Self::Node, 5) | (Self::Function, 11) => Self::Attribute,
            _ => return None,
        })
    }

    /// Words that an empty one takes, with the graph's own copy.
    fn words(self) -> u64 {
        match self {
            Self::Model | Self::Graph | Self::Function | Self::Value => 16,
            Self::Node | Self::Tensor => 24,
            Self::Sparse => 56,
            Self::Attribute => 20,
        }
    }

    /// Whether a field's bytes are a payload that is not decoded.
    fn payload(self, field: u64) -> bool {
        matches!((self, field), (Self::Tensor, 4..=7 | 9..=11))
    }
}

/// Refuses a file that would take too much memory once decoded.
pub(super) fn check(file: &[u8]) -> Result<(), LoadError> {
    let mut words = 0;
    walk(file, Kind::Model, 0, &mut words);
    if words > MOST {
        let message = "it has more parts than any real model; decoding them would fill the memory";
        return Err(malformed(super::NAME, message));
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
            // A packed integer takes a byte here and eight there.
            None if !kind.payload(field.number) => *words += 2 + contents.len() as u64 / 3,
            None => *words += 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn millions_of_empty_nodes_are_refused() {
        // Graph (field 7) full of empty nodes (field 1): two bytes each.
        let nodes = [0x0a, 0x00].repeat(6 << 20);
        let mut file = vec![0x3a];
        prost::encoding::encode_varint(nodes.len() as u64, &mut file);
        file.extend_from_slice(&nodes);
        assert!(check(&file).is_err());
        assert!(check(&file[..1000]).is_ok());
    }
}
