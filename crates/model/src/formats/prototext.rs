//! Protocol buffers as text, read without a schema into a tree of names and values.
//!
//! Grammar: <https://protobuf.dev/reference/protobuf/textformat-spec/>. Comments run from `#` to the end of the line; a message is in
//! braces or angle brackets, with or without a colon before it; a list in square brackets repeats its field.

use super::LoadError;
use super::error::malformed;

/// Messages nest no deeper.
const MAX_DEPTH: usize = 100;
/// A text has no more fields than this.
const MAX_FIELDS: usize = 4_000_000;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A quoted string, its escapes resolved.
    Text(String),
    /// One that is no text, such as the numbers of a tensor.
    Bytes(Vec<u8>),
    /// A number, a truth value or the name of an enum's value, as written.
    Word(String),
    /// A message.
    Message(Message),
}

/// Fields in the order of the file; a name may be there more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message(pub(super) Vec<(String, Value)>);

impl Message {
    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> + use<'a> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value)
    }

    /// All messages of a field.
    pub(super) fn messages<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Message> + use<'a> {
        self.all(name).filter_map(|value| match value {
            Value::Message(message) => Some(message),
            _ => None,
        })
    }

    /// The message of a field.
    pub(super) fn message<'a>(&'a self, name: &'a str) -> Option<&'a Message> {
        self.messages(name).last()
    }

    /// All texts or words of a field.
    pub(super) fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.all(name).filter_map(|value| match value {
            Value::Text(text) | Value::Word(text) => Some(text.as_str()),
            Value::Bytes(_) | Value::Message(_) => None,
        })
    }

    /// The text or word of a field.
    pub(super) fn text<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.texts(name).last()
    }

    /// All integers of a field.
    pub(super) fn ints<'a>(&'a self, name: &'a str) -> impl Iterator<Item = i64> + use<'a> {
        self.texts(name).filter_map(integer)
    }

    /// The integer of a field.
    pub(super) fn int(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(integer)
    }

    /// The number of a field.
    pub(super) fn float(&self, name: &str) -> Option<f32> {
        self.text(name).and_then(float)
    }

    /// The truth value of a field.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.text(name)? {
            "true" | "True" | "t" | "1" => Some(true),
            "false" | "False" | "f" | "0" => Some(false),
            _ => None,
        }
    }
}

/// A whole number in decimal, `0x` hexadecimal or `0` octal digits.
pub(super) fn integer(word: &str) -> Option<i64> {
    let (negative, digits) = match word.strip_prefix('-') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, word),
    };
    let lower = digits.to_ascii_lowercase();
    let number = match (lower.strip_prefix("0x"), lower.strip_prefix('0')) {
        (Some(hex), _) => i128::from_str_radix(hex, 16).ok()?,
        (None, Some(octal)) if !octal.is_empty() => i128::from_str_radix(octal, 8).ok()?,
        _ => lower.parse().ok()?,
    };
    i64::try_from(if negative { -number } else { number }).ok()
}

/// A number, which may end in `f` as in C.
pub(super) fn float(word: &str) -> Option<f32> {
    let lower = word.to_ascii_lowercase();
    let plain = match lower.as_str() {
        "inf" | "infinity" | "-inf" | "-infinity" | "nan" | "-nan" => &lower,
        other => other.strip_suffix('f').unwrap_or(other),
    };
    plain.parse().ok().or_else(|| integer(word).map(|n| n as f32))
}

/// Reads a text of the format called `format` in errors.
pub(super) fn parse(text: &[u8], format: &'static str) -> Result<Message, LoadError> {
    let mut reader = Reader { text, at: 0, fields: 0, format };
    let message = reader.message(None, 0)?;
    Ok(message)
}

/// The first name of a text and the mark after it, `:` or `{`; what tells such texts apart.
pub(super) fn first_name(text: &[u8]) -> Option<(&str, u8)> {
    let mut reader = Reader { text, at: 0, fields: 0, format: "" };
    let name = reader.name()?;
    reader.skip();
    Some((std::str::from_utf8(&text[name]).ok()?, *text.get(reader.at)?))
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    fields: usize,
    format: &'static str,
}

impl Reader<'_> {
    fn fail(&self, what: &str) -> LoadError {
        let line = self.text[..self.at.min(self.text.len())].split(|b| *b == b'\n').count();
        malformed(self.format, format!("line {line}: {what}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Steps over blanks and comments.
    fn skip(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'#' {
                let rest = &self.text[self.at..];
                self.at += rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
            } else if byte.is_ascii_whitespace() || (self.at == 0 && self.bom()) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    /// Steps to the last byte of a byte-order mark.
    fn bom(&mut self) -> bool {
        let found = self.text.starts_with(b"\xef\xbb\xbf");
        self.at += if found { 2 } else { 0 };
        found
    }

    fn word_end(&self) -> usize {
        let part = |b: &u8| b.is_ascii_alphanumeric() || b"_.+-".contains(b);
        let rest = &self.text[self.at..];
        self.at + rest.iter().position(|b| !part(b)).unwrap_or(rest.len())
    }

    /// The name of a field: a word, or that of an extension in brackets.
    fn name(&mut self) -> Option<std::ops::Range<usize>> {
        self.skip();
        let start = self.at;
        if self.peek() == Some(b'[') {
            let rest = &self.text[start..];
            self.at = start + rest.iter().take(4096).position(|b| *b == b']')? + 1;
        } else {
            self.at = self.word_end();
        }
        (self.at > start).then_some(start..self.at)
    }

    /// The fields up to `end`, or to the end of the text.
    fn message(&mut self, end: Option<u8>, depth: usize) -> Result<Message, LoadError> {
        if depth > MAX_DEPTH {
            return Err(self.fail("messages nest too deep"));
        }
        let mut message = Message::default();
        loop {
            self.skip();
            match (self.peek(), end) {
                (None, None) => return Ok(message),
                (None, Some(_)) => return Err(self.fail("the text ends inside a message")),
                (Some(byte), Some(end)) if byte == end => {
                    self.at += 1;
                    return Ok(message);
                }
                (Some(b',' | b';'), _) => self.at += 1,
                _ => self.field(&mut message, depth)?,
            }
        }
    }

    fn field(&mut self, message: &mut Message, depth: usize) -> Result<(), LoadError> {
        let Some(name) = self.name() else { return Err(self.fail("a field has no name")) };
        let name = String::from_utf8_lossy(&self.text[name]).into_owned();
        self.skip();
        let colon = self.peek() == Some(b':');
        if colon {
            self.at += 1;
            self.skip();
        }
        match self.peek() {
            Some(b'[') => self.list(&name, message, depth),
            Some(b'{' | b'<') => {
                let value = self.value(depth)?;
                self.add(message, &name, value)
            }
            Some(_) if colon => {
                let value = self.value(depth)?;
                self.add(message, &name, value)
            }
            _ => Err(self.fail(&format!("`{name}` has no value"))),
        }
    }

    fn add(&mut self, message: &mut Message, name: &str, value: Value) -> Result<(), LoadError> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(self.fail("it has more fields than any real model"));
        }
        message.0.push((name.to_owned(), value));
        Ok(())
    }

    fn list(&mut self, name: &str, message: &mut Message, depth: usize) -> Result<(), LoadError> {
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b',') => self.at += 1,
                Some(_) => {
                    let value = self.value(depth)?;
                    self.add(message, name, value)?;
                }
                None => return Err(self.fail("the text ends inside a list")),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, LoadError> {
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.message(Some(b'}'), depth + 1).map(Value::Message)
            }
            Some(b'<') => {
                self.at += 1;
                self.message(Some(b'>'), depth + 1).map(Value::Message)
            }
            Some(b'"' | b'\'') => self.texts(),
            Some(b'-') => {
                self.at += 1;
                self.skip();
                let (start, end) = (self.at, self.word_end());
                self.at = end;
                Ok(Value::Word(format!("-{}", String::from_utf8_lossy(&self.text[start..end]))))
            }
            _ => {
                let (start, end) = (self.at, self.word_end());
                if end == start {
                    return Err(self.fail("a value is missing"));
                }
                self.at = end;
                Ok(Value::Word(String::from_utf8_lossy(&self.text[start..end]).into_owned()))
            }
        }
    }

    /// Quoted strings, one after another, which are one.
    fn texts(&mut self) -> Result<Value, LoadError> {
        let mut bytes = Vec::new();
        while let Some(quote @ (b'"' | b'\'')) = self.peek() {
            self.at += 1;
            self.quoted(quote, &mut bytes)?;
            self.skip();
        }
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(error) => Value::Bytes(error.into_bytes()),
        })
    }

    fn quoted(&mut self, quote: u8, out: &mut Vec<u8>) -> Result<(), LoadError> {
        loop {
            let Some(byte) = self.peek() else {
                return Err(self.fail("the text ends inside a string"));
            };
            self.at += 1;
            match byte {
                b'\\' => self.escape(out)?,
                _ if byte == quote => return Ok(()),
                _ => out.push(byte),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), LoadError> {
        let Some(byte) = self.peek() else {
            return Err(self.fail("the text ends inside a string"));
        };
        self.at += 1;
        let digits = |reader: &mut Self, most: usize, base: u32, mut value: u32| {
            for _ in 0..most {
                let Some(digit) = reader.peek().and_then(|b| char::from(b).to_digit(base)) else {
                    break;
                };
                reader.at += 1;
                value = value * base + digit;
            }
            value.to_le_bytes()[0]
        };
        out.push(match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'x' | b'X' => digits(self, 2, 16, 0),
            b'0'..=b'7' => digits(self, 2, 8, u32::from(byte - b'0')),
            other => other,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Message {
        parse(text.as_bytes(), "text").unwrap()
    }

    #[test]
    fn all_spellings_of_values_are_read() {
        let text = "a: 1 # comment }\nb { c: 'x' 'y' } b: < c: \"\\x41\\102\\n\" >\nd: [1, 0x10, -010]; e: -1.5e-1f, f: TRAIN\n[ext.name]: true";
        let message = read(text);
        assert_eq!(message.int("a"), Some(1));
        let texts: Vec<_> = message.messages("b").filter_map(|b| b.text("c")).collect();
        assert_eq!(texts, ["xy", "AB\n"]);
        assert_eq!(message.ints("d").collect::<Vec<_>>(), [1, 16, -8]);
        assert_eq!(message.float("e"), Some(-0.15));
        assert_eq!(message.text("f"), Some("TRAIN"));
        assert_eq!(message.flag("[ext.name]"), Some(true));
        assert_eq!(float("inf"), Some(f32::INFINITY));
    }

    #[test]
    fn broken_texts_are_errors_with_a_line() {
        for text in ["a: {", "a", "a: ", "a: [1", "a: 'x", "{", "a: \"\\", &"a{".repeat(200)] {
            assert!(parse(text.as_bytes(), "text").is_err(), "{text}");
        }
        let error = parse(b"a: 1\nb: {\nc", "text").unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }

    #[test]
    fn the_first_name_tells_texts_apart() {
        assert_eq!(first_name(b"# a comment\n  layer { }"), Some(("layer", b'{')));
        assert_eq!(first_name(b"name : 'net'"), Some(("name", b':')));
        assert_eq!(first_name(b"\x08\x07"), None);
    }
}
