//! Protobuf's wire format, as far as messages are walked without being decoded.

use prost::encoding::{decode_varint, encode_varint};

/// A field of a message.
pub(super) struct Field<'a> {
    pub(super) number: u64,
    /// With its key.
    pub(super) whole: &'a [u8],
    /// What is in it; `None` of a number of variable length.
    pub(super) contents: Option<&'a [u8]>,
    /// The number of variable length.
    pub(super) varint: Option<u64>,
    /// Whether the contents have a length of their own, as messages, texts and packed numbers have.
    pub(super) delimited: bool,
}

/// The fields of a message; `None` at the end of one that is broken.
pub(super) fn fields(message: &[u8]) -> impl Iterator<Item = Option<Field<'_>>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = next(&mut rest);
        if field.is_none() {
            rest = &[];
        }
        Some(field)
    })
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<Field<'a>> {
    let start = *rest;
    let key = decode_varint(rest).ok()?;
    let mut varint = None;
    let length = match key & 7 {
        0 => {
            varint = Some(decode_varint(rest).ok()?);
            None
        }
        1 => Some(8),
        2 => Some(usize::try_from(decode_varint(rest).ok()?).ok()?),
        5 => Some(4),
        _ => return None,
    };
    let (contents, tail) = rest.split_at_checked(length.unwrap_or(0))?;
    *rest = tail;
    let whole = &start[..start.len() - tail.len()];
    let contents = length.map(|_| contents);
    Some(Field { number: key >> 3, whole, contents, varint, delimited: key & 7 == 2 })
}

/// Adds a field of bytes.
pub(super) fn put(number: u64, bytes: &[u8], out: &mut Vec<u8>) {
    encode_varint(number << 3 | 2, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}
