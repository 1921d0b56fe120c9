//! GGUF files: keys and values, then the tensors' names, sizes and places; numbers of either byte order.

use super::ggml;
use super::tensors::Tensor;
use crate::formats::LoadError;
use crate::formats::error::{invalid, malformed};
use std::collections::BTreeMap;

/// As errors and lists name the format.
pub(super) const NAME: &str = "GGUF";

pub(super) const MAGIC: &[u8] = b"GGUF";
/// Of longer lists only their length is kept: those of layers are shorter, those of tokens are not read.
const MAX_KEPT: u64 = 8192;
/// No tensor has more axes.
const MAX_AXES: u32 = 4;
/// Lists in lists end here.
const MAX_DEPTH: usize = 4;
/// No real file has more keys or tensors.
const MAX_ENTRIES: u64 = 1 << 22;

/// The value of a key.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Int(i64),
    Real(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
    /// The length of a list whose elements are not kept.
    Length(u64),
}

/// What a file says in front of its data.
pub(super) struct File {
    pub(super) version: u32,
    pub(super) keys: BTreeMap<String, Value>,
    pub(super) tensors: Vec<(String, Tensor)>,
}

impl File {
    /// An integer at a key.
    pub(super) fn int(&self, key: &str) -> Option<i64> {
        match self.keys.get(key)? {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// A text at a key.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.keys.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What is left of a file, and how its numbers are written.
struct Cursor<'a> {
    rest: &'a [u8],
    big: bool,
    /// Whether counts and lengths take four bytes.
    short: bool,
}

macro_rules! number {
    ($name:ident, $type:ty, $bytes:literal) => {
        fn $name(&mut self) -> Result<$type, LoadError> {
            let bytes = self.take::<$bytes>()?;
            Ok(if self.big { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) })
        }
    };
}

impl<'a> Cursor<'a> {
    number!(u16, u16, 2);
    number!(u32, u32, 4);
    number!(u64, u64, 8);

    fn take<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or_else(short)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn count(&mut self) -> Result<u64, LoadError> {
        if self.short { Ok(self.u32()?.into()) } else { self.u64() }
    }

    fn skip(&mut self, bytes: u64) -> Result<&'a [u8], LoadError> {
        let length =
            usize::try_from(bytes).ok().filter(|n| *n <= self.rest.len()).ok_or_else(short)?;
        let (skipped, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(skipped)
    }

    fn text(&mut self) -> Result<String, LoadError> {
        let length = self.count()?;
        Ok(String::from_utf8_lossy(self.skip(length)?).into_owned())
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value, LoadError> {
        Ok(match kind {
            0 => Value::Int(self.take::<1>()?[0].into()),
            1 => Value::Int(i8::from_le_bytes(self.take::<1>()?).into()),
            2 => Value::Int(self.u16()?.into()),
            3 => Value::Int(self.u16()?.cast_signed().into()),
            4 => Value::Int(self.u32()?.into()),
            5 => Value::Int(self.u32()?.cast_signed().into()),
            6 => Value::Real(f32::from_bits(self.u32()?).into()),
            7 => Value::Bool(self.take::<1>()?[0] != 0),
            8 => Value::Text(self.text()?),
            9 => return self.list(depth),
            10 => Value::Int(i64::try_from(self.u64()?).unwrap_or(i64::MAX)),
            11 => Value::Int(self.u64()?.cast_signed()),
            12 => Value::Real(f64::from_bits(self.u64()?)),
            other => return Err(malformed(NAME, format!("a key has the unknown type {other}"))),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value, LoadError> {
        if depth >= MAX_DEPTH {
            return Err(malformed(NAME, format!("lists nest deeper than {MAX_DEPTH}")));
        }
        let kind = self.u32()?;
        let count = self.count()?;
        let width = match kind {
            0 | 1 | 7 => Some(1),
            2 | 3 => Some(2),
            4..=6 => Some(4),
            10..=12 => Some(8),
            _ => None,
        };
        if let (Some(width), true) = (width, count > MAX_KEPT) {
            self.skip(count.checked_mul(width).ok_or_else(short)?)?;
            return Ok(Value::Length(count));
        }
        if kind == 8 {
            for _ in 0..count {
                let length = self.count()?;
                self.skip(length)?;
            }
            return Ok(Value::Length(count));
        }
        let mut list = Vec::new();
        for _ in 0..count {
            let value = self.value(kind, depth + 1)?;
            if count <= MAX_KEPT {
                list.push(value);
            }
        }
        Ok(if count <= MAX_KEPT { Value::List(list) } else { Value::Length(count) })
    }

    /// A tensor's name, its entry, and where its data begin.
    fn tensor(&mut self) -> Result<(String, Tensor, u64), LoadError> {
        let name = self.text()?;
        let place = || format!("tensor `{name}`");
        let axes = self.u32()?;
        if axes > MAX_AXES {
            return Err(invalid(place(), format!("has {axes} axes, of at most {MAX_AXES}")));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            shape.push(self.count()?);
        }
        let block = ggml::block(self.u32()?).map_err(|why| invalid(place(), why))?;
        let offset = self.u64()?;
        let row = shape.first().copied().unwrap_or(1);
        if !row.is_multiple_of(block.numbers) {
            let (kind, numbers) = (block.name, block.numbers);
            return Err(invalid(
                place(),
                format!("has rows of {row} numbers, which {kind} packs by {numbers}"),
            ));
        }
        shape.reverse();
        let mut tensor = Tensor { kind: block.kind(), shape, bytes: 0 };
        let bytes =
            tensor.elements().map(|n| n / block.numbers).and_then(|n| n.checked_mul(block.bytes));
        tensor.bytes = bytes.ok_or_else(|| invalid(place(), "has more numbers than any file"))?;
        Ok((name, tensor, offset))
    }
}

fn short() -> LoadError {
    malformed(NAME, "it ends before its header does")
}

/// What `file` says in front of its data.
pub(super) fn read(file: &[u8]) -> Result<File, LoadError> {
    let Some(rest) = file.strip_prefix(MAGIC) else {
        return Err(malformed(NAME, "it does not begin with the letters GGUF"));
    };
    let mut cursor = Cursor { rest, big: false, short: false };
    let mut version = cursor.u32()?;
    if version.trailing_zeros() >= 16 {
        (cursor.big, version) = (true, version.swap_bytes());
    }
    if !(1..=3).contains(&version) {
        return Err(malformed(NAME, format!("its version is {version}, of those known 1 to 3")));
    }
    cursor.short = version == 1;
    let (tensors, keys) = (cursor.count()?, cursor.count()?);
    if tensors > MAX_ENTRIES || keys > MAX_ENTRIES {
        return Err(malformed(NAME, format!("it says {tensors} tensors and {keys} keys")));
    }
    let mut read = File { version, keys: BTreeMap::new(), tensors: Vec::new() };
    for _ in 0..keys {
        let key = cursor.text()?;
        let kind = cursor.u32()?;
        let value = cursor.value(kind, 0)?;
        if read.keys.insert(key.clone(), value).is_some() {
            return Err(malformed(NAME, format!("the key `{key}` is repeated")));
        }
    }
    let mut end = 0_u64;
    let mut names = std::collections::HashSet::new();
    for _ in 0..tensors {
        let (name, tensor, offset) = cursor.tensor()?;
        let behind = offset.checked_add(tensor.bytes);
        end = end.max(
            behind.ok_or_else(|| invalid(format!("tensor `{name}`"), "ends beyond any file"))?,
        );
        if !names.insert(name.clone()) {
            return Err(malformed(NAME, format!("the tensor `{name}` is repeated")));
        }
        read.tensors.push((name, tensor));
    }
    let alignment =
        read.int("general.alignment").and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0);
    let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let head = length(file.len() - cursor.rest.len());
    let data = head.checked_next_multiple_of(alignment.unwrap_or(32)).unwrap_or(u64::MAX);
    let there = length(file.len()).saturating_sub(data);
    if tensors > 0 && end > there {
        let missing = end - there;
        return Err(malformed(
            NAME,
            format!("its data end {missing} bytes before the header says"),
        ));
    }
    Ok(read)
}
