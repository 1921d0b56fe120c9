//! Shapes and movement: what `TFLite` keeps in options or in other inputs than ONNX does.

use super::contraction::stated;
use super::site::{Made, Site};
use crate::dim::Dim;
use crate::formats::LoadError;
use crate::formats::draft::Op;
use crate::ir::{DType, Elem, TensorInfo, ValueId};

fn one(value: Result<ValueId, LoadError>) -> Made {
    Ok(Some(vec![value?]))
}

/// The number of an axis from the front, where the rank is known.
fn from_front(axis: i64, rank: usize) -> i64 {
    let rank = i64::try_from(rank).unwrap_or(i64::MAX);
    if axis < 0 { axis.saturating_add(rank) } else { axis }
}

impl Site<'_, '_, '_> {
    /// A list of axes or sizes as a value: 64-bit integers of one axis, where they are constants.
    fn list(&mut self, port: usize) -> Result<ValueId, LoadError> {
        match self.ints(port)? {
            Some(list) => self.draft.ints(&list),
            None => self.input(port),
        }
    }

    /// One number without axes, of a type that is also that of other inputs.
    fn zero(&mut self, dtype: Option<DType>) -> Result<ValueId, LoadError> {
        let float = dtype.is_some_and(DType::is_float);
        let zero = if float { Elem::Float(0.0) } else { Elem::Int(Dim::ZERO) };
        let info = TensorInfo::new(dtype.or(Some(DType::F32)), Vec::new());
        self.draft.small(info.with_value(vec![zero]))
    }
}

pub(super) fn reshape(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let sizes = match site.op.inputs.get(1).copied().flatten() {
        Some(_) => site.list(1)?,
        None => {
            let sizes = site.options().and_then(|o| o.list::<i32>(0).transpose()).transpose()?;
            let sizes: Vec<i64> = sizes.unwrap_or_default().into_iter().map(i64::from).collect();
            // Early converters wrote the shape of a single number so.
            let sizes = if sizes == [0] { Vec::new() } else { sizes };
            site.draft.ints(&sizes)?
        }
    };
    let op = Op::onnx("Reshape").with("allowzero", true);
    one(site.node(op, &[Some(x), Some(sizes)]))
}

/// To the sizes that the file states of the output.
pub(super) fn reshape_as_stated(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, Some(sizes)) = (site.input(0)?, stated(site, 0)) else { return Ok(None) };
    let sizes = site.draft.ints(&sizes)?;
    let op = Op::onnx("Reshape").with("allowzero", true);
    one(site.node(op, &[Some(x), Some(sizes)]))
}

pub(super) fn shape(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let sizes = site.node(Op::onnx("Shape"), &[Some(x)])?;
    one(site.as_made(sizes, 0))
}

pub(super) fn rank(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let sizes = site.step("sizes", Op::onnx("Shape"), &[Some(x)])?;
    let count = site.node(Op::onnx("Size"), &[Some(sizes)])?;
    one(site.as_made(count, 0))
}

pub(super) fn squeeze(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let axes: Vec<i32> = match site.options() {
        Some(options) => options.list(0)?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut inputs = vec![Some(x)];
    if !axes.is_empty() {
        let axes: Vec<i64> = axes.into_iter().map(i64::from).collect();
        inputs.push(Some(site.draft.ints(&axes)?));
    }
    one(site.node(Op::onnx("Squeeze"), &inputs))
}

pub(super) fn expand_dims(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, axis) = (site.input(0)?, site.list(1)?);
    one(site.node(Op::onnx("Unsqueeze"), &[Some(x), Some(axis)]))
}

pub(super) fn transpose(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, Some(order)) = (site.input(0)?, site.ints(1)?) else { return Ok(None) };
    one(site.node(Op::onnx("Transpose").with("perm", order), &[Some(x)]))
}

/// The order of axes is in the options.
pub(super) fn transpose_by_option(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, order) = (site.input(0)?, site.longs(0)?);
    one(site.node(Op::onnx("Transpose").with("perm", order), &[Some(x)]))
}

pub(super) fn concatenation(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let axis = i64::from(site.option(0, 0_i32)?);
    let y = site.node(Op::onnx("Concat").with("axis", axis), &inputs)?;
    one(site.activated(y, 1))
}

pub(super) fn concatenate(site: &mut Site<'_, '_, '_>) -> Made {
    let (inputs, axis) = (site.inputs()?, site.option(0, 0_i64)?);
    one(site.node(Op::onnx("Concat").with("axis", axis), &inputs))
}

pub(super) fn pack(site: &mut Site<'_, '_, '_>) -> Made {
    let axis = i64::from(site.option(1, 0_i32)?);
    let mut parts = Vec::new();
    for port in 0..site.op.inputs.len() {
        let (part, axes) = (site.input(port)?, site.draft.ints(&[axis])?);
        let part = site.step("part", Op::onnx("Unsqueeze"), &[Some(part), Some(axes)])?;
        parts.push(Some(part));
    }
    one(site.node(Op::onnx("Concat").with("axis", axis), &parts))
}

pub(super) fn unpack(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let axis = i64::from(site.option(1, 0_i32)?);
    let parts = site.op.outputs.len();
    let op = Op::onnx("Split").with("axis", axis);
    let op = op.with("num_outputs", i64::try_from(parts).unwrap_or(i64::MAX));
    let mut made = Vec::new();
    for part in site.nodes(op, &[Some(x)], parts)? {
        let axes = site.draft.ints(&[axis])?;
        made.push(site.step("part", Op::onnx("Squeeze"), &[Some(part), Some(axes)])?);
    }
    Ok(Some(made))
}

/// The axis, and what is split into equal parts.
pub(super) fn split(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, Some(axis)) = (site.input(1)?, site.int_of(0)?) else { return Ok(None) };
    let parts = site.op.outputs.len();
    let op = Op::onnx("Split").with("axis", axis);
    let op = op.with("num_outputs", i64::try_from(parts).unwrap_or(i64::MAX));
    site.nodes(op, &[Some(x)], parts).map(Some)
}

/// What is split, the sizes of the parts, one of which may be −1 for what is left, and the axis.
pub(super) fn split_by_sizes(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, mut sizes) = (site.input(0)?, site.input(1)?);
    let Some(axis) = site.int_of(2)? else { return Ok(None) };
    if site.ints(1)?.is_some_and(|sizes| sizes.contains(&-1)) {
        let at = usize::try_from(from_front(axis, site.rank(0))).unwrap_or(usize::MAX);
        let parts = 0..site.op.outputs.len();
        let stated = parts.map(|port| Some(i64::from(*site.made(port)?.shape.get(at)?)));
        let Some(stated) = stated.collect::<Option<Vec<_>>>() else { return Ok(None) };
        sizes = site.draft.ints(&stated)?;
    }
    let parts = site.op.outputs.len();
    let op = Op::onnx("Split").with("axis", axis);
    site.nodes(op, &[Some(x), Some(sizes)], parts).map(Some)
}

/// A pair for each axis, to all that go before and then all that go behind.
fn pads(site: &mut Site<'_, '_, '_>) -> Result<ValueId, LoadError> {
    if let Some(pairs) = site.ints(1)? {
        let sides = [0, 1].map(|side| pairs.chunks_exact(2).map(move |pair| pair[side]));
        return site.draft.ints(&sides.into_iter().flatten().collect::<Vec<_>>());
    }
    let pairs = site.input(1)?;
    let sides = site.turned(pairs, &[1, 0])?;
    site.reshaped(sides, &[-1])
}

pub(super) fn pad(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, pads, value) = (site.input(0)?, pads(site)?, site.optional(2)?);
    one(site.node(Op::onnx("Pad"), &[Some(x), Some(pads), value]))
}

pub(super) fn mirror_pad(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, pads) = (site.input(0)?, pads(site)?);
    let mode = if site.option(0, 0_i8)? == 0 { "reflect" } else { "symmetric" };
    one(site.node(Op::onnx("Pad").with("mode", mode), &[Some(x), Some(pads)]))
}

/// Padding before, behind and between the elements of each axis, in the options.
pub(super) fn pad_by_option(site: &mut Site<'_, '_, '_>) -> Made {
    let (mut x, value) = (site.input(0)?, site.optional(1)?);
    let (before, behind, between) = (site.longs(0)?, site.longs(1)?, site.longs(2)?);
    if between.iter().any(|n| *n != 0) {
        let steps: Vec<i64> = between.iter().map(|n| n.saturating_add(1)).collect();
        let steps = site.draft.ints(&steps)?;
        x = site.step("spread", Op::own("Dilate"), &[Some(x), Some(steps)])?;
    }
    let pads = site.draft.ints(&[before, behind].concat())?;
    one(site.node(Op::onnx("Pad"), &[Some(x), Some(pads), value]))
}

/// The shape, and the number that fills it.
pub(super) fn fill(site: &mut Site<'_, '_, '_>) -> Made {
    let (sizes, value) = (site.input(0)?, site.input(1)?);
    one(site.node(Op::onnx("Expand"), &[Some(value), Some(sizes)]))
}

pub(super) fn zeros_like(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, zero) = (site.input(0)?, site.zero(site.dtype(0))?);
    let sizes = site.step("sizes", Op::onnx("Shape"), &[Some(x)])?;
    one(site.node(Op::onnx("Expand"), &[Some(zero), Some(sizes)]))
}

/// The shape that two shapes broadcast to: the larger sizes, the shorter shape with ones before it.
pub(super) fn broadcast_args(site: &mut Site<'_, '_, '_>) -> Made {
    let long = |site: &Site<'_, '_, '_>, port| {
        let shape = site.tensor(port).map(|t| t.shape.clone()).unwrap_or_default();
        shape.first().copied().unwrap_or(0)
    };
    let lengths = [long(site, 0), long(site, 1)];
    let most = lengths[0].max(lengths[1]);
    let mut shapes = Vec::new();
    for (port, length) in lengths.into_iter().enumerate() {
        let shape = site.input(port)?;
        let missing = usize::try_from(most - length).unwrap_or(0).min(crate::ir::MAX_RANK);
        if missing == 0 {
            shapes.push(Some(shape));
            continue;
        }
        let ones = site.draft.ints(&vec![1; missing])?;
        let op = Op::onnx("Concat").with("axis", 0_i64);
        shapes.push(Some(site.step("ones", op, &[Some(ones), Some(shape)])?));
    }
    let larger = site.node(Op::onnx("Max"), &shapes)?;
    one(site.as_made(larger, 0))
}

/// x, which axes of the output its axes are; the output is as the file states.
pub(super) fn broadcast_in_dim(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, axes) = (site.input(0)?, site.longs(0)?);
    let Some(sizes) = stated(site, 0) else { return Ok(None) };
    let own = site.tensor(0).map(|t| t.shape.clone()).unwrap_or_default();
    let mut spread = vec![1_i64; sizes.len()];
    for (axis, size) in axes.iter().zip(own) {
        let Some(place) = usize::try_from(*axis).ok().and_then(|at| spread.get_mut(at)) else {
            return Ok(None);
        };
        *place = size.into();
    }
    let placed = site.reshaped(x, &spread)?;
    let sizes = site.draft.ints(&sizes)?;
    one(site.node(Op::onnx("Expand"), &[Some(placed), Some(sizes)]))
}

/// Numbers along one axis, the same along the others.
pub(super) fn iota(site: &mut Site<'_, '_, '_>) -> Made {
    let Some(sizes) = stated(site, 0) else { return Ok(None) };
    let axis = usize::try_from(site.option(0, 0_i64)?).unwrap_or(usize::MAX);
    let Some(length) = sizes.get(axis).copied() else { return Ok(None) };
    let ends = [site.draft.int(0)?, site.draft.int(length)?, site.draft.int(1)?].map(Some);
    let numbers = site.step("numbers", Op::onnx("Range"), &ends)?;
    let mut spread = vec![1; sizes.len()];
    spread[axis] = length;
    let placed = site.reshaped(numbers, &spread)?;
    let sizes = site.draft.ints(&sizes)?;
    let all = site.node(Op::onnx("Expand"), &[Some(placed), Some(sizes)])?;
    one(site.as_made(all, 0))
}

pub(super) fn gather(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, ids) = (site.input(0)?, site.input(1)?);
    let (axis, batch) = (site.option(0, 0_i32)?, site.option(1, 0_i32)?);
    let (axis, batch) =
        (from_front(axis.into(), site.rank(0)), from_front(batch.into(), site.rank(1)));
    if batch == 0 {
        return one(site.node(Op::onnx("Gather").with("axis", axis), &[Some(x), Some(ids)]));
    }
    if axis != batch {
        return Ok(None);
    }
    let axes = site.draft.ints(&[-1])?;
    let ids = site.step("ids", Op::onnx("Unsqueeze"), &[Some(ids), Some(axes)])?;
    one(site.node(Op::onnx("GatherND").with("batch_dims", batch), &[Some(x), Some(ids)]))
}

/// Indices, updates, the shape of the output.
pub(super) fn scatter_nd(site: &mut Site<'_, '_, '_>) -> Made {
    let (ids, updates, sizes) = (site.input(0)?, site.input(1)?, site.input(2)?);
    let zero = site.zero(site.dtype(1))?;
    let zeros = site.step("zeros", Op::onnx("Expand"), &[Some(zero), Some(sizes)])?;
    let op = Op::onnx("ScatterND").with("reduction", "add");
    one(site.node(op, &[Some(zeros), Some(ids), Some(updates)]))
}

/// Indices, the shape of the output, values, and what is elsewhere.
pub(super) fn sparse_to_dense(site: &mut Site<'_, '_, '_>) -> Made {
    let (ids, sizes) = (site.input(0)?, site.input(1)?);
    let (values, default) = (site.input(2)?, site.input(3)?);
    let ids = match site.rank(0) {
        0 => site.reshaped(ids, &[1, 1])?,
        1 => site.reshaped(ids, &[-1, 1])?,
        _ => ids,
    };
    let count = site.tensor(0).and_then(|t| t.shape.first().copied()).unwrap_or(1);
    let count = site.draft.ints(&[count.max(1).into()])?;
    let values = match site.rank(2) {
        0 => site.step("values", Op::onnx("Expand"), &[Some(values), Some(count)])?,
        _ => values,
    };
    let whole = site.step("default", Op::onnx("Expand"), &[Some(default), Some(sizes)])?;
    let inputs = [Some(whole), Some(ids), Some(values)];
    one(site.node(Op::onnx("ScatterND"), &inputs))
}

/// As a slice that steps backwards.
pub(super) fn reverse(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, Some(axes)) = (site.input(0)?, site.ints(1)?) else { return Ok(None) };
    let n = axes.len();
    let lists = [vec![-1; n], vec![i64::from(i32::MIN); n], axes, vec![-1; n]];
    let mut inputs = vec![Some(x)];
    for list in lists {
        inputs.push(Some(site.draft.ints(&list)?));
    }
    one(site.node(Op::onnx("Slice"), &inputs))
}

pub(super) fn reverse_sequence(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    let (time, batch) = (site.option(0, 0_i32)?, site.option(1, 0_i32)?);
    let op = Op::onnx("ReverseSequence").with("time_axis", i64::from(time));
    one(site.node(op.with("batch_axis", i64::from(batch)), &inputs))
}

fn blocks(site: &mut Site<'_, '_, '_>, op: &str) -> Made {
    let x = site.input(0)?;
    let side = i64::from(site.option(0, 1_i32)?);
    one(site.node(Op::own(op).with("blocksize", side), &[Some(x)]))
}

pub(super) fn depth_to_space(site: &mut Site<'_, '_, '_>) -> Made {
    blocks(site, "DepthToSpace")
}

pub(super) fn space_to_depth(site: &mut Site<'_, '_, '_>) -> Made {
    blocks(site, "SpaceToDepth")
}

pub(super) fn space_to_batch(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::own("SpaceToBatch"), &inputs))
}

pub(super) fn batch_to_space(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::own("BatchToSpace"), &inputs))
}

/// Indices, the number of classes, and the values on and off.
pub(super) fn one_hot(site: &mut Site<'_, '_, '_>) -> Made {
    let (ids, depth) = (site.input(0)?, site.input(1)?);
    let axis = i64::from(site.option(0, -1_i32)?);
    let mut values = Vec::new();
    for port in [3, 2] {
        let value = site.input(port)?;
        values.push(Some(site.reshaped(value, &[1])?));
    }
    let join = Op::onnx("Concat").with("axis", 0_i64);
    let values = site.step("values", join, &values)?;
    let op = Op::onnx("OneHot").with("axis", axis);
    one(site.node(op, &[Some(ids), Some(depth), Some(values)]))
}

/// The places of what is not zero, a row each.
pub(super) fn places(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let places = site.node(Op::onnx("NonZero"), &[Some(x)])?;
    one(site.turned(places, &[1, 0]))
}

pub(super) fn top_k(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, k) = (site.input(0)?, site.input(1)?);
    let k = site.reshaped(k, &[1])?;
    let made = site.nodes(Op::onnx("TopK"), &[Some(x), Some(k)], 2)?;
    let places = site.as_made(made[1], 1)?;
    Ok(Some(vec![made[0], places]))
}

/// Values, and the place of each element among them.
pub(super) fn unique(site: &mut Site<'_, '_, '_>) -> Made {
    let x = site.input(0)?;
    let made = site.nodes(Op::onnx("Unique").with("sorted", false), &[Some(x)], 3)?;
    let places = site.as_made(made[2], 1)?;
    Ok(Some(vec![made[0], places]))
}

pub(super) fn cast(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, to) = (site.input(0)?, site.made(0).and_then(|t| t.dtype));
    let Some(to) = to else { return Ok(None) };
    one(site.node(Op::onnx("Cast").with("to", i64::from(to.onnx())), &[Some(x)]))
}

pub(super) fn bitcast(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, to) = (site.input(0)?, site.made(0).and_then(|t| t.dtype));
    let Some(to) = to else { return Ok(None) };
    one(site.node(Op::onnx("BitCast").with("to", i64::from(to.onnx())), &[Some(x)]))
}

/// x, a size for each axis of the image, and how pixels lie on each other.
fn resize(site: &mut Site<'_, '_, '_>, mode: &str, fields: [usize; 2]) -> Made {
    let (x, sizes) = (site.input(0)?, site.list(1)?);
    let corners = if site.flag(fields[0])? {
        "align_corners"
    } else if site.flag(fields[1])? {
        "half_pixel"
    } else {
        "asymmetric"
    };
    let op = Op::own("Resize").with("mode", mode).with("axes", vec![1, 2]);
    let op = op.with("coordinate_transformation_mode", corners);
    one(site.node(op, &[Some(x), None, None, Some(sizes)]))
}

pub(super) fn resize_bilinear(site: &mut Site<'_, '_, '_>) -> Made {
    resize(site, "linear", [2, 3])
}

pub(super) fn resize_nearest(site: &mut Site<'_, '_, '_>) -> Made {
    resize(site, "nearest", [0, 1])
}

/// Sizes, from which a tensor of random numbers is drawn.
fn random(site: &mut Site<'_, '_, '_>, op: &str) -> Made {
    let sizes = site.input(0)?;
    let empty = site.step("shape", Op::onnx("ConstantOfShape"), &[Some(sizes)])?;
    one(site.node(Op::onnx(op), &[Some(empty)]))
}

pub(super) fn random_uniform(site: &mut Site<'_, '_, '_>) -> Made {
    random(site, "RandomUniformLike")
}

pub(super) fn random_normal(site: &mut Site<'_, '_, '_>) -> Made {
    random(site, "RandomNormalLike")
}

pub(super) fn multinomial(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, Some(drawn)) = (site.input(0)?, site.int_of(1)?) else { return Ok(None) };
    let dtype = site.made(0).and_then(|t| t.dtype).unwrap_or(DType::I64);
    let op = Op::onnx("Multinomial").with("sample_size", drawn);
    one(site.node(op.with("dtype", i64::from(dtype.onnx())), &[Some(x)]))
}

/// A tensor of the sizes that the file states, moved by rules that do not matter to its cost.
pub(super) fn moved(site: &mut Site<'_, '_, '_>) -> Made {
    moved_at(site, 0)
}

/// Such a tensor, interpolated in two directions.
pub(super) fn sampled(site: &mut Site<'_, '_, '_>) -> Made {
    moved_at(site, 11)
}

/// The matrix that turns, scales and shifts points to an upright square: an angle of two of them, and at most four
/// operations for each of their numbers.
pub(super) fn matrix_of_points(site: &mut Site<'_, '_, '_>) -> Made {
    let (x, sizes) = (site.input(0)?, stated(site, 0));
    let (Some(sizes), Some(dtype)) = (sizes, site.made(0).and_then(|t| t.dtype)) else {
        return Ok(None);
    };
    let op = Op::own("Moved").with("sizes", sizes).with("dtype", i64::from(dtype.onnx()));
    one(site.node(op.with("of_each", 4_i64), &[Some(x)]))
}

/// Points through a matrix.
pub(super) fn moved_points(site: &mut Site<'_, '_, '_>) -> Made {
    moved_at(site, 4)
}

fn moved_at(site: &mut Site<'_, '_, '_>, each: i64) -> Made {
    let (inputs, sizes) = (site.inputs()?, stated(site, 0));
    let (Some(sizes), Some(dtype)) = (sizes, site.made(0).and_then(|t| t.dtype)) else {
        return Ok(None);
    };
    let op = Op::own("Moved").with("sizes", sizes).with("dtype", i64::from(dtype.onnx()));
    one(site.node(op.with("each", each), &inputs))
}

/// Something as large as its first input.
pub(super) fn updated(site: &mut Site<'_, '_, '_>) -> Made {
    let inputs = site.inputs()?;
    one(site.node(Op::own("UpdateSlice"), &inputs))
}

pub(super) fn sort(site: &mut Site<'_, '_, '_>) -> Made {
    let (inputs, axis) = (site.inputs()?, site.option(0, -1_i64)?);
    let count = inputs.len();
    site.nodes(Op::own("Sort").with("axis", axis), &inputs, count).map(Some)
}
