//! A cursor over a flatbuffer: every offset is held against the file, and all that is read of it is counted, so
//! that tables and vectors that lie over each other are not read without end.

use super::NAME;
use crate::formats::LoadError;
use crate::formats::error::malformed;
use std::cell::Cell;

/// For each byte of the file so many may be read, and these besides.
const READ_AGAIN: usize = 16;
const READ_AT_LEAST: usize = 1 << 20;
/// What a table counts beyond its contents.
const TABLE: usize = 64;

/// A file, and how much of it may still be read.
pub(super) struct Flat<'a> {
    bytes: &'a [u8],
    left: Cell<usize>,
}

/// A table: fields by number, each of which may be absent.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    flat: &'a Flat<'a>,
    at: usize,
    /// The offsets of its fields, two bytes each.
    fields: &'a [u8],
}

fn broken(what: &str, at: usize) -> LoadError {
    malformed(NAME, format!("{what} at byte {at} reaches beyond the file"))
}

/// A scalar of fixed width.
pub(super) trait Scalar: Sized {
    /// Its bytes in a file.
    const WIDTH: usize;
    /// Its value; none of too few bytes.
    fn of(bytes: &[u8]) -> Option<Self>;
}

macro_rules! scalars {
    ($($kind:ty)*) => {
        $(impl Scalar for $kind {
            const WIDTH: usize = size_of::<$kind>();

            fn of(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|bytes| Self::from_le_bytes(*bytes))
            }
        })*
    };
}

scalars! { u8 i8 u16 i32 u32 i64 u64 f32 }

impl<'a> Flat<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let left = bytes.len().saturating_mul(READ_AGAIN).saturating_add(READ_AT_LEAST);
        Self { bytes, left: Cell::new(left) }
    }

    /// The table that the file begins with.
    pub(super) fn root(&'a self) -> Result<Table<'a>, LoadError> {
        self.table(self.scalar::<u32>(0)?, 0)
    }

    /// Bytes of the file by their offset from its beginning.
    pub(super) fn part(&self, at: u64, length: u64) -> Result<&'a [u8], LoadError> {
        let (from, length) = (usize::try_from(at).ok(), usize::try_from(length).ok());
        let part = from.zip(length).and_then(|(at, length)| self.bytes.get(at..)?.get(..length));
        part.ok_or_else(|| {
            malformed(NAME, format!("a buffer at byte {at} reaches beyond the file"))
        })
    }

    fn count(&self, bytes: usize) -> Result<(), LoadError> {
        let Some(left) = self.left.get().checked_sub(bytes) else {
            return Err(malformed(NAME, "its tables lie over each other again and again"));
        };
        self.left.set(left);
        Ok(())
    }

    fn scalar<T: Scalar>(&self, at: usize) -> Result<T, LoadError> {
        self.bytes.get(at..).and_then(T::of).ok_or_else(|| broken("a number", at))
    }

    /// The table `offset` behind `at`.
    fn table(&'a self, offset: u32, at: usize) -> Result<Table<'a>, LoadError> {
        let at = self.behind(offset, at)?;
        let back = i64::from(self.scalar::<i32>(at)?);
        let outside = || broken("a table", at);
        let start = i64::try_from(at).ok().and_then(|at| usize::try_from(at - back).ok());
        let start = start.ok_or_else(outside)?;
        let length = usize::from(self.scalar::<u16>(start)?);
        let fields = self.bytes.get(start..).and_then(|rest| rest.get(4..length));
        self.count(TABLE)?;
        Ok(Table { flat: self, at, fields: fields.ok_or_else(outside)? })
    }

    fn behind(&self, offset: u32, at: usize) -> Result<usize, LoadError> {
        let to = usize::try_from(offset).ok().and_then(|offset| at.checked_add(offset));
        to.filter(|to| *to < self.bytes.len()).ok_or_else(|| broken("an offset", at))
    }
}

impl<'a> Table<'a> {
    /// Where a field lies; none where it is absent.
    fn field(&self, number: usize) -> Option<usize> {
        let offset = self.fields.get(2 * number..).and_then(u16::of)?;
        (offset > 0).then(|| self.at + usize::from(offset))
    }

    /// A number; its default where it is absent.
    pub(super) fn get<T: Scalar>(&self, number: usize, default: T) -> Result<T, LoadError> {
        self.field(number).map_or(Ok(default), |at| self.flat.scalar(at))
    }

    /// A flag, which is off where it is absent.
    pub(super) fn flag(&self, number: usize) -> Result<bool, LoadError> {
        Ok(self.get(number, 0_u8)? != 0)
    }

    /// A table in a field.
    pub(super) fn table(&self, number: usize) -> Result<Option<Self>, LoadError> {
        let Some(at) = self.field(number) else { return Ok(None) };
        self.flat.table(self.flat.scalar(at)?, at).map(Some)
    }

    /// The elements of a vector, and where they lie.
    fn vector(&self, number: usize, width: usize) -> Result<Option<(usize, &'a [u8])>, LoadError> {
        let Some(at) = self.field(number) else { return Ok(None) };
        let at = self.flat.behind(self.flat.scalar(at)?, at)?;
        let count = usize::try_from(self.flat.scalar::<u32>(at)?).unwrap_or(usize::MAX);
        let length = count.checked_mul(width).ok_or_else(|| broken("a vector", at))?;
        let elements = self.flat.bytes.get(at + 4..).and_then(|rest| rest.get(..length));
        Ok(Some((at + 4, elements.ok_or_else(|| broken("a vector", at))?)))
    }

    /// Whether there is a vector, and how many numbers of this width it holds.
    pub(super) fn length(&self, number: usize, width: usize) -> Result<Option<usize>, LoadError> {
        Ok(self.vector(number, width)?.map(|(_, bytes)| bytes.len() / width))
    }

    /// Bytes, which are not read.
    pub(super) fn bytes(&self, number: usize) -> Result<&'a [u8], LoadError> {
        Ok(self.vector(number, 1)?.map_or(&[], |(_, bytes)| bytes))
    }

    /// A list of numbers; none where it is absent.
    pub(super) fn list<T: Scalar>(&self, number: usize) -> Result<Option<Vec<T>>, LoadError> {
        let Some((_, bytes)) = self.vector(number, T::WIDTH)? else { return Ok(None) };
        self.flat.count(bytes.len())?;
        Ok(Some(bytes.chunks_exact(T::WIDTH).filter_map(T::of).collect()))
    }

    /// A text, empty where it is absent.
    pub(super) fn text(&self, number: usize) -> Result<String, LoadError> {
        let bytes = self.bytes(number)?;
        self.flat.count(bytes.len())?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The tables of a vector.
    pub(super) fn tables(&self, number: usize) -> Result<Vec<Self>, LoadError> {
        let Some((at, bytes)) = self.vector(number, 4)? else { return Ok(Vec::new()) };
        self.flat.count(bytes.len())?;
        let offsets = bytes.chunks_exact(4).filter_map(u32::of).enumerate();
        offsets.map(|(i, offset)| self.flat.table(offset, at + 4 * i)).collect()
    }
}
