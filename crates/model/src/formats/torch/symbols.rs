//! Sizes of exported programs: expressions as sympy writes them.

use crate::dim::Dim;

/// Expressions nest no deeper, and hold no more parts.
const MAX_NESTING: usize = 48;
const MAX_PARTS: usize = 4096;

struct Reader<'a> {
    rest: &'a str,
    parts: usize,
}

/// The size; none where it is not understood.
pub(super) fn size(text: &str) -> Option<Dim> {
    let mut reader = Reader { rest: text, parts: 0 };
    let size = reader.expression(0)?;
    (reader.rest.trim().is_empty() && !size.is_overflow()).then_some(size)
}

impl<'a> Reader<'a> {
    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let after = |c: char| !(c == '_' || c == '.' || c == '-' || c.is_alphanumeric());
        let (word, rest) = self.rest.split_at(self.rest.find(after).unwrap_or(self.rest.len()));
        self.rest = rest;
        word
    }

    fn sign(&mut self, sign: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn text(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let quote = self.rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (text, rest) = self.rest[1..].split_once(quote)?;
        self.rest = rest;
        Some(text)
    }

    fn expression(&mut self, depth: usize) -> Option<Dim> {
        self.parts += 1;
        if depth > MAX_NESTING || self.parts > MAX_PARTS {
            return None;
        }
        let name = self.word();
        if let Ok(number) = name.parse::<i64>() {
            return Some(Dim::from(number));
        }
        if !self.sign('(') {
            return match name {
                "" => None,
                symbol => Some(Dim::symbol(symbol)),
            };
        }
        if name == "Symbol" {
            let symbol = self.text()?;
            // What is assumed of it follows.
            let end = self.rest.find(')')?;
            self.rest = &self.rest[end + 1..];
            return (!symbol.is_empty()).then(|| Dim::symbol(symbol));
        }
        let mut parts = Vec::new();
        while !self.sign(')') {
            parts.push(self.expression(depth + 1)?);
            if !self.sign(',') && !self.rest.trim_start().starts_with(')') {
                return None;
            }
        }
        let bounded = |dim: &Dim| dim.term_count() <= 256;
        if !parts.iter().all(bounded) {
            return None;
        }
        applied(name, &parts)
    }
}

fn applied(name: &str, parts: &[Dim]) -> Option<Dim> {
    let fold = |with: fn(Dim, &Dim) -> Dim| {
        let mut parts = parts.iter();
        let first = parts.next()?.clone();
        Some(parts.fold(first, with))
    };
    match (name.rsplit('.').next().unwrap_or(name), parts) {
        ("Integer" | "int", [number]) => Some(number.clone()),
        ("Add", _) => fold(|a, b| a + b.clone()),
        ("Mul", _) => fold(|a, b| a * b.clone()),
        ("Max", _) => fold(|a, b| a.maximum(b)),
        ("Min", _) => fold(|a, b| a.minimum(b)),
        ("Pow" | "PowByNatural", [base, power]) => {
            let power = u32::try_from(power.as_const()?).ok().filter(|power| *power <= 8)?;
            Some(base.pow(power))
        }
        ("FloorDiv" | "CleanDiv" | "IntTrueDiv", [a, b]) if !b.is_zero() => Some(a.floor_div(b)),
        ("CeilDiv", [a, b]) if !b.is_zero() => Some(a.ceil_div(b)),
        ("Mod" | "PythonMod", [a, b]) if !b.is_zero() => Some(a.modulo(b)),
        ("floor" | "FloorToInt" | "TruncToInt" | "ToFloat" | "Identity", [a]) => Some(a.clone()),
        _ => None,
    }
}
