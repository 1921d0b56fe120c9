//! Operators that are not of the runtime: those that are known by their names, and their options.

use super::site::{Made, Site};
use crate::formats::draft::Op;

/// Places, scores and anchors; how many boxes are kept is in the options.
pub(super) fn detections(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let number = |key: &str| flexible(site.op.custom_options, key).filter(|n| *n > 0);
    let Some(boxes) = number("max_detections") else { return Ok(None) };
    let each = number("max_classes_per_detection").unwrap_or(1);
    let op = Op::own("DetectionPostProcess").with("kept", boxes.saturating_mul(each));
    let outputs = site.op.outputs.len().clamp(1, 4);
    site.nodes(op, &inputs, outputs).map(Some)
}

/// Kinds of values of a flexible buffer: whole numbers, the same elsewhere, and a map.
const INT: u8 = 1;
const UINT: u8 = 2;
const INDIRECT_INT: u8 = 6;
const INDIRECT_UINT: u8 = 7;
const MAP: u8 = 9;
/// A map has no more keys than this.
const MAX_KEYS: usize = 256;

/// A number of so many bytes.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<u64> {
    let part = bytes.get(at..)?.get(..width)?;
    let number = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
    matches!(width, 1 | 2 | 4 | 8).then(|| part.iter().rev().fold(0, number))
}

/// The place that an offset back leads to.
fn back(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    at.checked_sub(usize::try_from(number(bytes, at, width)?).ok()?)
}

/// The whole number under a key of a map, in a flexible buffer.
fn flexible(bytes: &[u8], key: &str) -> Option<i64> {
    let [.., kind, width] = bytes else { return None };
    let (kind, width) = (*kind, usize::from(*width));
    if kind >> 2 != MAP {
        return None;
    }
    let map = back(bytes, bytes.len().checked_sub(2 + width)?, width)?;
    let width = 1_usize << (kind & 3);
    let count = usize::try_from(number(bytes, map.checked_sub(width)?, width)?).ok()?;
    let keys = back(bytes, map.checked_sub(3 * width)?, width)?;
    let key_width = number(bytes, map.checked_sub(2 * width)?, width)?;
    let key_width = usize::try_from(key_width).ok().filter(|w| *w <= 8)?;
    let named = |i: &usize| {
        let at = back(bytes, keys.checked_add(i.checked_mul(key_width)?)?, key_width)?;
        let rest = bytes.get(at..)?.strip_prefix(key.as_bytes())?;
        rest.starts_with(&[0]).then_some(())
    };
    let found = (0..count.min(MAX_KEYS)).find(|i| named(i).is_some())?;
    let kind = *bytes.get(map.checked_add(count.checked_mul(width)?)?.checked_add(found)?)?;
    let at = map + found * width;
    let value = match kind >> 2 {
        INT | UINT => number(bytes, at, width)?,
        INDIRECT_INT | INDIRECT_UINT => {
            number(bytes, back(bytes, at, width)?, 1_usize << (kind & 3))?
        }
        _ => return None,
    };
    i64::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::flexible;

    /// A map of one-byte numbers, as the writer of flexible buffers lays it out.
    fn map(entries: &[(&str, u8)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut starts = Vec::new();
        for (key, _) in entries {
            starts.push(bytes.len());
            bytes.extend(key.bytes().chain([0]));
        }
        let count = u8::try_from(entries.len()).unwrap();
        bytes.push(count);
        let keys = bytes.len();
        for start in starts {
            bytes.push(u8::try_from(bytes.len() - start).unwrap());
        }
        bytes.extend([u8::try_from(bytes.len() - keys).unwrap(), 1, count]);
        let values = bytes.len();
        bytes.extend(entries.iter().map(|(_, value)| value));
        bytes.extend(entries.iter().map(|_| super::INT << 2));
        bytes.push(u8::try_from(bytes.len() - values).unwrap());
        bytes.extend([super::MAP << 2, 1]);
        bytes
    }

    #[test]
    fn numbers_are_found_by_their_key() {
        let bytes = map(&[("max_detections", 10), ("num_classes", 90)]);
        assert_eq!(flexible(&bytes, "max_detections"), Some(10));
        assert_eq!(flexible(&bytes, "num_classes"), Some(90));
        assert_eq!(flexible(&bytes, "num"), None);
    }

    #[test]
    fn broken_options_hold_nothing() {
        let bytes = map(&[("max_detections", 10), ("num_classes", 90)]);
        for end in 0..bytes.len() {
            let _ = flexible(&bytes[..end], "num_classes");
            let mut other = bytes.clone();
            other[end] ^= 0xff;
            let _ = flexible(&other, "num_classes");
        }
    }
}
