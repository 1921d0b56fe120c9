//! Numbers as a GPU stores them: random operands of a matrix product, and what a bit pattern means,
//! so that products can be checked on the host.

/// How a number is stored, little end first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// Sign, exponent with this bias, this many bits of mantissa.
    Float { bytes: usize, mantissa: u32, bias: i32 },
    /// Two's complement.
    Integer { bytes: usize },
}

pub(super) const F32: Number = Number::Float { bytes: 4, mantissa: 23, bias: 127 };
pub(super) const F16: Number = Number::Float { bytes: 2, mantissa: 10, bias: 15 };
pub(super) const BF16: Number = Number::Float { bytes: 2, mantissa: 7, bias: 127 };
/// E4M3, which has no infinities.
pub(super) const F8: Number = Number::Float { bytes: 1, mantissa: 3, bias: 7 };
pub(super) const I8: Number = Number::Integer { bytes: 1 };
pub(super) const I32: Number = Number::Integer { bytes: 4 };

impl Number {
    /// Bytes of one.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Float { bytes, .. } | Self::Integer { bytes } => bytes,
        }
    }

    /// Half a unit in the last place of a number of size one; zero where all are exact.
    pub(super) fn rounding(self) -> f64 {
        match self {
            Self::Float { mantissa, .. } => 0.5f64.powi(mantissa.cast_signed() + 1),
            Self::Integer { .. } => 0.0,
        }
    }

    /// `count` numbers: floats of size 1/2 to 1 with either sign, integers of the whole range. All
    /// bits that arithmetic looks at are random, for the power it draws depends on them.
    pub(super) fn random(self, count: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let mut data = Vec::with_capacity(count * self.bytes());
        for _ in 0..count {
            // Xorshift, Marsaglia 2003.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let bits = (state >> 16).to_le_bytes();
            let mut raw = u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]);
            if let Self::Float { bytes, mantissa, bias } = self {
                let sign = 1 << (8 * bytes - 1);
                let half = (bias - 1).cast_unsigned() << mantissa;
                raw = raw & (sign | ((1 << mantissa) - 1)) | half;
            }
            data.extend_from_slice(&raw.to_le_bytes()[..self.bytes()]);
        }
        data
    }

    /// The value of the number at this index.
    pub(super) fn at(self, data: &[u8], index: usize) -> f64 {
        let mut word = [0; 4];
        word[..self.bytes()].copy_from_slice(&data[index * self.bytes()..][..self.bytes()]);
        let raw = u32::from_le_bytes(word);
        match self {
            Self::Integer { bytes } => {
                let unused = 32 - 8 * u32::try_from(bytes).unwrap_or(4);
                f64::from((raw << unused).cast_signed() >> unused)
            }
            Self::Float { bytes, mantissa, bias } => {
                let sign = raw >> (8 * bytes - 1);
                let exponents = (1u32 << (8 * bytes - 1)) - (1 << mantissa);
                let exponent = (raw & exponents) >> mantissa;
                if exponent == exponents >> mantissa && self != F8 {
                    return f64::NAN;
                }
                let fraction =
                    f64::from(raw & ((1 << mantissa) - 1)) * 0.5f64.powi(mantissa.cast_signed());
                let (whole, exponent) = if exponent == 0 { (0.0, 1) } else { (1.0, exponent) };
                let value = (whole + fraction) * 2f64.powi(exponent.cast_signed() - bias);
                if sign == 1 { -value } else { value }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_their_formats_say() {
        for x in [1.0f32, -0.75, 3.140_625, 1e-40, 0.0, -65504.0] {
            assert_eq!(F32.at(&x.to_le_bytes(), 0).to_bits(), f64::from(x).to_bits(), "{x}");
        }
        assert!(F32.at(&f32::INFINITY.to_le_bytes(), 0).is_nan());
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        close(BF16.at(&[0xC0, 0xBF], 0), -1.5);
        close(F16.at(&[0x00, 0x3C, 0xFF, 0x7B], 1), 65504.0);
        close(F16.at(&[0x01, 0x00], 0), 2f64.powi(-24));
        close(F8.at(&[0x38, 0x7E, 0x01], 0), 1.0);
        close(F8.at(&[0x38, 0x7E, 0x01], 1), 448.0);
        close(F8.at(&[0x38, 0x7E, 0x81], 2), -(2f64.powi(-9)));
        close(I8.at(&[0x80, 0x7F], 0), -128.0);
        close(I8.at(&[0x80, 0x7F], 1), 127.0);
        close(I32.at(&(-70_000i32).to_le_bytes(), 0), -70_000.0);
        // 1 and the next number lie two of these apart.
        let next = F16.at(&[0x01, 0x3C], 0) - F16.at(&[0x00, 0x3C], 0);
        close(2.0 * F16.rounding(), next);
        close(I8.rounding(), 0.0);
    }

    #[test]
    fn random_floats_lie_between_a_half_and_one_and_use_their_bits() {
        for number in [F32, F16, BF16, F8] {
            let data = number.random(1000, 7);
            let values: Vec<f64> = (0..1000).map(|i| number.at(&data, i)).collect();
            assert!(values.iter().all(|v| (0.5..1.0).contains(&v.abs())), "{number:?}");
            let negative = values.iter().filter(|v| **v < 0.0).count();
            assert!((400..600).contains(&negative), "{number:?}: {negative}");
            let mut different: Vec<u64> = values.iter().map(|v| v.to_bits()).collect();
            different.sort_unstable();
            different.dedup();
            assert!(different.len() >= 16, "{number:?}: {}", different.len());
        }
        let data = I8.random(1000, 7);
        assert!((0..1000).any(|i| I8.at(&data, i) < -100.0));
    }
}
