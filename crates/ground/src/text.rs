//! Text that came from a file, made safe to show: on a terminal, in a table, in a document.
//!
//! Characters that move a cursor, start a command of the terminal, turn the direction of writing or are
//! not seen at all are written as JSON escapes them, `\u001b`, so that JSON that passes through here means
//! the same.

use std::borrow::Cow;
use std::fmt::Write;

/// Whether a character is no mark on the page: controls, marks of direction, and what has no width.
fn hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn escaped(text: &str, kept: &[char]) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !hidden(c) || kept.contains(&c) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out
}

/// Whether `text` is plain ASCII without controls, as nearly every name is.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| (b' '..=b'~').contains(&b))
}

/// A name on one line.
pub fn shown(text: &str) -> Cow<'_, str> {
    if plain(text) || !text.chars().any(hidden) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(escaped(text, &[]))
}

/// Makes a name one that is shown on one line.
pub fn show(name: &mut String) {
    if let Cow::Owned(shown) = shown(name) {
        *name = shown;
    }
}

/// Text of several lines, whose breaks stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    // Nearly all of a report is plain: only what is not is looked at as characters.
    let mut rest = text;
    let odd = |b: u8| !(b' '..=b'~').contains(&b) && b != b'\n';
    while let Some(at) = rest.bytes().position(odd) {
        rest = &rest[at..];
        let Some(c) = rest.chars().next() else { break };
        if hidden(c) {
            return Cow::Owned(escaped(text, &['\n']));
        }
        rest = &rest[c.len_utf8()..];
    }
    Cow::Borrowed(text)
}

/// Writes text of several lines as [`lines`] has it, in pieces of whole characters.
pub struct Shown<W: std::io::Write>(pub W);

impl<W: std::io::Write> std::io::Write for Shown<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let whole = match std::str::from_utf8(buffer) {
            Err(e) if e.valid_up_to() > 0 => e.valid_up_to(),
            _ => buffer.len(),
        };
        match std::str::from_utf8(&buffer[..whole]) {
            Ok(text) => self.0.write_all(lines(text).as_bytes())?,
            Err(_) => self.0.write_all(String::from_utf8_lossy(buffer).as_bytes())?,
        }
        Ok(whole)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A line of a Markdown document or a cell of a table, in which no name is a link, a picture, emphasis or
/// HTML.
pub fn markdown(text: &str) -> String {
    let text = shown(text);
    let mut out = String::with_capacity(text.len());
    let mut before = None;
    for (at, c) in text.char_indices() {
        let rest = &text[at + c.len_utf8()..];
        let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        match c {
            // Addresses become links of themselves; a line between letters is no emphasis.
            ':' if rest.starts_with("//") => out.push_str("\\:"),
            '.' if out.ends_with("www") => out.push_str("\\."),
            '_' if !(inside(before) && inside(rest.chars().next())) => out.push_str("\\_"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '|' | '`' | '*' | '[' | ']' | '~' => out.extend(['\\', c]),
            c => out.push(c),
        }
        before = Some(c);
    }
    out
}

/// A field of a CSV file, quoted where it must be. What a spreadsheet would take for a formula begins with
/// an apostrophe, which makes it text.
pub fn csv(text: &str) -> String {
    let shown = shown(text);
    let formula = shown.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']);
    let field = if formula { format!("'{shown}") } else { shown.into_owned() };
    if field.contains([',', '"', ';']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field
    }
}

/// A text as character data of XML and HTML, also between double quotes.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// 16 hexadecimal digits that are the same for the same text, and most likely for no other; no guard against those who
/// want two texts to be alike. Fowler, Noll and Vo's hash 1a of 64 bits, with their published constants.
pub fn fingerprint(text: &str) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_not_seen_is_written_out() {
        assert_eq!(shown("conv1/Relu_0 – größer"), "conv1/Relu_0 – größer");
        assert_eq!(shown("a\u{1b}[2J\r\n\tb\u{7f}\u{9b}"), "a\\u001b[2J\\r\\n\\tb\\u007f\\u009b");
        assert_eq!(shown("x\u{202e}y\u{2066}\u{200b}\u{2028}"), "x\\u202ey\\u2066\\u200b\\u2028");
        // A tag is two units of UTF-16, as in JSON.
        assert_eq!(shown("\u{e0041}"), "\\udb40\\udc41");
        assert_eq!(lines("a\nb\u{7}\n"), "a\nb\\u0007\n");
    }

    #[test]
    fn json_means_the_same() {
        let name = "a\u{7f}\u{202e}\u{e0041}\n\u{1b}";
        let json = serde_json::to_string_pretty(&[name]).unwrap();
        let back: Vec<String> = serde_json::from_str(&lines(&json)).unwrap();
        assert_eq!(back, [name]);
        // In pieces too.
        for size in 4..9 {
            let mut out = std::io::BufWriter::with_capacity(size, Shown(Vec::new()));
            for c in json.chars() {
                out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes()).unwrap();
            }
            let written = out.into_inner().map_err(|_| ()).unwrap().0;
            assert_eq!(String::from_utf8(written).unwrap(), lines(&json));
        }
    }

    #[test]
    fn cells_and_fields_hold_together() {
        assert_eq!(markdown("a|b`<img>`\n[x](y)"), "a\\|b\\`&lt;img&gt;\\`\\\\n\\[x\\](y)");
        assert_eq!(markdown("_a_b_ ~c~ http://d"), "\\_a_b\\_ \\~c\\~ http\\://d");
        assert_eq!(csv("=HYPERLINK(\"x\",1)"), "\"'=HYPERLINK(\"\"x\"\",1)\"");
        assert_eq!(csv("@sum"), "'@sum");
        assert_eq!(csv("conv,1"), "\"conv,1\"");
    }
}
