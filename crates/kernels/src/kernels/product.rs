//! A real matrix product in f32: what the arithmetic reaches once operands come from memory.
//!
//! Blocks and packed panels as in Goto & van de Geijn, *Anatomy of high-performance matrix
//! multiplication*, ACM TOMS 34(3), 2008. Sizes are multiples of the tile: this is a yardstick, not
//! a library.

/// Rows, columns and depth of the square product that is timed; a multiple of every tile.
pub const SIZE: usize = 1152;
/// Depth of a packed panel: a sliver of B stays in L1.
const DEPTH: usize = 288;
/// Rows of a packed block of A: it stays in L2.
const ROWS: usize = 96;

/// A square product with operands of its own.
pub struct Product {
    size: usize,
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    packed_a: Vec<f32>,
    packed_b: Vec<f32>,
}

/// Adds the product of a packed sliver of A and one of B to a tile of C.
struct Tile {
    simd: &'static str,
    rows: usize,
    columns: usize,
    run: fn(&[f32], &[f32], &mut [f32], usize),
}

/// Instructions the product is computed with.
pub fn simd() -> &'static str {
    best().simd
}

impl Product {
    /// A product of two matrices of `size`, a multiple of 288.
    pub fn new(size: usize) -> Self {
        let matrix = |step: f32| (0..size * size).map(|i| (i % 7) as f32 * step - 1.0).collect();
        Self {
            size,
            a: matrix(0.25),
            b: matrix(0.5),
            c: vec![0.0; size * size],
            packed_a: vec![0.0; ROWS * DEPTH],
            packed_b: vec![0.0; DEPTH * size],
        }
    }

    /// Operations of one product.
    pub fn flops(&self) -> f64 {
        2.0 * (self.size as f64).powi(3)
    }

    /// `C += A·B`; all matrices hold columns one after another.
    pub fn run(&mut self) {
        let (n, tile) = (self.size, best());
        for depth in (0..n).step_by(DEPTH) {
            self.pack_b(depth, tile.columns);
            for top in (0..n).step_by(ROWS) {
                self.pack_a(top, depth, tile.rows);
                let slivers = self.packed_b.chunks_exact(DEPTH * tile.columns).enumerate();
                for (j, b) in slivers {
                    let blocks = self.packed_a.chunks_exact(DEPTH * tile.rows).enumerate();
                    for (i, a) in blocks {
                        let corner = j * tile.columns * n + top + i * tile.rows;
                        (tile.run)(a, b, &mut self.c[corner..], n);
                    }
                }
            }
        }
        std::hint::black_box(&mut self.c);
    }

    /// Slivers of `rows` rows, depth by depth.
    fn pack_a(&mut self, top: usize, depth: usize, rows: usize) {
        for (i, sliver) in self.packed_a.chunks_exact_mut(DEPTH * rows).enumerate() {
            for (k, to) in sliver.chunks_exact_mut(rows).enumerate() {
                let from = (depth + k) * self.size + top + i * rows;
                to.copy_from_slice(&self.a[from..from + rows]);
            }
        }
    }

    /// Slivers of `columns` columns, depth by depth.
    fn pack_b(&mut self, depth: usize, columns: usize) {
        for (j, sliver) in self.packed_b.chunks_exact_mut(DEPTH * columns).enumerate() {
            for column in 0..columns {
                let from = (j * columns + column) * self.size + depth;
                for (k, x) in self.b[from..from + DEPTH].iter().enumerate() {
                    sliver[k * columns + column] = *x;
                }
            }
        }
    }
}

#[allow(unreachable_code)]
fn best() -> Tile {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return avx512::TILE;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return avx2::TILE;
        }
        return sse2::TILE;
    }
    #[cfg(target_arch = "aarch64")]
    return neon::TILE;
    PORTABLE
}

const PORTABLE: Tile = Tile {
    simd: "portable",
    rows: 8,
    columns: 4,
    run: |a, b, c, stride| {
        let mut sums = [[0.0f32; 8]; 4];
        for (a, b) in a.as_chunks::<8>().0.iter().zip(b.as_chunks::<4>().0) {
            for (sums, b) in sums.iter_mut().zip(b) {
                for (sum, a) in sums.iter_mut().zip(a) {
                    *sum += a * b;
                }
            }
        }
        for (column, sums) in sums.iter().enumerate() {
            for (c, sum) in c[column * stride..].iter_mut().zip(sums) {
                *c += sum;
            }
        }
    },
};

/// A tile two vectors high whose sums fill the registers of one instruction set.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! tile {
    ($name:ident, $arch:ident, $features:literal, $simd:literal, $lanes:literal, $columns:literal,
     $set:ident, $load:ident, $store:ident, $add:ident, $multiply_add:expr) => {
        #[allow(unsafe_code)]
        mod $name {
            use super::Tile;
            use std::arch::$arch::*;

            pub(super) const TILE: Tile = Tile {
                simd: $simd,
                rows: 2 * $lanes,
                columns: $columns,
                // SAFETY: `best` offers this only where the CPU has the instructions.
                run: |a, b, c, stride| unsafe { run(a, b, c, stride) },
            };

            #[target_feature(enable = $features)]
            fn run(a: &[f32], b: &[f32], c: &mut [f32], stride: usize) {
                assert!(c.len() >= ($columns - 1) * stride + 2 * $lanes);
                let mut sums = [[$set(0.0); 2]; $columns];
                let depths = a.as_chunks::<{ 2 * $lanes }>().0.iter();
                for (a, b) in depths.zip(b.as_chunks::<$columns>().0) {
                    // SAFETY: the chunk is two vectors long.
                    let a = unsafe { [$load(a.as_ptr()), $load(a.as_ptr().add($lanes))] };
                    for (sums, b) in sums.iter_mut().zip(b) {
                        let b = $set(*b);
                        sums[0] = $multiply_add(a[0], b, sums[0]);
                        sums[1] = $multiply_add(a[1], b, sums[1]);
                    }
                }
                for (column, sums) in sums.iter().enumerate() {
                    // SAFETY: the assertion above covers the last element of the last column.
                    unsafe {
                        let to = c.as_mut_ptr().add(column * stride);
                        $store(to, $add($load(to), sums[0]));
                        $store(to.add($lanes), $add($load(to.add($lanes)), sums[1]));
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
tile!(
    avx512,
    x86_64,
    "avx512f",
    "AVX-512",
    16,
    12,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
tile!(
    avx2,
    x86_64,
    "avx2,fma",
    "AVX2 + FMA",
    8,
    6,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps
);
#[cfg(target_arch = "x86_64")]
tile!(
    sse2,
    x86_64,
    "sse2",
    "SSE2",
    4,
    4,
    _mm_set1_ps,
    _mm_loadu_ps,
    _mm_storeu_ps,
    _mm_add_ps,
    |a, b, sum| _mm_add_ps(_mm_mul_ps(a, b), sum)
);
#[cfg(target_arch = "aarch64")]
tile!(
    neon,
    aarch64,
    "neon",
    "NEON",
    4,
    12,
    vdupq_n_f32,
    vld1q_f32,
    vst1q_f32,
    vaddq_f32,
    |a, b, sum| vfmaq_f32(sum, a, b)
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_equals_the_sums_written_out() {
        let n = DEPTH;
        let mut product = Product::new(n);
        product.run();
        for (row, column) in [(0, 0), (n - 1, n - 1), (17, 101), (200, 3)] {
            let sum: f64 = (0..n)
                .map(|k| f64::from(product.a[k * n + row]) * f64::from(product.b[column * n + k]))
                .sum();
            let got = f64::from(product.c[column * n + row]);
            assert!((got - sum).abs() < 1e-3 * sum.abs().max(1.0), "{row},{column}: {got} {sum}");
        }
    }

    #[test]
    fn the_timed_size_is_whole_tiles() {
        let mut tiles = vec![PORTABLE, best()];
        #[cfg(target_arch = "x86_64")]
        tiles.extend([sse2::TILE, avx2::TILE, avx512::TILE]);
        for tile in tiles {
            assert_eq!((SIZE % DEPTH, SIZE % ROWS), (0, 0));
            assert_eq!((ROWS % tile.rows, SIZE % tile.columns), (0, 0), "{}", tile.simd);
        }
    }
}
