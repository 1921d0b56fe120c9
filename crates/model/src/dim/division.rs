//! Division of formulas: exact where it can be, an atom of its own where it cannot.

use super::term::{Monomial, Term, quotient_factors};
use super::{Atom, Dim};

impl Dim {
    /// `⌊self / divisor⌋`. Exact where the divisor divides every term.
    #[must_use]
    pub fn floor_div(&self, divisor: &Self) -> Self {
        if self.is_overflow() || divisor.is_overflow() {
            return Self::overflow();
        }
        if divisor.is_one() || self.is_zero() {
            return self.clone();
        }
        if self == divisor {
            return Self::ONE;
        }
        match divisor.as_const() {
            Some(d) if d > 0 => self.floor_div_const(d),
            Some(_) => Self::atom(Atom::FloorDiv(self.clone(), divisor.clone())),
            None => self.exact_div(divisor).unwrap_or_else(|| {
                let common = self.common_symbols(divisor);
                if common.is_empty() {
                    return Self::atom(Atom::FloorDiv(self.clone(), divisor.clone()));
                }
                // ⌊(s·x)/(s·y)⌋ = ⌊x/y⌋, as s is at least one.
                self.without(&common).floor_div(&divisor.without(&common))
            }),
        }
    }

    /// The symbols, with powers, that every term of both has.
    fn common_symbols(&self, other: &Self) -> Vec<(Atom, u32)> {
        let (mine, theirs) = (self.terms(), other.terms());
        let mut terms = mine.iter().chain(theirs.iter());
        let mut common: Vec<(Atom, u32)> =
            terms.next().map_or_else(Vec::new, |t| t.factors.to_vec());
        common.retain(|(atom, _)| matches!(atom, Atom::Symbol(_)));
        for term in terms {
            common.retain_mut(|(atom, power)| {
                let found = term.factors.iter().find(|(a, _)| a == atom);
                *power = found.map_or(0, |(_, p)| *p).min(*power);
                *power > 0
            });
        }
        common
    }

    /// Each term divided by a product that it has.
    fn without(&self, product: &[(Atom, u32)]) -> Self {
        let divided =
            |t: &Term| Some((quotient_factors(&t.factors, product)?, Some(t.coefficient())));
        Self::collect(self.terms().iter().filter_map(divided))
    }

    /// `⌈self / divisor⌉`.
    #[must_use]
    pub fn ceil_div(&self, divisor: &Self) -> Self {
        (self.clone() + divisor.clone() - Self::ONE).floor_div(divisor)
    }

    /// `self − divisor·⌊self / divisor⌋`.
    #[must_use]
    pub fn modulo(&self, divisor: &Self) -> Self {
        match (self.as_const(), divisor.as_const()) {
            (Some(a), Some(b)) if b > 0 => return Self::from(a.rem_euclid(b)),
            (_, Some(b)) if b > 0 => {
                let terms = self.terms();
                if terms.iter().all(|t| t.coefficient() % b == 0) && !self.is_overflow() {
                    return Self::ZERO;
                }
            }
            _ => {}
        }
        if self.is_overflow() || divisor.is_overflow() {
            return Self::overflow();
        }
        Self::atom(Atom::Mod(self.clone(), divisor.clone()))
    }

    fn floor_div_const(&self, d: i128) -> Self {
        if let Some(c) = self.as_const() {
            return Self::from(c.div_euclid(d));
        }
        // ⌊(d·q + r)/d⌋ = q + ⌊r/d⌋: whole multiples leave the division.
        let (mut quotient, mut rest) = (Vec::new(), Vec::new());
        let mut constant = 0;
        for term in self.terms().iter() {
            if term.factors.is_empty() {
                quotient.push((Monomial::one(), Some(term.coefficient().div_euclid(d))));
                constant = term.coefficient().rem_euclid(d);
            } else if term.coefficient() % d == 0 {
                quotient.push((term.factors.clone(), Some(term.coefficient() / d)));
            } else {
                rest.push(term.clone());
            }
        }
        let quotient = Self::collect(quotient.into_iter());
        if rest.is_empty() {
            return quotient;
        }
        // ⌊(g·p + c)/(g·d')⌋ = ⌊(p + ⌊c/g⌋)/d'⌋.
        let g = rest.iter().fold(d, |g, t| gcd(g, t.coefficient()));
        let (d, constant) = (d / g, constant.div_euclid(g));
        // ⌊(⌊x/a⌋ + c)/d⌋ = ⌊(x + a·c)/(a·d)⌋.
        if let [only] = &rest[..] {
            if let ([(Atom::FloorDiv(x, a), 1)], true) = (&*only.factors, only.coefficient() == g) {
                if let (Some(a), true) = (a.as_const().filter(|a| *a > 0), d > 1) {
                    if let (Some(ad), Some(ac)) = (a.checked_mul(d), a.checked_mul(constant)) {
                        return quotient + (x.clone() + Self::from(ac)).floor_div_const(ad);
                    }
                }
            }
        }
        let inner = rest.into_iter().map(Term::into_parts).map(|(f, n)| (f, Some(n / g)));
        let inner = Self::collect(inner.chain(std::iter::once((Monomial::one(), Some(constant)))));
        if d == 1 {
            return quotient + inner;
        }
        quotient + Self::atom(Atom::FloorDiv(inner, Self::from(d)))
    }

    /// `self / divisor` where it has no remainder: by long division on leading terms.
    pub fn exact_div(&self, divisor: &Self) -> Option<Self> {
        let divisor_terms = divisor.terms();
        let lead = divisor_terms.last()?;
        let mut rest = self.clone();
        let mut quotient = Self::ZERO;
        for _ in 0..64 {
            if rest.is_zero() {
                return Some(quotient);
            }
            let rest_terms = rest.terms();
            let top = rest_terms.last()?;
            if lead.coefficient() == 0 || top.coefficient() % lead.coefficient() != 0 {
                return None;
            }
            let factors = quotient_factors(&top.factors, &lead.factors)?;
            let step = Self::collect(std::iter::once((
                factors,
                Some(top.coefficient() / lead.coefficient()),
            )));
            quotient = quotient + step.clone();
            rest = rest.clone() - step * divisor.clone();
            if rest.is_overflow() {
                return None;
            }
        }
        None
    }
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
}
