//! Sizes, and views of other sizes.

use super::{Call, Lowered, Row, by};
use crate::dim::Dim;
use crate::formats::draft::Op;
use crate::formats::tf::control::cast;
use crate::formats::tf::value::{Place, Val};
use crate::ir::{DType, Elem, TensorInfo};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    by("BroadcastTo", "Expand", |c| spread(c, 0, 1)),
    by("ExpandDims", "Unsqueeze", expand_dims),
    by("Fill", "Expand", |c| spread(c, 1, 0)),
    by("Pack", "Unsqueeze, Concat", pack),
    by("Range", "Range", range),
    by("Rank", "Shape, Shape", rank),
    by("Reshape", "Reshape", reshape),
    by("Shape", "Shape", shape),
    by("ShapeN", "Shape", shapes),
    by("Size", "Size", size),
    by("Squeeze", "Squeeze", squeeze),
    by("Unpack", "Split, Squeeze", unpack),
    by("VariableShape", "Shape", shape),
];

/// A single number as the constant that fills a tensor.
pub(super) fn fill(dtype: DType, number: i64) -> TensorInfo {
    #[allow(clippy::cast_precision_loss)]
    let element =
        if dtype.is_float() { Elem::Float(number as f64) } else { Elem::Int(Dim::from(number)) };
    TensorInfo::new(Some(dtype), vec![Dim::ONE]).with_value(vec![element])
}

/// One value over a shape.
fn spread(call: &mut Call<'_, '_, '_>, value: usize, shape: usize) -> Lowered {
    let rank = call.val(shape).length;
    if let Some(number) = single(&call.val(value)) {
        // One number over a shape is no stored tensor.
        let shape = call.list(shape)?;
        let dtype = call.val(value).dtype;
        let id = call.end(Op::onnx("ConstantOfShape").with("value", number), &[shape])?;
        return Ok(vec![Val::here(id).ranked(rank).typed(dtype)]);
    }
    let inputs = [call.x(value)?, call.list(shape)?];
    Ok(vec![Val::here(call.end(Op::onnx("Expand"), &inputs)?).ranked(rank)])
}

/// A single number of the file, as the constant that fills a tensor.
fn single(val: &Val) -> Option<TensorInfo> {
    let Place::Stored(stored) = &val.place else { return None };
    let info = &stored.info;
    let value = info.value.as_ref().filter(|_| info.rank() == Some(0))?;
    Some(TensorInfo::new(info.dtype, vec![Dim::ONE]).with_value(value.to_vec()))
}

fn expand_dims(call: &mut Call<'_, '_, '_>) -> Lowered {
    let inputs = [call.x(0)?, call.list(1)?];
    call.one(Op::onnx("Unsqueeze"), &inputs)
}

fn pack(call: &mut Call<'_, '_, '_>) -> Lowered {
    let axis = call.def.int("axis").unwrap_or(0);
    let axes = call.cx.draft.ints(&[axis])?;
    let (mut parts, count) = (Vec::new(), call.inputs.len());
    for port in 0..count {
        let x = call.x(port)?;
        parts.push(call.put(&format!("{port}"), Op::onnx("Unsqueeze"), &[x, axes])?);
    }
    let rank = call.val(0).rank.map(|r| r + 1);
    let id = call.end(Op::onnx("Concat").with("axis", axis), &parts)?;
    let length = (axis == 0).then_some(count);
    Ok(vec![Val { length, ..Val::here(id).ranked(rank) }])
}

fn range(call: &mut Call<'_, '_, '_>) -> Lowered {
    let all = call.all()?;
    Ok(vec![Val::here(call.end(Op::onnx("Range"), &all)?).ranked(1)])
}

fn rank(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let sizes = call.put("shape", Op::onnx("Shape"), &[x])?;
    let count = call.put("count", Op::onnx("Size"), &[sizes])?;
    let made = call.typed(count, DType::I64)?;
    Ok(made.into_iter().map(|v| v.ranked(0)).collect())
}

fn reshape(call: &mut Call<'_, '_, '_>) -> Lowered {
    let rank = call.val(1).length;
    let inputs = [call.x(0)?, call.list(1)?];
    let id = call.end(Op::onnx("Reshape").with("allowzero", 1_i64), &inputs)?;
    let length = call.val(1).ints().and_then(|s| usize::try_from(*s.first()?).ok());
    Ok(vec![Val { length, ..Val::here(id).ranked(rank) }])
}

fn shape(call: &mut Call<'_, '_, '_>) -> Lowered {
    let (x, length) = (call.x(0)?, call.val(0).rank);
    let wanted = super::dtype(call.def, 0, &call.inputs).unwrap_or(DType::I32);
    let id = if wanted == DType::I64 {
        call.end(Op::onnx("Shape"), &[x])?
    } else {
        let sizes = call.put("sizes", Op::onnx("Shape"), &[x])?;
        call.end(cast(wanted), &[sizes])?
    };
    Ok(vec![Val { length, ..Val::here(id).ranked(1).typed(Some(wanted)) }])
}

fn shapes(call: &mut Call<'_, '_, '_>) -> Lowered {
    let wanted = call.def.dtype("out_type").unwrap_or(DType::I32);
    let mut found = Vec::new();
    for port in 0..call.inputs.len() {
        if call.val(port).is_nothing() {
            found.push(Val::nothing());
            continue;
        }
        let (x, length) = (call.x(port)?, call.val(port).rank);
        let mut id = call.put("sizes", Op::onnx("Shape"), &[x])?;
        if wanted != DType::I64 {
            id = call.put("shape", cast(wanted), &[id])?;
        }
        found.push(Val { length, ..Val::here(id).ranked(1).typed(Some(wanted)) });
    }
    Ok(found)
}

fn size(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let count = call.put("count", Op::onnx("Size"), &[x])?;
    let made = call.typed(count, DType::I64)?;
    Ok(made.into_iter().map(|v| v.ranked(0)).collect())
}

fn squeeze(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let named = call.def.ints("squeeze_dims").or_else(|| call.def.ints("axis"));
    let axes = named.filter(|axes| !axes.is_empty());
    let rank = call.val(0).rank;
    let Some(axes) = axes else { return call.one(Op::onnx("Squeeze"), &[x]) };
    let rank = rank.and_then(|r| r.checked_sub(axes.len()));
    let axes = call.cx.draft.ints(&axes)?;
    Ok(vec![Val::here(call.end(Op::onnx("Squeeze"), &[x, axes])?).ranked(rank)])
}

fn unpack(call: &mut Call<'_, '_, '_>) -> Lowered {
    let x = call.x(0)?;
    let axis = call.def.int("axis").unwrap_or(0);
    let count = call.def.int("num").and_then(|n| usize::try_from(n).ok()).unwrap_or(call.outputs);
    let rank = call.val(0).rank.and_then(|r| r.checked_sub(1));
    let op =
        Op::onnx("Split").with("axis", axis).with("num_outputs", i64::try_from(count).unwrap_or(1));
    let name = format!("{}/parts", call.def.name);
    let parts = call.cx.draft.many(&name, op, &[Some(x)], count)?;
    let axes = call.cx.draft.ints(&[axis])?;
    let mut found = Vec::new();
    for part in parts.into_iter().take(call.outputs) {
        found.push(Val::here(call.end(Op::onnx("Squeeze"), &[part, axes])?).ranked(rank));
    }
    Ok(found)
}
