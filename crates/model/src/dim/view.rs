//! A formula seen from outside: terms, and what their factors are made of.

use super::repr::View;
use super::{Atom, Dim};

/// What a [`Dim`] is.
#[derive(Debug)]
pub enum Shape<'a> {
    /// A number.
    Number(i128),
    /// A sum of terms: a coefficient, and factors with their powers, which are at least one. The constant term has no
    /// factors.
    Sum(Vec<(i128, Vec<(Factor<'a>, u32)>)>),
    /// A count too large to hold.
    Overflow,
}

/// A factor of a term.
#[derive(Clone, Copy, Debug)]
pub enum Factor<'a> {
    /// A named size.
    Symbol(&'a str),
    /// `⌊a / b⌋`, the quotient of Euclid.
    FloorDiv(&'a Dim, &'a Dim),
    /// `a − b·⌊a / b⌋`.
    Mod(&'a Dim, &'a Dim),
    /// The smaller.
    Min(&'a Dim, &'a Dim),
    /// The larger.
    Max(&'a Dim, &'a Dim),
    /// `⌈log2 a⌉`, at least one.
    CeilLog2(&'a Dim),
}

impl Dim {
    /// The formula in its parts.
    pub fn shape(&self) -> Shape<'_> {
        match self.view() {
            View::Number(n) => Shape::Number(n),
            View::Overflow => Shape::Overflow,
            View::Poly(terms) => Shape::Sum(
                terms
                    .iter()
                    .map(|term| {
                        let factors =
                            term.factors.iter().map(|(atom, power)| (atom.factor(), *power));
                        (term.coefficient(), factors.collect())
                    })
                    .collect(),
            ),
        }
    }
}

impl Atom {
    fn factor(&self) -> Factor<'_> {
        match self {
            Self::Symbol(name) | Self::Count(name) => Factor::Symbol(name),
            Self::FloorDiv(a, b) => Factor::FloorDiv(a, b),
            Self::Mod(a, b) => Factor::Mod(a, b),
            Self::Min(a, b) => Factor::Min(a, b),
            Self::Max(a, b) => Factor::Max(a, b),
            Self::CeilLog2(a) => Factor::CeilLog2(a),
        }
    }
}
