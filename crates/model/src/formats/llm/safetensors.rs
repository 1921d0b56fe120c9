//! The header of a safetensors file: eight bytes with its length, then JSON. Nothing behind it is read.

use super::tensors::{Kind, Tensor};
use crate::formats::LoadError;
use crate::formats::error::{invalid, malformed};
use crate::ir::DType;
use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::collections::HashSet;

/// As errors name the format.
pub(super) const NAME: &str = "safetensors";

/// No header is longer: what the format allows.
const MAX_HEADER: u64 = 100_000_000;
/// Starts of files that stand for others.
const POINTER: &[u8] = b"version https://git-lfs";

/// Eight bytes with the length of a JSON header that fits the file, and its first brace.
pub(super) fn sniff(file: &[u8]) -> bool {
    let Some((length, rest)) = file.split_first_chunk::<8>() else { return false };
    (2..=MAX_HEADER).contains(&u64::from_le_bytes(*length)) && rest.starts_with(b"{\"")
}

/// The tensors that the header of `file` describes.
pub(super) fn read(file: &[u8]) -> Result<Vec<(String, Tensor)>, LoadError> {
    if file.starts_with(POINTER) {
        return Err(malformed(NAME, "it is a Git LFS pointer, not the file it stands for"));
    }
    let bytes = u64::try_from(file.len()).unwrap_or(u64::MAX);
    let Some((length, rest)) = file.split_first_chunk::<8>() else {
        return Err(malformed(NAME, format!("it has {bytes} bytes, of at least 8")));
    };
    let length = u64::from_le_bytes(*length);
    let behind = bytes - 8;
    if length > MAX_HEADER {
        let message = format!("its header has {length} bytes, of at most {MAX_HEADER}");
        return Err(malformed(NAME, message));
    }
    if length > behind {
        let message =
            format!("its header has {length} bytes, and the file {behind} behind the length");
        return Err(malformed(NAME, message));
    }
    let header = usize::try_from(length).ok().and_then(|n| rest.get(..n)).unwrap_or_default();
    let header: Header =
        serde_json::from_slice(header).map_err(|error| malformed(NAME, error.to_string()))?;
    check(&header.0, behind - length)?;
    header.0.into_iter().map(|(name, entry)| Ok((name.clone(), entry.tensor(&name)?))).collect()
}

/// Holds the places of tensors against each other and the end of the file.
fn check(entries: &[(String, Entry)], data: u64) -> Result<(), LoadError> {
    let mut places: Vec<(u64, u64, &str)> = Vec::with_capacity(entries.len());
    for (name, entry) in entries {
        let [begin, end] = entry.data_offsets;
        if end < begin {
            return Err(invalid(
                format!("tensor `{name}`"),
                format!("ends at {end}, before its start {begin}"),
            ));
        }
        places.push((begin, end, name));
    }
    places.sort_unstable();
    let mut at = 0;
    for (begin, end, name) in places {
        if begin != at {
            let message = format!("begins at {begin}, where the tensor before it ends at {at}");
            return Err(invalid(format!("tensor `{name}`"), message));
        }
        at = end;
    }
    match at.cmp(&data) {
        std::cmp::Ordering::Greater => {
            let missing = at - data;
            Err(malformed(NAME, format!("its data end {missing} bytes before the header says")))
        }
        std::cmp::Ordering::Less => {
            let more = data - at;
            Err(malformed(NAME, format!("{more} bytes behind its last tensor belong to none")))
        }
        std::cmp::Ordering::Equal => Ok(()),
    }
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Entry {
    fn tensor(self, name: &str) -> Result<Tensor, LoadError> {
        let bytes = self.data_offsets[1] - self.data_offsets[0];
        let place = || format!("tensor `{name}`");
        let Some((kind, bits)) = kind(&self.dtype) else {
            let dtype = self.dtype;
            return Err(invalid(
                place(),
                format!("has the element type `{dtype}`, which the format has not"),
            ));
        };
        let tensor = Tensor { kind, shape: self.shape, bytes };
        let whole = tensor.elements().and_then(|n| n.checked_mul(bits)).map(|n| n.div_ceil(8));
        if whole == Some(bytes) {
            return Ok(tensor);
        }
        let shape = &tensor.shape;
        Err(invalid(place(), format!("has {bytes} bytes, which is not what {shape:?} take")))
    }
}

/// The type of this name, with its bits.
fn kind(name: &str) -> Option<(Kind, u64)> {
    let dtype = match name {
        "BOOL" => DType::Bool,
        "U8" => DType::U8,
        "I8" => DType::I8,
        "U16" => DType::U16,
        "I16" => DType::I16,
        "U32" => DType::U32,
        "I32" => DType::I32,
        "U64" => DType::U64,
        "I64" => DType::I64,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "F32" => DType::F32,
        "F64" => DType::F64,
        "C64" => DType::C64,
        "F8_E4M3" => DType::F8E4M3FN,
        "F8_E4M3FNUZ" => DType::F8E4M3FNUZ,
        "F8_E5M2" => DType::F8E5M2,
        "F8_E5M2FNUZ" => DType::F8E5M2FNUZ,
        "F8_E8M0" => DType::F8E8M0,
        "F4" => DType::F4E2M1,
        "F6_E2M3" | "F6_E3M2" => return Some((Kind::Packed("f6"), 6)),
        _ => return None,
    };
    Some((Kind::Plain(dtype), dtype.bits().into()))
}

/// Entries in the order of the file.
struct Header(Vec<(String, Entry)>);

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut entries, mut names) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(A::Error::custom(format!("`{name}` is repeated")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        entries.push((name, map.next_value()?));
                    }
                }
                Ok(Header(entries))
            }
        }
        from.deserialize_map(Entries)
    }
}
