//! The range of a formula whose symbols lie in ranges.

use super::{Atom, Dim, EvalError, Term, View};

/// The least and the most that something can be.
pub type Range = (i128, i128);

/// The range of a symbol by its name; none where nothing is known of it.
pub type Ranges<'a> = dyn Fn(&str) -> Option<Range> + 'a;

impl Dim {
    /// Whether a term is taken away from the others.
    pub fn is_difference(&self) -> bool {
        self.poly().iter().any(|term| term.coefficient() < 0)
    }

    /// Whether it is never less where a symbol is more, for symbols from zero up; may be false where that is
    /// hard to see.
    pub fn grows(&self) -> bool {
        self.poly().iter().all(|term| {
            let fixed = term.factors.iter().next().is_none();
            fixed || term.coefficient() > 0 && term.factors.iter().all(|(atom, _)| atom.grows())
        })
    }

    /// A range that holds every value for symbols within theirs: never too narrow; as narrow as can be where
    /// the value only grows or only shrinks with each symbol.
    pub fn range(&self, of: &Ranges<'_>) -> Result<Range, EvalError> {
        match self.view() {
            View::Number(n) => Ok((n, n)),
            View::Overflow => Err(EvalError::Overflow),
            View::Poly(terms) => terms.iter().try_fold((0i128, 0i128), |sum, term| {
                let (low, high) = term.range(of)?;
                let low = sum.0.checked_add(low).ok_or(EvalError::Overflow)?;
                Ok((low, sum.1.checked_add(high).ok_or(EvalError::Overflow)?))
            }),
        }
    }
}

impl Term {
    fn range(&self, of: &Ranges<'_>) -> Result<Range, EvalError> {
        let mut product = (self.coefficient(), self.coefficient());
        for (atom, exponent) in self.factors.iter() {
            let base = atom.range(of)?;
            let power = |x: i128| x.checked_pow(*exponent).ok_or(EvalError::Overflow);
            let (a, b) = (power(base.0)?, power(base.1)?);
            // An even power of a range around zero is least at zero.
            let around = base.0 < 0 && base.1 > 0 && exponent % 2 == 0;
            let raised = (if around { 0 } else { a.min(b) }, a.max(b));
            product = corners(product, raised, i128::checked_mul).ok_or(EvalError::Overflow)?;
        }
        Ok(product)
    }
}

/// The range of an operation that is monotone in both operands.
fn corners(a: Range, b: Range, op: fn(i128, i128) -> Option<i128>) -> Option<Range> {
    let all = [op(a.0, b.0)?, op(a.0, b.1)?, op(a.1, b.0)?, op(a.1, b.1)?];
    Some((all.into_iter().min()?, all.into_iter().max()?))
}

impl Atom {
    fn grows(&self) -> bool {
        match self {
            Self::Symbol(_) | Self::Count(_) => true,
            Self::FloorDiv(a, by) => a.grows() && by.as_const().is_some_and(|by| by > 0),
            Self::Mod(..) => false,
            Self::Min(a, b) | Self::Max(a, b) => a.grows() && b.grows(),
            Self::CeilLog2(a) => a.grows(),
        }
    }

    fn range(&self, of: &Ranges<'_>) -> Result<Range, EvalError> {
        let pair = |a: &Dim, b: &Dim| Ok((a.range(of)?, b.range(of)?));
        match self {
            Self::Symbol(name) | Self::Count(name) => {
                of(name).ok_or_else(|| EvalError::Unbound(name.clone()))
            }
            Self::FloorDiv(a, b) => {
                let (a, b) = pair(a, b)?;
                corners(a, divisor(b)?, i128::checked_div_euclid).ok_or(EvalError::Overflow)
            }
            Self::Mod(a, b) => {
                let (a, b) = pair(a, b)?;
                let b = divisor(b)?;
                if a.0 == a.1 && b.0 == b.1 {
                    let rest = a.0.checked_rem_euclid(b.0).ok_or(EvalError::DivisionByZero)?;
                    return Ok((rest, rest));
                }
                let most = b.0.unsigned_abs().max(b.1.unsigned_abs()) - 1;
                let most = i128::try_from(most).unwrap_or(i128::MAX);
                Ok((0, if a.0 >= 0 { most.min(a.1) } else { most }))
            }
            Self::Min(a, b) => pair(a, b).map(|(a, b)| (a.0.min(b.0), a.1.min(b.1))),
            Self::Max(a, b) => pair(a, b).map(|(a, b)| (a.0.max(b.0), a.1.max(b.1))),
            Self::CeilLog2(a) => {
                a.range(of).map(|(low, high)| (super::ceil_log2(low), super::ceil_log2(high)))
            }
        }
    }
}

/// The range of a divisor without zero, at which no model runs.
fn divisor(range: Range) -> Result<Range, EvalError> {
    match range {
        (0, 0) => Err(EvalError::DivisionByZero),
        (0, high) => Ok((1, high)),
        (low, 0) => Ok((low, -1)),
        // Quotients on both sides of zero have no order; no size is divided by such.
        (low, high) if low < 0 && high > 0 => Err(EvalError::Overflow),
        other => Ok(other),
    }
}
