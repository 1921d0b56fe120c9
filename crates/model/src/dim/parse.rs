//! Reading a [`Dim`]: the language that [`Dim`] prints, and the one exporters write into
//! `dim_param` (`past + 1`, `2*s0`, `h//2`, `floor(h/2 - 1/2) + 1`, `Max(1, s0)`).
//!
//! Division is exact until something asks for a whole number: `h/2 - 1/2` is (h − 1)/2.

use super::Dim;
use std::str::FromStr;

/// Why a text is not a dimension formula.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at character {position}")]
pub struct DimParseError {
    reason: &'static str,
    position: usize,
}

/// Formulas nested deeper than this, or longer than [`MAX_LENGTH`], are refused.
const MAX_DEPTH: usize = 32;
const MAX_LENGTH: usize = 4096;
/// Highest power that may be written.
const MAX_EXPONENT: i128 = 16;

impl FromStr for Dim {
    type Err = DimParseError;

    fn from_str(text: &str) -> Result<Self, DimParseError> {
        let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0 };
        if text.len() > MAX_LENGTH {
            return Err(parser.error("formula too long"));
        }
        let ratio = parser.sum()?;
        let dim = parser.whole(&ratio)?;
        parser.space();
        if parser.at < parser.chars.len() {
            return Err(parser.error("unexpected character"));
        }
        Ok(dim)
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn error(&self, reason: &'static str) -> DimParseError {
        DimParseError { reason, position: self.at }
    }

    fn space(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<char> {
        self.space();
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, c: char, reason: &'static str) -> Result<(), DimParseError> {
        if self.eat(c) { Ok(()) } else { Err(self.error(reason)) }
    }

    /// A ratio where a whole number must be; one by a name may be a path, and is none.
    fn whole(&self, ratio: &Ratio) -> Result<Dim, DimParseError> {
        if ratio.under.as_const().is_none() {
            return Err(self.error("division by a name"));
        }
        Ok(ratio.floor())
    }

    fn sum(&mut self) -> Result<Ratio, DimParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("formula nested too deeply"));
        }
        let mut total = if self.eat('-') { self.product()?.negated() } else { self.product()? };
        loop {
            if self.eat('+') {
                total = total.plus(self.product()?);
            } else if self.eat('-') {
                total = total.plus(self.product()?.negated());
            } else {
                self.depth -= 1;
                return Ok(total);
            }
        }
    }

    fn product(&mut self) -> Result<Ratio, DimParseError> {
        let mut total = self.power()?;
        loop {
            if self.eat('*') || self.eat('·') {
                total = total.times(self.power()?);
            } else if self.eat('/') {
                let whole = self.eat('/');
                let divisor = self.power()?;
                if divisor.top.is_zero() {
                    return Err(self.error("division by zero"));
                }
                total = total.times(divisor.inverted());
                if whole {
                    total = total.floor().into();
                }
            } else {
                return Ok(total);
            }
        }
    }

    fn power(&mut self) -> Result<Ratio, DimParseError> {
        let base = self.atom()?;
        let stars = self.peek() == Some('*') && self.chars.get(self.at + 1) == Some(&'*');
        if stars {
            self.at += 2;
        } else if !self.eat('^') {
            return Ok(base);
        }
        let exponent = self.number()?;
        let exponent = u32::try_from(exponent.min(MAX_EXPONENT + 1)).unwrap_or(u32::MAX);
        if i128::from(exponent) > MAX_EXPONENT {
            return Err(self.error("exponent too large"));
        }
        Ok(Ratio { top: base.top.pow(exponent), under: base.under.pow(exponent) })
    }

    fn number(&mut self) -> Result<i128, DimParseError> {
        self.space();
        let digits = self.digits();
        digits.parse().map_err(|_| self.error("expected a number"))
    }

    fn digits(&mut self) -> String {
        let start = self.at;
        while self.chars.get(self.at).is_some_and(char::is_ascii_digit) {
            self.at += 1;
        }
        self.chars.iter().take(self.at).skip(start).collect()
    }

    /// A number, which may have decimals: `0.5*h`.
    fn decimal(&mut self) -> Result<Ratio, DimParseError> {
        let whole = self.number()?;
        if self.chars.get(self.at) != Some(&'.') {
            return Ok(Dim::from(whole).into());
        }
        self.at += 1;
        let decimals = self.digits();
        let places = u32::try_from(decimals.len()).unwrap_or(u32::MAX);
        let read = || {
            let scale = 10i128.checked_pow(places)?;
            let part = if decimals.is_empty() { 0 } else { decimals.parse::<i128>().ok()? };
            Some((whole.checked_mul(scale)?.checked_add(part)?, scale))
        };
        let (top, under) = read().ok_or_else(|| self.error("too many decimals"))?;
        Ok(Ratio { top: Dim::from(top), under: Dim::from(under) })
    }

    fn atom(&mut self) -> Result<Ratio, DimParseError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                self.expect(')', "expected `)`")?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => self.decimal(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name().map(Ratio::from),
            _ => Err(self.error("expected a number, a name or `(`")),
        }
    }

    fn name(&mut self) -> Result<Dim, DimParseError> {
        let start = self.at;
        let is_name = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | ':' | '$');
        while self.chars.get(self.at).is_some_and(is_name) {
            self.at += 1;
        }
        let name: String = self.chars.iter().take(self.at).skip(start).collect();
        if self.peek() != Some('(') {
            return Ok(Dim::symbol(&name));
        }
        self.at += 1;
        let mut arguments = vec![self.sum()?];
        while self.eat(',') {
            arguments.push(self.sum()?);
        }
        let name = name.to_ascii_lowercase();
        let result = match (&*name, &arguments[..]) {
            ("floor", [x]) => x.floor(),
            ("ceiling" | "ceil", [x]) => -x.clone().negated().floor(),
            ("ceil_log2", [x]) => self.whole(x)?.ceil_log2(),
            ("floordiv", [a, b]) if !b.top.is_zero() => {
                a.clone().times(b.clone().inverted()).floor()
            }
            ("mod", [a, b]) => match (self.whole(a)?, self.whole(b)?) {
                (_, b) if b.is_zero() => return Err(self.error("division by zero")),
                (a, b) => a.modulo(&b),
            },
            ("min" | "max", [first, rest @ ..]) if !rest.is_empty() => {
                let pick = if name == "min" { Dim::minimum } else { Dim::maximum };
                let mut best = self.whole(first)?;
                for other in rest {
                    best = pick(&best, &self.whole(other)?);
                }
                best
            }
            (
                "floor" | "ceiling" | "ceil" | "ceil_log2" | "floordiv" | "mod" | "min" | "max",
                _,
            ) => {
                return Err(self.error("wrong number of arguments"));
            }
            _ => return Err(self.error("unknown function")),
        };
        self.expect(')', "expected `)`")?;
        Ok(result)
    }
}

/// A fraction on its way to a whole number.
#[derive(Clone)]
struct Ratio {
    top: Dim,
    under: Dim,
}

impl From<Dim> for Ratio {
    fn from(top: Dim) -> Self {
        Self { top, under: Dim::ONE }
    }
}

impl Ratio {
    fn negated(self) -> Self {
        Self { top: -self.top, ..self }
    }

    fn plus(self, other: Self) -> Self {
        if self.under == other.under {
            return Self { top: self.top + other.top, under: self.under };
        }
        let top = self.top * other.under.clone() + other.top * self.under.clone();
        Self { top, under: self.under * other.under }
    }

    fn times(self, other: Self) -> Self {
        Self { top: self.top * other.top, under: self.under * other.under }
    }

    /// One over it; what is below stays positive where it is a number.
    fn inverted(self) -> Self {
        let negative = self.top.as_const().is_some_and(|c| c < 0);
        if negative {
            return Self { top: -self.under, under: -self.top };
        }
        Self { top: self.under, under: self.top }
    }

    fn floor(&self) -> Dim {
        self.top.floor_div(&self.under)
    }
}
