//! The least arithmetic that known libraries spend on a convolution.
//!
//! Counts are nominal everywhere: a product for every tap. Libraries need fewer. Winograd's minimal
//! filtering F(m, r) makes m outputs of an r-tap filter with m + r − 1 products per axis; tiles of
//! up to 8 points ship in `NNPACK`, MNN, ncnn, `MIOpen` and the Arm Compute Library: F(6×6, 3×3), F(4×4, 5×5),
//! F(2, 7) and their 1-D forms. With a stride of 2 (`MIOpen`) the filter falls into its even and its odd
//! taps. FFT convolution (`cuDNN`, `NNPACK`) multiplies half a spectrum of complex numbers, four real products
//! each: in the limit of large tiles two products per output, whatever the filter. On integers only
//! F(2×2, 3×3) is known (`oneDNN`). Transforms are not counted here, and tiles are never cut off at an
//! edge, so that the share below is a lower bound. Dilated filters work on interleaved images (ncnn).
//! Products of matrices count in full: of the libraries that run networks only MNN has Strassen's
//! algorithm, on CPUs, and no published measurement comes near what it would spare.

use crate::dim::Dim;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Points of the largest tile that libraries ship, per axis.
const TILE: u128 = 8;
/// A larger kernel or stride is no convolution that anybody runs.
const LARGEST: i64 = 1 << 16;

/// The products that remain, as a fraction of the nominal ones; at most one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share {
    part: u64,
    of: u64,
}

impl Share {
    /// Nothing is spared.
    pub const ALL: Self = Self { part: 1, of: 1 };
    /// Nothing is certain to remain.
    const NONE: Self = Self { part: 0, of: 1 };

    /// `part / of` in lowest terms; nothing certain where the numbers are too large to hold.
    fn new(part: u128, of: u128) -> Self {
        let common = gcd(part, of).max(1);
        match (u64::try_from(part / common), u64::try_from(of / common)) {
            (Ok(part), Ok(of)) if of > 0 => Self { part, of },
            _ => Self::NONE,
        }
    }

    fn times(self, other: Self) -> Self {
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        Self::new(wide(self.part, other.part), wide(self.of, other.of))
    }

    fn least(self, other: Self) -> Self {
        let wide = |a: u64, b: u64| u128::from(a) * u128::from(b);
        match wide(self.part, other.of).cmp(&wide(other.part, self.of)) {
            Ordering::Greater => other,
            _ => self,
        }
    }

    /// What remains, as `part` of `of`.
    pub fn fraction(self) -> (u64, u64) {
        (self.part, self.of)
    }

    /// How many of `nominal` products are spared: rounded up, so that what remains is a lower bound.
    pub fn spared(self, nominal: u64) -> u64 {
        let wide = u128::from(nominal) * u128::from(self.of - self.part.min(self.of));
        u64::try_from(wide.div_ceil(u128::from(self.of))).unwrap_or(u64::MAX)
    }
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The products of nodes that a fast algorithm may spare, by what it leaves of them.
pub type Fast = BTreeMap<Share, Dim>;

/// What is left of the products of a convolution with this kernel and these strides.
pub(super) fn convolution(kernel: &[Dim], strides: &[i64], integer: bool) -> Share {
    let known = |k: &Dim| {
        let taps = k.as_const().and_then(|k| i64::try_from(k).ok());
        taps.filter(|k| (1..=LARGEST).contains(k)).and_then(|k| u128::try_from(k).ok())
    };
    // A kernel whose size is open may be one of those that lose most.
    let Some(taps) = kernel.iter().map(known).collect::<Option<Vec<u128>>>() else {
        return Share::NONE;
    };
    let dense = strides.iter().all(|s| *s == 1);
    if integer {
        let known = dense && taps == [3, 3];
        return if known { Share::new(16, 36) } else { Share::ALL };
    }
    let axes = taps.iter().zip(strides).map(|(k, s)| winograd(*k, *s));
    let winograd = axes.fold(Share::ALL, Share::times);
    let all = taps.iter().try_fold(1u128, |n, k| n.checked_mul(*k)).unwrap_or(u128::MAX);
    let fourier = if dense && all > 2 { Share::new(2, all) } else { Share::ALL };
    winograd.least(fourier)
}

/// What Winograd's tiles leave of one axis.
fn winograd(taps: u128, stride: i64) -> Share {
    let Some(phases) = (1..=2).contains(&stride).then_some(stride.unsigned_abs()) else {
        return Share::ALL;
    };
    // Every phase of the stride has a filter of its own; products per output are added.
    let (mut part, mut of) = (0u128, 1u128);
    for phase in 0..u128::from(phases) {
        let own = (taps + phase) / u128::from(phases);
        let (n, d) = if (2..TILE).contains(&own) { (TILE, TILE + 1 - own) } else { (own, 1) };
        (part, of) = (part * d + n * of, of * d);
    }
    Share::new(part, of * taps).least(Share::ALL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(kernel: &[i64], stride: i64, integer: bool) -> (u64, u64) {
        let kernel: Vec<Dim> = kernel.iter().map(|k| Dim::from(*k)).collect();
        let share = convolution(&kernel, &vec![stride; kernel.len()], integer);
        (share.part, share.of)
    }

    /// Multiplications per output, by hand from m + r − 1 products for m outputs.
    #[test]
    fn winograd_and_fourier_leave_what_their_tiles_need() {
        // F(6×6, 3×3): 64 products for 36 outputs of 9 taps each: 5.06 times fewer.
        assert_eq!(left(&[3, 3], 1, false), (64 / 4, 324 / 4));
        // Two products per output: better than F(4×4, 5×5) with 64 for 400, and than F(2×2, 7×7).
        assert_eq!(left(&[5, 5], 1, false), (2, 25));
        assert_eq!(left(&[7, 7], 1, false), (2, 49));
        assert_eq!(left(&[3, 3, 3], 1, false), (2, 27));
        // F(6, 3) on one axis: 8 products for 18.
        assert_eq!(left(&[3], 1, false), (4, 9));
        assert_eq!(left(&[1, 3], 1, false), (4, 9));
        // A stride of 2: two taps at 8/7 and one at 1 per axis, of 3.
        assert_eq!(left(&[3], 2, false), (5, 7));
        // Nothing to spare.
        for (kernel, stride) in [(vec![1, 1], 1), (vec![1, 1], 2), (vec![4, 4], 4), (vec![1], 1)] {
            assert_eq!(left(&kernel, stride, false), (1, 1), "{kernel:?}");
        }
    }

    #[test]
    fn on_integers_only_two_by_two_tiles_of_three_by_three_are_known() {
        assert_eq!(left(&[3, 3], 1, true), (4, 9));
        for (kernel, stride) in [(vec![3, 3], 2), (vec![5, 5], 1), (vec![3], 1), (vec![1, 1], 1)] {
            assert_eq!(left(&kernel, stride, true), (1, 1), "{kernel:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_promised() {
        let open = [Dim::symbol("k"), Dim::from(3)];
        assert_eq!(convolution(&open, &[1, 1], false), Share::NONE);
        assert_eq!(left(&[i64::MAX, 3], 1, false), (0, 1));
        assert_eq!(left(&[65536; 8], 1, false), (0, 1));
        assert_eq!(Share::NONE.spared(u64::MAX), u64::MAX);
        assert_eq!(Share::ALL.spared(u64::MAX), 0);
        assert_eq!(Share::new(16, 81).spared(81), 65);
        assert_eq!(Share::new(16, 81).spared(82), 66);
    }
}
