//! Matrix products.

use super::{Call, Lowered, Row, by};
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::formats::tf::value::Val;
use crate::ir::{DType, ValueId};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("BatchMatMul", "MatMul", batched),
    by("BatchMatMulV2", "MatMul", batched),
    by("BatchMatMulV3", "MatMul", batched),
    by("Einsum", "Einsum", einsum),
    by("MatMul", "MatMul", matmul),
    by("MatrixDeterminant", "Det", |c| c.one_of("Det", 1)),
    by("MatrixInverse", "com.microsoft.Inverse", inverse),
    by("SparseMatMul", "MatMul", matmul),
];

/// A product of two matrices, either of which may be transposed.
pub(super) fn plain(call: &mut Call<'_, '_, '_>) -> Result<(Op, Vec<ValueId>), LoadError> {
    let pair = vec![call.x(0)?, call.x(1)?];
    let turned = |name: &str, other: &str| call.def.flag(name) || call.def.flag(other);
    let (a, b) = (turned("transpose_a", "adjoint_a"), turned("transpose_b", "adjoint_b"));
    if a || b {
        let op = Op::onnx("Gemm").with("transA", a).with("transB", b);
        return Ok((op, pair));
    }
    Ok((Op::onnx("MatMul"), pair))
}

fn matmul(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (op, pair) = plain(call)?;
    Ok(vec![Val::here(call.end(op, &pair)?).ranked(2)])
}

/// Products of matrices with axes before theirs.
fn batched(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (a, b) = (call.def.flag("adj_x"), call.def.flag("adj_y"));
    let ranks = (call.val(0).rank, call.val(1).rank);
    let (mut x, mut y) = (call.x(0)?, call.x(1)?);
    // Where ranks are known the transposes are nodes, as exporters to ONNX write them.
    let known = (!a || ranks.0.is_some()) && (!b || ranks.1.is_some());
    if !known {
        let op = Op::microsoft("FusedMatMul").with("transA", a).with("transB", b);
        return call.one(op, &[x, y]);
    }
    if a {
        x = call.put("x", turned(ranks.0.unwrap_or(2)), &[x])?;
    }
    if b {
        y = call.put("y", turned(ranks.1.unwrap_or(2)), &[y])?;
    }
    let whole = |port: usize| call.val(port).dtype.is_some_and(|d| d.is_integer() && d.bits() == 8);
    if whole(0) && whole(1) && call.def.dtype("Tout") == Some(DType::I32) {
        return call.one(Op::onnx("MatMulInteger"), &[x, y]);
    }
    call.one(Op::onnx("MatMul"), &[x, y])
}

/// The last two axes turned around.
fn turned(rank: usize) -> Op {
    let mut order: Vec<i64> = (0..rank).filter_map(|n| i64::try_from(n).ok()).collect();
    if rank >= 2 {
        order.swap(rank - 2, rank - 1);
    }
    Op::onnx("Transpose").with("perm", order)
}

fn einsum(call: &mut Call<'_, '_, '_>) -> Lowered {
    let all = call.all()?;
    let equation = call.def.text("equation").unwrap_or_default();
    let result = equation.split("->").nth(1).map(str::trim);
    let rank = result.filter(|r| !r.contains('.')).map(str::len);
    let id = call.end(Op::onnx("Einsum").with("equation", equation.as_str()), &all)?;
    Ok(vec![Val::here(id).ranked(rank)])
}

fn inverse(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    Ok(vec![Val::here(call.end(Op::microsoft("Inverse"), &[x])?).ranked(rank)])
}
