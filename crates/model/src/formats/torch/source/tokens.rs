//! The words of a source, with its indentation.

use super::super::super::LoadError;
use super::broken;

/// A word of a source.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    Int(i64),
    Float(f64),
    Text(String),
    Symbol(&'static str),
    Newline,
    Indent,
    Dedent,
    End,
}

const SYMBOLS: &[&str] = &["->", "(", ")", "[", "]", "{", "}", ",", ":", "=", ".", "-", "*"];

struct Reader<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<(Token<'a>, usize)>,
    indents: Vec<usize>,
    /// Brackets that are open, inside which lines do not end.
    open: usize,
}

/// The words of a source, each with its line.
pub(super) fn tokenize(text: &str) -> Result<Vec<(Token<'_>, usize)>, LoadError> {
    let mut reader = Reader { rest: text, line: 1, tokens: Vec::new(), indents: vec![0], open: 0 };
    let mut fresh = true;
    while !reader.rest.is_empty() {
        if fresh && reader.open == 0 && !reader.indentation()? {
            continue;
        }
        fresh = reader.token()?;
    }
    if !matches!(reader.tokens.last(), None | Some((Token::Newline, _))) {
        reader.push(Token::Newline);
    }
    for _ in 1..reader.indents.len() {
        reader.push(Token::Dedent);
    }
    Ok(reader.tokens)
}

impl<'a> Reader<'a> {
    fn push(&mut self, token: Token<'a>) {
        self.tokens.push((token, self.line));
    }

    fn skip(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    /// The spaces at the start of a line; false where the line is empty, which is then skipped.
    fn indentation(&mut self) -> Result<bool, LoadError> {
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        let width = self.rest.len() - trimmed.len();
        if trimmed.starts_with(['#', '\n', '\r']) || trimmed.is_empty() {
            let end = self.rest.find('\n').map_or(self.rest.len(), |at| at + 1);
            self.skip(end);
            self.line += 1;
            return Ok(false);
        }
        self.skip(width);
        let current = self.indents.last().copied().unwrap_or_default();
        if width > current {
            self.indents.push(width);
            self.push(Token::Indent);
        }
        while self.indents.last().is_some_and(|indent| *indent > width) {
            self.indents.pop();
            self.push(Token::Dedent);
        }
        if self.indents.last() != Some(&width) {
            return Err(broken(self.line, "its indentation fits no block"));
        }
        Ok(true)
    }

    /// The next word; whether a line ended with it.
    fn token(&mut self) -> Result<bool, LoadError> {
        let Some(first) = self.rest.chars().next() else { return Ok(false) };
        match first {
            ' ' | '\t' | '\r' => {
                self.skip(1);
            }
            '\\' if self.rest.starts_with("\\\n") => {
                self.skip(2);
                self.line += 1;
            }
            '#' => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.skip(end);
            }
            '\n' => {
                self.skip(1);
                if self.open == 0 {
                    self.push(Token::Newline);
                }
                self.line += 1;
                return Ok(true);
            }
            '"' | '\'' => {
                let text = self.text(first)?;
                self.push(Token::Text(text));
            }
            '0'..='9' => self.number()?,
            _ if first == '_' || first.is_alphabetic() => {
                let after = |c: char| !(c == '_' || c.is_alphanumeric());
                let end = self.rest.find(after).unwrap_or(self.rest.len());
                let name = self.skip(end);
                self.push(Token::Name(name));
            }
            _ => self.symbol()?,
        }
        Ok(false)
    }

    fn symbol(&mut self) -> Result<(), LoadError> {
        let Some(symbol) = SYMBOLS.iter().find(|symbol| self.rest.starts_with(**symbol)) else {
            return Err(broken(self.line, "it has an unknown sign"));
        };
        self.skip(symbol.len());
        match *symbol {
            "(" | "[" | "{" => self.open += 1,
            ")" | "]" | "}" => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.push(Token::Symbol(symbol));
        Ok(())
    }

    fn number(&mut self) -> Result<(), LoadError> {
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while let Some(byte) = bytes.get(end) {
            let sign = matches!(byte, b'+' | b'-')
                && end > 0
                && matches!(bytes.get(end - 1), Some(b'e' | b'E'));
            if !(byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E') || sign) {
                break;
            }
            end += 1;
        }
        let text = self.skip(end);
        let token = match text.parse() {
            Ok(number) => Token::Int(number),
            // The least 64-bit number is written as a sign and a number that does not fit.
            Err(_) if text == "9223372036854775808" => Token::Int(i64::MIN),
            Err(_) => match text.parse() {
                Ok(number) => Token::Float(number),
                Err(_) => return Err(broken(self.line, "a number is none")),
            },
        };
        // A complex number counts as its real part.
        if self.rest.starts_with('j') {
            self.skip(1);
        }
        self.push(token);
        Ok(())
    }

    fn text(&mut self, quote: char) -> Result<String, LoadError> {
        let mut text = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                _ if c == quote => {
                    self.skip(at + 1);
                    return Ok(text);
                }
                '\n' => break,
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, other)) => text.push(other),
                    None => break,
                },
                _ => text.push(c),
            }
        }
        Err(broken(self.line, "a text does not end"))
    }
}
