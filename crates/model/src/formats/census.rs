//! How much memory a protobuf file would take once decoded, estimated from its wire format before it is.

use super::LoadError;
use super::error::malformed;
use super::wire;

/// Messages nest no deeper.
const DEEPEST: usize = 100;

/// A kind of message, as far as what it holds is decoded at once.
pub(super) trait Kind: Copy {
    /// What lies in a field, where it is a message of such a kind.
    fn child(self, field: u64) -> Option<Self>;
    /// How many words of three pointers one takes.
    fn words(self) -> u64;
    /// How many words a field takes whose bytes, of this length, are no such message.
    fn leaf(self, field: u64, length: usize) -> u64;
}

/// Refuses a file of the format called `format` that would take more than `most` words of three pointers.
pub(super) fn check<K: Kind>(
    file: &[u8],
    kind: K,
    most: u64,
    format: &'static str,
) -> Result<(), LoadError> {
    let mut words = 0;
    walk(file, kind, most, 0, &mut words);
    if words > most {
        let why = "it has more parts than any real model; decoding them would fill the memory";
        return Err(malformed(format, why));
    }
    Ok(())
}

/// Adds up the words of a message; stops at bytes that are no message, which the decoder names.
fn walk<K: Kind>(message: &[u8], kind: K, most: u64, depth: usize, words: &mut u64) {
    if depth >= DEEPEST {
        return;
    }
    for field in wire::fields(message) {
        let Some(field) = field.filter(|_| *words <= most) else { return };
        let Some(contents) = field.contents else {
            *words += 1;
            continue;
        };
        match kind.child(field.number) {
            Some(child) => {
                *words += child.words();
                walk(contents, child, most, depth + 1, words);
            }
            None => *words += kind.leaf(field.number, contents.len()),
        }
    }
}
