//! Symbolic integers: the size of a dimension, or a count made of such sizes.
//!
//! A [`Dim`] is a polynomial with integer coefficients over *atoms*: named symbols and the few
//! non-polynomial forms that shapes need (floor division, modulo, minimum, maximum, logarithm).
//! It is kept in a canonical form, so two equal polynomials are equal values and print alike. Symbols
//! stand for sizes and are taken to be at least one, counts that a run decides to be at least zero.
//! Arithmetic is total: a result beyond `i128`, or with more terms than [`MAX_TERMS`], becomes the
//! absorbing value [`Dim::overflow`], which refuses to be evaluated. This module knows nothing of tensors.

mod memo;
mod parse;
mod print;
mod range;
mod replace;
mod repr;
mod series;
mod term;

pub use parse::DimParseError;
pub use range::{Range, Ranges};

use repr::{Repr, View};
use std::collections::BTreeMap;
use std::sync::Arc;
use term::{Monomial, Term, quotient_factors};

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

    /// `⌈log2 self⌉`, at least one: the stages of a sort or of a fast Fourier transform.
    #[must_use]
    pub fn ceil_log2(&self) -> Self {
        match self.as_const() {
            _ if self.is_overflow() => Self::overflow(),
            Some(n) => Self::from(ceil_log2(n)),
            None => Self::atom(Atom::CeilLog2(self.clone())),
        }
    }

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

    /// Sums like terms, drops zeros and sorts.
    fn collect(terms: impl Iterator<Item = (Monomial, Option<i128>)>) -> Self {
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

/// `⌈log2 n⌉`, at least one; 127 is the greatest that an i128 has.
fn ceil_log2(n: i128) -> i128 {
    let n = u128::try_from(n).unwrap_or(0).max(2);
    n.checked_next_power_of_two().map_or(127, |power| i128::from(power.ilog2()))
}

fn gcd(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    i128::try_from(a).unwrap_or(1)
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
