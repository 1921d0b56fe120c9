//! Stored tensors: type and shape always, contents only where small.

use super::messages::{SparseTensorProto, TensorProto};
use crate::dim::Dim;
use crate::formats::checked::{MAX_FLOATS, checked_dim, checked_rank};
use crate::formats::contents::elements;
use crate::formats::{LoadError, LoadErrorKind};
use crate::ir::{DType, Elem, MAX_TRACKED, Sparse, TensorInfo, Weight};
use bytes::Buf;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path};

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
        return elements(&external(tensor, dtype, count, folder?)?, dtype, count);
    }
    if !tensor.raw_data.is_empty() {
        return elements(&tensor.raw_data, dtype, count);
    }
    match dtype {
        DType::F32 => elements(&tensor.float_data.concat(), dtype, count),
        DType::F64 => elements(&tensor.double_data.concat(), dtype, count),
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
