//! Sums of a formula over the rounds of a loop.

use super::{Atom, Dim, Term};
use std::collections::BTreeMap;

impl Dim {
    /// `Σ self` for the symbol `name` = 0, 1, … `count` − 1, as a formula; none where `name` is in a
    /// division, minimum or maximum, or to a power above three.
    pub fn sum_over(&self, name: &str, count: &Self) -> Option<Self> {
        if self.is_overflow() || count.is_overflow() {
            return Some(Self::overflow());
        }
        let mut powers: BTreeMap<u32, Vec<Term>> = BTreeMap::new();
        for term in self.terms().iter() {
            let (power, rest) = term.without(name)?;
            powers.entry(power).or_default().push(rest);
        }
        let parts = powers.into_iter().map(|(power, terms)| {
            let terms = terms.into_iter().map(Term::into_parts);
            let factor = Self::collect(terms.map(|(factors, number)| (factors, Some(number))));
            let (sum, divisor) = power_sum(power, count)?;
            Some((factor * sum).floor_div(&Self::from(divisor)))
        });
        parts.sum()
    }
}

/// `Σ xᵖ` for x = 0 … n − 1, times a divisor, and the divisor.
fn power_sum(power: u32, n: &Dim) -> Option<(Dim, i128)> {
    let before = n.clone() - Dim::ONE;
    Some(match power {
        0 => (n.clone(), 1),
        1 => (n.clone() * before, 2),
        2 => (n.clone() * before * (n.clone() * Dim::from(2) - Dim::ONE), 6),
        3 => (n.pow(2) * before.pow(2), 4),
        _ => return None,
    })
}

impl Term {
    /// The power of the symbol `name`, and the rest of the product; none where it is inside another atom.
    fn without(&self, name: &str) -> Option<(u32, Self)> {
        let mut power = 0;
        let mut factors = Vec::with_capacity(self.factors.len());
        for (atom, exponent) in self.factors.iter() {
            match atom {
                Atom::Symbol(s) | Atom::Count(s) if &**s == name => power = *exponent,
                Atom::Symbol(_) | Atom::Count(_) => factors.push((atom.clone(), *exponent)),
                _ => {
                    let mut names = std::collections::BTreeSet::new();
                    Dim::atom(atom.clone()).symbols(&mut names);
                    if names.contains(name) {
                        return None;
                    }
                    factors.push((atom.clone(), *exponent));
                }
            }
        }
        let factors = super::Monomial(factors.into());
        Some((power, Self::new(factors, self.coefficient())))
    }
}
