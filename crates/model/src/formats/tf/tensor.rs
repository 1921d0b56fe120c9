//! Types, shapes and constants of `TensorFlow`.

use super::NAME;
use super::messages::{Shape, Tensor};
use crate::dim::Dim;
use crate::formats::checked::{MAX_FLOATS, checked_dim, checked_rank};
use crate::formats::error::malformed;
use crate::formats::{LoadError, contents};
use crate::ir::{DType, Elem, MAX_TRACKED, TensorInfo, Weight};
use bytes::{Buf, Bytes};
use prost::Message;

/// Types of references to variables have these numbers more than what they refer to.
const REFERENCE: i32 = 100;
const RESOURCE: i32 = 20;
const VARIANT: i32 = 21;

/// `DataType` by number: its name in texts, and the type here; none of handles and lists.
const TYPES: &[(i32, &str, Option<DType>)] = &[
    (1, "DT_FLOAT", Some(DType::F32)),
    (2, "DT_DOUBLE", Some(DType::F64)),
    (3, "DT_INT32", Some(DType::I32)),
    (4, "DT_UINT8", Some(DType::U8)),
    (5, "DT_INT16", Some(DType::I16)),
    (6, "DT_INT8", Some(DType::I8)),
    (7, "DT_STRING", Some(DType::String)),
    (8, "DT_COMPLEX64", Some(DType::C64)),
    (9, "DT_INT64", Some(DType::I64)),
    (10, "DT_BOOL", Some(DType::Bool)),
    (11, "DT_QINT8", Some(DType::I8)),
    (12, "DT_QUINT8", Some(DType::U8)),
    (13, "DT_QINT32", Some(DType::I32)),
    (14, "DT_BFLOAT16", Some(DType::BF16)),
    (15, "DT_QINT16", Some(DType::I16)),
    (16, "DT_QUINT16", Some(DType::U16)),
    (17, "DT_UINT16", Some(DType::U16)),
    (18, "DT_COMPLEX128", Some(DType::C128)),
    (19, "DT_HALF", Some(DType::F16)),
    (RESOURCE, "DT_RESOURCE", None),
    (VARIANT, "DT_VARIANT", None),
    (22, "DT_UINT32", Some(DType::U32)),
    (23, "DT_UINT64", Some(DType::U64)),
    (24, "DT_FLOAT8_E5M2", Some(DType::F8E5M2)),
    (25, "DT_FLOAT8_E4M3FN", Some(DType::F8E4M3FN)),
    (26, "DT_FLOAT8_E4M3FNUZ", Some(DType::F8E4M3FNUZ)),
    (28, "DT_FLOAT8_E5M2FNUZ", Some(DType::F8E5M2FNUZ)),
    (29, "DT_INT4", Some(DType::I4)),
    (30, "DT_UINT4", Some(DType::U4)),
    (31, "DT_INT2", Some(DType::I2)),
    (32, "DT_UINT2", Some(DType::U2)),
    (33, "DT_FLOAT4_E2M1FN", Some(DType::F4E2M1)),
];

/// The type of this number.
pub(super) fn dtype(number: i32) -> Option<DType> {
    let plain = if number > REFERENCE { number - REFERENCE } else { number };
    TYPES.iter().find(|(n, ..)| *n == plain)?.2
}

/// The number of the type that texts call so.
pub(super) fn type_number(name: &str) -> Option<i32> {
    let plain = name.strip_suffix("_REF").unwrap_or(name);
    let found = TYPES.iter().find(|(_, text, _)| *text == plain)?.0;
    Some(if plain == name { found } else { found + REFERENCE })
}

/// The sizes that are stated; −1 of those that are not. None where even the rank is not.
pub(super) fn sizes(place: &str, shape: Option<&Shape>) -> Result<Option<Vec<i64>>, LoadError> {
    let Some(shape) = shape.filter(|s| !s.unknown_rank) else { return Ok(None) };
    checked_rank(place, shape.dims.len())?;
    let sizes = shape.dims.iter().enumerate().map(|(axis, dim)| match dim.size {
        -1 => Ok(-1),
        size => checked_dim(place, axis, size).map(|_| size),
    });
    sizes.collect::<Result<Vec<_>, _>>().map(Some)
}

/// A constant of the file: what is known of it, and its bytes.
pub(super) struct Constant {
    pub(super) info: TensorInfo,
    pub(super) weight: Weight,
}

/// Reads a constant; contents only where they are small and may decide sizes.
pub(super) fn constant(place: &str, tensor: &Tensor) -> Result<Constant, LoadError> {
    let shape = sizes(place, tensor.shape.as_ref())?.unwrap_or_default();
    let mut dims = Vec::with_capacity(shape.len());
    for (axis, size) in shape.iter().enumerate() {
        dims.push(checked_dim(place, axis, *size)?);
    }
    let dtype = dtype(tensor.dtype);
    let info = TensorInfo { constant: true, ..TensorInfo::new(dtype, dims) };
    let weight = Weight::of(&info);
    let count = info.elements().and_then(|n| n.as_usize());
    let most = if dtype.is_some_and(DType::is_float) { MAX_FLOATS } else { MAX_TRACKED };
    let value = match (dtype, count) {
        (Some(dtype), Some(n)) if n <= most => elements(tensor, dtype, n),
        _ => None,
    };
    let info = match value {
        Some(value) => info.with_value(value),
        None => info,
    };
    Ok(Constant { info, weight })
}

/// The elements: packed bytes, or a list whose last one repeats.
fn elements(tensor: &Tensor, dtype: DType, count: usize) -> Option<Vec<Elem>> {
    if !tensor.content.is_empty() {
        return contents::elements(&tensor.content, dtype, count);
    }
    let whole = |n: i64| Elem::Int(Dim::from(n));
    let mut list = match dtype {
        DType::F32 => floats(&tensor.floats, count, |b| b.try_get_f32_le().ok().map(f64::from)),
        DType::F64 => floats(&tensor.doubles, count, |b| b.try_get_f64_le().ok()),
        DType::F16 | DType::BF16 => {
            let bits = varints(&tensor.halves, count)?;
            let number = |bits: i64| {
                let bits = u16::try_from(bits).unwrap_or(0);
                let half = dtype == DType::F16;
                Elem::Float(if half {
                    half::f16::from_bits(bits).into()
                } else {
                    half::bf16::from_bits(bits).into()
                })
            };
            Some(bits.into_iter().map(number).collect())
        }
        DType::I64 => Some(varints(&tensor.longs, count)?.into_iter().map(whole).collect()),
        DType::Bool => Some(varints(&tensor.bools, count)?.into_iter().map(whole).collect()),
        DType::U32 => Some(varints(&tensor.unsigned, count)?.into_iter().map(whole).collect()),
        DType::I32 | DType::I16 | DType::I8 | DType::U8 | DType::U16 => {
            Some(varints(&tensor.ints, count)?.into_iter().map(whole).collect())
        }
        _ => None,
    }?;
    let zero = if dtype.is_float() { Elem::Float(0.0) } else { whole(0) };
    let last = list.last().cloned().unwrap_or(zero);
    list.resize(count, last);
    Some(list)
}

fn floats(
    lists: &[Bytes],
    count: usize,
    next: impl Fn(&mut &[u8]) -> Option<f64>,
) -> Option<Vec<Elem>> {
    let mut found = Vec::new();
    for list in lists {
        let mut rest: &[u8] = list;
        while rest.has_remaining() {
            if found.len() >= count {
                return None;
            }
            found.push(Elem::Float(next(&mut rest)?));
        }
    }
    Some(found)
}

fn varints(lists: &[Bytes], count: usize) -> Option<Vec<i64>> {
    let mut found = Vec::new();
    for list in lists {
        let mut rest: &[u8] = list;
        while rest.has_remaining() {
            if found.len() >= count {
                return None;
            }
            found.push(prost::encoding::decode_varint(&mut rest).ok()?.cast_signed());
        }
    }
    Some(found)
}

/// A message that was left as bytes until now.
pub(super) fn decoded<M: Message + Default>(bytes: &Bytes) -> Result<M, LoadError> {
    M::decode(bytes.clone()).map_err(|error| malformed(NAME, error.to_string()))
}
