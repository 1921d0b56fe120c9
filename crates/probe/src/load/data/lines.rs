//! JSON Lines: every line that is not blank is a record. The places of some lines are kept, the others are found from
//! the one before.

use super::{DataError, Kind, LONGEST, Record, Records};
use bytes::Bytes;
use serde::de::IgnoredAny;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Places that are kept: twice as many, and every other one is given up.
const KEPT: usize = if cfg!(any(test, fuzzing)) { 4 } else { 1 << 19 };

#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    /// Where records begin, with the number of their line: of every so many-th one.
    places: Vec<(u64, u64)>,
    each: u64,
    count: u64,
    size: u64,
    reader: Mutex<Reader>,
}

/// The file where it was read last.
#[derive(Debug)]
struct Reader {
    file: BufReader<File>,
    /// The record that begins there, and the lines before it; unknown after an error.
    next: Option<(u64, u64)>,
}

/// A line that is not blank.
struct Line {
    text: Vec<u8>,
    /// Lines up to and with it.
    number: u64,
    /// Bytes up to and with it, and the blank ones before it.
    bytes: u64,
    blank: u64,
}

/// The next line that is not blank, after so many; `None` at the end.
fn next(file: &mut impl BufRead, mut number: u64, path: &Path) -> Result<Option<Line>, DataError> {
    let (mut text, mut bytes) = (Vec::new(), 0);
    loop {
        text.clear();
        let read = Read::take(&mut *file, LONGEST + 1).read_until(b'\n', &mut text);
        let read = read.map_err(|e| DataError::io(path, &e))? as u64;
        if read == 0 {
            return Ok(None);
        }
        number += 1;
        if read > LONGEST {
            return Err(wrong(path, number, &format!("has more than {} MiB", LONGEST >> 20)));
        }
        let mark = if number == 1 && text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let own = text[mark..].trim_ascii();
        if !own.is_empty() {
            let own = own.to_vec();
            return Ok(Some(Line { text: own, number, bytes: bytes + read, blank: bytes }));
        }
        bytes += read;
    }
}

fn wrong(path: &Path, line: u64, what: &str) -> DataError {
    DataError::new(
        format!("line {line} of `{}` {what}", path.display()),
        "every line is one JSON value: a body, or an object with an entry for each input",
    )
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let open = || File::open(path).map_err(|e| DataError::io(path, &e));
        let mut file = BufReader::with_capacity(1 << 20, open()?);
        let (mut places, mut each) = (Vec::new(), 1u64);
        let (mut count, mut size, mut at, mut number) = (0u64, 0u64, 0u64, 0u64);
        while let Some(line) = next(&mut file, number, path)? {
            serde_json::from_slice::<IgnoredAny>(&line.text)
                .map_err(|e| wrong(path, line.number, &format!("is not JSON: {e}")))?;
            // Skipping what a text holds does not look at its bytes.
            std::str::from_utf8(&line.text)
                .map_err(|_| wrong(path, line.number, "is not UTF-8"))?;
            if count.is_multiple_of(each) {
                if places.len() >= 2 * KEPT {
                    let mut number = 0u64;
                    places.retain(|_| {
                        number += 1;
                        number % 2 == 1
                    });
                    each *= 2;
                }
                if count.is_multiple_of(each) {
                    places.push((at + line.blank, line.number - 1));
                }
            }
            (count, size) = (count + 1, size + line.text.len() as u64);
            (at, number) = (at + line.bytes, line.number);
        }
        if count == 0 {
            return Err(DataError::new(
                format!("`{}` has no lines", path.display()),
                "every line is one JSON value",
            ));
        }
        let reader = Reader { file: BufReader::new(open()?), next: None };
        Ok(Self { path: path.to_owned(), places, each, count, size, reader: Mutex::new(reader) })
    }
}

impl Records for Lines {
    fn count(&self) -> u64 {
        self.count
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn record(&self, at: u64) -> Result<Record, DataError> {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let Reader { file, next: known } = &mut *reader;
        let kept = at - at % self.each;
        let near = known.take().filter(|(next, _)| (kept..=at).contains(next));
        let (mut record, mut number) = if let Some(near) = near {
            near
        } else {
            let place = usize::try_from(at / self.each).ok().and_then(|i| self.places.get(i));
            let (offset, lines) = place.copied().unwrap_or_default();
            file.seek(SeekFrom::Start(offset)).map_err(|e| DataError::io(&self.path, &e))?;
            (kept, lines)
        };
        loop {
            let line = next(file, number, &self.path)?;
            let line = line.ok_or_else(|| {
                wrong(&self.path, number, "is the last: the file has become shorter")
            })?;
            number = line.number;
            if record == at {
                *known = Some((at + 1, number));
                let name = format!("line {number}");
                return Ok(Record { name, kind: Kind::Json, bytes: Bytes::from(line.text) });
            }
            record += 1;
        }
    }
}
