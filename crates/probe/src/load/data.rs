//! Data sets that requests are made of: folders of files, and JSON Lines.
//!
//! A data set is looked through once before the load, so that a fault in it is one error with its place. Names or
//! places of its records are kept, contents are not: they are read when a request needs them. Knows no protocol.

mod folder;
mod lines;

use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a record, at most: more than a message of gRPC may have by default on any server.
pub const LONGEST: u64 = if cfg!(fuzzing) { 1 << 12 } else { 64 << 20 };

/// What a record is, by the ending of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A JSON value.
    Json,
    /// An array of `NumPy`.
    Npy,
    /// Anything else, with its media type.
    Other(&'static str),
}

impl Kind {
    /// Of a file.
    pub fn of(path: &Path) -> Self {
        let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "json" => Self::Json,
            "npy" => Self::Npy,
            "bmp" => Self::Other("image/bmp"),
            "gif" => Self::Other("image/gif"),
            "jpg" | "jpeg" => Self::Other("image/jpeg"),
            "mp3" => Self::Other("audio/mpeg"),
            "png" => Self::Other("image/png"),
            "txt" => Self::Other("text/plain"),
            "wav" => Self::Other("audio/wav"),
            "webp" => Self::Other("image/webp"),
            _ => Self::Other("application/octet-stream"),
        }
    }

    /// The media type of a body of it.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Npy => "application/octet-stream",
            Self::Other(media) => media,
        }
    }
}

/// One record.
#[derive(Clone, Debug)]
pub struct Record {
    /// As a message names it: a file, or a line.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its contents.
    pub bytes: Bytes,
}

/// Why a data set cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DataError {
    /// What is wrong, and where.
    pub message: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl DataError {
    fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint }
    }

    fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::new(format!("`{}` cannot be read: {error}", path.display()), "check the path")
    }
}

/// A data set.
pub trait Records: std::fmt::Debug + Send + Sync {
    /// Records, one at least.
    fn count(&self) -> u64;
    /// Bytes of all of them.
    fn size(&self) -> u64;
    /// The record at a place, from 0.
    fn record(&self, at: u64) -> Result<Record, DataError>;
}

/// Looks through a data set: a folder, or a file of JSON Lines.
pub fn open(path: &Path) -> Result<Arc<dyn Records>, DataError> {
    let about = std::fs::metadata(path).map_err(|e| DataError::io(path, &e))?;
    if about.is_dir() {
        return Ok(Arc::new(folder::Folder::open(path)?));
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    if about.is_file() && matches!(ending, "jsonl" | "ndjson") {
        return Ok(Arc::new(lines::Lines::open(path)?));
    }
    Err(DataError::new(
        format!("`{}` is no data set", path.display()),
        "a folder of images, bodies or .npy files, or a .jsonl file with a body or an object of inputs to a line",
    ))
}

/// The order in which records are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they stand, again from the first after the last.
    Sequential,
    /// At random with this seed; a record may come again before others have come.
    Random(u64),
}

impl Order {
    /// The record that is used at a turn, of so many.
    pub fn place(self, turn: u64, count: u64) -> u64 {
        let count = count.max(1);
        match self {
            Self::Sequential => turn % count,
            Self::Random(seed) => {
                let drawn = crate::random::mix(
                    seed ^ crate::random::mix(turn.wrapping_add(0x6461_7461_0000_0001)),
                );
                let product = u128::from(drawn) * u128::from(count);
                u64::try_from(product >> 64).unwrap_or(0)
            }
        }
    }

    /// Different records that so many turns are expected to have.
    pub fn expected(self, turns: u64, count: u64) -> u64 {
        match self {
            Self::Sequential => turns.min(count),
            Self::Random(_) => {
                let all = count.max(1) as f64;
                let seen = -all * (turns as f64 * (-1.0 / all).ln_1p()).exp_m1();
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let seen = seen.round() as u64;
                seen.min(count).min(turns)
            }
        }
    }

    /// Different records among those of some turns.
    pub fn distinct(self, turns: impl Iterator<Item = u64>, count: u64) -> u64 {
        let words = usize::try_from(count.div_ceil(64)).unwrap_or(0);
        let mut seen = vec![0u64; words];
        let mut distinct = 0;
        for turn in turns {
            let at = self.place(turn, count);
            let Some(word) = usize::try_from(at / 64).ok().and_then(|w| seen.get_mut(w)) else {
                continue;
            };
            distinct += u64::from(*word & (1 << (at % 64)) == 0);
            *word |= 1 << (at % 64);
            if distinct == count {
                break;
            }
        }
        distinct
    }
}

/// Any bytes as a file of JSON Lines: every record, or one error. Its path is used while it is read.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(path: &Path) {
    if let Ok(lines) = lines::Lines::open(path) {
        for at in (0..lines.count()).rev() {
            let record = lines.record(at);
            assert!(record.is_ok_and(|r| !r.bytes.is_empty()), "{at}");
        }
    }
}

#[cfg(test)]
mod tests;
