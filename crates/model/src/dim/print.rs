//! How a [`Dim`] reads: highest degree first, common symbols drawn out in front.

use super::term::quotient_factors;
use super::{Atom, Dim, Term, View};
use std::fmt::{self, Write};

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.view() {
            View::Number(n) => write!(f, "{n}"),
            View::Overflow => f.write_str("too large"),
            View::Poly(terms) => {
                let common = common_factors(terms);
                if common.is_empty() || terms.len() < 2 {
                    return write_sum(f, terms);
                }
                let inner: Vec<Term> = terms
                    .iter()
                    .map(|t| {
                        let rest = quotient_factors(&t.factors, &common);
                        Term::new(rest.unwrap_or_else(super::Monomial::one), t.coefficient())
                    })
                    .collect();
                write_factors(f, &common)?;
                f.write_str("·(")?;
                write_sum(f, &inner)?;
                f.write_char(')')
            }
        }
    }
}

/// The symbols that every term has, each to the least power.
fn common_factors(terms: &[Term]) -> Vec<(Atom, u32)> {
    let Some((first, rest)) = terms.split_first() else { return Vec::new() };
    first
        .factors
        .iter()
        .filter_map(|(atom, exponent)| {
            let least = rest.iter().try_fold(*exponent, |least, term| {
                term.factors.iter().find(|(a, _)| a == atom).map(|(_, e)| least.min(*e))
            })?;
            Some((atom.clone(), least))
        })
        .collect()
}

fn write_sum(f: &mut fmt::Formatter<'_>, terms: &[Term]) -> fmt::Result {
    let mut sorted: Vec<&Term> = terms.iter().collect();
    let degree = |t: &Term| t.factors.iter().map(|(_, e)| u64::from(*e)).sum::<u64>();
    sorted.sort_by(|a, b| degree(b).cmp(&degree(a)).then_with(|| a.factors.cmp(&b.factors)));
    for (i, term) in sorted.iter().enumerate() {
        let magnitude = term.coefficient().unsigned_abs();
        match (i, term.coefficient() < 0) {
            (0, true) => f.write_char('-')?,
            (0, false) => {}
            (_, true) => f.write_str(" - ")?,
            (_, false) => f.write_str(" + ")?,
        }
        if term.factors.is_empty() {
            write!(f, "{magnitude}")?;
        } else {
            if magnitude != 1 {
                write!(f, "{magnitude}·")?;
            }
            write_factors(f, &term.factors)?;
        }
    }
    Ok(())
}

fn write_factors(f: &mut fmt::Formatter<'_>, factors: &[(Atom, u32)]) -> fmt::Result {
    for (i, (atom, exponent)) in factors.iter().enumerate() {
        if i > 0 {
            f.write_char('·')?;
        }
        match atom {
            Atom::Symbol(name) | Atom::Count(name) => f.write_str(name)?,
            Atom::FloorDiv(a, b) => write!(f, "floor(({a})/({b}))")?,
            Atom::Mod(a, b) => write!(f, "mod({a}, {b})")?,
            Atom::Min(a, b) => write!(f, "min({a}, {b})")?,
            Atom::Max(a, b) => write!(f, "max({a}, {b})")?,
            Atom::CeilLog2(a) => write!(f, "ceil_log2({a})")?,
        }
        if *exponent > 1 {
            write!(f, "^{exponent}")?;
        }
    }
    Ok(())
}
