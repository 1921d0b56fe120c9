//! torch's numbers of element types.

use crate::ir::DType;

/// In the order of their numbers; none where the graph has no such type.
const TYPES: &[Option<DType>] = &[
    Some(DType::U8),
    Some(DType::I8),
    Some(DType::I16),
    Some(DType::I32),
    Some(DType::I64),
    Some(DType::F16),
    Some(DType::F32),
    Some(DType::F64),
    None,
    Some(DType::C64),
    Some(DType::C128),
    Some(DType::Bool),
    Some(DType::I8),
    Some(DType::U8),
    Some(DType::I32),
    Some(DType::BF16),
    Some(DType::U4),
    Some(DType::U2),
    None,
    None,
    None,
    None,
    None,
    Some(DType::F8E5M2),
    Some(DType::F8E4M3FN),
    Some(DType::F8E5M2FNUZ),
    Some(DType::F8E4M3FNUZ),
    Some(DType::U16),
    Some(DType::U32),
    Some(DType::U64),
];

/// The type with this number.
pub(super) fn dtype(number: i64) -> Option<DType> {
    TYPES.get(usize::try_from(number).ok()?).copied().flatten()
}

/// The number of a type.
pub(super) fn number(dtype: DType) -> i64 {
    let at = TYPES.iter().position(|known| *known == Some(dtype));
    at.and_then(|at| i64::try_from(at).ok()).unwrap_or(6)
}
