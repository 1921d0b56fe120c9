//! Terms of a polynomial: a number times a product of powers.

use super::Atom;
use std::cmp::Ordering;
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Term {
    pub(super) factors: Monomial,
    coefficient: Coefficient,
}

/// A number on a boundary of eight bytes, as everything else is: allocators are slow with more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, packed(8))]
struct Coefficient(i128);

impl Term {
    pub(super) fn new(factors: Monomial, coefficient: i128) -> Self {
        Self { factors, coefficient: Coefficient(coefficient) }
    }

    pub(super) fn coefficient(&self) -> i128 {
        self.coefficient.0
    }

    pub(super) fn into_parts(self) -> (Monomial, i128) {
        (self.factors, self.coefficient.0)
    }

    pub(super) fn set_coefficient(&mut self, coefficient: i128) {
        self.coefficient = Coefficient(coefficient);
    }
}

/// A product of powers, shared between the terms that have it: sorted by atom, exponents at least one;
/// empty for the constant term, which therefore comes first.
#[derive(Clone, Debug, Eq)]
pub(super) struct Monomial(pub(super) Arc<[(Atom, u32)]>);

impl std::ops::Deref for Monomial {
    type Target = [(Atom, u32)];
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl std::hash::Hash for Monomial {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Monomial {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Ord for Monomial {
    fn cmp(&self, other: &Self) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) {
            return Ordering::Equal;
        }
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Monomial {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Monomial {
    /// The empty product.
    pub(super) fn one() -> Self {
        Self(Arc::default())
    }

    /// The product of many; none where an exponent is too large.
    pub(super) fn product<'a>(all: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut factors: Vec<(Atom, u32)> = all.flat_map(|m| m.0.iter().cloned()).collect();
        factors.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        factors.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 = kept.1.saturating_add(next.1);
            }
            same
        });
        factors.iter().all(|(_, e)| *e < u32::MAX).then(|| Self(factors.into()))
    }

    /// The product of two; none where an exponent is too large.
    pub(super) fn times(&self, other: &Self) -> Option<Self> {
        if self.is_empty() || other.is_empty() {
            return Some(if self.is_empty() { other.clone() } else { self.clone() });
        }
        let (mut a, mut b) = (&**self, &**other);
        let mut product = Vec::with_capacity(a.len() + b.len());
        while let (Some(x), Some(y)) = (a.first(), b.first()) {
            let order = x.0.cmp(&y.0);
            let exponent = if order.is_eq() { x.1.saturating_add(y.1) } else { x.1 };
            match order {
                Ordering::Greater => product.push(y.clone()),
                _ => product.push((x.0.clone(), exponent)),
            }
            a = &a[usize::from(order.is_le())..];
            b = &b[usize::from(order.is_ge())..];
        }
        product.extend(a.iter().chain(b).cloned());
        product.iter().all(|(_, e)| *e < u32::MAX).then(|| Self(product.into()))
    }
}

/// The monomial `top / lead`, where `lead` divides `top`.
pub(super) fn quotient_factors(top: &[(Atom, u32)], lead: &[(Atom, u32)]) -> Option<Monomial> {
    let mut factors = top.to_vec();
    for (atom, exponent) in lead {
        let slot = factors.iter_mut().find(|(a, _)| a == atom)?;
        slot.1 = slot.1.checked_sub(*exponent)?;
    }
    factors.retain(|(_, e)| *e > 0);
    Some(Monomial(factors.into()))
}
