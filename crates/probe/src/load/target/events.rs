//! Server-sent events: the lines of a streamed answer, in whatever pieces they arrive. Knows nothing of what the
//! events say.

/// Bytes of an event, at most.
const LARGEST: usize = 1 << 20;

/// An event that is whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Its data; several lines of it are joined.
    pub(super) data: &'a [u8],
    /// Whether the stream itself says that this is an error: by the type of the event or the name of the line.
    pub(super) error: bool,
}

/// An event is longer than any should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {LARGEST} bytes")]
pub(super) struct TooLong;

/// Splits a stream into events.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    /// The line that has not ended.
    line: Vec<u8>,
    /// The last byte was a carriage return, which a line feed may follow.
    returned: bool,
    data: Vec<u8>,
    has_data: bool,
    error: bool,
}

impl Events {
    /// Takes what arrived and hands each event that is whole to `whole`.
    pub(super) fn feed(
        &mut self,
        piece: &[u8],
        whole: &mut impl FnMut(&Event<'_>),
    ) -> Result<(), TooLong> {
        let mut rest = piece;
        if self.returned && rest.first() == Some(&b'\n') {
            rest = &rest[1..];
        }
        self.returned = self.returned && piece.is_empty();
        while let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let (line, behind) = rest.split_at(end);
            let pair = behind.starts_with(b"\r\n");
            self.returned = behind == b"\r";
            rest = &behind[if pair { 2 } else { 1 }..];
            if self.line.is_empty() {
                self.line(line, whole)?;
            } else {
                let mut own = std::mem::take(&mut self.line);
                own.extend_from_slice(line);
                self.line(&own, whole)?;
                own.clear();
                self.line = own;
            }
        }
        self.line.extend_from_slice(rest);
        if self.line.len() > LARGEST { Err(TooLong) } else { Ok(()) }
    }

    /// Hands over an event that the end of the stream cut short of its empty line.
    pub(super) fn end(&mut self, whole: &mut impl FnMut(&Event<'_>)) -> Result<(), TooLong> {
        let line = std::mem::take(&mut self.line);
        self.line(&line, whole)?;
        self.line(b"", whole)
    }

    fn line(&mut self, line: &[u8], whole: &mut impl FnMut(&Event<'_>)) -> Result<(), TooLong> {
        if line.is_empty() {
            if self.has_data {
                whole(&Event { data: &self.data, error: self.error });
            }
            self.data.clear();
            (self.has_data, self.error) = (false, false);
            return Ok(());
        }
        let colon = line.iter().position(|b| *b == b':').unwrap_or(line.len());
        let (name, value) = (&line[..colon], line.get(colon + 1..).unwrap_or_default());
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"event" => self.error |= value == b"error",
            b"data" | b"error" => {
                self.error |= name.starts_with(b"error");
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            // Comments begin with the colon; other fields say nothing about the answer.
            _ => {}
        }
        if self.data.len() > LARGEST { Err(TooLong) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<(String, bool)> {
        let (mut events, mut all) = (Events::default(), Vec::new());
        let mut add = |e: &Event<'_>| all.push((String::from_utf8_lossy(e.data).into(), e.error));
        for piece in pieces {
            events.feed(piece, &mut add).unwrap();
        }
        events.end(&mut add).unwrap();
        all
    }

    #[test]
    fn lines_end_in_any_way_and_pieces_anywhere() {
        let text = b": a comment\ndata: one\n\ndata:two\r\ndata: three\r\n\r\nid: 7\rdata:four\r\revent: error\n\
                     data: {}\n\nerror: {\"code\":500}\n\nretry\n\ndata: [DONE]";
        let wanted = [
            ("one", false),
            ("two\nthree", false),
            ("four", false),
            ("{}", true),
            ("{\"code\":500}", true),
            ("[DONE]", false),
        ];
        let wanted: Vec<_> = wanted.iter().map(|(t, e)| ((*t).to_owned(), *e)).collect();
        assert_eq!(read(&[text]), wanted);
        for cut in 1..text.len() {
            assert_eq!(read(&[&text[..cut], b"", &text[cut..]]), wanted, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(read(&bytes), wanted);
        assert!(read(&[b"\n\n:\n\n"]).is_empty());
    }

    #[test]
    fn an_event_without_an_end_is_given_up() {
        let (mut events, piece) = (Events::default(), vec![b'x'; 1 << 16]);
        let ended = (0..100).position(|_| events.feed(&piece, &mut |_| ()).is_err());
        assert_eq!(ended, Some(16));
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &piece, b"\n"].concat();
        let ended = (0..100).position(|_| events.feed(&line, &mut |_| ()).is_err());
        assert_eq!(ended, Some(15));
    }
}
