//! The one source of random numbers of schedules, payloads and filled-in weights.

use std::time::SystemTime;

/// splitmix64: Steele, Lea & Flood, *Fast splittable pseudorandom number generators*, 2014.
///
/// Part of the contract of a schedule: the same seed must give the same numbers in every version.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A stream of its own for each seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "not an iterator: it never ends, and is not walked"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in −1 to 1.
    pub fn symmetric(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Uniform in 0 (out) to 1 (in).
    pub fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean one.
    pub fn exponential(&mut self) -> f64 {
        -self.unit().ln()
    }
}

/// The finaliser of splitmix64.
pub fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number that most likely no other process has, nor this one at another moment.
pub fn unlike_others() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = u64::try_from(since.as_nanos()).unwrap_or(0);
    mix(nanoseconds ^ u64::from(std::process::id()).rotate_left(40))
}
