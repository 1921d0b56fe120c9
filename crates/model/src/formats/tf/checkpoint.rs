//! Shapes of variables from the index of a checkpoint, an `SSTable`; looked at only where a graph states none.

use super::messages::Shape;
use crate::ir::DType;
use prost::Message;
use prost::encoding::decode_varint;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An index is no longer than this.
const MOST_BYTES: u64 = 64 << 20;
const MAGIC: u64 = 0xdb47_7524_8b80_fb57;
const FOOTER: usize = 48;

/// Of an entry, what is read: type and shape.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(int32, tag = "1")]
    dtype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

/// Type and sizes of a variable.
type Found = (Option<DType>, Vec<i64>);

/// The shapes in a folder's checkpoint.
pub(super) struct Shapes {
    path: Option<PathBuf>,
    read: OnceCell<BTreeMap<String, Found>>,
}

impl Shapes {
    /// Those in `variables/variables.index` of a folder.
    pub(super) fn beside(folder: Option<&Path>) -> Self {
        let path = folder.map(|f| f.join("variables").join("variables.index"));
        Self { path, read: OnceCell::new() }
    }

    /// The sizes of the variable of this name.
    pub(super) fn of(&self, name: &str) -> Option<&Found> {
        let all = self.read.get_or_init(|| self.index().unwrap_or_default());
        all.get(name).or_else(|| all.get(&format!("{name}/.ATTRIBUTES/VARIABLE_VALUE")))
    }

    fn index(&self) -> Option<BTreeMap<String, Found>> {
        let path = self.path.as_ref()?;
        let meta = std::fs::metadata(path).ok().filter(|m| m.is_file() && m.len() <= MOST_BYTES);
        meta?;
        entries(&std::fs::read(path).ok()?)
    }
}

/// All entries of a table.
fn entries(file: &[u8]) -> Option<BTreeMap<String, Found>> {
    let footer = file.get(file.len().checked_sub(FOOTER)?..)?;
    let (handles, magic) = footer.split_at(FOOTER - 8);
    if magic != MAGIC.to_le_bytes() {
        return None;
    }
    let mut rest = handles;
    handle(&mut rest)?;
    let index = block(file, handle(&mut rest)?)?;
    let mut found = BTreeMap::new();
    for (_, value) in pairs(index)? {
        let place = handle(&mut &value[..])?;
        for (key, value) in pairs(block(file, place)?)? {
            let Ok(entry) = Entry::decode(value) else { continue };
            let sizes = super::tensor::sizes("variable", entry.shape.as_ref()).ok().flatten();
            if let (Ok(key), Some(sizes)) = (String::from_utf8(key), sizes) {
                found.insert(key, (super::tensor::dtype(entry.dtype), sizes));
            }
        }
    }
    Some(found)
}

/// Offset and length of a block.
fn handle(rest: &mut &[u8]) -> Option<(usize, usize)> {
    let mut next = || usize::try_from(decode_varint(rest).ok()?).ok();
    Some((next()?, next()?))
}

/// The contents of a block that is not compressed.
fn block(file: &[u8], (offset, length): (usize, usize)) -> Option<&[u8]> {
    let end = offset.checked_add(length)?;
    (file.get(end) == Some(&0)).then(|| file.get(offset..end)).flatten()
}

type Pairs<'a> = Vec<(Vec<u8>, &'a [u8])>;

/// The keys and values of a block; a key repeats the beginning of the one before it.
fn pairs(block: &[u8]) -> Option<Pairs<'_>> {
    let count = u32::from_le_bytes(*block.last_chunk::<4>()?);
    let restarts = usize::try_from(count).ok()?.checked_add(1)?.checked_mul(4)?;
    let mut rest = block.get(..block.len().checked_sub(restarts)?)?;
    let mut found: Pairs<'_> = Vec::new();
    let mut key: Vec<u8> = Vec::new();
    while !rest.is_empty() {
        let mut next = || usize::try_from(decode_varint(&mut rest).ok()?).ok();
        let (shared, own, length) = (next()?, next()?, next()?);
        // Keys are names: a long one repeated for every entry would fill the memory.
        if shared > key.len() || shared > 4096 {
            return None;
        }
        key.truncate(shared);
        let (end, tail) = rest.split_at_checked(own)?;
        key.extend_from_slice(end);
        let (value, tail) = tail.split_at_checked(length)?;
        found.push((key.clone(), value));
        rest = tail;
    }
    Some(found)
}
