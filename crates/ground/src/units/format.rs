//! Printing and reading of numbers with SI prefixes.

const PREFIXES: &[(f64, &str)] = &[
    (1e18, "E"),
    (1e15, "P"),
    (1e12, "T"),
    (1e9, "G"),
    (1e6, "M"),
    (1e3, "k"),
    (1.0, ""),
    (1e-3, "m"),
    (1e-6, "µ"),
    (1e-9, "n"),
];

/// `value` with three significant digits and a decimal SI prefix: `si(9e11, "B/s")` is `900 GB/s`.
pub fn si(value: f64, unit: &str) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value} {unit}");
    }
    // A value that rounds up to 1000 of a prefix belongs to the next prefix.
    let rounded: f64 = format!("{value:.2e}").parse().unwrap_or(value);
    let (scale, prefix) =
        PREFIXES.iter().find(|(scale, _)| rounded.abs() >= *scale).copied().unwrap_or((1e-9, "n"));
    let scaled = rounded / scale;
    let digits = match scaled.abs() {
        x if x >= 99.95 => 0,
        x if x >= 9.995 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$} {prefix}{unit}")
}

/// Reads a number with an optional SI prefix and an optional unit: `312T`, `900 GB/s`, `1.5e9`.
///
/// Returns `None` when the text does not start with a number or the prefix is unknown.
pub fn parse_si(text: &str, unit: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix(unit).unwrap_or(text).trim_end();
    if let Ok(value) = text.parse::<f64>() {
        return value.is_finite().then_some(value);
    }
    let (number, prefix) = text.split_at(text.char_indices().last()?.0);
    let prefix = if prefix == "u" { "µ" } else { prefix };
    let scale = PREFIXES.iter().find(|(_, p)| *p == prefix && !p.is_empty())?.0;
    let value = number.trim_end().parse::<f64>().ok()? * scale;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_and_a_prefix() {
        assert_eq!(si(999_999.0, "B"), "1.00 MB");
        assert_eq!(si(12.34, "s"), "12.3 s");
        assert_eq!(si(1.0, "s"), "1.00 s");
        assert_eq!(si(-2500.0, "B"), "-2.50 kB");
    }

    #[test]
    fn reading_undoes_printing() {
        assert_eq!(parse_si("900 GB/s", "B/s"), Some(900e9));
        assert_eq!(parse_si("312T", "FLOP/s"), Some(312e12));
        assert_eq!(parse_si("1.5e9", "B"), Some(1.5e9));
        assert_eq!(parse_si("fast", "B"), None);
        assert_eq!(parse_si("", "B"), None);
    }
}
