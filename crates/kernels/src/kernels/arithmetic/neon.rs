//! Arithmetic kernels of `aarch64`: NEON, and the dot products of the `dotprod`, `bf16` and `i8mm`
//! extensions, which have no stable intrinsics and are written out.
#![allow(unsafe_code)]

use super::Kernel;
use std::arch::aarch64::{vdupq_n_f32, vdupq_n_f64, vdupq_n_s8, vdupq_n_s32, vfmaq_f32, vfmaq_f64};
use std::arch::asm;
use std::arch::is_aarch64_feature_detected;

/// Widest first within a type.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        dtype: "f32",
        accumulate: "f32",
        simd: "NEON",
        ops_per_round: 24 * 2 * 4,
        run: |rounds| {
            // SAFETY: every CPU of this architecture has these instructions.
            unsafe { neon_f32(rounds) }
        },
        detected: || true,
    },
    Kernel {
        dtype: "f64",
        accumulate: "f64",
        simd: "NEON",
        ops_per_round: 24 * 2 * 2,
        run: |rounds| {
            // SAFETY: every CPU of this architecture has these instructions.
            unsafe { neon_f64(rounds) }
        },
        detected: || true,
    },
    Kernel {
        dtype: "bf16",
        accumulate: "f32",
        simd: "NEON BFMMLA",
        ops_per_round: 24 * 2 * 16,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { bfmmla(rounds) }
        },
        detected: || is_aarch64_feature_detected!("bf16"),
    },
    Kernel {
        dtype: "i8",
        accumulate: "i32",
        simd: "NEON SMMLA",
        ops_per_round: 24 * 2 * 32,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { smmla(rounds) }
        },
        detected: || is_aarch64_feature_detected!("i8mm"),
    },
    Kernel {
        dtype: "i8",
        accumulate: "i32",
        simd: "NEON SDOT",
        ops_per_round: 24 * 2 * 16,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { sdot(rounds) }
        },
        detected: || is_aarch64_feature_detected!("dotprod"),
    },
];

/// Repeats a step for 24 sums: wide cores have four units of latency four.
macro_rules! twenty_four {
    ($name:ident, $features:literal, $zero:expr, $x:expr, |$sum:ident, $factor:ident| $step:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u32) {
            let $factor = std::hint::black_box($x);
            let mut sums = [$zero; 24];
            for _ in 0..rounds {
                for $sum in &mut sums {
                    $step
                }
            }
            std::hint::black_box(sums);
        }
    };
}

twenty_four!(neon_f32, "neon", vdupq_n_f32(1.0), vdupq_n_f32(0.000_1), |sum, x| {
    *sum = vfmaq_f32(x, *sum, x);
});
twenty_four!(neon_f64, "neon", vdupq_n_f64(1.0), vdupq_n_f64(0.000_1), |sum, x| {
    *sum = vfmaq_f64(x, *sum, x);
});

/// An instruction that adds the products of two registers of factors to a register of sums.
macro_rules! dot {
    ($name:ident, $features:literal, $instruction:literal, $zero:expr) => {
        twenty_four!($name, $features, $zero, vdupq_n_s8(3), |sum, x| {
            // SAFETY: reads and writes the named registers only.
            unsafe {
                asm!($instruction, inout(vreg) *sum, in(vreg) x, in(vreg) x,
                     options(pure, nomem, nostack, preserves_flags));
            }
        });
    };
}

dot!(bfmmla, "neon,bf16", "bfmmla {0:v}.4s, {1:v}.8h, {2:v}.8h", vdupq_n_f32(0.0));
dot!(smmla, "neon,i8mm", "smmla {0:v}.4s, {1:v}.16b, {2:v}.16b", vdupq_n_s32(0));
dot!(sdot, "neon,dotprod", "sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", vdupq_n_s32(0));
