//! Arithmetic kernels of `x86_64`: SSE2, AVX2, AVX-512, and the dot products of VNNI and BF16.
#![allow(unsafe_code)]

use super::{Kernel, twelve};
use std::arch::x86_64::{
    __m128, __m128d, _mm_add_pd, _mm_add_ps, _mm_mul_pd, _mm_mul_ps, _mm_set1_pd, _mm_set1_ps,
    _mm256_dpbusd_avx_epi32, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_set1_epi8, _mm256_set1_pd,
    _mm256_set1_ps, _mm256_setzero_si256, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_set1_epi8, _mm512_set1_pd,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
};

/// Widest first within a type.
pub(super) const KERNELS: &[Kernel] = &[
    Kernel {
        dtype: "f32",
        accumulate: "f32",
        simd: "AVX-512",
        ops_per_round: 12 * 2 * 16,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx512_f32(rounds) }
        },
        detected: || is_x86_feature_detected!("avx512f"),
    },
    Kernel {
        dtype: "f32",
        accumulate: "f32",
        simd: "AVX2 + FMA",
        ops_per_round: 12 * 2 * 8,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx2_f32(rounds) }
        },
        detected: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
    },
    Kernel {
        dtype: "f32",
        accumulate: "f32",
        simd: "SSE2",
        ops_per_round: 12 * 2 * 4,
        run: |rounds| {
            // SAFETY: every CPU of this architecture has these instructions.
            unsafe { sse2_f32(rounds) }
        },
        detected: || true,
    },
    Kernel {
        dtype: "f64",
        accumulate: "f64",
        simd: "AVX-512",
        ops_per_round: 12 * 2 * 8,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx512_f64(rounds) }
        },
        detected: || is_x86_feature_detected!("avx512f"),
    },
    Kernel {
        dtype: "f64",
        accumulate: "f64",
        simd: "AVX2 + FMA",
        ops_per_round: 12 * 2 * 4,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx2_f64(rounds) }
        },
        detected: || is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
    },
    Kernel {
        dtype: "f64",
        accumulate: "f64",
        simd: "SSE2",
        ops_per_round: 12 * 2 * 2,
        run: |rounds| {
            // SAFETY: every CPU of this architecture has these instructions.
            unsafe { sse2_f64(rounds) }
        },
        detected: || true,
    },
    Kernel {
        dtype: "bf16",
        accumulate: "f32",
        simd: "AVX-512 BF16",
        ops_per_round: 12 * 2 * 32,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx512_bf16(rounds) }
        },
        detected: || is_x86_feature_detected!("avx512bf16"),
    },
    Kernel {
        dtype: "i8",
        accumulate: "i32",
        simd: "AVX-512 VNNI",
        ops_per_round: 12 * 2 * 64,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx512_i8(rounds) }
        },
        detected: || is_x86_feature_detected!("avx512vnni"),
    },
    Kernel {
        dtype: "i8",
        accumulate: "i32",
        simd: "AVX-VNNI",
        ops_per_round: 12 * 2 * 32,
        run: |rounds| {
            // SAFETY: `super::best` offers this only where `detected` holds.
            unsafe { avx_i8(rounds) }
        },
        detected: || is_x86_feature_detected!("avxvnni"),
    },
];

/// Sums settle at one: they neither grow nor fade into denormals.
const FACTOR: f32 = 0.999_9;
const ADDEND: f32 = 0.000_1;

twelve!(
    avx512_f32,
    "avx512f",
    _mm512_fmadd_ps,
    _mm512_set1_ps(1.0),
    _mm512_set1_ps(FACTOR),
    _mm512_set1_ps(ADDEND)
);
twelve!(
    avx2_f32,
    "avx2,fma",
    _mm256_fmadd_ps,
    _mm256_set1_ps(1.0),
    _mm256_set1_ps(FACTOR),
    _mm256_set1_ps(ADDEND)
);
twelve!(
    sse2_f32,
    "sse2",
    multiply_add_f32,
    _mm_set1_ps(1.0),
    _mm_set1_ps(FACTOR),
    _mm_set1_ps(ADDEND)
);
twelve!(
    avx512_f64,
    "avx512f",
    _mm512_fmadd_pd,
    _mm512_set1_pd(1.0),
    _mm512_set1_pd(FACTOR.into()),
    _mm512_set1_pd(ADDEND.into())
);
twelve!(
    avx2_f64,
    "avx2,fma",
    _mm256_fmadd_pd,
    _mm256_set1_pd(1.0),
    _mm256_set1_pd(FACTOR.into()),
    _mm256_set1_pd(ADDEND.into())
);
twelve!(
    sse2_f64,
    "sse2",
    multiply_add_f64,
    _mm_set1_pd(1.0),
    _mm_set1_pd(FACTOR.into()),
    _mm_set1_pd(ADDEND.into())
);
twelve!(
    avx512_bf16,
    "avx512bf16,avx512f",
    _mm512_dpbf16_ps,
    _mm512_setzero_ps(),
    _mm512_cvtne2ps_pbh(_mm512_set1_ps(FACTOR), _mm512_set1_ps(-FACTOR)),
    _mm512_cvtne2ps_pbh(_mm512_set1_ps(FACTOR), _mm512_set1_ps(FACTOR))
);
twelve!(
    avx512_i8,
    "avx512vnni,avx512f",
    _mm512_dpbusd_epi32,
    _mm512_setzero_si512(),
    _mm512_set1_epi8(3),
    _mm512_set1_epi8(-2)
);
twelve!(
    avx_i8,
    "avxvnni,avx2",
    _mm256_dpbusd_avx_epi32,
    _mm256_setzero_si256(),
    _mm256_set1_epi8(3),
    _mm256_set1_epi8(-2)
);

/// SSE2 multiplies and adds in two instructions.
#[inline]
#[target_feature(enable = "sse2")]
fn multiply_add_f32(sum: __m128, factor: __m128, addend: __m128) -> __m128 {
    _mm_add_ps(_mm_mul_ps(sum, factor), addend)
}

#[inline]
#[target_feature(enable = "sse2")]
fn multiply_add_f64(sum: __m128d, factor: __m128d, addend: __m128d) -> __m128d {
    _mm_add_pd(_mm_mul_pd(sum, factor), addend)
}
