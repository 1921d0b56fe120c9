//! Student's t: its distribution by the incomplete beta function, and its quantile by bisection.
//!
//! Continued fraction of the incomplete beta function: Abramowitz & Stegun 26.5.8; ln Γ by Stirling's series, 6.1.41.

/// Probability that |t| with these degrees of freedom is larger than `t`.
pub(super) fn two_sided(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom <= 0.0 {
        return 1.0;
    }
    beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// The t that |t| exceeds with this probability.
pub(super) fn quantile(probability: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1e6);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        *(if two_sided(middle, freedom) > probability { &mut low } else { &mut high }) = middle;
    }
    f64::midpoint(low, high)
}

/// The regularised incomplete beta function.
fn beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front =
        (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp();
    // The fraction converges fast on one side of the mean only.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction, from the front, by Lentz's method.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for m in 1..=300 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            step = c * d;
            result *= step;
        }
        if (step - 1.0).abs() < 1e-14 {
            break;
        }
    }
    result
}

fn ln_gamma(x: f64) -> f64 {
    // From 10 on the series is good to 1e-12; below, Γ(x) = Γ(x + 1) / x.
    if x < 10.0 {
        return ln_gamma(x + 1.0) - x.ln();
    }
    let inverse = 1.0 / (x * x);
    let series =
        (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables of the t distribution: two-sided 5 % and 1 %.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, five, one) in
            [(1.0, 12.706, 63.657), (2.0, 4.303, 9.925), (8.0, 2.306, 3.355), (31.0, 2.0395, 2.744)]
        {
            assert!((quantile(0.05, freedom) / five - 1.0).abs() < 2e-4, "{freedom}");
            assert!((quantile(0.01, freedom) / one - 1.0).abs() < 2e-4, "{freedom}");
        }
        assert!((two_sided(2.306, 8.0) - 0.05).abs() < 1e-4);
        assert!((two_sided(0.0, 5.0) - 1.0).abs() < 1e-12);
    }
}
