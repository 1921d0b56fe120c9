//! Texts, tables, files, ragged and sparse tensors: no arithmetic, and sizes that are data.

use super::{Call, Lowered, Row, by};
use crate::formats::draft::Op;
use crate::formats::tf::tensor;
use crate::formats::tf::value::Val;
use crate::ir::DType;

/// A size that is data.
const OPEN: i64 = -1;
/// The first size of the first input.
const BATCH: i64 = -2;

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("AsString", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("Bucketize", "rooflens.Data", |c| like(c, 0, DType::I32)),
    by("DecodeBase64", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("DecodeBmp", "rooflens.Data", picture),
    by("DecodeImage", "rooflens.Data", picture),
    by("DecodeJpeg", "rooflens.Data", picture),
    by("DecodePng", "rooflens.Data", picture),
    by("DecodeWav", "rooflens.Data", sound),
    by("DecodeRaw", "rooflens.Data", raw),
    by("DynamicPartition", "rooflens.Data", partition),
    by("DynamicStitch", "rooflens.Data", stitch),
    by("EncodeBase64", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("HashTableV2", "nothing", |_| Ok(vec![Val::nothing()])),
    by("InTopK", "rooflens.Data", |c| like(c, 1, DType::Bool)),
    by("InTopKV2", "rooflens.Data", |c| like(c, 1, DType::Bool)),
    by("LookupTableFindV2", "rooflens.Data", lookup),
    by("LookupTableSizeV2", "rooflens.Data", |c| made(c, &[(DType::I64, &[])])),
    by("LowerBound", "rooflens.Data", |c| like(c, 1, c.def.dtype("out_type").unwrap_or(DType::I32))),
    by("MutableHashTableV2", "nothing", |_| Ok(vec![Val::nothing()])),
    by("ParallelDynamicStitch", "rooflens.Data", stitch),
    by("ParseExample", "rooflens.Data", parsed),
    by("ParseExampleV2", "rooflens.Data", parsed),
    by("ParseSingleExample", "rooflens.Data", parsed),
    by("RaggedRange", "rooflens.Data", |c| made(c, &[(DType::I64, &[OPEN]), (DType::I32, &[OPEN])])),
    by("RaggedTensorToTensor", "rooflens.Data", ragged),
    by("ReadFile", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("RegexFullMatch", "rooflens.Data", |c| like(c, 0, DType::Bool)),
    by("RegexReplace", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("SparseFillEmptyRows", "rooflens.Data", filled_rows),
    by("SparseFillEmptyRowsV2", "rooflens.Data", filled_rows),
    by("SparseReshape", "rooflens.Data", |c| made(c, &[(DType::I64, &[BATCH, 2]), (DType::I64, &[2])])),
    by("SparseToDense", "Expand", dense),
    by("StaticRegexFullMatch", "rooflens.Data", |c| like(c, 0, DType::Bool)),
    by("StaticRegexReplace", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("StringFormat", "rooflens.Data", |c| made(c, &[(DType::String, &[])])),
    by("StringJoin", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("StringLength", "rooflens.Data", |c| like(c, 0, DType::I32)),
    by("StringLower", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("StringSplit", "rooflens.Data", pieces),
    by("StringSplitV2", "rooflens.Data", pieces),
    by("StringStrip", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("StringToHashBucket", "rooflens.Data", |c| like(c, 0, DType::I64)),
    by("StringToHashBucketFast", "rooflens.Data", |c| like(c, 0, DType::I64)),
    by("StringToHashBucketStrong", "rooflens.Data", |c| like(c, 0, DType::I64)),
    by("StringToNumber", "rooflens.Data", |c| like(c, 0, c.def.dtype("out_type").unwrap_or(DType::F32))),
    by("StringUpper", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("Substr", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("UnicodeDecode", "rooflens.Data", |c| made(c, &[(DType::I64, &[OPEN]), (DType::I32, &[OPEN])])),
    by("UnicodeTranscode", "rooflens.Data", |c| like(c, 0, DType::String)),
    by("UpperBound", "rooflens.Data", |c| like(c, 1, c.def.dtype("out_type").unwrap_or(DType::I32))),
    by("VarIsInitializedOp", "rooflens.Data", |c| { c.inputs.clear(); made(c, &[(DType::Bool, &[])]) }),
];

/// Outputs of these types and sizes.
fn made(call: &mut Call<'_, '_, '_>, outputs: &[(DType, &[i64])]) -> Lowered {
    let owned: Vec<_> = outputs.iter().map(|(dtype, sizes)| (*dtype, sizes.to_vec())).collect();
    sized(call, &owned)
}

fn sized(call: &mut Call<'_, '_, '_>, outputs: &[(DType, Vec<i64>)]) -> Lowered {
    let numbers = |list: Vec<usize>| -> Vec<i64> {
        list.into_iter().filter_map(|n| i64::try_from(n).ok()).collect()
    };
    let op = Op::own("Data")
        .with("dtypes", outputs.iter().map(|(d, _)| i64::from(d.onnx())).collect::<Vec<i64>>())
        .with("ranks", numbers(outputs.iter().map(|(_, s)| s.len()).collect()))
        .with("sizes", outputs.iter().flat_map(|(_, s)| s.clone()).collect::<Vec<i64>>());
    let inputs: Vec<_> = (0..call.inputs.len())
        .map(|port| if call.val(port).is_nothing() { Ok(None) } else { call.x(port).map(Some) })
        .collect::<Result<_, _>>()?;
    let ids = call.cx.draft.many(&call.def.name, op, &inputs, outputs.len())?;
    let vals = ids.into_iter().zip(outputs);
    Ok(vals.map(|(id, (dtype, s))| Val::here(id).typed(Some(*dtype)).ranked(s.len())).collect())
}

/// An output with the shape of an input.
fn like(call: &mut Call<'_, '_, '_>, port: usize, dtype: DType) -> Lowered {
    let rank = call.val(port).rank;
    let op =
        Op::own("Data").with("dtypes", vec![i64::from(dtype.onnx())]).with("like", vec![0_i64]);
    let x = call.x(port)?;
    Ok(vec![Val::here(call.end(op, &[x])?).typed(Some(dtype)).ranked(rank)])
}

fn lookup(call: &mut Call<'_, '_, '_>) -> Lowered {
    let dtype = call.def.dtype("Tout").unwrap_or(DType::I64);
    like(call, 1, dtype)
}

fn picture(call: &mut Call<'_, '_, '_>) -> Lowered {
    let channels = call.def.int("channels").filter(|n| *n > 0).unwrap_or(OPEN);
    let dtype = call.def.dtype("dtype").unwrap_or(DType::U8);
    made(call, &[(dtype, &[OPEN, OPEN, channels])])
}

fn sound(call: &mut Call<'_, '_, '_>) -> Lowered {
    let wanted = |name: &str| call.def.int(name).filter(|n| *n > 0).unwrap_or(OPEN);
    let sizes = [wanted("desired_samples"), wanted("desired_channels")];
    made(call, &[(DType::F32, &sizes), (DType::I32, &[])])
}

/// Bytes of each text as numbers.
fn raw(call: &mut Call<'_, '_, '_>) -> Lowered {
    let Some(rank) = call.val(0).rank else { return call.foreign() };
    let dtype = call.def.dtype("out_type").unwrap_or(DType::U8);
    sized(call, &[(dtype, axes(rank, 0).chain([OPEN]).collect())])
}

/// The sizes of the first input from an axis on.
fn axes(rank: usize, from: usize) -> impl Iterator<Item = i64> {
    (from..rank).map(|at| BATCH - i64::try_from(at).unwrap_or(0))
}

fn partition(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (Some(rank), Some(by)) = (call.val(0).rank, call.val(1).rank) else {
        return call.foreign();
    };
    let dtype = call.val(0).dtype.unwrap_or(DType::F32);
    let part = (dtype, std::iter::once(OPEN).chain(axes(rank, by)).collect::<Vec<i64>>());
    let count = call.outputs;
    sized(call, &vec![part; count])
}

/// Inputs: as many lists of places as of rows.
fn stitch(call: &mut Call<'_, '_, '_>) -> Lowered {
    let half = call.inputs.len() / 2;
    let (rows, by) = (call.val(half), call.val(0).rank);
    let (Some(rank), Some(by)) = (rows.rank, by) else { return call.foreign() };
    let sizes = std::iter::once(OPEN).chain(axes(rank, by)).collect();
    call.inputs.rotate_left(half);
    sized(call, &[(rows.dtype.unwrap_or(DType::F32), sizes)])
}

/// Features of examples: sparse ones as indices, values and shapes; dense ones with their shapes behind the batch's.
fn parsed(call: &mut Call<'_, '_, '_>) -> Lowered {
    let def = call.def;
    let types = |name: &str| -> Vec<DType> {
        let list = def.types(name).unwrap_or_default();
        list.into_iter().map(|n| tensor::dtype(n).unwrap_or(DType::String)).collect()
    };
    let single = def.op == "ParseSingleExample";
    let batch: &[i64] = if single { &[] } else { &[BATCH] };
    let depth = if single { 1 } else { 2 };
    let mut outputs = Vec::new();
    let sparse = types("sparse_types");
    outputs.extend(sparse.iter().map(|_| (DType::I64, vec![OPEN, depth])));
    outputs.extend(sparse.iter().map(|dtype| (*dtype, vec![OPEN])));
    outputs.extend(sparse.iter().map(|_| (DType::I64, vec![depth])));
    let shapes = def.shapes("dense_shapes");
    for (at, dtype) in types("Tdense").into_iter().enumerate() {
        let own = tensor::sizes(&def.name, shapes.get(at))?.unwrap_or_default();
        outputs.push((dtype, batch.iter().copied().chain(own).collect()));
    }
    outputs.extend(types("ragged_value_types").into_iter().map(|dtype| (dtype, vec![OPEN])));
    outputs.extend(types("ragged_split_types").into_iter().map(|dtype| (dtype, vec![OPEN])));
    call.inputs.truncate(1);
    sized(call, &outputs)
}

/// The input before the rows says how many axes there are.
fn ragged(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (Some(rank), dtype) = (call.val(0).length, call.val(1).dtype) else {
        return call.foreign();
    };
    let stated = call.val(0).ints().map(<[i64]>::to_vec);
    let size = |at: usize| stated.as_ref().and_then(|s| s.get(at)).copied().filter(|n| *n >= 0);
    let sizes = (0..rank).map(|at| size(at).unwrap_or(OPEN)).collect();
    sized(call, &[(dtype.unwrap_or(DType::F32), sizes)])
}

fn filled_rows(call: &mut Call<'_, '_, '_>) -> Lowered {
    let dtype = call.val(1).dtype.unwrap_or(DType::I64);
    let outputs: [(DType, &[i64]); 4] =
        [(DType::I64, &[OPEN, 2]), (dtype, &[OPEN]), (DType::Bool, &[OPEN]), (DType::I64, &[OPEN])];
    made(call, &outputs)
}

/// Inputs: indices, the shape, values, and the number everywhere else.
fn dense(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (rank, dtype) = (call.val(1).length, call.val(2).dtype);
    let inputs = [call.x(3)?, call.list(1)?];
    Ok(vec![Val::here(call.end(Op::onnx("Expand"), &inputs)?).ranked(rank).typed(dtype)])
}

fn pieces(call: &mut Call<'_, '_, '_>) -> Lowered {
    made(call, &[(DType::I64, &[OPEN, 2]), (DType::String, &[OPEN]), (DType::I64, &[2])])
}
