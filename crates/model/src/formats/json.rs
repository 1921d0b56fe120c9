//! JSON as Python writes it.

/// The text with numbers in place of `NaN` and `Infinity` outside strings; none if there is none.
pub(super) fn plain(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut inside, mut changed) = (0, false, false);
    while let Some(byte) = text.get(at) {
        let rest = &text[at..];
        let word = [(&b"NaN"[..], &b"null"[..]), (b"Infinity", b"1e308")];
        let found = word.iter().find(|(name, _)| !inside && rest.starts_with(name));
        if let Some((name, number)) = found {
            out.extend_from_slice(number);
            (at, changed) = (at + name.len(), true);
            continue;
        }
        if inside && *byte == b'\\' {
            out.extend(rest.iter().take(2));
            at += 2;
            continue;
        }
        inside ^= *byte == b'"';
        out.push(*byte);
        at += 1;
    }
    changed.then_some(out)
}
