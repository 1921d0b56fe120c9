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

/// The index of a position in row-major order.
pub(super) fn index(mut flat: usize, sizes: &[usize]) -> Vec<usize> {
    let mut index = vec![0; sizes.len()];
    for (slot, size) in index.iter_mut().zip(sizes).rev() {
        *slot = flat % (*size).max(1);
        flat /= (*size).max(1);
    }
    index
}

/// The contents of an output of this shape, each element as `make` gives it for its index; nothing
/// where the shape is not known to be small, or `make` gives nothing.
pub(super) fn built(
    output: &[Dim],
    mut make: impl FnMut(&[usize]) -> Option<Elem>,
) -> Option<Vec<Elem>> {
    let to = sizes(output)?;
    let count: usize = to.iter().product();
    let mut index = vec![0; to.len()];
    let mut result = Vec::with_capacity(count);
    for _ in 0..count {
        result.push(make(&index)?);
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

/// The contents of an output of this shape, each element taken from the input at the index that
/// `source` gives; nothing where any of them is not known to exist.
pub(super) fn moved(
    input: &TensorInfo,
    output: &[Dim],
    source: impl Fn(&[usize]) -> Option<Vec<usize>>,
) -> Option<Vec<Elem>> {
    let value = input.value.as_ref()?;
    let from = sizes(input.shape.as_ref()?)?;
    built(output, |index| {
        let at = source(index)?;
        let inside = at.iter().zip(&from).all(|(i, n)| i < n);
        inside.then(|| value.get(flat(&at, &from)).cloned())?
    })
}

/// The positions of elements that differ in these axes alone, a list for each index over the others.
pub(super) fn lines(sizes: &[usize], axes: &[usize]) -> Vec<Vec<usize>> {
    let (mut own, mut outer) = (vec![0], vec![0]);
    for (axis, size) in sizes.iter().enumerate() {
        let stride: usize = sizes[axis + 1..].iter().product();
        let list = if axes.contains(&axis) { &mut own } else { &mut outer };
        *list = list.iter().flat_map(|at| (0..*size).map(move |i| at + i * stride)).collect();
    }
    outer.into_iter().map(|base| own.iter().map(|at| base + at).collect()).collect()
}

/// The tensor with contents, where they are known.
pub(super) fn filled(info: TensorInfo, value: Option<Vec<Elem>>) -> TensorInfo {
    match value {
        Some(value) => info.with_value(value),
        None => info,
    }
}

/// An index of the file's, which counts from the end where it is negative.
pub(super) fn from_front(index: i128, size: usize) -> Option<usize> {
    let size = i128::try_from(size).ok()?;
    usize::try_from(if index < 0 { index + size } else { index }).ok()
}
