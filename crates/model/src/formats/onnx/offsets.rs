//! Biases by relative position that an exporter has written out for every pair of positions.
//!
//! Attention over a window of w × w positions learns a number for each offset between two of them, (2·w − 1)² for
//! each head. An exporter that folds constants stores one for each of the w⁴ pairs instead, the same numbers again
//! and again. A sample of pairs that have their offset in common shows whether a tensor is such a table.

use super::messages::TensorProto;
use crate::dim::Dim;
use crate::ir::DType;

/// Pairs of pairs that are compared for each of two heads.
const SAMPLES: u32 = 48;
/// Windows are no wider.
const WIDEST: usize = 64;

/// A table `[.., heads, w², w²]`, with its bytes.
struct Table<'a> {
    bytes: &'a [u8],
    width: usize,
    heads: usize,
    side: usize,
}

impl<'a> Table<'a> {
    fn of(tensor: &'a TensorProto) -> Option<Self> {
        let [front @ .., heads, rows, columns] = &tensor.dims[..] else { return None };
        let side = (2..=WIDEST).find(|w| i64::try_from(w * w) == Ok(*rows))?;
        if rows != columns || front.iter().any(|n| *n != 1) {
            return None;
        }
        let dtype = DType::from_onnx(tensor.data_type).filter(|d| d.is_float())?;
        let width = usize::try_from(dtype.bits() / 8).ok().filter(|w| *w > 0)?;
        let bytes = match &tensor.float_data[..] {
            [packed] if tensor.raw_data.is_empty() => packed,
            _ => &tensor.raw_data,
        };
        let heads = usize::try_from(*heads).ok().filter(|h| *h > 0)?;
        let size = side.pow(4).checked_mul(heads)?.checked_mul(width)?;
        (bytes.len() == size).then_some(Self { bytes, width, heads, side })
    }

    /// The number for a pair of positions.
    fn at(&self, head: usize, a: [usize; 2], b: [usize; 2]) -> &[u8] {
        let [from, to] = [a, b].map(|[y, x]| y * self.side + x);
        let start = (head * self.side.pow(2) + from) * self.side.pow(2) + to;
        self.bytes.get(start * self.width..(start + 1) * self.width).unwrap_or_default()
    }
}

/// How many different numbers a stored tensor holds, where it repeats a table of them over pairs of positions.
pub(super) fn distinct(tensor: &TensorProto) -> Option<Dim> {
    let table = Table::of(tensor)?;
    let mut state = 1u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(state >> 16).unwrap_or(0) % limit.max(1)
    };
    let (mut compared, mut various, mut mirrored) = (0, 0, true);
    for head in [0, table.heads - 1] {
        for _ in 0..SAMPLES {
            let [a, b] = [(); 2].map(|()| [(); 2].map(|()| below(table.side)));
            // Both positions moved alike, from where they are as near to the corner as can be.
            let near = [0, 1].map(|axis| a[axis].min(b[axis]));
            let room = [0, 1].map(|axis| table.side - a[axis].max(b[axis]) + near[axis]);
            let to = room.map(&mut below);
            let moved = |p: [usize; 2]| [0, 1].map(|axis| p[axis] - near[axis] + to[axis]);
            let number = table.at(head, a, b);
            if moved(a) != a {
                compared += 1;
                if number != table.at(head, moved(a), moved(b)) {
                    return None;
                }
            }
            various += usize::from(number != table.at(head, [0, 0], [0, 0]));
            mirrored &= number == table.at(head, b, a);
        }
    }
    // A table that holds the same number everywhere shows nothing.
    if compared < SAMPLES || various < 8 {
        return None;
    }
    // Some networks have one number for both directions.
    let offsets = if mirrored { table.side.pow(2) } else { (2 * table.side - 1).pow(2) };
    Some(Dim::from(offsets) * Dim::from(table.heads))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of `f` over pairs of positions in a window of 4 × 4, for two heads.
    fn made(f: impl Fn(i32, i32, i32) -> i32) -> TensorProto {
        let mut raw = Vec::new();
        for head in 0..2 {
            for (a, b) in (0..16).flat_map(|a| (0..16).map(move |b| (a, b))) {
                let number = f(head, a / 4 - b / 4, a % 4 - b % 4);
                raw.extend_from_slice(&number.to_le_bytes());
            }
        }
        TensorProto {
            dims: vec![1, 2, 16, 16],
            data_type: 1,
            raw_data: raw.into(),
            ..TensorProto::default()
        }
    }

    #[test]
    fn only_tables_by_offset_are_found() {
        let numbers = |tensor: &TensorProto| distinct(tensor).and_then(|n| n.as_const());
        assert_eq!(numbers(&made(|head, y, x| 100 * head + 10 * y + x)), Some(2 * 49));
        assert_eq!(numbers(&made(|head, y, x| 100 * head + 10 * y.abs() + x.abs())), Some(2 * 16));
        assert_eq!(numbers(&made(|_, _, _| 7)), None, "nothing to tell from");
        let mut other = made(|_, _, _| 0);
        let count = i32::try_from(other.raw_data.len() / 4).unwrap();
        other.raw_data = (0..count).flat_map(i32::to_le_bytes).collect::<Vec<_>>().into();
        assert_eq!(numbers(&other), None, "a number for each pair");
        other.raw_data.truncate(100);
        assert_eq!(numbers(&other), None, "cut off");
    }
}
