//! Operators that fold axes away or run along one.

use super::{Call, Lowered, Row, by};
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::Val;
use crate::ir::DType;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("All", "ReduceMin", |c| truth(c, "ReduceMin")),
    by("Any", "ReduceMax", |c| truth(c, "ReduceMax")),
    by("ArgMax", "ArgMax", |c| extreme(c, "ArgMax")),
    by("ArgMin", "ArgMin", |c| extreme(c, "ArgMin")),
    by("Cumprod", "CumProd", |c| running(c, "CumProd")),
    by("Cumsum", "CumSum", |c| running(c, "CumSum")),
    by("CumulativeLogsumexp", "CumSum", |c| running(c, "CumSum")),
    by("EuclideanNorm", "ReduceL2", |c| reduce(c, "ReduceL2")),
    by("L2Loss", "ReduceSumSquare", loss),
    by("LogSoftmax", "LogSoftmax", |c| rows(c, "LogSoftmax")),
    by("Max", "ReduceMax", |c| reduce(c, "ReduceMax")),
    by("Mean", "ReduceMean", |c| reduce(c, "ReduceMean")),
    by("Min", "ReduceMin", |c| reduce(c, "ReduceMin")),
    by("Prod", "ReduceProd", |c| reduce(c, "ReduceProd")),
    by("SegmentMax", "rooflens.SegmentReduce", segments),
    by("SegmentMean", "rooflens.SegmentReduce", segments),
    by("SegmentMin", "rooflens.SegmentReduce", segments),
    by("SegmentProd", "rooflens.SegmentReduce", segments),
    by("SegmentSum", "rooflens.SegmentReduce", segments),
    by("Softmax", "Softmax", |c| rows(c, "Softmax")),
    by("SparseSegmentMean", "rooflens.SegmentReduce", sparse_segments),
    by("SparseSegmentMeanWithNumSegments", "rooflens.SegmentReduce", sparse_segments),
    by("SparseSegmentSqrtN", "rooflens.SegmentReduce", sparse_segments),
    by("SparseSegmentSum", "rooflens.SegmentReduce", sparse_segments),
    by("SparseSegmentSumWithNumSegments", "rooflens.SegmentReduce", sparse_segments),
    by("Sum", "ReduceSum", |c| reduce(c, "ReduceSum")),
    by("TopK", "TopK", top),
    by("TopKV2", "TopK", top),
    by("UnsortedSegmentMax", "rooflens.SegmentReduce", segments),
    by("UnsortedSegmentMin", "rooflens.SegmentReduce", segments),
    by("UnsortedSegmentProd", "rooflens.SegmentReduce", segments),
    by("UnsortedSegmentSum", "rooflens.SegmentReduce", segments),
];

/// Axes are the second input; none of them is no reduction.
fn reduce(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let (x, axes) = (call.val(0), call.val(1));
    let keep = call.def.flag("keep_dims");
    if axes.ints().is_some_and(<[i64]>::is_empty) {
        return Ok(vec![x]);
    }
    let rank = match (keep, axes.ints()) {
        (true, _) => x.rank,
        (false, Some(list)) => x.rank.and_then(|r| r.checked_sub(list.len())),
        _ => None,
    };
    let inputs = [call.x(0)?, call.list(1)?];
    let op = Op::onnx(name).with("keepdims", keep).with("noop_with_empty_axes", 1_i64);
    Ok(vec![Val::here(call.end(op, &inputs)?).ranked(rank)])
}

/// ONNX reduces truth values as integers.
fn truth(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    if call.val(1).ints().is_some_and(<[i64]>::is_empty) {
        return Ok(vec![call.val(0)]);
    }
    let (x, axes) = (call.x(0)?, call.list(1)?);
    let numbers = call.put("numbers", cast(DType::I32), &[x])?;
    let op = Op::onnx(name).with("keepdims", call.def.flag("keep_dims"));
    let reduced = call.put("reduced", op.with("noop_with_empty_axes", 1_i64), &[numbers, axes])?;
    call.one(cast(DType::Bool), &[reduced])
}

fn extreme(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let axis = if call.inputs.len() > 1 { call.val(1).int() } else { Some(0) };
    let Some(axis) = axis else { return call.foreign() };
    let (x, rank) = (call.x(0)?, call.val(0).rank.and_then(|r| r.checked_sub(1)));
    let op = Op::onnx(name).with("axis", axis).with("keepdims", 0_i64);
    let wanted = super::dtype(call.def, 0, &call.inputs);
    if wanted == Some(DType::I64) {
        return Ok(vec![Val::here(call.end(op, &[x])?).ranked(rank)]);
    }
    let found = call.put("index", op, &[x])?;
    let made = call.typed(found, DType::I64)?;
    Ok(made.into_iter().map(|v| v.ranked(rank)).collect())
}

fn running(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let inputs = [call.x(0)?, call.whole(1)?];
    let op = Op::onnx(name).with("exclusive", call.def.flag("exclusive"));
    call.one(op.with("reverse", call.def.flag("reverse")), &inputs)
}

fn loss(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    Ok(vec![
        Val::here(call.end(Op::onnx("ReduceSumSquare").with("keepdims", 0_i64), &[x])?).ranked(0),
    ])
}

fn rows(call: &mut Call<'_, '_, '_>, name: &str) -> Lowered {
    let (x, rank) = (call.x(0)?, call.val(0).rank);
    Ok(vec![Val::here(call.end(Op::onnx(name).with("axis", -1_i64), &[x])?).ranked(rank)])
}

/// Rows of the first input by the segments that the second names; a third says how many there are.
fn segments(call: &mut Call<'_, '_, '_>) -> Lowered {
    let mut inputs = vec![call.x(0)?, call.x(1)?];
    if call.inputs.len() > 2 {
        inputs.push(call.whole(2)?);
    }
    call.one(Op::own("SegmentReduce"), &inputs)
}

/// The rows to reduce are gathered first.
fn sparse_segments(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (data, indices, ids) = (call.x(0)?, call.x(1)?, call.x(2)?);
    let rows = call.put("rows", Op::onnx("Gather"), &[data, indices])?;
    let mut inputs = vec![rows, ids];
    if call.inputs.len() > 3 {
        inputs.push(call.whole(3)?);
    }
    call.one(Op::own("SegmentReduce"), &inputs)
}

fn top(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let k = match (call.inputs.len() > 1, call.def.int("k")) {
        (true, _) => call.list(1)?,
        (false, Some(k)) => call.cx.draft.ints(&[k])?,
        _ => return call.foreign(),
    };
    let op = Op::onnx("TopK").with("axis", -1_i64).with("sorted", call.def.flag_or("sorted", true));
    let made = call.cx.draft.many(&call.def.name, op, &[Some(x), Some(k)], 2)?;
    let rank = call.val(0).rank;
    let mut indices = made[1];
    let wanted = super::dtype(call.def, 1, &call.inputs).unwrap_or(DType::I32);
    if wanted != DType::I64 && call.outputs > 1 {
        indices = call.put("indices", cast(wanted), &[indices])?;
    }
    Ok(vec![Val::here(made[0]).ranked(rank), Val::here(indices).typed(Some(wanted)).ranked(rank)])
}
