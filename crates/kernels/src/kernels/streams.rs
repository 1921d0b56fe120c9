//! Loops over memory: reading, copying, and the triad `a = b + s·c`.
//!
//! STREAM's counting (`McCalpin`, 1995): the bytes that the loop names; the line a store first
//! fetches is not counted. Stores are ordinary ones, that fill the caches.

/// A cache line of f32.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([f32; 16]);

/// Bytes of a cache line, which passes over memory go by.
pub const LINE: usize = 64;

/// What is done to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Sums an array.
    Read,
    /// `a = b`.
    Copy,
    /// `a = b + s·c`.
    Triad,
}

impl Pattern {
    /// All patterns.
    pub const ALL: [Self; 3] = [Self::Read, Self::Copy, Self::Triad];

    /// The word printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Copy => "copy",
            Self::Triad => "triad",
        }
    }

    /// Arrays it goes over.
    fn arrays(self) -> usize {
        match self {
            Self::Read => 1,
            Self::Copy => 2,
            Self::Triad => 3,
        }
    }
}

/// Arrays of one thread, in one allocation and apart by less than a page, so that a load never
/// waits for a store to the same offset of another page.
pub struct Arrays {
    lines: Vec<Line>,
    each: usize,
    pattern: Pattern,
}

/// Lines between two arrays.
const GAP: usize = 24;
/// Arrays are multiples of this: whole pages.
const GRAIN: usize = 64;

impl Arrays {
    /// Arrays for `pattern` of about `bytes` together.
    pub fn new(pattern: Pattern, bytes: usize) -> Self {
        let arrays = pattern.arrays();
        let each = (bytes / LINE / arrays / GRAIN).max(1) * GRAIN;
        Self { lines: vec![Line([1.0; 16]); arrays * (each + GAP)], each, pattern }
    }

    /// Bytes that a pass moves.
    pub fn bytes(&self) -> usize {
        self.each * LINE * self.pattern.arrays()
    }

    /// Goes over the arrays this many times.
    pub fn pass(&mut self, times: u32) {
        let each = self.each;
        let (a, rest) = self.lines.split_at_mut(each + GAP);
        let a = &mut a[..each];
        let loops = best();
        for _ in 0..times {
            match self.pattern {
                Pattern::Read => (loops.read)(a),
                Pattern::Copy => (loops.copy)(a, &rest[..each]),
                Pattern::Triad => (loops.triad)(a, &rest[..each], &rest[each + GAP..][..each]),
            }
            std::hint::black_box(&mut *a);
        }
    }
}

struct Loops {
    read: fn(&[Line]),
    copy: fn(&mut [Line], &[Line]),
    triad: fn(&mut [Line], &[Line], &[Line]),
}

/// Factor of the triad.
const SCALE: f32 = 3.0;

#[allow(unreachable_code)]
fn best() -> Loops {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return avx512::LOOPS;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return avx2::LOOPS;
        }
        return sse2::LOOPS;
    }
    #[cfg(target_arch = "aarch64")]
    return neon::LOOPS;
    PORTABLE
}

const PORTABLE: Loops = Loops {
    read: |data| {
        let mut sums = [0.0f32; 16];
        for line in data {
            for (sum, x) in sums.iter_mut().zip(line.0) {
                *sum += x;
            }
        }
        std::hint::black_box(sums);
    },
    copy: |a, b| a.copy_from_slice(b),
    triad: |a, b, c| {
        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
            for ((a, b), c) in a.0.iter_mut().zip(b.0).zip(c.0) {
                *a = b + SCALE * c;
            }
        }
    },
};

/// The three loops with the vectors of one instruction set; eight vectors a turn when reading.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! loops {
    ($name:ident, $arch:ident, $features:literal, $lanes:literal,
     $set:ident, $load:ident, $store:ident, $add:ident, $triad:expr) => {
        #[allow(unsafe_code)]
        mod $name {
            use super::{LINE, Line, Loops, SCALE};
            use std::arch::$arch::*;

            pub(super) const LOOPS: Loops = Loops {
                read: |data| {
                    // SAFETY: `best` offers this only where the CPU has the instructions.
                    unsafe { read(data) }
                },
                copy: |a, b| {
                    // SAFETY: `best` offers this only where the CPU has the instructions.
                    unsafe { copy(a, b) }
                },
                triad: |a, b, c| {
                    // SAFETY: `best` offers this only where the CPU has the instructions.
                    unsafe { triad(a, b, c) }
                },
            };

            /// Bytes of a vector, vectors of a line, lines of eight vectors.
            const WIDTH: usize = $lanes * size_of::<f32>();
            const VECTORS: usize = LINE / WIDTH;
            const BLOCK: usize = 8 * WIDTH / LINE;

            #[target_feature(enable = $features)]
            fn read(data: &[Line]) {
                let mut sums = [$set(0.0); 8];
                for block in data.as_chunks::<BLOCK>().0 {
                    let from = block.as_ptr().cast::<f32>();
                    // SAFETY: a block is eight vectors long.
                    unsafe {
                        sums[0] = $add(sums[0], $load(from));
                        sums[1] = $add(sums[1], $load(from.add($lanes)));
                        sums[2] = $add(sums[2], $load(from.add(2 * $lanes)));
                        sums[3] = $add(sums[3], $load(from.add(3 * $lanes)));
                        sums[4] = $add(sums[4], $load(from.add(4 * $lanes)));
                        sums[5] = $add(sums[5], $load(from.add(5 * $lanes)));
                        sums[6] = $add(sums[6], $load(from.add(6 * $lanes)));
                        sums[7] = $add(sums[7], $load(from.add(7 * $lanes)));
                    }
                }
                std::hint::black_box(sums);
            }

            #[target_feature(enable = $features)]
            fn copy(a: &mut [Line], b: &[Line]) {
                for (a, b) in a.iter_mut().zip(b) {
                    let (to, from) = (a.0.as_mut_ptr(), b.0.as_ptr());
                    for i in 0..VECTORS {
                        // SAFETY: a line is `VECTORS` vectors long.
                        unsafe { $store(to.add(i * $lanes), $load(from.add(i * $lanes))) };
                    }
                }
            }

            #[target_feature(enable = $features)]
            fn triad(a: &mut [Line], b: &[Line], c: &[Line]) {
                let scale = $set(SCALE);
                for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                    let (to, b, c) = (a.0.as_mut_ptr(), b.0.as_ptr(), c.0.as_ptr());
                    for i in 0..VECTORS {
                        let at = i * $lanes;
                        // SAFETY: a line is `VECTORS` vectors long.
                        unsafe {
                            $store(to.add(at), $triad($load(b.add(at)), $load(c.add(at)), scale))
                        };
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
loops!(
    avx512,
    x86_64,
    "avx512f",
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    |b, c, s| _mm512_fmadd_ps(c, s, b)
);
#[cfg(target_arch = "x86_64")]
loops!(
    avx2,
    x86_64,
    "avx2,fma",
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    |b, c, s| _mm256_fmadd_ps(c, s, b)
);
#[cfg(target_arch = "x86_64")]
loops!(sse2, x86_64, "sse2", 4, _mm_set1_ps, _mm_loadu_ps, _mm_storeu_ps, _mm_add_ps, |b, c, s| {
    _mm_add_ps(b, _mm_mul_ps(c, s))
});
#[cfg(target_arch = "aarch64")]
loops!(
    neon,
    aarch64,
    "neon",
    4,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    |b, c, s| vfmaq_f32(b, c, s)
);

#[cfg(test)]
mod tests {
    use super::*;

    /// The loops of every instruction set this CPU has.
    fn all() -> Vec<Loops> {
        let mut all = vec![PORTABLE, best()];
        #[cfg(target_arch = "x86_64")]
        {
            all.push(sse2::LOOPS);
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(avx2::LOOPS);
            }
        }
        all
    }

    #[test]
    fn copies_and_triads_are_right_to_the_last_line() {
        let b: Vec<Line> = (0u8..9).map(|i| Line([i.into(); 16])).collect();
        let c = vec![Line([10.0; 16]); 9];
        for loops in all() {
            let mut a = vec![Line([0.0; 16]); 9];
            (loops.copy)(&mut a, &b);
            assert!(a.iter().zip(&b).all(|(a, b)| a.0.map(f32::to_bits) == b.0.map(f32::to_bits)));
            (loops.triad)(&mut a, &b, &c);
            for (i, line) in a.iter().enumerate() {
                assert!(line.0.iter().all(|x| (*x - (i as f32 + 30.0)).abs() < 1e-6), "line {i}");
            }
            (loops.read)(&a);
        }
    }

    #[test]
    fn arrays_are_about_as_large_as_asked() {
        for pattern in Pattern::ALL {
            let mut arrays = Arrays::new(pattern, 1 << 20);
            arrays.pass(2);
            let bytes = arrays.bytes();
            assert!(bytes <= 1 << 20 && bytes > (1 << 20) - (1 << 15), "{pattern:?}: {bytes}");
        }
    }
}
