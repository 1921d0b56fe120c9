//! Formulas and numbers in place of symbols.

use super::{Atom, Bindings, Dim, View};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Dim {
    /// This value with the symbols of `bindings` replaced; others stay.
    #[must_use]
    pub fn bind(&self, bindings: &Bindings) -> Self {
        self.replace_with(&|name| bindings.get(name).map(|value| Self::from(*value)))
    }

    /// This value with formulas in place of the symbols that they are given for; other symbols stay.
    #[must_use]
    pub fn replace(&self, by: &BTreeMap<Arc<str>, Self>) -> Self {
        self.replace_with(&|name| by.get(name).cloned())
    }

    /// This value with one symbol replaced.
    #[must_use]
    pub fn replace_one(&self, name: &str, by: &Self) -> Self {
        self.replace_with(&|n| (n == name).then(|| by.clone()))
    }

    /// The same where a function gives the formulas.
    #[must_use]
    pub fn replace_with(&self, by: &dyn Fn(&str) -> Option<Self>) -> Self {
        match self.view() {
            View::Number(_) | View::Overflow => self.clone(),
            View::Poly(_) if !self.any_symbol(&|name| by(name).is_some()) => self.clone(),
            View::Poly(terms) => terms.iter().fold(Self::ZERO, |sum, term| {
                let one = Self::from(term.coefficient());
                let factors = term.factors.iter();
                sum + factors.fold(one, |product, (atom, e)| product * atom.replaced(by).pow(*e))
            }),
        }
    }
}

impl Atom {
    fn replaced(&self, by: &dyn Fn(&str) -> Option<Dim>) -> Dim {
        let pair = |a: &Dim, b: &Dim| (a.replace_with(by), b.replace_with(by));
        match self {
            Self::Symbol(name) | Self::Count(name) => {
                by(name).unwrap_or_else(|| Dim::atom(self.clone()))
            }
            Self::FloorDiv(a, b) => {
                let (a, b) = pair(a, b);
                a.floor_div(&b)
            }
            Self::Mod(a, b) => {
                let (a, b) = pair(a, b);
                a.modulo(&b)
            }
            Self::Min(a, b) => {
                let (a, b) = pair(a, b);
                a.minimum(&b)
            }
            Self::Max(a, b) => {
                let (a, b) = pair(a, b);
                a.maximum(&b)
            }
            Self::CeilLog2(a) => a.replace_with(by).ceil_log2(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_takes_the_place_of_a_symbol() {
        let total: Dim = "3*t^2 + min(t, 8)*n".parse().unwrap();
        let sum: Dim = "past + 1".parse().unwrap();
        let replaced = total.replace(&[("t".into(), sum)].into());
        let expected: Dim = "3*(past + 1)*(past + 1) + min(past + 1, 8)*n".parse().unwrap();
        assert_eq!(replaced, expected);
    }
}
