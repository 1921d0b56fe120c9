//! Contents of small tensors through operators that only move elements.

use crate::dim::Dim;
use crate::ir::{Elem, MAX_TRACKED, TensorInfo};

/// The sizes of a shape, where all are numbers and few elements are.
pub(super) fn sizes(shape: &[Dim]) -> Option<Vec<usize>> {
    let sizes: Vec<usize> = shape.iter().map(Dim::as_usize).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1usize, |n, d| n.checked_mul(*d))?;
    (count <= MAX_TRACKED).then_some(sizes)
}

/// The position of an index in row-major order.
pub(super) fn flat(index: &[usize], sizes: &[usize]) -> usize {
    index.iter().zip(sizes).fold(0, |at, (i, n)| at * n + i)
}

/// The contents of an output of this shape, each element taken from the input at the index that
/// `source` gives; nothing where any of them is not known to exist.
pub(super) fn moved(
    input: &TensorInfo,
    output: &[Dim],
    source: impl Fn(&[usize]) -> Option<Vec<usize>>,
) -> Option<Vec<Elem>> {
    let value = input.value.as_ref()?;
    let (from, to) = (sizes(input.shape.as_ref()?)?, sizes(output)?);
    let count: usize = to.iter().product();
    let mut index = vec![0; to.len()];
    let mut result = Vec::with_capacity(count);
    for _ in 0..count {
        let at = source(&index)?;
        if at.iter().zip(&from).any(|(i, n)| i >= n) {
            return None;
        }
        result.push(value.get(flat(&at, &from))?.clone());
        for axis in (0..to.len()).rev() {
            index[axis] += 1;
            if index[axis] < to[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Some(result)
}
