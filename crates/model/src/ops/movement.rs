//! Operators that copy, pick and place: zero FLOPs, and their bytes.

use super::Class::Movement;
use super::context::{OpCx, OpError, invalid};
use super::folding::{self, Arithmetic};
use super::shape::{axis, broadcast};
use super::{Effect, Holds, KernelClass, Op, Part, Role, values};
use crate::dim::Dim;
use crate::ir::{DType, Elem, MAX_TRACKED, Shape, TensorInfo};

#[rustfmt::skip]
pub(super) const OPS: &[Op] = &[
    Op::new("Cast", Movement, cast).holds(Holds::Cast).inputs(1, 1).playing(Part::Map).role(Role::Conversion).kernel(KernelClass::Unary),
    Op::new("CastLike", Movement, cast_like).holds(Holds::Cast).inputs(2, 2).playing(Part::Map),
    Op::new("Concat", Movement, concat).holds(Holds::Joined).inputs(1, usize::MAX).weights(">").playing(Part::Map).kernel(KernelClass::Concat),
    Op::new("ConstantOfShape", Movement, constant_of_shape).inputs(1, 1).weights("c").playing(Part::Source),
    Op::new("DepthToSpace", Movement, depth_to_space).inputs(1, 1).playing(Part::Map).kernel(KernelClass::Transpose),
    Op::new("Expand", Movement, expand).inputs(2, 2).playing(Part::Spread),
    Op::new("Gather", Movement, gather).holds(Holds::Moved).inputs(2, 2).formula("0; reads only the rows it gathers").playing(Part::Source),
    Op::new("GatherElements", Movement, gather_elements).inputs(2, 2).formula("0; reads one element an index").playing(Part::Source),
    Op::new("GatherND", Movement, gather_nd).inputs(2, 2).formula("0; reads only what it gathers").playing(Part::Source),
    Op::new("OneHot", Movement, one_hot).inputs(3, 3).weights("c").playing(Part::Source),
    Op::new("Pad", Movement, pad).inputs(1, 4).playing(Part::Arrange),
    Op::new("Range", Movement, range).inputs(3, 3).weights("c").playing(Part::Source),
    Op::new("Resize", Movement, resize).inputs(1, 4).formula("0 nearest, 3·(2^r − 1)·|y| linear over r axes, 35·|y| cubic"),
    Op::new("ScatterND", Movement, scatter).holds(Holds::Updated(2)).inputs(3, 3).formula("0; 1 an update where it reduces").weights(">c>"),
    Op::new("Slice", Movement, slice).holds(Holds::Moved).inputs(1, 5).formula("0; reads only the region").playing(Part::Map),
    Op::new("SpaceToDepth", Movement, space_to_depth).inputs(1, 1).playing(Part::Map).kernel(KernelClass::Transpose),
    Op::new("Split", Movement, split).holds(Holds::Moved).inputs(1, 2).playing(Part::Map),
    Op::new("Tile", Movement, tile).inputs(2, 2).playing(Part::Map),
    Op::new("Transpose", Movement, transpose).holds(Holds::Moved).inputs(1, 1).playing(Part::Arrange).kernel(KernelClass::Transpose),
    Op::new("Trilu", Movement, trilu).inputs(1, 2).playing(Part::Map),
    Op::new("Upsample", Movement, resize).inputs(1, 2).formula("0 nearest, 3·(2^r − 1)·|y| linear over r axes"),
];

fn cast(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let to = cx.attrs().int("to")?.and_then(|n| i32::try_from(n).ok()).and_then(DType::from_onnx);
    let to = to.ok_or_else(|| OpError::Unsupported("a cast to this type".into()))?;
    cast_to(cx, Some(to))
}

fn cast_like(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    Ok(cast_to(cx, cx.dtype(1))?.reads(1, Dim::ZERO))
}

fn cast_to(cx: &OpCx<'_>, to: Option<DType>) -> Result<Effect, OpError> {
    let mut output = TensorInfo::new(to, cx.shape(0)?.clone());
    if let Some(value) = &cx.input(0)?.value {
        output = output.with_value(value.iter().map(|e| folding::cast(e, to)).collect());
    }
    Ok(Effect::one(output))
}

/// The whole part of a number, towards zero; what is beyond any size overflows.
fn truncated(x: f64) -> Dim {
    folding::truncated(x).map_or(Dim::overflow(), Dim::from)
}

fn concat(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let first = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", 1)?, first.len())?;
    let mut shape = first.clone();
    let mut parts = Vec::with_capacity(cx.inputs.len());
    for port in 0..cx.inputs.len() {
        let other = cx.shape(port)?;
        if other.len() != shape.len() {
            return invalid!("ranks {} and {} are joined", shape.len(), other.len());
        }
        for (i, dim) in other.iter().enumerate().filter(|(i, _)| *i != at) {
            match (shape[i].as_const(), dim.as_const()) {
                (Some(a), Some(b)) if a != b => return invalid!("axis {i} has sizes {a} and {b}"),
                (None, Some(_)) => shape[i] = dim.clone(),
                _ => {}
            }
            cx.require_equal(&shape[i], dim);
        }
        parts.push(other[at].clone());
    }
    shape[at] = (cx.sum)(&parts);
    let joined = joined(cx, at, &shape);
    Ok(Effect::one(values::filled(cx.like(shape), joined)))
}

/// The contents of all inputs, one after the other along an axis; those of an input that are not known
/// stay unknown.
fn joined(cx: &OpCx<'_>, at: usize, shape: &[Dim]) -> Option<Vec<Elem>> {
    if cx.inputs.iter().flatten().all(|i| i.value.is_none()) {
        return None;
    }
    let parts = cx.inputs.iter().flatten().map(|info| {
        let sizes = values::sizes(info.shape.as_ref()?)?;
        Some((info.value.as_ref(), *sizes.get(at)?, sizes))
    });
    let parts: Vec<_> = parts.collect::<Option<_>>()?;
    values::built(shape, |index| {
        let mut index = index.to_vec();
        for (value, length, sizes) in &parts {
            if index[at] < *length {
                let at = values::flat(&index, sizes);
                return Some(value.and_then(|v| v.get(at).cloned()).unwrap_or(Elem::Unknown));
            }
            index[at] -= length;
        }
        None
    })
}

fn constant_of_shape(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.ints(0)?;
    let fill = cx.attrs().tensor("value")?;
    let dtype = fill.map_or(Some(DType::F32), |t| t.dtype);
    let element = match fill {
        Some(tensor) => tensor.value.as_ref().and_then(|v| v.first().cloned()),
        None => Some(Elem::Float(0.0)),
    };
    let mut output = TensorInfo::new(dtype, shape);
    let count = output.elements().and_then(|n| n.as_usize()).filter(|n| *n <= MAX_TRACKED);
    if let (Some(element), Some(n)) = (element, count) {
        output = output.with_value(vec![element; n]);
    }
    Ok(Effect::one(output))
}

fn four(cx: &OpCx<'_>) -> Result<[Dim; 4], OpError> {
    match &cx.shape(0)?[..] {
        [n, c, h, w] => Ok([n.clone(), c.clone(), h.clone(), w.clone()]),
        other => invalid!("rank {} where 4 is needed", other.len()),
    }
}

fn depth_to_space(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [n, c, h, w] = four(cx)?;
    let b = block(cx)?;
    let c = divided(&c, &(b.clone() * b.clone()))?;
    Ok(Effect::one(cx.like(vec![n, c, h * b.clone(), w * b])))
}

fn space_to_depth(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let [n, c, h, w] = four(cx)?;
    let b = block(cx)?;
    let c = c * b.clone() * b.clone();
    Ok(Effect::one(cx.like(vec![n, c, divided(&h, &b)?, divided(&w, &b)?])))
}

/// The side of a block of `DepthToSpace` and its inverse.
fn block(cx: &OpCx<'_>) -> Result<Dim, OpError> {
    match cx.attrs().int_or("blocksize", 1)? {
        side if side < 1 => invalid!("blocks of {side}"),
        side => Ok(Dim::from(side)),
    }
}

/// A size in whole blocks.
fn divided(size: &Dim, block: &Dim) -> Result<Dim, OpError> {
    if let (Some(all), Some(part)) = (size.as_const(), block.as_const()) {
        if all % part != 0 {
            return invalid!("blocks of {block} do not divide {size}");
        }
    }
    Ok(size.floor_div(block))
}

fn expand(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let target = cx.ints(1)?;
    let shape = broadcast(cx, [cx.shape(0)?.as_slice(), target.as_slice()])?;
    let same = &shape == cx.shape(0)?;
    let mut output = cx.like(shape);
    if let Some(value) = &cx.input(0)?.value {
        let count = output.elements().and_then(|n| n.as_usize()).filter(|n| *n <= MAX_TRACKED);
        match (&value[..], count) {
            ([one], Some(n)) => output = output.with_value(vec![one.clone(); n]),
            _ if same => output.value = Some(value.clone()),
            _ => {
                let (from, to) = (cx.shape(0)?.clone(), output.shape.clone().unwrap_or_default());
                let lead = to.len().saturating_sub(from.len());
                let spread = values::moved(cx.input(0)?, &to, |index| {
                    let own = index[lead..].iter().zip(&from);
                    Some(own.map(|(i, size)| if size.is_one() { 0 } else { *i }).collect())
                });
                if let Some(value) = spread {
                    output = output.with_value(value);
                }
            }
        }
    }
    Ok(Effect::one(output).reads(1, Dim::ZERO))
}

fn bytes_of(dtype: Option<DType>, elements: &Dim) -> Dim {
    dtype.map_or(Dim::ZERO, |d| d.bytes(elements))
}

fn gather(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (data, indices) = (cx.shape(0)?, cx.shape(1)?);
    let at = axis(cx.attrs().int_or("axis", 0)?, data.len())?;
    let mut shape: Shape = data[..at].to_vec();
    shape.extend(indices.iter().cloned());
    shape.extend(data[at + 1..].iter().cloned());
    let mut output = cx.like(shape);
    if let (Some(length), Some(picks)) =
        (data[at].as_const(), cx.optional(1).and_then(TensorInfo::const_ints))
    {
        if let Some(i) = picks.iter().find(|i| !(-length..length).contains(&i128::from(**i))) {
            return invalid!("index {i} is outside {length} elements");
        }
    }
    if let Some(value) = gathered(cx, at, &output) {
        output = output.with_value(value);
    }
    let read = bytes_of(output.dtype, &output.elements().unwrap_or_default());
    Ok(Effect::one(output).reads(0, read))
}

/// The contents of a gathered tensor; negative indices count from the end.
fn gathered(cx: &OpCx<'_>, at: usize, output: &TensorInfo) -> Option<Vec<Elem>> {
    let (data, indices) = (cx.optional(0)?, cx.optional(1)?);
    let picks = indices.const_ints()?;
    let length = i64::try_from(data.shape.as_ref()?.get(at)?.as_const()?).ok()?;
    let grid = values::sizes(indices.shape.as_ref()?)?;
    let to = output.shape.as_ref()?;
    values::moved(data, to, |index| {
        let pick = picks.get(values::flat(&index[at..at + grid.len()], &grid))?;
        let pick = usize::try_from(if *pick < 0 { pick + length } else { *pick }).ok()?;
        let (head, tail) = (&index[..at], &index[at + grid.len()..]);
        Some(head.iter().chain([&pick]).chain(tail).copied().collect())
    })
}

fn gather_elements(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let at = axis(cx.attrs().int_or("axis", 0)?, cx.rank(0)?)?;
    let shape = cx.shape(1)?.clone();
    let value = picked_elements(cx, at, &shape);
    let output = values::filled(cx.like(shape), value);
    let read = bytes_of(output.dtype, &output.elements().unwrap_or_default());
    Ok(Effect::one(output).reads(0, read))
}

/// The contents of a tensor whose elements are picked along one axis.
fn picked_elements(cx: &OpCx<'_>, at: usize, shape: &[Dim]) -> Option<Vec<Elem>> {
    let picks = cx.optional(1)?.value.as_ref()?;
    let (data, grid) = (cx.optional(0)?, values::sizes(shape)?);
    let length = data.shape.as_ref()?.get(at)?.as_usize()?;
    values::moved(data, shape, |index| {
        let mut source = index.to_vec();
        let pick = picks.get(values::flat(index, &grid))?.as_const()?;
        *source.get_mut(at)? = values::from_front(pick, length)?;
        Some(source)
    })
}

fn gather_nd(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (data, indices) = (cx.shape(0)?, cx.shape(1)?);
    let Some((last, outer)) = indices.split_last() else {
        return invalid!("indices without an axis");
    };
    let depth = last.as_usize().ok_or(OpError::UnknownInput { port: 1, what: "shape" })?;
    let batch = usize::try_from(cx.attrs().int_or("batch_dims", 0)?).unwrap_or(0);
    let Some(rest) = data.get(batch + depth..) else {
        return invalid!("index depth {depth} exceeds rank {}", data.len());
    };
    let shape = [outer, rest].concat();
    let value = picked_slices(cx, batch, depth, &shape);
    let output = values::filled(cx.like(shape), value);
    let read = bytes_of(output.dtype, &output.elements().unwrap_or_default());
    Ok(Effect::one(output).reads(0, read))
}

/// The contents of a tensor whose slices are picked by their first indices.
fn picked_slices(cx: &OpCx<'_>, batch: usize, depth: usize, shape: &[Dim]) -> Option<Vec<Elem>> {
    let (data, indices) = (cx.optional(0)?, cx.optional(1)?);
    let picks = indices.value.as_ref()?;
    let grid = values::sizes(indices.shape.as_ref()?)?;
    let from = values::sizes(data.shape.as_ref()?)?;
    let outer = grid.len().checked_sub(1)?;
    values::moved(data, shape, |index| {
        let first = values::flat(index.get(..outer)?, &grid) * depth;
        let mut source = index.get(..batch)?.to_vec();
        for i in 0..depth {
            let pick = picks.get(first + i)?.as_const()?;
            source.push(values::from_front(pick, *from.get(batch + i)?)?);
        }
        source.extend(index.get(outer..)?);
        Some(source)
    })
}

fn one_hot(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let mut shape = cx.shape(0)?.clone();
    let value = cx.input(1)?.value.as_ref().and_then(|v| v.first());
    let depth = match value {
        Some(Elem::Int(depth)) => depth.clone(),
        Some(Elem::Float(depth)) => truncated(*depth),
        _ => (cx.fresh)("depth", None),
    };
    let at = axis(cx.attrs().int_or("axis", -1)?, shape.len() + 1)?;
    shape.insert(at, depth);
    Ok(Effect::one(TensorInfo::new(cx.dtype(2), shape)))
}

/// Before opset 11 `pads` is an attribute; opset 18 adds `axes`. Negative pads crop.
fn pad(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let pads = match cx.attrs().dims("pads")? {
        Some(pads) => pads,
        None => cx.ints(1)?,
    };
    let at: Vec<usize> = match cx.optional(3) {
        Some(_) => super::shape::axes(&cx.const_ints(3)?, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    if pads.len() != 2 * at.len() {
        return invalid!("{} pads for {} axes", pads.len(), at.len());
    }
    let mut output = shape.clone();
    for (i, a) in at.iter().enumerate() {
        output[*a] = output[*a].clone() + pads[i].clone() + pads[i + at.len()].clone();
    }
    let padded = padded(cx, &at, &pads, &output);
    Ok(Effect::one(values::filled(cx.like(output), padded)))
}

/// The contents of a tensor with a constant around it.
fn padded(cx: &OpCx<'_>, at: &[usize], pads: &[Dim], output: &[Dim]) -> Option<Vec<Elem>> {
    let input = cx.optional(0)?;
    let value = input.value.as_ref()?;
    if !matches!(cx.attrs().str("mode").ok()?, None | Some("constant")) {
        return None;
    }
    let sizes = values::sizes(input.shape.as_ref()?)?;
    let fill = match cx.optional(2) {
        Some(info) => info.value.as_ref()?.first()?.clone(),
        None => folding::cast(&Elem::Int(Dim::ZERO), input.dtype),
    };
    let before: Vec<i128> = pads.iter().map(Dim::as_const).collect::<Option<_>>()?;
    values::built(output, |index| {
        let mut source = index.to_vec();
        for (axis, before) in at.iter().zip(&before) {
            let place = i128::try_from(source[*axis]).ok()? - before;
            match usize::try_from(place) {
                Ok(place) if place < sizes[*axis] => source[*axis] = place,
                _ => return Some(fill.clone()),
            }
        }
        value.get(values::flat(&source, &sizes)).cloned()
    })
}

fn range(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let scalar = |port: usize| -> Result<Elem, OpError> {
        let value = cx.input(port)?.value.as_ref().and_then(|v| v.first().cloned());
        value
            .filter(|e| *e != Elem::Unknown)
            .ok_or(OpError::UnknownInput { port, what: "contents" })
    };
    let (start, limit, delta) = (scalar(0)?, scalar(1)?, scalar(2)?);
    let whole = [&start, &limit, &delta].map(Elem::to_whole);
    let [Some(start), Some(limit), Some(delta)] = whole else {
        let (Some(a), Some(b), Some(d)) = (start.as_f64(), limit.as_f64(), delta.as_f64()) else {
            return Err(OpError::Unsupported("a range of this kind".into()));
        };
        if d == 0.0 {
            return invalid!("step of zero");
        }
        let count = truncated(((b - a) / d).ceil().max(0.0));
        let arithmetic = Arithmetic::on(cx.dtype(0));
        let value = count.as_usize().filter(|n| *n <= MAX_TRACKED).map(|n| {
            let steps = (0..n).map(|i| arithmetic.binary("Mul", &delta, &arithmetic.whole(i)));
            steps.map(|step| arithmetic.binary("Add", &start, &step)).collect()
        });
        return Ok(Effect::one(values::filled(cx.like(vec![count]), value)));
    };
    let count = match delta.as_const() {
        Some(0) => return invalid!("step of zero"),
        Some(d) if d < 0 => (start.clone() - limit.clone()).ceil_div(&-delta.clone()),
        _ => (limit.clone() - start.clone()).ceil_div(&delta),
    }
    .maximum(&Dim::ZERO);
    let mut output = cx.like(vec![count.clone()]);
    if let Some(n) = count.as_usize().filter(|n| *n <= MAX_TRACKED) {
        let dtype = cx.dtype(0);
        let at = |i: usize| {
            folding::cast(&Elem::Int(start.clone() + delta.clone() * Dim::from(i)), dtype)
        };
        output = output.with_value((0..n).map(at).collect());
    }
    Ok(Effect::one(output))
}

/// Sizes, or scales rounded down; opset 10 and Upsample carry scales second, opset 11 third.
pub(super) fn resize(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let input = cx.shape(0)?;
    let early = &*cx.node.op_type == "Upsample" || cx.opset() < 11;
    let (scales_port, sizes_port) = if early { (1, usize::MAX) } else { (2, 3) };
    let at: Vec<usize> = match cx.attrs().ints("axes")? {
        Some(given) => super::shape::axes(given, input.len())?,
        None => (0..input.len()).collect(),
    };
    let mut shape = input.clone();
    let sizes = cx.optional(sizes_port).filter(|i| i.elements().is_none_or(|n| !n.is_zero()));
    if sizes.is_some() {
        let sizes = cx.ints(sizes_port)?;
        if sizes.len() != at.len() {
            return invalid!("{} sizes for {} axes", sizes.len(), at.len());
        }
        match cx.attrs().str("keep_aspect_ratio_policy")?.unwrap_or("stretch") {
            "stretch" => at.iter().zip(sizes).for_each(|(a, size)| shape[*a] = size),
            policy => keep_aspect(&mut shape, &at, &sizes, policy == "not_larger")?,
        }
    } else {
        let scales: Vec<f64> = match cx.attrs().floats("scales")? {
            Some(v) => v.iter().map(|x| f64::from(*x)).collect(),
            None => {
                let value = cx.input(scales_port)?.value.as_ref();
                let known = value.and_then(|v| v.iter().map(Elem::as_f64).collect());
                known.ok_or(OpError::UnknownInput { port: scales_port, what: "contents" })?
            }
        };
        if scales.len() != at.len() {
            return invalid!("{} scales for {} axes", scales.len(), at.len());
        }
        for (a, scale) in at.iter().zip(scales) {
            shape[*a] = scaled(&shape[*a], scale)?;
        }
    }
    let axes_changed = input.iter().zip(&shape).filter(|(a, b)| a != b).count();
    let each = match cx.attrs().str("mode")?.unwrap_or("nearest") {
        "linear" | "bilinear" => 3 * ((1u64 << axes_changed.min(8)) - 1),
        "cubic" => 35,
        _ => 0,
    };
    let output = cx.like(shape);
    let n = output.elements().unwrap_or_default();
    Ok(Effect::one(output).other(n * Dim::from(each)).reads(1, Dim::ZERO).reads(2, Dim::ZERO))
}

/// Sizes are bounds: one scale for all axes, the least or the greatest that they allow.
#[allow(clippy::cast_precision_loss)]
fn keep_aspect(shape: &mut Shape, at: &[usize], sizes: &[Dim], least: bool) -> Result<(), OpError> {
    let number = |d: &Dim| d.as_const().map(|c| c as f64);
    let scales = at.iter().zip(sizes).map(|(a, size)| Some(number(size)? / number(&shape[*a])?));
    let scales: Option<Vec<f64>> = scales.collect();
    let pick = if least { f64::min } else { f64::max };
    let Some(scale) = scales.and_then(|s| s.into_iter().reduce(pick)) else {
        return Err(OpError::Unsupported("keeping the aspect of sizes that are not known".into()));
    };
    for a in at {
        if let Some(n) = number(&shape[*a]) {
            shape[*a] = truncated((n * scale + 0.5).floor());
        }
    }
    Ok(())
}

/// `⌊size · scale⌋`, multiplied in f32 as onnxruntime does; a symbolic size where the product is exact.
fn scaled(size: &Dim, scale: f64) -> Result<Dim, OpError> {
    let product = Arithmetic::on(Some(DType::F32)).binary(
        "Mul",
        &folding::cast(&Elem::Int(size.clone()), Some(DType::F32)),
        &Elem::Float(scale),
    );
    match folding::cast(&product, Some(DType::I64)) {
        Elem::Int(size) => Ok(size),
        _ => Err(OpError::Unsupported(format!("scaling `{size}` by {scale}"))),
    }
}

/// Copies the data, then writes the updates.
fn scatter(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let reduces = cx.attrs().str("reduction")?.is_some_and(|r| r != "none");
    let updates = if reduces { cx.elements(2)? } else { Dim::ZERO };
    let written = if reduces { None } else { written(cx) };
    let output = values::filled(cx.like(cx.shape(0)?.clone()), written);
    Ok(Effect::one(output).other(updates))
}

/// The contents after slices are written at known indices.
fn written(cx: &OpCx<'_>) -> Option<Vec<Elem>> {
    let (data, indices) = (cx.optional(0)?, cx.optional(1)?);
    let sizes = values::sizes(data.shape.as_ref()?)?;
    let depth = values::sizes(indices.shape.as_ref()?)?.pop().filter(|d| *d > 0)?;
    let (picks, updates) = (indices.value.as_ref()?, cx.optional(2)?.value.as_ref()?);
    let mut value = data.value.as_ref()?.to_vec();
    let width: usize = sizes.get(depth..)?.iter().product();
    for (row, pick) in picks.chunks(depth).enumerate() {
        let places = pick.iter().zip(&sizes);
        let index: Vec<usize> = places
            .map(|(pick, size)| values::from_front(pick.as_const()?, *size))
            .collect::<Option<_>>()?;
        let first = values::flat(&index, &sizes) * width;
        for i in 0..width {
            *value.get_mut(first + i)? = updates.get(row * width + i)?.clone();
        }
    }
    Some(value)
}

/// Before opset 10 the bounds are attributes.
fn slice(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let read = |name: &str, port: usize| -> Result<Option<Vec<Dim>>, OpError> {
        match cx.attrs().dims(name)? {
            Some(v) => Ok(Some(v)),
            None if cx.optional(port).is_some() => cx.ints(port).map(Some),
            None => Ok(None),
        }
    };
    let starts = read("starts", 1)?.ok_or(OpError::MissingInput(1))?;
    let ends = read("ends", 2)?.ok_or(OpError::MissingInput(2))?;
    let at = match cx.attr_or_input("axes", 3)? {
        Some(given) => super::shape::axes(&given, shape.len())?,
        None => (0..starts.len()).collect(),
    };
    let steps = cx.attr_or_input("steps", 4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), at.len(), steps.len()] != [starts.len(); 3] || starts.len() > shape.len() {
        return invalid!("starts, ends, axes and steps differ in length");
    }
    let mut output = shape.clone();
    let mut bounds = Vec::new();
    for i in 0..starts.len() {
        let size = &shape[at[i]];
        if steps[i] == 0 {
            return invalid!("step of zero");
        }
        let (start, count) = slice_axis(size, &starts[i], &ends[i], steps[i]);
        bounds.push((start, count.clone()));
        output[at[i]] = count;
    }
    let firsts: Option<Vec<i128>> = bounds.iter().map(|(start, _)| start.as_const()).collect();
    let part = firsts.and_then(|firsts| {
        values::moved(cx.optional(0)?, &output, |index| {
            let mut source = index.to_vec();
            for (i, axis) in at.iter().enumerate() {
                let place = firsts[i] + i128::try_from(index[*axis]).ok()? * i128::from(steps[i]);
                source[*axis] = usize::try_from(place).ok()?;
            }
            Some(source)
        })
    });
    let mut info = cx.like(output);
    if let Some(part) = part {
        info = info.with_value(part);
    }
    let read = bytes_of(info.dtype, &info.elements().unwrap_or_default());
    let effect = Effect::one(info).reads(0, read);
    Ok((1..cx.inputs.len()).fold(effect, |e, port| e.reads(port, Dim::ZERO)))
}

/// First index and number of elements that a slice takes of an axis.
fn slice_axis(size: &Dim, start: &Dim, end: &Dim, step: i64) -> (Dim, Dim) {
    // Below zero it counts from the end; a size that is negated counts so unless it is zero.
    let from_front = |d: &Dim| match (-d.clone()).lower_bound() {
        Some(low) if low > 0 => size.clone() + d.clone(),
        Some(0) if d.as_const().is_none() => {
            size.clone() * (-d.clone()).minimum(&Dim::ONE) + d.clone()
        }
        _ => d.clone(),
    };
    // Exporters write "to the end" as the largest integer; no size reaches it.
    let far = |d: &Dim| d.as_const().is_some_and(|c| c >= i128::from(i32::MAX));
    if step > 0 {
        let start = from_front(start).maximum(&Dim::ZERO).minimum(size);
        let end =
            if far(end) { size.clone() } else { from_front(end).maximum(&Dim::ZERO).minimum(size) };
        let count = (end - start.clone()).maximum(&Dim::ZERO).ceil_div(&Dim::from(step));
        (start, count)
    } else {
        let last = size.clone() - Dim::ONE;
        let start = match from_front(start) {
            first if far(&first) || first == last => last,
            first => first.maximum(&Dim::ZERO).minimum(&last),
        };
        let before_front = end.as_const().is_some_and(|c| c <= -i128::from(i32::MAX));
        let end =
            if before_front { Dim::from(-1) } else { from_front(end).maximum(&Dim::from(-1)) };
        let step = Dim::from(step.saturating_neg());
        let count = (start.clone() - end).maximum(&Dim::ZERO).ceil_div(&step);
        (start, count)
    }
}

/// Equal parts unless sizes are given: an attribute, and since opset 13 an input.
fn split(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let at = axis(cx.attrs().int_or("axis", 0)?, shape.len())?;
    let parts = cx.output_count();
    let sizes: Vec<Dim> = match cx.attrs().dims("split")? {
        Some(sizes) => sizes,
        None if cx.optional(1).is_some() => cx.ints(1)?,
        None => {
            let chunk = shape[at].ceil_div(&Dim::from(parts));
            let last = shape[at].clone() - chunk.clone() * Dim::from(parts.saturating_sub(1));
            (0..parts).map(|i| if i + 1 == parts { last.clone() } else { chunk.clone() }).collect()
        }
    };
    if sizes.len() != parts {
        return invalid!("{} sizes for {parts} outputs", sizes.len());
    }
    let mut start = 0usize;
    let mut outputs = Vec::with_capacity(parts);
    for size in sizes {
        let mut part = shape.clone();
        part[at] = size.clone();
        let mut info = cx.like(part);
        let end = size.as_usize().map(|n| start.saturating_add(n));
        if let (Some(value), Some(end), 1) = (&cx.input(0)?.value, end, shape.len()) {
            info = info.with_value(value.get(start..end).unwrap_or(&[]).to_vec());
        }
        start = end.unwrap_or(usize::MAX);
        outputs.push(info);
    }
    Ok(Effect::of(outputs).reads(1, Dim::ZERO))
}

fn tile(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let (shape, repeats) = (cx.shape(0)?, cx.ints(1)?);
    if shape.len() != repeats.len() {
        return invalid!("{} repeats for rank {}", repeats.len(), shape.len());
    }
    let output: Shape = shape.iter().zip(repeats).map(|(d, r)| d.clone() * r).collect();
    let repeated = values::moved(cx.input(0)?, &output, |index| {
        index.iter().zip(shape).map(|(i, size)| Some(i % size.as_usize()?)).collect()
    });
    let info = cx.like(output);
    let info = match repeated {
        Some(value) => info.with_value(value),
        None => info,
    };
    Ok(Effect::one(info).reads(1, Dim::ZERO))
}

fn transpose(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let order: Vec<usize> = match cx.attrs().ints("perm")? {
        Some(perm) => super::shape::axes(perm, shape.len())?,
        None => (0..shape.len()).rev().collect(),
    };
    if order.len() != shape.len() {
        return invalid!("`perm` has {} entries for rank {}", order.len(), shape.len());
    }
    let output: Shape = order.iter().map(|i| shape[*i].clone()).collect();
    if order.is_sorted() {
        return cx.view(output);
    }
    let turned = values::moved(cx.input(0)?, &output, |index| {
        let mut source = vec![0; index.len()];
        order.iter().zip(index).for_each(|(axis, i)| source[*axis] = *i);
        Some(source)
    });
    let info = cx.like(output);
    Ok(Effect::one(match turned {
        Some(value) => info.with_value(value),
        None => info,
    }))
}

fn trilu(cx: &OpCx<'_>) -> Result<Effect, OpError> {
    let shape = cx.shape(0)?;
    let value = triangle(cx, shape);
    Ok(Effect::one(values::filled(cx.like(shape.clone()), value)))
}

/// The contents of an upper or lower triangle, zeros on the other side.
fn triangle(cx: &OpCx<'_>, shape: &[Dim]) -> Option<Vec<Elem>> {
    let input = cx.optional(0)?;
    let value = input.value.as_ref()?;
    let sizes = values::sizes(shape)?;
    let upper = cx.attrs().int_or("upper", 1).ok()? != 0;
    let shift = match cx.optional(1) {
        Some(_) => *cx.const_ints(1).ok()?.first()?,
        None => 0,
    };
    let zero = folding::cast(&Elem::Int(Dim::ZERO), input.dtype);
    values::built(shape, |index| {
        let [.., row, column] = index else { return None };
        let above = i64::try_from(*column).ok()? - i64::try_from(*row).ok()?;
        let kept = if upper { above >= shift } else { above <= shift };
        if kept { value.get(values::flat(index, &sizes)).cloned() } else { Some(zero.clone()) }
    })
}
