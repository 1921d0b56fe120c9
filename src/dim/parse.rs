//! Reading a [`Dim`]: the language that [`Dim`] prints, and the one exporters write into
//! `dim_param` (`past + 1`, `2*s0`, `floor(h/2)`, `h//2`).

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
        let dim = parser.sum()?;
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

    fn sum(&mut self) -> Result<Dim, DimParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("formula nested too deeply"));
        }
        let mut total = if self.eat('-') { -self.product()? } else { self.product()? };
        loop {
            if self.eat('+') {
                total = total + self.product()?;
            } else if self.eat('-') {
                total = total - self.product()?;
            } else {
                self.depth -= 1;
                return Ok(total);
            }
        }
    }

    fn product(&mut self) -> Result<Dim, DimParseError> {
        let mut total = self.power()?;
        loop {
            if self.eat('*') || self.eat('·') {
                total = total * self.power()?;
            } else if self.eat('/') {
                self.eat('/');
                let divisor = self.power()?;
                if divisor.is_zero() {
                    return Err(self.error("division by zero"));
                }
                total = total.floor_div(&divisor);
            } else {
                return Ok(total);
            }
        }
    }

    fn power(&mut self) -> Result<Dim, DimParseError> {
        let base = self.atom()?;
        if !self.eat('^') {
            return Ok(base);
        }
        let exponent = self.number()?;
        let exponent = u32::try_from(exponent.min(MAX_EXPONENT + 1)).unwrap_or(u32::MAX);
        if i128::from(exponent) > MAX_EXPONENT {
            return Err(self.error("exponent too large"));
        }
        Ok(base.pow(exponent))
    }

    fn number(&mut self) -> Result<i128, DimParseError> {
        self.space();
        let start = self.at;
        while self.chars.get(self.at).is_some_and(char::is_ascii_digit) {
            self.at += 1;
        }
        let digits: String = self.chars.iter().take(self.at).skip(start).collect();
        digits.parse().map_err(|_| self.error("expected a number"))
    }

    fn atom(&mut self) -> Result<Dim, DimParseError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inner = self.sum()?;
                self.expect(')', "expected `)`")?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => self.number().map(Dim::from),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
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
        let first = self.sum()?;
        let result = match name.to_ascii_lowercase().as_str() {
            "floor" => first,
            "min" | "max" | "mod" => {
                self.expect(',', "expected `,`")?;
                let second = self.sum()?;
                match name.to_ascii_lowercase().as_str() {
                    "min" => first.minimum(&second),
                    "max" => first.maximum(&second),
                    _ if second.is_zero() => return Err(self.error("division by zero")),
                    _ => first.modulo(&second),
                }
            }
            _ => return Err(self.error("unknown function")),
        };
        self.expect(')', "expected `)`")?;
        Ok(result)
    }
}
