//! Which of two formulas is larger, and what one never exceeds, as far as signs decide it.

use super::{Atom, Dim};

impl Dim {
    /// The smaller of two, decided where the signs allow.
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        match self.compare(other) {
            _ if self.is_overflow() || other.is_overflow() => Self::overflow(),
            Some(std::cmp::Ordering::Greater) => other.clone(),
            Some(_) => self.clone(),
            None if self <= other => Self::atom(Atom::Min(self.clone(), other.clone())),
            None => Self::atom(Atom::Min(other.clone(), self.clone())),
        }
    }

    /// The larger of two, decided where the signs allow.
    #[must_use]
    pub fn maximum(&self, other: &Self) -> Self {
        match self.compare(other) {
            _ if self.is_overflow() || other.is_overflow() => Self::overflow(),
            Some(std::cmp::Ordering::Less) => other.clone(),
            Some(_) => self.clone(),
            None if self <= other => Self::atom(Atom::Max(self.clone(), other.clone())),
            None => Self::atom(Atom::Max(other.clone(), self.clone())),
        }
    }

    /// The order of two values that holds for every choice of symbols, where one does
    /// (`Less` means less or equal).
    pub fn compare(&self, other: &Self) -> Option<std::cmp::Ordering> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        if self == other {
            return Some(Equal);
        }
        // min(a, b) ≤ a ≤ max(a, b), whatever b is.
        match (self.single_atom(), other.single_atom()) {
            (_, Some(Atom::Min(x, y))) if x == self || y == self => return Some(Greater),
            (_, Some(Atom::Max(x, y))) if x == self || y == self => return Some(Less),
            (Some(Atom::Min(x, y)), _) if x == other || y == other => return Some(Less),
            (Some(Atom::Max(x, y)), _) if x == other || y == other => return Some(Greater),
            _ => {}
        }
        let difference = self.clone() - other.clone();
        if difference.lower_bound().is_some_and(|low| low >= 0) {
            Some(Greater)
        } else if (-difference).lower_bound().is_some_and(|low| low >= 0) {
            Some(Less)
        } else {
            None
        }
    }

    /// The least value over all symbols ≥ 1 and counts ≥ 0, where one can be read off the terms.
    pub fn lower_bound(&self) -> Option<i128> {
        if self.is_overflow() {
            return None;
        }
        self.terms().iter().try_fold(0i128, |sum, term| {
            if term.factors.is_empty() {
                return sum.checked_add(term.coefficient());
            }
            let low = term.factors.iter().try_fold(term.coefficient(), |acc, (atom, e)| {
                let low = atom.lower_bound()?;
                (acc > 0 && low >= 0).then(|| low.checked_pow(*e)?.checked_mul(acc)).flatten()
            })?;
            sum.checked_add(low)
        })
    }

    /// The greatest value whatever the symbols are, where it is a number or the least of some.
    pub fn upper_bound(&self) -> Option<i128> {
        match (self.as_const(), self.single_atom()) {
            (Some(c), _) => Some(c),
            (None, Some(Atom::Min(a, b))) => match (a.upper_bound(), b.upper_bound()) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            },
            _ => None,
        }
    }
}

impl Atom {
    fn lower_bound(&self) -> Option<i128> {
        match self {
            Self::Symbol(_) | Self::CeilLog2(_) => Some(1),
            Self::Count(_) | Self::Mod(..) => Some(0),
            Self::FloorDiv(a, b) => {
                Some(a.lower_bound()?.div_euclid(b.as_const().filter(|b| *b > 0)?))
            }
            Self::Min(a, b) => Some(a.lower_bound()?.min(b.lower_bound()?)),
            Self::Max(a, b) => match (a.lower_bound(), b.lower_bound()) {
                (Some(a), Some(b)) => Some(a.max(b)),
                (a, b) => a.or(b),
            },
        }
    }
}
