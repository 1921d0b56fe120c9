//! Rust text as tokens in nested brackets, with their lines; enough to read our own sources, not to compile.

/// A token, and the line on which it begins.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// A name, a keyword or a number.
    Word(String),
    /// One sign.
    Sign(char),
    /// What a string literal holds, with its escapes as they are written.
    Text(String),
    /// A comment that documents what follows, or the module.
    Doc(String),
    /// What stands in brackets, the opening one, and the line of the closing one.
    Group(char, Vec<Token>, usize),
}

impl Token {
    /// Whether it is this word or sign.
    pub(crate) fn is(&self, text: &str) -> bool {
        match &self.kind {
            Kind::Word(word) => word == text,
            Kind::Sign(sign) => text.len() == 1 && text.starts_with(*sign),
            _ => false,
        }
    }

    /// The name, if it is one.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    /// What stands in these brackets.
    pub(crate) fn group(&self, bracket: char) -> Option<&[Token]> {
        match &self.kind {
            Kind::Group(open, inner, _) if *open == bracket => Some(inner),
            _ => None,
        }
    }
}

/// The tokens of a file.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader { rest: text, line: 1 };
    reader.until(None)
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Takes this many bytes.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn until(&mut self, close: Option<char>) -> Vec<Token> {
        let mut found = Vec::new();
        loop {
            self.take(self.rest.len() - self.rest.trim_start().len());
            let Some(first) = self.rest.chars().next() else {
                assert!(close.is_none(), "line {}: no {close:?}", self.line);
                return found;
            };
            let line = self.line;
            if Some(first) == close {
                self.take(1);
                return found;
            }
            if let Some(kind) = self.next(first) {
                found.push(Token { line, kind });
            }
        }
    }

    fn next(&mut self, first: char) -> Option<Kind> {
        if self.rest.starts_with("//") {
            return self.comment();
        }
        if self.rest.starts_with("/*") {
            self.take(self.rest.find("*/").expect("comment ends") + 2);
            return None;
        }
        if let Some(text) = self.string() {
            return Some(Kind::Text(text));
        }
        if first == '\'' {
            return self.quoted();
        }
        if first.is_alphanumeric() || first == '_' {
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let end = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
            return Some(Kind::Word(self.take(end).to_owned()));
        }
        self.take(first.len_utf8());
        let close = match first {
            '(' => ')',
            '[' => ']',
            '{' => '}',
            _ => return Some(Kind::Sign(first)),
        };
        let inner = self.until(Some(close));
        Some(Kind::Group(first, inner, self.line))
    }

    fn comment(&mut self) -> Option<Kind> {
        let end = self.rest.find('\n').unwrap_or(self.rest.len());
        let text = self.take(end);
        let doc = text.strip_prefix("///").or_else(|| text.strip_prefix("//!"))?;
        Some(Kind::Doc(doc.to_owned()))
    }

    /// A string, also raw or of bytes.
    fn string(&mut self) -> Option<String> {
        let plain = self.rest.trim_start_matches(['b', 'c']);
        let raw = plain.strip_prefix('r').unwrap_or(plain);
        let body = raw.trim_start_matches('#');
        let prefix = self.rest.len() - body.len();
        if prefix > 8 || !body.starts_with('"') {
            return None;
        }
        let hashes = &raw[..raw.len() - body.len()];
        let length = if raw.len() == plain.len() {
            if !hashes.is_empty() {
                return None;
            }
            escaped(&body[1..], '"')
        } else {
            body[1..].find(&format!("\"{hashes}")).expect("string ends")
        };
        self.take(prefix + 1);
        let text = self.take(length).to_owned();
        self.take(1 + hashes.len());
        Some(text)
    }

    /// A character, which is nothing to us, or a lifetime.
    fn quoted(&mut self) -> Option<Kind> {
        let inner = &self.rest[1..];
        let mut letters = inner.chars();
        let (first, second) = (letters.next(), letters.next());
        if first == Some('\\') || second == Some('\'') {
            let length = escaped(inner, '\'');
            self.take(length + 2);
            return None;
        }
        self.take(1);
        Some(Kind::Sign('\''))
    }
}

/// Bytes before the closing quote.
fn escaped(text: &str, quote: char) -> usize {
    let mut escape = false;
    let end = text.find(|c| {
        let closes = c == quote && !escape;
        escape = c == '\\' && !escape;
        closes
    });
    end.expect("literal ends")
}

#[test]
fn strings_characters_and_comments_are_no_code() {
    let text = r##"fn f<'a>(c: char) { let x = "}\""; r#"{"#; b"["; '{'; '\''; /* ( */ } // )
        /// Doc."##;
    let found = tokens(text);
    let Some(Kind::Doc(doc)) = found.last().map(|t| &t.kind) else { panic!("{found:?}") };
    assert_eq!(doc, " Doc.");
    assert_eq!(found.last().unwrap().line, 2);
    let body = found.iter().find_map(|t| t.group('{')).unwrap();
    let texts: Vec<&str> = body
        .iter()
        .filter_map(|t| match &t.kind {
            Kind::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["}\\\"", "{", "["]);
}
