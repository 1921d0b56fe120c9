//! Stored tensors: type and shape always, contents only where small.

use super::messages::{SparseTensorProto, TensorProto};
use crate::dim::Dim;
use crate::formats::{LoadError, LoadErrorKind};
use crate::ir::{DType, Elem, MAX_RANK, MAX_TRACKED, Sparse, TensorInfo, Weight};
use bytes::Buf;
use half::{bf16, f16};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

/// No axis of a real tensor is longer; a longer one is a broken or hostile file.
pub(super) const MAX_DIM: i64 = 1 << 40;

/// Floats decide few shapes — the scales of a resize, the ends of a range — and fill most weights.
const MAX_FLOATS: usize = 16;

/// Checks a size that the file gives as a number.
pub(super) fn checked_dim(place: &str, axis: usize, size: i64) -> Result<Dim, LoadError> {
    let message = match size {
        0..=MAX_DIM => return Ok(Dim::from(size)),
        ..0 => format!("axis {axis} has the negative size {size}"),
        _ => format!("axis {axis} has the size {size}, beyond any real tensor"),
    };
    Err(LoadErrorKind::Invalid { place: format!("tensor `{place}`"), message }.into())
}

/// Refuses more axes than any tensor has.
pub(super) fn checked_rank(name: &str, rank: usize) -> Result<(), LoadError> {
    if rank <= MAX_RANK {
        return Ok(());
    }
    let message = format!("has {rank} axes, of at most {MAX_RANK}");
    Err(LoadErrorKind::Invalid { place: format!("tensor `{name}`"), message }.into())
}

/// Type, shape and — for at most [`MAX_TRACKED`] integers or [`MAX_FLOATS`] floats — contents of a
/// stored tensor.
pub(super) fn info(tensor: &TensorProto, folder: Option<&Path>) -> Result<TensorInfo, LoadError> {
    let dtype = DType::from_onnx(tensor.data_type);
    checked_rank(&tensor.name, tensor.dims.len())?;
    let mut shape = Vec::with_capacity(tensor.dims.len());
    for (axis, size) in tensor.dims.iter().enumerate() {
        shape.push(checked_dim(&tensor.name, axis, *size)?);
    }
    let mut info = TensorInfo { constant: true, ..TensorInfo::new(dtype, shape) };
    let most = if dtype.is_some_and(DType::is_float) { MAX_FLOATS } else { MAX_TRACKED };
    let count = info.elements().and_then(|n| n.as_usize()).filter(|n| *n <= most);
    if let (Some(dtype), Some(count)) = (dtype, count) {
        if let Some(value) = contents(tensor, dtype, count, folder) {
            info = info.with_value(value);
        }
    }
    Ok(info)
}

/// Type and shape of a sparse tensor, and what is stored of it.
pub(super) fn sparse(tensor: &SparseTensorProto) -> Result<(TensorInfo, Weight), LoadError> {
    let name = tensor.values.as_ref().map_or("", |values| values.name.as_str());
    let (Some(values), Some(indices)) = (&tensor.values, &tensor.indices) else {
        let message = "is sparse and has no values or no indices".to_owned();
        return Err(LoadErrorKind::Invalid { place: format!("tensor `{name}`"), message }.into());
    };
    let size = |tensor: &TensorProto| -> Result<TensorInfo, LoadError> {
        let sizes = tensor.dims.iter().enumerate().map(|(axis, n)| checked_dim(name, axis, *n));
        let dtype = DType::from_onnx(tensor.data_type);
        Ok(TensorInfo::new(dtype, sizes.collect::<Result<Vec<_>, _>>()?))
    };
    let (stored, places) = (size(values)?, size(indices)?);
    let sizes = tensor.dims.iter().enumerate().map(|(axis, n)| checked_dim(name, axis, *n));
    let shape = sizes.collect::<Result<Vec<_>, _>>()?;
    let info = TensorInfo { constant: true, ..TensorInfo::new(stored.dtype, shape) };
    let index_bytes = places.bytes().unwrap_or_default();
    let weight = Weight {
        bytes: stored.bytes().unwrap_or_default() + index_bytes.clone(),
        external: values.data_location == 1,
        sparse: Some(Sparse { elements: stored.elements().unwrap_or_default(), index_bytes }),
        ..Weight::of(&info)
    };
    Ok((info, weight))
}

/// The elements, where the type is one whose contents shapes can depend on.
fn contents(
    tensor: &TensorProto,
    dtype: DType,
    count: usize,
    folder: Option<&Path>,
) -> Option<Vec<Elem>> {
    let int = |v: i64| Elem::Int(Dim::from(v));
    if tensor.data_location == 1 {
        return fixed(&external(tensor, dtype, count, folder?)?, dtype, count);
    }
    if !tensor.raw_data.is_empty() {
        return fixed(&tensor.raw_data, dtype, count);
    }
    match dtype {
        DType::F32 => fixed(&tensor.float_data.concat(), dtype, count),
        DType::F64 => fixed(&tensor.double_data.concat(), dtype, count),
        DType::I64 => varints(&tensor.int64_data.concat(), count, int),
        DType::I32 | DType::I8 | DType::U8 | DType::Bool | DType::I16 | DType::U16 => {
            varints(&tensor.int32_data.concat(), count, int)
        }
        _ => None,
    }
}

fn varints(mut bytes: &[u8], count: usize, make: impl Fn(i64) -> Elem) -> Option<Vec<Elem>> {
    let mut value = Vec::with_capacity(count.min(MAX_TRACKED));
    while bytes.has_remaining() && value.len() < count {
        let raw = prost::encoding::decode_varint(&mut bytes).ok()?;
        value.push(make(raw.cast_signed()));
    }
    (value.len() == count).then_some(value)
}

/// Little-endian elements of fixed width.
fn fixed(bytes: &[u8], dtype: DType, count: usize) -> Option<Vec<Elem>> {
    let mut bytes = bytes;
    let width = usize::try_from(dtype.bits() / 8).ok().filter(|w| *w > 0)?;
    if bytes.len() != width.checked_mul(count)? {
        return None;
    }
    let int = |v: i64| Elem::Int(Dim::from(v));
    let mut value = Vec::with_capacity(count.min(MAX_TRACKED));
    for _ in 0..count {
        value.push(match dtype {
            DType::I64 => int(bytes.try_get_i64_le().ok()?),
            DType::I32 => int(bytes.try_get_i32_le().ok()?.into()),
            DType::I16 => int(bytes.try_get_i16_le().ok()?.into()),
            DType::U16 => int(bytes.try_get_u16_le().ok()?.into()),
            DType::U32 => int(bytes.try_get_u32_le().ok()?.into()),
            DType::I8 => int(bytes.try_get_i8().ok()?.into()),
            DType::U8 | DType::Bool => int(bytes.try_get_u8().ok()?.into()),
            DType::F32 => Elem::Float(bytes.try_get_f32_le().ok()?.into()),
            DType::F64 => Elem::Float(bytes.try_get_f64_le().ok()?),
            DType::F16 => Elem::Float(f16::from_bits(bytes.try_get_u16_le().ok()?).into()),
            DType::BF16 => Elem::Float(bf16::from_bits(bytes.try_get_u16_le().ok()?).into()),
            _ => return None,
        });
    }
    Some(value)
}

/// Small contents kept in another file, which must lie in the model's folder.
fn external(tensor: &TensorProto, dtype: DType, count: usize, folder: &Path) -> Option<Vec<u8>> {
    let entry =
        |key: &str| tensor.external_data.iter().find(|e| e.key == key).map(|e| e.value.as_str());
    let path = Path::new(entry("location")?);
    if !path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let (folder, file) = (folder.canonicalize().ok()?, folder.join(path).canonicalize().ok()?);
    if !file.starts_with(&folder) || !file.is_file() {
        return None;
    }
    let length = dtype.bytes(&Dim::from(count)).as_usize()?;
    let mut reader = std::fs::File::open(file).ok()?;
    reader.seek(SeekFrom::Start(entry("offset").unwrap_or("0").parse().ok()?)).ok()?;
    let mut buffer = vec![0; length];
    reader.read_exact(&mut buffer).ok()?;
    Some(buffer)
}
