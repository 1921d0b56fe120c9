//! Contents of small tensors, as files keep them.

use crate::dim::Dim;
use crate::ir::{DType, Elem, MAX_TRACKED, TensorInfo};
use bytes::Buf;
use half::{bf16, f16};

/// So many little-endian elements of fixed width; none where the bytes are more or fewer.
pub(super) fn elements(bytes: &[u8], dtype: DType, count: usize) -> Option<Vec<Elem>> {
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

/// The contents of a tensor as little-endian elements, where they are constants of such a type.
pub(super) fn packed(info: &TensorInfo) -> Option<Vec<u8>> {
    let dtype = info.dtype?;
    let mut bytes = Vec::new();
    for element in info.value.as_ref()?.iter() {
        put(element, dtype, &mut bytes)?;
    }
    Some(bytes)
}

#[allow(clippy::cast_possible_truncation)]
fn put(element: &Elem, dtype: DType, out: &mut Vec<u8>) -> Option<()> {
    let float = || element.as_f64();
    // Whole numbers wrap as a cast of the type would make them.
    let whole = || element.to_whole()?.as_const().map(|n| n as i64);
    match dtype {
        DType::F32 => out.extend((float()? as f32).to_le_bytes()),
        DType::F64 => out.extend(float()?.to_le_bytes()),
        DType::F16 => out.extend(f16::from_f64(float()?).to_le_bytes()),
        DType::BF16 => out.extend(bf16::from_f64(float()?).to_le_bytes()),
        DType::I64 | DType::U64 => out.extend(whole()?.to_le_bytes()),
        DType::I32 | DType::U32 => out.extend(&whole()?.to_le_bytes()[..4]),
        DType::I16 | DType::U16 => out.extend(&whole()?.to_le_bytes()[..2]),
        DType::I8 | DType::U8 | DType::Bool => out.extend(&whole()?.to_le_bytes()[..1]),
        _ => return None,
    }
    Some(())
}
