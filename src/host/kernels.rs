//! The loops that are timed, and which of them this CPU can run.

/// An arithmetic kernel.
pub(super) struct Kernel {
    /// Instructions it uses.
    pub(super) name: &'static str,
    /// Operations a round does, an FMA counted as two.
    pub(super) flops_per_round: u32,
    /// Runs this many rounds.
    pub(super) run: fn(u32),
}

/// Accumulators kept in registers: more than the latency of an FMA times the units that do them.
const CHAINS: usize = 12;

/// The widest kernel this CPU runs.
pub(super) fn best() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return x86::AVX512;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return x86::AVX2;
        }
    }
    #[cfg(target_arch = "aarch64")]
    return neon::NEON;
    #[allow(unreachable_code)]
    PORTABLE
}

const LANES: u32 = 8;

/// Multiplies and adds that the compiler may vectorise with the instructions every CPU of this
/// kind has.
const PORTABLE: Kernel =
    Kernel { name: "portable", flops_per_round: 2 * 12 * LANES, run: portable };

fn portable(rounds: u32) {
    let factor = std::hint::black_box(0.999_9f32);
    let mut sums = [[1.0f32; LANES as usize]; CHAINS];
    for _ in 0..rounds {
        for sum in &mut sums {
            for lane in sum {
                *lane = *lane * factor + 0.000_1;
            }
        }
    }
    std::hint::black_box(sums);
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod x86 {
    use super::{CHAINS, Kernel};
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};

    pub(super) const AVX512: Kernel = Kernel {
        name: "AVX-512",
        flops_per_round: 2 * 12 * 16,
        // SAFETY: `best` offers this kernel only where AVX-512F is detected.
        run: |rounds| unsafe { avx512(rounds) },
    };

    pub(super) const AVX2: Kernel = Kernel {
        name: "AVX2 + FMA",
        flops_per_round: 2 * 12 * 8,
        // SAFETY: `best` offers this kernel only where AVX2 and FMA are detected.
        run: |rounds| unsafe { avx2(rounds) },
    };

    #[target_feature(enable = "avx512f")]
    fn avx512(rounds: u32) {
        let factor = _mm512_set1_ps(std::hint::black_box(0.999_9));
        let addend = _mm512_set1_ps(std::hint::black_box(0.000_1));
        let mut sums = [_mm512_set1_ps(1.0); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, addend);
            }
        }
        std::hint::black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    fn avx2(rounds: u32) {
        let factor = _mm256_set1_ps(std::hint::black_box(0.999_9));
        let addend = _mm256_set1_ps(std::hint::black_box(0.000_1));
        let mut sums = [_mm256_set1_ps(1.0); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, addend);
            }
        }
        std::hint::black_box(sums);
    }
}

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)]
mod neon {
    use super::{CHAINS, Kernel};
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};

    pub(super) const NEON: Kernel = Kernel {
        name: "NEON",
        flops_per_round: 2 * 12 * 4,
        // SAFETY: NEON is part of the base aarch64 instruction set.
        run: |rounds| unsafe { neon(rounds) },
    };

    #[target_feature(enable = "neon")]
    fn neon(rounds: u32) {
        let factor = vdupq_n_f32(std::hint::black_box(0.000_1));
        let mut sums = [vdupq_n_f32(1.0); CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = vfmaq_f32(factor, *sum, factor);
            }
        }
        std::hint::black_box(sums);
    }
}

/// `a = b + scale·c`, element by element.
pub(super) fn triad(a: &mut [f32], b: &[f32], c: &[f32], scale: f32) {
    for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
        *a = *b + scale * *c;
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn triad_adds_and_scales() {
        let mut a = [0.0; 3];
        super::triad(&mut a, &[1.0, 2.0, 3.0], &[10.0, 20.0, 30.0], 2.0);
        assert_eq!(a.map(f32::to_bits), [21.0f32, 42.0, 63.0].map(f32::to_bits));
    }
}
