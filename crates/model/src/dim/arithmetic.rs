//! Sums and products of formulas in canonical form. Terms are sorted and each is there once.

use super::repr::View;
use super::term::{Monomial, Term};
use super::{Dim, MAX_TERMS, memo};
use std::collections::BTreeMap;

impl Dim {
    /// `self` to the power of `exponent`.
    #[must_use]
    pub fn pow(&self, exponent: u32) -> Self {
        if let Some(c) = self.as_const() {
            return c.checked_pow(exponent).map_or(Self::overflow(), Self::from);
        }
        let mut result = Self::ONE;
        for _ in 0..exponent {
            result = result * self.clone();
            if result.is_overflow() {
                break;
            }
        }
        result
    }

    /// Sums like terms, drops zeros and sorts.
    pub(super) fn collect(terms: impl Iterator<Item = (Monomial, Option<i128>)>) -> Self {
        let mut map: BTreeMap<Monomial, i128> = BTreeMap::new();
        for (factors, coefficient) in terms {
            let Some(coefficient) = coefficient else { return Self::overflow() };
            let slot = map.entry(factors).or_insert(0);
            let Some(sum) = slot.checked_add(coefficient) else { return Self::overflow() };
            *slot = sum;
            if map.len() > MAX_TERMS {
                return Self::overflow();
            }
        }
        map.retain(|_, coefficient| *coefficient != 0);
        match map.iter().next() {
            None => Self::ZERO,
            Some((factors, c)) if map.len() == 1 && factors.is_empty() => Self::from(*c),
            _ => Self::of_terms(
                map.into_iter().map(|(factors, coefficient)| Term::new(factors, coefficient)),
            ),
        }
    }

    /// The sum of two lists of sorted terms.
    fn merged(a: &[Term], b: &[Term]) -> Self {
        let alike = a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.factors == y.factors);
        let sum = |x: &Term, y: &Term| x.coefficient().checked_add(y.coefficient());
        if alike && a.iter().zip(b).all(|(x, y)| sum(x, y).is_some_and(|sum| sum != 0)) {
            let term = |(x, y): (&Term, &Term)| {
                let coefficient = x.coefficient().saturating_add(y.coefficient());
                Term::new(x.factors.clone(), coefficient)
            };
            return Self::of_terms(a.iter().zip(b).map(term));
        }
        Self::interleaved(a, b)
    }

    /// The same of any two lists.
    fn interleaved(mut a: &[Term], mut b: &[Term]) -> Self {
        let mut sum: Vec<Term> = Vec::with_capacity(a.len() + b.len());
        let mut vanished = 0;
        while let (Some(x), Some(y)) = (a.first(), b.first()) {
            let order = x.factors.cmp(&y.factors);
            match order {
                std::cmp::Ordering::Less => sum.push(x.clone()),
                std::cmp::Ordering::Greater => sum.push(y.clone()),
                std::cmp::Ordering::Equal => match x.coefficient().checked_add(y.coefficient()) {
                    None => return Self::overflow(),
                    Some(0) => vanished += 1,
                    Some(coefficient) => sum.push(Term::new(x.factors.clone(), coefficient)),
                },
            }
            a = &a[usize::from(order.is_le())..];
            b = &b[usize::from(order.is_ge())..];
        }
        sum.extend(a.iter().chain(b).cloned());
        if sum.len() + vanished > MAX_TERMS {
            return Self::overflow();
        }
        match &sum[..] {
            [] => Self::ZERO,
            [only] if only.factors.is_empty() => Self::from(only.coefficient()),
            _ => Self::of_terms(sum.into_iter()),
        }
    }

    /// The product of two polynomials.
    fn multiplied(a: &[Term], b: &[Term]) -> Self {
        let products = a.len().saturating_mul(b.len());
        if products > MAX_TERMS * 16 {
            return Self::overflow();
        }
        let product = |x: &Term, y: &Term| match x.factors.times(&y.factors) {
            Some(factors) => (factors, x.coefficient().checked_mul(y.coefficient())),
            None => (Monomial::one(), None),
        };
        if products > 1 {
            return Self::collect(a.iter().flat_map(|x| b.iter().map(move |y| product(x, y))));
        }
        let only = (a.first().zip(b.first())).map(|(x, y)| product(x, y));
        let term = only.and_then(|(factors, c)| Some(Term::new(factors, c?)));
        term.map_or(Self::overflow(), |term| Self::of_terms([term].into_iter()))
    }

    /// The product of sizes, each of one term where there are many.
    pub(crate) fn product_of<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        /// More factors than this are put together at once, without the products of some of them.
        const MANY: usize = 8;
        let open = all.clone().filter(|factor| !factor.poly().is_empty());
        if open.clone().nth(MANY).is_none() || open.clone().any(|f| f.poly().len() > 1) {
            return Self::chained(all);
        }
        let terms = || open.clone().filter_map(|factor| factor.poly().first());
        let Some(factors) = Monomial::product(terms().map(|term| &term.factors)) else {
            return Self::overflow();
        };
        let product = Self::of_terms([Term::new(factors, 1)].into_iter());
        let coefficients = terms().map(|term| Self::from(term.coefficient()));
        let numbers = all.filter(|factor| factor.poly().is_empty()).cloned();
        let parts: Vec<Self> = numbers.chain(coefficients).chain([product]).collect();
        Self::chained(parts.iter())
    }

    /// The product of many: numbers first, so that terms are scaled once.
    fn chained<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let (mut number, mut rest) = (Some(1i128), None::<Self>);
        for factor in all {
            match factor.view() {
                View::Number(n) => number = number.and_then(|number| number.checked_mul(n)),
                View::Overflow => return Self::overflow(),
                View::Poly(terms) => {
                    let product = rest.as_ref().map(|rest| {
                        memo::product(rest, factor, || Self::multiplied(rest.poly(), terms))
                    });
                    rest = Some(product.unwrap_or_else(|| factor.clone()));
                }
            }
        }
        let Some(number) = number else { return Self::overflow() };
        match rest {
            Some(rest) if number != 0 => rest * Self::from(number),
            _ => Self::from(number),
        }
    }

    /// Every term times a number that is not zero.
    fn scaled(terms: &[Term], by: i128) -> Self {
        if terms.iter().any(|t| t.coefficient().checked_mul(by).is_none()) {
            return Self::overflow();
        }
        let scaled = |t: &Term| Term::new(t.factors.clone(), t.coefficient() * by);
        Self::of_terms(terms.iter().map(scaled))
    }
}

impl std::ops::Add for Dim {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self += &other;
        self
    }
}

impl std::ops::Mul for Dim {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        match (self.view(), other.view()) {
            (View::Overflow, _) | (_, View::Overflow) => Self::overflow(),
            (View::Number(a), View::Number(b)) => {
                a.checked_mul(b).map_or(Self::overflow(), Self::from)
            }
            (View::Number(0), _) | (_, View::Number(0)) => Self::ZERO,
            (View::Number(1), _) => other,
            (_, View::Number(1)) => self,
            (View::Poly(terms), View::Number(n)) => {
                memo::product(&self, &other, || Self::scaled(terms, n))
            }
            (View::Number(n), View::Poly(terms)) => {
                memo::product(&other, &self, || Self::scaled(terms, n))
            }
            (View::Poly(a), View::Poly(b)) => {
                memo::product(&self, &other, || Self::multiplied(a, b))
            }
        }
    }
}

impl std::ops::AddAssign<&Dim> for Dim {
    fn add_assign(&mut self, other: &Dim) {
        if matches!(other.view(), View::Poly(terms) if self.add_in_place(terms)) {
            return;
        }
        *self = match (self.view(), other.view()) {
            (_, View::Number(0)) | (View::Overflow, _) => return,
            (_, View::Overflow) => Self::overflow(),
            (View::Number(0), _) => other.clone(),
            (View::Number(a), View::Number(b)) => {
                a.checked_add(b).map_or(Self::overflow(), Self::from)
            }
            _ => Self::merged(&self.terms(), &other.terms()),
        }
    }
}

impl std::ops::Neg for Dim {
    type Output = Self;
    fn neg(self) -> Self {
        self * Self::from(-1)
    }
}

impl std::ops::Sub for Dim {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        if other.is_zero() { self } else { self + -other }
    }
}

impl std::iter::Sum for Dim {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, |a, b| a + b)
    }
}

impl std::iter::Product for Dim {
    fn product<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ONE, |a, b| a * b)
    }
}

impl<'a> std::iter::Sum<&'a Self> for Dim {
    fn sum<I: Iterator<Item = &'a Self>>(iter: I) -> Self {
        let mut sum = Self::ZERO;
        iter.for_each(|next| sum += next);
        sum
    }
}

impl<'a> std::iter::Product<&'a Self> for Dim {
    fn product<I: Iterator<Item = &'a Self>>(iter: I) -> Self {
        Self::chained(iter)
    }
}
