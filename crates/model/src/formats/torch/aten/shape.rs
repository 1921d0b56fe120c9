//! Views: the same elements under another shape.

use super::super::super::draft::Op;
use super::super::site::Site;
use super::super::value::{Lowered, Tensor, Value, unable};
use super::{Args, Row, axis, own, same, signed};

#[rustfmt::skip]
pub(super) const ROWS: &[Row] = &[
    own("view", "Reshape", view), own("reshape", "Reshape", view), own("_unsafe_view", "Reshape", view), own("_reshape_alias", "Reshape", view), own("view_copy", "Reshape", view), own("view_as", "Reshape", view_as), own("reshape_as", "Reshape", view_as),
    own("flatten", "Reshape", flatten), own("ravel", "Reshape", flatten), own("unflatten", "Reshape", unflatten), own("squeeze", "Squeeze", squeeze), own("squeeze_copy", "Squeeze", squeeze), own("unsqueeze", "Unsqueeze", unsqueeze), own("unsqueeze_copy", "Unsqueeze", unsqueeze),
    own("expand", "Expand", expand), own("expand_copy", "Expand", expand), own("broadcast_to", "Expand", expand), own("expand_as", "Expand", expand_as), own("broadcast_tensors", "Expand", broadcast_tensors),
    own("permute", "Transpose", permute), own("permute_copy", "Transpose", permute), own("transpose", "Transpose", transpose), own("transpose_copy", "Transpose", transpose), own("swapaxes", "Transpose", transpose), own("swapdims", "Transpose", transpose), own("t", "Transpose", turned), own("t_copy", "Transpose", turned), own("numpy_T", "Transpose", turned), own("mT", "Transpose", last), own("adjoint", "Transpose", last), own("mH", "Transpose", last), own("matrix_H", "Transpose", last), own("movedim", "Transpose", movedim), own("moveaxis", "Transpose", movedim),
    own("atleast_1d", "Unsqueeze", atleast::<1>), own("atleast_2d", "Unsqueeze", atleast::<2>), own("atleast_3d", "Unsqueeze", atleast::<3>), own("_to_cpu", "its input", each), own("_shape_as_tensor", "Shape", shape_as_tensor),
    same("contiguous"), same("clone"), same("alias"), same("alias_copy"), same("detach"), same("detach_copy"), same("lift_fresh_copy"), same("lift_fresh"), same("lift"), same("to_dense"), same("to_mkldnn"), same("positive"), same("set_data"), same("requires_grad"), same("pin_memory"), same("cpu"), same("cuda"), same("_assert_tensor_metadata"), same("data"), same("_nested_tensor_from_mask_left_aligned"),
];

fn viewed(made: Tensor, base: &Tensor) -> Value {
    Value::Tensor(made.view_of(base))
}

fn view(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if let Some(dtype) = arguments.dtype(99, "dtype") {
        return Ok(viewed(site.cast(&x, dtype)?, &x));
    }
    let given = arguments.get(1, "size").or_else(|| arguments.get(1, "shape"));
    if let Some(Value::Numbers(shape)) = given {
        return Ok(viewed(site.reshape(&x, shape)?.ranked(None), &x));
    }
    let shape = arguments.shape(1, "size").or_else(|| arguments.shape(1, "shape"));
    let Some(shape) = shape else { return unable("no shape is given") };
    let rank = shape.len();
    let shape = site.list(&shape)?;
    Ok(viewed(site.reshape(&x, &shape)?.ranked(Some(rank)), &x))
}

fn view_as(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, other) = (arguments.x()?, arguments.tensor(1, "other")?);
    let shape = site.shape(&other)?;
    Ok(viewed(site.reshape(&x, &shape)?.ranked(other.rank()), &x))
}

fn flatten(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let (start, end) = (arguments.int(1, "start_dim", 0)?, arguments.int(2, "end_dim", -1)?);
    let shape = match x.rank() {
        Some(0) => site.ints(&[1])?,
        Some(rank) => {
            let (start, end) = (axis(start, Some(rank))?, axis(end, Some(rank))?);
            if start == end && rank > 0 {
                return Ok(Value::Tensor(x));
            }
            let mut sizes = Vec::new();
            for at in 0..start {
                sizes.push(site.size(&x, signed(at))?);
            }
            sizes.push(Value::Int(-1));
            for at in end + 1..rank {
                sizes.push(site.size(&x, signed(at))?);
            }
            let rank = sizes.len();
            site.list(&sizes)?.ranked(Some(rank))
        }
        None => {
            let before =
                site.unary(Op::onnx("Shape").with("start", 0_i64).with("end", start), &x)?;
            let open = site.ints(&[-1])?;
            let mut parts = vec![before, open];
            if end != -1 {
                parts.push(site.unary(Op::onnx("Shape").with("start", end + 1), &x)?);
            }
            let inputs: Vec<Option<&Tensor>> = parts.iter().map(Some).collect();
            site.emit(Op::onnx("Concat").with("axis", 0_i64), &inputs)?.ranked(None)
        }
    };
    let rank = shape.rank();
    Ok(viewed(site.reshape(&x, &shape)?.ranked(rank), &x))
}

fn unflatten(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let at = axis(arguments.int(1, "dim", 0)?, x.rank())?;
    let Some(parts) = arguments.list(2, "sizes") else { return unable("no sizes are given") };
    let mut sizes = Vec::new();
    for axis in 0..x.rank().unwrap_or_default() {
        if axis == at {
            sizes.extend(parts.iter().cloned());
        } else {
            sizes.push(site.size(&x, signed(axis))?);
        }
    }
    let rank = sizes.len();
    let shape = site.list(&sizes)?;
    Ok(viewed(site.reshape(&x, &shape)?.ranked(Some(rank)), &x))
}

fn squeeze(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(axes) = arguments.ints(1, "dim")? else {
        if let Some(sizes) = x.sizes() {
            let axes: Vec<i64> =
                (0..sizes.len()).filter(|at| sizes[*at] == 1).map(signed).collect();
            return Ok(viewed(site.squeeze(&x, &axes)?, &x));
        }
        return Ok(viewed(site.unary(Op::onnx("Squeeze"), &x)?.ranked(None), &x));
    };
    if x.rank() == Some(0) || axes.is_empty() {
        return Ok(Value::Tensor(x));
    }
    // Axes of another size than one stay.
    let made = site.unary(Op::own("Squeeze").with("axes", axes.clone()), &x)?;
    Ok(viewed(made.ranked(x.rank().map(|rank| rank.saturating_sub(axes.len()))), &x))
}

fn unsqueeze(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    Ok(viewed(site.unsqueeze(&x, &[arguments.int(1, "dim", 0)?])?, &x))
}

/// Sizes, −1 for those that stay.
fn expand(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if let Some(Value::Numbers(shape)) = arguments.get(1, "size") {
        let made = site.emit(Op::onnx("Expand"), &[Some(&x), Some(shape)])?;
        return Ok(viewed(made.ranked(None), &x));
    }
    let Some(mut shape) = arguments.shape(1, "size") else { return unable("no shape is given") };
    if arguments.list(1, "size").is_none() {
        // A flag may stand behind single sizes.
        shape.retain(|size| !matches!(size, Value::Bool(_)));
    }
    for size in &mut shape {
        if size.as_int() == Some(-1) {
            *size = Value::Int(1);
        }
    }
    let rank = shape.len();
    let shape = site.list(&shape)?;
    Ok(viewed(site.emit(Op::onnx("Expand"), &[Some(&x), Some(&shape)])?.ranked(Some(rank)), &x))
}

fn expand_as(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (x, other) = (arguments.x()?, arguments.tensor(1, "other")?);
    let shape = site.shape(&other)?;
    let made = site.emit(Op::onnx("Expand"), &[Some(&x), Some(&shape)])?;
    Ok(viewed(made.ranked(other.rank()), &x))
}

fn broadcast_tensors(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let all = arguments.tensors(0, "tensors")?;
    let mut made = Vec::new();
    for (at, x) in all.iter().enumerate() {
        let mut wide = x.clone();
        for (other_at, other) in all.iter().enumerate() {
            if at != other_at {
                let shape = site.shape(other)?;
                let rank = wide.rank().zip(other.rank()).map(|(a, b)| a.max(b));
                wide = site.emit(Op::onnx("Expand"), &[Some(&wide), Some(&shape)])?.ranked(rank);
            }
        }
        made.push(Value::Tensor(wide));
    }
    Ok(Value::list(made))
}

fn permute(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let order = match arguments.get(1, "dims") {
        Some(Value::Int(_)) => {
            arguments.positional[1..].iter().filter_map(Value::as_int).collect::<Vec<i64>>()
        }
        _ => arguments.ints(1, "dims")?.unwrap_or_default(),
    };
    let rank = signed(order.len());
    let order: Vec<i64> = order.iter().map(|at| if *at < 0 { at + rank } else { *at }).collect();
    Ok(viewed(site.transpose(&x, &order)?.ranked(Some(order.len())), &x))
}

fn exchanged(site: &mut Site<'_, '_>, x: &Tensor, a: i64, b: i64) -> Lowered<Value> {
    let Some(rank) = x.rank() else {
        let op = Op::own("Transpose").with("axes", vec![a, b]);
        return Ok(viewed(site.unary(op, x)?, x));
    };
    if rank == 0 {
        return Ok(Value::Tensor(x.clone()));
    }
    let (a, b) = (axis(a, Some(rank))?, axis(b, Some(rank))?);
    let mut order: Vec<i64> = (0..signed(rank)).collect();
    order.swap(a, b);
    Ok(viewed(site.transpose(x, &order)?, x))
}

fn transpose(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let (a, b) = match (arguments.get(1, "dim0"), arguments.get(1, "axis0")) {
        (None, Some(_)) => (arguments.int(1, "axis0", 0)?, arguments.int(2, "axis1", 1)?),
        _ => (arguments.int(1, "dim0", 0)?, arguments.int(2, "dim1", 1)?),
    };
    exchanged(site, &arguments.x()?, a, b)
}

fn turned(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    if matches!(x.rank(), Some(0 | 1)) {
        return Ok(Value::Tensor(x));
    }
    if x.rank().is_some_and(|rank| rank > 2) {
        let order: Vec<i64> = (0..signed(x.rank().unwrap_or_default())).rev().collect();
        return Ok(viewed(site.transpose(&x, &order)?, &x));
    }
    Ok(viewed(site.transpose(&x, &[1, 0])?.ranked(Some(2)), &x))
}

fn last(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    exchanged(site, &arguments.x()?, -2, -1)
}

fn movedim(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let x = arguments.x()?;
    let Some(rank) = x.rank() else { return unable("the number of axes is not known") };
    let from = arguments.ints(1, "source")?.unwrap_or_default();
    let to = arguments.ints(2, "destination")?.unwrap_or_default();
    if from.len() != to.len() {
        return unable("axes that do not match");
    }
    let mut order: Vec<Option<usize>> = vec![None; rank];
    let mut moved = Vec::new();
    for (from, to) in from.iter().zip(&to) {
        let (from, to) = (axis(*from, Some(rank))?, axis(*to, Some(rank))?);
        order[to] = Some(from);
        moved.push(from);
    }
    let mut rest = (0..rank).filter(|at| !moved.contains(at));
    let order: Vec<i64> =
        order.into_iter().filter_map(|at| at.or_else(|| rest.next())).map(signed).collect();
    Ok(viewed(site.transpose(&x, &order)?, &x))
}

fn atleast<const RANK: usize>(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    if let Some(all) = arguments.list(0, "tensors") {
        let mut made = Vec::new();
        for each in all {
            made.push(atleast::<RANK>(site, &Args::of(vec![each]))?);
        }
        return Ok(Value::list(made));
    }
    let x = arguments.x()?;
    // The rows of two axes stay first among three.
    let axes: &[i64] = match (RANK, x.rank()) {
        (1, Some(0)) | (2, Some(1)) => &[0],
        (2, Some(0)) => &[0, 1],
        (3, Some(0)) => &[0, 1, 2],
        (3, Some(1)) => &[0, 2],
        (3, Some(2)) => &[2],
        _ => &[],
    };
    Ok(if axes.is_empty() { Value::Tensor(x) } else { viewed(site.unsqueeze(&x, axes)?, &x) })
}

/// Tensors on the processor.
fn each(_: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    arguments.get(0, "tensors").cloned().map_or_else(|| unable("no tensors are given"), Ok)
}

fn shape_as_tensor(site: &mut Site<'_, '_>, arguments: &Args) -> Lowered<Value> {
    let shape = site.shape(&arguments.x()?)?;
    Ok(Value::Tensor(shape))
}
