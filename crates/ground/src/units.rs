//! Physical quantities of the roofline model, as types.
//!
//! Only the products that mean something exist: `Flops / Bytes` is an [`Intensity`],
//! `BytesPerSecond * Intensity` is a [`FlopsPerSecond`], and nothing adds bytes to seconds.
//! Exact integer counts stay integers (`u128`) until they meet a rate; this module knows nothing
//! of graphs, devices or clocks.

mod format;

pub use format::{parse_si, si};

use serde::{Deserialize, Serialize};

macro_rules! quantity {
    ($($(#[$doc:meta])* $name:ident, $unit:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub f64);

        impl $name {
            /// The unit this quantity is printed in, before any SI prefix.
            pub const UNIT: &'static str = $unit;

            /// The bare number, in [`Self::UNIT`].
            pub fn get(self) -> f64 {
                self.0
            }

            /// The smaller of two.
            #[must_use]
            pub fn min(self, other: Self) -> Self {
                Self(self.0.min(other.0))
            }

            /// The larger of two.
            #[must_use]
            pub fn max(self, other: Self) -> Self {
                Self(self.0.max(other.0))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&si(self.0, $unit))
            }
        }

        impl std::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl std::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl std::ops::Mul<f64> for $name {
            type Output = Self;
            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl std::ops::Div for $name {
            type Output = f64;
            fn div(self, other: Self) -> f64 {
                self.0 / other.0
            }
        }

        impl std::iter::Sum for $name {
            fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
                Self(iter.map(|q| q.0).sum())
            }
        }
    )*};
}

quantity! {
    /// Floating-point operations, an FMA counted as two.
    Flops, "FLOP";
    /// Bytes moved or held.
    Bytes, "B";
    /// A duration.
    Seconds, "s";
    /// Arithmetic intensity.
    Intensity, "FLOP/B";
    /// A compute rate.
    FlopsPerSecond, "FLOP/s";
    /// A memory or link bandwidth, decimal.
    BytesPerSecond, "B/s";
    /// Electrical power.
    Watts, "W";
    /// Energy.
    Joules, "J";
    /// Completed inferences a second.
    Qps, "inf/s";
}

macro_rules! products {
    ($($a:ident $op:tt $b:ident = $c:ident;)*) => {$( product!($a $op $b = $c); )*};
}

macro_rules! product {
    ($a:ident / $b:ident = $c:ident) => {
        impl std::ops::Div<$b> for $a {
            type Output = $c;
            fn div(self, other: $b) -> $c {
                $c(self.0 / other.0)
            }
        }
    };
    ($a:ident * $b:ident = $c:ident) => {
        impl std::ops::Mul<$b> for $a {
            type Output = $c;
            fn mul(self, other: $b) -> $c {
                $c(self.0 * other.0)
            }
        }
    };
}

products! {
    Flops / Bytes = Intensity;
    Flops / FlopsPerSecond = Seconds;
    Flops / Seconds = FlopsPerSecond;
    Bytes / BytesPerSecond = Seconds;
    Bytes / Seconds = BytesPerSecond;
    BytesPerSecond * Intensity = FlopsPerSecond;
    FlopsPerSecond / BytesPerSecond = Intensity;
    Qps * Flops = FlopsPerSecond;
    Qps * Bytes = BytesPerSecond;
    Watts * Seconds = Joules;
    Joules / Seconds = Watts;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lawful_products() {
        let roof = BytesPerSecond(900e9) * Intensity(10.0);
        assert_eq!(roof, FlopsPerSecond(9e12));
        assert_eq!(Flops(9e12) / roof, Seconds(1.0));
        assert_eq!(FlopsPerSecond(15.7e12) / BytesPerSecond(900e9), Intensity(15.7e12 / 900e9));
    }

    #[test]
    fn display_is_si() {
        assert_eq!(FlopsPerSecond(312e12).to_string(), "312 TFLOP/s");
        assert_eq!(Seconds(0.001_234).to_string(), "1.23 ms");
        assert_eq!(Bytes(0.0).to_string(), "0 B");
    }
}
