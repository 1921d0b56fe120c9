//! How a [`Dim`] lies in memory: sixteen bytes, as a model of many nodes holds millions of them.

use super::{Dim, Monomial, Term};
use std::cmp::Ordering;
use std::sync::Arc;
use triomphe::ThinArc;

/// A number, a shared list of terms, or neither. Numbers are `Short` where they fit, so that equal ones
/// are equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Repr {
    Short(i64),
    /// A number beyond 64 bits.
    Long(Arc<i128>),
    /// At least one non-constant term; sorted by monomial, no zero coefficient.
    Poly(ThinArc<(), Term>),
    Overflow,
}

/// What a [`Dim`] is, however it is stored.
pub(super) enum View<'a> {
    Number(i128),
    Poly(&'a [Term]),
    Overflow,
}

impl Dim {
    pub(super) fn view(&self) -> View<'_> {
        match &self.0 {
            Repr::Short(n) => View::Number(i128::from(*n)),
            Repr::Long(n) => View::Number(**n),
            Repr::Poly(terms) => View::Poly(&terms.slice),
            Repr::Overflow => View::Overflow,
        }
    }

    /// The terms of a polynomial; none of a number.
    pub(super) fn poly(&self) -> &[Term] {
        if let Repr::Poly(terms) = &self.0 { &terms.slice } else { &[] }
    }

    /// The terms, of a number too.
    pub(super) fn terms(&self) -> std::borrow::Cow<'_, [Term]> {
        match self.view() {
            View::Poly(terms) => std::borrow::Cow::Borrowed(terms),
            View::Number(n) => vec![Term::new(Monomial::one(), n)].into(),
            View::Overflow => std::borrow::Cow::Borrowed(&[]),
        }
    }

    /// Adds terms where they are, if nobody else holds this polynomial and it has all their products already.
    pub(super) fn add_in_place(&mut self, terms: &[Term]) -> bool {
        let Repr::Poly(own) = &mut self.0 else { return false };
        own.with_arc_mut(|own| {
            let Some(own) = triomphe::Arc::get_mut(own) else { return false };
            let own = own.slice_mut();
            let mut at = 0;
            let place = |term: &Term, at: &mut usize| {
                *at += own.get(*at..)?.iter().position(|o| o.factors == term.factors)?;
                let sum = own.get(*at)?.coefficient().checked_add(term.coefficient())?;
                (sum != 0).then_some(())
            };
            if terms.iter().any(|term| place(term, &mut at).is_none()) {
                return false;
            }
            let mut rest = own.iter_mut();
            for term in terms {
                if let Some(same) = rest.find(|o| o.factors == term.factors) {
                    same.set_coefficient(same.coefficient().saturating_add(term.coefficient()));
                }
            }
            true
        })
    }

    /// A polynomial of terms that are sorted, distinct, not zero, and not a constant alone.
    pub(super) fn of_terms<I: ExactSizeIterator<Item = Term>>(terms: I) -> Self {
        Self(Repr::Poly(ThinArc::from_header_and_iter((), terms)))
    }
}

impl From<i128> for Dim {
    fn from(value: i128) -> Self {
        Self(i64::try_from(value).map_or_else(|_| Repr::Long(value.into()), Repr::Short))
    }
}

impl Ord for Dim {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.view(), other.view()) {
            (View::Number(a), View::Number(b)) => a.cmp(&b),
            (View::Poly(a), View::Poly(b)) => a.cmp(b),
            (View::Overflow, View::Overflow) => Ordering::Equal,
            (View::Number(_), _) | (_, View::Overflow) => Ordering::Less,
            _ => Ordering::Greater,
        }
    }
}

impl PartialOrd for Dim {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
