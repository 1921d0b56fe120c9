//! The arithmetic loops that are timed, and which of them this CPU can run.
//!
//! Each keeps independent sums in registers and does nothing but the instruction under test. Knows
//! neither clocks nor threads.

#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod x86;

/// An arithmetic kernel.
pub struct Kernel {
    /// Type of the factors.
    pub dtype: &'static str,
    /// Type of the sums.
    pub accumulate: &'static str,
    /// Instructions it uses.
    pub simd: &'static str,
    /// Operations a round does, a multiply–add counted as two.
    pub ops_per_round: u32,
    /// Runs this many rounds.
    pub run: fn(u32),
    /// Whether this CPU has the instructions.
    detected: fn() -> bool,
}

/// Types a kernel is looked for.
pub const DTYPES: &[&str] = &["f64", "f32", "bf16", "i8"];

#[cfg(target_arch = "x86_64")]
const NATIVE: &[Kernel] = x86::KERNELS;
#[cfg(target_arch = "aarch64")]
const NATIVE: &[Kernel] = neon::KERNELS;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const NATIVE: &[Kernel] = &[];

/// The widest kernel for `dtype` that this CPU runs.
pub fn best(dtype: &str) -> Option<&'static Kernel> {
    let all = NATIVE.iter().chain([&PORTABLE]);
    all.filter(|k| k.dtype == dtype).find(|k| (k.detected)())
}

/// All kernels this CPU runs.
#[cfg(test)]
fn detected() -> impl Iterator<Item = &'static Kernel> {
    NATIVE.iter().chain([&PORTABLE]).filter(|k| (k.detected)())
}

/// The widest f32 kernel; every CPU has one.
pub fn f32_kernel() -> &'static Kernel {
    best("f32").unwrap_or(&PORTABLE)
}

/// Repeats a step for twelve sums: more than the latency of the step times the units that do it.
#[cfg(target_arch = "x86_64")]
macro_rules! twelve {
    ($name:ident, $features:literal, $step:path, $zero:expr, $x:expr, $y:expr) => {
        #[target_feature(enable = $features)]
        fn $name(rounds: u32) {
            let (x, y) = (std::hint::black_box($x), std::hint::black_box($y));
            let mut sums = [$zero; 12];
            for _ in 0..rounds {
                sums[0] = $step(sums[0], x, y);
                sums[1] = $step(sums[1], x, y);
                sums[2] = $step(sums[2], x, y);
                sums[3] = $step(sums[3], x, y);
                sums[4] = $step(sums[4], x, y);
                sums[5] = $step(sums[5], x, y);
                sums[6] = $step(sums[6], x, y);
                sums[7] = $step(sums[7], x, y);
                sums[8] = $step(sums[8], x, y);
                sums[9] = $step(sums[9], x, y);
                sums[10] = $step(sums[10], x, y);
                sums[11] = $step(sums[11], x, y);
            }
            std::hint::black_box(sums);
        }
    };
}
#[cfg(target_arch = "x86_64")]
use twelve;

const LANES: u32 = 8;

/// Multiplies and adds that the compiler may vectorise with the instructions every CPU of this
/// kind has.
const PORTABLE: Kernel = Kernel {
    dtype: "f32",
    accumulate: "f32",
    simd: "portable",
    ops_per_round: 2 * 12 * LANES,
    run: portable,
    detected: || true,
};

fn portable(rounds: u32) {
    let factor = std::hint::black_box(0.999_9f32);
    let mut sums = [[1.0f32; LANES as usize]; 12];
    for _ in 0..rounds {
        for sum in &mut sums {
            for lane in sum {
                *lane = *lane * factor + 0.000_1;
            }
        }
    }
    std::hint::black_box(sums);
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_detected_kernel_runs() {
        for kernel in super::detected() {
            (kernel.run)(3);
            assert!(kernel.ops_per_round >= 48, "{}", kernel.simd);
        }
    }

    #[test]
    fn an_f32_kernel_is_always_there_and_an_unknown_type_never() {
        assert_eq!(super::f32_kernel().dtype, "f32");
        assert!(super::best("f4").is_none());
    }
}
