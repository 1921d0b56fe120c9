//! Symbolic integers: the size of a dimension, or a count made of such sizes.
//!
//! A [`Dim`] is a polynomial with integer coefficients over *atoms*: named symbols and the few
//! non-polynomial forms that shapes need (floor division, modulo, minimum, maximum, logarithm).
//! It is kept in a canonical form, so two equal polynomials are equal values and print alike. Symbols
//! stand for sizes and are taken to be at least one, counts that a run decides to be at least zero.
//! Arithmetic is total: a result beyond `i128`, or with more terms than [`MAX_TERMS`], becomes the
//! absorbing value [`Dim::overflow`], which refuses to be evaluated. This module knows nothing of tensors.

mod arithmetic;
mod division;
mod memo;
mod order;
mod parse;
mod print;
mod range;
mod replace;
mod repr;
mod series;
mod term;
mod view;

pub use parse::DimParseError;
pub use range::{Range, Ranges};
pub use view::{Factor, Shape};

use repr::{Repr, View};
use std::collections::BTreeMap;
use std::sync::Arc;
use term::{Monomial, Term};

/// A polynomial of more terms than this is given up on, so that hostile shapes stay cheap.
pub const MAX_TERMS: usize = 512;
/// Divisions, minima and maxima that hold more symbols than this, all told, overflow too.
const MAX_WEIGHT: usize = 1_000;

/// Values for symbols, by name.
pub type Bindings = BTreeMap<Arc<str>, i128>;

/// A canonical symbolic integer; see the [module](self) page.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dim(Repr);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Atom {
    Symbol(Arc<str>),
    /// A symbol that may be zero: how many of something there are is known when the model runs.
    Count(Arc<str>),
    FloorDiv(Dim, Dim),
    Mod(Dim, Dim),
    Min(Dim, Dim),
    Max(Dim, Dim),
    /// `⌈log2⌉`, at least one.
    CeilLog2(Dim),
}

/// Why a [`Dim`] has no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A symbol has no value.
    #[error("symbol `{0}` has no value")]
    Unbound(Arc<str>),
    /// The number does not fit 128 bits, or the formula grew too long.
    #[error("the number is too large to count")]
    Overflow,
    /// Division or modulo by zero.
    #[error("division by zero")]
    DivisionByZero,
}

impl Dim {
    /// Zero.
    pub const ZERO: Self = Self(Repr::Short(0));
    /// One.
    pub const ONE: Self = Self(Repr::Short(1));

    /// The symbol `name`.
    pub fn symbol(name: &str) -> Self {
        Self::atom(Atom::Symbol(name.into()))
    }

    /// The symbol `name` of a number that only a run decides, which may be zero.
    pub fn count(name: &str) -> Self {
        Self::atom(Atom::Count(name.into()))
    }

    /// The value that stands for a count too large to hold.
    pub const fn overflow() -> Self {
        Self(Repr::Overflow)
    }

    /// Whether some step overflowed.
    pub fn is_overflow(&self) -> bool {
        self.0 == Repr::Overflow
    }

    /// The number, where no symbol is in it.
    pub fn as_const(&self) -> Option<i128> {
        match self.view() {
            View::Number(n) => Some(n),
            _ => None,
        }
    }

    /// The number as a `usize`, where it is one.
    pub fn as_usize(&self) -> Option<usize> {
        self.as_const().and_then(|c| usize::try_from(c).ok())
    }

    /// Whether this is the number zero.
    pub fn is_zero(&self) -> bool {
        self.0 == Repr::Short(0)
    }

    /// Whether this is the number one.
    pub fn is_one(&self) -> bool {
        self.0 == Repr::Short(1)
    }

    /// Of how many terms the polynomial is; one for a number.
    pub fn term_count(&self) -> usize {
        self.poly().len().max(1)
    }

    /// The name, where this is a single bare symbol.
    pub fn as_symbol(&self) -> Option<&str> {
        match self.single_atom() {
            Some(Atom::Symbol(name) | Atom::Count(name)) => Some(name),
            _ => None,
        }
    }

    /// The names of all symbols in this value, added to `into`.
    pub fn symbols(&self, into: &mut std::collections::BTreeSet<Arc<str>>) {
        for (atom, _) in self.poly().iter().flat_map(|t| t.factors.iter()) {
            match atom {
                Atom::Symbol(name) | Atom::Count(name) => {
                    into.insert(name.clone());
                }
                Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                    a.symbols(into);
                    b.symbols(into);
                }
                Atom::CeilLog2(a) => a.symbols(into),
            }
        }
    }

    /// Whether a symbol of which `is` holds is in this value.
    pub(crate) fn any_symbol(&self, is: &dyn Fn(&Arc<str>) -> bool) -> bool {
        self.poly().iter().flat_map(|t| t.factors.iter()).any(|(atom, _)| match atom {
            Atom::Symbol(name) | Atom::Count(name) => is(name),
            Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                a.any_symbol(is) || b.any_symbol(is)
            }
            Atom::CeilLog2(a) => a.any_symbol(is),
        })
    }

    /// How many factors all terms have, which is how much memory they take.
    pub(crate) fn length(&self) -> usize {
        self.poly().iter().map(|t| t.factors.len().max(1)).sum::<usize>().max(1)
    }

    /// The value under `bindings`; every symbol must be bound.
    pub fn eval(&self, bindings: &Bindings) -> Result<i128, EvalError> {
        match self.view() {
            View::Number(n) => Ok(n),
            View::Overflow => Err(EvalError::Overflow),
            View::Poly(terms) => {
                let mut sum = 0i128;
                for term in terms {
                    let mut product = term.coefficient();
                    for (atom, exponent) in term.factors.iter() {
                        let value = atom.eval(bindings)?;
                        product = value
                            .checked_pow(*exponent)
                            .and_then(|v| product.checked_mul(v))
                            .ok_or(EvalError::Overflow)?;
                    }
                    sum = sum.checked_add(product).ok_or(EvalError::Overflow)?;
                }
                Ok(sum)
            }
        }
    }

    /// `⌈log2 self⌉`, at least one: the stages of a sort or of a fast Fourier transform.
    #[must_use]
    pub fn ceil_log2(&self) -> Self {
        match self.as_const() {
            _ if self.is_overflow() => Self::overflow(),
            Some(n) => Self::from(ceil_log2(n)),
            None => Self::atom(Atom::CeilLog2(self.clone())),
        }
    }

    fn single_atom(&self) -> Option<&Atom> {
        match self.poly() {
            [only] if only.coefficient() == 1 => match &*only.factors {
                [(atom, 1)] => Some(atom),
                _ => None,
            },
            _ => None,
        }
    }

    fn atom(atom: Atom) -> Self {
        if atom.weight(MAX_WEIGHT) > MAX_WEIGHT {
            return Self::overflow();
        }
        let term = Term::new(Monomial([(atom, 1)].into()), 1);
        Self::of_terms([term].into_iter())
    }
}

impl Atom {
    /// Atoms inside, this one too, counted no further than just past `most`: comparing two formulas
    /// looks at all of them.
    fn weight(&self, most: usize) -> usize {
        let (a, b) = match self {
            Self::Symbol(_) | Self::Count(_) => return 1,
            Self::CeilLog2(a) => (a, &Dim::ZERO),
            Self::FloorDiv(a, b) | Self::Mod(a, b) | Self::Min(a, b) | Self::Max(a, b) => (a, b),
        };
        let mut sum = 1;
        for (atom, _) in [a, b].iter().flat_map(|d| d.poly()).flat_map(|t| t.factors.iter()) {
            if sum > most {
                break;
            }
            sum += atom.weight(most - sum);
        }
        sum
    }

    fn eval(&self, bindings: &Bindings) -> Result<i128, EvalError> {
        let pair = |a: &Dim, b: &Dim| Ok((a.eval(bindings)?, b.eval(bindings)?));
        match self {
            Self::Symbol(name) | Self::Count(name) => {
                bindings.get(name).copied().ok_or_else(|| EvalError::Unbound(name.clone()))
            }
            Self::FloorDiv(a, b) => {
                let (a, b) = pair(a, b)?;
                a.checked_div_euclid(b).ok_or(EvalError::DivisionByZero)
            }
            Self::Mod(a, b) => {
                let (a, b) = pair(a, b)?;
                a.checked_rem_euclid(b).ok_or(EvalError::DivisionByZero)
            }
            Self::Min(a, b) => pair(a, b).map(|(a, b)| a.min(b)),
            Self::Max(a, b) => pair(a, b).map(|(a, b)| a.max(b)),
            Self::CeilLog2(a) => a.eval(bindings).map(ceil_log2),
        }
    }
}

/// `⌈log2 n⌉`, at least one; 127 is the greatest that an i128 has.
fn ceil_log2(n: i128) -> i128 {
    let n = u128::try_from(n).unwrap_or(0).max(2);
    n.checked_next_power_of_two().map_or(127, |power| i128::from(power.ilog2()))
}

macro_rules! from_integer {
    ($($int:ty),*) => {$(
        impl From<$int> for Dim {
            fn from(value: $int) -> Self {
                Self::from(i128::from(value))
            }
        }
    )*};
}
from_integer!(i64, i32, u32, u64);

impl From<usize> for Dim {
    fn from(value: usize) -> Self {
        i128::try_from(value).map_or(Self::overflow(), Self::from)
    }
}

impl Default for Dim {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests;
