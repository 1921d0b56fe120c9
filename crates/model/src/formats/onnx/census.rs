//! What the messages of a model take once decoded.
//!
//! Empty messages and strings take two bytes in a file and a hundred in memory, so that a hostile
//! file of a few megabytes could fill the machine. Payloads of tensors are stepped over, not read.

use crate::formats::{LoadError, census};

/// Decoded messages may take this many words of three pointers: 1.5 GB.
const MOST: u64 = 64 << 20;

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

impl census::Kind for Kind {
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

    /// Payloads are stepped over; a packed integer takes a byte in the file and eight in memory.
    fn leaf(self, field: u64, length: usize) -> u64 {
        match (self, field) {
            (Self::Tensor, 4..=7 | 9..=11) => 2,
            _ => 2 + length as u64 / 3,
        }
    }
}

/// Refuses a file that would take too much memory once decoded.
pub(super) fn check(file: &[u8]) -> Result<(), LoadError> {
    census::check(file, Kind::Model, MOST, super::NAME)
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
