//! Rules that many operators share: broadcasting, axes, sliding windows.

use super::context::{OpCx, OpError, invalid};
use crate::dim::Dim;
use crate::ir::{MAX_RANK, Shape};

/// `axis` counted from the front; negative values count from the end.
pub(super) fn axis(axis: i64, rank: usize) -> Result<usize, OpError> {
    let signed = i64::try_from(rank).unwrap_or(i64::MAX);
    let from_front = if axis < 0 { axis.saturating_add(signed) } else { axis };
    match usize::try_from(from_front) {
        Ok(a) if a < rank => Ok(a),
        _ => invalid!("axis {axis} is outside a tensor of rank {rank}"),
    }
}

/// All of `axes`, counted from the front.
pub(super) fn axes(axes: &[i64], rank: usize) -> Result<Vec<usize>, OpError> {
    axes.iter().map(|a| axis(*a, rank)).collect()
}

/// Two sizes on one broadcast axis. Sizes that may differ are recorded as a constraint.
pub(super) fn broadcast_dim(cx: &OpCx<'_>, a: &Dim, b: &Dim) -> Result<Dim, OpError> {
    if a == b || b.is_one() {
        return Ok(a.clone());
    }
    if a.is_one() {
        return Ok(b.clone());
    }
    match (a.as_const(), b.as_const()) {
        (Some(x), Some(y)) => invalid!("sizes {x} and {y} do not broadcast"),
        // A size beside a number above one is that number, or one.
        (Some(_), None) => {
            cx.require_broadcast(a, b);
            Ok(a.clone())
        }
        (None, Some(_)) => {
            cx.require_broadcast(a, b);
            Ok(b.clone())
        }
        (None, None) => {
            cx.require_broadcast(a, b);
            Ok(a.maximum(b))
        }
    }
}

/// Shape of an element-wise operation on `shapes`, aligned at the last axis.
pub(super) fn broadcast<'s>(
    cx: &OpCx<'_>,
    shapes: impl IntoIterator<Item = &'s [Dim]>,
) -> Result<Shape, OpError> {
    let mut result: Shape = Vec::new();
    for shape in shapes {
        if shape.len() > MAX_RANK {
            return invalid!("a shape of {} axes, of at most {MAX_RANK}", shape.len());
        }
        while result.len() < shape.len() {
            result.insert(0, Dim::ONE);
        }
        let offset = result.len() - shape.len();
        for (i, dim) in shape.iter().enumerate() {
            result[offset + i] = broadcast_dim(cx, &result[offset + i], dim)?;
        }
    }
    Ok(result)
}

/// How a window slides over the spatial axes.
#[derive(Debug)]
pub(super) struct Window {
    pub(super) kernel: Vec<Dim>,
    pub(super) strides: Vec<i64>,
    pub(super) dilations: Vec<i64>,
    pads: Vec<i64>,
    auto_pad: String,
    ceil: bool,
}

impl Window {
    /// Reads `strides`, `pads`, `dilations`, `auto_pad` and `ceil_mode` for this kernel.
    pub(super) fn read(cx: &OpCx<'_>, kernel: Vec<Dim>) -> Result<Self, OpError> {
        let n = kernel.len();
        let list = |name: &str, default: i64, len: usize| -> Result<Vec<i64>, OpError> {
            let given = cx.attrs().ints(name)?.map_or_else(|| vec![default; len], <[i64]>::to_vec);
            if given.len() != len {
                return invalid!("`{name}` has {} entries, expected {len}", given.len());
            }
            Ok(given)
        };
        let window = Self {
            strides: list("strides", 1, n)?,
            dilations: list("dilations", 1, n)?,
            pads: list("pads", 0, 2 * n)?,
            auto_pad: cx.attrs().str("auto_pad")?.unwrap_or("NOTSET").to_owned(),
            ceil: cx.attrs().flag("ceil_mode")?,
            kernel,
        };
        if window.strides.iter().chain(&window.dilations).any(|s| *s < 1) {
            return invalid!("`strides` and `dilations` must be positive");
        }
        Ok(window)
    }

    /// Output size on each axis: `⌊(I + p − ((k−1)·δ + 1)) / s⌋ + 1`, or the ceiling, where the
    /// last window must start inside the input or its left padding.
    pub(super) fn output(&self, input: &[Dim]) -> Result<Shape, OpError> {
        if input.len() != self.kernel.len() {
            return invalid!("{} spatial axes, kernel has {}", input.len(), self.kernel.len());
        }
        let mut output = Vec::with_capacity(input.len());
        for (i, size) in input.iter().enumerate() {
            let stride = Dim::from(self.strides[i]);
            if self.auto_pad.starts_with("SAME") {
                output.push(size.ceil_div(&stride));
                continue;
            }
            let valid = self.auto_pad == "VALID";
            let (before, after) =
                if valid { (0, 0) } else { (self.pads[i], self.pads[i + self.kernel.len()]) };
            let extent =
                (self.kernel[i].clone() - Dim::ONE) * Dim::from(self.dilations[i]) + Dim::ONE;
            let padded = size.clone() + Dim::from(before) + Dim::from(after);
            let free = padded.clone() - extent.clone();
            // With the ceiling a window may reach beyond the end, by less than a stride.
            let over = if self.ceil { stride.clone() - Dim::ONE } else { Dim::ZERO };
            if (free.clone() + over).as_const().is_some_and(|f| f < 0) {
                return invalid!("window of {extent} does not fit into {padded}");
            }
            // Windows start at most so far in: the last inside the input or its left padding, where
            // that takes one off; the floor of the least is the least floor.
            let one = Dim::ONE;
            let last = if self.ceil {
                let whole = free + stride.clone() - one.clone();
                let inside = size.clone() + Dim::from(before) - one.clone();
                whole.minimum(&(whole.clone() - stride.clone()).maximum(&inside))
            } else {
                free
            };
            let count = last.floor_div(&stride) + one;
            output.push(count);
        }
        Ok(output)
    }

    /// Window positions times taps that meet the input and not its padding, over all axes; nothing
    /// where a size is not a number.
    pub(super) fn valid_taps(&self, input: &[Dim], output: &[Dim]) -> Option<Dim> {
        const MOST: i128 = 4096;
        let mut product = Dim::ONE;
        for (i, (size, count)) in input.iter().zip(output).enumerate() {
            let (size, count) = (size.as_const()?, count.as_const()?);
            let kernel = self.kernel[i].as_const().filter(|k| *k <= MOST)?;
            let (stride, dilation) = (i128::from(self.strides[i]), i128::from(self.dilations[i]));
            let before = match self.auto_pad.as_str() {
                "VALID" => 0,
                "SAME_UPPER" | "SAME_LOWER" => {
                    let all = ((count - 1) * stride + (kernel - 1) * dilation + 1 - size).max(0);
                    if self.auto_pad == "SAME_UPPER" { all / 2 } else { all - all / 2 }
                }
                _ => i128::from(self.pads[i]),
            };
            let mut met = 0i128;
            for tap in 0..kernel {
                let offset = tap * dilation - before;
                let first = (-offset).max(0).div_euclid(stride)
                    + i128::from((-offset).max(0).rem_euclid(stride) > 0);
                let last = (size - 1 - offset).div_euclid(stride).min(count - 1);
                met += (last - first + 1).max(0);
            }
            product = product * Dim::from(met);
        }
        Some(product)
    }

    /// Sum of the padding before and after axis `i`, where given in numbers.
    pub(super) fn padding(&self, i: usize) -> i64 {
        self.pads[i].saturating_add(self.pads[i + self.kernel.len()])
    }

    /// The `auto_pad` attribute.
    pub(super) fn auto_pad(&self) -> &str {
        &self.auto_pad
    }
}
